//! Where Label Studio's tables are, and whether they are what lshookd knows.
//!
//! Relies on Label Studio's table names, which have not changed since 1.0, and on a few columns;
//! what a version does not have is said, and the rest works. All other columns are looked up in
//! the catalog.

use anyhow::{Context, Result};
use tokio_postgres::{Client, GenericClient};

/// PostgreSQL 13, the oldest that is supported.
const OLDEST_POSTGRESQL: i32 = 130_000;

/// Finds the schema of Label Studio's tables and puts it first on the session's search path.
///
/// # Errors
/// When this is no Label Studio database, or there are several and none was named.
pub async fn enter(client: &Client, wanted: Option<&str>) -> Result<String> {
    let schema = locate(client, wanted).await?;
    client.execute(include_str!("../sql/enter_schema.sql"), &[&schema]).await?;
    Ok(schema)
}

async fn locate(client: &Client, wanted: Option<&str>) -> Result<String> {
    let rows = client
        .query(include_str!("../sql/locate_label_studio.sql"), &[])
        .await
        .context("looking for Label Studio's tables")?;
    let found: Vec<(String, Vec<String>)> = rows.iter().map(|row| (row.get("schema"), row.get("missing"))).collect();
    let complete: Vec<&String> = found.iter().filter(|(_, missing)| missing.is_empty()).map(|(name, _)| name).collect();
    if let Some(wanted) = wanted {
        return match found.iter().find(|(name, _)| name == wanted) {
            Some((name, missing)) if missing.is_empty() => Ok(name.clone()),
            Some((name, missing)) => fail!(
                LabelStudio,
                "schema {name} lacks Label Studio's {}; has Label Studio finished its migrations?",
                missing.join(", ")
            ),
            None => fail!(
                LabelStudio,
                "schema {wanted} (setting label_studio_schema) has none of Label Studio's tables, or may not be seen"
            ),
        };
    }
    match (complete.as_slice(), found.first()) {
        ([only], _) => Ok((*only).clone()),
        ([], Some((name, missing))) => fail!(
            LabelStudio,
            "no Label Studio here: schema {name} comes nearest, but lacks {}; has Label Studio finished its migrations?",
            missing.join(", ")
        ),
        ([], None) => fail!(
            LabelStudio,
            "no Label Studio here: none of its tables (project, task, task_completion, webhook, …) is in this \
             database, or this role may not see them; check the settings of the database"
        ),
        (several, _) => fail!(
            LabelStudio,
            "several schemas hold Label Studio's tables ({}); name one by the setting label_studio_schema",
            several.iter().map(|name| name.as_str()).collect::<Vec<_>>().join(", ")
        ),
    }
}

/// Refuses a server that is too old.
pub async fn check_server_version(client: &Client) -> Result<()> {
    let row = client.query_one(include_str!("../sql/server_version.sql"), &[]).await?;
    let number: i32 = row.get("number");
    if number < OLDEST_POSTGRESQL {
        fail!(Postgresql, "PostgreSQL {} is too old: lshookd needs 13 or newer", row.get::<_, String>("version"));
    }
    Ok(())
}

/// Tables and columns that lshookd relies on and this version of Label Studio does not have, each
/// with what follows.
pub async fn not_understood(client: &impl GenericClient) -> Result<Vec<(String, String)>> {
    let rows = client.query(include_str!("../sql/not_understood.sql"), &[]).await;
    let rows = rows.context("comparing Label Studio's tables with what lshookd knows")?;
    Ok(rows.iter().map(|row| (row.get("missing"), row.get("consequence"))).collect())
}

/// How many active webhooks there are: each of them Label Studio posts to as well.
pub async fn active_webhooks(client: &impl GenericClient) -> Result<i64> {
    let row = client.query_one(include_str!("../sql/active_webhooks.sql"), &[]).await?;
    Ok(row.get("active"))
}

/// The sentence about webhooks that both would deliver, if there are any.
pub fn twice_warning(active: i64) -> Option<String> {
    (active > 0).then(|| {
        format!(
            "{active} active webhook{} in Label Studio's table: Label Studio goes on posting to {} itself, so \
             {} endpoint{} receive{} every event from both. Tell them apart by User-Agent (lshookd/VERSION), or by \
             webhook-id, which Label Studio does not send",
            if active == 1 { "" } else { "s" },
            if active == 1 { "it" } else { "them" },
            if active == 1 { "its" } else { "their" },
            if active == 1 { "" } else { "s" },
            if active == 1 { "s" } else { "" },
        )
    })
}
