//! The console: the whole, webhooks, deliveries, events, rules, and what can be done about them. It is rendered here and
//! works without scripts; a script renews what is shown as soon as there is a new board.
//!
//! Promises: who may not write sees no path of a URL; what people wrote is text and nothing else (maud escapes it).

mod audit;
mod catalog;
mod change;
mod changes;
mod chart;
mod dead_letters;
mod deliveries;
mod delivery;
mod form;
mod login;
mod overview;
mod rules;
mod shown;
mod webhook;
mod webhook_form;

use std::sync::Arc;

use axum::Router;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{Html, IntoResponse, Response};
use axum::routing::{get, post};
use maud::{DOCTYPE, Markup, html};

use super::access::Viewer;
use super::{Admin, live};
use crate::error::Code;

/// Pages that take somebody who may look.
pub fn guarded() -> Router<Arc<Admin>> {
    Router::new()
        .route("/", get(overview::show))
        .route("/live", get(live::stream))
        .route("/webhooks", get(overview::webhooks).post(webhook_form::create))
        .route("/webhooks/new", get(webhook_form::new))
        .route("/webhooks/{id}", get(webhook::show))
        .route("/webhooks/{id}/{action}", post(changes::act))
        .route("/deliveries", get(deliveries::show).post(changes::bulk))
        .route("/deliveries/{id}", get(delivery::show))
        .route("/deliveries/{id}/{transition}", post(changes::transition))
        .route("/dead-letters", get(dead_letters::show).post(dead_letters::change_all))
        .route("/events", get(catalog::show))
        .route("/events/{action}", get(catalog::event))
        .route("/rules", get(rules::list).post(rules::save))
        .route("/rules/new", get(rules::new))
        .route("/rules/{name}", get(rules::show).post(rules::delete))
        .route("/audit", get(audit::show))
}

/// Leaving, for whoever may look.
pub fn leaving() -> Router<Arc<Admin>> {
    Router::new().route("/logout", post(login::logout))
}

/// Pages that anybody may have.
pub fn open() -> Router<Arc<Admin>> {
    Router::new()
        .route("/login", get(login::show).post(login::login))
        .route("/icon.svg", get(icon))
        .route("/style.css", get(style))
        .route("/console.js", get(script))
}

async fn style() -> impl IntoResponse {
    ([(CONTENT_TYPE, "text/css; charset=utf-8")], include_str!("console/style.css"))
}

async fn icon() -> impl IntoResponse {
    ([(CONTENT_TYPE, "image/svg+xml")], include_str!("console/icon.svg"))
}

async fn script() -> impl IntoResponse {
    ([(CONTENT_TYPE, "text/javascript; charset=utf-8")], include_str!("console/console.js"))
}

/// Where in the console somebody is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Here {
    Overview,
    Deliveries,
    DeadLetters,
    Events,
    Rules,
    Audit,
}

const PLACES: [(Here, &str, &str); 6] = [
    (Here::Overview, "/", "Webhooks"),
    (Here::Deliveries, "/deliveries", "Deliveries"),
    (Here::DeadLetters, "/dead-letters", "Dead letters"),
    (Here::Events, "/events", "Events"),
    (Here::Rules, "/rules", "Rules"),
    (Here::Audit, "/audit", "Audit log"),
];

/// A page for somebody.
fn page(admin: &Admin, viewer: &Viewer, here: Here, title: &str, main: &Markup) -> Response {
    let nav = html! {
        nav aria-label="Console" {
            ul {
                @for (place, path, name) in PLACES {
                    li { a href=(path) aria-current=[(place == here).then_some("page")] { (name) } }
                }
            }
        }
        div class="viewer" {
            (viewer.name)
            @if !viewer.may_write { " (read only)" }
            @if admin.has_login() { " " (button(viewer, "/logout", "Log out", "quiet")) }
        }
    };
    document(title, &nav, main).into_response()
}

/// A page of this title.
fn document(title: &str, nav: &Markup, main: &Markup) -> Html<String> {
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (title) " · lshookd" }
                link rel="icon" href="/icon.svg" type="image/svg+xml";
                link rel="stylesheet" href="/style.css";
                script src="/console.js" defer {}
            }
            body {
                a class="skip" href="#main" { "Skip to the content" }
                header {
                    a class="brand" href="/" { "lshookd" }
                    (nav)
                }
                main id="main" tabindex="-1" { (main) }
                footer { "lshookd " (env!("CARGO_PKG_VERSION")) " · " a href="/metrics" { "metrics" } }
            }
        }
    };
    Html(page.into_string())
}

/// A form that is one button.
fn button(viewer: &Viewer, action: &str, name: &str, class: &str) -> Markup {
    html! {
        form method="post" action=(action) {
            (token(&viewer.token))
            button class=(class) { (name) }
        }
    }
}

/// Proves that a form is ours.
fn token(token: &str) -> Markup {
    html! { input type="hidden" name="token" value=(token); }
}

/// A URL as whoever looks may see it: paths are secrets, too, unless one may change something.
fn seen_url(viewer: &Viewer, url: &str) -> String {
    if viewer.may_write {
        return url.to_owned();
    }
    match url::Url::parse(url) {
        Ok(parsed) if matches!(parsed.path(), "/" | "") && parsed.query().is_none() => url.to_owned(),
        Ok(parsed) => format!("{}/…", &parsed[..url::Position::BeforePath]),
        Err(_) => url.to_owned(),
    }
}

/// What becomes a page that says why something did not work.
pub enum Failure {
    /// Something could not be shown.
    Unseen(anyhow::Error),
    /// Something was not done.
    Undone(anyhow::Error),
    /// It takes longer than somebody waits for it.
    GoesOn,
}

impl<E: Into<anyhow::Error>> From<E> for Failure {
    fn from(error: E) -> Failure {
        Failure::Unseen(error.into())
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let (error, is_change) = match self {
            Failure::Unseen(error) => (error, false),
            Failure::Undone(error) => (error, true),
            Failure::GoesOn => {
                let told = "The change is still running; the audit log shows when the change is done.";
                return failed(StatusCode::ACCEPTED, "In progress", told);
            }
        };
        let status = match Code::of(&error) {
            Code::UnknownWebhook | Code::UnknownDelivery | Code::UnknownProject => StatusCode::NOT_FOUND,
            Code::Choice | Code::Setting => StatusCode::BAD_REQUEST,
            Code::WouldLose | Code::TableLocked => StatusCode::CONFLICT,
            Code::Privileges => StatusCode::FORBIDDEN,
            Code::Endpoint => StatusCode::BAD_GATEWAY,
            Code::Other if is_change => StatusCode::BAD_REQUEST,
            _ => StatusCode::SERVICE_UNAVAILABLE,
        };
        let said = format!("{error:#}");
        if status != StatusCode::SERVICE_UNAVAILABLE {
            return failed(status, if is_change { "Not done" } else { "Error" }, &said);
        }
        tracing::warn!(error = said, "a request to the admin listener failed");
        // What PostgreSQL says of it is for the log.
        let told = "The database did not answer; the daemon's log says why. Deliveries do not depend on the console.";
        failed(status, "Database unavailable", told)
    }
}

/// A page that says why something did not work.
fn failed(status: StatusCode, title: &str, told: &str) -> Response {
    let main = html! {
        h1 { (title) }
        p class="notice bad" role="alert" { (told) }
        p { a href="/" { "To the overview" } }
    };
    (status, document(title, &html! {}, &main)).into_response()
}
