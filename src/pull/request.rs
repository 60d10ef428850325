//! The requests of consumers: to be given events, to acknowledge or refuse them, and to read on elsewhere.
//! `docs/pull-api.yaml` describes them.

use std::mem;
use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::body::Bytes;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use jiff::Timestamp;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::json;
use tokio::time::Instant;
use uuid::Uuid;

use super::consumer::Consumer;
use super::event::PulledEvent;
use super::lease::{Failed, Position};
use super::problem::Problem;
use super::{Consumers, ask};
use crate::metrics::Outcome;
use crate::model::WebhookId;

/// Events of one answer.
const LIMIT: i64 = 100;
const MAXIMUM_EVENTS: i64 = 10_000;

/// So long a request may wait for events.
const MAXIMUM_WAIT: Duration = Duration::from_secs(60);

/// How long a refused event waits where its consumer does not say.
const DELAY: Duration = Duration::from_secs(5);
const MAXIMUM_DELAY: Duration = Duration::from_secs(24 * 3600);

/// Ids in one request.
const MAXIMUM_IDS: usize = 10_000;

/// Characters of a reason that are kept.
const REASON: usize = 500;

/// Of every path that there is not.
pub async fn unknown_path() -> Problem {
    Problem::UnknownPath
}

/// How many events, and how long to wait for the first.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Wanted {
    limit: Option<i64>,
    wait: Option<String>,
}

impl Wanted {
    /// So many events.
    ///
    /// # Errors
    /// When that is out of bounds.
    pub fn limit(&self) -> Result<i64, Problem> {
        match self.limit.unwrap_or(LIMIT) {
            limit @ 1..=MAXIMUM_EVENTS => Ok(limit),
            _ => Err(Problem::Invalid(format!("limit must be from 1 to {MAXIMUM_EVENTS}"))),
        }
    }

    fn longest_wait(&self) -> Result<Duration, Problem> {
        Ok(self.wait.as_deref().map_or(Ok(Duration::ZERO), |text| duration("wait", text))?.min(MAXIMUM_WAIT))
    }
}

/// A duration such as 30s, or a number of seconds.
fn duration(name: &str, text: &str) -> Result<Duration, Problem> {
    let seconds = text.parse().ok().and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    match seconds.map_or_else(|| humantime::parse_duration(text), Ok) {
        Ok(duration) => Ok(duration),
        Err(error) => Err(Problem::Invalid(format!("{name}: {error}; expected a duration such as 30s"))),
    }
}

/// Gives what waits, after having ended what is overdue. How many events that were.
pub async fn take(
    consumers: &Consumers,
    consumer: &Consumer,
    limit: i64,
    lease: Uuid,
    give: impl FnMut(PulledEvent) -> anyhow::Result<()>,
) -> anyhow::Result<usize> {
    let Consumer { webhook, address, leases } = consumer;
    count(consumers, *webhook, ask(leases.end_overdue(*webhook)).await?);
    ask(leases.take(*webhook, limit, (lease, *address), give)).await
}

/// Counts what failed, and says what is dead.
fn count(consumers: &Consumers, webhook: WebhookId, Failed { again, dead }: Failed) {
    consumers.metrics.pulled(Outcome::Retried, again);
    consumers.metrics.pulled(Outcome::Dead, dead);
    if dead > 0 {
        tracing::error!(webhook = webhook.0, dead, "deliveries are dead: no consumer acknowledged them");
    }
}

/// `GET /v1/webhooks/{id}/events`
///
/// # Errors
/// A [`Problem`].
pub async fn events(
    State(consumers): State<Arc<Consumers>>,
    consumer: Consumer,
    wanted: Result<Query<Wanted>, QueryRejection>,
) -> Result<Response, Problem> {
    let Query(wanted) = wanted.map_err(|error| Problem::Invalid(error.body_text()))?;
    let (limit, deadline) = (wanted.limit()?, Instant::now() + wanted.longest_wait()?);
    let announcements = consumers.announcements(consumer.webhook);
    loop {
        // Before the look, so that nothing is missed that comes meanwhile.
        let announced = announcements.notified();
        tokio::pin!(announced);
        announced.as_mut().enable();
        let lease = Uuid::now_v7();
        let duration = consumer.leases.duration().as_secs_f64();
        let mut answer = format!(r#"{{"lease":"{lease}","lease_seconds":{duration},"events":["#).into_bytes();
        let mut is_first = true;
        // Written as it comes: all of it once more in memory would be many megabytes.
        let given = take(&consumers, &consumer, limit, lease, |event| {
            if !mem::take(&mut is_first) {
                answer.push(b',');
            }
            Ok(serde_json::to_writer(&mut answer, &event)?)
        });
        let quantity = given.await?;
        if quantity > 0 || Instant::now() >= deadline || consumers.stop.is_cancelled() {
            answer.extend_from_slice(b"]}");
            let headers = [(header::CONTENT_TYPE, "application/json"), (header::CACHE_CONTROL, "no-store")];
            return Ok((headers, answer).into_response());
        }
        consumers.wait(announced, deadline).await;
    }
}

/// What a consumer has handled.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Acknowledgement {
    #[serde(default)]
    ids: Vec<Uuid>,
    up_to: Option<Uuid>,
}

/// The JSON of a request.
fn parse<T: DeserializeOwned>(body: &Bytes) -> Result<T, Problem> {
    serde_json::from_slice(body).map_err(|error| Problem::Invalid(error.to_string()))
}

fn check_ids(ids: &[Uuid]) -> Result<(), Problem> {
    match ids.len() <= MAXIMUM_IDS {
        true => Ok(()),
        false => Err(Problem::Invalid(format!("there are {} ids, and {MAXIMUM_IDS} are taken", ids.len()))),
    }
}

/// `POST /v1/webhooks/{id}/ack`
///
/// # Errors
/// A [`Problem`].
pub async fn acknowledge(
    State(consumers): State<Arc<Consumers>>,
    consumer: Consumer,
    body: Bytes,
) -> Result<Response, Problem> {
    let Acknowledgement { ids, up_to } = parse(&body)?;
    check_ids(&ids)?;
    if ids.is_empty() && up_to.is_none() {
        return Err(Problem::Invalid("name events by ids or up_to".to_owned()));
    }
    let Consumer { webhook, address, leases } = &consumer;
    let acknowledged = ask(leases.acknowledge(*webhook, &ids, up_to, *address)).await?;
    consumers.metrics.pulled(Outcome::Delivered, acknowledged);
    // Somebody may wait for the lanes that are free now.
    consumers.announcements(*webhook).notify_waiters();
    Ok(Json(json!({ "acknowledged": acknowledged })).into_response())
}

/// What a consumer could not handle.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Refusal {
    ids: Vec<Uuid>,
    delay: Option<Delay>,
    reason: Option<String>,
}

/// A duration, or seconds.
#[derive(Deserialize)]
#[serde(untagged)]
enum Delay {
    Seconds(f64),
    Text(String),
}

/// `POST /v1/webhooks/{id}/nack`
///
/// # Errors
/// A [`Problem`].
pub async fn refuse(
    State(consumers): State<Arc<Consumers>>,
    consumer: Consumer,
    body: Bytes,
) -> Result<Response, Problem> {
    let Refusal { ids, delay, reason } = parse(&body)?;
    check_ids(&ids)?;
    if ids.is_empty() {
        return Err(Problem::Invalid("name events by ids".to_owned()));
    }
    let delay = match delay {
        None => DELAY,
        Some(Delay::Seconds(seconds)) => duration("delay", &seconds.to_string())?,
        Some(Delay::Text(text)) => duration("delay", &text)?,
    };
    let reason: String = reason.unwrap_or_else(|| "it gave no reason".to_owned()).chars().take(REASON).collect();
    // PostgreSQL has no zero in a text.
    let reason = reason.replace('\0', "");
    let Consumer { webhook, address, leases } = &consumer;
    let failed = ask(leases.refuse(*webhook, &ids, (delay.min(MAXIMUM_DELAY), &reason), *address)).await?;
    count(&consumers, *webhook, failed);
    Ok(Json(json!({ "refused": failed.again + failed.dead, "dead": failed.dead })).into_response())
}

/// A lease that a consumer has.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Leased {
    lease: Uuid,
}

/// `POST /v1/webhooks/{id}/extend`
///
/// # Errors
/// A [`Problem`].
pub async fn extend(consumer: Consumer, body: Bytes) -> Result<Response, Problem> {
    let Leased { lease } = parse(&body)?;
    let lanes = ask(consumer.leases.renew(consumer.webhook, lease)).await?;
    Ok(Json(json!({ "lanes": lanes, "lease_seconds": consumer.leases.duration().as_secs_f64() })).into_response())
}

/// `POST /v1/webhooks/{id}/release`
///
/// # Errors
/// A [`Problem`].
pub async fn release(
    State(consumers): State<Arc<Consumers>>,
    consumer: Consumer,
    body: Bytes,
) -> Result<Response, Problem> {
    let Leased { lease } = parse(&body)?;
    let lanes = ask(consumer.leases.release(consumer.webhook, Some(lease))).await?;
    consumers.announcements(consumer.webhook).notify_waiters();
    Ok(Json(json!({ "lanes": lanes })).into_response())
}

/// Where a consumer wants to read on.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Seek {
    to: String,
}

fn position(text: &str) -> Result<Position, Problem> {
    match text {
        "beginning" => Ok(Position::Beginning),
        "end" => Ok(Position::End),
        text => {
            let event = text.parse().map(Position::Event).ok();
            event.or_else(|| text.parse::<Timestamp>().map(Position::Time).ok()).ok_or_else(|| {
                Problem::Invalid(
                    "to: expected beginning, end, an event's id, or a time such as 2026-01-31T12:00:00Z".to_owned(),
                )
            })
        }
    }
}

/// `POST /v1/webhooks/{id}/seek`
///
/// # Errors
/// A [`Problem`].
pub async fn seek(
    State(consumers): State<Arc<Consumers>>,
    consumer: Consumer,
    body: Bytes,
) -> Result<Response, Problem> {
    let Seek { to } = parse(&body)?;
    // As long as it takes, for it may be about all that is kept.
    let sought = consumer.leases.seek(consumer.webhook, position(&to)?).await?.ok_or(Problem::UnknownEvent)?;
    consumers.announcements(consumer.webhook).notify_waiters();
    Ok(Json(sought).into_response())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_written_as_people_write_them() {
        assert_eq!(duration("wait", "30s").unwrap(), Duration::from_secs(30));
        assert_eq!(duration("wait", "1.5").unwrap(), Duration::from_millis(1500));
        for wrong in ["", "soon", "-1", "NaN", "1e300"] {
            assert!(duration("wait", wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_position_is_an_end_an_event_or_a_time() {
        assert_eq!(position("beginning").unwrap(), Position::Beginning);
        assert_eq!(position("end").unwrap(), Position::End);
        let id = "0190163d-8694-739b-aea5-966c26f8ad91";
        assert_eq!(position(id).unwrap(), Position::Event(id.parse().unwrap()));
        let time = "2026-01-31T12:00:00+01:00";
        assert_eq!(position(time).unwrap(), Position::Time(time.parse().unwrap()));
        assert!(position("yesterday").is_err());
    }
}
