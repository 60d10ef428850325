//! Dead letters: deliveries that are attempted no more, by why they are dead.

use anyhow::{Context, Result};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tokio_postgres::Client;

use super::rows;
use crate::model::{DeliveryId, WebhookId};

/// So many are looked at.
const MAXIMUM: usize = 1000;

/// Dead deliveries of a webhook that died of the same.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DeadLetters {
    /// `webhook.id`
    pub webhook_id: WebhookId,
    /// Why they are dead.
    pub reason: String,
    /// How many, of those that were looked at.
    pub deliveries: i64,
    /// When the first of them died.
    pub first_at: Timestamp,
    /// When the last of them died.
    pub last_at: Timestamp,
    /// Their numbers, the newest first.
    pub ids: Vec<DeliveryId>,
}

/// What died of webhooks, by reason: of each webhook the newest, a thousand in all at most.
#[derive(Debug, Clone, PartialEq)]
pub struct ByReason {
    /// The kinds, of which the latest to happen is first.
    pub kinds: Vec<DeadLetters>,
    /// How many were looked at of each webhook.
    pub of_each: i64,
    /// How many webhooks were not looked at.
    pub left_out: usize,
}

/// The dead deliveries of webhooks by reason.
///
/// # Errors
/// When the database cannot be asked.
pub async fn by_reason(client: &Client, webhooks: &[WebhookId]) -> Result<ByReason> {
    let looked_at = &webhooks[..webhooks.len().min(MAXIMUM)];
    let of_each = i64::try_from(MAXIMUM / looked_at.len().max(1))?;
    let kinds = rows(client, include_str!("../../sql/ops/dead_by_reason.sql"), &[&looked_at, &of_each]).await;
    let kinds = kinds.context("reading lshookd.delivery")?;
    Ok(ByReason { kinds, of_each, left_out: webhooks.len() - looked_at.len() })
}
