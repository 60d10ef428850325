//! Rules: those in force, one to look at, try on recorded events and change.

use std::sync::Arc;

use anyhow::{Context, Result};
use axum::Extension;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Redirect, Response};
use maud::{Markup, html};
use serde_json::Value;
use tokio_postgres::Client;

use super::change::{Doing, change};
use super::form::Sent;
use super::shown::{number, plural};
use super::{Failure, Here, page, token};
use crate::admin::Admin;
use crate::admin::access::Viewer;
use crate::ops::rule::{self, RuleInForce, Trial};

/// A rule is tried on so many events, the newest.
const TRIED: i64 = 20;

const NEW: &str = r#"[[rule]]
name = "train-after-a-hundred"
webhook = 1
actions = ["ANNOTATION_CREATED"]
condition = "event.annotation.lead_time > 2"
threshold = 100
"#;

/// The rules in force.
pub async fn list(State(admin): State<Arc<Admin>>, Extension(viewer): Extension<Viewer>) -> Result<Response, Failure> {
    let rules = admin.ask(async |client| rule::in_force(client).await).await?;
    let text = |rule: &RuleInForce, key: &str| rule.rule[key].as_str().unwrap_or_default().to_owned();
    let main = html! {
        h1 { "Rules" @if viewer.may_write { a class="aside" href="/rules/new" { "Create a rule" } } }
        p class="soft" { "Which events of a webhook are delivered, as what, and how often." }
        @if rules.is_empty() { p { "No rules: every webhook receives its events unchanged." } }
        @else {
            table class="cards" {
                caption class="hidden" { "Rules in force" }
                thead { tr { th scope="col" { "rule" } th scope="col" { "webhook" } th scope="col" { "actions" } th scope="col" { "condition" } th scope="col" { "pace" } th scope="col" class="number" { "throttled now" } } }
                tbody {
                    @for rule in &rules {
                        tr {
                            td data-label="rule" { a href=(path(&text(rule, "name"))) { (text(rule, "name")) } }
                            td data-label="webhook" { a href=(format!("/webhooks/{}", rule.rule["webhook"])) { "#" (rule.rule["webhook"]) } }
                            td data-label="actions" { (actions(&rule.rule)) }
                            td data-label="condition" { code { (text(rule, "condition")) } }
                            td data-label="pace" { (rule::pace(&rule.rule)) }
                            td data-label="throttled now" class="number" { (number(rule.throttled)) }
                        }
                    }
                }
            }
        }
    };
    Ok(page(&admin, &viewer, Here::Rules, "Rules", &main))
}

fn path(name: &str) -> String {
    format!("/rules/{}", percent_encoding::utf8_percent_encode(name, percent_encoding::NON_ALPHANUMERIC))
}

fn actions(rule: &Value) -> String {
    let named: Vec<&str> = rule["actions"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    if named.is_empty() { "all".to_owned() } else { named.join(", ") }
}

/// A form for a new rule.
pub async fn new(State(admin): State<Arc<Admin>>, Extension(viewer): Extension<Viewer>) -> Response {
    let main = html! { h1 { "Create a rule" } (editor(&viewer, NEW, None)) };
    page(&admin, &viewer, Here::Rules, "Create a rule", &main)
}

/// One rule.
pub async fn show(
    State(admin): State<Arc<Admin>>,
    Extension(viewer): Extension<Viewer>,
    Path(name): Path<String>,
) -> Result<Response, Failure> {
    let text = admin.ask(async |client| written(client, &name).await).await?;
    let main = html! {
        h1 { "Rule " (name) }
        (editor(&viewer, &text, None))
        @if viewer.may_write {
            details {
                summary { "Delete the rule" }
                form class="fields" method="post" action=(path(&name)) {
                    (token(&viewer.token))
                    p { "Deletes the rule, its counts and its throttled events." }
                    label class="check" { input type="checkbox" name="confirmed" value="yes" required; "Delete the rule" }
                    button class="danger" { "Delete" }
                }
            }
        }
    };
    Ok(page(&admin, &viewer, Here::Rules, &name, &main))
}

/// A rule in force, as a file would write it.
async fn written(client: &Client, name: &str) -> Result<String> {
    let rules = rule::in_force(client).await?;
    match rules.into_iter().find(|rule| rule.rule["name"] == name) {
        Some(rule) => rule::to_toml(&rule.rule).context("writing the rule as TOML"),
        None => fail!(Choice, "there is no rule {name}"),
    }
}

fn editor(viewer: &Viewer, text: &str, tried: Option<&Result<Vec<Trial>, String>>) -> Markup {
    html! {
        @match tried {
            None => {},
            Some(Err(why)) => p class="notice bad" role="alert" { (why) },
            Some(Ok(trials)) => @for trial in trials { (outcome(trial)) },
        }
        @if viewer.may_write {
            form class="fields wide" method="post" action="/rules" {
                (token(&viewer.token))
                label { "Rule in TOML" textarea class="code" name="text" rows="18" spellcheck="false" required { (text) } }
                div class="buttons" {
                    button name="do" value="test" { "Test on recorded events" }
                    button class="main" name="do" value="save" { "Save" }
                }
            }
        } @else { pre tabindex="0" { (text) } }
    }
}

fn outcome(trial: &Trial) -> Markup {
    html! {
        div class=(if trial.error.is_some() { "notice bad" } else { "notice good" }) role="status" {
            p { strong { (trial.name) } ": " (trial.matched) " of the newest " (plural(trial.events as i64, "event", "events")) " of the webhook match." }
            @if let Some(error) = &trial.error { p { (error) } }
            @if let Some(body) = &trial.body { details { summary { "Body of the newest match" } pre { (body) } } }
        }
    }
}

/// Tries rules on recorded events, or saves them.
pub async fn save(
    State(admin): State<Arc<Admin>>,
    Extension(viewer): Extension<Viewer>,
    sent: Sent,
) -> Result<Response, Failure> {
    let text = sent.written("text").replace("\r\n", "\n");
    let rules = match rule::parse_text(&text) {
        Ok(rules) => rules,
        Err(error) => return Ok(again(&admin, &viewer, &text, &Err(format!("{error:#}")))),
    };
    if sent.text("do") != "save" {
        let tried = admin.ask(async |client| rule::try_out(client, &rules, TRIED, None).await).await?;
        return Ok(again(&admin, &viewer, &text, &Ok(tried)));
    }
    let names: Vec<String> = rules.iter().map(|rule| rule.name.clone()).collect();
    let doing = Doing { what: "rule apply", subject: names.join(", "), detail: None };
    let applying = move |mut client| async move { rule::apply(&mut client, &rules, false, false).await };
    match change(&admin, &viewer, doing, applying).await {
        Ok(_) => {
            Ok(Redirect::to(&names.first().map_or_else(|| "/rules".to_owned(), |name| path(name))).into_response())
        }
        Err(Failure::Undone(error)) => Ok(again(&admin, &viewer, &text, &Err(format!("{error:#}")))),
        Err(other) => Err(other),
    }
}

fn again(admin: &Admin, viewer: &Viewer, text: &str, tried: &Result<Vec<Trial>, String>) -> Response {
    let main = html! { h1 { "Rule" } (editor(viewer, text, Some(tried))) };
    page(admin, viewer, Here::Rules, "Rule", &main)
}

/// Deletes a rule.
pub async fn delete(
    State(admin): State<Arc<Admin>>,
    Extension(viewer): Extension<Viewer>,
    Path(name): Path<String>,
    sent: Sent,
) -> Result<Response, Failure> {
    if !sent.has("confirmed") {
        return Ok(Redirect::to(&path(&name)).into_response());
    }
    let doing = Doing { what: "rule delete", subject: format!("rule {name}"), detail: None };
    let deleting = move |mut client| async move { rule::delete(&mut client, &[name]).await };
    change(&admin, &viewer, doing, deleting).await?;
    Ok(Redirect::to("/rules").into_response())
}
