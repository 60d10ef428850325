//! The admin listener: metrics and health.

use std::time::Duration;

use anyhow::Result;
use lshookd_testbed::daemon::Daemon;
use lshookd_testbed::eventually;
use lshookd_testbed::free_port;
use lshookd_testbed::receiver::Reply;
use reqwest::{Client, ClientBuilder, RequestBuilder, StatusCode};
use serde_json::{Value, json};

use crate::test_env::TestEnv;

/// A env with a daemon whose listener is at the address, set as given.
async fn watched(label: &str, settings: &[(&str, &str)]) -> Result<(TestEnv, Daemon, String)> {
    let mut env = TestEnv::new(label).await?;
    env.webhook("/project", "{}").await?;
    let address = format!("127.0.0.1:{}", free_port()?);
    env = env.with("LSHOOKD_ADMIN_LISTEN", &address);
    for (name, value) in settings {
        env = env.with(name, value);
    }
    let daemon = env.lshookd.run().await?;
    let base = format!("http://{address}");
    let ready = async || {
        let answer = client().get(format!("{base}/readyz")).send().await;
        Ok(answer.is_ok_and(|answer| answer.status() == StatusCode::OK).then_some(()))
    };
    eventually("the daemon is ready", Duration::from_secs(20), ready).await?;
    Ok((env, daemon, base))
}

/// Ends its sessions, and waits until it has noticed.
async fn daemon_was_interrupted(env: &TestEnv, daemon: &Daemon) -> Result<()> {
    let query = "select pg_terminate_backend(pid) from pg_stat_activity
                 where application_name = 'lshookd' and datname = current_database()";
    env.run(query).await?;
    let noticed = async || Ok(daemon.log().contains("session lost, reconnecting").then_some(()));
    eventually("the daemon has noticed", Duration::from_secs(10), noticed).await
}

fn builder() -> ClientBuilder {
    // Another test may have done so.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    Client::builder().no_proxy()
}

fn client() -> Client {
    builder().build().expect("a client")
}

async fn text(request: RequestBuilder) -> Result<(StatusCode, String)> {
    let answer = request.send().await?;
    Ok((answer.status(), answer.text().await?))
}

async fn get(base: &str, path: &str) -> Result<(StatusCode, String)> {
    text(client().get(format!("{base}{path}"))).await
}

/// The value of a metric's line.
fn metric(text: &str, name: &str) -> Option<f64> {
    text.lines().find_map(|line| line.strip_prefix(name)?.trim().parse().ok())
}

/// By Prometheus's own judgement; and each of them is tried.
#[tokio::test]
async fn the_alerts_fire_when_they_must_and_resolve() -> Result<()> {
    let tried = include_str!("../alerts.yaml");
    for alert in include_str!("../../docs/alerts.yaml").lines().filter_map(|line| line.trim().strip_prefix("- alert: "))
    {
        let fires = tried.split("alertname: ").any(|part| {
            part.split_whitespace().next() == Some(alert)
                && part.lines().nth(1).is_some_and(|line| line.ends_with("exp_alerts:"))
        });
        assert!(fires, "nothing shows when {alert} fires");
    }
    let rules = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/alerts.yaml");
    let output = tokio::process::Command::new("promtool").args(["test", "rules", rules]).output().await?;
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn metrics_and_health_tell_how_it_goes() -> Result<()> {
    let (env, daemon, base) = watched("metrics", &[]).await?;
    let webhook = env.webhook("/gone", "{}").await?;
    env.receiver.answer("/gone", Reply::status(410));
    env.run("update project set title = 'a'").await?;
    env.receiver.expect(1).await?;
    let counted = async || {
        let (_, text) = get(&base, "/metrics").await?;
        let dead = metric(&text, "lshookd_deliveries_dead") == Some(1.0);
        Ok((dead && text.contains("lshookd_attempts_total{outcome=\"dead\"} 1")).then_some(text))
    };
    let text = eventually("the dead one is counted", Duration::from_secs(10), counted).await?;
    for line in [
        "lshookd_attempts_total{outcome=\"delivered\"} 1",
        "lshookd_delivery_lag_seconds_count 1",
        "lshookd_answer_time_seconds_count 2",
        "lshookd_events_planned_total 1",
        "lshookd_database_up 1",
        "lshookd_role_active{role=\"planner\"} 1",
        "lshookd_capture_errors 0",
        "lshookd_build_info{version=",
        "process_resident_memory_bytes ",
        "# TYPE lshookd_events_planned_total counter",
    ] {
        assert!(text.lines().any(|has| has.starts_with(line)), "{line} is not in {text}");
    }
    assert!(!text.contains("/gone") && !text.contains(&format!("\"{webhook}\"")), "labels are bounded");
    assert_eq!(get(&base, "/healthz").await?.0, StatusCode::OK);
    // The dashboard and the alerts ask for nothing that is not there.
    daemon_was_interrupted(&env, &daemon).await?;
    let (_, text) = get(&base, "/metrics").await?;
    for document in [include_str!("../../docs/grafana.json"), include_str!("../../docs/alerts.yaml")] {
        let names = document.split(|each: char| !each.is_ascii_alphanumeric() && each != '_');
        // Those of webhooks are there while one fails; see below.
        for name in names.filter(|name| name.starts_with("lshookd_") && !name.starts_with("lshookd_webhook_")) {
            assert!(text.lines().any(|line| line.starts_with(name)), "{name} is not in {text}");
        }
    }

    // SIGHUP: the settings again, the counters as they were, ready once more.
    daemon.signal("HUP")?;
    let again = async || Ok(daemon.log().contains("configuration reloaded").then_some(()));
    eventually("the settings are read again", Duration::from_secs(10), again).await?;
    let ready =
        async || Ok(get(&base, "/readyz").await.is_ok_and(|(status, _)| status == StatusCode::OK).then_some(()));
    eventually("it is ready again", Duration::from_secs(10), ready).await?;
    env.run("update project set title = 'b'").await?;
    env.receiver.expect(2).await?;
    let (_, text) = get(&base, "/metrics").await?;
    assert!(text.contains("lshookd_attempts_total{outcome=\"delivered\"} 2"), "{text}");

    // While the database is away: alive, not ready, and it says so.
    env.run(&format!("revoke connect on database {} from public", env.database.name)).await?;
    daemon_was_interrupted(&env, &daemon).await?;
    let away = async || Ok((get(&base, "/readyz").await?.0 == StatusCode::SERVICE_UNAVAILABLE).then_some(()));
    eventually("it is not ready", Duration::from_secs(10), away).await?;
    assert_eq!(get(&base, "/healthz").await?.0, StatusCode::OK);
    assert!(get(&base, "/metrics").await?.1.contains("lshookd_database_up 0"));
    env.run(&format!("grant connect on database {} to public", env.database.name)).await?;
    eventually("it is ready again", Duration::from_secs(20), ready).await?;
    daemon.stop().await?;
    Ok(())
}

/// Whoever looks sees that an endpoint fails as long as somebody would attempt a delivery to it, and no longer.
#[tokio::test(flavor = "multi_thread")]
async fn an_endpoint_fails_while_somebody_would_deliver_to_it() -> Result<()> {
    let (env, daemon, base) = watched("failing", &[]).await?;
    env.receiver.answer("/project", Reply::status(500));
    env.run("update project set title = 'a'").await?;
    const LINE: &str = "lshookd_webhook_lanes_failing{webhook=\"1\"} 1";
    let fails = async |expected: bool| {
        let seen = async || {
            let (_, text) = get(&base, "/metrics").await?;
            let says = [text.contains(LINE), metric(&text, "lshookd_lanes_failing") == Some(1.0)];
            let status: Value = serde_json::from_str(&env.lshookd.succeed(&["status", "--json"]).await?)?;
            let all = [says[0], says[1], status["lanes_failing"] == 1, status["failing"] != json!([])];
            Ok(all.iter().all(|says| *says == expected).then_some(text))
        };
        eventually(&format!("it fails: {expected}"), Duration::from_secs(20), seen).await
    };
    fails(true).await?;
    env.lshookd.succeed(&["webhook", "pause", "1"]).await?;
    let text = fails(false).await?;
    assert_eq!(metric(&text, "lshookd_oldest_delivery_age_seconds"), Some(0.0), "what is paused is no lag");
    env.lshookd.succeed(&["webhook", "resume", "1"]).await?;
    fails(true).await?;
    // Somebody disables it in Label Studio: nobody delivers it, and check says so.
    env.run("update webhook set is_active = false").await?;
    fails(false).await?;
    let checked = env.lshookd.command(&["check"]).await?;
    assert!(String::from_utf8_lossy(&checked.stdout).contains("webhook 1 is disabled"));
    // Somebody deletes it there: what is pending is cancelled, whenever its next attempt would have been.
    env.run("update lshookd.lane set due_at = clock_timestamp() + interval '1 hour'; delete from webhook").await?;
    let cancelled = "select count(*) from lshookd.delivery where state = 'cancelled'";
    let ended = async || Ok((env.number(cancelled).await? == 1).then_some(()));
    eventually("it is cancelled", Duration::from_secs(20), ended).await?;
    fails(false).await?;
    daemon.stop().await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn it_may_be_a_socket_and_a_taken_port_holds_nothing_up() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let socket = folder.path().join("admin");
    let env = TestEnv::new("socket").await?;
    let lshookd = env.lshookd.clone().with("LSHOOKD_ADMIN_LISTEN", &format!("unix:{}", socket.display()));
    let daemon = lshookd.run().await?;
    let there = async || Ok(socket.exists().then_some(()));
    eventually("the socket is there", Duration::from_secs(10), there).await?;
    let client = builder().unix_socket(socket.clone()).build()?;
    assert_eq!(text(client.get("http://localhost/healthz")).await?, (StatusCode::OK, "alive\n".to_owned()));
    daemon.stop().await?;
    assert!(!socket.exists());

    let taken = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let daemon = env.lshookd.with("LSHOOKD_ADMIN_LISTEN", &taken.local_addr()?.to_string()).run().await?;
    env.sql.batch_execute("update webhook set is_active = true").await?;
    assert!(daemon.log().contains("setting admin_listen"), "{}", daemon.log());
    // It is free again: the listener comes by itself.
    let base = format!("http://{}", taken.local_addr()?);
    drop(taken);
    let answers =
        async || Ok(get(&base, "/healthz").await.is_ok_and(|(status, _)| status == StatusCode::OK).then_some(()));
    eventually("the listener answers", Duration::from_secs(20), answers).await?;
    daemon.stop().await?;
    Ok(())
}
