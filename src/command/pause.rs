//! `pause` and `resume`: deliveries wait, and nothing is lost.

use anyhow::Result;
use serde_json::json;
use tokio_postgres::Client;

use super::adopt::listed;
use super::{Chosen, Output, wake_lanes};

/// Holds the deliveries of webhooks; requests in flight end.
///
/// # Errors
/// When one is unknown, or the database refuses.
pub async fn pause(client: &Client, chosen: &Chosen, output: Output) -> Result<()> {
    let ids = chosen.known(client).await?;
    hold(client, ids).await?;
    output.say(
        &format!("Deliveries of {} wait until `lshookd resume`; events go on being recorded.", named(ids)),
        &json!({ "paused": ids, "all": ids.is_none() }),
    );
    Ok(())
}

/// Lets the deliveries of webhooks go on.
///
/// # Errors
/// When one is unknown, or the database refuses.
pub async fn resume(client: &Client, chosen: &Chosen, output: Output) -> Result<()> {
    let ids = chosen.known(client).await?;
    let_go(client, ids).await?;
    output.say(&format!("Deliveries of {} go on.", named(ids)), &json!({ "resumed": ids, "all": ids.is_none() }));
    Ok(())
}

/// Holds the deliveries of some webhooks, or with `None` of all.
///
/// # Errors
/// When the database refuses.
pub async fn hold(client: &Client, ids: Option<&[i64]>) -> Result<()> {
    let held: Vec<Option<i64>> = ids.map_or_else(|| vec![None], |ids| ids.iter().copied().map(Some).collect());
    client.execute(include_str!("../../sql/ops/pause.sql"), &[&held]).await?;
    Ok(())
}

/// Lets the deliveries of some webhooks go on, or with `None` of all.
///
/// # Errors
/// When the database refuses.
pub async fn let_go(client: &Client, ids: Option<&[i64]>) -> Result<()> {
    client.execute(include_str!("../../sql/ops/resume.sql"), &[&ids]).await?;
    wake_lanes(client, ids).await?;
    Ok(())
}

fn named(ids: Option<&[i64]>) -> String {
    ids.map_or_else(|| "all webhooks".to_owned(), |ids| format!("webhook {}", listed(ids)))
}
