//! `lshookd delivery`: what each webhook was and is owed, and what an operator does about it.

use std::time::Duration;

use anyhow::Result;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{Args, Subcommand};
use jiff::Timestamp;
use serde_json::json;
use strum::VariantNames;
use tokio_postgres::Client;

use super::output::{moment, plain, table, values};
use super::{Output, time};
use crate::config::Settings;
use crate::model::{Action, DeliveryId, Scope, WebhookId};
use crate::ops::attempt::{RecordedAttempt, Tail};
use crate::ops::delivery::{self, DeliveryState, Filter};
use crate::ops::search;
use crate::ops::transition::{self, Transition};

/// Pause between two looks of `tail`.
const TAIL_INTERVAL: Duration = Duration::from_millis(300);

/// What to do with deliveries.
#[derive(Debug, Subcommand)]
pub enum DeliveryCommand {
    /// List deliveries, the newest first; of one webhook those that are pending before those that ended
    #[command(after_help = "Example: lshookd delivery list --state dead --since 2h")]
    List {
        #[command(flatten)]
        filter: FilterArgs,
        /// Maximum number of deliveries
        #[arg(long, short = 'n', default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..))]
        limit: u32,
    },
    /// Show one delivery in full with its attempts
    #[command(after_help = "Example: lshookd delivery show 4711")]
    Show {
        /// The delivery, by its number or its webhook-id
        id: String,
    },
    /// Make the next attempt of pending deliveries now
    #[command(after_help = "Example: lshookd delivery retry --webhook 12")]
    Retry(Selection),
    /// End pending deliveries without delivering them, or discard dead ones; their lanes go on
    #[command(
        after_help = "Examples: lshookd delivery skip 4711\n          lshookd delivery skip --state dead --webhook 12 --dry-run"
    )]
    Skip(Selection),
    /// Deliver again what has ended, under the webhook-id that the endpoint knows
    #[command(
        after_help = "Examples: lshookd delivery replay --state dead --dry-run\n          lshookd delivery replay 4711 4712"
    )]
    Replay(Selection),
    /// Print attempts as they are recorded
    #[command(after_help = "Example: lshookd delivery tail --webhook 12")]
    Tail {
        /// Webhook
        #[arg(long, short, value_name = "ID")]
        webhook: Option<WebhookId>,
    },
}

impl DeliveryCommand {
    /// What it changes, and of what, if it changes something.
    pub fn change(&self) -> Option<(&'static str, String)> {
        let (what, selection) = match self {
            DeliveryCommand::Retry(selection) => ("delivery retry", selection),
            DeliveryCommand::Skip(selection) => ("delivery skip", selection),
            DeliveryCommand::Replay(selection) => ("delivery replay", selection),
            DeliveryCommand::List { .. } | DeliveryCommand::Show { .. } | DeliveryCommand::Tail { .. } => return None,
        };
        (!selection.dry_run).then(|| (what, selection.named()))
    }
}

/// Which deliveries.
#[derive(Debug, Clone, Args)]
pub struct FilterArgs {
    /// Webhook
    #[arg(long, short, value_name = "ID")]
    webhook: Option<WebhookId>,
    /// Action
    #[arg(long, short, value_parser = super::action())]
    action: Option<Action>,
    /// Project
    #[arg(long, short, value_name = "ID")]
    project: Option<Scope>,
    /// State
    #[arg(long, value_parser = state())]
    state: Option<DeliveryState>,
    /// Earliest time of the event, such as 2026-11-24T15:00:00Z, or an age such as 2h
    #[arg(long, value_name = "TIME", value_parser = time)]
    since: Option<Timestamp>,
    /// Time before which the event occurred
    #[arg(long, value_name = "TIME", value_parser = time)]
    until: Option<Timestamp>,
}

/// Deliveries by number or by a filter.
#[derive(Debug, Args)]
pub struct Selection {
    /// Deliveries, by their numbers
    #[arg(value_name = "DELIVERY", conflicts_with_all = ["webhook", "action", "project", "state", "since", "until"])]
    ids: Vec<DeliveryId>,
    #[command(flatten)]
    filter: FilterArgs,
    /// Count only, change nothing
    #[arg(long)]
    dry_run: bool,
}

impl Selection {
    /// Which, for people.
    fn named(&self) -> String {
        let ids: Vec<String> = self.ids.iter().map(DeliveryId::to_string).collect();
        match ids.is_empty() {
            true => Filter::from(self.filter.clone()).to_string(),
            false => format!("delivery {}", ids.join(", ")),
        }
    }
}

impl From<FilterArgs> for Filter {
    fn from(FilterArgs { webhook, action, project, state, since, until }: FilterArgs) -> Filter {
        Filter { webhook, action, project, state, since, until }
    }
}

fn state() -> impl TypedValueParser<Value = DeliveryState> {
    PossibleValuesParser::new(DeliveryState::VARIANTS).try_map(|name| name.parse::<DeliveryState>())
}

/// Does it.
///
/// # Errors
/// As the operation has.
pub async fn run(client: Client, settings: &Settings, command: DeliveryCommand, output: Output) -> Result<()> {
    match command {
        DeliveryCommand::List { filter, limit } => list(&client, filter.into(), limit, output).await,
        DeliveryCommand::Show { id } => show(&client, &id, output).await,
        DeliveryCommand::Retry(selection) => apply(&client, Transition::Retry, selection, output).await,
        DeliveryCommand::Skip(selection) => apply(&client, Transition::Skip, selection, output).await,
        DeliveryCommand::Replay(selection) => apply(&client, Transition::Replay, selection, output).await,
        DeliveryCommand::Tail { webhook } => tail(client, settings, webhook, output).await,
    }
}

const COLUMNS: &[(&str, &str)] = &[
    ("id", "ID"),
    ("webhook_id", "WEBHOOK"),
    ("project_id", "PROJECT"),
    ("action", "ACTION"),
    ("objects", "OBJECTS"),
    ("occurred_at", "OCCURRED"),
    ("state", "STATE"),
    ("attempts", "ATTEMPTS"),
    ("last_status", "STATUS"),
    ("last_error", "LAST ERROR"),
];

const ATTEMPTS: &[(&str, &str)] = &[
    ("number", "ATTEMPT"),
    ("started_at", "STARTED"),
    ("duration_ms", "MS"),
    ("status", "STATUS"),
    ("error", "ERROR"),
    ("response_head", "ANSWER"),
    ("route", "ROUTE"),
];

async fn list(client: &Client, filter: Filter, limit: u32, output: Output) -> Result<()> {
    search::check(client, &filter).await?;
    output.table(&search::newest(client, filter, usize::try_from(limit)?).await?, COLUMNS, "No matching deliveries.");
    Ok(())
}

async fn show(client: &Client, id: &str, output: Output) -> Result<()> {
    let Some(found) = delivery::find_one(client, id).await? else {
        fail!(UnknownDelivery, "there is no delivery {id}; it may have been deleted after its retention");
    };
    if output.json {
        say!("{}", json!(found));
        return Ok(());
    }
    let lines = [
        ("delivery", Some(found.id.to_string())),
        ("webhook-id", Some(found.message_id.to_string())),
        ("webhook", Some(found.webhook_id.to_string())),
        ("URL", found.url.clone()),
        ("headers", Some(found.header_names.join(", ")).filter(|names| !names.is_empty())),
        ("action", Some(found.action.clone())),
        ("project", Some(found.project_id.to_string())),
        ("occurred", Some(moment(found.occurred_at))),
        ("planned", Some(moment(found.planned_at))),
        ("state", Some(found.state.name().to_owned())),
        ("ended", found.ended_at.map(moment)),
    ];
    for (title, text) in lines {
        if let Some(text) = text {
            say!("{title:<11} {}", plain(&text));
        }
    }
    if !found.attempts.is_empty() {
        let mut rows = values(&found.attempts);
        for (row, attempt) in rows.iter_mut().zip(&found.attempts) {
            row["route"] = attempt.route().into();
        }
        say!("\n{}", table(&rows, ATTEMPTS));
    }
    say!("\n{}", plain(&found.body));
    Ok(())
}

async fn apply(client: &Client, what: Transition, selection: Selection, output: Output) -> Result<()> {
    let Selection { ids, filter, dry_run } = selection;
    let bar = output.progress(0);
    let progress = |done: i64| bar.set_position(done.unsigned_abs());
    let done = transition::apply(client, what, &ids, &filter.into(), dry_run, progress).await?;
    bar.finish_and_clear();
    let deliveries = if done == 1 { "1 delivery".to_owned() } else { format!("{done} deliveries") };
    let (key, sentence) = match (what, dry_run) {
        (Transition::Retry, false) => ("retried", format!("{deliveries} queued for an attempt now.")),
        (Transition::Skip, false) => ("skipped", format!("{deliveries} skipped.")),
        (Transition::Replay, false) => ("replayed", format!("{deliveries} queued again.")),
        (Transition::Retry, true) => ("retried", format!("{deliveries} would be retried.")),
        (Transition::Skip, true) => ("skipped", format!("{deliveries} would be skipped.")),
        (Transition::Replay, true) => ("replayed", format!("{deliveries} would be replayed.")),
    };
    output.say(&sentence, &json!({ key: done, "dry_run": dry_run }));
    Ok(())
}

async fn tail(mut client: Client, settings: &Settings, webhook: Option<WebhookId>, output: Output) -> Result<()> {
    search::check(&client, &Filter { webhook, ..Filter::default() }).await?;
    let mut tail = Tail::default();
    loop {
        match tail.next(&client, webhook).await {
            Ok(attempts) => {
                for attempt in &attempts {
                    if !print(attempt, output) {
                        return Ok(());
                    }
                }
            }
            Err(_) if client.is_closed() => client = super::reconnect(settings).await?,
            Err(error) => return Err(error),
        }
        tokio::time::sleep(TAIL_INTERVAL).await;
    }
}

/// `false` when nobody reads any more.
fn print(attempt: &RecordedAttempt, output: Output) -> bool {
    if output.json {
        return say!("{}", json!(attempt));
    }
    let RecordedAttempt { delivery_id, number, webhook_id, project_id, action, duration_ms, state, .. } = attempt;
    let answer = match (attempt.status, &attempt.error) {
        (Some(status), _) => status.to_string(),
        (None, error) => error.clone().unwrap_or_else(|| "acknowledged".to_owned()),
    };
    say!(
        "{}",
        plain(&format!(
            "{} delivery {delivery_id} attempt {number} webhook {webhook_id} project {project_id} {action} \
             {duration_ms} ms: {answer} ({state})",
            moment(attempt.started_at)
        ))
    )
}
