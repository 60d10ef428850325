//! The operator's commands, against real parts.

use std::time::Duration;

use anyhow::{Context, Result};
use lshookd_scenarios::stage::{ORGANIZATION, PROJECT, Stage};
use lshookd_testbed::daemon::Lshookd;
use lshookd_testbed::eventually;
use lshookd_testbed::label_studio::{Installation, Surroundings};
use lshookd_testbed::receiver::{Receiver, Reply};
use serde_json::{Value, json};

use crate::bed::{self, Bed};

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
fn sent(stage: &Stage, ours: bool, path: &str) -> Vec<i64> {
    let all = stage.receiver.received();
    let theirs = all.iter().filter(|request| request.path == path && request.is_ours() == ours);
    theirs.flat_map(|request| request.ids("annotation")).collect()
}

/// While people annotate, the webhooks are adopted: lshookd sends every annotation once, Label Studio
/// those before and none after; then somebody switches one on again in Label Studio, and there
/// are never both.
#[tokio::test(flavor = "multi_thread")]
async fn webhooks_are_handed_over_and_given_back_while_people_annotate() -> Result<()> {
    let database = bed::label_studio_database("handover").await?;
    let studio = Installation::find(&bed::version())?.start_in(&database, Surroundings::default()).await?;
    let lshookd = bed::installed(&database).await?;
    let daemon = lshookd.run().await?;
    let mut stage = Stage::set(studio, &database, Receiver::start().await?).await?;
    stage.furnish().await?;
    stage.receiver.clear();
    expect_finding(&lshookd, "doubled", "warning", "both deliver").await?;

    let row = stage.sql.query_one("select array_agg(id::bigint order by id) from webhook where is_active", &[]).await?;
    let was_active: Vec<i64> = row.get(0);
    let mut made = Vec::new();
    for number in 0..12 {
        if number == 6 {
            let answer = ask(&lshookd, &["adopt", "--all"]).await?;
            let active: Vec<i64> =
                answer["adopted"].as_array().into_iter().flatten().filter_map(Value::as_i64).collect();
            assert_eq!(active, was_active);
        }
        stage.annotate(0, json!({"result": [], "lead_time": number})).await?;
        made.push(stage.annotation);
    }
    stage.settle().await?;
    for path in [PROJECT, ORGANIZATION] {
        assert_eq!(sent(&stage, true, path), made, "lshookd, {path}");
        assert_eq!(sent(&stage, false, path), made[..6], "Label Studio, {path}");
    }
    expect_finding(&lshookd, "doubled", "ok", "").await?;

    // Label Studio's page shows it as inactive; somebody switches it on.
    let row = stage
        .sql
        .query_one("select id::bigint from webhook where url like '%/project' and project_id is not null", &[])
        .await?;
    let webhook: i64 = row.get(0);
    stage.receiver.clear();
    stage.studio.patch(&format!("/api/webhooks/{webhook}/"), json!({"is_active": true})).await?;
    stage.annotate(0, json!({"result": [], "lead_time": 12})).await?;
    let back = stage.annotation;
    stage.settle().await?;
    expect_finding(&lshookd, "handed-back", "warning", &format!("webhook {webhook} again")).await?;
    assert_eq!((sent(&stage, true, PROJECT), sent(&stage, false, PROJECT)), (vec![], vec![back]));
    assert_eq!((sent(&stage, true, ORGANIZATION), sent(&stage, false, ORGANIZATION)), (vec![back], vec![]));

    // Handed over again, and released by command.
    ask(&lshookd, &["adopt", &webhook.to_string()]).await?;
    stage.receiver.clear();
    stage.annotate(0, json!({"result": [], "lead_time": 13})).await?;
    let again = stage.annotation;
    stage.settle().await?;
    ask(&lshookd, &["release", &webhook.to_string()]).await?;
    stage.annotate(0, json!({"result": [], "lead_time": 14})).await?;
    let released = stage.annotation;
    stage.settle().await?;
    assert_eq!((sent(&stage, true, PROJECT), sent(&stage, false, PROJECT)), (vec![again], vec![released]));
    daemon.stop().await?;

    // Whatever is still adopted goes back with everything else.
    let said = lshookd.succeed(&["uninstall", "--yes"]).await?;
    assert!(said.contains("Label Studio delivers webhook"), "{said}");
    let row = stage.sql.query_one("select array_agg(id::bigint order by id) from webhook where is_active", &[]).await?;
    assert_eq!(row.get::<_, Vec<i64>>(0), was_active);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn installing_may_adopt_all_at_once() -> Result<()> {
    let database = bed::label_studio_database("adopt_all").await?;
    let bed = Bed::furnish(database).await?;
    bed.webhook("/project", "{}").await?;
    bed.webhook("/off", r#"{"is_active": false}"#).await?;
    bed.lshookd.succeed(&["install", "--adopt-all"]).await?;
    assert_eq!(bed.number("select count(*) from webhook where is_active").await?, 0);
    let daemon = bed.lshookd.run().await?;
    bed.run("update project set title = 'Owls'").await?;
    let requests = bed.receiver.expect(1).await?;
    assert_eq!(requests.len(), 1, "what was off stays off");
    assert_eq!(requests[0].path, "/project");
    daemon.stop().await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_subscription_is_made_looked_at_and_deleted() -> Result<()> {
    let bed = Bed::lay("subscribe").await?;
    let _daemon = bed.lshookd.run().await?;
    let headers = tempfile::NamedTempFile::new()?;
    std::fs::write(headers.path(), "X-Key: open-sesame\n")?;
    let (url, headers) = (bed.receiver.url("/made?token=hidden"), headers.path().display().to_string());
    let made = ask(
        &bed.lshookd,
        &["subscribe", &url, "--project", "1", "--actions", "PROJECT_UPDATED", "--headers-file", &headers],
    )
    .await?;
    let id = made["id"].to_string();
    let everything = ask(&bed.lshookd, &["subscribe", &bed.receiver.url("/all"), "--no-payload"]).await?;

    bed.run("update project set title = 'Owls'").await?;
    bed.run(r#"select fixture.rows('task', '{"project_id": 1}')"#).await?;
    let requests = bed.receiver.expect(3).await?;
    let by_path = |path: &str| requests.iter().filter(|request| request.path == path).collect::<Vec<_>>();
    assert_eq!(by_path("/made").len(), 1);
    assert_eq!(by_path("/made")[0].header("x-key"), "open-sesame");
    assert_eq!(by_path("/made")[0].body["project"]["title"], "Owls");
    assert_eq!(by_path("/all")[0].body, json!({"action": "PROJECT_UPDATED"}));
    assert_eq!(by_path("/all")[1].body, json!({"action": "TASKS_CREATED"}));

    let listed = ask(&bed.lshookd, &["subscriptions"]).await?;
    assert_eq!(listed.as_array().map(Vec::len), Some(2));
    assert_eq!(listed[0]["delivered_by"], "lshookd");
    assert_eq!(listed[0]["actions"], json!(["PROJECT_UPDATED"]));
    assert_eq!(listed[0]["delivered_last_hour"], 1);
    assert_eq!(listed[1]["id"], everything["id"]);
    let table = bed.lshookd.succeed(&["subscriptions"]).await?;
    assert!(table.contains("/made") && !table.contains("hidden") && !table.contains('\u{1b}'), "{table}");

    // What Label Studio's own pages would not allow is refused.
    for (arguments, words) in [
        (&["subscribe", "ftp://host/"][..], "only http, https and nats"),
        (&["subscribe", "http://host/", "--project", "99"], "no project 99"),
        (&["subscribe", "http://host/", "--project", "1", "--actions", "PROJECT_CREATED"], "organization"),
        (&["unsubscribe", "99"], "no webhook 99"),
        (&["adopt", "99"], "no webhook 99"),
    ] {
        let (code, said) = fail(&bed.lshookd, arguments).await?;
        assert!(code == 1 && said.contains(words), "{arguments:?}: {code} {said}");
    }
    assert_eq!(fail(&bed.lshookd, &["subscribe", "http://host/", "--actions", "TASKS_MADE"]).await?.0, 2);

    ask(&bed.lshookd, &["unsubscribe", &id]).await?;
    assert_eq!(bed.number("select count(*) from webhook").await?, 1);
    assert_eq!(bed.number("select count(*) from webhook_action").await?, 0);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn deliveries_are_listed_shown_and_sent_again() -> Result<()> {
    let bed = Bed::lay("replay").await?;
    let webhook = bed.webhook("/project", "{}").await?.to_string();
    bed.receiver.answer("/project", Reply::status(410));
    let _daemon = bed.lshookd.run().await?;
    for title in ["a", "b", "c"] {
        bed.run(&format!("update project set title = '{title}'")).await?;
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let dead = async || {
        let found = ask(&bed.lshookd, &["deliveries", "--state", "dead", "--subscription", &webhook]).await?;
        let found = found.as_array().cloned().unwrap_or_default();
        Ok((found.len() == 3).then_some(found))
    };
    let found = eventually("three are dead", Duration::from_secs(20), dead).await?;
    assert_eq!(found[0]["last_status"], 410);
    assert_eq!(bed.number("select count(*) from lshookd.dead_letter where last_status = 410").await?, 3);
    assert_eq!(ask(&bed.lshookd, &["deliveries", "-n", "2"]).await?.as_array().map(Vec::len), Some(2));
    assert_eq!(ask(&bed.lshookd, &["deliveries", "--since", "1h", "--action", "TASKS_CREATED"]).await?, json!([]));
    expect_finding(&bed.lshookd, "dead-letters", "warning", "3 deliveries").await?;

    let shown = ask(&bed.lshookd, &["deliveries", &found[0]["id"].to_string()]).await?;
    assert_eq!(shown["attempts"][0]["status"], 410);
    assert!(shown["body"].as_str().is_some_and(|body| body.contains("PROJECT_UPDATED")));
    let by_message = ask(&bed.lshookd, &["deliveries", shown["message_id"].as_str().context("no id")?]).await?;
    assert_eq!(by_message["id"], shown["id"]);
    assert!(bed.lshookd.succeed(&["deliveries", &shown["id"].to_string()]).await?.contains("410"));
    assert_eq!(fail(&bed.lshookd, &["deliveries", "4711"]).await?.0, 1);

    // Mended, and sent again in their order under the ids that they had.
    let before: Vec<String> =
        bed.receiver.received().iter().map(|request| request.header("webhook-id").to_owned()).collect();
    bed.receiver.answer("/project", Reply::status(200));
    bed.receiver.clear();
    assert_eq!(fail(&bed.lshookd, &["replay"]).await?.0, 1);
    assert_eq!(ask(&bed.lshookd, &["replay", "--state", "dead", "--dry-run"]).await?["replayed"], 3);
    assert_eq!(ask(&bed.lshookd, &["replay", "--state", "dead"]).await?["replayed"], 3);
    let requests = bed.receiver.expect(3).await?;
    let after: Vec<String> = requests.iter().map(|request| request.header("webhook-id").to_owned()).collect();
    assert_eq!(after, before);
    let titles: Vec<&Value> = requests.iter().map(|request| &request.body["project"]["title"]).collect();
    assert_eq!(titles.len(), 3);
    assert_eq!(bed.number("select count(*) from lshookd.dead_letter").await?, 0);

    // One by its number, which was delivered: again, and its schedule begins anew.
    bed.receiver.clear();
    bed.receiver.script([Reply::status(500)]);
    assert_eq!(ask(&bed.lshookd, &["replay", &shown["id"].to_string()]).await?["replayed"], 1);
    assert_eq!(bed.receiver.expect(1).await?.len(), 1);
    let attempts = ask(&bed.lshookd, &["deliveries", &shown["id"].to_string()]).await?;
    assert_eq!(attempts["attempts"].as_array().map(Vec::len), Some(4), "{attempts}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_paused_waits_and_goes_on() -> Result<()> {
    let (bed, _daemon) = Bed::running("pause").await?;
    let other = bed.webhook("/other", "{}").await?;
    ask(&bed.lshookd, &["pause", "1"]).await?;
    expect_finding(&bed.lshookd, "paused", "warning", "webhook 1").await?;
    bed.run("update project set title = 'a'").await?;
    let requests = bed.receiver.expect(1).await?;
    assert_eq!(requests.iter().map(|request| request.path.as_str()).collect::<Vec<_>>(), ["/other"]);
    assert_eq!(ask(&bed.lshookd, &["status"]).await?["paused"], json!([1]));

    ask(&bed.lshookd, &["pause", "--all"]).await?;
    bed.run("update project set title = 'b'").await?;
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(bed.receiver.accepted().len(), 1);
    assert_eq!(ask(&bed.lshookd, &["status"]).await?["deliveries_pending"], 3);
    ask(&bed.lshookd, &["resume", "--all"]).await?;
    let requests = bed.receiver.expect(4).await?;
    let titles: Vec<&Value> = requests
        .iter()
        .filter(|request| request.path == "/project")
        .map(|request| &request.body["project"]["title"])
        .collect();
    assert_eq!(titles, ["a", "b"]);
    assert_eq!(requests.iter().filter(|request| request.path == "/other").count(), 2, "webhook {other}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_there_before_is_announced_afterwards() -> Result<()> {
    let (bed, _daemon) = Bed::running("backfill").await?;
    bed.run("update webhook set is_active = false").await?;
    bed.run(r#"select fixture.rows('task', '{"project_id": 1}', 30)"#).await?;
    bed.run(r#"select fixture.rows('task_completion', '{"project_id": 1, "task_id": 7}', 5)"#).await?;
    let planned = async || Ok((bed.number("select count(*) from lshookd.change").await? == 0).then_some(()));
    eventually("it is planned for nobody", Duration::from_secs(20), planned).await?;
    bed.run("update webhook set is_active = true").await?;
    let tasks = &["backfill", "1", "--action", "TASKS_CREATED"][..];
    assert_eq!(ask(&bed.lshookd, &[tasks, &["--dry-run"]].concat()).await?["objects"], 30);
    assert_eq!(ask(&bed.lshookd, &[tasks, &["--rate", "10"]].concat()).await?["objects"], 30);
    let requests = bed.receiver.expect(3).await?;
    let ids: Vec<i64> = requests.iter().flat_map(|request| request.ids("tasks")).collect();
    assert_eq!(ids, (1..=30).collect::<Vec<i64>>());
    assert_eq!(requests.len(), 3, "ten a second");
    bed.receiver.clear();

    ask(&bed.lshookd, &["backfill", "1", "--action", "ANNOTATION_CREATED"]).await?;
    let requests = bed.receiver.expect(5).await?;
    assert!(requests.iter().all(|request| request.action() == "ANNOTATION_CREATED" && request.ids("task") == [7]));
    assert_eq!(fail(&bed.lshookd, &["backfill", "1", "--action", "TASKS_DELETED"]).await?.0, 1);

    // A run that is cut short is gone on with, and nothing is announced twice.
    bed.receiver.clear();
    let slow = bed.lshookd.command(&["backfill", "1", "--action", "TASKS_CREATED", "--rate", "4"]);
    assert!(tokio::time::timeout(Duration::from_millis(2500), slow).await.is_err());
    tokio::time::sleep(Duration::from_secs(1)).await;
    let before = bed.number("select max(after_id) from lshookd.backfill where finished_at is null").await?;
    assert!((4..30).contains(&before), "{before}");
    ask(&bed.lshookd, tasks).await?;
    let all = async || {
        let ids: Vec<i64> = bed.receiver.accepted().iter().flat_map(|request| request.ids("tasks")).collect();
        Ok((ids.len() >= 30).then_some(ids))
    };
    let ids = eventually("thirty tasks", Duration::from_secs(20), all).await?;
    assert_eq!(ids, (1..=30).collect::<Vec<i64>>());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sample_is_sent_at_once_and_signed() -> Result<()> {
    let bed = Bed::lay("sample").await?;
    bed.webhook("/project", "{}").await?;
    let answer = ask(&bed.lshookd, &["test", "1", "--action", "TASKS_CREATED"]).await?;
    assert_eq!(answer["status"], 200);
    assert_eq!(bed.receiver.received()[0].body, json!({"action": "TASKS_CREATED"}), "there is no task yet");
    bed.run(r#"select fixture.rows('task', '{"project_id": 1, "data": {"text": "owl"}}', 2)"#).await?;
    ask(&bed.lshookd, &["test", "1", "--action", "TASKS_CREATED"]).await?;
    let request = bed.receiver.received().pop().context("nothing came")?;
    assert_eq!(request.ids("tasks"), [2]);
    assert_eq!(request.body["project"]["id"], 1);
    assert!(request.header("webhook-signature").starts_with("v1,"));
    bed.receiver.answer("/project", Reply::status(500));
    let (code, said) = fail(&bed.lshookd, &["test", "1", "--action", "PROJECT_UPDATED"]).await?;
    assert!(code == 1 && said.contains("500"), "{said}");
    // By the operator's settings, loopback is refused for a sample as for all else.
    let guarded = bed.lshookd.clone().with("SSRF_PROTECTION_ENABLED", "true");
    assert!(fail(&guarded, &["test", "1"]).await?.1.contains("LSHOOKD_ALLOW"));
    expect_finding(&guarded, "endpoint-refused", "error", "127.0.0.1").await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn events_are_listened_to_that_nobody_subscribes_to() -> Result<()> {
    let bed = Bed::lay("listen").await?;
    let _daemon = bed.lshookd.run().await?;
    let forward = bed.receiver.url("/forward");
    let arguments = ["listen", "--json", "--count", "2", "--forward", &forward];
    let listening = bed.lshookd.command(&arguments);
    let working = async {
        let registered = async || Ok((bed.number("select count(*) from lshookd.tap").await? == 1).then_some(()));
        eventually("it listens", Duration::from_secs(10), registered).await?;
        bed.run("update project set title = 'a'").await?;
        bed.run(r#"select fixture.rows('task', '{"project_id": 1}')"#).await
    };
    let (output, worked) = tokio::join!(tokio::time::timeout(Duration::from_secs(20), listening), working);
    worked?;
    let said = String::from_utf8(output??.stdout)?;
    let events: Vec<Value> = said.lines().map(serde_json::from_str).collect::<Result<_, _>>()?;
    assert_eq!(events.iter().map(|event| &event["action"]).collect::<Vec<_>>(), ["PROJECT_UPDATED", "TASKS_CREATED"]);
    let forwarded = bed.receiver.received();
    assert_eq!(
        forwarded.iter().map(|request| request.action()).collect::<Vec<_>>(),
        ["PROJECT_UPDATED", "TASKS_CREATED"]
    );
    assert!(forwarded[0].header("webhook-signature").starts_with("v1,"));
    assert_eq!(bed.number("select count(*) from lshookd.tap").await?, 0);
    assert_eq!(bed.number("select count(*) from lshookd.delivery").await?, 0);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn attempts_are_shown_as_they_come() -> Result<()> {
    let (bed, _daemon) = Bed::running("tail").await?;
    let log = tempfile::NamedTempFile::new()?;
    let mut following = bed.lshookd.follow(&["tail", "--json"], log.reopen()?)?;
    tokio::time::sleep(Duration::from_secs(1)).await;
    bed.receiver.script([Reply::status(500)]);
    bed.run("update project set title = 'a'").await?;
    bed.receiver.expect(1).await?;
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
    let bed = Bed::lay("secret").await?;
    bed.webhook("/project", "{}").await?;
    let first = ask(&bed.lshookd, &["secret", "1"]).await?;
    assert!(first[0]["secret"].as_str().is_some_and(|secret| secret.starts_with("whsec_")));
    assert_eq!(ask(&bed.lshookd, &["secret", "1"]).await?, first);
    let rotated = ask(&bed.lshookd, &["secret", "1", "--rotate"]).await?;
    assert_eq!(rotated[1]["secret"], first[0]["secret"]);
    assert!(rotated[0]["expires_at"].is_null() && !rotated[1]["expires_at"].is_null());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn check_and_status_say_what_is_wrong() -> Result<()> {
    let bed = Bed::lay("check").await?;
    bed.webhook("/project", "{}").await?;
    expect_finding(&bed.lshookd, "daemon", "error", "no daemon").await?;
    assert_eq!(fail(&bed.lshookd, &["check"]).await?.0, 1);
    let daemon = bed.lshookd.run().await?;
    let delivering = async || {
        Ok((ask(&bed.lshookd, &["status"]).await?["at_work"].as_array().map(Vec::len) == Some(3)).then_some(()))
    };
    eventually("all roles are at work", Duration::from_secs(10), delivering).await?;
    assert_eq!(fail(&bed.lshookd, &["check", "--strict"]).await?.0, 1, "webhook 1 is doubled");
    bed.lshookd.succeed(&["adopt", "1"]).await?;
    let (code, said) = fail(&bed.lshookd, &["check", "--strict"]).await?;
    assert_eq!(code, 0, "{said}");
    assert!(said.contains("environment LSHOOKD_POLL") && said.contains("(hidden)"), "{said}");
    expect_finding(&bed.lshookd, "label-studio", "ok", "newest migration").await?;

    bed.receiver.answer("/project", Reply::status(500));
    bed.run("update project set title = 'a'").await?;
    let failing = async || Ok((ask(&bed.lshookd, &["status"]).await?["lanes_failing"] == 1).then_some(()));
    eventually("the lane fails", Duration::from_secs(10), failing).await?;
    expect_finding(&bed.lshookd, "endpoint-fails", "warning", "500").await?;
    assert!(bed.lshookd.succeed(&["status"]).await?.contains("500"));

    bed.run("alter table task disable trigger lshookd_task_insert").await?;
    expect_finding(&bed.lshookd, "triggers", "error", "lshookd_task_insert").await?;
    let noticed = async || Ok(daemon.log().contains("triggers are missing or disabled").then_some(()));
    eventually("the daemon notices by itself", Duration::from_secs(30), noticed).await?;
    bed.lshookd.succeed(&["install"]).await?;
    let mended = async || Ok(daemon.log().contains("all triggers are there again").then_some(()));
    eventually("and that they are back", Duration::from_secs(30), mended).await?;
    bed.run("insert into lshookd.capture_error (relation, operation, message) values ('task', 'insert', 'oh')").await?;
    expect_finding(&bed.lshookd, "capture", "error", "oh").await?;
    daemon.stop().await?;
    bed.run("drop schema lshookd cascade").await?;
    expect_finding(&bed.lshookd, "installation", "error", "not installed").await?;
    expect_finding(&bed.lshookd.clone().with("POSTGRE_PORT", "1"), "database", "error", "cannot connect").await?;
    Ok(())
}

/// As in `lshookd subscriptions | head`.
#[tokio::test(flavor = "multi_thread")]
async fn a_reader_that_goes_away_is_no_reason_to_panic() -> Result<()> {
    let bed = Bed::lay("pipe").await?;
    bed.webhook("/project", "{}").await?;
    for arguments in
        [&["subscriptions"][..], &["check"], &["status", "--watch"], &["completions", "zsh"], &["adopt", "1"]]
    {
        let (reader, writer) = std::io::pipe()?;
        drop(reader);
        let mut running = bed.lshookd.follow(arguments, std::os::fd::OwnedFd::from(writer).into())?;
        let status = tokio::time::timeout(Duration::from_secs(20), running.wait()).await??;
        assert!(status.code().is_some_and(|code| code <= 1), "{arguments:?}: {status}");
    }
    assert_eq!(bed.number("select count(*) from lshookd.adoption").await?, 1, "what was begun is done");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn completions_and_man_pages_are_made_of_the_same_source() -> Result<()> {
    let (server, _) = bed::server().await?;
    let lshookd = bed::lshookd(&server.create("man", None).await?);
    for shell in ["bash", "zsh", "fish"] {
        assert!(lshookd.succeed(&["completions", shell]).await?.contains("backfill"), "{shell}");
    }
    let folder = tempfile::tempdir()?;
    lshookd.succeed(&["man", &folder.path().display().to_string()]).await?;
    let page = std::fs::read_to_string(folder.path().join("lshookd-replay.1"))?;
    assert!(page.contains("lshookd replay \\-\\-state dead") || page.contains("state dead"), "{page}");
    assert!(folder.path().join("lshookd.1").exists());
    Ok(())
}
