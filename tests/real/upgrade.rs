//! What happens to a database in its life, with lshookd in it: Label Studio is upgraded, and the
//! database is dumped and restored elsewhere.

use anyhow::Result;
use lshookd::label_studio::catalog::SHOWN;
use lshookd_scenarios::scenario::Table;
use lshookd_scenarios::scenario_run::{ScenarioRun, choice};
use lshookd_scenarios::scenarios::tables;
use lshookd_testbed::label_studio::Installation;
use lshookd_testbed::postgres::Server;
use lshookd_testbed::receiver::Receiver;
use serde_json::json;
use tokio_postgres::types::ToSql;

use crate::test_env::{TestEnv, installed, lshookd, server};

const OLD: &str = "1.13.1";
const NEW: &str = "1.23.2";

/// Label Studio's migrations go through, and from then on events have the new version's shape,
/// without a restart.
#[tokio::test(flavor = "multi_thread")]
async fn label_studio_is_upgraded_while_lshookd_runs() -> Result<()> {
    let (server, _) = server().await?;
    let old = Installation::find(OLD)?;
    let template = old.template(server).await?;
    let database = server.create("upgrade", Some(&template.name)).await?;
    let lshookd = installed(&database).await?;
    let daemon = lshookd.run().await?;
    let annotations: Table = tables().into_iter().find(|table| table.name == "annotations").expect("annotations");

    let mut run = ScenarioRun::start(old.start(&database).await?, &database, Receiver::start().await?).await?;
    run.furnish().await?;
    let before = run.play_all(&annotations.scenarios[..4]).await?;
    assert!(before.is_empty(), "{before:#?}");

    let new = Installation::find(NEW)?;
    new.migrate(&database).await?;
    run.settle().await?;
    // An upgraded Label Studio takes plain tokens only if its settings say so.
    run.run(
        "insert into jwt_auth_jwtsettings (organization_id, api_tokens_enabled, api_token_ttl_days,
                                               legacy_api_tokens_enabled, created_at, updated_at)
             values (1, true, 1, true, now(), now())
             on conflict (organization_id) do update set legacy_api_tokens_enabled = true",
    )
    .await?;
    std::mem::replace(&mut run.studio, new.start(&database).await?).stop();
    let after = run.play_all(&annotations.scenarios[4..8]).await?;
    assert!(after.is_empty(), "{after:#?}\n{}", daemon.log());
    let errors: i64 = run.sql.query_one("select count(*) from lshookd.capture_error", &[]).await?.get(0);
    assert_eq!(errors, 0);
    assert!(lshookd.succeed(&["install"]).await?.contains("nothing to do"));
    Ok(())
}

/// A migration is no action: no event comes of an upgrade from version to version with data of each. `make test-matrix`
/// names every version that installs.
#[tokio::test(flavor = "multi_thread")]
async fn no_upgrade_announces_anything() -> Result<()> {
    let versions = std::env::var("LSHOOKD_TEST_UPGRADES").unwrap_or_else(|_| format!("{OLD} {NEW}"));
    let versions: Vec<&str> = versions.split_whitespace().collect();
    let (server, _) = server().await?;
    let first = Installation::find(versions[0])?;
    let template = first.template(server).await?;
    let database = server.create("chain", Some(&template.name)).await?;
    let lshookd = installed(&database).await?;
    let daemon = lshookd.run().await?;
    let mut run = ScenarioRun::start(first.start(&database).await?, &database, Receiver::start().await?).await?;
    run.furnish().await?;
    run.import(
        json!([{"data": {"text": "owl"}, "annotations": [{"result": choice("owl")}]}, {"data": {"text": "wren"}}]),
    )
    .await?;
    run.note_tasks().await?;
    run.annotate(0, json!({"result": choice("wren")})).await?;
    for title in ["Fish", "Frogs", "Newts"] {
        let project = json!({"title": title, "label_config": lshookd_scenarios::scenario_run::CHOICES});
        run.studio.post("/api/projects/", project).await?;
    }
    run.settle().await?;
    for version in &versions[1..] {
        run.receiver.clear();
        Installation::find(version)?.migrate(&database).await?;
        run.settle().await?;
        tokio::time::sleep(std::time::Duration::from_secs(1)).await;
        let announced: Vec<String> =
            run.receiver.received().iter().map(|request| format!("{} {}", request.path, request.summary())).collect();
        assert!(announced.is_empty(), "to {version}: {announced:#?}\n{}", daemon.log());
        let errors: i64 = run.sql.query_one("select count(*) from lshookd.capture_error", &[]).await?.get(0);
        assert_eq!(errors, 0, "to {version}");
    }
    Ok(())
}

/// What was waiting when the dump was made is delivered, and what happens from then on.
#[tokio::test(flavor = "multi_thread")]
async fn a_dump_that_is_restored_goes_on_where_it_was() -> Result<()> {
    let (server, _) = server().await?;
    let env = TestEnv::new("dumped").await?;
    env.webhook("/project", "{}").await?;
    env.run(r#"select fixture.rows('task', '{"project_id": 1}', 3)"#).await?;
    let dump = env.database.dump(&["--inserts", "--no-owner", "--no-privileges"]).await?;

    let other = match std::env::var_os("LSHOOKD_TEST_RESTORE_BIN") {
        Some(binaries) => Some(Server::start(binaries.as_ref()).await?),
        None => None,
    };
    let restored = other.as_ref().unwrap_or(server).create("restored", None).await?;
    restored.connect().await?.batch_execute(&dump).await?;
    let _daemon = lshookd(&restored).run().await?;
    assert_eq!(env.receiver.expect(1).await?[0].ids("tasks"), [1, 2, 3]);
    restored.connect().await?.batch_execute("update project set title = 'Restored'").await?;
    assert_eq!(env.receiver.expect(2).await?[1].action(), "PROJECT_UPDATED");
    // Rights do not go along with such a dump: an installation sets them.
    lshookd(&restored).succeed(&["install"]).await?;
    assert!(lshookd(&restored).succeed(&["install"]).await?.contains("nothing to do"));
    Ok(())
}

/// A version that nobody tried: what it lacks is said, what it adds is sent, and all the rest works.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_version_lacks_is_said_and_the_rest_is_delivered() -> Result<()> {
    let (server, template) = server().await?;
    let database = server.create("unknown", Some(template)).await?;
    database
        .connect()
        .await?
        .batch_execute(
            "drop table prediction, labels_manager_labellink, labels_manager_label cascade;
             alter table task_completion drop column ground_truth, drop column parent_annotation_id;
             alter table task drop column is_labeled;
             alter table project add column mood integer not null default 0",
        )
        .await?;
    let env = TestEnv::furnish(database).await?;
    env.webhook("/project", "{}").await?;
    let said = env.lshookd.succeed(&["install"]).await?;
    assert!(said.contains("no task_completion.ground_truth: ground_truth_number is 0"), "{said}");
    assert!(env.lshookd.succeed(&["install"]).await?.contains("nothing to do"));
    let daemon = env.lshookd.run().await?;
    env.run(r#"select fixture.rows('task', '{"project_id": 1}')"#).await?;
    env.run(r#"select fixture.rows('task_completion', '{"project_id": 1, "task_id": 1, "was_cancelled": true}')"#)
        .await?;
    let received = env.receiver.expect(2).await?;
    assert_eq!([received[0].action(), received[1].action()], ["TASKS_CREATED", "ANNOTATION_CREATED"]);
    let project = &received[1].body["project"];
    assert_eq!((project.get("mood"), &project["skipped_annotations_number"]), (None, &1.into()));
    let check = env.lshookd.command(&["check", "--json"]).await?;
    assert!(String::from_utf8(check.stdout)?.contains("project.mood"));
    for missing in ["labels_manager_labellink", "task_completion.parent_annotation_id", "task.is_labeled"] {
        assert!(daemon.log().contains(missing), "{}", daemon.log());
    }

    // A foreign key that somebody dropped is one still, and what the operator names is shown.
    daemon.stop().await?;
    let env = env.with("LSHOOKD_EXTRA_FIELDS", "project.weather");
    env.run(
        "do $$ begin
             execute (
                 select format('alter table project drop constraint %I', conname)
                 from pg_constraint
                 where conrelid = 'project'::regclass and conname like 'project_created_by_id%'
             );
         end $$",
    )
    .await?;
    let _daemon = env.lshookd.run().await?;
    env.run("alter table project rename column mood to weather; update project set title = 'Changed'").await?;
    tokio::time::sleep(std::time::Duration::from_secs(1)).await; // The shape is looked at once a second.
    env.run("update project set title = 'Once more'").await?;
    let project = env.receiver.expect(4).await?[3].body["project"].clone();
    assert_eq!((&project["weather"], &project["created_by"]), (&0.into(), &1.into()));
    Ok(())
}

/// Whatever is altered in Label Studio's tables, what the planner looks at once a second says so.
#[tokio::test(flavor = "multi_thread")]
async fn whatever_alters_the_shape_of_payloads_changes_its_mark() -> Result<()> {
    let env = TestEnv::new("mark").await?;
    let all = async |query: &str, parameters: &[&(dyn ToSql + Sync)]| {
        let listed = format!(
            "select coalesce(array_agg(row::text), '{{}}') from ({}) as row",
            query.trim_end().trim_end_matches(';')
        );
        anyhow::Ok(env.sql.query_one(&listed, parameters).await?.get::<_, Vec<String>>(0))
    };
    let seen = async || {
        let shape = [
            all(include_str!("../../sql/label_studio/catalog_columns.sql"), &[&SHOWN.as_slice()]).await?,
            all(include_str!("../../sql/label_studio/catalog_links.sql"), &[]).await?,
        ];
        anyhow::Ok((shape, all(include_str!("../../sql/label_studio/catalog_mark.sql"), &[&SHOWN.as_slice()]).await?))
    };
    let mut before = seen().await?;
    for altered in [
        "alter table project add column mood timestamptz",
        "alter table project alter column mood type float8 using 0",
        "alter table project rename column mood to weather",
        "alter table project drop column weather",
        "alter table htx_user add column weather text",
        "alter table io_storages_s3importstorage add column weather text",
        "alter table task add column watcher_id integer constraint watched references htx_user (id)",
        "alter table task drop constraint watched",
        "create table task_watchers (id serial, task_id integer references task (id), user_id integer references htx_user (id))",
        "alter table task_watchers rename to task_lookers",
        "alter table task_lookers add column since text",
        "alter table task_lookers drop column since",
        "drop table task_lookers",
        "alter table prediction rename to forecast",
        "alter table forecast rename to prediction",
    ] {
        env.run(altered).await?;
        let after = seen().await?;
        assert_ne!(before.0, after.0, "{altered}");
        assert_ne!(before.1, after.1, "{altered}");
        before = after;
    }
    // And nothing else does.
    for maintained in
        ["analyze task", "vacuum freeze pg_attribute", "vacuum full project", "create index on task (created_at)"]
    {
        env.run(maintained).await?;
        assert_eq!(before, seen().await?, "{maintained}");
    }
    Ok(())
}
