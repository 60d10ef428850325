//! Upkeep: what the planner sees to beside planning, every few seconds.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use tokio_postgres::{Client, GenericClient};

use crate::metrics::Metrics;
use crate::pg::Prepared;
use crate::schema::install;

/// How often the planner looks whether the triggers are installed and enabled.
const TRIGGER_INTERVAL: Duration = Duration::from_secs(10);

/// Whether all of Label Studio's tables are captured, as it was seen last.
#[derive(Default)]
pub struct Triggers {
    seen: Option<Instant>,
    missing: Vec<String>,
}

impl Triggers {
    /// Whether some were missing when it was looked last.
    pub fn are_missing(&self) -> bool {
        !self.missing.is_empty()
    }

    /// Somebody may disable or drop them while the daemon runs: what they would capture is lost.
    ///
    /// # Errors
    /// When the database cannot be asked.
    pub async fn review(&mut self, client: &Client, metrics: &Metrics) -> Result<()> {
        if self.seen.is_some_and(|seen| seen.elapsed() < TRIGGER_INTERVAL) {
            return Ok(());
        }
        self.seen = Some(Instant::now());
        let missing = install::missing_triggers(client).await?;
        metrics.triggers_missing(missing.len());
        if missing != self.missing && !missing.is_empty() {
            tracing::error!(
                missing = missing.join(", "),
                "triggers are missing or disabled, and what they would capture is not announced; run `lshookd install`"
            );
        } else if missing != self.missing {
            tracing::info!("all triggers are installed and enabled again");
        }
        self.missing = missing;
        Ok(())
    }
}

/// Logs capture errors that are new; how many there are now.
///
/// # Errors
/// When the database cannot be asked.
pub async fn report_capture_errors(client: &Prepared<'_, impl GenericClient>, seen: i64) -> Result<i64> {
    let row = client.query_one(include_str!("../../../sql/plan/capture_errors.sql"), &[]).await;
    let row = row.context("reading lshookd.capture_error")?;
    let count: i64 = row.get("count");
    if count > seen {
        tracing::error!(
            new = count - seen,
            last = row.get::<_, Option<String>>("last"),
            "capture errors: these changes are not announced; see lshookd.capture_error and run `lshookd install`"
        );
    }
    Ok(count)
}
