//! `status`: what waits, what fails, who is at work.

use std::io::IsTerminal;
use std::time::Duration;

use anyhow::Result;
use jiff::Timestamp;
use serde_json::{Value, json};
use tokio_postgres::Client;

use super::Output;
use super::output::{rows, table};

/// Pause between two looks.
const EVERY: Duration = Duration::from_secs(2);

const FAILING: &[(&str, &str)] = &[
    ("webhook_id", "WEBHOOK"),
    ("project_id", "PROJECT"),
    ("delivery_id", "DELIVERY"),
    ("attempts", "ATTEMPTS"),
    ("due_at", "TRIED AGAIN"),
    ("last_status", "STATUS"),
    ("last_error", "ERROR"),
];

/// Shows it once, or with `watch` again and again.
///
/// # Errors
/// When the database cannot be asked.
pub async fn run(client: &Client, watch: bool, output: Output) -> Result<()> {
    loop {
        let status = read(client).await?;
        if watch && std::io::stdout().is_terminal() && !output.json {
            print!("\x1b[2J\x1b[H");
        }
        let heard = match output.json {
            true => say!("{status}"),
            false => print(&status),
        };
        if !watch || !heard {
            return Ok(());
        }
        tokio::time::sleep(EVERY).await;
    }
}

/// The state of the whole, as one JSON object.
///
/// # Errors
/// When the database cannot be asked.
pub async fn read(client: &Client) -> Result<Value> {
    let mut status = rows(client, include_str!("../../sql/ops/status.sql"), &[]).await?.swap_remove(0);
    let daemons = client.query(include_str!("../../sql/ops/daemons.sql"), &[]).await?;
    let at_work: Vec<Value> = daemons
        .iter()
        .map(|row| {
            json!({
                "role": row.get::<_, String>("role"),
                "pid": row.get::<_, Option<i32>>("pid"),
                "address": row.get::<_, Option<String>>("address"),
                "since": row.get::<_, Option<Timestamp>>("since").map(|since| since.to_string()),
            })
        })
        .collect();
    status["at_work"] = Value::Array(at_work);
    Ok(status)
}

/// `false` when nobody reads any more.
fn print(status: &Value) -> bool {
    let seconds = |key: &str| status[key].as_f64().unwrap_or_default();
    let names: Vec<&str> =
        status["at_work"].as_array().into_iter().flatten().filter_map(|daemon| daemon["role"].as_str()).collect();
    let heard =
        say!("at work      {}", if names.is_empty() { "nobody: no daemon runs".to_owned() } else { names.join(", ") });
    say!(
        "to plan      {} changes, the oldest for {:.1} s",
        status["changes_waiting"],
        seconds("oldest_change_seconds")
    );
    say!(
        "to deliver   {} deliveries, the oldest for {:.1} s",
        status["deliveries_pending"],
        seconds("oldest_delivery_seconds")
    );
    say!("delivered    {} in the last minute", status["delivered_last_minute"]);
    say!("dead         {}", status["dead"]);
    say!(
        "lanes        {}, of these {} due and {} failing",
        status["lanes"],
        status["lanes_due"],
        status["lanes_failing"]
    );
    if status["all_paused"] == true {
        say!("paused       all webhooks");
    } else if let Some(paused) = status["paused"].as_array().filter(|paused| !paused.is_empty()) {
        say!("paused       webhook {}", paused.iter().map(Value::to_string).collect::<Vec<_>>().join(", "));
    }
    for (key, name) in [("set_aside", "set aside"), ("capture_errors", "not captured")] {
        if status[key] != 0 {
            say!("{name:<12} {} changes; see `lshookd check`", status[key]);
        }
    }
    if let Some(failing) = status["failing"].as_array().filter(|failing| !failing.is_empty()) {
        say!("\n{}", table(failing, FAILING));
    }
    heard
}
