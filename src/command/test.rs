//! `test`: a real, signed sample of an action, sent to a webhook at once.

use anyhow::{Context, Result};
use bytes::Bytes;
use serde_json::json;
use tokio_postgres::Client;
use uuid::Uuid;

use super::{Output, check_known};
use crate::database::Statements;
use crate::deliver::{self, Answer, CloudEvent, Message};
use crate::event::{Action, End, Event, Form, Shown};
use crate::render::Renderer;
use crate::settings::Settings;

/// Sends a sample and shows the answer. Nothing is recorded, and nothing is tried again.
///
/// # Errors
/// When there is no such webhook, or its endpoint did not take the sample.
pub async fn run(client: &Client, settings: &Settings, webhook: i64, action: Action, output: Output) -> Result<()> {
    let (answer, bytes) = send(client, settings, webhook, action).await?;
    let status = answer.status.map(|status| status.as_u16());
    let sentence = format!(
        "{action}, {bytes} bytes: {} after {} ms{}",
        match (status, &answer.error) {
            (Some(status), _) => format!("answer {status}"),
            (None, None) => "acknowledged".to_owned(),
            (None, Some(_)) => "no answer".to_owned(),
        },
        answer.duration.as_millis(),
        answer.head.as_deref().filter(|head| !head.is_empty()).map(|head| format!("\n{head}")).unwrap_or_default(),
    );
    output.say(
        &sentence,
        &json!({
            "webhook_id": webhook, "action": action.name(), "bytes": bytes, "status": status, "error": answer.error,
            "duration_ms": u64::try_from(answer.duration.as_millis()).unwrap_or(u64::MAX), "response_head": answer.head,
        }),
    );
    match answer.error {
        None => Ok(()),
        Some(error) => fail!(Endpoint, "webhook {webhook} did not take the sample: {error}"),
    }
}

/// Sends a sample; the answer, and the size of the body.
///
/// # Errors
/// When there is no such webhook, or the database cannot be asked.
pub async fn send(client: &Client, settings: &Settings, webhook: i64, action: Action) -> Result<(Answer, usize)> {
    check_known(client, &[webhook]).await?;
    client.execute(include_str!("../../sql/queue/ensure_secrets.sql"), &[&vec![webhook]]).await?;
    let row = client.query_one(include_str!("../../sql/ops/webhook.sql"), &[&webhook]).await?;
    let body = match row.get("send_payload") {
        true => sample(client, webhook, action, &settings.extra_fields).await?,
        false => None,
    };
    // Without an object to show, the action's name alone is what there is to say.
    let body = body.unwrap_or_else(|| json!({ "action": action.name() }).to_string());
    let secrets = client.query(include_str!("../../sql/ops/secrets.sql"), &[&webhook]).await?;
    let id = Uuid::now_v7();
    let mut message = Message {
        url: row.get("url"),
        headers: row.get::<_, Option<serde_json::Value>>("headers").unwrap_or_default(),
        id,
        project: 0,
        cloudevent: CloudEvent::wanted(row.get("cloudevents"), id, action.name(), 0, jiff::Timestamp::now()),
        secrets: secrets
            .iter()
            .filter_map(|row| row.get::<_, serde_json::Value>("row")["secret"].as_str().map(str::to_owned))
            .collect(),
        body: Bytes::new(),
    };
    message.set_body(Bytes::from(body));
    let bytes = message.body.len();
    Ok((deliver::send_at_once(settings, &message).await?, bytes))
}

/// The action as it would be announced of the newest object that the webhook concerns.
async fn sample(client: &Client, webhook: i64, action: Action, extra_fields: &[String]) -> Result<Option<String>> {
    let (any_project, after, one, newest_first): (Option<i64>, i64, i64, bool) = (None, 0, 1, true);
    let row = client
        .query_opt(
            include_str!("../../sql/ops/objects.sql"),
            &[&action.kind().name(), &webhook, &any_project, &after, &one, &newest_first],
        )
        .await
        .context("looking for a sample")?;
    let Some(row) = row else {
        return Ok(None);
    };
    let event = Event {
        action,
        project: row.get("project_id"),
        objects: vec![row.get("id")],
        organization: None,
        occurred_at: std::time::SystemTime::now(),
        transaction: 0,
        end: End::None,
        changed: Vec::new(),
    };
    Ok(Renderer::new(extra_fields)
        .render(&Statements::default().on(client), &[Shown { event: &event, form: Form::default() }])
        .await?
        .pop())
}
