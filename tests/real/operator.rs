//! The operator's commands, against real parts.

use std::collections::HashMap;
use std::time::Duration;

use anyhow::{Context, Result};
use lshookd::config::SETTINGS;
use lshookd_scenarios::scenario_run::{ORGANIZATION, PROJECT, ScenarioRun};
use lshookd_testbed::daemon::Lshookd;
use lshookd_testbed::eventually;
use lshookd_testbed::label_studio::{Installation, Surroundings};
use lshookd_testbed::postgres::Server;
use lshookd_testbed::receiver::{Receiver, Reply};
use serde_json::{Value, json};

use crate::test_env::{self, TestEnv};

/// A command's answer as JSON.
async fn ask(lshookd: &Lshookd, arguments: &[&str]) -> Result<Value> {
    let said = lshookd.succeed(&[arguments, &["--json"]].concat()).await?;
    serde_json::from_str(&said).with_context(|| format!("{arguments:?} said {said}"))
}

/// A command that fails; its code, and what it said.
async fn fail(lshookd: &Lshookd, arguments: &[&str]) -> Result<(i32, String)> {
    let output = lshookd.command(arguments).await?;
    let said = String::from_utf8([output.stdout, output.stderr].concat())?;
    Ok((output.status.code().context("killed")?, said))
}

/// What `check` found, by code: the levels.
async fn findings(lshookd: &Lshookd) -> Result<Vec<(String, String, String)>> {
    let output = lshookd.command(&["check", "--json"]).await?;
    let answer: Value = serde_json::from_slice(&output.stdout)?;
    let text = |finding: &Value, key: &str| finding[key].as_str().unwrap_or_default().to_owned();
    let all = answer["findings"].as_array().context("no findings")?;
    Ok(all.iter().map(|each| (text(each, "code"), text(each, "level"), text(each, "message"))).collect())
}

async fn expect_finding(lshookd: &Lshookd, code: &str, level: &str, words: &str) -> Result<()> {
    let found = findings(lshookd).await?;
    let there = found.iter().any(|(its, how, text)| its == code && how == level && text.contains(words));
    assert!(there, "no {level} {code} {words:?} in {found:#?}");
    Ok(())
}

/// The annotations that lshookd sent to a path, or Label Studio.
fn sent(run: &ScenarioRun, ours: bool, path: &str) -> Vec<i64> {
    let all = run.receiver.received();
    let theirs = all.iter().filter(|request| request.path == path && request.is_ours() == ours);
    theirs.flat_map(|request| request.ids("annotation")).collect()
}

/// While people annotate, the webhooks are adopted: lshookd sends every annotation once, Label Studio
/// those before and none after; then somebody switches one on again in Label Studio, and there
/// are never both.
#[tokio::test(flavor = "multi_thread")]
async fn webhooks_are_adopted_and_released_while_people_annotate() -> Result<()> {
    let database = test_env::label_studio_database("handover").await?;
    let studio = Installation::find(&test_env::version())?.start_in(&database, Surroundings::default()).await?;
    let lshookd = test_env::installed(&database).await?;
    let daemon = lshookd.run().await?;
    let mut run = ScenarioRun::start(studio, &database, Receiver::start().await?).await?;
    run.furnish().await?;
    run.receiver.clear();
    expect_finding(&lshookd, "delivered-twice", "warning", "both deliver").await?;

    let row = run.sql.query_one("select array_agg(id::bigint order by id) from webhook where is_active", &[]).await?;
    let was_active: Vec<i64> = row.get(0);
    let mut made = Vec::new();
    for number in 0..12 {
        if number == 6 {
            let answer = ask(&lshookd, &["webhook", "adopt", "--all"]).await?;
            let active: Vec<i64> =
                answer["adopted"].as_array().into_iter().flatten().filter_map(Value::as_i64).collect();
            assert_eq!(active, was_active);
        }
        run.annotate(0, json!({"result": [], "lead_time": number})).await?;
        made.push(run.annotation);
    }
    run.settle().await?;
    for path in [PROJECT, ORGANIZATION] {
        assert_eq!(sent(&run, true, path), made, "lshookd, {path}");
        assert_eq!(sent(&run, false, path), made[..6], "Label Studio, {path}");
    }
    expect_finding(&lshookd, "delivered-twice", "ok", "").await?;

    // Label Studio's page shows it as inactive; somebody switches it on.
    let row = run
        .sql
        .query_one("select id::bigint from webhook where url like '%/project' and project_id is not null", &[])
        .await?;
    let webhook: i64 = row.get(0);
    run.receiver.clear();
    run.studio.patch(&format!("/api/webhooks/{webhook}/"), json!({"is_active": true})).await?;
    run.annotate(0, json!({"result": [], "lead_time": 12})).await?;
    let back = run.annotation;
    run.settle().await?;
    expect_finding(&lshookd, "released", "warning", &format!("webhook {webhook} is released")).await?;
    assert_eq!((sent(&run, true, PROJECT), sent(&run, false, PROJECT)), (vec![], vec![back]));
    assert_eq!((sent(&run, true, ORGANIZATION), sent(&run, false, ORGANIZATION)), (vec![back], vec![]));

    // Adopted again, and released by command.
    ask(&lshookd, &["webhook", "adopt", &webhook.to_string()]).await?;
    run.receiver.clear();
    run.annotate(0, json!({"result": [], "lead_time": 13})).await?;
    let again = run.annotation;
    run.settle().await?;
    ask(&lshookd, &["webhook", "release", &webhook.to_string()]).await?;
    run.annotate(0, json!({"result": [], "lead_time": 14})).await?;
    let released = run.annotation;
    run.settle().await?;
    assert_eq!((sent(&run, true, PROJECT), sent(&run, false, PROJECT)), (vec![again], vec![released]));
    daemon.stop().await?;

    // Whatever is still adopted goes back with everything else.
    let said = lshookd.succeed(&["uninstall", "--yes"]).await?;
    assert!(said.contains("Label Studio delivers webhook"), "{said}");
    let row = run.sql.query_one("select array_agg(id::bigint order by id) from webhook where is_active", &[]).await?;
    assert_eq!(row.get::<_, Vec<i64>>(0), was_active);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn installing_may_adopt_all_at_once() -> Result<()> {
    let database = test_env::label_studio_database("adopt_all").await?;
    let env = TestEnv::furnish(database).await?;
    env.webhook("/project", "{}").await?;
    env.webhook("/off", r#"{"is_active": false}"#).await?;
    env.lshookd.succeed(&["install", "--adopt-all"]).await?;
    assert_eq!(env.number("select count(*) from webhook where is_active").await?, 0);
    let daemon = env.lshookd.run().await?;
    env.run("update project set title = 'Owls'").await?;
    let requests = env.receiver.expect(1).await?;
    assert_eq!(requests.len(), 1, "what was off stays off");
    assert_eq!(requests[0].path, "/project");
    daemon.stop().await?;
    Ok(())
}

/// Before webhooks are adopted it is said which of them would get nothing, and why.
#[tokio::test(flavor = "multi_thread")]
async fn adopting_says_what_would_not_be_delivered() -> Result<()> {
    let env = TestEnv::new("obstacles").await?;
    env.webhook("/fine", "{}").await?;
    let moved = env.webhook("/moved", "{}").await?;
    let target = env.receiver.url("/new/");
    env.receiver.answer(
        "/moved",
        Reply { headers: vec![("location", format!("{target}?key=open-sesame"))], ..Reply::status(301) },
    );
    let kept = env.webhook("/kept", "{}").await?;
    env.receiver.answer("/kept", Reply { headers: vec![("location", target.clone())], ..Reply::status(307) });
    let refused = env.webhook("/refused", r#"{"url": "http://169.254.169.254/latest"}"#).await?;
    let silent = env.webhook("/silent", "{}").await?;
    env.receiver.answer("/silent", Reply { delay: Duration::from_secs(8), ..Reply::status(200) });

    let said = env.lshookd.command(&["webhook", "adopt", &moved.to_string(), &refused.to_string()]).await?;
    let warned = String::from_utf8(said.stderr)?;
    assert!(said.status.success(), "{warned}");
    assert!(warned.contains(&format!("webhook {moved} will get nothing")) && warned.contains(&target), "{warned}");
    assert!(warned.contains(&format!("webhook {refused} will get nothing")) && warned.contains("169.254."), "{warned}");
    assert!(!warned.contains("open-sesame"), "{warned}");

    let answer = ask(&env.lshookd, &["webhook", "adopt", "--all"]).await?;
    assert!(answer["adopted"].as_array().is_some_and(|ids| ids.contains(&kept.into()) && ids.contains(&silent.into())));
    assert_eq!(answer["obstacles"], json!([]), "the others can be delivered, as far as anybody can tell");
    assert_eq!(env.receiver.count(), 0, "asking is no event");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_webhook_is_created_listed_and_deleted() -> Result<()> {
    let env = TestEnv::new("created").await?;
    let _daemon = env.lshookd.run().await?;
    let headers = tempfile::NamedTempFile::new()?;
    std::fs::write(headers.path(), "X-Key: open-sesame\n")?;
    let (url, headers) = (env.receiver.url("/made?token=hidden"), headers.path().display().to_string());
    let made = ask(
        &env.lshookd,
        &["webhook", "create", &url, "--project", "1", "--actions", "PROJECT_UPDATED", "--headers-file", &headers],
    )
    .await?;
    let id = made["id"].to_string();
    env.run(r#"update webhook set headers = headers || '{"Webhook-Id": "mine", "X-Other": "kept"}'"#).await?;
    expect_finding(&env.lshookd, "headers", "warning", "headers Webhook-Id have no effect").await?;
    env.run("update webhook set headers = headers - 'Webhook-Id'").await?;
    let everything =
        ask(&env.lshookd, &["webhook", "create", &env.receiver.url("/all"), "--send-payload=false"]).await?;

    env.run("update project set title = 'Owls'").await?;
    env.run(r#"select fixture.rows('task', '{"project_id": 1}')"#).await?;
    let requests = env.receiver.expect(3).await?;
    let by_path = |path: &str| requests.iter().filter(|request| request.path == path).collect::<Vec<_>>();
    assert_eq!(by_path("/made").len(), 1);
    assert_eq!(by_path("/made")[0].header("x-key"), "open-sesame");
    assert_eq!(by_path("/made")[0].body["project"]["title"], "Owls");
    assert_eq!(by_path("/all")[0].body, json!({"action": "PROJECT_UPDATED"}));
    assert_eq!(by_path("/all")[1].body, json!({"action": "TASKS_CREATED"}));

    let listed = ask(&env.lshookd, &["webhook", "list"]).await?;
    assert_eq!(listed.as_array().map(Vec::len), Some(2));
    assert_eq!(listed[0]["delivered_by"], "lshookd");
    assert_eq!(listed[0]["actions"], json!(["PROJECT_UPDATED"]));
    assert_eq!(listed[0]["delivered_last_hour"], 1);
    assert_eq!(listed[1]["id"], everything["id"]);
    let table = env.lshookd.succeed(&["webhook", "list"]).await?;
    assert!(table.contains("/made") && !table.contains("hidden") && !table.contains('\u{1b}'), "{table}");

    // What Label Studio's own pages would not allow is refused.
    for (arguments, words) in [
        (&["webhook", "create", "ftp://host/"][..], "the schemes are http, https, nats and pull"),
        (&["webhook", "create", "http://host/", "--project", "99"], "no project 99"),
        (&["webhook", "create", "http://host/", "--project", "1", "--actions", "PROJECT_CREATED"], "organization"),
        (&["webhook", "delete", "99"], "no webhook 99"),
        (&["webhook", "adopt", "99"], "no webhook 99"),
    ] {
        let (code, said) = fail(&env.lshookd, arguments).await?;
        assert!(code == 1 && said.contains(words), "{arguments:?}: {code} {said}");
    }
    assert_eq!(fail(&env.lshookd, &["webhook", "create", "http://host/", "--actions", "TASKS_MADE"]).await?.0, 2);

    ask(&env.lshookd, &["webhook", "delete", &id]).await?;
    assert_eq!(env.number("select count(*) from webhook").await?, 1);
    assert_eq!(env.number("select count(*) from webhook_action").await?, 0);
    Ok(())
}

/// Where the settings say so, a webhook that somebody creates in Label Studio is lshookd's from the first: a hundred
/// of them get each event once.
#[tokio::test(flavor = "multi_thread")]
async fn new_webhooks_are_adopted_as_they_are_created() -> Result<()> {
    const WEBHOOKS: usize = 100;
    let database = test_env::label_studio_database("adoptnew").await?;
    let studio = Installation::find(&test_env::version())?.start_in(&database, Surroundings::default()).await?;
    let lshookd = test_env::installed(&database).await?.with("LSHOOKD_ADOPT_NEW", "true");
    let daemon = lshookd.run().await?;
    let mut run = ScenarioRun::start(studio, &database, Receiver::start().await?).await?;
    run.furnish().await?;
    run.settle().await?;
    run.receiver.clear();
    for number in 0..WEBHOOKS {
        let webhook = json!({
            "url": run.receiver.url(&format!("/new/{number}")), "project": run.project, "send_payload": true,
            "send_for_all_actions": true, "is_active": true,
        });
        run.studio.post("/api/webhooks/", webhook).await?;
        if number == WEBHOOKS / 2 {
            run.annotate(0, json!({"result": [], "lead_time": 1})).await?;
        }
    }
    run.annotate(0, json!({"result": [], "lead_time": 2})).await?;
    run.settle().await?;
    let mut arrived: HashMap<String, usize> = HashMap::new();
    for request in run.receiver.received().iter().filter(|request| request.path.starts_with("/new/")) {
        assert!(request.is_ours(), "Label Studio posts to {}", request.path);
        if request.action() == "ANNOTATION_CREATED" {
            *arrived.entry(request.path.clone()).or_default() += 1;
        }
    }
    for number in 0..WEBHOOKS {
        let expected = if number <= WEBHOOKS / 2 { 2 } else { 1 };
        assert_eq!(arrived.get(&format!("/new/{number}")), Some(&expected), "webhook {number}");
    }
    expect_finding(&lshookd, "delivered-twice", "ok", "").await?;

    // One that is to be Label Studio's as well is so.
    let url = run.receiver.url("/both");
    let made = ask(&lshookd, &["webhook", "create", &url, "--beside-label-studio"]).await?;
    let listed = ask(&lshookd, &["webhook", "list"]).await?;
    let both = listed.as_array().into_iter().flatten().find(|webhook| webhook["id"] == made["id"]);
    assert_eq!(both.context("not listed")?["delivered_by"], "both");
    assert_eq!(run.sql.query_one("select count(*) from lshookd.capture_error", &[]).await?.get::<_, i64>(0), 0);
    daemon.stop().await?;
    Ok(())
}

/// `webhook update` changes what it names and nothing else.
#[tokio::test(flavor = "multi_thread")]
async fn a_webhook_is_updated_in_what_is_named_alone() -> Result<()> {
    let env = TestEnv::new("updated").await?;
    let id = env
        .create_webhook(
            &env.receiver.url("/old"),
            &["--project", "1", "--actions", "PROJECT_UPDATED,TASKS_COMPLETED", "--enrich-deletions"],
        )
        .await?;
    let number = id.to_string();
    let state = async || -> Result<Value> {
        let query = "select row_to_json(state) from (
            select webhook.url, webhook.headers, webhook.send_payload, webhook.send_for_all_actions, webhook.is_active,
                   array(select action from webhook_action where webhook_id = webhook.id order by action) as actions,
                   array(select action from lshookd.chosen_action where webhook_id = webhook.id) as additional,
                   option.enrich_deletions, option.previous, option.cloudevents
            from webhook left join lshookd.payload_option as option on option.webhook_id = webhook.id) as state";
        Ok(env.sql.query_one(query, &[]).await?.get(0))
    };
    let headers = tempfile::NamedTempFile::new()?;
    std::fs::write(headers.path(), "X-Key: open-sesame\n")?;
    let (headers, url) = (headers.path().display().to_string(), env.receiver.url("/new"));
    let mut expected = state().await?;
    for (arguments, key, value) in [
        (&["--url", &url][..], "url", json!(url)),
        (&["--headers-file", &headers], "headers", json!({"X-Key": "open-sesame"})),
        (&["--actions", "TASKS_CREATED,TASKS_DELETED"], "actions", json!(["TASKS_CREATED", "TASKS_DELETED"])),
        (&["--additional-actions", "PROJECT_COMPLETED"], "additional", json!(["PROJECT_COMPLETED"])),
        (&["--previous"], "previous", json!(true)),
        (&["--cloudevents", "binary"], "cloudevents", json!("binary")),
        (&["--enrich-deletions=false"], "enrich_deletions", json!(false)),
        (&["--cloudevents", "off"], "cloudevents", Value::Null),
        (&["--send-payload=false"], "send_payload", json!(false)),
        (&["--additional-actions", "none"], "additional", json!([])),
    ] {
        ask(&env.lshookd, &[&["webhook", "update", &number], arguments].concat()).await?;
        expected[key] = value;
        assert_eq!(state().await?, expected, "{arguments:?}");
    }
    ask(&env.lshookd, &["webhook", "update", &number, "--actions", "all"]).await?;
    (expected["actions"], expected["send_for_all_actions"]) = (json!([]), json!(true));
    assert_eq!(state().await?, expected);

    // Disabled, nobody delivers it; active again, lshookd alone does.
    let delivered_by =
        async || -> Result<Value> { Ok(ask(&env.lshookd, &["webhook", "list"]).await?[0]["delivered_by"].clone()) };
    ask(&env.lshookd, &["webhook", "update", &number, "--state", "disabled"]).await?;
    assert_eq!(delivered_by().await?, "nobody");
    ask(&env.lshookd, &["webhook", "update", &number, "--state", "active"]).await?;
    assert_eq!(delivered_by().await?, "lshookd");
    assert_eq!(state().await?, expected);

    for (arguments, words) in [
        (&[][..], "nothing to change"),
        (&["--actions", "TASKS_COMPLETED"], "--additional-actions"),
        (&["--additional-actions", "TASKS_CREATED"], "--actions"),
        (&["--actions", "all,TASKS_CREATED"], "stands alone"),
        (&["--actions", "PROJECT_CREATED"], "organization"),
        (&["--url", "ftp://host/"], "schemes"),
    ] {
        let (code, said) = fail(&env.lshookd, &[&["webhook", "update", &number], arguments].concat()).await?;
        assert!(code == 1 && said.contains(words), "{arguments:?}: {code} {said}");
    }
    assert_eq!(state().await?, expected);
    Ok(())
}

/// An endpoint that is fixed need not wait for the schedule, and a delivery that it never takes need not hold up its
/// lane.
#[tokio::test(flavor = "multi_thread")]
async fn a_pending_delivery_is_retried_at_once_or_skipped() -> Result<()> {
    let env = TestEnv::new("retried").await?.with("LSHOOKD_RETRY_SCHEDULE", "1h,1h");
    let webhook = env.webhook("/project", "{}").await?.to_string();
    env.receiver.answer("/project", Reply::status(500));
    let _daemon = env.lshookd.run().await?;
    for title in ["first", "second", "third"] {
        env.run(&format!("update project set title = '{title}'")).await?;
        tokio::time::sleep(Duration::from_millis(150)).await;
    }
    let all_pending = async || Ok((env.number("select count(*) from lshookd.attempt").await? == 1).then_some(()));
    eventually("the first fails", Duration::from_secs(10), all_pending).await?;
    let state = async |id: i64| -> Result<String> {
        Ok(env.sql.query_one("select state from lshookd.delivery where id = $1", &[&id]).await?.get(0))
    };

    // Retried, it fails once more, and keeps its place in the schedule.
    assert_eq!(ask(&env.lshookd, &["delivery", "retry", "1", "--dry-run"]).await?["retried"], 1);
    assert_eq!(ask(&env.lshookd, &["delivery", "retry", "1"]).await?["retried"], 1);
    let again = async || {
        Ok((env.number("select attempts::bigint from lshookd.delivery where id = 1").await? == 2).then_some(()))
    };
    eventually("it is attempted at once", Duration::from_secs(5), again).await?;

    // Skipped, it lets the next one go.
    env.receiver.clear();
    assert_eq!(ask(&env.lshookd, &["delivery", "skip", "1"]).await?["skipped"], 1);
    assert_eq!(state(1).await?, "skipped");
    let next = async || {
        Ok((env.number("select attempts::bigint from lshookd.delivery where id = 2").await? == 1).then_some(()))
    };
    eventually("the next one is attempted at once", Duration::from_secs(5), next).await?;

    // The endpoint is fixed: all that is pending arrives now, by a filter.
    env.receiver.answer("/project", Reply::status(200));
    env.receiver.clear();
    assert_eq!(ask(&env.lshookd, &["delivery", "retry", "--webhook", &webhook]).await?["retried"], 2);
    let titles: Vec<Value> =
        env.receiver.expect(2).await?.iter().map(|request| request.body["project"]["title"].clone()).collect();
    assert_eq!(titles.len(), 2);

    // What does not go together says so, and changes nothing.
    for (arguments, words) in [
        (&["delivery", "retry", "2"][..], "only pending deliveries are retried"),
        (&["delivery", "skip", "2"], "only pending and dead"),
        (&["delivery", "replay", "99999"], "no delivery 99999"),
        (&["delivery", "skip"], "say which deliveries"),
        (&["delivery", "list", "--webhook", "999"], "no webhook 999"),
        (&["delivery", "tail", "--webhook", "999"], "no webhook 999"),
        (&["delivery", "list", "--project", "999"], "no project 999"),
        (&["event", "list", "--project", "999"], "no project 999"),
        (&["event", "listen", "--project", "999"], "no project 999"),
    ] {
        let (code, said) = fail(&env.lshookd, arguments).await?;
        assert!(code == 1 && said.contains(words), "{arguments:?}: {code} {said}");
    }
    let replayed = ask(&env.lshookd, &["delivery", "replay", "1"]).await?;
    assert_eq!(replayed["replayed"], 1);
    env.receiver.expect(3).await?;

    // Dead ones are discarded, and nothing warns of them any more.
    env.receiver.answer("/project", Reply::status(410));
    env.run("update project set title = 'gone'").await?;
    let dead = async || Ok((env.number("select count(*) from lshookd.dead_letter").await? == 1).then_some(()));
    eventually("one is dead", Duration::from_secs(10), dead).await?;
    assert_eq!(ask(&env.lshookd, &["delivery", "skip", "--state", "dead"]).await?["skipped"], 1);
    assert_eq!(env.number("select count(*) from lshookd.dead_letter").await?, 0);
    let events = ask(&env.lshookd, &["event", "list", "--action", "project_updated"]).await?;
    assert_eq!((events.as_array().map(Vec::len), &events[0]["deliveries"]), (Some(4), &json!(1)));
    Ok(())
}

/// Errors of a command under `--json` are JSON, and a full disk at standard output is an error.
#[tokio::test(flavor = "multi_thread")]
async fn programs_can_read_errors_and_nothing_is_lost_silently() -> Result<()> {
    let env = TestEnv::new("errors").await?;
    let (code, said) = fail(&env.lshookd, &["delivery", "show", "4711", "--json"]).await?;
    let said: Value = serde_json::from_str(&said)?;
    assert_eq!((code, &said["code"]), (1, &json!("unknown-delivery")));
    assert!(said["error"].as_str().is_some_and(|error| error.contains("4711")));
    let program = env!("CARGO_BIN_EXE_lshookd");
    let full = tokio::process::Command::new("sh")
        .args(["-c", &format!("{program} completions bash >/dev/full")])
        .output()
        .await?;
    assert_eq!(full.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&full.stderr).contains("standard output cannot be written"));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn deliveries_are_listed_shown_and_sent_again() -> Result<()> {
    let env = TestEnv::new("replay").await?;
    let webhook = env.webhook("/project", "{}").await?.to_string();
    env.receiver.answer("/project", Reply::status(410));
    let _daemon = env.lshookd.run().await?;
    for title in ["a", "b", "c"] {
        env.run(&format!("update project set title = '{title}'")).await?;
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let dead = async || {
        let found = ask(&env.lshookd, &["delivery", "list", "--state", "dead", "--webhook", &webhook]).await?;
        let found = found.as_array().cloned().unwrap_or_default();
        Ok((found.len() == 3).then_some(found))
    };
    let found = eventually("three are dead", Duration::from_secs(20), dead).await?;
    assert_eq!(found[0]["last_status"], 410);
    assert_eq!(env.number("select count(*) from lshookd.dead_letter where last_status = 410").await?, 3);
    let status = async |said: &str| {
        env.number(&format!("select count(*) from lshookd.delivery_status where webhook_id = {webhook} and {said}"))
            .await
    };
    assert_eq!(status("dead = 3 and pending + delivered = 0 and oldest_pending_at is null").await?, 1);
    env.run("begin; update lshookd.delivery set state = 'pending', ended_at = null").await?;
    let oldest = "oldest_pending_at = (select min(occurred_at) from lshookd.event)";
    assert_eq!(status(&format!("pending = 3 and dead = 0 and {oldest}")).await?, 1);
    env.run("rollback").await?;
    assert_eq!(ask(&env.lshookd, &["delivery", "list", "-n", "2"]).await?.as_array().map(Vec::len), Some(2));
    assert_eq!(
        ask(&env.lshookd, &["delivery", "list", "--since", "1h", "--action", "TASKS_CREATED"]).await?,
        json!([])
    );
    expect_finding(&env.lshookd, "dead-letters", "warning", "3 deliveries").await?;

    let shown = ask(&env.lshookd, &["delivery", "show", &found[0]["id"].to_string()]).await?;
    assert_eq!(shown["attempts"][0]["status"], 410);
    assert!(shown["body"].as_str().is_some_and(|body| body.contains("PROJECT_UPDATED")));
    let by_message = ask(&env.lshookd, &["delivery", "show", shown["message_id"].as_str().context("no id")?]).await?;
    assert_eq!(by_message["id"], shown["id"]);
    assert!(env.lshookd.succeed(&["delivery", "show", &shown["id"].to_string()]).await?.contains("410"));
    assert_eq!(fail(&env.lshookd, &["delivery", "show", "4711"]).await?.0, 1);

    // Fixed, and replayed in their order under the ids that they had.
    let before: Vec<String> =
        env.receiver.received().iter().map(|request| request.header("webhook-id").to_owned()).collect();
    env.receiver.answer("/project", Reply::status(200));
    env.receiver.clear();
    assert_eq!(fail(&env.lshookd, &["delivery", "replay"]).await?.0, 1);
    assert_eq!(ask(&env.lshookd, &["delivery", "replay", "--state", "dead", "--dry-run"]).await?["replayed"], 3);
    assert_eq!(ask(&env.lshookd, &["delivery", "replay", "--state", "dead"]).await?["replayed"], 3);
    let requests = env.receiver.expect(3).await?;
    let after: Vec<String> = requests.iter().map(|request| request.header("webhook-id").to_owned()).collect();
    assert_eq!(after, before);
    assert!(requests.iter().all(|request| request.header("lshookd-replay") == "1"), "a receiver can tell");
    let titles: Vec<&Value> = requests.iter().map(|request| &request.body["project"]["title"]).collect();
    assert_eq!(titles.len(), 3);
    assert_eq!(env.number("select count(*) from lshookd.dead_letter").await?, 0);
    let delivered =
        async || Ok((status("delivered = 3 and dead = 0 and last_delivered_at is not null").await? == 1).then_some(()));
    eventually("all of them are recorded", Duration::from_secs(10), delivered).await?;

    // One by its number, which was delivered: again, and its schedule starts from the beginning.
    env.receiver.clear();
    env.receiver.script([Reply::status(500)]);
    assert_eq!(ask(&env.lshookd, &["delivery", "replay", &shown["id"].to_string()]).await?["replayed"], 1);
    assert_eq!(env.receiver.expect(1).await?.len(), 1);
    let attempts = ask(&env.lshookd, &["delivery", "show", &shown["id"].to_string()]).await?;
    assert_eq!(attempts["attempts"].as_array().map(Vec::len), Some(4), "{attempts}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_paused_waits_and_goes_on() -> Result<()> {
    let (env, _daemon) = TestEnv::running("pause").await?;
    let other = env.webhook("/other", "{}").await?;
    ask(&env.lshookd, &["webhook", "pause", "1"]).await?;
    expect_finding(&env.lshookd, "paused", "warning", "webhook 1").await?;
    env.run("update project set title = 'a'").await?;
    let requests = env.receiver.expect(1).await?;
    assert_eq!(requests.iter().map(|request| request.path.as_str()).collect::<Vec<_>>(), ["/other"]);
    assert_eq!(ask(&env.lshookd, &["status"]).await?["paused"], json!([1]));

    ask(&env.lshookd, &["webhook", "pause", "--all"]).await?;
    env.run("update project set title = 'b'").await?;
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(env.receiver.accepted().len(), 1);
    assert_eq!(ask(&env.lshookd, &["status"]).await?["deliveries_pending"], 3);
    ask(&env.lshookd, &["webhook", "resume", "--all"]).await?;
    let requests = env.receiver.expect(4).await?;
    let titles: Vec<&Value> = requests
        .iter()
        .filter(|request| request.path == "/project")
        .map(|request| &request.body["project"]["title"])
        .collect();
    assert_eq!(titles, ["a", "b"]);
    assert_eq!(requests.iter().filter(|request| request.path == "/other").count(), 2, "webhook {other}");
    Ok(())
}

/// The lanes of a webhook that is not delivered are left alone until it is, whoever changes that, and in whatever way.
#[tokio::test(flavor = "multi_thread")]
async fn lanes_of_what_is_not_delivered_sleep_until_it_is() -> Result<()> {
    let (env, _daemon) = TestEnv::running("asleep").await?;
    env.run("insert into lshookd.pause (webhook_id) values (1)").await?;
    env.run("update project set title = 'a'").await?;
    const HELD: &str =
        "select count(*) from lshookd.lane where due_at = held_until and due_at > now() + interval '1 hour'";
    let held = async || Ok((env.number(HELD).await? == 1).then_some(()));
    eventually("the lane is held", Duration::from_secs(10), held).await?;
    env.run("update project set title = 'b'").await?;
    let planned = async || Ok((env.number("select count(*) from lshookd.event").await? == 2).then_some(()));
    eventually("the second event is planned", Duration::from_secs(10), planned).await?;
    assert_eq!(env.number(HELD).await?, 1, "an event does not wake it");

    env.run("delete from lshookd.pause").await?;
    assert_eq!(env.receiver.expect(2).await?.len(), 2);

    // Label Studio's own pages, where the webhook is not adopted.
    env.run("insert into lshookd.pause (webhook_id) values (1)").await?;
    env.run("update project set title = 'c'").await?;
    eventually("the lane is held again", Duration::from_secs(10), held).await?;
    env.run("update webhook set is_active = false; delete from lshookd.pause").await?;
    tokio::time::sleep(Duration::from_secs(7)).await;
    assert_eq!((env.receiver.accepted().len(), env.number(HELD).await?), (2, 1), "disabled is not delivered either");
    env.run("update webhook set is_active = true").await?;
    assert_eq!(env.receiver.expect(3).await?.len(), 3);

    // And what is deleted is not waited for.
    env.run("insert into lshookd.pause (webhook_id) values (1)").await?;
    env.run("update project set title = 'd'").await?;
    eventually("the lane is held once more", Duration::from_secs(10), held).await?;
    env.run("delete from webhook").await?;
    let cancelled = "select count(*) from lshookd.delivery where state = 'cancelled'";
    let cancelled = async || Ok((env.number(cancelled).await? == 1).then_some(()));
    eventually("the delivery is cancelled", Duration::from_secs(15), cancelled).await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_there_before_is_announced_afterwards() -> Result<()> {
    let (env, _daemon) = TestEnv::running("backfill").await?;
    env.run("update webhook set is_active = false").await?;
    env.run(r#"select fixture.rows('task', '{"project_id": 1}', 30)"#).await?;
    env.run(r#"select fixture.rows('task_completion', '{"project_id": 1, "task_id": 7}', 5)"#).await?;
    let planned = async || Ok((env.number("select count(*) from lshookd.change").await? == 0).then_some(()));
    eventually("it is planned for nobody", Duration::from_secs(20), planned).await?;
    env.run("update webhook set is_active = true").await?;
    let tasks = &["event", "backfill", "1", "--action", "TASKS_CREATED"][..];
    assert_eq!(ask(&env.lshookd, &[tasks, &["--dry-run"]].concat()).await?["objects"], 30);
    assert_eq!(ask(&env.lshookd, &[tasks, &["--rate", "10"]].concat()).await?["objects"], 30);
    let requests = env.receiver.expect(3).await?;
    let ids: Vec<i64> = requests.iter().flat_map(|request| request.ids("tasks")).collect();
    assert_eq!(ids, (1..=30).collect::<Vec<i64>>());
    assert_eq!(requests.len(), 3, "ten a second");
    env.receiver.clear();

    ask(&env.lshookd, &["event", "backfill", "1", "--action", "ANNOTATION_CREATED"]).await?;
    let requests = env.receiver.expect(5).await?;
    assert!(requests.iter().all(|request| request.action() == "ANNOTATION_CREATED" && request.ids("task") == [7]));
    assert_eq!(fail(&env.lshookd, &["event", "backfill", "1", "--action", "TASKS_DELETED"]).await?.0, 1);

    // A run that is cut short is gone on with, and nothing is announced twice.
    env.receiver.clear();
    let slow = env.lshookd.command(&["event", "backfill", "1", "--action", "TASKS_CREATED", "--rate", "4"]);
    assert!(tokio::time::timeout(Duration::from_millis(2500), slow).await.is_err());
    tokio::time::sleep(Duration::from_secs(1)).await;
    let before = env.number("select max(after_id) from lshookd.backfill where finished_at is null").await?;
    assert!((4..30).contains(&before), "{before}");
    ask(&env.lshookd, tasks).await?;
    let all = async || {
        let ids: Vec<i64> = env.receiver.accepted().iter().flat_map(|request| request.ids("tasks")).collect();
        Ok((ids.len() >= 30).then_some(ids))
    };
    let ids = eventually("thirty tasks", Duration::from_secs(20), all).await?;
    assert_eq!(ids, (1..=30).collect::<Vec<i64>>());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sample_is_sent_at_once_and_signed() -> Result<()> {
    let env = TestEnv::new("sample").await?;
    env.webhook("/project", "{}").await?;
    let answer = ask(&env.lshookd, &["webhook", "test", "1", "--action", "TASKS_CREATED"]).await?;
    assert_eq!(answer["status"], 200);
    assert_eq!(env.receiver.received()[0].body, json!({"action": "TASKS_CREATED"}), "there is no task yet");
    env.run(r#"select fixture.rows('task', '{"project_id": 1, "data": {"text": "owl"}}', 2)"#).await?;
    ask(&env.lshookd, &["webhook", "test", "1", "--action", "TASKS_CREATED"]).await?;
    let request = env.receiver.received().pop().context("nothing came")?;
    assert_eq!(request.ids("tasks"), [2]);
    assert_eq!(request.body["project"]["id"], 1);
    assert!(request.header("webhook-signature").starts_with("v1,"));
    env.receiver.answer("/project", Reply::status(500));
    let (code, said) = fail(&env.lshookd, &["webhook", "test", "1", "--action", "PROJECT_UPDATED"]).await?;
    assert!(code == 1 && said.contains("500"), "{said}");
    // By the operator's settings, loopback is refused for a sample as for all else.
    let guarded = env.lshookd.clone().with("SSRF_PROTECTION_ENABLED", "true");
    assert!(fail(&guarded, &["webhook", "test", "1"]).await?.1.contains("LSHOOKD_ALLOW"));
    expect_finding(&guarded, "endpoint-refused", "error", "127.0.0.1").await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn events_are_listened_to_that_nobody_subscribes_to() -> Result<()> {
    let env = TestEnv::new("listen").await?;
    let _daemon = env.lshookd.run().await?;
    let forward = env.receiver.url("/forward");
    let arguments = ["event", "listen", "--json", "--count", "2", "--forward", &forward];
    let listening = env.lshookd.command(&arguments);
    let working = async {
        let registered = async || Ok((env.number("select count(*) from lshookd.tap").await? == 1).then_some(()));
        eventually("it listens", Duration::from_secs(10), registered).await?;
        env.run("update project set title = 'a'").await?;
        env.run(r#"select fixture.rows('task', '{"project_id": 1}')"#).await
    };
    let (output, worked) = tokio::join!(tokio::time::timeout(Duration::from_secs(20), listening), working);
    worked?;
    let said = String::from_utf8(output??.stdout)?;
    let events: Vec<Value> = said.lines().map(serde_json::from_str).collect::<Result<_, _>>()?;
    assert_eq!(events.iter().map(|event| &event["action"]).collect::<Vec<_>>(), ["PROJECT_UPDATED", "TASKS_CREATED"]);
    let forwarded = env.receiver.received();
    assert_eq!(
        forwarded.iter().map(|request| request.action()).collect::<Vec<_>>(),
        ["PROJECT_UPDATED", "TASKS_CREATED"]
    );
    assert!(forwarded[0].header("webhook-signature").starts_with("v1,"));
    assert_eq!(env.number("select count(*) from lshookd.tap").await?, 0);
    assert_eq!(env.number("select count(*) from lshookd.delivery").await?, 0);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn attempts_are_shown_as_they_come() -> Result<()> {
    let (env, _daemon) = TestEnv::running("tail").await?;
    let log = tempfile::NamedTempFile::new()?;
    let mut following = env.lshookd.follow(&["delivery", "tail", "--json"], log.reopen()?)?;
    tokio::time::sleep(Duration::from_secs(1)).await;
    env.receiver.script([Reply::status(500)]);
    env.run("update project set title = 'a'").await?;
    env.receiver.expect(1).await?;
    let seen = async || {
        let lines = std::fs::read_to_string(log.path())?;
        Ok((lines.lines().count() >= 2).then_some(lines))
    };
    let lines = eventually("two attempts are shown", Duration::from_secs(10), seen).await?;
    let statuses: Vec<Value> =
        lines.lines().map(|line| Ok(serde_json::from_str::<Value>(line)?["status"].clone())).collect::<Result<_>>()?;
    assert_eq!(statuses, [500, 200]);
    following.kill().await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_is_shown_and_rotated() -> Result<()> {
    let env = TestEnv::new("secret").await?;
    env.webhook("/project", "{}").await?;
    let first = ask(&env.lshookd, &["webhook", "secret", "1"]).await?;
    assert!(first[0]["secret"].as_str().is_some_and(|secret| secret.starts_with("whsec_")));
    assert_eq!(ask(&env.lshookd, &["webhook", "secret", "1"]).await?, first);
    let rotated = ask(&env.lshookd, &["webhook", "secret", "1", "--rotate"]).await?;
    assert_eq!(rotated[1]["secret"], first[0]["secret"]);
    assert!(rotated[0]["expires_at"].is_null() && !rotated[1]["expires_at"].is_null());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn check_and_status_say_what_is_wrong() -> Result<()> {
    let env = TestEnv::new("check").await?;
    env.webhook("/project", "{}").await?;
    expect_finding(&env.lshookd, "daemon", "error", "no daemon").await?;
    assert_eq!(fail(&env.lshookd, &["check"]).await?.0, 1);
    let daemon = env.lshookd.run().await?;
    let delivering = async || {
        Ok((ask(&env.lshookd, &["status"]).await?["active_roles"].as_array().map(Vec::len) == Some(3)).then_some(()))
    };
    eventually("all roles are active", Duration::from_secs(10), delivering).await?;
    assert_eq!(fail(&env.lshookd, &["check", "--strict"]).await?.0, 1, "webhook 1 is delivered twice");
    env.lshookd.succeed(&["webhook", "adopt", "1"]).await?;
    let (code, said) = fail(&env.lshookd, &["check", "--strict"]).await?;
    assert_eq!(code, 0, "{said}");
    assert!(said.contains("environment LSHOOKD_POLL") && said.contains("(hidden)"), "{said}");
    expect_finding(&env.lshookd, "label-studio", "ok", "newest migration").await?;

    env.receiver.answer("/project", Reply::status(500));
    env.run("update project set title = 'a'").await?;
    let failing = async || Ok((ask(&env.lshookd, &["status"]).await?["lanes_failing"] == 1).then_some(()));
    eventually("the lane fails", Duration::from_secs(10), failing).await?;
    expect_finding(&env.lshookd, "endpoint-fails", "warning", "500").await?;
    assert!(env.lshookd.succeed(&["status"]).await?.contains("500"));

    env.run("alter table task disable trigger lshookd_task_insert").await?;
    expect_finding(&env.lshookd, "triggers", "error", "lshookd_task_insert").await?;
    let noticed = async || Ok(daemon.log().contains("triggers are missing or disabled").then_some(()));
    eventually("the daemon notices by itself", Duration::from_secs(30), noticed).await?;
    env.lshookd.succeed(&["install"]).await?;
    let fixed = async || Ok(daemon.log().contains("all triggers are installed and enabled again").then_some(()));
    eventually("and that they are back", Duration::from_secs(30), fixed).await?;
    env.run("insert into lshookd.capture_error (relation, operation, message) values ('task', 'insert', 'oh')").await?;
    expect_finding(&env.lshookd, "capture", "error", "oh").await?;
    daemon.stop().await?;
    env.run("drop schema lshookd cascade").await?;
    expect_finding(&env.lshookd, "installation", "error", "not installed").await?;
    expect_finding(&env.lshookd.clone().with("POSTGRE_PORT", "1"), "database", "error", "cannot connect").await?;
    Ok(())
}

/// A table of all is for nobody to read; a program is not told of some for all.
#[tokio::test(flavor = "multi_thread")]
async fn a_long_list_of_webhooks_is_cut_and_says_so() -> Result<()> {
    let env = TestEnv::new("manywebhooks").await?;
    for _ in 0..102 {
        env.webhook("/project", "{}").await?;
    }
    env.run(
        "update webhook set send_for_all_actions = false;
         insert into webhook_action (webhook_id, action) select 7, unnest(array['TASKS_CREATED', 'PROJECT_UPDATED']);
         insert into ml_mlbackend (project_id, state, url, created_at, updated_at, auto_update, is_interactive, timeout,
                                   auth_method, basic_auth_user, basic_auth_pass, title, description, model_version)
         select 1, 'CO', 'http://127.0.0.1:1/', now(), now(), true, false, 100, 'NONE', '', '', '', '', '';
         update webhook set url = 'http://127.0.0.1:1/webhook' where id in (8, 9)",
    )
    .await?;
    let all = ask(&env.lshookd, &["webhook", "list"]).await?;
    assert_eq!(all.as_array().map(Vec::len), Some(102));
    assert_eq!(all[6]["actions"], json!(["PROJECT_UPDATED", "TASKS_CREATED"]));
    assert_eq!(all[5]["actions"], json!([]));
    let backends = all.as_array().into_iter().flatten().filter(|webhook| webhook["is_ml_backend"] == true);
    assert_eq!(backends.map(|webhook| webhook["id"].clone()).collect::<Vec<_>>(), [8, 9]);
    let table = env.lshookd.succeed(&["webhook", "list"]).await?;
    assert!(table.contains("100 of 102 webhooks") && table.contains("--limit 102"), "{table}");
    let table = env.lshookd.succeed(&["webhook", "list", "--limit", "102"]).await?;
    assert!(!table.contains("of 102 webhooks"), "{table}");
    let two = ask(&env.lshookd, &["webhook", "list", "-n", "2"]).await?;
    assert_eq!(two.as_array().map(Vec::len), Some(2));
    // Of all, tables are read in another way than of some.
    let differing = "select count(*)
                     from (
                         (select * from lshookd.webhook_rows(null) except
                          select * from lshookd.webhook_rows(array(select id from webhook)))
                         union all
                         (select * from lshookd.webhook_rows(array(select id from webhook)) except
                          select * from lshookd.webhook_rows(null))
                     ) as difference";
    assert_eq!(env.number(differing).await?, 0);
    let backends = "select count(*) from lshookd.ml_backend_webhooks(array(select id from webhook))";
    assert_eq!(env.number(backends).await?, 2);
    Ok(())
}

/// As in `lshookd webhook list | head`.
#[tokio::test(flavor = "multi_thread")]
async fn a_reader_that_goes_away_is_no_reason_to_panic() -> Result<()> {
    let env = TestEnv::new("pipe").await?;
    env.webhook("/project", "{}").await?;
    for arguments in [
        &["webhook", "list"][..],
        &["check"],
        &["status", "--watch"],
        &["completions", "zsh"],
        &["webhook", "adopt", "1"],
    ] {
        let (reader, writer) = std::io::pipe()?;
        drop(reader);
        let mut running = env.lshookd.follow(arguments, std::os::fd::OwnedFd::from(writer).into())?;
        let status = tokio::time::timeout(Duration::from_secs(20), running.wait()).await??;
        assert!(status.code().is_some_and(|code| code <= 1), "{arguments:?}: {status}");
    }
    assert_eq!(env.number("select count(*) from lshookd.adoption").await?, 1, "what was begun is done");
    Ok(())
}

/// Neither a hot standby nor a server that quotes every name is taken for something else.
#[tokio::test(flavor = "multi_thread")]
async fn check_knows_a_hot_standby_and_a_server_that_quotes_all_names() -> Result<()> {
    let Some(primary) = Server::start_own().await? else {
        return Ok(());
    };
    let template = Installation::find(&test_env::version())?.template(&primary).await?;
    let env = TestEnv::new_in(primary.create("standby", Some(&template.name)).await?).await?;
    env.run(&format!("alter database {} set quote_all_identifiers = on", env.database.name)).await?;
    let daemon = env.lshookd.run().await?;
    assert!(env.lshookd.succeed(&["install"]).await?.contains("nothing to do"));
    let wrong = findings(&env.lshookd).await?.into_iter().filter(|(_, level, _)| level != "ok");
    assert_eq!(wrong.collect::<Vec<_>>(), []);

    let standby = primary.standby().await?;
    let at_standby = env.lshookd.clone().with("POSTGRE_PORT", &standby.port().to_string());
    expect_finding(&at_standby, "hot-standby", "warning", "is a hot standby").await?;
    let wrong = findings(&at_standby).await?.into_iter().filter(|(_, level, _)| level == "error");
    assert_eq!(wrong.collect::<Vec<_>>(), [], "what it can see is well");
    for command in [&["install"][..], &["webhook", "adopt", "--all"]] {
        let (code, said) = fail(&at_standby, command).await?;
        assert!(code == 1 && said.contains("read-only"), "{command:?}: {said}");
    }
    daemon.stop().await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn completions_and_man_pages_are_made_of_the_same_source() -> Result<()> {
    let (server, _) = test_env::server().await?;
    let lshookd = test_env::lshookd(&server.create("man", None).await?);
    for shell in ["bash", "zsh", "fish"] {
        assert!(lshookd.succeed(&["completions", shell]).await?.contains("backfill"), "{shell}");
    }
    let folder = tempfile::tempdir()?;
    lshookd.succeed(&["man", &folder.path().display().to_string()]).await?;
    let page = std::fs::read_to_string(folder.path().join("lshookd-delivery-replay.1"))?;
    assert!(page.contains("lshookd delivery replay \\-\\-state dead") || page.contains("state dead"), "{page}");
    let page = std::fs::read_to_string(folder.path().join("lshookd-run.1"))?.replace('\\', "");
    for setting in SETTINGS {
        let flag = setting.key.replace('_', "-");
        let help = setting.help.replace('\'', "*(Aq");
        assert!(page.contains(&flag) && page.contains(&help), "{flag}: {help}");
    }
    assert!(folder.path().join("lshookd.1").exists());
    Ok(())
}
