//! Lanes of a webhook, as people look at them: what is next in each, and when.

use anyhow::{Context, Result};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tokio_postgres::Client;

use super::rows;
use crate::model::{DeliveryId, Scope, WebhookId};

/// A lane in which something is pending.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LaneSummary {
    /// `project.id`; 0 for the organization.
    pub project_id: Scope,
    /// When the next attempt is due.
    pub due_at: Timestamp,
    /// Until when it waits for its webhook to be delivered again, where it does.
    pub held_until: Option<Timestamp>,
    /// What is next.
    pub delivery_id: DeliveryId,
    /// How many attempts that had.
    pub attempts: i32,
    /// Whether they failed.
    pub is_failing: bool,
    /// The action's name.
    pub action: String,
    /// When the event occurred.
    pub occurred_at: Timestamp,
    /// HTTP status of the last attempt.
    pub last_status: Option<i16>,
    /// Why it failed.
    pub last_error: Option<String>,
}

/// Lanes of a webhook in which something is pending, those that fail first.
///
/// # Errors
/// When the database cannot be asked.
pub async fn of_webhook(client: &Client, webhook: WebhookId, limit: i64) -> Result<Vec<LaneSummary>> {
    rows(client, include_str!("../../sql/ops/lanes.sql"), &[&webhook, &limit]).await.context("reading lshookd.lane")
}
