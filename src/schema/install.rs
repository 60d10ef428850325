//! Installing: our tables by migrations, then functions and views, then the triggers on Label Studio's tables.
//!
//! Promises: afterwards every object is as this version has it, whatever it was before; run twice, or twice at the
//! same moment, it changes nothing the second time; it never makes a busy Label Studio queue behind it, for it waits
//! for a table's lock only briefly and retries.

use std::time::Duration;

use anyhow::{Context, Result, bail};
use refinery::{Migration, Runner};
use tokio::time::sleep;
use tokio_postgres::error::SqlState;
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, GenericClient};

use super::objects::{self, Trigger, in_schema};
use crate::config::Server;
use crate::error::{Code, Failure};
use crate::label_studio;
use crate::pg::lock::{self, LockKey};
use crate::pg::{self, explain};

mod migrations {
    refinery::embed_migrations!("sql/migrations");
}

const HISTORY: &str = "lshookd.migration";
/// Everything of ours is in it; Label Studio's schema gets triggers and nothing else.
const CREATE_SCHEMA: &str = "create schema if not exists lshookd;";
const OUR_TRIGGERS: &str = include_str!("../../sql/install/our_triggers.sql");
const GRANTS: &str = include_str!("../../sql/install/grants.sql");
const ACCESS_ROLE: &str = include_str!("../../sql/install/access_role.sql");
const DROP_TRIGGER: &str = include_str!("../../sql/install/drop_trigger.sql");
/// Triggers for what webhooks want beyond Label Studio's actions, also on tables that are new.
const WATCH: &str = "select lshookd.watch_as_wanted();";
/// Gives the room of deleted rows back to new ones.
const FREE_ROOM: &str = "vacuum lshookd.change, lshookd.capture_error;";
const ROOM: &str =
    "select pg_total_relation_size('lshookd.change') + pg_total_relation_size('lshookd.capture_error') as bytes";
const LOCK_ATTEMPTS: u32 = 60;
const LOCK_PAUSE: Duration = Duration::from_secs(1);
const ROOM_ATTEMPTS: u32 = 20;
const ROOM_PAUSE: Duration = Duration::from_millis(100);

/// What an installation lacks.
#[derive(Debug, PartialEq, Eq)]
pub enum InstallState {
    /// Nothing.
    Complete,
    /// Our schema is not there.
    Missing,
    /// It is older than this binary.
    Outdated,
    /// It is newer than this binary.
    Newer,
    /// These triggers are missing or disabled.
    TriggersMissing(Vec<String>),
}

impl InstallState {
    /// What is wrong, in a sentence.
    pub fn problem(&self) -> &'static str {
        match self {
            InstallState::Complete => "nothing is missing",
            InstallState::Missing => "lshookd is not installed in this database",
            InstallState::Outdated => "the installation is older than this lshookd",
            InstallState::Newer => "the installation is newer than this lshookd",
            InstallState::TriggersMissing(_) => "triggers are missing or disabled",
        }
    }

    /// What to do about it.
    pub fn remedy(&self) -> &'static str {
        match self {
            InstallState::Newer => "use the newer lshookd",
            InstallState::Complete => "nothing is to be done",
            InstallState::Missing | InstallState::Outdated | InstallState::TriggersMissing(_) => {
                "run `lshookd install`"
            }
        }
    }

    /// Refuses an installation that this program cannot work with; missing triggers are for the planner to report.
    ///
    /// # Errors
    /// Then.
    pub fn check_usable(&self) -> Result<()> {
        let code = match self {
            InstallState::Complete | InstallState::TriggersMissing(_) => return Ok(()),
            InstallState::Missing => Code::NotInstalled,
            InstallState::Outdated | InstallState::Newer => Code::Version,
        };
        Err(Failure::new(code, format!("{}; {}", self.problem(), self.remedy())).into())
    }
}

/// Installs or upgrades, or with `dry_run` tells the SQL that would be run. What it does, `tell` is told line by line.
///
/// # Errors
/// When this is no Label Studio database, a privilege is missing, or a table stayed locked.
pub async fn install(server: &Server, schema: Option<&str>, dry_run: bool, tell: impl Fn(&str)) -> Result<()> {
    let mut session = pg::connect(server).await?;
    let client = &mut session.client;
    label_studio::check_server_version(client).await?;
    let schema = label_studio::locate(client, schema).await?;
    refuse_newer(client).await?;
    check_privileges(client, &schema).await?;
    let notes = check_tables(client, &schema).await?;
    if dry_run {
        return tell_plan(client, &schema, &tell).await;
    }
    // Released with the session: two installations at the same moment, and the second waits for its turn.
    let statements = session.statements.clone();
    while !lock::try_lock(&statements.on(client), LockKey::Install).await? {
        sleep(Duration::from_millis(200)).await;
    }
    let before = digest(client).await?;
    let applied = migrate(client).await?;
    create_objects(client, &schema).await?;
    reserve_room(client).await?;
    let attached = attach(client, &schema, &tell).await?;
    // Their functions are replaced above; what they watch is on Label Studio's tables, and may be new.
    with_retries("watching triggers", &tell, async || client.batch_execute(WATCH).await).await?;
    // Watching functions are given to the roles like the others.
    client.batch_execute(GRANTS).await.context("granting rights in schema lshookd")?;
    if applied.is_empty() && attached.is_empty() && before == digest(client).await? {
        tell(&format!("lshookd is installed in schema lshookd beside Label Studio's schema {schema}; nothing to do."));
    } else {
        for migration in &applied {
            tell(&format!("applied migration {migration}"));
        }
        for trigger in &attached {
            tell(&format!("created trigger {trigger}"));
        }
        tell(&format!("lshookd is installed in schema lshookd beside Label Studio's schema {schema}."));
    }
    for note in notes {
        tell(&format!("Note: {note}."));
    }
    for (missing, consequence) in label_studio::unsupported_elements(client).await? {
        tell(&format!("Note: this version of Label Studio has no {missing}: {consequence}."));
    }
    if let Some(warning) = label_studio::twice_warning(label_studio::active_webhooks(client).await?) {
        tell(&format!("Note: {warning}."));
    }
    Ok(())
}

/// What a superuser runs by psql for the roles of the owner, the daemon and the functions.
///
/// # Errors
/// When this is no Label Studio database.
pub async fn roles(server: &Server, schema: Option<&str>) -> Result<String> {
    let session = pg::connect(server).await?;
    let schema = label_studio::locate(&session.client, schema).await?;
    let row = session.client.query_one(include_str!("../../sql/install/label_studio_role.sql"), &[&schema]).await?;
    Ok(format!(
        "\\set name 'lshookd'\n\\set label_studio_schema {}\n{}",
        row.get::<_, String>("schema"),
        include_str!("../../sql/install/roles.sql").trim()
    ))
}

/// Compares what is installed with this binary.
///
/// # Errors
/// When the database cannot be asked.
pub async fn state(client: &mut Client) -> Result<InstallState> {
    match state_of_tables(client).await? {
        InstallState::Complete => {}
        other => return Ok(other),
    }
    let missing = missing_triggers(client).await?;
    Ok(if missing.is_empty() { InstallState::Complete } else { InstallState::TriggersMissing(missing) })
}

/// The names of the triggers that are missing or disabled.
///
/// # Errors
/// When the database cannot be asked.
pub async fn missing_triggers(client: &Client) -> Result<Vec<String>> {
    let Some(schema) = label_studio::installed_schema(client).await? else {
        return Ok(vec!["lshookd_task_insert".to_owned()]);
    };
    Ok(to_attach(client, &schema).await?.into_iter().map(|trigger| trigger.name).collect())
}

/// The same of our tables alone.
async fn state_of_tables(client: &mut Client) -> Result<InstallState> {
    let newest = runner().get_migrations().iter().map(Migration::version).max().unwrap_or_default();
    Ok(match applied(client).await?.iter().map(Migration::version).max() {
        None => InstallState::Missing,
        Some(version) if version < newest => InstallState::Outdated,
        Some(version) if version > newest => InstallState::Newer,
        Some(_) => InstallState::Complete,
    })
}

fn runner() -> Runner {
    let mut runner = migrations::migrations::runner().set_abort_missing(false);
    runner.set_migration_table_name(HISTORY);
    runner
}

/// An older lshookd must not put its own functions and triggers into the place of a newer one's.
async fn refuse_newer(client: &mut Client) -> Result<()> {
    if state_of_tables(client).await? == InstallState::Newer {
        fail!(Version, "the installation is newer than this lshookd, and was not changed; use the newer lshookd");
    }
    Ok(())
}

async fn check_privileges(client: &Client, schema: &str) -> Result<()> {
    let reader: Option<String> = client.query_one(ACCESS_ROLE, &[]).await?.get("name");
    let query = include_str!("../../sql/install/install_privileges.sql");
    let row = client.query_one(query, &[&schema, &reader]).await?;
    let lacking: Vec<String> = row.get("lacking");
    if !lacking.is_empty() {
        fail!(
            Privileges,
            "role {} lacks what installing beside schema {schema} takes: {}; grant it, run what `lshookd install \
             --print-roles` prints, or install as the owner of Label Studio's tables",
            row.get::<_, String>("role"),
            lacking.join(", ")
        );
    }
    Ok(())
}

/// Refuses tables that cannot be captured; what else is unusual of them.
async fn check_tables(client: &Client, schema: &str) -> Result<Vec<String>> {
    let unfit = label_studio::unfit_tables(client, schema).await?;
    let fatal: Vec<&str> = unfit.iter().filter(|each| each.is_fatal).map(|each| each.message.as_str()).collect();
    if !fatal.is_empty() {
        fail!(LabelStudio, "Label Studio's tables in schema {schema} cannot be captured: {}", fatal.join("; "));
    }
    Ok(unfit.into_iter().map(|each| each.message).collect())
}

async fn applied(client: &mut Client) -> Result<Vec<Migration>> {
    if !is_installed(client).await? {
        return Ok(Vec::new());
    }
    runner().get_applied_migrations_async(client).await.context("reading lshookd.migration")
}

/// Whether there is a history of migrations.
///
/// # Errors
/// When the database cannot be asked.
pub async fn is_installed(client: &Client) -> Result<bool> {
    let row = client.query_one("select to_regclass('lshookd.migration') is not null as installed", &[]).await?;
    Ok(row.get("installed"))
}

async fn migrate(client: &mut Client) -> Result<Vec<Migration>> {
    client.batch_execute(CREATE_SCHEMA).await.context("creating schema lshookd")?;
    let report = runner().run_async(client).await.context("migrating schema lshookd")?;
    Ok(report.applied_migrations().clone())
}

/// Creates or replaces all functions and views, drops those of other versions, and grants what the roles need: all
/// at once or not at all.
async fn create_objects(client: &mut Client, schema: &str) -> Result<()> {
    let transaction = client.transaction().await?;
    transaction.batch_execute("set local check_function_bodies = off").await?;
    for object in objects::functions().iter().chain(&objects::views()) {
        let created = transaction.batch_execute(&in_schema(object.sql, schema)).await;
        created.with_context(|| format!("creating lshookd.{}", object.name))?;
    }
    let names = |objects: Vec<objects::Object>| objects.iter().map(|object| object.name).collect::<Vec<_>>();
    let known: [&(dyn ToSql + Sync); 2] = [&names(objects::functions()), &names(objects::views())];
    for row in transaction.query(include_str!("../../sql/install/unknown_objects.sql"), &known).await? {
        let dropped = transaction.batch_execute(row.get("statement")).await;
        dropped.with_context(|| format!("dropping lshookd.{}", row.get::<_, &str>("name")))?;
    }
    transaction.batch_execute(OUR_TRIGGERS).await.context("creating the triggers of schema lshookd")?;
    transaction.batch_execute(GRANTS).await.context("granting rights in schema lshookd")?;
    transaction.commit().await.context("creating functions and views")
}

/// What our schema holds, in short: two that are the same tell that nothing was changed.
async fn digest(client: &Client) -> Result<String> {
    Ok(client.query_one(include_str!("../../sql/install/digest.sql"), &[]).await?.get("digest"))
}

/// Makes room in the queue before it is needed. An old snapshot somewhere keeps the room of an index
/// from being used again, so it is tried until nothing grows any more, or for a while.
async fn reserve_room(client: &mut Client) -> Result<()> {
    for _ in 0..ROOM_ATTEMPTS {
        let transaction = client.transaction().await?;
        let before = room(&transaction).await?;
        let filled = transaction.batch_execute(include_str!("../../sql/install/reserve_room.sql")).await;
        filled.context("reserving room in lshookd.change")?;
        let grown = room(&transaction).await? > before;
        transaction.rollback().await?;
        // The pages of an index are free for new entries with the second vacuum.
        for _ in 0..2 {
            client.batch_execute(FREE_ROOM).await.context("vacuuming lshookd.change")?;
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
    Ok(client.query_one(ROOM, &[]).await?.get("bytes"))
}

/// The triggers that are not there as this version has them, but for those of tables that this version of Label
/// Studio does not have.
async fn to_attach(client: &Client, schema: &str) -> Result<Vec<Trigger>> {
    let mut triggers = objects::triggers(schema);
    let wanted: Vec<&str> = triggers.iter().map(|trigger| trigger.table).collect();
    let query = include_str!("../../sql/install/installed_triggers.sql");
    let row = client.query_one(query, &[&schema, &wanted]).await?;
    let (present, relations): (Vec<String>, Vec<String>) = (row.get("triggers"), row.get("relations"));
    triggers.retain(|trigger| {
        let is_enabled = |state: &str| present.contains(&format!("{} {state}", trigger.definition()));
        relations.iter().any(|table| table == trigger.table) && !is_enabled("O") && !is_enabled("A")
    });
    Ok(triggers)
}

/// Creates the triggers that are missing, disabled or other than they should be, each with a short wait for its lock.
/// A trigger of that name goes with its function, which the role that installs may drop though the table is not its.
async fn attach(client: &mut Client, schema: &str, tell: &impl Fn(&str)) -> Result<Vec<String>> {
    let missing = to_attach(client, schema).await?;
    let functions = objects::functions();
    for trigger in &missing {
        let name = trigger.function.trim_start_matches("lshookd.");
        let function = functions.iter().find(|object| object.name == name).context("a trigger without a function")?;
        with_retries(&trigger.name, tell, async || {
            let transaction = client.transaction().await?;
            transaction.batch_execute("set local lock_timeout = '1s'").await?;
            transaction.execute(DROP_TRIGGER, &[&schema, &trigger.table, &trigger.name]).await?;
            transaction.batch_execute(&in_schema(function.sql, schema)).await?;
            transaction.batch_execute(&trigger.create).await?;
            transaction.batch_execute(GRANTS).await?;
            transaction.commit().await
        })
        .await?;
    }
    Ok(missing.into_iter().map(|trigger| trigger.name).collect())
}

/// Runs a step that takes a table's lock, and retries it while the table is busy.
///
/// # Errors
/// When the table stayed locked, or PostgreSQL refuses.
pub async fn with_retries(
    what: &str,
    tell: &impl Fn(&str),
    mut step: impl AsyncFnMut() -> Result<(), tokio_postgres::Error>,
) -> Result<()> {
    for attempt in 1..=LOCK_ATTEMPTS {
        match step().await {
            Ok(()) => return Ok(()),
            Err(error) if error.code() == Some(&SqlState::LOCK_NOT_AVAILABLE) && attempt < LOCK_ATTEMPTS => {
                if attempt % 10 == 1 {
                    tell(&format!("{what}: the table is busy, trying again"));
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

async fn tell_plan(client: &mut Client, schema: &str, tell: &impl Fn(&str)) -> Result<()> {
    let done: Vec<i32> = applied(client).await?.iter().map(Migration::version).collect();
    tell(&format!("-- What `lshookd install` would run beside Label Studio's schema {schema}."));
    tell(CREATE_SCHEMA);
    let mut migrations = runner().get_migrations().clone();
    migrations.retain(|migration| !done.contains(&migration.version()));
    // They come by name, V10 before V2.
    migrations.sort_by_key(Migration::version);
    for migration in &migrations {
        tell(&format!("\n-- Migration {migration}; recorded in {HISTORY}."));
        tell(migration.sql().unwrap_or_default().trim());
    }
    tell("\n-- Functions and views, in one transaction; those of other versions are dropped.");
    tell("begin;\nset local check_function_bodies = off;");
    for object in objects::functions().iter().chain(&objects::views()) {
        tell(&format!("\n{}", in_schema(object.sql, schema).trim()));
    }
    tell(&format!("\n{}", OUR_TRIGGERS.trim()));
    tell(&format!("\n{}\ncommit;", GRANTS.trim()));
    tell("\n-- In a transaction that is rolled back, so that only the room stays; and then twice: vacuum.");
    let statements = [include_str!("../../sql/install/reserve_room.sql"), FREE_ROOM];
    for line in statements.into_iter().flat_map(|sql| sql.trim().lines()) {
        tell(&format!("-- {line}"));
    }
    tell("\n-- The triggers, each in a transaction with a short lock_timeout.");
    for trigger in to_attach(client, schema).await? {
        tell(trigger.create.trim());
    }
    tell(&format!("\n{WATCH}"));
    Ok(())
}
