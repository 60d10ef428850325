//! Webhooks that only fail: since when, and that they are paused at last where the settings say so. Relies on
//! `lshookd.failing_webhook`, so that a restart forgets nothing.

use std::time::{Duration, Instant, SystemTime};

use anyhow::{Context, Result};
use jiff::Timestamp;
use tokio_postgres::Client;

use crate::model::WebhookId;
use crate::pg::Prepared;

/// How often it is looked after them, and at least so many times until one is paused.
const EVERY: Duration = Duration::from_secs(60);
const LOOKS: u32 = 10;

/// Looks after webhooks that only fail.
pub struct FailingWebhooks {
    /// After so long they are paused; `None`: never.
    pause_after: Option<Duration>,
    looked_at: Option<Instant>,
}

impl FailingWebhooks {
    /// Pauses them after so long.
    pub fn new(pause_after: Option<Duration>) -> FailingWebhooks {
        FailingWebhooks { pause_after, looked_at: None }
    }

    /// Notes which fail and which do no longer, where it is time to.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn look(&mut self, database: &Prepared<'_, Client>) -> Result<()> {
        let every = self.pause_after.map_or(EVERY, |after| (after / LOOKS).min(EVERY));
        if self.looked_at.is_some_and(|at| at.elapsed() < every) {
            return Ok(());
        }
        self.looked_at = Some(Instant::now());
        let after = self.pause_after.map(|after| after.as_secs_f64());
        let rows = database.query(include_str!("../../sql/deliver/note_failing.sql"), &[&after]).await;
        for row in rows.context("noting which webhooks fail")? {
            let (WebhookId(webhook), since): (_, SystemTime) = (row.get("webhook_id"), row.get("since"));
            let since = Timestamp::try_from(since).context("reading lshookd.failing_webhook")?;
            match row.get("is_paused") {
                true => tracing::error!(
                    webhook,
                    %since,
                    "a webhook has only failed, and is paused; what it is owed is kept: lshookd webhook resume {webhook}"
                ),
                false => {
                    tracing::warn!(webhook, %since, "a webhook only fails, and will be paused after as long again")
                }
            }
        }
        Ok(())
    }
}
