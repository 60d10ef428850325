//! Ways out beside plain webhooks: NATS JetStream, and CloudEvents.

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

use crate::bed::Bed;

const SUBJECT: &str = "label-studio.events";

async fn jetstream(nats: &Nats) -> Result<jetstream::Context> {
    let options = ConnectOptions::new().user_and_password("owl".to_owned(), "feathers".to_owned());
    Ok(jetstream::new(options.connect(format!("127.0.0.1:{}", nats.port)).await?))
}

/// Makes the stream that keeps the subject, as its operator would.
async fn keep(nats: &Nats) -> Result<()> {
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
async fn kept(nats: &Nats) -> Result<Vec<(String, String, Value)>> {
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

async fn subscribe(bed: &Bed, url: &str, more: &[&str]) -> Result<i64> {
    let said = bed.lshookd.succeed(&[&["subscribe", url, "--project", "1", "--json"], more].concat()).await?;
    serde_json::from_str::<Value>(&said)?["id"].as_i64().context("no id")
}

/// The daemon and the server are killed in turn while people annotate: each annotation is in the stream
/// once, in order, and none that was rolled back.
#[tokio::test(flavor = "multi_thread")]
async fn a_stream_has_every_event_once_and_in_order_whatever_is_killed() -> Result<()> {
    let mut nats = Nats::start().await?;
    keep(&nats).await?;
    let mut bed = Bed::lay("nats").await?;
    bed.lshookd = bed.lshookd.with("LSHOOKD_RETRY_SCHEDULE", "200ms,200ms,500ms,1s,1s,1s,1s,1s,1s,1s");
    subscribe(&bed, &nats.url(SUBJECT), &[]).await?;
    bed.run(r#"select fixture.rows('task', '{"project_id": 1}')"#).await?;
    let annotate = r#"select fixture.rows('task_completion', '{"project_id": 1, "task_id": 1, "updated_by_id": 1}')"#;
    let mut daemon = bed.lshookd.run().await?;
    for round in 0..6 {
        for number in 0..50 {
            bed.run(annotate).await?;
            if number % 10 == 0 {
                bed.run(&format!("begin; {annotate}; rollback")).await?;
            }
        }
        if round % 2 == 0 {
            daemon.kill().await?;
            daemon = bed.lshookd.run().await?;
        } else {
            nats.take_down();
            bed.run(annotate).await?;
            tokio::time::sleep(Duration::from_millis(500)).await;
            nats.put_up().await?;
        }
    }
    eventually("everything is acknowledged", Duration::from_secs(30), async || {
        let waiting =
            "select (select count(*) from lshookd.change) + count(*) from lshookd.delivery where state = 'pending'";
        Ok((bed.number(waiting).await? == 0).then_some(()))
    })
    .await?;
    let kept = kept(&nats).await?;
    let committed = bed.sql.query_one("select array_agg(id::bigint order by id) from task_completion", &[]).await?;
    let annotations: Vec<i64> = kept.iter().filter_map(|(_, _, body)| body["annotation"]["id"].as_i64()).collect();
    assert_eq!(annotations, committed.get::<_, Vec<i64>>(0));
    assert!(kept.iter().all(|(subject, id, _)| subject == "label-studio.events.1" && id.len() == 36));
    assert!(!daemon.log().contains("feathers"), "{}", daemon.log());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_no_stream_takes_waits_and_is_said() -> Result<()> {
    let nats = Nats::start().await?;
    let bed = Bed::lay("untaken").await?;
    let webhook = subscribe(&bed, &nats.url(SUBJECT), &[]).await?.to_string();
    let output = bed.lshookd.command(&["test", &webhook, "--action", "PROJECT_UPDATED"]).await?;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        said.contains("no stream acknowledged the subject label-studio.events.0") && !said.contains("feathers"),
        "{said}"
    );
    keep(&nats).await?;
    let said = bed.lshookd.succeed(&["test", &webhook, "--action", "PROJECT_UPDATED"]).await?;
    assert!(said.contains("acknowledged") && said.contains("stream LABELS, sequence 1"), "{said}");
    // The same addresses are refused as for requests.
    let guarded = bed.lshookd.with("LSHOOKD_ALLOW", "10.11.12.13").with("SSRF_PROTECTION_ENABLED", "true");
    let output = guarded.command(&["test", &webhook]).await?;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains("refused to connect to 127.0.0.1"), "{said}");
    Ok(())
}

/// By the attributes that the specification requires, in both modes, beside a webhook that wants none.
#[tokio::test(flavor = "multi_thread")]
async fn cloudevents_are_headers_or_an_envelope() -> Result<()> {
    let nats = Nats::start().await?;
    keep(&nats).await?;
    let bed = Bed::lay("cloudevents").await?;
    bed.webhook("/plain", "{}").await?;
    subscribe(&bed, &bed.receiver.url("/binary"), &["--cloudevents", "binary"]).await?;
    subscribe(&bed, &bed.receiver.url("/structured"), &["--cloudevents", "structured"]).await?;
    subscribe(&bed, &nats.url(SUBJECT), &["--cloudevents", "structured"]).await?;
    let _daemon = bed.lshookd.run().await?;
    bed.run(r#"select fixture.rows('task', '{"project_id": 1, "data": {"n": 1.10}}')"#).await?;
    let events = bed.receiver.expect(3).await?;
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
