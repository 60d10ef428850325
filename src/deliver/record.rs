//! Recording: what came of every attempt, and which lanes are done, written in batches.
//!
//! What ends while one batch is being committed makes up the next, so that a commit is shared
//! by as many as there are. A crash before the commit repeats a delivery and never
//! loses one.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result};
use tokio::sync::{mpsc, oneshot};
use tokio_postgres::Client;

use super::answer::Answer;
use super::route::Opening;
use crate::metrics::Outcome;
use crate::model::{DeliveryId, Lane, Scope, WebhookId};
use crate::pg::Prepared;

/// Most attempts in one batch.
const BATCH: usize = 500;

/// What becomes of a delivery after an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// A 2xx answer.
    Delivered,
    /// Another attempt after this pause.
    Retry(Duration),
    /// Without further attempts.
    Dead,
}

/// One attempt that ended.
pub struct Attempt {
    /// `lshookd.delivery.id`
    pub delivery: DeliveryId,
    /// Counted from 1.
    pub number: i32,
    /// What came of it.
    pub answer: Answer,
    /// What becomes of the delivery.
    pub verdict: Verdict,
}

/// Where attempts are recorded.
#[derive(Clone)]
pub struct Recorder(mpsc::Sender<Entry>);

enum Entry {
    Attempt(Box<Attempt>),
    Flush(oneshot::Sender<()>),
    Close(Closing),
}

/// A lane to be closed, or only looked at, if something waits in it.
struct Closing {
    lane: Lane,
    keeps_open: bool,
    is_empty: oneshot::Sender<bool>,
}

/// The recorder's other end.
pub struct Records(mpsc::Receiver<Entry>);

/// A recorder, and the records to [`write`](Records::write).
pub fn recorder() -> (Recorder, Records) {
    // Bounded: where PostgreSQL is slow to commit, lanes wait here, and with them the endpoints.
    let (sender, receiver) = mpsc::channel(4 * BATCH);
    (Recorder(sender), Records(receiver))
}

impl Recorder {
    /// Records an attempt. It is written soon; see [`flush`](Recorder::flush).
    ///
    /// # Errors
    /// When recording has ended.
    pub async fn record(&self, attempt: Attempt) -> Result<()> {
        self.0.send(Entry::Attempt(Box::new(attempt))).await.ok().context("recording has ended")
    }

    /// Returns when all that was recorded before is committed.
    ///
    /// # Errors
    /// When recording has ended.
    pub async fn flush(&self) -> Result<()> {
        self.ask(Entry::Flush).await
    }

    /// Lets a lane sleep, when all that was recorded before is committed; `false` if something
    /// waits in it.
    ///
    /// # Errors
    /// When recording has ended.
    pub async fn close(&self, lane: Lane) -> Result<bool> {
        self.ask(|is_empty| Entry::Close(Closing { lane, keeps_open: false, is_empty })).await
    }

    /// Whether something waits in a lane, when all that was recorded before is committed.
    ///
    /// # Errors
    /// When recording has ended.
    pub async fn has_pending(&self, lane: Lane) -> Result<bool> {
        Ok(!self.ask(|is_empty| Entry::Close(Closing { lane, keeps_open: true, is_empty })).await?)
    }

    async fn ask<T>(&self, entry: impl FnOnce(oneshot::Sender<T>) -> Entry) -> Result<T> {
        let (sender, receiver) = oneshot::channel();
        self.0.send(entry(sender)).await.ok().context("recording has ended")?;
        receiver.await.context("recording has ended")
    }
}

impl Records {
    /// Writes what is recorded until every recorder is gone. All deliveries up to `settled` are there, or will never be.
    ///
    /// # Errors
    /// When the database refuses or is gone.
    pub async fn write(mut self, client: Prepared<'_, Client>, settled: &AtomicI64) -> Result<()> {
        let mut entries = Vec::new();
        // As many as came during the last commit: under load batches grow by themselves, and idle nothing waits.
        while self.0.recv_many(&mut entries, BATCH).await > 0 {
            let mut attempts = Vec::new();
            let mut waiting = Vec::new();
            let mut closing = Vec::new();
            for entry in entries.drain(..) {
                match entry {
                    Entry::Attempt(attempt) => attempts.push(*attempt),
                    Entry::Flush(done) => waiting.push(done),
                    Entry::Close(lane) => closing.push(lane),
                }
            }
            // In this order: who flushes or closes relies on what was recorded before being committed.
            if !attempts.is_empty() {
                write(&client, &attempts).await?;
                client.wrote(attempts.len());
            }
            for done in waiting {
                // Whoever asked may have been stopped meanwhile.
                let _ = done.send(());
            }
            if !closing.is_empty() {
                close(&client, closing, settled.load(Ordering::Relaxed)).await?;
            }
        }
        Ok(())
    }
}

async fn write(client: &Prepared<'_, Client>, attempts: &[Attempt]) -> Result<()> {
    let deliveries: Vec<DeliveryId> = attempts.iter().map(|attempt| attempt.delivery).collect();
    let numbers: Vec<i32> = attempts.iter().map(|attempt| attempt.number).collect();
    let starts: Vec<SystemTime> = attempts.iter().map(|attempt| attempt.answer.started_at).collect();
    let durations: Vec<i32> = attempts.iter().map(|attempt| milliseconds(attempt.answer.duration)).collect();
    let statuses: Vec<Option<i16>> = attempts
        .iter()
        .map(|attempt| attempt.answer.status.and_then(|status| i16::try_from(status.as_u16()).ok()))
        .collect();
    let errors: Vec<Option<&str>> = attempts.iter().map(|attempt| attempt.answer.error.as_deref()).collect();
    let heads: Vec<Option<&str>> = attempts.iter().map(|attempt| attempt.answer.head.as_deref()).collect();
    let states: Vec<&str> = attempts.iter().map(|attempt| attempt.verdict.state()).collect();
    let pauses: Vec<Option<f64>> = attempts.iter().map(|attempt| attempt.verdict.pause()).collect();
    let routes = || attempts.iter().map(|attempt| attempt.answer.route.as_ref());
    let addresses: Vec<Option<IpAddr>> = routes().map(|route| Some(route?.address.ip())).collect();
    let protocols: Vec<Option<&str>> = routes().map(|route| Some(route?.protocol)).collect();
    let opening = |part: fn(Opening) -> Option<Duration>| -> Vec<Option<i32>> {
        routes().map(|route| part(route?.opening?).map(milliseconds)).collect()
    };
    let (dns, tcp) = (opening(|opening| Some(opening.dns)), opening(|opening| Some(opening.tcp)));
    let tls = opening(|opening| opening.tls);
    let answers: Vec<Option<i32>> = routes().map(|route| route?.answer.map(milliseconds)).collect();
    client
        .execute(
            include_str!("../../sql/deliver/record_attempts.sql"),
            &[
                &deliveries,
                &numbers,
                &starts,
                &durations,
                &statuses,
                &errors,
                &heads,
                &states,
                &pauses,
                &addresses,
                &protocols,
                &dns,
                &tcp,
                &tls,
                &answers,
            ],
        )
        .await
        .context("recording attempts")?;
    Ok(())
}

fn milliseconds(duration: Duration) -> i32 {
    i32::try_from(duration.as_millis()).unwrap_or(i32::MAX)
}

async fn close(client: &Prepared<'_, Client>, lanes: Vec<Closing>, settled: i64) -> Result<()> {
    let webhooks: Vec<WebhookId> = lanes.iter().map(|closing| closing.lane.webhook).collect();
    let scopes: Vec<Scope> = lanes.iter().map(|closing| closing.lane.scope).collect();
    let kept: Vec<bool> = lanes.iter().map(|closing| closing.keeps_open).collect();
    let query = "select * from lshookd.close_lanes($1::bigint[], $2::bigint[], $3::boolean[], $4::bigint)";
    let rows = client.query(query, &[&webhooks, &scopes, &kept, &settled]).await.context("writing lshookd.lane")?;
    let closed: HashMap<i64, bool> = rows.iter().map(|row| (row.get("place"), row.get("is_empty"))).collect();
    for (Closing { is_empty: asked, .. }, place) in lanes.into_iter().zip(1..) {
        // Whoever asked may have been stopped meanwhile.
        // A lane without an answer was not closed, and looks again.
        let _ = asked.send(closed.get(&place).copied().unwrap_or_default());
    }
    Ok(())
}

impl Verdict {
    /// For the metrics.
    pub fn outcome(self) -> Outcome {
        match self {
            Verdict::Delivered => Outcome::Delivered,
            Verdict::Retry(_) => Outcome::Retried,
            Verdict::Dead => Outcome::Dead,
        }
    }

    fn state(self) -> &'static str {
        match self {
            Verdict::Delivered => "delivered",
            Verdict::Retry(_) => "pending",
            Verdict::Dead => "dead",
        }
    }

    fn pause(self) -> Option<f64> {
        match self {
            Verdict::Retry(pause) => Some(pause.as_secs_f64()),
            Verdict::Delivered | Verdict::Dead => None,
        }
    }
}
