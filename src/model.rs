//! What every room speaks of: actions, events and URLs. Knows no other room, and does no input or output.

mod action;
mod event;
mod id;
mod url;

pub use action::{Action, Kind, Layout};
pub use event::{End, Event, EventView, PayloadOptions};
pub use id::{DeliveryId, Lane, Scope, WebhookId};
pub use url::masked_url;
