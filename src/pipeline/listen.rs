//! Listening: sleeping until there is something to plan.
//!
//! NOTIFY takes a lock at commit that serializes all writers of the cluster, so writers notify
//! only a sleeper: they try an advisory lock in share mode, and notify if that fails. To sleep,
//! one takes the lock exclusively, which is granted only while no capturing transaction is in
//! flight, looks at the table once more, and holds the lock until awake. Nobody waits for it;
//! a notification that is lost all the same costs no more than one `poll`.
//!
//! A sleeper that has frozen is no sleeper for long: it speaks every ten seconds, and PostgreSQL ends its session where it
//! does not, so that writers are not slowed for ever by notifying nobody.
//!
//! Relies on `lshookd.wake()` (`sql/functions/capture/wake.sql`), and on a session of its own.

use std::time::Duration;

use anyhow::{Result, bail};
use tokio::time::timeout;
use tokio_postgres::Client;
use tokio_util::sync::CancellationToken;

use crate::pg::lock::{self, LockKey};
use crate::pg::{Prepared, Session};

/// Pauses while a capturing transaction is in flight, which keeps us from sleeping soundly: most are over
/// at once, others take minutes.
const SHORTEST_DOZE: Duration = Duration::from_millis(1);
const LONGEST_DOZE: Duration = Duration::from_millis(20);

/// Listens; from PostgreSQL 14 on within a limit of silence, twice as long as a sleep.
const LISTEN: &str = "listen lshookd; select set_config('idle_session_timeout', '20s', false)
    where current_setting('idle_session_timeout', true) is not null";

/// The last look before sleeping, and whether writers may notify (`lshookd.may_notify`).
const CHANGES_WAIT: &str =
    "select exists (select from lshookd.change) as waiting, lshookd.may_notify() as may_be_notified";

/// How often one looks where writers may not notify.
const WITHOUT_NOTIFICATIONS: Duration = Duration::from_millis(200);

/// How soundly one has slept of late.
pub struct Sleeper {
    doze: Duration,
    /// Whether writers still notify, for it has not risen yet.
    is_down: bool,
}

impl Default for Sleeper {
    fn default() -> Sleeper {
        Sleeper { doze: SHORTEST_DOZE, is_down: false }
    }
}

impl Sleeper {
    /// Lets writers notify no more. It may be sent together with what comes after: a notification too many does no harm.
    ///
    /// # Errors
    /// When the connection is lost.
    pub async fn rise(&mut self, database: &Prepared<'_, Client>) -> Result<()> {
        if std::mem::take(&mut self.is_down) {
            lock::unlock(database, LockKey::Idle).await?;
        }
        Ok(())
    }

    /// There was something to plan: under a steady load some transaction is always in flight, and the next change is
    /// near.
    pub fn has_worked(&mut self) {
        self.doze = SHORTEST_DOZE;
    }
}

/// Makes the session listen to the writers' wake-up call.
pub async fn start(session: &Session) -> Result<()> {
    session.client.batch_execute(LISTEN).await?;
    Ok(())
}

/// Returns when there may be changes, after `poll` at the latest, or when `stop` says so. The sleeper is then still to
/// [rise](Sleeper::rise).
///
/// # Errors
/// When the connection is lost.
pub async fn sleep(
    session: &mut Session,
    sleeper: &mut Sleeper,
    poll: Duration,
    stop: &CancellationToken,
) -> Result<()> {
    while session.notifications.try_recv().is_ok() {}
    // Granted only while no transaction that captured something is in flight.
    if !lock::try_lock(&session.statements.on(&session.client), LockKey::Idle).await? {
        tokio::select! {
            () = tokio::time::sleep(sleeper.doze) => {}
            () = stop.cancelled() => {}
        }
        sleeper.doze = (sleeper.doze * 2).min(LONGEST_DOZE);
        return Ok(());
    }
    sleeper.doze = SHORTEST_DOZE;
    sleeper.is_down = true;
    let row = session.statements.on(&session.client).query_one(CHANGES_WAIT, &[]).await?;
    let poll = if row.get("may_be_notified") { poll } else { poll.min(WITHOUT_NOTIFICATIONS) };
    let notified = if row.get("waiting") {
        Ok(Some(()))
    } else {
        tokio::select! {
            notified = timeout(poll, session.notifications.recv()) => notified,
            () = stop.cancelled() => Ok(Some(())),
        }
    };
    if let Ok(None) = notified {
        bail!("the connection to PostgreSQL was lost while waiting for changes");
    }
    Ok(())
}
