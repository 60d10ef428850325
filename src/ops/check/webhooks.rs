//! What is wrong with webhooks, their endpoints and their rules.

use std::time::SystemTime;

use anyhow::Result;
use jiff::Timestamp;
use serde_json::Value;
use tokio::try_join;
use tokio_postgres::Client;

use super::finding::Findings;
use crate::config::Egress;
use crate::deliver::{self, Reachability};
use crate::model::WebhookId;
use crate::ops::webhook_option::{self, WebhookManner};
use crate::ops::{NAMED, adoption, joined, listed, rule};
use crate::pipeline::rule::Rule;

/// Webhooks that only fail, and those that are paused for it.
pub async fn failing(client: &Client) -> Result<Findings> {
    let mut findings = Findings::default();
    for row in client.query(include_str!("../../../sql/ops/failing_webhooks.sql"), &[]).await? {
        let WebhookId(id) = row.get("webhook_id");
        let since = Timestamp::try_from(row.get::<_, SystemTime>("since"))?;
        match row.get("is_paused") {
            true => findings.warn(
                "paused-failing",
                format!("webhook {id} is paused by lshookd: it had only failed since {since}"),
                format!(
                    "fix its endpoint, then `lshookd webhook resume {id}` delivers what waited, and with --discard \
                     only what comes"
                ),
            ),
            false => findings.warn(
                "only-fails",
                format!("webhook {id} has only failed since {since}, and will be paused"),
                format!("fix its endpoint; `lshookd webhook test {id}` tries it"),
            ),
        }
    }
    Ok(findings)
}

/// Who delivers what.
pub async fn adoptions(client: &Client) -> Result<Findings> {
    let mut findings = Findings::default();
    let row = client.query_one(include_str!("../../../sql/ops/released_webhooks.sql"), &[]).await?;
    let (released, delivered_twice): (Vec<WebhookId>, Vec<WebhookId>) =
        (row.get("released"), row.get("delivered_twice"));
    if !released.is_empty() {
        findings.warn(
            "released",
            format!("webhook {} is released: Label Studio delivers it, lshookd does not", listed(&released)),
            format!("`lshookd webhook adopt {}` adopts it again", arguments(&released, "ID ...")),
        );
    }
    for row in client.query(include_str!("../../../sql/ops/disabled_webhooks.sql"), &[]).await? {
        let (webhook, pending): (WebhookId, i64) = (row.get("webhook_id"), row.get("pending"));
        findings.warn(
            "disabled",
            format!("webhook {webhook} is disabled: nobody delivers its {pending} pending deliveries"),
            format!(
                "`lshookd webhook update {webhook} --state active` delivers them, `lshookd delivery skip --webhook \
                 {webhook}` ends them"
            ),
        );
    }
    for (webhook, actions) in adoption::unknown_actions(client, None).await? {
        findings.warn(
            "unknown-actions",
            format!("webhook {webhook} asks for actions that lshookd does not have: {}", actions.join(", ")),
            "leave it to Label Studio: `lshookd webhook release ID` where it is adopted",
        );
    }
    match delivered_twice.is_empty() {
        true => findings.ok("delivered-twice", "no webhook is delivered twice"),
        false => findings.warn(
            "delivered-twice",
            format!("Label Studio and lshookd both deliver webhook {}", listed(&delivered_twice)),
            format!("`lshookd webhook adopt {}` leaves it to lshookd alone", arguments(&delivered_twice, "--all")),
        ),
    }
    Ok(findings)
}

/// Endpoints that get nothing, headers without effect, and how requests are made.
pub async fn endpoints(client: &Client, egress: &Egress) -> Result<Findings> {
    let mut findings = Findings::default();
    let headers = async { Ok(client.query(include_str!("../../../sql/ops/webhook_headers.sql"), &[]).await?) };
    let reachability = Reachability::read(client, egress);
    let (manners, headers, reachability) = try_join!(webhook_option::unusual_manners(client), headers, reachability)?;
    for WebhookManner { id, manner } in manners {
        findings.ok("delivery-options", format!("webhook {id} is {manner}"));
    }
    for row in headers {
        let headers: Value = row.get("headers");
        let ineffective = deliver::ineffective_headers(&headers, row.get("in_binary_mode"));
        if !ineffective.is_empty() {
            findings.warn(
                "headers",
                format!("webhook {}: its headers {} have no effect", row.get::<_, i64>("id"), ineffective.join(", ")),
                "lshookd sets them itself: take them out of the webhook",
            );
        }
    }
    for (webhook, reason) in &reachability.refused {
        findings.fail(
            "endpoint-refused",
            format!("webhook {webhook}: {reason}"),
            "add its network or name to the setting allow and restart the daemon; what is pending is delivered then",
        );
    }
    if let [(_, reason), ..] = reachability.unknown.as_slice() {
        let webhooks: Vec<WebhookId> = reachability.unknown.iter().map(|(webhook, _)| *webhook).collect();
        findings.warn(
            "endpoint-unknown",
            format!("the endpoint of webhook {} is not found: {reason}", listed(&webhooks)),
            "correct the webhook's URL, or what resolves names for this machine; deliveries are retried",
        );
    }
    Ok(findings)
}

/// Rules that were written by SQL and cannot be used.
pub async fn rules(client: &Client) -> Result<Findings> {
    let mut findings = Findings::default();
    for rule::RuleInForce { rule, .. } in rule::in_force(client).await? {
        let wrong = Rule::from_row(&rule.to_string()).and_then(|rule| rule.check()).err();
        if let Some(error) = wrong {
            findings.fail(
                "rule",
                format!("rule {} of webhook {}: {error:#}", rule["name"], rule["webhook"]),
                "its events are delivered as if there were no rule; fix it in lshookd.rule, or by `lshookd rule apply`",
            );
        }
    }
    Ok(findings)
}

/// Ids as a command takes them, or what stands for so many that nobody would type them.
fn arguments(ids: &[WebhookId], of_many: &str) -> String {
    match ids.len() > NAMED {
        true => of_many.to_owned(),
        false => joined(ids, " "),
    }
}
