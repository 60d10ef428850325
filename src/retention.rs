//! Retention: what was delivered is kept for a while, and then deleted in small batches, so that
//! the history does not grow for ever and nobody waits for its deletion. Dead deliveries stay.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use tokio::time::sleep;
use tokio_postgres::GenericClient;
use tokio_util::sync::CancellationToken;

use crate::pg::Session;
use crate::pg::role::{self, Heartbeat};

/// Pause between two looks.
const EVERY: Duration = Duration::from_secs(60);

/// Pause between two batches, for the others' sake.
const BATCH_PAUSE: Duration = Duration::from_millis(100);

/// Deletes what is older than `age` until `stop`; zero keeps everything.
///
/// # Errors
/// When the connection is lost, or a statement fails.
pub async fn run(
    mut session: Session,
    age: Duration,
    mut heartbeat: Heartbeat,
    stop: &CancellationToken,
) -> Result<()> {
    while !stop.is_cancelled() {
        session
            .client
            .execute(include_str!("../sql/retention/expire_secrets.sql"), &[])
            .await
            .context("deleting old secrets")?;
        session
            .client
            .execute(include_str!("../sql/retention/expire_audits.sql"), &[])
            .await
            .context("deleting old entries of the audit log")?;
        forget_webhooks(&session.client).await?;
        session
            .client
            .execute(include_str!("../sql/retention/expire_tapped_events.sql"), &[])
            .await
            .context("deleting tapped events")?;
        while !age.is_zero() && !stop.is_cancelled() && expire(&mut session, age).await? {
            heartbeat.beat(&session.statements.on(&session.client)).await?;
            sleep(BATCH_PAUSE).await;
        }
        let looked = Instant::now();
        while looked.elapsed() < EVERY && !stop.is_cancelled() {
            heartbeat.beat(&session.statements.on(&session.client)).await?;
            tokio::select! {
                () = sleep(role::INTERVAL) => {}
                () = stop.cancelled() => {}
            }
        }
    }
    heartbeat.stop(&session.client).await
}

/// Forgets what we know of webhooks that are deleted: who delivers them, that they were paused, what they wanted;
/// `lshookd webhook delete` does so, too, in its own transaction.
///
/// # Errors
/// When the database refuses.
pub async fn forget_webhooks(client: &impl GenericClient) -> Result<()> {
    client
        .execute(include_str!("../sql/retention/forget_adoptions.sql"), &[])
        .await
        .context("forgetting who delivered webhooks that are deleted")?;
    let wishes = client.query_one(include_str!("../sql/retention/choices_left.sql"), &[]).await;
    if wishes.context("looking for webhooks that are deleted")?.get("left_over") {
        let forgotten = client.execute(include_str!("../sql/retention/forget_choices.sql"), &[]).await;
        forgotten.context("forgetting what webhooks that are deleted wanted")?;
    }
    Ok(())
}

/// Deletes one batch of deliveries; whether there may be more.
async fn expire(session: &mut Session, age: Duration) -> Result<bool> {
    let transaction = session.client.transaction().await?;
    let rows = transaction
        .query(include_str!("../sql/retention/expire_deliveries.sql"), &[&age.as_secs_f64()])
        .await
        .context("deleting old deliveries")?;
    let events: Vec<i64> = rows.iter().map(|row| row.get("event_id")).collect();
    transaction
        .execute(include_str!("../sql/retention/expire_events.sql"), &[&events])
        .await
        .context("deleting old events")?;
    transaction.commit().await?;
    if !events.is_empty() {
        tracing::debug!(deliveries = events.len(), "deleted what was delivered long ago");
    }
    Ok(!events.is_empty())
}
