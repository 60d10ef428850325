//! The daemon: three sessions that each do their part of the work as long as they can.
//!
//! The planner turns changes into events, the deliverer sends them, retention deletes what was
//! sent long ago. Of several daemons on one database one is active in each [role](role::Role); when it goes,
//! another takes over. A session that fails is opened anew.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use jiff::Timestamp;
use tokio::runtime::Builder;
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::JoinError;
use tokio::time::{sleep, timeout};
use tokio_postgres::types::ToSql;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::config::{Listed, SettingError, Settings};
use crate::deliver::Traces;
use crate::error::Code;
use crate::health::Service;
use crate::metrics::Metrics;
use crate::pg::lock::{self, LockKey};
use crate::pg::role::{self, Heartbeat, Role};
use crate::pg::{self, Session};
use crate::pipeline::interruption::Interruption;
use crate::pipeline::planner;
use crate::queue::DueLanes;
use crate::schema::install;
use crate::{admin, deliver, label_studio, pull, retention};

/// How long it may take to say that a role is not active.
const LEAVING: Duration = Duration::from_secs(2);

/// How often a standby daemon asks whether the lock is free.
const STANDBY: Duration = Duration::from_secs(1);

/// How long a daemon that has taken a lock may take to write its first heartbeat.
const BEGINNING: Duration = Duration::from_secs(2);

/// Pauses between attempts to open a session anew.
const RECONNECT: [Duration; 6] = [
    Duration::from_millis(100),
    Duration::from_millis(250),
    Duration::from_millis(500),
    Duration::from_secs(1),
    Duration::from_secs(2),
    Duration::from_secs(5),
];

/// The longest pause before the database is asked for again.
const LONGEST_RECONNECT: Duration = Duration::from_secs(30);

const LOCK_HOLDER: &str = include_str!("../sql/daemon/lock_holder.sql");

/// Runs until SIGTERM or SIGINT; on SIGHUP reads the settings again and starts over with them.
///
/// # Errors
/// When the first look at the database finds something that only the operator can fix. Later
/// errors are logged and waited out, and settings that cannot be used are not taken.
pub async fn run(mut settings: Settings, reread: impl Fn() -> Result<Settings, SettingError>) -> Result<()> {
    let mut terminate = signal(SignalKind::terminate()).context("listening for SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("listening for SIGINT")?;
    let mut hangup = signal(SignalKind::hangup()).context("listening for SIGHUP")?;
    let service = Arc::new(Service::start());
    let mut pauses = RECONNECT.iter().copied().chain(std::iter::repeat(LONGEST_RECONNECT));
    let schema = loop {
        let error = match look_around(&settings).await {
            Ok(schema) => break schema,
            Err(error) => error,
        };
        // A service manager that waits is told so; to start over and over would say the same each second.
        if Code::of(&error) != Code::Database || !service.waits() {
            return Err(error);
        }
        let pause = pauses.next().unwrap_or(LONGEST_RECONNECT);
        tracing::warn!(error = format!("{error:#}"), ?pause, "waiting for the database");
        tokio::select! {
            () = sleep(pause) => {}
            _ = terminate.recv() => return Ok(()),
            _ = interrupt.recv() => return Ok(()),
        }
    };
    tracing::info!(
        version = env!("CARGO_PKG_VERSION"),
        database = settings.server.display(),
        schema,
        "lshookd started"
    );
    let metrics = Metrics::default();
    let interruption = Interruption::default();
    loop {
        let stop = CancellationToken::new();
        let told = async {
            let fresh = loop {
                tokio::select! {
                    _ = terminate.recv() => break None,
                    _ = interrupt.recv() => break None,
                    () = stop.cancelled() => break None,
                    _ = hangup.recv() => match reread() {
                        Ok(fresh) => break Some(fresh),
                        Err(error) => tracing::error!(%error, "configuration not reloaded, the previous one stays in force"),
                    },
                }
            };
            match fresh {
                Some(_) => service.reloads(),
                None => service.stops(),
            }
            stop.cancel();
            fresh
        };
        let name = Uuid::now_v7();
        let traces = Traces::start(settings.tracing.as_ref())?;
        let parts = Parts {
            settings: Arc::new(settings.clone()),
            service: Arc::clone(&service),
            metrics: metrics.clone(),
            traces: traces.clone(),
            interruption: interruption.clone(),
            due_lanes: DueLanes::default(),
            stop: stop.clone(),
            name,
        };
        // The planner asks one question after the other: beside its connection, on one thread, each answer is there
        // without a thread that has to be woken for it.
        let thread = Builder::new_current_thread().enable_all().build().context("setting up the planner's thread")?;
        let planning = parts.clone();
        let planning = move || thread.block_on(supervise(Role::Planner, planning, plan));
        let (fresh, planner, deliverer, retention, (), ()) = tokio::join!(
            told,
            or_stop(tokio::task::spawn_blocking(planning), &stop),
            or_stop(tokio::spawn(supervise(Role::Deliverer, parts.clone(), deliver)), &stop),
            or_stop(tokio::spawn(supervise(Role::Retention, parts, retain)), &stop),
            admin::serve(&settings, &metrics, (&service, name), &stop),
            pull::serve(&settings, &metrics, name, &stop),
        );
        traces.end().await;
        planner.and(deliverer).and(retention).context("a part of the daemon ended by itself")?;
        match fresh {
            Some(fresh) => settings = fresh,
            None => break,
        }
        tracing::info!("configuration reloaded");
    }
    tracing::info!("stopped");
    Ok(())
}

/// Checks that there is something to run on, and says what the operator should know.
async fn look_around(settings: &Settings) -> Result<String> {
    let mut session = pg::connect(&settings.server).await?;
    label_studio::check_server_version(&session.client).await?;
    let schema = label_studio::enter(&session.client, settings.label_studio_schema.as_deref()).await?;
    install::state(&mut session.client).await?.check_usable()?;
    if let Some(warning) = label_studio::twice_warning(label_studio::active_webhooks(&session.client).await?) {
        tracing::warn!("{warning}");
    }
    deliver::report_refused(&session.client, &settings.egress).await?;
    Ok(schema)
}

/// What each part of the daemon works with.
#[derive(Clone)]
struct Parts {
    settings: Arc<Settings>,
    service: Arc<Service>,
    metrics: Metrics,
    traces: Traces,
    /// The planner's.
    interruption: Interruption,
    /// From the planner to the deliverer.
    due_lanes: DueLanes,
    stop: CancellationToken,
    /// What this daemon calls itself in heartbeats.
    name: Uuid,
}

/// Lets the others end, too, when a part has failed in a way that it cannot go on from.
async fn or_stop(part: impl Future<Output = Result<(), JoinError>>, stop: &CancellationToken) -> Result<(), JoinError> {
    let ended = part.await;
    if ended.is_err() {
        stop.cancel();
    }
    ended
}

async fn plan(session: Session, heartbeat: Heartbeat, parts: Parts) -> Result<()> {
    let Parts { settings, service, metrics, interruption, due_lanes, stop, .. } = &parts;
    let is_alive = || service.is_alive(Role::Planner);
    planner::run(session, heartbeat, settings, (metrics, interruption, due_lanes), stop, is_alive).await
}

async fn deliver(session: Session, heartbeat: Heartbeat, parts: Parts) -> Result<()> {
    let Parts { settings, metrics, traces, due_lanes, stop, .. } = &parts;
    deliver::run(session, settings, (metrics, traces, due_lanes), heartbeat, stop).await
}

async fn retain(session: Session, heartbeat: Heartbeat, Parts { settings, stop, .. }: Parts) -> Result<()> {
    retention::run(session, settings.retention, heartbeat, &stop).await
}

/// Keeps one part of the work going.
async fn supervise<W>(role: Role, parts: Parts, work: impl Fn(Session, Heartbeat, Parts) -> W)
where
    W: Future<Output = Result<()>>,
{
    let Parts { service, metrics, stop, .. } = &parts;
    let mut failures = 0;
    while !stop.is_cancelled() {
        let started = Instant::now();
        let done = match begin(role, &parts).await {
            Ok(None) => Ok(()),
            Ok(Some((session, heartbeat))) => work(session, heartbeat, parts.clone()).await,
            Err(error) => Err(error),
        };
        let Err(error) = done else {
            continue;
        };
        if stop.is_cancelled() {
            return;
        }
        service.is_away(role);
        metrics.interrupted(role.name());
        if role == Role::Planner {
            parts.interruption.begins(&error, Timestamp::now());
        }
        leave(role, &parts).await;
        failures = if started.elapsed() > Duration::from_secs(30) { 0 } else { failures + 1 };
        let pause = RECONNECT[failures.min(RECONNECT.len() - 1)];
        tracing::warn!(?role, error = format!("{error:#}"), pause = ?pause, "session lost, reconnecting");
        tokio::select! {
            () = sleep(pause) => {}
            () = stop.cancelled() => {}
        }
    }
}

/// Lets others see that the role is not active, as far as PostgreSQL can be reached: a role that fails again and again
/// does no work, though it begins each time.
async fn leave(role: Role, parts: &Parts) {
    let leaving = async {
        let session = pg::connect(&parts.settings.server).await?;
        role::leave(&session.client, role, parts.name).await
    };
    if let Ok(Err(error)) = timeout(LEAVING, leaving).await {
        tracing::debug!(?role, error = format!("{error:#}"), "the role could not be left");
    }
}

/// A session that is active in the role; `None` when the daemon stops first.
async fn begin(role: Role, parts: &Parts) -> Result<Option<(Session, Heartbeat)>> {
    let Parts { settings, service, .. } = parts;
    let session = pg::connect(&settings.server).await?;
    label_studio::enter(&session.client, settings.label_studio_schema.as_deref()).await?;
    service.is_ready(role);
    let heartbeat = match role.lock() {
        None => Some(Heartbeat::join(&session.statements.on(&session.client), parts.name).await?),
        Some(lock) => take_role(&session, role, lock, parts).await?,
    };
    let Some(heartbeat) = heartbeat else {
        return Ok(None);
    };
    if role == Role::Planner {
        publish(&session, &parts.settings.listed, parts.name).await?;
    }
    tracing::debug!(?role, "active");
    Ok(Some((session, heartbeat)))
}

/// Lets commands see what settings this daemon runs by.
async fn publish(session: &Session, settings: &[Listed], name: Uuid) -> Result<()> {
    let of = |part: fn(&Listed) -> &String| settings.iter().map(part).collect::<Vec<_>>();
    let parameters: [&(dyn ToSql + Sync); 4] =
        [&name, &of(|setting| &setting.key), &of(|setting| &setting.value), &of(|setting| &setting.origin)];
    let query = include_str!("../sql/daemon/publish_settings.sql");
    session.client.execute(query, &parameters).await.context("writing lshookd.daemon_setting")?;
    Ok(())
}

/// Waits for a role; `None` when the daemon stops first. Its lock is asked for again and
/// again: a statement that waits would hold back vacuum.
async fn take_role(session: &Session, role: Role, lock: LockKey, parts: &Parts) -> Result<Option<Heartbeat>> {
    let Parts { service, stop, name, .. } = parts;
    let database = session.statements.on(&session.client);
    let waiting_since = Instant::now();
    let mut looked_at: Option<Instant> = None;
    while !stop.is_cancelled() {
        let taken = lock::try_lock(&database, lock).await?;
        // Whoever had the lock is gone with its connection, however lately its heart beat.
        let since = if taken { Duration::ZERO } else { role::LOST };
        // Without the lock there is nothing to look for every second; nor at first, for whoever has just taken it may be
        // about to say so.
        let looks =
            taken || looked_at.map_or(waiting_since.elapsed() >= BEGINNING, |at| at.elapsed() >= role::INTERVAL);
        if looks && let Some(heartbeat) = Heartbeat::start(&database, role, *name, since).await? {
            if !taken {
                let holder = session.client.query_opt(LOCK_HOLDER, &[&lock::CLASS, &(lock as i32)]).await?;
                let of = |name| holder.as_ref().map(|row| row.get::<_, String>(name)).unwrap_or_default();
                tracing::error!(
                    ?role,
                    backend = holder.as_ref().map(|row| row.get::<_, i32>("pid")),
                    user = of("role"),
                    address = of("address"),
                    application = of("application"),
                    "the lock of this role is held by a session that is no active daemon; taking over without it. \
                     End that session: select pg_terminate_backend(pid)"
                );
            }
            return Ok(Some(heartbeat));
        }
        if looks {
            if looked_at.is_none() {
                tracing::info!(?role, "another daemon is active; standby");
                if role == Role::Planner {
                    parts.interruption.forget();
                }
            }
            looked_at = Some(Instant::now());
        }
        service.is_alive(role);
        tokio::select! {
            () = sleep(STANDBY) => {}
            () = stop.cancelled() => {}
        }
    }
    Ok(None)
}
