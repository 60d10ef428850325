//! The audit log: what people change by the console or by commands, who, when, and whether it was done. Promises that
//! nothing is changed which is not noted before. Relies on `lshookd.audit`.

use anyhow::{Context, Result};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tokio_postgres::Client;

use super::rows;

/// By what something is changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, strum::IntoStaticStr)]
#[serde(rename_all = "lowercase")]
#[strum(serialize_all = "lowercase")]
pub enum Way {
    /// The admin listener's pages.
    Console,
    /// The command line.
    Command,
}

/// What somebody is about to change.
#[derive(Debug, Clone)]
pub struct Change<'a> {
    /// Who.
    pub who: &'a str,
    /// By what.
    pub way: Way,
    /// What is done, as a command names it: `webhook pause`.
    pub what: &'a str,
    /// To what: `webhook 12`.
    pub subject: &'a str,
    /// How, without secrets.
    pub detail: Option<&'a str>,
}

/// Does a change, on another session, and notes it before and with how it ended.
///
/// # Errors
/// Those of the change, or when it cannot be noted; then nothing is changed.
pub async fn audited<T>(client: &Client, change: &Change<'_>, doing: impl Future<Output = Result<T>>) -> Result<T> {
    let id = begin(client, change).await?;
    let done = doing.await;
    let ended = end(client, id, failure(&done)).await;
    outcome(done, ended)
}

/// What became of a change, and of noting that.
///
/// # Errors
/// Those of the change, or of noting it.
pub fn outcome<T>(done: Result<T>, noted: Result<()>) -> Result<T> {
    match (done, noted) {
        (Ok(done), Ok(())) => Ok(done),
        (Ok(_), Err(error)) => Err(error.context("it was done, which could not be noted")),
        (Err(error), _) => Err(error),
    }
}

/// Why a change failed, as the log has it; `None` where it was done.
pub fn failure<T>(done: &Result<T>) -> Option<String> {
    done.as_ref().err().map(|error| format!("{error:#}"))
}

/// Notes how a change ended.
///
/// # Errors
/// When the database refuses.
pub async fn end(client: &Client, id: i64, failure: Option<String>) -> Result<()> {
    let ended = client.execute(include_str!("../../sql/ops/end_audit.sql"), &[&id, &failure]).await;
    ended.map(drop).context("noting the change in lshookd.audit")
}

/// Notes a change that is about to be made; its number.
///
/// # Errors
/// When the database refuses.
pub async fn begin(client: &Client, change: &Change<'_>) -> Result<i64> {
    let Change { who, way, what, subject, detail } = change;
    let way: &str = way.into();
    let query = include_str!("../../sql/ops/begin_audit.sql");
    let begun = client.query_one(query, &[who, &way, what, subject, detail]).await;
    Ok(begun.context("noting the change in lshookd.audit")?.get("id"))
}

/// Who runs a command: the account of this machine as far as the environment says, and the role in the database.
///
/// # Errors
/// When the database cannot be asked.
pub async fn account(client: &Client) -> Result<String> {
    let role: String = client.query_one("select current_user::text as role", &[]).await?.get("role");
    let account = ["SUDO_USER", "LOGNAME", "USER"].iter().find_map(|name| std::env::var(name).ok());
    Ok(match account.filter(|account| !account.is_empty()) {
        Some(account) => format!("{account} as {role}"),
        None => role,
    })
}

/// An entry of the log.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AuditEntry {
    /// Its number.
    pub id: i64,
    /// When it began.
    pub at: Timestamp,
    /// Who did it.
    pub who: String,
    /// By what.
    pub way: Way,
    /// What was done.
    pub what: String,
    /// To what.
    pub subject: String,
    /// How.
    pub detail: Option<String>,
    /// Why it was not done.
    pub failure: Option<String>,
}

/// The entries before one, or the newest; the newest first.
///
/// # Errors
/// When the database cannot be asked.
pub async fn entries(client: &Client, before: Option<i64>, limit: i64) -> Result<Vec<AuditEntry>> {
    rows(client, include_str!("../../sql/ops/audits.sql"), &[&before, &limit]).await.context("reading lshookd.audit")
}
