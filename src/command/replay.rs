//! `replay`: deliveries that have ended are sent again, under the id that their receiver knows.

use anyhow::{Context, Result};
use serde_json::json;
use tokio_postgres::Client;

use super::Output;
use super::deliveries::Filter;

/// Deliveries that are made to wait again at once.
const BATCH: i64 = 1000;

/// Sends the deliveries with these numbers, or those of the filter, again; or counts them.
///
/// # Errors
/// When neither numbers nor a filter are given, or the database refuses.
pub async fn run(client: &Client, ids: &[i64], filter: &Filter, dry_run: bool, output: Output) -> Result<()> {
    let Filter { subscription, action, project, state, since, until } = filter;
    let filtered = subscription.is_some()
        || action.is_some()
        || project.is_some()
        || state.is_some()
        || since.is_some()
        || until.is_some();
    if ids.is_empty() && !filtered {
        fail!(Choice, "say which deliveries: by number, or by a filter such as --state dead or --since 2h");
    }
    let mut replayed: i64 = 0;
    let mut after = 0;
    let bar = output.progress(0);
    loop {
        let batch = batch(client, after, ids, filter).await?;
        let Some(last) = batch.last() else {
            break;
        };
        after = *last;
        replayed += match dry_run {
            true => i64::try_from(batch.len())?,
            false => again(client, &batch).await?,
        };
        bar.set_position(replayed.unsigned_abs());
    }
    bar.finish_and_clear();
    let sentence = match dry_run {
        true => format!("{replayed} deliveries would be sent again."),
        false => format!("{replayed} deliveries are sent again."),
    };
    output.say(&sentence, &json!({ "replayed": replayed, "dry_run": dry_run }));
    Ok(())
}

async fn batch(client: &Client, after: i64, ids: &[i64], filter: &Filter) -> Result<Vec<i64>> {
    let ids = (!ids.is_empty()).then_some(ids);
    let Filter { subscription, action: _, project, state, since, until } = filter;
    let rows = client
        .query(
            include_str!("../../sql/ops/to_replay.sql"),
            &[&after, &ids, subscription, &filter.action_name(), project, state, since, until, &BATCH],
        )
        .await
        .context("reading lshookd.delivery")?;
    Ok(rows.iter().map(|row| row.get("id")).collect())
}

/// Makes deliveries wait again; how many there were.
///
/// # Errors
/// When the database refuses.
pub async fn again(client: &Client, deliveries: &[i64]) -> Result<i64> {
    let row = client.query_one("select lshookd.replay($1::bigint[]) as replayed", &[&deliveries]).await?;
    Ok(row.get("replayed"))
}
