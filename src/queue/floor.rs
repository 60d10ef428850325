//! From where on changes are read: `lshookd.change_floor`.
//!
//! What the planner has deleted stays in the table, and before all that waits in its index, for as long as any transaction
//! of the cluster is older: a dump that takes an hour would have each look read through an hour of changes.
//!
//! Promises: no change that waits is below the floor. It rises to what is settled. Changes that were set aside come back
//! in their old places; it does not rise meanwhile.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use tokio_postgres::Client;
use tokio_postgres::error::SqlState;

use super::{Progress, Settled};
use crate::pg::Prepared;

/// How often the floor may rise.
const INTERVAL: Duration = Duration::from_secs(1);

/// Waits for nobody; then whoever sets changes aside, or puts them back, does not.
const LOCK: &str = "begin; lock table lshookd.change_set_aside in exclusive mode nowait";

/// What the planner knows of the floor.
#[derive(Default)]
pub struct Floor {
    /// Since it was at the bottom.
    settled: Option<Settled>,
    looked_at: Option<Instant>,
}

impl Floor {
    /// Raises it as far as it may, where it is time to.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn rise(&mut self, database: &Prepared<'_, Client>) -> Result<()> {
        if self.looked_at.is_some_and(|at| at.elapsed() < INTERVAL) {
            return Ok(());
        }
        self.looked_at = Some(Instant::now());
        let is_first = self.settled.is_none();
        let settled = self.settled.get_or_insert_with(|| Settled::of("lshookd.change", "lshookd.change_seq_seq"));
        // It begins at the bottom: the database may be a restored one.
        let progress = if is_first { Progress::Restarted } else { settled.look(database).await? };
        match progress {
            Progress::More => {}
            Progress::Same => return Ok(()),
            Progress::Restarted => {
                let reset = database.execute("select setval('lshookd.change_floor', 0)", &[]).await;
                return reset.map(drop).context("resetting lshookd.change_floor");
            }
        }
        let client = database.client();
        let raised = match client.batch_execute(LOCK).await {
            Ok(()) => {
                let query = include_str!("../../sql/queue/raise_change_floor.sql");
                database.execute(query, &[&settled.up_to()]).await.map(drop)
            }
            // It rises with what comes next.
            Err(error) if error.code() == Some(&SqlState::LOCK_NOT_AVAILABLE) => Ok(()),
            Err(error) => Err(error),
        };
        client.batch_execute("commit").await.context("raising lshookd.change_floor")?;
        raised.context("raising lshookd.change_floor")
    }
}
