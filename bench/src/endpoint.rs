//! An endpoint that answers at once and counts, in a process of its own, as a real one is.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context, Result};
use axum::Router;
use axum::extract::{DefaultBodyLimit, State};
use bytes::Bytes;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use hyper_util::service::TowerToHyperService;
use lshookd_testbed::postgres::Database;
use lshookd_testbed::{free_port, listens};
use rustls::pki_types::PrivatePkcs8KeyDer;
use tokio::net::TcpListener;
use tokio::process::{Child, Command};
use tokio_rustls::TlsAcceptor;

/// Where it is.
pub struct Endpoint {
    port: u16,
    /// Where it is over TLS.
    secure_port: u16,
    certificate: tempfile::NamedTempFile,
    client: reqwest::Client,
    _process: Child,
}

impl Endpoint {
    /// Starts one.
    pub async fn start() -> Result<Endpoint> {
        let (port, secure_port) = (free_port()?, free_port()?);
        let certificate = tempfile::NamedTempFile::new()?;
        let mut command = Command::new(std::env::current_exe()?);
        let process = command
            .args(["endpoint", &port.to_string(), &secure_port.to_string()])
            .arg(certificate.path())
            .kill_on_drop(true)
            .spawn()?;
        listens("the endpoint", port).await?;
        listens("the endpoint over TLS", secure_port).await?;
        let client = reqwest::Client::builder().no_proxy().build()?;
        Ok(Endpoint { port, secure_port, certificate, client, _process: process })
    }

    /// The file of the authority that its certificate is trusted by.
    pub fn authority(&self) -> String {
        self.certificate.path().display().to_string()
    }

    /// Lets the webhooks on it be posted over TLS.
    pub async fn secure(&self, database: &Database) -> Result<()> {
        let (plain, secure) = (self.base(), format!("https://127.0.0.1:{}/", self.secure_port));
        let query = "update webhook set url = replace(url, $1, $2)";
        database.connect().await?.execute(query, &[&plain, &secure]).await?;
        Ok(())
    }

    /// What the URLs on it begin with; a number follows.
    pub fn base(&self) -> String {
        format!("http://127.0.0.1:{}/", self.port)
    }

    /// A URL on it.
    pub fn url(&self, number: usize) -> String {
        format!("{}{number}", self.base())
    }

    /// A URL on it that takes 200 ms to answer.
    pub fn slow(&self) -> String {
        format!("http://127.0.0.1:{}/slow", self.port)
    }

    /// How many requests it has answered.
    pub async fn count(&self) -> Result<u64> {
        let url = format!("http://127.0.0.1:{}/count", self.port);
        Ok(self.client.get(url).send().await?.text().await?.parse()?)
    }

    /// Returns when it has answered so many, and how many these are.
    pub async fn reaches(&self, count: u64) -> Result<u64> {
        loop {
            let answered = self.count().await?;
            if answered >= count {
                return Ok(answered);
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Webhooks of project 1 on it.
    pub async fn subscribe(&self, database: &Database, webhooks: usize) -> Result<()> {
        let client = database.connect().await?;
        let row = format!(
            r#"{{"url": "{}", "organization_id": 1, "project_id": 1, "is_active": true, "send_payload": true,
                "send_for_all_actions": true}}"#,
            self.url(0)
        );
        let made = "select fixture.rows('webhook', $1::text::jsonb, $2::integer)";
        client.execute(made, &[&row, &i32::try_from(webhooks)?]).await?;
        client.batch_execute("update webhook set url = url || id").await?;
        Ok(())
    }
}

/// Serves until it is killed: at one port, and at the other over TLS, by a certificate that it writes to a file.
pub async fn serve(port: u16, secure_port: u16, certificate: &str) -> Result<()> {
    let counter = Arc::new(AtomicU64::new(0));
    let count =
        axum::routing::get(async |State(counter): State<Arc<AtomicU64>>| counter.load(Ordering::Relaxed).to_string());
    let take = async |State(counter): State<Arc<AtomicU64>>, _body: Bytes| {
        counter.fetch_add(1, Ordering::Relaxed);
    };
    let wait = async |State(counter): State<Arc<AtomicU64>>, _body: Bytes| {
        tokio::time::sleep(Duration::from_millis(200)).await;
        counter.fetch_add(1, Ordering::Relaxed);
    };
    let router = Router::new()
        .route("/slow", axum::routing::post(wait))
        .route("/count", count)
        .fallback(take)
        .layer(DefaultBodyLimit::disable())
        .with_state(counter);
    let key = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()])?;
    std::fs::write(certificate, key.cert.pem())?;
    let secret = PrivatePkcs8KeyDer::from(key.signing_key.serialize_der());
    let tls = rustls::ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(vec![key.cert.der().clone()], secret.into())?;
    tokio::spawn(serve_securely(secure_port, TlsAcceptor::from(Arc::new(tls)), router.clone()));
    axum::serve(TcpListener::bind(("127.0.0.1", port)).await?, router).await?;
    Ok(())
}

async fn serve_securely(port: u16, tls: TlsAcceptor, router: Router) -> Result<()> {
    let listener = TcpListener::bind(("127.0.0.1", port)).await?;
    loop {
        let (stream, _) = listener.accept().await.context("accepting a connection")?;
        let (tls, router) = (tls.clone(), router.clone());
        tokio::spawn(async move {
            if let Ok(stream) = tls.accept(stream).await {
                let service = TowerToHyperService::new(router);
                // Whoever connected may have gone.
                let _ = auto::Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(stream), service).await;
            }
        });
    }
}
