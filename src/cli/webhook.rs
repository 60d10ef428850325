//! `lshookd webhook`: Label Studio's webhooks, and who delivers them.

mod arguments;

use std::path::PathBuf;

use anyhow::{Context, Result};
use serde::Serialize;
use serde_json::{Map, Value, json};
use tokio_postgres::Client;

use super::Output;
use crate::config::Settings;
use crate::deliver;
use crate::model::{Action, WebhookId};
use crate::ops::webhook::WebhookSummary;
use crate::ops::webhook_change::{self, LabelStudiosActions, NewWebhook, Update};
use crate::ops::{adoption, listed, pause, sample, secret, token, webhook};
pub use arguments::WebhookCommand;
use arguments::{Create, UpdateArgs, named};

/// Does it.
///
/// # Errors
/// As the operation has.
pub async fn run(client: &mut Client, settings: &Settings, command: WebhookCommand, output: Output) -> Result<()> {
    match command {
        WebhookCommand::List { limit } => list(client, limit, output).await,
        WebhookCommand::Create(new) => create(client, new, output).await,
        WebhookCommand::Update(changes) => update(client, &changes, output).await,
        WebhookCommand::Delete { ids, yes } => delete(client, &ids, yes, output).await,
        WebhookCommand::Adopt { chosen, force } => adopt(client, settings, chosen.ids(), force, output).await,
        WebhookCommand::Release(chosen) => release(client, chosen.ids(), output).await,
        WebhookCommand::Pause(chosen) => {
            pause::pause(client, chosen.ids()).await?;
            let sentence = format!("Deliveries of {} are paused; events are still recorded.", named(chosen.ids()));
            output.say(&sentence, &json!({ "paused": chosen.ids(), "all": chosen.all }));
            Ok(())
        }
        WebhookCommand::Resume { chosen, discard } => {
            // Before they are resumed, lest any of it is still delivered.
            let discarded = if discard { pause::discard(client, &chosen.ids).await? } else { 0 };
            pause::resume(client, chosen.ids()).await?;
            let also = if discard { format!("; {discarded} that waited are skipped") } else { String::new() };
            let sentence = format!("Deliveries of {} are resumed{also}.", named(chosen.ids()));
            output.say(&sentence, &json!({ "resumed": chosen.ids(), "all": chosen.all, "discarded": discarded }));
            Ok(())
        }
        WebhookCommand::Test { id, action } => test(client, settings, id, action, output).await,
        WebhookCommand::Token { id, revoke, .. } => set_token(client, id, revoke, output).await,
        WebhookCommand::Secret { id, rotate } => {
            let columns = [("secret", "SECRET"), ("created_at", "CREATED"), ("expires_at", "EXPIRES")];
            output.table(&secret::secrets(client, id, rotate).await?, &columns, "The webhook has no secret.");
            Ok(())
        }
    }
}

const COLUMNS: &[(&str, &str)] = &[
    ("id", "ID"),
    ("scope", "SCOPE"),
    ("url", "URL"),
    ("all_actions", "ACTIONS"),
    ("delivered_by", "DELIVERED BY"),
    ("paused", "PAUSED"),
    ("pending", "PENDING"),
    ("dead", "DEAD"),
    ("last_delivered_at", "LAST DELIVERED"),
    ("last_error", "LAST ERROR"),
];

/// A table of more than this is for nobody to read.
const READABLE: u32 = 100;

/// A webhook as it is listed.
#[derive(Serialize)]
struct ListedWebhook {
    #[serde(flatten)]
    webhook: WebhookSummary,
    scope: String,
    all_actions: String,
}

async fn list(client: &Client, limit: Option<u32>, output: Output) -> Result<()> {
    let mut ids = webhook::ids(client).await?;
    let all = ids.len();
    if let Some(limit) = limit.or((!output.json).then_some(READABLE)) {
        ids.truncate(usize::try_from(limit)?);
    }
    // All of them are read by themselves, and not by their numbers.
    let chosen = (ids.len() < all).then_some(ids.as_slice());
    let listed = |webhook: WebhookSummary| {
        let (scope, all_actions) = (webhook.scope(), webhook.all_actions());
        ListedWebhook { webhook, scope, all_actions }
    };
    let rows: Vec<ListedWebhook> = webhook::list(client, chosen, None).await?.into_iter().map(listed).collect();
    output.table(&rows, COLUMNS, "Label Studio has no webhooks; `lshookd webhook create` creates one.");
    if ids.len() < all && !output.json {
        say!("\n{} of {all} webhooks; `lshookd webhook list --limit {all}` lists all.", ids.len());
    }
    Ok(())
}

async fn create(client: &mut Client, new: Create, output: Output) -> Result<()> {
    let headers = new.headers_file.as_ref().map(read_headers).transpose()?.unwrap_or_default();
    let new = NewWebhook {
        payload: new.payload.choice(),
        delivery: new.delivery.choice(),
        send_payload: new.payload.send_payload.unwrap_or(true),
        url: new.url,
        project: new.project,
        organization: new.organization,
        actions: new.actions,
        headers,
        beside_label_studio: new.beside_label_studio,
    };
    let in_binary_mode = new.payload.cloudevents.as_deref() == Some("binary");
    for name in deliver::ineffective_headers(&Value::Object(new.headers.clone()), in_binary_mode) {
        output.warn(&format!("the header {name} has no effect: lshookd sets it itself"));
    }
    let webhook_change::Created { id, token } = webhook_change::create(client, &new).await?;
    match token {
        None => {
            let sentence = format!(
                "Webhook {id} is created; `lshookd webhook secret {id}` shows the secret that signs its requests."
            );
            output.say(&sentence, &json!({ "id": id }));
        }
        Some(token) => {
            let sentence = format!(
                "Webhook {id} is created. Consumers pull its events by this token, which is not shown again:\n{}",
                token.text()
            );
            output.say(&sentence, &json!({ "id": id, "token": token.text() }));
        }
    }
    Ok(())
}

async fn set_token(client: &Client, id: WebhookId, revoke: bool, output: Output) -> Result<()> {
    if revoke {
        token::revoke(client, id).await?;
        output.say(
            &format!("Nobody can pull from webhook {id} until it has a new token."),
            &json!({ "id": id, "token": null }),
        );
        return Ok(());
    }
    let token = token::rotate(client, id).await?;
    let sentence =
        format!("Consumers pull from webhook {id} by this token, which is not shown again:\n{}", token.text());
    output.say(&sentence, &json!({ "id": id, "token": token.text() }));
    Ok(())
}

async fn update(client: &mut Client, changes: &UpdateArgs, output: Output) -> Result<()> {
    let id = changes.id;
    let change = Update {
        url: changes.url.clone(),
        headers: changes.headers_file.as_ref().map(read_headers).transpose()?,
        actions: changes.actions.as_deref().map(label_studios_actions).transpose()?,
        additional_actions: changes.additional_actions.as_deref().map(additional_actions).transpose()?,
        send_payload: changes.payload.send_payload,
        payload: changes.payload.choice(),
        delivery: changes.delivery.choice(),
        is_active: changes.state.as_deref().map(|state| state == "active"),
    };
    webhook_change::update(client, id, &change).await?;
    output.say(&format!("Webhook {id} is updated."), &json!({ "id": id }));
    Ok(())
}

fn label_studios_actions(names: &[String]) -> Result<LabelStudiosActions> {
    match names {
        [all] if all.eq_ignore_ascii_case("all") => Ok(LabelStudiosActions::All),
        names => Ok(LabelStudiosActions::Chosen(actions(names, "all")?)),
    }
}

fn additional_actions(names: &[String]) -> Result<Vec<Action>> {
    match names {
        [none] if none.eq_ignore_ascii_case("none") => Ok(Vec::new()),
        names => actions(names, "none"),
    }
}

fn actions(names: &[String], alone: &str) -> Result<Vec<Action>> {
    let mut actions = Vec::new();
    for name in names {
        match name.parse::<Action>() {
            Ok(action) => actions.push(action),
            Err(_) => fail!(Choice, "{alone} stands alone, without other actions"),
        }
    }
    Ok(actions)
}

fn read_headers(path: &PathBuf) -> Result<Map<String, Value>> {
    let text = std::fs::read_to_string(path).with_context(|| format!("reading {}", path.display()))?;
    webhook_change::parse_headers(&text)
}

async fn delete(client: &mut Client, ids: &[WebhookId], yes: bool, output: Output) -> Result<()> {
    let webhook_change::Deletion { cancelled } = webhook_change::delete(client, ids, yes).await?;
    let sentence = format!("Webhook {} is deleted; {cancelled} pending deliveries are cancelled.", listed(ids));
    output.say(&sentence, &json!({ "deleted": ids, "cancelled": cancelled }));
    Ok(())
}

/// Adopts webhooks, or with `None` all that Label Studio delivers.
///
/// # Errors
/// As [`adoption::adopt`].
pub async fn adopt(
    client: &mut Client,
    settings: &Settings,
    ids: Option<&[WebhookId]>,
    force: bool,
    output: Output,
) -> Result<()> {
    let obstacles = adoption::obstacles(client, settings, ids).await?;
    if !output.json {
        for (webhook, reason) in &obstacles {
            output.warn(&format!("webhook {webhook} will get nothing until this is changed: {reason}"));
        }
    }
    let adopted = adoption::adopt(client, ids, force).await?;
    let sentence = match adopted.as_slice() {
        [] => "Label Studio delivers no webhook; there is nothing to adopt.".to_owned(),
        adopted => {
            format!("lshookd alone delivers webhook {} now; Label Studio shows it as inactive.", listed(adopted))
        }
    };
    let obstacles: Vec<Value> =
        obstacles.iter().map(|(webhook, reason)| json!({ "webhook_id": webhook, "reason": reason })).collect();
    output.say(&sentence, &json!({ "adopted": adopted, "obstacles": obstacles }));
    Ok(())
}

async fn release(client: &mut Client, ids: Option<&[WebhookId]>, output: Output) -> Result<()> {
    let released = adoption::release(client, ids).await?;
    let sentence = match released.as_slice() {
        [] => "None of these webhooks is adopted; there is nothing to release.".to_owned(),
        released => {
            format!("Label Studio delivers webhook {} again; lshookd delivers what occurred before.", listed(released))
        }
    };
    output.say(&sentence, &json!({ "released": released }));
    Ok(())
}

async fn test(client: &Client, settings: &Settings, webhook: WebhookId, action: Action, output: Output) -> Result<()> {
    let sample::SampleAnswer { answer, bytes, shows_object } = sample::send(client, settings, webhook, action).await?;
    let status = answer.status.map(|status| status.as_u16());
    let sentence = format!(
        "{action}, {bytes} bytes{}: {} after {} ms{}",
        if shows_object { "" } else { " (there is no object to show, so the action's name alone)" },
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
            "webhook_id": webhook, "action": action.name(), "bytes": bytes, "shows_object": shows_object,
            "status": status, "error": answer.error,
            "duration_ms": u64::try_from(answer.duration.as_millis()).unwrap_or(u64::MAX), "response_head": answer.head,
        }),
    );
    match answer.error {
        None => Ok(()),
        Some(error) => fail!(Endpoint, "webhook {webhook} did not take the sample: {error}"),
    }
}
