//! One webhook: how it goes, what is next in its lanes, and what can be done about it.

use std::sync::Arc;

use axum::Extension;
use axum::extract::{Path, Query, State};
use axum::response::Response;
use jiff::Timestamp;
use maud::{Markup, html};

use super::change::Said;
use super::shown::{ago, counted, number, seconds};
use super::{Failure, Here, button, chart, deliveries, overview, page, seen_url, token, webhook_form};
use crate::admin::Admin;
use crate::admin::access::Viewer;
use crate::admin::board::{Attempts, BOUND};
use crate::model::{Action, WebhookId};
use crate::ops::delivery::Filter;
use crate::ops::lane::{self, LaneSummary};
use crate::ops::search::{self, Page, Place, Search};
use crate::ops::webhook::{self, AnswerTimes, DeliveredBy, WebhookInFull, WebhookSummary};

/// Lanes and deliveries that are shown.
const LANES: i64 = 20;
const DELIVERIES: usize = 10;

/// The page of a webhook.
pub async fn show(
    State(admin): State<Arc<Admin>>,
    Extension(viewer): Extension<Viewer>,
    Path(id): Path<WebhookId>,
    Query(said): Query<Said>,
) -> Result<Response, Failure> {
    let search = Search { filter: Filter { webhook: Some(id), ..Filter::default() }, text: None };
    let asked = async |client: &_| {
        Ok((
            webhook::find(client, id, Some(BOUND + 1)).await?,
            lane::of_webhook(client, id, LANES).await?,
            webhook::answer_times(client, id).await?,
            search::page(client, &search, Place::Top, DELIVERIES).await?,
        ))
    };
    let (seen, lanes, times, latest) = admin.ask(asked).await?;
    let attempts = admin.board().await?.webhook(id).map(|shown| shown.attempts.clone()).unwrap_or_default();
    let summary = &seen.summary;
    let main = html! {
        h1 { "Webhook #" (id) " " span class="url" { (seen_url(&viewer, &summary.url)) } }
        @if let Some(done) = said.words() { p class="notice good" role="status" { (done) } }
        (status(&seen, times.as_ref(), &attempts))
        @if viewer.may_write { (buttons(&viewer, summary)) }
        (next(&viewer, &lanes))
        (recent(id, &latest))
        (settings(&seen))
        @if viewer.may_write { (webhook_form::edit(&viewer, &seen)) (more(&viewer, id)) }
    };
    Ok(page(&admin, &viewer, Here::Overview, &format!("Webhook #{id}"), &main))
}

fn status(WebhookInFull { summary, .. }: &WebhookInFull, times: Option<&AnswerTimes>, attempts: &Attempts) -> Markup {
    let (delivered, failed) = attempts.sum();
    let rate =
        (delivered + failed > 0).then(|| format!("{:.1} %", 100.0 * delivered as f64 / (delivered + failed) as f64));
    let lasts = |milliseconds: f64| seconds(milliseconds / 1000.0);
    html! {
        section id="status" data-live aria-label="State" {
            div class="state" { (overview::state(summary)) (chart::bars(attempts)) }
            dl class="figures" {
                div class="figure" { dt { "pending" } dd { (counted(summary.pending)) } }
                div class="figure" { dt { "oldest pending" } dd { @if let Some(at) = summary.oldest_pending_at { (ago(at)) } @else { "–" } } }
                div class="figure" { dt { "dead" } dd class=(if summary.dead > 0 { "bad" } else { "" }) { (counted(summary.dead)) } }
                div class="figure" { dt { "delivered, last hour" } dd { (number(delivered)) } }
                div class="figure" { dt { "success rate, last hour" } dd { (rate.unwrap_or_else(|| "–".to_owned())) } }
                @if let Some(times) = times {
                    div class="figure" {
                        dt { "answer time p50, p95, p99 of the last " (number(times.deliveries)) }
                        dd { (lasts(times.median)) ", " (lasts(times.p95)) ", " (lasts(times.p99)) }
                    }
                }
                div class="figure" { dt { "last delivered" } dd { @if let Some(at) = summary.last_delivered_at { (ago(at)) } @else { "never" } } }
            }
        }
    }
}

fn buttons(viewer: &Viewer, webhook: &WebhookSummary) -> Markup {
    let to = |action: &str| format!("/webhooks/{}/{action}", webhook.id);
    html! {
        div class="buttons" role="group" aria-label="Actions" {
            @if webhook.paused {
                (button(viewer, &to("resume"), "Resume", "main"))
                (button(viewer, &to("resume-discarding"), "Resume and skip pending", ""))
            } @else {
                (button(viewer, &to("pause"), "Pause", "main"))
            }
            @if webhook.pending > 0 && !webhook.paused { (button(viewer, &to("retry"), "Retry now", "")) }
            @if webhook.delivered_by == DeliveredBy::Nobody { (button(viewer, &to("enable"), "Enable", "")) }
            @else { (button(viewer, &to("disable"), "Disable", "")) }
            @if matches!(webhook.delivered_by, DeliveredBy::Both | DeliveredBy::LabelStudio) { (button(viewer, &to("adopt"), "Adopt", "")) }
            @if webhook.delivered_by == DeliveredBy::Lshookd { (button(viewer, &to("release"), "Release to Label Studio", "")) }
            form class="row" method="post" action=(to("test")) {
                (token(&viewer.token))
                label { "Sample"
                    select name="action" {
                        @for action in Action::ALL.iter() { option selected[*action == Action::AnnotationCreated] { (action.name()) } }
                    }
                }
                button { "Send a test" }
            }
        }
    }
}

fn next(viewer: &Viewer, lanes: &[LaneSummary]) -> Markup {
    html! {
        section id="lanes" aria-labelledby="lanes-title" {
            h2 id="lanes-title" { "Next attempts" }
            @if lanes.is_empty() { p { "Nothing is pending." } }
            @else {
                p class="soft" { "Deliveries of one project are sent in order. A failing delivery delays that project only." }
                table class="cards" {
                    caption class="hidden" { "Lanes in which something is pending" }
                    thead { tr {
                        th scope="col" { "project" } th scope="col" { "next delivery" } th scope="col" { "occurred" }
                        th scope="col" { "next attempt" } th scope="col" class="number" { "attempts" } th scope="col" { "last answer" }
                        @if viewer.may_write { th scope="col" { span class="hidden" { "actions" } } }
                    } }
                    tbody {
                        @for lane in lanes {
                            tr {
                                td data-label="project" { (deliveries::scope(lane.project_id)) }
                                td data-label="next delivery" { a href=(format!("/deliveries/{}", lane.delivery_id)) { (lane.action) " #" (lane.delivery_id) } }
                                td data-label="occurred" { (ago(lane.occurred_at)) }
                                td data-label="next attempt" { @if lane.due_at <= Timestamp::now() { "now" } @else { (ago(lane.due_at)) } }
                                td data-label="attempts" class="number" { (lane.attempts) }
                                td data-label="last answer" class=(if lane.is_failing { "bad" } else { "" }) { (deliveries::answer(lane.last_status, lane.last_error.as_deref())) }
                                @if viewer.may_write {
                                    td { div class="buttons" {
                                        (button(viewer, &format!("/deliveries/{}/retry", lane.delivery_id), "Retry now", "quiet"))
                                        (button(viewer, &format!("/deliveries/{}/skip", lane.delivery_id), "Skip", "quiet"))
                                    } }
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}

fn recent(id: WebhookId, latest: &Page) -> Markup {
    html! {
        section id="recent" aria-labelledby="recent-title" {
            h2 id="recent-title" { "Latest deliveries" a class="aside" href=(format!("/deliveries?webhook={id}")) { "all deliveries" } }
            @if latest.deliveries.is_empty() { p { "No deliveries yet." } }
            @else { (deliveries::table(&latest.deliveries, false)) }
        }
    }
}

fn settings(WebhookInFull { summary, detail }: &WebhookInFull) -> Markup {
    let manner = summary.manner.to_string();
    html! {
        section id="settings" aria-labelledby="settings-title" {
            h2 id="settings-title" { "Settings" }
            dl class="facts" {
                dt { "actions" } dd { (summary.all_actions()) }
                dt { "scope" } dd { (summary.scope()) }
                dt { "payload" } dd {
                    @if summary.send_payload { "objects" } @else { "the action's name alone" }
                    @if detail.enrich_deletions { ", deletions enriched" }
                    @if detail.previous { ", updates with the previous state" }
                    @if let Some(mode) = &detail.cloudevents { ", CloudEvents (" (mode) ")" }
                }
                dt { "headers" } dd { @if detail.header_names.is_empty() { "none" } @else { (detail.header_names.join(", ")) " (values are not shown)" } }
                dt { "delivered by" } dd { (webhook_form::delivered_by(summary.delivered_by)) }
                dt { "requests" } dd { @if manner.is_empty() { "defaults" } @else { (manner) } }
            }
        }
    }
}

/// What is done rarely.
fn more(viewer: &Viewer, id: WebhookId) -> Markup {
    html! {
        details {
            summary { "Replay a time range" }
            form class="fields" method="post" action=(format!("/webhooks/{id}/replay")) {
                (token(&viewer.token))
                p { "Delivered, dead and skipped deliveries are replayed under their webhook-id. The number of deliveries is shown before anything is sent." }
                label { "Occurred since (UTC)" input name="since" type="datetime-local" step="1" required; }
                label { "and before" input name="until" type="datetime-local" step="1"; }
                (deliveries::action_choice("action", ""))
                button { "Count" }
            }
        }
        details {
            summary { "Signing secret" }
            form class="fields" method="post" action=(format!("/webhooks/{id}/rotate-secret")) {
                (token(&viewer.token))
                p { "A new secret is created and shown once. For one day requests are signed with both secrets." }
                button { "Rotate the secret" }
            }
        }
        details {
            summary { "Delete the webhook" }
            form class="fields" method="post" action=(format!("/webhooks/{id}/delete")) {
                (token(&viewer.token))
                p { "Deletes the webhook in Label Studio and cancels its pending deliveries." }
                label class="check" { input type="checkbox" name="confirmed" value="yes" required; "Delete the webhook and cancel its pending deliveries" }
                button class="danger" { "Delete" }
            }
        }
    }
}
