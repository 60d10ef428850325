//! Rendering: events → the JSON bodies that Label Studio's serializers would write.
//!
//! Relies on PostgreSQL for the JSON of a row (`row_to_json`), whose values are passed on as
//! text, so that no number loses a digit; what differs between a row and Label Studio's
//! serializer is mended by name, as the [catalog](crate::catalog) says. Rows are read in the
//! caller's transaction: events of one batch see one state of the database. An event with many
//! objects is rendered piece by piece, so that an import takes no more memory than one body.

mod reader;
mod row;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::{Duration, Instant};

use anyhow::Result;
use tokio::try_join;
use tokio_postgres::GenericClient;

use crate::catalog::Catalog;
use crate::database::Prepared;
use crate::event::{Action, Event};
use crate::label_studio;
use reader::{Child, Reader};

/// How long the catalog is taken to stay as it is.
const CATALOG_AGE: Duration = Duration::from_secs(1);

/// Objects that are read together, at most; of an event with many, about as many as have so many bytes.
pub const PORTION: usize = 500;
const PORTION_BYTES: usize = 2_000_000;

/// Renders events, batch by batch.
#[derive(Default)]
pub struct Renderer {
    catalog: Option<(Instant, Catalog)>,
}

/// The rendering of the events of one transaction: what they have in common.
pub struct Rendering<'a, C> {
    reader: Reader<'a, C>,
    projects: HashMap<i64, String>,
    /// By project what `$undefined$` stands for in the data of its tasks.
    undefined_keys: HashMap<i64, String>,
}

/// The objects of one portion of events, as JSON, by id.
struct Objects {
    tasks: HashMap<i64, String>,
    annotations: HashMap<i64, Child>,
    label_links: HashMap<i64, Child>,
    labels: HashMap<i64, String>,
}

impl Renderer {
    /// Reads the projects of the events, each once for all of them.
    ///
    /// # Errors
    /// When the database cannot be asked.
    pub async fn begin<'a, C: GenericClient>(
        &'a mut self,
        client: &'a Prepared<'a, C>,
        events: &[&Event],
    ) -> Result<Rendering<'a, C>> {
        let (read_at, catalog) = self.catalog.get_or_insert_with(|| (Instant::now(), Catalog::default()));
        if *catalog == Catalog::default() || read_at.elapsed() >= CATALOG_AGE {
            let fresh = Catalog::read(client).await?;
            if fresh != *catalog {
                report_not_understood(client).await?;
            }
            (*read_at, *catalog) = (Instant::now(), fresh);
        }
        let reader = Reader { client, catalog };
        let shown = events.iter().filter(|event| event.action != Action::ProjectDeleted);
        let (projects, undefined_keys) = reader.projects(&shown.map(|event| event.project).collect()).await?;
        Ok(Rendering { reader, projects, undefined_keys })
    }

    /// The bodies of events that hold few objects; see [`Rendering::bodies`].
    ///
    /// # Errors
    /// When the database cannot be asked.
    pub async fn render(
        &mut self,
        client: &Prepared<'_, impl GenericClient>,
        events: &[&Event],
    ) -> Result<Vec<Option<String>>> {
        self.begin(client, events).await?.bodies(events).await
    }
}

/// Says what of Label Studio's tables, which are new or have changed, is not understood.
async fn report_not_understood(client: &Prepared<'_, impl GenericClient>) -> Result<()> {
    for (missing, consequence) in label_studio::not_understood(client.client()).await? {
        tracing::warn!(missing, consequence, "this version of Label Studio is not wholly understood");
    }
    Ok(())
}

impl<C: GenericClient> Rendering<'_, C> {
    /// The bodies of the events, in their order; `None` for an event whose objects are all gone.
    ///
    /// Objects that were deleted meanwhile are shown as they last were.
    ///
    /// # Errors
    /// When the database cannot be asked.
    pub async fn bodies(&self, events: &[&Event]) -> Result<Vec<Option<String>>> {
        let objects = Objects::read(&self.reader, &self.undefined_keys, events).await?;
        Ok(events.iter().map(|event| self.body(event, &objects)).collect())
    }

    /// Hands over an event of many objects with its body; in parts, where that would exceed
    /// `most` bytes. Nothing is handed over if the objects are all gone.
    ///
    /// # Errors
    /// When the database cannot be asked, or `hand_over` fails.
    pub async fn at_length(
        &self,
        event: &Event,
        most: usize,
        mut hand_over: impl AsyncFnMut(Event, String) -> Result<()>,
    ) -> Result<()> {
        let mut part = Part::default();
        let mut rest = event.objects.as_slice();
        let mut quantity = PORTION / 5;
        while !rest.is_empty() {
            let (ids, others) = rest.split_at(quantity.min(rest.len()));
            rest = others;
            let portion = Event { objects: ids.to_vec(), ..*event };
            let objects = Objects::read(&self.reader, &self.undefined_keys, &[&portion]).await?;
            quantity = (PORTION_BYTES * ids.len() / objects.bytes().max(1)).clamp(1, PORTION);
            for id in ids {
                let Some((shown, beside)) = objects.entry(event.action, *id) else {
                    continue;
                };
                if !part.ids.is_empty() && part.bytes() + shown.len() + beside.map_or(0, str::len) > most {
                    self.end(event, std::mem::take(&mut part), &mut hand_over).await?;
                }
                part.push(*id, shown, beside);
            }
        }
        self.end(event, part, &mut hand_over).await
    }

    async fn end(
        &self,
        event: &Event,
        part: Part,
        hand_over: &mut impl AsyncFnMut(Event, String) -> Result<()>,
    ) -> Result<()> {
        let Some(body) = self.enclose(event, part.fields(event.action)) else {
            return Ok(());
        };
        hand_over(Event { objects: part.ids, ..*event }, body).await
    }

    /// The fields of an event between its action and its project.
    fn enclose(&self, event: &Event, fields: Option<String>) -> Option<String> {
        let (fields, project) = (fields?, self.projects.get(&event.project)?);
        Some(format!(r#"{{"action":"{}",{fields}"project":{project}}}"#, event.action))
    }

    fn body(&self, event: &Event, objects: &Objects) -> Option<String> {
        let first = || event.objects.first();
        let ids = || list(event.objects.iter().map(|id| format!(r#"{{"id":{id}}}"#)));
        let fields = match event.action {
            Action::ProjectDeleted => {
                return Some(format!(r#"{{"action":"{}","project":{{"id":{}}}}}"#, event.action, event.project));
            }
            Action::ProjectCreated | Action::ProjectUpdated => Some(String::new()),
            Action::TasksCreated | Action::AnnotationsCreated => {
                let mut part = Part::default();
                for id in &event.objects {
                    if let Some((shown, beside)) = objects.entry(event.action, *id) {
                        part.push(*id, shown, beside);
                    }
                }
                part.fields(event.action)
            }
            Action::TasksDeleted => Some(format!(r#""tasks":{},"#, ids())),
            Action::AnnotationsDeleted => Some(format!(r#""annotations":{},"#, ids())),
            Action::AnnotationCreated | Action::AnnotationUpdated => first()
                .and_then(|id| objects.entry(event.action, *id))
                .map(|(annotation, task)| format!(r#""annotation":{annotation},"task":{},"#, task.unwrap_or("null"))),
            Action::LabelLinkCreated => {
                let links = event.objects.iter().filter_map(|id| objects.label_links.get(id)).map(|link| &link.json);
                let links: Vec<&String> = links.collect();
                (!links.is_empty()).then(|| format!(r#""label_link":{},"#, list(links.into_iter())))
            }
            Action::LabelLinkUpdated => first().and_then(|id| objects.label_links.get(id)).map(|link| {
                let label = link.parent.and_then(|label| objects.labels.get(&label)).map_or("null", String::as_str);
                format!(r#""label_link":{},"label":{label},"#, link.json)
            }),
            Action::LabelLinkDeleted => first().map(|id| format!(r#""label_link":{{"id":{id}}},"#)),
        };
        self.enclose(event, fields)
    }
}

/// What has come together of an event's objects, as the insides of JSON lists: tasks, or annotations and
/// beside each its task.
#[derive(Default)]
struct Part {
    ids: Vec<i64>,
    shown: String,
    beside: String,
}

impl Part {
    fn bytes(&self) -> usize {
        self.shown.len() + self.beside.len()
    }

    fn push(&mut self, id: i64, shown: &str, beside: Option<&str>) {
        if !self.ids.is_empty() {
            self.shown.push(',');
            self.beside.push(',');
        }
        self.ids.push(id);
        self.shown.push_str(shown);
        self.beside.push_str(beside.unwrap_or("null"));
    }

    fn fields(&self, action: Action) -> Option<String> {
        if self.ids.is_empty() {
            return None;
        }
        let Part { shown, beside, .. } = self;
        Some(match action {
            Action::TasksCreated => format!(r#""tasks":[{shown}],"#),
            _ => format!(r#""annotation":[{shown}],"task":[{beside}],"#),
        })
    }
}

impl Objects {
    async fn read(
        reader: &Reader<'_, impl GenericClient>,
        undefined_keys: &HashMap<i64, String>,
        events: &[&Event],
    ) -> Result<Objects> {
        // By task the project of its event: the task itself may have left it by now.
        let mut tasks = BTreeMap::new();
        let mut annotations = BTreeSet::new();
        let mut label_links = BTreeSet::new();
        for event in events {
            match event.action {
                Action::TasksCreated => tasks.extend(event.objects.iter().map(|id| (*id, event.project))),
                action if action.is_about_annotations() => annotations.extend(&event.objects),
                Action::LabelLinkCreated | Action::LabelLinkUpdated => label_links.extend(&event.objects),
                _ => {}
            }
        }
        // Questions that do not depend on each other's answers are asked together.
        let (annotations, label_links) = try_join!(
            reader.children(include_str!("../sql/annotation_rows.sql"), "task_completion", &annotations),
            reader.children(include_str!("../sql/label_link_rows.sql"), "labels_manager_labellink", &label_links),
        )?;
        for event in events.iter().filter(|event| event.action.is_about_annotations()) {
            let parents = event.objects.iter().filter_map(|id| annotations.get(id)?.parent);
            tasks.extend(parents.map(|task| (task, event.project)));
        }
        let labels = label_links.values().filter_map(|link| link.parent).collect();
        let (tasks, labels) = try_join!(reader.tasks(&tasks, undefined_keys), reader.labels(&labels))?;
        Ok(Objects { tasks, annotations, label_links, labels })
    }

    fn bytes(&self) -> usize {
        self.tasks.values().map(String::len).chain(self.annotations.values().map(|child| child.json.len())).sum()
    }

    /// A task; or an annotation, and its task if that is there.
    fn entry(&self, action: Action, id: i64) -> Option<(&str, Option<&str>)> {
        if action == Action::TasksCreated {
            return self.tasks.get(&id).map(|task| (task.as_str(), None));
        }
        let annotation = self.annotations.get(&id)?;
        let task = annotation.parent.and_then(|task| self.tasks.get(&task));
        Some((annotation.json.as_str(), task.map(String::as_str)))
    }
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
