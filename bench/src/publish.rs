//! The way on past one PostgreSQL and many consumers: lshookd writes each event once into NATS JetStream, beside a bare
//! client that publishes the same bytes, and consumers that share the stream.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, ensure};
use async_nats::ConnectOptions;
use async_nats::jetstream::consumer::{PullConsumer, pull};
use async_nats::jetstream::{self, stream};
use futures_util::future::try_join_all;
use futures_util::stream::{self as futures, StreamExt};
use lshookd_testbed::nats::Nats;

use crate::Ground;
use crate::deliver::Backlog;
use crate::report::Report;

const PAIRS: usize = 3;
const LANES: usize = 32;
const EVENTS: usize = 1_000;
/// Messages that a consumer asks for at once.
const BATCH: usize = 500;

/// Events per second into the stream, and out of it by one consumer, four and sixteen.
pub async fn measure(ground: &Ground, report: &mut Report) -> Result<()> {
    let (mut published, mut consumed) = (Vec::new(), [Vec::new(), Vec::new(), Vec::new()]);
    let crowds = [1, 4, 16];
    for _ in 0..PAIRS {
        let nats = Nats::start().await?;
        let context = connect(&nats).await?;
        let stream = context.create_stream(kept("EVENTS", "events.>")).await?;
        let backlog = Backlog::of(ground, LANES, EVENTS).await?;
        let sql = backlog.database.connect().await?;
        sql.execute("update webhook set url = $1", &[&nats.url("events")]).await?;
        let ours = backlog.drain().await?;
        let Backlog { daemon, body, total, .. } = backlog;
        daemon.stop().await?;
        let arrived = stream.get_info().await?.state.messages;
        ensure!(arrived == total, "{arrived} of {total} events are in the stream");
        context.create_stream(kept("BARE", "bare.>")).await?;
        published.push((ours, publish(&context, body, total).await?));
        for (consumers, rates) in crowds.into_iter().zip(&mut consumed) {
            rates.push(consume(&nats, consumers, total).await?);
        }
    }
    report.pairs("published to NATS, against a bare client", "/s", &published, "");
    for (consumers, rates) in crowds.into_iter().zip(consumed.clone()) {
        let pairs: Vec<(f64, f64)> = rates.into_iter().zip(consumed[0].iter().copied()).collect();
        report.pairs(&format!("consumed from NATS by {consumers}, against one"), "/s", &pairs, "");
    }
    Ok(())
}

async fn connect(nats: &Nats) -> Result<jetstream::Context> {
    let options = ConnectOptions::new().user_and_password("owl".to_owned(), "feathers".to_owned());
    Ok(jetstream::new(options.connect(nats.address.to_string()).await?))
}

fn kept(name: &str, subject: &str) -> stream::Config {
    stream::Config { name: name.to_owned(), subjects: vec![subject.to_owned()], ..stream::Config::default() }
}

/// Messages per second of a client that waits for each one's acknowledgement, with as many in flight as there are lanes.
async fn publish(context: &jetstream::Context, body: String, total: u64) -> Result<f64> {
    let body = bytes::Bytes::from(body);
    let started = Instant::now();
    let mut acknowledged = futures::iter(0..total)
        .map(|_| async { anyhow::Ok(context.publish("bare.1", body.clone()).await?.await?) })
        .buffer_unordered(LANES);
    while let Some(acknowledgement) = acknowledged.next().await {
        acknowledgement?;
    }
    Ok(total as f64 / started.elapsed().as_secs_f64())
}

/// Messages per second that so many consumers share, each of which acknowledges what it gets.
async fn consume(nats: &Nats, consumers: usize, total: u64) -> Result<f64> {
    let name = format!("shared-by-{consumers}");
    let config = pull::Config { durable_name: Some(name.clone()), max_ack_pending: 100_000, ..pull::Config::default() };
    connect(nats).await?.get_stream("EVENTS").await?.create_consumer(config).await?;
    let seen = Arc::new(AtomicU64::new(0));
    let started = Instant::now();
    try_join_all(
        (0..consumers).map(|_| tokio::spawn(take(nats.address.to_string(), name.clone(), seen.clone(), total))),
    )
    .await?
    .into_iter()
    .collect::<Result<Vec<()>>>()?;
    Ok(total as f64 / started.elapsed().as_secs_f64())
}

/// One of them, until all have seen everything.
async fn take(address: String, name: String, seen: Arc<AtomicU64>, total: u64) -> Result<()> {
    let options = ConnectOptions::new().user_and_password("owl".to_owned(), "feathers".to_owned());
    let context = jetstream::new(options.connect(address).await?);
    let stream = context.get_stream("EVENTS").await?;
    let consumer: PullConsumer = stream.get_consumer(&name).await.map_err(|error| anyhow!(error))?;
    while seen.load(Ordering::Relaxed) < total {
        let batch = consumer.batch().max_messages(BATCH).expires(Duration::from_millis(200));
        let mut messages = batch.messages().await.context("asking for messages")?;
        while let Some(message) = messages.next().await {
            let message = message.map_err(|error| anyhow!(error))?;
            message.ack().await.map_err(|error| anyhow!(error))?;
            if seen.fetch_add(1, Ordering::Relaxed) + 1 == total {
                return Ok(());
            }
        }
    }
    Ok(())
}
