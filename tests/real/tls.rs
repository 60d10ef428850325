//! TLS with endpoints: whom lshookd trusts, and how it says who it is.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::Result;
use lshookd_testbed::eventually;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::server::WebPkiClientVerifier;
use tokio_rustls::rustls::{RootCertStore, ServerConfig};

use crate::test_env::TestEnv;

/// An authority of our own.
struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    fn new() -> Result<Authority> {
        let mut parameters = CertificateParams::new(Vec::new())?;
        parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Ok(Authority(CertifiedIssuer::self_signed(parameters, KeyPair::generate()?)?))
    }

    /// A certificate for a name and its key, in PEM.
    fn sign(&self, name: &str) -> Result<(String, String)> {
        let key = KeyPair::generate()?;
        let certificate = CertificateParams::new(vec![name.to_owned()])?.signed_by(&key, &self.0)?;
        Ok((certificate.pem(), key.serialize_pem()))
    }
}

/// An endpoint that lets in who shows a certificate of the authority's. Counts the requests.
async fn endpoint(authority: &Authority) -> Result<(String, Arc<AtomicUsize>)> {
    let (certificate, key) = authority.sign("localhost")?;
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(authority.0.pem().as_bytes())?)?;
    let provider = Arc::new(ring::default_provider());
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider.clone()).build()?;
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_client_cert_verifier(verifier)
        .with_single_cert(
            vec![CertificateDer::from_pem_slice(certificate.as_bytes())?],
            PrivateKeyDer::from_pem_slice(key.as_bytes())?,
        )?;
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("https://localhost:{}/", listener.local_addr()?.port());
    let requests = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&requests);
    tokio::spawn(async move {
        while let Ok((connection, _)) = listener.accept().await {
            let Ok(mut connection) = acceptor.accept(connection).await else { continue };
            let mut request = [0; 65536];
            if connection.read(&mut request).await.is_ok_and(|length| length > 0) {
                counter.fetch_add(1, Ordering::Relaxed);
                let _ =
                    connection.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n").await;
                let _ = connection.shutdown().await;
            }
        }
    });
    Ok((url, requests))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_private_authority_is_trusted_and_a_certificate_shown_where_the_settings_say_so() -> Result<()> {
    let env = TestEnv::new("tls").await?;
    let authority = Authority::new()?;
    let (url, requests) = endpoint(&authority).await?;
    env.webhook("/", &json!({"url": url}).to_string()).await?;
    env.run("update project set title = 'Fish'").await?;
    let files = tempfile::tempdir()?;
    let (ca, pem) = (files.path().join("ca.pem"), files.path().join("lshookd.pem"));
    std::fs::write(&ca, authority.0.pem())?;
    let (certificate, key) = authority.sign("lshookd")?;
    std::fs::write(&pem, certificate + &key)?;
    let error = async |like: &str| {
        let query = format!("select count(*) from lshookd.attempt where error ilike '%{like}%'");
        let recorded = async || Ok((env.number(&query).await? > 0).then_some(()));
        eventually(&format!("{like} is recorded"), Duration::from_secs(20), recorded).await
    };

    let trusting_nobody = env.lshookd.run().await?;
    error("certificate").await?;
    trusting_nobody.stop().await?;
    assert_eq!(requests.load(Ordering::Relaxed), 0);

    let lshookd = env.lshookd.with("LSHOOKD_CA_FILE", &ca.display().to_string());
    let stranger = lshookd.run().await?;
    let refused = "select count(*) from lshookd.attempt where error not ilike '%unknownissuer%'";
    let refused = async || {
        let count: i64 = env.sql.query_one(refused, &[]).await?.get(0);
        Ok((count > 0).then_some(()))
    };
    eventually("a stranger is refused", Duration::from_secs(20), refused).await?;
    assert_eq!(requests.load(Ordering::Relaxed), 0);
    stranger.stop().await?;

    let _daemon = lshookd.with("LSHOOKD_CLIENT_CERTIFICATES", &format!("localhost={}", pem.display())).run().await?;
    let delivered = async || Ok((requests.load(Ordering::Relaxed) == 1).then_some(()));
    eventually("it is let in", Duration::from_secs(20), delivered).await
}
