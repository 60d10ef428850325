//! Rendering: events → the JSON bodies that Label Studio's serializers would write.
//!
//! Relies on PostgreSQL for the JSON of a row (`row_to_json`), whose values are passed on as
//! text, so that no number loses a digit; what differs between a row and Label Studio's
//! serializer is mended by name, as the [catalog](crate::catalog) says. Rows are read in the
//! caller's transaction: events of one batch see one state of the database.

mod row;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use tokio::try_join;
use tokio_postgres::{GenericClient, Row};

use crate::catalog::{Catalog, Shape};
use crate::database::Prepared;
use crate::event::{Action, Event};
use crate::label_studio;
use row::Fields;

/// How long the catalog is taken to stay as it is.
const CATALOG_AGE: Duration = Duration::from_secs(1);

/// Renders events, batch by batch.
#[derive(Default)]
pub struct Renderer {
    catalog: Option<(Instant, Catalog)>,
}

/// The objects of one batch, as JSON, by id.
struct Objects {
    projects: HashMap<i64, String>,
    tasks: HashMap<i64, String>,
    annotations: HashMap<i64, Child>,
    label_links: HashMap<i64, Child>,
    labels: HashMap<i64, String>,
}

/// An object and the one that it belongs to.
struct Child {
    json: String,
    parent: Option<i64>,
}

impl Renderer {
    /// The bodies of the events, in their order; `None` for an event whose objects are all gone.
    ///
    /// Objects that were deleted meanwhile are shown as they last were.
    ///
    /// # Errors
    /// When the database cannot be asked.
    pub async fn render(
        &mut self,
        client: &Prepared<'_, impl GenericClient>,
        events: &[&Event],
    ) -> Result<Vec<Option<String>>> {
        if events.is_empty() {
            return Ok(Vec::new());
        }
        let catalog = match self.catalog.take() {
            Some((read_at, catalog)) if read_at.elapsed() < CATALOG_AGE => (read_at, catalog),
            before => {
                let catalog = Catalog::read(client).await?;
                if before.is_none_or(|(_, before)| before != catalog) {
                    report_not_understood(client).await?;
                }
                (Instant::now(), catalog)
            }
        };
        let objects = Objects::read(client, &catalog.1, events).await;
        self.catalog = Some(catalog);
        let objects = objects?;
        Ok(events.iter().map(|event| objects.body(event)).collect())
    }
}

/// Says what of Label Studio's tables, which are new or have changed, is not understood.
async fn report_not_understood(client: &Prepared<'_, impl GenericClient>) -> Result<()> {
    for (missing, consequence) in label_studio::not_understood(client.client()).await? {
        tracing::warn!(missing, consequence, "this version of Label Studio is not wholly understood");
    }
    Ok(())
}

impl Objects {
    async fn read(client: &Prepared<'_, impl GenericClient>, catalog: &Catalog, events: &[&Event]) -> Result<Objects> {
        let mut projects = BTreeSet::new();
        // By task the project of its event: the task itself may have left it by now.
        let mut tasks = BTreeMap::new();
        let mut annotations = BTreeSet::new();
        let mut label_links = BTreeSet::new();
        for event in events {
            match event.action {
                Action::ProjectDeleted => continue,
                Action::TasksCreated => tasks.extend(event.objects.iter().map(|id| (*id, event.project))),
                action if action.is_about_annotations() => annotations.extend(&event.objects),
                Action::LabelLinkCreated | Action::LabelLinkUpdated => label_links.extend(&event.objects),
                _ => {}
            }
            projects.insert(event.project);
        }
        let reader = Reader { client, catalog };
        // Questions that do not depend on each other's answers are asked together.
        let ((projects, undefined_keys), annotations, label_links) = try_join!(
            reader.projects(&projects),
            reader.children(include_str!("../sql/annotation_rows.sql"), "task_completion", &annotations),
            reader.children(include_str!("../sql/label_link_rows.sql"), "labels_manager_labellink", &label_links),
        )?;
        for event in events {
            let parents = event.objects.iter().filter_map(|id| annotations.get(id)?.parent);
            if event.action.is_about_annotations() {
                tasks.extend(parents.map(|task| (task, event.project)));
            }
        }
        let labels = label_links.values().filter_map(|link| link.parent).collect();
        let (tasks, labels) = try_join!(reader.tasks(&tasks, &undefined_keys), reader.labels(&labels))?;
        Ok(Objects { projects, tasks, annotations, label_links, labels })
    }

    fn body(&self, event: &Event) -> Option<String> {
        if event.action == Action::ProjectDeleted {
            return Some(format!(r#"{{"action":"{}","project":{{"id":{}}}}}"#, event.action, event.project));
        }
        let project = self.projects.get(&event.project)?;
        let ids = || list(event.objects.iter().map(|id| format!(r#"{{"id":{id}}}"#)));
        let one = |objects: &HashMap<i64, Child>| -> Option<(String, Option<i64>)> {
            let child = objects.get(event.objects.first()?)?;
            Some((child.json.clone(), child.parent))
        };
        let parent = |parents: &HashMap<i64, String>, id: Option<i64>| {
            id.and_then(|id| parents.get(&id)).map_or_else(|| "null".to_owned(), Clone::clone)
        };
        let objects = match event.action {
            Action::ProjectCreated | Action::ProjectUpdated | Action::ProjectDeleted => String::new(),
            Action::TasksCreated => {
                format!(r#""tasks":{},"#, list_some(event.objects.iter().filter_map(|id| self.tasks.get(id)))?)
            }
            Action::TasksDeleted => format!(r#""tasks":{},"#, ids()),
            Action::AnnotationsDeleted => format!(r#""annotations":{},"#, ids()),
            Action::AnnotationCreated | Action::AnnotationUpdated => {
                let (annotation, task) = one(&self.annotations)?;
                format!(r#""annotation":{annotation},"task":{},"#, parent(&self.tasks, task))
            }
            Action::AnnotationsCreated => {
                let present = || event.objects.iter().filter_map(|id| self.annotations.get(id));
                let annotations = list_some(present().map(|annotation| &annotation.json))?;
                let tasks = list(present().map(|annotation| parent(&self.tasks, annotation.parent)));
                format!(r#""annotation":{annotations},"task":{tasks},"#)
            }
            Action::LabelLinkCreated => {
                let links = event.objects.iter().filter_map(|id| self.label_links.get(id)).map(|link| &link.json);
                format!(r#""label_link":{},"#, list_some(links)?)
            }
            Action::LabelLinkUpdated => {
                let (link, label) = one(&self.label_links)?;
                format!(r#""label_link":{link},"label":{},"#, parent(&self.labels, label))
            }
            Action::LabelLinkDeleted => format!(r#""label_link":{{"id":{}}},"#, event.objects.first()?),
        };
        Some(format!(r#"{{"action":"{}",{objects}"project":{project}}}"#, event.action))
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

/// The same, or `None` where it would be empty.
fn list_some<'a>(items: impl Iterator<Item = &'a String>) -> Option<String> {
    let mut items = items.peekable();
    items.peek()?;
    Some(list(items))
}

/// Reads rows and gives them the form of Label Studio's serializers.
struct Reader<'a, C> {
    client: &'a Prepared<'a, C>,
    catalog: &'a Catalog,
}

impl<C: GenericClient> Reader<'_, C> {
    fn shape(&self, table: &str) -> Result<&Shape> {
        self.catalog.shape(table).with_context(|| format!("Label Studio's table {table} is not on the search path"))
    }

    /// Projects with their counts; and of each the key that `$undefined$` stands for in the
    /// data of its tasks.
    async fn projects(&self, ids: &BTreeSet<i64>) -> Result<(HashMap<i64, String>, HashMap<i64, String>)> {
        const COUNTS: [&str; 7] = [
            "task_number",
            "finished_task_number",
            "total_annotations_number",
            "num_tasks_with_annotations",
            "useful_annotation_number",
            "ground_truth_number",
            "skipped_annotations_number",
        ];
        let mut projects = HashMap::new();
        let mut undefined_keys = HashMap::new();
        if ids.is_empty() {
            return Ok((projects, undefined_keys));
        }
        let shape = self.shape("project")?;
        let (rows, mut links, counts, predictions) = try_join!(
            self.rows(include_str!("../sql/project_rows.sql"), ids),
            self.links(shape, ids),
            self.rows(include_str!("../sql/project_counts.sql"), ids),
            self.predictions(ids),
        )?;
        let counts: HashMap<i64, Row> = counts.into_iter().map(|row| (row.get("id"), row)).collect();
        for row in rows {
            let id: i64 = row.get("id");
            let mut fields = Fields::parse(row.get("row"))?;
            if let Some(key) = fields.get("data_types").and_then(row::first_key) {
                undefined_keys.insert(id, key);
            }
            fields.serialize_as(shape);
            for name in COUNTS {
                let count = counts.get(&id).map_or(0, |row| row.get::<_, i64>(name));
                fields.push(name, count.to_string());
            }
            fields.push("total_predictions_number", predictions.get(&id).unwrap_or(&0).to_string());
            fields.extend(links.remove(&id));
            projects.insert(id, fields.to_json());
        }
        Ok((projects, undefined_keys))
    }

    /// How many predictions there are, by project; where there are none it is left out.
    async fn predictions(&self, projects: &BTreeSet<i64>) -> Result<HashMap<i64, i64>> {
        let Some(shape) = self.catalog.shape("prediction") else {
            return Ok(HashMap::new());
        };
        let query = if shape.columns.contains("project_id") {
            include_str!("../sql/prediction_counts.sql")
        } else {
            include_str!("../sql/prediction_counts_by_task.sql")
        };
        let rows = self.rows(query, projects).await?;
        Ok(rows.iter().map(|row| (row.get("id"), row.get("predictions"))).collect())
    }

    /// Tasks, with `$undefined$` in their data replaced
    /// (`replace_task_data_undefined_with_config_field` in Label Studio's `core/label_config.py`).
    async fn tasks(
        &self,
        homes: &BTreeMap<i64, i64>,
        undefined_keys: &HashMap<i64, String>,
    ) -> Result<HashMap<i64, String>> {
        let mut tasks = HashMap::new();
        if homes.is_empty() {
            return Ok(tasks);
        }
        let ids = homes.keys().copied().collect();
        let shape = self.shape("task")?;
        let (rows, mut links) =
            try_join!(self.rows(include_str!("../sql/task_rows.sql"), &ids), self.links(shape, &ids))?;
        for row in rows {
            let id: i64 = row.get("id");
            let mut fields = Fields::parse(row.get("row"))?;
            if let Some(home) = homes.get(&id) {
                fields.fill("project_id", *home);
            }
            let project = fields.get("project_id").and_then(|id| id.parse().ok());
            if let Some(key) = project.and_then(|project: i64| undefined_keys.get(&project)) {
                fields.rename_undefined("data", key)?;
            }
            fields.serialize_as(shape);
            fields.extend(links.remove(&id));
            tasks.insert(id, fields.to_json());
        }
        Ok(tasks)
    }

    async fn children(&self, query: &'static str, table: &str, ids: &BTreeSet<i64>) -> Result<HashMap<i64, Child>> {
        let mut children = HashMap::new();
        if ids.is_empty() {
            return Ok(children);
        }
        let shape = self.shape(table)?;
        let (rows, mut links) = try_join!(self.rows(query, ids), self.links(shape, ids))?;
        for row in rows {
            let id: i64 = row.get("id");
            let mut fields = Fields::parse(row.get("row"))?;
            fields.serialize_as(shape);
            fields.extend(links.remove(&id));
            children.insert(id, Child { json: fields.to_json(), parent: row.get("parent") });
        }
        Ok(children)
    }

    async fn labels(&self, ids: &BTreeSet<i64>) -> Result<HashMap<i64, String>> {
        let mut labels = HashMap::new();
        let Some(shape) = self.catalog.shape("labels_manager_label").filter(|_| !ids.is_empty()) else {
            return Ok(labels);
        };
        for row in self.rows(include_str!("../sql/label_rows.sql"), ids).await? {
            let mut fields = Fields::parse(row.get("row"))?;
            fields.serialize_as(shape);
            fields.push("links", row::numbers(&row.get::<_, Vec<i64>>("links")));
            fields.push("projects", row::numbers(&row.get::<_, Vec<i64>>("projects")));
            labels.insert(row.get("id"), fields.to_json());
        }
        Ok(labels)
    }

    async fn rows(&self, query: &'static str, ids: &BTreeSet<i64>) -> Result<Vec<Row>> {
        let ids: Vec<i64> = ids.iter().copied().collect();
        self.client.query(query, &[&ids]).await.context("reading Label Studio's rows for a payload")
    }

    /// The many-to-many fields of the owners; each owner has all of them.
    async fn links(&self, shape: &Shape, owners: &BTreeSet<i64>) -> Result<HashMap<i64, Vec<(String, String)>>> {
        let ids: Vec<i64> = owners.iter().copied().collect();
        let mut fields: HashMap<i64, Vec<(String, String)>> = HashMap::new();
        for link in &shape.links {
            let rows = self
                .client
                .query(include_str!("../sql/linked_ids.sql"), &[&link.table, &link.own, &link.other, &ids])
                .await
                .with_context(|| format!("reading Label Studio's many-to-many field {}", link.field))?;
            let mut linked: HashMap<i64, Vec<i64>> =
                rows.iter().map(|row| (row.get("owner_id"), row.get("linked"))).collect();
            for id in &ids {
                let value = row::numbers(&linked.remove(id).unwrap_or_default());
                fields.entry(*id).or_default().push((link.field.clone(), value));
            }
        }
        Ok(fields)
    }
}
