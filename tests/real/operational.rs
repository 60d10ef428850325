//! Operational events: what operators hear of lshookd itself.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use lshookd_scenarios::schema;
use lshookd_testbed::daemon::Daemon;
use lshookd_testbed::eventually;
use lshookd_testbed::receiver::Reply;

use crate::test_env::TestEnv;

const TIMEOUT: Duration = Duration::from_secs(60);

/// A database with a webhook that hears of lshookd's operation, on the path `/operators`.
async fn heard(label: &str, settings: &[(&str, &str)]) -> Result<(TestEnv, Daemon)> {
    let mut env = TestEnv::new(label).await?;
    for (name, value) in settings {
        env = env.with(name, value);
    }
    env.webhook("/project", "{}").await?;
    operator(&env, "/operators").await?;
    let daemon = env.lshookd.run().await?;
    // From here on: what was before is not told.
    let looked = async || {
        Ok((env.number("select count(*) from lshookd.operation where kind = 'look'").await? == 1).then_some(()))
    };
    eventually("it was looked", TIMEOUT, looked).await?;
    Ok((env, daemon))
}

async fn operator(env: &TestEnv, path: &str) -> Result<i64> {
    env.create_webhook(&env.receiver.url(path), &["--actions", "OPERATIONAL_EVENT"]).await
}

/// Each with its kind and its webhook, in the order in which they came.
fn told(env: &TestEnv, path: &str) -> Result<Vec<String>> {
    let mut told = Vec::new();
    for request in env.receiver.accepted().iter().filter(|request| request.path == path) {
        let faults: Vec<String> =
            schema::schemas()["OPERATIONAL_EVENT"].iter_errors(&request.body).map(|error| error.to_string()).collect();
        ensure!(faults.is_empty(), "{}: {faults:?}", request.body);
        let operation = &request.body["operation"];
        ensure!(operation["message"].as_str().is_some_and(|message| message.len() > 10), "{operation}");
        told.push(format!("{} {}", operation["kind"].as_str().context("a kind")?, operation["webhook"]));
    }
    Ok(told)
}

async fn until_told(env: &TestEnv, path: &str, what: &str) -> Result<()> {
    let heard = async || Ok(told(env, path)?.iter().any(|each| each == what).then_some(()));
    eventually(&format!("{path} hears of {what}, and has of {:?}", told(env, path)?), TIMEOUT, heard).await
}

#[tokio::test(flavor = "multi_thread")]
async fn operators_hear_of_each_once() -> Result<()> {
    let (env, daemon) = heard("operators", &[("LSHOOKD_PAUSE_AFTER", "4s"), ("LSHOOKD_BACKLOG", "5")]).await?;
    // It only fails, is paused by lshookd, and resumed by a person.
    env.receiver.answer("/project", Reply::status(500));
    env.run("update project set title = 'a'").await?;
    until_told(&env, "/operators", "webhook-paused 1").await?;
    for title in ["b", "c", "d", "e", "f", "g"] {
        env.run(&format!("update project set title = '{title}'")).await?;
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
    until_told(&env, "/operators", "backlog null").await?;
    env.receiver.answer("/project", Reply::status(200));
    env.lshookd.succeed(&["webhook", "resume", "1"]).await?;
    until_told(&env, "/operators", "webhook-resumed 1").await?;
    until_told(&env, "/operators", "backlog-over null").await?;
    // Two die: the second belongs to what is told ten minutes later.
    env.receiver.answer("/project", Reply::status(410));
    env.run("update project set title = 'h'").await?;
    until_told(&env, "/operators", "delivery-dead 1").await?;
    env.run("update project set title = 'i'").await?;
    env.run("insert into lshookd.capture_error (relation, operation, message) values ('task', 'insert', 'of a test')")
        .await?;
    until_told(&env, "/operators", "capture-failed null").await?;
    // Another daemon takes over: it tells that, and nothing else again.
    daemon.kill().await?;
    let daemon = env.lshookd.run().await?;
    until_told(&env, "/operators", "takeover null").await?;
    tokio::time::sleep(Duration::from_secs(12)).await;
    let mut all = told(&env, "/operators")?;
    all.retain(|each| each != "takeover null");
    let sorted = {
        let mut sorted = all.clone();
        sorted.sort();
        sorted
    };
    assert_eq!(
        sorted,
        [
            "backlog null",
            "backlog-over null",
            "capture-failed null",
            "delivery-dead 1",
            "webhook-paused 1",
            "webhook-resumed 1"
        ]
    );
    daemon.stop().await?;
    Ok(())
}

/// Webhooks of operators that fail, and whose deliveries die, tell of each other, and never of what they tell.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_told_is_never_told_of() -> Result<()> {
    let (env, daemon) = heard("recursion", &[]).await?;
    let other = operator(&env, "/others").await?;
    env.receiver.answer("/operators", Reply::status(410));
    env.receiver.answer("/others", Reply::status(410));
    env.run("insert into lshookd.capture_error (relation, operation, message) values ('task', 'insert', 'of a test')")
        .await?;
    let dead = async || {
        Ok((env.number("select count(*) from lshookd.delivery where state = 'dead'").await? == 2).then_some(()))
    };
    eventually("both are dead", TIMEOUT, dead).await?;
    tokio::time::sleep(Duration::from_secs(25)).await;
    assert_eq!(
        env.number("select count(*) from lshookd.event").await?,
        2,
        "one for each of them, and nothing of those"
    );
    // That one fails, the other hears, once; it hears nothing of itself.
    env.receiver.answer("/operators", Reply::status(200));
    env.receiver.answer("/others", Reply::status(200));
    env.run(&format!(
        "insert into lshookd.failing_webhook (webhook_id, since) values ({other}, now() - interval '5 minutes')"
    ))
    .await?;
    until_told(&env, "/operators", &format!("webhook-failing {other}")).await?;
    assert!(!told(&env, "/others")?.iter().any(|each| each.starts_with("webhook-failing")));
    daemon.stop().await?;
    Ok(())
}

/// By a rule, in the words of somebody else's.
#[tokio::test(flavor = "multi_thread")]
async fn they_go_through_rules_and_nobody_pays_who_does_not_want_them() -> Result<()> {
    let (env, daemon) = heard("templates", &[]).await?;
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("rules.toml");
    let document = include_str!("../../docs/operational-events.md");
    let rule = document.split("```toml\n").nth(1).and_then(|rest| rest.split("```").next()).context("a rule")?;
    std::fs::write(&file, rule.replace("webhook = 12", "webhook = 2"))?;
    env.lshookd.succeed(&["rule", "apply", &file.display().to_string()]).await?;
    env.run("insert into lshookd.capture_error (relation, operation, message) values ('task', 'insert', 'of a test')")
        .await?;
    let words = async || {
        Ok(env
            .receiver
            .accepted()
            .iter()
            .any(|request| {
                request.path == "/operators"
                    && request.body["text"]
                        .as_str()
                        .is_some_and(|text| text.starts_with("1 change could not be captured"))
            })
            .then_some(()))
    };
    eventually("it is told in Slack's way", TIMEOUT, words).await?;
    env.lshookd.succeed(&["webhook", "update", "2", "--additional-actions", "none"]).await?;
    let forgotten = async || Ok((env.number("select count(*) from lshookd.operation").await? == 0).then_some(()));
    eventually("nothing is remembered for nobody", TIMEOUT, forgotten).await?;
    daemon.stop().await?;
    Ok(())
}
