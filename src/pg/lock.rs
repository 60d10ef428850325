//! The advisory locks of lshookd: what each number stands for.
//!
//! All of them have the same first key, by which they are told from those of other programs; the second is one of
//! [`LockKey`]. Functions in `sql/functions` write the numbers out, for a parameter would cost each writer a little;
//! a test below holds them to these.

use anyhow::{Context, Result};
use tokio_postgres::{Client, GenericClient};

use super::Prepared;

/// The first key of all locks: "lslk" in ASCII, as a number.
pub const CLASS: i32 = 1_819_503_723;

/// The second key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LockKey {
    /// Held by the planner while it sleeps; writers that cannot share it notify (`lshookd.wake`).
    Idle = 0,
    /// Held by an installation, so that a second one waits for its turn.
    Install = 1,
    /// Held by the active planner.
    Planner = 2,
    /// Held by the active retention.
    Retention = 4,
    /// Held while watching triggers are installed or removed (`lshookd.watch_as_wanted`).
    Watch = 5,
}

/// The second keys from here on are of buckets of projects: the planner holds that of a project whose counts it keeps.
const COUNTS: i32 = 64;
const BUCKETS: i64 = 64;

/// Waits for those who share a bucket's lock, most of which are done at once: nobody new can share it meanwhile.
const BRIEFLY: &str = "begin; set local lock_timeout = '100ms'";
const LOCK: &str = "select pg_advisory_lock($1::integer, $2::integer)";
const TRY_LOCK: &str = "select pg_try_advisory_lock($1::integer, $2::integer) as locked";
const UNLOCK: &str = "select pg_advisory_unlock($1::integer, $2::integer)";

/// Takes a lock for the session, if nobody else has it: a statement that waits would hold back vacuum.
///
/// # Errors
/// When the connection is lost.
pub async fn try_lock(client: &Prepared<'_, impl GenericClient>, key: LockKey) -> Result<bool> {
    let row = client.query_one(TRY_LOCK, &[&CLASS, &(key as i32)]).await;
    Ok(row.context("taking an advisory lock")?.get("locked"))
}

/// Gives a lock of the session back.
///
/// # Errors
/// When the connection is lost.
pub async fn unlock(client: &Prepared<'_, Client>, key: LockKey) -> Result<()> {
    client.execute(UNLOCK, &[&CLASS, &(key as i32)]).await.context("releasing an advisory lock")?;
    Ok(())
}

/// The second key of a project's bucket.
pub fn counts_key(project: i64) -> i32 {
    COUNTS + i32::try_from(project.rem_euclid(BUCKETS)).unwrap_or_default()
}

/// Takes the lock of a bucket of projects for the session.
///
/// # Errors
/// With `lock_not_available` when others share it for longer than a moment; when the connection is lost.
pub async fn lock_counts(client: &Prepared<'_, Client>, key: i32) -> Result<(), tokio_postgres::Error> {
    client.client().batch_execute(BRIEFLY).await?;
    let taken = client.execute(LOCK, &[&CLASS, &key]).await;
    client.client().batch_execute("rollback").await?;
    taken.map(drop)
}

/// Gives the lock of a bucket back.
///
/// # Errors
/// When the connection is lost.
pub async fn unlock_counts(client: &Prepared<'_, Client>, key: i32) -> Result<(), tokio_postgres::Error> {
    client.execute(UNLOCK, &[&CLASS, &key]).await.map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn projects_below_zero_have_buckets_as_well() {
        assert_eq!(
            [-65, -64, -3, 3, 64].map(counts_key),
            [-65, -64, -3, 3, 64].map(|id: i64| COUNTS + (id & 63) as i32)
        );
    }

    #[test]
    fn functions_name_the_same_locks() {
        let key_in = |path: &str| {
            let sql = std::fs::read_to_string(path).unwrap();
            let (_, rest) = sql.split_once(&format!("({CLASS}, ")).unwrap_or_else(|| panic!("{path} takes no lock"));
            rest.split_once(')').unwrap().0.parse::<i32>().unwrap()
        };
        assert_eq!(key_in("sql/functions/capture/wake.sql"), LockKey::Idle as i32);
        assert_eq!(key_in("sql/functions/capture/capture_annotation_insert.sql"), LockKey::Idle as i32);
        assert_eq!(key_in("sql/functions/watch/watch_as_wanted.sql"), LockKey::Watch as i32);
        // For powers of two that is the same as the remainder, also below zero.
        let bucket = format!("({CLASS}, {COUNTS} + (project & {})::integer)", BUCKETS - 1);
        assert!(std::fs::read_to_string("sql/functions/capture/counts_changed.sql").unwrap().contains(&bucket));
    }
}
