//! Queueing: events and deliveries are stored in the transaction that consumes their changes.

use std::collections::BTreeSet;
use std::time::SystemTime;

use anyhow::{Context, Result};
use tokio::try_join;
use tokio_postgres::types::ToSql;
use tokio_postgres::{GenericClient, Row};
use uuid::Uuid;

use crate::model::{End, Event, Lane, Scope, WebhookId};
use crate::pg::Prepared;

/// An event, who receives it, and what it says.
pub struct Addressed {
    /// The action's name: one of [`Action`](crate::model::Action)'s, or of somebody's own.
    pub action: String,
    /// Where.
    pub scope: Scope,
    /// About how many objects.
    pub objects: usize,
    /// When the last of its changes was captured.
    pub occurred_at: SystemTime,
    /// How the end of its action was known.
    pub end: End,
    /// The webhooks, by id; none where somebody only taps it.
    pub recipients: Vec<WebhookId>,
    /// The JSON body; `None` if every recipient wants the action's name alone.
    pub body: Option<String>,
}

impl Addressed {
    /// An event as it is.
    pub fn new(event: &Event, recipients: Vec<WebhookId>, body: Option<String>) -> Addressed {
        let Event { action, scope, occurred_at, end, .. } = *event;
        let (action, objects) = (action.name().to_owned(), event.objects.len());
        Addressed { action, scope, objects, occurred_at, end, recipients, body }
    }

    /// The lanes that its deliveries are in.
    pub fn lanes(&self) -> impl Iterator<Item = Lane> {
        self.recipients.iter().map(|webhook| Lane { webhook: *webhook, scope: self.scope })
    }
}

const STORE_EVENTS: &str = include_str!("../../sql/queue/store_events.sql");
const ENSURE_SECRETS: &str = include_str!("../../sql/queue/ensure_secrets.sql");
/// See [`open`].
pub const OPEN_LANES: &str = include_str!("../../sql/queue/open_lanes.sql");
const REOPEN_LANES: &str = include_str!("../../sql/queue/reopen_lanes.sql");

/// PostgreSQL holds a gigabyte in one value, and so much in one message; this leaves room.
const LARGEST_BODY: usize = 500_000_000;

/// An event whose body PostgreSQL could not hold.
#[derive(Debug, thiserror::Error)]
#[error("the body of {action} in project {scope} would have {bytes} bytes, which is more than can be stored")]
pub struct BodyTooLarge {
    action: String,
    scope: Scope,
    bytes: usize,
}

/// Stores events with one delivery per recipient, in order. Their lanes are still to be [opened](open).
///
/// # Errors
/// When the database refuses, or with [`BodyTooLarge`]; the caller's transaction must then be
/// rolled back.
pub async fn store(client: &Prepared<'_, impl GenericClient>, events: &[Addressed]) -> Result<()> {
    let last = store_all_but_the_last(client, events).await?;
    store_together(client, last).await
}

/// Stores those that do not go into the last message, and returns the rest, to be [stored together](store_together).
///
/// # Errors
/// As [`store`] has.
pub async fn store_all_but_the_last<'a>(
    client: &Prepared<'_, impl GenericClient>,
    events: &'a [Addressed],
) -> Result<&'a [Addressed]> {
    let size = |addressed: &Addressed| addressed.body.as_ref().map_or(0, String::len);
    if let Some(addressed) = events.iter().find(|addressed| size(addressed) > LARGEST_BODY) {
        let (action, scope) = (addressed.action.clone(), addressed.scope);
        return Err(BodyTooLarge { action, scope, bytes: size(addressed) }.into());
    }
    client.prepare(&[STORE_EVENTS, ENSURE_SECRETS]).await?;
    let mut start = 0;
    let mut bytes = 0;
    for (place, addressed) in events.iter().enumerate() {
        if bytes + size(addressed) > LARGEST_BODY {
            store_together(client, &events[start..place]).await?;
            (start, bytes) = (place, 0);
        }
        bytes += size(addressed);
    }
    Ok(&events[start..])
}

/// Stores what goes into one message, left by [`store_all_but_the_last`]: all is sent before an answer is waited for.
///
/// # Errors
/// When the database refuses.
pub async fn store_together(client: &Prepared<'_, impl GenericClient>, events: &[Addressed]) -> Result<()> {
    if events.is_empty() {
        return Ok(());
    }
    let actions: Vec<&str> = events.iter().map(|addressed| addressed.action.as_str()).collect();
    let scopes: Vec<Scope> = events.iter().map(|addressed| addressed.scope).collect();
    let counts: Vec<i32> =
        events.iter().map(|addressed| i32::try_from(addressed.objects).unwrap_or(i32::MAX)).collect();
    let moments: Vec<SystemTime> = events.iter().map(|addressed| addressed.occurred_at).collect();
    let bodies: Vec<Option<&str>> = events.iter().map(|addressed| addressed.body.as_deref()).collect();
    let ends: Vec<&str> = events.iter().map(|addressed| addressed.end.name()).collect();
    let tap_only: Vec<bool> = events.iter().map(|addressed| addressed.recipients.is_empty()).collect();
    let mut places: Vec<i64> = Vec::new();
    let mut webhooks: Vec<WebhookId> = Vec::new();
    for (addressed, place) in events.iter().zip(1..) {
        for webhook in &addressed.recipients {
            places.push(place);
            webhooks.push(*webhook);
        }
    }
    let event: [&(dyn ToSql + Sync); 9] =
        [&actions, &scopes, &counts, &moments, &bodies, &tap_only, &ends, &places, &webhooks];
    let owners: [&(dyn ToSql + Sync); 1] = [&webhooks];
    let stored = try_join!(
        biased;
        client.execute(STORE_EVENTS, &event),
        client.execute(ENSURE_SECRETS, &owners),
    );
    stored.context("storing events, deliveries and secrets")?;
    client.wrote(events.len() + webhooks.len());
    Ok(())
}

/// Makes lanes due in which deliveries were stored, and returns those that were not. Where this is a transaction of its
/// own after the one that stored them, it waits for nobody who closes such a lane, and whoever stored them must
/// [reopen](reopen) lanes if it does not come to pass. They are the `owner`'s, which hears of them otherwise, or else
/// announced.
///
/// # Errors
/// When the database refuses.
pub async fn open(
    client: &Prepared<'_, impl GenericClient>,
    lanes: &BTreeSet<Lane>,
    owner: Option<Uuid>,
) -> Result<Vec<Lane>> {
    let (webhooks, scopes): (Vec<WebhookId>, Vec<Scope>) = lanes.iter().map(|lane| (lane.webhook, lane.scope)).unzip();
    let due = client.query(OPEN_LANES, &[&webhooks, &scopes, &owner]).await.context("opening lanes")?;
    let lane = |row: &Row| Some(Lane { webhook: row.get::<_, Option<_>>("webhook_id")?, scope: row.get("project_id") });
    Ok(due.iter().filter_map(lane).collect())
}

/// [Stores](store) events and [opens](open) their lanes in the same transaction.
///
/// # Errors
/// As [`store`] has.
pub async fn store_and_open(client: &Prepared<'_, impl GenericClient>, events: &[Addressed]) -> Result<()> {
    store(client, events).await?;
    open(client, &events.iter().flat_map(Addressed::lanes).collect(), None).await?;
    Ok(())
}

/// Takes statistics of the queues where those that there are know nearly nothing of what is in them.
///
/// # Errors
/// When the database refuses.
pub async fn analyze(client: &Prepared<'_, impl GenericClient>) -> Result<()> {
    client.execute("select lshookd.analyze_queues()", &[]).await.context("taking statistics of the queues")?;
    Ok(())
}

/// Makes all lanes due that have something pending and sleep: somebody stored it and was gone before it could open
/// them.
///
/// # Errors
/// When the database refuses.
pub async fn reopen(client: &Prepared<'_, impl GenericClient>) -> Result<()> {
    client.execute(REOPEN_LANES, &[]).await.context("opening lanes that were left closed")?;
    Ok(())
}
