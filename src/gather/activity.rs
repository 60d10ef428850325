//! What the backends are doing that have changes waiting.

use std::collections::HashMap;
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result};
use tokio_postgres::{Client, Row};

use crate::change::Backend;
use crate::database::Prepared;
use crate::settings::GatherLimits;

/// What a backend is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Its connection is closed.
    Gone,
    /// It has been running a statement, or has had a transaction open, for this long.
    Busy(Duration),
    /// It has been waiting for its client for this long.
    Idle(Duration),
    /// This role may not see it.
    Hidden,
}

/// A backend that has changes waiting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Writer {
    /// What it is doing.
    pub state: State,
    /// Whether it looks like the connection of a single request of Label Studio's, which will be
    /// closed when that is done: it is young, and speaks as Django does, which quotes every name.
    pub request: bool,
    /// Whether its latest change is a task from a storage, and that one's synchronization is
    /// still in progress.
    pub storage: Option<bool>,
    /// Its changes.
    pub waiting: Waiting,
}

/// The changes of a backend that wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Waiting {
    /// When the first of them was captured, by the server's clock.
    pub oldest: SystemTime,
    /// When the last was.
    pub newest: SystemTime,
    /// How many they are.
    pub changes: usize,
    /// How many objects they are about.
    pub objects: usize,
    /// Nothing but tasks that come or go, with their annotations: an import, a storage's
    /// synchronization, a deletion in bulk. These may take long.
    pub moves_tasks: bool,
}

impl Writer {
    /// Whether all its changes are known to be of one action.
    pub fn does_one_thing(&self) -> bool {
        self.state == State::Gone || self.storage.is_some()
    }
}

impl Waiting {
    fn from_row(row: &Row) -> Waiting {
        let number = |name| usize::try_from(row.get::<_, i64>(name)).unwrap_or_default();
        Waiting {
            oldest: row.get("first_change_at"),
            newest: row.get("last_change_at"),
            changes: number("changes"),
            objects: number("objects"),
            moves_tasks: row.get("moves_tasks"),
        }
    }
}

/// The writers at one moment.
#[derive(Debug, Clone)]
pub struct Activity {
    /// The server's clock.
    pub now: SystemTime,
    /// By backend.
    pub writers: HashMap<Backend, Writer>,
    /// Whether something is to be announced at once (`Change::is_urgent`).
    pub urgent: bool,
}

impl Activity {
    /// How many changes wait.
    pub fn changes(&self) -> usize {
        self.writers.values().map(|writer| writer.waiting.changes).sum()
    }
}

/// Asks PostgreSQL about the backends that have changes waiting, where it matters what they do.
///
/// Must be asked before the changes are read: then all that a backend did before it was seen
/// idle or gone is among them.
///
/// # Errors
/// When the database cannot be asked.
pub async fn activity(client: &Prepared<'_, Client>, limits: &GatherLimits) -> Result<Activity> {
    if limits.settle.is_zero() {
        return Ok(Activity { now: SystemTime::now(), writers: HashMap::new(), urgent: false });
    }
    let rows = client
        .query(include_str!("../../sql/backend_activity.sql"), &[])
        .await
        .context("reading pg_stat_get_activity")?;
    let writers = rows
        .iter()
        .map(|row| {
            let lasting = Duration::try_from_secs_f64(row.get("seconds")).unwrap_or(Duration::MAX);
            let state = match row.get("state") {
                "gone" => State::Gone,
                "hidden" => State::Hidden,
                "idle" => State::Idle(lasting),
                _ => State::Busy(lasting),
            };
            let (request, storage) = (row.get("request"), row.get("storage"));
            (row.get("backend"), Writer { state, request, storage, waiting: Waiting::from_row(row) })
        })
        .collect();
    let now = rows.first().map_or_else(SystemTime::now, |row| row.get("now"));
    let urgent = rows.iter().any(|row| row.get("urgent"));
    Ok(Activity { now, writers, urgent })
}
