//! Traces of deliveries, received by OpenTelemetry's own classes.

use std::collections::BTreeMap;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result};
use lshookd_testbed::receiver::Reply;
use lshookd_testbed::{cache, eventually, free_port};
use serde_json::Value;
use tokio::process::{Child, Command};

use crate::test_env::TestEnv;

/// Receives spans, and keeps them in a file.
struct Collector {
    _process: Child,
    spans: tempfile::NamedTempFile,
    url: String,
}

impl Collector {
    async fn start() -> Result<Collector> {
        let port = free_port()?;
        let spans = tempfile::NamedTempFile::new()?;
        let program = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/real/traced/receiver.py");
        let python = cache().join("python-parts/bin/python");
        let process = Command::new(python)
            .arg(program)
            .arg(port.to_string())
            .stdout(Stdio::from(spans.reopen()?))
            .kill_on_drop(true)
            .spawn()?;
        let listens = async || Ok(tokio::net::TcpStream::connect(("127.0.0.1", port)).await.ok().map(drop));
        eventually("it listens", Duration::from_secs(20), listens).await?;
        Ok(Collector { _process: process, spans, url: format!("http://127.0.0.1:{port}") })
    }

    fn spans(&self) -> Result<Vec<Value>> {
        let text = std::fs::read_to_string(self.spans.path())?;
        text.lines().map(|line| serde_json::from_str(line).context("a span")).collect()
    }
}

fn attributes(span: &Value) -> BTreeMap<String, String> {
    let listed = span["attributes"].as_array().into_iter().flatten();
    let value =
        |value: &Value| value.as_object().and_then(|kinds| kinds.values().next()).map(|value| value.to_string());
    listed
        .filter_map(|pair| {
            Some((pair["key"].as_str()?.to_owned(), value(&pair["value"])?.trim_matches('"').to_owned()))
        })
        .collect()
}

fn nanoseconds(span: &Value, name: &str) -> u64 {
    span[name].as_str().and_then(|text| text.parse().ok()).unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_delivery_is_traced_from_its_change_to_each_attempt() -> Result<()> {
    let collector = Collector::start().await?;
    let env = TestEnv::new("traced").await?;
    let port = free_port()?;
    let env =
        env.with("LSHOOKD_OTLP_ENDPOINT", &collector.url).with("LSHOOKD_ADMIN_LISTEN", &format!("127.0.0.1:{port}"));
    env.webhook("/project", "{}").await?;
    let daemon = env.lshookd.run().await?;
    env.receiver.script([Reply::status(500)]);
    env.run("update project set title = 'Owls'").await?;
    env.receiver.expect(1).await?;
    let requests = env.receiver.received();
    assert_eq!(requests.len(), 2);

    // One counts as an example of how long deliveries take, where OpenMetrics is asked for, and nowhere else.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let client = reqwest::Client::builder().no_proxy().build()?;
    let metrics = async |accept: &str| -> Result<String> {
        let request = client.get(format!("http://127.0.0.1:{port}/metrics")).header("accept", accept);
        Ok(request.send().await?.text().await?)
    };
    let trace = requests[0].header("webhook-id").replace('-', "");
    let exemplar = format!("# {{trace_id=\"{trace}\"}}");
    assert!(metrics("application/openmetrics-text").await?.contains(&exemplar));
    assert!(!metrics("text/plain").await?.contains(" # {"));

    daemon.stop().await?;
    let all = async || Ok(Some(collector.spans()?).filter(|spans| spans.len() >= 4));
    let spans = eventually("the spans arrive", Duration::from_secs(10), all).await?;
    let named = |name: &str| {
        spans.iter().find(|span| span["name"] == name).with_context(|| format!("no span {name}: {spans:?}"))
    };
    let (root, plan) = (named("deliver PROJECT_UPDATED")?, named("plan")?);
    let attempts = [named("attempt 1")?, named("attempt 2")?];
    assert_eq!(spans.len(), 4, "{spans:?}");
    for span in &spans {
        assert_eq!(span["traceId"], trace.as_str(), "the trace is the message's");
        assert_eq!(attributes(span)["lshookd.action"], "PROJECT_UPDATED");
        assert!(span["resource"].to_string().contains("lshookd"), "{span}");
    }
    assert_eq!(root["parentSpanId"], "");
    for (child, request) in attempts.iter().zip(&requests) {
        assert_eq!(child["parentSpanId"], root["spanId"]);
        // What the endpoint was told is the attempt itself, so that its own spans are below it.
        let parent = format!("00-{trace}-{}-01", child["spanId"].as_str().unwrap_or_default());
        assert_eq!(request.header("traceparent"), parent);
    }
    assert_eq!(plan["parentSpanId"], root["spanId"]);
    assert_eq!(attributes(attempts[0])["http.response.status_code"], "500");
    assert_eq!(
        (attempts[0]["status"]["code"].as_str(), attempts[1]["status"]["code"].as_str()),
        (Some("STATUS_CODE_ERROR"), Some("STATUS_CODE_OK"))
    );
    let order = [
        nanoseconds(root, "startTimeUnixNano"),
        nanoseconds(plan, "endTimeUnixNano"),
        nanoseconds(attempts[0], "startTimeUnixNano"),
        nanoseconds(attempts[1], "startTimeUnixNano"),
        nanoseconds(root, "endTimeUnixNano"),
    ];
    assert!(order.is_sorted() && order[0] > 0, "{order:?}");
    Ok(())
}

/// A collector that is away, or hangs, holds nothing up and fails nothing.
#[tokio::test(flavor = "multi_thread")]
async fn a_collector_that_is_away_holds_nothing_up() -> Result<()> {
    let hangs = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let away = format!("http://127.0.0.1:{}", free_port()?);
    for endpoint in [away, format!("http://{}", hangs.local_addr()?)] {
        let env = TestEnv::new("away").await?.with("LSHOOKD_OTLP_ENDPOINT", &endpoint);
        env.webhook("/project", "{}").await?;
        let daemon = env.lshookd.run().await?;
        for number in 0..20 {
            env.run(&format!("update project set title = '{number}'")).await?;
        }
        env.receiver.expect(1).await?;
        let done = async || {
            Ok((env.number("select count(*) from lshookd.delivery where state = 'pending'").await? == 0).then_some(()))
        };
        eventually("all is delivered", Duration::from_secs(20), done).await?;
        let began = std::time::Instant::now();
        daemon.stop().await?;
        assert!(began.elapsed() < Duration::from_secs(10), "it stopped after {:?}", began.elapsed());
    }
    Ok(())
}

/// Nothing is traced, and nothing is said of it, unless it is asked for.
#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_traced_by_default() -> Result<()> {
    let (env, daemon) = TestEnv::running("untraced").await?;
    env.run("update project set title = 'Owls'").await?;
    let requests = env.receiver.expect(1).await?;
    assert_eq!(requests[0].header("traceparent"), "");
    daemon.stop().await?;
    Ok(())
}
