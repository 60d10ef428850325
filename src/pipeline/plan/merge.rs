//! Merging: objects of one action are one event, though they came in several statements or transactions.

use std::time::Duration;

use crate::model::Event;
use crate::queue::change::Change;

/// Label Studio imports and deletes large numbers of tasks in portions of hundreds, a
/// transaction each; a transaction of fewer is the last of them.
const IMPORT_PORTION: usize = 100;

/// The events so far.
pub struct Events {
    single_action: bool,
    settle: Duration,
    events: Vec<Growing>,
}

/// An event that may take in more objects.
struct Growing {
    event: Event,
    /// How many objects come from its latest transaction.
    portion: usize,
}

impl Events {
    /// None yet, of a unit that is or is not known to be a single action, and where transactions that are `settle`
    /// apart are taken for two.
    pub fn new(single_action: bool, settle: Duration) -> Events {
        Events { single_action, settle, events: Vec::new() }
    }

    /// Adds events that stand alone.
    pub fn extend(&mut self, events: Vec<Event>) {
        self.events.extend(events.into_iter().map(|event| Growing { event, portion: 1 }));
    }

    /// Takes objects of one transaction together.
    pub fn merge_within(&mut self, event: Event) {
        let transaction = event.transaction;
        self.grow(event, |growing| growing.event.transaction == transaction);
    }

    /// Takes objects of one action together, which may be several transactions.
    pub fn merge(&mut self, change: &Change, event: Event) {
        let (single_action, settle) = (self.single_action, self.settle);
        self.grow(event, |growing| {
            let apart = change.captured_at.duration_since(growing.event.occurred_at).unwrap_or_default();
            single_action
                || growing.event.transaction == change.transaction
                || growing.portion >= IMPORT_PORTION
                || (!change.by_label_studio && apart < settle)
        });
    }

    /// Adds the objects to the project's latest event, if that is of the same action and they
    /// belong to it. Label Studio's actions and lshookd's are not in each other's way.
    fn grow(&mut self, event: Event, belong: impl Fn(&Growing) -> bool) {
        let portion = event.objects.len();
        let is_label_studios = event.action.is_label_studios();
        let latest = self.events.iter_mut().rfind(|growing| {
            growing.event.scope == event.scope && growing.event.action.is_label_studios() == is_label_studios
        });
        let alike = |growing: &Growing| growing.event.action == event.action && growing.event.changed == event.changed;
        match latest {
            Some(growing) if alike(growing) && belong(growing) => {
                let same = growing.event.transaction == event.transaction;
                growing.portion = if same { growing.portion + portion } else { portion };
                growing.event.transaction = event.transaction;
                growing.event.objects.extend(event.objects);
                growing.event.occurred_at = growing.event.occurred_at.max(event.occurred_at);
            }
            _ => self.events.push(Growing { event, portion }),
        }
    }

    /// All of them, with at most `batch_size` objects each.
    pub fn cut(self, batch_size: usize) -> impl Iterator<Item = Event> {
        self.events.into_iter().flat_map(move |growing| growing.event.cut(batch_size))
    }
}
