//! Deliveries: what each webhook was and is owed.

use std::fmt;

use anyhow::{Context, Result};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio_postgres::Client;

use super::rows;
use crate::deliver::CloudEvent;
use crate::model::{Action, DeliveryId, Scope, WebhookId, masked_url};

/// What a delivery may be.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    Serialize,
    Deserialize,
    strum::IntoStaticStr,
    strum::EnumString,
    strum::VariantNames,
)]
#[serde(rename_all = "lowercase")]
#[strum(serialize_all = "lowercase")]
pub enum DeliveryState {
    /// It is attempted when its turn comes.
    Pending,
    /// The endpoint took it.
    Delivered,
    /// Without further attempts, and kept.
    Dead,
    /// The webhook was deleted first.
    Cancelled,
    /// Ended by an operator.
    Skipped,
}

impl DeliveryState {
    /// As in `lshookd.delivery.state`.
    pub fn name(self) -> &'static str {
        self.into()
    }
}

/// Which deliveries; all that is given must hold.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// `webhook.id`
    pub webhook: Option<WebhookId>,
    /// The action.
    pub action: Option<Action>,
    /// Where the event occurred.
    pub project: Option<Scope>,
    /// The state.
    pub state: Option<DeliveryState>,
    /// Earliest time at which the event occurred.
    pub since: Option<Timestamp>,
    /// The time before which it occurred.
    pub until: Option<Timestamp>,
}

impl Filter {
    /// Whether it holds of every delivery.
    pub fn is_empty(&self) -> bool {
        let Filter { webhook, action, project, state, since, until } = self;
        webhook.is_none()
            && action.is_none()
            && project.is_none()
            && state.is_none()
            && since.is_none()
            && until.is_none()
    }
}

impl fmt::Display for Filter {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Filter { webhook, action, project, state, since, until } = self;
        let parts = [
            webhook.map(|webhook| format!("webhook {webhook}")),
            action.map(|action| action.to_string()),
            project.map(|project| match project {
                Scope::Organization => "of the organization".to_owned(),
                Scope::Project(id) => format!("project {id}"),
            }),
            state.map(|state| state.name().to_owned()),
            since.map(|since| format!("since {since}")),
            until.map(|until| format!("before {until}")),
        ];
        formatter.write_str(&parts.into_iter().flatten().collect::<Vec<_>>().join(", "))
    }
}

/// A delivery in a list.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DeliverySummary {
    /// `lshookd.delivery.id`
    pub id: DeliveryId,
    /// Sent as `webhook-id`.
    pub message_id: uuid::Uuid,
    /// `webhook.id`
    pub webhook_id: WebhookId,
    /// `project.id`; 0 for the organization.
    pub project_id: Scope,
    /// The action's name.
    pub action: String,
    /// About how many objects the event is.
    pub objects: i32,
    /// When the event occurred.
    pub occurred_at: Timestamp,
    /// The state.
    pub state: DeliveryState,
    /// How many there were.
    pub attempts: i32,
    /// When it ended, if it did.
    pub ended_at: Option<Timestamp>,
    /// HTTP status of the last attempt.
    pub last_status: Option<i16>,
    /// Why the last attempt failed.
    pub last_error: Option<String>,
}

/// One attempt of a delivery.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Attempt {
    /// Counted from 1.
    pub number: i32,
    /// When the request began.
    pub started_at: Timestamp,
    /// How long it took.
    pub duration_ms: i64,
    /// HTTP status, if there was an answer.
    pub status: Option<i16>,
    /// Why it counts as failed, if it does.
    pub error: Option<String>,
    /// The first bytes of the answer.
    pub response_head: Option<String>,
    /// The endpoint's address, if there was a connection.
    pub address: Option<String>,
    /// HTTP/1.1 or HTTP/2.
    pub protocol: Option<String>,
    /// To resolve the name; with the next two `None` where the connection was there already.
    pub dns_ms: Option<i64>,
    /// To connect to the address.
    pub tcp_ms: Option<i64>,
    /// To agree on TLS, where there is TLS.
    pub tls_ms: Option<i64>,
    /// From the connection to the head of the answer, if there was one.
    pub answer_ms: Option<i64>,
}

impl Attempt {
    /// Which way it went, and where its time went; empty where there was no connection.
    pub fn route(&self) -> String {
        let (Some(address), Some(protocol)) = (&self.address, &self.protocol) else {
            return String::new();
        };
        let parts = [("dns", self.dns_ms), ("tcp", self.tcp_ms), ("tls", self.tls_ms), ("answer", self.answer_ms)];
        let mut times: Vec<String> =
            parts.iter().filter_map(|(part, took)| took.map(|took| format!("{part} {took} ms"))).collect();
        if self.tcp_ms.is_none() {
            times.insert(0, "connection reused".to_owned());
        }
        format!("{protocol} to {address}: {}", times.join(", "))
    }
}

/// A delivery in full, its URL without credentials, of its headers the names.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DeliveryDetail {
    /// `lshookd.delivery.id`
    pub id: DeliveryId,
    /// Sent as `webhook-id`.
    pub message_id: uuid::Uuid,
    /// `webhook.id`
    pub webhook_id: WebhookId,
    /// `project.id`; 0 for the organization.
    pub project_id: Scope,
    /// The action's name.
    pub action: String,
    /// About how many objects the event is.
    pub objects: i32,
    /// When the event occurred.
    pub occurred_at: Timestamp,
    /// When it was planned.
    pub planned_at: Timestamp,
    /// How the end of its action was known.
    pub ended_by: Option<String>,
    /// The state.
    pub state: DeliveryState,
    /// When it ended, if it did.
    pub ended_at: Option<Timestamp>,
    /// The webhook's URL, if the webhook is still there.
    pub url: Option<String>,
    /// Names of the webhook's headers.
    pub header_names: Vec<String>,
    /// All attempts, in order.
    pub attempts: Vec<Attempt>,
    /// When its lane is due, if something is pending there.
    pub due_at: Option<Timestamp>,
    /// Whether nobody delivers its webhook now, or it is paused.
    pub is_held: bool,
    /// How many are pending before it in its lane, at most a thousand.
    pub waits_behind: i64,
    /// The JSON that the endpoint receives, as it is signed and sent.
    pub body: String,
}

/// One delivery, by its number or its webhook-id.
///
/// # Errors
/// When the database cannot be asked.
pub async fn find_one(client: &Client, id: &str) -> Result<Option<DeliveryDetail>> {
    let (number, message): (Option<i64>, Option<uuid::Uuid>) = (id.parse().ok(), id.parse().ok());
    let found: Vec<Value> = rows(client, include_str!("../../sql/ops/delivery.sql"), &[&number, &message]).await?;
    let Some(mut delivery) = found.into_iter().next() else {
        return Ok(None);
    };
    if let Some(url) = delivery["url"].as_str() {
        delivery["url"] = json!(masked_url(url));
    }
    let cloudevents = delivery["cloudevents"].take();
    let mut detail: DeliveryDetail = serde_json::from_value(delivery).context("reading lshookd.delivery")?;
    let event = CloudEvent::wanted(
        cloudevents.as_str(),
        detail.message_id,
        &detail.action,
        detail.project_id,
        detail.occurred_at,
    );
    let sent = CloudEvent::body(event.as_ref(), detail.body.into());
    detail.body = String::from_utf8(sent.into()).context("the body is no UTF-8")?;
    Ok(Some(detail))
}
