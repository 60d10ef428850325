//! Where Label Studio's tables are, and whether they are what lshookd knows.
//!
//! Relies on Label Studio's table names, which have not changed since 1.0, and on a few columns;
//! what a version does not have is said, and the rest works. All other columns are looked up in
//! the catalog.

pub mod catalog;
mod fields;

use anyhow::{Context, Result};
use tokio_postgres::{Client, GenericClient};

/// PostgreSQL 13, the oldest that is supported.
const OLDEST_POSTGRESQL: i32 = 130_000;

/// The schema beside which lshookd is installed, which must be the wanted one.
///
/// # Errors
/// When this is no Label Studio database, lshookd is installed beside another schema, or the database cannot be asked.
pub async fn enter(client: &Client, wanted: Option<&str>) -> Result<String> {
    let Some(installed) = installed_schema(client).await? else {
        return locate(client, wanted).await;
    };
    match wanted {
        Some(wanted) if wanted != installed => fail!(
            LabelStudio,
            "lshookd is installed beside schema {installed}, and the setting label_studio_schema names {wanted}; change \
             the setting, or uninstall and install again"
        ),
        _ => Ok(installed),
    }
}

/// The schema of the tables that capture watches, if there is one.
///
/// # Errors
/// When the database cannot be asked.
pub async fn installed_schema(client: &Client) -> Result<Option<String>> {
    let there = "select to_regclass('lshookd.label_studio') is not null as there";
    if !client.query_one(there, &[]).await?.get::<_, bool>("there") {
        return Ok(None);
    }
    let found = client.query_opt("select name::text from lshookd.label_studio", &[]).await;
    Ok(found.context("looking for Label Studio's tables")?.map(|row| row.get("name")))
}

/// Finds the schema of Label Studio's tables.
///
/// # Errors
/// When this is no Label Studio database, or there are several and none was named.
pub async fn locate(client: &Client, wanted: Option<&str>) -> Result<String> {
    let rows = client
        .query(include_str!("../sql/label_studio/locate_label_studio.sql"), &[])
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
    let query = "select current_setting('server_version_num')::integer as number, \
                 current_setting('server_version') as version";
    let row = client.query_one(query, &[]).await?;
    let number: i32 = row.get("number");
    if number < OLDEST_POSTGRESQL {
        fail!(Postgresql, "PostgreSQL {} is too old: lshookd needs 13 or newer", row.get::<_, String>("version"));
    }
    Ok(())
}

/// Tables and columns that lshookd relies on and this version of Label Studio does not have, each
/// with what follows.
pub async fn unsupported_elements(client: &impl GenericClient) -> Result<Vec<(String, String)>> {
    let rows = client.query(include_str!("../sql/label_studio/unsupported_elements.sql"), &[]).await;
    let rows = rows.context("comparing Label Studio's tables with what lshookd knows")?;
    Ok(rows.iter().map(|row| (row.get("missing"), row.get("consequence"))).collect())
}

/// Something about one of Label Studio's tables.
pub struct UnfitTable {
    /// Which table, and what.
    pub message: String,
    /// Whether it cannot be captured, or would run the code of others.
    pub is_fatal: bool,
}

/// What of Label Studio's tables in a schema is not as Label Studio makes them.
///
/// # Errors
/// When the database cannot be asked.
pub async fn unfit_tables(client: &impl GenericClient, schema: &str) -> Result<Vec<UnfitTable>> {
    let rows = client.query(include_str!("../sql/install/unfit_tables.sql"), &[&schema]).await;
    let unfit = |row: &tokio_postgres::Row| UnfitTable {
        message: format!("table {}: {}", row.get::<_, &str>("relation"), row.get::<_, &str>("reason")),
        is_fatal: row.get("is_fatal"),
    };
    Ok(rows.context("looking at Label Studio's tables")?.iter().map(unfit).collect())
}

/// How many active webhooks there are: each of them Label Studio posts to as well.
pub async fn active_webhooks(client: &impl GenericClient) -> Result<i64> {
    let row = client.query_one(include_str!("../sql/label_studio/active_webhooks.sql"), &[]).await?;
    Ok(row.get("active"))
}

/// The sentence about webhooks that both would deliver, if there are any.
pub fn twice_warning(active: i64) -> Option<String> {
    (active > 0).then(|| {
        format!(
            "{active} active webhook{} in Label Studio's table: Label Studio itself posts to {}, too, so \
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
