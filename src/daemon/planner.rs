//! The planner's session: changes in, events and deliveries out, in one transaction each.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use tokio::try_join;
use tokio_postgres::error::SqlState;
use tokio_postgres::types::WrongType;
use tokio_postgres::{Client, GenericClient};
use tokio_util::sync::CancellationToken;

use crate::change;
use crate::completion;
use crate::database::{Prepared, Session};
use crate::event::{Event, Shown};
use crate::gather::{self, Unit};
use crate::listen;
use crate::metrics::Metrics;
use crate::plan;
use crate::queue::{self, Addressed, BodyTooLarge};
use crate::render::{PORTION, Renderer};
use crate::rule::{self, Passed, Rule, Rulebook};
use crate::settings::Settings;
use crate::subscription::{self, Notice, Subscriptions};

const BEGIN: &str = include_str!("../../sql/begin.sql");
const COMMIT: &str = include_str!("../../sql/commit.sql");
const ROLLBACK: &str = include_str!("../../sql/rollback.sql");
const IS_LISTENED_TO: &str = include_str!("../../sql/is_listened_to.sql");

/// Most changes that are looked at together.
const WINDOW: usize = 10_000;

/// Objects that the events of one transaction are about, at most, unless one event has more.
const OBJECTS: usize = 2_000;

/// So often a transaction is tried again at once that collided with the deliverer's or found a table locked.
const MOST_COLLISIONS: usize = 500;

/// And this long after: the other one is done by then.
const AFTER_COLLISION: Duration = Duration::from_millis(1);

/// Pause between looks while backends are at work; as long as the last look took, if that is longer, so
/// that planning never takes more than half of the time of a core from Label Studio.
const PULSE: Duration = Duration::from_millis(20);
const LONGEST_PULSE: Duration = Duration::from_secs(1);

/// And as much longer for each change that waits: the more there is to look through, the rarer.
const EACH_WAITING: Duration = Duration::from_micros(20);

/// How often it is seen to what is not urgent.
const UPKEEP: Duration = Duration::from_secs(2);

/// Plans until `stop`, and says so each time it comes round.
///
/// # Errors
/// When the connection is lost, or a statement fails: nothing is lost, the changes are still there.
pub async fn run(
    mut session: Session,
    settings: &Settings,
    metrics: &Metrics,
    stop: &CancellationToken,
    is_alive: impl Fn(),
) -> Result<()> {
    listen::start(&session).await?;
    session.keep_plans().await?;
    session.client.batch_execute(include_str!("../../sql/short_transactions.sql")).await?;
    let mut renderer = Renderer::default();
    let mut sleeper = listen::Sleeper::default();
    let mut errors_seen = 0;
    let mut kept_up: Option<Instant> = None;
    let mut worked = false;
    let mut held_until: Option<Instant> = None;
    let mut rulebook = Rulebook::default();
    while !stop.is_cancelled() {
        is_alive();
        let looked = Instant::now();
        let keeps_up = kept_up.is_none_or(|kept_up| kept_up.elapsed() > UPKEEP);
        if keeps_up || rulebook.has_held() || held_until.is_some_and(|until| until <= looked) {
            held_until = let_held_through(&mut session).await?;
        }
        let database = session.statements.on(&session.client);
        if keeps_up {
            kept_up = Some(looked);
            if std::mem::take(&mut worked) {
                database.discard_plans().await?;
            }
            database.execute(include_str!("../../sql/forget_images.sql"), &[]).await?;
            errors_seen = report_capture_errors(&database, errors_seen).await?;
        }
        let activity = gather::activity(&database, &settings.gather).await?;
        let waiting = activity.changes();
        let ready = gather::ready(&activity, &settings.gather, waiting >= WINDOW);
        if ready.is_empty() && waiting > 0 && !activity.urgent {
            tokio::time::sleep(PULSE + EACH_WAITING * u32::try_from(waiting).unwrap_or(u32::MAX)).await;
            continue;
        }
        // Read after the backends were looked at; see `gather::activity`.
        let pending = change::pending(&database, WINDOW).await?;
        if pending.is_empty() {
            let held = held_until.map_or(Duration::MAX, |until| until.saturating_duration_since(Instant::now()));
            listen::sleep(&mut session, &mut sleeper, settings.poll.min(held), stop).await?;
            continue;
        }
        let units = gather::gather(pending, &activity, &ready, &settings.gather);
        if units.is_empty() {
            tokio::time::sleep(PULSE).await;
            continue;
        }
        worked = true;
        for batch in batches(units, settings) {
            if stop.is_cancelled() {
                break;
            }
            commit_or_set_aside(&mut session, (&mut renderer, &mut rulebook), batch, settings, metrics, &is_alive)
                .await?;
        }
        let took = looked.elapsed();
        if took > PULSE {
            tokio::time::sleep(took.min(LONGEST_PULSE)).await;
        }
    }
    Ok(())
}

/// A unit with its events: the least that can be planned.
struct Planned {
    seqs: Vec<i64>,
    events: Vec<Event>,
}

impl Planned {
    /// Cuts its largest events in two; `false` where there is nothing to cut.
    fn cut(&mut self) -> bool {
        let longest = self.events.iter().map(|event| event.objects.len()).max().unwrap_or_default();
        self.events = self.events.drain(..).flat_map(|event| event.cut(longest.div_ceil(2).max(1))).collect();
        longest > 1
    }
}

/// Plans the units and packs them into transactions of bounded size.
fn batches(units: Vec<Unit>, settings: &Settings) -> Vec<Vec<Planned>> {
    let mut batches = vec![Vec::new()];
    let mut held = 0;
    for unit in units {
        let events = plan::plan(&unit, settings.batch_size, settings.gather.settle);
        let changes = unit.transactions.iter().flat_map(|transaction| &transaction.changes);
        let planned = Planned { seqs: changes.map(|change| change.seq).collect(), events };
        let objects: usize = planned.events.iter().map(|event| event.objects.len()).sum();
        if held > 0 && held + objects > OBJECTS {
            batches.push(Vec::new());
            held = 0;
        }
        held += objects;
        if let Some(batch) = batches.last_mut() {
            batch.push(planned);
        }
    }
    batches
}

/// Commits a batch; where it holds what cannot be made into events, unit by unit, and sets that
/// aside.
async fn commit_or_set_aside(
    session: &mut Session,
    (renderer, rulebook): (&mut Renderer, &mut Rulebook),
    batch: Vec<Planned>,
    settings: &Settings,
    metrics: &Metrics,
    is_alive: &impl Fn(),
) -> Result<()> {
    let mut batches = VecDeque::from([batch]);
    let mut collisions = 0;
    while let Some(mut batch) = batches.pop_front() {
        is_alive();
        let error = match commit(session, renderer, rulebook, &batch, settings).await {
            Ok((changes, events)) => {
                metrics.planned(changes, events);
                continue;
            }
            Err(error) => error,
        };
        if is_a_collision(&error) && collisions < MOST_COLLISIONS {
            collisions += 1;
            batches.push_front(batch);
            tokio::time::sleep(AFTER_COLLISION).await;
            continue;
        }
        if !is_the_datas_fault(&session.client, &error) {
            return Err(error);
        }
        match batch.as_mut_slice() {
            [planned] => match planned.cut() {
                true => batches.push_front(batch),
                false => set_aside(&session.client, planned, &error).await?,
            },
            _ => batches.extend(batch.into_iter().map(|planned| vec![planned])),
        }
    }
    Ok(())
}

/// Moves the changes of a unit out of the way, and says why.
async fn set_aside(client: &Client, planned: &Planned, error: &anyhow::Error) -> Result<()> {
    let reason = format!("{error:#}");
    tracing::error!(
        changes = planned.seqs.len(),
        reason,
        "changes could not be made into events and are set aside in lshookd.change_set_aside; when the cause is \
         mended, select lshookd.plan_again()"
    );
    client
        .execute(include_str!("../../sql/set_aside.sql"), &[&planned.seqs, &reason])
        .await
        .context("setting changes aside")?;
    Ok(())
}

/// Whether a lane that the transaction wakes was put to sleep, or given a pause, since it began; or a table
/// that it reads is locked.
fn is_a_collision(error: &anyhow::Error) -> bool {
    let error = error.chain().find_map(|cause| cause.downcast_ref::<tokio_postgres::Error>());
    let code = error.and_then(tokio_postgres::Error::code);
    code.is_some_and(|code| [SqlState::T_R_SERIALIZATION_FAILURE, SqlState::LOCK_NOT_AVAILABLE].contains(code))
}

/// Whether it fails with these changes for ever: a value that cannot be read or is too large,
/// and not a server that refuses now (Appendix A of PostgreSQL's documentation: classes 22, 54 and
/// XX, the last of which is how it speaks of a value beyond a gigabyte).
fn is_the_datas_fault(client: &Client, error: &anyhow::Error) -> bool {
    if error.is::<BodyTooLarge>() {
        return true;
    }
    let Some(error) = error.chain().find_map(|cause| cause.downcast_ref::<tokio_postgres::Error>()) else {
        return error.chain().any(|cause| cause.is::<serde_json::Error>());
    };
    match error.code() {
        Some(code) => ["22", "54", "XX"].iter().any(|class| code.code().starts_with(class)),
        // A value that this program cannot read; anything else is the connection's end.
        None => !client.is_closed() && std::error::Error::source(error).is_some_and(|cause| cause.is::<WrongType>()),
    }
}

/// Takes the changes of a batch and stores its events, all at once or not at all. The rows are
/// read in the same snapshot, so that no payload is older than its change. How many changes became
/// how many events.
async fn commit(
    session: &mut Session,
    renderer: &mut Renderer,
    rulebook: &mut Rulebook,
    batch: &[Planned],
    settings: &Settings,
) -> Result<(usize, usize)> {
    let client = &session.client;
    match store(&session.statements.on(client), renderer, rulebook, batch, settings).await {
        Ok(stored) => {
            client.batch_execute(COMMIT).await.context("committing the planner's transaction")?;
            tracing::debug!(changes = stored.0, events = stored.1, "planned");
            Ok(stored)
        }
        Err(error) => {
            // Where this fails the connection is lost, and the transaction with it.
            let _ = client.batch_execute(ROLLBACK).await;
            Err(error)
        }
    }
}

/// The same up to the commit.
async fn store(
    database: &Prepared<'_, Client>,
    renderer: &mut Renderer,
    rulebook: &mut Rulebook,
    batch: &[Planned],
    settings: &Settings,
) -> Result<(usize, usize)> {
    let seqs: Vec<i64> = batch.iter().flat_map(|planned| &planned.seqs).copied().collect();
    let events: Vec<&Event> = batch.iter().flat_map(|planned| &planned.events).collect();
    database.prepare(&[change::CONSUME, subscription::READ, IS_LISTENED_TO]).await?;
    // Sent together, which is a way to PostgreSQL and back less.
    let ((), (), subscriptions, heard) = try_join!(
        biased;
        async { database.client().batch_execute(BEGIN).await.context("beginning the planner's transaction") },
        change::consume(database, &seqs),
        Subscriptions::read(database, &events, settings.organization_webhooks),
        is_listened_to(database),
    )?;
    let completions = completion::announced(database, &subscriptions, &events).await?;
    let events = completion::in_place(events, &completions);
    let notices: Vec<Notice<'_>> = events.iter().flat_map(|event| subscriptions.notices(event, heard)).collect();
    let shown: Vec<Shown<'_>> = with_payload(&notices).collect();
    let rendering = renderer.begin(database, &shown).await?;
    let mut stored = 0;
    for portion in portions(&notices) {
        if let [Notice { shown, recipients, with_payload: true, rules }] = portion
            && shown.event.objects.len() > PORTION
            && shown.in_full()
        {
            let store = async |part: Event, body: String| {
                let addressed = address(database, rulebook, rules, &part, recipients, Some(body)).await?;
                stored += addressed.len();
                queue::store(database, &addressed).await
            };
            rendering.at_length(*shown, settings.batch_bytes, store).await?;
            continue;
        }
        let shown: Vec<Shown<'_>> = with_payload(portion).collect();
        let mut bodies = rendering.bodies(&shown).await?.into_iter();
        let mut ready = Vec::new();
        for Notice { shown: Shown { event, .. }, recipients, with_payload, rules } in portion {
            let body = if *with_payload { bodies.next().flatten() } else { None };
            if *with_payload && body.is_none() {
                tracing::debug!(action = %event.action, project = event.project, objects = ?event.objects, "gone before it could be announced");
                continue;
            }
            ready.extend(address(database, rulebook, rules, event, recipients, body).await?);
        }
        stored += ready.len();
        queue::store(database, &ready).await?;
    }
    Ok((seqs.len(), stored))
}

/// To whom an event goes: as it is, or as the rules that govern it let it through.
async fn address(
    client: &Prepared<'_, impl GenericClient>,
    rulebook: &mut Rulebook,
    rules: &[&Rule],
    event: &Event,
    recipients: &[i64],
    body: Option<String>,
) -> Result<Vec<Addressed>> {
    let Some(body) = body.as_ref().filter(|_| !rules.is_empty()) else {
        return Ok(vec![Addressed::new(event, recipients.to_vec(), body)]);
    };
    let passed = rulebook.apply(client, rules, event, body).await?;
    let addressed =
        |Passed { action, body }| Addressed { action, ..Addressed::new(event, recipients.to_vec(), Some(body)) };
    Ok(passed.into_iter().map(addressed).collect())
}

/// Sends what rules held back for long enough. When the next is due, if there is one.
async fn let_held_through(session: &mut Session) -> Result<Option<Instant>> {
    let statements = session.statements.clone();
    let mut next = rule::next_held(&statements.on(&session.client)).await?;
    if next.is_some_and(|next| next.is_zero()) {
        let transaction = session.client.transaction().await.context("beginning a transaction")?;
        let database = statements.on(&transaction);
        queue::store(&database, &rule::let_held_through(&database).await?).await?;
        next = rule::next_held(&database).await?;
        transaction.commit().await.context("committing what rules held back")?;
    }
    Ok(next.and_then(|next| Instant::now().checked_add(next)))
}

/// Those that more is shown of than the action's name.
fn with_payload<'a>(notices: &[Notice<'a>]) -> impl Iterator<Item = Shown<'a>> {
    notices.iter().filter(|notice| notice.with_payload).map(|notice| notice.shown)
}

/// Cuts notices into portions that are rendered and stored together: of a bounded number of objects, or a
/// single event that has more.
fn portions<'a, 'b>(notices: &'b [Notice<'a>]) -> impl Iterator<Item = &'b [Notice<'a>]> {
    let mut rest = notices;
    std::iter::from_fn(move || {
        let mut objects = 0;
        let fits = rest.iter().take_while(|notice| {
            objects += notice.shown.event.objects.len();
            objects <= PORTION
        });
        let length = fits.count().max(1).min(rest.len());
        let (portion, others) = rest.split_at(length);
        rest = others;
        (!portion.is_empty()).then_some(portion)
    })
}

/// Whether somebody wants to see events that nobody subscribes to.
async fn is_listened_to(client: &Prepared<'_, impl GenericClient>) -> Result<bool> {
    let row = client.query_one(IS_LISTENED_TO, &[]).await;
    Ok(row.context("reading lshookd.listener")?.get("listened_to"))
}

/// Says once of every error inside capture that it happened. Returns how many there are.
async fn report_capture_errors(client: &Prepared<'_, Client>, seen: i64) -> Result<i64> {
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
