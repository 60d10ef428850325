//! What it takes at least: a program that stores each event before it is sent, signs it, sends it in order, and records
//! that it arrived, in lshookd's own tables, and does nothing else. It knows of no actions, no payload options, no egress
//! policy, no retries; it could not be stopped, and would not start over. Its figures are the floor of what is asked.

use std::sync::Arc;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};
use futures_util::future::try_join_all;
use lshookd::deliver::signature;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_postgres::{Client, Row};

use lshookd_testbed::postgres::Database;

/// Changes of one transaction, and attempts of one.
const CHANGES: i64 = 2_000;
const ATTEMPTS: usize = 500;

/// What sends to so many webhooks, numbered from 1, and records.
pub struct Stripped {
    client: Arc<Client>,
    lanes: Vec<mpsc::Sender<Row>>,
    recorded: JoinHandle<Result<()>>,
}

/// That a delivery arrived: its number, when it was sent, and how long that took.
type Attempt = (i64, SystemTime, i32);

impl Stripped {
    /// Begins; requests go to a base and the webhook's number.
    pub async fn start(database: &Database, base: &str, webhooks: usize) -> Result<Stripped> {
        let client = Arc::new(session(database).await?);
        let (attempts, ended) = mpsc::channel(4 * ATTEMPTS);
        let recorded = tokio::spawn(record(session(database).await?, ended));
        let http = reqwest::Client::builder().no_proxy().build()?;
        let lanes = (1..=webhooks)
            .map(|webhook| {
                let (lane, waiting) = mpsc::channel(ATTEMPTS);
                tokio::spawn(deliver(http.clone(), format!("{base}{webhook}"), waiting, attempts.clone()));
                lane
            })
            .collect();
        Ok(Stripped { client, lanes, recorded })
    }

    /// Plans and sends what was captured, until nothing is left.
    pub async fn catch_up(&self) -> Result<()> {
        let plan = self.client.prepare(include_str!("../sql/stripped/plan.sql")).await?;
        loop {
            let owed = self.client.query(&plan, &[&CHANGES]).await?;
            if owed.is_empty() {
                return Ok(());
            }
            for row in owed {
                let webhook = usize::try_from(row.get::<_, i64>("webhook_id"))?;
                self.lanes[webhook - 1].send(row).await?;
            }
        }
    }

    /// Sends what was planned, until nothing is left.
    pub async fn drain(&self) -> Result<()> {
        let read = self.client.prepare(include_str!("../sql/stripped/read.sql")).await?;
        let lanes = (1..).zip(&self.lanes).map(async |(webhook, lane): (i64, _)| {
            let mut last = 0i64;
            loop {
                let waiting = self.client.query(&read, &[&webhook, &last]).await?;
                let Some(newest) = waiting.last() else {
                    return anyhow::Ok(());
                };
                last = newest.get("id");
                for row in waiting {
                    lane.send(row).await?;
                }
            }
        });
        try_join_all(lanes).await?;
        Ok(())
    }

    /// Returns when all is sent and recorded.
    pub async fn end(self) -> Result<()> {
        drop(self.lanes);
        self.recorded.await?
    }
}

/// As a session of lshookd's.
async fn session(database: &Database) -> Result<Client> {
    let client = database.connect().await?;
    client.batch_execute("set jit = off; set enable_seqscan = off; set plan_cache_mode = force_generic_plan").await?;
    Ok(client)
}

/// One lane, in order.
async fn deliver(
    http: reqwest::Client,
    url: String,
    mut waiting: mpsc::Receiver<Row>,
    attempts: mpsc::Sender<Attempt>,
) {
    while let Some(row) = waiting.recv().await {
        let (sent, started) = (SystemTime::now(), Instant::now());
        // Without the answer, this run never ends, which is a failure of the benchmark.
        if post(&http, &url, &row, sent).await.is_ok() {
            let duration = i32::try_from(started.elapsed().as_millis()).unwrap_or(i32::MAX);
            let _ = attempts.send((row.get("id"), sent, duration)).await;
        }
    }
}

async fn post(http: &reqwest::Client, url: &str, row: &Row, sent: SystemTime) -> Result<()> {
    const SECRET: &str = "whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=";
    let (id, body): (String, String) = (row.get("message_id"), row.get("body"));
    let timestamp = sent.duration_since(UNIX_EPOCH)?.as_secs();
    let signed = signature(SECRET, &id, timestamp, body.as_bytes()).context("signing")?;
    let request = http
        .post(url)
        .header("content-type", "application/json")
        .header("webhook-id", id)
        .header("webhook-timestamp", timestamp)
        .header("webhook-signature", signed)
        .body(body);
    request.send().await?.error_for_status()?.bytes().await?;
    Ok(())
}

async fn record(client: Client, mut ended: mpsc::Receiver<Attempt>) -> Result<()> {
    let record = client.prepare(include_str!("../sql/stripped/record.sql")).await?;
    let mut attempts = Vec::new();
    while ended.recv_many(&mut attempts, ATTEMPTS).await > 0 {
        let ids: Vec<i64> = attempts.iter().map(|attempt| attempt.0).collect();
        let starts: Vec<SystemTime> = attempts.iter().map(|attempt| attempt.1).collect();
        let durations: Vec<i32> = attempts.drain(..).map(|attempt| attempt.2).collect();
        client.execute(&record, &[&ids, &starts, &durations]).await?;
    }
    Ok(())
}
