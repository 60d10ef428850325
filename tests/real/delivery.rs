//! Delivery: retries, order, what is recorded, what is never sent.

use std::time::{Duration, Instant};

use anyhow::Result;
use lshookd_testbed::eventually;
use lshookd_testbed::misbehaving::{Misbehaving, Misbehavior};
use lshookd_testbed::names::SilentNames;
use lshookd_testbed::receiver::{Received, Receiver, Reply};
use lshookd_testbed::scripted::{Scripted, Step};
use serde_json::json;

use crate::test_env::TestEnv;

const SECONDS: Duration = Duration::from_secs(20);

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_delivery_is_retried_with_the_same_id_and_bytes() -> Result<()> {
    let (env, _daemon) = TestEnv::running("retry").await?;
    env.receiver.script([500, 302, 404].map(Reply::status));
    env.run(r#"select fixture.rows('task', '{"project_id": 1}')"#).await?;
    env.receiver.expect(1).await?;
    let attempts = env.receiver.received();
    assert_eq!(attempts.iter().map(|attempt| attempt.status).collect::<Vec<_>>(), [500, 302, 404, 200]);
    assert!(attempts.iter().all(|attempt| attempt.header("webhook-id") == attempts[0].header("webhook-id")));
    assert!(attempts.iter().all(|attempt| attempt.body == attempts[0].body));
    assert!(attempts[0].header("webhook-timestamp").parse::<u64>()? > 1_700_000_000);
    let rows =
        env.sql.query("select number, status, error, duration_ms from lshookd.attempt order by number", &[]).await?;
    let recorded: Vec<(i32, Option<i16>, bool)> =
        rows.iter().map(|row| (row.get(0), row.get(1), row.get::<_, Option<String>>(2).is_some())).collect();
    assert_eq!(recorded, [(1, Some(500), true), (2, Some(302), true), (3, Some(404), true), (4, Some(200), false)]);
    assert_eq!(
        env.number("select count(*) from lshookd.delivery where state = 'delivered' and attempts = 4").await?,
        1
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_endpoint_may_ask_for_a_longer_pause() -> Result<()> {
    let (env, _daemon) = TestEnv::running("retry_after").await?;
    env.receiver.script([Reply { headers: vec![("retry-after", "2".to_owned())], ..Reply::status(429) }]);
    env.run(r#"select fixture.rows('task', '{"project_id": 1}')"#).await?;
    env.receiver.expect(1).await?;
    let attempts = env.receiver.received();
    assert!(attempts[1].at - attempts[0].at >= Duration::from_millis(1990));
    Ok(())
}

/// Where the answer is not awaited, a request that was wholly sent is delivered; one that was not is repeated.
#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_was_wholly_sent_need_not_be_answered() -> Result<()> {
    let (env, _daemon) = TestEnv::running("unawaited").await?;
    env.receiver.answer("/project", Reply { delay: Duration::from_secs(5), ..Reply::status(500) });
    let deaf = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}/deaf", deaf.local_addr()?);
    let deaf_webhook = env.create_webhook(&url, &["--project", "1", "--actions", "TASKS_CREATED"]).await?;
    let options = ["--await-answer=false", "--answer-within", "1s", "--connect-within", "3s"];
    for webhook in ["1".to_owned(), deaf_webhook.to_string()] {
        env.lshookd.succeed(&[&["webhook", "update", &webhook], &options[..]].concat()).await?;
    }
    tokio::time::sleep(Duration::from_secs(6)).await; // Options are read again after five seconds.
    env.run("update project set title = 'a'").await?;
    let delivered = "select count(*) from lshookd.delivery where webhook_id = 1 and state = 'delivered'";
    let done = async || Ok((env.number(delivered).await? == 1).then_some(()));
    eventually("it is delivered without an answer", Duration::from_secs(4), done).await?;
    let shown = env.lshookd.succeed(&["delivery", "show", "1"]).await?;
    assert!(shown.contains("(answer not awaited)"), "{shown}");

    // Nobody reads from this connection, so that the system cannot take all of it.
    env.run(
        r#"insert into task (data, project_id, is_labeled, overlap, created_at, updated_at, inner_id, total_annotations,
                             cancelled_annotations, total_predictions, comment_count, unresolved_comment_count)
           select jsonb_build_object('text', repeat('x', 7000000) || random()), 1, false, 1, now(), now(), 1, 0, 0, 0, 0, 0"#,
    )
    .await?;
    let failed = format!(
        "select count(*) from lshookd.attempt join lshookd.delivery on delivery.id = delivery_id
         where webhook_id = {deaf_webhook} and error is not null"
    );
    let tried = async || Ok((env.number(&failed).await? >= 1).then_some(()));
    eventually("what was not wholly sent has failed", Duration::from_secs(30), tried).await?;
    let delivered =
        format!("select count(*) from lshookd.delivery where webhook_id = {deaf_webhook} and state = 'delivered'");
    assert_eq!(env.number(&delivered).await?, 0);
    drop(deaf);

    // The settings are in force again.
    env.lshookd
        .succeed(&["webhook", "update", "1", "--await-answer", "--answer-within", "0s", "--connect-within", "0s"])
        .await?;
    let left = "select count(*) from lshookd.delivery_option
                where webhook_id = 1 and await_answer and answer_timeout is null and connect_timeout is null";
    assert_eq!(env.number(left).await?, 1);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn gone_is_dead_at_once_and_so_is_the_end_of_the_schedule() -> Result<()> {
    let env = TestEnv::new("dead").await?;
    env.webhook("/project", "{}").await?;
    let env = env.with("LSHOOKD_RETRY_SCHEDULE", "100ms,100ms");
    let daemon = env.lshookd.run().await?;
    env.receiver.script([410, 500, 500, 500].map(Reply::status));
    env.run(r#"select fixture.rows('task', '{"project_id": 1}')"#).await?;
    env.run("delete from task").await?;
    env.run("update project set title = 'Fish'").await?;
    let events = env.receiver.expect(1).await?;
    assert_eq!(events[0].action(), "PROJECT_UPDATED", "a dead delivery does not hold up its lane");
    let rows = env.sql.query("select state, attempts from lshookd.delivery order by id", &[]).await?;
    let states: Vec<(String, i32)> = rows.iter().map(|row| (row.get(0), row.get(1))).collect();
    assert_eq!(states, [("dead".to_owned(), 1), ("dead".to_owned(), 3), ("delivered".to_owned(), 1)]);
    assert!(daemon.log().contains("410 Gone"));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lane_keeps_its_order_and_holds_up_no_other() -> Result<()> {
    let (env, _daemon) = TestEnv::running("order").await?;
    env.webhook("/healthy", "{}").await?;
    env.receiver.answer("/project", Reply::status(503));
    for title in 0..5 {
        env.run(&format!("update project set title = '{title}'")).await?;
        let healthy = env.receiver.expect(title + 1).await?;
        assert!(healthy.iter().all(|event| event.path == "/healthy"));
    }
    env.receiver.answer("/project", Reply::status(200));
    let events = env.receiver.expect(10).await?;
    let titles: Vec<&str> = events
        .iter()
        .filter(|event| event.path == "/project")
        .filter_map(|event| event.body["project"]["title"].as_str())
        .collect();
    assert_eq!(titles, ["0", "1", "2", "3", "4"]);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_endpoint_holds_up_only_itself() -> Result<()> {
    let env = TestEnv::new("slow").await?;
    env.webhook("/slow", "{}").await?;
    env.webhook("/quick", "{}").await?;
    let env = env.with("WEBHOOK_TIMEOUT", "0.5");
    let _daemon = env.lshookd.run().await?;
    env.receiver.answer("/slow", Reply { delay: Duration::from_secs(5), ..Reply::status(200) });
    let start = Instant::now();
    env.run(r#"select fixture.rows('task', '{"project_id": 1}')"#).await?;
    env.receiver.expect(1).await?;
    assert!(start.elapsed() < Duration::from_secs(3));
    let timed_out = async || {
        Ok((env
            .number("select count(*) from lshookd.attempt where status is null and error like '%answer_timeout%'")
            .await?
            > 0)
        .then_some(()))
    };
    eventually("the slow attempt is recorded", SECONDS, timed_out).await
}

#[tokio::test(flavor = "multi_thread")]
async fn redirects_are_followed_as_python_requests_does() -> Result<()> {
    let (env, _daemon) = TestEnv::running("redirect").await?;
    env.run(r#"update webhook set headers = '{"X-Secret": "feathers"}'"#).await?;
    let elsewhere = lshookd_testbed::receiver::Receiver::start().await?;
    let to = |status, target: String| Reply { headers: vec![("location", target)], ..Reply::status(status) };
    env.receiver.script([to(307, "/moved".to_owned())]);
    env.run("update project set title = 'Fish'").await?;
    let first = env.receiver.expect(1).await?.remove(0);
    assert_eq!(
        (first.path.as_str(), first.action(), first.header("x-secret")),
        ("/moved", "PROJECT_UPDATED", "feathers")
    );
    env.receiver.script([to(307, elsewhere.url("/moved"))]);
    env.run("update project set title = 'Frogs'").await?;
    let other = elsewhere.expect(1).await?.remove(0);
    assert_eq!(other.action(), "PROJECT_UPDATED");
    assert_eq!(other.header("x-secret"), "", "the webhook's headers stay with its own host");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn edits_of_the_webhook_count_for_what_is_pending() -> Result<()> {
    let (env, _daemon) = TestEnv::running("edited").await?;
    let waiting = async |count: i64| {
        let there = async || {
            Ok((env.number("select count(*) from lshookd.delivery where state = 'pending' and attempts > 0").await?
                == count)
                .then_some(()))
        };
        eventually("the delivery waits", SECONDS, there).await
    };
    env.receiver.answer("/project", Reply::status(503));
    env.run("update project set title = 'Fish'").await?;
    waiting(1).await?;
    env.sql.execute("update webhook set url = $1", &[&env.receiver.url("/new")]).await?;
    assert_eq!(env.receiver.expect(1).await?[0].path, "/new");
    // Disabled, deliveries wait; deleted, they are cancelled.
    env.receiver.answer("/new", Reply::status(503));
    env.run("update project set title = 'Frogs'").await?;
    waiting(1).await?;
    env.run("update webhook set is_active = false").await?;
    env.receiver.answer("/new", Reply::status(200));
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(env.receiver.accepted().len(), 1);
    env.run("update webhook set is_active = true").await?;
    env.receiver.expect(2).await?;
    env.receiver.answer("/new", Reply::status(503));
    env.run("update project set title = 'Newts'").await?;
    waiting(1).await?;
    env.run("delete from webhook").await?;
    let cancelled = async || {
        Ok((env.number("select count(*) from lshookd.delivery where state = 'cancelled'").await? == 1).then_some(()))
    };
    eventually("the delivery is cancelled", SECONDS, cancelled).await
}

#[tokio::test(flavor = "multi_thread")]
async fn by_default_private_addresses_are_refused_and_the_reason_recorded() -> Result<()> {
    let env = TestEnv::new("egress").await?;
    env.webhook("/project", "{}").await?;
    let env = env.with("SSRF_PROTECTION_ENABLED", "true");
    let daemon = env.lshookd.run().await?;
    let named = async || Ok(daemon.log().contains("the endpoint of this webhook is refused").then_some(()));
    eventually("the webhook is named at the start", SECONDS, named).await?;
    env.run("update project set title = 'Fish'").await?;
    let refused = async || {
        Ok((env.number("select count(*) from lshookd.attempt where error like 'refused to connect to 127.0.0.1: 127.0.0.0/8%LSHOOKD_ALLOW%'").await? > 0).then_some(()))
    };
    eventually("the refusal is recorded", SECONDS, refused).await?;
    assert!(env.receiver.received().is_empty());
    daemon.stop().await?;
    let env = env.with("LSHOOKD_ALLOW", "127.0.0.1");
    let _daemon = env.lshookd.run().await?;
    env.receiver.expect(1).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_delivered_is_kept_for_a_while_and_what_is_dead_for_ever() -> Result<()> {
    let (env, daemon) = TestEnv::running("retention").await?;
    env.webhook("/gone", "{}").await?;
    env.receiver.answer("/gone", Reply::status(410));
    env.run("update project set title = 'Fish'").await?;
    let ended = async || {
        let ended = "select count(*) from lshookd.delivery where state in ('delivered', 'dead')";
        Ok((env.number(ended).await? == 2).then_some(()))
    };
    eventually("both deliveries have ended", SECONDS, ended).await?;
    daemon.stop().await?;
    env.run("update lshookd.delivery set ended_at = ended_at - interval '29 days'").await?;
    let owed = "select count(*) from lshookd.delivery";
    env.lshookd.run().await?.stop().await?;
    assert_eq!(env.number(owed).await?, 2);

    env.run("update lshookd.delivery set ended_at = ended_at - interval '1 day'").await?;
    let _daemon = env.lshookd.run().await?;
    let expired = async || Ok((env.number(owed).await? == 1).then_some(()));
    eventually("the delivery of a month ago is deleted", Duration::from_secs(5), expired).await?;
    assert_eq!(env.number("select count(*) from lshookd.delivery where state = 'dead'").await?, 1);
    assert_eq!(env.number("select count(*) from lshookd.event").await?, 1);
    assert_eq!(env.number("select count(*) from lshookd.attempt").await?, 1);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn credentials_in_a_url_are_sent_as_basic_auth_and_shown_nowhere() -> Result<()> {
    let (env, daemon) = TestEnv::running("basic").await?;
    let url = env.receiver.url("/basic").replace("http://", "http://user:swordfish@");
    env.webhook("/basic", &format!(r#"{{"url": "{url}", "headers": {{"X-Key": "open-sesame"}}}}"#)).await?;
    env.receiver.answer("/basic", Reply::status(500));
    env.run("update project set title = 'Fish'").await?;
    let requests = async || {
        let all = env.receiver.received();
        Ok((all.iter().filter(|request| request.path == "/basic").count() > 1).then_some(all))
    };
    let received = eventually("it is retried", Duration::from_secs(10), requests).await?;
    let basic = received.iter().find(|request| request.path == "/basic").expect("a request");
    assert_eq!(basic.header("authorization"), "Basic dXNlcjpzd29yZGZpc2g=");
    let recorded: String = env.sql.query_one("select json_agg(attempt)::text from lshookd.attempt", &[]).await?.get(0);
    let secret: String = env.sql.query_one("select secret from lshookd.secret limit 1", &[]).await?.get(0);
    let shown = daemon.log() + &recorded;
    for hidden in ["swordfish", "dXNlcjpzd29yZGZpc2g", "open-sesame", secret.as_str()] {
        assert!(!shown.contains(hidden), "{hidden} is shown: {shown}");
    }
    Ok(())
}

/// As servers do that close connections which rest: nothing says that the request was not read, and its id tells.
#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_is_closed_as_it_is_used_again_costs_no_attempt() -> Result<()> {
    let env = TestEnv::new("closed").await?;
    let leaving = Misbehaving::start(Misbehavior::Leaves).await?;
    env.webhook("/", &json!({"url": leaving.url}).to_string()).await?;
    let resetting = Misbehaving::start(Misbehavior::Resets).await?;
    let reset = env.webhook("/", &json!({"url": resetting.url}).to_string()).await?;
    let _daemon = env.lshookd.run().await?;
    for number in 0..6 {
        env.run(&format!("update project set title = '{number}'")).await?;
    }
    let left = format!("select count(*) from lshookd.delivery where webhook_id <> {reset} and state = 'delivered'");
    let delivered = async || Ok((env.number(&left).await? == 6).then_some(()));
    eventually("all are delivered", SECONDS, delivered).await?;
    let failed = format!(
        "select count(*) from lshookd.attempt join lshookd.delivery on delivery.id = delivery_id
         where webhook_id <> {reset} and error is not null"
    );
    assert_eq!(env.number(&failed).await?, 0);
    let other = format!("select attempts from lshookd.delivery where webhook_id = {reset} order by id limit 1");
    let failed = async || Ok((env.number(&format!("select ({other})::bigint")).await? > 0).then_some(()));
    eventually("a connection that is closed at once is a failed attempt", SECONDS, failed).await
}

/// Two hundred webhooks whose endpoint hangs, on the same host, and one of them over thousands of projects: what
/// answers does not notice.
#[tokio::test(flavor = "multi_thread")]
async fn those_that_hang_hold_up_nobody_who_answers() -> Result<()> {
    let env = TestEnv::new("isolated").await?;
    env.webhook("/sound", "{}").await?;
    let hanging = Misbehaving::start(Misbehavior::Hangs).await?;
    for _ in 0..200 {
        env.webhook("/", &json!({"url": hanging.url}).to_string()).await?;
    }
    env.webhook("/", &json!({"url": hanging.url, "project_id": null}).to_string()).await?;
    env.run("select fixture.rows('project', '{\"organization_id\": 1}', 2300)").await?;
    let _daemon = env.lshookd.run().await?;
    env.run("update project set title = 'to begin with'").await?;
    env.receiver.expect(1).await?;
    for number in 0..40 {
        env.run(&format!("update project set title = '{number}' where id = 1")).await?;
        env.receiver.expect(2 + number).await?;
    }
    let slowest = "select (1000 * extract(epoch from max(attempt.started_at - event.occurred_at)))::bigint
                   from lshookd.attempt
                   join lshookd.delivery on delivery.id = delivery_id
                   join lshookd.event on event.id = event_id
                   where webhook_id = 1 and event.project_id = 1
                     and event.id > (select min(id) from lshookd.event where project_id = 1)";
    let milliseconds = env.number(slowest).await?;
    assert!(milliseconds < 1000, "what answers waited for {milliseconds} ms");
    let lanes = "select count(distinct (webhook_id, project_id)) from lshookd.attempt
                 join lshookd.delivery on delivery.id = delivery_id where status is null";
    let tried = async || Ok((env.number(lanes).await? > 200).then_some(()));
    eventually("each of those that hang is tried", Duration::from_secs(60), tried).await
}

/// Two hundred names of which the system says nothing for ten seconds, and one of a thousand webhooks: an endpoint whose
/// name resolves does not notice.
#[tokio::test(flavor = "multi_thread")]
async fn names_that_hang_hold_up_nobody_whose_name_resolves() -> Result<()> {
    let Some(names) = SilentNames::start()? else {
        eprintln!("not tried: a server of names takes root");
        return Ok(());
    };
    let env = TestEnv::new("names").await?;
    for number in 0..1200 {
        let host = if number < 200 { format!("hangs-{number}") } else { "hangs".to_owned() };
        env.webhook("/", &json!({"url": format!("http://{host}.example/")}).to_string()).await?;
    }
    env.run("select fixture.rows('project', '{\"organization_id\": 1}')").await?;
    let command = names.command();
    let _daemon = env.lshookd.clone().under(&command.each_ref().map(String::as_str)).run().await?;
    env.run("update project set title = 'to begin with'").await?;
    let lanes = "select count(*) from lshookd.attempt where status is null";
    let hang = async || Ok((env.number(lanes).await? > 0).then_some(()));
    eventually("names take longer than the limit", Duration::from_secs(60), hang).await?;
    for number in 0..5 {
        // On a port of its own: a connection that is open needs no name.
        let receiver = Receiver::start().await?;
        let url = receiver.url("/").replace(&receiver.host().to_string(), "localhost");
        env.webhook("/", &json!({"url": url, "project_id": 2}).to_string()).await?;
        let over = Instant::now();
        env.run(&format!("update project set title = '{number}' where id = 2")).await?;
        receiver.expect(1).await?;
        assert!(over.elapsed() < Duration::from_secs(2), "what resolves waited for {:?}", over.elapsed());
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    Ok(())
}

/// A planner that is gone between storing deliveries and opening their lanes leaves them closed, or not there at all; the
/// next one opens them.
#[tokio::test(flavor = "multi_thread")]
async fn lanes_that_were_left_closed_are_opened_by_the_next_planner() -> Result<()> {
    let (env, daemon) = TestEnv::running("left_closed").await?;
    env.run("update project set title = 'a'").await?;
    env.receiver.expect(1).await?;
    let asleep = "select count(*) from lshookd.lane where due_at = 'infinity'";
    let closed = async || Ok((env.number(asleep).await? == 1).then_some(()));
    eventually("the lane is closed", SECONDS, closed).await?;
    daemon.stop().await?;
    let fresh = env.webhook("/fresh", "{}").await?;
    env.run(&format!(
        "insert into lshookd.delivery (event_id, webhook_id, project_id)
         select id, webhook, 1 from lshookd.event cross join unnest(array[1, {fresh}]) as webhook"
    ))
    .await?;
    let _daemon = env.lshookd.run().await?;
    env.receiver.expect(3).await?;
    Ok(())
}

/// `WEBHOOK_TIMEOUT` is of each step, as python-requests has it: an answer may take long while it comes.
#[tokio::test(flavor = "multi_thread")]
async fn label_studios_timeout_is_of_each_silence() -> Result<()> {
    let env = TestEnv::new("each_silence").await?.with("WEBHOOK_TIMEOUT", "1.0").with("LSHOOKD_RETRY_SCHEDULE", "1h");
    let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
    let pieces = answer.chunks(8).map(|piece| Step::Repeat(piece.to_vec(), 1, Duration::from_millis(600)));
    let slow = Scripted::start([Step::Read].into_iter().chain(pieces).collect()).await?;
    let late = vec![Step::Read, Step::Wait(Duration::from_millis(1500)), Step::Say(answer.to_vec())];
    let late = Scripted::start(late).await?;
    for port in [slow.port, late.port] {
        env.webhook("/", &json!({"url": format!("http://127.0.0.1:{port}/")}).to_string()).await?;
    }
    let _daemon = env.lshookd.run().await?;
    env.run("update project set title = 'a'").await?;
    let attempts = "select count(*) from lshookd.attempt";
    let both = async || Ok((env.number(attempts).await? == 2).then_some(()));
    eventually("both are tried", SECONDS, both).await?;
    let rows = env
        .sql
        .query("select status, error, duration_ms from lshookd.attempt join lshookd.delivery on id = delivery_id order by webhook_id", &[])
        .await?;
    assert_eq!(rows[0].get::<_, Option<i16>>(0), Some(200));
    assert!(rows[0].get::<_, i32>(2) > 2000);
    assert_eq!(rows[1].get::<_, Option<&str>>(1), Some("no answer within 1.0 s (setting answer_timeout)"));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_attempt_says_which_way_it_went() -> Result<()> {
    let (env, _daemon) = TestEnv::running("route").await?;
    for (number, title) in (1..).zip(["a", "b"]) {
        env.run(&format!("update project set title = '{title}'")).await?;
        env.receiver.expect(number).await?;
    }
    let recorded = async || Ok((env.number("select count(*) from lshookd.attempt").await? == 2).then_some(()));
    eventually("both are recorded", SECONDS, recorded).await?;
    let first = env.lshookd.succeed(&["delivery", "show", "1", "--json"]).await?;
    let first = &serde_json::from_str::<serde_json::Value>(&first)?["attempts"][0];
    assert_eq!((&first["address"], &first["protocol"]), (&json!("127.0.0.1"), &json!("HTTP/1.1")));
    assert!(["dns_ms", "tcp_ms", "answer_ms"].iter().all(|part| first[part].is_i64()) && first["tls_ms"].is_null());
    let second = env.lshookd.succeed(&["delivery", "show", "2"]).await?;
    assert!(second.contains("connection reused"), "{second}");
    Ok(())
}

/// Each is retried and recorded with its reason; those that behave do not wait.
#[tokio::test(flavor = "multi_thread")]
async fn endpoints_that_misbehave_hold_up_only_themselves() -> Result<()> {
    let env = TestEnv::new("misbehaving").await?;
    env.webhook("/project", "{}").await?;
    let mut webhooks = Vec::new();
    let mut endpoints = Vec::new();
    for how in [Misbehavior::Hangs, Misbehavior::Resets, Misbehavior::Drips, Misbehavior::Babbles] {
        let endpoint = Misbehaving::start(how).await?;
        webhooks.push(env.webhook("/", &json!({"url": endpoint.url}).to_string()).await?);
        endpoints.push(endpoint);
    }
    let no_tls = env.receiver.url("/tls").replace("http:", "https:");
    for url in ["http://no-such-host.invalid/", &no_tls, "ftp://127.0.0.1/", "no URL at all"] {
        webhooks.push(env.webhook("/", &json!({"url": url}).to_string()).await?);
    }
    let flooding = Misbehaving::start(Misbehavior::Floods).await?;
    let flooded = env.webhook("/", &json!({"url": flooding.url}).to_string()).await?;
    let env = env.with("WEBHOOK_TIMEOUT", "1");
    let daemon = env.lshookd.run().await?;

    for number in 0..20 {
        env.run(&format!("update project set title = '{number}'")).await?;
    }
    let start = Instant::now();
    env.receiver.expect(20).await?;
    assert!(start.elapsed() < Duration::from_secs(5), "those that behave waited {:?}", start.elapsed());
    for webhook in webhooks {
        let query = format!(
            "select count(*) from lshookd.attempt join lshookd.delivery on delivery.id = delivery_id
             where webhook_id = {webhook} and error <> ''"
        );
        let retried = async || Ok((env.number(&query).await? > 1).then_some(()));
        eventually(&format!("webhook {webhook} is retried"), SECONDS, retried).await?;
    }
    let done = format!("select count(*) from lshookd.delivery where webhook_id = {flooded} and state = 'delivered'");
    let delivered = async || Ok((env.number(&done).await? == 20).then_some(()));
    eventually("what answers 200 is delivered, however much it says", SECONDS, delivered).await?;
    let kilobytes = daemon.resident_kilobytes()?;
    assert!(kilobytes < 100_000, "{kilobytes} kB");
    Ok(())
}

/// Also across a restart: no second has more than the rate allows, and one more where a second is cut.
#[tokio::test(flavor = "multi_thread")]
async fn a_webhook_whose_rate_is_limited_gets_no_more_and_loses_nothing() -> Result<()> {
    let env = TestEnv::new("rate").await?;
    let limited = ["--project", "1", "--rate-limit", "10/s"];
    env.create_webhook(&env.receiver.url("/limited"), &limited).await?;
    env.create_webhook(&env.receiver.url("/free"), &["--project", "1"]).await?;
    let daemon = env.lshookd.run().await?;
    for _ in 0..30 {
        env.run("update project set title = title || '!', updated_at = clock_timestamp()").await?;
    }
    env.receiver.expect(45).await?;
    daemon.kill().await?;
    let _daemon = env.lshookd.run().await?;
    env.receiver.expect(60).await?;
    let all = env.receiver.received();
    let at =
        |path: &str| -> Vec<Instant> { all.iter().filter(|event| event.path == path).map(|event| event.at).collect() };
    let (limited, free) = (at("/limited"), at("/free"));
    assert!(limited.len() >= 30 && free.len() >= 30);
    let most = limited
        .iter()
        .map(|from| limited.iter().filter(|at| **at >= *from && **at < *from + Duration::from_secs(1)).count());
    assert!(most.clone().max() <= Some(11), "{:?}", most.collect::<Vec<_>>());
    let (first, last) = (free[0], free[29]);
    assert!(last - first < Duration::from_secs(2), "the others do not wait for it");
    let listed = env.lshookd.succeed(&["webhook", "list", "--json"]).await?;
    assert!(listed.contains("\"rate_limit\": 10") || listed.contains("\"rate_limit\":10"), "{listed}");
    Ok(())
}

/// Over all lanes, and in force soon where it changes.
#[tokio::test(flavor = "multi_thread")]
async fn a_webhook_may_have_fewer_requests_in_flight_than_others() -> Result<()> {
    const DELAY: Duration = Duration::from_millis(500);
    let env = TestEnv::new("at_once").await?;
    let create = async |path: &str, more: &[&str]| env.create_webhook(&env.receiver.url(path), more).await;
    let id = create("/one", &["--in-flight", "1"]).await?.to_string();
    create("/others", &[]).await?;
    for path in ["/one", "/others"] {
        env.receiver.answer(path, Reply { delay: DELAY, ..Reply::status(200) });
    }
    env.run("select fixture.rows('project', '{\"organization_id\": 1}', 7)").await?;
    let _daemon = env.lshookd.run().await?;
    // The longest time in which so many requests came.
    let spread = async |path: &str, title: &str| {
        env.run(&format!("update project set title = '{title}'")).await?;
        // What created the projects may be planned late, and shows their titles as they are then.
        let of = |event: &Received| {
            event.path == path && event.action() == "PROJECT_UPDATED" && event.body["project"]["title"] == title
        };
        let all_there = async || {
            let at: Vec<Instant> =
                env.receiver.received().iter().filter(|event| of(event)).map(|event| event.at).collect();
            Ok((at.len() == 8).then_some(at))
        };
        let at = eventually("all projects are told of", SECONDS, all_there).await?;
        anyhow::Ok(at[7] - at[0])
    };
    // Until each was tried.
    spread("/others", "first").await?;
    spread("/one", "second").await?;
    let spreads = (spread("/one", "third").await?, spread("/others", "fourth").await?);
    assert!(spreads.0 >= 6 * DELAY && spreads.1 < 4 * DELAY, "{spreads:?}");
    let listed = env.lshookd.succeed(&["check"]).await?;
    assert!(listed.contains("1 at once at most"), "{listed}");
    env.lshookd.succeed(&["webhook", "update", &id, "--in-flight", "0"]).await?;
    tokio::time::sleep(Duration::from_secs(6)).await;
    let freed = spread("/one", "fifth").await?;
    assert!(freed < 4 * DELAY, "{freed:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_webhook_may_have_retries_of_its_own() -> Result<()> {
    let env = TestEnv::new("retries").await?.with("LSHOOKD_RETRY_SCHEDULE", "1h");
    let id = env
        .create_webhook(&env.receiver.url("/own"), &["--project", "1", "--retries", "100ms,200ms"])
        .await?
        .to_string();
    let _daemon = env.lshookd.run().await?;
    env.receiver.script([500, 500, 500].map(Reply::status));
    env.run("update project set title = 'a'").await?;
    env.run("update project set title = 'b'").await?;
    let events = env.receiver.expect(1).await?;
    assert_eq!(events[0].body["project"]["title"], "b", "the lane goes on after its last attempt");
    assert_eq!(env.number("select count(*) from lshookd.delivery where state = 'dead' and attempts = 3").await?, 1);
    env.lshookd.succeed(&["webhook", "update", &id, "--retries", "default"]).await?;
    let left = "select count(*) from lshookd.delivery_option where retry_schedule is null";
    assert_eq!(env.number(left).await?, 1);
    let (status, said) = {
        let output = env.lshookd.command(&["webhook", "update", &id, "--rate-limit", "often"]).await?;
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    assert!(status == Some(2) && said.contains("20/s"), "{said}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_webhook_that_only_fails_is_paused_and_loses_nothing() -> Result<()> {
    let env = TestEnv::new("only_fails")
        .await?
        .with("LSHOOKD_PAUSE_AFTER", "6s")
        .with("LSHOOKD_RETRY_SCHEDULE", "500ms,500ms,500ms,500ms,500ms,500ms,500ms,500ms");
    let [failing, answering] = [env.webhook("/failing", "{}").await?, env.webhook("/answering", "{}").await?];
    env.receiver.answer("/failing", Reply::status(500));
    let _daemon = env.lshookd.run().await?;
    let check =
        async || anyhow::Ok(String::from_utf8_lossy(&env.lshookd.command(&["check"]).await?.stdout).into_owned());
    let says = async |text: &str| Ok(check().await?.contains(text).then_some(()));
    // One after the other is dead meanwhile, which makes no end of its failing.
    for title in ["one", "two", "three"] {
        env.run(&format!("update project set title = '{title}'")).await?;
    }
    let warning = format!("webhook {failing} has only failed since");
    eventually("check warns", Duration::from_secs(10), async || says(&warning).await).await?;
    let paused = format!("webhook {failing} is paused by lshookd");
    eventually("it is paused", Duration::from_secs(20), async || says(&paused).await).await?;
    assert!(!check().await?.contains(&format!("webhook {answering} ")), "the other goes on");
    env.run("update project set title = 'four'").await?;
    let waits = format!("select count(*) from lshookd.delivery where webhook_id = {failing} and state = 'pending'");
    let waiting = async || Ok((env.number(&waits).await? > 0).then_some(()));
    eventually("what happens is recorded", Duration::from_secs(10), waiting).await?;

    env.receiver.answer("/failing", Reply::status(200));
    env.lshookd.succeed(&["webhook", "resume", &failing.to_string()]).await?;
    let delivered = async || Ok((env.number(&waits).await? == 0).then_some(()));
    eventually("what waited is delivered", Duration::from_secs(10), delivered).await?;
    let forgotten = async || Ok((env.number("select count(*) from lshookd.failing_webhook").await? == 0).then_some(()));
    eventually("it begins anew", Duration::from_secs(10), forgotten).await?;
    assert!(!check().await?.contains("failed since"));

    env.lshookd.succeed(&["webhook", "pause", &failing.to_string()]).await?;
    env.run("update project set title = 'five'").await?;
    eventually("it waits", Duration::from_secs(10), waiting).await?;
    let said = env.lshookd.succeed(&["webhook", "resume", "--discard", &failing.to_string()]).await?;
    assert!(said.contains("1 that waited are skipped"), "{said}");
    env.run("update project set title = 'six'").await?;
    let titles = async || {
        let all = env.receiver.received();
        let of = all.iter().filter(|request| request.path == "/failing");
        let titles: Vec<String> = of.map(|request| request.body["project"]["title"].to_string()).collect();
        Ok(titles.last().is_some_and(|last| last == "\"six\"").then_some(titles))
    };
    let titles = eventually("the last is delivered", Duration::from_secs(10), titles).await?;
    assert!(!titles.contains(&"\"five\"".to_owned()), "{titles:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_too_old_for_its_webhook_is_dead_and_can_be_replayed() -> Result<()> {
    let env = TestEnv::new("age").await?;
    let id =
        env.create_webhook(&env.receiver.url("/young"), &["--project", "1", "--maximum-age", "2s"]).await?.to_string();
    let _daemon = env.lshookd.run().await?;
    env.lshookd.succeed(&["webhook", "pause", &id]).await?;
    env.run("update project set title = 'old'").await?;
    let planned = async || Ok((env.number("select count(*) from lshookd.delivery").await? == 1).then_some(()));
    eventually("it is planned", Duration::from_secs(10), planned).await?;
    tokio::time::sleep(Duration::from_secs(3)).await;
    env.lshookd.succeed(&["webhook", "resume", &id]).await?;
    env.run("update project set title = 'new'").await?;
    let events = env.receiver.expect(1).await?;
    assert_eq!(events[0].body["project"]["title"], "new");
    let error = env.sql.query_one("select error from lshookd.attempt where error is not null", &[]).await?;
    assert!(error.get::<_, String>(0).contains("older than the 2s that its webhook allows"));
    env.lshookd.succeed(&["delivery", "replay", "--state", "dead"]).await?;
    let events = env.receiver.expect(2).await?;
    assert_eq!(events[1].body["project"]["title"], "old", "who replays it wants it");
    Ok(())
}

/// A lane that is never empty for long is not closed, and still finds what is older than what it has sent.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_replayed_in_a_busy_lane_is_sent_soon() -> Result<()> {
    let (env, _daemon) = TestEnv::running("busyreplay").await?;
    let busy = env.database.connect().await?;
    let changing = tokio::spawn(async move {
        for number in 0..40 {
            busy.batch_execute(&format!("update project set title = 'busy {number}'")).await?;
            tokio::time::sleep(Duration::from_millis(150)).await;
        }
        anyhow::Ok(())
    });
    let first = env.receiver.expect(5).await?[0].header("webhook-id").to_owned();
    let closed = "select count(*) from lshookd.lane where due_at = 'infinity'";
    let mut open = 0;
    for _ in 0..10 {
        open += 1 - env.number(closed).await?;
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert!(open >= 9, "it was closed {} times of ten", 10 - open);
    env.lshookd.succeed(&["delivery", "replay", "1"]).await?;
    let again = async || {
        let times = env.receiver.received().iter().filter(|request| request.header("webhook-id") == first).count();
        Ok((times == 2).then_some(()))
    };
    eventually("it is sent again", Duration::from_secs(3), again).await?;
    assert!(!changing.is_finished(), "the lane was busy all the time");
    changing.await??;
    Ok(())
}
