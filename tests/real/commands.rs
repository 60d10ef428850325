//! The commands, and what they say when something is wrong.

use anyhow::Result;
use lshookd_testbed::daemon::Lshookd;
use lshookd_testbed::postgres::Database;
use serde_json::json;

use crate::test_env::{TestEnv, label_studio_database, lshookd, server};

/// The schema of a database as SQL.
async fn dump(database: &Database) -> Result<String> {
    database.dump(&["--schema-only"]).await
}

#[tokio::test(flavor = "multi_thread")]
async fn installing_twice_changes_nothing_and_uninstalling_leaves_no_trace() -> Result<()> {
    let database = label_studio_database("trace").await?;
    let lshookd = lshookd(&database);
    let before = dump(&database).await?;
    let said = lshookd.succeed(&["install"]).await?;
    assert!(said.contains("created trigger lshookd_task_insert"), "{said}");
    let installed = dump(&database).await?;
    assert!(lshookd.succeed(&["install"]).await?.contains("nothing to do"));
    assert_eq!(dump(&database).await?, installed);
    let refused = lshookd.command(&["uninstall"]).await?;
    assert_eq!(refused.status.code(), Some(1));
    assert!(String::from_utf8(refused.stderr)?.contains("add --yes"));
    assert_eq!(dump(&database).await?, installed);
    lshookd.succeed(&["uninstall", "--yes"]).await?;
    assert_eq!(dump(&database).await?, before);
    assert!(lshookd.succeed(&["uninstall", "--yes"]).await?.contains("not installed"));
    Ok(())
}

/// Set `LSHOOKD_TEST_UPDATE` to write the dump anew. What pg_dump writes differs from version to version: it is
/// PostgreSQL 15's, as Debian 12 has it.
#[tokio::test(flavor = "multi_thread")]
async fn the_dump_of_the_schema_is_what_is_installed() -> Result<()> {
    let (server, _) = server().await?;
    let database = label_studio_database("dumped_schema").await?;
    lshookd(&database).succeed(&["install"]).await?;
    let dump = database.dump(&["--schema-only", "--schema=lshookd", "--no-owner", "--no-privileges"]).await?;
    let is_noise =
        |line: &&str| line.starts_with("--") || line.starts_with("SET ") || line.starts_with("SELECT pg_catalog.set");
    let mut lines: Vec<&str> = dump.lines().filter(|line| !is_noise(line)).collect();
    lines.dedup_by(|one, other| one.trim().is_empty() && other.trim().is_empty());
    let text = format!(
        "-- What is installed, as pg_dump writes it. Made by a test; see CONTRIBUTING.md.\n{}\n",
        lines.join("\n")
    );
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/sql/schema.sql");
    if std::env::var_os("LSHOOKD_TEST_UPDATE").is_some() {
        return Ok(std::fs::write(path, text)?);
    }
    if server.major().await? == 15 {
        assert!(std::fs::read_to_string(path)? == text, "sql/schema.sql is not what is installed");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_settings_in_force_are_those_of_the_running_daemon() -> Result<()> {
    let env = TestEnv::new("inforce").await?;
    let daemon = env.lshookd.clone().with("LSHOOKD_GATHER_LIMIT", "4s").with("LSHOOKD_ADMIN_PASSWORD", "open-sesame");
    let _daemon = daemon.run().await?;
    let check = env.lshookd.command(&["check", "--json"]).await?;
    let check: serde_json::Value = serde_json::from_slice(&check.stdout)?;
    let of = |key: &str| check["settings"].as_array().unwrap().iter().find(|each| each["key"] == key).cloned();
    let limit = of("gather_limit").unwrap();
    assert_eq!((&limit["value"], &limit["origin"]), (&json!("4s"), &json!("environment LSHOOKD_GATHER_LIMIT")));
    assert_eq!(of("admin_password").unwrap()["value"], "(hidden)");
    let differ: Vec<&serde_json::Value> =
        check["findings"].as_array().unwrap().iter().filter(|finding| finding["code"] == "settings").collect();
    assert_eq!(differ.len(), 2, "{differ:#?}");
    assert!(!check.to_string().contains("open-sesame"));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn files_of_settings_are_read_and_what_cannot_be_read_is_said() -> Result<()> {
    let env = TestEnv::new("files").await?;
    let folder = tempfile::tempdir()?;
    let path = |name: &str| folder.path().join(name).display().to_string();
    // Characters that a shell would make something of.
    std::fs::write(
        path("environment"),
        "LSHOOKD_ALLOW=10.1.0.0/16\nLSHOOKD_ADMIN_PASSWORD=a$b;c&d|e`f`\n# LSHOOKD_POLL=1h\n",
    )?;
    let listed = env.lshookd.command(&["check", "--json", "--environment-file", &path("environment")]).await?;
    let listed: serde_json::Value = serde_json::from_slice(&listed.stdout)?;
    assert!(listed["settings"].to_string().contains("10.1.0.0/16"), "{listed:#}");
    let missing = env.lshookd.command(&["status", "--config", &path("nothing.toml")]).await?;
    assert_eq!(missing.status.code(), Some(2));
    // Names that others set are ignored aloud, and a mistake in one of ours is found.
    let kubernetes =
        env.lshookd.clone().with("LSHOOKD_PORT", "tcp://10.0.0.1:9187").with("LSHOOKD_SERVICE_HOST", "10.0.0.1");
    let output = kubernetes.command(&["status"]).await?;
    assert!(output.status.success() && String::from_utf8_lossy(&output.stderr).contains("LSHOOKD_PORT"));
    assert!(env.lshookd.clone().with("DATABASE_URL", "").succeed(&["status"]).await.is_ok());
    Ok(())
}

/// Every object is as this version has it after an installation, whatever it was before.
#[tokio::test(flavor = "multi_thread")]
async fn an_installation_repairs_every_object() -> Result<()> {
    let env = TestEnv::new("repaired").await?;
    env.create_webhook(&env.receiver.url("/more"), &["--project", "1", "--actions", "DRAFT_CREATED,TASKS_COMPLETED"])
        .await?;
    let good = env.database.dump(&["--schema-only"]).await?;
    let functions = "select format('%s', oid::regprocedure) as name, pg_get_functiondef(oid) as text
                     from pg_proc where pronamespace = 'lshookd'::regnamespace and prorettype = 'trigger'::regtype";
    for row in env.sql.query(functions, &[]).await? {
        let broken = row.get::<_, String>("text").replacen("begin", "begin return null;", 1);
        env.run(&broken).await?;
    }
    env.run(
        "create or replace view lshookd.lag as
             select 0::bigint as changes_unplanned, 0::float8 as oldest_change_seconds, 0::bigint as deliveries_pending,
                    0::float8 as oldest_delivery_seconds;
         create function lshookd.left_over() returns integer language sql as 'select 1';
         grant execute on function lshookd.rotate_secret(bigint) to public;
         alter table task disable trigger lshookd_task_insert;
         drop trigger lshookd_project_update on project;
         create trigger lshookd_project_update after update on project
             for each row when (false) execute function lshookd.capture_project_update()",
    )
    .await?;
    env.lshookd.succeed(&["install"]).await?;
    assert_eq!(env.database.dump(&["--schema-only"]).await?, good);
    assert!(env.lshookd.succeed(&["install"]).await?.contains("nothing to do"));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn two_installations_at_the_same_moment_do_no_harm() -> Result<()> {
    let database = label_studio_database("race").await?;
    let (a, b, c) = (lshookd(&database), lshookd(&database), lshookd(&database));
    let (a, b, c) = tokio::join!(a.succeed(&["install"]), b.succeed(&["install"]), c.succeed(&["install"]));
    let said = [a?, b?, c?];
    assert_eq!(said.iter().filter(|text| text.contains("nothing to do")).count(), 2, "{said:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dry_run_prints_the_sql_and_changes_nothing() -> Result<()> {
    let database = label_studio_database("dry").await?;
    let before = dump(&database).await?;
    let sql = lshookd(&database).succeed(&["install", "--dry-run"]).await?;
    assert!(sql.contains("create table lshookd.change") && sql.contains("create trigger lshookd_project_update"));
    assert_eq!(dump(&database).await?, before);
    // What it prints is SQL that a DBA can run.
    let client = database.connect().await?;
    client.batch_execute(&sql).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upgrade_replaces_triggers_that_call_another_function() -> Result<()> {
    let database = label_studio_database("replaced").await?;
    let lshookd = lshookd(&database);
    lshookd.succeed(&["install"]).await?;
    let client = database.connect().await?;
    client
        .batch_execute(
            "create function lshookd.capture_task_move() returns trigger language plpgsql as 'begin return null; end';
             drop trigger lshookd_task_update on task;
             create trigger lshookd_task_update after update on task
                 for each statement execute function lshookd.capture_task_move()",
        )
        .await?;
    assert!(lshookd.succeed(&["install"]).await?.contains("created trigger lshookd_task_update"));
    assert!(lshookd.succeed(&["install"]).await?.contains("nothing to do"));
    let left = "select count(*) from pg_proc where proname = 'capture_task_move'";
    assert_eq!(client.query_one(left, &[]).await?.get::<_, i64>(0), 0);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn installing_waits_for_a_busy_table_without_holding_anybody_up() -> Result<()> {
    let database = label_studio_database("busy").await?;
    let mut blocker = database.connect().await?;
    let transaction = blocker.transaction().await?;
    transaction.batch_execute("lock table task in row exclusive mode").await?;
    let lshookd = lshookd(&database);
    let installing = lshookd.succeed(&["install"]);
    let working = async {
        // Writers get through between the attempts.
        let writer = database.connect().await?;
        for _ in 0..10 {
            let start = std::time::Instant::now();
            writer.batch_execute("update task set is_labeled = false").await?;
            assert!(start.elapsed() < std::time::Duration::from_millis(1500));
            tokio::time::sleep(std::time::Duration::from_millis(200)).await;
        }
        transaction.commit().await?;
        anyhow::Ok(())
    };
    let (installed, worked) = tokio::join!(installing, working);
    worked?;
    assert!(installed?.contains("created trigger lshookd_task_insert"));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn both_commands_warn_of_webhooks_that_label_studio_posts_to_as_well() -> Result<()> {
    let env = crate::test_env::TestEnv::new("twice").await?;
    env.webhook("/project", "{}").await?;
    assert!(env.lshookd.succeed(&["install"]).await?.contains("1 active webhook in Label Studio's table"));
    let daemon = env.lshookd.run().await?;
    assert!(daemon.log().contains("1 active webhook in Label Studio's table"));
    Ok(())
}

/// Exit code and message of a command that fails.
async fn failure(lshookd: &Lshookd, arguments: &[&str]) -> Result<(Option<i32>, String)> {
    let output = lshookd.command(arguments).await?;
    Ok((output.status.code(), String::from_utf8(output.stderr)?))
}

#[tokio::test(flavor = "multi_thread")]
async fn errors_name_what_is_wrong_and_what_to_do() -> Result<()> {
    let (server, _) = server().await?;
    let empty = server.create("empty", None).await?;
    let expect = async |lshookd: Lshookd, arguments: &[&str], code: i32, words: &[&str]| {
        let (status, message) = failure(&lshookd, arguments).await?;
        assert_eq!(status, Some(code), "{message}");
        words.iter().for_each(|word| assert!(message.contains(word), "{message:?} lacks {word:?}"));
        assert!(!message.contains("hidden"), "{message}");
        anyhow::Ok(())
    };
    expect(lshookd(&empty), &["install"], 1, &["no Label Studio here"]).await?;
    expect(lshookd(&empty).with("LSHOOKD_LABEL_STUDIO_SCHEMA", "studio"), &["install"], 1, &["label_studio_schema"])
        .await?;
    expect(lshookd(&empty).with("LSHOOKD_SETTLE", "soon"), &["run"], 2, &["settle", "LSHOOKD_SETTLE"]).await?;
    expect(
        lshookd(&empty).with("LSHOOKD_SETLE", "1s"),
        &["run"],
        2,
        &["LSHOOKD_SETLE", "did you mean LSHOOKD_SETTLE?"],
    )
    .await?;
    expect(lshookd(&empty), &["run", "--settle", "soon"], 2, &["flag --settle"]).await?;
    expect(lshookd(&empty), &["run", "--config", "/nowhere/lshookd.toml"], 2, &["/nowhere/lshookd.toml"]).await?;
    expect(lshookd(&empty).with("POSTGRE_PORT", "1"), &["run"], 1, &["postgre_host", "127.0.0.1:1"]).await?;
    expect(lshookd(&empty).with("DATABASE_URL", "postgres://me:hidden@127.0.0.1:1/ls"), &["run"], 1, &["database_url"])
        .await?;
    let bare = label_studio_database("bare").await?;
    expect(lshookd(&bare), &["run"], 1, &["lshookd install"]).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_role_without_privileges_is_told_which_it_lacks() -> Result<()> {
    let database = label_studio_database("roles").await?;
    let client = database.connect().await?;
    let role = &database.name;
    client.batch_execute(&format!("create role {role} login password 'nobody'")).await?;
    let lshookd = lshookd(&database).with("POSTGRE_USER", role).with("POSTGRE_PASSWORD", "nobody");
    let (code, message) = failure(&lshookd, &["install"]).await?;
    assert_eq!(code, Some(1));
    assert!(message.contains("CREATE on database") && message.contains("TRIGGER on table task"), "{message}");
    client.batch_execute(&format!("drop role {role}")).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_owners_role_removes_what_it_installed() -> Result<()> {
    let env = TestEnv::new("owner").await?;
    env.lshookd.succeed(&["uninstall", "--yes"]).await?;
    assert_eq!(env.number("select count(*) from pg_trigger where tgname like 'lshookd%'").await?, 0);
    assert_eq!(env.number("select count(*) from pg_namespace where nspname = 'lshookd'").await?, 0);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn label_studio_may_live_in_another_schema() -> Result<()> {
    let database = label_studio_database("schema").await?;
    let client = database.connect().await?;
    client.batch_execute(r#"alter schema public rename to "Label Studio"; create schema public"#).await?;
    let said = lshookd(&database).succeed(&["install"]).await?;
    assert!(said.contains("schema Label Studio"), "{said}");
    Ok(())
}

/// Everything that the program prints or records, with the most talkative log, on good ways and bad.
#[tokio::test(flavor = "multi_thread")]
async fn no_secret_is_ever_printed() -> Result<()> {
    const SECRETS: [&str; 4] = ["swordfish", "open-sesame", "dXNlcjpzd29yZGZpc2g", "xyzzy"];
    let env = TestEnv::new("secrets").await?;
    let url = env.receiver.url("/project").replace("http://", "http://user:swordfish@");
    let more = json!({"url": url, "headers": {"Authorization": "Bearer open-sesame"}}).to_string();
    env.webhook("/project", &more).await?;
    env.webhook("/", r#"{"url": "https://user:swordfish@127.0.0.1:1/", "headers": {"X-Key": "open-sesame\n"}}"#)
        .await?;
    env.webhook("/", r#"{"url": "gopher://user:swordfish@[", "headers": {"X Key": "open-sesame"}}"#).await?;
    let signing: String = env.sql.query_one("select lshookd.rotate_secret(1)", &[]).await?.get(0);
    let role = &env.lshookd.daemon_role().expect("a daemon's role").to_owned();
    env.run(&format!("alter role {role} password 'xyzzy'")).await?;
    let lshookd = env.lshookd.with("LSHOOKD_LOG_LEVEL", "trace").with("POSTGRE_PASSWORD", "xyzzy");

    let mut printed = String::new();
    for arguments in [
        &["install"][..],
        &["install", "--dry-run"],
        &["install", "--print-roles"],
        &["uninstall"],
        &["run", "--postgre-port", "1"],
        &["install", "--database-url", "postgres://user:swordfish@127.0.0.1:1/x"],
        &["install", "--database-url", "postgres://user:swordfish@["],
    ] {
        let output = lshookd.command(arguments).await?;
        printed += &String::from_utf8_lossy(&[output.stdout, output.stderr].concat());
    }
    let daemon = lshookd.run().await?;
    env.sql.batch_execute("update project set title = 'Fish'").await?;
    // Credentials of the URL win over the header, as with python-requests.
    assert_eq!(env.receiver.expect(1).await?[0].header("authorization"), "Basic dXNlcjpzd29yZGZpc2g=");
    tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    for arguments in [
        &["check"][..],
        &["check", "--json"],
        &["status"],
        &["webhook", "list"],
        &["webhook", "list", "--json"],
        &["delivery", "list"],
        &["delivery", "show", "1"],
        &["delivery", "show", "1", "--json"],
        &["webhook", "test", "1"],
        &["webhook", "test", "3"],
    ] {
        let output = lshookd.command(arguments).await?;
        printed += &String::from_utf8_lossy(&[output.stdout, output.stderr].concat());
    }
    printed += &std::fs::read_to_string(format!("/proc/{}/cmdline", daemon.pid()))?;
    printed += &daemon.log();
    let recorded = "select coalesce(json_agg(attempt)::text, '') from lshookd.attempt";
    printed += &env.sql.query_one(recorded, &[]).await?.get::<_, String>(0);
    for secret in SECRETS.into_iter().chain([signing.as_str()]) {
        let lines: Vec<&str> = printed.lines().filter(|line| line.contains(secret)).take(3).collect();
        assert!(lines.is_empty(), "{secret} is printed: {lines:#?}");
    }
    Ok(())
}
