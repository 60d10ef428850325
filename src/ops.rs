//! Operations: what the command line and the page do for an operator, on a session of their own beside the daemon.
//!
//! Promises: each takes and returns values and prints nothing; URLs are returned without credentials. Relies on an
//! installation of this very version, which [`connect`] makes sure of.

pub mod adoption;
pub mod attempt;
pub mod audit;
pub mod backfill;
pub mod check;
pub mod dead_letter;
pub mod delivery;
pub mod event;
pub mod lane;
pub mod pause;
pub mod rule;
pub mod sample;
pub mod search;
pub mod secret;
pub mod status;
pub mod tap;
pub mod token;
pub mod transition;
pub mod uninstall;
pub mod webhook;
pub mod webhook_change;
pub mod webhook_option;

use anyhow::Result;
use serde::de::DeserializeOwned;
use tokio_postgres::error::SqlState;
use tokio_postgres::types::{Json, ToSql};
use tokio_postgres::{Client, GenericClient};

use crate::config::Settings;
use crate::error::{Code, Failure};
use crate::label_studio;
use crate::model::WebhookId;
use crate::pg;
use crate::schema::install;

/// So many things of one kind are named to a reader; there may be ten thousand.
pub const NAMED: usize = 20;

/// Ids as they are listed to a reader: `1, 2, 3`; of many the first, and how many others there are.
pub fn listed(ids: &[WebhookId]) -> String {
    let named = joined(&ids[..ids.len().min(NAMED)], ", ");
    match ids.len().saturating_sub(NAMED) {
        0 => named,
        others => format!("{named} and {others} others"),
    }
}

/// All of the ids, with this between them.
pub fn joined(ids: &[WebhookId], separator: &str) -> String {
    ids.iter().map(WebhookId::to_string).collect::<Vec<_>>().join(separator)
}

/// Connects, and makes sure that lshookd is installed in this database, in this version.
///
/// # Errors
/// When the database cannot be reached, is not Label Studio's, or has no such installation.
pub async fn connect(settings: &Settings) -> Result<Client> {
    let mut session = pg::connect(&settings.server).await?;
    label_studio::check_server_version(&session.client).await?;
    label_studio::enter(&session.client, settings.label_studio_schema.as_deref()).await?;
    install::state(&mut session.client).await?.check_usable()?;
    Ok(session.client)
}

/// Makes the lanes of some webhooks due at once, or with `None` those of all.
async fn wake_lanes(client: &impl GenericClient, ids: Option<&[WebhookId]>) -> Result<()> {
    client.execute("select lshookd.wake_lanes($1::bigint[])", &[&ids]).await?;
    Ok(())
}

/// Refuses ids that are no webhooks.
///
/// # Errors
/// When there is one, or the database cannot be asked.
pub async fn check_known(client: &Client, ids: &[WebhookId]) -> Result<()> {
    let rows = client.query(include_str!("../sql/ops/unknown_webhooks.sql"), &[&ids]).await?;
    let unknown: Vec<String> = rows.iter().map(|row| row.get::<_, i64>("webhook_id").to_string()).collect();
    if !unknown.is_empty() {
        fail!(UnknownWebhook, "Label Studio has no webhook {}; `lshookd webhook list` lists them", unknown.join(", "));
    }
    Ok(())
}

/// Refuses an id that is no project.
async fn check_project(client: &Client, id: i64) -> Result<()> {
    let row = client.query_one(include_str!("../sql/ops/unknown_project.sql"), &[&id]).await?;
    if row.get("is_unknown") {
        fail!(UnknownProject, "Label Studio has no project {id}");
    }
    Ok(())
}

/// Says which right is lacking where Label Studio's own tables are written.
fn explain_write(error: tokio_postgres::Error) -> anyhow::Error {
    if error.code() == Some(&SqlState::INSUFFICIENT_PRIVILEGE) {
        return Failure::new(
            Code::Privileges,
            format!(
                "{}; run this command as Label Studio's role or as the owner that `lshookd install --print-roles` \
                 creates, and where Label Studio has new tables run again what that prints",
                pg::explain(&error)
            ),
        )
        .into();
    }
    if error.code() == Some(&SqlState::LOCK_NOT_AVAILABLE) {
        let what = "one of Label Studio's tables is in use by a long transaction; look for it in pg_stat_activity and \
                    run the command again";
        return Failure::new(Code::TableLocked, what.to_owned()).into();
    }
    anyhow::anyhow!(pg::explain(&error))
}

/// Rows of a query that gives one JSON object each, under the name `row`.
async fn rows<T: DeserializeOwned>(client: &Client, sql: &str, parameters: &[&(dyn ToSql + Sync)]) -> Result<Vec<T>> {
    let rows = client.query(sql, parameters).await?;
    rows.iter().map(|row| Ok(row.try_get::<_, Json<T>>("row")?.0)).collect()
}
