//! `listen`: events as they come, delivered to nobody; perhaps forwarded to a program in the making.

use std::time::Duration;

use anyhow::{Context, Result};
use bytes::Bytes;
use jiff::Timestamp;
use serde_json::json;
use tokio_postgres::{Client, Row};
use url::Url;
use uuid::Uuid;

use super::Output;
use super::output::plain;
use crate::deliver::{self, Message};
use crate::event::Action;
use crate::settings::{Egress, Settings};

/// Pause between two looks.
const EVERY: Duration = Duration::from_millis(300);

/// What to listen to.
#[derive(Debug, clap::Args)]
pub struct Listen {
    /// Of this project
    #[arg(long, short, value_name = "ID")]
    project: Option<i64>,
    /// Of this action
    #[arg(long, short)]
    action: Option<Action>,
    /// Post each event there as well, signed, whatever address it is
    #[arg(long, value_name = "URL")]
    forward: Option<Url>,
    /// End after so many events
    #[arg(long, value_name = "NUMBER")]
    count: Option<u64>,
}

/// Prints events until it is stopped.
///
/// # Errors
/// When the database cannot be asked.
pub async fn run(client: &Client, settings: &Settings, wanted: &Listen, output: Output) -> Result<()> {
    let listener = Uuid::now_v7();
    let outcome = tokio::select! {
        outcome = print_events(client, settings, wanted, listener, output) => outcome,
        _ = tokio::signal::ctrl_c() => Ok(()),
    };
    client.execute(include_str!("../../sql/ops/stop_listening.sql"), &[&listener]).await?;
    outcome
}

async fn print_events(
    client: &Client,
    settings: &Settings,
    wanted: &Listen,
    listener: Uuid,
    output: Output,
) -> Result<()> {
    let settings = Settings { egress: Egress::default(), ..settings.clone() };
    let secret: String = client.query_one(include_str!("../../sql/ops/new_secret.sql"), &[]).await?.get("secret");
    if wanted.forward.is_some() && !output.json {
        eprintln!("Requests are signed by {secret}");
    }
    let mut after: i64 = client.query_one("select coalesce(max(id), 0) as id from lshookd.event", &[]).await?.get("id");
    let mut left = wanted.count.unwrap_or(u64::MAX);
    let mut said_at = None;
    if !output.json {
        eprintln!("Listening; Ctrl-C ends it.");
    }
    while left > 0 {
        if said_at.is_none_or(|at: std::time::Instant| at.elapsed() > Duration::from_secs(20)) {
            client.execute(include_str!("../../sql/ops/listen_until.sql"), &[&listener]).await?;
            said_at = Some(std::time::Instant::now());
        }
        let action = wanted.action.map(Action::name);
        let rows = client
            .query(include_str!("../../sql/ops/events_after.sql"), &[&after, &wanted.project, &action])
            .await
            .context("reading lshookd.event")?;
        for row in &rows {
            after = row.get("id");
            if !print(row, output) {
                return Ok(());
            }
            if let Some(url) = &wanted.forward {
                forward(&settings, url, &secret, row.get("body"), output).await?;
            }
            left -= 1;
            if left == 0 {
                break;
            }
        }
        if rows.is_empty() {
            tokio::time::sleep(EVERY).await;
        }
    }
    Ok(())
}

/// `false` when nobody reads any more.
fn print(row: &Row, output: Output) -> bool {
    let body: &str = row.get("body");
    if output.json {
        return say!("{body}");
    }
    let occurred: Timestamp = row.get("occurred_at");
    say!(
        "{}",
        plain(&format!(
            "{} {} project {} objects {}\n{body}",
            occurred.strftime("%Y-%m-%d %H:%M:%S%.3f"),
            row.get::<_, &str>("action"),
            row.get::<_, i64>("project_id"),
            row.get::<_, i32>("object_count"),
        ))
    )
}

async fn forward(settings: &Settings, url: &Url, secret: &str, body: &str, output: Output) -> Result<()> {
    let message = Message {
        url: url.to_string(),
        headers: json!({}),
        id: Uuid::now_v7(),
        secrets: vec![secret.to_owned()],
        project: 0,
        cloudevent: None,
        body: Bytes::from(body.to_owned()),
    };
    let answer = deliver::send_at_once(settings, &message).await?;
    if !output.json {
        let status = answer.status.map_or_else(|| "no answer".to_owned(), |status| status.to_string());
        eprintln!("  forwarded: {status} {}", answer.error.as_deref().map(plain).unwrap_or_default());
    }
    Ok(())
}
