//! `lshookd status` and `lshookd check`.

use std::io::IsTerminal;
use std::time::Duration;

use anyhow::Result;
use serde::Serialize;
use serde_json::{Value, json};
use tokio::try_join;
use tokio_postgres::Client;

use super::Output;
use super::output::{plain, table, values};
use crate::config::{Listed, Settings};
use crate::ops::check::{Finding, Level, Report, check};
use crate::ops::status::{self, Status};
use crate::ops::{NAMED, listed};

/// Pause between two looks of `--watch`.
const WATCH_INTERVAL: Duration = Duration::from_secs(2);

const FAILING: &[(&str, &str)] = &[
    ("webhook_id", "WEBHOOK"),
    ("project_id", "PROJECT"),
    ("delivery_id", "DELIVERY"),
    ("attempts", "ATTEMPTS"),
    ("due_at", "NEXT ATTEMPT"),
    ("last_status", "STATUS"),
    ("last_error", "ERROR"),
];

/// Shows the status once, or with `watch` every two seconds.
///
/// # Errors
/// When the database cannot be asked.
pub async fn show(mut client: Client, settings: &Settings, watch: bool, output: Output) -> Result<()> {
    loop {
        match read(&client).await {
            Ok(shown) => {
                if watch && std::io::stdout().is_terminal() && !output.json {
                    print!("\x1b[2J\x1b[H");
                }
                let is_read = match output.json {
                    true => say!("{}", json!(shown)),
                    false => print(&shown),
                };
                if !watch || !is_read {
                    return Ok(());
                }
            }
            Err(_) if watch && client.is_closed() => client = super::reconnect(settings).await?,
            Err(error) => return Err(error),
        }
        tokio::time::sleep(WATCH_INTERVAL).await;
    }
}

/// The status, and how much goes on.
#[derive(Serialize)]
struct Shown {
    #[serde(flatten)]
    status: Status,
    delivered_last_minute: i64,
}

async fn read(client: &Client) -> Result<Shown> {
    let (status, delivered) = try_join!(status::read(client), status::delivered_last_minute(client))?;
    Ok(Shown { status, delivered_last_minute: delivered })
}

/// `false` when nobody reads any more.
fn print(Shown { status, delivered_last_minute }: &Shown) -> bool {
    let Status { changes_unplanned, oldest_change_seconds, deliveries_pending, oldest_delivery_seconds, .. } = status;
    let roles: Vec<&str> = status.active_roles.iter().map(|active| active.role.as_str()).collect();
    let roles = if roles.is_empty() { "none: no daemon is running".to_owned() } else { roles.join(", ") };
    let is_read = say!("active         {roles}");
    say!("unplanned      {changes_unplanned} changes, the oldest for {oldest_change_seconds:.1} s");
    say!("pending        {deliveries_pending} deliveries, the oldest for {oldest_delivery_seconds:.1} s");
    say!("delivered      {delivered_last_minute} in the last minute");
    say!("dead           {} deliveries", status.deliveries_dead);
    say!("lanes          {}, of these {} due and {} failing", status.lanes, status.lanes_due, status.lanes_failing);
    if status.all_paused {
        say!("paused         all webhooks");
    } else if !status.paused.is_empty() {
        say!("paused         webhook {}", listed(&status.paused));
    }
    if status.changes_set_aside > 0 {
        say!("set aside      {} changes; see `lshookd check`", status.changes_set_aside);
    }
    if status.capture_errors > 0 {
        say!("capture errors {}; see `lshookd check`", status.capture_errors);
    }
    if !status.failing.is_empty() {
        say!("\n{}", table(&values(&status.failing), FAILING));
    }
    is_read
}

/// Checks everything; whether nothing is wrong, with `strict` not even a warning.
pub async fn run_check(settings: &Settings, strict: bool, output: Output) -> bool {
    let report = check(settings).await;
    print_report(&report, output);
    report.level < if strict { Level::Warning } else { Level::Error }
}

/// The first findings of each code, as rows; of the others how many they are.
fn first_of_each(findings: &[Finding], row: impl Fn(&Finding) -> Value) -> Vec<Value> {
    let mut rows = Vec::new();
    for alike in findings.chunk_by(|one, next| one.code == next.code) {
        let (named, others) = alike.split_at(NAMED.min(alike.len()));
        rows.extend(named.iter().map(&row));
        if let Some(level) = others.iter().map(|finding| finding.level).max() {
            let text = format!("{} more of these; `lshookd check --json` lists them", others.len());
            rows.push(json!({ "level": level, "code": others[0].code, "text": text }));
        }
    }
    rows
}

fn print_report(report: &Report, output: Output) {
    if output.json {
        say!("{}", json!(report));
        return;
    }
    let row = |finding: &Finding| {
        let hint = finding.hint.as_deref().map(|hint| format!("\n→ {hint}")).unwrap_or_default();
        json!({ "level": finding.level, "code": finding.code, "text": plain(&format!("{}{hint}", finding.message)) })
    };
    let rows = first_of_each(&report.findings, row);
    say!("{}", table(&rows, &[("level", ""), ("code", "CHECK"), ("text", "FOUND")]));
    let set: Vec<&Listed> = report.settings.iter().filter(|setting| setting.origin != Listed::DEFAULT).collect();
    if !set.is_empty() {
        say!("\n{}", table(&values(&set), &[("key", "SETTING"), ("value", "VALUE"), ("origin", "FROM")]));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_many_findings_of_a_kind_the_first_are_shown() {
        let finding = |code, level| Finding { code, level, message: String::new(), hint: None };
        let mut findings: Vec<Finding> = (0..25).map(|_| finding("disabled", Level::Warning)).collect();
        findings.push(finding("database", Level::Ok));
        findings.extend((0..20).map(|_| finding("headers", Level::Warning)));
        let rows = first_of_each(&findings, |finding| json!(finding.code));
        assert_eq!(rows.len(), 20 + 1 + 1 + 20);
        let more = json!({"level": "warning", "code": "disabled", "text": "5 more of these; `lshookd check --json` lists them"});
        assert_eq!((&rows[20], &rows[21]), (&more, &json!("database")));
    }
}
