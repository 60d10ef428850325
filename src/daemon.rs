//! The daemon: three sessions that each do their part of the work as long as they can.
//!
//! The planner turns changes into events, the deliverer sends them, retention deletes what was
//! sent long ago. Each holds an advisory lock, so that of several daemons on one database one
//! does each part; a lock goes with its connection, and another daemon goes on. A session that
//! fails is opened anew.

mod planner;
mod service;

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use tokio::runtime::Builder;
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::JoinError;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use crate::database::Session;
use crate::install::{self, Fitness};
use crate::metrics::Metrics;
use crate::settings::{SettingError, Settings};
use crate::{admin, deliver, label_studio, retention};
pub use service::Service;

/// How often a daemon that stands by asks whether the lock is free.
const STANDBY: Duration = Duration::from_secs(1);

/// Pauses between attempts to open a session anew.
const RECONNECT: [Duration; 6] = [
    Duration::from_millis(100),
    Duration::from_millis(250),
    Duration::from_millis(500),
    Duration::from_secs(1),
    Duration::from_secs(2),
    Duration::from_secs(5),
];

/// One part of the work, and the number of the advisory lock that goes with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    Planner = 2,
    Deliverer = 3,
    Retention = 4,
}

impl Role {
    fn name(self) -> &'static str {
        match self {
            Role::Planner => "planner",
            Role::Deliverer => "deliverer",
            Role::Retention => "retention",
        }
    }
}

/// Runs until SIGTERM or SIGINT; on SIGHUP reads the settings again and starts over with them.
///
/// # Errors
/// When the first look at the database finds something that only the operator can mend. Later
/// errors are logged and waited out, and settings that cannot be used are not taken.
pub async fn run(mut settings: Settings, reread: impl Fn() -> Result<Settings, SettingError>) -> Result<()> {
    let mut terminate = signal(SignalKind::terminate()).context("listening for SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("listening for SIGINT")?;
    let mut hangup = signal(SignalKind::hangup()).context("listening for SIGHUP")?;
    let schema = look_around(&settings).await?;
    tracing::info!(version = env!("CARGO_PKG_VERSION"), database = settings.server.display(), schema, "lshookd runs");
    let service = Arc::new(Service::start());
    let metrics = Metrics::default();
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
                        Err(error) => tracing::error!(%error, "the settings cannot be used; going on with the old ones"),
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
        let parts = Parts {
            settings: Arc::new(settings.clone()),
            service: Arc::clone(&service),
            metrics: metrics.clone(),
            stop: stop.clone(),
        };
        // The planner asks one question after the other: beside its connection, on one thread, each answer is there
        // without a thread that has to be woken for it.
        let thread = Builder::new_current_thread().enable_all().build().context("setting up the planner's thread")?;
        let planning = parts.clone();
        let planning = move || thread.block_on(supervise(Role::Planner, planning, plan));
        let (fresh, planner, deliverer, retention, ()) = tokio::join!(
            told,
            or_stop(tokio::task::spawn_blocking(planning), &stop),
            or_stop(tokio::spawn(supervise(Role::Deliverer, parts.clone(), deliver)), &stop),
            or_stop(tokio::spawn(supervise(Role::Retention, parts, retain)), &stop),
            admin::serve(&settings, &metrics, &service, &stop),
        );
        planner.and(deliverer).and(retention).context("a part of the daemon ended by itself")?;
        match fresh {
            Some(fresh) => settings = fresh,
            None => break,
        }
        tracing::info!("the settings were read again");
    }
    tracing::info!("stopped");
    Ok(())
}

/// Checks that there is something to run on, and says what the operator should know.
async fn look_around(settings: &Settings) -> Result<String> {
    let mut session = settings.server.connect().await?;
    label_studio::check_server_version(&session.client).await?;
    let schema = label_studio::enter(&session.client, settings.label_studio_schema.as_deref()).await?;
    match install::fitness(&mut session.client).await? {
        Fitness::Complete => {}
        Fitness::Missing => {
            fail!(NotInstalled, "lshookd is not installed in this database; run `lshookd install` first")
        }
        Fitness::Outdated => {
            fail!(Version, "the installation is older than this lshookd; run `lshookd install` to upgrade it")
        }
        Fitness::Newer => fail!(Version, "the installation is newer than this lshookd; run the newer one"),
        Fitness::Triggers(missing) => tracing::error!(
            missing = missing.join(", "),
            "triggers are missing or disabled, and what they would capture is not announced; run `lshookd install`"
        ),
    }
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
    stop: CancellationToken,
}

/// Lets the others end, too, when a part has failed in a way that it cannot go on from.
async fn or_stop(part: impl Future<Output = Result<(), JoinError>>, stop: &CancellationToken) -> Result<(), JoinError> {
    let ended = part.await;
    if ended.is_err() {
        stop.cancel();
    }
    ended
}

async fn plan(session: Session, parts: Parts) -> Result<()> {
    let Parts { settings, service, metrics, stop } = &parts;
    planner::run(session, settings, metrics, stop, || service.is_alive(Role::Planner)).await
}

async fn deliver(session: Session, Parts { settings, metrics, stop, .. }: Parts) -> Result<()> {
    deliver::run(session, &settings, &metrics, &stop).await
}

async fn retain(session: Session, Parts { settings, stop, .. }: Parts) -> Result<()> {
    retention::run(session, settings.retention, &stop).await
}

/// Keeps one part of the work going.
async fn supervise<W>(role: Role, parts: Parts, work: impl Fn(Session, Parts) -> W)
where
    W: Future<Output = Result<()>>,
{
    let Parts { service, metrics, stop, .. } = &parts;
    let mut failures = 0;
    while !stop.is_cancelled() {
        let started = std::time::Instant::now();
        let done = match begin(role, &parts).await {
            Ok(None) => Ok(()),
            Ok(Some(session)) => work(session, parts.clone()).await,
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
        failures = if started.elapsed() > Duration::from_secs(30) { 0 } else { failures + 1 };
        let pause = RECONNECT[failures.min(RECONNECT.len() - 1)];
        tracing::warn!(?role, error = format!("{error:#}"), pause = ?pause, "interrupted; starting over");
        tokio::select! {
            () = sleep(pause) => {}
            () = stop.cancelled() => {}
        }
    }
}

/// A session that has the role's lock; `None` when the daemon stops first.
async fn begin(role: Role, Parts { settings, service, stop, .. }: &Parts) -> Result<Option<Session>> {
    let session = settings.server.connect().await?;
    label_studio::enter(&session.client, settings.label_studio_schema.as_deref()).await?;
    service.is_ready(role);
    if !take_lock(&session, role, service, stop).await? {
        return Ok(None);
    }
    tracing::debug!(?role, "at work");
    Ok(Some(session))
}

/// Waits for the lock of a role; `false` when the daemon stops first. It is asked for again and
/// again: a statement that waits would hold back vacuum.
async fn take_lock(session: &Session, role: Role, service: &Service, stop: &CancellationToken) -> Result<bool> {
    let mut standing_by = false;
    while !stop.is_cancelled() {
        let row = session.client.query_one(include_str!("../sql/take_role.sql"), &[&(role as i32)]).await?;
        if row.get("taken") {
            return Ok(true);
        }
        if !standing_by {
            tracing::info!(?role, "another daemon is at work; standing by");
            standing_by = true;
        }
        service.is_alive(role);
        tokio::select! {
            () = sleep(STANDBY) => {}
            () = stop.cancelled() => {}
        }
    }
    Ok(false)
}
