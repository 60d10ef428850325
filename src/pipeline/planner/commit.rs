//! One transaction of the planner's: it takes the changes of a batch and stores its events, all at once or not at
//! all. Rows are read in its snapshot, so that no payload is older than its change; projects in that of the first
//! transaction of a look, which is newer than all changes of the look.

use std::collections::{BTreeSet, HashSet};

use anyhow::{Context, Result};
use tokio::{join, try_join};
use tokio_postgres::{Client, GenericClient};

use super::batch::Planned;
use crate::config::Settings;
use crate::model::{Event, EventView, Lane, PayloadOptions, Scope, WebhookId};
use crate::pg::Prepared;
use crate::pipeline::completion;
use crate::pipeline::render::{Counts, Objects, PORTION, Renderer, Tasks, Unrenderable, gone};
use crate::pipeline::rule::{Rule, RuleOutput, Rulebook};
use crate::pipeline::webhook::{self, EventRecipients, Webhooks};
use crate::queue::{self, Addressed, DueLanes, Told, change};

/// All that the transaction reads is of one moment.
const BEGIN: &str = "start transaction isolation level repeatable read";
/// Nobody waits for the disk here: what a crash of the server takes with it, the next planner opens.
const BEGIN_OPENING: &str = "begin; set local synchronous_commit = off";
/// Of so many projects it is kept in mind, at most, whether somebody wants to see their events.
const MAXIMUM_SHOWN: usize = 1_000;
const HAS_TAPS: &str = include_str!("../../../sql/plan/taps.sql");

/// How many changes became how many events.
pub struct Stored {
    /// Changes that were taken.
    pub changes: usize,
    /// Events that were stored.
    pub events: usize,
}

/// What makes events of changes, beside the database.
pub struct Writer {
    renderer: Renderer,
    rulebook: Rulebook,
    organization_webhooks: bool,
    batch_bytes: usize,
    /// Where somebody wanted more of the latest events than their names.
    shown: HashSet<Scope>,
    /// In which deliveries are stored, and which are still to be opened.
    lanes: BTreeSet<Lane>,
    /// Where the deliverer hears of those that are.
    due_lanes: DueLanes,
}

impl Writer {
    /// By these settings; for this daemon's deliverer.
    pub fn new(settings: &Settings, due_lanes: DueLanes) -> Writer {
        Writer {
            renderer: Renderer::new(&settings.extra_fields),
            rulebook: Rulebook::default(),
            organization_webhooks: settings.organization_webhooks,
            batch_bytes: settings.batch_bytes,
            shown: HashSet::new(),
            lanes: BTreeSet::new(),
            due_lanes,
        }
    }

    /// Whether a rule has throttled an event since this was asked last.
    pub fn has_throttled(&mut self) -> bool {
        self.rulebook.has_throttled()
    }

    /// What applies rules.
    pub fn rulebook(&mut self) -> &mut Rulebook {
        &mut self.rulebook
    }

    /// Reads projects anew from here on: there are changes that are newer than those that were read.
    pub fn begin_look(&mut self) {
        self.renderer.forget_projects();
    }

    /// The counts of large projects.
    pub fn counts(&mut self) -> &mut Counts {
        self.renderer.counts()
    }

    /// Takes the changes of a batch and stores its events; then opens their lanes.
    ///
    /// # Errors
    /// When the transaction failed and was rolled back.
    pub async fn commit(&mut self, database: &Prepared<'_, Client>, batch: &[Planned]) -> Result<Stored> {
        let before = self.lanes.clone();
        let stored = async {
            let (stored, last) = self.store(database, batch).await?;
            self.store_and_commit(database, last).await?;
            database.wrote(stored.changes);
            tracing::debug!(changes = stored.changes, events = stored.events, "planned");
            Ok(stored)
        };
        let stored: Result<Stored> = stored.await;
        if stored.is_err() {
            self.lanes = before;
            self.shown.clear();
            // Where this fails the connection is lost, and the transaction with it.
            let _ = database.client().batch_execute("rollback").await;
        }
        stored
    }

    /// Stores the last events of a transaction, commits it, and opens the lanes, all sent together. Where storing fails
    /// PostgreSQL takes the commit for a rollback; lanes that are opened then are closed again.
    async fn store_and_commit(&mut self, database: &Prepared<'_, Client>, last: Vec<Addressed>) -> Result<()> {
        database.prepare(&[queue::OPEN_LANES]).await?;
        let last = queue::store_all_but_the_last(database, &last).await?;
        let client = database.client();
        let commit = async {
            let committed = client.batch_execute("commit").await;
            // Whoever works on them already need not wait until the others are open, and looks in vain where it failed.
            self.due_lanes.tell(Told::Stored(self.lanes.iter().copied().collect()));
            committed
        };
        let (stored, committed, begun, opened, done) = join!(
            biased;
            queue::store_together(database, last),
            commit,
            async { client.batch_execute(BEGIN_OPENING).await },
            queue::open(database, &self.lanes, self.due_lanes.owner()),
            async { client.batch_execute("commit").await },
        );
        stored?;
        committed.context("committing the planner's transaction")?;
        if let (Ok(()), Ok(due), Ok(())) = (begun, opened, done) {
            self.lanes.clear();
            self.due_lanes.tell(Told::Opened(due));
        }
        Ok(())
    }

    /// Opens lanes that could not be opened when their deliveries were stored.
    ///
    /// # Errors
    /// When they still cannot be.
    pub async fn open_lanes(&mut self, database: &Prepared<'_, Client>) -> Result<()> {
        if !self.lanes.is_empty() {
            queue::open(database, &self.lanes, None).await?;
            self.lanes.clear();
        }
        Ok(())
    }

    /// Tries a batch and rolls it back; the error that it has.
    ///
    /// # Errors
    /// When it cannot be rolled back.
    pub async fn attempt(
        &mut self,
        database: &Prepared<'_, Client>,
        batch: &[Planned],
    ) -> Result<Option<anyhow::Error>> {
        let before = self.lanes.clone();
        let stored = async {
            let (_, last) = self.store(database, batch).await?;
            queue::store(database, &last).await
        };
        let stored = stored.await;
        self.lanes = before;
        database.client().batch_execute("rollback").await.context("rolling back a trial")?;
        Ok(stored.err())
    }

    /// Takes the changes and stores their events but for the last of them, which it returns.
    async fn store(&mut self, database: &Prepared<'_, Client>, batch: &[Planned]) -> Result<(Stored, Vec<Addressed>)> {
        let seqs: Vec<i64> = batch.iter().flat_map(|planned| &planned.seqs).copied().collect();
        let events: Vec<&Event> = batch.iter().flat_map(|planned| &planned.events).collect();
        let tasks: Tasks = batch.iter().flat_map(|planned| &planned.tasks).map(|(id, task)| (*id, *task)).collect();
        let likely_shown = self.likely_shown(&events);
        database.prepare(&[change::CONSUME, webhook::READ, HAS_TAPS]).await?;
        // Sent together, which is a way to PostgreSQL and back less.
        let ((), (), webhooks, is_tapped, ahead) = try_join!(
            biased;
            async { database.client().batch_execute(BEGIN).await.context("beginning the planner's transaction") },
            change::consume(database, &seqs),
            Webhooks::read(database, &events, self.organization_webhooks),
            has_taps(database),
            async {
                match likely_shown {
                    Some(shown) => self.renderer.read_ahead(database, &shown, &tasks).await.map(Some),
                    None => Ok(None),
                }
            },
        )?;
        let mut unrenderable = Unrenderable::default();
        for event in events.iter().filter(|event| webhooks.is_unknown(event.scope)) {
            unrenderable.add_all(event, || gone("project", event.scope.into()));
        }
        unrenderable.check()?;
        let completions = completion::announced(database, &webhooks, &events).await?;
        let events = completion::in_place(events, &completions);
        let groups: Vec<EventRecipients<'_>> =
            events.iter().flat_map(|event| webhooks.recipients(event, is_tapped)).collect();
        self.note_shown(&events, &groups);
        let (stored, last) = self.store_groups(database, &groups, &tasks, ahead).await?;
        Ok((Stored { changes: seqs.len(), events: stored }, last))
    }

    /// The events as somebody probably wants them shown: they are few, and the latest of each of their projects were.
    fn likely_shown<'a>(&self, events: &[&'a Event]) -> Option<Vec<EventView<'a>>> {
        let objects: usize = events.iter().map(|event| event.objects.len()).sum();
        let is_likely = objects <= PORTION && events.iter().all(|event| self.shown.contains(&event.scope));
        let view = |event: &&'a Event| EventView { event, options: PayloadOptions::default() };
        (is_likely && objects > 0).then(|| events.iter().map(view).collect())
    }

    /// Keeps in mind of which projects events are shown.
    fn note_shown(&mut self, events: &[&Event], groups: &[EventRecipients<'_>]) {
        for event in events {
            self.shown.remove(&event.scope);
        }
        self.shown.extend(with_payload(groups).map(|shown| shown.event.scope));
        if self.shown.len() > MAXIMUM_SHOWN {
            self.shown.clear();
        }
    }

    /// Renders events and stores them portion by portion; how many there were, and the last portion, which is still to
    /// be stored.
    async fn store_groups(
        &mut self,
        database: &Prepared<'_, Client>,
        groups: &[EventRecipients<'_>],
        tasks: &Tasks,
        ahead: Option<Objects>,
    ) -> Result<(usize, Vec<Addressed>)> {
        let Writer { renderer, rulebook, batch_bytes, lanes, .. } = self;
        let shown: Vec<EventView<'_>> = with_payload(groups).collect();
        let mut rendering = renderer.begin(database, &shown, tasks, ahead).await?;
        let mut stored = 0;
        let mut last = Vec::new();
        for portion in portions(groups) {
            queue::store(database, &last).await?;
            last.clear();
            if let [EventRecipients { shown, recipients, with_payload: true, rules }] = portion
                && shown.event.objects.len() > PORTION
                && shown.in_full()
            {
                let store = async |part: Event, body: String| {
                    let addressed = address(database, rulebook, rules, &part, recipients, Some(body)).await?;
                    stored += addressed.len();
                    lanes.extend(addressed.iter().flat_map(Addressed::lanes));
                    queue::store(database, &addressed).await
                };
                rendering.at_length(*shown, *batch_bytes, store).await?;
                continue;
            }
            let mut bodies = rendering.bodies(&with_payload(portion).collect::<Vec<_>>()).await?.into_iter();
            for EventRecipients { shown: EventView { event, .. }, recipients, with_payload, rules } in portion {
                let body = if *with_payload { bodies.next() } else { None };
                last.extend(address(database, rulebook, rules, event, recipients, body).await?);
            }
            stored += last.len();
            lanes.extend(last.iter().flat_map(Addressed::lanes));
        }
        Ok((stored, last))
    }
}

/// To whom an event goes: as it is, or as the rules that govern it make it.
async fn address(
    client: &Prepared<'_, impl GenericClient>,
    rulebook: &mut Rulebook,
    rules: &[&Rule],
    event: &Event,
    recipients: &[WebhookId],
    body: Option<String>,
) -> Result<Vec<Addressed>> {
    let Some(body) = body.as_ref().filter(|_| !rules.is_empty()) else {
        return Ok(vec![Addressed::new(event, recipients.to_vec(), body)]);
    };
    let outputs = rulebook.apply(client, rules, event, body).await?;
    let addressed =
        |RuleOutput { action, body }| Addressed { action, ..Addressed::new(event, recipients.to_vec(), Some(body)) };
    Ok(outputs.into_iter().map(addressed).collect())
}

/// Those that more is shown of than the action's name.
fn with_payload<'a>(groups: &[EventRecipients<'a>]) -> impl Iterator<Item = EventView<'a>> {
    groups.iter().filter(|group| group.with_payload).map(|group| group.shown)
}

/// Cuts the list into portions that are rendered and stored together: of a bounded number of objects, or a single
/// event that has more.
fn portions<'a, 'b>(groups: &'b [EventRecipients<'a>]) -> impl Iterator<Item = &'b [EventRecipients<'a>]> {
    let mut rest = groups;
    std::iter::from_fn(move || {
        let mut objects = 0;
        let fits = rest.iter().take_while(|group| {
            objects += group.shown.event.objects.len();
            objects <= PORTION
        });
        let length = fits.count().max(1).min(rest.len());
        let (portion, others) = rest.split_at(length);
        rest = others;
        (!portion.is_empty()).then_some(portion)
    })
}

/// Whether somebody taps events that no webhook wants.
async fn has_taps(client: &Prepared<'_, impl GenericClient>) -> Result<bool> {
    let row = client.query_one(HAS_TAPS, &[]).await;
    Ok(row.context("reading lshookd.tap")?.get("has_taps"))
}
