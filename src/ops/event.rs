//! Events that were planned and are still kept.

use anyhow::{Context, Result};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tokio_postgres::Client;

use super::{check_project, rows};
use crate::model::{Action, Scope};

/// Which events; all that is given must hold.
#[derive(Debug, Clone, Default)]
pub struct EventFilter {
    /// The action.
    pub action: Option<Action>,
    /// Where it occurred.
    pub project: Option<Scope>,
    /// Earliest time at which it occurred.
    pub since: Option<Timestamp>,
    /// The time before which it occurred.
    pub until: Option<Timestamp>,
}

/// An event in a list.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EventSummary {
    /// `lshookd.event.id`
    pub id: i64,
    /// The action's name.
    pub action: String,
    /// `project.id`; 0 for the organization.
    pub project_id: Scope,
    /// About how many objects it is.
    pub objects: i32,
    /// When the last of its changes was captured.
    pub occurred_at: Timestamp,
    /// When it was planned.
    pub planned_at: Timestamp,
    /// How the end of its action was known.
    pub ended_by: Option<String>,
    /// Size of its body; `None` where every webhook wants the action alone.
    pub bytes: Option<i64>,
    /// To how many webhooks it is owed.
    pub deliveries: i64,
}

/// Events, the newest first.
///
/// # Errors
/// When the project is unknown, or the database cannot be asked.
pub async fn find(client: &Client, filter: &EventFilter, limit: i64) -> Result<Vec<EventSummary>> {
    let EventFilter { action, project, since, until } = filter;
    let query = include_str!("../../sql/ops/events.sql");
    let found = rows(client, query, &[&action.map(Action::name), project, since, until, &limit]).await;
    let found: Vec<EventSummary> = found.context("reading lshookd.event")?;
    if let Some(project) = project.and_then(Scope::project).filter(|_| found.is_empty()) {
        check_project(client, project).await?;
    }
    Ok(found)
}
