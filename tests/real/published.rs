//! Destinations beside plain webhooks: NATS JetStream, and CloudEvents.

use std::time::Duration;

use anyhow::{Context, Result};
use async_nats::ConnectOptions;
use async_nats::jetstream::consumer::DeliverPolicy;
use async_nats::jetstream::consumer::pull::OrderedConfig;
use async_nats::jetstream::{self, stream};
use futures_util::StreamExt;
use lshookd_testbed::eventually;
use lshookd_testbed::nats::Nats;
use serde_json::{Value, json};

use crate::test_env::TestEnv;

/// Where events are published.
pub const SUBJECT: &str = "label-studio.events";

async fn jetstream(nats: &Nats) -> Result<jetstream::Context> {
    let options = ConnectOptions::new().user_and_password("owl".to_owned(), "feathers".to_owned());
    Ok(jetstream::new(options.connect(nats.address.to_string()).await?))
}

/// Makes the stream that keeps the subject, as its operator would.
pub async fn keep(nats: &Nats) -> Result<()> {
    let config = stream::Config {
        name: "LABELS".to_owned(),
        subjects: vec![format!("{SUBJECT}.>")],
        duplicate_window: Duration::from_secs(3600),
        ..stream::Config::default()
    };
    jetstream(nats).await?.create_stream(config).await?;
    Ok(())
}

/// All that the stream has: subject, headers that matter, body.
pub async fn kept(nats: &Nats) -> Result<Vec<(String, String, Value)>> {
    let stream = jetstream(nats).await?.get_stream("LABELS").await?;
    let quantity = usize::try_from(stream.get_info().await?.state.messages)?;
    let config = OrderedConfig { deliver_policy: DeliverPolicy::All, ..OrderedConfig::default() };
    let consumer = stream.create_consumer(config).await?;
    let mut all = Vec::new();
    let mut messages = consumer.messages().await?.take(quantity);
    while let Some(message) = messages.next().await {
        let message = message?;
        let headers = message.headers.clone().unwrap_or_default();
        let id = headers.get("Nats-Msg-Id").map(ToString::to_string).unwrap_or_default();
        all.push((message.subject.to_string(), id, serde_json::from_slice(&message.payload)?));
    }
    Ok(all)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_no_stream_takes_waits_and_is_said() -> Result<()> {
    let nats = Nats::start().await?;
    let env = TestEnv::new("untaken").await?;
    let webhook = env.create_webhook(&nats.url(SUBJECT), &["--project", "1"]).await?.to_string();
    let output = env.lshookd.command(&["webhook", "test", &webhook, "--action", "PROJECT_UPDATED"]).await?;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        said.contains("no stream acknowledged the subject label-studio.events.0") && !said.contains("feathers"),
        "{said}"
    );
    keep(&nats).await?;
    let said = env.lshookd.succeed(&["webhook", "test", &webhook, "--action", "PROJECT_UPDATED"]).await?;
    assert!(said.contains("acknowledged") && said.contains("stream LABELS, sequence 1"), "{said}");
    // The same addresses are refused as for requests.
    let guarded = env.lshookd.with("LSHOOKD_ALLOW", "10.11.12.13").with("SSRF_PROTECTION_ENABLED", "true");
    let output = guarded.command(&["webhook", "test", &webhook]).await?;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains("refused to connect to 127.0.0.1"), "{said}");
    Ok(())
}

/// One server accepts and says nothing; what another's stream is owed does not wait for it.
#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_hangs_holds_up_no_other() -> Result<()> {
    let nats = Nats::start().await?;
    keep(&nats).await?;
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let env = TestEnv::new("hanging").await?.with("WEBHOOK_TIMEOUT", "5");
    env.create_webhook(&format!("nats://{}/{SUBJECT}", silent.local_addr()?), &["--project", "1"]).await?;
    let _daemon = env.lshookd.run().await?;
    env.run("update project set title = 'Owls', updated_at = clock_timestamp()").await?;
    // It is being connected to by now.
    let (_connection, _) = silent.accept().await?;
    env.create_webhook(&nats.url(SUBJECT), &["--project", "1"]).await?;
    env.run("update project set title = 'Wrens', updated_at = clock_timestamp()").await?;
    let published = async || Ok(kept(&nats).await?.pop());
    eventually("the other has it", Duration::from_secs(3), published).await?;
    Ok(())
}

/// By the attributes that the specification requires, in both modes, beside a webhook that wants none.
#[tokio::test(flavor = "multi_thread")]
async fn cloudevents_are_headers_or_an_envelope() -> Result<()> {
    let nats = Nats::start().await?;
    keep(&nats).await?;
    let env = TestEnv::new("cloudevents").await?;
    env.webhook("/plain", "{}").await?;
    env.create_webhook(&env.receiver.url("/binary"), &["--project", "1", "--cloudevents", "binary"]).await?;
    env.create_webhook(&env.receiver.url("/structured"), &["--project", "1", "--cloudevents", "structured"]).await?;
    env.create_webhook(&nats.url(SUBJECT), &["--project", "1", "--cloudevents", "structured"]).await?;
    let _daemon = env.lshookd.run().await?;
    env.run(r#"select fixture.rows('task', '{"project_id": 1, "data": {"n": 1.10}}')"#).await?;
    let events = env.receiver.expect(3).await?;
    let at = |path: &str| events.iter().find(|event| event.path == path).cloned().context("no event");
    let (plain, binary, structured) = (at("/plain")?, at("/binary")?, at("/structured")?);
    assert_eq!(binary.body, plain.body);
    assert_eq!(binary.header("ce-specversion"), "1.0");
    assert_eq!(binary.header("ce-id"), binary.header("webhook-id"));
    assert_eq!(binary.header("ce-source"), "/label-studio/projects/1");
    assert_eq!(binary.header("ce-type"), "label-studio.TASKS_CREATED");
    assert!(binary.header("ce-time").ends_with('Z'));
    assert_eq!(binary.header("content-type"), "application/json");
    assert_eq!(structured.header("content-type"), "application/cloudevents+json; charset=utf-8");
    assert_eq!((&structured.body["data"], &structured.body["specversion"]), (&plain.body, &json!("1.0")));
    assert_eq!(structured.body["id"], structured.header("webhook-id"));
    assert!(plain.headers.keys().all(|name| !name.as_str().starts_with("ce-")));
    let published = eventually("published", Duration::from_secs(10), async || Ok(kept(&nats).await?.pop())).await?;
    assert_eq!(published.2["data"], plain.body);
    assert_eq!(published.2["id"], published.1.as_str());
    Ok(())
}
