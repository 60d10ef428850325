//! What others do in the same cluster, and what rows of webhooks hold, silences nobody and fails no write of Label
//! Studio's.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use lshookd_testbed::daemon::Daemon;
use lshookd_testbed::eventually;
use lshookd_testbed::postgres::{Circumstances, Server};
use lshookd_testbed::receiver::Reply;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::test_env::{TestEnv, version};
use lshookd_testbed::label_studio::Installation;

/// A server of our own with these settings, and a env on it; `None` where there are no binaries.
async fn on_server_with(label: &str, settings: &[&str]) -> Result<Option<(Server, TestEnv)>> {
    let settings = settings.iter().map(|setting| (*setting).to_owned()).collect();
    let Some(server) = Server::start_own_in(Circumstances { settings, ..Circumstances::default() }).await? else {
        return Ok(None);
    };
    let template = Installation::find(&version())?.template(&server).await?;
    let env = TestEnv::new_in(server.create(label, Some(&template.name)).await?).await?;
    env.webhook("/project", "{}").await?;
    Ok(Some((server, env)))
}

/// Where prepared transactions are allowed, a transaction that has notified cannot be one.
#[tokio::test(flavor = "multi_thread")]
async fn transactions_can_be_prepared_while_the_planner_sleeps() -> Result<()> {
    let Some((_server, env)) = on_server_with("twophase", &["max_prepared_transactions=10"]).await? else {
        return Ok(());
    };
    let _daemon = env.lshookd.run().await?;
    for round in 0..5 {
        tokio::time::sleep(Duration::from_millis(300)).await;
        env.run(&format!("begin; update project set title = 'Owls {round}'; prepare transaction 'p{round}'")).await?;
        env.run(&format!("commit prepared 'p{round}'")).await?;
        let over = Instant::now();
        env.receiver.expect(round + 1).await?;
        ensure!(over.elapsed() < Duration::from_millis(1500), "{:?}", over.elapsed());
    }
    ensure!(env.number("select count(*) from lshookd.capture_error").await? == 0);
    Ok(())
}

/// A listener in another database that never ends its transaction fills the queue of the whole cluster. From PostgreSQL
/// 17 on that queue can be made small and is really filled; elsewhere it takes 8 GB, and what capture asks for is
/// answered as if it were full.
#[tokio::test(flavor = "multi_thread")]
async fn a_full_queue_of_notifications_fails_no_write_and_sets_nothing_aside() -> Result<()> {
    let (shared, _) = crate::test_env::server().await?;
    let can_be_small = shared.major().await? >= 17;
    let small: &[&str] = if can_be_small { &["max_notify_queue_pages=64"] } else { &[] };
    let Some((server, env)) = on_server_with("queuefull", small).await? else {
        return Ok(());
    };
    let daemon = env.lshookd.run().await?;
    let listener = server.admin().await?;
    if can_be_small {
        listener.batch_execute("listen elsewhere; begin; select 1").await?;
        let filling = server.admin().await?;
        let fill = "select pg_notify('elsewhere', repeat('x', 7000) || number) from generate_series(1, 5) as number";
        while filling.query_one("select pg_notification_queue_usage()", &[]).await?.get::<_, f64>(0) < 0.98 {
            if filling.batch_execute(fill).await.is_err() {
                break;
            }
        }
    } else {
        env.run(
            "create or replace function lshookd.may_notify() returns boolean language sql stable
                 set search_path = pg_catalog, pg_temp as $$ select false $$",
        )
        .await?;
    }
    for round in 0..5 {
        tokio::time::sleep(Duration::from_millis(300)).await;
        env.run(&format!("update project set title = 'Owls {round}'")).await?;
        let over = Instant::now();
        env.receiver.expect(round + 1).await?;
        ensure!(over.elapsed() < Duration::from_secs(3), "{:?}", over.elapsed());
    }
    ensure!(env.number("select count(*) from lshookd.change_set_aside").await? == 0, "{}", daemon.log());
    ensure!(env.number("select count(*) from lshookd.capture_error").await? == 0, "{}", daemon.log());
    if can_be_small {
        let check = env.lshookd.command(&["check"]).await?;
        ensure!(String::from_utf8_lossy(&check.stdout).contains("queue of notifications"));
    }
    Ok(())
}

/// No row of the webhook table stops what others get.
#[tokio::test(flavor = "multi_thread")]
async fn a_webhook_with_forty_thousand_headers_fails_alone() -> Result<()> {
    let env = TestEnv::new("headers").await?;
    env.webhook("/healthy", "{}").await?;
    let many: serde_json::Map<String, serde_json::Value> =
        (0..40_000).map(|number| (format!("X-{number}"), "a".into())).collect();
    env.webhook("/many", &json!({ "headers": many }).to_string()).await?;
    env.webhook("/long", &json!({ "headers": { "X ".repeat(500_000): "a" } }).to_string()).await?;
    env.webhook("/empty", &json!({ "headers": [] }).to_string()).await?;
    env.webhook("/null", &json!({ "headers": { "X-Null": null, "X-A": "b" } }).to_string()).await?;
    let daemon = env.lshookd.run().await?;
    for round in 0..3 {
        env.run(&format!("update project set title = 'Owls {round}'")).await?;
    }
    let all = async || {
        let received = env.receiver.received();
        let of = |path: &str| received.iter().filter(|request| request.path == path).count();
        Ok(["/healthy", "/empty", "/null"].iter().all(|path| of(path) == 3).then_some(()))
    };
    eventually("three each", Duration::from_secs(20), all).await.with_context(|| daemon.log())?;
    tokio::time::sleep(Duration::from_secs(2)).await;
    let received = env.receiver.received();
    ensure!(received.iter().filter(|request| request.path == "/healthy").count() == 3, "some came twice");
    let null = received.iter().find(|request| request.path == "/null").context("/null")?;
    ensure!(null.header("x-a") == "b" && null.header("x-null").is_empty());
    ensure!(!daemon.log().contains("panicked"), "{}", daemon.log());
    ensure!(env.number("select max(length(error))::bigint from lshookd.attempt").await? <= 1001);
    ensure!(daemon.log().len() < 500_000, "{} bytes of log", daemon.log().len());
    let errors = env.sql.query("select distinct error from lshookd.attempt where error is not null", &[]).await?;
    let errors: Vec<String> = errors.iter().map(|row| row.get(0)).collect();
    ensure!(errors.iter().any(|error| error.contains("40000 headers")), "{errors:?}");
    Ok(())
}

async fn watched(label: &str, more: &[(&str, &str)]) -> Result<(TestEnv, Daemon, String)> {
    let address = format!("127.0.0.1:{}", lshookd_testbed::free_port()?);
    let mut env = TestEnv::new(label).await?.with("LSHOOKD_ADMIN_LISTEN", &address);
    for (name, value) in more {
        env = env.with(name, value);
    }
    env.webhook("/project", "{}").await?;
    let daemon = env.lshookd.run().await?;
    lshookd_testbed::listens("the page", address.rsplit(':').next().context("a port")?.parse()?).await?;
    Ok((env, daemon, address))
}

/// What somebody says over HTTP, and what is answered: the first line.
async fn say(address: &str, request: &str) -> Result<String> {
    let mut stream = TcpStream::connect(address).await?;
    stream.write_all(request.replace('\n', "\r\n").as_bytes()).await?;
    let mut answer = vec![0; 4096];
    let length = tokio::time::timeout(Duration::from_secs(20), stream.read(&mut answer)).await??;
    Ok(String::from_utf8_lossy(&answer[..length]).lines().next().unwrap_or_default().to_owned())
}

/// Connections that say nothing take neither files nor anybody's place for long.
#[tokio::test(flavor = "multi_thread")]
async fn half_open_connections_exhaust_nothing() -> Result<()> {
    let (env, daemon, address) = watched("halfopen", &[]).await?;
    let mut idle = Vec::new();
    for _ in 0..300 {
        idle.push(TcpStream::connect(&address).await?);
    }
    env.run("update project set title = 'Owls'").await?;
    env.receiver.expect(1).await?;
    ensure!(daemon.open_files()? < 200, "{} files", daemon.open_files()?);
    // They are closed when no request came, and others are let in.
    let answered = async || {
        Ok(say(&address, "GET /healthz HTTP/1.1\nHost: 127.0.0.1\n\n").await.ok().filter(|line| line.contains("200")))
    };
    eventually("somebody is answered", Duration::from_secs(90), answered).await?;
    drop(idle);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_listener_answers_to_those_alone_who_may_look() -> Result<()> {
    let (_bed, _daemon, address) = watched("header", &[("LSHOOKD_ADMIN_HEADER", "X-User")]).await?;
    let get = async |head: &str| say(&address, &format!("GET / HTTP/1.1\n{head}\n\n")).await;
    for (head, status) in [
        ("Host: 127.0.0.1\nX-User: anna", "200"),
        ("Host: 127.0.0.1", "401"),
        ("Host: 127.0.0.1\nX-User:", "401"),
        ("Host: 127.0.0.1\nX-User:   ", "401"),
        ("Host: evil.example\nX-User: anna", "403"),
        ("Host: localhost.evil.example\nX-User: anna", "403"),
    ] {
        let answer = get(head).await?;
        ensure!(answer.contains(status), "{head:?}: {answer}");
    }
    for (path, status) in [
        ("/deliveries/%00", "400"),
        ("/deliveries/1%00", "400"),
        ("/deliveries?state=%00", "400"),
        ("/deliveries?state=lost", "400"),
        ("/deliveries/4711", "404"),
    ] {
        let answer = say(&address, &format!("GET {path} HTTP/1.1\nHost: 127.0.0.1\nX-User: anna\n\n")).await?;
        ensure!(answer.contains(status), "{path}: {answer}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn passwords_are_not_guessed_quickly() -> Result<()> {
    let settings = [("LSHOOKD_ADMIN_PASSWORD", "sesame"), ("LSHOOKD_ADMIN_HOSTS", "hooks.example")];
    let (_bed, _daemon, address) = watched("guesses", &settings).await?;
    let get = async |head: &str| say(&address, &format!("GET / HTTP/1.1\n{head}\n\n")).await;
    // "any:sesame"
    ensure!(get("Host: hooks.example\nAuthorization: basic YW55OnNlc2FtZQ==").await?.contains("200"));
    ensure!(get("Host: other.example\nAuthorization: Basic YW55OnNlc2FtZQ==").await?.contains("403"));
    let mut refused = 0;
    for _ in 0..12 {
        refused += usize::from(get("Host: hooks.example\nAuthorization: Basic YW55OnNlc2Ft").await?.contains("429"));
    }
    ensure!(refused == 2, "{refused} of 12 guesses were refused");
    Ok(())
}

/// An endpoint that repeats what it was sent tells nobody the webhook's secrets, and a redirect that loses the event is
/// no delivery.
#[tokio::test(flavor = "multi_thread")]
async fn echoes_are_masked_and_redirects_that_lose_the_event_fail() -> Result<()> {
    let env = TestEnv::new("redirects").await?;
    let webhook = env.webhook("/moved", r#"{"headers": {"Authorization": "Bearer open-sesame"}}"#).await?;
    let moved = |location: &str| Reply { headers: vec![("location", location.to_owned())], ..Reply::status(301) };
    env.receiver.answer("/moved", moved("/elsewhere?token=hidden"));
    let daemon = env.lshookd.run().await?;
    env.run("update project set title = 'Owls'").await?;
    let failed = async || Ok(env.sql.query_opt("select status, error from lshookd.attempt limit 1", &[]).await?);
    let attempt = eventually("an attempt", Duration::from_secs(10), failed).await?;
    let (status, error): (i16, String) = (attempt.get("status"), attempt.get("error"));
    ensure!(status == 301 && error.contains("/elsewhere") && error.contains("lose the event"), "{status} {error}");
    ensure!(!error.contains("hidden"), "{error}");
    ensure!(env.receiver.received().iter().all(|request| request.path != "/elsewhere"));
    let said = env.lshookd.command(&["check"]).await?;
    let said = String::from_utf8_lossy(&said.stdout).split_whitespace().collect::<Vec<_>>().join(" ");
    ensure!(said.contains(&format!("webhook {webhook}")) && said.contains("set the webhook's URL to that"), "{said}");
    env.receiver.answer("/moved", Reply { body: "you said open-sesame", ..Reply::status(500) });
    let echoed = async || {
        Ok(env.sql.query_opt("select response_head from lshookd.attempt where status = 500 limit 1", &[]).await?)
    };
    let head: String = eventually("an echo", Duration::from_secs(10), echoed).await?.get(0);
    ensure!(head == "you said ***", "{head}");
    ensure!(!daemon.log().contains("open-sesame"));
    // As Label Studio, where the operator wants it so.
    daemon.stop().await?;
    env.receiver.answer("/moved", moved("/elsewhere"));
    let env = env.with("LSHOOKD_REDIRECT_TO_GET", "true");
    let _daemon = env.lshookd.run().await?;
    let delivered = async || {
        let query =
            format!("select count(*) from lshookd.delivery where webhook_id = {webhook} and state = 'delivered'");
        Ok((env.number(&query).await? == 1).then_some(()))
    };
    eventually("it counts as delivered", Duration::from_secs(20), delivered).await
}

/// A condition that would compute for minutes stops nobody, and its event is sent as if there were none.
#[tokio::test(flavor = "multi_thread")]
async fn a_rule_that_computes_for_long_stops_nobody() -> Result<()> {
    let (env, daemon) = TestEnv::running("slowrule").await?;
    let nested = "event.tasks.all(a, event.tasks.all(b, event.tasks.all(c, a.id + b.id + c.id >= 0)))";
    env.sql
        .execute("insert into lshookd.rule (name, webhook_id, condition) values ('slow', 1, $1)", &[&nested])
        .await?;
    env.run(r#"select fixture.rows('task', '{"project_id": 1}', 400)"#).await?;
    let began = Instant::now();
    env.receiver.expect(1).await?;
    ensure!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
    ensure!(daemon.log().contains("loops in each other"), "{}", daemon.log());
    Ok(())
}

/// After a long look the planner rests as long, so that it leaves others their part of the machine: what somebody submits
/// in the meantime does not wait for that.
#[tokio::test(flavor = "multi_thread")]
async fn an_annotation_waits_for_no_rest_after_an_import() -> Result<()> {
    let env = TestEnv::new("rested").await?.with("LSHOOKD_SETTLE", "0");
    env.run(r#"select fixture.rows('task', '{"project_id": 1}')"#).await?;
    env.webhook("/project", "{}").await?;
    let _daemon = env.lshookd.run().await?;
    // Somebody works, for whom it rests.
    let other = env.database.connect().await?;
    let working = tokio::spawn(async move { other.batch_execute("select pg_sleep(60)").await });
    env.run(&format!(
        r#"select fixture.rows('task', '{{"project_id": 1, "data": {{"text": "{}"}}}}', 20000)"#,
        "owl ".repeat(250)
    ))
    .await?;
    let took = "select extract(epoch from max(planned_at) - min(occurred_at))::float8 as seconds
                from lshookd.event where action = $1 and object_count = $2";
    let planned = async |action: &'static str, objects: i32| -> Result<f64> {
        let planned = async || Ok(env.sql.query_one(took, &[&action, &objects]).await?.get::<_, Option<f64>>(0));
        eventually(action, Duration::from_secs(30), planned).await
    };
    let import = planned("TASKS_CREATED", 5000).await?;
    env.run(r#"select fixture.rows('task_completion', '{"project_id": 1, "task_id": 1, "result": []}')"#).await?;
    let annotation = planned("ANNOTATION_CREATED", 1).await?;
    working.abort();
    ensure!(import > 0.6, "an import that takes {import} s leaves no rest to speak of");
    ensure!(annotation < 0.3, "the import took {import} s, the annotation {annotation}");
    Ok(())
}

/// An import is planned event by event: what is small and of another project goes before what is left of it, and what is
/// of the same project after all of it.
#[tokio::test(flavor = "multi_thread")]
async fn an_import_holds_up_no_annotation_of_another_project() -> Result<()> {
    let env = TestEnv::new("overtaking").await?.with("LSHOOKD_SETTLE", "0");
    env.run(
        r#"select fixture.rows('project', '{"title": "Owls", "organization_id": 1, "created_by_id": 1}');
           select fixture.rows('task', '{"project_id": 1}');
           select fixture.rows('task', '{"project_id": 2}')"#,
    )
    .await?;
    env.webhook("/project", "{}").await?;
    env.webhook("/other", r#"{"project_id": 2}"#).await?;
    let statement = format!(
        r#"select fixture.rows('task', '{{"project_id": 1, "data": {{"text": "{}"}}}}', 1000);"#,
        "owl ".repeat(250)
    );
    env.run(&format!("begin; {} commit", statement.repeat(40))).await?;
    let annotation =
        |task: i32| format!(r#"select fixture.rows('task_completion', '{{"project_id": {task}, "task_id": {task}}}')"#);
    // It has to be read and planned with the import, or comes while that is.
    let _daemon = env.lshookd.run().await?;
    for task in [1, 2] {
        env.run(&annotation(task)).await?;
    }
    let planned = async || {
        let annotations = "select count(*) from lshookd.event where action = 'ANNOTATION_CREATED'";
        Ok((env.number(annotations).await? == 2).then_some(()))
    };
    eventually("all is planned", Duration::from_secs(60), planned).await?;
    let of = "select array_agg(id order by id) as ids, array_agg(object_count order by id) as objects
              from lshookd.event where action = $1 and project_id = $2";
    let events = async |action: &str, project: i64| -> Result<(Vec<i64>, Vec<i32>)> {
        let row = env.sql.query_one(of, &[&action, &project]).await?;
        Ok((row.get("ids"), row.get("objects")))
    };
    let (import, objects) = events("TASKS_CREATED", 1).await?;
    ensure!(objects == [[1].as_slice(), &[5000; 8]].concat(), "{objects:?}");
    let (same, _) = events("ANNOTATION_CREATED", 1).await?;
    ensure!(same[0] > import[8], "{same:?} is in a lane with {import:?}");
    let (other, _) = events("ANNOTATION_CREATED", 2).await?;
    ensure!(other[0] < import[8], "{other:?} waited for {import:?}");
    env.receiver.expect(12).await?;
    Ok(())
}
