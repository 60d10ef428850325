//! Changes: what the triggers recorded, read back in the order in which they were made.
//!
//! Relies on the capture functions in `sql/functions/capture`, which write one row per statement and project. A
//! change names objects by id; it is true of the moment of its transaction, and rows it names may have changed or
//! gone since.

use std::collections::BTreeMap;
use std::str::FromStr;
use std::time::SystemTime;

use anyhow::{Context, Result, bail};
use tokio_postgres::{GenericClient, Row};

use crate::model::Kind;
use crate::pg::Prepared;

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
    /// `django_migrations`: what its connection did before was a migration of Label Studio's.
    Migration,
    /// What a watching trigger saw (`lshookd.watch`), beyond what Label Studio has actions for.
    Watched(Kind),
}

/// What was done to the rows of a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Operation {
    /// Rows were created (or a task came into a project).
    Insert,
    /// Rows really changed; Label Studio's bookkeeping is left out by the triggers.
    Update,
    /// Rows were deleted (or a task left its project).
    Delete,
}

/// One client's connection to PostgreSQL: a backend's process id and what tells its session from others that had
/// the same one, as one number.
pub type Connection = i64;

/// One row of `lshookd.change`: what one statement did to one project.
#[derive(Debug, Clone, PartialEq)]
pub struct Change {
    /// Position among all changes. Of two changes to one object, the later commit has the higher.
    pub seq: i64,
    /// The writer's transaction.
    pub transaction: u64,
    /// The writer's connection.
    pub connection: Connection,
    /// The server's clock when the statement ended.
    pub captured_at: SystemTime,
    /// The table.
    pub relation: Relation,
    /// The operation.
    pub operation: Operation,
    /// The project; `None` only where neither the row nor its task names one.
    pub project: Option<i64>,
    /// The objects, ascending.
    pub ids: Vec<i64>,
    /// Beside each id its parent: an annotation's task, a link's label, a deleted project's
    /// organization; a prediction's, draft's or comment's task, a user's or label's organization.
    /// Empty where the relation has none.
    pub parents: Vec<Option<i64>>,
    /// Of deleted annotations the tasks that had left their project before: they are the deletion's cause.
    pub departed: Vec<i64>,
    /// Tasks that went from project to project, or out of one, and are still there.
    pub moved: bool,
    /// Annotations inserted in bulk rather than submitted one by one.
    pub bulk: bool,
    /// Tasks moved, or annotations deleted, by a statement of Label Studio's own and not by some
    /// other client's.
    pub by_label_studio: bool,
    /// Names of the columns that an update changed.
    pub columns: Vec<String>,
    /// Of a watched row, what is true now and was not before.
    pub became_true: Vec<String>,
    /// Of a watched row, what is false now and was not before.
    pub became_false: Vec<String>,
    /// A storage's status, where it changed.
    pub status: Option<String>,
}

impl Default for Change {
    /// A change of nothing, at the beginning of time.
    fn default() -> Change {
        Change {
            seq: 0,
            transaction: 0,
            connection: 0,
            captured_at: SystemTime::UNIX_EPOCH,
            relation: Relation::Project,
            operation: Operation::Update,
            project: None,
            ids: Vec::new(),
            parents: Vec::new(),
            departed: Vec::new(),
            moved: false,
            bulk: false,
            by_label_studio: false,
            columns: Vec::new(),
            became_true: Vec::new(),
            became_false: Vec::new(),
            status: None,
        }
    }
}

/// What waits to be planned.
#[derive(Debug, Default)]
pub struct Pending {
    /// The changes, in order.
    pub changes: Vec<Change>,
    /// Those that this version cannot read, by `seq`, each with the reason.
    pub unreadable: Vec<(i64, String)>,
}

/// The oldest changes that wait, at most `limit` of them, without those that are `in_hand`, by `seq`.
///
/// # Errors
/// When the database cannot be asked.
pub async fn pending(client: &Prepared<'_, impl GenericClient>, limit: usize, in_hand: &[i64]) -> Result<Pending> {
    let limit = i64::try_from(limit)?;
    let rows = client
        .query(include_str!("../../sql/gather/pending_changes.sql"), &[&limit, &in_hand])
        .await
        .context("reading lshookd.change")?;
    let mut pending = Pending::default();
    for row in &rows {
        match Change::from_row(row) {
            Ok(changes) => pending.changes.extend(changes),
            Err(error) => pending.unreadable.push((row.get("seq"), format!("{error:#}"))),
        }
    }
    Ok(pending)
}

/// Takes planned changes out of the queue, in the transaction that stores their events.
pub const CONSUME: &str = "delete from lshookd.change where seq = any ($1)";

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
    /// Whether it is announced at once, though its writer is not done: a storage's synchronization
    /// began.
    pub fn is_urgent(&self) -> bool {
        self.relation == Relation::Watched(Kind::Storage) && self.status.as_deref() == Some("in_progress")
    }

    /// The same of the objects at some places.
    fn of(&self, places: &[usize], project: Option<i64>) -> Change {
        let at = |list: &[Option<i64>]| places.iter().filter_map(|place| list.get(*place).copied()).collect();
        Change {
            project,
            ids: places.iter().filter_map(|place| self.ids.get(*place).copied()).collect(),
            parents: at(&self.parents),
            ..self.clone()
        }
    }

    /// A row's change; several where its objects are in several projects.
    fn from_row(row: &Row) -> Result<Vec<Change>> {
        let relation = match row.get("relation") {
            "project" => Relation::Project,
            "task" => Relation::Task,
            "annotation" => Relation::Annotation,
            "label_link" => Relation::LabelLink,
            "migration" => Relation::Migration,
            other => match other.strip_prefix("watched_").map(Kind::from_str) {
                Some(Ok(kind)) => Relation::Watched(kind),
                _ => bail!("it names the relation {other:?}, which this version does not know"),
            },
        };
        let operation = match row.get("operation") {
            "insert" => Operation::Insert,
            "update" => Operation::Update,
            "delete" => Operation::Delete,
            other => bail!("it names the operation {other:?}, which this version does not know"),
        };
        let change = Change {
            seq: row.get("seq"),
            transaction: row.get::<_, i64>("transaction").unsigned_abs(),
            connection: row.get("connection"),
            captured_at: row.get("captured_at"),
            relation,
            operation,
            project: row.get("project_id"),
            ids: row.try_get("ids").context("its ids are no list of numbers")?,
            parents: row.get("parents"),
            departed: row.get("departed"),
            moved: row.get("moved"),
            bulk: row.get("bulk"),
            by_label_studio: row.get("by_label_studio"),
            columns: row.get("columns"),
            became_true: row.get("became_true"),
            became_false: row.get("became_false"),
            status: row.get("status"),
        };
        let homes: Vec<Option<i64>> = row.get("homes");
        if change.project.is_some() || homes.is_empty() {
            return Ok(vec![change]);
        }
        let mut by_home: BTreeMap<i64, Vec<usize>> = BTreeMap::new();
        for (place, home) in homes.iter().enumerate() {
            let home = home.context("the task that it belongs to is gone, and no row of it was kept")?;
            by_home.entry(home).or_default().push(place);
        }
        // Below zero: in no project, so that nobody can have a webhook for it.
        Ok(by_home.into_iter().map(|(home, places)| change.of(&places, (home >= 0).then_some(home))).collect())
    }
}
