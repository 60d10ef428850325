//! `adopt` and `release`: whether Label Studio or lshookd delivers a webhook.

use anyhow::Result;
use serde_json::json;
use tokio_postgres::Client;

use super::{Chosen, Output, explain_write, wake_lanes};
use crate::event::Action;

/// Takes webhooks over from Label Studio, in one transaction; those adopted.
///
/// # Errors
/// When one is unknown, or asks for actions that lshookd cannot make and is not forced, or Label Studio's table may
/// not be written.
pub async fn adopt(client: &mut Client, chosen: &Chosen, force: bool, output: Output) -> Result<()> {
    let ids = chosen.known(client).await?;
    let unknown = unknown_actions(client, ids).await?;
    if !unknown.is_empty() && !force {
        let named: Vec<String> =
            unknown.iter().map(|(webhook, actions)| format!("webhook {webhook}: {}", actions.join(", "))).collect();
        fail!(
            Choice,
            "nothing was adopted, for lshookd cannot make these actions, and nobody would deliver them: {}; leave these \
             webhooks to Label Studio, or add --force",
            named.join("; ")
        );
    }
    let transaction = client.transaction().await?;
    let rows = transaction.query(include_str!("../../sql/ops/adopt.sql"), &[&ids]).await.map_err(explain_write)?;
    let mut adopted: Vec<i64> = rows.iter().map(|row| row.get("webhook_id")).collect();
    wake_lanes(&transaction, Some(&adopted)).await?;
    transaction.commit().await?;
    adopted.sort_unstable();
    let sentence = match adopted.as_slice() {
        [] => "Label Studio delivers no webhook; there is nothing to adopt.".to_owned(),
        adopted => {
            format!("lshookd alone delivers webhook {} now; Label Studio shows it as inactive.", listed(adopted))
        }
    };
    output.say(&sentence, &json!({ "adopted": adopted }));
    Ok(())
}

/// Of webhooks, or with `None` of all active or adopted ones, the actions that lshookd cannot make.
///
/// # Errors
/// When the database cannot be asked.
pub async fn unknown_actions(client: &Client, ids: Option<&[i64]>) -> Result<Vec<(i64, Vec<String>)>> {
    let known: Vec<&str> =
        Action::ALL.iter().filter(|action| action.is_label_studios()).map(|action| action.name()).collect();
    let rows = client.query(include_str!("../../sql/ops/unknown_actions.sql"), &[&ids, &known]).await?;
    Ok(rows.iter().map(|row| (row.get("webhook_id"), row.get("actions"))).collect())
}

/// Gives webhooks back to Label Studio.
///
/// # Errors
/// When one is unknown, or Label Studio's table may not be written.
pub async fn release(client: &mut Client, chosen: &Chosen, output: Output) -> Result<()> {
    let ids = chosen.known(client).await?;
    let released = give_back(client, ids).await?;
    let sentence = match released.as_slice() {
        [] => "lshookd has not adopted any of these; there is nothing to release.".to_owned(),
        released => {
            format!("Label Studio delivers webhook {} again; lshookd sends what occurred before.", listed(released))
        }
    };
    output.say(&sentence, &json!({ "released": released }));
    Ok(())
}

/// Gives webhooks back, or with `None` all of them; those given back.
///
/// # Errors
/// When Label Studio's table may not be written.
pub async fn give_back(client: &mut Client, ids: Option<&[i64]>) -> Result<Vec<i64>> {
    let transaction = client.transaction().await?;
    let rows = transaction.query(include_str!("../../sql/ops/release.sql"), &[&ids]).await.map_err(explain_write)?;
    let mut released: Vec<i64> = rows.iter().map(|row| row.get("webhook_id")).collect();
    transaction.execute(include_str!("../../sql/ops/note_release.sql"), &[&released]).await?;
    transaction.commit().await?;
    released.sort_unstable();
    Ok(released)
}

/// Numbers in a sentence.
pub fn listed(ids: &[i64]) -> String {
    ids.iter().map(i64::to_string).collect::<Vec<_>>().join(", ")
}
