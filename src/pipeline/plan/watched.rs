//! Planning what Label Studio has no action for: what watching triggers saw in one transaction.
//!
//! The rules, each with a test below:
//! - Within one transaction only the net effect counts: true that became false again is no event.
//! - Tasks that changed alike are one event, and what came or went with a task is part of it.
//! - It never makes a difference to Label Studio's own actions.

use std::collections::{BTreeMap, HashMap};

use super::merge::Events;
use super::net::Net;
use crate::model::{Action, End, Event, Kind};
use crate::pipeline::gather::Transaction;
use crate::queue::change::{Change, Operation, Relation};

/// What one transaction did to one row.
struct WatchedRow<'a> {
    kind: Kind,
    id: i64,
    parent: Option<i64>,
    latest: &'a Change,
    /// What was done to it first, unless it was deleted in the end.
    operation: Operation,
    /// Whether the transaction created it.
    is_new: bool,
    /// The columns that changed; of true and false, and of a status, what they hold now.
    facts: BTreeMap<&'a str, Option<&'a str>>,
}

/// Adds the events of a transaction. `is_consequence` says of a deletion whether a greater one explains it,
/// `organizations` where users were put whose rows name none.
pub fn announce(
    transaction: &Transaction,
    net: &Net,
    is_consequence: impl Fn(&Change, Option<i64>) -> bool,
    organizations: &HashMap<i64, i64>,
    events: &mut Events,
) {
    for row in rows(transaction) {
        let Some(project) = row.latest.project else {
            continue;
        };
        if net.deletes_project(project) || is_consequence(row.latest, row.parent) {
            continue;
        }
        let task = match row.kind {
            Kind::Task => Some(row.id),
            Kind::User | Kind::Label | Kind::Storage => None,
            _ => row.parent,
        };
        let is_part_of_import = task.is_some_and(|task| net.tasks_inserted.contains(&task));
        let holds = |name, value| row.facts.get(name) == Some(&Some(value));
        let mut add = |action: Action, changed: Vec<String>| {
            let event = Event {
                action,
                scope: project.into(),
                objects: vec![row.id],
                organization: match row.kind {
                    Kind::User => row.parent.or_else(|| organizations.get(&row.id).copied()),
                    Kind::Label => row.parent,
                    _ => None,
                },
                occurred_at: row.latest.captured_at,
                transaction: row.latest.transaction,
                // The unit says.
                end: End::None,
                changed,
            };
            match action.is_about_several() {
                true => events.merge_within(event),
                false => events.extend(vec![event]),
            }
        };
        let changed = || row.facts.keys().filter(|name| **name != "is_labeled").map(|name| (*name).to_owned());
        match (row.kind, row.operation) {
            (Kind::Task, _) => {
                if !is_part_of_import && changed().next().is_some() {
                    add(Action::TasksUpdated, changed().collect());
                }
                if holds("is_labeled", "true") {
                    add(Action::TasksCompleted, vec![]);
                } else if holds("is_labeled", "false") {
                    add(Action::TasksReopened, vec![]);
                }
            }
            (Kind::Annotation, _) => {
                if holds("was_cancelled", "true") {
                    add(Action::AnnotationSkipped, vec![]);
                }
                if holds("ground_truth", "true") {
                    add(Action::GroundTruthSet, vec![]);
                }
            }
            (Kind::Storage, _) => match row.facts.get("status").copied().flatten() {
                Some("in_progress") => add(Action::StorageSyncStarted, vec![]),
                Some("failed") => add(Action::StorageSyncFailed, vec![]),
                Some(status) if status.starts_with("completed") => add(Action::StorageSyncCompleted, vec![]),
                _ => {}
            },
            (_, Operation::Insert) if is_part_of_import => {}
            (kind, operation) => match (life(kind), operation) {
                ([Some(created), ..], Operation::Insert) => add(created, vec![]),
                ([_, Some(updated), _], Operation::Update) => add(updated, changed().collect()),
                ([.., Some(deleted)], Operation::Delete) => add(deleted, vec![]),
                _ => {}
            },
        }
    }
}

/// The actions that tell of a row's beginning, changes and end, where there are such.
fn life(kind: Kind) -> [Option<Action>; 3] {
    match kind {
        Kind::Prediction => [Some(Action::PredictionsCreated), None, Some(Action::PredictionsDeleted)],
        Kind::Draft => [Action::DraftCreated, Action::DraftUpdated, Action::DraftDeleted].map(Some),
        Kind::User => [Action::UserCreated, Action::UserUpdated, Action::UserDeleted].map(Some),
        Kind::Label => [Action::LabelCreated, Action::LabelUpdated, Action::LabelDeleted].map(Some),
        Kind::Project | Kind::Task | Kind::Annotation | Kind::LabelLink | Kind::Storage | Kind::Operation => [None; 3],
    }
}

/// One task that was changed alone has an action of its own.
pub fn of_one_or_several(event: Event) -> Event {
    match (event.action, event.objects.len()) {
        (Action::TasksUpdated, 1) => Event { action: Action::TaskUpdated, ..event },
        _ => event,
    }
}

/// The rows that a transaction touched, in the order in which it first did, each with what is left of it
/// at the end.
fn rows(transaction: &Transaction) -> Vec<WatchedRow<'_>> {
    let mut places = BTreeMap::new();
    let mut rows: Vec<WatchedRow<'_>> = Vec::new();
    for change in &transaction.changes {
        let Relation::Watched(kind) = change.relation else { continue };
        for (index, id) in change.ids.iter().enumerate() {
            let place = *places.entry((kind, *id)).or_insert(rows.len());
            if place == rows.len() {
                rows.push(WatchedRow {
                    kind,
                    id: *id,
                    parent: None,
                    latest: change,
                    operation: change.operation,
                    is_new: change.operation == Operation::Insert,
                    facts: BTreeMap::new(),
                });
            }
            let Some(row) = rows.get_mut(place) else { continue };
            row.latest = change;
            row.parent = change.parents.get(index).copied().flatten().or(row.parent);
            if change.operation == Operation::Delete {
                row.operation = Operation::Delete;
            }
            for (names, value) in [(&change.became_true, "true"), (&change.became_false, "false")] {
                for name in names {
                    // A second time it is what it was at first.
                    if row.facts.remove(name.as_str()).is_none() {
                        row.facts.insert(name, Some(value));
                    }
                }
            }
            if let Some(status) = &change.status {
                row.facts.insert("status", Some(status));
            }
            let is_plain = |name: &&String| {
                !change.became_true.contains(name)
                    && !change.became_false.contains(name)
                    && (name.as_str() != "status" || change.status.is_none())
            };
            for name in change.columns.iter().filter(is_plain) {
                row.facts.insert(name, None);
            }
        }
    }
    // Created and deleted: for everybody else it never was. Of an update nothing may be left.
    rows.retain(|row| match row.operation {
        Operation::Delete => !row.is_new,
        Operation::Insert => true,
        Operation::Update => !row.facts.is_empty(),
    });
    rows
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::pipeline::gather::Unit;
    use crate::pipeline::gather::tests::change;
    use crate::pipeline::plan::plan;
    use Action::*;
    use Operation::{Delete, Insert, Update};

    /// A statement: what was watched, what happened to it, to which rows, and what was seen.
    type Step<'a> = (Relation, Operation, &'a [i64], &'a [&'a str]);

    const TASK: Relation = Relation::Watched(Kind::Task);
    const ANNOTATION: Relation = Relation::Watched(Kind::Annotation);
    const PREDICTION: Relation = Relation::Watched(Kind::Prediction);
    const DRAFT: Relation = Relation::Watched(Kind::Draft);
    const STORAGE: Relation = Relation::Watched(Kind::Storage);
    const USER: Relation = Relation::Watched(Kind::User);

    fn events(transactions: &[&[Step<'_>]]) -> Vec<Event> {
        let mut seq = 0;
        let mut transaction = |(index, steps): (usize, &&[Step<'_>])| {
            let step = |(relation, operation, ids, facts): &Step<'_>| {
                seq += 1;
                let values = |value: &str| -> Vec<String> {
                    let suffix = format!("={value}");
                    facts.iter().filter_map(|fact| fact.strip_suffix(&suffix)).map(str::to_owned).collect()
                };
                Change {
                    columns: facts.iter().map(|fact| fact.split('=').next().unwrap().to_owned()).collect(),
                    became_true: values("true"),
                    became_false: values("false"),
                    status: facts.iter().find_map(|fact| fact.strip_prefix("status=")).map(str::to_owned),
                    // Row N belongs to task N + 1000.
                    parents: ids.iter().map(|id| (*relation != USER).then_some(id + 1000)).collect(),
                    ..change(seq, index as u64, 7, *relation, *operation, ids)
                }
            };
            Transaction { changes: steps.iter().map(step).collect() }
        };
        let transactions = transactions.iter().enumerate().map(&mut transaction).collect();
        plan(&Unit { transactions, single_action: false, end: End::Closed }, 5000, Duration::from_millis(50))
    }

    fn planned(transactions: &[&[Step<'_>]]) -> Vec<(Action, Vec<i64>)> {
        events(transactions).into_iter().map(|event| (event.action, event.objects)).collect()
    }

    #[test]
    fn tasks_that_changed_alike_are_one_event_and_one_alone_is_a_task_updated() {
        let planned = events(&[&[(TASK, Update, &[1, 2], &["data"]), (TASK, Update, &[3], &["data", "meta"])]]);
        assert_eq!((planned[0].action, &planned[0].objects), (TasksUpdated, &vec![1, 2]));
        assert_eq!((planned[1].action, &planned[1].objects), (TaskUpdated, &vec![3]));
        assert_eq!(planned[1].changed, ["data", "meta"]);
    }

    #[test]
    fn tasks_are_completed_and_reopened() {
        assert_eq!(
            planned(&[
                &[(TASK, Update, &[1, 2], &["is_labeled=true"])],
                &[(TASK, Update, &[1], &["is_labeled=false"])]
            ]),
            [(TasksCompleted, vec![1, 2]), (TasksReopened, vec![1])]
        );
    }

    #[test]
    fn what_became_true_and_false_again_in_one_transaction_is_nothing() {
        let both: &[Step<'_>] =
            &[(TASK, Update, &[1], &["is_labeled=true"]), (TASK, Update, &[1], &["is_labeled=false"])];
        assert_eq!(planned(&[both]), []);
    }

    #[test]
    fn what_came_with_a_task_or_went_with_it_is_part_of_that() {
        let import: &[Step<'_>] = &[
            (Relation::Task, Insert, &[1001], &[]),
            (PREDICTION, Insert, &[1], &[]),
            (TASK, Update, &[1001], &["overlap", "is_labeled=true"]),
        ];
        assert_eq!(planned(&[import]), [(TasksCreated, vec![1001]), (TasksCompleted, vec![1001])]);
        let deletion: &[Step<'_>] =
            &[(PREDICTION, Delete, &[1], &[]), (DRAFT, Delete, &[1], &[]), (Relation::Task, Delete, &[1001], &[])];
        assert_eq!(planned(&[deletion]), [(TasksDeleted, vec![1001])]);
        assert_eq!(planned(&[&[(PREDICTION, Delete, &[1, 2], &[])]]), [(PredictionsDeleted, vec![1, 2])]);
    }

    #[test]
    fn annotations_are_skipped_and_become_ground_truth() {
        assert_eq!(
            planned(&[&[
                (ANNOTATION, Insert, &[1], &["was_cancelled=true"]),
                (ANNOTATION, Update, &[2], &["ground_truth=true"]),
                (ANNOTATION, Update, &[3], &["ground_truth=false"]),
            ]]),
            [(AnnotationSkipped, vec![1]), (GroundTruthSet, vec![2])]
        );
    }

    #[test]
    fn drafts_that_come_and_go_in_one_transaction_never_were() {
        assert_eq!(planned(&[&[(DRAFT, Insert, &[1], &[]), (DRAFT, Delete, &[1], &[])]]), []);
        assert_eq!(
            planned(&[
                &[(DRAFT, Insert, &[1], &[]), (DRAFT, Update, &[1], &["result"])],
                &[(DRAFT, Delete, &[1], &[])]
            ]),
            [(DraftCreated, vec![1]), (DraftDeleted, vec![1])]
        );
    }

    #[test]
    fn a_synchronization_starts_and_ends() {
        assert_eq!(
            planned(&[
                &[(STORAGE, Update, &[1], &["last_sync_job", "status=in_progress"])],
                &[(STORAGE, Update, &[1], &["status=completed_with_errors"])],
                &[(STORAGE, Update, &[1], &["status=queued"])],
                &[(STORAGE, Update, &[1], &["status=failed"])],
            ]),
            [(StorageSyncStarted, vec![1]), (StorageSyncCompleted, vec![1]), (StorageSyncFailed, vec![1])]
        );
    }

    #[test]
    fn a_new_user_has_the_organization_that_it_is_put_into() {
        let joins = Change {
            parents: vec![Some(42)],
            columns: vec!["active_organization_id".to_owned()],
            ..change(2, 2, 7, USER, Update, &[1])
        };
        let signs_up = Change { parents: vec![None], ..change(1, 1, 7, USER, Insert, &[1]) };
        let transactions = [signs_up, joins].map(|change| Transaction { changes: vec![change] }).into();
        let events =
            plan(&Unit { transactions, single_action: true, end: End::Closed }, 5000, Duration::from_millis(50));
        assert_eq!((events[0].action, events[0].organization), (UserCreated, Some(42)));
    }

    #[test]
    fn label_studios_own_events_are_put_together_as_if_nobody_watched() {
        let import: &[Step<'_>] = &[(Relation::Task, Insert, &[1, 2], &[])];
        let watched: &[Step<'_>] = &[(TASK, Update, &[9], &["is_labeled=true"])];
        let rest: &[Step<'_>] = &[(Relation::Task, Insert, &[3], &[])];
        assert_eq!(planned(&[import, watched, rest]), [(TasksCreated, vec![1, 2, 3]), (TasksCompleted, vec![9])]);
    }
}
