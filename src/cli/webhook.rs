//! `lshookd webhook`: Label Studio's webhooks, and who delivers them.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result};
use clap::{Args, Subcommand};
use serde::Serialize;
use serde_json::{Map, Value, json};
use tokio_postgres::Client;
use url::Url;

use super::Output;
use crate::config::Settings;
use crate::deliver;
use crate::model::{Action, WebhookId};
use crate::ops::webhook::WebhookSummary;
use crate::ops::webhook_change::{self, LabelStudiosActions, NewWebhook, Update};
use crate::ops::webhook_option::{DeliveryChoice, PauseAfter, PayloadChoice, parse_rate};
use crate::ops::{adoption, joined, listed, pause, sample, secret, token, webhook};

/// What to do with webhooks.
#[derive(Debug, Subcommand)]
pub enum WebhookCommand {
    /// List webhooks: who delivers each, what is pending, and what fails
    #[command(after_help = "Example: lshookd webhook list --json")]
    List {
        /// Maximum number of webhooks, by their numbers [default: 100; all with --json]
        #[arg(long, short = 'n', value_parser = clap::value_parser!(u32).range(1..))]
        limit: Option<u32>,
    },
    /// Create a webhook of a project or of the organization, delivered by lshookd alone
    #[command(after_help = "Example: lshookd webhook create https://trainer.example.com/hook --project 7 \
                            --actions ANNOTATION_CREATED,ANNOTATION_UPDATED")]
    Create(Create),
    /// Change what is named of a webhook, and nothing else
    #[command(
        after_help = "Examples: lshookd webhook update 12 --additional-actions TASKS_COMPLETED --enrich-deletions\n          \
                            lshookd webhook update 12 --url https://trainer.example.com/new --state disabled"
    )]
    Update(UpdateArgs),
    /// Delete webhooks; their pending deliveries are cancelled
    #[command(after_help = "Example: lshookd webhook delete 12 --yes")]
    Delete {
        /// Webhooks, by their number in Label Studio
        #[arg(required = true, value_name = "ID")]
        ids: Vec<WebhookId>,
        /// Confirm: cancel pending deliveries
        #[arg(long)]
        yes: bool,
    },
    /// Deliver webhooks in Label Studio's place; Label Studio shows them as inactive
    #[command(after_help = "Example: lshookd webhook adopt --all")]
    Adopt {
        #[command(flatten)]
        chosen: Chosen,
        /// Adopt also webhooks that ask for actions which lshookd does not have, and which nobody delivers then
        #[arg(long)]
        force: bool,
    },
    /// Give adopted webhooks back to Label Studio
    #[command(after_help = "Example: lshookd webhook release 12")]
    Release(Chosen),
    /// Hold back the deliveries of webhooks
    #[command(after_help = "Example: lshookd webhook pause 12")]
    Pause(Chosen),
    /// Resume the deliveries of paused webhooks
    #[command(after_help = "Example: lshookd webhook resume --all")]
    Resume {
        #[command(flatten)]
        chosen: Chosen,
        /// Skip what waits, and deliver only what happens from now on
        #[arg(long, conflicts_with = "all")]
        discard: bool,
    },
    /// Send a real, signed sample of an action to a webhook, and show the answer
    #[command(after_help = "Example: lshookd webhook test 12 --action TASKS_CREATED")]
    Test {
        /// The webhook, by its number in Label Studio
        id: WebhookId,
        /// The action to send
        #[arg(long, short, default_value = "ANNOTATION_CREATED", value_parser = super::action())]
        action: Action,
    },
    /// Show the secrets that a webhook's requests are signed with, or rotate them
    #[command(after_help = "Example: lshookd webhook secret 12 --rotate")]
    Secret {
        /// The webhook, by its number in Label Studio
        id: WebhookId,
        /// Create a new secret; for a day requests are signed with the old one, too
        #[arg(long)]
        rotate: bool,
    },
    /// Rotate or revoke the token by which consumers pull a webhook's events
    #[command(after_help = "Example: lshookd webhook token 12 --rotate")]
    Token {
        /// The webhook, by its number in Label Studio
        id: WebhookId,
        /// Create a new token, and show it once; the old one opens nothing any more
        #[arg(long, required_unless_present = "revoke")]
        rotate: bool,
        /// Take the token from whoever has it, and create none
        #[arg(long, conflicts_with = "rotate")]
        revoke: bool,
    },
}

impl WebhookCommand {
    /// What it changes, and of what, if it changes something.
    pub fn change(&self) -> Option<(&'static str, String)> {
        let one = |id: &WebhookId| format!("webhook {id}");
        Some(match self {
            WebhookCommand::List { .. } | WebhookCommand::Secret { rotate: false, .. } => return None,
            // A path, and whoever is named before it, may be secrets.
            WebhookCommand::Create(new) => ("webhook create", new.url.host_str().unwrap_or("pull:").to_owned()),
            WebhookCommand::Update(changes) => ("webhook update", one(&changes.id)),
            WebhookCommand::Delete { ids, .. } => ("webhook delete", named(Some(ids))),
            WebhookCommand::Adopt { chosen, .. } => ("webhook adopt", named(chosen.ids())),
            WebhookCommand::Release(chosen) => ("webhook release", named(chosen.ids())),
            WebhookCommand::Pause(chosen) => ("webhook pause", named(chosen.ids())),
            WebhookCommand::Resume { chosen, discard: false } => ("webhook resume", named(chosen.ids())),
            WebhookCommand::Resume { chosen, discard: true } => ("webhook resume --discard", named(chosen.ids())),
            WebhookCommand::Test { id, .. } => ("webhook test", one(id)),
            WebhookCommand::Secret { id, rotate: true } => ("webhook secret --rotate", one(id)),
            WebhookCommand::Token { id, revoke: true, .. } => ("webhook token --revoke", one(id)),
            WebhookCommand::Token { id, .. } => ("webhook token --rotate", one(id)),
        })
    }
}

/// Which webhooks a command is about.
#[derive(Debug, Args)]
pub struct Chosen {
    /// Webhooks, by their number in Label Studio
    #[arg(value_name = "ID", required_unless_present = "all")]
    ids: Vec<WebhookId>,
    /// All webhooks
    #[arg(long, conflicts_with = "ids")]
    all: bool,
}

impl Chosen {
    /// The ids; `None` for all.
    fn ids(&self) -> Option<&[WebhookId]> {
        (!self.all).then_some(&self.ids)
    }
}

/// Payload options.
#[derive(Debug, Clone, Args)]
pub struct PayloadArgs {
    /// Show in deletions what was deleted, as it last was
    #[arg(long, value_name = "BOOLEAN", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    enrich_deletions: Option<bool>,
    /// Show in updates what the object was before
    #[arg(long, value_name = "BOOLEAN", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    previous: Option<bool>,
    /// Send CloudEvents 1.0: attributes as headers (binary), or the event inside an envelope (structured)
    #[arg(long, value_name = "MODE", value_parser = ["binary", "structured", "off"])]
    cloudevents: Option<String>,
    /// Send the objects; false sends the action's name alone
    #[arg(long, value_name = "BOOLEAN", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    send_payload: Option<bool>,
}

impl PayloadArgs {
    fn choice(&self) -> PayloadChoice {
        let PayloadArgs { enrich_deletions, previous, cloudevents, .. } = self.clone();
        PayloadChoice { enrich_deletions, previous, cloudevents }
    }
}

/// How requests are made.
#[derive(Debug, Clone, Args)]
pub struct DeliveryArgs {
    /// Timeout to connect to it, such as 30s, in place of the setting; 0 is that of the setting
    #[arg(id = "connect_within", long = "connect-within", value_name = "DURATION", value_parser = humantime::parse_duration)]
    connect_timeout: Option<Duration>,
    /// Timeout of its answer, such as 10m, in place of the setting; 0 is that of the setting
    #[arg(id = "answer_within", long = "answer-within", value_name = "DURATION", value_parser = humantime::parse_duration)]
    answer_timeout: Option<Duration>,
    /// Wait for its answer; false takes a request that was wholly sent for delivered when no answer comes in time
    #[arg(long, value_name = "BOOLEAN", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    await_answer: Option<bool>,
    /// Pauses before the second and each later attempt, separated by commas, in place of the setting; default is that of
    /// the setting. After the last attempt the delivery is dead, and its lane goes on
    #[arg(id = "retries", long = "retries", value_delimiter = ',', value_name = "DURATION", value_parser = pause)]
    retry_schedule: Option<Vec<Option<Duration>>>,
    /// Age after which a delivery is dead without another attempt, such as 1d; 0 is none
    #[arg(long, value_name = "DURATION", value_parser = humantime::parse_duration)]
    maximum_age: Option<Duration>,
    /// Requests in a time at most, such as 20/s, 5/m or 1/h; 0 is as many as come
    #[arg(long, value_name = "RATE", value_parser = parse_rate)]
    rate_limit: Option<f64>,
    /// Requests in flight at most, in place of the setting `concurrency_per_webhook`; 0 is that of the setting
    #[arg(id = "in_flight", long = "in-flight", value_name = "NUMBER", value_parser = clap::value_parser!(i32).range(0..=100_000))]
    concurrency: Option<i32>,
    /// Proxy through which it is reached, http://[USER:PASSWORD@]HOST:PORT; direct is none, default is that of the
    /// settings
    #[arg(id = "through", long = "through", value_name = "URL")]
    proxy: Option<String>,
    /// Time of failed attempts only after which the webhook is paused, such as 5d; off disables pausing, default uses the
    /// setting `pause_after`
    #[arg(id = "pause_failing", long = "pause-failing", value_name = "DURATION")]
    pause_after: Option<PauseAfter>,
}

/// A pause; `None` for the word default.
fn pause(text: &str) -> Result<Option<Duration>, humantime::DurationError> {
    match text.trim() {
        "default" => Ok(None),
        text => humantime::parse_duration(text).map(Some),
    }
}

impl DeliveryArgs {
    fn choice(&self) -> DeliveryChoice {
        let DeliveryArgs {
            connect_timeout,
            answer_timeout,
            await_answer,
            retry_schedule,
            maximum_age,
            rate_limit,
            concurrency,
            proxy,
            pause_after,
        } = self.clone();
        DeliveryChoice {
            connect_timeout,
            answer_timeout,
            await_answer,
            retry_schedule: retry_schedule.map(|pauses| pauses.into_iter().flatten().collect()),
            maximum_age,
            rate_limit,
            concurrency,
            proxy,
            pause_after,
        }
    }
}

/// A new webhook.
#[derive(Debug, Args)]
pub struct Create {
    /// Where to post, an http or https URL; a subject of NATS JetStream, nats://HOST:PORT/SUBJECT; or pull:, from which
    /// consumers pull
    url: Url,
    /// Project of the webhook; without, it belongs to the organization and receives events of every project
    #[arg(long, value_name = "ID")]
    project: Option<i64>,
    /// Organization, where there are several
    #[arg(long, value_name = "ID", conflicts_with = "project")]
    organization: Option<i64>,
    /// Actions to deliver, separated by commas, additional ones among them; without, all of Label Studio's
    #[arg(long, value_delimiter = ',', value_name = "ACTION", value_parser = super::action())]
    actions: Vec<Action>,
    /// File of headers to send along, `Name: value` in each line
    #[arg(long, value_name = "FILE")]
    headers_file: Option<PathBuf>,
    #[command(flatten)]
    payload: PayloadArgs,
    #[command(flatten)]
    delivery: DeliveryArgs,
    /// Leave the webhook active in Label Studio, so that each delivers every event
    #[arg(long)]
    beside_label_studio: bool,
}

/// Changes of a webhook.
#[derive(Debug, Args)]
pub struct UpdateArgs {
    /// The webhook, by its number in Label Studio
    id: WebhookId,
    /// New URL
    #[arg(long)]
    url: Option<Url>,
    /// File of headers that take the place of all present ones, `Name: value` in each line
    #[arg(long, value_name = "FILE")]
    headers_file: Option<PathBuf>,
    /// Exactly these of Label Studio's actions, separated by commas; or all
    #[arg(long, value_delimiter = ',', value_name = "ACTION", value_parser = super::action_or("all"))]
    actions: Option<Vec<String>>,
    /// Exactly these additional actions, separated by commas; or none
    #[arg(long, value_delimiter = ',', value_name = "ACTION", value_parser = super::action_or("none"))]
    additional_actions: Option<Vec<String>>,
    #[command(flatten)]
    payload: PayloadArgs,
    #[command(flatten)]
    delivery: DeliveryArgs,
    /// active: lshookd delivers a webhook that nobody delivered; disabled: nobody delivers it, and what is pending waits
    #[arg(long, value_parser = ["active", "disabled"])]
    state: Option<String>,
}

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

/// Every one of them, for the audit log.
fn named(ids: Option<&[WebhookId]>) -> String {
    ids.map_or_else(|| "all webhooks".to_owned(), |ids| format!("webhook {}", joined(ids, ", ")))
}
