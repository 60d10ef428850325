//! Claiming: what waits in lanes is read for as many of them together as ask meanwhile.
//!
//! Promises: nobody waits to be joined by others; a lane alone is answered by a question of its own. Relies on lanes
//! having a place among the requests in flight when they ask, so that no more is read than is about to be sent.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;

use anyhow::{Context, Result};
use bytes::Bytes;
use tokio::sync::{SemaphorePermit, oneshot};
use tokio_postgres::{Client, Row};

use super::message::Message;
use super::{LARGE_BODIES, Shared};
use crate::model::{DeliveryId, Lane, Scope, WebhookId};
use crate::pg::Prepared;

/// Lanes that are read together, at most: each may have a megabyte.
const MAXIMUM_LANES: usize = 16;

/// One pending delivery.
pub struct Delivery {
    pub id: DeliveryId,
    pub attempts: i32,
    /// How many of these count no more, for it was replayed since.
    pub schedule_from: i32,
    pub action: String,
    pub event: i64,
    /// By PostgreSQL's clock.
    pub occurred_at: SystemTime,
    pub planned_at: SystemTime,
    /// Kilobytes of the body, where that is too large to be in the message yet.
    pub large_body_kilobytes: Option<u32>,
    pub message: Message,
}

/// Deliveries that were read to be attempted next.
pub struct Claim {
    pub state: WebhookState,
    pub deliveries: Vec<Delivery>,
    /// Whether nothing waited behind them.
    pub is_all: bool,
}

/// What the webhook is now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WebhookState {
    /// Active or adopted, and not paused.
    Served,
    /// Disabled or paused.
    Held,
    /// Not there any more.
    Deleted,
}

/// Where lanes claim what they deliver next.
#[derive(Default)]
pub struct Claims {
    asked: Mutex<Vec<Asked>>,
    /// Whoever has it asks for all.
    turn: tokio::sync::Mutex<()>,
}

/// A lane that waits for what is behind a delivery.
struct Asked {
    lane: Lane,
    after: DeliveryId,
    answer: oneshot::Sender<Vec<Row>>,
}

impl Claims {
    /// What waits in a lane behind a delivery.
    ///
    /// # Errors
    /// When the database is gone.
    pub async fn claim(&self, database: &Prepared<'_, Client>, lane: Lane, after: DeliveryId) -> Result<Claim> {
        let mut answered = self.enter(lane, after);
        loop {
            let _turn = tokio::select! {
                biased;
                rows = &mut answered => match rows {
                    Ok(rows) => return Ok(Claim::from_rows(rows)),
                    // Whoever asked for this lane as well was stopped, or failed as this one will.
                    Err(_) => {
                        answered = self.enter(lane, after);
                        continue;
                    }
                },
                turn = self.turn.lock() => turn,
            };
            self.ask(database).await?;
        }
    }

    /// Has a lane asked for by whoever has the turn next.
    fn enter(&self, lane: Lane, after: DeliveryId) -> oneshot::Receiver<Vec<Row>> {
        let (answer, answered) = oneshot::channel();
        self.lock().push(Asked { lane, after, answer });
        answered
    }

    /// Asks for the lanes that have waited the longest.
    async fn ask(&self, database: &Prepared<'_, Client>) -> Result<()> {
        let asked: Vec<Asked> = {
            let mut asked = self.lock();
            let most = asked.len().min(MAXIMUM_LANES);
            asked.drain(..most).collect()
        };
        let webhooks: Vec<WebhookId> = asked.iter().map(|asked| asked.lane.webhook).collect();
        let scopes: Vec<Scope> = asked.iter().map(|asked| asked.lane.scope).collect();
        let after: Vec<DeliveryId> = asked.iter().map(|asked| asked.after).collect();
        let rows = database
            .query(include_str!("../../sql/deliver/lane_deliveries.sql"), &[&webhooks, &scopes, &after])
            .await
            .context("reading lshookd.delivery")?;
        let mut of_each: HashMap<i64, Vec<Row>> = HashMap::new();
        for row in rows {
            of_each.entry(row.get("place")).or_default().push(row);
        }
        for (place, Asked { answer, .. }) in (1..).zip(asked) {
            // Whoever asked may have been stopped meanwhile.
            let _ = answer.send(of_each.remove(&place).unwrap_or_default());
        }
        Ok(())
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Asked>> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Claim {
    fn from_rows(mut rows: Vec<Row>) -> Claim {
        rows.sort_by_key(|row| row.get::<_, DeliveryId>("id"));
        // Without rows nothing is pending, whatever the webhook is: the lane closes.
        let state = match rows.first().map(|row| row.get::<_, Option<bool>>("is_served")) {
            Some(None) => WebhookState::Deleted,
            Some(Some(false)) => WebhookState::Held,
            Some(Some(true)) | None => WebhookState::Served,
        };
        let is_all = rows.first().is_none_or(|row| row.get("is_all"));
        Claim { state, deliveries: rows.iter().map(Delivery::from_row).collect(), is_all }
    }
}

impl Delivery {
    fn from_row(row: &Row) -> Delivery {
        let url = row.get::<_, Option<String>>("url").unwrap_or_default();
        let headers = row.get::<_, Option<serde_json::Value>>("headers").unwrap_or_default();
        let large_body_bytes: Option<i32> = row.get("large_body_bytes");
        Delivery {
            event: row.get("event_id"),
            occurred_at: row.get("occurred_at"),
            planned_at: row.get("planned_at"),
            large_body_kilobytes: large_body_bytes.map(|bytes| bytes.unsigned_abs() / 1024),
            id: row.get("id"),
            attempts: row.get("attempts"),
            schedule_from: row.get("schedule_from"),
            // A body that is large is fetched by itself later.
            message: Message::from_row(row, url, headers),
            action: row.get("action"),
        }
    }

    /// Waits until there is room for its body among the large ones, and fetches it.
    ///
    /// # Errors
    /// When the database is gone.
    pub async fn fetch_body<'a>(&mut self, shared: &'a Shared, kilobytes: u32) -> Result<SemaphorePermit<'a>> {
        let room = shared.large_bodies.acquire_many(kilobytes.min(LARGE_BODIES)).await?;
        let query = "select body from lshookd.event where id = $1::bigint";
        let row = shared.database().query_one(query, &[&self.event]).await.context("reading lshookd.event")?;
        self.message.set_body(Bytes::copy_from_slice(row.get::<_, &str>("body").as_bytes()));
        Ok(room)
    }
}
