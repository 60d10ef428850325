//! `backfill`: what existed before there was a subscription is announced to it.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result};
use clap::Args;
use serde_json::json;
use tokio_postgres::{Client, IsolationLevel};

use super::{Output, check_known};
use crate::database::Statements;
use crate::event::{Action, End, Event, Form, Shown};
use crate::queue::{self, Addressed};
use crate::render::Renderer;
use crate::settings::Settings;

/// Objects that are announced in one transaction, at most.
const BATCH: i64 = 500;

/// What to announce.
#[derive(Debug, Args)]
pub struct Backfill {
    /// The webhook that is told
    #[arg(value_name = "ID")]
    subscription: i64,
    /// TASKS_CREATED, ANNOTATION_CREATED, ANNOTATIONS_CREATED, PROJECT_CREATED or LABEL_LINK_CREATED
    #[arg(long, short)]
    action: Action,
    /// Of this project alone
    #[arg(long, short, value_name = "ID")]
    project: Option<i64>,
    /// Most objects announced in a second
    #[arg(long, default_value_t = 500, value_parser = clap::value_parser!(u32).range(1..))]
    rate: u32,
    /// Begin anew, and do not go on where the last run was cut short
    #[arg(long)]
    restart: bool,
    /// Only count
    #[arg(long)]
    dry_run: bool,
}

/// Announces what exists, batch by batch; a run that was cut short is gone on with.
///
/// # Errors
/// When the action is none that tells of something new, there is no such webhook, or the database
/// refuses.
pub async fn run(client: &mut Client, settings: &Settings, wanted: &Backfill, output: Output) -> Result<()> {
    let Backfill { subscription, action, project, .. } = *wanted;
    if !action.is_a_creation() || !action.is_label_studios() {
        fail!(Choice, "{action} tells of no object that exists; backfill takes TASKS_CREATED, ANNOTATION_CREATED, …");
    }
    check_known(client, &[subscription]).await?;
    let key: [&(dyn tokio_postgres::types::ToSql + Sync); 3] = [&subscription, &action.name(), &project];
    if wanted.restart && !wanted.dry_run {
        client.execute(include_str!("../../sql/ops/forget_backfill.sql"), &key).await?;
    }
    let none: i64 = 0;
    let count: &[&(dyn tokio_postgres::types::ToSql + Sync)] = &[&action.kind().name(), &subscription, &project];
    if wanted.dry_run {
        let total = client
            .query_one(include_str!("../../sql/ops/count_objects.sql"), &[count, &[&none]].concat())
            .await?
            .get::<_, i64>("count");
        output.say(&format!("{total} objects would be announced."), &json!({ "objects": total, "dry_run": true }));
        return Ok(());
    }
    let begun = client.query_one(include_str!("../../sql/ops/begin_backfill.sql"), &key).await?;
    let (id, mut after, mut announced): (i64, i64, i64) =
        (begun.get("id"), begun.get("after_id"), begun.get("announced"));
    if announced > 0 && !output.json {
        say!("Going on after {announced} objects that were announced before.");
    }
    let left = client.query_one(include_str!("../../sql/ops/count_objects.sql"), &[count, &[&after]].concat()).await?;
    let bar = output.progress(left.get::<_, i64>("count").unsigned_abs());
    let mut renderer = Renderer::new(&settings.extra_fields);
    let most = BATCH.min(i64::from(wanted.rate));
    loop {
        let started = std::time::Instant::now();
        let batch = announce(client, settings, &mut renderer, wanted, (id, after), most).await?;
        let Some((last, objects)) = batch else {
            break;
        };
        after = last;
        announced += objects;
        bar.inc(objects.unsigned_abs());
        let due = Duration::from_secs_f64(objects as f64 / f64::from(wanted.rate));
        tokio::time::sleep(due.saturating_sub(started.elapsed())).await;
    }
    bar.finish_and_clear();
    output.say(
        &format!("{announced} objects are announced to webhook {subscription} as {action}."),
        &json!({ "objects": announced, "webhook_id": subscription, "action": action.name() }),
    );
    Ok(())
}

/// Announces the next objects in one transaction: the last of them and how many, or `None` if there
/// are no more.
async fn announce(
    client: &mut Client,
    settings: &Settings,
    renderer: &mut Renderer,
    wanted: &Backfill,
    (backfill, after): (i64, i64),
    most: i64,
) -> Result<Option<(i64, i64)>> {
    let Backfill { subscription, action, project, .. } = *wanted;
    // What is listed is still there when it is read.
    let transaction = client.build_transaction().isolation_level(IsolationLevel::RepeatableRead).start().await?;
    let statements = Statements::default();
    let database = statements.on(&transaction);
    let rows = transaction
        .query(
            include_str!("../../sql/ops/objects.sql"),
            &[&action.kind().name(), &subscription, &project, &after, &most, &false],
        )
        .await
        .context("reading what exists")?;
    let objects: Vec<(i64, i64)> = rows.iter().map(|row| (row.get("project_id"), row.get("id"))).collect();
    let last = objects.last().map(|(_, id)| *id);
    let announced = i64::try_from(objects.len())?;
    let events = events(action, &objects, settings.batch_size);
    let bodies = renderer
        .render(&database, &events.iter().map(|event| Shown { event, form: Form::default() }).collect::<Vec<_>>())
        .await?;
    let addressed: Vec<Addressed> =
        events.iter().zip(bodies).map(|(event, body)| Addressed::new(event, vec![subscription], Some(body))).collect();
    queue::store(&database, &addressed).await?;
    transaction.execute(include_str!("../../sql/ops/advance_backfill.sql"), &[&backfill, &last, &announced]).await?;
    transaction.commit().await?;
    Ok(last.map(|last| (last, announced)))
}

/// One event for each object, or where the action is about several, for those of each project.
fn events(action: Action, objects: &[(i64, i64)], batch_size: usize) -> Vec<Event> {
    let event = |project: i64, objects: Vec<i64>| Event {
        action,
        project,
        objects,
        organization: None,
        occurred_at: SystemTime::now(),
        transaction: 0,
        end: End::None,
        changed: Vec::new(),
    };
    if !action.is_about_several() {
        return objects.iter().map(|(project, id)| event(*project, vec![*id])).collect();
    }
    let mut by_project: BTreeMap<i64, Vec<i64>> = BTreeMap::new();
    for (project, id) in objects {
        by_project.entry(*project).or_default().push(*id);
    }
    by_project.into_iter().flat_map(|(project, ids)| event(project, ids).cut(batch_size)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tasks_go_together_by_project_and_annotations_one_by_one() {
        let objects = [(1, 10), (2, 11), (1, 12)];
        let shown = |action, most| -> Vec<(i64, Vec<i64>)> {
            events(action, &objects, most).into_iter().map(|event| (event.project, event.objects)).collect()
        };
        assert_eq!(shown(Action::TasksCreated, 9), [(1, vec![10, 12]), (2, vec![11])]);
        assert_eq!(shown(Action::TasksCreated, 1), [(1, vec![10]), (1, vec![12]), (2, vec![11])]);
        assert_eq!(shown(Action::AnnotationCreated, 9), [(1, vec![10]), (2, vec![11]), (1, vec![12])]);
    }
}
