//! Rendering: events → the JSON bodies that Label Studio's serializers would write.
//!
//! Relies on PostgreSQL for the JSON of a row (`row_to_json`), whose values are passed on as
//! text, so that no number loses a digit; what differs between a row and Label Studio's
//! serializer is fixed by name, as the [catalog](crate::label_studio::catalog) says. Rows are read in the
//! caller's transaction, and projects with their [counts](Counts) once for all transactions that plan what was read
//! together. An event with many objects is rendered piece by piece, so that an import takes no more memory than one body.
//!
//! Promises that an event is shown with all of its objects, as they are or as they last were, or not at all: what
//! cannot be shown is an error that names it ([`Unrenderable`]).

mod counts;
mod objects;
mod reader;
pub mod row;
mod unrenderable;

use std::borrow::Cow;
use std::collections::{BTreeSet, HashMap};
use std::time::{Duration, Instant};

use anyhow::Result;
use tokio::try_join;
use tokio_postgres::GenericClient;

use crate::label_studio;
use crate::label_studio::catalog::{Catalog, Mark};
use crate::model::{Action, Event, EventView, Kind, Layout, PayloadOptions};
use crate::pg::Prepared;
pub use counts::Counts;
pub use objects::Objects;
use objects::{Children, Entry};
use reader::{Reader, only_id};
pub use unrenderable::{Unrenderable, gone};

/// How long the catalog is taken to stay as it is, without a look whether it does.
const CATALOG_AGE: Duration = Duration::from_secs(1);

/// Projects that are kept from transaction to transaction, at most.
const MAXIMUM_PROJECTS: usize = 1_000;

/// Objects that are read together, at most; of an event with many, about as many as have so many bytes.
pub const PORTION: usize = 500;
const PORTION_BYTES: usize = 2_000_000;

/// Renders events, batch by batch.
pub struct Renderer {
    catalog: Option<Seen>,
    projects: Projects,
    counts: Counts,
    extra_fields: Vec<String>,
}

/// The catalog as it was read, and when it was looked last whether it has changed.
struct Seen {
    catalog: Catalog,
    mark: Mark,
    looked: Instant,
}

/// Projects that were read.
#[derive(Default)]
struct Projects {
    /// As JSON, by id.
    shown: HashMap<i64, String>,
    /// By project what `$undefined$` stands for in the data of its tasks.
    undefined_keys: HashMap<i64, String>,
}

/// Each annotation's task, as its change says: it is read together with the annotation, which may have another by now.
pub type Tasks = HashMap<i64, i64>;

/// The rendering of the events of one transaction: what they have in common.
pub struct Rendering<'a, C> {
    reader: Reader<'a, C>,
    /// The projects of the events, until they are read.
    unread: BTreeSet<i64>,
    projects: &'a mut Projects,
    counts: &'a mut Counts,
    tasks: &'a Tasks,
    ahead: Option<Objects>,
}

impl Renderer {
    /// A renderer that shows these fields, beside Label Studio's own; each as table.field.
    pub fn new(extra_fields: &[String]) -> Renderer {
        let (projects, counts) = (Projects::default(), Counts::default());
        Renderer { catalog: None, projects, counts, extra_fields: extra_fields.to_vec() }
    }

    /// Reads projects anew from here on: for changes that were not there yet when they were read.
    pub fn forget_projects(&mut self) {
        self.projects = Projects::default();
    }

    /// The counts of large projects, for a session that lives on.
    pub fn counts(&mut self) -> &mut Counts {
        &mut self.counts
    }

    /// Begins with events that are to be rendered in one transaction. Projects that are not known yet are read with the
    /// first of the objects. What was [read ahead](Renderer::read_ahead) is not read again.
    ///
    /// # Errors
    /// When the database cannot be asked.
    pub async fn begin<'a, C: GenericClient>(
        &'a mut self,
        client: &'a Prepared<'a, C>,
        events: &[EventView<'_>],
        tasks: &'a Tasks,
        ahead: Option<Objects>,
    ) -> Result<Rendering<'a, C>> {
        let Renderer { catalog, projects, counts, extra_fields } = self;
        let seen = Seen::current(catalog.take(), client, extra_fields, counts).await?;
        let catalog = &catalog.insert(seen).catalog;
        let reader = Reader { client, catalog };
        let events = events.iter().map(|shown| shown.event);
        let show_it = events.filter(|event| event.action != Action::ProjectDeleted && !event.action.has_no_project());
        let wanted: BTreeSet<i64> = show_it.filter_map(|event| event.scope.project()).collect();
        if projects.shown.len() + wanted.len() > MAXIMUM_PROJECTS {
            *projects = Projects::default();
        }
        let unread = wanted.into_iter().filter(|project| !projects.shown.contains_key(project)).collect();
        Ok(Rendering { reader, unread, projects, counts, tasks, ahead })
    }

    /// Reads in the caller's transaction what all of these events show of themselves where nobody wants more: sent
    /// together with the question who receives them, it is a way to PostgreSQL and back less.
    ///
    /// # Errors
    /// When the database cannot be asked.
    pub async fn read_ahead(
        &mut self,
        client: &Prepared<'_, impl GenericClient>,
        events: &[EventView<'_>],
        tasks: &Tasks,
    ) -> Result<Objects> {
        self.begin(client, events, tasks, None).await?.read(events).await
    }

    /// The bodies of events that hold few objects, and their projects as they are now; see [`Rendering::bodies`].
    ///
    /// # Errors
    /// When the database cannot be asked.
    pub async fn render(
        &mut self,
        client: &Prepared<'_, impl GenericClient>,
        events: &[EventView<'_>],
    ) -> Result<Vec<String>> {
        self.forget_projects();
        self.begin(client, events, &Tasks::new(), None).await?.bodies(events).await
    }
}

impl Seen {
    /// The catalog as it is, which is read anew where it has changed.
    async fn current(
        before: Option<Seen>,
        client: &Prepared<'_, impl GenericClient>,
        extra_fields: &[String],
        counts: &mut Counts,
    ) -> Result<Seen> {
        let (mark, looked) = match before {
            Some(before) if before.looked.elapsed() < CATALOG_AGE => return Ok(before),
            _ => (Mark::read(client).await?, Instant::now()),
        };
        if let Some(before) = before.filter(|before| before.mark == mark) {
            return Ok(Seen { looked, ..before });
        }
        let catalog = Catalog::read(client, extra_fields).await?;
        counts.forget();
        report_unsupported(client).await?;
        Ok(Seen { catalog, mark, looked })
    }
}

/// Says what of Label Studio's tables, which are new or have changed, is not understood.
async fn report_unsupported(client: &Prepared<'_, impl GenericClient>) -> Result<()> {
    for (missing, consequence) in label_studio::unsupported_elements(client.client()).await? {
        tracing::warn!(missing, consequence, "unsupported schema elements in this version of Label Studio");
    }
    Ok(())
}

impl<C: GenericClient> Rendering<'_, C> {
    /// The bodies of the events, in their order.
    ///
    /// Objects that were deleted meanwhile are shown as they last were.
    ///
    /// # Errors
    /// [`Unrenderable`], or when the database cannot be asked.
    pub async fn bodies(&mut self, events: &[EventView<'_>]) -> Result<Vec<String>> {
        let was_read = events.iter().all(|shown| shown.options == PayloadOptions::default());
        let objects = match self.ahead.take() {
            Some(ahead) if was_read => ahead,
            _ => self.read(events).await?,
        };
        let mut unrenderable = Unrenderable::default();
        let mut bodies = Vec::with_capacity(events.len());
        for shown in events {
            let mut part = Part::default();
            for id in &shown.event.objects {
                match objects.entry(*shown, *id) {
                    Ok(entry) => part.push(*id, &entry),
                    Err(reason) => unrenderable.add(shown.event.action.kind(), *id, || reason),
                }
            }
            match self.enclose(*shown, part, objects.project(*shown)) {
                Some(body) => bodies.push(body),
                None => unrenderable.add_all(shown.event, || gone("project", shown.event.scope.into())),
            }
        }
        unrenderable.check()?;
        Ok(bodies)
    }

    /// Hands over an event of many objects with its body; in parts, where that would exceed
    /// `most` bytes.
    ///
    /// # Errors
    /// [`Unrenderable`], or when the database cannot be asked, or `emit` fails.
    pub async fn at_length(
        &mut self,
        shown: EventView<'_>,
        most: usize,
        mut emit: impl AsyncFnMut(Event, String) -> Result<()>,
    ) -> Result<()> {
        let mut part = Part::default();
        let mut rest = shown.event.objects.as_slice();
        let mut quantity = PORTION / 5;
        let mut unrenderable = Unrenderable::default();
        while !rest.is_empty() {
            let (ids, others) = rest.split_at(quantity.min(rest.len()));
            rest = others;
            let portion = shown.event.of(ids.to_vec());
            let portion = EventView { event: &portion, ..shown };
            let objects = self.read(&[portion]).await?;
            quantity = (PORTION_BYTES * ids.len() / objects.bytes().max(1)).clamp(1, PORTION);
            for id in ids {
                let entry = match objects.entry(shown, *id) {
                    Ok(entry) => entry,
                    Err(reason) => {
                        unrenderable.add(shown.event.action.kind(), *id, || reason);
                        continue;
                    }
                };
                if !part.ids.is_empty() && part.bytes() + entry.bytes() > most {
                    self.end(shown, std::mem::take(&mut part), &mut emit).await?;
                }
                part.push(*id, &entry);
            }
        }
        unrenderable.check()?;
        self.end(shown, part, &mut emit).await
    }

    /// What events of many projects have in common, and the tasks that they probably show, is read with what the first
    /// of them are about: asked together, it is two ways to PostgreSQL and back less.
    async fn read(&mut self, events: &[EventView<'_>]) -> Result<Objects> {
        let unread = std::mem::take(&mut self.unread);
        let likely_tasks = likely_tasks(events, self.tasks);
        let ((shown, keys), children, tasks) = try_join!(
            self.reader.projects(&unread, self.counts),
            Children::read(&self.reader, events),
            self.reader.task_rows(&likely_tasks),
        )?;
        self.projects.shown.extend(shown);
        self.projects.undefined_keys.extend(keys);
        Objects::read(&self.reader, &self.projects.undefined_keys, children, tasks, events).await
    }

    async fn end(
        &self,
        shown: EventView<'_>,
        part: Part,
        emit: &mut impl AsyncFnMut(Event, String) -> Result<()>,
    ) -> Result<()> {
        let event = shown.event.of(part.ids.clone());
        match self.enclose(shown, part, None) {
            Some(body) => emit(event, body).await,
            None => {
                let mut unrenderable = Unrenderable::default();
                unrenderable.add_all(&event, || gone("project", event.scope.into()));
                unrenderable.check()
            }
        }
    }

    /// The body of an event, of what has come together of its objects; `None` where its project is unknown.
    /// `last` is a deleted project as it last was.
    fn enclose(&self, shown: EventView<'_>, part: Part, last: Option<&str>) -> Option<String> {
        let EventView { event, options } = shown;
        let action = event.action;
        let layout = action.layout();
        let (open, close) = if matches!(layout, Layout::Several(_)) { ("[", "]") } else { ("", "") };
        // The objects may have many megabytes: the body is made around them.
        let mut body = part.shown;
        if let Layout::One(name) | Layout::Several(name) = layout {
            body.insert_str(0, &format!(r#"{{"action":"{action}","{name}":{open}"#));
            body.push_str(close);
            body.push(',');
            if let Some(name) = action.beside() {
                push_field(&mut body, name, [open, &part.beside, close]);
            }
        } else {
            body = format!(r#"{{"action":"{action}","#);
        }
        if options.previous {
            push_field(
                &mut body,
                "previous",
                [open, if part.previous.is_empty() { "null" } else { &part.previous }, close],
            );
        }
        if !event.changed.is_empty() {
            let shape = self.reader.catalog.shape_of(action.kind());
            let names =
                event.changed.iter().map(|column| serde_json::Value::from(row::field(column, shape)).to_string());
            push_field(&mut body, "changed", [&list(names), "", ""]);
        }
        if action.has_no_project() {
            body.pop();
        } else {
            body.push_str(r#""project":"#);
            match action {
                Action::ProjectDeleted => {
                    body.push_str(&last.map_or_else(|| only_id(event.scope.into()).into(), Cow::Borrowed));
                }
                _ => body.push_str(self.projects.shown.get(&event.scope.project()?)?),
            }
        }
        body.push('}');
        Some(body)
    }
}

/// What has come together of an event's objects, as the insides of JSON lists: the objects, beside each what it
/// belongs to, and what it was before.
#[derive(Default)]
struct Part {
    ids: Vec<i64>,
    shown: String,
    beside: String,
    previous: String,
}

impl Part {
    fn bytes(&self) -> usize {
        self.shown.len() + self.beside.len() + self.previous.len()
    }

    fn push(&mut self, id: i64, entry: &Entry<'_>) {
        if !self.ids.is_empty() {
            self.shown.push(',');
            self.beside.push(',');
            self.previous.push(',');
        }
        self.ids.push(id);
        self.shown.push_str(&entry.shown);
        self.beside.push_str(entry.beside.unwrap_or("null"));
        self.previous.push_str(entry.previous.unwrap_or("null"));
    }
}

fn push_field(body: &mut String, name: &str, value: [&str; 3]) {
    for piece in [&["\"", name, "\":"], value.as_slice(), &[","]].concat() {
        body.push_str(piece);
    }
}

/// The tasks that events show, and those of their annotations as the changes say.
fn likely_tasks(events: &[EventView<'_>], tasks: &Tasks) -> BTreeSet<i64> {
    let events = events.iter().filter(|shown| shown.in_full()).map(|shown| shown.event);
    let task = |event: &Event, id: &i64| match event.action.kind() {
        Kind::Task => Some(*id),
        Kind::Annotation => tasks.get(id).copied().filter(|_| event.action.beside() == Some("task")),
        _ => None,
    };
    events.flat_map(|event| event.objects.iter().filter_map(move |id| task(event, id))).collect()
}

/// A JSON list of what is JSON already.
fn list<T: AsRef<str>>(items: impl Iterator<Item = T>) -> String {
    let mut text = String::from("[");
    for item in items {
        if text.len() > 1 {
            text.push(',');
        }
        text.push_str(item.as_ref());
    }
    text.push(']');
    text
}
