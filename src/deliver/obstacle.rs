//! What would keep a webhook from being delivered, seen before it is: addresses that egress refuses, redirects that
//! lose the event.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use futures_util::StreamExt;
use futures_util::stream;
use tokio::time::timeout;
use tokio_postgres::Client;

use super::egress::EgressPolicy;
use super::sender::Sender;
use crate::config::{Egress, Settings};
use crate::model::WebhookId;

/// So many endpoints are looked at at once, and for so long each: an operator waits.
const AT_ONCE: usize = 32;
const TIMEOUT: Duration = Duration::from_secs(3);

/// So many of them are named in the log.
const LOGGED: usize = 20;

/// Names the active webhooks that will get nothing, as names resolve now; does not wait for them.
///
/// # Errors
/// When the database cannot be asked.
pub async fn report_refused(client: &Client, egress: &Egress) -> Result<()> {
    let endpoints = served_endpoints(client).await?;
    let policy = EgressPolicy::new(egress);
    tokio::spawn(async move {
        let refused = refused(&policy, endpoints).await;
        for (webhook, reason) in refused.iter().take(LOGGED) {
            tracing::warn!(%webhook, reason, "the endpoint of this webhook is refused");
        }
        if let Some(others) = refused.len().checked_sub(LOGGED).filter(|others| *others > 0) {
            tracing::warn!(
                others,
                "the endpoints of other webhooks are refused, too; `lshookd check --json` lists them"
            );
        }
    });
    Ok(())
}

/// The webhooks that will get nothing, as names resolve now, each with the reason.
///
/// # Errors
/// When the database cannot be asked.
pub async fn refused_webhooks(client: &Client, egress: &Egress) -> Result<Vec<(WebhookId, String)>> {
    Ok(refused(&EgressPolicy::new(egress), served_endpoints(client).await?).await)
}

/// Of webhooks and their URLs those that would get nothing, each with the reason. Endpoints that are not refused are
/// asked by a HEAD, without the webhook's headers, whether they redirect; silence is no obstacle.
///
/// # Errors
/// When a certificate of the settings cannot be used.
pub async fn obstacles(settings: &Settings, endpoints: Vec<(WebhookId, String)>) -> Result<Vec<(WebhookId, String)>> {
    let policy = Arc::new(EgressPolicy::new(&settings.egress));
    let sender = Sender::new(settings, Arc::clone(&policy))?;
    let look = async |(webhook, url): (WebhookId, String)| {
        let found = async {
            match policy.refusal(&url).await {
                Some(refusal) => Some(refusal.to_string()),
                None => sender.losing_redirect(&url).await,
            }
        };
        timeout(TIMEOUT, found).await.ok().flatten().map(|reason| (webhook, reason))
    };
    let mut found: Vec<(WebhookId, String)> =
        stream::iter(endpoints).map(look).buffer_unordered(AT_ONCE).filter_map(async |found| found).collect().await;
    found.sort_unstable();
    Ok(found)
}

async fn served_endpoints(client: &Client) -> Result<Vec<(WebhookId, String)>> {
    let rows = client.query(include_str!("../../sql/deliver/served_endpoints.sql"), &[]).await;
    let rows = rows.context("reading Label Studio's webhook table")?;
    Ok(rows.iter().map(|row| (row.get("webhook_id"), row.get("url"))).collect())
}

async fn refused(policy: &EgressPolicy, endpoints: Vec<(WebhookId, String)>) -> Vec<(WebhookId, String)> {
    let mut refused = Vec::new();
    for (webhook, url) in endpoints {
        refused.extend(policy.refusal(&url).await.map(|refusal| (webhook, refusal.to_string())));
    }
    refused
}
