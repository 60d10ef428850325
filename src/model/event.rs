//! Events: one action with the objects that it is about, and how webhooks want it shown.

use std::time::SystemTime;

use super::{Action, Scope};

/// How the end of an action was known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, strum::IntoStaticStr, strum::VariantArray)]
#[strum(serialize_all = "snake_case")]
pub enum End {
    /// Nobody waited for it: each transaction stands alone, or the event is urgent.
    None,
    /// Its connection was closed.
    Closed,
    /// Its connection was idle.
    Idle,
    /// The wait reached its limit.
    Limit,
}

impl End {
    /// As in `lshookd.event.ended_by`.
    pub fn name(self) -> &'static str {
        self.into()
    }
}

/// Something that happened in Label Studio, for the webhooks that want it.
#[derive(Debug, Clone, PartialEq)]
pub struct Event {
    /// What happened.
    pub action: Action,
    /// Where.
    pub scope: Scope,
    /// To which objects, by id; one alone for the actions that are about one.
    pub objects: Vec<i64>,
    /// Whose it was; known only of what cannot be looked up: a deleted project, and what has no project.
    pub organization: Option<i64>,
    /// When the last of its changes was captured.
    pub occurred_at: SystemTime,
    /// The writer's transaction; the latest, where there are several.
    pub transaction: u64,
    /// How the end of its action was known.
    pub end: End,
    /// The columns that changed, where lshookd's action tells of them.
    pub changed: Vec<String>,
}

impl Event {
    /// An event that no change stands for: what exists is announced as if it occurred now.
    pub fn standalone(action: Action, scope: Scope, objects: Vec<i64>) -> Event {
        Event {
            action,
            scope,
            objects,
            organization: None,
            occurred_at: SystemTime::now(),
            transaction: 0,
            end: End::None,
            changed: Vec::new(),
        }
    }

    /// The same, of some of its objects.
    pub fn of(&self, objects: Vec<i64>) -> Event {
        Event { objects, changed: self.changed.clone(), ..*self }
    }

    /// The same in events of at most so many objects.
    ///
    /// ```
    /// use lshookd::model::{Action, Event, Scope};
    ///
    /// let import = Event::standalone(Action::TasksCreated, Scope::Project(7), vec![1, 2, 3]);
    /// let parts: Vec<Vec<i64>> = import.cut(2).into_iter().map(|part| part.objects).collect();
    /// assert_eq!(parts, [vec![1, 2], vec![3]]);
    /// ```
    pub fn cut(self, most: usize) -> Vec<Event> {
        if self.objects.len() <= most {
            return vec![self];
        }
        self.objects.chunks(most).map(|objects| self.of(objects.to_vec())).collect()
    }
}

/// How a webhook wants its events, beyond what Label Studio shows (`lshookd.payload_option`).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PayloadOptions {
    /// Deletions with the objects as they last were.
    pub enriched: bool,
    /// Updates with the objects as they were before.
    pub previous: bool,
}

impl PayloadOptions {
    /// What of it makes a difference to an action.
    pub fn of(self, action: Action) -> PayloadOptions {
        PayloadOptions {
            enriched: self.enriched && action.is_a_deletion(),
            previous: self.previous && action.is_an_update(),
        }
    }
}

/// An event as somebody wants it.
#[derive(Debug, Clone, Copy)]
pub struct EventView<'a> {
    /// The event.
    pub event: &'a Event,
    /// How it is shown.
    pub options: PayloadOptions,
}

impl EventView<'_> {
    /// Whether the objects themselves are shown, and not their ids alone.
    pub fn in_full(&self) -> bool {
        self.options.enriched || !self.event.action.is_a_deletion()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_matter_to_the_actions_that_they_are_about_alone() {
        let all = PayloadOptions { enriched: true, previous: true };
        assert_eq!(all.of(Action::TasksCreated), PayloadOptions::default());
        assert_eq!(all.of(Action::TasksDeleted), PayloadOptions { enriched: true, previous: false });
        assert_eq!(all.of(Action::AnnotationUpdated), PayloadOptions { enriched: false, previous: true });
    }
}
