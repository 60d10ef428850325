//! Dead letters, by webhook and by why they are dead, with what can be done about all of a kind.

use std::sync::Arc;

use axum::Extension;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use maud::{Markup, html};

use super::change::{Doing, change, confirm};
use super::form::Sent;
use super::shown::{ago, number, plural, sum};
use super::{Failure, Here, page, token};
use crate::admin::Admin;
use crate::admin::access::Viewer;
use crate::model::WebhookId;
use crate::ops::dead_letter::{self, ByReason, DeadLetters};
use crate::ops::transition::{self, Transition};

/// The page of dead letters.
pub async fn show(State(admin): State<Arc<Admin>>, Extension(viewer): Extension<Viewer>) -> Result<Response, Failure> {
    let (found, dead) = read(&admin).await?;
    let main = html! {
        h1 { "Dead letters" }
        p class="soft" { "Deliveries without further attempts, by reason. Dead deliveries are kept until they are replayed or discarded." }
        @if found.kinds.is_empty() { p { "No dead deliveries." } }
        @else {
            p { (sum(dead)) " are dead; of each webhook the newest " (number(found.of_each)) " are listed by reason." }
            @if found.left_out > 0 { p { "Those of " (number(found.left_out as i64)) " webhooks more are not listed." } }
            table class="cards" {
                caption class="hidden" { "Dead deliveries by reason" }
                thead { tr {
                    th scope="col" { "reason" } th scope="col" { "webhook" } th scope="col" class="number" { "deliveries" }
                    th scope="col" { "first" } th scope="col" { "last" } th scope="col" { "newest" }
                    @if viewer.may_write { th scope="col" { span class="hidden" { "actions" } } }
                } }
                tbody { @for letters in &found.kinds { (row(&viewer, letters)) } }
            }
        }
    };
    Ok(page(&admin, &viewer, Here::DeadLetters, "Dead letters", &main))
}

/// What is dead by reason, of the webhooks of which something is, and how much that is in all.
async fn read(admin: &Arc<Admin>) -> anyhow::Result<(ByReason, (i64, bool))> {
    let board = admin.board().await?;
    let dead = board.webhooks.iter().filter(|shown| shown.summary.dead > 0).map(|shown| shown.summary.id);
    let dead: Vec<WebhookId> = dead.collect();
    let found = admin.ask(async |client| dead_letter::by_reason(client, &dead).await).await?;
    Ok((found, board.sum(|summary| summary.dead)))
}

fn row(viewer: &Viewer, letters: &DeadLetters) -> Markup {
    html! {
        tr {
            td data-label="reason" class="bad" { (letters.reason) }
            td data-label="webhook" { a href=(format!("/webhooks/{}", letters.webhook_id)) { "#" (letters.webhook_id) } }
            td data-label="deliveries" class="number" { a href=(format!("/deliveries?state=dead&webhook={}", letters.webhook_id)) { (number(letters.deliveries)) } }
            td data-label="first" { (ago(letters.first_at)) }
            td data-label="last" { (ago(letters.last_at)) }
            td data-label="newest" { @if let Some(id) = letters.ids.first() { a href=(format!("/deliveries/{id}")) { "#" (id) } } }
            @if viewer.may_write {
                td { form class="buttons" method="post" action="/dead-letters" {
                    (token(&viewer.token))
                    input type="hidden" name="webhook" value=(letters.webhook_id);
                    input type="hidden" name="reason" value=(letters.reason);
                    button class="quiet" name="transition" value="replay" { "Replay" }
                    button class="quiet" name="transition" value="skip" { "Discard" }
                } }
            }
        }
    }
}

/// Replays or discards all that died of the same, after it was asked.
pub async fn change_all(
    State(admin): State<Arc<Admin>>,
    Extension(viewer): Extension<Viewer>,
    sent: Sent,
) -> Result<Response, Failure> {
    let (transition, what, name) = match sent.text("transition") {
        "replay" => (Transition::Replay, "delivery replay --state dead", "Replay"),
        "skip" => (Transition::Skip, "delivery skip --state dead", "Discard"),
        _ => return Ok(StatusCode::NOT_FOUND.into_response()),
    };
    let (webhook, reason) = (sent.parsed::<WebhookId>("webhook").map_err(Failure::Undone)?, sent.written("reason"));
    let of_webhook: Vec<WebhookId> = webhook.into_iter().collect();
    let found = admin.ask(async |client| dead_letter::by_reason(client, &of_webhook).await).await?;
    let Some(letters) = found.kinds.into_iter().find(|letters| letters.reason == reason) else {
        return Ok(Redirect::to("/dead-letters").into_response());
    };
    let quantity = plural(i64::try_from(letters.ids.len()).unwrap_or(i64::MAX), "dead delivery", "dead deliveries");
    let all = format!("{quantity} of webhook #{}: {reason}", letters.webhook_id);
    if !sent.has("confirmed") {
        let fields = ["transition", "webhook", "reason"].map(|name| (name, sent.written(name).to_owned()));
        return Ok(confirm(&admin, &viewer, &format!("{name} {all}"), "/dead-letters", &fields));
    }
    let doing = Doing { what, subject: format!("webhook {}", letters.webhook_id), detail: Some(all) };
    let ids = letters.ids;
    let applying = move |client| async move { transition::apply_to(&client, transition, &ids).await };
    change(&admin, &viewer, doing, applying).await?;
    admin.renew(letters.webhook_id).await;
    Ok(Redirect::to("/dead-letters").into_response())
}
