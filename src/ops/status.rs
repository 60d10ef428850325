//! Status: what is pending, what fails, and which daemons are active.

use anyhow::{Context, Result};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tokio_postgres::{Client, Row};

use super::rows;
use crate::model::{DeliveryId, Scope, WebhookId};

/// The state of the whole.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Status {
    /// Unplanned changes.
    pub changes_unplanned: i64,
    /// Age of the oldest of them.
    pub oldest_change_seconds: f64,
    /// Pending deliveries.
    pub deliveries_pending: i64,
    /// Age of the oldest of their events.
    pub oldest_delivery_seconds: f64,
    /// Dead deliveries.
    pub deliveries_dead: i64,
    /// Changes that cannot be planned.
    pub changes_set_aside: i64,
    /// Changes that could not be captured.
    pub capture_errors: i64,
    /// Size on disk of unplanned changes, with room that is kept for more.
    pub changes_bytes: i64,
    /// Size on disk of rows that are kept for them.
    pub kept_rows_bytes: i64,
    /// Share of PostgreSQL's queue of notifications that is in use, from 0 to 1.
    pub notification_queue_usage: f64,
    /// Whether the server allows prepared transactions, so that writers do not notify.
    pub has_prepared_transactions: bool,
    /// Lanes that had deliveries.
    pub lanes: i64,
    /// Lanes that are due.
    pub lanes_due: i64,
    /// Lanes whose next delivery has failed.
    pub lanes_failing: i64,
    /// Active webhooks that Label Studio delivers as well.
    pub webhooks_delivered_twice: i64,
    /// Webhooks with failing lanes, at most a thousand.
    pub failing_webhooks: Vec<FailingWebhook>,
    /// Paused webhooks.
    pub paused: Vec<WebhookId>,
    /// Whether all deliveries are paused.
    pub all_paused: bool,
    /// Failing lanes, at most a hundred.
    pub failing: Vec<FailingLane>,
    /// Which daemon is active in which role.
    #[serde(default)]
    pub active_roles: Vec<ActiveRole>,
}

/// A webhook of which lanes fail.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FailingWebhook {
    /// `webhook.id`
    pub webhook_id: WebhookId,
    /// How many.
    pub lanes: i64,
}

/// A lane whose next delivery has failed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FailingLane {
    /// `webhook.id`
    pub webhook_id: WebhookId,
    /// `project.id`; 0 for the organization.
    pub project_id: Scope,
    /// The delivery that failed.
    pub delivery_id: DeliveryId,
    /// How many attempts it had.
    pub attempts: i32,
    /// HTTP status of the last one.
    pub last_status: Option<i16>,
    /// Why the last one failed.
    pub last_error: Option<String>,
    /// When the next one is due.
    pub due_at: Timestamp,
}

/// A role with the daemon that is active in it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ActiveRole {
    /// planner, deliverer or retention
    pub role: String,
    /// The backend of its session.
    pub pid: Option<i32>,
    /// Where it connects from.
    pub address: Option<String>,
    /// Since when.
    pub since: Option<Timestamp>,
}

impl Status {
    /// The daemon that is active in a role.
    pub fn active(&self, role: &str) -> Option<&ActiveRole> {
        self.active_roles.iter().find(|active| active.role == role)
    }
}

/// Reads the status.
///
/// # Errors
/// When the database cannot be asked.
pub async fn read(client: &Client) -> Result<Status> {
    let mut read: Vec<Status> = rows(client, include_str!("../../sql/ops/status.sql"), &[]).await?;
    let mut status = read.pop().context("reading the status")?;
    status.active_roles = active_roles(client).await?;
    Ok(status)
}

/// How much was delivered in the last minute.
///
/// # Errors
/// When the database cannot be asked.
pub async fn delivered_last_minute(client: &Client) -> Result<i64> {
    let row = client.query_one(include_str!("../../sql/ops/delivered_last_minute.sql"), &[]).await;
    Ok(row.context("reading lshookd.delivery")?.get("quantity"))
}

/// Which daemon is active in which role.
///
/// # Errors
/// When the database cannot be asked.
pub async fn active_roles(client: &Client) -> Result<Vec<ActiveRole>> {
    let rows = client.query(include_str!("../../sql/ops/active_roles.sql"), &[]).await?;
    let role = |row: &Row| ActiveRole {
        role: row.get("role"),
        pid: row.get("pid"),
        address: row.get("address"),
        since: row.get("since"),
    };
    Ok(rows.iter().map(role).collect())
}
