//! Samples: a real, signed event, sent to a webhook at once. Nothing is recorded, and nothing is retried.

use std::time::Duration;

use anyhow::{Context, Result};
use bytes::Bytes;
use serde_json::{Value, json};
use tokio_postgres::Client;
use uuid::Uuid;

use super::{check_known, secret};
use crate::config::Settings;
use crate::deliver::{self, Answer, CloudEvent, Message, OptionCache};
use crate::model::{Action, Event, EventView, PayloadOptions, Scope, WebhookId};
use crate::pg::Statements;
use crate::pipeline::render::Renderer;

/// Somebody waits for the answer, also where the webhook may take longer.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(60);

/// What became of a sample.
pub struct SampleAnswer {
    /// What the endpoint answered.
    pub answer: Answer,
    /// Size of the body.
    pub bytes: usize,
    /// Whether there was an object to show; otherwise the body is the action's name alone.
    pub shows_object: bool,
}

/// Sends a sample of an action to a webhook.
///
/// # Errors
/// When there is no such webhook, or the database cannot be asked.
pub async fn send(client: &Client, settings: &Settings, webhook: WebhookId, action: Action) -> Result<SampleAnswer> {
    check_known(client, &[webhook]).await?;
    let secrets = secret::secrets(client, webhook, false).await?;
    let row = client.query_one(include_str!("../../sql/ops/webhook.sql"), &[&webhook]).await?;
    if row.get("is_pulled") {
        fail!(Choice, "nothing is sent to webhook {webhook}: consumers pull its events");
    }
    let sample = match row.get("send_payload") {
        true => sample(client, webhook, action, &settings.extra_fields).await?,
        false => None,
    };
    let shows_object = sample.is_some() || !row.get::<_, bool>("send_payload");
    let body = sample.unwrap_or_else(|| json!({ "action": action.name() }).to_string());
    let mut options = OptionCache::default().of(&Statements::default().on(client), webhook, row.get("url")).await?;
    options.answer_timeout = options.answer_timeout.map(|timeout| timeout.min(ANSWER_TIMEOUT));
    let id = Uuid::now_v7();
    let mut message = Message {
        url: row.get("url"),
        headers: row.get::<_, Option<Value>>("headers").unwrap_or_default(),
        id,
        scope: Scope::Organization,
        replay: None,
        cloudevent: CloudEvent::wanted(
            row.get("cloudevents"),
            id,
            action.name(),
            Scope::Organization,
            jiff::Timestamp::now(),
        ),
        traceparent: None,
        secrets: secrets.into_iter().map(|secret| secret.secret).collect(),
        options,
        body: Bytes::new(),
    };
    message.set_body(Bytes::from(body));
    let bytes = message.body.len();
    Ok(SampleAnswer { answer: deliver::send_at_once(settings, &message).await?, bytes, shows_object })
}

/// The action as it would be announced of the newest object that the webhook concerns.
async fn sample(
    client: &Client,
    webhook: WebhookId,
    action: Action,
    extra_fields: &[String],
) -> Result<Option<String>> {
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
    let event = Event::standalone(action, row.get("project_id"), vec![row.get("id")]);
    Ok(Renderer::new(extra_fields)
        .render(&Statements::default().on(client), &[EventView { event: &event, options: PayloadOptions::default() }])
        .await?
        .pop())
}
