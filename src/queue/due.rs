//! Lanes in which something was stored, told within one daemon: its deliverer need not look for them.
//!
//! Promises nothing that the table `lshookd.lane` does not say as well: whoever listens too late, or not at all, finds
//! them there.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::mpsc::{self, UnboundedReceiver, UnboundedSender};
use uuid::Uuid;

use crate::model::Lane;

/// What the planner tells of lanes.
pub enum Told {
    /// Deliveries were stored in these, be they open or not.
    Stored(Vec<Lane>),
    /// These were opened for it: nobody works on them.
    Opened(Vec<Lane>),
}

/// Where the planner tells of lanes, and the deliverer hears of them.
#[derive(Clone, Default)]
pub struct DueLanes(Arc<Mutex<Listener>>);

#[derive(Default)]
struct Listener {
    sender: Option<UnboundedSender<Told>>,
    owner: Option<Uuid>,
}

impl DueLanes {
    /// Hears of lanes from here on, in place of whoever did before.
    pub fn listen(&self) -> UnboundedReceiver<Told> {
        let (sender, receiver) = mpsc::unbounded_channel();
        *self.listener() = Listener { sender: Some(sender), owner: None };
        receiver
    }

    /// Lanes that are opened are this daemon's from the beginning; with `None`, whoever's comes first.
    pub fn belong_to(&self, owner: Option<Uuid>) {
        self.listener().owner = owner;
    }

    /// Whose lanes are that are opened, where it hears of them.
    pub fn owner(&self) -> Option<Uuid> {
        let listener = self.listener();
        listener.owner.filter(|_| listener.sender.as_ref().is_some_and(|sender| !sender.is_closed()))
    }

    /// Tells of lanes, if there are any and somebody listens.
    pub fn tell(&self, told: Told) {
        let listener = self.listener();
        let (Told::Stored(lanes) | Told::Opened(lanes)) = &told;
        let is_news = listener.owner.is_some() && !lanes.is_empty();
        if let Some(sender) = listener.sender.as_ref().filter(|_| is_news) {
            // Whoever listened may be gone: the lanes are in the table.
            let _ = sender.send(told);
        }
    }

    fn listener(&self) -> MutexGuard<'_, Listener> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
