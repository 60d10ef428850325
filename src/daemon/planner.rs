//! The planner's session: changes in, events and deliveries out, in one transaction each.

use std::collections::HashSet;
use std::time::Duration;

use anyhow::{Context, Result};
use tokio_postgres::{Client, IsolationLevel};
use tokio_util::sync::CancellationToken;

use crate::change;
use crate::database::Session;
use crate::event::Event;
use crate::gather::{self, Unit};
use crate::listen;
use crate::plan;
use crate::queue::{self, Addressed};
use crate::render::Renderer;
use crate::settings::Settings;
use crate::subscription::Subscriptions;

/// Most changes that are looked at together.
const WINDOW: i64 = 10_000;

/// Objects that the events of one transaction are about, at most, unless one event has more.
const OBJECTS: usize = 2_000;

/// Pause between looks while backends are at work.
const PULSE: Duration = Duration::from_millis(10);

/// And as much longer for each change that waits: the more there is to look through, the rarer.
const EACH_WAITING: Duration = Duration::from_micros(20);

/// Plans until `stop`.
///
/// # Errors
/// When the connection is lost, or a statement fails: nothing is lost, the changes are still there.
pub async fn run(mut session: Session, settings: &Settings, stop: &CancellationToken) -> Result<()> {
    listen::start(&session).await?;
    let mut renderer = Renderer::default();
    let mut errors_seen = 0;
    while !stop.is_cancelled() {
        // Asked before the changes are read; see `gather::activity`.
        let activity = gather::activity(&session.client).await?;
        let pending = change::pending(&session.client, WINDOW).await?;
        if pending.is_empty() {
            errors_seen = report_capture_errors(&session.client, errors_seen).await?;
            listen::sleep(&mut session, settings.poll, stop).await?;
            continue;
        }
        let crowded = pending.len() >= WINDOW as usize;
        let waiting = u32::try_from(pending.len()).unwrap_or(u32::MAX);
        let units = gather::gather(pending, &activity, &settings.gather, crowded);
        if units.is_empty() {
            tokio::time::sleep(PULSE + EACH_WAITING * waiting).await;
            continue;
        }
        for batch in batches(units, settings) {
            if stop.is_cancelled() {
                break;
            }
            commit(&mut session.client, &mut renderer, batch, settings.organization_webhooks).await?;
        }
        session.client.execute(include_str!("../../sql/forget_images.sql"), &[]).await?;
    }
    Ok(())
}

/// What is planned and stored in one transaction.
#[derive(Default)]
struct Batch {
    seqs: Vec<i64>,
    events: Vec<Event>,
    objects: usize,
}

/// Plans the units and packs them into transactions of bounded size.
fn batches(units: Vec<Unit>, settings: &Settings) -> Vec<Batch> {
    let mut batches = vec![Batch::default()];
    for unit in units {
        let events = plan::plan(&unit, settings.batch_size, settings.gather.settle);
        let objects: usize = events.iter().map(|event| event.objects.len()).sum();
        if batches.last().is_some_and(|batch| batch.objects > 0 && batch.objects + objects > OBJECTS) {
            batches.push(Batch::default());
        }
        if let Some(batch) = batches.last_mut() {
            batch
                .seqs
                .extend(unit.transactions.iter().flat_map(|transaction| &transaction.changes).map(|change| change.seq));
            batch.events.extend(events);
            batch.objects += objects;
        }
    }
    batches
}

/// Takes the changes of a batch and stores its events, all at once or not at all. The rows are
/// read in the same snapshot, so that no payload is older than its change.
async fn commit(client: &mut Client, renderer: &mut Renderer, batch: Batch, organization_webhooks: bool) -> Result<()> {
    let transaction = client
        .build_transaction()
        .isolation_level(IsolationLevel::RepeatableRead)
        .start()
        .await
        .context("beginning the planner's transaction")?;
    change::consume(&transaction, &batch.seqs).await?;
    let subscriptions = Subscriptions::read(&transaction, &batch.events, organization_webhooks).await?;
    let addressed: Vec<(Event, Vec<i64>, bool)> = batch
        .events
        .into_iter()
        .filter_map(|event| {
            let recipients: Vec<i64> = subscriptions.of(&event).map(|subscription| subscription.webhook).collect();
            let wants_payload = subscriptions.of(&event).any(|subscription| subscription.send_payload);
            (!recipients.is_empty()).then_some((event, recipients, wants_payload))
        })
        .collect();
    let with_payload: Vec<&Event> =
        addressed.iter().filter(|(_, _, wants_payload)| *wants_payload).map(|(event, _, _)| event).collect();
    let mut bodies = renderer.render(&transaction, &with_payload).await?.into_iter();
    let mut ready = Vec::new();
    for (event, recipients, wants_payload) in addressed {
        let body = if wants_payload { bodies.next().flatten() } else { None };
        if wants_payload && body.is_none() {
            tracing::debug!(action = %event.action, project = event.project, objects = ?event.objects, "gone before it could be announced");
            continue;
        }
        ready.push(Addressed { event, recipients, body });
    }
    queue::store(&transaction, &ready).await?;
    transaction.commit().await.context("committing the planner's transaction")?;
    let projects: HashSet<i64> = ready.iter().map(|addressed| addressed.event.project).collect();
    tracing::debug!(changes = batch.seqs.len(), events = ready.len(), projects = projects.len(), "planned");
    Ok(())
}

/// Says once of every error inside capture that it happened. Returns how many there are.
async fn report_capture_errors(client: &Client, seen: i64) -> Result<i64> {
    let row = client
        .query_one(include_str!("../../sql/capture_errors.sql"), &[])
        .await
        .context("reading lshookd.capture_error")?;
    let count: i64 = row.get("count");
    if count > seen {
        tracing::error!(
            new = count - seen,
            last = row.get::<_, Option<String>>("last"),
            "changes could not be captured and are not announced; see lshookd.capture_error and run `lshookd install`"
        );
    }
    Ok(count)
}
