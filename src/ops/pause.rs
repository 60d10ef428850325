//! Pausing: deliveries of webhooks are held back, and nothing is lost.

use anyhow::Result;
use tokio_postgres::Client;

use super::{check_known, wake_lanes};
use crate::model::WebhookId;

/// Holds back the deliveries of some webhooks, or with `None` of all; requests in flight end.
///
/// # Errors
/// When one is unknown, or the database refuses.
pub async fn pause(client: &Client, ids: Option<&[WebhookId]>) -> Result<()> {
    check_known(client, ids.unwrap_or_default()).await?;
    let paused: Vec<Option<WebhookId>> = ids.map_or_else(|| vec![None], |ids| ids.iter().copied().map(Some).collect());
    client.execute(include_str!("../../sql/ops/pause.sql"), &[&paused]).await?;
    Ok(())
}

/// Ends what is pending of some webhooks without delivering it; how many deliveries that were.
///
/// # Errors
/// When one is unknown, or the database refuses.
pub async fn discard(client: &Client, ids: &[WebhookId]) -> Result<i64> {
    check_known(client, ids).await?;
    Ok(client.query_one(include_str!("../../sql/ops/discard.sql"), &[&ids]).await?.get("discarded"))
}

/// Lets the deliveries of some webhooks go on, or with `None` of all.
///
/// # Errors
/// When one is unknown, or the database refuses.
pub async fn resume(client: &Client, ids: Option<&[WebhookId]>) -> Result<()> {
    check_known(client, ids.unwrap_or_default()).await?;
    client.execute(include_str!("../../sql/ops/resume.sql"), &[&ids]).await?;
    wake_lanes(client, ids).await
}
