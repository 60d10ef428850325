//! Deliveries in a list: found by what is known of them, a page at a time in both directions.

use std::sync::Arc;

use axum::Extension;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use maud::{Markup, html};
use serde::Deserialize;
use strum::VariantNames;
use url::form_urlencoded::{Serializer, byte_serialize};

use super::form::{moment, parsed};
use super::shown::{ago, number};
use super::{Failure, Here, failed, page, token};
use crate::admin::Admin;
use crate::admin::access::Viewer;
use crate::model::{Action, DeliveryId, Scope, WebhookId};
use crate::ops::delivery::{DeliveryState, DeliverySummary, Filter};
use crate::ops::search::{self, Page, Place, Search};

/// Deliveries on one page.
const PAGE: usize = 50;

/// What to list.
#[derive(Debug, Default, Clone, Deserialize)]
#[serde(default)]
pub struct Wanted {
    /// A webhook's number, or a part of its host or its project's title.
    webhook: String,
    project: String,
    action: String,
    state: String,
    since: String,
    until: String,
    /// A text of the body, such as `"id":17`.
    text: String,
    /// A delivery's number or webhook-id.
    search: String,
    before: Option<DeliveryId>,
    after: Option<DeliveryId>,
    ended: String,
    since_ended: String,
    /// A project and a number.
    pending: String,
    pending_before: String,
}

impl Wanted {
    fn search(&self, webhook: Option<WebhookId>) -> anyhow::Result<Search> {
        let chosen = |text: &str| Some(text.trim().to_owned()).filter(|text| !text.is_empty());
        let state = chosen(&self.state).map(|state| state.parse::<DeliveryState>()).transpose();
        let Ok(state) = state else {
            fail!(Choice, "there is no such state; the states are {}", DeliveryState::VARIANTS.join(", "));
        };
        Ok(Search {
            filter: Filter {
                webhook,
                action: parsed("action", &self.action)?,
                project: parsed("project", &self.project)?,
                state,
                since: moment(self.since.trim())?,
                until: moment(self.until.trim())?,
            },
            text: chosen(&self.text),
        })
    }

    fn place(&self) -> anyhow::Result<Place> {
        let places = [
            self.before.map(Place::Before),
            self.after.map(Place::After),
            pending(&self.pending, Place::PendingAfter)?,
            pending(&self.pending_before, Place::PendingBefore)?,
            parsed("ended", &self.ended)?.map(Place::EndedBefore),
            parsed("since_ended", &self.since_ended)?.map(Place::EndedAfter),
        ];
        Ok(places.into_iter().flatten().next().unwrap_or(Place::Top))
    }

    fn at(&self, place: Place) -> String {
        let mut query = Serializer::new(String::new());
        for (name, value) in [
            ("webhook", &self.webhook),
            ("project", &self.project),
            ("action", &self.action),
            ("state", &self.state),
            ("since", &self.since),
            ("until", &self.until),
            ("text", &self.text),
        ] {
            if !value.is_empty() {
                query.append_pair(name, value);
            }
        }
        match place {
            Place::Top => &mut query,
            Place::Before(id) => query.append_pair("before", &id.to_string()),
            Place::After(id) => query.append_pair("after", &id.to_string()),
            Place::PendingAfter(scope, id) => query.append_pair("pending", &format!("{scope}~{id}")),
            Place::PendingBefore(scope, id) => query.append_pair("pending_before", &format!("{scope}~{id}")),
            Place::EndedBefore(at) => query.append_pair("ended", &at.to_string()),
            Place::EndedAfter(at) => query.append_pair("since_ended", &at.to_string()),
        };
        format!("/deliveries?{}", query.finish())
    }
}

fn pending(text: &str, place: impl Fn(Scope, DeliveryId) -> Place) -> anyhow::Result<Option<Place>> {
    match text.split_once('~') {
        None => Ok(None),
        Some((scope, id)) => {
            Ok(parsed("pending", scope)?.zip(parsed("pending", id)?).map(|(scope, id)| place(scope, id)))
        }
    }
}

/// Answers with the list.
pub async fn show(
    State(admin): State<Arc<Admin>>,
    Extension(viewer): Extension<Viewer>,
    Query(wanted): Query<Wanted>,
) -> Result<Response, Failure> {
    if !wanted.search.trim().is_empty() {
        let search: String = byte_serialize(wanted.search.trim().as_bytes()).collect();
        return Ok(Redirect::to(&format!("/deliveries/{search}")).into_response());
    }
    let named = match wanted.webhook.trim() {
        "" => Vec::new(),
        text => match text.trim_start_matches('#').parse() {
            // It may be deleted, and its deliveries still there.
            Ok(id) => vec![id],
            Err(_) => admin.board().await?.named(text),
        },
    };
    if named.is_empty() && !wanted.webhook.trim().is_empty() {
        return Ok(failed(StatusCode::NOT_FOUND, "No webhook", "No webhook matches by host or project title."));
    }
    if named.len() > 1 {
        return Ok(which(&admin, &viewer, &wanted, &named));
    }
    let search = wanted.search(named.first().copied())?;
    let place = wanted.place()?;
    let found = admin.ask(async |client| search::page(client, &search, place, PAGE).await).await?;
    let main = html! {
        h1 { "Deliveries" }
        (filter(&wanted))
        (list(&viewer, &wanted, &found))
    };
    Ok(page(&admin, &viewer, Here::Deliveries, "Deliveries", &main))
}

fn filter(wanted: &Wanted) -> Markup {
    html! {
        form class="filter" method="get" action="/deliveries" role="search" {
            label { "Webhook" input name="webhook" value=(wanted.webhook) placeholder="number, host or project"; }
            label { "Project" input name="project" inputmode="numeric" value=(wanted.project) placeholder="number"; }
            (action_choice("action", &wanted.action))
            label { "State" (choice("state", DeliveryState::VARIANTS, &wanted.state)) }
            label { "Occurred since (UTC)" input name="since" type="datetime-local" step="1" value=(wanted.since); }
            label { "and before" input name="until" type="datetime-local" step="1" value=(wanted.until); }
            label { "Text in the payload" input name="text" value=(wanted.text) placeholder="\"id\":17"; }
            label { "Number or webhook-id" input name="search" type="search"; }
            button class="main" { "Show" }
            a href="/deliveries" { "Clear" }
        }
    }
}

fn list(viewer: &Viewer, wanted: &Wanted, found: &Page) -> Markup {
    let may_write = viewer.may_write && !found.deliveries.is_empty();
    html! {
        @if found.deliveries.is_empty() {
            p { @if found.is_partial { "No match so far." } @else { "No matching deliveries." } }
        } @else if may_write {
            form method="post" action="/deliveries" {
                (token(&viewer.token))
                (table(&found.deliveries, true))
                div class="buttons" role="group" aria-label="Actions on selected deliveries" {
                    span class="soft" { "Selected:" }
                    button name="transition" value="retry" { "Retry now" }
                    button name="transition" value="replay" { "Replay" }
                    button name="transition" value="skip" { "Skip" }
                    button type="button" class="quiet" data-tick hidden { "Select all" }
                }
            }
        } @else {
            (table(&found.deliveries, false))
        }
        nav class="pages" aria-label="Pages of deliveries" {
            @if let Some(newer) = found.newer { a href=(wanted.at(newer)) rel="prev" { "newer" } }
            @if let Some(older) = found.older {
                a href=(wanted.at(older)) rel="next" { @if found.is_partial && found.deliveries.len() < PAGE { "continue search" } @else { "older" } }
            }
        }
    }
}

/// Several webhooks have what was asked for.
fn which(admin: &Admin, viewer: &Viewer, wanted: &Wanted, named: &[WebhookId]) -> Response {
    const MAXIMUM: usize = 100;
    let main = html! {
        h1 { "Which webhook?" }
        p { (number(named.len() as i64)) " webhooks have " strong { (wanted.webhook) } " in their host or their project's title." }
        ul {
            @for id in named.iter().take(MAXIMUM) {
                @let one = Wanted { webhook: id.to_string(), ..wanted.clone() };
                li { a href=(one.at(Place::Top)) { "webhook #" (id) } }
            }
        }
        @if named.len() > MAXIMUM { p { "The first hundred are listed." } }
    };
    page(admin, viewer, Here::Deliveries, "Which webhook?", &main)
}

/// A table of deliveries, with boxes to tick where something can be done about them.
pub fn table(deliveries: &[DeliverySummary], may_tick: bool) -> Markup {
    html! {
        table class="cards" {
            caption class="hidden" { "Deliveries" }
            thead { tr {
                @if may_tick { th scope="col" { span class="hidden" { "chosen" } } }
                th scope="col" { "delivery" } th scope="col" { "occurred" } th scope="col" { "webhook" } th scope="col" { "project" }
                th scope="col" class="number" { "objects" } th scope="col" { "state" } th scope="col" class="number" { "attempts" }
                th scope="col" { "last answer" }
            } }
            tbody { @for each in deliveries { (row(each, may_tick)) } }
        }
    }
}

fn row(delivery: &DeliverySummary, may_tick: bool) -> Markup {
    html! {
        tr {
            @if may_tick { td { label class="tick" { input type="checkbox" name="id" value=(delivery.id); span class="hidden" { "delivery " (delivery.id) } } } }
            td data-label="delivery" { a href=(format!("/deliveries/{}", delivery.id)) { (delivery.action) " #" (delivery.id) } }
            td data-label="occurred" { (ago(delivery.occurred_at)) }
            td data-label="webhook" { a href=(format!("/webhooks/{}", delivery.webhook_id)) { "#" (delivery.webhook_id) } }
            td data-label="project" { (scope(delivery.project_id)) }
            td data-label="objects" class="number" { (number(delivery.objects.into())) }
            td data-label="state" { (badge(delivery.state)) }
            td data-label="attempts" class="number" { (delivery.attempts) }
            td data-label="last answer" { (answer(delivery.last_status, delivery.last_error.as_deref())) }
        }
    }
}

/// Where something happened.
pub fn scope(scope: Scope) -> Markup {
    html! { @match scope.project() { Some(project) => (project), None => "organization" } }
}

/// The state, in its color.
pub fn badge(state: DeliveryState) -> Markup {
    let class = match state {
        DeliveryState::Delivered => "good",
        DeliveryState::Dead => "bad",
        DeliveryState::Pending => "plain",
        DeliveryState::Cancelled | DeliveryState::Skipped => "warn",
    };
    html! { span class=(format!("badge {class}")) { (state.name()) } }
}

/// What an endpoint answered: the reason says the status where there was one.
pub fn answer(status: Option<i16>, error: Option<&str>) -> Markup {
    html! {
        @match (status, error) {
            (_, Some(error)) => (error),
            (Some(status), None) => { "HTTP " (status) },
            (None, None) => "",
        }
    }
}

/// A choice among all actions.
pub fn action_choice(name: &str, chosen: &str) -> Markup {
    let actions: Vec<&str> = Action::ALL.iter().map(|action| action.name()).collect();
    html! { label { "Action" (choice(name, &actions, chosen)) } }
}

fn choice(name: &str, options: &[&str], chosen: &str) -> Markup {
    html! {
        select name=(name) {
            option value="" { "any" }
            @for option in options { option value=(option) selected[*option == chosen] { (option) } }
        }
    }
}
