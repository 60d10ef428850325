//! How the connections of a client end: what the planner learns by watching them.
//!
//! Label Studio opens a connection for each request and closes it when that is done (`CONN_MAX_AGE` 0, Django's
//! default): the end of the connection is then the end of the action, however long it was idle in between. Behind a
//! pooler, with persistent connections, in a worker or a shell it lives on, and only time tells. Which it is cannot
//! be seen of one connection while it is open, but of those that the same client had before.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use tokio_postgres::Client;

use crate::pg::Prepared;
use crate::queue::change::Connection;

/// A connection that has been idle for so long lives on.
const LONG_IDLE: Duration = Duration::from_secs(30);

/// A connection that writes again so long after its changes were planned serves several actions.
const SECOND_ACTION: Duration = Duration::from_secs(2);

/// A connection that was opened at most so long before its first change may be that of a request.
const YOUNG: Duration = Duration::from_secs(3);

/// One that was opened so long before is a shell's or a worker's, whatever others of its client do.
const OLD: Duration = Duration::from_secs(60);

/// So many times more of one kind than of the other tell.
const CLEAR: u32 = 4;

/// Counts are halved beyond this, so that what changes is learned anew.
const MEMORY: u32 = 64;

/// Who opened a connection: connections of the same client are taken to end in the same way.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct Key {
    /// The PostgreSQL role.
    pub role: String,
    /// The client's address; empty for a Unix socket.
    pub address: String,
    /// `application_name`
    pub application: String,
}

/// What a connection is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// It is closed.
    Gone,
    /// It has been running a statement, or has had a transaction open, for this long.
    Busy(Duration),
    /// It has been waiting for its client for this long.
    Idle(Duration),
    /// This role may not see it.
    Hidden,
}

/// How a connection is expected to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Habit {
    /// With the request that it was opened for, as those of its client did before.
    Closes,
    /// The same, but it was opened long before its first change.
    ClosesLate,
    /// With a request, as far as one can tell of a young connection of a client that is not known yet.
    MayClose,
    /// It does not: actions follow each other on it.
    LivesOn,
}

/// What can be seen of an open connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sighting {
    /// Whose it is.
    pub key: Key,
    /// Its process id.
    pub backend: i32,
    /// How long it had been open at its first change that waits.
    pub age_at_first_change: Duration,
}

/// How often connections of a client were closed after their work, and how often they lived on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Tally {
    closed: u32,
    lived_on: u32,
}

struct Seen {
    key: Key,
    backend: i32,
    age_at_first_change: Duration,
    lives_on: bool,
    /// When changes of it were planned while it was open.
    planned_at: Option<Instant>,
}

/// What was learned.
#[derive(Default)]
pub struct Clients {
    tallies: HashMap<Key, Tally>,
    open: HashMap<Connection, Seen>,
    is_new: bool,
}

impl Tally {
    fn habit(self) -> Option<Habit> {
        if self.lived_on > 0 && self.lived_on.saturating_mul(CLEAR) > self.closed {
            Some(Habit::LivesOn)
        } else {
            (self.closed >= 2).then_some(Habit::Closes)
        }
    }

    fn note(&mut self, lived_on: bool) {
        if self.closed + self.lived_on >= MEMORY {
            *self = Tally { closed: self.closed / 2, lived_on: self.lived_on / 2 };
        }
        match lived_on {
            true => self.lived_on += 1,
            false => self.closed += 1,
        }
    }
}

impl Clients {
    /// Takes note of a connection that has changes waiting; how it is expected to end.
    pub fn see(&mut self, connection: Connection, state: State, sighting: Option<Sighting>) -> Habit {
        let idle = match state {
            State::Gone => {
                self.forget(connection);
                return Habit::Closes;
            }
            State::Idle(idle) => idle,
            State::Busy(_) | State::Hidden => Duration::ZERO,
        };
        if let Some(Sighting { key, backend, age_at_first_change }) = sighting {
            self.open.entry(connection).or_insert(Seen {
                key,
                backend,
                age_at_first_change,
                lives_on: false,
                planned_at: None,
            });
        }
        let Some(seen) = self.open.get_mut(&connection) else {
            return Habit::LivesOn;
        };
        let writes_again = seen.planned_at.is_some_and(|planned_at| planned_at.elapsed() >= SECOND_ACTION);
        if !seen.lives_on && (idle >= LONG_IDLE || writes_again) {
            seen.lives_on = true;
            self.tallies.entry(seen.key.clone()).or_default().note(true);
            self.is_new = true;
        }
        if seen.lives_on {
            return Habit::LivesOn;
        }
        match self.tallies.get(&seen.key).and_then(|tally| tally.habit()) {
            Some(Habit::Closes) if seen.age_at_first_change >= OLD => Habit::ClosesLate,
            Some(habit) => habit,
            // What has been planned once while it was open is not waited for again.
            None if seen.age_at_first_change < YOUNG && seen.planned_at.is_none() => Habit::MayClose,
            None => Habit::LivesOn,
        }
    }

    /// Takes note that changes of an open connection were planned.
    pub fn planned(&mut self, connection: Connection) {
        if let Some(seen) = self.open.get_mut(&connection) {
            seen.planned_at.get_or_insert_with(Instant::now);
        }
    }

    fn forget(&mut self, connection: Connection) {
        if let Some(seen) = self.open.remove(&connection)
            && !seen.lives_on
        {
            self.tallies.entry(seen.key).or_default().note(false);
            self.is_new = true;
        }
    }

    /// Looks after connections that have nothing waiting any more, and keeps what was learned.
    ///
    /// # Errors
    /// When the database cannot be asked.
    pub async fn review(&mut self, client: &Prepared<'_, Client>) -> Result<()> {
        let lingering: Vec<(Connection, i32)> = self
            .open
            .iter()
            .filter(|(_, seen)| seen.planned_at.is_some())
            .map(|(id, seen)| (*id, seen.backend))
            .collect();
        if !lingering.is_empty() {
            let backends: Vec<i32> = lingering.iter().map(|(_, backend)| *backend).collect();
            let rows = client.query(include_str!("../../../sql/gather/open_backends.sql"), &[&backends]).await;
            let rows = rows.context("reading pg_stat_get_activity")?;
            let idle: HashMap<i32, f64> = rows.iter().map(|row| (row.get("backend"), row.get("idle"))).collect();
            for (connection, backend) in lingering {
                match idle.get(&backend) {
                    None => self.forget(connection),
                    Some(idle) => {
                        let idle = Duration::try_from_secs_f64(*idle).unwrap_or_default();
                        self.see(connection, State::Idle(idle), None);
                    }
                }
            }
        }
        if std::mem::take(&mut self.is_new) {
            for (key, tally) in &self.tallies {
                let (closed, lived_on) = (i32::try_from(tally.closed)?, i32::try_from(tally.lived_on)?);
                client
                    .execute(
                        include_str!("../../../sql/gather/keep_client.sql"),
                        &[&key.role, &key.address, &key.application, &closed, &lived_on],
                    )
                    .await
                    .context("writing lshookd.client")?;
            }
        }
        Ok(())
    }

    /// What was learned before.
    ///
    /// # Errors
    /// When the database cannot be asked.
    pub async fn read(client: &Prepared<'_, Client>) -> Result<Clients> {
        let rows = client.query("select * from lshookd.client", &[]).await.context("reading lshookd.client")?;
        let count = |row: &tokio_postgres::Row, name| u32::try_from(row.get::<_, i32>(name)).unwrap_or_default();
        let tallies = rows.iter().map(|row| {
            let key = Key { role: row.get("role"), address: row.get("address"), application: row.get("application") };
            (key, Tally { closed: count(row, "closed"), lived_on: count(row, "lived_on") })
        });
        Ok(Clients { tallies: tallies.collect(), ..Clients::default() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BUSY: State = State::Busy(Duration::ZERO);

    fn sighting(age: Duration) -> Option<Sighting> {
        Some(Sighting { key: Key::default(), backend: 1, age_at_first_change: age })
    }

    fn young() -> Option<Sighting> {
        sighting(Duration::from_millis(20))
    }

    #[test]
    fn a_young_connection_of_nobody_known_may_be_a_requests() {
        let mut clients = Clients::default();
        assert_eq!(clients.see(1, BUSY, young()), Habit::MayClose);
        assert_eq!(clients.see(2, BUSY, sighting(Duration::from_secs(10))), Habit::LivesOn);
        assert_eq!(clients.see(3, State::Hidden, None), Habit::LivesOn);
    }

    #[test]
    fn connections_that_close_are_expected_to_close() {
        let mut clients = Clients::default();
        for connection in 1..=2 {
            clients.see(connection, BUSY, young());
            clients.see(connection, State::Gone, None);
        }
        assert_eq!(clients.see(3, BUSY, sighting(Duration::from_secs(10))), Habit::Closes);
        assert_eq!(clients.see(4, BUSY, sighting(Duration::from_secs(100))), Habit::ClosesLate);
        // A shell of the same role, which waits at its prompt.
        assert_eq!(clients.see(3, State::Idle(LONG_IDLE), None), Habit::LivesOn);
    }

    #[test]
    fn connections_that_live_on_are_expected_to_live_on() {
        let mut clients = Clients::default();
        clients.see(1, BUSY, young());
        clients.planned(1);
        assert_eq!(clients.see(1, BUSY, None), Habit::LivesOn, "it is not waited for twice");
        clients.see(1, State::Idle(LONG_IDLE), None);
        assert_eq!(clients.see(2, BUSY, young()), Habit::LivesOn, "nor are others of its client");
        // They are not, either, when a pooler ends them.
        clients.see(1, State::Gone, None);
        assert_eq!(clients.see(3, BUSY, young()), Habit::LivesOn);
    }

    #[test]
    fn what_changes_is_learned_anew() {
        let mut tally = Tally::default();
        (0..1000).for_each(|_| tally.note(false));
        assert_eq!(tally.habit(), Some(Habit::Closes));
        (0..MEMORY).for_each(|_| tally.note(true));
        assert_eq!(tally.habit(), Some(Habit::LivesOn));
    }
}
