//! Searches among deliveries, a page at a time, however many there are: in steps that each read so much at most, until
//! the page is full or some time has passed. A search that took its time goes on where it ended.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use jiff::Timestamp;
use serde_json::Value;
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, Row};

use super::delivery::{DeliveryState, DeliverySummary, Filter};
use crate::model::{Action, DeliveryId, WebhookId};

/// What one step reads at most; where bodies are searched, less, for each must be decompressed.
const STEP: i64 = 5000;
const STEP_OF_BODIES: i64 = 1000;

/// After so long a search ends where it is.
const PATIENCE: Duration = Duration::from_millis(60);

/// What is looked for.
#[derive(Debug, Clone, Default)]
pub struct Search {
    /// All of it must hold.
    pub filter: Filter,
    /// A text of the body, as it is sent.
    pub text: Option<String>,
}

/// Where a page begins.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Place {
    /// At the newest.
    Top,
    /// At what is older than this delivery.
    Before(DeliveryId),
    /// At what is newer than this delivery.
    After(DeliveryId),
    /// At what ended before; of one webhook's deliveries, which are in the order of what happened to them last.
    EndedBefore(Timestamp),
}

/// A page of deliveries, the newest first, or those of one webhook the latest first, pending ones before.
#[derive(Debug, Clone, PartialEq)]
pub struct Page {
    /// What is on it.
    pub deliveries: Vec<DeliverySummary>,
    /// Where what is newer begins, if there is something.
    pub newer: Option<Place>,
    /// Where what is older begins, if there is something.
    pub older: Option<Place>,
    /// Whether the search ended for it took long; what matches may be found from `older` (or `newer`) on.
    pub is_partial: bool,
}

/// A page that begins at a place, of so many deliveries.
///
/// # Errors
/// When the database cannot be asked.
pub async fn page(client: &Client, search: &Search, place: Place, size: usize) -> Result<Page> {
    match search.filter.webhook {
        Some(webhook) => of_webhook(client, search, webhook, place, size).await,
        None => of_all(client, search, place, size).await,
    }
}

/// What a step read.
struct Step<K> {
    found: Vec<DeliverySummary>,
    read: i64,
    reached: Option<K>,
}

/// How much steps read: no more than the page where everything matches.
fn step_size(search: &Search, size: usize) -> Result<i64> {
    let Search { filter, text } = search;
    let matches_all = filter.action.is_none()
        && filter.project.is_none()
        && filter.since.is_none()
        && filter.until.is_none()
        && text.is_none();
    Ok(match (matches_all, text) {
        // One more tells whether there is more.
        (true, _) => i64::try_from(size + 1)?,
        (false, None) => STEP,
        (false, Some(_)) => STEP_OF_BODIES,
    })
}

async fn of_all(client: &Client, search: &Search, place: Place, size: usize) -> Result<Page> {
    let began = Instant::now();
    let Search { filter, text } = search;
    let limit = step_size(search, size)?;
    let (mut before, mut after) = match place {
        Place::Before(id) => (Some(id), None),
        Place::After(id) => (None, Some(id)),
        Place::Top | Place::EndedBefore(_) => (None, None),
    };
    // A moment of long ago is not looked for from today on.
    let first = if after.is_none() { first_since(client, filter.since).await? } else { None };
    if let (None, None, Some(until)) = (before, after, filter.until) {
        before = first_since(client, Some(until)).await?.map(|DeliveryId(id)| DeliveryId(id.saturating_add(STEP)));
    }
    let mut found = Vec::new();
    let is_partial = loop {
        let parameters: [&(dyn ToSql + Sync); 9] = [
            &before,
            &after,
            &limit,
            &filter.action.map(Action::name),
            &filter.project,
            &filter.state.map(DeliveryState::name),
            &filter.since,
            &filter.until,
            text,
        ];
        let rows = client.query(include_str!("../../sql/ops/search_deliveries.sql"), &parameters).await;
        let step: Step<DeliveryId> = step(&rows.context("searching lshookd.delivery")?)?;
        match after {
            Some(_) => found.splice(0..0, step.found).for_each(drop),
            None => found.extend(step.found),
        }
        let is_past = match (first, step.reached) {
            (Some(DeliveryId(first)), Some(DeliveryId(reached))) => reached < first.saturating_sub(STEP),
            _ => false,
        };
        if step.read < limit || is_past {
            break false;
        }
        match after {
            Some(_) => after = step.reached,
            None => before = step.reached,
        }
        if found.len() > size {
            break false;
        }
        if began.elapsed() > PATIENCE {
            break true;
        }
    };
    let is_full = found.len() > size;
    let rest = |is_full: bool, at_end: Option<DeliveryId>, reached: Option<DeliveryId>| match (is_full, is_partial) {
        (true, _) => at_end,
        (false, true) => reached,
        (false, false) => None,
    };
    Ok(match place {
        Place::After(from) => {
            let newest = found.len().saturating_sub(size);
            let deliveries = found.split_off(newest);
            let newer = rest(is_full, deliveries.first().map(|first| first.id), after);
            let older = deliveries.last().map_or(Some(from), |last| Some(last.id));
            Page { deliveries, newer: newer.map(Place::After), older: older.map(Place::Before), is_partial }
        }
        _ => {
            found.truncate(size);
            let older = rest(is_full, found.last().map(|last| last.id), before);
            let newer = found.first().map(|first| first.id).filter(|_| place != Place::Top);
            Page { deliveries: found, newer: newer.map(Place::After), older: older.map(Place::Before), is_partial }
        }
    })
}

async fn of_webhook(client: &Client, search: &Search, webhook: WebhookId, place: Place, size: usize) -> Result<Page> {
    let began = Instant::now();
    let Search { filter, text } = search;
    let limit = step_size(search, size)?;
    let mut before = match place {
        Place::EndedBefore(at) => Some(at),
        _ => None,
    };
    let mut found: Vec<DeliverySummary> = Vec::new();
    let is_partial = loop {
        let parameters: [&(dyn ToSql + Sync); 9] = [
            &webhook,
            &before,
            &limit,
            &filter.state.map(DeliveryState::name),
            &filter.action.map(Action::name),
            &filter.project,
            &filter.since,
            &filter.until,
            text,
        ];
        let rows = client.query(include_str!("../../sql/ops/webhook_activity.sql"), &parameters).await;
        let step: Step<Timestamp> = step(&rows.context("searching lshookd.delivery")?)?;
        found.extend(step.found);
        if step.read < limit {
            break false;
        }
        // Where all that was read is pending, what ended is next.
        before = step.reached.or_else(|| Timestamp::now().checked_add(Duration::from_secs(3600)).ok());
        if found.len() > size {
            break false;
        }
        if began.elapsed() > PATIENCE {
            break true;
        }
    };
    let is_full = found.len() > size;
    found.truncate(size);
    let older = match (is_full, is_partial) {
        (true, _) => found.last().and_then(|last| last.ended_at).or(before),
        (false, true) => before,
        (false, false) => None,
    };
    let newer = (place != Place::Top).then_some(Place::Top);
    Ok(Page { deliveries: found, newer, older: older.map(Place::EndedBefore), is_partial })
}

fn step<K: for<'a> postgres_types::FromSql<'a>>(rows: &[Row]) -> Result<Step<K>> {
    let mut step = Step { found: Vec::new(), read: 0, reached: None };
    for row in rows {
        step.read = row.get("read");
        step.reached = row.get("reached");
        if let Some(found) = row.get::<_, Option<Value>>("row") {
            step.found.push(serde_json::from_value(found).context("reading lshookd.delivery")?);
        }
    }
    Ok(step)
}

/// About where the deliveries of events since a moment begin.
async fn first_since(client: &Client, since: Option<Timestamp>) -> Result<Option<DeliveryId>> {
    let Some(since) = since else {
        return Ok(None);
    };
    let row = client.query_opt(include_str!("../../sql/ops/first_delivery_since.sql"), &[&since]).await;
    Ok(row.context("searching lshookd.delivery")?.and_then(|row| row.get("id")))
}
