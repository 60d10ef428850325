//! Operational events: what operators should hear of lshookd's own operation, for the webhooks that have chosen
//! [`Action::OperationalEvent`]. They are queued and go through rules as other events do.
//!
//! Promises: each is told once, also across restarts; a webhook is told nothing of itself, and deliveries of these events
//! are told of by none. Relies on `lshookd.operation`, which the transaction that stores an event keeps up.

use std::time::SystemTime;

use anyhow::{Context, Result};
use jiff::Timestamp;
use serde::Serialize;
use tokio_postgres::{GenericClient, Row};

use super::interruption::Told;
use super::rule::{Rule, RuleOutput, Rulebook};
use super::webhook::rules;
use crate::model::{Action, Event, Scope, WebhookId};
use crate::pg::Prepared;
use crate::queue::Addressed;

/// What an operator hears.
#[derive(Debug, Clone, PartialEq, Serialize)]
struct Operation {
    /// Counted since 1970 in microseconds: no two of a kind and webhook are the same.
    id: i64,
    /// What it is, such as `webhook-failing`; `docs/operational-events.md` lists them.
    kind: String,
    /// A sentence for people.
    message: String,
    /// `webhook.id`, where it is about one.
    webhook: Option<WebhookId>,
    /// How many, where it is about several.
    quantity: Option<i64>,
    /// Since when.
    since: Option<Timestamp>,
    /// Why, in the words of whom it happened to.
    reason: Option<String>,
}

#[derive(Serialize)]
struct Body<'a> {
    action: &'static str,
    operation: &'a Operation,
}

impl Operation {
    fn from_row(row: &Row, now: Timestamp) -> Operation {
        let mut operation = Operation {
            id: now.as_microsecond(),
            kind: row.get("kind"),
            message: String::new(),
            webhook: row.get("webhook_id"),
            quantity: row.get("quantity"),
            since: row.get("since"),
            reason: row.get("reason"),
        };
        operation.message = operation.sentence();
        operation
    }

    fn sentence(&self) -> String {
        let webhook = self.webhook.map(|WebhookId(id)| format!("webhook {id}")).unwrap_or_default();
        let since =
            self.since.map(|since| format!(" since {}", since.strftime("%Y-%m-%d %H:%M:%S UTC"))).unwrap_or_default();
        let reason = self.reason.as_ref().map(|reason| format!(": {reason}")).unwrap_or_default();
        let quantity = self.quantity.unwrap_or_default();
        match self.kind.as_str() {
            "webhook-failing" => format!("{webhook} only fails{since}{reason}"),
            "webhook-recovered" => format!("{webhook} takes deliveries again"),
            "webhook-paused" => format!("{webhook} is paused by lshookd, for it had only failed{since}"),
            "webhook-resumed" => format!("{webhook} is resumed"),
            "delivery-dead" if quantity == 1 => format!("1 delivery to {webhook} is dead{since}{reason}"),
            "delivery-dead" => format!("{quantity} deliveries to {webhook} are dead{since}, the last{reason}"),
            "capture-failed" if quantity == 1 => format!("1 change could not be captured{since}{reason}"),
            "capture-failed" => format!("{quantity} changes could not be captured{since}, the last{reason}"),
            "changes-set-aside" if quantity == 1 => format!("1 change cannot be planned and is set aside{reason}"),
            "changes-set-aside" => format!("{quantity} changes cannot be planned and are set aside, the last{reason}"),
            "takeover" => format!("a daemon became active as {}{since}", self.reason.as_deref().unwrap_or_default()),
            "backlog" => format!("more than {} deliveries are pending", quantity.saturating_sub(1)),
            "backlog-over" => "the backlog of deliveries is over".to_owned(),
            "disk-full" => format!("PostgreSQL had no disk space{since}, and changes waited{reason}"),
            "interrupted" => format!("changes waited for the planner{since}{reason}"),
            "changes-waiting" => format!("changes wait to be planned{since}"),
            kind => format!("{kind} {webhook}{since}{reason}"),
        }
    }
}

/// A webhook that wants to hear of it.
struct Operator {
    id: WebhookId,
    send_payload: bool,
    rules: Vec<Rule>,
}

/// What operators should hear now; noted as told, as part of the caller's transaction, which stores it.
///
/// # Errors
/// When the database refuses.
pub async fn report(
    database: &Prepared<'_, impl GenericClient>,
    rulebook: &mut Rulebook,
    backlog: i64,
    interruption: Option<&Told>,
) -> Result<Vec<Addressed>> {
    let operators = operators(database).await?;
    if operators.is_empty() {
        database.execute("delete from lshookd.operation", &[]).await.context("forgetting what was told")?;
        return Ok(Vec::new());
    }
    let kind = interruption.map(|told| told.kind);
    let since = interruption.map(|told| SystemTime::from(told.since));
    let reason = interruption.map(|told| &told.reason);
    let query = include_str!("../../sql/plan/operational_events.sql");
    let rows = database.query(query, &[&backlog, &kind, &since, &reason]).await;
    let now = Timestamp::now();
    let mut addressed = Vec::new();
    for row in rows.context("looking for what operators should hear")? {
        let operation = Operation::from_row(&row, now);
        tracing::debug!(kind = operation.kind, "an operational event");
        for operator in operators.iter().filter(|operator| Some(operator.id) != operation.webhook) {
            addressed.extend(address(database, rulebook, operator, &operation).await?);
        }
    }
    Ok(addressed)
}

async fn operators(database: &Prepared<'_, impl GenericClient>) -> Result<Vec<Operator>> {
    let rows = database.query(include_str!("../../sql/plan/operator_webhooks.sql"), &[]).await;
    let operator = |row: &Row| Operator {
        id: row.get("webhook_id"),
        send_payload: row.get("send_payload"),
        rules: rules(row.get("rules")),
    };
    Ok(rows.context("reading who hears of operational events")?.iter().map(operator).collect())
}

/// An event for an operator: as it is, or as the rules that govern it make it.
async fn address(
    database: &Prepared<'_, impl GenericClient>,
    rulebook: &mut Rulebook,
    operator: &Operator,
    operation: &Operation,
) -> Result<Vec<Addressed>> {
    let action = Action::OperationalEvent;
    let event =
        Event { occurred_at: SystemTime::now(), ..Event::standalone(action, Scope::Organization, vec![operation.id]) };
    let body =
        serde_json::to_string(&Body { action: action.name(), operation }).context("writing an operational event")?;
    let governing: Vec<&Rule> = operator.rules.iter().filter(|rule| rule.governs(action.name())).collect();
    if governing.is_empty() {
        let body = Some(body).filter(|_| operator.send_payload);
        return Ok(vec![Addressed::new(&event, vec![operator.id], body)]);
    }
    let outputs = rulebook.apply(database, &governing, &event, &body).await?;
    let written =
        |RuleOutput { action, body }| Addressed { action, ..Addressed::new(&event, vec![operator.id], Some(body)) };
    Ok(outputs.into_iter().map(written).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn people_read_a_sentence() {
        let of = |kind: &str, webhook, quantity, reason: Option<&str>| {
            let operation = Operation {
                id: 1,
                kind: kind.to_owned(),
                message: String::new(),
                webhook,
                quantity,
                since: Some("2026-11-29T12:00:00Z".parse().unwrap()),
                reason: reason.map(str::to_owned),
            };
            operation.sentence()
        };
        assert_eq!(
            of("webhook-failing", Some(WebhookId(7)), None, Some("the endpoint answered 500")),
            "webhook 7 only fails since 2026-11-29 12:00:00 UTC: the endpoint answered 500"
        );
        assert_eq!(
            of("delivery-dead", Some(WebhookId(7)), Some(3), Some("410 Gone")),
            "3 deliveries to webhook 7 are dead since 2026-11-29 12:00:00 UTC, the last: 410 Gone"
        );
        assert_eq!(of("backlog", None, Some(100_001), None), "more than 100000 deliveries are pending");
        assert_eq!(
            of("takeover", None, None, Some("planner")),
            "a daemon became active as planner since 2026-11-29 12:00:00 UTC"
        );
    }
}
