//! TLS to PostgreSQL, with libpq's modes.
//!
//! <https://www.postgresql.org/docs/current/libpq-ssl.html>: `require` encrypts without
//! looking at the certificate unless an authority is given; `verify-ca` checks the chain,
//! `verify-full` the host name too.

use std::sync::Arc;

use anyhow::{Context, Result, anyhow};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::WebPkiSupportedAlgorithms;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, Error, SignatureScheme};
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::config::{SslMode, Tls, certificates};
use crate::tls::{SettingNames, Verifier, explain, provider, system_authorities};

/// What to say of an error that TLS is the cause of.
pub fn explanation(error: &(dyn std::error::Error + 'static)) -> Option<String> {
    let cause = error.downcast_ref::<std::io::Error>()?.get_ref()?.downcast_ref::<Error>()?;
    Some(explain(cause, SettingNames { authorities: "sslrootcert", identity: "sslcert" }))
}

/// The connector for a mode, or `None` where the mode forbids TLS.
pub fn connector(tls: &Tls) -> Result<Option<MakeRustlsConnect>> {
    let root_cert = tls.root_cert.as_deref();
    let verify = match (tls.mode, root_cert) {
        (SslMode::Disable, _) => return Ok(None),
        (SslMode::VerifyFull, _) => VerifyMode::ChainAndName,
        (SslMode::VerifyCa, _) | (SslMode::Require, Some(_)) => VerifyMode::Chain,
        (SslMode::Require | SslMode::Prefer | SslMode::Allow, _) => VerifyMode::None,
    };
    let chain = match verify {
        VerifyMode::None => None,
        VerifyMode::Chain | VerifyMode::ChainAndName => Some(chain(root_cert)?),
    };
    let verifier = PostgresVerifier { chain, verify, algorithms: provider().signature_verification_algorithms };
    Ok(Some(MakeRustlsConnect::new(config(verifier, tls)?)))
}

fn config(verifier: PostgresVerifier, tls: &Tls) -> Result<ClientConfig> {
    let config = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier));
    let (Some(cert), Some(key)) = (&tls.cert, &tls.key) else {
        return Ok(config.with_no_client_auth());
    };
    let chain = certificates(cert).map_err(|reason| anyhow!("setting sslcert: {reason}"))?;
    let key = PrivateKeyDer::from_pem_file(key).map_err(|error| anyhow!("setting sslkey: {key}: {error}"))?;
    config.with_client_auth_cert(chain, key).map_err(|error| anyhow!("settings sslcert and sslkey: {error}"))
}

fn chain(root_cert: Option<&str>) -> Result<Verifier> {
    let verifier = match root_cert {
        Some(path) => {
            Verifier::new(Vec::new(), certificates(path).map_err(|reason| anyhow!("setting sslrootcert: {reason}"))?)
        }
        None => Verifier::new(system_authorities(), Vec::new()),
    };
    verifier.context("setting sslrootcert")
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum VerifyMode {
    None,
    Chain,
    ChainAndName,
}

/// Checks a server's certificate as far as the mode asks for.
#[derive(Debug)]
struct PostgresVerifier {
    chain: Option<Verifier>,
    verify: VerifyMode,
    algorithms: WebPkiSupportedAlgorithms,
}

impl ServerCertVerifier for PostgresVerifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let Some(chain) = &self.chain else {
            return Ok(ServerCertVerified::assertion());
        };
        match chain.verify_server_cert(end_entity, intermediates, server_name, ocsp, now) {
            // The chain is checked before the name: a wrong name means the chain held.
            Err(Error::InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            )) if self.verify == VerifyMode::Chain => Ok(ServerCertVerified::assertion()),
            other => other,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        rustls::crypto::verify_tls12_signature(message, certificate, signature, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        rustls::crypto::verify_tls13_signature(message, certificate, signature, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}
