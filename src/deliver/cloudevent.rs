//! CloudEvents 1.0 (<https://cloudevents.io>): an event with the attributes that their receivers ask for, in binary
//! mode as headers beside the body, in structured mode as an envelope around it.
//!
//! The body stays as it was written, to the digit, which rules out what parses it.

use bytes::Bytes;
use jiff::Timestamp;
use serde::Serialize;
use serde_json::value::RawValue;
use uuid::Uuid;

use crate::model::Scope;

/// The media type of an envelope.
pub const ENVELOPE: &str = "application/cloudevents+json; charset=utf-8";

/// How a webhook wants CloudEvents (`lshookd.payload_option`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, strum::EnumString)]
#[strum(serialize_all = "snake_case")]
pub enum Mode {
    /// Attributes as headers.
    Binary,
    /// The body inside an envelope.
    Structured,
}

/// The attributes of one delivery.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct CloudEvent {
    specversion: &'static str,
    id: String,
    source: String,
    #[serde(rename = "type")]
    kind: String,
    time: String,
    datacontenttype: &'static str,
}

#[derive(Serialize)]
struct Envelope<'a> {
    #[serde(flatten)]
    event: &'a CloudEvent,
    data: &'a RawValue,
}

impl CloudEvent {
    /// What a webhook wants that names this mode, if it names one.
    pub fn wanted(
        mode: Option<&str>,
        id: Uuid,
        action: &str,
        scope: Scope,
        occurred_at: Timestamp,
    ) -> Option<(Mode, CloudEvent)> {
        let mode = mode?.parse().ok()?;
        Some((mode, CloudEvent::new(id, action, scope, occurred_at)))
    }

    /// Of an action; the id is that of the delivery.
    fn new(id: Uuid, action: &str, scope: Scope, occurred_at: Timestamp) -> CloudEvent {
        CloudEvent {
            specversion: "1.0",
            id: id.to_string(),
            source: match scope {
                Scope::Organization => "/label-studio".to_owned(),
                Scope::Project(project) => format!("/label-studio/projects/{project}"),
            },
            kind: format!("label-studio.{action}"),
            time: occurred_at.to_string(),
            datacontenttype: "application/json",
        }
    }

    /// The attributes as headers; the media type of the body is a header of its own.
    pub fn headers(&self) -> [(&'static str, String); 5] {
        [
            ("ce-specversion", self.specversion.to_owned()),
            ("ce-id", self.id.clone()),
            ("ce-source", self.source.clone()),
            ("ce-type", self.kind.clone()),
            ("ce-time", self.time.clone()),
        ]
    }

    /// A body as it is sent: inside an envelope where that is wanted.
    pub fn body(wanted: Option<&(Mode, CloudEvent)>, body: Bytes) -> Bytes {
        match wanted {
            Some((Mode::Structured, event)) => event.enclose(&body),
            _ => body,
        }
    }

    /// A body inside an envelope; one that is no JSON stays as it is.
    fn enclose(&self, body: &Bytes) -> Bytes {
        let Ok(data) = serde_json::from_slice::<&RawValue>(body) else {
            return body.clone();
        };
        serde_json::to_vec(&Envelope { event: self, data }).map_or_else(|_| body.clone(), Bytes::from)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The attributes that the specification requires, and the body untouched.
    #[test]
    fn an_envelope_holds_the_body_as_it_is() {
        let event = CloudEvent::new(Uuid::nil(), "TASKS_CREATED", Scope::Project(7), Timestamp::UNIX_EPOCH);
        let body = Bytes::from_static(br#"{"action":"TASKS_CREATED","n":1.10}"#);
        let envelope = event.enclose(&body);
        assert_eq!(
            std::str::from_utf8(&envelope).unwrap(),
            r#"{"specversion":"1.0","id":"00000000-0000-0000-0000-000000000000","source":"/label-studio/projects/7","type":"label-studio.TASKS_CREATED","time":"1970-01-01T00:00:00Z","datacontenttype":"application/json","data":{"action":"TASKS_CREATED","n":1.10}}"#
        );
        assert_eq!(event.headers()[1].1, Uuid::nil().to_string());
    }
}
