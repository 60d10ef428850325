//! Delivering: pending deliveries → HTTP requests, lane by lane.
//!
//! Promises: within a lane (one webhook, one project) deliveries go out one after the
//! other, in the order of their events; lanes do not wait for each other; a delivery is done
//! when a 2xx answer is recorded, and until then it is sent again. Relies on being the only
//! deliverer of this database, which the daemon's lock sees to.

pub mod backoff;
mod client;
mod cloudevent;
mod connection;
mod egress;
mod lane;
mod publish;
mod record;
mod request;
mod resolver;
mod share;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use anyhow::{Context, Result, bail};
use tokio::sync::Semaphore;
use tokio::task::{Id, JoinError, JoinSet};
use tokio::time::{sleep, timeout};
use tokio_postgres::Client;
use tokio_util::sync::CancellationToken;

use crate::config::{Egress, Settings};
use crate::metrics::Metrics;
use crate::pg::role::{self, Heartbeat};
use crate::pg::{Prepared, Session, Statements};
pub use cloudevent::CloudEvent;
use egress::EgressPolicy;
use lane::Lane;
use record::Recorder;
use request::Sender;
pub use request::{Answer, Message};
use share::Shares;

/// Most lanes that are worked on at once; the others stay due.
const MOST_LANES: usize = 2048;

/// And most that are begun after one look: one webhook's share is worked on before the next look.
const MOST_BEGUN: usize = 512;

/// Lanes that end within this time are looked after together.
const GATHERING: Duration = Duration::from_millis(10);

/// And within this time, where others are awaited.
const CROWDED: Duration = Duration::from_millis(100);

/// Bodies of more than a megabyte that are held at once, in kilobytes; one alone may be larger.
const LARGE_BODIES: u32 = 16 * 1024;

/// How long PostgreSQL may leave a question unanswered, and how often it is asked at least while
/// lanes are worked on. Together less than the 19 s after which it gives up on a client that has
/// fallen silent (`sql/pg/session.sql`), and lets another daemon have the lanes.
const LEASE: Duration = Duration::from_secs(10);
const RENEWAL: Duration = Duration::from_secs(4);

/// How long PostgreSQL's plans are taken to suit the queues.
const PLANS_AGE: Duration = Duration::from_secs(5);

/// How long a lane waits that failed by a mistake of ours.
const AFTER_PANIC: Duration = Duration::from_secs(60);

/// How long requests in flight may take to end when the daemon stops.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(7);

/// What every lane needs.
struct Shared {
    client: Client,
    statements: Statements,
    sender: Sender,
    recorder: Recorder,
    retry_schedule: Vec<Duration>,
    hold: Duration,
    shares: Shares,
    large_bodies: Semaphore,
    metrics: Metrics,
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
    metrics: &Metrics,
    mut heartbeat: Heartbeat,
    stop: &CancellationToken,
) -> Result<()> {
    // A slow request goes on beside those that hold a place.
    if let Err(error) = rlimit::increase_nofile_limit(2 * MOST_LANES as u64) {
        tracing::warn!(%error, "the limit of open files cannot be raised");
    }
    session.keep_plans().await?;
    let Session { client, statements, mut notifications } = session;
    client.batch_execute("listen lshookd_lane").await?;
    let policy = Arc::new(EgressPolicy::new(&settings.egress));
    let (recorder, records) = record::recorder();
    let shared = Arc::new(Shared {
        client,
        statements,
        sender: Sender::new(settings, policy)?,
        recorder,
        retry_schedule: settings.retry_schedule.clone(),
        hold: settings.poll,
        shares: Shares::new(settings.concurrency, settings.concurrency_per_webhook, MOST_LANES),
        large_bodies: Semaphore::new(LARGE_BODIES as usize),
        metrics: metrics.clone(),
        stop: stop.child_token(),
    });
    let mut lanes: JoinSet<Result<()>> = JoinSet::new();
    let mut active: HashMap<Id, Lane> = HashMap::new();
    let writing = records.write(shared.database());
    tokio::pin!(writing);
    let mut clock = ServerClock::default();
    let mut planned_at = Instant::now();
    let mut look_at = Instant::now();
    let mut awaited = 0_usize;
    let mut upkept_at: Option<Instant> = None;
    let outcome = loop {
        if planned_at.elapsed() > PLANS_AGE && !active.is_empty() {
            planned_at = Instant::now();
            if let Err(error) = shared.database().discard_plans().await {
                break Err(error.into());
            }
        }
        if upkept_at.is_none_or(|at| at.elapsed() >= role::INTERVAL) {
            upkept_at = Some(Instant::now());
            let query = include_str!("../sql/deliver/wake_deleted.sql");
            if let Err(error) = shared.database().execute(query, &[]).await {
                break Err(anyhow::Error::from(error).context("waking the lanes of deleted webhooks"));
            }
        }
        let beat = timeout(LEASE, heartbeat.beat(&shared.database())).await.context("PostgreSQL is silent").flatten();
        if let Err(error) = beat {
            break Err(error);
        }
        if look_at <= Instant::now() {
            // Notifications that came together are answered together, by a look after the last of them.
            while notifications.try_recv().is_ok() {}
            let room = MOST_LANES.saturating_sub(active.len()).min(MOST_BEGUN);
            let looking = timeout(LEASE, due_lanes(&shared, &active, room, settings.poll, &mut clock));
            let looking = looking.await.context("PostgreSQL is silent; another daemon may be active").flatten();
            let (due, next) = match looking {
                Ok(due) => due,
                Err(error) => break Err(error),
            };
            let crowded = due.len() >= room;
            let before = active.len();
            // Behind those of a webhook that has its share there may be lanes of others.
            let mut hides_others = false;
            for lane in due {
                if !shared.shares.enter(lane.webhook) {
                    hides_others = crowded;
                    continue;
                }
                let shared = Arc::clone(&shared);
                let task = lanes.spawn(async move { lane.work(&shared).await });
                active.insert(task.id(), lane);
            }
            // Where more wait than may begin, a look is worth its while when half of those that began have ended.
            awaited = if crowded { (active.len() - before) / 2 } else { 0 };
            let next = if hides_others { GATHERING } else { next.min(role::INTERVAL) };
            look_at = Instant::now() + if active.is_empty() { next } else { next.min(RENEWAL) };
        }
        tokio::select! {
            () = stop.cancelled() => break Ok(()),
            result = &mut writing => break result.and_then(|()| bail!("recording ended by itself")),
            Some(ended) = lanes.join_next_with_id() => match end_of(ended, &mut active, &shared).await {
                Ok(lane) => {
                    shared.shares.leave(lane.webhook);
                    // It may be due again, and others may wait for its place.
                    awaited = awaited.saturating_sub(1);
                    look_at = look_at.min(Instant::now() + if awaited == 0 { GATHERING } else { CROWDED });
                }
                Err(error) => break Err(error),
            },
            notified = notifications.recv() => match notified {
                Some(()) => look_at = Instant::now(),
                None => break Err(anyhow::anyhow!("the connection to PostgreSQL was lost")),
            },
            () = sleep(look_at.saturating_duration_since(Instant::now())) => {}
        }
    };
    shared.stop.cancel();
    if outcome.is_ok() {
        let draining = async {
            while lanes.join_next().await.is_some() {}
            shared.recorder.flush().await
        };
        let recorded = timeout(SHUTDOWN_TIMEOUT, async {
            tokio::select! {
                result = draining => result,
                result = &mut writing => result,
            }
        });
        match recorded.await {
            Ok(result) => result?,
            Err(_) => tracing::warn!("stopping with requests in flight; they will be sent again after the next start"),
        }
        heartbeat.stop(&shared.client).await?;
    }
    outcome
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
                webhook = lane.webhook,
                project = lane.project,
                %error,
                seconds = AFTER_PANIC.as_secs(),
                "a lane failed by a mistake of lshookd's and is held back; please report it"
            );
            lane.hold(shared, AFTER_PANIC).await?;
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

/// Names the active webhooks that will get nothing, as names resolve now; does not wait for them.
///
/// # Errors
/// When the database cannot be asked.
pub async fn report_refused(client: &Client, egress: &Egress) -> Result<()> {
    let endpoints = served_endpoints(client).await?;
    let policy = EgressPolicy::new(egress);
    tokio::spawn(async move {
        for (webhook, reason) in refused(&policy, endpoints).await {
            tracing::warn!(webhook, reason, "the endpoint of this webhook is refused");
        }
    });
    Ok(())
}

/// The webhooks that will get nothing, as names resolve now, each with the reason.
///
/// # Errors
/// When the database cannot be asked.
pub async fn refused_webhooks(client: &Client, egress: &Egress) -> Result<Vec<(i64, String)>> {
    Ok(refused(&EgressPolicy::new(egress), served_endpoints(client).await?).await)
}

async fn served_endpoints(client: &Client) -> Result<Vec<(i64, String)>> {
    let rows = client.query(include_str!("../sql/deliver/served_endpoints.sql"), &[]).await;
    let rows = rows.context("reading Label Studio's webhook table")?;
    Ok(rows.iter().map(|row| (row.get("webhook_id"), row.get("url"))).collect())
}

async fn refused(policy: &EgressPolicy, endpoints: Vec<(i64, String)>) -> Vec<(i64, String)> {
    let mut refused = Vec::new();
    for (webhook, url) in endpoints {
        refused.extend(policy.refusal(&url).await.map(|refusal| (webhook, refusal.to_string())));
    }
    refused
}

/// The lanes that are due and may be worked on; and how long until the next look.
async fn due_lanes(
    shared: &Shared,
    active: &HashMap<Id, Lane>,
    room: usize,
    poll: Duration,
    clock: &mut ServerClock,
) -> Result<(Vec<Lane>, Duration)> {
    let client = shared.database();
    let (webhooks, projects): (Vec<i64>, Vec<i64>) = active.values().map(|lane| (lane.webhook, lane.project)).unzip();
    let room = i64::try_from(room).unwrap_or(i64::MAX);
    let rows = client
        .query(include_str!("../sql/deliver/due_lanes.sql"), &[&webhooks, &projects, &room, &shared.shares.full()])
        .await
        .context("reading lshookd.lane")?;
    if rows.first().is_some_and(|row| clock.stepped_back(row.get("now"), Instant::now())) {
        tracing::warn!("PostgreSQL's clock was set back; what waits for a retry is attempted now");
        client.execute(include_str!("../sql/deliver/end_pauses.sql"), &[]).await.context("ending pauses")?;
        return Ok((Vec::new(), Duration::ZERO));
    }
    let mut due = Vec::new();
    let mut next = poll;
    for row in rows {
        match row.get::<_, Option<f64>>("wait") {
            Some(wait) => next = next.min(Duration::try_from_secs_f64(wait).unwrap_or(poll)),
            None => due.push(Lane { webhook: row.get("webhook_id"), project: row.get("project_id") }),
        }
    }
    Ok((due, next))
}

/// The server's clock, by which pauses are measured.
#[derive(Default)]
struct ServerClock(Option<(SystemTime, Instant)>);

impl ServerClock {
    /// Whether it went back since the last look, by more than a look may take.
    fn stepped_back(&mut self, now: SystemTime, at: Instant) -> bool {
        const NOTEWORTHY: Duration = Duration::from_secs(10);
        let expected = self.0.map(|(before, then)| before + at.saturating_duration_since(then));
        self.0 = Some((now, at));
        expected.and_then(|expected| expected.duration_since(now).ok()).is_some_and(|back| back > NOTEWORTHY)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_goes_back_is_noticed_and_one_that_goes_forward_is_not() {
        let (start, now) = (Instant::now(), SystemTime::now());
        let mut clock = ServerClock::default();
        let mut look = |seconds: u64, clock_says: i64| {
            let says = match clock_says {
                ahead @ 0.. => now + Duration::from_secs(ahead.unsigned_abs()),
                back => now - Duration::from_secs(back.unsigned_abs()),
            };
            clock.stepped_back(says, start + Duration::from_secs(seconds))
        };
        assert!(!look(0, 0));
        assert!(!look(5, 4));
        assert!(!look(10, 3600));
        assert!(look(15, 15));
        assert!(!look(20, 20));
        assert!(look(25, -3600));
    }
}
