//! What Label Studio never tells: actions of lshookd's own, deletions that say what was deleted, and updates that
//! say what was before.

use std::time::Duration;

use anyhow::{Context, Result};
use lshookd_scenarios::scenario_run::{ScenarioRun, choice, id};
use lshookd_scenarios::schema;
use lshookd_testbed::eventually;
use lshookd_testbed::label_studio::Surroundings;
use lshookd_testbed::nats::Nats;
use lshookd_testbed::receiver::{Received, Receiver};
use serde_json::{Value, json};

use crate::published;
use crate::test_env::{self, TestEnv};

const EVERYTHING: &str = "TASK_UPDATED,TASKS_UPDATED,TASKS_COMPLETED,TASKS_REOPENED,PROJECT_COMPLETED,\
    ANNOTATION_SKIPPED,GROUND_TRUTH_SET,PREDICTIONS_CREATED,PREDICTIONS_DELETED,DRAFT_CREATED,DRAFT_UPDATED,\
    DRAFT_DELETED,STORAGE_SYNC_STARTED,STORAGE_SYNC_COMPLETED,STORAGE_SYNC_FAILED,USER_CREATED,USER_UPDATED,USER_DELETED,LABEL_CREATED,LABEL_UPDATED,LABEL_DELETED,OPERATIONAL_EVENT";

const TIMEOUT: Duration = Duration::from_secs(10);

const TRIGGERS: &str = "select count(*) from pg_trigger where tgname like 'lshookd\\_watch\\_%'";

async fn update(env: &TestEnv, webhook: i64, more: &[&str]) -> Result<String> {
    env.lshookd.succeed(&[&["webhook", "update", &webhook.to_string()], more].concat()).await
}

/// The events on a path, each in a line: its action and the ids of its objects.
fn told(receiver: &Receiver, path: &str) -> Vec<String> {
    receiver.received().iter().filter(|event| event.is_ours() && event.path == path).map(line).collect()
}

fn line(event: &Received) -> String {
    const KEYS: [&str; 10] = [
        "task",
        "tasks",
        "annotation",
        "annotations",
        "label_link",
        "predictions",
        "draft",
        "storage",
        "user",
        "label",
    ];
    let belongs = |key: &str| key == "task" && event.body["annotation"].is_object();
    let shown = KEYS.iter().find(|key| event.body[**key] != Value::Null && !belongs(key));
    match shown {
        None => event.action().to_owned(),
        Some(key) => {
            let ids: Vec<String> = event.ids(key).iter().map(i64::to_string).collect();
            format!("{} {}", event.action(), ids.join(","))
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_watched_until_somebody_wants_it_and_nothing_when_nobody_does() -> Result<()> {
    let env = TestEnv::new("watching").await?;
    assert_eq!(env.number(TRIGGERS).await?, 0);
    let webhook = env
        .create_webhook(&env.receiver.url("/more"), &["--project", "1", "--actions", "TASKS_COMPLETED,TASKS_CREATED"])
        .await?;
    assert_eq!(env.number(TRIGGERS).await?, 2);
    // By the command and by SQL.
    update(&env, webhook, &["--additional-actions", "ANNOTATION_SKIPPED"]).await?;
    assert_eq!(env.number(TRIGGERS).await?, 2);
    env.run(&format!("insert into lshookd.chosen_action values ({webhook}, 'PREDICTIONS_CREATED')")).await?;
    assert_eq!(env.number(TRIGGERS).await?, 3);
    env.run(&format!("insert into lshookd.payload_option (webhook_id, previous) values ({webhook}, true)")).await?;
    assert_eq!(env.number(TRIGGERS).await?, 6);
    env.run("truncate lshookd.chosen_action").await?;
    update(&env, webhook, &["--previous=false"]).await?;
    assert_eq!(env.number(TRIGGERS).await?, 0);
    // What is not there is refused, and so is what is Label Studio's.
    let refused = env.run(&format!("insert into lshookd.chosen_action values ({webhook}, 'TASKS_LOST')")).await;
    assert!(refused.is_err());
    let output = env
        .lshookd
        .command(&["webhook", "update", &webhook.to_string(), "--additional-actions", "TASKS_CREATED"])
        .await?;
    assert!(String::from_utf8_lossy(&output.stderr).contains("Label Studio's own actions"));
    // A webhook that is deleted wants nothing any more; nothing of it is in Label Studio's tables.
    update(&env, webhook, &["--additional-actions", EVERYTHING_IN_A_PROJECT]).await?;
    assert!(env.number(TRIGGERS).await? > 10);
    assert_eq!(env.number("select count(*) from webhook_action where action = 'TASKS_COMPLETED'").await?, 0);
    env.lshookd.succeed(&["webhook", "delete", &webhook.to_string()]).await?;
    assert_eq!(env.number(TRIGGERS).await?, 0);
    // Installing again leaves them as they should be.
    let webhook =
        env.create_webhook(&env.receiver.url("/more"), &["--project", "1", "--actions", "DRAFT_CREATED"]).await?;
    env.run("drop function lshookd.watches_tasks_annotationdraft_insert cascade").await?;
    env.lshookd.succeed(&["install"]).await?;
    assert_eq!(env.number(TRIGGERS).await?, 1);
    // A table that is in use keeps its trigger for the time being, and nobody waits for it.
    let busy = env.database.connect().await?;
    busy.batch_execute("begin; select from tasks_annotationdraft").await?;
    update(&env, webhook, &["--additional-actions", "none"]).await?;
    assert_eq!(env.number(TRIGGERS).await?, 1);
    let output = env
        .lshookd
        .command(&["webhook", "update", &webhook.to_string(), "--additional-actions", "DRAFT_DELETED"])
        .await?;
    assert!(output.status.success() || String::from_utf8_lossy(&output.stderr).contains("pg_stat_activity"));
    busy.batch_execute("commit").await?;
    update(&env, webhook, &["--additional-actions", "none"]).await?;
    assert_eq!(env.number(TRIGGERS).await?, 0);
    // Somebody deletes a webhook in Label Studio, which knows nothing of its wishes.
    update(&env, webhook, &["--additional-actions", "DRAFT_CREATED"]).await?;
    assert_eq!(env.number(TRIGGERS).await?, 1);
    env.run(&format!("delete from webhook where id = {webhook}")).await?;
    let _daemon = env.lshookd.run().await?;
    eventually("its triggers go", TIMEOUT, async || Ok((env.number(TRIGGERS).await? == 0).then_some(()))).await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_changes_by_sql_is_told_to_those_who_want_it() -> Result<()> {
    let env = TestEnv::new("told").await?;
    env.webhook("/project", "{}").await?;
    env.create_webhook(&env.receiver.url("/more"), &["--project", "1", "--actions", EVERYTHING_IN_A_PROJECT]).await?;
    env.create_webhook(
        &env.receiver.url("/organization"),
        &["--actions", "USER_CREATED,USER_UPDATED,USER_DELETED,LABEL_CREATED,LABEL_UPDATED,LABEL_DELETED"],
    )
    .await?;
    let _daemon = env.lshookd.run().await?;
    let steps: &[(&str, &[&str])] = &[
        (r#"select fixture.rows('task', '{"project_id": 1, "data": {"text": "owl"}}', 3)"#, &[]),
        ("update task set data = '{\"text\": \"wren\"}' where id < 3", &["TASKS_UPDATED 1,2"]),
        ("update task set overlap = 2, total_annotations = 1 where id = 3", &["TASK_UPDATED 3"]),
        ("update task set total_annotations = 7", &[]),
        ("update task set is_labeled = true where id < 3", &["TASKS_COMPLETED 1,2"]),
        ("update task set is_labeled = true", &["TASKS_COMPLETED 3", "PROJECT_COMPLETED"]),
        ("update task set is_labeled = false where id = 1", &["TASKS_REOPENED 1"]),
        ("update task set is_labeled = true", &["TASKS_COMPLETED 1", "PROJECT_COMPLETED"]),
        (r#"select fixture.rows('task', '{"project_id": 1}')"#, &[]),
        ("update task set is_labeled = true", &["TASKS_COMPLETED 4", "PROJECT_COMPLETED"]),
        (
            r#"select fixture.rows('task_completion', '{"project_id": 1, "task_id": 1, "was_cancelled": true}')"#,
            &["ANNOTATION_SKIPPED 1"],
        ),
        ("update task_completion set ground_truth = true", &["GROUND_TRUTH_SET 1"]),
        (
            r#"select fixture.rows('prediction', '{"project_id": 1, "task_id": 1, "result": []}', 2)"#,
            &["PREDICTIONS_CREATED 1,2"],
        ),
        ("delete from prediction where id = 2", &["PREDICTIONS_DELETED 2"]),
        (
            r#"select fixture.rows('tasks_annotationdraft', '{"task_id": 1, "user_id": 1, "result": []}')"#,
            &["DRAFT_CREATED 1"],
        ),
        ("update tasks_annotationdraft set lead_time = 2", &["DRAFT_UPDATED 1"]),
        ("update tasks_annotationdraft set updated_at = now()", &[]),
        ("delete from tasks_annotationdraft", &["DRAFT_DELETED 1"]),
        (
            r#"select fixture.rows('io_storages_s3importstorage', '{"project_id": 1, "title": "Calls", "aws_secret_access_key": "feathers", "status": "initialized"}')"#,
            &[],
        ),
        ("update io_storages_s3importstorage set status = 'in_progress'", &["STORAGE_SYNC_STARTED 1"]),
        (
            "update io_storages_s3importstorage set status = 'completed', last_sync = now(), last_sync_count = 5",
            &["STORAGE_SYNC_COMPLETED 1"],
        ),
        (
            "update io_storages_s3importstorage set status = 'failed', traceback = 'feathers'",
            &["STORAGE_SYNC_FAILED 1"],
        ),
    ];
    let mut expected = Vec::new();
    for (sql, events) in steps {
        env.run(sql).await?;
        expected.extend(events.iter().map(|event| (*event).to_owned()));
        eventually(sql, TIMEOUT, async || Ok((told(&env.receiver, "/more").len() >= expected.len()).then_some(())))
            .await?;
    }
    assert_eq!(told(&env.receiver, "/more"), expected);
    let organization: &[(&str, &[&str])] = &[
        (
            r#"select fixture.rows('htx_user', '{"email": "new@example.com", "username": "new", "password": "feathers", "active_organization_id": 1}')"#,
            &["USER_CREATED 2"],
        ),
        ("update htx_user set last_activity = now(), password = 'plumes' where id = 2", &[]),
        ("update htx_user set first_name = 'Ada' where id = 2", &["USER_UPDATED 2"]),
        ("delete from htx_user where id = 2", &["USER_DELETED 2"]),
        (
            r#"select fixture.rows('labels_manager_label', '{"organization_id": 1, "created_by_id": 1, "title": "owl", "value": ["owl"]}')"#,
            &["LABEL_CREATED 1"],
        ),
        ("update labels_manager_label set title = 'barn owl'", &["LABEL_UPDATED 1"]),
        ("delete from labels_manager_label", &["LABEL_DELETED 1"]),
    ];
    let mut expected = Vec::new();
    for (sql, events) in organization {
        env.run(sql).await?;
        expected.extend(events.iter().map(|event| (*event).to_owned()));
        eventually(sql, TIMEOUT, async || {
            Ok((told(&env.receiver, "/organization").len() >= expected.len()).then_some(()))
        })
        .await?;
    }
    let of_label_studio = ["USER", "LABEL_C", "LABEL_U", "LABEL_D"];
    let mut heard = told(&env.receiver, "/organization");
    heard.retain(|line| of_label_studio.iter().any(|start| line.starts_with(start)));
    assert_eq!(heard, expected);
    // Nobody else hears of it, and no secret goes out.
    let all = env.receiver.received();
    assert_eq!(schema::faults(&all), Vec::<String>::new());
    assert!(
        all.iter()
            .filter(|event| event.path == "/project")
            .all(|event| event.action().starts_with("TASKS_CREATED") || event.action().starts_with("ANNOTATION_"))
    );
    assert!(
        all.iter().filter(|event| event.path != "/project").all(|event| !event.body.to_string().contains("feathers"))
    );
    let of = |action: &str| -> Value {
        all.iter().find(|event| event.action() == action).map(|event| event.body.clone()).unwrap_or_default()
    };
    assert_eq!(of("TASKS_UPDATED")["changed"], json!(["data"]));
    assert_eq!(of("TASKS_UPDATED")["tasks"][1]["data"], json!({"text": "wren"}));
    assert_eq!(of("TASK_UPDATED")["changed"], json!(["overlap"]));
    assert_eq!(of("TASKS_COMPLETED")["project"]["id"], 1);
    assert_eq!(of("ANNOTATION_SKIPPED")["task"]["id"], 1);
    assert_eq!(of("PREDICTIONS_CREATED")["predictions"][0]["task"], 1);
    assert_eq!(of("PREDICTIONS_DELETED")["predictions"], json!([{"id": 2}]));
    assert_eq!(of("DRAFT_CREATED")["draft"]["user"], 1);
    assert_eq!(of("STORAGE_SYNC_STARTED")["storage"]["status"], "in_progress");
    assert_eq!(of("STORAGE_SYNC_COMPLETED")["storage"]["type"], "s3");
    assert_eq!(of("STORAGE_SYNC_COMPLETED")["storage"]["last_sync_count"], 5);
    assert_eq!(of("USER_CREATED")["user"]["email"], "new@example.com");
    assert!(of("USER_CREATED").get("project").is_none() && of("USER_CREATED")["user"].get("password").is_none());
    assert_eq!(of("USER_UPDATED")["changed"], json!(["first_name"]));
    for moment in [&of("USER_CREATED")["user"]["date_joined"], &of("STORAGE_SYNC_COMPLETED")["storage"]["last_sync"]] {
        assert!(moment.as_str().is_some_and(|text| text.ends_with('Z')), "{moment}");
    }
    assert_eq!(of("LABEL_UPDATED")["label"]["title"], "barn owl");
    assert_eq!(env.number("select count(*) from lshookd.capture_error").await?, 0);
    eventually("images are forgotten", TIMEOUT, async || {
        Ok((env
            .number("select (select count(*) from lshookd.watched_row) + count(*) from lshookd.deleted_row")
            .await?
            == 0)
            .then_some(()))
    })
    .await
}

const EVERYTHING_IN_A_PROJECT: &str = "TASK_UPDATED,TASKS_UPDATED,TASKS_COMPLETED,TASKS_REOPENED,PROJECT_COMPLETED,\
    ANNOTATION_SKIPPED,GROUND_TRUTH_SET,PREDICTIONS_CREATED,PREDICTIONS_DELETED,DRAFT_CREATED,DRAFT_UPDATED,\
    DRAFT_DELETED,STORAGE_SYNC_STARTED,STORAGE_SYNC_COMPLETED,STORAGE_SYNC_FAILED";

#[tokio::test(flavor = "multi_thread")]
async fn deletions_say_what_was_deleted_and_updates_what_was_before() -> Result<()> {
    let env = TestEnv::new("enriched").await?;
    env.webhook("/plain", "{}").await?;
    env.create_webhook(&env.receiver.url("/rich"), &["--project", "1", "--enrich-deletions", "--previous"]).await?;
    let organization = env.create_webhook(&env.receiver.url("/organization"), &["--enrich-deletions"]).await?;
    update(&env, organization, &["--additional-actions", "LABEL_DELETED"]).await?;
    let _daemon = env.lshookd.run().await?;
    let steps = [
        r#"select fixture.rows('task', '{"project_id": 1, "data": {"text": "owl"}}', 2)"#,
        r#"select fixture.rows('task_completion', '{"project_id": 1, "task_id": 1, "completed_by_id": 1, "lead_time": 3}')"#,
        "update task_completion set lead_time = 4, updated_at = now()",
        "delete from task_completion",
        "update project set title = 'Owls', updated_at = now()",
        "delete from task where id = 1",
        // As Label Studio does it: out of the project first.
        "update task set project_id = null",
        "delete from task",
        r#"select fixture.rows('labels_manager_label', '{"organization_id": 1, "created_by_id": 1, "title": "owl", "value": ["owl"]}')"#,
        "delete from labels_manager_label",
    ];
    for sql in steps {
        env.run(sql).await?;
        tokio::time::sleep(Duration::from_millis(150)).await;
    }
    let receiver = &env.receiver;
    let told = |path: &'static str, action: &'static str| {
        eventually(action, TIMEOUT, async move || {
            let all = receiver.received();
            Ok(all.into_iter().rfind(|event| event.path == path && event.action() == action).map(|event| event.body))
        })
    };
    let updated = told("/rich", "ANNOTATION_UPDATED").await?;
    assert_eq!((&updated["previous"]["lead_time"], &updated["annotation"]["lead_time"]), (&json!(3.0), &json!(4.0)));
    assert_eq!(updated["previous"]["completed_by"], 1);
    let updated = told("/rich", "PROJECT_UPDATED").await?;
    assert_eq!((&updated["previous"]["title"], &updated["project"]["title"]), (&json!("Birds"), &json!("Owls")));
    let deleted = told("/rich", "ANNOTATIONS_DELETED").await?;
    assert_eq!(deleted["annotations"][0]["lead_time"], 4.0);
    let all = env.receiver.received();
    let bodies = |path: &str, action: &str| -> Vec<Value> {
        let those = all.iter().filter(|event| event.path == path && event.action() == action);
        those.map(|event| event.body.clone()).collect()
    };
    let tasks: Vec<Value> = bodies("/rich", "TASKS_DELETED").iter().map(|body| body["tasks"][0].clone()).collect();
    assert_eq!(tasks.iter().map(|task| &task["id"]).collect::<Vec<_>>(), [1, 2]);
    assert!(tasks.iter().all(|task| task["data"] == json!({"text": "owl"}) && task["project"] == 1), "{tasks:?}");
    let label = told("/organization", "LABEL_DELETED").await?;
    assert_eq!(label["label"]["title"], "owl");
    // Whoever did not ask gets what Label Studio would send, byte for byte as many fields.
    assert_eq!(bodies("/plain", "TASKS_DELETED")[0]["tasks"], json!([{"id": 1}]));
    assert_eq!(bodies("/plain", "ANNOTATIONS_DELETED")[0]["annotations"], json!([{"id": 1}]));
    assert!(bodies("/plain", "ANNOTATION_UPDATED")[0].get("previous").is_none());
    // The project goes last, with what it was.
    env.run("delete from webhook where project_id = 1; delete from project").await?;
    let deleted = told("/organization", "PROJECT_DELETED").await?;
    assert_eq!((&deleted["project"]["id"], &deleted["project"]["title"]), (&json!(1), &json!("Owls")));
    assert_eq!(schema::faults(&env.receiver.received()), Vec::<String>::new());
    Ok(())
}

/// By the real Label Studio: what people do, and what is told of it.
#[tokio::test(flavor = "multi_thread")]
async fn people_work_in_label_studio_and_all_of_it_is_told() -> Result<()> {
    let database = test_env::label_studio_database("beyond").await?;
    let (mut run, _daemon) = test_env::run(&database, Surroundings::default()).await?;
    run.furnish().await?;
    let lshookd = test_env::lshookd(&database);
    let url = run.receiver.url("/more");
    let project = run.project.to_string();
    let actions = ["--actions", EVERYTHING_IN_A_PROJECT, "--enrich-deletions"];
    lshookd.succeed(&[&["webhook", "create", &url, "--project", &project], actions.as_slice()].concat()).await?;
    run.receiver.clear();

    let mut expected = Vec::new();
    let mut told_of = async |run: &ScenarioRun, lines: &[String]| -> Result<()> {
        run.settle().await?;
        expected.extend(lines.iter().cloned());
        assert_eq!(told(&run.receiver, "/more"), expected);
        Ok(())
    };
    let tasks = run.tasks.clone();
    run.annotate(0, json!({"result": choice("owl")})).await?;
    told_of(&run, &[format!("TASKS_COMPLETED {}", tasks[0])]).await?;
    run.edit(json!({"ground_truth": true})).await?;
    told_of(&run, &[format!("GROUND_TRUTH_SET {}", run.annotation)]).await?;
    run.studio.patch(&format!("/api/tasks/{}/", tasks[1]), json!({"data": {"text": "hu-hu"}})).await?;
    told_of(&run, &[format!("TASK_UPDATED {}", tasks[1])]).await?;
    let draft = json!({"result": choice("wren"), "lead_time": 1});
    let draft =
        id(&run.studio.post(&format!("/api/tasks/{}/drafts?project={}", tasks[1], run.project), draft).await?)?;
    told_of(&run, &[format!("DRAFT_CREATED {draft}")]).await?;
    run.studio.patch(&format!("/api/drafts/{draft}/"), json!({"result": choice("owl"), "lead_time": 2})).await?;
    told_of(&run, &[format!("DRAFT_UPDATED {draft}")]).await?;
    run.studio.delete(&format!("/api/drafts/{draft}/")).await?;
    told_of(&run, &[format!("DRAFT_DELETED {draft}")]).await?;
    let prediction = json!({"task": tasks[2], "result": choice("owl"), "model_version": "one"});
    let prediction = id(&run.studio.post("/api/predictions/", prediction).await?)?;
    told_of(&run, &[format!("PREDICTIONS_CREATED {prediction}")]).await?;
    run.act("delete_tasks_predictions", Some(&[2]), json!({})).await?;
    told_of(&run, &[format!("PREDICTIONS_DELETED {prediction}")]).await?;
    for task in 1..4 {
        run.annotate(task, json!({"result": choice("owl")})).await?;
        run.settle().await?;
    }
    let mut lines: Vec<String> = tasks[1..].iter().map(|task| format!("TASKS_COMPLETED {task}")).collect();
    lines.push("PROJECT_COMPLETED".to_owned());
    told_of(&run, &lines).await?;
    run.studio.delete(&format!("/api/annotations/{}/", run.annotation)).await?;
    told_of(&run, &[format!("TASKS_REOPENED {}", tasks[3])]).await?;
    run.annotate(3, json!({"result": [], "was_cancelled": true})).await?;
    run.settle().await?;
    let skipped = told(&run.receiver, "/more").split_off(expected.len());
    assert!(skipped.contains(&format!("ANNOTATION_SKIPPED {}", run.annotation)), "{skipped:?}");
    let all = run.receiver.received();
    assert_eq!(schema::faults(all.iter().filter(|event| event.is_ours())), Vec::<String>::new());
    run.receiver.clear();
    run.act("delete_tasks", Some(&[0, 1]), json!({})).await?;
    run.settle().await?;
    assert_eq!(told(&run.receiver, "/more"), Vec::<String>::new());

    // A storage that is synchronized, by a folder that is there and then one that is not.
    let folder = run.studio.files.join("calls");
    std::fs::create_dir_all(&folder)?;
    for number in 0..30 {
        std::fs::write(folder.join(format!("{number}.json")), r#"{"text": "tuwit"}"#)?;
    }
    let storage = json!({"path": folder, "regex_filter": ".*json", "use_blob_urls": false, "project": run.project, "title": "Calls"});
    let storage = id(&run.studio.post("/api/storages/localfiles", storage).await?)?;
    run.settle().await?;
    run.receiver.clear();
    run.studio.post(&format!("/api/storages/localfiles/{storage}/sync"), json!({})).await?;
    run.settle().await?;
    assert_eq!(
        told(&run.receiver, "/more"),
        [format!("STORAGE_SYNC_STARTED {storage}"), format!("STORAGE_SYNC_COMPLETED {storage}")]
    );
    let completed = run.receiver.received().into_iter().rfind(|event| event.path == "/more").expect("the last event");
    assert_eq!(
        (&completed.body["storage"]["type"], &completed.body["storage"]["last_sync_count"]),
        (&json!("localfiles"), &json!(30))
    );
    // And one that cannot be read.
    std::fs::write(folder.join("broken.json"), "tuwit, tuwu")?;
    run.receiver.clear();
    let sync = format!("/api/storages/localfiles/{storage}/sync");
    run.studio.attempt(reqwest::Method::POST, &sync, json!({})).await?;
    run.settle().await?;
    let ended = told(&run.receiver, "/more");
    assert_eq!(ended.last(), Some(&format!("STORAGE_SYNC_FAILED {storage}")), "{ended:?}");

    // What belongs to the organization, and the same by a stream.
    let nats = Nats::start().await?;
    published::keep(&nats).await?;
    let actions = "USER_CREATED,USER_UPDATED,USER_DELETED,LABEL_CREATED,LABEL_UPDATED,LABEL_DELETED,TASKS_UPDATED";
    for url in [run.receiver.url("/whole"), nats.url(published::SUBJECT)] {
        lshookd.succeed(&["webhook", "create", &url, "--actions", actions]).await?;
    }
    run.receiver.clear();
    // Label Studio's labels API fails while a webhook of its own listens.
    lshookd.succeed(&["webhook", "adopt", "--all"]).await?;
    let user = json!({"email": "ada@example.com", "username": "ada", "first_name": "Ada"});
    let user = id(&run.studio.post("/api/users/", user).await?)?;
    run.studio.patch(&format!("/api/users/{user}/"), json!({"last_name": "Byron"})).await?;
    run.studio.delete(&format!("/api/users/{user}/")).await?;
    let label = json!([{"project": run.project, "from_name": "kind", "title": "owl", "value": ["owl"]}]);
    let label = id(&run.studio.post("/api/labels/", label).await?[0])?;
    run.studio.patch(&format!("/api/labels/{label}/"), json!({"title": "barn owl"})).await?;
    run.studio.delete(&format!("/api/labels/{label}/")).await?;
    run.run(&format!("update task set meta = '{{\"shelf\": 7}}' where project_id = {}", run.project)).await?;
    run.settle().await?;
    let told_of: Vec<String> = told(&run.receiver, "/whole");
    let of = |kind: &str| told_of.iter().filter(|line| line.starts_with(kind)).cloned().collect::<Vec<_>>();
    let life = |kind: &str, id| ["CREATED", "UPDATED", "DELETED"].map(|end| format!("{kind}{end} {id}")).to_vec();
    assert_eq!(of("USER_"), life("USER_", user));
    let mut labels = of("LABEL_");
    labels.retain(|line| !line.starts_with("LABEL_LINK_"));
    assert_eq!(labels, life("LABEL_", label));
    assert!(told_of.iter().any(|line| line.starts_with("TASKS_UPDATED ")), "{told_of:?}");
    let published = published::kept(&nats).await?;
    assert_eq!(published.len(), told_of.len());
    let all = run.receiver.received();
    assert_eq!(schema::faults(all.iter().filter(|event| event.is_ours())), Vec::<String>::new());
    assert_eq!(run.sql.query_one("select count(*) from lshookd.capture_error", &[]).await?.get::<_, i64>(0), 0);
    Ok(())
}

/// Every action of the command line has a documented schema, and is in the AsyncAPI document.
#[tokio::test]
async fn every_action_is_documented() -> Result<()> {
    let database = test_env::label_studio_database("documented").await?;
    let refused =
        test_env::lshookd(&database).command(&["webhook", "create", "http://host/", "--actions", "NOTHING"]).await?;
    let said = String::from_utf8(refused.stderr)?;
    let list = said.split("[possible values: ").nth(1).and_then(|rest| rest.split(']').next());
    let list = list.expect("the list of actions").replace('\n', " ");
    let actions: Vec<&str> = list.split(", ").collect();
    assert!(actions.len() > 30, "{said}");
    let document = include_str!("../../docs/asyncapi.yaml");
    let page = include_str!("../../docs/additional-actions.md");
    for action in &actions {
        assert!(schema::schemas().contains_key(*action), "{action}");
        assert!(document.contains(&format!("schemas/{action}.json")), "{action}");
    }
    let examples = schema::examples();
    for action in &actions {
        let example = examples.get(*action).with_context(|| format!("{action} has no example"))?;
        assert_eq!(example["action"], **action);
        let faults: Vec<String> =
            schema::schemas()[*action].iter_errors(example).map(|error| error.to_string()).collect();
        assert_eq!(faults, Vec::<String>::new(), "{action}");
    }
    for action in EVERYTHING.split(',') {
        assert!(page.contains(&format!("`{action}`")), "{action}");
    }
    assert_eq!(schema::schemas().len(), actions.len());
    Ok(())
}

/// Some tables name no project, their tasks do: one statement may write to several projects.
#[tokio::test(flavor = "multi_thread")]
async fn a_statement_that_writes_to_several_projects_is_an_event_in_each() -> Result<()> {
    let env = TestEnv::new("severalprojects").await?;
    env.run(
        r#"select fixture.rows('project', '{"title": "Owls", "organization_id": 1, "created_by_id": 1}');
           select fixture.rows('task', '{"project_id": 1}');
           select fixture.rows('task', '{"project_id": 2}')"#,
    )
    .await?;
    for (path, project) in [("/first", "1"), ("/second", "2")] {
        let actions = "DRAFT_CREATED,DRAFT_UPDATED,DRAFT_DELETED";
        env.create_webhook(&env.receiver.url(path), &["--project", project, "--actions", actions]).await?;
    }
    let _daemon = env.lshookd.run().await?;
    for sql in [
        "select fixture.rows('tasks_annotationdraft', '{\"task_id\": 1, \"user_id\": 1, \"result\": []}')",
        "insert into tasks_annotationdraft select (jsonb_populate_record(draft, '{\"id\": 9, \"task_id\": 2}')).* from tasks_annotationdraft as draft",
        "update tasks_annotationdraft set lead_time = 2",
        "delete from tasks_annotationdraft",
    ] {
        env.run(sql).await?;
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
    let all = async || Ok((env.receiver.received().len() >= 6).then_some(()));
    eventually("each project hears of its own", TIMEOUT, all).await?;
    assert_eq!(told(&env.receiver, "/first"), ["DRAFT_CREATED 1", "DRAFT_UPDATED 1", "DRAFT_DELETED 1"]);
    assert_eq!(told(&env.receiver, "/second"), ["DRAFT_CREATED 9", "DRAFT_UPDATED 9", "DRAFT_DELETED 9"]);
    Ok(())
}
