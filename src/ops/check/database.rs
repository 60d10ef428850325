//! The database, and whether it is Label Studio's.

use anyhow::Result;
use tokio_postgres::Client;

use super::finding::Findings;
use crate::config::Settings;
use crate::label_studio;
use crate::label_studio::catalog::Catalog;
use crate::pg::{self, Session};

/// A session in Label Studio's database; without one nothing else can be looked at.
pub async fn connect(settings: &Settings, findings: &mut Findings) -> Result<Option<Session>> {
    let session = match pg::connect(&settings.server).await {
        Ok(session) => session,
        Err(error) => {
            findings.fail(
                "database",
                format!("{error:#}"),
                "is PostgreSQL up, and are the settings of the database right?",
            );
            return Ok(None);
        }
    };
    findings.ok("database", format!("connected to the {}", settings.server.display()));
    let client = &session.client;
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
            Ok(None)
        }
        Ok(schema) => {
            findings.ok("label-studio", format!("its tables are in schema {schema}{}", newest_migration(client).await));
            tables(client, &schema, findings).await?;
            Ok(Some(session))
        }
    }
}

async fn tables(client: &Client, schema: &str, findings: &mut Findings) -> Result<()> {
    for table in label_studio::unfit_tables(client, schema).await? {
        let hint = "make the table as Label Studio has it; what cannot be seen or captured is not announced";
        match table.is_fatal {
            true => findings.fail("tables", table.message, hint),
            false => findings.warn("tables", table.message, hint),
        }
    }
    Ok(())
}

/// The youngest of Label Studio's migrations, if this role may see them.
async fn newest_migration(client: &Client) -> String {
    let row = client.query_opt(include_str!("../../../sql/ops/newest_migration.sql"), &[]).await;
    row.ok().flatten().map_or_else(String::new, |row| {
        format!(", its newest migration is {} of {}", row.get::<_, String>("name"), row.get::<_, String>("applied"))
    })
}

/// What this version of Label Studio lacks, and what it has that no payload shows.
pub async fn elements(session: &Session, settings: &Settings) -> Result<Findings> {
    let mut findings = Findings::default();
    let client = &session.client;
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
    Ok(findings)
}
