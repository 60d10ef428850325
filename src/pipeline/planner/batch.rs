//! Batches: units of work with their events, packed into transactions of bounded size.

use crate::config::Settings;
use crate::model::Event;
use crate::pipeline::gather::Unit;
use crate::pipeline::plan;
use crate::pipeline::render::Tasks;
use crate::queue::change::{Change, Relation};

/// Objects that the events of one transaction are about, at most, unless one event has more.
const OBJECTS: usize = 2_000;

/// A unit with its events: the least that can be planned.
pub struct Planned {
    /// Its changes, by `lshookd.change.seq`.
    pub seqs: Vec<i64>,
    /// What comes of them, in order.
    pub events: Vec<Event>,
    /// What they say whose its annotations are.
    pub tasks: Tasks,
}

impl Planned {
    /// Cuts its largest events in two; `false` where there is nothing to cut.
    pub fn cut(&mut self) -> bool {
        let longest = self.events.iter().map(|event| event.objects.len()).max().unwrap_or_default();
        self.events = self.events.drain(..).flat_map(|event| event.cut(longest.div_ceil(2).max(1))).collect();
        longest > 1
    }
}

/// Plans the units and packs them into transactions.
pub fn batches(units: Vec<Unit>, settings: &Settings) -> Vec<Vec<Planned>> {
    let mut batches = vec![Vec::new()];
    let mut packed = 0;
    for unit in units {
        let events = plan::plan(&unit, settings.batch_size, settings.gather.settle);
        let changes = || unit.transactions.iter().flat_map(|transaction| &transaction.changes);
        let annotated = changes().filter(|change| change.relation == Relation::Annotation);
        let tasks = annotated.flat_map(|change| change.ids.iter().zip(&change.parents));
        let planned = Planned {
            seqs: seqs(changes()),
            events,
            tasks: tasks.filter_map(|(id, task)| Some((*id, (*task)?))).collect(),
        };
        let objects: usize = planned.events.iter().map(|event| event.objects.len()).sum();
        if packed > 0 && packed + objects > OBJECTS {
            batches.push(Vec::new());
            packed = 0;
        }
        packed += objects;
        if let Some(batch) = batches.last_mut() {
            batch.push(planned);
        }
    }
    batches
}

/// Each once: what one statement did in several projects is several changes of one row.
fn seqs<'a>(changes: impl Iterator<Item = &'a Change>) -> Vec<i64> {
    let mut seqs: Vec<i64> = changes.map(|change| change.seq).collect();
    seqs.dedup();
    seqs
}
