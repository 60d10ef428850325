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
    use std::collections::BTreeSet;

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
        let named_in = |folder: &str| {
            let mut named = BTreeSet::new();
            for file in std::fs::read_dir(format!("sql/functions/{folder}")).unwrap().map(Result::unwrap) {
                let sql = std::fs::read_to_string(file.path()).unwrap();
                for rest in sql.split(&format!("({CLASS}, ")).skip(1) {
                    let end = if rest.starts_with(&COUNTS.to_string()) { "::integer)" } else { ")" };
                    let key = rest.split_once(end).unwrap().0.to_owned();
                    named.insert((file.file_name().into_string().unwrap(), key));
                }
            }
            named
        };
        let idle = |file: &str| (format!("{file}.sql"), (LockKey::Idle as i32).to_string());
        // For powers of two that is the same as the remainder, also below zero.
        let bucket = |file: &str, of: &str| (format!("{file}.sql"), format!("{COUNTS} + ({of} & {})", BUCKETS - 1));
        let expected = [
            idle("capture_annotation_insert"),
            bucket("capture_annotation_insert", "made.project_id"),
            idle("capture_annotation_update"),
            bucket("capture_annotation_update", "counted.project_id"),
            bucket("capture_task_update", "project_id"),
            bucket("counts_changed", "project"),
            idle("wake"),
        ];
        assert_eq!(named_in("capture"), expected.into());
        let watch = ("watch_as_wanted.sql".to_owned(), (LockKey::Watch as i32).to_string());
        assert_eq!(named_in("watch"), [watch].into());
    }
}
