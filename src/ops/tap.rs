//! Taps: somebody sees events as they come, also those that no webhook wants, and nothing is delivered.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use bytes::Bytes;
use jiff::Timestamp;
use serde_json::json;
use tokio_postgres::Client;
use url::Url;
use uuid::Uuid;

use super::check_project;
use crate::config::{Egress, Settings};
use crate::deliver::{self, Answer, DeliveryOptions, Message};
use crate::model::{Action, Scope};

/// A tap says so again before its minute is over.
const RENEWAL: Duration = Duration::from_secs(20);

/// An event that was tapped.
pub struct TappedEvent {
    /// The action's name.
    pub action: String,
    /// Where.
    pub scope: Scope,
    /// About how many objects it is.
    pub objects: i32,
    /// When it occurred.
    pub occurred_at: Timestamp,
    /// Its JSON.
    pub body: String,
}

/// A tap on the events of one project, or of all.
pub struct Tap {
    id: Uuid,
    project: Option<i64>,
    actions: Vec<&'static str>,
    after: i64,
    renewed_at: Option<Instant>,
}

impl Tap {
    /// A tap on the events that come from now on; of these actions, or without any of all.
    ///
    /// # Errors
    /// When the project is unknown, or the database cannot be asked.
    pub async fn open(client: &Client, project: Option<i64>, actions: &[Action]) -> Result<Tap> {
        if let Some(project) = project {
            check_project(client, project).await?;
        }
        let newest = client.query_one("select coalesce(max(id), 0) as id from lshookd.event", &[]).await?;
        let actions = actions.iter().map(|action| action.name()).collect();
        Ok(Tap { id: Uuid::now_v7(), project, actions, after: newest.get("id"), renewed_at: None })
    }

    /// The events since this was called before, in order.
    ///
    /// # Errors
    /// When the database cannot be asked.
    pub async fn next(&mut self, client: &Client) -> Result<Vec<TappedEvent>> {
        if self.renewed_at.is_none_or(|at| at.elapsed() > RENEWAL) {
            client.execute(include_str!("../../sql/ops/tap_until.sql"), &[&self.id]).await?;
            self.renewed_at = Some(Instant::now());
        }
        let query = include_str!("../../sql/ops/events_after.sql");
        let rows = client.query(query, &[&self.after, &self.project, &self.actions]).await;
        let rows = rows.context("reading lshookd.event")?;
        if let Some(last) = rows.last() {
            self.after = last.get("id");
        }
        let event = |row: &tokio_postgres::Row| TappedEvent {
            action: row.get("action"),
            scope: row.get("project_id"),
            objects: row.get("object_count"),
            occurred_at: row.get("occurred_at"),
            body: row.get("body"),
        };
        Ok(rows.iter().map(event).collect())
    }

    /// Says that nobody taps any more.
    ///
    /// # Errors
    /// When the database cannot be asked.
    pub async fn close(self, client: &Client) -> Result<()> {
        client.execute(include_str!("../../sql/ops/stop_tapping.sql"), &[&self.id]).await?;
        Ok(())
    }
}

/// Posts an event to an endpoint under development, signed, whatever address that has.
///
/// # Errors
/// When a certificate of the settings cannot be used.
pub async fn forward(settings: &Settings, url: &Url, secret: &str, event: &TappedEvent) -> Result<Answer> {
    let settings = Settings { egress: Egress::default(), ..settings.clone() };
    let message = Message {
        url: url.to_string(),
        headers: json!({}),
        id: Uuid::now_v7(),
        secrets: vec![secret.to_owned()],
        scope: event.scope,
        replay: None,
        cloudevent: None,
        traceparent: None,
        options: DeliveryOptions::default(),
        body: Bytes::from(event.body.clone()),
    };
    deliver::send_at_once(&settings, &message).await
}

/// A signing secret of nobody's.
///
/// # Errors
/// When the database cannot be asked.
pub async fn new_secret(client: &Client) -> Result<String> {
    Ok(client.query_one(include_str!("../../sql/ops/new_secret.sql"), &[]).await?.get("secret"))
}
