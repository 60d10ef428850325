//! What `lshookd webhook` takes.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand};
use url::Url;

use crate::model::{Action, WebhookId};
use crate::ops::joined;
use crate::ops::webhook_option::{DeliveryChoice, PauseAfter, PayloadChoice, parse_rate};

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
        #[arg(long, short, default_value = "ANNOTATION_CREATED", value_parser = crate::cli::action())]
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
    pub ids: Vec<WebhookId>,
    /// All webhooks
    #[arg(long, conflicts_with = "ids")]
    pub all: bool,
}

impl Chosen {
    /// The ids; `None` for all.
    pub fn ids(&self) -> Option<&[WebhookId]> {
        (!self.all).then_some(&self.ids)
    }
}

/// Payload options.
#[derive(Debug, Clone, Args)]
pub struct PayloadArgs {
    /// Show in deletions what was deleted, as it last was
    #[arg(long, value_name = "BOOLEAN", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub enrich_deletions: Option<bool>,
    /// Show in updates what the object was before
    #[arg(long, value_name = "BOOLEAN", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub previous: Option<bool>,
    /// Send CloudEvents 1.0: attributes as headers (binary), or the event inside an envelope (structured)
    #[arg(long, value_name = "MODE", value_parser = ["binary", "structured", "off"])]
    pub cloudevents: Option<String>,
    /// Send the objects; false sends the action's name alone
    #[arg(long, value_name = "BOOLEAN", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub send_payload: Option<bool>,
}

impl PayloadArgs {
    /// As operations take it.
    pub fn choice(&self) -> PayloadChoice {
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
    /// As operations take it.
    pub fn choice(&self) -> DeliveryChoice {
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
    pub url: Url,
    /// Project of the webhook; without, it belongs to the organization and receives events of every project
    #[arg(long, value_name = "ID")]
    pub project: Option<i64>,
    /// Organization, where there are several
    #[arg(long, value_name = "ID", conflicts_with = "project")]
    pub organization: Option<i64>,
    /// Actions to deliver, separated by commas, additional ones among them; without, all of Label Studio's
    #[arg(long, value_delimiter = ',', value_name = "ACTION", value_parser = crate::cli::action())]
    pub actions: Vec<Action>,
    /// File of headers to send along, `Name: value` in each line
    #[arg(long, value_name = "FILE")]
    pub headers_file: Option<PathBuf>,
    #[command(flatten)]
    pub payload: PayloadArgs,
    #[command(flatten)]
    pub delivery: DeliveryArgs,
    /// Leave the webhook active in Label Studio, so that each delivers every event
    #[arg(long)]
    pub beside_label_studio: bool,
}

/// Changes of a webhook.
#[derive(Debug, Args)]
pub struct UpdateArgs {
    /// The webhook, by its number in Label Studio
    pub id: WebhookId,
    /// New URL
    #[arg(long)]
    pub url: Option<Url>,
    /// File of headers that take the place of all present ones, `Name: value` in each line
    #[arg(long, value_name = "FILE")]
    pub headers_file: Option<PathBuf>,
    /// Exactly these of Label Studio's actions, separated by commas; or all
    #[arg(long, value_delimiter = ',', value_name = "ACTION", value_parser = crate::cli::action_or("all"))]
    pub actions: Option<Vec<String>>,
    /// Exactly these additional actions, separated by commas; or none
    #[arg(long, value_delimiter = ',', value_name = "ACTION", value_parser = crate::cli::action_or("none"))]
    pub additional_actions: Option<Vec<String>>,
    #[command(flatten)]
    pub payload: PayloadArgs,
    #[command(flatten)]
    pub delivery: DeliveryArgs,
    /// active: lshookd delivers a webhook that nobody delivered; disabled: nobody delivers it, and what is pending waits
    #[arg(long, value_parser = ["active", "disabled"])]
    pub state: Option<String>,
}

/// Every one of them, for the audit log.
pub fn named(ids: Option<&[WebhookId]>) -> String {
    ids.map_or_else(|| "all webhooks".to_owned(), |ids| format!("webhook {}", joined(ids, ", ")))
}
