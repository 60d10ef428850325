//! A message: what is sent to an endpoint, or into a stream.

use bytes::Bytes;
use uuid::Uuid;

use super::cloudevent::{CloudEvent, Mode};
use super::option::DeliveryOptions;
use crate::model::Scope;

/// What to send where.
pub struct Message {
    /// The webhook's URL, as its row has it.
    pub url: String,
    /// The webhook's headers, as its row has them: a JSON object.
    pub headers: serde_json::Value,
    /// Sent as `webhook-id`.
    pub id: Uuid,
    /// The secrets to sign with, as `whsec_…`.
    pub secrets: Vec<String>,
    /// Where it happened.
    pub scope: Scope,
    /// How many attempts there were before it was replayed, if it was.
    pub replay: Option<i32>,
    /// Its attributes as a CloudEvent, where the webhook wants one.
    pub cloudevent: Option<(Mode, CloudEvent)>,
    /// How its request is made.
    pub options: DeliveryOptions,
    /// The JSON body, which is signed and sent.
    pub body: Bytes,
}

impl Message {
    /// What a delivery says whose retry schedule began after so many attempts.
    pub fn replay(schedule_from: i32) -> Option<i32> {
        Some(schedule_from).filter(|attempts| *attempts > 0)
    }

    /// Takes a body, inside an envelope where the webhook wants one.
    pub fn set_body(&mut self, body: Bytes) {
        self.body = match &self.cloudevent {
            Some((Mode::Structured, event)) => event.enclose(&body),
            _ => body,
        };
    }
}

/// The body of an event of which a webhook wants the action's name alone.
pub fn action_alone(action: &str) -> Bytes {
    Bytes::from(format!(r#"{{"action":"{action}"}}"#))
}

/// Whether a URL is of NATS and not of an HTTP endpoint.
pub fn is_published(url: &str) -> bool {
    url.get(..7).is_some_and(|scheme| scheme.eq_ignore_ascii_case("nats://"))
}

#[cfg(test)]
impl Message {
    /// One with these headers.
    pub fn for_test(headers: serde_json::Value) -> Message {
        Message {
            url: "http://127.0.0.1/".to_owned(),
            headers,
            id: Uuid::nil(),
            secrets: Vec::new(),
            scope: Scope::Project(1),
            replay: None,
            cloudevent: None,
            options: DeliveryOptions::default(),
            body: Bytes::new(),
        }
    }
}
