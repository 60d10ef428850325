//! Webhooks as people look at them: who delivers each, what is pending, and what fails.

use anyhow::Result;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tokio_postgres::Client;

use super::rows;
use super::webhook_option::Manner;
use crate::model::{WebhookId, masked_url};

/// Who delivers a webhook.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DeliveredBy {
    /// lshookd alone.
    Lshookd,
    /// Label Studio alone: it was released.
    #[serde(rename = "label studio")]
    LabelStudio,
    /// Each of them every event.
    Both,
    /// It is disabled.
    Nobody,
}

/// A webhook, its URL without credentials.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct WebhookSummary {
    /// `webhook.id`
    pub id: WebhookId,
    /// Its URL.
    pub url: String,
    /// Its project; `None` for a webhook of the organization.
    pub project_id: Option<i64>,
    /// The project's title.
    pub project: Option<String>,
    /// Its organization.
    pub organization_id: Option<i64>,
    /// Of Label Studio's actions those that it receives; `None`: all.
    pub actions: Option<Vec<String>>,
    /// The additional actions that it receives.
    pub additional_actions: Vec<String>,
    /// Whether it receives objects, or the action's name alone.
    pub send_payload: bool,
    /// How its requests are made.
    #[serde(flatten)]
    pub manner: Manner,
    /// Who delivers it.
    pub delivered_by: DeliveredBy,
    /// Whether its deliveries are held back.
    pub paused: bool,
    /// Where lshookd paused it: since when it had only failed.
    pub paused_failing_since: Option<Timestamp>,
    /// Since when it only fails, if it does.
    pub failing_since: Option<Timestamp>,
    /// Pending deliveries.
    pub pending: i64,
    /// Dead deliveries.
    pub dead: i64,
    /// Delivered in the last hour.
    pub delivered_last_hour: i64,
    /// When something was delivered last.
    pub last_delivered_at: Option<Timestamp>,
    /// When the oldest of what is pending occurred.
    pub oldest_pending_at: Option<Timestamp>,
    /// Why its latest attempt failed, if one of its lanes fails.
    pub last_error: Option<String>,
    /// When that lane is tried again.
    pub next_attempt_at: Option<Timestamp>,
}

impl WebhookSummary {
    /// Whose events it receives, for people.
    pub fn scope(&self) -> String {
        match (self.project_id, self.organization_id) {
            (Some(project), _) => format!("project {project} {}", self.project.as_deref().unwrap_or_default()),
            (None, Some(organization)) => format!("organization {organization}"),
            (None, None) => "no organization".to_owned(),
        }
    }

    /// All actions that it receives, for people.
    pub fn all_actions(&self) -> String {
        let own = self.actions.clone().unwrap_or_else(|| vec!["all".to_owned()]);
        own.iter().chain(&self.additional_actions).map(String::as_str).collect::<Vec<_>>().join(", ")
    }
}

/// Label Studio's webhooks, or those of these ids that are there. With a bound nothing is counted beyond it.
///
/// # Errors
/// When the database cannot be asked.
pub async fn list(client: &Client, ids: Option<&[WebhookId]>, bound: Option<i64>) -> Result<Vec<WebhookSummary>> {
    let query = include_str!("../../sql/ops/webhooks.sql");
    let mut listed: Vec<WebhookSummary> = rows(client, query, &[&ids, &bound]).await?;
    for webhook in &mut listed {
        webhook.url = masked_url(&webhook.url);
    }
    Ok(listed)
}

/// Of a webhook what a list does not show.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct WebhookDetail {
    /// Names of its headers.
    pub header_names: Vec<String>,
    /// Whether deletions show what was deleted.
    pub enrich_deletions: bool,
    /// Whether updates show what was before.
    pub previous: bool,
    /// `binary` or `structured`, if it wants CloudEvents.
    pub cloudevents: Option<String>,
}

/// A webhook in full.
#[derive(Debug, Clone, PartialEq)]
pub struct WebhookInFull {
    /// As a list shows it.
    pub summary: WebhookSummary,
    /// The rest.
    pub detail: WebhookDetail,
}

/// A webhook in full; with a bound nothing is counted beyond it.
///
/// # Errors
/// When there is no such webhook, or the database cannot be asked.
pub async fn find(client: &Client, id: WebhookId, bound: Option<i64>) -> Result<WebhookInFull> {
    let summary = list(client, Some(&[id]), bound).await?.pop();
    let detail = rows(client, include_str!("../../sql/ops/webhook_detail.sql"), &[&id]).await?.pop();
    match summary.zip(detail) {
        Some((summary, detail)) => Ok(WebhookInFull { summary, detail }),
        None => fail!(UnknownWebhook, "Label Studio has no webhook {id}"),
    }
}

/// The numbers of all webhooks, in order.
///
/// # Errors
/// When the database cannot be asked.
pub async fn ids(client: &Client) -> Result<Vec<WebhookId>> {
    let rows = client.query("select * from lshookd.webhook_ids(null) as id order by id", &[]).await?;
    Ok(rows.iter().map(|row| row.get("id")).collect())
}

/// How long a webhook took to answer lately, in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AnswerTimes {
    /// Of so many deliveries, the latest.
    pub deliveries: i64,
    /// Half of them took at most so long.
    pub median: f64,
    /// 95 of a hundred.
    pub p95: f64,
    /// 99 of a hundred.
    pub p99: f64,
}

/// How long a webhook took to answer lately; `None` where nothing was delivered to it.
///
/// # Errors
/// When the database cannot be asked.
pub async fn answer_times(client: &Client, id: WebhookId) -> Result<Option<AnswerTimes>> {
    const LATEST: i64 = 500;
    let row = client.query_one(include_str!("../../sql/ops/answer_times.sql"), &[&id, &LATEST]).await?;
    let percentiles: Option<Vec<f64>> = row.get("percentiles");
    Ok(match percentiles.as_deref() {
        Some(&[median, p95, p99]) => Some(AnswerTimes { deliveries: row.get("attempts"), median, p95, p99 }),
        _ => None,
    })
}
