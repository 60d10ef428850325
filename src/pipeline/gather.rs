//! Gathering: changes → units of work.
//!
//! One action of Label Studio is often many transactions on one connection, so the changes of
//! a connection are kept together until it is ready. A unit is what one connection did, transaction
//! by transaction.
//!
//! Promises that of two changes to one object the earlier is always in an earlier unit, or
//! earlier in the same one. What is ready waits for what is not, where it changed the same objects later; only where
//! that takes too long, or two connections changed each other's objects in turn, is a unit cut short.
//!
//! Pure but for [`activity`] and [`Clients`], which ask PostgreSQL what the connections are doing.

mod activity;
mod client;
mod ready;

use std::collections::{BTreeSet, HashMap, HashSet};

use crate::config::GatherLimits;
use crate::model::End;
use crate::queue::change::{Change, Connection, Operation, Relation};
use activity::Writer;
pub use activity::{Activity, activity, others_work};
pub use client::Clients;
pub use ready::ready_connections;

/// What belongs together: one or more transactions of one connection, in commit order.
#[derive(Debug, Clone, PartialEq)]
pub struct Unit {
    /// Never empty.
    pub transactions: Vec<Transaction>,
    /// Whether it is known to be a single action: the whole life of a connection, or the
    /// synchronization of a storage. A connection that lives on may be shared by many.
    pub single_action: bool,
    /// How its end was known.
    pub end: End,
}

/// The changes of one transaction, in the order of its statements.
#[derive(Debug, Clone, PartialEq)]
pub struct Transaction {
    /// Never empty.
    pub changes: Vec<Change>,
}

/// Sorts waiting changes into the units that are `ready`, in the order in which they must be
/// planned. Changes that are in none of them wait for the next look; so do those of a connection
/// that was not looked at, for it made its first change after the look.
pub fn gather(
    pending: Vec<Change>,
    activity: &Activity,
    ready: &HashMap<Connection, End>,
    limits: &GatherLimits,
) -> Vec<Unit> {
    let single_action = |connection| activity.writers.get(&connection).is_some_and(Writer::does_one_thing);
    let transactions = transactions(pending);
    let ready = match limits.settle.is_zero() {
        true => HashMap::new(),
        false => hold_back(&transactions, activity, ready, limits),
    };
    let mut open = OpenUnits::default();
    let mut units = Vec::new();
    for transaction in transactions {
        let connection = transaction.connection();
        // That a synchronization began may overtake what its writer does next: it changes no object that another event
        // shows, and whoever wants to hear of it wants to while it runs.
        if limits.settle.is_zero() || transaction.changes.iter().all(Change::is_urgent) {
            units.extend(open.close_before(&transaction, &ready));
            units.push(Unit { transactions: vec![transaction], single_action: false, end: End::None });
        } else if ready.contains_key(&connection) {
            // Units are planned in the order in which they close: one that changed these objects before goes first.
            units.extend(open.close_before(&transaction, &ready));
            open.add(transaction, single_action(connection));
        }
    }
    let all: HashSet<Connection> = ready.keys().copied().collect();
    units.extend(open.close_connections(&all, &ready));
    units
}

/// Changes by transaction, in an order in which every transaction comes after those whose
/// objects it changed again. The locks on the rows make the later one's last change the later.
fn transactions(pending: Vec<Change>) -> Vec<Transaction> {
    // The connection is part of the key, for a dump that was restored brings the numbers of another cluster along.
    let mut by_id: HashMap<(u64, Connection), Vec<Change>> = HashMap::new();
    for change in pending {
        by_id.entry((change.transaction, change.connection)).or_default().push(change);
    }
    let mut all: Vec<Transaction> = by_id.into_values().map(|changes| Transaction { changes }).collect();
    all.sort_by_key(|transaction| transaction.changes.last().map(|change| change.seq));
    all
}

/// Of the connections that are ready those that need not wait for others, which changed the same objects before and
/// are not: their payloads would be read in the middle of an action. What has waited too long waits no longer, and
/// those others go first.
fn hold_back(
    transactions: &[Transaction],
    activity: &Activity,
    ready: &HashMap<Connection, End>,
    limits: &GatherLimits,
) -> HashMap<Connection, End> {
    let mut ready = ready.clone();
    // Nearly always: nobody is waited for, and the dependencies need not be known.
    if ready.len() == activity.writers.len() {
        return ready;
    }
    let waits_for = dependencies(transactions);
    let is_patient = |connection: &Connection| {
        let writer = activity.writers.get(connection);
        writer.is_none_or(|writer| activity.age(writer.waiting.newest) < ready::order_limit(limits))
    };
    // Again until nothing changes: who is held back holds back those that wait for it.
    loop {
        let held: Vec<Connection> = ready
            .keys()
            .copied()
            .filter(|connection| {
                let others = waits_for.get(connection).into_iter().flatten();
                is_patient(connection) && others.into_iter().any(|other| !ready.contains_key(other))
            })
            .collect();
        if held.is_empty() {
            break;
        }
        for connection in held {
            ready.remove(&connection);
        }
    }
    // What still waits for somebody here has waited to the limit. The others go along, and so do those that these wait for:
    // planned in the middle of their actions rather than after what came later.
    let mut impatient: Vec<Connection> = ready.keys().copied().collect();
    while let Some(connection) = impatient.pop() {
        for other in waits_for.get(&connection).into_iter().flatten() {
            if !ready.contains_key(other) {
                ready.insert(*other, End::Limit);
                impatient.push(*other);
            }
        }
    }
    ready
}

/// By connection the others that changed an object of its before it did.
fn dependencies(transactions: &[Transaction]) -> HashMap<Connection, BTreeSet<Connection>> {
    let mut touched_by: HashMap<Touched, BTreeSet<Connection>> = HashMap::new();
    let mut waits_for: HashMap<Connection, BTreeSet<Connection>> = HashMap::new();
    // In the order of their commits, so that each sees those alone that came before it.
    for transaction in transactions {
        let own = transaction.connection();
        transaction.conflicting(|object| {
            let others = touched_by.get(&object).into_iter().flatten().filter(|other| **other != own);
            waits_for.entry(own).or_default().extend(others);
        });
        transaction.touched(|object| {
            touched_by.entry(object).or_default().insert(own);
        });
    }
    waits_for
}

/// What two units must not both have touched while both are open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Touched {
    Row(Relation, i64),
    /// Anything in a project; its creation and deletion concern all of it.
    AnythingIn(i64),
    WholeProject(i64),
}

/// The units that still grow, one per connection.
#[derive(Default)]
struct OpenUnits {
    units: Vec<(Connection, Vec<Transaction>, bool)>,
    touched_by: HashMap<Touched, HashSet<Connection>>,
}

impl OpenUnits {
    fn add(&mut self, transaction: Transaction, single_action: bool) {
        let connection = transaction.connection();
        transaction.touched(|object| {
            self.touched_by.entry(object).or_default().insert(connection);
        });
        match self.units.iter_mut().find(|(of, ..)| *of == connection) {
            Some((_, transactions, _)) => transactions.push(transaction),
            None => self.units.push((connection, vec![transaction], single_action)),
        }
    }

    /// Closes the units of other connections whose objects the transaction changed again.
    fn close_before(&mut self, transaction: &Transaction, ready: &HashMap<Connection, End>) -> Vec<Unit> {
        let own = transaction.connection();
        let mut others = HashSet::new();
        transaction.conflicting(|object| {
            others.extend(self.touched_by.get(&object).into_iter().flatten().filter(|other| **other != own));
        });
        self.close_connections(&others, ready)
    }

    fn close_connections(&mut self, connections: &HashSet<Connection>, ready: &HashMap<Connection, End>) -> Vec<Unit> {
        let (closed, open): (Vec<_>, Vec<_>) =
            self.units.drain(..).partition(|(connection, ..)| connections.contains(connection));
        self.units = open;
        let mut units = Vec::new();
        for (connection, transactions, single_action) in closed {
            for transaction in &transactions {
                transaction.touched(|object| {
                    if let Some(by) = self.touched_by.get_mut(&object) {
                        by.remove(&connection);
                    }
                });
            }
            // It was not done: somebody who is needs its objects.
            let end = ready.get(&connection).copied().unwrap_or(End::Limit);
            units.push(Unit { transactions, single_action, end });
        }
        units
    }
}

impl Unit {
    /// Its changes, in order.
    pub fn changes(&self) -> impl Iterator<Item = &Change> {
        self.transactions.iter().flat_map(|transaction| &transaction.changes)
    }

    /// Whose it is.
    pub fn connection(&self) -> Connection {
        self.transactions.first().map_or(0, Transaction::connection)
    }
}

impl Transaction {
    fn connection(&self) -> Connection {
        self.changes.first().map_or(0, |change| change.connection)
    }

    /// Calls `each` with every object that the transaction touched.
    fn touched(&self, mut each: impl FnMut(Touched)) {
        for change in &self.changes {
            change.ids.iter().for_each(|id| each(Touched::Row(change.relation, *id)));
            // An annotation is shown with its task, whose counters every annotation of it changes.
            if change.relation == Relation::Annotation {
                change.parents.iter().flatten().for_each(|task| each(Touched::Row(Relation::Task, *task)));
            }
            if let Some(project) = change.project {
                each(Touched::AnythingIn(project));
                if change.concerns_whole_project() {
                    each(Touched::WholeProject(project));
                }
            }
        }
    }

    /// Calls `each` with every object that another unit must not have open before this.
    fn conflicting(&self, mut each: impl FnMut(Touched)) {
        self.touched(|object| {
            each(match object {
                // Two that work in one project are independent; one that creates or deletes it is of neither.
                Touched::Row(..) => object,
                Touched::AnythingIn(project) => Touched::WholeProject(project),
                Touched::WholeProject(project) => Touched::AnythingIn(project),
            });
        });
    }
}

impl Change {
    fn concerns_whole_project(&self) -> bool {
        self.relation == Relation::Project && self.operation != Operation::Update
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use std::time::{Duration, SystemTime};

    use super::*;
    use activity::{Storage, UnplannedChanges};
    use client::{Habit, State};
    use proptest::prelude::*;

    pub const LIMITS: GatherLimits = GatherLimits {
        settle: Duration::from_millis(50),
        limit: Duration::from_secs(5),
        import_limit: Duration::from_secs(300),
    };

    fn at(milliseconds: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_millis(milliseconds)
    }

    /// A change of project 1, captured `seq` milliseconds after the epoch.
    pub fn change(
        seq: i64,
        transaction: u64,
        connection: Connection,
        relation: Relation,
        operation: Operation,
        ids: &[i64],
    ) -> Change {
        Change {
            seq,
            transaction,
            connection,
            captured_at: at(seq.unsigned_abs()),
            relation,
            operation,
            project: Some(1),
            ids: ids.to_vec(),
            parents: if relation == Relation::Annotation {
                ids.iter().map(|id| Some(id + 1000)).collect()
            } else {
                vec![]
            },
            ..Change::default()
        }
    }

    /// What is known of these changes; there must be some.
    pub fn waiting(changes: &[Change]) -> UnplannedChanges {
        let moments = || changes.iter().map(|change| change.captured_at);
        let goes_with_tasks = |change: &Change| match change.relation {
            Task => true,
            Annotation => change.operation != Update,
            Project | Relation::LabelLink | Relation::Migration => false,
            Relation::Watched(_) => true,
        };
        UnplannedChanges {
            oldest: moments().min().unwrap(),
            newest: moments().max().unwrap(),
            changes: changes.len(),
            moves_tasks: changes.iter().all(goes_with_tasks) && changes.iter().any(|change| change.relation == Task),
        }
    }

    /// What the connections do at `now` milliseconds after the epoch; they live on.
    pub fn look(now: u64, pending: &[Change], states: &[(Connection, State)]) -> Activity {
        let writer = |connection, state| {
            let own: Vec<Change> = pending.iter().filter(|change| change.connection == connection).cloned().collect();
            let waiting = (!own.is_empty()).then(|| waiting(&own))?;
            Some((connection, Writer { state, habit: Habit::LivesOn, storage: Storage::None, waiting }))
        };
        Activity {
            now: at(now),
            writers: states.iter().filter_map(|(connection, state)| writer(*connection, *state)).collect(),
            urgent: false,
        }
    }

    /// The units of these changes, as the connections are at `now`.
    fn gathered(
        pending: &[Change],
        now: u64,
        states: &[(Connection, State)],
        limits: &GatherLimits,
        crowded: bool,
    ) -> Vec<Unit> {
        let activity = look(now, pending, states);
        gather(pending.to_vec(), &activity, &ready_connections(&activity, limits, crowded), limits)
    }

    fn seqs(units: &[Unit]) -> Vec<Vec<i64>> {
        let of = |unit: &Unit| unit.transactions.iter().flat_map(|t| t.changes.iter().map(|c| c.seq)).collect();
        units.iter().map(of).collect()
    }

    use State::Gone;
    const BUSY: State = State::Busy(Duration::ZERO);
    use Operation::{Delete, Insert, Update};
    use Relation::{Annotation, Project, Task};

    #[test]
    fn the_transactions_of_one_connection_are_one_unit_once_it_is_gone() {
        let pending = vec![change(1, 1, 7, Task, Insert, &[1]), change(2, 2, 7, Task, Insert, &[2])];
        assert_eq!(seqs(&gathered(&pending, 3, &[(7, BUSY)], &LIMITS, false)), Vec::<Vec<i64>>::new());
        assert_eq!(seqs(&gathered(&pending, 3, &[(7, Gone)], &LIMITS, false)), [[1, 2]]);
    }

    #[test]
    fn without_a_settle_time_every_transaction_stands_alone() {
        let pending = vec![change(1, 1, 7, Task, Insert, &[1]), change(2, 2, 7, Task, Insert, &[2])];
        let limits = GatherLimits { settle: Duration::ZERO, ..LIMITS };
        assert_eq!(seqs(&gathered(&pending, 3, &[(7, BUSY)], &limits, false)), [[1], [2]]);
    }

    #[test]
    fn a_connection_that_is_done_waits_for_one_that_is_not_and_changed_the_same_task_before() {
        let pending = vec![
            change(1, 1, 7, Task, Insert, &[1001, 1002]),
            change(2, 2, 7, Task, Insert, &[1003]),
            change(3, 3, 8, Annotation, Insert, &[1]), // of task 1001
            change(4, 4, 9, Annotation, Insert, &[4]),
        ];
        let states = |first| [(7, first), (8, Gone), (9, Gone)];
        assert_eq!(seqs(&gathered(&pending, 4, &states(BUSY), &LIMITS, false)), [[4]]);
        assert_eq!(seqs(&gathered(&pending, 4, &states(Gone), &LIMITS, false)), [vec![1, 2], vec![3], vec![4]]);
        // But not for ever.
        let units = gathered(&pending, 30_004, &states(State::Busy(Duration::from_secs(2))), &LIMITS, false);
        assert_eq!(seqs(&units), [vec![1, 2], vec![3], vec![4]]);
        assert_eq!(units.iter().map(|unit| unit.end).collect::<Vec<_>>(), [End::Limit, End::Closed, End::Closed]);
    }

    #[test]
    fn two_that_changed_each_others_objects_are_planned_when_both_are_done() {
        let pending = vec![
            change(1, 1, 7, Annotation, Update, &[1]),
            change(2, 2, 8, Annotation, Update, &[1]),
            change(3, 3, 7, Annotation, Update, &[1]),
        ];
        assert!(gathered(&pending, 4, &[(7, Gone), (8, BUSY)], &LIMITS, false).is_empty());
        assert_eq!(seqs(&gathered(&pending, 4, &[(7, Gone), (8, Gone)], &LIMITS, false)), [[1], [2], [3]]);
    }

    #[test]
    fn deleting_a_project_waits_for_everything_in_it() {
        let pending = vec![change(1, 1, 7, Annotation, Update, &[1]), change(2, 2, 8, Project, Delete, &[1])];
        assert!(gathered(&pending, 4, &[(7, BUSY), (8, Gone)], &LIMITS, false).is_empty());
        assert_eq!(seqs(&gathered(&pending, 4, &[(7, Gone), (8, Gone)], &LIMITS, false)), [[1], [2]]);
    }

    #[test]
    fn a_connection_that_was_not_looked_at_waits() {
        assert!(gathered(&[change(1, 1, 7, Task, Insert, &[1])], 2, &[], &LIMITS, false).is_empty());
    }

    proptest! {
        #[test]
        fn no_change_is_lost_doubled_or_moved_before_an_earlier_one_of_its_object(
            script in prop::collection::vec((0..3i32, 0..4u64, 0..4i64, 0..3u8), 0..40),
            gone in prop::collection::vec(any::<bool>(), 3),
            crowded: bool,
        ) {
            // Row locks: a transaction that touches an object comes wholly after those that did.
            let mut pending = Vec::new();
            for (index, (connection, transaction, id, operation)) in script.into_iter().enumerate() {
                let operation = [Insert, Update, Delete][operation as usize];
                let seq = index as i64 + 1;
                let transaction = u64::from(connection.unsigned_abs()) * 1000 + transaction * 10 + index as u64 * 10_000;
                pending.push(change(seq, transaction, i64::from(connection), Annotation, operation, &[id]));
            }
            let states: Vec<_> = gone.iter().enumerate().map(|(connection, gone)| (connection as i64, if *gone { Gone } else { BUSY })).collect();
            let units = gathered(&pending, 100, &states, &LIMITS, crowded);
            let planned: Vec<i64> = seqs(&units).concat();
            let distinct: HashSet<i64> = planned.iter().copied().collect();
            prop_assert_eq!(distinct.len(), planned.len());
            if gone.iter().all(|gone| *gone) {
                prop_assert_eq!(distinct.len(), pending.len());
            }
            // What is not done is never planned where it need not be.
            for connection in 0..3 {
                if !gone[connection as usize] && !crowded {
                    prop_assert!(pending.iter().filter(|c| c.connection == connection).all(|c| !distinct.contains(&c.seq)));
                }
            }
            for (place, seq) in planned.iter().enumerate() {
                let later = &pending[*seq as usize - 1];
                for earlier in pending.iter().filter(|c| c.seq < *seq && c.ids == later.ids) {
                    prop_assert!(planned[..place].contains(&earlier.seq), "{} before {}", seq, earlier.seq);
                }
            }
        }
    }
}
