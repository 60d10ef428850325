//! `check`: everything that can be wrong, each with what to do about it.
//!
//! Every finding has a stable code; `docs/troubleshooting.md` lists them.

use std::collections::BTreeSet;
use std::time::SystemTime;

use anyhow::Result;
use jiff::Timestamp;
use serde::Serialize;
use serde_json::Value;
use tokio_postgres::Client;

use super::status::{self, Status};
use super::webhook_option::{self, WebhookManner};
use super::{NAMED, adoption, joined, listed, rule};
use crate::config::{Listed, Settings};
use crate::deliver;
use crate::health::fault::Fault;
use crate::label_studio::{self, catalog::Catalog};
use crate::model::WebhookId;
use crate::pg;
use crate::pipeline::rule::Rule;
use crate::schema::install::{self, InstallState};

/// A change that is unplanned for so many seconds longer than an import may be gathered is stuck.
const PLANNING_SECONDS: f64 = 60.0;

/// Queues that take more megabytes on disk than that are worth a warning.
const LARGE_QUEUE_MEGABYTES: f64 = 100.0;

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// As it should be.
    Ok,
    /// Worth a look.
    Warning,
    /// Events are not captured, planned or delivered.
    Error,
}

/// One finding.
#[derive(Debug, Serialize)]
pub struct Finding {
    /// Stays the same from version to version.
    pub code: &'static str,
    /// How bad it is.
    pub level: Level,
    /// What was found.
    pub message: String,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}

/// All that was found.
#[derive(Debug, Serialize)]
pub struct Report {
    /// The worst of the findings.
    pub level: Level,
    /// What was found.
    pub findings: Vec<Finding>,
    /// The settings of the running daemon, or if there is none of the caller.
    pub settings: Vec<Listed>,
}

/// What was found so far.
#[derive(Default)]
struct Findings(Vec<Finding>);

impl Findings {
    fn ok(&mut self, code: &'static str, message: impl Into<String>) {
        self.0.push(Finding { code, level: Level::Ok, message: message.into(), hint: None });
    }

    fn warn(&mut self, code: &'static str, message: impl Into<String>, hint: impl Into<String>) {
        self.0.push(Finding { code, level: Level::Warning, message: message.into(), hint: Some(hint.into()) });
    }

    fn fail(&mut self, code: &'static str, message: impl Into<String>, hint: impl Into<String>) {
        self.0.push(Finding { code, level: Level::Error, message: message.into(), hint: Some(hint.into()) });
    }
}

/// Checks everything. What cannot be looked at is a finding, too.
pub async fn check(settings: &Settings) -> Report {
    let mut findings = Findings::default();
    let mut in_force = None;
    if let Err(error) = look(settings, &mut findings, &mut in_force).await {
        findings.fail("check", format!("{error:#}"), "fix this first; what comes after it could not be looked at");
    }
    let level = findings.0.iter().map(|finding| finding.level).max().unwrap_or(Level::Ok);
    let settings = in_force.unwrap_or_else(|| settings.listed.clone());
    Report { level, findings: findings.0, settings }
}

async fn look(settings: &Settings, findings: &mut Findings, in_force: &mut Option<Vec<Listed>>) -> Result<()> {
    let mut session = match pg::connect(&settings.server).await {
        Ok(session) => session,
        Err(error) => {
            findings.fail(
                "database",
                format!("{error:#}"),
                "is PostgreSQL up, and are the settings of the database right?",
            );
            return Ok(());
        }
    };
    findings.ok("database", format!("connected to the {}", settings.server.display()));
    let client = &mut session.client;
    if client.query_one("select pg_is_in_recovery() as is_standby", &[]).await?.get("is_standby") {
        findings.warn(
            "hot-standby",
            "this PostgreSQL is a hot standby; what follows is as of what it has replayed of its primary",
            "name the primary in the settings of the database: a daemon works on the primary alone",
        );
    }
    if let Err(error) = label_studio::check_server_version(client).await {
        findings.fail("postgresql", format!("{error:#}"), "upgrade PostgreSQL");
    }
    match label_studio::enter(client, settings.label_studio_schema.as_deref()).await {
        Err(error) => {
            findings.fail(
                "label-studio",
                format!("{error:#}"),
                "name Label Studio's database and schema by the settings",
            );
            return Ok(());
        }
        Ok(schema) => {
            findings.ok("label-studio", format!("its tables are in schema {schema}{}", newest_migration(client).await));
            for table in label_studio::unfit_tables(client, &schema).await? {
                let hint = "make the table as Label Studio has it; what cannot be seen or captured is not announced";
                match table.is_fatal {
                    true => findings.fail("tables", table.message, hint),
                    false => findings.warn("tables", table.message, hint),
                }
            }
        }
    }
    if !installation(client, findings).await? {
        return Ok(());
    }
    for (missing, consequence) in label_studio::unsupported_elements(client).await? {
        findings.warn("label-studio-version", format!("no {missing}: {consequence}"), "see docs/compatibility.md");
    }
    let catalog = Catalog::read(&session.statements.on(client), &settings.extra_fields).await?;
    let left_out = catalog.left_out();
    if !left_out.is_empty() {
        findings.warn(
            "left-out-fields",
            format!("payloads leave out what no version of Label Studio has: {}", left_out.join(", ")),
            "name it in the setting extra_fields where endpoints shall see it",
        );
    }
    *in_force = settings_in_force(client, &settings.listed, findings).await?;
    privileges(client, findings).await?;
    let status = status::read(client).await?;
    roles(&status, findings);
    for row in client.query(include_str!("../../sql/ops/daemon_faults.sql"), &[]).await? {
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
    queues(&status, PLANNING_SECONDS + settings.gather.import_limit.as_secs_f64(), findings);
    notifications(&status, findings);
    deliveries(&status, findings);
    capture(client, &status, findings).await?;
    failing_webhooks(client, findings).await?;
    adoptions(client, findings).await?;
    endpoints(client, settings, findings).await?;
    rules(client, findings).await?;
    Ok(())
}

/// The settings of the running daemon, if there is one, and where they are not those of this command.
async fn settings_in_force(client: &Client, own: &[Listed], findings: &mut Findings) -> Result<Option<Vec<Listed>>> {
    let rows = client.query(include_str!("../../sql/ops/settings_in_force.sql"), &[]).await?;
    let listed =
        |row: &tokio_postgres::Row| Listed { key: row.get("key"), value: row.get("value"), origin: row.get("origin") };
    let daemons: Vec<Listed> = rows.iter().map(listed).collect();
    if daemons.is_empty() {
        return Ok(None);
    }
    let value = |list: &[Listed], key: &str| list.iter().find(|each| each.key == key).map(|each| each.value.clone());
    let keys = daemons.iter().chain(own).filter(|each| !each.is_each_ones_own()).map(|each| each.key.as_str());
    for key in keys.collect::<BTreeSet<_>>() {
        let (theirs, ours) = (value(&daemons, key), value(own, key));
        if theirs != ours {
            let said = |value: Option<String>| value.map_or_else(|| "nothing".to_owned(), |value| format!("{value:?}"));
            findings.warn(
                "settings",
                format!("{key}: the running daemon uses {}, this command finds {}", said(theirs), said(ours)),
                "the daemon's is in force; restart the daemon where it should be the other, or run this command with the \
                 daemon's environment",
            );
        }
    }
    Ok(Some(daemons))
}

/// Rules that were written by SQL and cannot be used.
async fn rules(client: &Client, findings: &mut Findings) -> Result<()> {
    for rule::RuleInForce { rule, .. } in rule::in_force(client).await? {
        let wrong = Rule::from_row(&rule.to_string()).and_then(|rule| rule.check()).err();
        if let Some(error) = wrong {
            findings.fail(
                "rule",
                format!("rule {} of webhook {}: {error:#}", rule["name"], rule["webhook"]),
                "its events are delivered as if there were no rule; fix it in lshookd.rule, or by `lshookd rule apply`",
            );
        }
    }
    Ok(())
}

/// The youngest of Label Studio's migrations, if this role may see them.
async fn newest_migration(client: &Client) -> String {
    let row = client.query_opt(include_str!("../../sql/ops/newest_migration.sql"), &[]).await;
    row.ok().flatten().map_or_else(String::new, |row| {
        format!(", its newest migration is {} of {}", row.get::<_, String>("name"), row.get::<_, String>("applied"))
    })
}

/// Whether there is an installation that can be looked into.
async fn installation(client: &mut Client, findings: &mut Findings) -> Result<bool> {
    match install::state(client).await? {
        InstallState::Complete => {
            findings.ok("installation", "the schema is of this version, every trigger is installed and enabled")
        }
        InstallState::TriggersMissing(missing) => findings.fail(
            "triggers",
            format!("triggers are missing or disabled: {}", missing.join(", ")),
            "run `lshookd install`; what happened without them is not announced, `lshookd event backfill` can make up \
             for it",
        ),
        state @ (InstallState::Missing | InstallState::Outdated | InstallState::Newer) => {
            findings.fail("installation", state.problem(), state.remedy());
            return Ok(false);
        }
    }
    Ok(true)
}

async fn privileges(client: &Client, findings: &mut Findings) -> Result<()> {
    let row = client.query_one(include_str!("../../sql/ops/run_privileges.sql"), &[]).await?;
    let (role, lacking): (String, Vec<String>) = (row.get("role"), row.get("lacking"));
    if !lacking.is_empty() {
        findings.fail(
            "privileges",
            format!("role {role} lacks: {}", lacking.join(", ")),
            "grant it, or make the roles that `lshookd install --print-roles` prints",
        );
    } else if row.get("sees_activity") || !row.get::<_, bool>("is_daemons") {
        // Which role a daemon will run as, only it knows.
        findings.ok("privileges", format!("role {role} may do what the daemon does"));
    } else {
        findings.warn(
            "activity",
            format!("role {role} cannot see when Label Studio's connections are done, and goes by time alone"),
            format!("grant pg_read_all_stats to {role}"),
        );
    }
    Ok(())
}

fn roles(status: &Status, findings: &mut Findings) {
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

fn queues(status: &Status, stuck_seconds: f64, findings: &mut Findings) {
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

fn notifications(status: &Status, findings: &mut Findings) {
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

fn deliveries(status: &Status, findings: &mut Findings) {
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

async fn capture(client: &Client, status: &Status, findings: &mut Findings) -> Result<()> {
    if status.capture_errors > 0 {
        let row = client.query_one(include_str!("../../sql/plan/capture_errors.sql"), &[]).await?;
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
    Ok(())
}

async fn adoptions(client: &Client, findings: &mut Findings) -> Result<()> {
    let row = client.query_one(include_str!("../../sql/ops/released_webhooks.sql"), &[]).await?;
    let (released, delivered_twice): (Vec<WebhookId>, Vec<WebhookId>) =
        (row.get("released"), row.get("delivered_twice"));
    if !released.is_empty() {
        findings.warn(
            "released",
            format!("webhook {} is released: Label Studio delivers it, lshookd does not", listed(&released)),
            format!("`lshookd webhook adopt {}` adopts it again", arguments(&released, "ID ...")),
        );
    }
    for row in client.query(include_str!("../../sql/ops/disabled_webhooks.sql"), &[]).await? {
        let (webhook, pending): (WebhookId, i64) = (row.get("webhook_id"), row.get("pending"));
        findings.warn(
            "disabled",
            format!("webhook {webhook} is disabled: nobody delivers its {pending} pending deliveries"),
            format!(
                "`lshookd webhook update {webhook} --state active` delivers them, `lshookd delivery skip --webhook \
                 {webhook}` ends them"
            ),
        );
    }
    for (webhook, actions) in adoption::unknown_actions(client, None).await? {
        findings.warn(
            "unknown-actions",
            format!("webhook {webhook} asks for actions that lshookd does not have: {}", actions.join(", ")),
            "leave it to Label Studio: `lshookd webhook release ID` where it is adopted",
        );
    }
    match delivered_twice.is_empty() {
        true => findings.ok("delivered-twice", "no webhook is delivered twice"),
        false => findings.warn(
            "delivered-twice",
            format!("Label Studio and lshookd both deliver webhook {}", listed(&delivered_twice)),
            format!("`lshookd webhook adopt {}` leaves it to lshookd alone", arguments(&delivered_twice, "--all")),
        ),
    }
    Ok(())
}

/// Webhooks that only fail, and those that are paused for it.
async fn failing_webhooks(client: &Client, findings: &mut Findings) -> Result<()> {
    for row in client.query(include_str!("../../sql/ops/failing_webhooks.sql"), &[]).await? {
        let WebhookId(id) = row.get("webhook_id");
        let since = Timestamp::try_from(row.get::<_, SystemTime>("since"))?;
        match row.get("is_paused") {
            true => findings.warn(
                "paused-failing",
                format!("webhook {id} is paused by lshookd: it had only failed since {since}"),
                format!(
                    "fix its endpoint, then `lshookd webhook resume {id}` delivers what waited, and with --discard \
                     only what comes"
                ),
            ),
            false => findings.warn(
                "only-fails",
                format!("webhook {id} has only failed since {since}, and will be paused"),
                format!("fix its endpoint; `lshookd webhook test {id}` tries it"),
            ),
        }
    }
    Ok(())
}

async fn endpoints(client: &Client, settings: &Settings, findings: &mut Findings) -> Result<()> {
    for WebhookManner { id, manner } in webhook_option::unusual_manners(client).await? {
        findings.ok("delivery-options", format!("webhook {id} is {manner}"));
    }
    for row in client.query(include_str!("../../sql/ops/webhook_headers.sql"), &[]).await? {
        let headers: Option<Value> = row.get("headers");
        let ineffective = deliver::ineffective_headers(&headers.unwrap_or_default(), row.get("in_binary_mode"));
        if !ineffective.is_empty() {
            findings.warn(
                "headers",
                format!("webhook {}: its headers {} have no effect", row.get::<_, i64>("id"), ineffective.join(", ")),
                "lshookd sets them itself: take them out of the webhook",
            );
        }
    }
    let refused = deliver::refused_webhooks(client, &settings.egress).await?;
    for (webhook, reason) in &refused {
        findings.fail(
            "endpoint-refused",
            format!("webhook {webhook}: {reason}"),
            "add its network or name to the setting allow and restart the daemon; what is pending is delivered then",
        );
    }
    Ok(())
}

/// Ids as a command takes them, or what stands for so many that nobody would type them.
fn arguments(ids: &[WebhookId], of_many: &str) -> String {
    match ids.len() > NAMED {
        true => of_many.to_owned(),
        false => joined(ids, " "),
    }
}
