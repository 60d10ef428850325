//! What the connections are doing that have changes waiting.

use std::collections::HashMap;
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result};
use tokio_postgres::{Client, Row};

use super::client::{Clients, Habit, Key, Sighting, State};
use crate::config::GatherLimits;
use crate::pg::Prepared;
use crate::queue::change::Connection;

/// What is so far in the future was before PostgreSQL's clock was set back, nobody knows how long.
const CLOCK_SET_BACK: Duration = Duration::from_secs(10);

/// A connection that has changes waiting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Writer {
    /// What it is doing.
    pub state: State,
    /// How it is expected to end.
    pub habit: Habit,
    /// Whether its latest change is a task from a storage.
    pub storage: Storage,
    /// Its changes.
    pub waiting: UnplannedChanges,
}

/// What is known of the storage that the latest task of a connection came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Storage {
    /// It came from none.
    None,
    /// Its synchronization is in progress.
    Synchronizing,
    /// Its synchronization is over, or counts as failed; the connection may still be at it.
    Ended,
}

/// The changes of a connection that wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UnplannedChanges {
    /// When the first of them was captured, by the server's clock.
    pub oldest: SystemTime,
    /// When the last was.
    pub newest: SystemTime,
    /// How many they are.
    pub changes: usize,
    /// Tasks that come or go, with their annotations, and nothing else: an import, a storage's synchronization, a
    /// deletion in bulk. These may take long.
    pub moves_tasks: bool,
}

/// Whether somebody else's statement runs in the database just now.
///
/// # Errors
/// When the connection is lost.
pub async fn others_work(database: &Prepared<'_, Client>) -> Result<bool> {
    let row = database.query_one(include_str!("../../../sql/gather/others_work.sql"), &[]).await;
    Ok(row.context("looking for others who work")?.get("others_work"))
}

impl Writer {
    /// Whether all its changes are known to be of one action.
    pub fn does_one_thing(&self) -> bool {
        self.state == State::Gone || self.storage != Storage::None
    }
}

impl UnplannedChanges {
    fn from_row(row: &Row) -> UnplannedChanges {
        UnplannedChanges {
            oldest: row.get("first_change_at"),
            newest: row.get("last_change_at"),
            changes: usize::try_from(row.get::<_, i64>("changes")).unwrap_or_default(),
            moves_tasks: row.get("moves_tasks"),
        }
    }
}

/// The writers at one moment.
#[derive(Debug, Clone)]
pub struct Activity {
    /// The server's clock.
    pub now: SystemTime,
    /// By connection.
    pub writers: HashMap<Connection, Writer>,
    /// Whether something is to be announced at once (`Change::is_urgent`).
    pub urgent: bool,
}

impl Activity {
    /// How many changes wait.
    pub fn changes(&self) -> usize {
        self.writers.values().map(|writer| writer.waiting.changes).sum()
    }

    /// How long ago a change was captured.
    pub fn age(&self, moment: SystemTime) -> Duration {
        match self.now.duration_since(moment) {
            Ok(since) => since,
            // The two moments were taken one after the other.
            Err(ahead) if ahead.duration() < CLOCK_SET_BACK => Duration::ZERO,
            Err(_) => Duration::MAX,
        }
    }

    /// How long ago the latest of the actions began that wait.
    pub fn youngest(&self) -> Duration {
        let ages = self.writers.values().map(|writer| self.age(writer.waiting.oldest));
        ages.min().unwrap_or_default()
    }
}

/// Asks PostgreSQL about the connections that have changes waiting among the first `window`, where it matters what
/// they do.
///
/// Must be asked before the changes are read: then all that a connection did before it was seen
/// idle or gone is among them.
///
/// # Errors
/// When the database cannot be asked.
pub async fn activity(
    client: &Prepared<'_, Client>,
    clients: &mut Clients,
    limits: &GatherLimits,
    window: usize,
) -> Result<Activity> {
    // Nobody is waited for, so that nobody need be looked at.
    if limits.settle.is_zero() {
        return Ok(Activity { now: SystemTime::now(), writers: HashMap::new(), urgent: false });
    }
    let window = i64::try_from(window)?;
    let rows = client
        .query(include_str!("../../../sql/gather/backend_activity.sql"), &[&window])
        .await
        .context("reading pg_stat_get_activity")?;
    let writers = rows
        .iter()
        .map(|row| {
            let connection = row.get("connection");
            let state = state(row);
            let waiting = UnplannedChanges::from_row(row);
            // A connection that is gone, or that this role may not see, teaches nothing of its client.
            let sighting = match row.get::<_, Option<SystemTime>>("backend_start") {
                Some(began) if matches!(state, State::Busy(_) | State::Idle(_)) => Some(Sighting {
                    key: Key {
                        role: row.get("role"),
                        address: row.get("address"),
                        application: row.get("application"),
                    },
                    backend: row.get("backend"),
                    age_at_first_change: waiting.oldest.duration_since(began).unwrap_or_default(),
                }),
                _ => None,
            };
            let storage = match row.get("storage") {
                None => Storage::None,
                Some(true) => Storage::Synchronizing,
                Some(false) => Storage::Ended,
            };
            (connection, Writer { state, habit: clients.see(connection, state, sighting), storage, waiting })
        })
        .collect();
    // The server's clock, by which changes are dated; without rows there is nothing to compare with it.
    let now = rows.first().map_or_else(SystemTime::now, |row| row.get("now"));
    let urgent = rows.iter().any(|row| row.get("urgent"));
    Ok(Activity { now, writers, urgent })
}

fn state(row: &Row) -> State {
    let lasting = Duration::try_from_secs_f64(row.get("seconds")).unwrap_or(Duration::MAX);
    match row.get("state") {
        "gone" => State::Gone,
        // Another role's, and this one has not pg_read_all_stats.
        "hidden" => State::Hidden,
        "idle" => State::Idle(lasting),
        _ => State::Busy(lasting),
    }
}
