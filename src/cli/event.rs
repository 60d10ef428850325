//! `lshookd event`: events that are kept, events as they come, and what existed before.

use std::time::Duration;

use anyhow::Result;
use clap::{Args, Subcommand};
use jiff::Timestamp;
use serde_json::json;
use tokio_postgres::Client;
use url::Url;

use super::output::{moment, plain};
use super::{Output, time};
use crate::config::Settings;
use crate::model::{Action, Scope, WebhookId};
use crate::ops::backfill::Backfill;
use crate::ops::event::{self, EventFilter};
use crate::ops::tap::{self, Tap, TappedEvent};

/// Pause between two looks of `listen`.
const LISTEN_INTERVAL: Duration = Duration::from_millis(300);

/// What to do with events.
#[derive(Debug, Subcommand)]
pub enum EventCommand {
    /// List events that are kept, the newest first
    #[command(after_help = "Example: lshookd event list --project 7 --since 1h")]
    List {
        /// Action
        #[arg(long, short, value_parser = super::action())]
        action: Option<Action>,
        /// Project
        #[arg(long, short, value_name = "ID")]
        project: Option<Scope>,
        /// Earliest time of the event, such as 2026-11-24T15:00:00Z, or an age such as 2h
        #[arg(long, value_name = "TIME", value_parser = time)]
        since: Option<Timestamp>,
        /// Time before which the event occurred
        #[arg(long, value_name = "TIME", value_parser = time)]
        until: Option<Timestamp>,
        /// Maximum number of events
        #[arg(long, short = 'n', default_value_t = 50, value_parser = clap::value_parser!(i64).range(1..))]
        limit: i64,
    },
    /// Print events as they come, without delivering them
    #[command(after_help = "Example: lshookd event listen --project 7 --forward http://localhost:8000/hook")]
    Listen(Listen),
    /// Announce to a webhook what existed before it
    #[command(after_help = "Example: lshookd event backfill 12 --action ANNOTATION_CREATED --project 7 --rate 100")]
    Backfill(BackfillArgs),
}

impl EventCommand {
    /// What it changes, and of what, if it changes something.
    pub fn change(&self) -> Option<(&'static str, String)> {
        match self {
            EventCommand::List { .. } | EventCommand::Listen(_) => None,
            EventCommand::Backfill(BackfillArgs { dry_run: true, .. }) => None,
            EventCommand::Backfill(wanted) => Some(("event backfill", format!("webhook {}", wanted.webhook))),
        }
    }
}

/// What to listen to.
#[derive(Debug, Args)]
pub struct Listen {
    /// Project
    #[arg(long, short, value_name = "ID")]
    project: Option<i64>,
    /// Actions, separated by commas; without, all
    #[arg(long, short, value_delimiter = ',', value_parser = super::action())]
    action: Vec<Action>,
    /// Post each event there as well, signed, whatever address it is
    #[arg(long, value_name = "URL")]
    forward: Option<Url>,
    /// Secret that signs forwarded requests; without, a new one is created and shown
    #[arg(long, value_name = "SECRET", requires = "forward")]
    secret: Option<String>,
    /// End after so many events
    #[arg(long, value_name = "NUMBER")]
    count: Option<u64>,
}

/// What to announce.
#[derive(Debug, Args)]
pub struct BackfillArgs {
    /// The webhook, by its number in Label Studio
    #[arg(value_name = "ID")]
    webhook: WebhookId,
    /// TASKS_CREATED, ANNOTATION_CREATED, ANNOTATIONS_CREATED, PROJECT_CREATED or LABEL_LINK_CREATED
    #[arg(long, short, value_parser = super::action())]
    action: Action,
    /// Project
    #[arg(long, short, value_name = "ID")]
    project: Option<i64>,
    /// Maximum objects per second
    #[arg(long, default_value_t = 500, value_parser = clap::value_parser!(u32).range(1..))]
    rate: u32,
    /// Restart from the beginning, not from where the last run was cut short
    #[arg(long)]
    restart: bool,
    /// Count only, send nothing
    #[arg(long)]
    dry_run: bool,
}

/// Does it.
///
/// # Errors
/// As the operation has.
pub async fn run(mut client: Client, settings: &Settings, command: EventCommand, output: Output) -> Result<()> {
    match command {
        EventCommand::List { action, project, since, until, limit } => {
            let filter = EventFilter { action, project, since, until };
            output.table(&event::find(&client, &filter, limit).await?, COLUMNS, "No matching events.");
            Ok(())
        }
        EventCommand::Listen(wanted) => listen(client, settings, &wanted, output).await,
        EventCommand::Backfill(wanted) => backfill(&mut client, settings, &wanted, output).await,
    }
}

const COLUMNS: &[(&str, &str)] = &[
    ("id", "ID"),
    ("action", "ACTION"),
    ("project_id", "PROJECT"),
    ("objects", "OBJECTS"),
    ("occurred_at", "OCCURRED"),
    ("planned_at", "PLANNED"),
    ("ended_by", "ENDED BY"),
    ("bytes", "BYTES"),
    ("deliveries", "DELIVERIES"),
];

async fn listen(mut client: Client, settings: &Settings, wanted: &Listen, output: Output) -> Result<()> {
    let mut tap = Tap::open(&client, wanted.project, &wanted.action).await?;
    let secret = match &wanted.secret {
        Some(secret) => secret.clone(),
        None => tap::new_secret(&client).await?,
    };
    if !output.json {
        if wanted.forward.is_some() && wanted.secret.is_none() {
            eprintln!("Forwarded requests are signed with {secret}");
        }
        eprintln!("Listening for events; Ctrl-C ends it.");
    }
    let listening = print_events(&mut client, &mut tap, settings, wanted, &secret, output);
    let outcome = tokio::select! {
        outcome = listening => outcome,
        _ = tokio::signal::ctrl_c() => Ok(()),
    };
    tap.close(&client).await?;
    outcome
}

async fn print_events(
    client: &mut Client,
    tap: &mut Tap,
    settings: &Settings,
    wanted: &Listen,
    secret: &str,
    output: Output,
) -> Result<()> {
    let mut left = wanted.count.unwrap_or(u64::MAX);
    loop {
        let events = match tap.next(client).await {
            Ok(events) => events,
            Err(_) if client.is_closed() => {
                *client = super::reconnect(settings).await?;
                continue;
            }
            Err(error) => return Err(error),
        };
        for event in &events {
            if !print(event, output) {
                return Ok(());
            }
            if let Some(url) = &wanted.forward {
                let answer = tap::forward(settings, url, secret, event).await?;
                if !output.json {
                    let status = answer.status.map_or_else(|| "no answer".to_owned(), |status| status.to_string());
                    eprintln!("  forwarded: {status} {}", answer.error.as_deref().map(plain).unwrap_or_default());
                }
            }
            left -= 1;
            if left == 0 {
                return Ok(());
            }
        }
        if events.is_empty() {
            tokio::time::sleep(LISTEN_INTERVAL).await;
        }
    }
}

/// `false` when nobody reads any more.
fn print(event: &TappedEvent, output: Output) -> bool {
    let TappedEvent { action, scope, objects, body, .. } = event;
    if output.json {
        return say!("{body}");
    }
    let occurred = moment(event.occurred_at);
    say!("{}", plain(&format!("{occurred} {action} project {scope} objects {objects}\n{body}")))
}

async fn backfill(client: &mut Client, settings: &Settings, wanted: &BackfillArgs, output: Output) -> Result<()> {
    let BackfillArgs { webhook, action, project, rate, restart, dry_run } = *wanted;
    let backfill = Backfill { webhook, action, project, rate };
    if dry_run {
        let total = backfill.count(client).await?;
        output.say(&format!("{total} objects would be announced."), &json!({ "objects": total, "dry_run": true }));
        return Ok(());
    }
    let run = backfill.begin(client, restart).await?;
    if run.announced > 0 && !output.json {
        say!("Continuing after {} objects that were announced before.", run.announced);
    }
    let bar = output.progress(run.left.unsigned_abs());
    let announced = run.finish(client, settings, |objects| bar.inc(objects.unsigned_abs())).await?;
    bar.finish_and_clear();
    output.say(
        &format!("{announced} objects are announced to webhook {webhook} as {action}."),
        &json!({ "objects": announced, "webhook_id": webhook, "action": action.name() }),
    );
    Ok(())
}
