//! The stream of a webhook: server-sent events (<https://html.spec.whatwg.org/multipage/server-sent-events.html>), under
//! one lease that lasts as long as the stream. `Last-Event-ID` acknowledges that event and all that were given before
//! it by the same stream.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::HeaderMap;
use axum::response::sse::{self, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use tokio::sync::mpsc;
use tokio::time::{Instant, MissedTickBehavior, interval};
use uuid::Uuid;

use super::consumer::Consumer;
use super::problem::Problem;
use super::request::{Wanted, take};
use super::{Consumers, ask};
use crate::metrics::Outcome;

/// A consumer that is there sees a comment this often, and one that is gone is noticed by it.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// How long the stream looks for events before it sees whether its consumer is still there.
const POLL_INTERVAL: Duration = Duration::from_secs(5);

/// `GET /v1/webhooks/{id}/stream`
///
/// # Errors
/// A [`Problem`].
pub async fn stream(
    State(consumers): State<Arc<Consumers>>,
    consumer: Consumer,
    headers: HeaderMap,
    wanted: Result<Query<Wanted>, QueryRejection>,
) -> Result<Response, Problem> {
    let Query(wanted) = wanted.map_err(|error| Problem::Invalid(error.body_text()))?;
    let limit = wanted.limit()?;
    if let Some(last) = headers.get("last-event-id").filter(|value| !value.is_empty()) {
        let last: Option<Uuid> = last.to_str().ok().and_then(|text| text.trim().parse().ok());
        let last = last.ok_or_else(|| Problem::Invalid("Last-Event-ID is no event's id".to_owned()))?;
        let acknowledged =
            ask(consumer.leases.acknowledge(consumer.webhook, &[], Some(last), consumer.address)).await?;
        consumers.metrics.pulled(Outcome::Delivered, acknowledged);
    }
    let (sender, receiver) = mpsc::channel(1);
    tokio::spawn(async move {
        let lease = Uuid::now_v7();
        if let Err(error) = give(&consumers, &consumer, limit, lease, &sender).await {
            tracing::warn!(error = format!("{error:#}"), "a stream to a consumer failed");
        }
        // What it was given and did not acknowledge need not wait for the end of the lease.
        if let Err(error) = ask(consumer.leases.release(consumer.webhook, Some(lease))).await {
            tracing::debug!(error = format!("{error:#}"), "the lease of a stream could not be given back");
        }
        consumers.announcements(consumer.webhook).notify_waiters();
    });
    let events =
        stream::unfold(receiver, |mut receiver| async move { receiver.recv().await.map(|event| (event, receiver)) });
    Ok(Sse::new(events).keep_alive(KeepAlive::new().interval(KEEP_ALIVE)).into_response())
}

/// Gives events until the consumer is gone or the daemon stops.
async fn give(
    consumers: &Consumers,
    consumer: &Consumer,
    limit: i64,
    lease: Uuid,
    sender: &mpsc::Sender<Result<sse::Event, Infallible>>,
) -> anyhow::Result<()> {
    let Consumer { webhook, leases, .. } = consumer;
    let announcements = consumers.announcements(*webhook);
    let mut renewal = interval(leases.duration() / 3);
    renewal.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let announced = announcements.notified();
        tokio::pin!(announced);
        announced.as_mut().enable();
        let mut events = Vec::new();
        let given = take(consumers, consumer, limit, lease, |event| {
            events.push(event);
            Ok(())
        });
        let is_empty = given.await? == 0;
        for event in events {
            let sent = sse::Event::default().id(event.id.to_string()).event(event.action.clone()).json_data(&event)?;
            // A consumer that reads slowly keeps what it is being given.
            let place = loop {
                tokio::select! {
                    place = sender.reserve() => break place,
                    _ = renewal.tick() => drop(ask(leases.renew(*webhook, lease)).await?),
                }
            };
            match place {
                Ok(place) => place.send(Ok(sent)),
                Err(_) => return Ok(()),
            }
        }
        if sender.is_closed() || consumers.stop.is_cancelled() {
            return Ok(());
        }
        if is_empty {
            tokio::select! {
                () = consumers.wait(announced, Instant::now() + POLL_INTERVAL) => {}
                () = sender.closed() => return Ok(()),
                _ = renewal.tick() => drop(ask(leases.renew(*webhook, lease)).await?),
            }
        }
    }
}
