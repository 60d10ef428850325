//! The queues between the stages: changes that wait to be planned, and events with the deliveries that are owed.
//!
//! Relies on the tables `lshookd.change`, `lshookd.event`, `lshookd.delivery` and `lshookd.lane`
//! (`sql/migrations`); every function here works inside the caller's transaction.

pub mod change;
mod due;
mod event;
mod floor;
mod settled;

pub use due::{DueLanes, Told};
pub use event::{
    Addressed, BodyTooLarge, OPEN_LANES, analyze, open, reopen, store, store_all_but_the_last, store_and_open,
    store_together,
};
pub use floor::Floor;
pub use settled::{Progress, Settled};
