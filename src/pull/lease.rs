//! Leases: which consumer has which lane, and what becomes of the events that it was given.

use std::collections::HashMap;
use std::net::IpAddr;
use std::pin::pin;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result};
use futures_util::TryStreamExt;
use jiff::Timestamp;
use tokio_postgres::{Client, Row};
use uuid::Uuid;

use super::event::PulledEvent;
use crate::config::Pull;
use crate::model::WebhookId;
use crate::pg::{Prepared, Statements};

/// Bodies of one answer, unless a single one is larger.
const MAXIMUM_BYTES: i64 = 8_000_000;

/// Before the first project; 0 stands for the organization.
const BEFORE_ALL: i64 = -1;

/// Leases of all webhooks, in PostgreSQL.
pub struct Leases {
    client: Client,
    statements: Statements,
    duration: Duration,
    attempts: i32,
    /// By webhook the project after which lanes are looked for, where there are more than one look takes.
    after: Mutex<HashMap<WebhookId, i64>>,
}

/// What became of events that a consumer could not handle.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Failed {
    /// So many are given again.
    pub again: u64,
    /// And so many are dead.
    pub dead: u64,
}

impl Failed {
    fn from_rows(rows: &[Row]) -> Failed {
        let Some(row) = rows.first() else {
            return Failed::default();
        };
        let (failed, dead): (i64, i64) = (row.get("failed"), row.get("dead"));
        Failed { again: (failed - dead).unsigned_abs(), dead: dead.unsigned_abs() }
    }
}

/// Where to read on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Position {
    /// At the oldest event that is kept.
    Beginning,
    /// Behind the newest.
    End,
    /// At the first that occurred then or later.
    Time(Timestamp),
    /// At this one.
    Event(Uuid),
}

/// What a new position did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
pub struct Sought {
    /// So many events are given again.
    pub again: i64,
    /// And so many are passed over.
    pub passed: i64,
}

impl Leases {
    /// On a session of its own.
    pub fn new(client: Client, statements: Statements, settings: &Pull) -> Leases {
        let Pull { lease, attempts, .. } = settings;
        Leases { client, statements, duration: *lease, attempts: *attempts, after: Mutex::default() }
    }

    /// The session.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// How long a lease lasts.
    pub fn duration(&self) -> Duration {
        self.duration
    }

    fn database(&self) -> Prepared<'_, Client> {
        self.statements.on(&self.client)
    }

    fn after(&self) -> MutexGuard<'_, HashMap<WebhookId, i64>> {
        self.after.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What was kept of the token of a webhook.
    ///
    /// # Errors
    /// When the database cannot be asked.
    pub async fn token_hash(&self, webhook: WebhookId) -> Result<Option<Vec<u8>>> {
        let rows = self.database().query(include_str!("../../sql/pull/authorized.sql"), &[&webhook]).await;
        Ok(rows.context("reading lshookd.puller")?.first().and_then(|row| row.get("token_hash")))
    }

    /// Which of these webhooks have something pending.
    ///
    /// # Errors
    /// When the database cannot be asked.
    pub async fn awaited(&self, webhooks: &[WebhookId]) -> Result<Vec<WebhookId>> {
        let rows = self.database().query(include_str!("../../sql/pull/awaited.sql"), &[&webhooks]).await;
        Ok(rows.context("reading lshookd.delivery")?.iter().map(|row| row.get("webhook_id")).collect())
    }

    /// Gives a consumer what waits, so many events at most, under a lease of this name: one after the other, while
    /// PostgreSQL sends more. How many that were.
    ///
    /// # Errors
    /// When the database refuses, a secret of the webhook cannot be used, or `give` fails.
    pub async fn take(
        &self,
        webhook: WebhookId,
        limit: i64,
        (lease, address): (Uuid, Option<IpAddr>),
        mut give: impl FnMut(PulledEvent) -> Result<()>,
    ) -> Result<usize> {
        let after = self.after().get(&webhook).copied();
        let (seconds, now) = (self.duration.as_secs_f64(), SystemTime::now());
        for after in [after, Some(BEFORE_ALL)].into_iter().flatten() {
            let given = self
                .database()
                .query_raw(
                    include_str!("../../sql/pull/take.sql"),
                    &[&webhook, &limit, &MAXIMUM_BYTES, &seconds, &lease, &address, &after],
                )
                .await;
            let mut rows = pin!(given.context("leasing lanes to a consumer")?);
            let (mut quantity, mut last) = (0, BEFORE_ALL);
            while let Some(row) = rows.try_next().await.context("leasing lanes to a consumer")? {
                give(PulledEvent::from_row(&row, now)?)?;
                (quantity, last) = (quantity + 1, last.max(row.get("project_id")));
            }
            match i64::try_from(quantity).is_ok_and(|quantity| quantity >= limit) {
                true => self.after().insert(webhook, last),
                false => self.after().remove(&webhook),
            };
            if quantity > 0 {
                return Ok(quantity);
            }
        }
        Ok(0)
    }

    /// Ends the leases of a webhook that are over.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn end_overdue(&self, webhook: WebhookId) -> Result<Failed> {
        let rows =
            self.database().query(include_str!("../../sql/pull/end_overdue.sql"), &[&webhook, &self.attempts]).await;
        Ok(Failed::from_rows(&rows.context("ending leases that are over")?))
    }

    /// Takes events for delivered; how many of them were not yet.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn acknowledge(
        &self,
        webhook: WebhookId,
        ids: &[Uuid],
        up_to: Option<Uuid>,
        address: Option<IpAddr>,
    ) -> Result<u64> {
        let database = self.database();
        let row = database
            .query_one(include_str!("../../sql/pull/acknowledge.sql"), &[&webhook, &ids, &up_to, &address])
            .await;
        let row = row.context("acknowledging events")?;
        if row.get::<_, i64>("partly") > 0 {
            let given_back = database.execute(include_str!("../../sql/pull/give_back.sql"), &[&webhook]).await;
            given_back.context("ending leases")?;
        }
        Ok(row.get::<_, i64>("acknowledged").unsigned_abs())
    }

    /// Counts events as failed, and gives them again after a while.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn refuse(
        &self,
        webhook: WebhookId,
        ids: &[Uuid],
        (delay, reason): (Duration, &str),
        address: Option<IpAddr>,
    ) -> Result<Failed> {
        let rows = self
            .database()
            .query(
                include_str!("../../sql/pull/refuse.sql"),
                &[&webhook, &ids, &reason, &address, &self.attempts, &delay.as_secs_f64()],
            )
            .await;
        Ok(Failed::from_rows(&rows.context("refusing events")?))
    }

    /// Keeps the lanes of a lease for another term; how many it still has.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn renew(&self, webhook: WebhookId, lease: Uuid) -> Result<u64> {
        let seconds = self.duration.as_secs_f64();
        let renewed =
            self.database().execute(include_str!("../../sql/pull/renew.sql"), &[&webhook, &lease, &seconds]).await;
        renewed.context("renewing a lease")
    }

    /// Gives back the lanes of a lease, or with `None` of all; how many that were.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn release(&self, webhook: WebhookId, lease: Option<Uuid>) -> Result<u64> {
        let released = self.database().execute(include_str!("../../sql/pull/release.sql"), &[&webhook, &lease]).await;
        released.context("giving a lease back")
    }

    /// Sets where a webhook is read on; `None` where there is no such event.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn seek(&self, webhook: WebhookId, position: Position) -> Result<Option<Sought>> {
        let (event, time) = match position {
            Position::Event(id) => (Some(id), None),
            Position::Time(time) => (None, Some(time)),
            Position::Beginning | Position::End => (None, None),
        };
        let is_end = position == Position::End;
        let row = self
            .database()
            .query_one(include_str!("../../sql/pull/seek.sql"), &[&webhook, &event, &time, &is_end])
            .await;
        let row = row.context("setting where a webhook is read on")?;
        if row.get("is_unknown") {
            return Ok(None);
        }
        self.release(webhook, None).await?;
        Ok(Some(Sought { again: row.get("again"), passed: row.get("passed") }))
    }
}
