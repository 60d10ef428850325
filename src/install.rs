//! Installing: our schema by migrations, then the triggers on Label Studio's tables.
//!
//! Promises: run twice, or twice at the same moment, it changes nothing the second time; it
//! never makes a busy Label Studio queue behind it, for it waits for a table's lock only
//! briefly and tries again.

use std::time::Duration;

use anyhow::{Context, Result, bail};
use refinery::{Migration, Runner};
use tokio::time::sleep;
use tokio_postgres::error::SqlState;
use tokio_postgres::{Client, GenericClient};

use crate::database::{Server, explain};
use crate::label_studio;

mod migrations {
    refinery::embed_migrations!("sql/migrations");
}

const HISTORY: &str = "lshookd.migration";
const LOCK_ATTEMPTS: u32 = 60;
const LOCK_PAUSE: Duration = Duration::from_secs(1);
const ROOM_ATTEMPTS: u32 = 20;
const ROOM_PAUSE: Duration = Duration::from_millis(100);

/// The triggers: name, table, and the statement that creates it. One that an older lshookd made of the same
/// name with another function is replaced; what the new one relies on comes before it.
const TRIGGERS: &[(&str, &str, &str)] = &[
    ("lshookd_task_insert", "task", include_str!("../sql/trigger/task_insert.sql")),
    ("lshookd_task_moves", "task", include_str!("../sql/trigger/task_moves.sql")),
    ("lshookd_task_update", "task", include_str!("../sql/trigger/task_update.sql")),
    ("lshookd_task_delete", "task", include_str!("../sql/trigger/task_delete.sql")),
    ("lshookd_annotation_insert", "task_completion", include_str!("../sql/trigger/annotation_insert.sql")),
    ("lshookd_annotation_update", "task_completion", include_str!("../sql/trigger/annotation_update.sql")),
    ("lshookd_annotation_delete", "task_completion", include_str!("../sql/trigger/annotation_delete.sql")),
    ("lshookd_project_insert", "project", include_str!("../sql/trigger/project_insert.sql")),
    ("lshookd_project_update", "project", include_str!("../sql/trigger/project_update.sql")),
    ("lshookd_project_delete", "project", include_str!("../sql/trigger/project_delete.sql")),
    ("lshookd_webhook_update", "webhook", include_str!("../sql/trigger/webhook_update.sql")),
    ("lshookd_label_link_insert", "labels_manager_labellink", include_str!("../sql/trigger/label_link_insert.sql")),
    ("lshookd_label_link_update", "labels_manager_labellink", include_str!("../sql/trigger/label_link_update.sql")),
    ("lshookd_label_link_delete", "labels_manager_labellink", include_str!("../sql/trigger/label_link_delete.sql")),
];

/// What an installation lacks.
#[derive(Debug, PartialEq, Eq)]
pub enum Fitness {
    /// Nothing.
    Complete,
    /// Our schema is not there.
    Missing,
    /// It is older than this binary.
    Outdated,
    /// It is newer than this binary.
    Newer,
    /// These triggers are missing or disabled.
    Triggers(Vec<String>),
}

/// Installs or upgrades, or with `dry_run` prints what would be run; says on standard output
/// what it did.
///
/// # Errors
/// When this is no Label Studio database, a privilege is missing, or a table stayed locked.
pub async fn run(server: &Server, schema: Option<&str>, dry_run: bool) -> Result<()> {
    let mut session = server.connect().await?;
    let client = &mut session.client;
    label_studio::check_server_version(client).await?;
    let schema = label_studio::enter(client, schema).await?;
    check_privileges(client, &schema).await?;
    if dry_run {
        return print_plan(client, &schema).await;
    }
    // Released with the session. Polled, for a statement that waits would hold back vacuum.
    while !client.query_one(include_str!("../sql/try_install_lock.sql"), &[]).await?.get::<_, bool>("locked") {
        sleep(Duration::from_millis(200)).await;
    }
    let applied = migrate(client).await?;
    reserve_room(client).await?;
    let attached = attach(client).await?;
    client.batch_execute(include_str!("../sql/watch.sql")).await.context("watching for what is wanted")?;
    client.batch_execute(include_str!("../sql/drop_replaced.sql")).await.context("dropping replaced functions")?;
    if applied.is_empty() && attached.is_empty() {
        say!("lshookd is installed in schema lshookd beside Label Studio's schema {schema}; nothing to do.");
    } else {
        for migration in &applied {
            say!("applied migration {migration}");
        }
        for trigger in &attached {
            say!("created trigger {trigger}");
        }
        say!("lshookd is installed in schema lshookd beside Label Studio's schema {schema}.");
    }
    for (missing, consequence) in label_studio::not_understood(client).await? {
        say!("Note: this version of Label Studio has no {missing}: {consequence}.");
    }
    if let Some(warning) = label_studio::twice_warning(label_studio::active_webhooks(client).await?) {
        say!("Note: {warning}.");
    }
    Ok(())
}

/// Prints what a superuser runs by psql for an owner's and a daemon's role.
///
/// # Errors
/// When this is no Label Studio database.
pub async fn print_roles(server: &Server, schema: Option<&str>) -> Result<()> {
    let session = server.connect().await?;
    let schema = label_studio::enter(&session.client, schema).await?;
    let row = session.client.query_one(include_str!("../sql/label_studio_role.sql"), &[&schema]).await?;
    say!(r"\set owner 'lshookd_owner'");
    say!(r"\set daemon 'lshookd'");
    say!(r"\set label_studio_schema {}", row.get::<_, String>("schema"));
    say!(r"\set label_studio_role {}", row.get::<_, String>("role"));
    say!("{}", include_str!("../sql/roles.sql").trim());
    Ok(())
}

/// Compares what is installed with this binary.
pub async fn fitness(client: &mut Client) -> Result<Fitness> {
    let newest = runner().get_migrations().iter().map(Migration::version).max().unwrap_or_default();
    let version = match applied(client).await?.iter().map(Migration::version).max() {
        None => return Ok(Fitness::Missing),
        Some(version) => version,
    };
    if version < newest {
        return Ok(Fitness::Outdated);
    }
    if version > newest {
        return Ok(Fitness::Newer);
    }
    let missing = missing_triggers(client).await?;
    Ok(if missing.is_empty() {
        Fitness::Complete
    } else {
        Fitness::Triggers(missing.iter().map(|(name, _)| (*name).to_owned()).collect())
    })
}

fn runner() -> Runner {
    let mut runner = migrations::migrations::runner().set_abort_missing(false);
    runner.set_migration_table_name(HISTORY);
    runner
}

async fn check_privileges(client: &Client, schema: &str) -> Result<()> {
    let row = client.query_one(include_str!("../sql/install_privileges.sql"), &[]).await?;
    let lacking: Vec<String> = row.get("lacking");
    if !lacking.is_empty() {
        fail!(
            Privileges,
            "role {} lacks what installing beside schema {schema} takes: {}; grant it, or install as the owner of \
             Label Studio's tables",
            row.get::<_, String>("role"),
            lacking.join(", ")
        );
    }
    Ok(())
}

async fn applied(client: &mut Client) -> Result<Vec<Migration>> {
    let installed: bool = client.query_one(include_str!("../sql/is_installed.sql"), &[]).await?.get("installed");
    if !installed {
        return Ok(Vec::new());
    }
    runner().get_applied_migrations_async(client).await.context("reading lshookd.migration")
}

async fn migrate(client: &mut Client) -> Result<Vec<Migration>> {
    client.batch_execute(include_str!("../sql/create_schema.sql")).await.context("creating schema lshookd")?;
    let report = runner().run_async(client).await.context("migrating schema lshookd")?;
    Ok(report.applied_migrations().clone())
}

/// Makes room in the queue before it is needed. An old snapshot somewhere keeps the room of an index
/// from being used again, so it is tried until nothing grows any more, or for a while.
async fn reserve_room(client: &mut Client) -> Result<()> {
    for _ in 0..ROOM_ATTEMPTS {
        let transaction = client.transaction().await?;
        let before = room(&transaction).await?;
        let filled = transaction.batch_execute(include_str!("../sql/reserve_room.sql")).await;
        filled.context("reserving room in lshookd.change")?;
        let grown = room(&transaction).await? > before;
        transaction.rollback().await?;
        // The pages of an index are free for new entries with the second vacuum.
        for _ in 0..2 {
            client.batch_execute(include_str!("../sql/free_room.sql")).await.context("vacuuming lshookd.change")?;
        }
        if !grown {
            return Ok(());
        }
        sleep(ROOM_PAUSE).await;
    }
    // It will be free when the snapshot is gone and autovacuum has come by.
    Ok(())
}

async fn room(client: &impl GenericClient) -> Result<i64> {
    Ok(client.query_one(include_str!("../sql/room.sql"), &[]).await?.get("bytes"))
}

/// Names and statements of the triggers that are not there, but for those of tables that this
/// version of Label Studio does not have.
async fn missing_triggers(client: &Client) -> Result<Vec<(&'static str, &'static str)>> {
    let wanted: Vec<&str> = TRIGGERS.iter().map(|(_, relation, _)| *relation).collect();
    let row = client.query_one(include_str!("../sql/enabled_triggers.sql"), &[&wanted]).await?;
    let (present, relations): (Vec<String>, Vec<String>) = (row.get("triggers"), row.get("relations"));
    let listed = |list: &[String], name: &str| list.iter().any(|there| there == name);
    let missing = TRIGGERS.iter().filter(|(name, relation, create)| {
        listed(&relations, relation) && !listed(&present, &format!("{name} {}", function(create)))
    });
    Ok(missing.map(|(name, _, create)| (*name, *create)).collect())
}

/// The function that a trigger calls, from the statement that creates it.
fn function(create: &str) -> &str {
    create.split_once("execute function ").and_then(|(_, call)| call.split_once('(')).map_or("", |(name, _)| name)
}

/// Creates the triggers that are missing or disabled, each with a short wait for its lock.
async fn attach(client: &mut Client) -> Result<Vec<&'static str>> {
    let missing = missing_triggers(client).await?;
    for (name, create) in &missing {
        with_patience(name, async || {
            let transaction = client.transaction().await?;
            transaction.batch_execute(include_str!("../sql/short_lock_timeout.sql")).await?;
            transaction.execute(include_str!("../sql/drop_trigger.sql"), &[name]).await?;
            transaction.batch_execute(create).await?;
            transaction.commit().await
        })
        .await?;
    }
    Ok(missing.into_iter().map(|(name, _)| name).collect())
}

/// Runs a step that takes a table's lock, again and again while the table is busy.
pub async fn with_patience(what: &str, mut step: impl AsyncFnMut() -> Result<(), tokio_postgres::Error>) -> Result<()> {
    for attempt in 1..=LOCK_ATTEMPTS {
        match step().await {
            Ok(()) => return Ok(()),
            Err(error) if error.code() == Some(&SqlState::LOCK_NOT_AVAILABLE) && attempt < LOCK_ATTEMPTS => {
                if attempt % 10 == 1 {
                    say!("{what}: the table is busy, trying again");
                }
                sleep(LOCK_PAUSE).await;
            }
            Err(error) if error.code() == Some(&SqlState::LOCK_NOT_AVAILABLE) => fail!(
                TableLocked,
                "{what}: Label Studio's table stayed locked for {} s; look for long transactions in \
                 pg_stat_activity and run the command again",
                u64::from(LOCK_ATTEMPTS) * LOCK_PAUSE.as_secs()
            ),
            Err(error) => bail!("{what}: {}", explain(&error)),
        }
    }
    Ok(())
}

async fn print_plan(client: &mut Client, schema: &str) -> Result<()> {
    let done: Vec<i32> = applied(client).await?.iter().map(Migration::version).collect();
    say!("-- What `lshookd install` would run beside Label Studio's schema {schema}.");
    say!("{}", include_str!("../sql/create_schema.sql").trim());
    let mut migrations = runner().get_migrations().clone();
    migrations.retain(|migration| !done.contains(&migration.version()));
    // They come by name, V10 before V2.
    migrations.sort_by_key(Migration::version);
    for migration in &migrations {
        say!("\n-- Migration {migration}; recorded in {HISTORY}.");
        say!("{}", migration.sql().unwrap_or_default().trim());
    }
    say!("\n-- In a transaction that is rolled back, so that only the room stays; and then twice: vacuum.");
    let statements = [include_str!("../sql/reserve_room.sql"), include_str!("../sql/free_room.sql")];
    for line in statements.into_iter().flat_map(|sql| sql.trim().lines()) {
        say!("-- {line}");
    }
    say!("\n-- The triggers, each in a transaction with a short lock_timeout, on the search path of that schema.");
    for (name, create) in missing_triggers(client).await? {
        say!("select lshookd.drop_trigger('{name}');\n{}", create.trim());
    }
    say!("\n{}", include_str!("../sql/watch.sql").trim());
    say!("\n{}", include_str!("../sql/drop_replaced.sql").trim());
    Ok(())
}
