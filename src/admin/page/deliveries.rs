//! Deliveries in a list, and one in full.

use std::str::FromStr;
use std::sync::Arc;

use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use maud::{Markup, html};
use serde::Deserialize;
use strum::VariantNames;
use url::form_urlencoded::{Serializer, byte_serialize};

use super::{Admin, Failure, button, layout, moment, or_nothing, seen_url};
use crate::model::{Action, DeliveryId};
use crate::ops::delivery::{DeliveryDetail, DeliveryState, DeliverySummary, Filter, find, find_one};

/// Deliveries on one page.
const PAGE: i64 = 50;

/// Of a payload this much is shown.
const SHOWN_BYTES: usize = 200_000;

/// What to list.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Wanted {
    webhook: String,
    project: String,
    action: String,
    state: String,
    /// A delivery's number or webhook-id.
    search: String,
    before: Option<DeliveryId>,
}

impl Wanted {
    fn filter(&self) -> Result<Filter, String> {
        let chosen = |text: &str| Some(text.trim().to_owned()).filter(|text| !text.is_empty());
        let state = chosen(&self.state).map(|state| state.parse::<DeliveryState>()).transpose();
        Ok(Filter {
            webhook: number(&self.webhook)?,
            project: number(&self.project)?,
            action: chosen(&self.action).map(|action| action.parse()).transpose()?,
            state: state.map_err(|_| "there is no such state".to_owned())?,
            since: None,
            until: None,
        })
    }

    /// The same filter, of what is older than a delivery.
    fn older_than(&self, delivery: DeliveryId) -> String {
        let query = Serializer::new(String::new())
            .append_pair("webhook", &self.webhook)
            .append_pair("project", &self.project)
            .append_pair("action", &self.action)
            .append_pair("state", &self.state)
            .append_pair("before", &delivery.to_string())
            .finish();
        format!("/deliveries?{query}")
    }
}

/// An id that may be left out.
fn number<T: FromStr>(text: &str) -> Result<Option<T>, String> {
    match text.trim() {
        "" => Ok(None),
        text => text.parse().map(Some).map_err(|_| format!("{text} is no number")),
    }
}

/// Deliveries, filtered, the newest first.
pub async fn deliveries(State(admin): State<Arc<Admin>>, Query(wanted): Query<Wanted>) -> Result<Response, Failure> {
    if !wanted.search.trim().is_empty() {
        let search: String = byte_serialize(wanted.search.trim().as_bytes()).collect();
        return Ok(Redirect::to(&format!("/deliveries/{search}")).into_response());
    }
    let filter = match wanted.filter() {
        Ok(filter) => filter,
        Err(reason) => return Ok((StatusCode::BAD_REQUEST, format!("{reason}\n")).into_response()),
    };
    let found = admin.ask(async |client| find(client, &filter, wanted.before, PAGE).await).await?;
    let older = found.last().filter(|_| found.len() as i64 == PAGE).map(|last| wanted.older_than(last.id));
    let actions: Vec<&str> = Action::ALL.iter().map(|action| action.name()).collect();
    let main = html! {
        h1 { "Deliveries" }
        form class="filter" method="get" action="/deliveries" {
            label { "webhook " input name="webhook" inputmode="numeric" value=(wanted.webhook); }
            label { "project " input name="project" inputmode="numeric" value=(wanted.project); }
            label { "action " (choice("action", &actions, &wanted.action)) }
            label { "state " (choice("state", DeliveryState::VARIANTS, &wanted.state)) }
            label { "number or webhook-id " input name="search" type="search"; }
            button { "Show" }
        }
        @if found.is_empty() { p { "No matching deliveries." } }
        div class="wide" { table {
            thead { tr { th { "delivery" } th { "occurred" } th { "webhook" } th { "project" } th { "action" }
                         th { "objects" } th { "state" } th { "attempts" } th { "last answer" } } }
            tbody { @for each in &found { (row(each)) } }
        } }
        @if let Some(older) = older { p { a href=(older) { "older" } } }
    };
    Ok(layout("Deliveries", &main).into_response())
}

fn row(delivery: &DeliverySummary) -> Markup {
    html! {
        tr {
            td { a href=(format!("/deliveries/{}", delivery.id)) { (delivery.id) } }
            td { (moment(delivery.occurred_at)) }
            td { (delivery.webhook_id) }
            td { (delivery.project_id) }
            td { (delivery.action) }
            td { (delivery.objects) }
            td class=(delivery.state.name()) { (delivery.state.name()) }
            td { (delivery.attempts) }
            td { (or_nothing(delivery.last_status)) " " (or_nothing(delivery.last_error.as_ref())) }
        }
    }
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

/// One delivery with its attempts and its payload.
pub async fn delivery(State(admin): State<Arc<Admin>>, Path(id): Path<String>) -> Result<Response, Failure> {
    if id.parse::<i64>().is_err() && id.parse::<uuid::Uuid>().is_err() {
        return Ok((StatusCode::BAD_REQUEST, "neither the number of a delivery nor a webhook-id\n").into_response());
    }
    let found = admin.ask(async |client| find_one(client, &id).await).await?;
    let Some(found) = found else {
        let main = html! { h1 { "There is no delivery " (id) } p { "It may have been deleted after its retention." } };
        return Ok((StatusCode::NOT_FOUND, layout("Not found", &main)).into_response());
    };
    Ok(layout(&format!("Delivery {}", found.id), &in_full(&admin, &found)).into_response())
}

fn in_full(admin: &Admin, found: &DeliveryDetail) -> Markup {
    let DeliveryDetail { id, state, body, .. } = found;
    let end = (0..=SHOWN_BYTES.min(body.len())).rev().find(|end| body.is_char_boundary(*end)).unwrap_or_default();
    html! {
        h1 { "Delivery " (id) " " span class=(state.name()) { (state.name()) } }
        dl {
            dt { "action" } dd { (found.action) ", " (found.objects) " objects, project " (found.project_id) }
            dt { "webhook" } dd { "#" (found.webhook_id) " " (found.url.as_deref().map(|url| seen_url(admin, url)).unwrap_or_default()) }
            dt { "webhook-id" } dd { (found.message_id) }
            dt { "occurred" } dd { (moment(found.occurred_at)) }
            @if let Some(ended) = found.ended_at { dt { "ended" } dd { (moment(ended)) } }
            dt { "headers" } dd {
                @for name in &found.header_names { (name) ": (hidden) " }
                "webhook-id, webhook-timestamp, webhook-signature"
            }
        }
        @if admin.settings.admin.write {
            div class="buttons" {
                @if *state == DeliveryState::Pending {
                    (button(admin, &format!("/deliveries/{id}/retry"), "Retry now"))
                } @else {
                    (button(admin, &format!("/deliveries/{id}/replay"), "Replay"))
                }
                @if matches!(state, DeliveryState::Pending | DeliveryState::Dead) {
                    (button(admin, &format!("/deliveries/{id}/skip"), "Skip"))
                }
            }
        }
        h2 { "Attempts" }
        div class="wide" { table {
            thead { tr { th { "attempt" } th { "started" } th { "ms" } th { "status" } th { "error" } th { "answer" } th { "route" } } }
            tbody {
                @for attempt in &found.attempts {
                    tr {
                        td { (attempt.number) }
                        td { (moment(attempt.started_at)) }
                        td { (attempt.duration_ms) }
                        td { (or_nothing(attempt.status)) }
                        td { (or_nothing(attempt.error.as_ref())) }
                        td { (or_nothing(attempt.response_head.as_ref())) }
                        td { (attempt.route()) }
                    }
                }
            }
        } }
        h2 { "Payload" }
        p { (body.len()) " bytes" @if end < body.len() { ", of which the beginning is shown" } }
        pre { (body[..end]) }
    }
}
