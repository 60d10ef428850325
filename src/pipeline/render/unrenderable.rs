//! What cannot be shown, and why.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Result;

use crate::model::{Event, Kind};

/// Objects that events cannot be made of, for they, or what they belong to, are not there any more and no row was
/// kept.
#[derive(Debug, Default, thiserror::Error)]
#[error("{}", reasons(.0))]
pub struct Unrenderable(BTreeMap<Kind, Missing>);

/// Those of one kind, and why, of one of them.
#[derive(Debug)]
struct Missing {
    objects: BTreeSet<i64>,
    reason: String,
}

fn reasons(missing: &BTreeMap<Kind, Missing>) -> String {
    missing.values().map(|missing| missing.reason.as_str()).collect::<Vec<_>>().join("; ")
}

impl Unrenderable {
    /// Adds an object, and why it cannot be shown.
    pub fn add(&mut self, kind: Kind, object: i64, reason: impl FnOnce() -> String) {
        let missing = self.0.entry(kind).or_insert_with(|| Missing { objects: BTreeSet::new(), reason: reason() });
        missing.objects.insert(object);
    }

    /// The same for all objects of an event.
    pub fn add_all(&mut self, event: &Event, reason: impl Fn() -> String) {
        for object in &event.objects {
            self.add(event.action.kind(), *object, &reason);
        }
    }

    /// An error where there is something.
    ///
    /// # Errors
    /// Then.
    pub fn check(self) -> Result<()> {
        if self.0.is_empty() { Ok(()) } else { Err(self.into()) }
    }

    /// By kind the objects, and why one of them cannot be shown.
    pub fn objects(&self) -> impl Iterator<Item = (Kind, Vec<i64>, &str)> {
        self.0.iter().map(|(kind, missing)| (*kind, missing.objects.iter().copied().collect(), missing.reason.as_str()))
    }
}

/// Why an event cannot be shown of which nothing is known any more.
pub fn gone(what: &str, id: i64) -> String {
    format!("{what} {id} is not there any more, and no row of it was kept")
}
