//! The planner: changes in, events and deliveries out, in one transaction each.
//!
//! Promises: a change leaves the queue in the transaction that stores its events, or is set aside with its reason; one
//! that cannot be planned holds nobody up. Relies on being the only planner of this database, which its role sees to.

mod batch;
mod commit;
mod failure;
mod look;
mod order;
mod set_aside;
mod upkeep;

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use jiff::Timestamp;
use tokio::try_join;
use tokio_util::sync::CancellationToken;

use crate::config::Settings;
use crate::metrics::Metrics;
use crate::model::End;
use crate::pg::Session;
use crate::pg::role::{self, Heartbeat};
use crate::pipeline::gather::{self, Activity, Clients, Unit};
use crate::pipeline::interruption::Interruption;
use crate::pipeline::render::{Tasks, Unrenderable};
use crate::pipeline::rule;
use crate::pipeline::{listen, operation};
use crate::queue::change::Pending;
use crate::queue::{self, DueLanes, Floor};
use batch::{OBJECTS, Planned, batches};
use commit::Writer;
use failure::Failure;
use look::{Look, look};
use order::Large;
use upkeep::{Triggers, report_capture_errors};

/// So often a transaction is done over at once that collided with the deliverer's or found a table locked.
const MAXIMUM_COLLISIONS: usize = 500;

/// And this long after: the other one is done by then.
const COLLISION_PAUSE: Duration = Duration::from_millis(1);

/// So often, and this long after, a transaction is done over that failed in a way which may pass.
const MAXIMUM_DOUBTS: usize = 3;
const DOUBT_PAUSE: Duration = Duration::from_secs(1);

/// While others work in the database, the planner rests after a look that took longer than the first for as long as that
/// took, the second at most, so that it never takes more than half of the time of a core from Label Studio. What is of few
/// objects is planned all the same, unless too many changes wait to be looked through: an annotation waits for no rest
/// after an import.
const SHORT_LOOK: Duration = Duration::from_millis(20);
const LONGEST_REST: Duration = Duration::from_secs(1);
const MAXIMUM_AT_REST: usize = 100;
const MAXIMUM_LOOKED_THROUGH: usize = 200;

/// After so much time with something large it is looked what has come meanwhile that is small, unless too much has.
const LARGE_WORK: Duration = Duration::from_millis(100);

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
    /// What it is at beside the rest.
    large: Large,
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
        large: Large::default(),
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
            let rests = looked < self.rests_until;
            let in_hand = self.large.seqs();
            let most = (rests || !self.large.is_empty()).then_some(MAXIMUM_LOOKED_THROUGH);
            let look = look(&database, &mut self.clients, &self.settings.gather, most, &in_hand);
            let ((), look) = try_join!(biased; sleeper.rise(&database), look)?;
            let units = match look {
                Look::NothingReady { activity } if rests || self.large.is_empty() => {
                    self.wait_for_more(looked, &activity).await;
                    continue;
                }
                Look::TooMuch if rests => {
                    self.end_rest().await;
                    continue;
                }
                // What is large goes on.
                Look::NothingReady { .. } | Look::TooMuch => Vec::new(),
                Look::Ready { activity, ready, pending: Pending { changes, unreadable } } => {
                    for (seq, reason) in &unreadable {
                        set_aside::changes(&self.session.client, self.metrics, &[*seq], reason).await?;
                    }
                    if changes.is_empty() && self.large.is_empty() {
                        self.floor.rise(&self.session.statements.on(&self.session.client)).await?;
                        self.keep_up().await?;
                        let pause = self.longest_sleep();
                        listen::sleep(&mut self.session, &mut sleeper, pause, self.stop).await?;
                        awake_since = Instant::now();
                        continue;
                    }
                    let units = gather::gather(changes, &activity, &ready, &self.settings.gather);
                    let small = self.sort_out(units, rests);
                    if small.is_empty() && (rests || self.large.is_empty()) {
                        self.wait_for_more(looked, &activity).await;
                        continue;
                    }
                    small
                }
            };
            self.plan(units, rests).await?;
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
        self.looks_take = look::usual(self.looks_take, looked.elapsed());
        tokio::time::sleep(look::pause(self.looks_take, activity.youngest(), activity.changes())).await;
    }

    /// What of these units is planned now; takes what is large in hand, unless it rests or is at something large already.
    fn sort_out(&mut self, units: Vec<Unit>, rests: bool) -> Vec<Unit> {
        let (small, large) = self.large.small_and_large(units, if rests { MAXIMUM_AT_REST } else { OBJECTS });
        if rests {
            return order::first(small, MAXIMUM_AT_REST);
        }
        if self.large.is_empty() {
            self.large = Large::of(large, self.settings);
        }
        small
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

    /// Plans what is small, and then, unless it rests, for a while what is large.
    async fn plan(&mut self, small: Vec<Unit>, rests: bool) -> Result<()> {
        self.writer.begin_look();
        for batch in batches(small, self.settings) {
            self.store(batch).await?;
        }
        let began = Instant::now();
        while !rests
            && began.elapsed() < LARGE_WORK
            && let Some(batch) = self.large.next()
        {
            self.store(batch).await?;
        }
        Ok(())
    }

    /// Stores a batch, unless it is to stop.
    async fn store(&mut self, batch: Vec<Planned>) -> Result<()> {
        if self.stop.is_cancelled() {
            return Ok(());
        }
        let database = self.session.statements.on(&self.session.client);
        self.heartbeat.beat(&database).await?;
        self.writer.counts().keep(&database).await?;
        let ended: Vec<_> = batch.iter().filter_map(|planned| planned.ended).collect();
        self.commit_or_set_aside(batch).await?;
        for (connection, end) in ended {
            self.metrics.gathered(end);
            if end != End::Closed {
                self.clients.planned(connection);
            }
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
            let alone = [Planned { seqs: Vec::new(), events: vec![event.clone()], tasks: Tasks::new(), ended: None }];
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
