//! TLS with endpoints and with PostgreSQL: whom lshookd trusts, and how it says who it is.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use lshookd_testbed::eventually;
use lshookd_testbed::label_studio::Installation;
use lshookd_testbed::postgres::{Database, Server, as_postgres};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::crypto::aws_lc_rs;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::server::WebPkiClientVerifier;
use tokio_rustls::rustls::{RootCertStore, ServerConfig};

use crate::test_env::{TestEnv, lshookd, version};

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
    let provider = Arc::new(aws_lc_rs::default_provider());
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

/// A server of our own that shows one of the certificates of tests/real/endpoints/certificates.sh.
struct TlsServer {
    server: Server,
    database: Database,
    files: tempfile::TempDir,
}

impl TlsServer {
    async fn start() -> Result<Option<TlsServer>> {
        let Some(server) = Server::start_own().await? else { return Ok(None) };
        let files = tempfile::tempdir()?;
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/real/endpoints/certificates.sh");
        let made = tokio::process::Command::new(script).arg(files.path()).status().await?;
        ensure!(made.success(), "certificates.sh failed");
        let database = Installation::find(&version())?.template(&server).await?;
        Ok(Some(TlsServer { server, database, files }))
    }

    fn file(&self, name: &str) -> String {
        self.files.path().join(name).display().to_string()
    }

    async fn run(&self, sql: &str) -> Result<()> {
        let admin = self.server.admin().await?;
        for statement in sql.split(';') {
            admin.batch_execute(statement).await?;
        }
        Ok(())
    }

    /// Shows a certificate from now on.
    async fn show(&self, name: &str) -> Result<()> {
        let row = self.server.admin().await?.query_one("select current_setting('data_directory')", &[]).await?;
        let folder = std::path::PathBuf::from(row.get::<_, String>(0));
        for (from, to) in [(format!("{name}.crt"), "shown.crt"), (format!("{name}.key"), "shown.key")] {
            std::fs::copy(self.file(&from), folder.join(to))?;
            as_postgres(&folder.join(to))?;
            let private = std::os::unix::fs::PermissionsExt::from_mode(0o600);
            std::fs::set_permissions(folder.join(to), private)?;
        }
        let set = "alter system set ssl_cert_file = 'shown.crt'; alter system set ssl_key_file = 'shown.key';
                   alter system set ssl_ca_file = ''; alter system set ssl = on; select pg_reload_conf()";
        self.run(set).await?;
        let shown = async || {
            let row = self.server.admin().await?.query_one("select current_setting('ssl')", &[]).await?;
            Ok((row.get::<_, &str>(0) == "on").then_some(()))
        };
        eventually("TLS is on", Duration::from_secs(10), shown).await
    }

    /// What `lshookd check` says of the connection with these settings: nothing, or why there is none.
    async fn refusal(&self, settings: &[(&str, &str)]) -> Result<String> {
        let mut lshookd = lshookd(&self.database).with("POSTGRE_HOST", "localhost");
        for (name, value) in settings {
            lshookd = lshookd.with(name, value);
        }
        let said = lshookd.command(&["install", "--dry-run"]).await?;
        Ok(if said.status.success() { String::new() } else { String::from_utf8_lossy(&said.stderr).into_owned() })
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn postgresql_is_trusted_as_libpq_trusts_it() -> Result<()> {
    let Some(tls) = TlsServer::start().await? else { return Ok(()) };
    let (authority, stranger) = (tls.file("authority.crt"), tls.file("stranger.crt"));
    let refusal =
        async |mode: &str, root: &str| tls.refusal(&[("POSTGRE_SSL_MODE", mode), ("POSTGRE_SSLROOTCERT", root)]).await;
    let no_tls = refusal("require", &authority).await?;
    ensure!(no_tls.contains("TLS"), "{no_tls}");
    for certificate in ["p256", "p521", "rsa4096", "ed25519"] {
        tls.show(certificate).await?;
        assert_eq!(refusal("verify-full", &authority).await?, "", "{certificate}");
        let strange = refusal("verify-full", &stranger).await?;
        ensure!(strange.contains("name its authority") && strange.contains("sslrootcert"), "{certificate}: {strange}");
    }
    // One that is signed by itself, as an authority and not, and named.
    for certificate in ["self_ca", "self_leaf"] {
        tls.show(certificate).await?;
        assert_eq!(refusal("verify-full", &tls.file(&format!("{certificate}.crt"))).await?, "", "{certificate}");
        ensure!(!refusal("verify-full", &authority).await?.is_empty(), "{certificate}");
        assert_eq!(tls.refusal(&[("PGSSLMODE", "require")]).await?, "");
    }
    tls.show("other_name").await?;
    ensure!(refusal("verify-full", &authority).await?.contains("other names"));
    assert_eq!(refusal("verify-ca", &authority).await?, "");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_certificate_is_shown_to_postgresql() -> Result<()> {
    let Some(tls) = TlsServer::start().await? else { return Ok(()) };
    tls.show("p256").await?;
    let row = tls.server.admin().await?.query_one("select current_setting('hba_file')", &[]).await?;
    let hba: String = row.get(0);
    let rules = std::fs::read_to_string(&hba)?;
    std::fs::write(&hba, format!("hostssl all p384 all cert\nhostnossl all p384 all reject\n{rules}"))?;
    let folder = std::path::Path::new(&hba).parent().context("a folder")?;
    std::fs::copy(tls.file("authority.crt"), folder.join("clients.crt"))?;
    as_postgres(&folder.join("clients.crt"))?;
    tls.run("create role p384 superuser login; alter system set ssl_ca_file = 'clients.crt'; select pg_reload_conf()")
        .await?;
    let (root, cert, key) = (tls.file("authority.crt"), tls.file("p384.crt"), tls.file("p384.key"));
    let as_p384 =
        [("POSTGRE_USER", "p384"), ("POSTGRE_SSL_MODE", "verify-full"), ("POSTGRE_SSLROOTCERT", root.as_str())];
    let with = [("POSTGRE_SSLCERT", cert.as_str()), ("POSTGRE_SSLKEY", key.as_str())];
    let shown = async || Ok(tls.refusal(&[&as_p384[..], &with[..]].concat()).await?.is_empty().then_some(()));
    eventually("it is let in with its certificate", Duration::from_secs(10), shown).await?;
    let without = tls.refusal(&as_p384).await?;
    ensure!(without.contains("certificate"), "{without}");
    let libpq =
        [("POSTGRE_USER", "p384"), ("PGSSLMODE", "require"), ("PGSSLCERT", cert.as_str()), ("PGSSLKEY", key.as_str())];
    assert_eq!(tls.refusal(&libpq).await?, "");
    Ok(())
}
