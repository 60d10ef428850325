//! A message: what is sent to an endpoint, or into a stream.

use bytes::Bytes;
use tokio_postgres::Row;
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
    /// What its request says of its trace, where it is traced (W3C Trace Context).
    pub traceparent: Option<String>,
    /// How its request is made.
    pub options: DeliveryOptions,
    /// The JSON body, which is signed and sent.
    pub body: Bytes,
}

impl Message {
    /// The message of a delivery, of a row that has `message_id`, `project_id`, `action`, `occurred_at`, `body`,
    /// `cloudevents`, `secrets` and `schedule_from`. Without a body it is the action's name alone.
    pub fn from_row(row: &Row, url: String, headers: serde_json::Value) -> Message {
        let (id, scope): (Uuid, Scope) = (row.get("message_id"), row.get("project_id"));
        let action: &str = row.get("action");
        let schedule_from: i32 = row.get("schedule_from");
        let mut message = Message {
            url,
            headers,
            id,
            secrets: row.get("secrets"),
            scope,
            replay: Some(schedule_from).filter(|attempts| *attempts > 0),
            cloudevent: CloudEvent::wanted(row.get("cloudevents"), id, action, scope, row.get("occurred_at")),
            traceparent: None,
            options: DeliveryOptions::default(),
            body: Bytes::new(),
        };
        message.set_body(match row.get::<_, Option<&str>>("body") {
            Some(body) => Bytes::copy_from_slice(body.as_bytes()),
            None => Bytes::from(format!(r#"{{"action":"{action}"}}"#)),
        });
        message
    }

    /// Takes a body, inside an envelope where the webhook wants one.
    pub fn set_body(&mut self, body: Bytes) {
        self.body = CloudEvent::body(self.cloudevent.as_ref(), body);
    }
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
            traceparent: None,
            options: DeliveryOptions::default(),
            body: Bytes::new(),
        }
    }
}
