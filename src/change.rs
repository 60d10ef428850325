//! Changes: what the triggers recorded, read back in the order in which they were made.
//!
//! Relies on `sql/migrations/V1__change.sql`, whose triggers write one row per statement and
//! project. A change names objects by id; it is true of the moment of its transaction, and
//! rows it names may have changed or gone since.

use std::str::FromStr;
use std::time::SystemTime;

use anyhow::{Context, Result, bail};
use tokio_postgres::{GenericClient, Row};

use crate::database::Prepared;
use crate::event::Kind;

/// The table a change is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Relation {
    /// `project`
    Project,
    /// `task`
    Task,
    /// `task_completion`
    Annotation,
    /// `labels_manager_labellink`
    LabelLink,
    /// What a watching trigger saw (`lshookd.watch`), beyond what Label Studio has actions for.
    Watched(Kind),
}

/// What was done to the rows of a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Operation {
    /// Rows came into being (or a task came into a project).
    Insert,
    /// Rows really changed; Label Studio's bookkeeping is left out by the triggers.
    Update,
    /// Rows went away (or a task left its project).
    Delete,
}

/// A PostgreSQL backend: one client's connection, by process id.
pub type Backend = i32;

/// One row of `lshookd.change`: what one statement did to one project.
#[derive(Debug, Clone, PartialEq)]
pub struct Change {
    /// Position among all changes. Of two changes to one object, the later commit has the higher.
    pub seq: i64,
    /// The writer's transaction.
    pub transaction: u64,
    /// The writer's connection.
    pub backend: Backend,
    /// The server's clock when the statement ended.
    pub captured_at: SystemTime,
    /// The table.
    pub relation: Relation,
    /// The operation.
    pub operation: Operation,
    /// The project; `None` only where neither the annotation nor its task names one.
    pub project: Option<i64>,
    /// The objects, ascending.
    pub ids: Vec<i64>,
    /// Beside each id its parent: an annotation's task, a link's label, a deleted project's
    /// organization; a prediction's, draft's or comment's task, a user's or label's organization.
    /// Empty where the relation has none.
    pub parents: Vec<Option<i64>>,
    /// Annotations inserted in bulk rather than submitted one by one.
    pub bulk: bool,
    /// Tasks moved, or annotations deleted, by a statement of Label Studio's own and not by some
    /// other client's.
    pub by_label_studio: bool,
    /// Names of the columns an update of a project changed, or that a watching trigger saw change:
    /// of true and false, and of a status, with what they hold now, as `name=value`.
    pub changed_columns: Vec<String>,
}

/// The oldest changes that wait, at most `limit` of them, in order.
///
/// # Errors
/// When the database cannot be asked, or holds a change that this version cannot read.
pub async fn pending(client: &Prepared<'_, impl GenericClient>, limit: usize) -> Result<Vec<Change>> {
    let limit = i64::try_from(limit)?;
    client
        .query(include_str!("../sql/pending_changes.sql"), &[&limit])
        .await
        .context("reading lshookd.change")?
        .iter()
        .map(Change::from_row)
        .collect()
}

/// What [`consume`] runs.
pub const CONSUME: &str = include_str!("../sql/consume_changes.sql");

/// Takes the changes out of the queue, as part of the caller's transaction.
///
/// # Errors
/// When another planner took one of them first: the transaction must then be rolled back.
pub async fn consume(client: &Prepared<'_, impl GenericClient>, seqs: &[i64]) -> Result<()> {
    let taken = client.execute(CONSUME, &[&seqs]).await.context("deleting from lshookd.change")?;
    if taken != seqs.len() as u64 {
        bail!("another planner has taken some of the changes; starting over");
    }
    Ok(())
}

impl Change {
    /// Whether it is announced at once, though its writer is still at work: a storage's synchronization
    /// began.
    pub fn is_urgent(&self) -> bool {
        self.relation == Relation::Watched(Kind::Storage)
            && self.changed_columns.iter().any(|fact| fact == "status=in_progress")
    }

    fn from_row(row: &Row) -> Result<Change> {
        let relation = match row.get("relation") {
            "project" => Relation::Project,
            "task" => Relation::Task,
            "annotation" => Relation::Annotation,
            "label_link" => Relation::LabelLink,
            other => match other.strip_prefix("watched_").map(Kind::from_str) {
                Some(Ok(kind)) => Relation::Watched(kind),
                _ => bail!("lshookd.change names the relation {other:?}, which this version does not know"),
            },
        };
        let operation = match row.get("operation") {
            "insert" => Operation::Insert,
            "update" => Operation::Update,
            "delete" => Operation::Delete,
            other => bail!("lshookd.change names the operation {other:?}, which this version does not know"),
        };
        let detail: Vec<String> = row.get("detail");
        let names_columns = matches!(relation, Relation::Project | Relation::Watched(_));
        Ok(Change {
            seq: row.get("seq"),
            transaction: row.get::<_, i64>("transaction").unsigned_abs(),
            backend: row.get("backend"),
            captured_at: row.get("captured_at"),
            relation,
            operation,
            project: row.get("project_id"),
            ids: row.get("ids"),
            parents: row.get("parents"),
            bulk: !names_columns && detail.iter().any(|word| word == "bulk"),
            by_label_studio: !names_columns && detail.iter().any(|word| word == "django"),
            changed_columns: if names_columns { detail } else { Vec::new() },
        })
    }
}
