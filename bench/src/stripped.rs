//! What it takes at least: a program that stores each event before it is sent, signs it, sends it in order, and records
//! that it arrived, in lshookd's own tables, and does nothing else. It knows of no actions, no payload options, no egress
//! policy, no retries; it could not be stopped, and would not start over. Its figures are the floor of what is asked.

use std::sync::Arc;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};
use bytes::Bytes;
use futures_util::future::try_join_all;
use lshookd::deliver::signature;
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinHandle;
use tokio_postgres::{Client, Row};

use lshookd_testbed::postgres::Database;

/// Changes of one transaction, and attempts of one.
const CHANGES: i64 = 2_000;
const ATTEMPTS: usize = 500;
/// Requests in flight.
const IN_FLIGHT: usize = 32;
/// The body of an import's event has about so many bytes.
const BODY: usize = 8_000_000;

/// What sends to so many webhooks, numbered from 1, and records.
pub struct Stripped {
    client: Client,
    /// The processes of its sessions.
    pub backends: Vec<u32>,
    lanes: Vec<mpsc::Sender<Owed>>,
    recorded: JoinHandle<Result<Client>>,
}

/// What is to be sent.
struct Owed {
    id: i64,
    message_id: String,
    body: Bytes,
}

/// That a delivery arrived: its number, when it was sent, and how long that took.
type Attempt = (i64, SystemTime, i32);

impl Stripped {
    /// Begins; requests go to a base and the webhook's number.
    pub async fn start(database: &Database, base: &str, webhooks: usize) -> Result<Stripped> {
        let (client, recorder) = (session(database).await?, session(database).await?);
        let mut backends = Vec::new();
        for session in [&client, &recorder] {
            let row = session.query_one("select pg_backend_pid()", &[]).await?;
            backends.push(row.get::<_, i32>(0).unsigned_abs());
        }
        let (attempts, ended) = mpsc::channel(4 * ATTEMPTS);
        let recorded = tokio::spawn(record(recorder, ended));
        let http = Http { client: reqwest::Client::builder().no_proxy().build()?, room: Semaphore::new(IN_FLIGHT) };
        let http = Arc::new(http);
        let lanes = (1..=webhooks)
            .map(|webhook| {
                let (lane, waiting) = mpsc::channel(ATTEMPTS);
                tokio::spawn(deliver(Arc::clone(&http), format!("{base}{webhook}"), waiting, attempts.clone()));
                lane
            })
            .collect();
        Ok(Stripped { client, backends, lanes, recorded })
    }

    /// Plans and sends what was captured, until nothing is left.
    pub async fn catch_up(&self) -> Result<()> {
        // Thousands are joined with thousands.
        self.client.batch_execute("set enable_nestloop = off").await?;
        let plan = self.client.prepare(include_str!("../sql/stripped/plan.sql")).await?;
        loop {
            let owed = self.client.query(&plan, &[&CHANGES]).await?;
            if owed.is_empty() {
                return Ok(());
            }
            self.send(owed).await?;
        }
    }

    /// Plans and sends an import that was captured, of tasks of so many bytes.
    pub async fn import(&self, bytes: usize) -> Result<()> {
        let (client, take) = (&self.client, include_str!("../sql/stripped/take_import.sql"));
        let plan = client.prepare(include_str!("../sql/stripped/plan_import.sql")).await?;
        client.batch_execute("begin").await?;
        let ids: Vec<i64> = client.query_one(take, &[]).await?.get("ids");
        let mut owed = Vec::new();
        for portion in ids.chunks((BODY / bytes).max(1)) {
            owed.extend(client.query(&plan, &[&portion]).await?);
        }
        client.batch_execute("commit").await?;
        self.send(owed).await
    }

    /// Hands what is owed to the lanes; an event's body is told once.
    async fn send(&self, owed: Vec<Row>) -> Result<()> {
        let mut body = Bytes::new();
        for row in owed {
            if let Some(other) = row.get::<_, Option<String>>("body") {
                body = other.into();
            }
            let webhook = usize::try_from(row.get::<_, i64>("webhook_id"))?;
            let owed = Owed { id: row.get("id"), message_id: row.get("message_id"), body: body.clone() };
            self.lanes[webhook - 1].send(owed).await?;
        }
        Ok(())
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
                    let body = row.get::<_, String>("body").into();
                    lane.send(Owed { id: row.get("id"), message_id: row.get("message_id"), body }).await?;
                }
            }
        });
        try_join_all(lanes).await?;
        Ok(())
    }

    /// Returns when all is sent and recorded, with the sessions, which end when they are dropped.
    pub async fn end(self) -> Result<[Client; 2]> {
        drop(self.lanes);
        Ok([self.client, self.recorded.await??])
    }
}

/// As a session of lshookd's.
async fn session(database: &Database) -> Result<Client> {
    let client = database.connect().await?;
    client.batch_execute("set jit = off; set enable_seqscan = off; set plan_cache_mode = force_generic_plan").await?;
    Ok(client)
}

/// What sends.
struct Http {
    client: reqwest::Client,
    room: Semaphore,
}

/// One lane, in order.
async fn deliver(http: Arc<Http>, url: String, mut waiting: mpsc::Receiver<Owed>, attempts: mpsc::Sender<Attempt>) {
    while let Some(owed) = waiting.recv().await {
        let Ok(_room) = http.room.acquire().await else {
            return;
        };
        let (id, sent, started) = (owed.id, SystemTime::now(), Instant::now());
        // Without the answer, this run never ends, which is a failure of the benchmark.
        if post(&http.client, &url, owed, sent).await.is_ok() {
            let duration = i32::try_from(started.elapsed().as_millis()).unwrap_or(i32::MAX);
            let _ = attempts.send((id, sent, duration)).await;
        }
    }
}

async fn post(http: &reqwest::Client, url: &str, owed: Owed, sent: SystemTime) -> Result<()> {
    const SECRET: &str = "whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=";
    let timestamp = sent.duration_since(UNIX_EPOCH)?.as_secs();
    let signed = signature(SECRET, &owed.message_id, timestamp, &owed.body).context("signing")?;
    let request = http
        .post(url)
        .header("content-type", "application/json")
        .header("webhook-id", owed.message_id)
        .header("webhook-timestamp", timestamp)
        .header("webhook-signature", signed)
        .body(owed.body);
    request.send().await?.error_for_status()?.bytes().await?;
    Ok(())
}

async fn record(client: Client, mut ended: mpsc::Receiver<Attempt>) -> Result<Client> {
    let record = client.prepare(include_str!("../sql/stripped/record.sql")).await?;
    let mut attempts = Vec::new();
    while ended.recv_many(&mut attempts, ATTEMPTS).await > 0 {
        let ids: Vec<i64> = attempts.iter().map(|attempt| attempt.0).collect();
        let starts: Vec<SystemTime> = attempts.iter().map(|attempt| attempt.1).collect();
        let durations: Vec<i32> = attempts.drain(..).map(|attempt| attempt.2).collect();
        client.execute(&record, &[&ids, &starts, &durations]).await?;
    }
    Ok(client)
}
