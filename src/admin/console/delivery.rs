//! One delivery: what became of it attempt by attempt, and its bytes as they are signed and sent.

use std::sync::Arc;

use axum::Extension;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::Response;
use jiff::Timestamp;
use maud::{Markup, html};

use super::change::Said;
use super::deliveries::{answer, badge, scope};
use super::shown::{ago, milliseconds, size};
use super::{Failure, Here, button, failed, page, seen_url};
use crate::admin::Admin;
use crate::admin::access::Viewer;
use crate::ops::delivery::{Attempt, DeliveryDetail, DeliveryState, find_one};

/// Of a payload this much is shown.
const SHOWN_BYTES: usize = 200_000;

/// The page of a delivery, by its number or its webhook-id.
pub async fn show(
    State(admin): State<Arc<Admin>>,
    Extension(viewer): Extension<Viewer>,
    Path(id): Path<String>,
    Query(said): Query<Said>,
) -> Result<Response, Failure> {
    if id.parse::<i64>().is_err() && id.parse::<uuid::Uuid>().is_err() {
        return Ok(failed(
            StatusCode::BAD_REQUEST,
            "No delivery",
            "Expected the number of a delivery or a webhook-id.",
        ));
    }
    let found = admin.ask(async |client| find_one(client, &id).await).await?;
    let Some(found) = found else {
        let told = format!("There is no delivery {id}. It may have been deleted after the retention time.");
        return Ok(failed(StatusCode::NOT_FOUND, "No delivery", &told));
    };
    let main = html! {
        h1 { "Delivery #" (found.id) " " (badge(found.state)) }
        @if let Some(done) = said.words() { p class="notice good" role="status" { (done) } }
        (facts(&viewer, &found))
        @if viewer.may_write { (buttons(&viewer, &found)) }
        (timeline(&found))
        (payload(&found))
        (request(&viewer, &found))
    };
    Ok(page(&admin, &viewer, Here::Deliveries, &format!("Delivery #{}", found.id), &main))
}

fn facts(viewer: &Viewer, found: &DeliveryDetail) -> Markup {
    html! {
        dl class="facts" {
            dt { "event" } dd { a href=(format!("/events/{}", found.action)) { (found.action) } ", objects: " (found.objects) ", project: " (scope(found.project_id)) }
            dt { "webhook" } dd { a href=(format!("/webhooks/{}", found.webhook_id)) { "#" (found.webhook_id) } " " @if let Some(url) = &found.url { (seen_url(viewer, url)) } @else { "(deleted)" } }
            dt { "webhook-id" } dd { code { (found.message_id) } }
        }
    }
}

fn buttons(viewer: &Viewer, DeliveryDetail { id, state, .. }: &DeliveryDetail) -> Markup {
    let to = |transition: &str| format!("/deliveries/{id}/{transition}");
    html! {
        div class="buttons" role="group" aria-label="Actions" {
            @if *state == DeliveryState::Pending { (button(viewer, &to("retry"), "Retry now", "main")) }
            @else { (button(viewer, &to("replay"), "Replay", "main")) }
            @if matches!(state, DeliveryState::Pending | DeliveryState::Dead) { (button(viewer, &to("skip"), "Skip", "")) }
        }
    }
}

/// What happened, in the order of time.
fn timeline(found: &DeliveryDetail) -> Markup {
    html! {
        section id="timeline" data-live=[(found.state == DeliveryState::Pending).then_some("")] aria-labelledby="timeline-title" {
            h2 id="timeline-title" { "Timeline" }
            ol class="timeline" {
                li { "Event occurred " (ago(found.occurred_at)) "." }
                li { "Event planned " (ago(found.planned_at)) @if let Some(end) = &found.ended_by { (how_it_ended(end)) } "." }
                @for attempt in &found.attempts { (made(attempt)) }
                @match (found.state, found.ended_at) {
                    (DeliveryState::Pending, _) => (next(found)),
                    (DeliveryState::Delivered, Some(at)) => li class="good" { "Delivered " (ago(at)) "." },
                    (DeliveryState::Dead, Some(at)) => li class="bad" { "Dead since " (ago(at)) "; no further attempts unless the delivery is replayed." },
                    (state, Some(at)) => li { "Delivery " (state.name()) " " (ago(at)) "." },
                    (state, None) => li { "Delivery " (state.name()) "." },
                }
            }
        }
    }
}

fn how_it_ended(end: &str) -> &'static str {
    match end {
        "closed" => " when the writing connection was closed",
        "idle" => " when the writing connection was idle",
        "limit" => " at the time limit of gathering",
        _ => "",
    }
}

fn made(attempt: &Attempt) -> Markup {
    html! {
        li class=(if attempt.error.is_some() { "bad" } else { "good" }) {
            strong { "Attempt " (attempt.number) } " " (ago(attempt.started_at)) ", which took " (milliseconds(attempt.duration_ms)) ": "
            (answer(attempt.status, attempt.error.as_deref()))
            @let route = attempt.route();
            @if !route.is_empty() { div class="soft" { (route) } }
            @if let Some(head) = attempt.response_head.as_ref().filter(|head| !head.is_empty()) {
                details { summary { "Response" } pre { (head) } }
            }
        }
    }
}

fn next(found: &DeliveryDetail) -> Markup {
    html! {
        li {
            @match found.due_at {
                _ if found.is_held => { "Held back: the webhook is paused or disabled." },
                Some(at) if found.waits_behind == 0 && at > Timestamp::now() => { strong { "Next attempt" } " " (ago(at)) "." },
                _ if found.waits_behind > 0 => { "Waiting for " (found.waits_behind) " earlier deliveries of the project." },
                _ => { strong { "Next attempt" } " now." },
            }
        }
    }
}

fn payload(found: &DeliveryDetail) -> Markup {
    let body = &found.body;
    let end = (0..=SHOWN_BYTES.min(body.len())).rev().find(|end| body.is_char_boundary(*end)).unwrap_or_default();
    html! {
        section id="payload" aria-labelledby="payload-title" {
            h2 id="payload-title" { "Payload" }
            p class="soft" { (size(body.len())) ", as it is signed and sent" @if end < body.len() { "; the beginning is shown" } "." }
            div class="copied" { button type="button" class="quiet" data-copy="body" hidden { "Copy" } pre id="body" tabindex="0" { (body[..end]) } }
        }
    }
}

/// The request as a curl command.
fn request(viewer: &Viewer, found: &DeliveryDetail) -> Markup {
    let url = found.url.as_deref().map(|url| seen_url(viewer, url)).unwrap_or_else(|| "URL".to_owned());
    let mut command = format!("curl {} \\\n", quoted(&url));
    for name in &found.header_names {
        command += &format!("  -H {} \\\n", quoted(&format!("{name}: (hidden)")));
    }
    command += &format!(
        "  -H 'content-type: application/json' \\\n  -H {} \\\n",
        quoted(&format!("webhook-id: {}", found.message_id))
    );
    command += &format!("  --data-raw {}", quoted(&found.body));
    html! {
        @if found.body.len() <= SHOWN_BYTES {
            details {
                summary { "As a curl command, without signature and secrets" }
                div class="copied" { button type="button" class="quiet" data-copy="curl" hidden { "Copy" } pre id="curl" tabindex="0" { (command) } }
            }
        }
    }
}

/// A word of a POSIX shell.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "'\\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shell_reads_one_word() {
        assert_eq!(quoted("it's"), r"'it'\''s'");
    }
}
