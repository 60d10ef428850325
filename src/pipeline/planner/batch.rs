//! Batches: units of work with their events, packed into transactions of bounded size.

use crate::config::Settings;
use crate::model::{Action, End, Event};
use crate::pipeline::gather::Unit;
use crate::pipeline::plan;
use crate::pipeline::render::Tasks;
use crate::queue::change::{Change, Connection, Operation, Relation};

/// Objects that the events of one transaction are about, at most, unless one event has more.
pub const OBJECTS: usize = 2_000;

/// A unit with its events, or a part of it: the least that can be planned.
pub struct Planned {
    /// Its changes, by `lshookd.change.seq`.
    pub seqs: Vec<i64>,
    /// What comes of them, in order.
    pub events: Vec<Event>,
    /// What they say whose its annotations are.
    pub tasks: Tasks,
    /// Whose unit is planned with it, and how the end of that was known; `None` while parts of it are left.
    pub ended: Option<(Connection, End)>,
}

impl Planned {
    /// Objects that its events are about.
    pub fn objects(&self) -> usize {
        self.events.iter().map(|event| event.objects.len()).sum()
    }

    /// Cuts its largest events in two; `false` where there is nothing to cut.
    pub fn cut(&mut self) -> bool {
        let longest = self.events.iter().map(|event| event.objects.len()).max().unwrap_or_default();
        self.events = self.events.drain(..).flat_map(|event| event.cut(longest.div_ceil(2).max(1))).collect();
        longest > 1
    }
}

/// Plans the units and packs them into transactions.
pub fn batches(units: Vec<Unit>, settings: &Settings) -> Vec<Vec<Planned>> {
    let mut batches: Vec<Vec<Planned>> = Vec::new();
    let mut packed = 0;
    for unit in units {
        let events = plan::plan(&unit, settings.batch_size, settings.gather.settle);
        for planned in parts(&unit, events) {
            let objects = planned.objects();
            match batches.last_mut() {
                Some(batch) if packed == 0 || packed + objects <= OBJECTS => batch.push(planned),
                _ => {
                    batches.push(vec![planned]);
                    packed = 0;
                }
            }
            packed += objects;
        }
    }
    batches
}

/// A unit with its events: whole, or a large import event by event, where each has changes of its own.
///
/// What is left of an import when some of its events are stored is planned as it would have been: one action, of
/// which nothing but these tasks is an event.
fn parts(unit: &Unit, events: Vec<Event>) -> Vec<Planned> {
    let is_import = |change: &&Change| change.relation == Relation::Task && change.operation == Operation::Insert;
    let objects = || events.iter().flat_map(|event| &event.objects);
    let is_one_import = (unit.single_action || unit.transactions.len() == 1)
        && events.len() > 1
        && objects().count() > OBJECTS
        && events.iter().all(|event| event.action == Action::TasksCreated)
        && unit.changes().filter(is_import).flat_map(|change| &change.ids).eq(objects());
    let ended = Some((unit.connection(), unit.end));
    if !is_one_import {
        let annotated = unit.changes().filter(|change| change.relation == Relation::Annotation);
        let tasks = annotated.flat_map(|change| change.ids.iter().zip(&change.parents));
        let tasks = tasks.filter_map(|(id, task)| Some((*id, (*task)?))).collect();
        return vec![Planned { seqs: seqs(unit.changes()), events, tasks, ended }];
    }
    // What is no event goes with the first part, which explains it.
    let mut of_part = seqs(unit.changes().filter(|change| !is_import(change)));
    let mut imports = unit.changes().filter(is_import).peekable();
    let (mut announced, mut taken) = (0, 0);
    let mut parts: Vec<Planned> = Vec::new();
    let mut shown = Vec::new();
    for event in events {
        announced += event.objects.len();
        shown.push(event);
        while let Some(change) = imports.next_if(|change| taken + change.ids.len() <= announced) {
            taken += change.ids.len();
            of_part.push(change.seq);
        }
        // A change that this event has only some of the objects of is planned with those that have the others.
        if taken == announced {
            let (seqs, events) = (std::mem::take(&mut of_part), std::mem::take(&mut shown));
            parts.push(Planned { seqs, events, tasks: Tasks::new(), ended: None });
        }
    }
    if let Some(last) = parts.last_mut() {
        last.ended = ended;
    }
    parts
}

/// Each once: what one statement did in several projects is several changes of one row.
fn seqs<'a>(changes: impl Iterator<Item = &'a Change>) -> Vec<i64> {
    let mut seqs: Vec<i64> = changes.map(|change| change.seq).collect();
    seqs.dedup();
    seqs
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::pipeline::gather::Transaction;
    use crate::pipeline::gather::tests::change;
    use proptest::prelude::*;

    use Operation::{Insert, Update};
    use Relation::{Annotation, Project, Task};

    const SETTLE: Duration = Duration::from_millis(50);

    /// One import on connection 7, in statements of so many tasks.
    fn import(statements: &[usize]) -> Unit {
        let mut next = 0;
        let mut changes = Vec::new();
        for quantity in statements {
            let ids: Vec<i64> = (next..next + *quantity as i64).collect();
            next += *quantity as i64;
            changes.push(change(changes.len() as i64 + 1, 1, 7, Task, Insert, &ids));
        }
        Unit { transactions: vec![Transaction { changes }], single_action: false, end: End::Idle }
    }

    fn parts_of(unit: &Unit, batch_size: usize) -> Vec<Planned> {
        parts(unit, plan::plan(unit, batch_size, SETTLE))
    }

    fn seqs(parts: &[Planned]) -> Vec<Vec<i64>> {
        parts.iter().map(|part| part.seqs.clone()).collect()
    }

    #[test]
    fn what_one_statement_did_in_several_projects_is_taken_once() {
        let mut unit = import(&[1, 1]);
        let changes = &mut unit.transactions[0].changes;
        changes[1] = Change { project: Some(2), seq: 1, ..changes[0].clone() };
        assert_eq!(seqs(&parts_of(&unit, 1000)), [[1]]);
    }

    #[test]
    fn a_large_import_is_planned_event_by_event() {
        let parts = parts_of(&import(&[1000, 1000, 1000, 1000, 500]), 2000);
        assert_eq!(seqs(&parts), [vec![1, 2], vec![3, 4], vec![5]]);
        assert_eq!(parts.iter().map(|part| part.ended.is_some()).collect::<Vec<_>>(), [false, false, true]);
    }

    #[test]
    fn events_that_share_a_statement_stay_together() {
        assert_eq!(seqs(&parts_of(&import(&[1500, 1500, 1000]), 1000)), [vec![1, 2], vec![3]]);
        assert_eq!(seqs(&parts_of(&import(&[9000]), 1000)), [[1]]);
    }

    #[test]
    fn what_is_no_event_goes_with_the_first_part() {
        let mut unit = import(&[1000, 1000, 1000]);
        let changes = &mut unit.transactions[0].changes;
        changes.push(change(4, 1, 7, Annotation, Insert, &[1]));
        changes[3].parents = vec![Some(2_500)];
        assert_eq!(seqs(&parts_of(&unit, 1000)), [vec![4, 1], vec![2], vec![3]]);
    }

    #[test]
    fn what_is_more_than_an_import_or_small_is_planned_whole() {
        let mut unit = import(&[1000, 1000, 1000]);
        unit.transactions[0].changes.push(change(4, 1, 7, Project, Update, &[1]));
        unit.transactions[0].changes[3].columns = vec!["title".to_owned(), "updated_at".to_owned()];
        assert_eq!(seqs(&parts_of(&unit, 1000)), [[1, 2, 3, 4]]);
        assert_eq!(seqs(&parts_of(&import(&[500, 500]), 500)), [[1, 2]]);
    }

    proptest! {
        #[test]
        fn what_is_left_of_an_import_is_planned_as_it_would_have_been(
            statements in prop::collection::vec(1..900_usize, 1..12),
            batch_size in 1..1500_usize,
            single_action: bool,
            by_label_studio: bool,
        ) {
            let mut unit = Unit { single_action, ..import(&statements) };
            for change in &mut unit.transactions[0].changes {
                change.by_label_studio = by_label_studio;
            }
            let parts = parts_of(&unit, batch_size);
            let all: Vec<i64> = parts.iter().flat_map(|part| part.seqs.clone()).collect();
            prop_assert_eq!(all, (1..=statements.len() as i64).collect::<Vec<_>>());
            let objects = |events: &[Event]| events.iter().map(|event| event.objects.clone()).collect::<Vec<_>>();
            for (place, part) in parts.iter().enumerate().skip(1) {
                let mut rest = unit.clone();
                rest.transactions[0].changes.retain(|change| change.seq >= part.seqs[0]);
                let left: Vec<Event> = parts[place..].iter().flat_map(|part| part.events.clone()).collect();
                prop_assert_eq!(objects(&plan::plan(&rest, batch_size, SETTLE)), objects(&left));
            }
        }
    }
}
