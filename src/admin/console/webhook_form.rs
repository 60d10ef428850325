//! Forms of a webhook's settings, and what they change: what a field names, and nothing that stays as it is.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use axum::Extension;
use axum::extract::State;
use axum::response::{IntoResponse, Redirect, Response};
use maud::{Markup, html};
use serde_json::Map;
use url::Url;

use super::change::{Doing, change};
use super::form::Sent;
use super::{Failure, Here, page, token};
use crate::admin::Admin;
use crate::admin::access::Viewer;
use crate::model::Action;
use crate::ops::webhook::{DeliveredBy, WebhookInFull};
use crate::ops::webhook_change::{self, Created, LabelStudiosActions, NewWebhook, Update, parse_headers};
use crate::ops::webhook_option::{DeliveryChoice, Manner, PauseAfter, PayloadChoice, parse_rate, rate_text};

/// Who delivers, in words.
pub fn delivered_by(by: DeliveredBy) -> &'static str {
    match by {
        DeliveredBy::Lshookd => "lshookd",
        DeliveredBy::LabelStudio => "Label Studio",
        DeliveredBy::Both => "Label Studio and lshookd",
        DeliveredBy::Nobody => "nobody (disabled)",
    }
}

/// How a webhook is now, for a form to begin with.
struct Now<'a> {
    manner: Option<&'a Manner>,
    actions: Option<&'a [String]>,
    additional_actions: &'a [String],
    send_payload: bool,
    enrich_deletions: bool,
    previous: bool,
    cloudevents: Option<&'a str>,
}

fn requests(now: &Now<'_>) -> Markup {
    let shown = |seconds: Option<f64>| seconds.map(duration).unwrap_or_default();
    let manner = now.manner;
    let of = |part: fn(&Manner) -> Option<f64>| shown(manner.and_then(part));
    let pauses = manner.and_then(|manner| manner.retry_schedule_seconds.as_ref());
    let pauses = pauses.map(|pauses| pauses.iter().map(|pause| duration(*pause)).collect::<Vec<_>>().join(", "));
    let pause_after = match manner.and_then(|manner| manner.pause_after_seconds) {
        None => String::new(),
        Some(0.0) => "off".to_owned(),
        Some(after) => duration(after),
    };
    html! {
        fieldset {
            legend { "Requests" }
            p class="soft" { "An empty field uses the default of lshookd's settings." }
            (field("connect_timeout", "Connect timeout", "5s", &of(|manner| manner.connect_timeout_seconds)))
            (field("answer_timeout", "Answer timeout", "10m", &of(|manner| manner.answer_timeout_seconds)))
            (field("retry_schedule", "Retry schedule; after the last attempt the delivery is dead", "5s, 1m, 10m", &pauses.unwrap_or_default()))
            (field("maximum_age", "Maximum age; older deliveries are dead", "1d", &of(|manner| manner.maximum_age_seconds)))
            (field("rate_limit", "Rate limit", "20/s", &manner.and_then(|manner| manner.rate_limit).map(rate_text).unwrap_or_default()))
            (field("concurrency", "Maximum requests in flight", "4", &manner.and_then(|manner| manner.concurrency).map(|most| most.to_string()).unwrap_or_default()))
            (field("proxy", "Proxy, or direct", "http://proxy:3128", manner.and_then(|manner| manner.proxy.as_deref()).unwrap_or_default()))
            (field("pause_after", "Pause after failing for, or off", "5d", &pause_after))
            (check("await_answer", "Wait for the answer (off: a request that was sent completely counts as delivered)", manner.is_none_or(|manner| manner.await_answer)))
        }
    }
}

fn events(now: &Now<'_>) -> Markup {
    let has = |list: &[String], action: Action| list.iter().any(|listed| listed == action.name());
    html! {
        fieldset {
            legend { "Label Studio's actions" }
            (check("every_action", "All actions, future actions included", now.actions.is_none()))
            div class="columns" {
                @for action in Action::ALL.iter().copied().filter(|action| action.is_label_studios()) {
                    (option("actions", action, now.actions.is_none_or(|listed| has(listed, action))))
                }
            }
        }
        fieldset {
            legend { "Additional actions" }
            div class="columns" {
                @for action in Action::ALL.iter().copied().filter(|action| !action.is_label_studios()) {
                    (option("additional_actions", action, has(now.additional_actions, action)))
                }
            }
        }
        fieldset {
            legend { "Payload" }
            (check("send_payload", "Send objects (off: the action's name only)", now.send_payload))
            (check("enrich_deletions", "Enrich deletions with the deleted objects", now.enrich_deletions))
            (check("previous", "Include the previous state in updates", now.previous))
            label { "CloudEvents"
                select name="cloudevents" {
                    @for mode in ["off", "binary", "structured"] { option selected[now.cloudevents.unwrap_or("off") == mode] { (mode) } }
                }
            }
        }
    }
}

fn option(name: &str, action: Action, is_chosen: bool) -> Markup {
    html! { label class="check" { input type="checkbox" name=(name) value=(action.name()) checked[is_chosen]; (action.name()) } }
}

fn field(name: &str, label: &str, example: &str, value: &str) -> Markup {
    html! { label { (label) input name=(name) value=(value) placeholder=(example); } }
}

fn check(name: &str, label: &str, is_checked: bool) -> Markup {
    html! { label class="check" { input type="checkbox" name=(name) value="yes" checked[is_checked]; (label) } }
}

fn duration(seconds: f64) -> String {
    humantime::format_duration(Duration::try_from_secs_f64(seconds).unwrap_or_default()).to_string()
}

/// The form of a webhook's settings.
pub fn edit(viewer: &Viewer, WebhookInFull { summary, detail }: &WebhookInFull) -> Markup {
    let now = Now {
        manner: Some(&summary.manner),
        actions: summary.actions.as_deref(),
        additional_actions: &summary.additional_actions,
        send_payload: summary.send_payload,
        enrich_deletions: detail.enrich_deletions,
        previous: detail.previous,
        cloudevents: detail.cloudevents.as_deref(),
    };
    html! {
        details {
            summary { "Change the settings" }
            form class="fields" method="post" action=(format!("/webhooks/{}/update", summary.id)) {
                (token(&viewer.token))
                fieldset {
                    legend { "Destination" }
                    label { "New URL (empty: unchanged)" input name="url" type="text" inputmode="url" autocomplete="off" placeholder="https://trainer.example.com/hook"; }
                    label { "New headers, one " code { "Name: value" } " per line, replacing all headers (empty: unchanged)"
                        textarea name="headers" rows="3" autocomplete="off" spellcheck="false" {} }
                    (check("no_headers", "Remove all headers", false))
                }
                (requests(&now))
                (events(&now))
                button class="main" { "Save" }
            }
        }
    }
}

/// The form of a new webhook.
pub async fn new(State(admin): State<Arc<Admin>>, Extension(viewer): Extension<Viewer>) -> Response {
    let now = Now {
        manner: None,
        actions: None,
        additional_actions: &[],
        send_payload: true,
        enrich_deletions: false,
        previous: false,
        cloudevents: None,
    };
    let main = html! {
        h1 { "Create a webhook" }
        form class="fields" method="post" action="/webhooks" {
            (token(&viewer.token))
            fieldset {
                legend { "Destination" }
                label { "URL (http, https, nats or pull:)" input name="url" type="text" inputmode="url" required placeholder="https://trainer.example.com/hook"; }
                label { "Project ID (empty: every project)" input name="project" inputmode="numeric"; }
                label { "Organization ID, if there are several" input name="organization" inputmode="numeric"; }
                label { "Headers, one " code { "Name: value" } " per line" textarea name="headers" rows="3" spellcheck="false" {} }
            }
            (requests(&now))
            (events(&now))
            button class="main" { "Create" }
        }
    };
    page(&admin, &viewer, Here::Overview, "Create a webhook", &main)
}

/// How requests are made, of a form that has every field.
fn delivery(sent: &Sent, now: Option<&Manner>) -> Result<DeliveryChoice> {
    let time = |name: &str| -> Result<Option<Duration>> {
        match sent.text(name) {
            "" => Ok(Some(Duration::ZERO)),
            text => Ok(Some(humantime::parse_duration(text).with_context(|| name.replace('_', " "))?)),
        }
    };
    let pauses = sent.text("retry_schedule").split(',').map(str::trim).filter(|pause| !pause.is_empty());
    let pauses: Result<Vec<_>, _> = pauses.map(humantime::parse_duration).collect();
    let rate = match sent.text("rate_limit") {
        "" => Ok(0.0),
        text => parse_rate(text),
    };
    let proxy = match sent.text("proxy") {
        "" => Some("default".to_owned()),
        // It was shown without its credentials, which stay.
        proxy if now.and_then(|now| now.proxy.as_deref()) == Some(proxy) => None,
        proxy => Some(proxy.to_owned()),
    };
    let pause_after = match sent.text("pause_after") {
        "" => Ok(PauseAfter::AsSet),
        text => text.parse(),
    };
    let explained = |error: String| anyhow::anyhow!(error);
    Ok(DeliveryChoice {
        connect_timeout: time("connect_timeout")?,
        answer_timeout: time("answer_timeout")?,
        await_answer: Some(sent.has("await_answer")),
        retry_schedule: Some(pauses.context("pauses between attempts")?),
        maximum_age: time("maximum_age")?,
        rate_limit: Some(rate.map_err(explained).context("requests in a time")?),
        concurrency: Some(sent.parsed::<u16>("concurrency")?.unwrap_or(0).into()),
        proxy,
        pause_after: Some(pause_after.map_err(explained).context("paused when it has only failed for")?),
    })
}

/// What of a choice differs from how it is: nothing else is written.
fn changed(mut choice: DeliveryChoice, now: &Manner) -> DeliveryChoice {
    let seconds = |time: Option<Duration>| time.map(|time| time.as_secs_f64()).filter(|time| *time > 0.0);
    if seconds(choice.connect_timeout) == now.connect_timeout_seconds {
        choice.connect_timeout = None;
    }
    if seconds(choice.answer_timeout) == now.answer_timeout_seconds {
        choice.answer_timeout = None;
    }
    if seconds(choice.maximum_age) == now.maximum_age_seconds {
        choice.maximum_age = None;
    }
    if choice.await_answer == Some(now.await_answer) {
        choice.await_answer = None;
    }
    let pauses: Option<Vec<f64>> =
        choice.retry_schedule.as_ref().map(|pauses| pauses.iter().map(Duration::as_secs_f64).collect());
    if pauses.filter(|pauses| !pauses.is_empty()) == now.retry_schedule_seconds {
        choice.retry_schedule = None;
    }
    // It is shown rounded to how people write it.
    if choice.rate_limit.filter(|rate| *rate > 0.0).map(rate_text) == now.rate_limit.map(rate_text) {
        choice.rate_limit = None;
    }
    if choice.concurrency.filter(|most| *most > 0) == now.concurrency {
        choice.concurrency = None;
    }
    if now.proxy.is_none() && choice.proxy.as_deref() == Some("default") {
        choice.proxy = None;
    }
    let as_now = match now.pause_after_seconds {
        None => PauseAfter::AsSet,
        Some(0.0) => PauseAfter::Never,
        Some(after) => PauseAfter::Time(Duration::try_from_secs_f64(after).unwrap_or_default()),
    };
    if choice.pause_after == Some(as_now) {
        choice.pause_after = None;
    }
    choice
}

fn actions(sent: &Sent, name: &str) -> Result<Vec<Action>> {
    sent.all(name).into_iter().map(|action| action.parse::<Action>().map_err(|error| anyhow::anyhow!(error))).collect()
}

/// What a form changes of a webhook.
///
/// # Errors
/// When a field cannot be read.
pub fn update(sent: &Sent, WebhookInFull { summary, detail }: &WebhookInFull) -> Result<Update> {
    let url = match sent.text("url") {
        "" => None,
        // What is wrong with it may be a secret in it.
        text => Some(Url::parse(text).map_err(|error| anyhow::anyhow!("the URL: {error}"))?),
    };
    let headers = match (sent.has("no_headers"), sent.text("headers")) {
        (true, _) => Some(Map::new()),
        (false, "") => None,
        (false, text) => Some(parse_headers(text)?),
    };
    let chosen = match sent.has("every_action") {
        true => LabelStudiosActions::All,
        false => LabelStudiosActions::Chosen(actions(sent, "actions")?),
    };
    let is_as_before = match (&chosen, &summary.actions) {
        (LabelStudiosActions::All, None) => true,
        (LabelStudiosActions::Chosen(chosen), Some(now)) => {
            chosen.len() == now.len() && chosen.iter().all(|action| now.iter().any(|now| now == action.name()))
        }
        _ => false,
    };
    let additional = actions(sent, "additional_actions")?;
    let is_same = additional.len() == summary.additional_actions.len()
        && additional.iter().all(|action| summary.additional_actions.iter().any(|now| now == action.name()));
    let differs = |name: &str, now: bool| Some(sent.has(name)).filter(|wanted| *wanted != now);
    let cloudevents = sent.text("cloudevents").to_owned();
    Ok(Update {
        url,
        headers,
        actions: (!is_as_before).then_some(chosen),
        additional_actions: (!is_same).then_some(additional),
        send_payload: differs("send_payload", summary.send_payload),
        payload: PayloadChoice {
            enrich_deletions: differs("enrich_deletions", detail.enrich_deletions),
            previous: differs("previous", detail.previous),
            cloudevents: Some(cloudevents).filter(|mode| mode != detail.cloudevents.as_deref().unwrap_or("off")),
        },
        delivery: changed(delivery(sent, Some(&summary.manner))?, &summary.manner),
        is_active: None,
    })
}

/// Creates a webhook.
pub async fn create(
    State(admin): State<Arc<Admin>>,
    Extension(viewer): Extension<Viewer>,
    sent: Sent,
) -> Result<Response, Failure> {
    let url = Url::parse(sent.text("url")).map_err(|error| anyhow::anyhow!("the URL: {error}"));
    let read = || -> Result<NewWebhook> {
        let mut wanted = actions(&sent, "additional_actions")?;
        if !sent.has("every_action") {
            wanted.extend(actions(&sent, "actions")?);
        } else if !wanted.is_empty() {
            // With additional actions, all of Label Studio's are named one by one.
            wanted.extend(Action::ALL.iter().filter(|action| action.is_label_studios()));
        }
        let is_of_project = sent.has("project");
        wanted.retain(|action| !is_of_project || !action.organization_only() || !action.is_label_studios());
        let url = url?;
        let is_requested = url.as_str() != crate::pull::URL;
        let as_settings = Manner::default();
        Ok(NewWebhook {
            url,
            project: sent.parsed("project")?,
            organization: sent.parsed("organization")?,
            actions: wanted,
            headers: parse_headers(sent.text("headers"))?,
            send_payload: sent.has("send_payload"),
            payload: PayloadChoice {
                enrich_deletions: Some(true).filter(|_| sent.has("enrich_deletions")),
                previous: Some(true).filter(|_| sent.has("previous")),
                cloudevents: Some(sent.text("cloudevents").to_owned()).filter(|mode| mode != "off" && !mode.is_empty()),
            },
            delivery: match is_requested {
                true => changed(delivery(&sent, None)?, &as_settings),
                false => DeliveryChoice::default(),
            },
            beside_label_studio: false,
        })
    };
    let new = read().map_err(Failure::Undone)?;
    let doing = Doing { what: "webhook create", subject: String::new(), detail: new.url.host_str().map(str::to_owned) };
    let Created { id, token } =
        change(
            &admin,
            &viewer,
            doing,
            move |mut client| async move { webhook_change::create(&mut client, &new).await },
        )
        .await?;
    admin.renew(id).await;
    let Some(token) = token else {
        return Ok(Redirect::to(&format!("/webhooks/{id}?done=created")).into_response());
    };
    let main = html! {
        h1 { "Webhook #" (id) " is created" }
        p { "Consumers pull events with this token, which is not shown again:" }
        pre { (token.text()) }
        p { a href=(format!("/webhooks/{id}")) { "To the webhook" } }
    };
    Ok(page(&admin, &viewer, Here::Overview, "Created", &main))
}
