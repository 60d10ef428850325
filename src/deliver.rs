//! Delivering: pending deliveries → HTTP requests, lane by lane.
//!
//! Promises: within a lane (one webhook, one project) deliveries go out one after the
//! other, in the order of their events; lanes do not wait for each other; a delivery is done
//! when a 2xx answer is recorded, and until then it is sent again. Daemons on one database share its lanes.

mod answer;
pub mod backoff;
mod body;
mod claim;
mod client;
mod cloudevent;
mod connect;
mod connection;
mod due;
mod egress;
mod failing;
mod headers;
mod lane;
mod lookup;
mod mask;
mod message;
mod obstacle;
mod option;
mod peers;
mod publish;
mod record;
mod redirect;
mod resolver;
mod route;
mod sender;
mod share;
mod signature;
mod stream;
mod trace;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use tokio::sync::{Notify, Semaphore, mpsc};
use tokio::task::{Id, JoinError, JoinSet};
use tokio::time::{sleep, timeout};
use tokio_postgres::Client;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use crate::config::Settings;
use crate::metrics::Metrics;
use crate::model::Lane;
use crate::pg::role::{self, Heartbeat};
use crate::pg::{self, Prepared, Session, Statements};
use crate::queue::{self, DueLanes, Progress, Settled, Told};
pub use answer::{Answer, read_leniently};
use claim::Claims;
pub use cloudevent::CloudEvent;
use due::{Look, ServerClock, due_lanes};
use egress::EgressPolicy;
use failing::FailingWebhooks;
pub use headers::{carried, ineffective_headers};
pub use message::Message;
pub use obstacle::{Reachability, obstacles, report_refused};
pub use option::{DeliveryOptions, OptionCache, TRAINING};
use peers::Peers;
use record::Recorder;
use sender::Sender;
use share::Shares;
pub use signature::signature;
pub use trace::Traces;

/// Maximum lanes that are worked on at once; the others stay due.
const MAXIMUM_LANES: usize = 2048;

/// And maximum that are begun after one look: one webhook's share is worked on before the next look.
const MAXIMUM_BEGUN: usize = 512;

/// And maximum of those in which nothing waits.
const MAXIMUM_LINGERING: usize = 128;

/// So many lanes that were just opened are begun without a look; more are begun in the order in which they wait.
const MAXIMUM_TOLD: usize = 32;

/// Lanes that end within this time are looked after together.
const GATHERING: Duration = Duration::from_millis(10);

/// And within this time, where others are awaited.
const CROWDED: Duration = Duration::from_millis(100);

/// Bodies of more than a megabyte that are held at once, in kilobytes; one alone may be larger.
const LARGE_BODIES: u32 = 16 * 1024;

/// How long PostgreSQL may leave a question unanswered, and how often it is asked at least while
/// lanes are worked on. Together less than the 19 s after which it ends the session of a client that has
/// fallen silent (`sql/pg/session.sql`), and lets another daemon have the lanes.
const LEASE: Duration = Duration::from_secs(10);
const RENEWAL: Duration = Duration::from_secs(4);

/// How often it is looked up to where all deliveries are there.
const SETTLING: Duration = Duration::from_secs(1);

/// How long a lane waits that failed by a mistake of ours.
const AFTER_PANIC: Duration = Duration::from_secs(60);

/// How long requests in flight may take to end when the daemon stops.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(7);

/// What every lane needs.
struct Shared {
    client: Client,
    statements: Statements,
    sender: Sender,
    claims: Claims,
    recorder: Recorder,
    retry_schedule: Vec<Duration>,
    shares: Shares,
    peers: Peers,
    /// All deliveries up to this one are there, or will never be.
    settled: AtomicI64,
    options: OptionCache,
    large_bodies: Semaphore,
    /// Seats of lanes in which nothing waits.
    lingering: Semaphore,
    metrics: Metrics,
    traces: Traces,
    stop: CancellationToken,
}

impl Shared {
    fn database(&self) -> Prepared<'_, Client> {
        self.statements.on(&self.client)
    }
}

/// Delivers what is due until `stop`, then lets requests in flight end.
///
/// # Errors
/// When the connection is lost: what was in flight is then sent again.
pub async fn run(
    session: Session,
    settings: &Settings,
    (metrics, traces, due_lanes): (&Metrics, &Traces, &DueLanes),
    heartbeat: Heartbeat,
    stop: &CancellationToken,
) -> Result<()> {
    // A slow request goes on beside those that hold a place.
    if let Err(error) = rlimit::increase_nofile_limit(2 * MAXIMUM_LANES as u64) {
        tracing::warn!(%error, "the limit of open files cannot be raised");
    }
    session.keep_plans().await?;
    let Session { client, statements, notifications } = session;
    client.batch_execute("listen lshookd_lane").await?;
    let (recorder, records) = record::recorder();
    let shared = Arc::new(Shared {
        client,
        statements,
        sender: Sender::new(settings, Arc::new(EgressPolicy::new(&settings.egress)))?,
        claims: Claims::default(),
        recorder,
        retry_schedule: settings.retry_schedule.clone(),
        shares: Shares::new(settings.concurrency, settings.concurrency_per_webhook, MAXIMUM_LANES),
        peers: Peers::new(heartbeat.holder()),
        settled: AtomicI64::new(0),
        options: OptionCache::default(),
        large_bodies: Semaphore::new(LARGE_BODIES as usize),
        lingering: Semaphore::new(MAXIMUM_LINGERING),
        metrics: metrics.clone(),
        traces: traces.clone(),
        stop: stop.child_token(),
    });
    // A task of its own: what PostgreSQL answers on this session comes in turn, and whoever did not take theirs, while the
    // deliverer waits for something else, would hold up all that is behind it.
    let recording = Arc::clone(&shared);
    let writing = async move { records.write(recording.database(), &recording.settled).await };
    let mut writing = AbortOnDropHandle::new(tokio::spawn(writing));
    let mut deliverer = Deliverer {
        shared: Arc::clone(&shared),
        heartbeat,
        notifications,
        told: due_lanes.listen(),
        due_lanes: due_lanes.clone(),
        poll: settings.poll,
        failing: FailingWebhooks::new(settings.pause_after),
        lanes: JoinSet::new(),
        active: HashMap::new(),
        news: HashMap::new(),
        ended: HashMap::new(),
        clock: ServerClock::default(),
        settled: Settled::of("lshookd.delivery", "lshookd.delivery_id_seq"),
        settled_at: Instant::now(),
        has_ended: false,
        kept_up_at: None,
        look_at: Instant::now(),
        awaited: 0,
    };
    let outcome = deliverer.deliver(stop, &mut writing).await;
    shared.stop.cancel();
    outcome?;
    deliverer.drain(&mut writing).await
}

/// The deliverer, active on its session.
struct Deliverer {
    shared: Arc<Shared>,
    heartbeat: Heartbeat,
    notifications: mpsc::UnboundedReceiver<()>,
    /// What this daemon's planner says of lanes.
    told: mpsc::UnboundedReceiver<Told>,
    due_lanes: DueLanes,
    poll: Duration,
    failing: FailingWebhooks,
    /// The lanes that are worked on.
    lanes: JoinSet<Result<()>>,
    active: HashMap<Id, Lane>,
    /// Where each of them hears that more has come.
    news: HashMap<Lane, Arc<Notify>>,
    /// When those ended that were worked on a moment ago.
    ended: HashMap<Lane, Instant>,
    clock: ServerClock,
    /// Which deliveries are there, and when that was looked for.
    settled: Settled,
    settled_at: Instant,
    has_ended: bool,
    kept_up_at: Option<Instant>,
    /// When to look for lanes that are due.
    look_at: Instant,
    /// So many lanes must end before another look is worth its while.
    awaited: usize,
}

impl Deliverer {
    /// Works on lanes as they are due, until `stop`.
    async fn deliver(&mut self, stop: &CancellationToken, writing: &mut Writing) -> Result<()> {
        loop {
            self.keep_up().await?;
            if self.look_at <= Instant::now() {
                self.look().await?;
            }
            tokio::select! {
                () = stop.cancelled() => return Ok(()),
                result = &mut *writing => return recorded(result).and_then(|()| bail!("recording ended by itself")),
                Some(ended) = self.lanes.join_next_with_id() => {
                    let lane = end_of(ended, &mut self.active, &self.shared).await?;
                    self.shared.shares.leave(lane.webhook);
                    self.news.remove(&lane);
                    self.ended.insert(lane, Instant::now());
                    self.has_ended = true;
                    // It may be due again, and others may wait for its place.
                    self.awaited = self.awaited.saturating_sub(1);
                    let gathering = if self.awaited == 0 { GATHERING } else { CROWDED };
                    self.look_at = self.look_at.min(Instant::now() + gathering);
                }
                Some(told) = self.told.recv() => self.hear(told),
                notified = self.notifications.recv() => match notified {
                    Some(()) => self.look_at = Instant::now(),
                    None => bail!("the connection to PostgreSQL was lost"),
                },
                () = sleep(self.look_at.saturating_duration_since(Instant::now())) => {}
            }
        }
    }

    /// Sees to what is not urgent, and asks whether the role is still this daemon's.
    async fn keep_up(&mut self) -> Result<()> {
        let database = self.shared.database();
        let keeping = async {
            database.renew_plans().await?;
            // When a lane has ended, and not while the first of its requests is on its way.
            if self.settled_at.elapsed() > SETTLING && std::mem::take(&mut self.has_ended) {
                self.settled_at = Instant::now();
                if self.settled.look(&database).await? == Progress::Restarted {
                    queue::reopen(&database).await?;
                }
                self.shared.settled.store(self.settled.up_to(), Ordering::Relaxed);
            }
            let peers = &self.shared.peers;
            peers.ask(&database).await?;
            peers.release(&database, self.active.values().copied()).await?;
            self.due_lanes.belong_to(peers.is_alone().then_some(peers.own()));
            if peers.is_first() && self.kept_up_at.is_none_or(|at| at.elapsed() >= self.poll.min(role::INTERVAL)) {
                self.kept_up_at = Some(Instant::now());
                let woken = database.execute(include_str!("../sql/deliver/wake_changed.sql"), &[]).await;
                woken.context("waking the lanes of changed webhooks")?;
                self.failing.look(&database).await?;
            }
            self.heartbeat.beat(&database).await
        };
        // All of it: whoever is not answered may not be active any more, and must not go on sending.
        timeout(LEASE, keeping).await.context("PostgreSQL is silent; another daemon may be active").flatten()
    }

    /// Begins to work on lanes that are due, as far as there is room, and says when to look again.
    async fn look(&mut self) -> Result<()> {
        self.ended.retain(|_, at| at.elapsed() < GATHERING);
        // Notifications that came together are answered together, by a look after the last of them.
        while self.notifications.try_recv().is_ok() {}
        let room = MAXIMUM_LANES.saturating_sub(self.active.len()).min(MAXIMUM_BEGUN);
        let looking = async {
            let look = due_lanes(&self.shared, self.active.values().copied(), room, &mut self.clock).await?;
            let webhooks = look.due.iter().map(|lane| lane.webhook);
            self.shared.options.read_ahead(&self.shared.database(), webhooks).await?;
            Ok(look)
        };
        let looking =
            timeout(LEASE, looking).await.context("PostgreSQL is silent; another daemon may be active").flatten();
        let Look { due, next, has_left } = looking?;
        let crowded = due.len() >= room;
        let before = self.active.len();
        // Behind those of a webhook that has its share there may be lanes of others.
        let mut hides_others = false;
        for lane in due {
            if !self.begin(lane) {
                hides_others = crowded;
            }
        }
        // Where more wait than may begin, a look is worth its while when half of those that began have ended.
        self.awaited = if crowded { (self.active.len() - before) / 2 } else { 0 };
        // What it leaves to others it takes where they do not.
        let often = if self.shared.peers.is_alone() { role::INTERVAL } else { peers::INTERVAL };
        let soon = if has_left { CROWDED } else { often };
        let next = if hides_others { GATHERING } else { next.unwrap_or(soon).min(soon).min(self.poll) };
        self.look_at = Instant::now() + if self.active.is_empty() { next } else { next.min(RENEWAL) };
        Ok(())
    }

    /// Lanes that are worked on hear that more has come; those that were opened are begun.
    fn hear(&mut self, told: Told) {
        match told {
            Told::Stored(lanes) => {
                for news in lanes.iter().filter_map(|lane| self.news.get(lane)) {
                    news.notify_one();
                }
            }
            Told::Opened(lanes) => self.begin_told(lanes),
        }
    }

    /// Begins to work on lanes that were just opened, if they are few. One that has just ended waits for the look that
    /// comes then, so that a busy lane has several deliveries in a turn; where there is no room for one, it is found by
    /// the look that comes when there is.
    fn begin_told(&mut self, lanes: Vec<Lane>) {
        if lanes.len() > MAXIMUM_TOLD {
            self.look_at = Instant::now();
            return;
        }
        for lane in lanes {
            if let Some(at) = self.ended.get(&lane).filter(|at| at.elapsed() < GATHERING) {
                self.look_at = self.look_at.min(*at + GATHERING);
            } else if self.active.len() < MAXIMUM_LANES && !self.news.contains_key(&lane) {
                self.begin(lane);
            }
        }
    }

    /// Begins to work on a lane; `false` where its webhook has its share of lanes.
    fn begin(&mut self, lane: Lane) -> bool {
        let is_welcome = self.shared.shares.enter(lane.webhook);
        if is_welcome {
            let (shared, news) = (Arc::clone(&self.shared), Arc::new(Notify::new()));
            self.news.insert(lane, Arc::clone(&news));
            let task = self.lanes.spawn(async move { lane::work(lane, &shared, &news).await });
            self.active.insert(task.id(), lane);
        }
        is_welcome
    }

    /// Lets requests in flight end, records them, and gives the role up.
    async fn drain(mut self, writing: &mut Writing) -> Result<()> {
        let draining = async {
            while self.lanes.join_next().await.is_some() {}
            self.shared.recorder.flush().await
        };
        let drained = timeout(SHUTDOWN_TIMEOUT, async {
            tokio::select! {
                result = draining => result,
                result = writing => recorded(result),
            }
        });
        match drained.await {
            Ok(result) => result?,
            Err(_) => tracing::warn!(
                "stopping with requests in flight; the deliveries are attempted again after the next start"
            ),
        }
        self.heartbeat.stop(&self.shared.client).await
    }
}

/// What writes attempts down, until it fails.
type Writing = AbortOnDropHandle<Result<()>>;

fn recorded(ended: Result<Result<()>, JoinError>) -> Result<()> {
    ended.context("recording ended by a mistake of lshookd's").flatten()
}

/// Which lane has ended. One that panicked ends alone: it is held back for a while, and the others go on.
async fn end_of(
    ended: Result<(Id, Result<()>), JoinError>,
    active: &mut HashMap<Id, Lane>,
    shared: &Shared,
) -> Result<Lane> {
    let (id, outcome) = match ended {
        Ok((id, outcome)) => (id, outcome),
        Err(error) => {
            let lane = active.remove(&error.id()).context("a lane ended that nobody started")?;
            tracing::error!(
                webhook = lane.webhook.0,
                project = i64::from(lane.scope),
                %error,
                seconds = AFTER_PANIC.as_secs(),
                "a lane failed by a mistake of lshookd's and is held back; please report it"
            );
            pg::within(LEASE, lane::hold(lane, shared, AFTER_PANIC, false)).await?;
            return Ok(lane);
        }
    };
    let lane = active.remove(&id).context("a lane ended that nobody started")?;
    outcome.map(|()| lane)
}

/// Sends one message beside all lanes, and records nothing.
///
/// # Errors
/// When a certificate of the settings cannot be used.
pub async fn send_at_once(settings: &Settings, message: &Message) -> Result<Answer> {
    let policy = Arc::new(EgressPolicy::new(&settings.egress));
    Ok(Sender::new(settings, policy)?.send(message).await)
}
