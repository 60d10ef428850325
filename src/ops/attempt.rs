//! Attempts as they are recorded.

use std::collections::HashSet;
use std::time::Duration;

use anyhow::Result;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tokio_postgres::Client;

use super::rows;
use crate::model::{DeliveryId, Scope, WebhookId};

/// An attempt is recorded when it has ended, and may have begun so long ago.
const MAXIMUM_DURATION: Duration = Duration::from_secs(120);

/// One attempt, and what became of its delivery.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RecordedAttempt {
    /// `lshookd.delivery.id`
    pub delivery_id: DeliveryId,
    /// Counted from 1.
    pub number: i32,
    /// When the request began.
    pub started_at: Timestamp,
    /// How long it took.
    pub duration_ms: i64,
    /// HTTP status, if there was an answer.
    pub status: Option<i16>,
    /// Why it counts as failed, if it does.
    pub error: Option<String>,
    /// `webhook.id`
    pub webhook_id: WebhookId,
    /// `project.id`; 0 for the organization.
    pub project_id: Scope,
    /// The state of the delivery.
    pub state: String,
    /// The action's name.
    pub action: String,
}

/// Tells attempts that are new from those that were seen.
#[derive(Default)]
pub struct Tail {
    seen: Option<HashSet<(DeliveryId, i32)>>,
}

impl Tail {
    /// The attempts that were recorded since this was called before, in order; none the first time.
    ///
    /// # Errors
    /// When the database cannot be asked.
    pub async fn next(&mut self, client: &Client, webhook: Option<WebhookId>) -> Result<Vec<RecordedAttempt>> {
        let since = Timestamp::now() - MAXIMUM_DURATION;
        let query = include_str!("../../sql/ops/attempts_since.sql");
        let attempts: Vec<RecordedAttempt> = rows(client, query, &[&since, &webhook]).await?;
        let key = |attempt: &RecordedAttempt| (attempt.delivery_id, attempt.number);
        let now_seen = attempts.iter().map(key).collect();
        let Some(seen) = self.seen.replace(now_seen) else {
            return Ok(Vec::new());
        };
        Ok(attempts.into_iter().filter(|attempt| !seen.contains(&key(attempt))).collect())
    }
}
