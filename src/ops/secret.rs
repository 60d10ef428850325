//! Signing secrets of webhooks.

use anyhow::Result;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tokio_postgres::Client;

use super::{check_known, rows};
use crate::model::WebhookId;

/// A secret that requests are signed with.
#[derive(Clone, Serialize, Deserialize)]
pub struct Secret {
    /// `whsec_` and 32 bytes in Base64 (Standard Webhooks).
    pub secret: String,
    /// When it was created.
    pub created_at: Timestamp,
    /// Until when requests are signed with it; `None`: until it is rotated.
    pub expires_at: Option<Timestamp>,
}

/// The secrets of a webhook, the newest first; after a new one was created if `rotate` says so.
///
/// # Errors
/// When there is no such webhook, or the database refuses.
pub async fn secrets(client: &Client, webhook: WebhookId, rotate: bool) -> Result<Vec<Secret>> {
    check_known(client, &[webhook]).await?;
    client.execute(include_str!("../../sql/queue/ensure_secrets.sql"), &[&vec![webhook]]).await?;
    if rotate {
        client.execute("select lshookd.rotate_secret($1::bigint) as secret", &[&webhook]).await?;
    }
    rows(client, include_str!("../../sql/ops/secrets.sql"), &[&webhook]).await
}
