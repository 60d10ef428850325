//! What systemd is told: ready, reloading, stopping, and that the planner makes progress
//! (sd_notify(3)). Without systemd nothing happens.

pub mod fault;

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use sd_notify::NotifyState;

use crate::pg::role::Role;

/// The service manager waits so much longer for the service to be ready.
const EXTENSION: Duration = Duration::from_secs(90);

/// The service manager.
pub struct Service {
    ready: [AtomicBool; 2],
    watchdog: Option<Watchdog>,
}

/// What the service manager waits for, lest it restarts us.
struct Watchdog {
    every: Duration,
    last: std::sync::Mutex<Option<Instant>>,
}

impl Service {
    /// Asks the environment whether a service manager wants to know.
    pub fn start() -> Service {
        let watchdog =
            sd_notify::watchdog_enabled().map(|limit| Watchdog { every: limit / 4, last: std::sync::Mutex::new(None) });
        Service { ready: Default::default(), watchdog }
    }

    /// Whether a service manager waits for the service to be ready; it is told to wait on.
    pub fn waits(&self) -> bool {
        let waits = std::env::var_os("NOTIFY_SOCKET").is_some();
        if waits {
            let longer = NotifyState::ExtendTimeoutUsec(EXTENSION.as_micros().try_into().unwrap_or(u32::MAX));
            tell(&[longer, NotifyState::Status("waiting for the database")]);
        }
        waits
    }

    /// A role has its session; with the planner's and the deliverer's the service is ready, be it
    /// standby.
    pub fn is_ready(&self, role: Role) {
        let Some(place) = place(role) else {
            return;
        };
        let was = self.ready[place].swap(true, Ordering::SeqCst);
        if !was && self.is_ready_now() {
            tell(&[NotifyState::Ready, NotifyState::Status("active or standby")]);
        }
        self.is_alive(role);
    }

    /// Whether the planner and the deliverer have their sessions.
    pub fn is_ready_now(&self) -> bool {
        self.ready.iter().all(|ready| ready.load(Ordering::SeqCst))
    }

    /// A role has lost its session.
    pub fn is_away(&self, role: Role) {
        if let Some(place) = place(role) {
            self.ready[place].store(false, Ordering::SeqCst);
        }
        self.is_alive(role);
    }

    /// The planner has come round once more: what keeps the watchdog quiet.
    pub fn is_alive(&self, role: Role) {
        let Some(watchdog) = self.watchdog.as_ref().filter(|_| role == Role::Planner) else {
            return;
        };
        let mut last = watchdog.last.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if last.is_none_or(|last| last.elapsed() >= watchdog.every) {
            *last = Some(Instant::now());
            tell(&[NotifyState::Watchdog]);
        }
    }

    /// The settings are read again; ready follows when the sessions are back.
    pub fn reloads(&self) {
        for ready in &self.ready {
            ready.store(false, Ordering::SeqCst);
        }
        match NotifyState::monotonic_usec_now() {
            Ok(now) => tell(&[NotifyState::Reloading, now]),
            Err(error) => tracing::debug!(%error, "no monotonic clock to tell systemd"),
        }
    }

    /// The end has begun.
    pub fn stops(&self) {
        tell(&[NotifyState::Stopping]);
    }
}

/// The place of a role that readiness takes.
fn place(role: Role) -> Option<usize> {
    match role {
        Role::Planner => Some(0),
        Role::Deliverer => Some(1),
        Role::Retention => None,
    }
}

fn tell(states: &[NotifyState]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::debug!(%error, "systemd could not be told");
    }
}
