//! Logging in by a password, and out.

use std::sync::Arc;

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{Html, IntoResponse, Redirect, Response};
use maud::html;

use super::form::Sent;
use super::{document, token};
use crate::admin::Admin;
use crate::admin::access::{Refusal, by_password};

/// Asks for a name and the password.
pub async fn show(State(admin): State<Arc<Admin>>) -> Response {
    ask(&admin, None).into_response()
}

fn ask(admin: &Admin, wrong: Option<&str>) -> Html<String> {
    let main = html! {
        h1 { "Log in" }
        @if let Some(wrong) = wrong { p class="notice bad" role="alert" { (wrong) } }
        form class="fields narrow" method="post" action="/login" {
            (token(&admin.tokens.of_nobody()))
            label { "Your name, for the audit log" input name="name" autocomplete="username" required; }
            label { "Password" input name="password" type="password" autocomplete="current-password" required; }
            button class="main" { "Log in" }
        }
    };
    document("Log in", &html! {}, &main)
}

/// Begins a session where the password is right.
pub async fn login(State(admin): State<Arc<Admin>>, headers: HeaderMap, sent: Sent) -> Response {
    match by_password(&admin, sent.text("name"), sent.written("password")).await {
        Ok(viewer) => {
            tracing::info!(who = ?viewer.name, may_write = viewer.may_write, "somebody logged in to the console");
            let is_secure = headers.get("x-forwarded-proto").is_some_and(|scheme| scheme == "https");
            let cookie = admin.sessions.begin(viewer, is_secure);
            ([(header::SET_COOKIE, cookie)], Redirect::to("/")).into_response()
        }
        Err(Refusal::TooMany) => {
            let later = [(header::RETRY_AFTER, "60")];
            let told = ask(&admin, Some("Too many wrong passwords; try again in a minute."));
            (StatusCode::TOO_MANY_REQUESTS, later, told).into_response()
        }
        Err(_) => (StatusCode::UNAUTHORIZED, ask(&admin, Some("The password is wrong."))).into_response(),
    }
}

/// Ends the session.
pub async fn logout(State(admin): State<Arc<Admin>>, headers: HeaderMap, _: Sent) -> Response {
    ([(header::SET_COOKIE, admin.sessions.end(&headers))], Redirect::to("/login")).into_response()
}
