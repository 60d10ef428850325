//! An endpoint that answers at once and counts, in a process of its own, as a real one is.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::Result;
use axum::Router;
use axum::extract::{DefaultBodyLimit, State};
use bytes::Bytes;
use lshookd_testbed::postgres::Database;
use lshookd_testbed::{free_port, listens};
use tokio::process::{Child, Command};

/// Where it is.
pub struct Endpoint {
    port: u16,
    client: reqwest::Client,
    _process: Child,
}

impl Endpoint {
    /// Starts one.
    pub async fn start() -> Result<Endpoint> {
        let port = free_port()?;
        let mut command = Command::new(std::env::current_exe()?);
        let process = command.args(["endpoint", &port.to_string()]).kill_on_drop(true).spawn()?;
        listens("the endpoint", port).await?;
        Ok(Endpoint { port, client: reqwest::Client::builder().no_proxy().build()?, _process: process })
    }

    /// A URL on it.
    pub fn url(&self, number: usize) -> String {
        format!("http://127.0.0.1:{}/{number}", self.port)
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

/// Serves until it is killed.
pub async fn serve(port: u16) -> Result<()> {
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
    axum::serve(tokio::net::TcpListener::bind(("127.0.0.1", port)).await?, router).await?;
    Ok(())
}
