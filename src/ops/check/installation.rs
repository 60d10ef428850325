//! What is installed, by which settings it runs, and whether it may do what it does.

use std::collections::BTreeSet;

use anyhow::Result;
use tokio_postgres::{Client, Row};

use super::finding::Findings;
use crate::config::Listed;
use crate::schema::install::{self, InstallState};

/// Whether there is an installation that can be looked into.
pub async fn is_there(client: &mut Client, findings: &mut Findings) -> Result<bool> {
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

/// The settings of the running daemon, if there is one, and where they are not those of this command.
pub async fn settings_in_force(client: &Client, own: &[Listed]) -> Result<(Findings, Option<Vec<Listed>>)> {
    let mut findings = Findings::default();
    let rows = client.query(include_str!("../../../sql/ops/settings_in_force.sql"), &[]).await?;
    let listed = |row: &Row| Listed { key: row.get("key"), value: row.get("value"), origin: row.get("origin") };
    let daemons: Vec<Listed> = rows.iter().map(listed).collect();
    if daemons.is_empty() {
        return Ok((findings, None));
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
    Ok((findings, Some(daemons)))
}

/// Whether the role of the daemon may do what it does.
pub async fn privileges(client: &Client) -> Result<Findings> {
    let mut findings = Findings::default();
    let row = client.query_one(include_str!("../../../sql/ops/run_privileges.sql"), &[]).await?;
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
    Ok(findings)
}
