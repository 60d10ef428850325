//! Adopting and releasing: whether Label Studio or lshookd delivers a webhook.

use anyhow::Result;
use tokio_postgres::{Client, GenericClient};

use super::{check_known, explain_write, wake_lanes};
use crate::config::Settings;
use crate::deliver;
use crate::model::{Action, WebhookId};

/// Takes webhooks over from Label Studio, in one transaction: those given, or with `None` all that it delivers. The
/// ids of those adopted, ascending.
///
/// # Errors
/// When one is unknown, or asks for actions that lshookd does not have and this is not forced, or Label Studio's table
/// may not be written.
pub async fn adopt(client: &mut Client, ids: Option<&[WebhookId]>, force: bool) -> Result<Vec<WebhookId>> {
    check_known(client, ids.unwrap_or_default()).await?;
    let unknown = unknown_actions(client, ids).await?;
    if !unknown.is_empty() && !force {
        let named: Vec<String> =
            unknown.iter().map(|(webhook, actions)| format!("webhook {webhook}: {}", actions.join(", "))).collect();
        fail!(
            Choice,
            "nothing was adopted: lshookd does not have these actions, and nobody would deliver them: {}; leave these \
             webhooks to Label Studio, or add --force",
            named.join("; ")
        );
    }
    let transaction = client.transaction().await?;
    let adopted = write_adoption(&transaction, ids).await?;
    transaction.commit().await?;
    Ok(adopted)
}

/// What would keep lshookd from delivering these webhooks, or with `None` all that Label Studio delivers: by id the
/// reason.
///
/// # Errors
/// When the database cannot be asked, or a certificate of the settings cannot be used.
pub async fn obstacles(
    client: &Client,
    settings: &Settings,
    ids: Option<&[WebhookId]>,
) -> Result<Vec<(WebhookId, String)>> {
    let rows = client.query(include_str!("../../sql/ops/adoptable_endpoints.sql"), &[&ids]).await?;
    deliver::obstacles(settings, rows.iter().map(|row| (row.get("webhook_id"), row.get("url"))).collect()).await
}

/// [`adopt`] as part of the caller's transaction, whatever the webhooks ask for.
pub(super) async fn write_adoption(client: &impl GenericClient, ids: Option<&[WebhookId]>) -> Result<Vec<WebhookId>> {
    let rows = client.query(include_str!("../../sql/ops/adopt.sql"), &[&ids]).await.map_err(explain_write)?;
    let mut adopted: Vec<WebhookId> = rows.iter().map(|row| row.get("webhook_id")).collect();
    wake_lanes(client, Some(&adopted)).await?;
    adopted.sort_unstable();
    Ok(adopted)
}

/// Of webhooks, or with `None` of all active or adopted ones, the actions that lshookd does not have.
///
/// # Errors
/// When the database cannot be asked.
pub async fn unknown_actions(client: &Client, ids: Option<&[WebhookId]>) -> Result<Vec<(WebhookId, Vec<String>)>> {
    let known: Vec<&str> =
        Action::ALL.iter().filter(|action| action.is_label_studios()).map(|action| action.name()).collect();
    let rows = client.query(include_str!("../../sql/ops/unknown_actions.sql"), &[&ids, &known]).await?;
    Ok(rows.iter().map(|row| (row.get("webhook_id"), row.get("actions"))).collect())
}

/// Gives webhooks back to Label Studio, or with `None` all that are adopted. The ids of those released, ascending.
///
/// # Errors
/// When one is unknown, or Label Studio's table may not be written.
pub async fn release(client: &mut Client, ids: Option<&[WebhookId]>) -> Result<Vec<WebhookId>> {
    if let Some(ids) = ids {
        check_known(client, ids).await?;
        for id in ids {
            let webhook = client.query_one(include_str!("../../sql/ops/webhook.sql"), &[id]).await?;
            if webhook.get("is_pulled") {
                fail!(Choice, "consumers pull from webhook {id}; Label Studio cannot deliver it");
            }
        }
    }
    let transaction = client.transaction().await?;
    let rows = transaction.query(include_str!("../../sql/ops/release.sql"), &[&ids]).await.map_err(explain_write)?;
    let mut released: Vec<WebhookId> = rows.iter().map(|row| row.get("webhook_id")).collect();
    transaction.execute(include_str!("../../sql/ops/note_release.sql"), &[&released]).await?;
    transaction.commit().await?;
    released.sort_unstable();
    Ok(released)
}
