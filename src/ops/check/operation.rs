//! Whether the work goes on: daemons, queues, deliveries, capture.

use anyhow::Result;
use tokio_postgres::Client;

use super::finding::Findings;
use crate::health::fault::Fault;
use crate::ops::listed;
use crate::ops::status::Status;

/// Queues that take more megabytes on disk than that are worth a warning.
const LARGE_QUEUE_MEGABYTES: f64 = 100.0;

/// Which daemon is active in which role.
pub fn roles(status: &Status, findings: &mut Findings) {
    let remedy = match status.active_roles.as_slice() {
        [] => "start a daemon: systemctl start lshookd",
        _ => "a daemon runs, and fails in this role: its log says why (journalctl -u lshookd)",
    };
    match status.active("planner") {
        Some(planner) => {
            let since = planner.since.map(|since| format!(" since {since}")).unwrap_or_default();
            let backend = planner.pid.map(|pid| format!(", backend {pid}")).unwrap_or_default();
            findings.ok("daemon", format!("a planner is active{since}{backend}"));
        }
        None => findings.fail("daemon", "no daemon is active as planner", remedy),
    }
    if status.active("deliverer").is_none() {
        findings.fail("deliverer", "no daemon is active as deliverer", remedy);
    }
    if status.active("planner").is_some() && status.active("retention").is_none() {
        let message = "no daemon is active as retention: what ended long ago is not deleted";
        findings.warn("retention", message, "see the daemon's log; deliveries go on");
    }
}

/// What of running daemons does not work.
pub async fn faults(client: &Client) -> Result<Findings> {
    let mut findings = Findings::default();
    for row in client.query(include_str!("../../../sql/ops/daemon_faults.sql"), &[]).await? {
        let (fault, message): (&str, &str) = (row.get("fault"), row.get("message"));
        // Else it is of a daemon of another version.
        let Ok(fault) = fault.parse::<Fault>() else { continue };
        let (lacks, setting) = match fault {
            Fault::AdminListener => ("has no metrics and no console", "admin_listen"),
            Fault::PullListener => ("lets nobody pull", "pull_listen"),
        };
        let remedy = format!("free the address, or change the setting {setting}; deliveries go on");
        findings.warn(fault.into(), format!("a daemon {lacks}: {message}"), remedy);
    }
    Ok(findings)
}

/// How long changes have waited, those for longer than some seconds being stuck, and what they take.
pub fn queues(status: &Status, stuck_seconds: f64, findings: &mut Findings) {
    let Status { changes_unplanned, oldest_change_seconds: age, .. } = status;
    let planning = format!("{changes_unplanned} unplanned changes, the oldest for {age:.0} s");
    match *age > stuck_seconds {
        true => {
            findings.warn("lag", planning, "a long import or storage sync may be under way; else see the daemon's log")
        }
        false => findings.ok("lag", planning),
    }
    let megabytes = |bytes: i64| bytes as f64 / 1_000_000.0;
    let (changes, rows) = (megabytes(status.changes_bytes), megabytes(status.kept_rows_bytes));
    let grown = format!("unplanned changes take {changes:.0} MB on disk, rows kept for them {rows:.0} MB");
    match changes > LARGE_QUEUE_MEGABYTES || rows > LARGE_QUEUE_MEGABYTES {
        true => findings.warn(
            "growth",
            grown,
            "while no planner is active, changes and the rows that they need are kept; beyond 1 GB of rows, deleted \
             objects are announced by their ids alone",
        ),
        false => findings.ok("growth", grown),
    }
}

/// Whether PostgreSQL can notify.
pub fn notifications(status: &Status, findings: &mut Findings) {
    if status.notification_queue_usage >= 0.5 {
        findings.warn(
            "notifications",
            format!("PostgreSQL's queue of notifications is {:.0} % full", status.notification_queue_usage * 100.0),
            "some session listens and stays in a transaction, in any database of the cluster: find it in \
             pg_stat_activity and end it; until then lshookd polls for changes, and Label Studio is not affected",
        );
    } else if status.has_prepared_transactions {
        findings.ok(
            "notifications",
            "the server allows prepared transactions, so that writers do not notify: lshookd polls for changes 5 times \
             a second",
        );
    }
}

/// What is pending, dead or paused, and which lanes fail.
pub fn deliveries(status: &Status, findings: &mut Findings) {
    let Status { deliveries_pending, oldest_delivery_seconds: age, deliveries_dead, .. } = status;
    findings.ok("backlog", format!("{deliveries_pending} pending deliveries, the oldest for {age:.0} s"));
    if *deliveries_dead > 0 {
        findings.warn(
            "dead-letters",
            format!("{deliveries_dead} deliveries are dead"),
            "`lshookd delivery list --state dead` lists them, `lshookd delivery replay --state dead` replays them, \
             `lshookd delivery skip --state dead` discards them",
        );
    }
    if status.all_paused {
        findings.warn("paused", "all deliveries are paused", "`lshookd webhook resume --all` resumes them");
    } else if !status.paused.is_empty() {
        let paused = format!("webhook {} is paused", listed(&status.paused));
        findings.warn("paused", paused, "`lshookd webhook resume ID` resumes it");
    }
    for lane in &status.failing {
        findings.warn(
            "endpoint-fails",
            format!(
                "webhook {} in project {}: {} attempts failed, the last with: {}",
                lane.webhook_id,
                lane.project_id,
                lane.attempts,
                lane.last_error.as_deref().unwrap_or("no answer")
            ),
            format!(
                "`lshookd delivery show {0}` shows it; it is retried, and nothing is lost. `lshookd delivery retry {0}` \
                 retries it now, `lshookd delivery skip {0}` ends it so that its lane goes on",
                lane.delivery_id
            ),
        );
    }
    if status.failing.is_empty() {
        findings.ok("endpoints", "no endpoint fails");
    }
}

/// What was not captured, and what was set aside.
pub async fn capture(client: &Client, status: &Status) -> Result<Findings> {
    let mut findings = Findings::default();
    if status.capture_errors > 0 {
        let row = client.query_one(include_str!("../../../sql/plan/capture_errors.sql"), &[]).await?;
        let last: Option<String> = row.get("last");
        findings.fail(
            "capture",
            format!("{} capture errors, the last: {}", status.capture_errors, last.unwrap_or_default()),
            "run `lshookd install`, then delete from lshookd.capture_error; `lshookd event backfill` can make up for them",
        );
    }
    if status.changes_set_aside > 0 {
        findings.fail(
            "set-aside",
            format!("{} changes are set aside, for they cannot be planned", status.changes_set_aside),
            "see lshookd.change_set_aside; when the cause is fixed: select lshookd.requeue_set_aside()",
        );
    }
    Ok(findings)
}
