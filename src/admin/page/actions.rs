//! What the page changes: each takes the token of a page of ours.

use std::sync::Arc;

use axum::Form;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use maud::html;
use serde::Deserialize;

use super::{Admin, Failure, layout};
use crate::model::{Action, DeliveryId, WebhookId};
use crate::ops::transition::{Transition, apply_to};
use crate::ops::{pause, sample};

/// What a form sends along.
#[derive(Debug, Deserialize)]
pub struct Proof {
    #[serde(default)]
    token: String,
}

/// Retries, skips or replays a delivery.
pub async fn transition(
    State(admin): State<Arc<Admin>>,
    Path((id, what)): Path<(DeliveryId, String)>,
    Form(proof): Form<Proof>,
) -> Result<Response, Failure> {
    if !admin.token.is(&proof.token) {
        return Ok(stale());
    }
    let what = match what.as_str() {
        "retry" => Transition::Retry,
        "skip" => Transition::Skip,
        "replay" => Transition::Replay,
        _ => return Ok(StatusCode::NOT_FOUND.into_response()),
    };
    admin.ask(async |client| apply_to(client, what, &[id]).await).await?;
    Ok(Redirect::to(&format!("/deliveries/{id}")).into_response())
}

/// Pauses a webhook, resumes it, or sends it a sample.
pub async fn act(
    State(admin): State<Arc<Admin>>,
    Path((id, action)): Path<(WebhookId, String)>,
    Form(proof): Form<Proof>,
) -> Result<Response, Failure> {
    if !admin.token.is(&proof.token) {
        return Ok(stale());
    }
    match action.as_str() {
        "pause" => admin.ask(async |client| pause::pause(client, Some(&[id])).await).await?,
        "resume" => admin.ask(async |client| pause::resume(client, Some(&[id])).await).await?,
        "test" => {
            let sent = async |client: &_| sample::send(client, &admin.settings, id, Action::AnnotationCreated).await;
            let sample::SampleAnswer { answer, bytes, .. } = admin.ask(sent).await?;
            let main = html! {
                h1 { "A test of " (bytes) " bytes to webhook " (id) }
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
