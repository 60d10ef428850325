//! The page: subscriptions, deliveries, and what can be done about them. It works without scripts.

use std::sync::{Arc, PoisonError};

use axum::Form;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{Html, IntoResponse, Redirect, Response};
use jiff::Timestamp;
use maud::{DOCTYPE, Markup, html};
use serde::Deserialize;
use serde_json::Value;

use super::{Admin, Failure};
use crate::command::output::rows;
use crate::command::{deliveries as listing, pause, replay as again, subscriptions, test};
use crate::event::Action;

/// Deliveries on one page.
const PAGE: i64 = 50;

/// Of a payload this much is shown.
const SHOWN: usize = 200_000;

/// The style sheet.
pub async fn style() -> impl IntoResponse {
    ([(CONTENT_TYPE, "text/css; charset=utf-8")], include_str!("style.css"))
}

/// The script, which renews the overview while somebody looks.
pub async fn script() -> impl IntoResponse {
    ([(CONTENT_TYPE, "text/javascript; charset=utf-8")], include_str!("page.js"))
}

fn layout(title: &str, main: &Markup) -> Html<String> {
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                title { (title) " · lshookd" }
                link rel="stylesheet" href="/style.css";
                script src="/page.js" defer {}
            }
            body {
                header {
                    a href="/" { strong { "lshookd" } }
                    nav {
                        a href="/" { "Subscriptions" }
                        a href="/deliveries" { "Deliveries" }
                        a href="/deliveries?state=dead" { "Dead" }
                        a href="/metrics" { "Metrics" }
                    }
                }
                main { (main) }
                footer { "lshookd " (env!("CARGO_PKG_VERSION")) " · times in UTC" }
            }
        }
    };
    Html(page.into_string())
}

/// The whole at a glance, and every subscription.
pub async fn overview(State(admin): State<Arc<Admin>>) -> Result<Html<String>, Failure> {
    let status = admin.status().await?;
    let webhooks = admin.ask(async |client| subscriptions::list(client).await).await?;
    let health =
        admin.ask(async |client| rows(client, include_str!("../../sql/ops/attempts_by_hour.sql"), &[]).await).await?;
    let seconds = |key: &str| format!("{:.1} s", status[key].as_f64().unwrap_or_default());
    let at_work = status["at_work"].as_array().is_some_and(|at_work| at_work.len() == 3);
    let main = html! {
        h1 { "Subscriptions" }
        section class="figures" {
            (figure("at work", if at_work { "yes" } else { "no" }, if at_work { "good" } else { "bad" }))
            (figure("waiting", &status["deliveries_pending"].to_string(), ""))
            (figure("oldest waits", &seconds("oldest_delivery_seconds"), ""))
            (figure("to plan", &status["changes_waiting"].to_string(), ""))
            (figure("last minute", &status["delivered_last_minute"].to_string(), ""))
            (figure("dead", &status["dead"].to_string(), if status["dead"] == 0 { "" } else { "bad" }))
            (figure("not captured", &status["capture_errors"].to_string(), if status["capture_errors"] == 0 { "" } else { "bad" }))
        }
        (backlog_chart(&admin))
        @if status["all_paused"] == true {
            p class="bad" { "All deliveries are paused." }
        }
        @if webhooks.is_empty() {
            p { "Label Studio has no webhooks." }
        }
        @for webhook in &webhooks {
            (subscription(&admin, webhook, health.iter().find(|health| health["webhook_id"] == webhook["id"])))
        }
    };
    Ok(layout("Subscriptions", &main))
}

fn figure(name: &str, value: &str, class: &str) -> Markup {
    html! { div class=(format!("figure {class}")) { b { (value) } span { (name) } } }
}

fn subscription(admin: &Admin, webhook: &Value, health: Option<&Value>) -> Markup {
    let id = webhook["id"].as_i64().unwrap_or_default();
    let paused = webhook["paused"] == true;
    html! {
        article {
            h2 {
                a href=(format!("/deliveries?subscription={id}")) { "#" (id) " " (seen_url(admin, &webhook["url"])) }
            }
            (sparkline(health))
            p {
                (text(&webhook["scope"])) " · "
                @match webhook["wants"].as_array() {
                    Some(actions) => (actions.iter().map(text).collect::<Vec<_>>().join(", ")),
                    None => "all actions",
                }
            }
            p {
                "delivered by " b { (text(&webhook["delivered_by"])) }
                " · " (webhook["pending"]) " waiting · " (webhook["dead"]) " dead"
                @if let Some(last) = webhook["last_delivered_at"].as_str() { " · last delivered " (moment(last)) }
                @if paused { " · " b class="bad" { "paused" } }
            }
            @if let Some(error) = webhook["last_error"].as_str() {
                p class="bad" { "fails with: " (error) }
            }
            @if admin.settings.admin.write {
                div class="buttons" {
                    (button(admin, &format!("/subscriptions/{id}/{}", if paused { "resume" } else { "pause" }), if paused { "Resume" } else { "Pause" }))
                    (button(admin, &format!("/subscriptions/{id}/test"), "Send a test"))
                }
            }
        }
    }
}

fn button(admin: &Admin, action: &str, name: &str) -> Markup {
    html! {
        form method="post" action=(action) {
            input type="hidden" name="token" value=(admin.token.text());
            button { (name) }
        }
    }
}

/// Attempts of the last hour, five minutes a bar: good ones up, failed ones in red.
fn sparkline(health: Option<&Value>) -> Markup {
    let number = |key: &str, place: usize| health.and_then(|health| health[key][place].as_f64()).unwrap_or_default();
    let most = (0..12).map(|place| number("good", place) + number("failed", place)).fold(1.0, f64::max);
    html! {
        svg class="spark" viewBox="0 0 120 24" role="img" aria-label="attempts of the last hour" {
            @for place in 0..12 {
                @let good = 22.0 * number("good", place) / most;
                @let failed = 22.0 * number("failed", place) / most;
                rect class="good" x=(place * 10 + 1) width="8" y=(24.0 - good) height=(good) {}
                rect class="bad" x=(place * 10 + 1) width="8" y=(24.0 - good - failed) height=(failed) {}
                rect class="base" x=(place * 10 + 1) width="8" y="23" height="1" {}
            }
        }
    }
}

/// What waited, minute by minute, since this daemon began.
fn backlog_chart(admin: &Admin) -> Markup {
    let backlog = admin.backlog.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let most = backlog.iter().map(|(_, waiting)| *waiting).max().unwrap_or_default().max(1);
    let width = backlog.len().max(2) - 1;
    let points: Vec<String> = backlog
        .iter()
        .enumerate()
        .map(|(place, (_, waiting))| {
            format!("{:.1},{:.1}", 600.0 * place as f64 / width as f64, 58.0 - 56.0 * *waiting as f64 / most as f64)
        })
        .collect();
    html! {
        figure {
            svg class="chart" viewBox="0 0 600 60" preserveAspectRatio="none" role="img" aria-label="deliveries that waited" {
                polyline points=(points.join(" ")) {}
            }
            figcaption {
                "waiting deliveries"
                @if let Some((since, _)) = backlog.front() { " since " (moment(&since.to_string())) }
                ", at most " (most)
            }
        }
    }
}

/// What to list.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Wanted {
    subscription: String,
    project: String,
    action: String,
    state: String,
    /// A delivery's number or webhook-id.
    search: String,
    before: Option<i64>,
}

impl Wanted {
    fn filter(&self) -> Result<listing::Filter, String> {
        let number = |text: &str| match text.trim() {
            "" => Ok(None),
            text => text.parse().map(Some).map_err(|_| format!("{text} is no number")),
        };
        let chosen = |text: &str| Some(text.trim().to_owned()).filter(|text| !text.is_empty());
        Ok(listing::Filter {
            subscription: number(&self.subscription)?,
            project: number(&self.project)?,
            action: chosen(&self.action).map(|action| action.parse()).transpose()?,
            state: match chosen(&self.state) {
                Some(state) if !listing::STATES.contains(&state.as_str()) => {
                    return Err("there is no such state".to_owned());
                }
                state => state,
            },
            since: None,
            until: None,
        })
    }
}

/// Deliveries, filtered, the newest first.
pub async fn deliveries(State(admin): State<Arc<Admin>>, Query(wanted): Query<Wanted>) -> Result<Response, Failure> {
    if !wanted.search.trim().is_empty() {
        let search: String = url::form_urlencoded::byte_serialize(wanted.search.trim().as_bytes()).collect();
        return Ok(Redirect::to(&format!("/deliveries/{search}")).into_response());
    }
    let filter = match wanted.filter() {
        Ok(filter) => filter,
        Err(reason) => return Ok((StatusCode::BAD_REQUEST, format!("{reason}\n")).into_response()),
    };
    let found = admin.ask(async |client| listing::find(client, &filter, wanted.before, PAGE).await).await?;
    let older = found.last().filter(|_| found.len() as i64 == PAGE).map(|last| {
        let query = url::form_urlencoded::Serializer::new(String::new())
            .append_pair("subscription", &wanted.subscription)
            .append_pair("project", &wanted.project)
            .append_pair("action", &wanted.action)
            .append_pair("state", &wanted.state)
            .append_pair("before", &last["id"].to_string())
            .finish();
        format!("/deliveries?{query}")
    });
    let main = html! {
        h1 { "Deliveries" }
        form class="filter" method="get" action="/deliveries" {
            label { "subscription " input name="subscription" inputmode="numeric" value=(wanted.subscription); }
            label { "project " input name="project" inputmode="numeric" value=(wanted.project); }
            label { "action " (choice("action", &Action::ALL.iter().map(|action| action.name()).collect::<Vec<_>>(), &wanted.action)) }
            label { "state " (choice("state", &listing::STATES, &wanted.state)) }
            label { "number or webhook-id " input name="search" type="search"; }
            button { "Show" }
        }
        @if found.is_empty() { p { "No delivery is like this." } }
        div class="wide" { table {
            thead { tr { th { "delivery" } th { "occurred" } th { "subscription" } th { "project" } th { "action" }
                         th { "objects" } th { "state" } th { "attempts" } th { "last answer" } } }
            tbody {
                @for each in &found {
                    tr {
                        td { a href=(format!("/deliveries/{}", each["id"])) { (each["id"]) } }
                        td { (moment(each["occurred_at"].as_str().unwrap_or_default())) }
                        td { (each["webhook_id"]) }
                        td { (each["project_id"]) }
                        td { (text(&each["action"])) }
                        td { (each["objects"]) }
                        td class=(text(&each["state"])) { (text(&each["state"])) }
                        td { (each["attempts"]) }
                        td { (text(&each["last_status"])) " " (text(&each["last_error"])) }
                    }
                }
            }
        } }
        @if let Some(older) = older { p { a href=(older) { "older" } } }
    };
    Ok(layout("Deliveries", &main).into_response())
}

fn choice(name: &str, options: &[&str], chosen: &str) -> Markup {
    html! {
        select name=(name) {
            option value="" { "any" }
            @for option in options {
                option value=(option) selected[*option == chosen] { (option) }
            }
        }
    }
}

/// One delivery with its attempts and what it says.
pub async fn delivery(State(admin): State<Arc<Admin>>, Path(id): Path<String>) -> Result<Response, Failure> {
    if id.parse::<i64>().is_err() && id.parse::<uuid::Uuid>().is_err() {
        return Ok((StatusCode::BAD_REQUEST, "neither the number of a delivery nor a webhook-id\n").into_response());
    }
    let found = admin.ask(async |client| listing::find_one(client, &id).await).await?;
    let Some(found) = found else {
        let main = html! { h1 { "There is no delivery " (id) } p { "It may have been deleted after its retention." } };
        return Ok((StatusCode::NOT_FOUND, layout("Not found", &main)).into_response());
    };
    let body = found["body"].as_str().unwrap_or_default();
    let end = (0..=SHOWN.min(body.len())).rev().find(|end| body.is_char_boundary(*end)).unwrap_or_default();
    let pretty = match serde_json::from_str::<Value>(body) {
        Ok(json) if body.len() <= SHOWN => format!("{json:#}"),
        _ => body[..end].to_owned(),
    };
    let main = html! {
        h1 { "Delivery " (found["id"]) " " span class=(text(&found["state"])) { (text(&found["state"])) } }
        dl {
            dt { "action" } dd { (text(&found["action"])) ", " (found["objects"]) " objects, project " (found["project_id"]) }
            dt { "subscription" } dd { "#" (found["webhook_id"]) " " (seen_url(&admin, &found["url"])) }
            dt { "webhook-id" } dd { (text(&found["message_id"])) }
            dt { "occurred" } dd { (moment(found["occurred_at"].as_str().unwrap_or_default())) }
            @if let Some(ended) = found["ended_at"].as_str() { dt { "ended" } dd { (moment(ended)) } }
            dt { "headers" } dd {
                @for name in found["header_names"].as_array().into_iter().flatten() { (text(name)) ": (hidden) " }
                "webhook-id, webhook-timestamp, webhook-signature"
            }
        }
        @if admin.settings.admin.write && found["state"] != "pending" {
            div class="buttons" { (button(&admin, &format!("/deliveries/{}/replay", found["id"]), "Send again")) }
        }
        h2 { "Attempts" }
        div class="wide" { table {
            thead { tr { th { "attempt" } th { "started" } th { "ms" } th { "status" } th { "error" } th { "answer" } } }
            tbody {
                @for attempt in found["attempts"].as_array().into_iter().flatten() {
                    tr {
                        td { (attempt["number"]) }
                        td { (moment(attempt["started_at"].as_str().unwrap_or_default())) }
                        td { (attempt["duration_ms"]) }
                        td { (text(&attempt["status"])) }
                        td { (text(&attempt["error"])) }
                        td { (text(&attempt["response_head"])) }
                    }
                }
            }
        } }
        h2 { "Payload" }
        p { (body.len()) " bytes" @if body.len() > SHOWN { ", of which the beginning is shown" } }
        pre { (pretty) }
    };
    Ok(layout(&format!("Delivery {}", found["id"]), &main).into_response())
}

/// What a form sends along.
#[derive(Debug, Deserialize)]
pub struct Proof {
    #[serde(default)]
    token: String,
}

/// Sends a delivery again.
pub async fn replay(
    State(admin): State<Arc<Admin>>,
    Path(id): Path<i64>,
    Form(proof): Form<Proof>,
) -> Result<Response, Failure> {
    if !admin.token.is(&proof.token) {
        return Ok(stale());
    }
    admin.ask(async |client| again::again(client, &[id]).await).await?;
    Ok(Redirect::to(&format!("/deliveries/{id}")).into_response())
}

/// Pauses a subscription, lets it go on, or sends it a test.
pub async fn act(
    State(admin): State<Arc<Admin>>,
    Path((id, action)): Path<(i64, String)>,
    Form(proof): Form<Proof>,
) -> Result<Response, Failure> {
    if !admin.token.is(&proof.token) {
        return Ok(stale());
    }
    match action.as_str() {
        "pause" => admin.ask(async |client| pause::hold(client, Some(&[id])).await).await?,
        "resume" => admin.ask(async |client| pause::let_go(client, Some(&[id])).await).await?,
        "test" => {
            let sent = async |client: &_| test::send(client, &admin.settings, id, Action::AnnotationCreated).await;
            let (answer, bytes) = admin.ask(sent).await?;
            let main = html! {
                h1 { "A test of " (bytes) " bytes to subscription " (id) }
                p {
                    @match answer.status { Some(status) => { "answer " (status) }, None => "no answer" }
                    " after " (answer.duration.as_millis()) " ms"
                }
                @if let Some(error) = &answer.error { p class="bad" { (error) } }
                @if let Some(head) = &answer.head { pre { (head) } }
            };
            return Ok(layout("Test", &main).into_response());
        }
        _ => return Ok(StatusCode::NOT_FOUND.into_response()),
    }
    Ok(Redirect::to("/").into_response())
}

fn stale() -> Response {
    (StatusCode::FORBIDDEN, "this page is older than the daemon; load it again\n").into_response()
}

fn text(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// A URL as whoever looks may see it: paths are secrets, too, unless one may change something.
fn seen_url(admin: &Admin, url: &Value) -> String {
    let shown = text(url);
    if admin.settings.admin.write {
        return shown;
    }
    match url::Url::parse(&shown) {
        Ok(url) if url.path() == "/" && url.query().is_none() => shown,
        Ok(url) => format!("{}/…", &url[..url::Position::BeforePath]),
        Err(_) => shown,
    }
}

/// A moment to the second.
fn moment(text: &str) -> String {
    text.parse::<Timestamp>().map_or_else(|_| text.to_owned(), |at| at.strftime("%Y-%m-%d %H:%M:%S").to_string())
}
