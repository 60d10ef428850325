//! Rules of webhooks: applied from a file, tried on recorded events, deleted.

use std::path::Path;

use anyhow::{Context, Result};
use jiff::SignedDuration;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio_postgres::Client;

use super::{check_known, explain_write};
use crate::model::{Action, WebhookId};
use crate::pipeline::rule::{Rule, RuleOutput, Rulebook};

/// A rule in force, as a file writes it.
#[derive(Debug, Clone, PartialEq)]
pub struct RuleInForce {
    /// The row of `lshookd.written_rule`; it may have been written by SQL, and be unusable.
    pub rule: Value,
    /// Events that it throttles now, in all projects.
    pub throttled: i64,
}

/// What a rule would have made of events.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Trial {
    /// The rule's name.
    pub name: String,
    /// How many events it was tried on.
    pub events: usize,
    /// How many of them match its condition.
    pub matched: usize,
    /// Why it could not be applied to one of them.
    pub error: Option<String>,
    /// What it makes of the newest that matches.
    pub body: Option<String>,
}

/// What applying a file did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Applied {
    /// The rules of the file.
    pub applied: Vec<String>,
    /// Rules that were deleted, for the file does not name them.
    pub deleted: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default, rename = "rule")]
    rules: Vec<Rule>,
}

/// Rules from a file: an array of `[[rule]]` tables in TOML.
///
/// # Errors
/// When it cannot be read or is none, or a rule cannot be used.
pub fn read(path: &Path) -> Result<Vec<Rule>> {
    let name = || format!("{}", path.display());
    let text = std::fs::read_to_string(path).with_context(|| format!("reading {}", path.display()))?;
    parse(&text, Some(path.parent().unwrap_or(Path::new(".")))).with_context(name)
}

/// Rules from a text as a file has it, whose templates are in it: no file is read.
///
/// # Errors
/// When it is none, or a rule cannot be used.
pub fn parse_text(text: &str) -> Result<Vec<Rule>> {
    let rules = parse(text, None)?;
    if rules.is_empty() {
        fail!(Choice, "there is no [[rule]] in it");
    }
    Ok(rules)
}

/// A rule in force as a text that [`parse_text`] takes.
///
/// # Errors
/// When the row, which may have been written by SQL, is none.
pub fn to_toml(rule: &Value) -> Result<String> {
    let mut rule = rule.clone();
    if let Some(fields) = rule.as_object_mut() {
        fields.retain(|_, value| {
            !value.is_null() && *value != Value::Bool(false) && *value != json!([]) && *value != json!({})
        });
    }
    Ok(toml::to_string_pretty(&json!({ "rule": [rule] }))?)
}

/// How often a rule in force passes an event, for people.
pub fn pace(rule: &Value) -> String {
    let mut pace = Vec::new();
    if rule["on_transition"] == true {
        pace.push("on transition".to_owned());
    }
    if let Some(threshold) = rule["threshold"].as_i64() {
        pace.push(format!("threshold {threshold}"));
    }
    if let Some(throttle) = rule["throttle"].as_str() {
        let duration = throttle.parse::<SignedDuration>();
        pace.push(format!("throttle {}", duration.map_or_else(|_| throttle.to_owned(), |each| format!("{each:#}"))));
    }
    pace.join(", ")
}

/// Rules from a text; files of templates are read from a folder, if there may be some.
fn parse(text: &str, folder: Option<&Path>) -> Result<Vec<Rule>> {
    let File { mut rules } = toml::from_str(text)?;
    for rule in &mut rules {
        if let Some(file) = rule.template_file.take() {
            let Some(folder) = folder else {
                fail!(Choice, "rule {:?}: no template_file here; write the template itself", rule.name);
            };
            let template = std::fs::read_to_string(folder.join(&file));
            let template =
                template.with_context(|| format!("rule {:?}: template_file {}", rule.name, file.display()))?;
            if rule.template.replace(template).is_some() {
                fail!(Choice, "rule {:?}: template and template_file exclude each other", rule.name);
            }
        }
    }
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

/// The rules in force.
///
/// # Errors
/// When the database cannot be asked.
pub async fn in_force(client: &Client) -> Result<Vec<RuleInForce>> {
    let rows = client.query(include_str!("../../sql/ops/rules.sql"), &[]).await?;
    Ok(rows.iter().map(|row| RuleInForce { rule: row.get("rule"), throttled: row.get("throttled") }).collect())
}

/// Creates rules, or replaces those of the same names; what a rule has counted stays. With `prune` all others are
/// deleted.
///
/// # Errors
/// When a rule names a webhook that is not there, one would be deleted and this is not confirmed, or the database
/// refuses.
pub async fn apply(client: &mut Client, rules: &[Rule], prune: bool, confirmed: bool) -> Result<Applied> {
    let webhooks: Vec<WebhookId> = rules.iter().map(|rule| rule.webhook).collect();
    check_known(client, &webhooks).await?;
    let names: Vec<String> = rules.iter().map(|rule| rule.name.clone()).collect();
    let transaction = client.transaction().await?;
    let mut deleted = Vec::new();
    if prune {
        let rows = transaction.query(include_str!("../../sql/ops/delete_rules.sql"), &[&names, &true]).await;
        deleted = rows.map_err(explain_write)?.iter().map(|row| row.get("name")).collect();
    }
    if !deleted.is_empty() && !confirmed {
        fail!(WouldLose, "--prune would delete the rules {}; add --yes to go ahead", deleted.join(", "));
    }
    for rule in rules {
        let throttle = rule.throttle.map(|throttle| throttle.as_secs_f64());
        let parameters = Value::Object(rule.parameters.clone());
        let put = transaction
            .execute(
                include_str!("../../sql/ops/put_rule.sql"),
                &[
                    &rule.name,
                    &rule.webhook,
                    &rule.actions,
                    &rule.condition,
                    &rule.on_transition,
                    &rule.threshold,
                    &throttle,
                    &rule.rename_action,
                    &rule.template,
                    &parameters,
                ],
            )
            .await;
        put.map_err(explain_write).with_context(|| format!("rule {:?}", rule.name))?;
    }
    transaction.commit().await?;
    Ok(Applied { applied: names, deleted })
}

/// Deletes rules by name, with what they have counted and throttled.
///
/// # Errors
/// When there is none of a name, or the database refuses.
pub async fn delete(client: &mut Client, names: &[String]) -> Result<()> {
    let transaction = client.transaction().await?;
    let rows = transaction.query(include_str!("../../sql/ops/delete_rules.sql"), &[&names, &false]).await;
    let deleted: Vec<String> = rows.map_err(explain_write)?.iter().map(|row| row.get("name")).collect();
    let unknown: Vec<&str> = names.iter().filter(|name| !deleted.contains(name)).map(String::as_str).collect();
    if !unknown.is_empty() {
        fail!(Choice, "there is no rule {}; nothing was deleted; `lshookd rule list` lists them", unknown.join(", "));
    }
    transaction.commit().await?;
    Ok(())
}

/// Tries rules on events: on the newest that the webhook of each was owed, or on one's own. Nothing is sent.
///
/// # Errors
/// When the database cannot be asked.
pub async fn try_out(client: &Client, rules: &[Rule], limit: i64, own: Option<&str>) -> Result<Vec<Trial>> {
    let mut rulebook = Rulebook::default();
    let mut trials = Vec::new();
    for rule in rules {
        let bodies: Vec<String> = match own {
            Some(body) => vec![body.to_owned()],
            None => {
                let query = include_str!("../../sql/ops/recent_events_of_webhook.sql");
                let rows = client.query(query, &[&rule.webhook, &rule.actions, &limit]).await?;
                rows.iter().map(|row| row.get("body")).collect()
            }
        };
        let mut trial = Trial { name: rule.name.clone(), events: bodies.len(), matched: 0, error: None, body: None };
        for body in &bodies {
            match judge(&mut rulebook, rule, body).await {
                Ok(None) => {}
                Ok(Some(output)) => {
                    trial.matched += 1;
                    trial.body.get_or_insert(output.body);
                }
                Err(error) => {
                    trial.error.get_or_insert(format!("{error:#}"));
                }
            }
        }
        trials.push(trial);
    }
    Ok(trials)
}

async fn judge(rulebook: &mut Rulebook, rule: &Rule, body: &str) -> Result<Option<RuleOutput>> {
    let event: Value = serde_json::from_str(body)?;
    let action = event["action"].as_str().unwrap_or_default();
    let holds = rulebook.holds(rule, &event).await?;
    holds.then(|| rulebook.write(rule, action, body, &event)).transpose()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wrong_with_a_file_is_said_of_the_rule() {
        for (text, words) in [
            ("[[rule]]\nname = \"a\"", "webhook"),
            ("[[rule]]\nname = \"a\"\nwebhook = 1\ntreshold = 2", "treshold"),
            ("[[rule]]\nname = \"a\"\nwebhook = 1\ncondition = \"event.\"", "rule \"a\": condition"),
            ("[[rule]]\nname = \"a\"\nwebhook = 1\ntemplate = \"slack\"", "template_file"),
            ("[[rule]]\nname = \"a\"\nwebhook = 1\ntemplate_file = \"nowhere.json\"", "nowhere.json"),
            ("[[rule]]\nname = \"a\"\nwebhook = 1\nactions = [\"TASK_DONE\"]", "there is no such action"),
            ("[[rule]]\nname = \"a\"\nwebhook = 1\nthrottle = \"soon\"", "throttle"),
            ("[[rule]]\nname = \"a\"\nwebhook = 1\n[[rule]]\nname = \"a\"\nwebhook = 2", "two rules"),
        ] {
            let error = format!("{:#}", parse(text, Some(Path::new("."))).unwrap_err());
            assert!(error.contains(words), "{text}: {error}");
        }
        assert_eq!(parse("", Some(Path::new("."))).unwrap(), []);
    }
}
