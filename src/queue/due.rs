//! Lanes that have become due, told within one daemon: its planner opens them, and its deliverer need not look for
//! them.
//!
//! Promises nothing that the table `lshookd.lane` does not say as well: whoever listens too late, or not at all, finds
//! them there.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::mpsc::{self, UnboundedReceiver, UnboundedSender};

use crate::model::Lane;

/// Where the planner tells of lanes, and the deliverer hears of them.
#[derive(Clone, Default)]
pub struct DueLanes(Arc<Mutex<Option<UnboundedSender<Vec<Lane>>>>>);

impl DueLanes {
    /// Hears of lanes from here on, in place of whoever did before.
    pub fn listen(&self) -> UnboundedReceiver<Vec<Lane>> {
        let (sender, receiver) = mpsc::unbounded_channel();
        *self.listener() = Some(sender);
        receiver
    }

    /// Whether somebody listens.
    pub fn has_listener(&self) -> bool {
        self.listener().as_ref().is_some_and(|sender| !sender.is_closed())
    }

    /// Tells of lanes, if somebody listens.
    pub fn tell(&self, lanes: Vec<Lane>) {
        if let Some(sender) = self.listener().as_ref().filter(|_| !lanes.is_empty()) {
            // Whoever listened may be gone: the lanes are in the table.
            let _ = sender.send(lanes);
        }
    }

    fn listener(&self) -> MutexGuard<'_, Option<UnboundedSender<Vec<Lane>>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
