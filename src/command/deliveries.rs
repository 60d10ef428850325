//! `deliveries`: what each webhook was and is owed; one in full with its attempts.

use anyhow::{Context, Result};
use clap::Args;
use jiff::Timestamp;
use serde_json::{Value, json};
use tokio_postgres::Client;

use super::output::{plain, rows, table};
use super::{Output, shown_url};
use crate::event::Action;

/// What a delivery may be.
pub const STATES: [&str; 4] = ["pending", "delivered", "dead", "cancelled"];

/// Which deliveries.
#[derive(Debug, Clone, Default, Args)]
pub struct Filter {
    /// Of this webhook
    #[arg(long, short, value_name = "ID")]
    pub subscription: Option<i64>,
    /// Of this action
    #[arg(long, short)]
    pub action: Option<Action>,
    /// Of this project
    #[arg(long, short, value_name = "ID")]
    pub project: Option<i64>,
    /// In this state
    #[arg(long, value_parser = clap::builder::PossibleValuesParser::new(STATES))]
    pub state: Option<String>,
    /// Whose event occurred since: a time such as 2026-11-24T15:00:00Z, or how long ago, such as 2h
    #[arg(long, value_name = "TIME", value_parser = moment)]
    pub since: Option<Timestamp>,
    /// Whose event occurred before
    #[arg(long, value_name = "TIME", value_parser = moment)]
    pub until: Option<Timestamp>,
}

impl Filter {
    /// The action's name.
    pub fn action_name(&self) -> Option<&'static str> {
        self.action.map(Action::name)
    }
}

/// A moment, or how long ago it was.
pub fn moment(text: &str) -> Result<Timestamp, String> {
    let text = text.trim();
    if let Ok(ago) = humantime::parse_duration(text) {
        return Timestamp::now().checked_sub(ago).map_err(|error| error.to_string());
    }
    text.parse::<Timestamp>()
        .or_else(|_| format!("{text}T00:00:00Z").parse())
        .or_else(|_| format!("{}Z", text.replace(' ', "T")).parse())
        .map_err(|_| {
            "expected a time such as 2026-11-24T15:00:00Z or 2026-11-24, or how long ago, such as 2h".to_owned()
        })
}

const COLUMNS: &[(&str, &str)] = &[
    ("id", "ID"),
    ("webhook_id", "WEBHOOK"),
    ("project_id", "PROJECT"),
    ("action", "ACTION"),
    ("objects", "OBJECTS"),
    ("occurred_at", "OCCURRED"),
    ("state", "STATE"),
    ("attempts", "ATTEMPTS"),
    ("last_status", "STATUS"),
    ("last_error", "LAST ERROR"),
];

const ATTEMPTS: &[(&str, &str)] = &[
    ("number", "ATTEMPT"),
    ("started_at", "STARTED"),
    ("duration_ms", "MS"),
    ("status", "STATUS"),
    ("error", "ERROR"),
    ("response_head", "ANSWER"),
];

/// Lists deliveries, the newest first.
///
/// # Errors
/// When the database cannot be asked.
pub async fn list(client: &Client, filter: &Filter, limit: i64, output: Output) -> Result<()> {
    output.table(&find(client, filter, None, limit).await?, COLUMNS, "No delivery is like this.");
    Ok(())
}

/// Deliveries before one, or the newest, as JSON objects.
///
/// # Errors
/// When the database cannot be asked.
pub async fn find(client: &Client, filter: &Filter, before: Option<i64>, limit: i64) -> Result<Vec<Value>> {
    rows(
        client,
        include_str!("../../sql/ops/deliveries.sql"),
        &[
            &filter.subscription,
            &filter.action_name(),
            &filter.project,
            &filter.state,
            &filter.since,
            &filter.until,
            &before,
            &limit,
        ],
    )
    .await
    .context("reading lshookd.delivery")
}

/// One delivery with its attempts and its body, its URL without credentials, of its headers the names.
///
/// # Errors
/// When the database cannot be asked.
pub async fn find_one(client: &Client, id: &str) -> Result<Option<Value>> {
    let found = rows(client, include_str!("../../sql/ops/delivery.sql"), &[&id]).await?;
    Ok(found.into_iter().next().map(|mut delivery| {
        delivery["url"] = match delivery["url"].as_str() {
            Some(url) => json!(shown_url(url)),
            None => Value::Null,
        };
        delivery
    }))
}

/// Shows one delivery in full.
///
/// # Errors
/// When there is none, or the database cannot be asked.
pub async fn show(client: &Client, id: &str, output: Output) -> Result<()> {
    let Some(delivery) = find_one(client, id).await? else {
        fail!(UnknownDelivery, "there is no delivery {id}; it may have been deleted after its retention");
    };
    if output.json {
        say!("{delivery}");
        return Ok(());
    }
    let lines = [
        ("delivery", "id"),
        ("webhook-id", "message_id"),
        ("webhook", "webhook_id"),
        ("URL", "url"),
        ("headers", "header_names"),
        ("action", "action"),
        ("project", "project_id"),
        ("occurred", "occurred_at"),
        ("planned", "planned_at"),
        ("state", "state"),
        ("ended", "ended_at"),
    ];
    for (title, key) in lines {
        let text = match &delivery[key] {
            Value::Null => continue,
            Value::String(text) => text.clone(),
            Value::Array(names) => names.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(", "),
            other => other.to_string(),
        };
        say!("{title:<11} {}", plain(&text));
    }
    if let Some(attempts) = delivery["attempts"].as_array().filter(|attempts| !attempts.is_empty()) {
        say!("\n{}", table(attempts, ATTEMPTS));
    }
    say!("\n{}", plain(delivery["body"].as_str().unwrap_or_default()));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_a_moment_a_day_or_how_long_ago() {
        let day: Timestamp = "2026-11-24T00:00:00Z".parse().unwrap();
        assert_eq!(moment("2026-11-24"), Ok(day));
        assert_eq!(moment("2026-11-24T00:00:00Z"), Ok(day));
        assert_eq!(moment("2026-11-24 00:00:00"), Ok(day));
        assert!(moment("2h").unwrap() < Timestamp::now());
        assert!(moment("soon").is_err());
    }
}
