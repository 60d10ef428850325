//! What a portion of events shows, read: its objects, what each belongs to, and what each was before.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, HashMap};

use anyhow::Result;
use tokio::try_join;
use tokio_postgres::GenericClient;

use super::reader::{Child, Images, Reader, TaskRows, only_id};
use super::unrenderable::gone;
use crate::model::{Event, EventView, Kind};

/// What belongs to another object of those of one portion of events, as JSON, by id.
pub struct Children {
    annotations: HashMap<i64, Child>,
    label_links: HashMap<i64, Child>,
}

/// The objects of one portion of events, as JSON, by id.
pub struct Objects {
    children: Children,
    tasks: HashMap<i64, String>,
    labels: HashMap<i64, String>,
    images: HashMap<Kind, Images>,
}

impl Children {
    /// Those of these events.
    ///
    /// # Errors
    /// When the database cannot be asked.
    pub async fn read(reader: &Reader<'_, impl GenericClient>, events: &[EventView<'_>]) -> Result<Children> {
        let shown = |kind| -> BTreeSet<i64> {
            let events = events.iter().filter(|shown| shown.in_full()).map(|shown| shown.event);
            events.filter(|event| event.action.kind() == kind).flat_map(|event| &event.objects).copied().collect()
        };
        let (annotations, label_links) = (shown(Kind::Annotation), shown(Kind::LabelLink));
        let (annotations, label_links) = try_join!(
            reader.children(include_str!("../../../sql/render/annotation_rows.sql"), "task_completion", &annotations),
            reader.children(
                include_str!("../../../sql/render/label_link_rows.sql"),
                "labels_manager_labellink",
                &label_links
            ),
        )?;
        Ok(Children { annotations, label_links })
    }
}

impl Objects {
    /// Those of these events, where their children and some tasks are read already; beside each project what `$undefined$`
    /// stands for in the data of its tasks.
    ///
    /// # Errors
    /// When the database cannot be asked.
    pub async fn read(
        reader: &Reader<'_, impl GenericClient>,
        undefined_keys: &HashMap<i64, String>,
        children: Children,
        mut task_rows: TaskRows,
        events: &[EventView<'_>],
    ) -> Result<Objects> {
        // By task the project of its event: the task itself may have left it by now.
        let mut tasks = BTreeMap::new();
        let mut seen: HashMap<Kind, BTreeSet<i64>> = HashMap::new();
        for shown in events {
            let EventView { event, options } = shown;
            let kind = event.action.kind();
            match kind {
                _ if !shown.in_full() => {}
                Kind::Task => tasks.extend(event.objects.iter().map(|id| (*id, event.scope.into()))),
                Kind::Annotation | Kind::LabelLink => {}
                Kind::Project if !options.enriched => {}
                _ => seen.entry(kind).or_default().extend(&event.objects),
            }
            if options.previous {
                seen.entry(kind).or_default().extend(&event.objects);
            }
        }
        for EventView { event, .. } in events.iter().filter(|shown| shown.event.action.beside() == Some("task")) {
            let parents = event.objects.iter().filter_map(|id| children.annotations.get(id)?.parent);
            tasks.extend(parents.map(|task| (task, event.scope.into())));
        }
        let mut labels: BTreeSet<i64> = children.label_links.values().filter_map(|link| link.parent).collect();
        labels.extend(seen.get(&Kind::Label).into_iter().flatten());
        let unread = tasks.keys().filter(|task| !task_rows.contains(**task)).copied().collect();
        let (more, labels) = try_join!(reader.task_rows(&unread), reader.labels(&labels))?;
        task_rows.extend(more);
        let tasks = reader.tasks(task_rows, &tasks, undefined_keys)?;
        let mut images = HashMap::new();
        for (kind, ids) in &seen {
            images.insert(*kind, reader.images(*kind, ids).await?);
        }
        Ok(Objects { children, tasks, labels, images })
    }

    /// How large they are.
    pub fn bytes(&self) -> usize {
        let images = self.images.values().flat_map(|images| images.latest.values());
        let children = self.children.annotations.values().map(|child| &child.json);
        self.tasks.values().chain(children).chain(images).map(String::len).sum()
    }

    /// An object of an event as that shows it.
    ///
    /// # Errors
    /// Why it cannot.
    pub fn entry(&self, event: EventView<'_>, id: i64) -> Result<Entry<'_>, String> {
        let EventView { event: Event { action, transaction, .. }, options } = event;
        let kind = action.kind();
        let images = self.images.get(&kind);
        let previous = images
            .filter(|_| options.previous)
            .and_then(|images| images.before.get(&(id, *transaction)))
            .map(String::as_str);
        if !event.in_full() {
            return Ok(Entry { shown: only_id(id).into(), beside: None, previous });
        }
        let seen =
            || images.and_then(|images| images.after.get(&(id, *transaction)).or_else(|| images.latest.get(&id)));
        let own = match kind {
            Kind::Project => Some(""),
            Kind::Task => self.tasks.get(&id).map(String::as_str),
            Kind::Annotation => self.children.annotations.get(&id).map(|child| child.json.as_str()),
            Kind::LabelLink => self.children.label_links.get(&id).map(|child| child.json.as_str()),
            Kind::Label => self.labels.get(&id).or_else(seen).map(String::as_str),
            Kind::Prediction | Kind::Draft | Kind::Storage | Kind::User => seen().map(String::as_str),
            // It is written where it is made.
            Kind::Operation => None,
        };
        let shown = own.ok_or_else(|| gone(kind.name(), id))?;
        let beside = match action.beside() {
            Some("task") => parent("task", self.children.annotations.get(&id), &self.tasks)?,
            Some("label") => parent("label", self.children.label_links.get(&id), &self.labels)?,
            _ => None,
        };
        Ok(Entry { shown: shown.into(), beside, previous })
    }

    /// A deleted project as it last was, where that is wanted.
    pub fn project(&self, event: EventView<'_>) -> Option<&str> {
        let images = self.images.get(&Kind::Project).filter(|_| event.options.enriched)?;
        images.latest.get(&event.event.scope.project()?).map(String::as_str)
    }
}

/// What an object belongs to, where it belongs to something.
///
/// # Errors
/// That it is gone.
fn parent<'a>(what: &str, child: Option<&Child>, rows: &'a HashMap<i64, String>) -> Result<Option<&'a str>, String> {
    let Some(id) = child.and_then(|child| child.parent) else {
        return Ok(None);
    };
    rows.get(&id).map(|row| Some(row.as_str())).ok_or_else(|| gone(what, id))
}

/// An object of an event, and what is shown beside it, as JSON.
pub struct Entry<'a> {
    /// The object.
    pub shown: Cow<'a, str>,
    /// What it belongs to.
    pub beside: Option<&'a str>,
    /// What it was before.
    pub previous: Option<&'a str>,
}

impl Entry<'_> {
    /// How large it is.
    pub fn bytes(&self) -> usize {
        self.shown.len() + self.beside.map_or(0, str::len) + self.previous.map_or(0, str::len)
    }
}
