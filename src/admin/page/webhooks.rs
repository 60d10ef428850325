//! The overview: the whole at a glance, and every webhook.

use std::sync::{Arc, PoisonError};

use axum::extract::State;
use axum::response::Html;
use maud::{Markup, html};

use super::{Admin, Failure, button, layout, moment, seen_url};
use crate::ops::status::{self, AttemptsByPart};
use crate::ops::webhook::{self, DeliveredBy, WebhookSummary};
use crate::pg::role::Role;

/// Answers with the overview.
pub async fn overview(State(admin): State<Arc<Admin>>) -> Result<Html<String>, Failure> {
    let status = admin.status().await?;
    let webhooks = admin.ask(async |client| webhook::list(client).await).await?;
    let attempts = admin.ask(async |client| status::attempts_of_last_hour(client).await).await?;
    let inactive: Vec<&str> =
        Role::ALL.iter().map(|role| role.name()).filter(|role| status.active(role).is_none()).collect();
    let number = |name, value: i64| figure(name, &value.to_string(), "");
    let fault = |name, value: i64| figure(name, &value.to_string(), if value == 0 { "" } else { "bad" });
    let main = html! {
        h1 { "Webhooks" }
        section class="figures" {
            (figure("daemon", if inactive.is_empty() { "active" } else { "not active" }, if inactive.is_empty() { "good" } else { "bad" }))
            (number("pending", status.deliveries_pending))
            (figure("oldest pending", &format!("{:.1} s", status.oldest_delivery_seconds), ""))
            (number("unplanned changes", status.changes_unplanned))
            (number("delivered in the last minute", status.delivered_last_minute))
            (fault("dead", status.deliveries_dead))
            (fault("set aside", status.changes_set_aside))
            (fault("capture errors", status.capture_errors))
        }
        (backlog_chart(&admin))
        @if !inactive.is_empty() {
            p class="bad" { "No active " (inactive.join(", ")) "." }
        }
        @if status.all_paused {
            p class="bad" { "All deliveries are paused." }
        }
        @if webhooks.is_empty() {
            p { "Label Studio has no webhooks." }
        }
        @for webhook in &webhooks {
            (article(&admin, webhook, attempts.iter().find(|attempts| attempts.webhook_id == webhook.id)))
        }
    };
    Ok(layout("Webhooks", &main))
}

fn figure(name: &str, value: &str, class: &str) -> Markup {
    html! { div class=(format!("figure {class}")) { b { (value) } span { (name) } } }
}

fn article(admin: &Admin, webhook: &WebhookSummary, attempts: Option<&AttemptsByPart>) -> Markup {
    let id = webhook.id;
    let delivered_by = match webhook.delivered_by {
        DeliveredBy::Lshookd => "lshookd",
        DeliveredBy::LabelStudio => "Label Studio",
        DeliveredBy::Both => "both",
        DeliveredBy::Nobody => "nobody",
    };
    let (state, name) = if webhook.paused { ("resume", "Resume") } else { ("pause", "Pause") };
    html! {
        article {
            h2 { a href=(format!("/deliveries?webhook={id}")) { "#" (id) " " (seen_url(admin, &webhook.url)) } }
            (sparkline(attempts))
            p { (webhook.scope()) " · " (webhook.all_actions()) }
            @let manner = webhook.manner.to_string();
            @if !manner.is_empty() { p { (manner) } }
            p {
                "delivered by " b { (delivered_by) } " · " (webhook.pending) " pending · " (webhook.dead) " dead"
                @if let Some(last) = webhook.last_delivered_at { " · last delivered " (moment(last)) }
                @if webhook.paused { " · " b class="bad" { "paused" } }
                @if let Some(since) = webhook.paused_failing_since { " by lshookd: it had only failed since " (moment(since)) }
                @if let Some(since) = webhook.failing_since { " · " b class="bad" { "only fails since " (moment(since)) } }
            }
            @if let Some(error) = &webhook.last_error { p class="bad" { "last error: " (error) } }
            @if admin.settings.admin.write {
                div class="buttons" {
                    (button(admin, &format!("/webhooks/{id}/{state}"), name))
                    (button(admin, &format!("/webhooks/{id}/test"), "Send a test"))
                }
            }
        }
    }
}

/// Attempts of the last hour, five minutes a bar: good ones up, failed ones in red.
fn sparkline(attempts: Option<&AttemptsByPart>) -> Markup {
    let of = |list: fn(&AttemptsByPart) -> &Vec<i64>, part: usize| {
        attempts.and_then(|attempts| list(attempts).get(part).copied()).unwrap_or_default() as f64
    };
    let parts: Vec<(f64, f64)> =
        (0..12).map(|part| (of(|attempts| &attempts.good, part), of(|attempts| &attempts.failed, part))).collect();
    let most = parts.iter().map(|(good, failed)| good + failed).fold(1.0, f64::max);
    html! {
        svg class="spark" viewBox="0 0 120 24" role="img" aria-label="attempts of the last hour" {
            @for (part, (good, failed)) in parts.iter().enumerate() {
                @let good = 22.0 * good / most;
                @let failed = 22.0 * failed / most;
                rect class="good" x=(part * 10 + 1) width="8" y=(24.0 - good) height=(good) {}
                rect class="bad" x=(part * 10 + 1) width="8" y=(24.0 - good - failed) height=(failed) {}
                rect class="base" x=(part * 10 + 1) width="8" y="23" height="1" {}
            }
        }
    }
}

/// Pending deliveries, minute by minute, since this daemon started.
fn backlog_chart(admin: &Admin) -> Markup {
    let backlog = admin.backlog.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let most = backlog.iter().map(|(_, pending)| *pending).max().unwrap_or_default().max(1);
    let width = backlog.len().max(2) - 1;
    let points: Vec<String> = backlog
        .iter()
        .enumerate()
        .map(|(place, (_, pending))| {
            format!("{:.1},{:.1}", 600.0 * place as f64 / width as f64, 58.0 - 56.0 * *pending as f64 / most as f64)
        })
        .collect();
    html! {
        figure {
            svg class="chart" viewBox="0 0 600 60" preserveAspectRatio="none" role="img" aria-label="pending deliveries" {
                polyline points=(points.join(" ")) {}
            }
            figcaption {
                "pending deliveries"
                @if let Some((since, _)) = backlog.front() { " since " (moment(*since)) }
                ", maximum " (most)
            }
        }
    }
}
