//! `check`: everything that can be wrong, each with what to do about it.
//!
//! Every finding has a stable code; `docs/troubleshooting.md` lists them.

use std::time::Duration;

use anyhow::Result;
use serde::Serialize;
use serde_json::{Value, json};
use tokio_postgres::Client;

use super::Output;
use super::adopt::listed;
use super::output::{plain, table};
use super::status;
use crate::catalog::Catalog;
use crate::install::{self, Fitness};
use crate::rule::Rule;
use crate::settings::{Listed, Settings};
use crate::{deliver, label_studio};

/// A change that waits for so many seconds longer than an import may be gathered is stuck.
const PLANNING: f64 = 60.0;

/// Queues that take more megabytes on disk than that are worth a word.
const LARGE_QUEUE: f64 = 100.0;

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
enum Level {
    Ok,
    Warning,
    Error,
}

/// One line of the answer.
#[derive(Debug, Serialize)]
struct Finding {
    code: &'static str,
    level: Level,
    message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    hint: Option<String>,
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

/// Checks everything; whether nothing is wrong, with `strict` not even a warning.
///
/// # Errors
/// Never for what it finds: that is in its answer.
pub async fn run(settings: &Settings, strict: bool, output: Output) -> Result<bool> {
    let mut findings = Findings::default();
    let mut in_force = None;
    if let Err(error) = look(settings, &mut findings, &mut in_force).await {
        findings.fail("check", format!("{error:#}"), "mend this first; what comes after it could not be looked at");
    }
    let worst = findings.0.iter().map(|finding| finding.level).max().unwrap_or(Level::Ok);
    print(&findings.0, in_force.as_deref().unwrap_or(&settings.listed), output);
    Ok(worst < if strict { Level::Warning } else { Level::Error })
}

async fn look(settings: &Settings, findings: &mut Findings, in_force: &mut Option<Vec<Listed>>) -> Result<()> {
    let mut session = match settings.server.connect().await {
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
    daemon(client, settings.gather.import_limit, findings).await?;
    hand_over(client, findings).await?;
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
    for key in keys.collect::<std::collections::BTreeSet<_>>() {
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
    for (row, _) in super::rules::in_use(client).await? {
        let wrong = Rule::from_row(&row.to_string()).and_then(|rule| rule.check()).err();
        if let Some(error) = wrong {
            findings.fail(
                "rule",
                format!("rule {} of webhook {}: {error:#}", row["name"], row["webhook"]),
                "its events are sent as if there were none; mend it in lshookd.rule, or by `lshookd rules apply`",
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
    match install::fitness(client).await? {
        Fitness::Complete => {
            findings.ok("installation", "the schema is of this version, every trigger is there and enabled")
        }
        Fitness::Missing => {
            findings.fail("installation", "lshookd is not installed in this database", "run `lshookd install`");
            return Ok(false);
        }
        Fitness::Outdated => {
            findings.fail("installation", "the installation is older than this lshookd", "run `lshookd install`");
            return Ok(false);
        }
        Fitness::Newer => {
            findings.fail("installation", "the installation is newer than this lshookd", "use the newer lshookd");
            return Ok(false);
        }
        Fitness::Triggers(missing) => findings.fail(
            "triggers",
            format!("triggers are missing or disabled: {}", missing.join(", ")),
            "run `lshookd install`; what happened without them is not announced, `lshookd backfill` can make up for it",
        ),
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
    } else if row.get("sees_activity") {
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

async fn daemon(client: &Client, import_limit: Duration, findings: &mut Findings) -> Result<()> {
    let status = status::read(client).await?;
    let at_work = status["at_work"].as_array().map(Vec::as_slice).unwrap_or_default();
    match at_work.iter().find(|daemon| daemon["role"] == "planner") {
        Some(planner) => {
            let since = planner["since"].as_str().map(|since| format!(" since {since}")).unwrap_or_default();
            findings.ok("daemon", format!("process {} of PostgreSQL's plans{since}", planner["pid"]));
        }
        None => findings.fail("daemon", "no daemon plans", "start it: systemctl start lshookd"),
    }
    if !at_work.iter().any(|daemon| daemon["role"] == "deliverer") {
        findings.fail("deliverer", "no daemon delivers", "start it: systemctl start lshookd, and see its log");
    }
    let figure = |key: &str| status[key].as_f64().unwrap_or_default();
    let number = |key: &str| status[key].as_i64().unwrap_or_default();
    let age = figure("oldest_change_seconds");
    let planning = format!("{} changes wait to be planned, the oldest for {age:.0} s", number("changes_waiting"));
    match age > PLANNING + import_limit.as_secs_f64() {
        true => {
            findings.warn("lag", planning, "a long import or storage sync may be under way; else see the daemon's log")
        }
        false => findings.ok("lag", planning),
    }
    let megabytes = |key: &str| figure(key) / 1_000_000.0;
    let grown = format!(
        "unplanned changes take {:.0} MB on disk, rows kept for them {:.0} MB",
        megabytes("changes_bytes"),
        megabytes("kept_rows_bytes")
    );
    match megabytes("changes_bytes") > LARGE_QUEUE || megabytes("kept_rows_bytes") > LARGE_QUEUE {
        true => findings.warn(
            "growth",
            grown,
            "while no daemon plans, changes and the rows that they need are kept; beyond 1 GB of rows, deleted objects \
             are announced by their ids alone",
        ),
        false => findings.ok("growth", grown),
    }
    if figure("notification_queue_usage") >= 0.5 {
        findings.warn(
            "notifications",
            format!("PostgreSQL's queue of notifications is {:.0} % full", figure("notification_queue_usage") * 100.0),
            "some session listens and stays in a transaction, in any database of the cluster: find it in \
             pg_stat_activity and end it; until then lshookd looks for changes by itself, and Label Studio is not affected",
        );
    } else if status["has_prepared_transactions"] == true {
        findings.ok(
            "notifications",
            "the server allows prepared transactions, so that writers do not notify: lshookd looks for changes 5 times a \
             second",
        );
    }
    findings.ok(
        "backlog",
        format!(
            "{} deliveries wait, the oldest for {:.0} s",
            number("deliveries_pending"),
            figure("oldest_delivery_seconds")
        ),
    );
    if number("dead") > 0 {
        findings.warn(
            "dead-letters",
            format!("{} deliveries were given up", number("dead")),
            "`lshookd deliveries --state dead` shows them, `lshookd replay --state dead` sends them again",
        );
    }
    if number("capture_errors") > 0 {
        let row = client.query_one(include_str!("../../sql/plan/capture_errors.sql"), &[]).await?;
        let last: Option<String> = row.get("last");
        findings.fail(
            "capture",
            format!(
                "{} changes could not be captured, the last: {}",
                number("capture_errors"),
                last.unwrap_or_default()
            ),
            "run `lshookd install`, then delete from lshookd.capture_error; `lshookd backfill` can make up for them",
        );
    }
    if number("set_aside") > 0 {
        findings.fail(
            "set-aside",
            format!("{} changes could not be made into events", number("set_aside")),
            "see lshookd.change_set_aside; when the cause is fixed: select lshookd.requeue_set_aside()",
        );
    }
    if status["all_paused"] == true {
        findings.warn("paused", "all deliveries are paused", "`lshookd resume --all` lets them go on");
    } else if let Some(paused) = status["paused"].as_array().filter(|paused| !paused.is_empty()) {
        let ids: Vec<i64> = paused.iter().filter_map(Value::as_i64).collect();
        findings.warn("paused", format!("webhook {} is paused", listed(&ids)), "`lshookd resume ID` lets it go on");
    }
    let failing: Vec<i64> =
        status["failing"].as_array().into_iter().flatten().filter_map(|lane| lane["webhook_id"].as_i64()).collect();
    for lane in status["failing"].as_array().into_iter().flatten() {
        findings.warn(
            "endpoint-fails",
            format!(
                "webhook {} in project {}: {} attempts failed, the last with: {}",
                lane["webhook_id"],
                lane["project_id"],
                lane["attempts"],
                lane["last_error"].as_str().unwrap_or("no answer")
            ),
            format!("see `lshookd deliveries {}`; it is tried again, and nothing is lost", lane["delivery_id"]),
        );
    }
    if failing.is_empty() {
        findings.ok("endpoints", "no endpoint fails");
    }
    Ok(())
}

async fn hand_over(client: &Client, findings: &mut Findings) -> Result<()> {
    let row = client.query_one(include_str!("../../sql/ops/handed_back.sql"), &[]).await?;
    let (handed_back, doubled): (Vec<i64>, Vec<i64>) = (row.get("handed_back"), row.get("doubled"));
    if !handed_back.is_empty() {
        findings.warn(
            "handed-back",
            format!("Label Studio delivers webhook {} again, and lshookd has stepped back", listed(&handed_back)),
            format!("`lshookd adopt {}` hands it over again", spaced(&handed_back)),
        );
    }
    for (webhook, actions) in super::adopt::unknown_actions(client, None).await? {
        findings.warn(
            "unknown-actions",
            format!("webhook {webhook} asks for actions that lshookd cannot make: {}", actions.join(", ")),
            "leave it to Label Studio: `lshookd release ID` where it is adopted",
        );
    }
    match doubled.is_empty() {
        true => findings.ok("doubled", "no webhook is delivered twice"),
        false => findings.warn(
            "doubled",
            format!("Label Studio and lshookd both deliver webhook {}", listed(&doubled)),
            format!("`lshookd adopt {}` leaves it to lshookd alone", spaced(&doubled)),
        ),
    }
    Ok(())
}

async fn endpoints(client: &Client, settings: &Settings, findings: &mut Findings) -> Result<()> {
    let refused = deliver::refused_webhooks(client, &settings.egress).await?;
    for (webhook, reason) in &refused {
        findings.fail(
            "endpoint-refused",
            format!("webhook {webhook}: {reason}"),
            "add its network or name to LSHOOKD_ALLOW and restart the daemon; what waits is sent then",
        );
    }
    Ok(())
}

fn spaced(ids: &[i64]) -> String {
    ids.iter().map(i64::to_string).collect::<Vec<_>>().join(" ")
}

fn print(findings: &[Finding], settings: &[Listed], output: Output) {
    if output.json {
        let worst = findings.iter().map(|finding| finding.level).max().unwrap_or(Level::Ok);
        say!("{}", json!({ "level": worst, "findings": findings, "settings": settings }));
        return;
    }
    let rows: Vec<Value> = findings
        .iter()
        .map(|finding| {
            let hint = finding.hint.as_deref().map(|hint| format!("\n→ {hint}")).unwrap_or_default();
            json!({ "level": finding.level, "code": finding.code, "text": plain(&format!("{}{hint}", finding.message)) })
        })
        .collect();
    say!("{}", table(&rows, &[("level", ""), ("code", "CHECK"), ("text", "FOUND")]));
    let set = settings.iter().filter(|setting| setting.origin != Listed::DEFAULT);
    let set: Vec<Value> = set.map(|setting| json!(setting)).collect();
    if !set.is_empty() {
        say!("\n{}", table(&set, &[("key", "SETTING"), ("value", "VALUE"), ("origin", "FROM")]));
    }
}
