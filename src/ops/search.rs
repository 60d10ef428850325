//! Searches among deliveries, a page at a time, however many there are: in steps that each read so much at most, until
//! the page is full or some time has passed. A search that took its time goes on where it ended.

use std::fmt;
use std::str::FromStr;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use jiff::Timestamp;
use serde_json::Value;
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, Row};

use super::delivery::{DeliveryState, DeliverySummary, Filter};
use crate::error::Code;
use crate::model::{Action, DeliveryId, Scope, WebhookId};

/// What one step reads at most; where bodies are searched, less, for each must be decompressed.
const STEP: i64 = 5000;
const STEP_OF_BODIES: i64 = 1000;

/// After so long a search ends where it is.
const TIMEOUT: Duration = Duration::from_millis(60);

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
    /// At what is pending after this project and number; of one webhook's deliveries, which are in the order of what
    /// happened to them last.
    PendingAfter(Scope, DeliveryId),
    /// At as much of what is pending before as a page holds.
    PendingBefore(Scope, DeliveryId),
    /// At what ended before.
    EndedBefore(Ended),
    /// At as much of what ended after as a page holds.
    EndedAfter(Ended),
}

/// A delivery among those that ended: when, and its number, for many end at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Ended {
    /// When.
    pub at: Timestamp,
    /// Which.
    pub id: DeliveryId,
}

impl Ended {
    fn of(delivery: &DeliverySummary) -> Option<Ended> {
        delivery.ended_at.map(|at| Ended { at, id: delivery.id })
    }
}

impl fmt::Display for Ended {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}~{}", self.at, self.id)
    }
}

impl FromStr for Ended {
    type Err = &'static str;

    /// ```
    /// use lshookd::ops::search::Ended;
    ///
    /// let ended: Ended = "2026-11-29T12:00:00Z~17".parse().unwrap();
    /// assert_eq!(ended.to_string().parse(), Ok(ended));
    /// ```
    fn from_str(text: &str) -> Result<Ended, &'static str> {
        let wrong = "expected a moment and a number such as 2026-11-29T12:00:00Z~17";
        let (at, id) = text.split_once('~').ok_or(wrong)?;
        Ok(Ended { at: at.parse().map_err(|_| wrong)?, id: id.parse().map_err(|_| wrong)? })
    }
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

/// The newest that match, of one webhook what is pending before what ended; so many at most, however long it takes.
///
/// # Errors
/// When the database cannot be asked.
pub async fn newest(client: &Client, filter: Filter, limit: usize) -> Result<Vec<DeliverySummary>> {
    let search = Search { filter, text: None };
    let mut found = Vec::new();
    let mut place = Place::Top;
    while found.len() < limit {
        let page = page(client, &search, place, limit - found.len()).await?;
        found.extend(page.deliveries);
        match page.older {
            Some(older) => place = older,
            None => break,
        }
    }
    Ok(found)
}

/// Refuses a webhook or a project that is not there and of which there are no deliveries either.
///
/// # Errors
/// Then, or when the database cannot be asked.
pub async fn check(client: &Client, filter: &Filter) -> Result<()> {
    if let Some(webhook) = filter.webhook
        && newest(client, Filter { webhook: Some(webhook), ..Filter::default() }, 1).await?.is_empty()
    {
        super::check_known(client, &[webhook]).await?;
    }
    let Some(project) = filter.project.and_then(Scope::project) else {
        return Ok(());
    };
    let known = super::check_project(client, project).await;
    // All deliveries may be looked through: only where it is not there.
    if known.as_ref().is_err_and(|error| Code::of(error) == Code::UnknownProject) {
        let query = "select exists (select from lshookd.delivery where project_id = $1::bigint) as has_deliveries";
        if client.query_one(query, &[&project]).await?.get("has_deliveries") {
            return Ok(());
        }
    }
    known
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
        _ => (None, None),
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
        let step =
            step(&rows.context("searching lshookd.delivery")?, |row| row.get::<_, Option<DeliveryId>>("reached"))?;
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
        if began.elapsed() > TIMEOUT {
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

/// How far a look through a webhook's deliveries came.
#[derive(Debug, Clone, Copy)]
enum Reached {
    /// Through what is pending, up to this project and number.
    Pending(Scope, DeliveryId),
    /// Through all of that, and what ended up to this.
    Ended(Ended),
}

impl Reached {
    fn from_row(row: &Row) -> Option<Reached> {
        let (at, id): (Option<Timestamp>, Option<DeliveryId>) = (row.get("reached"), row.get("reached_id"));
        let (scope, last): (Option<Scope>, Option<DeliveryId>) =
            (row.get("reached_project"), row.get("reached_pending"));
        match (at.zip(id), scope.zip(last)) {
            (Some((at, id)), _) => Some(Reached::Ended(Ended { at, id })),
            (None, Some((scope, id))) => Some(Reached::Pending(scope, id)),
            (None, None) => None,
        }
    }

    fn place(self) -> Place {
        match self {
            Reached::Pending(scope, id) => Place::PendingAfter(scope, id),
            Reached::Ended(ended) => Place::EndedBefore(ended),
        }
    }
}

async fn of_webhook(client: &Client, search: &Search, webhook: WebhookId, place: Place, size: usize) -> Result<Page> {
    let began = Instant::now();
    let Search { filter, text } = search;
    let limit = step_size(search, size)?;
    let mut reached = match place {
        Place::EndedBefore(ended) => Some(Reached::Ended(ended)),
        Place::EndedAfter(from) => {
            let between = ended_after(client, webhook, from, size).await?;
            match between.last() {
                // The page has that delivery, too.
                Some(last) if between.len() == size => {
                    Some(Reached::Ended(Ended { id: DeliveryId(last.id.0.saturating_add(1)), ..*last }))
                }
                // The rest of the page is what is pending last, which comes before.
                _ => pending_before(client, webhook, None, size - between.len()).await?,
            }
        }
        Place::PendingAfter(scope, id) => Some(Reached::Pending(scope, id)),
        Place::PendingBefore(scope, id) => pending_before(client, webhook, Some((scope, id)), size).await?,
        Place::Top | Place::Before(_) | Place::After(_) => None,
    };
    let began_at = reached;
    let mut found: Vec<DeliverySummary> = Vec::new();
    let is_partial = loop {
        let (ended, pending) = match reached {
            Some(Reached::Ended(ended)) => (Some(ended), None),
            Some(Reached::Pending(scope, id)) => (None, Some((scope, id))),
            None => (None, None),
        };
        let parameters: [&(dyn ToSql + Sync); 12] = [
            &webhook,
            &ended.map(|ended| ended.at),
            &limit,
            &filter.state.map(DeliveryState::name),
            &filter.action.map(Action::name),
            &filter.project,
            &filter.since,
            &filter.until,
            text,
            &ended.map(|ended| ended.id),
            &pending.map(|(scope, _)| scope),
            &pending.map(|(_, id)| id),
        ];
        let rows = client.query(include_str!("../../sql/ops/webhook_activity.sql"), &parameters).await;
        let step = step(&rows.context("searching lshookd.delivery")?, Reached::from_row)?;
        found.extend(step.found);
        if step.read < limit {
            break false;
        }
        reached = step.reached.or(reached);
        if found.len() > size {
            break false;
        }
        if began.elapsed() > TIMEOUT {
            break true;
        }
    };
    let is_full = found.len() > size;
    found.truncate(size);
    let older = match (is_full, is_partial) {
        (true, _) => found.last().map(|last| match Ended::of(last) {
            Some(ended) => Place::EndedBefore(ended),
            None => Place::PendingAfter(last.project_id, last.id),
        }),
        (false, true) => reached.map(Reached::place),
        (false, false) => None,
    };
    let newer = match began_at {
        None => None,
        Some(Reached::Pending(scope, id)) => Some(match found.first() {
            Some(first) if first.ended_at.is_none() => Place::PendingBefore(first.project_id, first.id),
            _ => Place::PendingBefore(scope, id),
        }),
        // Of what matches there may be none between the two.
        Some(Reached::Ended(began_at)) => Some(match (place, found.first().and_then(Ended::of)) {
            (Place::EndedAfter(from), Some(newest)) if newest > from => Place::EndedAfter(newest),
            (Place::EndedAfter(_), _) => Place::EndedAfter(began_at),
            (_, newest) => Place::EndedAfter(newest.unwrap_or(began_at)),
        }),
    };
    Ok(Page { deliveries: found, newer, older, is_partial })
}

/// After which pending delivery a page begins that ends before another, or with the last; `None` at the top.
async fn pending_before(
    client: &Client,
    webhook: WebhookId,
    before: Option<(Scope, DeliveryId)>,
    size: usize,
) -> Result<Option<Reached>> {
    let (size, scope, id) = (i64::try_from(size)?, before.map(|(scope, _)| scope), before.map(|(_, id)| id));
    let row = client.query_opt(include_str!("../../sql/ops/pending_before.sql"), &[&webhook, &scope, &id, &size]).await;
    let row = row.context("searching lshookd.delivery")?;
    Ok(row.map(|row| Reached::Pending(row.get("project_id"), row.get("id"))))
}

/// What ended after a delivery, as many as a page holds, the one next to it first.
async fn ended_after(client: &Client, webhook: WebhookId, from: Ended, size: usize) -> Result<Vec<Ended>> {
    let size = i64::try_from(size)?;
    let query = include_str!("../../sql/ops/ended_after.sql");
    let rows = client.query(query, &[&webhook, &from.at, &size, &from.id]).await;
    let ended = |row: &Row| Ended { at: row.get("ended_at"), id: row.get("id") };
    Ok(rows.context("searching lshookd.delivery")?.iter().map(ended).collect())
}

fn step<K>(rows: &[Row], reached: impl Fn(&Row) -> Option<K>) -> Result<Step<K>> {
    let mut step = Step { found: Vec::new(), read: 0, reached: None };
    for row in rows {
        step.read = row.get("read");
        step.reached = reached(row);
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
