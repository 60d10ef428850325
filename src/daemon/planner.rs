//! The planner's session: changes in, events and deliveries out, in one transaction each.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use tokio::try_join;
use tokio_postgres::error::SqlState;
use tokio_postgres::types::WrongType;
use tokio_postgres::{Client, GenericClient};
use tokio_util::sync::CancellationToken;

use crate::change::{self, Pending};
use crate::completion;
use crate::database::{Prepared, Session};
use crate::event::{End, Event, Shown};
use crate::gather::{self, Clients, Unit};
use crate::heartbeat::{self, Heartbeat};
use crate::install;
use crate::listen;
use crate::metrics::Metrics;
use crate::plan;
use crate::queue::{self, Addressed, BodyTooLarge};
use crate::render::{PORTION, Renderer, Unrenderable, gone};
use crate::rule::{self, Passed, Rule, Rulebook};
use crate::settings::Settings;
use crate::subscription::{self, Notice, Subscriptions};

/// All that a transaction of the planner's reads is of one moment.
const BEGIN: &str = "start transaction isolation level repeatable read";
const HAS_TAPS: &str = include_str!("../../sql/plan/taps.sql");

/// Most changes that are looked at together.
const WINDOW: usize = 10_000;

/// Objects that the events of one transaction are about, at most, unless one event has more.
const OBJECTS: usize = 2_000;

/// So often a transaction is tried again at once that collided with the deliverer's or found a table locked.
const MOST_COLLISIONS: usize = 500;

/// And this long after: the other one is done by then.
const AFTER_COLLISION: Duration = Duration::from_millis(1);

/// So often, and this long after, a transaction is tried again that failed in a way which may pass.
const MOST_DOUBTS: usize = 3;
const AFTER_DOUBT: Duration = Duration::from_secs(1);

/// Pause between looks while backends are at work; as long as the last look took, if that is longer, so
/// that planning never takes more than half of the time of a core from Label Studio.
const PULSE: Duration = Duration::from_millis(20);
const LONGEST_PULSE: Duration = Duration::from_secs(1);

/// And as much longer for each change that waits: the more there is to look through, the rarer.
const EACH_WAITING: Duration = Duration::from_micros(20);

/// How often it is seen to what is not urgent.
const UPKEEP: Duration = Duration::from_secs(2);

/// How often it is looked whether the triggers are still there, and enabled.
const TRIGGERS: Duration = Duration::from_secs(10);

/// Plans until `stop`, and says so each time it comes round.
///
/// # Errors
/// When the connection is lost, or a statement fails: nothing is lost, the changes are still there.
pub async fn run(
    mut session: Session,
    mut heartbeat: Heartbeat,
    settings: &Settings,
    metrics: &Metrics,
    stop: &CancellationToken,
    is_alive: impl Fn(),
) -> Result<()> {
    listen::start(&session).await?;
    session.keep_plans().await?;
    session.client.batch_execute(include_str!("../../sql/pg/short_transactions.sql")).await?;
    let mut renderer = Renderer::new(&settings.extra_fields);
    let mut sleeper = listen::Sleeper::default();
    let mut errors_seen = 0;
    let mut kept_up: Option<Instant> = None;
    let mut triggers = Triggers::default();
    let mut worked = false;
    let mut held_until: Option<Instant> = None;
    let mut rulebook = Rulebook::default();
    let mut clients = Clients::read(&session.statements.on(&session.client)).await?;
    while !stop.is_cancelled() {
        is_alive();
        let looked = Instant::now();
        let keeps_up = kept_up.is_none_or(|kept_up| kept_up.elapsed() > UPKEEP);
        if keeps_up || rulebook.has_held() || held_until.is_some_and(|until| until <= looked) {
            held_until = let_held_through(&mut session).await?;
        }
        if keeps_up {
            triggers.review(&session.client, metrics).await?;
        }
        let database = session.statements.on(&session.client);
        heartbeat.beat(&database).await?;
        if keeps_up {
            kept_up = Some(looked);
            clients.review(&database).await?;
            if std::mem::take(&mut worked) {
                database.discard_plans().await?;
            }
            database.execute(include_str!("../../sql/plan/forget_rows.sql"), &[]).await?;
            errors_seen = report_capture_errors(&database, errors_seen).await?;
        }
        let activity = gather::activity(&database, &mut clients, &settings.gather, WINDOW).await?;
        let waiting = activity.changes();
        let ready = gather::ready(&activity, &settings.gather, waiting >= WINDOW);
        if ready.is_empty() && waiting > 0 && !activity.urgent {
            tokio::time::sleep(PULSE + EACH_WAITING * u32::try_from(waiting).unwrap_or(u32::MAX)).await;
            continue;
        }
        // Read after the backends were looked at; see `gather::activity`.
        let Pending { changes, unreadable } = change::pending(&database, WINDOW).await?;
        for (seq, reason) in &unreadable {
            set_aside(&session.client, metrics, &[*seq], reason).await?;
        }
        if changes.is_empty() {
            let held = held_until.map_or(Duration::MAX, |until| until.saturating_duration_since(Instant::now()));
            let longest = settings.poll.min(held).min(heartbeat::INTERVAL);
            listen::sleep(&mut session, &mut sleeper, longest, stop).await?;
            continue;
        }
        let units = gather::gather(changes, &activity, &ready, &settings.gather);
        if units.is_empty() {
            tokio::time::sleep(PULSE).await;
            continue;
        }
        worked = true;
        for unit in &units {
            metrics.gathered(unit.end);
            if unit.end != End::Closed {
                clients.planned(unit.connection());
            }
        }
        for batch in batches(units, settings) {
            if stop.is_cancelled() {
                break;
            }
            heartbeat.beat(&session.statements.on(&session.client)).await?;
            commit_or_set_aside(&mut session, (&mut renderer, &mut rulebook), batch, settings, metrics, &is_alive)
                .await?;
        }
        let took = looked.elapsed();
        if took > PULSE {
            tokio::time::sleep(took.min(LONGEST_PULSE)).await;
        }
    }
    heartbeat.stop(&session.client).await
}

/// Whether all of Label Studio's tables are captured, as it was seen last.
#[derive(Default)]
struct Triggers {
    seen: Option<Instant>,
    missing: Vec<String>,
}

impl Triggers {
    /// Somebody may disable or drop them while we run: what they would capture is lost.
    async fn review(&mut self, client: &Client, metrics: &Metrics) -> Result<()> {
        if self.seen.is_some_and(|seen| seen.elapsed() < TRIGGERS) {
            return Ok(());
        }
        self.seen = Some(Instant::now());
        let missing = install::missing_triggers(client).await?;
        metrics.triggers_missing(missing.len());
        if missing != self.missing && !missing.is_empty() {
            tracing::error!(
                missing = missing.join(", "),
                "triggers are missing or disabled, and what they would capture is not announced; run `lshookd install`"
            );
        } else if missing != self.missing {
            tracing::info!("all triggers are there again");
        }
        self.missing = missing;
        Ok(())
    }
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
    let mut doubts = 0;
    while let Some(mut batch) = batches.pop_front() {
        is_alive();
        let error = match commit(session, renderer, rulebook, &batch, settings).await {
            Ok((changes, events)) => {
                metrics.planned(changes, events);
                continue;
            }
            Err(error) => error,
        };
        if let Some(unrenderable) = error.downcast_ref::<Unrenderable>()
            && set_aside_objects(&session.client, metrics, &batch, unrenderable).await?
        {
            // What is left of the changes is read again.
            continue;
        }
        if is_a_collision(&error) && collisions < MOST_COLLISIONS {
            collisions += 1;
            batches.push_front(batch);
            tokio::time::sleep(AFTER_COLLISION).await;
            continue;
        }
        match permanence(&session.client, &error) {
            Permanence::Passing => return Err(error),
            Permanence::Doubtful if doubts < MOST_DOUBTS => {
                doubts += 1;
                batches.push_front(batch);
                tokio::time::sleep(AFTER_DOUBT).await;
                continue;
            }
            Permanence::Doubtful | Permanence::Lasting => {}
        }
        match batch.as_mut_slice() {
            [planned] => match planned.cut() {
                true => batches.push_front(batch),
                false if set_aside_culprits(session, renderer, rulebook, planned, settings, metrics).await? => {}
                false => set_aside(&session.client, metrics, &planned.seqs, &format!("{error:#}")).await?,
            },
            _ => batches.extend(batch.into_iter().map(|planned| vec![planned])),
        }
    }
    Ok(())
}

/// Moves changes out of the way, and says why.
async fn set_aside(client: &Client, metrics: &Metrics, seqs: &[i64], reason: &str) -> Result<()> {
    tracing::error!(
        changes = seqs.len(),
        reason,
        "changes could not be made into events and are set aside in lshookd.change_set_aside; when the cause is fixed: \
         select lshookd.requeue_set_aside()"
    );
    metrics.set_aside(seqs.len());
    client
        .execute(include_str!("../../sql/plan/set_aside_changes.sql"), &[&seqs, &reason])
        .await
        .context("setting changes aside")?;
    Ok(())
}

/// Moves objects out of the way of the changes of a batch, and says why; `false` where none of the changes names them.
async fn set_aside_objects(
    client: &Client,
    metrics: &Metrics,
    batch: &[Planned],
    unrenderable: &Unrenderable,
) -> Result<bool> {
    let seqs: Vec<i64> = batch.iter().flat_map(|planned| &planned.seqs).copied().collect();
    let mut changes = 0;
    for (kind, objects, reason) in unrenderable.objects() {
        let relations = vec![kind.name().to_owned(), format!("watched_{}", kind.name())];
        let query = "select lshookd.set_aside_objects($1::bigint[], $2::text[], $3::bigint[], $4::text) as changes";
        let row = client.query_one(query, &[&seqs, &relations, &objects, &reason]).await;
        let of_this_kind: i64 = row.context("setting objects aside")?.get("changes");
        if of_this_kind > 0 {
            tracing::error!(
                changes = of_this_kind,
                kind = kind.name(),
                objects = objects.len(),
                reason,
                "objects cannot be shown in an event and are set aside in lshookd.change_set_aside; when the cause is \
                 fixed: select lshookd.requeue_set_aside()"
            );
        }
        changes += of_this_kind;
    }
    metrics.set_aside(usize::try_from(changes).unwrap_or_default());
    Ok(changes > 0)
}

/// Of a unit that cannot be stored as a whole, sets those objects aside whose events cannot be stored by themselves;
/// `false` where there is no such event.
async fn set_aside_culprits(
    session: &mut Session,
    renderer: &mut Renderer,
    rulebook: &mut Rulebook,
    planned: &Planned,
    settings: &Settings,
    metrics: &Metrics,
) -> Result<bool> {
    if planned.events.len() < 2 {
        return Ok(false);
    }
    let mut culprits = Unrenderable::default();
    for event in &planned.events {
        let alone = [Planned { seqs: Vec::new(), events: vec![event.clone()] }];
        let client = &session.client;
        let tried = store(&session.statements.on(client), renderer, rulebook, &alone, settings).await;
        client.batch_execute("rollback").await.context("rolling back a trial")?;
        if let Err(error) = tried {
            match permanence(client, &error) {
                Permanence::Passing => return Err(error),
                Permanence::Doubtful | Permanence::Lasting => culprits.add_all(event, || format!("{error:#}")),
            }
        }
    }
    let seqs = [Planned { seqs: planned.seqs.clone(), events: Vec::new() }];
    set_aside_objects(&session.client, metrics, &seqs, &culprits).await
}

/// Whether a lane that the transaction wakes was put to sleep, or given a pause, since it began; or a table
/// that it reads is locked.
fn is_a_collision(error: &anyhow::Error) -> bool {
    let error = error.chain().find_map(|cause| cause.downcast_ref::<tokio_postgres::Error>());
    let code = error.and_then(tokio_postgres::Error::code);
    code.is_some_and(|code| [SqlState::T_R_SERIALIZATION_FAILURE, SqlState::LOCK_NOT_AVAILABLE].contains(code))
}

/// Whether an error comes again with the same changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Permanence {
    /// The server refuses now, or the connection is lost: the changes wait.
    Passing,
    /// It may be either: one tries again, and then takes it for lasting.
    Doubtful,
    /// A value that cannot be read or is too large: the changes are set aside.
    Lasting,
}

/// Whether it fails with these changes for ever, by PostgreSQL's codes (Appendix A of its documentation).
fn permanence(client: &Client, error: &anyhow::Error) -> Permanence {
    if error.is::<BodyTooLarge>() || error.is::<Unrenderable>() {
        return Permanence::Lasting;
    }
    let Some(error) = error.chain().find_map(|cause| cause.downcast_ref::<tokio_postgres::Error>()) else {
        return match error.chain().any(|cause| cause.is::<serde_json::Error>()) {
            true => Permanence::Lasting,
            false => Permanence::Passing,
        };
    };
    match error.code() {
        Some(code) => permanence_of(code.code()),
        // A value that this program cannot read; anything else is the connection's end.
        None if !client.is_closed()
            && std::error::Error::source(error).is_some_and(|cause| cause.is::<WrongType>()) =>
        {
            Permanence::Lasting
        }
        None => Permanence::Passing,
    }
}

fn permanence_of(code: &str) -> Permanence {
    match code {
        // Data exceptions; a row that breaks a rule of our own tables.
        _ if code.starts_with("22") || code.starts_with("23") => Permanence::Lasting,
        // A limit of the program: a value beyond a gigabyte, or the queue of notifications, which is full.
        "54000" => Permanence::Doubtful,
        // Too many columns, too complex, too many arguments: statements are what they are.
        "54001" | "54011" | "54023" => Permanence::Passing,
        // Internal errors: how PostgreSQL speaks of a value beyond a gigabyte, of what was dropped meanwhile, and of
        // pages that it cannot read.
        "XX000" | "XX001" | "XX002" => Permanence::Doubtful,
        _ => Permanence::Passing,
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
            client.batch_execute("commit").await.context("committing the planner's transaction")?;
            tracing::debug!(changes = stored.0, events = stored.1, "planned");
            Ok(stored)
        }
        Err(error) => {
            // Where this fails the connection is lost, and the transaction with it.
            let _ = client.batch_execute("rollback").await;
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
    database.prepare(&[change::CONSUME, subscription::READ, HAS_TAPS]).await?;
    // Sent together, which is a way to PostgreSQL and back less.
    let ((), (), subscriptions, heard) = try_join!(
        biased;
        async { database.client().batch_execute(BEGIN).await.context("beginning the planner's transaction") },
        change::consume(database, &seqs),
        Subscriptions::read(database, &events, settings.organization_webhooks),
        has_taps(database),
    )?;
    let mut unrenderable = Unrenderable::default();
    for event in events.iter().filter(|event| subscriptions.is_unknown(event.project)) {
        unrenderable.add_all(event, || gone("project", event.project));
    }
    unrenderable.check()?;
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
            let body = if *with_payload { bodies.next() } else { None };
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

/// Whether somebody wants to see events that no webhook wants.
async fn has_taps(client: &Prepared<'_, impl GenericClient>) -> Result<bool> {
    let row = client.query_one(HAS_TAPS, &[]).await;
    Ok(row.context("reading lshookd.tap")?.get("has_taps"))
}

/// Says once of every error inside capture that it happened. Returns how many there are.
async fn report_capture_errors(client: &Prepared<'_, Client>, seen: i64) -> Result<i64> {
    let row = client
        .query_one(include_str!("../../sql/plan/capture_errors.sql"), &[])
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_of_the_data_are_told_from_those_of_the_server() {
        for (code, permanence) in [
            ("22003", Permanence::Lasting),  // numeric value out of range
            ("22P05", Permanence::Lasting),  // untranslatable character
            ("23514", Permanence::Lasting),  // check violation
            ("54000", Permanence::Doubtful), // program limit exceeded: too many notifications in the NOTIFY queue
            ("XX000", Permanence::Doubtful), // invalid memory alloc request size
            ("XX001", Permanence::Doubtful), // invalid page in block
            ("42501", Permanence::Passing),  // row-level security would hide rows; no privilege
            ("42P01", Permanence::Passing),  // a table is renamed for the time being
            ("40001", Permanence::Passing),  // serialization failure
            ("53100", Permanence::Passing),  // disk full
            ("53200", Permanence::Passing),  // out of memory
            ("55P03", Permanence::Passing),  // lock not available
            ("57014", Permanence::Passing),  // query canceled
            ("57P01", Permanence::Passing),  // admin shutdown
            ("25006", Permanence::Passing),  // read-only transaction
            ("25P03", Permanence::Passing),  // idle in transaction
            ("08006", Permanence::Passing),  // connection failure
            ("0A000", Permanence::Passing),  // feature not supported
        ] {
            assert_eq!(permanence_of(code), permanence, "{code}");
        }
    }
}
