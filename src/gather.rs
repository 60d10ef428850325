//! Gathering: changes → units of work.
//!
//! One action of Label Studio is often many transactions on one connection, so the changes of
//! a backend are kept together until it is [ready]. A unit is what one backend did, transaction
//! by transaction.
//!
//! Promises that of two changes to one object the earlier is always in an earlier unit, or
//! earlier in the same one. Where gathering would break that, it is the gathering that yields.
//!
//! Pure but for [`activity`], which asks PostgreSQL what the backends are doing.

mod activity;
mod ready;

use std::collections::{HashMap, HashSet};

use crate::change::{Backend, Change, Operation, Relation};
use crate::settings::GatherLimits;
use activity::Writer;
pub use activity::{Activity, activity};
pub use ready::backends as ready;

/// What belongs together: one or more transactions of one backend, in commit order.
#[derive(Debug, Clone, PartialEq)]
pub struct Unit {
    /// Never empty.
    pub transactions: Vec<Transaction>,
    /// Whether it is known to be a single action: the whole life of a connection, or the
    /// synchronization of a storage. A connection that lives on may be shared by many.
    pub single_action: bool,
}

/// The changes of one transaction, in the order of its statements.
#[derive(Debug, Clone, PartialEq)]
pub struct Transaction {
    /// Never empty.
    pub changes: Vec<Change>,
}

/// Sorts waiting changes into the units that are `ready`, in the order in which they must be
/// planned. Changes that are in none of them wait for the next look; so do those of a backend
/// that was not looked at, for it made its first change after the look.
pub fn gather(pending: Vec<Change>, activity: &Activity, ready: &HashSet<Backend>, limits: &GatherLimits) -> Vec<Unit> {
    let single_action = |backend| activity.writers.get(&backend).is_some_and(Writer::does_one_thing);
    let mut open = OpenUnits::default();
    let mut units = Vec::new();
    for transaction in transactions(pending) {
        units.extend(open.close_before(&transaction));
        if limits.settle.is_zero() || transaction.changes.iter().all(Change::is_urgent) {
            units.push(Unit { transactions: vec![transaction], single_action: false });
        } else {
            let single_action = single_action(transaction.backend());
            open.add(transaction, single_action);
        }
    }
    units.extend(open.close_backends(ready));
    units
}

/// Changes by transaction, in an order in which every transaction comes after those whose
/// objects it changed again. The locks on the rows make the later one's last change the later.
fn transactions(pending: Vec<Change>) -> Vec<Transaction> {
    let mut by_id: HashMap<(u64, Backend), Vec<Change>> = HashMap::new();
    for change in pending {
        by_id.entry((change.transaction, change.backend)).or_default().push(change);
    }
    let mut all: Vec<Transaction> = by_id.into_values().map(|changes| Transaction { changes }).collect();
    all.sort_by_key(|transaction| transaction.changes.last().map(|change| change.seq));
    all
}

/// What two units must not both have touched while both are open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Object {
    Row(Relation, i64),
    /// Anything in a project; its creation and deletion concern all of it.
    AnythingIn(i64),
    WholeProject(i64),
}

/// The units that still grow, one per backend.
#[derive(Default)]
struct OpenUnits {
    units: Vec<(Backend, Unit)>,
    touched_by: HashMap<Object, HashSet<Backend>>,
}

impl OpenUnits {
    fn add(&mut self, transaction: Transaction, single_action: bool) {
        let backend = transaction.backend();
        transaction.touched(|object| {
            self.touched_by.entry(object).or_default().insert(backend);
        });
        match self.units.iter_mut().find(|(of, _)| *of == backend) {
            Some((_, unit)) => unit.transactions.push(transaction),
            None => self.units.push((backend, Unit { transactions: vec![transaction], single_action })),
        }
    }

    /// Closes the units of other backends whose objects the transaction changed again.
    fn close_before(&mut self, transaction: &Transaction) -> Vec<Unit> {
        let own = transaction.backend();
        let mut others = HashSet::new();
        transaction.conflicting(|object| {
            others.extend(self.touched_by.get(&object).into_iter().flatten().filter(|backend| **backend != own));
        });
        self.close_backends(&others)
    }

    fn close_backends(&mut self, backends: &HashSet<Backend>) -> Vec<Unit> {
        let (closed, open) = self.units.drain(..).partition(|(backend, _)| backends.contains(backend));
        self.units = open;
        let closed: Vec<(Backend, Unit)> = closed;
        for (backend, unit) in &closed {
            for transaction in &unit.transactions {
                transaction.touched(|object| {
                    if let Some(by) = self.touched_by.get_mut(&object) {
                        by.remove(backend);
                    }
                });
            }
        }
        closed.into_iter().map(|(_, unit)| unit).collect()
    }
}

impl Transaction {
    fn backend(&self) -> Backend {
        self.changes.first().map_or(0, |change| change.backend)
    }

    /// Calls `each` with every object that the transaction touched.
    fn touched(&self, mut each: impl FnMut(Object)) {
        for change in &self.changes {
            change.ids.iter().for_each(|id| each(Object::Row(change.relation, *id)));
            if change.relation == Relation::Annotation {
                change.parents.iter().flatten().for_each(|task| each(Object::Row(Relation::Task, *task)));
            }
            if let Some(project) = change.project {
                each(Object::AnythingIn(project));
                if change.concerns_whole_project() {
                    each(Object::WholeProject(project));
                }
            }
        }
    }

    /// Calls `each` with every object that another unit must not have open before this.
    fn conflicting(&self, mut each: impl FnMut(Object)) {
        self.touched(|object| {
            each(match object {
                Object::Row(..) => object,
                Object::AnythingIn(project) => Object::WholeProject(project),
                Object::WholeProject(project) => Object::AnythingIn(project),
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
pub mod tests {
    use std::time::{Duration, SystemTime};

    use super::*;
    use activity::{State, Waiting};
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
        backend: Backend,
        relation: Relation,
        operation: Operation,
        ids: &[i64],
    ) -> Change {
        Change {
            seq,
            transaction,
            backend,
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
            bulk: false,
            by_label_studio: false,
            changed_columns: vec![],
        }
    }

    /// What is known of these changes; there must be some.
    pub fn waiting(changes: &[Change]) -> Waiting {
        let moments = || changes.iter().map(|change| change.captured_at);
        let moves_tasks = |change: &Change| match change.relation {
            Task => true,
            Annotation => change.operation != Update,
            Project | Relation::LabelLink => false,
            Relation::Watched(_) => true,
        };
        Waiting {
            oldest: moments().min().unwrap(),
            newest: moments().max().unwrap(),
            changes: changes.len(),
            objects: changes.iter().map(|change| change.ids.len()).sum(),
            moves_tasks: changes.iter().all(moves_tasks),
        }
    }

    /// What the backends do at `now` milliseconds after the epoch, none of them in a request.
    pub fn look(now: u64, pending: &[Change], states: &[(Backend, State)]) -> Activity {
        let writer = |backend, state| {
            let own: Vec<Change> = pending.iter().filter(|change| change.backend == backend).cloned().collect();
            let waiting = (!own.is_empty()).then(|| waiting(&own))?;
            Some((backend, Writer { state, request: false, storage: None, waiting }))
        };
        Activity {
            now: at(now),
            writers: states.iter().filter_map(|(backend, state)| writer(*backend, *state)).collect(),
            urgent: false,
        }
    }

    /// The units of these changes, as the backends are at `now`.
    fn gathered(
        pending: &[Change],
        now: u64,
        states: &[(Backend, State)],
        limits: &GatherLimits,
        crowded: bool,
    ) -> Vec<Unit> {
        let activity = look(now, pending, states);
        gather(pending.to_vec(), &activity, &ready(&activity, limits, crowded), limits)
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
    fn nothing_waits_where_more_changes_wait_than_were_read() {
        assert_eq!(gathered(&[change(1, 1, 7, Task, Insert, &[1])], 2, &[(7, BUSY)], &LIMITS, true).len(), 1);
    }

    #[test]
    fn an_earlier_change_of_a_busy_connection_goes_first_if_it_concerns_the_same_task() {
        let pending = vec![
            change(1, 1, 7, Task, Insert, &[1001, 1002]),
            change(2, 2, 7, Task, Insert, &[1003]),
            change(3, 3, 8, Annotation, Insert, &[1]), // of task 1001
        ];
        let units = gathered(&pending, 4, &[(7, BUSY), (8, Gone)], &LIMITS, false);
        assert_eq!(seqs(&units), [vec![1, 2], vec![3]]);
    }

    #[test]
    fn deleting_a_project_waits_for_everything_in_it() {
        let pending = vec![change(1, 1, 7, Annotation, Update, &[1]), change(2, 2, 8, Project, Delete, &[1])];
        assert_eq!(seqs(&gathered(&pending, 4, &[(7, BUSY), (8, Gone)], &LIMITS, false)), [[1], [2]]);
    }

    #[test]
    fn a_backend_that_was_not_looked_at_waits() {
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
            for (index, (backend, transaction, id, operation)) in script.into_iter().enumerate() {
                let operation = [Insert, Update, Delete][operation as usize];
                let seq = index as i64 + 1;
                let transaction = u64::from(backend.unsigned_abs()) * 1000 + transaction * 10 + index as u64 * 10_000;
                pending.push(change(seq, transaction, backend, Annotation, operation, &[id]));
            }
            let states: Vec<_> = gone.iter().enumerate().map(|(backend, gone)| (backend as i32, if *gone { Gone } else { BUSY })).collect();
            let units = gathered(&pending, 100, &states, &LIMITS, crowded);
            let planned: Vec<i64> = seqs(&units).concat();
            let distinct: HashSet<i64> = planned.iter().copied().collect();
            prop_assert_eq!(distinct.len(), planned.len());
            for backend in 0..3 {
                if crowded || gone[backend as usize] {
                    prop_assert!(pending.iter().filter(|c| c.backend == backend).all(|c| distinct.contains(&c.seq)));
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
