//! Gathering: changes → units of work.
//!
//! One action of Label Studio is often many transactions on one connection, so the changes of
//! a backend are kept together until it is done: gone, or idle for a while, or its changes too
//! old to wait. A unit is what one backend did, transaction by transaction.
//!
//! Promises that of two changes to one object the earlier is always in an earlier unit, or
//! earlier in the same one. Where gathering would break that, it is the gathering that yields.
//!
//! Pure but for [`activity`], which asks PostgreSQL what the backends are doing.

use std::collections::{HashMap, HashSet};
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result};
use tokio_postgres::Client;

use crate::change::{Backend, Change, Operation, Relation};
use crate::settings::GatherLimits;

/// What belongs together: one or more transactions of one backend, in commit order.
#[derive(Debug, Clone, PartialEq)]
pub struct Unit {
    /// Never empty.
    pub transactions: Vec<Transaction>,
}

/// The changes of one transaction, in the order of its statements.
#[derive(Debug, Clone, PartialEq)]
pub struct Transaction {
    /// Never empty.
    pub changes: Vec<Change>,
}

/// What a backend is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BackendState {
    /// Its connection is closed.
    Gone,
    /// It runs a statement or has a transaction open.
    Busy,
    /// It has been waiting for its client for this long.
    Idle(Duration),
    /// This role may not see it.
    Hidden,
}

/// The backends' states at one moment.
#[derive(Debug, Clone)]
pub struct Activity {
    /// The server's clock.
    pub now: SystemTime,
    /// By backend; one that is missing is gone.
    pub states: HashMap<Backend, BackendState>,
}

/// Asks PostgreSQL about the backends that have changes waiting.
///
/// Must be asked before the changes are read: then all that a backend did before it was seen
/// idle or gone is among them.
///
/// # Errors
/// When the database cannot be asked.
pub async fn activity(client: &Client) -> Result<Activity> {
    let rows =
        client.query(include_str!("../sql/backend_activity.sql"), &[]).await.context("reading pg_stat_get_activity")?;
    let states = rows
        .iter()
        .map(|row| {
            let idle_for = Duration::try_from_secs_f64(row.get("idle_seconds")).unwrap_or_default();
            let state = match row.get("state") {
                "gone" => BackendState::Gone,
                "hidden" => BackendState::Hidden,
                "idle" => BackendState::Idle(idle_for),
                _ => BackendState::Busy,
            };
            (row.get("backend"), state)
        })
        .collect();
    let now = rows.first().map_or_else(SystemTime::now, |row| row.get("now"));
    Ok(Activity { now, states })
}

/// Sorts waiting changes into the units that are ready, in the order in which they must be
/// planned. Changes that are in none of them wait for the next look.
///
/// `crowded` says that more changes wait than were read: then nothing waits for a busy backend.
pub fn gather(pending: Vec<Change>, activity: &Activity, limits: &GatherLimits, crowded: bool) -> Vec<Unit> {
    let ready = ready_backends(&pending, activity, limits, crowded);
    let mut open = OpenUnits::default();
    let mut units = Vec::new();
    for transaction in transactions(pending) {
        units.extend(open.close_before(&transaction));
        if limits.settle.is_zero() {
            units.push(Unit { transactions: vec![transaction] });
        } else {
            open.add(transaction);
        }
    }
    units.extend(open.close_backends(&ready));
    units
}

/// The backends that are done, or whose changes cannot wait.
fn ready_backends(pending: &[Change], activity: &Activity, limits: &GatherLimits, crowded: bool) -> HashSet<Backend> {
    struct Waiting {
        oldest: SystemTime,
        newest: SystemTime,
        only_adds_tasks: bool,
    }
    let mut backends: HashMap<Backend, Waiting> = HashMap::new();
    for change in pending {
        // An import may bring annotations along; they come with its tasks.
        let adds =
            change.operation == Operation::Insert && matches!(change.relation, Relation::Task | Relation::Annotation);
        backends
            .entry(change.backend)
            .and_modify(|waiting| {
                waiting.oldest = waiting.oldest.min(change.captured_at);
                waiting.newest = waiting.newest.max(change.captured_at);
                waiting.only_adds_tasks &= adds;
            })
            .or_insert(Waiting {
                oldest: change.captured_at,
                newest: change.captured_at,
                // Annotations alone are no import.
                only_adds_tasks: adds && change.relation == Relation::Task,
            });
    }
    let since = |moment| activity.now.duration_since(moment).unwrap_or_default();
    let is_ready = |backend: &Backend, waiting: &Waiting| {
        let limit = if waiting.only_adds_tasks { limits.import_limit } else { limits.limit };
        let settled = match activity.states.get(backend) {
            None => false, // Its first change came after the look.
            Some(BackendState::Gone) => true,
            Some(BackendState::Busy) => false,
            Some(BackendState::Idle(idle)) => *idle >= limits.settle,
            Some(BackendState::Hidden) => since(waiting.newest) >= limits.settle,
        };
        crowded || settled || since(waiting.oldest) >= limit
    };
    backends.iter().filter(|(backend, waiting)| is_ready(backend, waiting)).map(|(backend, _)| *backend).collect()
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
    fn add(&mut self, transaction: Transaction) {
        let backend = transaction.backend();
        transaction.touched(|object| {
            self.touched_by.entry(object).or_default().insert(backend);
        });
        match self.units.iter_mut().find(|(of, _)| *of == backend) {
            Some((_, unit)) => unit.transactions.push(transaction),
            None => self.units.push((backend, Unit { transactions: vec![transaction] })),
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
    use super::*;
    use proptest::prelude::*;

    const LIMITS: GatherLimits = GatherLimits {
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
            changed_columns: vec![],
        }
    }

    fn look(now: u64, states: &[(Backend, BackendState)]) -> Activity {
        Activity { now: at(now), states: states.iter().copied().collect() }
    }

    fn seqs(units: &[Unit]) -> Vec<Vec<i64>> {
        let of = |unit: &Unit| unit.transactions.iter().flat_map(|t| t.changes.iter().map(|c| c.seq)).collect();
        units.iter().map(of).collect()
    }

    use BackendState::{Busy, Gone, Hidden, Idle};
    use Operation::{Delete, Insert, Update};
    use Relation::{Annotation, Project, Task};

    #[test]
    fn the_transactions_of_one_connection_are_one_unit_once_it_is_gone() {
        let pending = vec![change(1, 1, 7, Task, Insert, &[1]), change(2, 2, 7, Task, Insert, &[2])];
        assert_eq!(seqs(&gather(pending.clone(), &look(3, &[(7, Busy)]), &LIMITS, false)), Vec::<Vec<i64>>::new());
        assert_eq!(seqs(&gather(pending, &look(3, &[(7, Gone)]), &LIMITS, false)), [[1, 2]]);
    }

    #[test]
    fn an_idle_connection_is_done_after_the_settle_time() {
        let ready = |state| {
            !gather(vec![change(1, 1, 7, Task, Insert, &[1])], &look(60, &[(7, state)]), &LIMITS, false).is_empty()
        };
        assert!(!ready(Idle(Duration::from_millis(49))));
        assert!(ready(Idle(Duration::from_millis(50))));
        assert!(ready(Hidden));
    }

    #[test]
    fn changes_of_a_backend_seen_only_after_the_look_wait() {
        assert!(gather(vec![change(1, 1, 7, Task, Insert, &[1])], &look(2, &[]), &LIMITS, false).is_empty());
    }

    #[test]
    fn a_busy_connection_is_planned_when_its_changes_are_old_an_import_later() {
        let updates = vec![change(1, 1, 7, Annotation, Update, &[1])];
        assert!(gather(updates.clone(), &look(5000, &[(7, Busy)]), &LIMITS, false).is_empty());
        assert_eq!(gather(updates, &look(5001, &[(7, Busy)]), &LIMITS, false).len(), 1);
        let import = vec![change(1, 1, 7, Task, Insert, &[1]), change(2, 1, 7, Annotation, Insert, &[1])];
        assert!(gather(import.clone(), &look(5001, &[(7, Busy)]), &LIMITS, false).is_empty());
        assert_eq!(gather(import, &look(300_001, &[(7, Busy)]), &LIMITS, false).len(), 1);
    }

    #[test]
    fn without_a_settle_time_every_transaction_stands_alone() {
        let pending = vec![change(1, 1, 7, Task, Insert, &[1]), change(2, 2, 7, Task, Insert, &[2])];
        let limits = GatherLimits { settle: Duration::ZERO, ..LIMITS };
        assert_eq!(seqs(&gather(pending, &look(3, &[(7, Busy)]), &limits, false)), [[1], [2]]);
    }

    #[test]
    fn nothing_waits_where_more_changes_wait_than_were_read() {
        assert_eq!(gather(vec![change(1, 1, 7, Task, Insert, &[1])], &look(2, &[(7, Busy)]), &LIMITS, true).len(), 1);
    }

    #[test]
    fn an_earlier_change_of_a_busy_connection_goes_first_if_it_concerns_the_same_task() {
        let pending = vec![
            change(1, 1, 7, Task, Insert, &[1001, 1002]),
            change(2, 2, 7, Task, Insert, &[1003]),
            change(3, 3, 8, Annotation, Insert, &[1]), // of task 1001
        ];
        let units = gather(pending, &look(4, &[(7, Busy), (8, Gone)]), &LIMITS, false);
        assert_eq!(seqs(&units), [vec![1, 2], vec![3]]);
    }

    #[test]
    fn deleting_a_project_waits_for_everything_in_it() {
        let pending = vec![change(1, 1, 7, Annotation, Update, &[1]), change(2, 2, 8, Project, Delete, &[1])];
        assert_eq!(seqs(&gather(pending, &look(4, &[(7, Busy), (8, Gone)]), &LIMITS, false)), [[1], [2]]);
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
            let states: Vec<_> = gone.iter().enumerate().map(|(backend, gone)| (backend as i32, if *gone { Gone } else { Busy })).collect();
            let units = gather(pending.clone(), &look(100, &states), &LIMITS, crowded);
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
