//! What happens to a database in its life, with lshookd in it: Label Studio is upgraded, and the
//! database is dumped and restored elsewhere.

use anyhow::Result;
use lshookd_scenarios::scenario::Table;
use lshookd_scenarios::scenarios::tables;
use lshookd_scenarios::stage::{Stage, choice};
use lshookd_testbed::label_studio::Installation;
use lshookd_testbed::postgres::Server;
use lshookd_testbed::receiver::Receiver;
use serde_json::json;

use crate::bed::{Bed, installed, lshookd, server};

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

    let mut stage = Stage::set(old.start(&database).await?, &database, Receiver::start().await?).await?;
    stage.furnish().await?;
    let before = stage.play_all(&annotations.scenarios[..4]).await?;
    assert!(before.is_empty(), "{before:#?}");

    let new = Installation::find(NEW)?;
    new.migrate(&database).await?;
    stage.settle().await?;
    // An upgraded Label Studio takes plain tokens only if its settings say so.
    stage
        .run(
            "insert into jwt_auth_jwtsettings (organization_id, api_tokens_enabled, api_token_ttl_days,
                                               legacy_api_tokens_enabled, created_at, updated_at)
             values (1, true, 1, true, now(), now())
             on conflict (organization_id) do update set legacy_api_tokens_enabled = true",
        )
        .await?;
    std::mem::replace(&mut stage.studio, new.start(&database).await?).stop();
    let after = stage.play_all(&annotations.scenarios[4..8]).await?;
    assert!(after.is_empty(), "{after:#?}\n{}", daemon.log());
    let errors: i64 = stage.sql.query_one("select count(*) from lshookd.capture_error", &[]).await?.get(0);
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
    let mut stage = Stage::set(first.start(&database).await?, &database, Receiver::start().await?).await?;
    stage.furnish().await?;
    stage
        .import(
            json!([{"data": {"text": "owl"}, "annotations": [{"result": choice("owl")}]}, {"data": {"text": "wren"}}]),
        )
        .await?;
    stage.note_tasks().await?;
    stage.annotate(0, json!({"result": choice("wren")})).await?;
    for title in ["Fish", "Frogs", "Newts"] {
        let project = json!({"title": title, "label_config": lshookd_scenarios::stage::CHOICES});
        stage.studio.post("/api/projects/", project).await?;
    }
    stage.settle().await?;
    for version in &versions[1..] {
        stage.receiver.clear();
        Installation::find(version)?.migrate(&database).await?;
        stage.settle().await?;
        tokio::time::sleep(std::time::Duration::from_secs(1)).await;
        let announced: Vec<String> =
            stage.receiver.received().iter().map(|request| format!("{} {}", request.path, request.summary())).collect();
        assert!(announced.is_empty(), "to {version}: {announced:#?}\n{}", daemon.log());
        let errors: i64 = stage.sql.query_one("select count(*) from lshookd.capture_error", &[]).await?.get(0);
        assert_eq!(errors, 0, "to {version}");
    }
    Ok(())
}

/// What was waiting when the dump was made is delivered, and what happens from then on.
#[tokio::test(flavor = "multi_thread")]
async fn a_dump_that_is_restored_goes_on_where_it_was() -> Result<()> {
    let (server, _) = server().await?;
    let bed = Bed::lay("dumped").await?;
    bed.webhook("/project", "{}").await?;
    bed.run(r#"select fixture.rows('task', '{"project_id": 1}', 3)"#).await?;
    let dump = bed.database.dump(&["--inserts", "--no-owner", "--no-privileges"]).await?;

    let other = match std::env::var_os("LSHOOKD_TEST_RESTORE_BIN") {
        Some(binaries) => Some(Server::start(binaries.as_ref()).await?),
        None => None,
    };
    let restored = other.as_ref().unwrap_or(server).create("restored", None).await?;
    restored.connect().await?.batch_execute(&dump).await?;
    let _daemon = lshookd(&restored).run().await?;
    assert_eq!(bed.receiver.expect(1).await?[0].ids("tasks"), [1, 2, 3]);
    restored.connect().await?.batch_execute("update project set title = 'Restored'").await?;
    assert_eq!(bed.receiver.expect(2).await?[1].action(), "PROJECT_UPDATED");
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
    let bed = Bed::furnish(database).await?;
    bed.webhook("/project", "{}").await?;
    let said = bed.lshookd.succeed(&["install"]).await?;
    assert!(said.contains("no task_completion.ground_truth: ground_truth_number is 0"), "{said}");
    assert!(bed.lshookd.succeed(&["install"]).await?.contains("nothing to do"));
    let daemon = bed.lshookd.run().await?;
    bed.run(r#"select fixture.rows('task', '{"project_id": 1}')"#).await?;
    bed.run(r#"select fixture.rows('task_completion', '{"project_id": 1, "task_id": 1, "was_cancelled": true}')"#)
        .await?;
    let received = bed.receiver.expect(2).await?;
    assert_eq!([received[0].action(), received[1].action()], ["TASKS_CREATED", "ANNOTATION_CREATED"]);
    let project = &received[1].body["project"];
    assert_eq!((project.get("mood"), &project["skipped_annotations_number"]), (None, &1.into()));
    let check = bed.lshookd.command(&["check", "--json"]).await?;
    assert!(String::from_utf8(check.stdout)?.contains("project.mood"));
    for missing in ["labels_manager_labellink", "task_completion.parent_annotation_id", "task.is_labeled"] {
        assert!(daemon.log().contains(missing), "{}", daemon.log());
    }

    // A foreign key that somebody dropped is one still, and what the operator names is shown.
    daemon.stop().await?;
    let bed = bed.with("LSHOOKD_EXTRA_FIELDS", "project.weather");
    bed.run(
        "do $$ begin
             execute (
                 select format('alter table project drop constraint %I', conname)
                 from pg_constraint
                 where conrelid = 'project'::regclass and conname like 'project_created_by_id%'
             );
         end $$",
    )
    .await?;
    let _daemon = bed.lshookd.run().await?;
    bed.run("alter table project rename column mood to weather; update project set title = 'Changed'").await?;
    tokio::time::sleep(std::time::Duration::from_secs(1)).await; // The shape is looked at once a second.
    bed.run("update project set title = 'Once more'").await?;
    let project = bed.receiver.expect(4).await?[3].body["project"].clone();
    assert_eq!((&project["weather"], &project["created_by"]), (&0.into(), &1.into()));
    Ok(())
}
