//! Rows of Label Studio's tables in the form of its serializers.

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, BTreeSet, HashMap};

use anyhow::{Context, Result};
use futures_util::future::try_join_all;
use tokio::try_join;
use tokio_postgres::types::ToSql;
use tokio_postgres::{GenericClient, Row};

use super::counts::{self, Counts};
use super::row::{self, Fields};
use crate::label_studio::catalog::{Catalog, Shape};
use crate::model::Kind;
use crate::pg::Prepared;

/// The ids behind one many-to-many field, for the given owners.
const LINKED_PAIRS: &str =
    "select owner_id, linked_id from lshookd.linked_pairs($1::oid, $2::text, $3::text, $4::bigint[])";

/// An object and the one that it belongs to.
pub struct Child {
    /// The object.
    pub json: String,
    /// The other's id.
    pub parent: Option<i64>,
}

/// What is left to show of an object of which nothing but the id was kept.
pub fn only_id(id: i64) -> String {
    format!(r#"{{"id":{id}}}"#)
}

/// Many-to-many fields with their values, by the id of their owner.
type Links = HashMap<i64, Vec<(String, String)>>;

/// Rows of tasks, by id.
#[derive(Default)]
pub struct TaskRows {
    rows: HashMap<i64, Row>,
    links: Links,
}

impl TaskRows {
    /// Whether this task was there.
    pub fn contains(&self, task: i64) -> bool {
        self.rows.contains_key(&task)
    }

    /// Adds others.
    pub fn extend(&mut self, more: TaskRows) {
        self.rows.extend(more.rows);
        self.links.extend(more.links);
    }
}

/// Rows as watching triggers saw them: by id, and by the transaction that wrote them.
#[derive(Default)]
pub struct Images {
    /// As they were before the transaction.
    pub before: HashMap<(i64, u64), String>,
    /// As the transaction left them.
    pub after: HashMap<(i64, u64), String>,
    /// As they were seen last.
    pub latest: HashMap<i64, String>,
}

/// Reads rows and gives them the form of Label Studio's serializers.
pub struct Reader<'a, C> {
    /// For the questions.
    pub client: &'a Prepared<'a, C>,
    /// What the tables look like.
    pub catalog: &'a Catalog,
}

impl<C: GenericClient> Reader<'_, C> {
    fn shape(&self, table: &str) -> Result<&Shape> {
        self.catalog.shape(table).with_context(|| format!("Label Studio's table {table} is not there"))
    }

    /// Projects with their counts; and of each the key that `$undefined$` stands for in the
    /// data of its tasks.
    pub async fn projects(
        &self,
        ids: &BTreeSet<i64>,
        counts: &mut Counts,
    ) -> Result<(HashMap<i64, String>, HashMap<i64, String>)> {
        let mut projects = HashMap::new();
        let mut undefined_keys = HashMap::new();
        if ids.is_empty() {
            return Ok((projects, undefined_keys));
        }
        let shape = self.shape("project")?;
        let (rows, mut links, counts, predictions) = try_join!(
            self.rows(include_str!("../../../sql/render/project_rows.sql"), ids),
            self.links(shape, ids),
            counts.of(self.client, ids),
            self.predictions(ids),
        )?;
        for row in rows {
            let id: i64 = row.get("id");
            let Some(text) = row.get::<_, Option<&str>>("row") else {
                projects.insert(id, only_id(id));
                continue;
            };
            let mut fields = Fields::parse(text)?;
            if let Some(key) = fields.get("data_types").and_then(row::first_key) {
                undefined_keys.insert(id, key);
            }
            fields.serialize_as(shape);
            for (name, count) in counts::NAMES.iter().zip(counts.get(&id).copied().unwrap_or_default()) {
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
        if self.catalog.shape("prediction").is_none() {
            return Ok(HashMap::new());
        }
        let rows = self.rows("select id, predictions from lshookd.prediction_counts($1::bigint[])", projects).await?;
        Ok(rows.iter().map(|row| (row.get("id"), row.get("predictions"))).collect())
    }

    /// The rows of tasks, to be [shown](Reader::tasks).
    pub async fn task_rows(&self, ids: &BTreeSet<i64>) -> Result<TaskRows> {
        if ids.is_empty() {
            return Ok(TaskRows::default());
        }
        let shape = self.shape("task")?;
        let rows = self.rows(include_str!("../../../sql/render/task_rows.sql"), ids);
        let (rows, links) = try_join!(rows, self.links(shape, ids))?;
        Ok(TaskRows { rows: rows.into_iter().map(|row| (row.get("id"), row)).collect(), links })
    }

    /// Tasks in their projects, with `$undefined$` in their data replaced
    /// (`replace_task_data_undefined_with_config_field` in Label Studio's `core/label_config.py`).
    pub fn tasks(
        &self,
        TaskRows { rows, mut links }: TaskRows,
        homes: &BTreeMap<i64, i64>,
        undefined_keys: &HashMap<i64, String>,
    ) -> Result<HashMap<i64, String>> {
        let mut tasks = HashMap::new();
        for (id, home) in homes {
            let Some(row) = rows.get(id) else {
                continue;
            };
            let Some(text) = row.get::<_, Option<&str>>("row") else {
                tasks.insert(*id, only_id(*id));
                continue;
            };
            let mut fields = Fields::parse(text)?;
            fields.fill("project_id", *home);
            let project = fields.get("project_id").and_then(|id| id.parse().ok());
            if let Some(key) = project.and_then(|project: i64| undefined_keys.get(&project)) {
                fields.rename_undefined("data", key)?;
            }
            fields.serialize_as(self.shape("task")?);
            fields.extend(links.remove(id));
            tasks.insert(*id, fields.to_json());
        }
        Ok(tasks)
    }

    /// Annotations or label links, by a query of their rows, with what each belongs to.
    pub async fn children(&self, query: &'static str, table: &str, ids: &BTreeSet<i64>) -> Result<HashMap<i64, Child>> {
        let mut children = HashMap::new();
        if ids.is_empty() {
            return Ok(children);
        }
        let shape = self.shape(table)?;
        let (rows, mut links) = try_join!(self.rows(query, ids), self.links(shape, ids))?;
        for row in rows {
            let id: i64 = row.get("id");
            let Some(text) = row.get::<_, Option<&str>>("row") else {
                children.insert(id, Child { json: only_id(id), parent: None });
                continue;
            };
            let mut fields = Fields::parse(text)?;
            fields.serialize_as(shape);
            fields.extend(links.remove(&id));
            children.insert(id, Child { json: fields.to_json(), parent: row.get("parent") });
        }
        Ok(children)
    }

    /// Rows as watching triggers saw them.
    pub async fn images(&self, kind: Kind, ids: &BTreeSet<i64>) -> Result<Images> {
        let mut images = Images::default();
        if ids.is_empty() {
            return Ok(images);
        }
        let list: Vec<i64> = ids.iter().copied().collect();
        let parameters: [&(dyn ToSql + Sync); 2] = [&kind.name(), &list];
        let (seen, deleted) = try_join!(
            self.client.query(include_str!("../../../sql/render/watched_rows.sql"), &parameters),
            self.client.query(include_str!("../../../sql/render/deleted_rows.sql"), &parameters),
        )
        .context("reading lshookd.watched_row for a payload")?;
        for row in deleted {
            let id: i64 = row.get("id");
            let image = match row.get::<_, Option<&str>>("row") {
                Some(text) => self.image(kind, text)?,
                None => only_id(id),
            };
            images.latest.insert(id, image);
        }
        for row in seen {
            let id: i64 = row.get("id");
            let transaction = row.get::<_, i64>("transaction").unsigned_abs();
            if let Some(after) = row.get::<_, Option<&str>>("after") {
                let after = self.image(kind, after)?;
                images.after.insert((id, transaction), after.clone());
                images.latest.insert(id, after);
            }
            if let Some(before) = row.get::<_, Option<&str>>("before")
                && let Entry::Vacant(first) = images.before.entry((id, transaction))
            {
                first.insert(self.image(kind, before)?);
            }
        }
        Ok(images)
    }

    fn image(&self, kind: Kind, row: &str) -> Result<String> {
        let mut fields = Fields::parse(row)?;
        if let Some(shape) = self.catalog.shape_of(kind) {
            fields.serialize_as(shape);
        }
        Ok(fields.to_json())
    }

    /// Labels, with their links.
    pub async fn labels(&self, ids: &BTreeSet<i64>) -> Result<HashMap<i64, String>> {
        let mut labels = HashMap::new();
        let Some(shape) = self.catalog.shape("labels_manager_label").filter(|_| !ids.is_empty()) else {
            return Ok(labels);
        };
        for row in self.rows(include_str!("../../../sql/render/label_rows.sql"), ids).await? {
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
    async fn links(&self, shape: &Shape, owners: &BTreeSet<i64>) -> Result<Links> {
        let ids: Vec<i64> = owners.iter().copied().collect();
        let asked = shape.links.iter().map(async |link| {
            let parameters: [&(dyn ToSql + Sync); 4] = [&link.table, &link.own, &link.other, &ids];
            let rows = self.client.query(LINKED_PAIRS, &parameters).await;
            rows.with_context(|| format!("reading Label Studio's many-to-many field {}", link.field))
        });
        let mut fields = Links::new();
        for (link, rows) in shape.links.iter().zip(try_join_all(asked).await?) {
            let mut linked: HashMap<i64, BTreeSet<i64>> = HashMap::new();
            for row in rows {
                linked.entry(row.get("owner_id")).or_default().insert(row.get("linked_id"));
            }
            for id in &ids {
                let value = row::numbers(linked.entry(*id).or_default().iter());
                fields.entry(*id).or_default().push((link.field.clone(), value));
            }
        }
        Ok(fields)
    }
}
