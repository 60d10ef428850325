//! Backfill: what existed before a webhook was created is announced to it.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, IsolationLevel};

use super::{check_known, check_project};
use crate::config::Settings;
use crate::model::{Action, Event, EventView, PayloadOptions, WebhookId};
use crate::pg::Statements;
use crate::pipeline::render::Renderer;
use crate::queue::{self, Addressed};

/// Maximum objects that are announced in one transaction.
const BATCH: i64 = 500;

/// What to announce.
#[derive(Debug, Clone, Copy)]
pub struct Backfill {
    /// The webhook that receives it.
    pub webhook: WebhookId,
    /// As what objects are announced.
    pub action: Action,
    /// Of this project alone.
    pub project: Option<i64>,
    /// Maximum objects per second.
    pub rate: u32,
}

/// A run, which may go on where an earlier one was cut short.
pub struct Run {
    backfill: Backfill,
    id: i64,
    after: i64,
    /// Objects that were announced, also by the earlier run.
    pub announced: i64,
    /// Objects that are left.
    pub left: i64,
}

impl Backfill {
    /// Refuses actions that announce nothing that exists, and webhooks and projects that do not.
    ///
    /// # Errors
    /// Then, or when the database cannot be asked.
    async fn check(&self, client: &Client) -> Result<()> {
        let action = self.action;
        if !action.is_a_creation() || !action.is_label_studios() {
            fail!(
                Choice,
                "{action} announces no object that exists; backfill takes TASKS_CREATED, ANNOTATION_CREATED, …"
            );
        }
        check_known(client, &[self.webhook]).await?;
        match self.project {
            Some(project) => check_project(client, project).await,
            None => Ok(()),
        }
    }

    /// How many objects would be announced.
    ///
    /// # Errors
    /// When it cannot be done, or the database cannot be asked.
    pub async fn count(&self, client: &Client) -> Result<i64> {
        self.check(client).await?;
        self.count_after(client, 0).await
    }

    async fn count_after(&self, client: &Client, after: i64) -> Result<i64> {
        let Backfill { webhook, action, project, .. } = self;
        let query = include_str!("../../sql/ops/count_objects.sql");
        Ok(client.query_one(query, &[&action.kind().name(), webhook, project, &after]).await?.get("count"))
    }

    /// Goes on where the last run was cut short, or from the beginning where `restart` says so.
    ///
    /// # Errors
    /// When it cannot be done, or the database refuses.
    pub async fn begin(self, client: &Client, restart: bool) -> Result<Run> {
        self.check(client).await?;
        let key: [&(dyn ToSql + Sync); 3] = [&self.webhook, &self.action.name(), &self.project];
        if restart {
            client.execute(include_str!("../../sql/ops/forget_backfill.sql"), &key).await?;
        }
        let row = client.query_one(include_str!("../../sql/ops/begin_backfill.sql"), &key).await?;
        let after = row.get("after_id");
        let left = self.count_after(client, after).await?;
        Ok(Run { backfill: self, id: row.get("id"), after, announced: row.get("announced"), left })
    }
}

impl Run {
    /// Announces what is left, batch by batch, at the rate; `progress` is told of each batch how many it has.
    ///
    /// # Errors
    /// When the database refuses; what was announced before stays announced.
    pub async fn finish(mut self, client: &mut Client, settings: &Settings, progress: impl Fn(i64)) -> Result<i64> {
        let mut renderer = Renderer::new(&settings.extra_fields);
        loop {
            let started = Instant::now();
            let Some(objects) = self.announce(client, settings, &mut renderer).await? else {
                return Ok(self.announced);
            };
            progress(objects);
            let due = Duration::from_secs_f64(objects as f64 / f64::from(self.backfill.rate));
            tokio::time::sleep(due.saturating_sub(started.elapsed())).await;
        }
    }

    /// Announces the next objects in one transaction; how many, or `None` if there are no more.
    async fn announce(
        &mut self,
        client: &mut Client,
        settings: &Settings,
        renderer: &mut Renderer,
    ) -> Result<Option<i64>> {
        let Backfill { webhook, action, project, rate } = self.backfill;
        // What is listed is still there when it is read.
        let transaction = client.build_transaction().isolation_level(IsolationLevel::RepeatableRead).start().await?;
        let statements = Statements::default();
        let database = statements.on(&transaction);
        let rows = transaction
            .query(
                include_str!("../../sql/ops/objects.sql"),
                &[&action.kind().name(), &webhook, &project, &self.after, &BATCH.min(i64::from(rate)), &false],
            )
            .await
            .context("reading what exists")?;
        let objects: Vec<(i64, i64)> = rows.iter().map(|row| (row.get("project_id"), row.get("id"))).collect();
        let last = objects.last().map(|(_, id)| *id);
        let announced = i64::try_from(objects.len())?;
        let events = events(action, &objects, settings.batch_size);
        let options = PayloadOptions::default();
        let views: Vec<EventView<'_>> = events.iter().map(|event| EventView { event, options }).collect();
        let bodies = renderer.render(&database, &views).await?;
        let addressed: Vec<Addressed> =
            events.iter().zip(bodies).map(|(event, body)| Addressed::new(event, vec![webhook], Some(body))).collect();
        queue::store(&database, &addressed).await?;
        queue::open(&database, &addressed.iter().flat_map(Addressed::lanes).collect(), None).await?;
        let query = include_str!("../../sql/ops/advance_backfill.sql");
        transaction.execute(query, &[&self.id, &last, &announced]).await?;
        transaction.commit().await?;
        self.announced += announced;
        self.after = last.unwrap_or(self.after);
        Ok(last.map(|_| announced))
    }
}

/// One event for each object, or where the action is about several, for those of each project.
fn events(action: Action, objects: &[(i64, i64)], batch_size: usize) -> Vec<Event> {
    if !action.is_about_several() {
        return objects.iter().map(|(project, id)| Event::standalone(action, (*project).into(), vec![*id])).collect();
    }
    let mut by_project: BTreeMap<i64, Vec<i64>> = BTreeMap::new();
    for (project, id) in objects {
        by_project.entry(*project).or_default().push(*id);
    }
    let event = |(project, ids): (i64, Vec<i64>)| Event::standalone(action, project.into(), ids).cut(batch_size);
    by_project.into_iter().flat_map(event).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tasks_go_together_by_project_and_annotations_one_by_one() {
        let objects = [(1, 10), (2, 11), (1, 12)];
        let shown = |action, most| -> Vec<(i64, Vec<i64>)> {
            events(action, &objects, most).into_iter().map(|event| (event.scope.into(), event.objects)).collect()
        };
        assert_eq!(shown(Action::TasksCreated, 9), [(1, vec![10, 12]), (2, vec![11])]);
        assert_eq!(shown(Action::TasksCreated, 1), [(1, vec![10]), (1, vec![12]), (2, vec![11])]);
        assert_eq!(shown(Action::AnnotationCreated, 9), [(1, vec![10]), (2, vec![11]), (1, vec![12])]);
    }
}
