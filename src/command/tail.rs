//! `tail`: attempts as they are recorded.

use std::collections::HashSet;
use std::time::Duration;

use anyhow::Result;
use jiff::Timestamp;
use serde_json::Value;
use tokio_postgres::Client;

use super::Output;
use super::output::{plain, rows};

/// Pause between two looks.
const EVERY: Duration = Duration::from_millis(300);

/// An attempt is recorded when it has ended, and may have begun so long ago.
const LONGEST: Duration = Duration::from_secs(120);

/// Prints attempts as they come, until it is stopped.
///
/// # Errors
/// When the database cannot be asked.
pub async fn run(client: &Client, subscription: Option<i64>, output: Output) -> Result<()> {
    let mut seen: HashSet<(i64, i64)> = HashSet::new();
    let mut beginning = true;
    loop {
        let since = Timestamp::now() - LONGEST;
        let attempts = rows(client, include_str!("../../sql/ops/attempts_since.sql"), &[&since, &subscription]).await?;
        let mut still = HashSet::new();
        for attempt in &attempts {
            let key =
                (attempt["delivery_id"].as_i64().unwrap_or_default(), attempt["number"].as_i64().unwrap_or_default());
            still.insert(key);
            if !beginning && !seen.contains(&key) && !print(attempt, output) {
                return Ok(());
            }
        }
        seen = still;
        beginning = false;
        tokio::time::sleep(EVERY).await;
    }
}

/// `false` when nobody reads any more.
fn print(attempt: &Value, output: Output) -> bool {
    if output.json {
        return say!("{attempt}");
    }
    let text = |key: &str| attempt[key].as_str().map_or_else(|| attempt[key].to_string(), str::to_owned);
    let answer = match (&attempt["status"], attempt["error"].as_str()) {
        (Value::Null, error) => error.unwrap_or_default().to_owned(),
        (status, _) => status.to_string(),
    };
    say!(
        "{}",
        plain(&format!(
            "{} delivery {} attempt {} webhook {} project {} {} {} ms: {answer} ({})",
            text("started_at"),
            attempt["delivery_id"],
            attempt["number"],
            attempt["webhook_id"],
            attempt["project_id"],
            text("action"),
            attempt["duration_ms"],
            text("state"),
        ))
    )
}
