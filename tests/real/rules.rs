//! Rules of one's own: filters, conditions over old and new rows, thresholds, pacing, bodies.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::Result;
use lshookd_scenarios::scenario_run::choice;
use lshookd_testbed::eventually;
use lshookd_testbed::label_studio::Surroundings;
use lshookd_testbed::receiver::{Received, Receiver};
use serde_json::{Value, json};

use crate::test_env::{self, TestEnv};

const TIMEOUT: Duration = Duration::from_secs(10);

/// The example of the documentation.
const TEMPLATES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/templates");
const DOCUMENTED: &str = include_str!("../../docs/rules/rules.toml");

async fn apply(env: &TestEnv, rules: &str) -> Result<String> {
    let file = tempfile::NamedTempFile::new()?;
    std::fs::write(file.path(), rules)?;
    env.lshookd.succeed(&["rule", "apply", &file.path().display().to_string()]).await
}

async fn annotate(env: &TestEnv, choice: &str) -> Result<()> {
    let row = json!({"project_id": 1, "task_id": 1, "completed_by_id": 1, "updated_by_id": 1,
        "result": [{"type": "choices", "value": {"choices": [choice]}}]});
    env.sql.execute("select fixture.rows('task_completion', $1::text::jsonb)", &[&row.to_string()]).await?;
    Ok(())
}

async fn arrives(receiver: &Receiver, path: &str, count: usize) -> Result<Vec<Received>> {
    eventually(path, TIMEOUT, async || {
        let all: Vec<Received> = receiver.received().into_iter().filter(|event| event.path == path).collect();
        Ok((all.len() >= count).then_some(all))
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_filter_lets_through_what_it_holds_of_and_touches_nothing_else() -> Result<()> {
    let env = TestEnv::new("filter").await?;
    let webhook = env.webhook("/filtered", "{}").await?;
    env.webhook("/all", "{}").await?;
    apply(
        &env,
        &format!(
            "[[rule]]\nname = \"spam\"\nwebhook = {webhook}\nactions = [\"ANNOTATION_CREATED\"]\n\
             condition = \"event.annotation.result.exists(region, 'spam' in region.value.choices)\""
        ),
    )
    .await?;
    let _daemon = env.lshookd.run().await?;
    env.run(r#"select fixture.rows('task', '{"project_id": 1}')"#).await?;
    for choice in ["owl", "spam", "wren"] {
        annotate(&env, choice).await?;
    }
    let all = arrives(&env.receiver, "/all", 4).await?;
    let filtered = arrives(&env.receiver, "/filtered", 2).await?;
    assert_eq!(
        filtered.iter().map(|event| event.action()).collect::<Vec<_>>(),
        ["TASKS_CREATED", "ANNOTATION_CREATED"]
    );
    assert_eq!(filtered[1].body, all[2].body);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_condition_compares_what_is_with_what_was() -> Result<()> {
    let env = TestEnv::new("compare").await?;
    let webhook = env.webhook("/slower", "{}").await?;
    env.lshookd.succeed(&["webhook", "update", &webhook.to_string(), "--previous"]).await?;
    apply(
        &env,
        &format!(
            "[[rule]]\nname = \"slower\"\nwebhook = {webhook}\nactions = [\"ANNOTATION_UPDATED\"]\nrename_action = \"SLOWER\"\n\
             condition = \"event.annotation.lead_time > event.previous.lead_time\""
        ),
    )
    .await?;
    let _daemon = env.lshookd.run().await?;
    env.run(r#"select fixture.rows('task', '{"project_id": 1}')"#).await?;
    env.run(r#"select fixture.rows('task_completion', '{"project_id": 1, "task_id": 1, "lead_time": 5}')"#).await?;
    for lead_time in [3, 8, 2, 9] {
        env.run(&format!("update task_completion set lead_time = {lead_time}, updated_at = clock_timestamp()")).await?;
        tokio::time::sleep(Duration::from_millis(150)).await;
    }
    let events = arrives(&env.receiver, "/slower", 4).await?;
    let slower: Vec<&Value> = events
        .iter()
        .filter(|event| event.action() == "SLOWER")
        .map(|event| &event.body["annotation"]["lead_time"])
        .collect();
    assert_eq!(slower, [8.0, 9.0]);
    Ok(())
}

/// "Start training after a certain number of tasks have been annotated", across restarts.
#[tokio::test(flavor = "multi_thread")]
async fn a_threshold_counts_on_after_a_restart() -> Result<()> {
    let env = TestEnv::new("threshold").await?;
    let webhook = env.webhook("/train", "{}").await?;
    apply(
        &env,
        &format!(
            "[[rule]]\nname = \"train\"\nwebhook = {webhook}\nactions = [\"ANNOTATION_CREATED\", \"ANNOTATIONS_CREATED\"]\n\
             threshold = 5\nrename_action = \"TRAIN\"\n\
             template = '{{\"do\": {{{{ action | tojson }}}}, \"project\": {{{{ event.project.id }}}}}}'\n"
        ),
    )
    .await?;
    env.run(r#"select fixture.rows('task', '{"project_id": 1}')"#).await?;
    for round in 0..4 {
        let daemon = env.lshookd.run().await?;
        for _ in 0..3 {
            annotate(&env, "owl").await?;
        }
        eventually("planned", TIMEOUT, async || {
            Ok((env.number("select count(*) from lshookd.change").await? == 0).then_some(()))
        })
        .await?;
        match round % 2 {
            0 => daemon.kill().await?,
            _ => drop(daemon.stop().await?),
        }
    }
    // Two of twelve by now; a bulk of eight makes it two more.
    let _daemon = env.lshookd.run().await?;
    env.run(r#"select fixture.rows('task_completion', '{"project_id": 1, "task_id": 1}', 8)"#).await?;
    // A daemon that is killed may deliver once more what it could not record.
    let trained = async || {
        let mut trained: BTreeMap<String, Value> = BTreeMap::new();
        for event in env.receiver.accepted().into_iter().filter(|event| !event.body["do"].is_null()) {
            trained.insert(event.header("webhook-id").to_owned(), event.body);
        }
        Ok((trained.len() >= 3).then_some(trained))
    };
    let trained = eventually("three trainings", TIMEOUT, trained).await?;
    assert_eq!(trained.into_values().collect::<Vec<_>>(), vec![json!({"do": "TRAIN", "project": 1}); 3]);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pace_holds_back_all_but_the_latest() -> Result<()> {
    let env = TestEnv::new("pace").await?;
    let webhook = env.webhook("/paced", r#"{"send_for_all_actions": false}"#).await?;
    env.run(&format!(
        r#"select fixture.rows('webhook_action', '{{"webhook_id": {webhook}, "action": "ANNOTATION_CREATED"}}')"#
    ))
    .await?;
    env.run(&format!("insert into lshookd.rule (name, webhook_id, throttle) values ('pace', {webhook}, '3 seconds')"))
        .await?;
    env.run(r#"select fixture.rows('task', '{"project_id": 1}')"#).await?;
    let daemon = env.lshookd.run().await?;
    let started = Instant::now();
    for _ in 0..3 {
        annotate(&env, "owl").await?;
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    arrives(&env.receiver, "/paced", 1).await?;
    // What is throttled outlives the daemon.
    daemon.kill().await?;
    let _daemon = env.lshookd.run().await?;
    let events = arrives(&env.receiver, "/paced", 2).await?;
    assert!(started.elapsed() >= Duration::from_secs(3));
    let annotations: Vec<i64> = events.iter().flat_map(|event| event.ids("annotation")).collect();
    assert_eq!(annotations, [1, 3]);
    let listed: Value = serde_json::from_str(&env.lshookd.succeed(&["rule", "list", "--json"]).await?)?;
    assert_eq!((&listed[0]["pace"], &listed[0]["throttled"]), (&json!("throttle 3s"), &json!(0)));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rule_that_cannot_be_used_loses_nothing_and_is_found() -> Result<()> {
    let env = TestEnv::new("broken").await?;
    let webhook = env.webhook("/broken", "{}").await?;
    env.run(&format!(
        "insert into lshookd.rule (name, webhook_id, condition) values ('broken', {webhook}, 'event.tasks.size() >')"
    ))
    .await?;
    let daemon = env.lshookd.run().await?;
    env.run(r#"select fixture.rows('task', '{"project_id": 1}')"#).await?;
    assert_eq!(arrives(&env.receiver, "/broken", 1).await?[0].action(), "TASKS_CREATED");
    assert!(daemon.log().contains("the rule cannot be used"), "{}", daemon.log());
    let said = env.lshookd.command(&["check"]).await?;
    assert!(String::from_utf8_lossy(&said.stdout).contains("rule \"broken\" of webhook"));
    // Nor is what they cannot read: a number that no program holds.
    env.run(r#"select fixture.rows('task', '{"project_id": 1, "data": {"n": 1e999}}')"#).await?;
    assert_eq!(arrives(&env.receiver, "/broken", 2).await?.len(), 2);
    // A file is looked at before anything of it is used.
    let file = tempfile::NamedTempFile::new()?;
    std::fs::write(file.path(), "[[rule]]\nname = \"a\"\nwebhook = 999\n")?;
    let refused = env.lshookd.command(&["rule", "apply", &file.path().display().to_string()]).await?;
    assert!(String::from_utf8_lossy(&refused.stderr).contains("[unknown-webhook]"));
    // Others stay, unless they are pruned, which takes a confirmation.
    std::fs::write(
        file.path(),
        format!("[[rule]]\nname = \"a\"\nwebhook = {webhook}\nactions = [\"LABEL_LINK_CREATED\"]\n"),
    )?;
    let path = file.path().display().to_string();
    env.lshookd.succeed(&["rule", "apply", &path]).await?;
    assert_eq!(env.number("select count(*) from lshookd.rule").await?, 2);
    let refused = env.lshookd.command(&["rule", "apply", &path, "--prune"]).await?;
    assert!(String::from_utf8_lossy(&refused.stderr).contains("would delete the rules broken"));
    assert_eq!(env.number("select count(*) from lshookd.rule").await?, 2);
    env.lshookd.succeed(&["rule", "delete", "a"]).await?;
    let refused = env.lshookd.command(&["rule", "delete", "a"]).await?;
    assert!(String::from_utf8_lossy(&refused.stderr).contains("no rule a"));
    // And can be tried on what was recorded.
    std::fs::write(
        file.path(),
        format!("[[rule]]\nname = \"a\"\nwebhook = {webhook}\ntemplate_file = \"{TEMPLATES}/slack.json\"\n"),
    )?;
    let tried = env.lshookd.succeed(&["rule", "test", &file.path().display().to_string(), "--json"]).await?;
    let tried: Value = serde_json::from_str(&tried)?;
    assert_eq!((&tried[0]["events"], &tried[0]["matched"]), (&json!(2), &json!(1)));
    assert!(tried[0]["body"].as_str().is_some_and(|body| body.contains("TASKS_CREATED in project 1 Birds")), "{tried}");
    assert_eq!(env.number("select count(*) from lshookd.rule where name = 'broken'").await?, 1);
    Ok(())
}

/// The documented rules, beside the real Label Studio: people annotate, training starts after every second
/// annotation, somebody hears when the project is three quarters done, and the chat when it is finished.
#[tokio::test(flavor = "multi_thread")]
async fn the_documented_rules_work_beside_label_studio() -> Result<()> {
    let database = test_env::label_studio_database("documented").await?;
    let (mut run, _daemon) = test_env::run(&database, Surroundings::default()).await?;
    run.furnish().await?;
    let lshookd = test_env::lshookd(&database);
    let subscribe = async |path: &str, actions: &str| -> Result<String> {
        let (url, project) = (run.receiver.url(path), run.project.to_string());
        let said = lshookd
            .succeed(&["webhook", "create", &url, "--project", &project, "--actions", actions, "--json"])
            .await?;
        Ok(serde_json::from_str::<Value>(&said)?["id"].to_string())
    };
    let train = subscribe("/train", "ANNOTATION_CREATED").await?;
    let progress = subscribe("/progress", "TASKS_COMPLETED,TASKS_REOPENED").await?;
    let chat = subscribe("/chat", "PROJECT_COMPLETED").await?;
    let spam = subscribe("/spam", "ANNOTATION_CREATED").await?;
    let rules = DOCUMENTED
        .replace("webhook = 11", &format!("webhook = {train}"))
        .replace("webhook = 12", &format!("webhook = {progress}"))
        .replace("webhook = 13", &format!("webhook = {chat}"))
        .replace("webhook = 14", &format!("webhook = {spam}"))
        .replace("threshold = 100", "threshold = 2")
        .replace("../templates", TEMPLATES);
    let file = tempfile::NamedTempFile::new()?;
    std::fs::write(file.path(), rules)?;
    lshookd.succeed(&["rule", "apply", &file.path().display().to_string()]).await?;
    run.receiver.clear();
    for task in 0..4 {
        run.annotate(task, json!({"result": choice(if task == 1 { "wren" } else { "owl" })})).await?;
        run.settle().await?;
    }
    let bodies = |path: &str| -> Vec<Value> {
        run.receiver.received().into_iter().filter(|event| event.path == path).map(|event| event.body).collect()
    };
    let trained = bodies("/train");
    assert_eq!(trained.len(), 2, "{trained:?}");
    assert_eq!(
        trained[0],
        json!({"event_type": "train", "client_payload":
        {"action": "ANNOTATION_CREATED", "project": {"id": run.project, "title": "Birds"}}})
    );
    let progress: Vec<Value> = bodies("/progress").into_iter().map(|body| body["action"].clone()).collect();
    assert_eq!(progress, ["NEARLY_DONE"]);
    assert_eq!(
        bodies("/chat"),
        [json!({"text": format!("PROJECT_COMPLETED in project {} Birds: 4 of 4 tasks are done", run.project)})]
    );
    assert_eq!(bodies("/spam").len(), 1);
    Ok(())
}
