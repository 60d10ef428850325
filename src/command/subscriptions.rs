//! `subscriptions`: Label Studio's webhooks, who delivers each, and how it fares.

use anyhow::Result;
use serde_json::{Value, json};
use tokio_postgres::Client;

use super::output::rows;
use super::{Output, shown_url};

const COLUMNS: &[(&str, &str)] = &[
    ("id", "ID"),
    ("scope", "OF"),
    ("url", "URL"),
    ("wants", "ACTIONS"),
    ("delivered_by", "DELIVERED BY"),
    ("paused", "PAUSED"),
    ("pending", "PENDING"),
    ("dead", "DEAD"),
    ("last_delivered_at", "LAST DELIVERED"),
    ("last_error", "FAILS WITH"),
];

/// Lists the webhooks.
///
/// # Errors
/// When the database cannot be asked.
pub async fn run(client: &Client, output: Output) -> Result<()> {
    output.table(&list(client).await?, COLUMNS, "Label Studio has no webhooks; `lshookd subscribe` makes one.");
    Ok(())
}

/// The webhooks, their URLs without credentials.
///
/// # Errors
/// When the database cannot be asked.
pub async fn list(client: &Client) -> Result<Vec<Value>> {
    let all: Option<&[i64]> = None;
    let mut listed = rows(client, include_str!("../../sql/ops/subscriptions.sql"), &[&all]).await?;
    for webhook in &mut listed {
        webhook["url"] = json!(shown_url(webhook["url"].as_str().unwrap_or_default()));
        webhook["scope"] = match (&webhook["project_id"], &webhook["project"]) {
            (Value::Null, _) => json!(format!("organization {}", webhook["organization_id"])),
            (project, title) => json!(format!("project {project} {}", title.as_str().unwrap_or_default())),
        };
        let more = webhook["more_actions"].as_array().cloned().unwrap_or_default();
        let mut wants = match &webhook["actions"] {
            Value::Array(chosen) => chosen.clone(),
            _ => vec![json!("all")],
        };
        wants.extend(more);
        webhook["wants"] = match wants.as_slice() {
            [all] if all == "all" => json!("all"),
            _ => json!(wants),
        };
    }
    Ok(listed)
}
