//! Whom TLS trusts, to endpoints and to PostgreSQL alike, and what it says where it does not.
//!
//! Promises what OpenSSL does, by which Label Studio posts, but for what has been broken: a certificate that the
//! operator names is trusted for the names in it, whether it calls itself an authority or not. Why this is not
//! OpenSSL: docs/decisions/tls.md.

mod p521;

use std::sync::{Arc, LazyLock};

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{VerifierBuilderError, WebPkiServerVerifier, verify_server_name};
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{
    AlertDescription, CertificateError, DigitallySignedStruct, Error, OtherError, RootCertStore, SignatureScheme,
};

/// The cryptography of every TLS connection.
pub fn provider() -> Arc<CryptoProvider> {
    static PROVIDER: LazyLock<Arc<CryptoProvider>> = LazyLock::new(|| {
        let mut provider = aws_lc_rs::default_provider();
        provider.kx_groups.push(&p521::P521);
        Arc::new(provider)
    });
    Arc::clone(&PROVIDER)
}

/// The authorities of the system, as `SSL_CERT_FILE` or its usual places name them.
pub fn system_authorities() -> Vec<CertificateDer<'static>> {
    rustls_native_certs::load_native_certs().certs
}

/// Verifies a server's certificate: by authorities, or as one that is itself named.
#[derive(Debug)]
pub struct Verifier {
    by_authority: Arc<WebPkiServerVerifier>,
    named: Vec<CertificateDer<'static>>,
}

impl Verifier {
    /// Trusts these; certificates of the system that cannot be read are left out, and those that the operator named
    /// are an error.
    ///
    /// # Errors
    /// When a certificate of `named` cannot be read, or there is none at all.
    pub fn new(
        system: Vec<CertificateDer<'static>>,
        named: Vec<CertificateDer<'static>>,
    ) -> Result<Verifier, VerifierError> {
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(system);
        for certificate in &named {
            roots.add(certificate.clone())?;
        }
        let by_authority = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider()).build()?;
        Ok(Verifier { by_authority, named })
    }

    /// Whether it is one of those that the operator named, and nothing but its being no end of a chain is wrong with
    /// it. Its dates were looked at before its chain.
    fn is_named(&self, end_entity: &CertificateDer<'_>, error: &Error) -> bool {
        let is_no_end = match error {
            Error::InvalidCertificate(CertificateError::UnknownIssuer) => true,
            Error::InvalidCertificate(CertificateError::Other(other)) => {
                matches!(cause(other), Some(webpki::Error::CaUsedAsEndEntity))
            }
            _ => false,
        };
        is_no_end && self.named.iter().any(|named| named == end_entity)
    }
}

/// Certificates that nothing can be trusted by.
#[derive(Debug, thiserror::Error)]
pub enum VerifierError {
    /// One that was named cannot be read.
    #[error(transparent)]
    Unreadable(#[from] Error),
    /// There is none.
    #[error(transparent)]
    Unusable(#[from] VerifierBuilderError),
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        match self.by_authority.verify_server_cert(end_entity, intermediates, server_name, ocsp, now) {
            Err(error) if self.is_named(end_entity, &error) => {
                verify_server_name(&ParsedCertificate::try_from(end_entity)?, server_name)?;
                Ok(ServerCertVerified::assertion())
            }
            verdict => verdict,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.by_authority.verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.by_authority.verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.by_authority.supported_verify_schemes()
    }
}

/// The settings by which a peer is trusted, and by which we say who we are.
#[derive(Debug, Clone, Copy)]
pub struct SettingNames {
    /// Where authorities are named.
    pub authorities: &'static str,
    /// Where our own certificate is.
    pub identity: &'static str,
}

/// What happened, and what to do about a server that TLS refuses, or that refuses us.
pub fn explain(error: &Error, settings: SettingNames) -> String {
    match (error, advice(error, settings)) {
        // What rustls says of these holds identifiers in numbers.
        (Error::InvalidCertificate(_), Some(advice)) => advice,
        (error, Some(advice)) => format!("{error}; {advice}"),
        (error, None) => error.to_string(),
    }
}

fn advice(error: &Error, settings: SettingNames) -> Option<String> {
    let SettingNames { authorities, identity } = settings;
    let advice = match error {
        Error::AlertReceived(AlertDescription::HandshakeFailure | AlertDescription::InsufficientSecurity)
        | Error::PeerIncompatible(_) => format!(
            "the server and lshookd have no cipher in common: let it offer TLS 1.3, or TLS 1.2 with ECDHE and AES-GCM or \
             ChaCha20-Poly1305 (CBC, DHE and RSA key exchange are refused); or it wants a certificate of ours, which the \
             setting {identity} names"
        ),
        Error::AlertReceived(AlertDescription::ProtocolVersion) => {
            "the server speaks no TLS 1.2 or 1.3: older versions are broken (RFC 8996), let it offer one of these".to_owned()
        }
        Error::AlertReceived(AlertDescription::CertificateRequired | AlertDescription::BadCertificate) => {
            format!("the server asks who we are: name a certificate of ours in the setting {identity}")
        }
        Error::InvalidCertificate(reason) => match reason {
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
                "the server's certificate has expired".to_owned()
            }
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
                "the server's certificate is not valid yet: compare its clock with ours".to_owned()
            }
            CertificateError::UnknownIssuer => format!(
                "nobody whom the system or the setting {authorities} names has signed the server's certificate: name its \
                 authority, or the certificate itself, in {authorities}"
            ),
            CertificateError::UnsupportedSignatureAlgorithmContext { .. }
            | CertificateError::UnsupportedSignatureAlgorithmForPublicKeyContext { .. }
            | CertificateError::BadSignature => {
                "the server's certificate is not signed as it says, or in a way that is refused, as SHA-1, MD5 and RSA keys \
                 of less than 2,048 bits are: let it have one with RSA of 2,048 to 8,192 bits, P-256, P-384, P-521 or \
                 Ed25519, and SHA-2"
                    .to_owned()
            }
            CertificateError::Other(other) => match cause(other)? {
                webpki::Error::UnsupportedCertVersion => {
                    "the server's certificate is of X.509 version 1, which names no hosts: let the server have one of \
                     version 3 with a subjectAltName"
                        .to_owned()
                }
                webpki::Error::CaUsedAsEndEntity => format!(
                    "the server shows an authority's certificate as its own: name that very certificate in the setting \
                     {authorities}, or let the server have one of its own"
                ),
                _ => return None,
            },
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
                "the server's certificate is of other names; a name counts only in its subjectAltName".to_owned()
            }
            _ => return None,
        },
        _ => return None,
    };
    Some(advice)
}

fn cause(other: &OtherError) -> Option<&webpki::Error> {
    other.0.downcast_ref()
}
