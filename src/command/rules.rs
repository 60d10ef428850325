//! `rules`: conditions, thresholds and bodies of one's own, from a file.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use clap::Subcommand;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio_postgres::Client;

use super::{Output, check_known, explain_write};
use crate::event::Action;
use crate::rule::{Passed, Rule, Rulebook};

const COLUMNS: &[(&str, &str)] = &[
    ("name", "NAME"),
    ("webhook", "WEBHOOK"),
    ("actions", "ACTIONS"),
    ("condition", "CONDITION"),
    ("pace", "PACE"),
    ("announce_as", "AS"),
    ("template", "TEMPLATE"),
    ("held", "HELD"),
];

const TRIED: &[(&str, &str)] = &[
    ("name", "NAME"),
    ("events", "EVENTS"),
    ("matched", "MATCHED"),
    ("error", "ERROR"),
    ("body", "THE NEWEST WOULD BE"),
];

/// What to do with rules.
#[derive(Debug, Subcommand)]
pub enum Rules {
    /// Use exactly the rules of a file; what a rule has counted stays with its name
    #[command(after_help = "Example: lshookd rules apply rules.toml")]
    Apply {
        /// A file of [[rule]] tables
        file: PathBuf,
    },
    /// Try the rules of a file on events that were recorded, or on one of your own; nothing is sent
    #[command(after_help = "Example: lshookd rules test rules.toml --limit 1000")]
    Test {
        /// A file of [[rule]] tables
        file: PathBuf,
        /// So many of the newest events that a rule governs
        #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(i64).range(1..))]
        limit: i64,
        /// A file with the body of an event in place of recorded ones
        #[arg(long, value_name = "FILE")]
        event: Option<PathBuf>,
    },
    /// List the rules in use
    #[command(after_help = "Example: lshookd rules list")]
    List,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default, rename = "rule")]
    rules: Vec<Rule>,
}

/// Does it.
///
/// # Errors
/// When a rule cannot be used, names a webhook that is not there, or the database refuses.
pub async fn run(client: &mut Client, wanted: &Rules, output: Output) -> Result<()> {
    match wanted {
        Rules::Apply { file } => apply(client, &read(file)?, output).await,
        Rules::Test { file, limit, event } => test(client, &read(file)?, *limit, event.as_deref(), output).await,
        Rules::List => list(client, output).await,
    }
}

/// The rules in use.
///
/// # Errors
/// When the database cannot be asked.
pub async fn in_use(client: &Client) -> Result<Vec<(Value, i64)>> {
    let rows = client.query(include_str!("../../sql/ops/rules.sql"), &[]).await?;
    Ok(rows.iter().map(|row| (row.get("rule"), row.get("held"))).collect())
}

fn read(path: &Path) -> Result<Vec<Rule>> {
    let text = std::fs::read_to_string(path).with_context(|| format!("reading {}", path.display()))?;
    parse(&text).with_context(|| format!("{}", path.display()))
}

fn parse(text: &str) -> Result<Vec<Rule>> {
    let File { rules } = toml::from_str(text)?;
    for (place, rule) in rules.iter().enumerate() {
        rule.check().with_context(|| format!("rule {:?}", rule.name))?;
        for action in &rule.actions {
            action.parse::<Action>().map_err(|error| anyhow::anyhow!("rule {:?}: {action}: {error}", rule.name))?;
        }
        if rules[..place].iter().any(|earlier| earlier.name == rule.name) {
            fail!(Choice, "there are two rules of the name {:?}", rule.name);
        }
    }
    Ok(rules)
}

async fn apply(client: &mut Client, rules: &[Rule], output: Output) -> Result<()> {
    let webhooks: Vec<i64> = rules.iter().map(|rule| rule.webhook).collect();
    check_known(client, &webhooks).await?;
    let names: Vec<&str> = rules.iter().map(|rule| rule.name.as_str()).collect();
    let transaction = client.transaction().await?;
    let dropped = transaction.query(include_str!("../../sql/ops/drop_other_rules.sql"), &[&names]).await;
    let dropped: Vec<String> = dropped.map_err(explain_write)?.iter().map(|row| row.get("name")).collect();
    for rule in rules {
        let every = rule.at_most_every.map(|every| every.as_secs_f64());
        let parameters = Value::Object(rule.parameters.clone());
        let put = transaction
            .execute(
                include_str!("../../sql/ops/put_rule.sql"),
                &[
                    &rule.name,
                    &rule.webhook,
                    &rule.actions,
                    &rule.condition,
                    &rule.once,
                    &rule.after,
                    &every,
                    &rule.announce_as,
                    &rule.template,
                    &parameters,
                ],
            )
            .await;
        put.map_err(explain_write).with_context(|| format!("rule {:?}", rule.name))?;
    }
    transaction.commit().await?;
    output.say(
        &format!("{} rules are in use; {} are no more.", rules.len(), dropped.len()),
        &json!({ "rules": names, "dropped": dropped }),
    );
    Ok(())
}

async fn test(client: &Client, rules: &[Rule], limit: i64, event: Option<&Path>, output: Output) -> Result<()> {
    let own = match event {
        None => None,
        Some(path) => Some(std::fs::read_to_string(path).with_context(|| format!("reading {}", path.display()))?),
    };
    let mut rulebook = Rulebook::default();
    let mut tried = Vec::new();
    for rule in rules {
        let bodies: Vec<String> = match &own {
            Some(body) => vec![body.clone()],
            None => {
                let query = include_str!("../../sql/ops/recent_events.sql");
                let rows = client.query(query, &[&rule.actions, &limit]).await?;
                rows.iter().map(|row| row.get("body")).collect()
            }
        };
        let (mut matched, mut first, mut wrong) = (0, None, None);
        for body in &bodies {
            let mut judge = async || -> Result<Option<Passed>> {
                let event: Value = serde_json::from_str(body)?;
                let action = event["action"].as_str().unwrap_or_default();
                let holds = rulebook.holds(rule, &event).await?;
                holds.then(|| rulebook.write(rule, action, body, &event)).transpose()
            };
            match judge().await {
                Ok(None) => {}
                Ok(Some(passed)) => {
                    matched += 1;
                    first.get_or_insert(passed.body);
                }
                Err(error) => {
                    wrong.get_or_insert(format!("{error:#}"));
                }
            }
        }
        tried.push(
            json!({ "name": rule.name, "events": bodies.len(), "matched": matched, "error": wrong, "body": first }),
        );
    }
    output.table(&tried, TRIED, "There are no rules in this file.");
    Ok(())
}

async fn list(client: &Client, output: Output) -> Result<()> {
    let mut listed = Vec::new();
    for (mut rule, held) in in_use(client).await? {
        let mut pace = Vec::new();
        if rule["once"] == true {
            pace.push("once".to_owned());
        }
        if let Some(after) = rule["after"].as_i64() {
            pace.push(format!("after {after}"));
        }
        if let Some(every) = rule["at_most_every"].as_str() {
            let every =
                every.parse::<jiff::SignedDuration>().map_or_else(|_| every.to_owned(), |every| format!("{every:#}"));
            pace.push(format!("at most every {every}"));
        }
        rule["pace"] = json!(pace.join(", "));
        rule["held"] = json!(held);
        listed.push(rule);
    }
    output.table(&listed, COLUMNS, "There are no rules; `lshookd rules apply` takes some from a file.");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wrong_with_a_file_is_said_of_the_rule() {
        for (text, words) in [
            ("[[rule]]\nname = \"a\"", "webhook"),
            ("[[rule]]\nname = \"a\"\nwebhook = 1\nafer = 2", "afer"),
            ("[[rule]]\nname = \"a\"\nwebhook = 1\ncondition = \"event.\"", "rule \"a\": condition"),
            ("[[rule]]\nname = \"a\"\nwebhook = 1\ntemplate = \"slak\"", "neither a template"),
            ("[[rule]]\nname = \"a\"\nwebhook = 1\nactions = [\"TASK_DONE\"]", "there is no such action"),
            ("[[rule]]\nname = \"a\"\nwebhook = 1\nat_most_every = \"soon\"", "at_most_every"),
            ("[[rule]]\nname = \"a\"\nwebhook = 1\n[[rule]]\nname = \"a\"\nwebhook = 2", "two rules"),
        ] {
            let error = format!("{:#}", parse(text).unwrap_err());
            assert!(error.contains(words), "{text}: {error}");
        }
        assert_eq!(parse("").unwrap(), []);
    }
}
