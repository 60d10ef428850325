//! Queueing: events and deliveries are stored in the transaction that consumes their changes.

use std::time::SystemTime;

use anyhow::{Context, Result};
use tokio_postgres::GenericClient;

use crate::event::Event;

/// An event, who receives it, and what it says.
pub struct Addressed {
    /// The event.
    pub event: Event,
    /// The webhooks, by id; never empty.
    pub recipients: Vec<i64>,
    /// The JSON body; `None` if every recipient wants the action's name alone.
    pub body: Option<String>,
}

/// Stores events with one delivery per recipient, in order, and wakes their lanes.
///
/// # Errors
/// When the database refuses; the caller's transaction must then be rolled back.
pub async fn store(client: &impl GenericClient, events: &[Addressed]) -> Result<()> {
    if events.is_empty() {
        return Ok(());
    }
    let actions: Vec<&str> = events.iter().map(|addressed| addressed.event.action.name()).collect();
    let projects: Vec<i64> = events.iter().map(|addressed| addressed.event.project).collect();
    let counts: Vec<i32> =
        events.iter().map(|addressed| i32::try_from(addressed.event.objects.len()).unwrap_or(i32::MAX)).collect();
    let moments: Vec<SystemTime> = events.iter().map(|addressed| addressed.event.occurred_at).collect();
    let bodies: Vec<Option<&str>> = events.iter().map(|addressed| addressed.body.as_deref()).collect();
    let stored = client
        .query(include_str!("../sql/store_events.sql"), &[&actions, &projects, &counts, &moments, &bodies])
        .await
        .context("storing events")?;
    let mut event_ids: Vec<i64> = Vec::new();
    let mut webhooks: Vec<i64> = Vec::new();
    let mut lane_projects: Vec<i64> = Vec::new();
    for (addressed, row) in events.iter().zip(&stored) {
        for webhook in &addressed.recipients {
            event_ids.push(row.get("id"));
            webhooks.push(*webhook);
            lane_projects.push(addressed.event.project);
        }
    }
    client
        .execute(include_str!("../sql/store_deliveries.sql"), &[&event_ids, &webhooks, &lane_projects])
        .await
        .context("storing deliveries")?;
    client.execute(include_str!("../sql/ensure_secrets.sql"), &[&webhooks]).await.context("making signing secrets")?;
    client
        .execute(include_str!("../sql/wake_lanes.sql"), &[&webhooks, &lane_projects])
        .await
        .context("waking lanes")?;
    Ok(())
}
