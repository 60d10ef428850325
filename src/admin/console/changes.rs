//! What the console does to webhooks and deliveries: each takes the token of a page of ours and somebody who may write.

use std::sync::Arc;

use anyhow::Result;
use axum::Extension;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use maud::html;
use tokio_postgres::Client;

use super::change::{Doing, change, confirm};
use super::form::{self, Sent};
use super::shown::{milliseconds, moment, plural, size};
use super::{Failure, Here, page, webhook_form};
use crate::admin::Admin;
use crate::admin::access::Viewer;
use crate::admin::board::BOUND;
use crate::model::{Action, DeliveryId, WebhookId};
use crate::ops::delivery::Filter;
use crate::ops::transition::{self, Transition};
use crate::ops::webhook_change::{self, Update};
use crate::ops::{adoption, pause, sample, secret, webhook};

/// Does something to a webhook.
pub async fn act(
    State(admin): State<Arc<Admin>>,
    Extension(viewer): Extension<Viewer>,
    Path((id, action)): Path<(WebhookId, String)>,
    sent: Sent,
) -> Result<Response, Failure> {
    let (admin, viewer) = (&admin, &viewer);
    let key = match action.as_str() {
        "pause" => {
            let doing = Doing::webhook("webhook pause", id);
            change(admin, viewer, doing, move |client| pause(client, id)).await?;
            "pause"
        }
        "resume" => {
            let doing = Doing::webhook("webhook resume", id);
            change(admin, viewer, doing, move |client| resume(client, id, false)).await?;
            "resume"
        }
        "resume-discarding" => {
            let doing = Doing::webhook("webhook resume --discard", id);
            change(admin, viewer, doing, move |client| resume(client, id, true)).await?;
            "resume-discarding"
        }
        "retry" => {
            let doing = Doing::webhook("delivery retry --webhook", id);
            change(admin, viewer, doing, move |client| retry(client, id)).await?;
            "retry"
        }
        "enable" => {
            let change = Update { is_active: Some(true), ..Update::default() };
            update(admin, viewer, id, "webhook update --state active", change).await?;
            "enable"
        }
        "disable" => {
            let change = Update { is_active: Some(false), ..Update::default() };
            update(admin, viewer, id, "webhook update --state disabled", change).await?;
            "disable"
        }
        "adopt" => {
            let doing = Doing::webhook("webhook adopt", id);
            change(admin, viewer, doing, move |client| adopt(client, id)).await?;
            "adopt"
        }
        "release" => {
            let doing = Doing::webhook("webhook release", id);
            change(admin, viewer, doing, move |client| release(client, id)).await?;
            "release"
        }
        "update" => {
            let now = admin.ask(async |client| webhook::find(client, id, Some(BOUND + 1)).await).await?;
            let wanted = webhook_form::update(&sent, &now).map_err(Failure::Undone)?;
            match wanted.is_empty() {
                true => "same",
                false => {
                    update(admin, viewer, id, "webhook update", wanted).await?;
                    "update"
                }
            }
        }
        "delete" => {
            let is_confirmed = sent.has("confirmed");
            let doing = Doing::webhook("webhook delete", id);
            let deleting = move |client| delete(client, id, is_confirmed);
            change(admin, viewer, doing, deleting).await?;
            admin.renew(id).await;
            return Ok(Redirect::to("/").into_response());
        }
        "test" => return test(admin, viewer, id, &sent).await,
        "rotate-secret" => return rotate(admin, viewer, id).await,
        "replay" => return replay(admin, viewer, id, &sent).await,
        _ => return Ok(StatusCode::NOT_FOUND.into_response()),
    };
    admin.renew(id).await;
    Ok(Redirect::to(&format!("/webhooks/{id}?done={key}")).into_response())
}

async fn pause(client: Client, id: WebhookId) -> Result<()> {
    pause::pause(&client, Some(&[id])).await
}

async fn resume(client: Client, id: WebhookId, discarding: bool) -> Result<()> {
    if discarding {
        pause::discard(&client, &[id]).await?;
    }
    pause::resume(&client, Some(&[id])).await
}

async fn retry(client: Client, id: WebhookId) -> Result<()> {
    webhook_change::retry_now(&client, id).await
}

async fn adopt(mut client: Client, id: WebhookId) -> Result<()> {
    adoption::adopt(&mut client, Some(&[id]), false).await.map(drop)
}

async fn release(mut client: Client, id: WebhookId) -> Result<()> {
    adoption::release(&mut client, Some(&[id])).await.map(drop)
}

async fn delete(mut client: Client, id: WebhookId, is_confirmed: bool) -> Result<()> {
    webhook_change::delete(&mut client, &[id], is_confirmed).await.map(drop)
}

async fn update(
    admin: &Arc<Admin>,
    viewer: &Viewer,
    id: WebhookId,
    what: &'static str,
    wanted: Update,
) -> Result<(), Failure> {
    let doing = Doing { detail: Some(wanted.named().join(", ")), ..Doing::webhook(what, id) };
    change(
        admin,
        viewer,
        doing,
        move |mut client| async move { webhook_change::update(&mut client, id, &wanted).await },
    )
    .await
}

/// Sends a sample, and shows the answer.
async fn test(admin: &Arc<Admin>, viewer: &Viewer, id: WebhookId, sent: &Sent) -> Result<Response, Failure> {
    let action: Action = sent.parsed("action").map_err(Failure::Undone)?.unwrap_or(Action::AnnotationCreated);
    let doing = Doing { detail: Some(action.to_string()), ..Doing::webhook("webhook test", id) };
    let own = Arc::clone(admin);
    let sending = move |client| async move { sample::send(&client, &own.settings, id, action).await };
    let sample::SampleAnswer { answer, bytes, shows_object } = change(admin, viewer, doing, sending).await?;
    let main = html! {
        h1 { "A test of " (action) " to webhook #" (id) }
        @match (&answer.error, answer.status) {
            (None, Some(status)) => p class="notice good" role="status" { "answer " (status) },
            (None, None) => p class="notice good" role="status" { "acknowledged" },
            (Some(error), _) => p class="notice bad" role="alert" { (error) },
        }
        p {
            (size(bytes)) " were sent" @if !shows_object { ", the action's name alone: there is no object to show" }
            "; it took " (milliseconds(i64::try_from(answer.duration.as_millis()).unwrap_or(i64::MAX))) "."
        }
        @if let Some(head) = answer.head.as_ref().filter(|head| !head.is_empty()) { h2 { "Response" } pre { (head) } }
        p { a href=(format!("/webhooks/{id}")) { "Back to the webhook" } }
    };
    Ok(page(admin, viewer, Here::Overview, "Test", &main))
}

/// Makes a new secret, and shows it once.
async fn rotate(admin: &Arc<Admin>, viewer: &Viewer, id: WebhookId) -> Result<Response, Failure> {
    let doing = Doing::webhook("webhook secret --rotate", id);
    let rotating = move |client| rotated(client, id);
    let secret = change(admin, viewer, doing, rotating).await?;
    let main = html! {
        h1 { "The new secret of webhook #" (id) }
        p class="notice good" role="status" { "The secret is shown once. For one day requests are signed with both secrets." }
        pre { (secret.secret) }
        p { a href=(format!("/webhooks/{id}")) { "Back to the webhook" } }
    };
    Ok(page(admin, viewer, Here::Overview, "New secret", &main))
}

async fn rotated(client: Client, id: WebhookId) -> Result<secret::Secret> {
    match secret::secrets(&client, id, true).await?.into_iter().next() {
        Some(secret) => Ok(secret),
        None => fail!(UnknownWebhook, "webhook {id} has no secret"),
    }
}

/// Replays a span of time, after it was said how much that is.
async fn replay(admin: &Arc<Admin>, viewer: &Viewer, id: WebhookId, sent: &Sent) -> Result<Response, Failure> {
    let filter = Filter {
        webhook: Some(id),
        action: sent.parsed("action").map_err(Failure::Undone)?,
        since: form::moment(sent.text("since")).map_err(Failure::Undone)?,
        until: form::moment(sent.text("until")).map_err(Failure::Undone)?,
        ..Filter::default()
    };
    if !sent.has("confirmed") {
        let counting =
            async |client: &Client| transition::apply(client, Transition::Replay, &[], &filter, true, |_| {}).await;
        let quantity = admin.ask(counting).await?;
        let span = match (filter.since, filter.until) {
            (Some(since), Some(until)) => format!("from {} until {}", moment(since), moment(until)),
            (Some(since), None) => format!("since {}", moment(since)),
            (None, Some(until)) => format!("before {}", moment(until)),
            (None, None) => "of all times".to_owned(),
        };
        let what = format!("Replay {} of webhook #{id} {span}", plural(quantity, "delivery", "deliveries"));
        let fields = ["since", "until", "action"].map(|name| (name, sent.text(name).to_owned()));
        return Ok(confirm(admin, viewer, &what, &format!("/webhooks/{id}/replay"), &fields));
    }
    let doing = Doing { detail: Some(filter.to_string()), ..Doing::webhook("delivery replay --webhook", id) };
    let replaying =
        move |client| async move { transition::apply(&client, Transition::Replay, &[], &filter, false, |_| {}).await };
    change(admin, viewer, doing, replaying).await?;
    admin.renew(id).await;
    Ok(Redirect::to(&format!("/webhooks/{id}?done=replay")).into_response())
}

fn transition_of(name: &str) -> Option<(Transition, &'static str, &'static str)> {
    match name {
        "retry" => Some((Transition::Retry, "delivery retry", "Retry")),
        "skip" => Some((Transition::Skip, "delivery skip", "Skip")),
        "replay" => Some((Transition::Replay, "delivery replay", "Replay")),
        _ => None,
    }
}

/// Retries, skips or replays a delivery.
pub async fn transition(
    State(admin): State<Arc<Admin>>,
    Extension(viewer): Extension<Viewer>,
    Path((id, name)): Path<(DeliveryId, String)>,
    _: Sent,
) -> Result<Response, Failure> {
    let Some((transition, what, _)) = transition_of(&name) else {
        return Ok(StatusCode::NOT_FOUND.into_response());
    };
    let doing = Doing { what, subject: format!("delivery {id}"), detail: None };
    let applying = move |client| async move { transition::apply_to(&client, transition, &[id]).await };
    change(&admin, &viewer, doing, applying).await?;
    Ok(Redirect::to(&format!("/deliveries/{id}?done={name}")).into_response())
}

/// Retries, skips or replays the deliveries that were ticked, after it was asked.
pub async fn bulk(
    State(admin): State<Arc<Admin>>,
    Extension(viewer): Extension<Viewer>,
    sent: Sent,
) -> Result<Response, Failure> {
    let Some((transition, what, name)) = transition_of(sent.text("transition")) else {
        return Ok(StatusCode::NOT_FOUND.into_response());
    };
    let ids: Vec<DeliveryId> = sent.all("id").iter().filter_map(|id| id.parse().ok()).collect();
    if ids.is_empty() {
        return Err(Failure::Undone(nothing_chosen()));
    }
    let quantity = plural(i64::try_from(ids.len()).unwrap_or(i64::MAX), "delivery", "deliveries");
    if !sent.has("confirmed") {
        let mut fields = vec![("transition", sent.text("transition").to_owned())];
        fields.extend(ids.iter().map(|id| ("id", id.to_string())));
        return Ok(confirm(&admin, &viewer, &format!("{name} {quantity}"), "/deliveries", &fields));
    }
    let listed: Vec<String> = ids.iter().map(DeliveryId::to_string).collect();
    let doing = Doing { what, subject: quantity, detail: Some(listed.join(", ")) };
    let applying = move |client| async move { transition::apply_to(&client, transition, &ids).await };
    let applied = change(&admin, &viewer, doing, applying).await?;
    let main = html! {
        h1 { (name) }
        p class="notice good" role="status" { (plural(applied, "delivery", "deliveries")) " changed." }
        p { a href="/deliveries" { "Back to the deliveries" } }
    };
    Ok(page(&admin, &viewer, Here::Deliveries, name, &main))
}

fn nothing_chosen() -> anyhow::Error {
    crate::error::Failure::new(crate::error::Code::Choice, "select deliveries first").into()
}
