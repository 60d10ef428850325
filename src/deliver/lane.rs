//! A lane: the ordered queue of one webhook in one project.

use std::time::{Duration, Instant, SystemTime};

use anyhow::Result;
use http::StatusCode;
use humantime::format_duration;
use tokio::sync::Notify;

use super::Shared;
use super::answer::Answer;
use super::backoff;
use super::claim::{Claim, Delivery, WebhookState};
use super::record::{Attempt, Verdict};
use super::share::Place;
use super::trace::Traced;
use crate::model::{DeliveryId, Lane};

/// A lane that has held its place among the requests in flight for this long lets others in.
const TURN: Duration = Duration::from_secs(1);

/// How long a lane is not closed in which nothing waits, and how often it looks at least for what is older than what it has
/// sent.
const LINGER: Duration = Duration::from_secs(1);

/// A lane that is held for its webhook is looked at again after this time, if nothing wakes it before
/// (`sql/deliver/wake_changed.sql`).
const HELD: Duration = Duration::from_secs(24 * 60 * 60);

/// Delivers until nothing waits, a delivery must be retried later, or the daemon stops.
///
/// # Errors
/// When the database is gone.
pub async fn work(lane: Lane, shared: &Shared, news: &Notify) -> Result<()> {
    let mut last_sent = DeliveryId(0);
    let mut was_all = false;
    let mut looked_back = Instant::now();
    while !shared.stop.is_cancelled() {
        // Before it takes a place among the requests in flight: closing waits for a commit, and others could send.
        if was_all {
            let more_came = linger(lane, shared, news).await;
            if !more_came && shared.recorder.close(lane).await? {
                return Ok(());
            }
            let looks_back = !more_came || looked_back.elapsed() > LINGER;
            if looks_back {
                looked_back = Instant::now();
            }
            // Something came meanwhile, or became pending again: it is read from the oldest on.
            if looks_back && (!more_came || shared.recorder.has_pending(lane).await?) {
                last_sent = DeliveryId(0);
            }
        }
        if shared.peers.should_leave(lane) {
            shared.recorder.flush().await?;
            shared.peers.left(lane);
            return Ok(());
        }
        // Without a place, which others could have meanwhile.
        let paced = shared.options.take_turn(&shared.database(), lane.webhook).await?;
        if let Some(wait) = paced {
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                () = shared.stop.cancelled() => return Ok(()),
            }
        }
        let most_places = shared.options.concurrency(&shared.database(), lane.webhook).await?;
        let mut place = tokio::select! {
            place = shared.shares.place(lane.webhook, most_places) => place?,
            () = shared.stop.cancelled() => return Ok(()),
        };
        // Only now, for what is read is sent within this turn: an edit of the webhook that came before counts.
        let turn = Instant::now();
        let claim = shared.claims.claim(&shared.database(), lane, last_sent).await?;
        let Claim { state, deliveries, is_all } = claim;
        // Where the rate is limited, a turn is one request.
        let most = if paced.is_some() { 1 } else { usize::MAX };
        was_all = is_all && deliveries.len() <= most;
        match state {
            WebhookState::Served => {}
            WebhookState::Held => return hold(lane, shared, HELD, true).await,
            WebhookState::Deleted => return cancel(lane, shared).await,
        }
        for delivery in deliveries.into_iter().take(most) {
            // Lanes of a large backlog take turns, so that none waits until another is empty.
            if shared.stop.is_cancelled() || turn.elapsed() > TURN {
                was_all = false;
                break;
            }
            // The next look begins behind it, though its attempt may not be recorded yet.
            last_sent = delivery.id;
            if !attempt(lane, shared, &mut place, delivery).await? {
                return Ok(());
            }
        }
    }
    Ok(())
}

/// Waits for more before the lane is closed: to close it and to open it again writes its row twice, and a busy lane would
/// do nothing else. `true` where the planner says that more has come. Few lanes may, for others wait for their places.
async fn linger(lane: Lane, shared: &Shared, news: &Notify) -> bool {
    let Ok(_seat) = shared.lingering.try_acquire() else {
        return false;
    };
    if !shared.peers.is_alone() || !shared.shares.is_quick(lane.webhook) {
        return false;
    }
    tokio::select! {
        () = news.notified() => true,
        () = tokio::time::sleep(LINGER) => false,
        () = shared.stop.cancelled() => false,
    }
}

/// Sends one delivery; `false` if the lane must wait before the next attempt.
async fn attempt(lane: Lane, shared: &Shared, place: &mut Place, mut delivery: Delivery) -> Result<bool> {
    delivery.message.options = shared.options.of(&shared.database(), lane.webhook, &delivery.message.url).await?;
    let trace = shared.traces.attempt(delivery.message.id);
    delivery.message.traceparent = trace.map(|trace| trace.parent());
    let too_old = too_old(&delivery);
    let is_too_old = too_old.is_some();
    let turns = delivery.message.options.turns.clone();
    // Apart: a request is eight kilobytes large, which thousands of lanes that wait for a place have no need of.
    let sending = Box::pin(async {
        if let Some(answer) = too_old {
            return Ok(Some(answer));
        }
        // An ML backend trains for one event after the other. Its turn comes before the body is fetched, which would wait
        // with it and take the room of others.
        let _turn = match &turns {
            None => None,
            Some(turns) => tokio::select! {
                biased;
                () = shared.stop.cancelled() => return Ok(None),
                turn = turns.acquire() => Some(turn?),
            },
        };
        // Held until the request has ended.
        let _room = match delivery.large_body_kilobytes {
            None => None,
            Some(kilobytes) => Some(delivery.fetch_body(shared, kilobytes).await?),
        };
        anyhow::Ok(Some(shared.sender.send(&delivery.message).await))
    });
    let answer = tokio::select! {
        answer = shared.shares.learn(lane.webhook, place, sending) => answer?,
        // What is in flight gets its time to end; see `SHUTDOWN_TIMEOUT`.
        () = async { shared.stop.cancelled().await; tokio::time::sleep(super::SHUTDOWN_TIMEOUT).await } => return Ok(false),
    };
    let Some(answer) = answer else {
        return Ok(false); // The daemon stops before its turn came.
    };
    let number = delivery.attempts + 1;
    let schedule = delivery.message.options.retry_schedule.as_ref().unwrap_or(&shared.retry_schedule);
    let verdict = match is_too_old {
        true => Verdict::Dead,
        false => verdict(&answer, schedule, number - delivery.schedule_from),
    };
    log(lane, &delivery, number, &answer, verdict);
    // What is replayed occurred long ago, and nobody has waited for it.
    let lag = SystemTime::now().duration_since(delivery.occurred_at).ok().filter(|_| delivery.schedule_from == 0);
    shared.metrics.attempted(verdict.outcome(), answer.duration, lag, trace.map(|trace| trace.id()));
    if let Some(trace) = trace {
        shared.traces.ended(trace, &traced(lane, &delivery, number), &answer, verdict);
    }
    shared.recorder.record(Attempt { delivery: delivery.id, number, answer, verdict }).await?;
    // The lane ends here, and the next look must find when it is due: this is written before.
    if matches!(verdict, Verdict::Retry(_)) {
        shared.recorder.flush().await?;
        return Ok(false);
    }
    Ok(true)
}

fn traced(lane: Lane, delivery: &Delivery, number: i32) -> Traced<'_> {
    let host = url::Url::parse(&delivery.message.url).ok();
    Traced {
        lane,
        action: &delivery.action,
        occurred_at: delivery.occurred_at,
        planned_at: delivery.planned_at,
        delivery: delivery.id.0,
        number,
        host: host.and_then(|url| url.host_str().map(str::to_owned)),
    }
}

fn log(lane: Lane, delivery: &Delivery, number: i32, answer: &Answer, verdict: Verdict) {
    let webhook = lane.webhook.0;
    let project = i64::from(lane.scope);
    let (id, action) = (delivery.message.id, &delivery.action);
    let milliseconds = answer.duration.as_millis() as u64;
    let status = answer.status.map(|status| status.as_u16());
    let error = answer.error.as_deref().unwrap_or_default();
    match verdict {
        Verdict::Delivered => {
            tracing::debug!(%id, action, webhook, project, number, status, milliseconds, "delivered")
        }
        Verdict::Retry(pause) => {
            let seconds = pause.as_secs_f64();
            tracing::warn!(%id, action, webhook, project, number, status, error, seconds, "attempt failed, delivery will be retried");
        }
        Verdict::Dead if answer.status == Some(StatusCode::GONE) => {
            tracing::error!(%id, action, webhook, project, number, "delivery is dead: the endpoint answered 410 Gone");
        }
        Verdict::Dead => {
            tracing::error!(%id, action, webhook, project, number, status, error, "delivery is dead: the last attempt failed")
        }
    }
}

/// Looks at a lane again after a while or, where its webhook is disabled or paused, when that has changed.
///
/// # Errors
/// When the database is gone.
pub async fn hold(lane: Lane, shared: &Shared, pause: Duration, until_webhook_changes: bool) -> Result<()> {
    let pause = pause.as_secs_f64();
    shared
        .database()
        .execute(
            include_str!("../../sql/deliver/hold_lane.sql"),
            &[&lane.webhook, &lane.scope, &pause, &until_webhook_changes],
        )
        .await?;
    Ok(())
}

/// The webhook is deleted: nobody is owed its deliveries.
async fn cancel(lane: Lane, shared: &Shared) -> Result<()> {
    let cancelled = shared
        .database()
        .execute(include_str!("../../sql/deliver/cancel_lane.sql"), &[&lane.webhook, &lane.scope])
        .await?;
    tracing::info!(
        webhook = lane.webhook.0,
        project = i64::from(lane.scope),
        cancelled,
        "webhook deleted, its pending deliveries are cancelled"
    );
    Ok(())
}

/// What stands for the answer where nobody wants a delivery any more that is as old as this. What is replayed is wanted.
fn too_old(delivery: &Delivery) -> Option<Answer> {
    let most = delivery.message.options.maximum_age?;
    let age = SystemTime::now().duration_since(delivery.occurred_at).ok()?;
    (age > most && delivery.schedule_from == 0).then(|| {
        let error =
            format!("nothing was sent: the event is older than the {} that its webhook allows", format_duration(most));
        Answer { error: Some(error), ..Answer::pending() }
    })
}

/// What becomes of a delivery: every failure but 410 is retried as long as the schedule lasts.
fn verdict(answer: &Answer, schedule: &[Duration], number: i32) -> Verdict {
    if answer.error.is_none() {
        return Verdict::Delivered;
    }
    if answer.status == Some(StatusCode::GONE) {
        return Verdict::Dead;
    }
    let attempts = usize::try_from(number).unwrap_or(usize::MAX);
    backoff::pause(schedule, attempts, answer.retry_after).map_or(Verdict::Dead, Verdict::Retry)
}
