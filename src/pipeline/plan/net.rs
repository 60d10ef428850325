//! The net effect: what a transaction did on the whole, and what follows from what it deleted.

use std::collections::{HashMap, HashSet};

use crate::pipeline::gather::Transaction;
use crate::queue::change::{Change, Operation, Relation};

/// Deletions whose consequences are not announced.
#[derive(Default)]
pub struct Cascades {
    projects: HashSet<i64>,
    tasks: HashSet<i64>,
}

impl Cascades {
    /// Those of transactions.
    pub fn of<'a>(transactions: impl IntoIterator<Item = &'a Transaction>) -> Cascades {
        let mut cascades = Cascades::default();
        let changes = transactions.into_iter().flat_map(|transaction| &transaction.changes);
        for change in changes.filter(|change| change.operation == Operation::Delete) {
            match change.relation {
                Relation::Project => cascades.projects.extend(&change.ids),
                Relation::Task => cascades.tasks.extend(&change.ids),
                Relation::Annotation | Relation::LabelLink | Relation::Migration | Relation::Watched(_) => {}
            }
        }
        cascades
    }

    /// Whether a deletion is a consequence of one of them.
    pub fn explain(&self, change: &Change, task: Option<i64>) -> bool {
        change.operation == Operation::Delete
            && change.relation != Relation::Project
            && (change.project.is_some_and(|project| self.projects.contains(&project))
                || task.is_some_and(|task| self.tasks.contains(&task) || change.departed.contains(&task)))
    }
}

/// An object of a transaction. A task that moves is another object in its new project.
pub type ObjectInProject = (Relation, Option<i64>, i64);

/// What one transaction did on the whole.
#[derive(Default)]
pub struct Net {
    pub inserted: HashSet<ObjectInProject>,
    deleted: HashSet<ObjectInProject>,
    /// Inserted and deleted again: for everybody else it never was.
    stillborn: HashSet<ObjectInProject>,
    /// Tasks that are new, and stay.
    pub tasks_inserted: HashSet<i64>,
}

impl Net {
    /// Of a transaction.
    pub fn of(transaction: &Transaction) -> Net {
        let mut net = Net::default();
        let mut first_and_last: HashMap<ObjectInProject, (Operation, Operation)> = HashMap::new();
        let mut moved = HashSet::new();
        for change in transaction.changes.iter().filter(|change| change.operation != Operation::Update) {
            for object in change.objects() {
                first_and_last.entry(object).or_insert((change.operation, change.operation)).1 = change.operation;
                if change.moved {
                    moved.insert(object);
                }
            }
        }
        for (object, first_and_last) in first_and_last {
            match first_and_last {
                (Operation::Insert, Operation::Delete) => {
                    net.inserted.insert(object);
                    net.stillborn.insert(object);
                }
                // It left its project and came back.
                (Operation::Delete, Operation::Insert) if moved.contains(&object) => {}
                (Operation::Delete, Operation::Insert) => {
                    // Another row of the same id.
                    net.deleted.insert(object);
                    net.inserted.insert(object);
                }
                (Operation::Insert, _) => {
                    net.inserted.insert(object);
                }
                _ => {
                    net.deleted.insert(object);
                }
            }
        }
        let lasting = net.inserted.iter().filter(|object| !net.stillborn.contains(object));
        net.tasks_inserted = lasting.filter(|object| object.0 == Relation::Task).map(|object| object.2).collect();
        net
    }

    /// Whether the change of this object is seen from outside the transaction.
    pub fn shows(&self, operation: Operation, object: &ObjectInProject) -> bool {
        match operation {
            Operation::Insert => self.inserted.contains(object) && !self.stillborn.contains(object),
            Operation::Update => !self.inserted.contains(object) && !self.deleted.contains(object),
            Operation::Delete => self.deleted.contains(object),
        }
    }

    /// Whether the project is deleted, with all that is in it.
    pub fn deletes_project(&self, project: i64) -> bool {
        self.whole_project(&self.deleted, project) || self.whole_project(&self.stillborn, project)
    }

    fn whole_project(&self, set: &HashSet<ObjectInProject>, project: i64) -> bool {
        set.contains(&(Relation::Project, Some(project), project))
    }
}

impl Change {
    /// What it is about.
    pub fn objects(&self) -> impl Iterator<Item = ObjectInProject> {
        self.ids.iter().map(|id| (self.relation, self.project, *id))
    }

    /// The task of an annotation.
    pub fn task(&self, index: usize) -> Option<i64> {
        match self.relation {
            Relation::Annotation => self.parents.get(index).copied().flatten(),
            _ => None,
        }
    }
}
