//! Options of webhooks that Label Studio does not have: how their events are shown, and how their requests are made.

use std::fmt;
use std::time::Duration;

use anyhow::Result;
use serde::{Deserialize, Serialize};
use tokio_postgres::{Client, GenericClient};

use super::{explain_write, rows};
use crate::deliver::TRAINING;
use crate::model::WebhookId;

/// How requests to a webhook are made; shown where it is not as the settings say.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Manner {
    /// In how many seconds it must be connected to, where that is its own.
    pub connect_timeout_seconds: Option<f64>,
    /// In how many seconds it must answer, where that is its own.
    pub answer_timeout_seconds: Option<f64>,
    /// Whether a request that was wholly sent must be answered to count as delivered.
    pub await_answer: bool,
    /// Whether it is that of an ML backend, to which one request at a time is made.
    pub is_ml_backend: bool,
}

impl fmt::Display for Manner {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = |seconds: f64| humantime::format_duration(Duration::from_secs_f64(seconds)).to_string();
        let training = Some(TRAINING.as_secs_f64()).filter(|_| self.is_ml_backend);
        let parts = [
            self.is_ml_backend.then(|| "an ML backend: one request at a time".to_owned()),
            self.connect_timeout_seconds.map(|timeout| format!("{} to connect", shown(timeout))),
            self.answer_timeout_seconds.or(training).map(|timeout| format!("{} to answer", shown(timeout))),
            (!self.await_answer).then(|| "the answer is not awaited".to_owned()),
        ];
        formatter.write_str(&parts.into_iter().flatten().collect::<Vec<_>>().join(", "))
    }
}

/// A webhook, and how its requests are made.
#[derive(Debug, Deserialize)]
pub struct WebhookManner {
    /// `webhook.id`
    pub id: WebhookId,
    /// How.
    #[serde(flatten)]
    pub manner: Manner,
}

/// The webhooks of ML backends, and those whose answers are not awaited.
///
/// # Errors
/// When the database cannot be asked.
pub async fn unusual_manners(client: &Client) -> Result<Vec<WebhookManner>> {
    rows(client, include_str!("../../sql/ops/unusual_manners.sql"), &[]).await
}

/// How a webhook wants its events beyond what Label Studio shows; `None` leaves an option as it is.
#[derive(Debug, Clone, Default)]
pub struct PayloadChoice {
    /// Deletions with the objects as they last were.
    pub enrich_deletions: Option<bool>,
    /// Updates with the objects as they were before.
    pub previous: Option<bool>,
    /// CloudEvents: `binary`, `structured` or `off`.
    pub cloudevents: Option<String>,
}

impl PayloadChoice {
    /// Whether it leaves all as it is.
    pub fn is_empty(&self) -> bool {
        self.enrich_deletions.is_none() && self.previous.is_none() && self.cloudevents.is_none()
    }
}

/// How requests to a webhook are made; `None` leaves an option as it is.
#[derive(Debug, Clone, Default)]
pub struct DeliveryChoice {
    /// In place of the setting `connect_timeout`; zero: that of the setting.
    pub connect_timeout: Option<Duration>,
    /// In place of the setting `answer_timeout`; zero: that of the setting.
    pub answer_timeout: Option<Duration>,
    /// Whether a request that was wholly sent must be answered to count as delivered.
    pub await_answer: Option<bool>,
}

impl DeliveryChoice {
    /// Whether it leaves all as it is.
    pub fn is_empty(&self) -> bool {
        self.connect_timeout.is_none() && self.answer_timeout.is_none() && self.await_answer.is_none()
    }
}

/// Writes what is chosen.
///
/// # Errors
/// When the database refuses.
pub async fn set_payload_options(client: &impl GenericClient, id: WebhookId, payload: &PayloadChoice) -> Result<()> {
    if payload.is_empty() {
        return Ok(());
    }
    let PayloadChoice { enrich_deletions, previous, cloudevents } = payload;
    let query = include_str!("../../sql/ops/set_payload_options.sql");
    client.execute(query, &[&id, enrich_deletions, previous, cloudevents]).await.map_err(explain_write)?;
    Ok(())
}

/// Writes what is chosen.
///
/// # Errors
/// When the database refuses.
pub async fn set_delivery_options(client: &impl GenericClient, id: WebhookId, delivery: &DeliveryChoice) -> Result<()> {
    if delivery.is_empty() {
        return Ok(());
    }
    let DeliveryChoice { connect_timeout, answer_timeout, await_answer } = delivery;
    let seconds = |timeout: &Option<Duration>| timeout.map(|timeout| timeout.as_secs_f64());
    let query = include_str!("../../sql/ops/set_delivery_options.sql");
    client
        .execute(query, &[&id, &seconds(connect_timeout), &seconds(answer_timeout), await_answer])
        .await
        .map_err(explain_write)?;
    Ok(())
}
