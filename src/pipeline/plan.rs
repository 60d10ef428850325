//! Planning: units of work → events. A pure function, and the heart of the program.
//!
//! Within one transaction only the net effect counts, for nobody saw anything else. Over the transactions of a unit:
//!
//! | what a connection did | is |
//! | --- | --- |
//! | created and deleted the same object in one transaction; a task that left its project and came back | nothing |
//! | deleted a project or tasks, and with them what belongs to them | one deletion, of the root |
//! | added tasks with annotations | one `TASKS_CREATED` |
//! | added or removed tasks in several transactions of a single action, or in portions of a large one | one event |
//! | the same on a connection that is shared, by Label Studio | an event each |
//! | the same by some other client, less than `settle` apart | one event |
//! | saved a project | `PROJECT_UPDATED`; nothing where only bookkeeping changed (Label Studio's own saves move `updated_at`) |
//! | ran a migration of Label Studio's | nothing, up to its end |
//! | changed what only lshookd has an action for | see `watched` |
//!
//! An event holds a bounded number of objects. Each rule has a test below.

mod merge;
mod net;
mod watched;

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::time::Duration;

use crate::model::{Action, End, Event, Kind};
use crate::pipeline::gather::{Transaction, Unit};
use crate::queue::change::{Change, Operation, Relation};
use merge::Events;
use net::{Cascades, Net};

/// Columns of a project that are no setting: caches, which also triggers and other programs bring up to date, and
/// references to users that were deleted.
const PROJECT_BOOKKEEPING: &[&str] = &[
    "model_version",
    "parsed_label_config",
    "token",
    "result_count",
    "search_vector",
    "created_by_id",
    "deleted_by_id",
];

/// What an import of predictions writes to its project.
const PROJECT_IMPORT: &[&str] = &["model_version", "updated_at"];

/// Turns one unit of work into events, in order, with at most `batch_size` objects each.
/// Transactions that are `settle` apart are taken for two actions.
///
/// ```
/// use std::time::{Duration, SystemTime};
/// use lshookd::model::{Action, End};
/// use lshookd::pipeline::gather::{Transaction, Unit};
/// use lshookd::pipeline::plan::plan;
/// use lshookd::queue::change::{Change, Operation, Relation};
///
/// let import = |seq, ids: &[i64]| Change {
///     seq,
///     transaction: 1,
///     connection: 1,
///     captured_at: SystemTime::now(),
///     relation: Relation::Task,
///     operation: Operation::Insert,
///     project: Some(7),
///     ids: ids.to_vec(),
///     ..Change::default()
/// };
/// let changes = vec![import(1, &[1, 2]), import(2, &[3])];
/// let unit = Unit { transactions: vec![Transaction { changes }], single_action: true, end: End::Closed };
/// let events = plan(&unit, 5000, Duration::from_millis(50));
/// assert_eq!((events[0].action, &events[0].objects), (Action::TasksCreated, &vec![1, 2, 3]));
/// ```
pub fn plan(unit: &Unit, batch_size: usize, settle: Duration) -> Vec<Event> {
    let transactions = after_migrations(unit);
    let organizations = organizations_of_users(&transactions);
    let mut events = Events::new(unit.single_action, settle);
    let in_unit = Cascades::of(transactions.iter());
    for transaction in transactions.iter() {
        let in_transaction = Cascades::of([transaction]);
        // What Label Studio deletes as a consequence of something that it deletes in the same transaction; on
        // a connection that lives on, what follows may be somebody else's.
        let is_consequence = |change: &Change, task| {
            let within = if change.by_label_studio && !unit.single_action { &in_transaction } else { &in_unit };
            within.explain(change, task)
        };
        let net = Net::of(transaction);
        plan_transaction(transaction, &net, is_consequence, &mut events);
        watched::announce(transaction, &net, is_consequence, &organizations, &mut events);
    }
    let ended = |event| Event { end: unit.end, ..event };
    events.cut(batch_size).map(watched::of_one_or_several).map(ended).collect()
}

/// What the connection did after the last of its migrations: they are no action.
fn after_migrations(unit: &Unit) -> Cow<'_, [Transaction]> {
    let last = unit.changes().filter(|change| change.relation == Relation::Migration).map(|change| change.seq).max();
    let Some(last) = last else {
        return Cow::Borrowed(&unit.transactions);
    };
    let later = |transaction: &Transaction| Transaction {
        changes: transaction.changes.iter().filter(|change| change.seq > last).cloned().collect(),
    };
    let later = unit.transactions.iter().map(later).filter(|transaction| !transaction.changes.is_empty());
    Cow::Owned(later.collect())
}

/// Where users were put that signed up: the organization comes after the user.
fn organizations_of_users(transactions: &[Transaction]) -> HashMap<i64, i64> {
    let changes = transactions.iter().flat_map(|transaction| &transaction.changes);
    let of_users = changes.filter(|change| change.relation == Relation::Watched(Kind::User));
    of_users
        .flat_map(|change| change.ids.iter().zip(&change.parents))
        .filter_map(|(id, organization)| Some((*id, (*organization)?)))
        .collect()
}

fn plan_transaction(
    transaction: &Transaction,
    net: &Net,
    is_consequence: impl Fn(&Change, Option<i64>) -> bool,
    events: &mut Events,
) {
    let mut shown = HashSet::new();
    for change in &transaction.changes {
        let Some(project) = change.project else {
            continue; // An annotation of no project: no webhook receives it.
        };
        if net.deletes_project(project) && change.relation != Relation::Project {
            continue;
        }
        let objects = change.ids.iter().enumerate().filter(|(index, id)| {
            let object = (change.relation, change.project, **id);
            let task = change.task(*index);
            let is_part_of_import =
                change.operation == Operation::Insert && task.is_some_and(|task| net.tasks_inserted.contains(&task));
            !matches!(change.relation, Relation::Watched(_))
                && net.shows(change.operation, &object)
                && !is_part_of_import
                && !is_consequence(change, task)
                && shown.insert((change.operation, object))
        });
        let objects: Vec<i64> = objects.map(|(_, id)| *id).collect();
        if objects.is_empty() || in_passing(change, net) {
            // An update in passing must not hide a real one that follows.
            objects.iter().for_each(|id| {
                shown.remove(&(change.operation, (change.relation, change.project, *id)));
            });
            continue;
        }
        announce(change, project, objects, events);
    }
}

/// Whether Label Studio made this update of a project while doing something else.
fn in_passing(change: &Change, net: &Net) -> bool {
    if change.relation != Relation::Project || change.operation != Operation::Update {
        return false;
    }
    let only = |allowed: &[&str]| change.columns.iter().all(|column| allowed.contains(&column.as_str()));
    let imports =
        net.inserted.iter().any(|(relation, project, _)| *relation == Relation::Task && *project == change.project);
    let is_saved = change.columns.is_empty() || change.columns.iter().any(|column| column == "updated_at");
    (change.by_label_studio && !is_saved) || only(PROJECT_BOOKKEEPING) || (imports && only(PROJECT_IMPORT))
}

fn announce(change: &Change, project: i64, objects: Vec<i64>, events: &mut Events) {
    let organization = match (change.relation, change.operation) {
        (Relation::Project, Operation::Delete) => change.parents.first().copied().flatten(),
        _ => None,
    };
    let event = |action, objects| Event {
        action,
        scope: project.into(),
        objects,
        organization,
        occurred_at: change.captured_at,
        transaction: change.transaction,
        // The unit says.
        end: End::None,
        changed: Vec::new(),
    };
    let one_each = |action| objects.iter().map(|id| event(action, vec![*id])).collect::<Vec<_>>();
    match (change.relation, change.operation) {
        (Relation::Project, Operation::Insert) => events.extend(one_each(Action::ProjectCreated)),
        (Relation::Project, Operation::Update) => events.extend(one_each(Action::ProjectUpdated)),
        (Relation::Project, Operation::Delete) => events.extend(one_each(Action::ProjectDeleted)),
        (Relation::Task, Operation::Insert) => events.merge(change, event(Action::TasksCreated, objects)),
        (Relation::Task, Operation::Delete) => events.merge(change, event(Action::TasksDeleted, objects)),
        // Label Studio has no action for it: see `watched`.
        (Relation::Task, Operation::Update) | (Relation::Migration | Relation::Watched(_), _) => {}
        (Relation::Annotation, Operation::Insert) if change.bulk => {
            events.merge_within(event(Action::AnnotationsCreated, objects));
        }
        (Relation::Annotation, Operation::Insert) => events.extend(one_each(Action::AnnotationCreated)),
        (Relation::Annotation, Operation::Update) => events.extend(one_each(Action::AnnotationUpdated)),
        (Relation::Annotation, Operation::Delete) => {
            events.merge_within(event(Action::AnnotationsDeleted, objects));
        }
        (Relation::LabelLink, Operation::Insert) => {
            events.merge_within(event(Action::LabelLinkCreated, objects));
        }
        (Relation::LabelLink, Operation::Update) => events.extend(one_each(Action::LabelLinkUpdated)),
        (Relation::LabelLink, Operation::Delete) => events.extend(one_each(Action::LabelLinkDeleted)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Scope;
    use crate::pipeline::gather::tests::change;
    use proptest::prelude::*;

    use Action::*;
    use Operation::{Delete, Insert, Update};
    use Relation::{Annotation, LabelLink, Project, Task};

    const PAUSE: Duration = Duration::from_millis(50);

    type Step<'a> = (Relation, Operation, &'a [i64]);

    /// A unit from transactions, each a list of statements.
    fn unit(transactions: &[&[Step<'_>]]) -> Unit {
        let mut seq = 0;
        let mut transaction = |(index, steps): (usize, &&[Step<'_>])| {
            let change = |(relation, operation, ids): &Step<'_>| {
                seq += 1;
                change(seq, index as u64, 7, *relation, *operation, ids)
            };
            Transaction { changes: steps.iter().map(change).collect() }
        };
        Unit {
            transactions: transactions.iter().enumerate().map(&mut transaction).collect(),
            single_action: false,
            end: End::Closed,
        }
    }

    fn summary(events: &[Event]) -> Vec<(Action, Vec<i64>)> {
        events.iter().map(|event| (event.action, event.objects.clone())).collect()
    }

    fn planned(transactions: &[&[Step<'_>]]) -> Vec<(Action, Vec<i64>)> {
        summary(&plan(&unit(transactions), 5000, PAUSE))
    }

    // In these tests annotation N belongs to task N + 1000.

    #[test]
    fn an_import_in_several_statements_and_transactions_is_one_event() {
        let events = planned(&[&[(Task, Insert, &[1, 2]), (Task, Insert, &[3])], &[(Task, Insert, &[4])]]);
        assert_eq!(events, [(TasksCreated, vec![1, 2, 3, 4])]);
    }

    /// How many events two imports are, the second `pause` milliseconds after the first.
    fn two_imports(pause: i64, first: &[i64], by_label_studio: bool, single_action: bool) -> usize {
        let import = |seq, transaction, ids: &[i64]| Transaction {
            changes: vec![Change { by_label_studio, ..change(seq, transaction, 7, Task, Insert, ids) }],
        };
        let transactions = vec![import(1, 1, first), import(1 + pause, 2, &[1000])];
        plan(&Unit { transactions, single_action, end: End::Closed }, 5000, PAUSE).len()
    }

    #[test]
    fn imports_on_a_connection_that_lives_on_are_several_events() {
        assert_eq!(two_imports(1, &[1, 2], true, false), 2);
        // Some other client's are taken together if they follow at once.
        assert_eq!(two_imports(49, &[1, 2], false, false), 1);
        assert_eq!(two_imports(50, &[1, 2], false, false), 2);
    }

    #[test]
    fn what_is_known_to_be_a_single_action_is_one_event() {
        assert_eq!(two_imports(9000, &[1, 2], true, true), 1);
        // Portions of a large import.
        assert_eq!(two_imports(9000, &(0..100).collect::<Vec<_>>(), true, false), 1);
    }

    #[test]
    fn on_a_connection_that_lives_on_a_later_deletion_does_not_hide_an_earlier_one() {
        let actions = |by_label_studio, single_action| {
            let delete = |seq, relation, id| Transaction {
                changes: vec![Change {
                    by_label_studio,
                    ..change(seq, seq.unsigned_abs(), 7, relation, Delete, &[id])
                }],
            };
            let transactions = vec![delete(1, Annotation, 1), delete(2, Task, 1001)];
            let events = plan(&Unit { transactions, single_action, end: End::Closed }, 5000, PAUSE);
            events.iter().map(|event| event.action).collect::<Vec<_>>()
        };
        assert_eq!(actions(true, false), [AnnotationsDeleted, TasksDeleted]);
        assert_eq!(actions(true, true), [TasksDeleted]);
        assert_eq!(actions(false, false), [TasksDeleted]);
    }

    #[test]
    fn an_event_is_cut_at_the_batch_size() {
        let events = summary(&plan(&unit(&[&[(Task, Insert, &[1, 2, 3, 4, 5])]]), 2, PAUSE));
        assert_eq!(events, [(TasksCreated, vec![1, 2]), (TasksCreated, vec![3, 4]), (TasksCreated, vec![5])]);
    }

    #[test]
    fn annotations_that_come_with_their_tasks_are_part_of_the_import() {
        let events = planned(&[&[(Task, Insert, &[1001, 1002]), (Annotation, Insert, &[1])]]);
        assert_eq!(events, [(TasksCreated, vec![1001, 1002])]);
    }

    #[test]
    fn an_annotation_of_a_task_made_earlier_is_announced() {
        let events = planned(&[&[(Task, Insert, &[1001])], &[(Annotation, Insert, &[1])]]);
        assert_eq!(events, [(TasksCreated, vec![1001]), (AnnotationCreated, vec![1])]);
    }

    #[test]
    fn deleting_tasks_is_announced_without_their_annotations() {
        let cascade = planned(&[&[(Annotation, Delete, &[1, 2]), (Task, Delete, &[1001, 1002])]]);
        assert_eq!(cascade, [(TasksDeleted, vec![1001, 1002])]);
        // The data manager takes the tasks out of their project first and deletes in chunks.
        let chunks =
            planned(&[&[(Task, Delete, &[1001, 1002])], &[(Annotation, Delete, &[1])], &[(Annotation, Delete, &[2])]]);
        assert_eq!(chunks, [(TasksDeleted, vec![1001, 1002])]);
    }

    #[test]
    fn deleting_a_project_is_announced_alone_with_its_organization() {
        let mut unit = unit(&[&[
            (Annotation, Delete, &[1]),
            (Task, Delete, &[1001]),
            (LabelLink, Delete, &[1]),
            (Project, Delete, &[1]),
        ]]);
        unit.transactions[0].changes[3].parents = vec![Some(42)];
        let events = plan(&unit, 5000, PAUSE);
        assert_eq!(summary(&events), [(ProjectDeleted, vec![1])]);
        assert_eq!(events[0].organization, Some(42));
    }

    #[test]
    fn only_the_net_effect_of_a_transaction_counts() {
        assert_eq!(planned(&[&[(Task, Insert, &[1, 2]), (Task, Delete, &[1])]]), [(TasksCreated, vec![2])]);
        assert_eq!(
            planned(&[&[(Annotation, Insert, &[1]), (Annotation, Update, &[1])]]),
            [(AnnotationCreated, vec![1])]
        );
        assert_eq!(
            planned(&[&[(Annotation, Update, &[1]), (Annotation, Update, &[1])]]),
            [(AnnotationUpdated, vec![1])]
        );
        assert_eq!(
            planned(&[&[(Annotation, Update, &[1]), (Annotation, Delete, &[1])]]),
            [(AnnotationsDeleted, vec![1])]
        );
        assert_eq!(planned(&[&[(Project, Insert, &[1]), (Task, Insert, &[1]), (Project, Delete, &[1])]]), []);
    }

    #[test]
    fn what_later_transactions_do_is_announced_too() {
        let events =
            planned(&[&[(Annotation, Insert, &[1])], &[(Annotation, Update, &[1])], &[(Annotation, Update, &[1])]]);
        assert_eq!(events, [(AnnotationCreated, vec![1]), (AnnotationUpdated, vec![1]), (AnnotationUpdated, vec![1])]);
    }

    #[test]
    fn a_reimport_deletes_and_then_creates() {
        let events = planned(&[&[(Task, Delete, &[1, 2]), (Task, Insert, &[3])]]);
        assert_eq!(events, [(TasksDeleted, vec![1, 2]), (TasksCreated, vec![3])]);
    }

    #[test]
    fn a_task_that_moves_leaves_one_project_and_enters_the_other() {
        let mut unit = unit(&[&[(Task, Delete, &[1]), (Task, Insert, &[1])]]);
        unit.transactions[0].changes[1].project = Some(2);
        let events = plan(&unit, 5000, PAUSE);
        assert_eq!(summary(&events), [(TasksDeleted, vec![1]), (TasksCreated, vec![1])]);
        assert_eq!([events[0].scope, events[1].scope], [1, 2].map(Scope::Project));
    }

    #[test]
    fn a_task_that_leaves_and_comes_back_in_one_transaction_is_nothing() {
        let moves = |steps: &[Step<'_>]| {
            let mut unit = unit(&[steps]);
            unit.transactions[0].changes.iter_mut().for_each(|change| change.moved = true);
            summary(&plan(&unit, 5000, PAUSE))
        };
        assert_eq!(moves(&[(Task, Delete, &[1]), (Task, Insert, &[1])]), []);
        assert_eq!(
            moves(&[(Task, Delete, &[1]), (Task, Insert, &[1]), (Task, Delete, &[1])]),
            [(TasksDeleted, vec![1])]
        );
        assert_eq!(moves(&[(Task, Insert, &[1]), (Task, Delete, &[1])]), []);
        assert_eq!(
            moves(&[(Task, Insert, &[1]), (Task, Delete, &[1]), (Task, Insert, &[1])]),
            [(TasksCreated, vec![1])]
        );
    }

    #[test]
    fn a_migration_is_no_action_and_what_follows_it_is_one() {
        let migrated = (Relation::Migration, Insert, &[] as &[i64]);
        let transactions: [&[Step<'_>]; 4] = [
            &[(Project, Update, &[1]), (Annotation, Update, &[1]), migrated],
            &[(Task, Delete, &[1])],
            &[migrated],
            &[(Project, Update, &[1])],
        ];
        let mut unit = unit(&transactions);
        unit.transactions[3].changes[0].columns = vec!["title".to_owned()];
        assert_eq!(summary(&plan(&unit, 5000, PAUSE)), [(ProjectUpdated, vec![1])]);
    }

    #[test]
    fn annotations_of_tasks_that_went_before_are_no_event() {
        let mut unit = unit(&[&[(Annotation, Delete, &[1, 2])]]);
        unit.transactions[0].changes[0].departed = vec![1001];
        assert_eq!(summary(&plan(&unit, 5000, PAUSE)), [(AnnotationsDeleted, vec![2])]);
    }

    #[test]
    fn annotations_made_in_bulk_are_one_event_even_a_single_one() {
        let mut unit = unit(&[&[(Annotation, Insert, &[1, 2]), (Annotation, Insert, &[3])]]);
        unit.transactions[0].changes.iter_mut().for_each(|change| change.bulk = true);
        assert_eq!(summary(&plan(&unit, 5000, PAUSE)), [(AnnotationsCreated, vec![1, 2, 3])]);
    }

    #[test]
    fn annotations_deleted_by_two_requests_are_two_events() {
        let events = planned(&[&[(Annotation, Delete, &[1, 2])], &[(Annotation, Delete, &[3])]]);
        assert_eq!(events, [(AnnotationsDeleted, vec![1, 2]), (AnnotationsDeleted, vec![3])]);
    }

    #[test]
    fn an_update_of_many_annotations_is_one_event_each() {
        assert_eq!(
            planned(&[&[(Annotation, Update, &[1, 2])]]),
            [(AnnotationUpdated, vec![1]), (AnnotationUpdated, vec![2])]
        );
    }

    #[test]
    fn label_links_come_together_and_change_and_go_one_by_one() {
        let events =
            planned(&[&[(LabelLink, Insert, &[1, 2])], &[(LabelLink, Update, &[1])], &[(LabelLink, Delete, &[1, 2])]]);
        assert_eq!(
            events,
            [
                (LabelLinkCreated, vec![1, 2]),
                (LabelLinkUpdated, vec![1]),
                (LabelLinkDeleted, vec![1]),
                (LabelLinkDeleted, vec![2])
            ]
        );
    }

    #[test]
    fn what_label_studio_does_to_a_project_in_passing_is_no_event() {
        let with_columns = |steps: &[Step<'_>], columns: &[&str]| {
            let mut unit = unit(&[steps]);
            for change in &mut unit.transactions[0].changes {
                if change.relation == Project {
                    change.columns = columns.iter().map(|column| (*column).to_owned()).collect();
                }
            }
            summary(&plan(&unit, 5000, PAUSE))
        };
        let save: &[Step<'_>] = &[(Project, Update, &[1])];
        assert_eq!(with_columns(save, &["title", "search_vector"]), [(ProjectUpdated, vec![1])]);
        assert_eq!(with_columns(save, &["updated_at"]), [(ProjectUpdated, vec![1])]);
        assert_eq!(with_columns(save, &["updated_at", "model_version"]), [(ProjectUpdated, vec![1])]);
        assert_eq!(with_columns(save, &["model_version"]), []);
        assert_eq!(with_columns(save, &["parsed_label_config"]), []);
        assert_eq!(with_columns(save, &["label_config_hash"]), [(ProjectUpdated, vec![1])], "by SQL");
        let mut own = unit(&[save]);
        own.transactions[0].changes[0].by_label_studio = true;
        own.transactions[0].changes[0].columns = vec!["label_config_hash".to_owned()];
        assert_eq!(summary(&plan(&own, 5000, PAUSE)), [], "by Label Studio, as a migration does");
        let import: &[Step<'_>] = &[(Task, Insert, &[1]), (Project, Update, &[1])];
        assert_eq!(with_columns(import, &["updated_at", "model_version"]), [(TasksCreated, vec![1])]);
        assert_eq!(
            with_columns(import, &["updated_at", "title"]),
            [(TasksCreated, vec![1]), (ProjectUpdated, vec![1])]
        );
    }

    proptest! {
        #[test]
        fn every_event_is_about_objects_that_changed_so_and_none_too_large(
            script in prop::collection::vec((0..4usize, 0..3usize, prop::collection::btree_set(1..6i64, 1..4), 0..3u64), 0..30),
            batch_size in 1..5usize,
        ) {
            let mut transactions: Vec<Vec<(Relation, Operation, Vec<i64>)>> = vec![vec![]; 3];
            for (relation, operation, ids, transaction) in script {
                let step = ([Project, Task, Annotation, LabelLink][relation], [Insert, Update, Delete][operation], ids.into_iter().collect());
                transactions[transaction as usize].push(step);
            }
            let steps: Vec<Vec<Step<'_>>> =
                transactions.iter().map(|steps| steps.iter().map(|(r, o, ids)| (*r, *o, ids.as_slice())).collect()).collect();
            let slices: Vec<&[Step<'_>]> = steps.iter().map(Vec::as_slice).collect();
            let events = plan(&unit(&slices), batch_size, PAUSE);
            for event in &events {
                prop_assert!((1..=batch_size).contains(&event.objects.len()));
                let (relation, operation) = match event.action {
                    ProjectCreated => (Project, Insert),
                    ProjectUpdated => (Project, Update),
                    ProjectDeleted => (Project, Delete),
                    TasksCreated => (Task, Insert),
                    TasksDeleted => (Task, Delete),
                    AnnotationCreated | AnnotationsCreated => (Annotation, Insert),
                    AnnotationUpdated => (Annotation, Update),
                    AnnotationsDeleted => (Annotation, Delete),
                    LabelLinkCreated => (LabelLink, Insert),
                    LabelLinkUpdated => (LabelLink, Update),
                    LabelLinkDeleted => (LabelLink, Delete),
                    action => panic!("nobody watched for {action}"),
                };
                for id in &event.objects {
                    prop_assert!(transactions.iter().flatten().any(|(r, o, ids)| *r == relation && *o == operation && ids.contains(id)));
                }
            }
            // Roots are never silent: every task deletion that lasts is announced, unless its project went too.
            let deletes_project = transactions.iter().flatten().any(|(r, o, _)| *r == Project && *o == Delete);
            let inserted = |id: &i64| transactions.iter().flatten().any(|(r, o, ids)| *r == Task && *o == Insert && ids.contains(id));
            if !deletes_project {
                for (relation, operation, ids) in transactions.iter().flatten() {
                    for id in ids.iter().filter(|id| *relation == Task && *operation == Delete && !inserted(id)) {
                        prop_assert!(events.iter().any(|event| event.action == TasksDeleted && event.objects.contains(id)));
                    }
                }
            }
        }
    }
}
