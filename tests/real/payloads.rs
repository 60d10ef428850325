//! What a payload shows is what the database says when the request is over, however long that took and whatever the
//! connection did in between.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use futures_util::future::try_join_all;
use lshookd_scenarios::scenario_run::{PROJECT, ScenarioRun, choice};
use lshookd_testbed::daemon::Daemon;
use lshookd_testbed::eventually;
use lshookd_testbed::label_studio::Surroundings;
use lshookd_testbed::proxy::Proxy;
use lshookd_testbed::receiver::Received;
use lshookd_testbed::s3::S3;
use serde_json::{Value, json};

use crate::test_env::{TestEnv, label_studio_database, run};

/// How often each case is tried.
fn rounds() -> usize {
    match std::env::var("LSHOOKD_TEST_FAULTS").as_deref() {
        Ok("long") => 10,
        _ => 3,
    }
}

async fn studio(label: &str) -> Result<(ScenarioRun, Daemon)> {
    let database = label_studio_database(label).await?;
    let (mut run, daemon) = run(&database, Surroundings::default()).await?;
    run.furnish().await?;
    run.receiver.clear();
    Ok((run, daemon))
}

fn ours(run: &ScenarioRun, action: &str) -> Vec<Received> {
    let is_ours = |request: &Received| request.path == PROJECT && request.is_ours() && request.action() == action;
    run.receiver.received().into_iter().filter(is_ours).collect()
}

/// A setting that makes Label Studio go through all tasks: the event comes when that is done.
#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_goes_through_many_tasks_is_waited_for() -> Result<()> {
    let (run, _daemon) = studio("overlap").await?;
    let tasks: Vec<Value> = (0..4000)
        .map(|number| json!({"data": {"text": number.to_string()}, "annotations": [{"result": choice("owl")}]}))
        .collect();
    run.import(json!(tasks)).await?;
    run.settle().await?;
    run.receiver.clear();
    for round in 0..rounds() {
        let percentage = if round % 2 == 0 { 50 } else { 100 };
        run.set_project(json!({"maximum_annotations": 2, "overlap_cohort_percentage": percentage})).await?;
        let over = Instant::now();
        let arrived = async || Ok((ours(&run, "PROJECT_UPDATED").len() > round).then_some(()));
        eventually("PROJECT_UPDATED", Duration::from_secs(20), arrived).await?;
        let latency = over.elapsed();
        let shown = ours(&run, "PROJECT_UPDATED")[round].body["project"]["finished_task_number"].as_i64();
        let finished = "select count(*) from task where is_labeled and project_id = $1::bigint::integer";
        let is: i64 = run.sql.query_one(finished, &[&run.project]).await?.get(0);
        ensure!(shown == Some(is), "round {round}: {shown:?} finished tasks are shown, {is} there are");
        ensure!(latency < Duration::from_secs(2), "round {round}: {latency:?} after the request");
    }
    Ok(())
}

/// Sixteen annotators and two imports at once: no annotation is shown with a task as it was in the middle.
#[tokio::test(flavor = "multi_thread")]
async fn annotations_of_many_people_beside_imports_show_tasks_that_are_done() -> Result<()> {
    let (mut run, _daemon) = studio("busy").await?;
    let texts: Vec<Value> = (0..64).map(|number| json!({"text": number.to_string()})).collect();
    run.import(json!(texts)).await?;
    run.settle().await?;
    run.note_tasks().await?;
    run.receiver.clear();
    let annotate = async |person: usize| {
        for round in 0..4 {
            let path = format!("/api/tasks/{}/annotations/", run.tasks[person * 4 + round]);
            run.studio.post(&path, json!({"result": choice("owl")})).await?;
        }
        anyhow::Ok(())
    };
    let import = async || {
        let tasks: Vec<Value> = (0..1500).map(|number| json!({"text": number.to_string()})).collect();
        run.import(json!(tasks)).await.map(drop)
    };
    let (annotated, one, other) = tokio::join!(try_join_all((0..16).map(annotate)), import(), import());
    annotated.map(drop).and(one).and(other)?;
    run.settle().await?;
    let events = ours(&run, "ANNOTATION_CREATED");
    ensure!(events.len() == 64, "{} events", events.len());
    let stale: Vec<&Value> = events
        .iter()
        .map(|event| &event.body["task"])
        .filter(|task| task["is_labeled"] != true || task["total_annotations"] != 1)
        .collect();
    ensure!(stale.is_empty(), "{} of {} are stale: {:?}", stale.len(), events.len(), stale.first());
    Ok(())
}

/// An event of a young connection, which is silent for a while after its first write, shows what came of it in the end.
async fn after_a_pause(label: &str, first: &str, pause: Duration) -> Result<()> {
    let (env, daemon) = TestEnv::running(label).await?;
    env.run(r#"select fixture.rows('task', '{"project_id": 1}')"#).await?;
    env.receiver.expect(1).await?;
    for round in 0..rounds() {
        env.run("update task set is_labeled = false").await?;
        let request = env.database.connect_as("").await?;
        request.batch_execute(first).await?;
        tokio::time::sleep(pause).await;
        request.batch_execute(r#"update "task" set "is_labeled" = true"#).await?;
        drop(request);
        let over = Instant::now();
        let received = env.receiver.expect(2 + round).await?;
        let latency = over.elapsed();
        ensure!(received[1 + round].body["task"]["is_labeled"] == true, "round {round}\n{}", daemon.log());
        ensure!(latency < Duration::from_millis(600), "round {round}: {latency:?}");
    }
    let ended: Vec<String> = env
        .sql
        .query("select ended_by from lshookd.event where action = 'ANNOTATION_CREATED'", &[])
        .await?
        .iter()
        .map(|row| row.get(0))
        .collect();
    ensure!(ended.iter().all(|by| by == "closed"), "{ended:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pause_after_a_transaction_is_waited_out() -> Result<()> {
    let insert =
        r#"begin; select fixture.rows('task_completion', '{"project_id": 1, "task_id": 1, "result": []}'); commit"#;
    after_a_pause("pausetransaction", insert, Duration::from_millis(300)).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pause_after_a_statement_is_waited_out() -> Result<()> {
    let insert = r#"select fixture.rows('task_completion', '{"project_id": 1, "task_id": 1, "result": []}')"#;
    after_a_pause("pausestatement", insert, Duration::from_millis(1300)).await
}

/// Label Studio exports an annotation to a storage within the annotator's request, and its connection is idle for as
/// long as that takes.
#[tokio::test(flavor = "multi_thread")]
async fn a_storage_that_answers_late_is_waited_for() -> Result<()> {
    let (mut run, daemon) = studio("lateexport").await?;
    run.import(json!([{"text": "a"}, {"text": "b"}, {"text": "c"}])).await?;
    run.settle().await?;
    run.note_tasks().await?;
    run.receiver.clear();
    let store = S3::start().await?;
    let proxy = Proxy::start(store.port()?).await?;
    let storage = json!({
        "project": run.project, "bucket": S3::BUCKET, "s3_endpoint": format!("http://127.0.0.1:{}", proxy.port),
        "aws_access_key_id": "any", "aws_secret_access_key": "any", "region_name": "us-east-1",
    });
    run.studio.post("/api/storages/export/s3", storage).await?;
    for (round, seconds) in [0, 3, 10].into_iter().enumerate() {
        let path = format!("/api/tasks/{}/annotations/", run.tasks[round]);
        let began = Instant::now();
        let (answer, ()) = tokio::join!(
            run.studio.post(&path, json!({"result": choice("owl")})),
            proxy.silence(Duration::from_secs(seconds))
        );
        answer?;
        ensure!(began.elapsed() >= Duration::from_secs(seconds), "the storage was not waited for");
        let over = Instant::now();
        let arrived = async || Ok((ours(&run, "ANNOTATION_CREATED").len() > round).then_some(()));
        eventually("ANNOTATION_CREATED", Duration::from_secs(20), arrived).await?;
        ensure!(over.elapsed() < Duration::from_secs(2), "{:?} after the request", over.elapsed());
        let event = &ours(&run, "ANNOTATION_CREATED")[round];
        ensure!(event.body["task"]["is_labeled"] == true, "{seconds} s: {}\n{}", event.body["task"], daemon.log());
        ensure!(!event.body["task"]["updated_by"].is_null(), "{seconds} s: {}", event.body["task"]);
    }
    Ok(())
}

/// A connection that is shared and never rests: annotations arrive soon all the same, and an import is one event.
#[tokio::test(flavor = "multi_thread")]
async fn on_a_connection_that_never_rests_events_come_soon() -> Result<()> {
    let (env, daemon) = TestEnv::running("restless").await?;
    env.run(r#"select fixture.rows('task', '{"project_id": 1}')"#).await?;
    env.receiver.expect(1).await?;
    // Nobody knows this client yet.
    let shared = env.database.connect_as("pooled").await?;
    let busy = async {
        let until = Instant::now() + Duration::from_secs(40);
        let mut next = Instant::now();
        while Instant::now() < until {
            shared.batch_execute("select 1").await?;
            if Instant::now() >= next {
                next += Duration::from_secs(1);
                shared
                    .batch_execute(
                        r#"select fixture.rows('task_completion', '{"project_id": 1, "task_id": 1, "result": []}')"#,
                    )
                    .await?;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        shared.batch_execute(r#"select fixture.rows('task', '{"project_id": 1}', 3)"#).await?;
        for _ in 0..400 {
            shared.batch_execute("select 1").await?;
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        anyhow::Ok(())
    };
    busy.await?;
    let query = "select extract(epoch from planned_at - occurred_at)::float8 as seconds
                 from lshookd.event where action = 'ANNOTATION_CREATED' order by 1";
    let waits: Vec<f64> = env.sql.query(query, &[]).await?.iter().map(|row| row.get(0)).collect();
    ensure!(waits.len() >= 38, "{} events\n{}", waits.len(), daemon.log());
    let (median, longest) = (waits[waits.len() / 2], waits[waits.len() - 1]);
    ensure!(median <= 0.5 && longest <= 5.5, "median {median} s, at most {longest} s");
    let imports = "select object_count from lshookd.event where action = 'TASKS_CREATED' and object_count > 1";
    let counts: Vec<i32> = env.sql.query(imports, &[]).await?.iter().map(|row| row.get(0)).collect();
    ensure!(counts == [3], "{counts:?}");
    Ok(())
}

/// A process id that comes again is another connection.
#[tokio::test(flavor = "multi_thread")]
async fn two_sessions_of_one_process_id_are_two() -> Result<()> {
    let env = TestEnv::new("pids").await?;
    env.webhook("/project", "{}").await?;
    for text in ["a", "b"] {
        env.database
            .connect()
            .await?
            .batch_execute(&format!(
                r#"select fixture.rows('task', '{{"project_id": 1, "data": {{"text": "{text}"}}}}')"#
            ))
            .await?;
    }
    // As after a restart in a container.
    env.run("update lshookd.change set backend = 4711").await?;
    let _daemon = env.lshookd.run().await?;
    let received = env.receiver.expect(2).await?;
    let texts: Vec<&Value> = received.iter().map(|request| &request.body["tasks"][0]["data"]["text"]).collect();
    assert_eq!(texts, ["a", "b"]);
    Ok(())
}

/// lshookd refuses a pooler before it changes anything in a session of somebody else's.
#[tokio::test(flavor = "multi_thread")]
async fn a_pooler_between_is_refused_and_left_as_it_is() -> Result<()> {
    use lshookd_testbed::pooler::Pooler;
    let env = TestEnv::new("refusedpool").await?;
    for mode in ["transaction", "session"] {
        let pooler = Pooler::start(&env.database, mode, 1).await?;
        let mut lshookd = crate::test_env::lshookd(&env.database);
        for (name, value) in pooler.environment() {
            lshookd = lshookd.with(&name, &value);
        }
        // As other clients that name their statements as our driver does leave the session that all share.
        if mode == "transaction" {
            let neighbor = env.database.behind(pooler.port()).connect().await?;
            neighbor.batch_execute("prepare s0 as select 1; prepare s1 as select 1").await?;
        }
        for command in [&["run"][..], &["check"], &["status"], &["install"]] {
            let output = lshookd.command(command).await?;
            let said =
                format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
            ensure!(
                output.status.code() == Some(1) && said.contains("connection pooler"),
                "{mode} {command:?}: {said}"
            );
        }
        let behind = env.database.behind(pooler.port()).connect().await.context("through the pooler")?;
        let path: String = behind.query_one("show search_path", &[]).await?.get(0);
        ensure!(path == "\"$user\", public", "{mode}: {path}");
    }
    Ok(())
}
