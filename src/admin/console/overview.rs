//! The overview: what is wrong and what to do about it, how it goes, and the webhooks, failing ones first.

use std::sync::Arc;

use axum::Extension;
use axum::extract::{Query, State};
use axum::response::Response;
use jiff::Timestamp;
use maud::{Markup, html};
use serde::Deserialize;
use url::form_urlencoded::Serializer;

use super::chart::{self, Line};
use super::shown::{ago, counted, number, plural, seconds, sum};
use super::{Failure, Here, page, seen_url};
use crate::admin::Admin;
use crate::admin::access::Viewer;
use crate::admin::board::{Board, ShownWebhook};
use crate::ops::webhook::{DeliveredBy, WebhookSummary};
use crate::pg::role::Role;

/// Webhooks on one page.
const PAGE: usize = 50;

/// What is pending for longer is worth a word.
const LATE_SECONDS: f64 = 60.0;

/// Which webhooks are listed, and how.
#[derive(Debug, Default, Clone, Deserialize)]
#[serde(default)]
pub struct Wanted {
    /// A number, a part of a host or of a project's title.
    q: String,
    /// failing, number, pending, oldest, delivered or url
    sort: String,
    /// Counted from 1.
    page: usize,
}

const SORTS: [(&str, &str); 6] = [
    ("failing", "failing first"),
    ("number", "number"),
    ("pending", "most pending"),
    ("oldest", "oldest pending"),
    ("dead", "most dead"),
    ("url", "host"),
];

impl Wanted {
    fn at(&self, page: usize) -> String {
        let mut query = Serializer::new(String::new());
        for (name, value) in [("q", &self.q), ("sort", &self.sort)] {
            if !value.is_empty() {
                query.append_pair(name, value);
            }
        }
        query.append_pair("page", &page.to_string());
        format!("/?{}#webhooks", query.finish())
    }

    fn of<'a>(&self, board: &'a Board) -> Vec<&'a ShownWebhook> {
        let wanted = self.q.trim().to_lowercase();
        let mut found: Vec<&ShownWebhook> = board.webhooks.iter().filter(|shown| matches(shown, &wanted)).collect();
        match self.sort.as_str() {
            "number" => {}
            "pending" => found.sort_by_key(|shown| std::cmp::Reverse(shown.summary.pending)),
            "dead" => found.sort_by_key(|shown| std::cmp::Reverse(shown.summary.dead)),
            "oldest" => {
                found.sort_by_key(|shown| (shown.summary.oldest_pending_at.is_none(), shown.summary.oldest_pending_at))
            }
            "url" => found.sort_by_cached_key(|shown| shown.host()),
            _ => found.sort_by_key(|shown| severity(&shown.summary)),
        }
        found
    }
}

fn matches(shown: &ShownWebhook, wanted: &str) -> bool {
    wanted.is_empty() || shown.summary.id.to_string() == wanted.trim_start_matches('#') || shown.is_named(wanted)
}

/// What needs somebody comes first.
fn severity(webhook: &WebhookSummary) -> u8 {
    match webhook {
        webhook if webhook.paused_failing_since.is_some() => 0,
        webhook if webhook.last_error.is_some() && !webhook.paused => 1,
        webhook if webhook.dead > 0 => 2,
        webhook if webhook.paused => 3,
        _ => 4,
    }
}

/// A sentence about what is wrong: what, and what to do.
struct Finding {
    what: String,
    remedy: Markup,
    is_error: bool,
}

fn inactive_roles(board: &Board) -> Vec<&'static str> {
    let is_active = |role: &&str| board.whole.active_roles.iter().any(|active| active.role == **role);
    Role::ALL.iter().map(|role| role.name()).filter(|role| !is_active(role)).collect()
}

fn findings(board: &Board) -> Vec<Finding> {
    let whole = &board.whole;
    let mut findings = Vec::new();
    let mut add = |is_error, what: String, remedy: Markup| findings.push(Finding { what, remedy, is_error });
    let inactive = inactive_roles(board);
    if !inactive.is_empty() {
        add(
            true,
            format!("No daemon is active as {}.", inactive.join(", ")),
            html! { "The daemon's log says why: " code { "journalctl -u lshookd" } },
        );
    }
    if whole.all_paused {
        add(
            true,
            "All deliveries are paused.".to_owned(),
            html! { code { "lshookd webhook resume --all" } " resumes them." },
        );
    }
    if whole.capture_errors > 0 {
        let what = format!("{} could not be captured.", plural(whole.capture_errors, "change", "changes"));
        add(true, what, html! { code { "lshookd check" } " says why and what to do." });
    }
    if whole.changes_set_aside > 0 {
        let what = format!("{} cannot be planned: set aside.", plural(whole.changes_set_aside, "change", "changes"));
        add(
            true,
            what,
            html! { "See " code { "lshookd.change_set_aside" } "; when the cause is fixed: " code { "select lshookd.requeue_set_aside()" } },
        );
    }
    if whole.oldest_change_seconds > LATE_SECONDS {
        let what = format!("The oldest unplanned change is {} old.", seconds(whole.oldest_change_seconds));
        add(false, what, html! { "A long import or storage sync may be under way." });
    }
    let failing = board.webhooks.iter().filter(|shown| severity(&shown.summary) == 1).count();
    if failing > 0 {
        let what = format!("{}.", plural(failing as i64, "webhook fails", "webhooks fail"));
        add(
            true,
            what,
            html! { "Failed deliveries are retried, and nothing is lost. The list below shows the reason of each." },
        );
    }
    let stopped = board.webhooks.iter().filter(|shown| severity(&shown.summary) == 0).count();
    if stopped > 0 {
        let what =
            format!("{} paused because every attempt failed.", plural(stopped as i64, "webhook is", "webhooks are"));
        add(true, what, html! { "Fix the endpoint, then resume the webhook." });
    }
    let (dead, is_bounded) = board.sum(|summary| summary.dead);
    if dead > 0 {
        let what = format!(
            "{} dead.",
            if is_bounded {
                format!("{}+ deliveries are", number(dead))
            } else {
                plural(dead, "delivery is", "deliveries are")
            }
        );
        add(false, what, html! { a href="/dead-letters" { "Replay or discard dead deliveries." } });
    }
    let twice = board.webhooks.iter().filter(|shown| shown.summary.delivered_by == DeliveredBy::Both).count();
    if twice > 0 {
        let what = format!(
            "{} delivered twice, by Label Studio and by lshookd.",
            plural(twice as i64, "webhook is", "webhooks are")
        );
        add(false, what, html! { code { "lshookd webhook adopt" } " leaves the delivery to lshookd alone." });
    }
    for fault in &whole.faults {
        add(false, fault.clone(), html! { code { "lshookd check" } " says more." });
    }
    findings
}

/// The overview.
pub async fn show(
    State(admin): State<Arc<Admin>>,
    Extension(viewer): Extension<Viewer>,
    Query(wanted): Query<Wanted>,
) -> Result<Response, Failure> {
    let board = admin.board().await?;
    let main = html! {
        h1 class="hidden" { "Overview" }
        (health(&board))
        (figures(&board))
        (charts(&board))
        (list(&viewer, &board, &wanted))
    };
    Ok(page(&admin, &viewer, Here::Overview, "Webhooks", &main))
}

/// The list is a part of the overview.
pub async fn webhooks() -> axum::response::Redirect {
    axum::response::Redirect::to("/#webhooks")
}

fn health(board: &Board) -> Markup {
    let findings = findings(board);
    let inactive = !inactive_roles(board).is_empty();
    html! {
        section id="health" data-live aria-labelledby="health-title" {
            h2 id="health-title" {
                @if findings.iter().any(|finding| finding.is_error) { "Action required" }
                @else if findings.is_empty() { "Healthy" }
                @else { "Healthy, with warnings" }
                span class="aside" { "daemon " b { @if inactive { "not active" } @else { "active" } } " · as of " (ago(board.taken_at)) }
            }
            @if !findings.is_empty() {
                ul class="findings" {
                    @for finding in &findings {
                        li class=(if finding.is_error { "bad" } else { "warn" }) {
                            strong { (finding.what) } " " (finding.remedy)
                        }
                    }
                }
            }
        }
    }
}

fn figures(board: &Board) -> Markup {
    let failing = board.webhooks.iter().filter(|shown| severity(&shown.summary) <= 1).count();
    let now = Timestamp::now();
    let oldest = board.oldest_pending().map(|at| seconds(now.duration_since(at).as_secs_f64().max(0.0)));
    let (delivered, failed) =
        board.webhooks.iter().map(|shown| shown.attempts.sum()).fold((0, 0), |sum, one| (sum.0 + one.0, sum.1 + one.1));
    let (dead, is_bounded) = board.sum(|summary| summary.dead);
    html! {
        section id="figures" data-live aria-label="Figures" {
            dl class="figures" {
                (figure("webhooks", &number(board.webhooks.len() as i64), ""))
                (figure("failing webhooks", &number(failing as i64), if failing > 0 { "bad" } else { "" }))
                (figure("pending deliveries", &sum(board.sum(|summary| summary.pending)), ""))
                (figure("oldest pending", &oldest.unwrap_or_else(|| "–".to_owned()), ""))
                (figure("unplanned changes", &counted(board.whole.changes_unplanned), ""))
                (figure("delivered, last hour", &number(delivered), ""))
                (figure("failed attempts, last hour", &number(failed), if failed > 0 { "bad" } else { "" }))
                (figure("dead deliveries", &sum((dead, is_bounded)), if dead > 0 { "bad" } else { "" }))
            }
        }
    }
}

fn figure(name: &str, value: &str, class: &str) -> Markup {
    html! { div class="figure" { dt { (name) } dd class=(class) { (value) } } }
}

fn charts(board: &Board) -> Markup {
    let (Some(first), Some(last)) = (board.minutes.first(), board.minutes.last()) else {
        return html! {};
    };
    let of = |value: fn(&crate::admin::board::Minute) -> i64| board.minutes.iter().map(value).collect();
    html! {
        section id="charts" class="charts" data-live aria-label="Charts" {
            (chart::lines("Attempts per minute", first.at, last.at, &[
                Line { name: "delivered", class: "good", points: of(|minute| minute.delivered) },
                Line { name: "failed", class: "bad", points: of(|minute| minute.failed) },
            ]))
            (chart::lines("Pending deliveries", first.at, last.at, &[
                Line { name: "pending", class: "plain", points: of(|minute| minute.pending) },
            ]))
        }
    }
}

fn list(viewer: &Viewer, board: &Board, wanted: &Wanted) -> Markup {
    let found = wanted.of(board);
    let pages = found.len().div_ceil(PAGE).max(1);
    let here = wanted.page.clamp(1, pages);
    let shown = found.iter().skip((here - 1) * PAGE).take(PAGE);
    html! {
        section id="webhooks" aria-labelledby="webhooks-title" {
            h2 id="webhooks-title" { "Webhooks" @if viewer.may_write { a class="aside" href="/webhooks/new" { "Create a webhook" } } }
            form class="filter" method="get" action="/" role="search" {
                label { "Search" input name="q" type="search" value=(wanted.q) placeholder="number, host or project"; }
                label { "Order"
                    select name="sort" {
                        @for (value, name) in SORTS { option value=(value) selected[wanted.sort == value] { (name) } }
                    }
                }
                button { "Show" }
            }
            div id="webhook-list" data-live {
                @if board.webhooks.is_empty() { p { "Label Studio has no webhooks." } }
                @else if found.is_empty() { p { "No webhook matches." } }
                @else {
                    table class="cards" {
                        caption class="hidden" { "Webhooks" }
                        thead { tr {
                            th scope="col" { "webhook" } th scope="col" { "events" } th scope="col" { "state" }
                            th scope="col" { "last hour" } th scope="col" class="number" { "pending" }
                            th scope="col" class="number" { "dead" } th scope="col" { "last delivered" }
                        } }
                        tbody { @for shown in shown { (row(viewer, shown)) } }
                    }
                }
                @if pages > 1 {
                    nav class="pages" aria-label="Pages of webhooks" {
                        @if here > 1 { a href=(wanted.at(here - 1)) rel="prev" { "previous" } }
                        span { "page " (here) " of " (pages) ", " (plural(found.len() as i64, "webhook", "webhooks")) }
                        @if here < pages { a href=(wanted.at(here + 1)) rel="next" { "next" } }
                    }
                }
            }
        }
    }
}

fn row(viewer: &Viewer, ShownWebhook { summary, attempts }: &ShownWebhook) -> Markup {
    html! {
        tr {
            td data-label="webhook" {
                a href=(format!("/webhooks/{}", summary.id)) { "#" (summary.id) " " (seen_url(viewer, &summary.url)) }
                div class="soft" { (summary.scope()) }
            }
            td data-label="events" { (actions(summary)) }
            td data-label="state" { (state(summary)) }
            td data-label="last hour" { (chart::bars(attempts)) }
            td data-label="pending" class="number" {
                (counted(summary.pending))
                @if let Some(at) = summary.oldest_pending_at { div class="soft" { "oldest " (ago(at)) } }
            }
            td data-label="dead" class=(if summary.dead > 0 { "number bad" } else { "number" }) { (counted(summary.dead)) }
            td data-label="last delivered" { @if let Some(at) = summary.last_delivered_at { (ago(at)) } @else { "never" } }
        }
    }
}

fn actions(webhook: &WebhookSummary) -> Markup {
    let all = webhook.all_actions();
    let listed = webhook.actions.as_ref().map_or(1, Vec::len) + webhook.additional_actions.len();
    html! {
        @if listed <= 3 { (all) } @else { span title=(all) { (listed) " actions" } }
    }
}

/// In which state a webhook is, with the reason where it fails.
pub fn state(webhook: &WebhookSummary) -> Markup {
    let (class, name) = match webhook {
        webhook if webhook.paused_failing_since.is_some() => ("bad", "paused after failing"),
        webhook if webhook.paused => ("warn", "paused"),
        webhook if webhook.last_error.is_some() => ("bad", "failing"),
        webhook if webhook.delivered_by == DeliveredBy::Nobody => ("warn", "disabled"),
        webhook if webhook.delivered_by == DeliveredBy::LabelStudio => ("plain", "Label Studio delivers"),
        webhook if webhook.delivered_by == DeliveredBy::Both => ("warn", "delivered twice"),
        _ => ("good", "delivering"),
    };
    html! {
        span class=(format!("badge {class}")) { (name) }
        @if let Some(error) = webhook.last_error.as_ref().filter(|_| !webhook.paused) {
            div class="bad" { (error) }
            @if let Some(at) = webhook.next_attempt_at { div class="soft" { "next attempt " (ago(at)) } }
        }
        @if let Some(since) = webhook.failing_since { div class="soft" { "failing since " (ago(since)) } }
        @if let Some(since) = webhook.paused_failing_since { div class="soft" { "failing since " (ago(since)) } }
    }
}
