//! `check`: everything that can be wrong, each with what to do about it.
//!
//! Every finding has a stable code; `docs/troubleshooting.md` lists them.

mod database;
mod finding;
mod installation;
mod operation;
mod webhooks;

use anyhow::Result;
use serde::Serialize;
use tokio::join;

use super::status;
use crate::config::{Listed, Settings};
use finding::Findings;
pub use finding::{Finding, Level};

/// A change that is unplanned for so many seconds longer than an import may be gathered is stuck.
const PLANNING_SECONDS: f64 = 60.0;

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
    let Some(mut session) = database::connect(settings, findings).await? else {
        return Ok(());
    };
    if !installation::is_there(&mut session.client, findings).await? {
        return Ok(());
    }
    let client = &session.client;
    // One question does not wait for the answer to another.
    let (elements, settings_in_force, privileges, status, faults, failing, adoptions, endpoints, rules) = join!(
        database::elements(&session, settings),
        installation::settings_in_force(client, &settings.listed),
        installation::privileges(client),
        status::read(client),
        operation::faults(client),
        webhooks::failing(client),
        webhooks::adoptions(client),
        webhooks::endpoints(client, &settings.egress),
        webhooks::rules(client),
    );
    findings.extend(elements?);
    let (differences, daemons) = settings_in_force?;
    findings.extend(differences);
    *in_force = daemons;
    findings.extend(privileges?);
    let status = status?;
    operation::roles(&status, findings);
    findings.extend(faults?);
    operation::queues(&status, PLANNING_SECONDS + settings.gather.import_limit.as_secs_f64(), findings);
    operation::notifications(&status, findings);
    operation::deliveries(&status, findings);
    findings.extend(operation::capture(client, &status).await?);
    for found in [failing, adoptions, endpoints, rules] {
        findings.extend(found?);
    }
    Ok(())
}
