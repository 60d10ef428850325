//! An event as a consumer is given it.

use std::collections::BTreeMap;
use std::time::SystemTime;

use anyhow::{Context, Result, anyhow};
use jiff::Timestamp;
use serde::Serialize;
use tokio_postgres::Row;
use uuid::Uuid;

use super::URL;
use crate::deliver::{self, Message};

/// What a request would carry, and what tells of it.
#[derive(Debug, Serialize)]
pub struct PulledEvent {
    /// The `webhook-id`: the same each time that it is given.
    pub id: Uuid,
    /// Which attempt this is, counted from 1.
    pub attempt: i32,
    /// The action's name.
    pub action: String,
    /// `project.id`; `None` for what has no project.
    pub project: Option<i64>,
    /// When it occurred.
    pub occurred_at: Timestamp,
    /// The headers of the request, the signature among them.
    pub headers: BTreeMap<String, String>,
    /// Its body, to the byte.
    pub body: String,
}

impl PulledEvent {
    /// Of a row of `sql/pull/take.sql`.
    ///
    /// # Errors
    /// When a secret of the webhook cannot be used.
    pub fn from_row(row: &Row, now: SystemTime) -> Result<PulledEvent> {
        let message = Message::from_row(row, URL.to_owned(), serde_json::Value::Null);
        let headers = deliver::carried(&message, now).map_err(|error| anyhow!(error))?;
        let text = |value: &http::HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
        Ok(PulledEvent {
            id: message.id,
            attempt: row.get::<_, i32>("attempts") + 1,
            action: row.get("action"),
            project: message.scope.project(),
            occurred_at: row.get("occurred_at"),
            headers: headers.iter().map(|(name, value)| (name.as_str().to_owned(), text(value))).collect(),
            body: String::from_utf8(message.body.into()).context("a body is no UTF-8")?,
        })
    }
}
