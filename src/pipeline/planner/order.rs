//! What goes first: what is small waits for nothing large that does not concern it.
//!
//! Promises that whatever a project hears of keeps its order: behind something large all waits that is about one of its
//! projects.

use std::collections::{HashSet, VecDeque};

use super::batch::{Planned, batches};
use crate::config::Settings;
use crate::pipeline::gather::Unit;

/// Projects of changes; `None` for what has none.
type Projects = HashSet<Option<i64>>;

/// What is large, and what waits behind it: planned, and stored batch by batch as time allows.
#[derive(Default)]
pub struct Large {
    batches: VecDeque<Vec<Planned>>,
    projects: Projects,
}

impl Large {
    /// These units.
    pub fn of(units: Vec<Unit>, settings: &Settings) -> Large {
        let projects = units.iter().flat_map(Unit::changes).map(|change| change.project).collect();
        Large { batches: batches(units, settings).into(), projects }
    }

    /// Whether there is nothing.
    pub fn is_empty(&self) -> bool {
        self.batches.is_empty()
    }

    /// Its changes, by `lshookd.change.seq`.
    pub fn seqs(&self) -> Vec<i64> {
        self.batches.iter().flatten().flat_map(|planned| &planned.seqs).copied().collect()
    }

    /// What is to be stored next.
    pub fn next(&mut self) -> Option<Vec<Planned>> {
        let batch = self.batches.pop_front();
        if self.batches.is_empty() {
            self.projects.clear();
        }
        batch
    }

    /// Of these units those of at most so many objects that nothing large before them concerns, and the others; both in
    /// their order.
    pub fn small_and_large(&self, units: Vec<Unit>, most: usize) -> (Vec<Unit>, Vec<Unit>) {
        let mut behind = self.projects.clone();
        units.into_iter().partition(|unit| {
            let is_small = objects(unit) <= most && unit.changes().all(|change| !behind.contains(&change.project));
            if !is_small {
                behind.extend(unit.changes().map(|change| change.project));
            }
            is_small
        })
    }
}

/// The first of them, as many as have no more objects together.
pub fn first(units: Vec<Unit>, most: usize) -> Vec<Unit> {
    let mut left = most;
    let fits = |unit: &Unit| {
        let rest = left.checked_sub(objects(unit))?;
        left = rest;
        Some(())
    };
    let quantity = units.iter().map_while(fits).count();
    units.into_iter().take(quantity).collect()
}

/// How many objects a unit names.
fn objects(unit: &Unit) -> usize {
    unit.changes().map(|change| change.ids.len()).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::End;
    use crate::pipeline::gather::Transaction;
    use crate::pipeline::gather::tests::change;
    use crate::queue::change::{Change, Operation, Relation};
    use proptest::prelude::*;

    /// A unit of so many tasks in a project.
    fn unit(seq: i64, project: i64, objects: usize) -> Unit {
        let ids: Vec<i64> = (0..objects as i64).collect();
        let change = change(seq, seq.unsigned_abs(), seq, Relation::Task, Operation::Insert, &ids);
        let changes = vec![Change { project: Some(project), ..change }];
        Unit { transactions: vec![Transaction { changes }], single_action: true, end: End::Closed }
    }

    fn seqs(units: &[Unit]) -> Vec<i64> {
        units.iter().map(|unit| unit.transactions[0].changes[0].seq).collect()
    }

    #[test]
    fn what_is_small_goes_before_what_is_large_in_other_projects() {
        let units = vec![unit(1, 1, 500), unit(2, 2, 1), unit(3, 1, 1), unit(4, 3, 1)];
        let (small, large) = Large::default().small_and_large(units, 100);
        assert_eq!((seqs(&small), seqs(&large)), (vec![2, 4], vec![1, 3]));
    }

    #[test]
    fn what_waits_behind_something_large_holds_back_what_comes_after_it() {
        let mut second = unit(2, 1, 1);
        second.transactions.extend(unit(2, 2, 1).transactions);
        let (small, large) = Large::default().small_and_large(vec![unit(1, 1, 500), second, unit(3, 2, 1)], 100);
        assert_eq!((seqs(&small), seqs(&large)), (vec![], vec![1, 2, 3]));
    }

    #[test]
    fn what_is_in_hand_is_before_all_that_is_found() {
        let large = Large { projects: [Some(1)].into(), ..Large::default() };
        let (small, behind) = large.small_and_large(vec![unit(1, 1, 1), unit(2, 2, 1)], 100);
        assert_eq!((seqs(&small), seqs(&behind)), (vec![2], vec![1]));
    }

    #[test]
    fn of_many_small_ones_the_first_are_taken() {
        let units = vec![unit(1, 1, 60), unit(2, 2, 40), unit(3, 3, 1)];
        assert_eq!(seqs(&first(units.clone(), 100)), [1, 2]);
        assert_eq!(seqs(&first(units, 50)), Vec::<i64>::new());
    }

    proptest! {
        #[test]
        fn a_project_keeps_its_order(sizes in prop::collection::vec((0..4i64, 0..200usize), 0..30)) {
            let units = sizes.iter().enumerate().map(|(place, (project, objects))| unit(place as i64, *project, *objects));
            let (small, large) = Large::default().small_and_large(units.collect(), 100);
            let all = [small, large].concat();
            for project in 0..4 {
                let of_it = all.iter().filter(|unit| unit.transactions[0].changes[0].project == Some(project));
                let seqs: Vec<i64> = of_it.map(|unit| unit.transactions[0].changes[0].seq).collect();
                prop_assert!(seqs.is_sorted());
            }
            prop_assert_eq!(all.len(), sizes.len());
        }
    }
}
