//! Completion: a project is completed when the last of its tasks is, once, until there is something to do in it
//! again.
//!
//! Relies on the planner's transaction, in which all of this happens, and on
//! `lshookd.completed_project`.

use std::collections::BTreeSet;

use anyhow::{Context, Result};
use tokio_postgres::GenericClient;

use crate::model::{Action, Event, Scope};
use crate::pg::Prepared;
use crate::pipeline::webhook::Webhooks;

/// PROJECT_COMPLETED for the projects that the events complete, where somebody wants to hear of it.
///
/// # Errors
/// When the database cannot be asked.
pub async fn announced(
    client: &Prepared<'_, impl GenericClient>,
    webhooks: &Webhooks,
    events: &[&Event],
) -> Result<Vec<Event>> {
    let projects = |actions: &[Action]| -> BTreeSet<i64> {
        let touching = events.iter().filter(|event| actions.contains(&event.action));
        touching
            .filter_map(|event| event.scope.project())
            .filter(|project| webhooks.want(*project, Action::ProjectCompleted))
            .collect()
    };
    let grown: Vec<i64> = projects(&[Action::TasksCreated, Action::TasksReopened]).into_iter().collect();
    let completing: Vec<i64> = projects(&[Action::TasksCompleted]).into_iter().collect();
    if !grown.is_empty() {
        let forgotten = client.execute(include_str!("../../sql/plan/reopen_projects.sql"), &[&grown]).await;
        forgotten.context("deleting from lshookd.completed_project")?;
    }
    if completing.is_empty() {
        return Ok(Vec::new());
    }
    let rows = client.query(include_str!("../../sql/plan/complete_projects.sql"), &[&completing]).await;
    let rows = rows.context("writing lshookd.completed_project")?;
    let completed: Vec<i64> = rows.iter().map(|row| row.get("project_id")).collect();
    let last = |project: &i64| {
        let last = events.iter().rfind(|event| completes(event, Scope::Project(*project)))?;
        Some(Event { action: Action::ProjectCompleted, ..last.of(vec![*project]) })
    };
    Ok(completed.iter().filter_map(last).collect())
}

/// The events, with each completion behind the tasks that brought it.
pub fn in_place<'a>(mut events: Vec<&'a Event>, completions: &'a [Event]) -> Vec<&'a Event> {
    for completion in completions {
        if let Some(place) = events.iter().rposition(|event| completes(event, completion.scope)) {
            events.insert(place + 1, completion);
        }
    }
    events
}

fn completes(event: &Event, scope: Scope) -> bool {
    event.scope == scope && event.action == Action::TasksCompleted
}
