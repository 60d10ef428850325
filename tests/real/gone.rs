//! What is deleted before it is planned is announced all the same, as Label Studio announces it: everything is kept
//! that a waiting change needs, at every level.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use lshookd_testbed::label_studio::Surroundings;
use lshookd_testbed::receiver::Received;
use serde_json::json;

use crate::test_env::{TestEnv, installed, label_studio_database, version};
use lshookd_scenarios::scenario_run::{ORGANIZATION, ScenarioRun, choice};
use lshookd_testbed::label_studio::Installation;
use lshookd_testbed::receiver::Receiver;

/// What arrived for the organization, in order.
fn actions(received: &[Received], ours: bool) -> Vec<&str> {
    let of = |request: &&Received| request.path == ORGANIZATION && request.is_ours() == ours;
    received.iter().filter(of).map(|request| request.action()).collect()
}

/// An import, two annotations and the project's deletion while no daemon runs: as many events as Label Studio sends,
/// with all that they show.
#[tokio::test(flavor = "multi_thread")]
async fn a_project_that_is_deleted_while_no_daemon_runs_is_announced_with_all_that_was_in_it() -> Result<()> {
    let database = label_studio_database("goneproject").await?;
    let studio = Installation::find(&version())?.start_in(&database, Surroundings::default()).await?;
    let lshookd = installed(&database).await?;
    let mut run = ScenarioRun::start(studio, &database, Receiver::start().await?).await?;
    let daemon = lshookd.run().await?;
    run.furnish().await?;
    daemon.stop().await?;
    run.receiver.clear();
    run.import(json!([{"text": "owl"}, {"text": "wren"}])).await?;
    run.note_tasks().await?;
    for task in 0..2 {
        run.annotate(task, json!({"result": choice("owl")})).await?;
    }
    run.studio.delete(&format!("/api/projects/{}/", run.project)).await?;
    let daemon = lshookd.run().await?;
    run.settle().await.with_context(|| daemon.log())?;
    let received = run.receiver.received();
    let theirs = actions(&received, false);
    assert_eq!(theirs, ["TASKS_CREATED", "ANNOTATION_CREATED", "ANNOTATION_CREATED", "PROJECT_DELETED"]);
    assert_eq!(actions(&received, true), theirs);
    let of = |ours: bool, action: &str| {
        received
            .iter()
            .find(|request| request.path == ORGANIZATION && request.is_ours() == ours && request.action() == action)
    };
    let created = of(true, "TASKS_CREATED").expect("TASKS_CREATED");
    assert_eq!(created.body["tasks"][1]["data"]["text"], "wren");
    let title = &of(false, "TASKS_CREATED").expect("theirs").body["project"]["title"];
    assert_eq!(&created.body["project"]["title"], title);
    let annotated = of(true, "ANNOTATION_CREATED").expect("ANNOTATION_CREATED");
    let task = &of(false, "ANNOTATION_CREATED").expect("theirs").body["task"];
    assert_eq!(annotated.body["task"]["data"], task["data"]);
    assert_eq!(annotated.body["task"]["is_labeled"], true);
    assert_eq!(run.sql.query_one("select count(*) from lshookd.change_set_aside", &[]).await?.get::<_, i64>(0), 0);
    Ok(())
}

/// The same while a daemon runs, and somebody else deletes the project while the import's connection is still open.
#[tokio::test(flavor = "multi_thread")]
async fn a_project_that_is_deleted_while_its_import_is_under_way_is_announced_with_all_that_was_in_it() -> Result<()> {
    let (env, _daemon) = TestEnv::running("goneimport").await?;
    env.webhook("/organization", r#"{"project_id": null}"#).await?;
    // A young connection, as a request of Label Studio's has.
    let request = env.database.connect_as("").await?;
    request.batch_execute(r#"select fixture.rows('task', '{"project_id": 1, "data": {"text": "owl"}}', 15)"#).await?;
    tokio::time::sleep(std::time::Duration::from_millis(300)).await;
    env.run("begin; delete from task; delete from webhook where project_id = 1; delete from project; commit").await?;
    tokio::time::sleep(std::time::Duration::from_millis(300)).await;
    drop(request);
    let arrived = async || {
        let requests = env.receiver.received();
        let of: Vec<&Received> = requests.iter().filter(|request| request.path == "/organization").collect();
        Ok((of.len() == 2).then(|| (of[0].action().to_owned(), of[0].ids("tasks").len(), of[1].action().to_owned())))
    };
    let (first, tasks, second) =
        lshookd_testbed::eventually("both events", std::time::Duration::from_secs(20), arrived).await?;
    assert_eq!((first.as_str(), tasks, second.as_str()), ("TASKS_CREATED", 15, "PROJECT_DELETED"));
    Ok(())
}

/// An event that cannot be shown is set aside with its reason, and holds nobody up.
#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_shown_is_set_aside_and_said() -> Result<()> {
    let env = TestEnv::new("unshown").await?;
    env.webhook("/project", "{}").await?;
    env.run(r#"select fixture.rows('task', '{"project_id": 1}', 3)"#).await?;
    env.run(r#"select fixture.rows('task_completion', '{"project_id": 1, "task_id": 2, "result": []}')"#).await?;
    env.run(r#"select fixture.rows('task_completion', '{"project_id": 1, "task_id": 3, "result": []}')"#).await?;
    // Without a trigger nothing is kept: of an import one task, of an annotation its task.
    env.run(
        "set session_replication_role = replica; delete from task where id = 2; set session_replication_role = default",
    )
    .await?;
    let daemon = env.lshookd.run().await?;
    env.run("update project set title = 'Owls'").await?;
    let received = env.receiver.expect(3).await?;
    assert_eq!(received[0].ids("tasks"), [1, 3]);
    assert_eq!((received[1].action(), received[1].ids("annotation")), ("ANNOTATION_CREATED", vec![2]));
    assert_eq!(received[2].action(), "PROJECT_UPDATED");
    let rows = env.sql.query("select relation, ids, reason from lshookd.change_set_aside order by seq", &[]).await?;
    let aside: Vec<(String, Vec<i64>)> = rows.iter().map(|row| (row.get("relation"), row.get("ids"))).collect();
    assert_eq!(aside, [("task".to_owned(), vec![2]), ("annotation".to_owned(), vec![1])]);
    assert!(rows[0].get::<_, String>("reason").contains("task 2 is not there any more"));
    assert!(
        daemon.log().contains("ERROR") && daemon.log().contains("task 2 is not there any more"),
        "{}",
        daemon.log()
    );
    let check = env.lshookd.command(&["check", "--json"]).await?;
    assert_eq!(check.status.code(), Some(1));
    assert!(String::from_utf8(check.stdout)?.contains("set-aside"));
    // When the cause is fixed.
    env.run(r#"select fixture.rows('task', '{"id": 2, "project_id": 1}')"#).await?;
    Ok(())
}

/// Beyond the room for rows, deleted objects are announced by their ids.
#[tokio::test(flavor = "multi_thread")]
async fn without_room_for_rows_ids_are_kept() -> Result<()> {
    let env = TestEnv::new("noroom").await?;
    env.webhook("/project", "{}").await?;
    env.run(
        "create or replace function lshookd.unplanned(out newest bigint, out keep_all boolean, out ids_alone boolean)
             language sql set search_path = pg_catalog, pg_temp as
             $$ select max(seq), true, true from lshookd.change $$",
    )
    .await?;
    env.run(r#"select fixture.rows('task', '{"project_id": 1, "data": {"text": "owl"}}', 2)"#).await?;
    env.run("delete from task where id = 1").await?;
    let _daemon = env.lshookd.run().await?;
    let received = env.receiver.expect(2).await?;
    assert_eq!(received[0].body["tasks"][0], json!({"id": 1}));
    assert_eq!(received[0].body["tasks"][1]["data"]["text"], "owl");
    assert_eq!(received[1].action(), "TASKS_DELETED");
    Ok(())
}

/// What happens to a tree of a project, tasks, annotations and label links.
#[derive(Debug, Clone, Copy)]
enum Step {
    Create(&'static str),
    Update(&'static str),
    Delete(&'static str),
    /// The daemon plans what has happened so far.
    Plan,
}

/// Any history, planned after any prefix, announces each event that the rules name, and nothing else. Each statement
/// is a transaction of its own connection's, so that nothing is merged: the events are those of each statement.
#[tokio::test(flavor = "multi_thread")]
async fn any_history_planned_after_any_prefix_is_announced_whole() -> Result<()> {
    use Step::{Create, Delete, Plan, Update};
    // Deterministic: the same histories each time.
    let mut seed: u64 = 0x5eed;
    let mut random = move |below: usize| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(seed >> 33).unwrap_or_default() % below
    };
    let env = TestEnv::new("histories").await?;
    env.webhook("/organization", r#"{"project_id": null}"#).await?;
    let mut expected: BTreeMap<String, usize> = BTreeMap::new();
    let mut histories = Vec::new();
    for history in 0..12 {
        let kinds = ["project", "task", "annotation", "label", "link"];
        let mut alive: BTreeMap<&str, bool> = BTreeMap::new();
        let mut steps = vec![Create("project"), Create("task")];
        alive.insert("project", true);
        alive.insert("task", true);
        for _ in 0..10 {
            let kind = kinds[random(5)];
            let is_alive = alive.get(kind).copied().unwrap_or_default();
            let parents_live = match kind {
                "task" => alive["project"],
                "annotation" => alive["project"] && alive.get("task") == Some(&true),
                "link" => alive["project"] && alive.get("label") == Some(&true),
                _ => true,
            };
            let step = match (is_alive, parents_live, random(3)) {
                (false, true, _) if kind != "project" => Create(kind),
                (true, true, 0) if kind != "label" && kind != "task" => Update(kind),
                (true, _, 1) if kind != "project" || history % 3 == 0 => Delete(kind),
                _ => Plan,
            };
            match step {
                Create(kind) => drop(alive.insert(kind, true)),
                Delete(kind) => {
                    alive.insert(kind, false);
                    let below: &[&str] = match kind {
                        "project" => &["task", "annotation", "link"],
                        "task" => &["annotation"],
                        "label" => &["link"],
                        _ => &[],
                    };
                    for kind in below {
                        alive.insert(kind, false);
                    }
                }
                Update(_) | Plan => {}
            }
            steps.push(step);
        }
        steps.push(Plan);
        histories.push(steps);
    }
    for steps in histories {
        // A project of its own for each.
        let mut ids: BTreeMap<&str, i64> = BTreeMap::new();
        for step in &steps {
            let id_of = |kind: &str, ids: &BTreeMap<&str, i64>| ids.get(kind).copied().unwrap_or_default();
            let so_far = expected.values().sum::<usize>();
            let mut tell = |action: &str| *expected.entry(action.to_owned()).or_default() += 1;
            match step {
                Create(kind) => {
                    let (table, given, action) = match *kind {
                        "project" => ("project", json!({"title": "T", "organization_id": 1}), Some("PROJECT_CREATED")),
                        "task" => ("task", json!({"project_id": ids["project"]}), Some("TASKS_CREATED")),
                        "annotation" => (
                            "task_completion",
                            json!({"project_id": ids["project"], "task_id": ids["task"], "result": []}),
                            Some("ANNOTATION_CREATED"),
                        ),
                        "label" => (
                            "labels_manager_label",
                            json!({"title": format!("l{so_far}"), "organization_id": 1, "created_by_id": 1}),
                            None,
                        ),
                        _ => (
                            "labels_manager_labellink",
                            json!({"project_id": ids["project"], "label_id": ids["label"], "from_name": "f"}),
                            Some("LABEL_LINK_CREATED"),
                        ),
                    };
                    let client = env.database.connect().await?;
                    let row = client
                        .query_one("select (fixture.rows($1::text, $2::text::jsonb))[1]", &[&table, &given.to_string()])
                        .await?;
                    ids.insert(kind, row.get(0));
                    action.map(&mut tell);
                }
                Update(kind) => {
                    let id = id_of(kind, &ids);
                    let (sql, action) = match *kind {
                        "project" => {
                            (format!("update project set title = title || 'x' where id = {id}"), "PROJECT_UPDATED")
                        }
                        "annotation" => (
                            format!("update task_completion set updated_at = clock_timestamp() where id = {id}"),
                            "ANNOTATION_UPDATED",
                        ),
                        _ => (
                            format!("update labels_manager_labellink set from_name = from_name || 'x' where id = {id}"),
                            "LABEL_LINK_UPDATED",
                        ),
                    };
                    env.database.connect().await?.batch_execute(&sql).await?;
                    tell(action);
                }
                Delete(kind) => {
                    let id = id_of(kind, &ids);
                    let client = env.database.connect().await?;
                    match *kind {
                        "project" => {
                            let sql = format!(
                                "begin; delete from task_completion where project_id = {id}; delete from task where project_id = {id};
                                 delete from labels_manager_labellink where project_id = {id}; delete from project where id = {id}; commit"
                            );
                            client.batch_execute(&sql).await?;
                            tell("PROJECT_DELETED");
                        }
                        "task" => {
                            client.batch_execute(&format!("begin; delete from task_completion where task_id = {id}; delete from task where id = {id}; commit")).await?;
                            tell("TASKS_DELETED");
                        }
                        "label" => {
                            let links = env
                                .number(&format!("select count(*) from labels_manager_labellink where label_id = {id}"))
                                .await?;
                            client.batch_execute(&format!("begin; delete from labels_manager_labellink where label_id = {id}; delete from labels_manager_label where id = {id}; commit")).await?;
                            (0..links).for_each(|_| tell("LABEL_LINK_DELETED"));
                        }
                        "annotation" => {
                            client.batch_execute(&format!("delete from task_completion where id = {id}")).await?;
                            tell("ANNOTATIONS_DELETED");
                        }
                        _ => {
                            client
                                .batch_execute(&format!("delete from labels_manager_labellink where id = {id}"))
                                .await?;
                            tell("LABEL_LINK_DELETED");
                        }
                    }
                }
                Plan => {
                    let daemon = env.lshookd.run().await?;
                    let total: usize = expected.values().sum();
                    env.receiver.expect(total).await?;
                    daemon.stop().await?;
                }
            }
        }
    }
    let mut arrived: BTreeMap<String, usize> = BTreeMap::new();
    for request in env.receiver.received() {
        *arrived.entry(request.action().to_owned()).or_default() += 1;
    }
    assert_eq!(arrived, expected);
    assert_eq!(env.number("select count(*) from lshookd.change_set_aside").await?, 0);
    Ok(())
}

/// Two people delete and annotate at once by serializable transactions: capture makes none of them fail.
#[tokio::test(flavor = "multi_thread")]
async fn serializable_writers_do_not_fail_because_of_capture() -> Result<()> {
    let env = TestEnv::new("serializable").await?;
    env.webhook("/project", "{}").await?;
    env.run(r#"select fixture.rows('task', '{"project_id": 1}', 20)"#).await?;
    env.run(r#"begin; select fixture.rows('task_completion', jsonb_build_object('project_id', 1, 'task_id', id, 'result', '[]'::jsonb)) from task; commit"#).await?;
    let (mut one, mut other) = (env.database.connect().await?, env.database.connect().await?);
    for pair in 0..10 {
        let level = tokio_postgres::IsolationLevel::Serializable;
        let first = one.build_transaction().isolation_level(level).start().await?;
        let second = other.build_transaction().isolation_level(level).start().await?;
        let (a, b) = (2 * pair + 1, 2 * pair + 2);
        first.batch_execute(&format!("delete from task_completion where id = {a}")).await?;
        second.batch_execute(&format!("delete from task_completion where id = {b}")).await?;
        first.commit().await?;
        second.commit().await?;
    }
    assert_eq!(env.number("select count(*) from lshookd.capture_error").await?, 0);
    let _daemon = env.lshookd.run().await?;
    // The import, twenty annotations and their deletions.
    assert_eq!(env.receiver.expect(41).await?.len(), 41);
    Ok(())
}

/// A link shows its label, which may be gone by now.
#[tokio::test(flavor = "multi_thread")]
async fn labels_that_are_deleted_are_still_shown_beside_their_links() -> Result<()> {
    let env = TestEnv::new("gonelabel").await?;
    env.webhook("/project", "{}").await?;
    env.run(
        r#"select fixture.rows('labels_manager_label', '{"title": "bird", "organization_id": 1, "created_by_id": 1}')"#,
    )
    .await?;
    env.run(r#"select fixture.rows('labels_manager_labellink', '{"project_id": 1, "label_id": 1, "from_name": "a"}')"#)
        .await?;
    env.run("update labels_manager_labellink set from_name = 'b'").await?;
    env.run("begin; delete from labels_manager_labellink; delete from labels_manager_label; commit").await?;
    let _daemon = env.lshookd.run().await?;
    let received = env.receiver.expect(3).await?;
    assert_eq!(received[1].body["label"]["title"], "bird");
    Ok(())
}
