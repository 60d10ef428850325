//! The planner: changes in, events and deliveries out, in one transaction each.
//!
//! Promises: a change leaves the queue in the transaction that stores its events, or is set aside with its reason; one
//! that cannot be planned holds nobody up. Relies on being the only planner of this database, which its role sees to.

mod batch;
mod commit;
mod failure;
mod set_aside;
mod upkeep;

use std::collections::{HashMap, VecDeque};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use jiff::Timestamp;
use tokio::try_join;
use tokio_postgres::Client;
use tokio_util::sync::CancellationToken;

use crate::config::{GatherLimits, Settings};
use crate::metrics::Metrics;
use crate::model::End;
use crate::pg::role::{self, Heartbeat};
use crate::pg::{Prepared, Session};
use crate::pipeline::gather::{self, Activity, Clients, Unit};
use crate::pipeline::interruption::Interruption;
use crate::pipeline::render::{Tasks, Unrenderable};
use crate::pipeline::rule;
use crate::pipeline::{listen, operation};
use crate::queue::change::{self, Connection, Pending};
use crate::queue::{self, DueLanes, Floor};
use batch::{Planned, batches};
use commit::Writer;
use failure::Failure;
use upkeep::{Triggers, report_capture_errors};

/// Maximum changes that are looked at together.
const WINDOW: usize = 10_000;

/// So often a transaction is done over at once that collided with the deliverer's or found a table locked.
const MAXIMUM_COLLISIONS: usize = 500;

/// And this long after: the other one is done by then.
const COLLISION_PAUSE: Duration = Duration::from_millis(1);

/// So often, and this long after, a transaction is done over that failed in a way which may pass.
const MAXIMUM_DOUBTS: usize = 3;
const DOUBT_PAUSE: Duration = Duration::from_secs(1);

/// While others work in the database, the planner rests after a look that took longer than the first for as long as that
/// took, the second at most, so that it never takes more than half of the time of a core from Label Studio. What is of no
/// more objects than the last is planned all the same: an annotation waits for no rest after an import.
const SHORT_LOOK: Duration = Duration::from_millis(20);
const LONGEST_REST: Duration = Duration::from_secs(1);
const MAXIMUM_AT_REST: usize = 100;

/// Bounds of the pause before the next look where nothing that waits is complete: a part of the time that the latest action
/// has lasted, so that the end of a short one is seen soon, and a long one is not looked at too often.
const SHORTEST_PAUSE: Duration = Duration::from_millis(2);
const LONGEST_PAUSE: Duration = Duration::from_millis(20);
const PART_OF_ACTION: u32 = 10;

/// And so many times as long as looks take, within the bounds: the pause may be as much longer for each change that waits.
/// One that takes longer than twice as long as the one before, and than this, had to wait for the processor.
const PAUSE_PER_LOOK: u32 = 9;
const PAUSE_PER_CHANGE: Duration = Duration::from_micros(20);
const QUICK_LOOK: Duration = Duration::from_micros(200);

/// How often it is looked for what operators should hear.
const REPORT_INTERVAL: Duration = Duration::from_secs(10);

/// How often the planner sees to what is not urgent.
const UPKEEP_INTERVAL: Duration = Duration::from_secs(2);

/// The planner, active on its session.
struct Planner<'a, A> {
    session: Session,
    heartbeat: Heartbeat,
    settings: &'a Settings,
    metrics: &'a Metrics,
    interruption: &'a Interruption,
    stop: &'a CancellationToken,
    /// Called each time it comes round.
    is_alive: A,
    writer: Writer,
    clients: Clients,
    triggers: Triggers,
    floor: Floor,
    capture_errors: i64,
    /// When it was looked last for what operators should hear.
    reported: Option<Instant>,
    /// When upkeep was done last.
    kept_up: Option<Instant>,
    /// When the next throttled event is due.
    throttled_until: Option<Instant>,
    /// Until when it rests.
    rests_until: Instant,
    /// How long looks take that find nothing complete.
    looks_take: Duration,
}

/// What a look at the queue finds.
enum Look {
    /// What is unplanned is of connections that are all still busy.
    NothingReady { activity: Activity },
    /// More than the planner takes on while it rests.
    TooMuch,
    /// The changes that wait, if any, and the connections of which they are complete.
    Ready { activity: Activity, ready: HashMap<Connection, End>, pending: Pending },
}

/// Looks at the queue.
///
/// # Errors
/// When the connection is lost.
async fn look(
    database: &Prepared<'_, Client>,
    clients: &mut Clients,
    limits: &GatherLimits,
    rests: bool,
) -> Result<Look> {
    // The backends are looked at before the changes are read: of a backend that has ended or is idle now, all
    // that it has committed is then among the changes.
    let activity = gather::activity(database, clients, limits, WINDOW).await?;
    let waiting = activity.changes();
    if rests && waiting > MAXIMUM_AT_REST {
        return Ok(Look::TooMuch);
    }
    let ready = gather::ready_connections(&activity, limits, waiting >= WINDOW);
    if ready.is_empty() && waiting > 0 && !activity.urgent {
        return Ok(Look::NothingReady { activity });
    }
    Ok(Look::Ready { activity, ready, pending: change::pending(database, WINDOW).await? })
}

/// How long looks take, after one that took so long.
fn usual(before: Duration, took: Duration) -> Duration {
    took.min(QUICK_LOOK.max(before.saturating_mul(2)))
}

/// How long to wait where looks take so long and the last has found nothing complete among so many changes.
fn pause(took: Duration, youngest: Duration, changes: usize) -> Duration {
    let more = PAUSE_PER_CHANGE.saturating_mul(u32::try_from(changes).unwrap_or(u32::MAX));
    let longest = LONGEST_PAUSE.saturating_add(more);
    let soon = (youngest / PART_OF_ACTION).clamp(SHORTEST_PAUSE, LONGEST_PAUSE);
    soon.max(took.saturating_mul(PAUSE_PER_LOOK)).min(longest)
}

/// Plans until `stop`, and calls `is_alive` each time it comes round.
///
/// # Errors
/// When the connection is lost, or a statement fails: nothing is lost, the changes still wait.
pub async fn run(
    session: Session,
    heartbeat: Heartbeat,
    settings: &Settings,
    (metrics, interruption, due_lanes): (&Metrics, &Interruption, &DueLanes),
    stop: &CancellationToken,
    is_alive: impl Fn(),
) -> Result<()> {
    listen::start(&session).await?;
    session.keep_plans().await?;
    session.client.batch_execute(include_str!("../../sql/pg/short_transactions.sql")).await?;
    let clients = Clients::read(&session.statements.on(&session.client)).await?;
    queue::analyze(&session.statements.on(&session.client)).await?;
    queue::reopen(&session.statements.on(&session.client)).await?;
    interruption.ends(Timestamp::now());
    let planner = Planner {
        session,
        heartbeat,
        settings,
        metrics,
        interruption,
        stop,
        is_alive,
        writer: Writer::new(settings, due_lanes.clone()),
        clients,
        triggers: Triggers::default(),
        floor: Floor::default(),
        capture_errors: 0,
        reported: None,
        kept_up: None,
        throttled_until: None,
        rests_until: Instant::now(),
        looks_take: Duration::ZERO,
    };
    planner.run().await
}

impl<A: Fn()> Planner<'_, A> {
    async fn run(mut self) -> Result<()> {
        let mut sleeper = listen::Sleeper::default();
        self.keep_up().await?;
        let mut awake_since = Instant::now();
        while !self.stop.is_cancelled() {
            (self.is_alive)();
            // What has just come goes first; upkeep is done before sleeping, and where there is no sleep.
            if awake_since.elapsed() > UPKEEP_INTERVAL {
                self.keep_up().await?;
            }
            self.release_if_due().await?;
            let looked = Instant::now();
            let database = self.session.statements.on(&self.session.client);
            self.heartbeat.beat(&database).await?;
            self.writer.open_lanes(&database).await?;
            let look = look(&database, &mut self.clients, &self.settings.gather, looked < self.rests_until);
            let ((), look) = try_join!(biased; sleeper.rise(&database), look)?;
            let (activity, ready, Pending { changes, unreadable }) = match look {
                Look::NothingReady { activity } => {
                    self.wait_for_more(looked, &activity).await;
                    continue;
                }
                Look::TooMuch => {
                    self.end_rest().await;
                    continue;
                }
                Look::Ready { activity, ready, pending } => (activity, ready, pending),
            };
            for (seq, reason) in &unreadable {
                set_aside::changes(&self.session.client, self.metrics, &[*seq], reason).await?;
            }
            if changes.is_empty() {
                self.floor.rise(&self.session.statements.on(&self.session.client)).await?;
                self.keep_up().await?;
                let pause = self.longest_sleep();
                listen::sleep(&mut self.session, &mut sleeper, pause, self.stop).await?;
                awake_since = Instant::now();
                continue;
            }
            let units = gather::gather(changes, &activity, &ready, &self.settings.gather);
            if units.is_empty() {
                self.wait_for_more(looked, &activity).await;
                continue;
            }
            let changes = units.iter().flat_map(|unit| &unit.transactions).flat_map(|transaction| &transaction.changes);
            if looked < self.rests_until && changes.map(|change| change.ids.len()).sum::<usize>() > MAXIMUM_AT_REST {
                self.end_rest().await;
                continue;
            }
            self.plan(units).await?;
            self.floor.rise(&self.session.statements.on(&self.session.client)).await?;
            sleeper.has_worked();
            let took = looked.elapsed();
            if took > SHORT_LOOK && gather::others_work(&self.session.statements.on(&self.session.client)).await? {
                self.rests_until = Instant::now() + took.min(LONGEST_REST);
            }
        }
        self.heartbeat.stop(&self.session.client).await
    }

    /// Waits after a look, begun then, that found nothing complete.
    async fn wait_for_more(&mut self, looked: Instant, activity: &Activity) {
        self.looks_take = usual(self.looks_take, looked.elapsed());
        tokio::time::sleep(pause(self.looks_take, activity.youngest(), activity.changes())).await;
    }

    /// Waits until it has rested.
    async fn end_rest(&self) {
        tokio::time::sleep_until(self.rests_until.into()).await;
    }

    /// How long the planner may sleep when nothing waits.
    fn longest_sleep(&self) -> Duration {
        let throttled =
            self.throttled_until.map_or(Duration::MAX, |until| until.saturating_duration_since(Instant::now()));
        self.settings.poll.min(throttled).min(role::INTERVAL)
    }

    /// Stores throttled events, where some may be due.
    async fn release_if_due(&mut self) -> Result<()> {
        if self.writer.has_throttled() || self.throttled_until.is_some_and(|until| until <= Instant::now()) {
            self.throttled_until = self.release_throttled().await?;
        }
        Ok(())
    }

    /// Does what is due beside planning, every few seconds.
    async fn keep_up(&mut self) -> Result<()> {
        if self.kept_up.is_some_and(|kept_up| kept_up.elapsed() <= UPKEEP_INTERVAL) {
            return Ok(());
        }
        self.kept_up = Some(Instant::now());
        self.throttled_until = self.release_throttled().await?;
        self.triggers.review(&self.session.client, self.metrics).await?;
        let database = self.session.statements.on(&self.session.client);
        self.clients.review(&database).await?;
        if database.renew_plans().await? {
            queue::analyze(&database).await?;
        }
        database.execute(include_str!("../../sql/plan/forget_rows.sql"), &[]).await?;
        let capture_errors = report_capture_errors(&database, self.capture_errors).await?;
        if std::mem::replace(&mut self.capture_errors, capture_errors) != capture_errors {
            self.writer.counts().forget();
        }
        self.writer.counts().lack_notes(self.triggers.are_missing());
        self.writer.counts().review(&database).await?;
        if self.reported.is_none_or(|reported| reported.elapsed() > REPORT_INTERVAL) {
            self.reported = Some(Instant::now());
            self.report().await?;
        }
        Ok(())
    }

    /// Stores what operators should hear.
    async fn report(&mut self) -> Result<()> {
        let statements = self.session.statements.clone();
        let transaction = self.session.client.transaction().await.context("beginning a transaction")?;
        let database = statements.on(&transaction);
        let backlog = i64::try_from(self.settings.backlog).unwrap_or(i64::MAX / 2);
        let interruption = self.interruption.to_tell(Timestamp::now());
        let reported = operation::report(&database, self.writer.rulebook(), backlog, interruption.as_ref()).await?;
        queue::store_and_open(&database, &reported).await?;
        transaction.commit().await.context("committing operational events")?;
        if interruption.is_some() {
            self.interruption.is_told(Timestamp::now());
        }
        Ok(())
    }

    /// Stores events that rules have throttled for long enough; when the next is due, if there is one.
    async fn release_throttled(&mut self) -> Result<Option<Instant>> {
        let statements = self.session.statements.clone();
        let mut next = rule::next_throttled(&statements.on(&self.session.client)).await?;
        if next.is_some_and(|next| next.is_zero()) {
            let transaction = self.session.client.transaction().await.context("beginning a transaction")?;
            let database = statements.on(&transaction);
            let released = rule::release_throttled(&database).await?;
            queue::store_and_open(&database, &released).await?;
            next = rule::next_throttled(&database).await?;
            transaction.commit().await.context("committing throttled events")?;
        }
        Ok(next.and_then(|next| Instant::now().checked_add(next)))
    }

    async fn plan(&mut self, units: Vec<Unit>) -> Result<()> {
        self.writer.begin_look();
        for unit in &units {
            self.metrics.gathered(unit.end);
            if unit.end != End::Closed {
                self.clients.planned(unit.connection());
            }
        }
        for batch in batches(units, self.settings) {
            if self.stop.is_cancelled() {
                break;
            }
            let database = self.session.statements.on(&self.session.client);
            self.heartbeat.beat(&database).await?;
            self.writer.counts().keep(&database).await?;
            self.commit_or_set_aside(batch).await?;
        }
        Ok(())
    }

    /// Commits a batch; where something in it cannot be planned, unit by unit, and sets that aside.
    async fn commit_or_set_aside(&mut self, batch: Vec<Planned>) -> Result<()> {
        let mut batches = VecDeque::from([batch]);
        let mut collisions = 0;
        let mut doubts = 0;
        while let Some(mut batch) = batches.pop_front() {
            (self.is_alive)();
            let client = &self.session.client;
            let error = match self.writer.commit(&self.session.statements.on(client), &batch).await {
                Ok(stored) => {
                    self.metrics.planned(stored.changes, stored.events);
                    continue;
                }
                Err(error) => error,
            };
            if let Some(unrenderable) = error.downcast_ref::<Unrenderable>() {
                let seqs: Vec<i64> = batch.iter().flat_map(|planned| &planned.seqs).copied().collect();
                if set_aside::objects(client, self.metrics, &seqs, unrenderable).await? {
                    // What is left of the changes is read again.
                    continue;
                }
            }
            match Failure::of(&error, client) {
                Failure::Collision if collisions < MAXIMUM_COLLISIONS => {
                    tracing::debug!(
                        error = format!("{error:#}"),
                        "planning again what collided with another transaction"
                    );
                    collisions += 1;
                    batches.push_front(batch);
                    tokio::time::sleep(COLLISION_PAUSE).await;
                    continue;
                }
                Failure::Doubtful if doubts < MAXIMUM_DOUBTS => {
                    doubts += 1;
                    batches.push_front(batch);
                    tokio::time::sleep(DOUBT_PAUSE).await;
                    continue;
                }
                Failure::Collision | Failure::Passing => return Err(error),
                Failure::Doubtful | Failure::Permanent => {}
            }
            match batch.as_mut_slice() {
                [planned] => match planned.cut() {
                    true => batches.push_front(batch),
                    false => self.set_aside(planned, &format!("{error:#}")).await?,
                },
                _ => batches.extend(batch.into_iter().map(|planned| vec![planned])),
            }
        }
        Ok(())
    }

    /// Sets a unit aside that cannot be stored as a whole: the objects whose events cannot be stored by themselves, or
    /// all of its changes where there is no such event.
    async fn set_aside(&mut self, planned: &Planned, reason: &str) -> Result<()> {
        let client = &self.session.client;
        let mut culprits = Unrenderable::default();
        let alone = if planned.events.len() < 2 { &[] } else { planned.events.as_slice() };
        for event in alone {
            let alone = [Planned { seqs: Vec::new(), events: vec![event.clone()], tasks: Tasks::new() }];
            if let Some(error) = self.writer.attempt(&self.session.statements.on(client), &alone).await? {
                match Failure::of(&error, client) {
                    Failure::Collision | Failure::Passing => return Err(error),
                    Failure::Doubtful | Failure::Permanent => culprits.add_all(event, || format!("{error:#}")),
                }
            }
        }
        if !set_aside::objects(client, self.metrics, &planned.seqs, &culprits).await? {
            set_aside::changes(client, self.metrics, &planned.seqs, reason).await?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_a_short_action_is_seen_soon() {
        let milliseconds = Duration::from_millis;
        let quick = Duration::from_micros(200);
        assert_eq!(pause(quick, milliseconds(5), 1), SHORTEST_PAUSE);
        assert_eq!(pause(quick, milliseconds(60), 1), milliseconds(6));
        assert_eq!(pause(quick, milliseconds(60_000), 1), LONGEST_PAUSE);
    }

    #[test]
    fn looks_that_take_long_are_rarer_where_there_is_much_to_look_through() {
        let milliseconds = Duration::from_millis;
        assert_eq!(pause(milliseconds(1), milliseconds(5), 10), milliseconds(9));
        assert_eq!(pause(milliseconds(50), milliseconds(5), 0), LONGEST_PAUSE);
        assert_eq!(pause(milliseconds(50), milliseconds(5), WINDOW), milliseconds(220));
        assert_eq!(pause(Duration::MAX, Duration::MAX, 0), LONGEST_PAUSE);
    }

    #[test]
    fn a_look_that_had_to_wait_for_the_processor_is_no_measure() {
        let microseconds = Duration::from_micros;
        assert_eq!(usual(microseconds(300), microseconds(5_000)), microseconds(600));
        assert_eq!(usual(microseconds(600), microseconds(5_000)), microseconds(1_200), "more of them are");
        assert_eq!(usual(microseconds(1_200), microseconds(300)), microseconds(300));
        assert_eq!(usual(Duration::ZERO, microseconds(5_000)), QUICK_LOOK);
        assert_eq!(usual(Duration::MAX, Duration::MAX), Duration::MAX);
    }
}
