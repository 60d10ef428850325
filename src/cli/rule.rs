//! `lshookd rule`: which events of a webhook are delivered, as what, and how often.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use clap::Subcommand;
use serde_json::{Value, json};
use tokio_postgres::Client;

use super::Output;
use crate::ops::rule::{self, RuleInForce};

/// What to do with rules.
#[derive(Debug, Subcommand)]
pub enum RuleCommand {
    /// List the rules in force
    #[command(after_help = "Example: lshookd rule list")]
    List,
    /// Try the rules of a file on recorded events, or on an event of your own; nothing is sent
    #[command(after_help = "Example: lshookd rule test rules.toml --limit 1000")]
    Test {
        /// File of [[rule]] tables
        file: PathBuf,
        /// Maximum number of recorded events per rule, the newest
        #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(i64).range(1..))]
        limit: i64,
        /// File with the body of an event, in place of recorded ones
        #[arg(long, value_name = "FILE")]
        event: Option<PathBuf>,
    },
    /// Create the rules of a file, or replace those of the same names; what a rule has counted stays
    #[command(after_help = "Example: lshookd rule apply rules.toml")]
    Apply {
        /// File of [[rule]] tables
        file: PathBuf,
        /// Delete the rules that the file does not name
        #[arg(long)]
        prune: bool,
        /// Confirm: delete what --prune deletes
        #[arg(long)]
        yes: bool,
    },
    /// Delete rules, with what they have counted
    #[command(after_help = "Example: lshookd rule delete spam-only")]
    Delete {
        /// Rules, by their names
        #[arg(required = true, value_name = "NAME")]
        names: Vec<String>,
    },
}

impl RuleCommand {
    /// What it changes, and of what, if it changes something.
    pub fn change(&self) -> Option<(&'static str, String)> {
        match self {
            RuleCommand::List | RuleCommand::Test { .. } => None,
            RuleCommand::Apply { file, prune: false, .. } => Some(("rule apply", file.display().to_string())),
            RuleCommand::Apply { file, prune: true, .. } => Some(("rule apply --prune", file.display().to_string())),
            RuleCommand::Delete { names } => Some(("rule delete", format!("rule {}", names.join(", ")))),
        }
    }
}

const COLUMNS: &[(&str, &str)] = &[
    ("name", "NAME"),
    ("webhook", "WEBHOOK"),
    ("actions", "ACTIONS"),
    ("condition", "CONDITION"),
    ("pace", "PACE"),
    ("rename_action", "RENAMED TO"),
    ("has_template", "TEMPLATE"),
    ("throttled", "THROTTLED"),
];

const TRIALS: &[(&str, &str)] = &[
    ("name", "NAME"),
    ("events", "EVENTS"),
    ("matched", "MATCHED"),
    ("error", "ERROR"),
    ("body", "BODY OF THE NEWEST"),
];

/// Does it.
///
/// # Errors
/// As the operation has.
pub async fn run(client: &mut Client, command: &RuleCommand, output: Output) -> Result<()> {
    match command {
        RuleCommand::List => {
            let rows: Vec<Value> = rule::in_force(client).await?.into_iter().map(row).collect();
            output.table(&rows, COLUMNS, "There are no rules; `lshookd rule apply` creates them from a file.");
        }
        RuleCommand::Test { file, limit, event } => {
            let own = event.as_deref().map(read).transpose()?;
            let trials = rule::try_out(client, &rule::read(file)?, *limit, own.as_deref()).await?;
            output.table(&trials, TRIALS, "There are no rules in this file.");
        }
        RuleCommand::Apply { file, prune, yes } => {
            let rule::Applied { applied, deleted } = rule::apply(client, &rule::read(file)?, *prune, *yes).await?;
            let mut sentence = format!("{} rules applied.", applied.len());
            if !deleted.is_empty() {
                sentence.push_str(&format!(" Deleted: {}.", deleted.join(", ")));
            }
            output.say(&sentence, &json!({ "rules": applied, "deleted": deleted }));
        }
        RuleCommand::Delete { names } => {
            rule::delete(client, names).await?;
            output.say(&format!("Deleted: {}.", names.join(", ")), &json!({ "deleted": names }));
        }
    }
    Ok(())
}

fn read(path: &Path) -> Result<String> {
    std::fs::read_to_string(path).with_context(|| format!("reading {}", path.display()))
}

/// A rule for a table, its pace in one cell.
fn row(RuleInForce { mut rule, throttled }: RuleInForce) -> Value {
    rule["pace"] = json!(rule::pace(&rule));
    rule["throttled"] = json!(throttled);
    rule["has_template"] = json!(!rule["template"].is_null());
    rule
}
