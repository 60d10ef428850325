//! The shape of Label Studio's tables, as PostgreSQL's catalog has it now.
//!
//! Label Studio's webhook payloads are Django REST Framework model serializers over all
//! fields; what a field is follows from its column: a foreign key loses its `_id`, a link
//! table of nothing but two keys is a many-to-many field. Which of Label Studio's fields there
//! are is read from the catalog, so every version yields its own payloads; what is none of
//! Label Studio's (`fields.rs`) is left out, unless the operator names it.

use std::collections::{HashMap, HashSet};

use anyhow::{Context, Result};
use tokio_postgres::GenericClient;

use super::fields;
use crate::model::Kind;
use crate::pg::Prepared;

/// The tables that payloads are made of.
pub const SHOWN: [&str; 11] = [
    "project",
    "task",
    "task_completion",
    "prediction",
    "labels_manager_label",
    "labels_manager_labellink",
    "tasks_annotationdraft",
    "comment",
    "comments_comment",
    "htx_user",
    "io_storages_s3importstorage",
];

/// Label Studio's tables, by name.
#[derive(Debug)]
pub struct Catalog(HashMap<String, Shape>);

/// What the columns of one table become.
#[derive(Debug, Default)]
pub struct Shape {
    /// All columns.
    pub columns: HashSet<String>,
    /// Columns that hold a moment.
    pub moments: HashSet<String>,
    /// Columns that hold a floating-point number.
    pub floats: HashSet<String>,
    /// Columns that refer to another table.
    pub references: HashSet<String>,
    /// Columns that no version of Label Studio has, and that nobody wants to see.
    pub foreign: HashSet<String>,
    /// Many-to-many fields.
    pub links: Vec<Link>,
}

/// A many-to-many field and the table that holds it.
#[derive(Debug)]
pub struct Link {
    /// The field's name.
    pub field: String,
    /// The link table, by object id.
    pub table: u32,
    /// Its column that refers to the owner of the field.
    pub own: String,
    /// Its column that refers to the other side.
    pub other: String,
}

/// What changes whenever a [`Catalog`] does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mark([i64; 3]);

impl Mark {
    /// The mark of the catalog as it is now.
    ///
    /// # Errors
    /// When the database cannot be asked.
    pub async fn read(client: &Prepared<'_, impl GenericClient>) -> Result<Mark> {
        let row = client.query_one(include_str!("../../sql/label_studio/catalog_mark.sql"), &[&SHOWN.as_slice()]).await;
        let row = row.context("looking whether Label Studio's tables have changed")?;
        Ok(Mark(["relations", "columns", "constraints"].map(|part| row.get(part))))
    }
}

impl Catalog {
    /// Reads the catalog for Label Studio's tables.
    ///
    /// # Errors
    /// When the database cannot be asked.
    pub async fn read(client: &Prepared<'_, impl GenericClient>, extra_fields: &[String]) -> Result<Catalog> {
        let mut shapes: HashMap<String, Shape> = HashMap::new();
        let columns =
            client.query(include_str!("../../sql/label_studio/catalog_columns.sql"), &[&SHOWN.as_slice()]).await;
        for row in columns.context("reading the columns of Label Studio's tables")? {
            let table: String = row.get("relation");
            let column: String = row.get("name");
            let known = fields::of(&table);
            let is_wanted = extra_fields.contains(&format!("{table}.{column}"));
            let shape = shapes.entry(table).or_default();
            let listed = |list: &[&str]| list.contains(&column.as_str());
            let is_known = known.is_none_or(|known| listed(known.columns) || listed(known.references));
            if !is_known && !is_wanted {
                shape.foreign.insert(column.clone());
            }
            if row.get("is_moment") {
                shape.moments.insert(column.clone());
            }
            if row.get("is_float") {
                shape.floats.insert(column.clone());
            }
            // By Label Studio's model, whether its constraint is there or not; by the constraint elsewhere.
            let is_reference = match known {
                Some(known) if is_known => listed(known.references),
                _ => row.get("is_reference"),
            };
            if is_reference {
                shape.references.insert(column.clone());
            }
            shape.columns.insert(column);
        }
        let links = client.query(include_str!("../../sql/label_studio/catalog_links.sql"), &[]).await;
        for row in links.context("reading the link tables of Label Studio's tables")? {
            let link =
                Link { field: row.get("field"), table: row.get("link"), own: row.get("own"), other: row.get("other") };
            let table: String = row.get("relation");
            let is_known = fields::of(&table).is_none_or(|known| known.links.contains(&link.field.as_str()));
            let is_wanted = extra_fields.contains(&format!("{table}.{}", link.field));
            let shape = shapes.entry(table).or_default();
            match is_known || is_wanted {
                true => shape.links.push(link),
                false => drop(shape.foreign.insert(link.field)),
            }
        }
        Ok(Catalog(shapes))
    }

    /// The shape of rows that watching triggers saw; without one, they are shown as they are.
    pub fn shape_of(&self, kind: Kind) -> Option<&Shape> {
        match kind {
            Kind::Project => self.shape("project"),
            Kind::Task => self.shape("task"),
            Kind::Annotation => self.shape("task_completion"),
            Kind::LabelLink => self.shape("labels_manager_labellink"),
            Kind::Prediction => self.shape("prediction"),
            Kind::Draft => self.shape("tasks_annotationdraft"),
            Kind::Label => self.shape("labels_manager_label"),
            Kind::User => self.shape("htx_user"),
            // All of them have in common what is shown of a storage.
            Kind::Storage => self.shape("io_storages_s3importstorage"),
            Kind::Operation => None,
        }
    }

    /// Columns and many-to-many fields that are none of Label Studio's, and that payloads leave out, as table.field.
    pub fn left_out(&self) -> Vec<String> {
        let fields =
            self.0.iter().flat_map(|(table, shape)| shape.foreign.iter().map(move |field| format!("{table}.{field}")));
        let mut fields: Vec<String> = fields.collect();
        fields.sort();
        fields
    }

    /// The shape of a table that is there.
    pub fn shape(&self, table: &str) -> Option<&Shape> {
        self.0.get(table)
    }
}
