//! One webhook: how it goes, what is next in its lanes, and what can be done about it.

use std::sync::Arc;

use axum::Extension;
use axum::extract::{Path, Query, State};
use axum::response::Response;
use jiff::Timestamp;
use maud::{Markup, html};
use serde::Deserialize;

use super::shown::{ago, counted, number, seconds};
use super::{Failure, Here, button, chart, deliveries, overview, page, seen_url, token, webhook_form};
use crate::admin::Admin;
use crate::admin::access::Viewer;
use crate::admin::board::{Attempts, BOUND};
use crate::model::{Action, WebhookId};
use crate::ops::delivery::Filter;
use crate::ops::lane::{self, LaneSummary};
use crate::ops::search::{self, Page, Place, Search};
use crate::ops::webhook::{self, AnswerTimes, DeliveredBy, WebhookDetail, WebhookSummary};

/// Lanes and deliveries that are shown.
const LANES: i64 = 20;
const DELIVERIES: usize = 10;

/// What was done before.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Said {
    /// Its key.
    pub done: String,
}

/// A webhook as its page shows it.
pub struct Seen {
    /// As a list shows it.
    pub summary: WebhookSummary,
    /// The rest.
    pub detail: WebhookDetail,
}

/// Reads it.
///
/// # Errors
/// When there is no such webhook, or the database cannot be asked.
pub async fn read(client: &tokio_postgres::Client, id: WebhookId) -> anyhow::Result<Seen> {
    let mut listed = webhook::list(client, Some(&[id]), Some(BOUND + 1)).await?;
    match (listed.pop(), webhook::detail(client, id).await?) {
        (Some(summary), Some(detail)) => Ok(Seen { summary, detail }),
        _ => fail!(UnknownWebhook, "Label Studio has no webhook {id}"),
    }
}

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
            read(client, id).await?,
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
        @if let Some(done) = super::changes::done(&said.done) { p class="notice good" role="status" { (done) } }
        (status(&seen, times.as_ref(), &attempts))
        @if viewer.may_write { (buttons(&viewer, summary)) }
        (next(&viewer, &lanes))
        (recent(id, &latest))
        (settings(&seen))
        @if viewer.may_write { (webhook_form::edit(&viewer, &seen)) (more(&viewer, id)) }
    };
    Ok(page(&admin, &viewer, Here::Overview, &format!("Webhook #{id}"), &main))
}

fn status(Seen { summary, .. }: &Seen, times: Option<&AnswerTimes>, attempts: &Attempts) -> Markup {
    let (delivered, failed) = attempts.sum();
    let rate =
        (delivered + failed > 0).then(|| format!("{:.1} %", 100.0 * delivered as f64 / (delivered + failed) as f64));
    let lasts = |milliseconds: f64| seconds(milliseconds / 1000.0);
    html! {
        section id="status" data-live aria-label="State" {
            div class="state" { (overview::state(summary)) (chart::bars(attempts)) }
            dl class="figures" {
                div class="figure" { dt { "pending" } dd { (counted(summary.pending)) } }
                div class="figure" { dt { "the oldest occurred" } dd { @if let Some(at) = summary.oldest_pending_at { (ago(at)) } @else { "–" } } }
                div class="figure" { dt { "dead" } dd class=(if summary.dead > 0 { "bad" } else { "" }) { (counted(summary.dead)) } }
                div class="figure" { dt { "delivered in the last hour" } dd { (number(delivered)) } }
                div class="figure" { dt { "of attempts succeeded" } dd { (rate.unwrap_or_else(|| "–".to_owned())) } }
                @if let Some(times) = times {
                    div class="figure" {
                        dt { "answers: half, 95 %, 99 % of the last " (number(times.deliveries)) " within" }
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
                (button(viewer, &to("resume-discarding"), "Resume, without what waits", ""))
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
                p class="soft" { "Deliveries of a project go out one after the other; what fails holds up its project alone." }
                table class="cards" {
                    caption class="hidden" { "Lanes in which something is pending" }
                    thead { tr {
                        th scope="col" { "project" } th scope="col" { "next delivery" } th scope="col" { "occurred" }
                        th scope="col" { "next attempt" } th scope="col" class="number" { "attempts so far" } th scope="col" { "last answer" }
                        @if viewer.may_write { th scope="col" { span class="hidden" { "actions" } } }
                    } }
                    tbody {
                        @for lane in lanes {
                            tr {
                                td data-label="project" { (deliveries::scope(lane.project_id)) }
                                td data-label="next delivery" { a href=(format!("/deliveries/{}", lane.delivery_id)) { (lane.action) " #" (lane.delivery_id) } }
                                td data-label="occurred" { (ago(lane.occurred_at)) }
                                td data-label="next attempt" { @if lane.due_at <= Timestamp::now() { "now" } @else { (ago(lane.due_at)) } }
                                td data-label="attempts so far" class="number" { (lane.attempts) }
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
            h2 id="recent-title" { "Latest deliveries" a class="aside" href=(format!("/deliveries?webhook={id}")) { "all, and search" } }
            @if latest.deliveries.is_empty() { p { "Nothing was delivered yet, and nothing is pending." } }
            @else { (deliveries::table(&latest.deliveries, false)) }
        }
    }
}

fn settings(Seen { summary, detail }: &Seen) -> Markup {
    let manner = summary.manner.to_string();
    html! {
        section id="settings" aria-labelledby="settings-title" {
            h2 id="settings-title" { "Settings" }
            dl class="facts" {
                dt { "receives" } dd { (summary.all_actions()) }
                dt { "of" } dd { (summary.scope()) }
                dt { "payload" } dd {
                    @if summary.send_payload { "objects" } @else { "the action's name alone" }
                    @if detail.enrich_deletions { ", deletions with what was deleted" }
                    @if detail.previous { ", updates with what was before" }
                    @if let Some(mode) = &detail.cloudevents { ", CloudEvents (" (mode) ")" }
                }
                dt { "headers" } dd { @if detail.header_names.is_empty() { "none of its own" } @else { (detail.header_names.join(", ")) " (values are not shown)" } }
                dt { "delivered by" } dd { (webhook_form::delivered_by(summary.delivered_by)) }
                dt { "requests" } dd { @if manner.is_empty() { "as the settings say" } @else { (manner) } }
            }
        }
    }
}

/// What is done rarely.
fn more(viewer: &Viewer, id: WebhookId) -> Markup {
    html! {
        details {
            summary { "Replay a span of time" }
            form class="fields" method="post" action=(format!("/webhooks/{id}/replay")) {
                (token(&viewer.token))
                p { "What was delivered, dead or skipped is delivered again, under the webhook-id that its endpoint knows. How many that are is counted first." }
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
                p { "A new secret is made and shown once. For a day requests are signed with the old one, too." }
                button { "Rotate the secret" }
            }
        }
        details {
            summary { "Delete the webhook" }
            form class="fields" method="post" action=(format!("/webhooks/{id}/delete")) {
                (token(&viewer.token))
                p { "Label Studio's row is deleted; what is pending is cancelled." }
                label class="check" { input type="checkbox" name="confirmed" value="yes" required; "Delete it, and cancel what is pending" }
                button class="danger" { "Delete" }
            }
        }
    }
}
