//! Rules: which events of a webhook are sent, as what, and how often (`lshookd.rule`).
//!
//! Conditions are expressions of the Common Expression Language (<https://cel.dev>), bodies are templates of
//! minijinja; both see the event as `event`. Promises that a rule which cannot be used loses nothing: the event is
//! then sent as if there were none, and the log says so.

mod condition;
mod template;
mod throttle;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result};
use jiff::SignedDuration;
use serde::Deserialize;
use serde_json::Value;
use tokio_postgres::GenericClient;

use crate::model::{End, Event, WebhookId};
use crate::pg::Prepared;
use crate::queue::Addressed;
use condition::Conditions;
use throttle::Step;

/// A rule, as `lshookd.rule` has it and as a file writes it.
///
/// ```
/// use lshookd::pipeline::rule::Rule;
///
/// let rule: Rule = toml::from_str(r#"
///     name = "train"
///     webhook = 11
///     actions = ["ANNOTATION_CREATED"]
///     condition = "event.annotation.lead_time > 2"
///     threshold = 100
/// "#).unwrap();
/// assert!(rule.check().is_ok() && rule.governs("ANNOTATION_CREATED") && !rule.governs("TASKS_CREATED"));
/// ```
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// Its name, for people.
    pub name: String,
    /// `webhook.id`
    pub webhook: WebhookId,
    /// What it governs; empty: every action.
    #[serde(default)]
    pub actions: Vec<String>,
    /// An expression in CEL over `event` and `parameters`; without, always true.
    pub condition: Option<String>,
    /// Only when the condition becomes true, and again after it was false.
    #[serde(default)]
    pub on_transition: bool,
    /// One event for so many objects.
    pub threshold: Option<i32>,
    /// Minimum time between two events; the latest of those that came meanwhile follows.
    pub throttle: Option<SignedDuration>,
    /// An action's name in place of the event's own.
    pub rename_action: Option<String>,
    /// The body, as a template.
    pub template: Option<String>,
    /// The file that holds the template, from the folder of the rule's own file; read when the rule is.
    #[serde(default)]
    pub template_file: Option<PathBuf>,
    /// What the condition and the template see as `parameters`.
    #[serde(default)]
    pub parameters: serde_json::Map<String, Value>,
}

/// What a rule makes of an event that passes it.
#[derive(Debug, Clone, PartialEq)]
pub struct RuleOutput {
    /// The action.
    pub action: String,
    /// The body.
    pub body: String,
}

/// Applies rules to events.
#[derive(Default)]
pub struct Rulebook {
    conditions: Conditions,
    has_throttled: bool,
}

impl Rule {
    /// From a row of `lshookd.rule` as JSON, whose interval is in ISO 8601.
    ///
    /// # Errors
    /// When it is none.
    pub fn from_row(row: &str) -> Result<Rule> {
        serde_json::from_str(row).context("reading lshookd.rule")
    }

    /// Whether it decides about an action.
    pub fn governs(&self, action: &str) -> bool {
        self.actions.is_empty() || self.actions.iter().any(|governed| governed == action)
    }

    /// Why it cannot be used, if it cannot.
    ///
    /// # Errors
    /// With the reason.
    pub fn check(&self) -> Result<()> {
        if let Some(condition) = &self.condition {
            condition::compile(condition)?;
        }
        if let Some(template) = &self.template {
            template::check(template)?;
        }
        if self.threshold.is_some_and(|threshold| threshold < 1) {
            anyhow::bail!("threshold: expected a number above 0");
        }
        if self.on_transition && self.condition.is_none() {
            anyhow::bail!("on_transition: takes a condition, which becomes true");
        }
        Ok(())
    }

    /// Whether it must remember something of a project.
    fn remembers(&self) -> bool {
        self.on_transition || self.threshold.is_some() || self.throttle.is_some()
    }
}

impl Rulebook {
    /// Whether an event was throttled since this was asked last.
    pub fn has_throttled(&mut self) -> bool {
        std::mem::take(&mut self.has_throttled)
    }

    /// Whether the condition of a rule holds of an event.
    ///
    /// # Errors
    /// When the condition cannot be evaluated, or is neither true nor false.
    pub async fn holds(&mut self, rule: &Rule, event: &Value) -> Result<bool> {
        match &rule.condition {
            Some(condition) => self.conditions.holds(condition, &rule.parameters, event).await,
            None => Ok(true),
        }
    }

    /// What a rule makes of an event that passes it.
    ///
    /// # Errors
    /// When its template cannot be filled, or what comes of it is no JSON.
    pub fn write(&self, rule: &Rule, action: &str, body: &str, event: &Value) -> Result<RuleOutput> {
        let renamed = rule.rename_action.as_deref().unwrap_or(action);
        let body = match &rule.template {
            Some(template) => template::fill(template, renamed, event, &rule.parameters)?,
            // Bodies begin with the action; the rest is passed on as it is written.
            None => body.replacen(&format!(r#""action":"{action}""#), &format!(r#""action":"{renamed}""#), 1),
        };
        Ok(RuleOutput { action: renamed.to_owned(), body })
    }

    /// What the rules that govern an event make of it now; part of the caller's transaction.
    ///
    /// # Errors
    /// When the database cannot be asked.
    pub async fn apply(
        &mut self,
        client: &Prepared<'_, impl GenericClient>,
        rules: &[&Rule],
        event: &Event,
        body: &str,
    ) -> Result<Vec<RuleOutput>> {
        let action = event.action.name();
        let unchanged = || RuleOutput { action: action.to_owned(), body: body.to_owned() };
        // PostgreSQL's numbers may be larger than any here, and its objects deeper.
        let parsed: Value = match serde_json::from_str(body) {
            Ok(parsed) => parsed,
            Err(error) => {
                let names: Vec<&str> = rules.iter().map(|rule| rule.name.as_str()).collect();
                tracing::error!(rules = names.join(", "), %error, "the rules cannot read this event: it is sent as if there were none");
                return Ok(vec![unchanged()]);
            }
        };
        let remembering: Vec<&str> =
            rules.iter().filter(|rule| rule.remembers()).map(|rule| rule.name.as_str()).collect();
        let mut states = match remembering.is_empty() {
            true => BTreeMap::new(),
            false => throttle::read(client, &remembering, event.scope).await?,
        };
        let mut passed = Vec::new();
        for rule in rules {
            let judged = self
                .holds(rule, &parsed)
                .await
                .and_then(|holds| holds.then(|| self.write(rule, action, body, &parsed)).transpose());
            let written = match judged {
                Ok(written) => written,
                Err(error) => {
                    tracing::error!(
                        rule = rule.name,
                        error = format!("{error:#}"),
                        "the rule cannot be used: the event is sent as if there were none; see `lshookd rule test`"
                    );
                    passed.push(unchanged());
                    continue;
                }
            };
            if !rule.remembers() {
                passed.extend(written);
                continue;
            }
            let state = states.remove(&rule.name).unwrap_or_default();
            let step = state.step(rule, written.is_some(), event.objects.len(), SystemTime::now());
            if step == Step::Drop(state) {
                continue; // Nothing new to remember.
            }
            throttle::note(client, rule, event, &step, written.as_ref()).await?;
            match step {
                Step::Pass(_) => passed.extend(written),
                Step::Drop(_) => {}
                Step::Throttle(_) => self.has_throttled = true,
            }
        }
        Ok(passed)
    }
}

/// Takes the events that rules have throttled for long enough, as part of the caller's transaction.
///
/// # Errors
/// When the database cannot be asked.
pub async fn release_throttled(client: &Prepared<'_, impl GenericClient>) -> Result<Vec<Addressed>> {
    let rows = client.query(include_str!("../../sql/rule/release_throttled.sql"), &[]).await;
    let throttled = |row: &tokio_postgres::Row| Addressed {
        action: row.get("action"),
        scope: row.get("project_id"),
        objects: usize::try_from(row.get::<_, i32>("objects")).unwrap_or_default(),
        occurred_at: row.get("occurred_at"),
        end: End::None,
        recipients: vec![row.get("webhook_id")],
        body: Some(row.get("body")),
    };
    Ok(rows.context("taking throttled events")?.iter().map(throttled).collect())
}

/// In how long the next of them is due, if there is one.
///
/// # Errors
/// When the database cannot be asked.
pub async fn next_throttled(client: &Prepared<'_, impl GenericClient>) -> Result<Option<Duration>> {
    let row = client
        .query_one(include_str!("../../sql/rule/next_throttled.sql"), &[])
        .await
        .context("reading lshookd.rule_state")?;
    let seconds: Option<f64> = row.get("seconds");
    Ok(seconds.map(|seconds| Duration::try_from_secs_f64(seconds.max(0.0)).unwrap_or(Duration::MAX)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    pub fn rule(text: &str) -> Rule {
        toml::from_str(&format!("name = \"test\"\nwebhook = 1\n{text}")).unwrap()
    }

    #[test]
    fn rules_are_read_from_files_and_rows() {
        let text =
            "actions = [\"TASKS_COMPLETED\"]\nthreshold = 100\nthrottle = \"10m\"\nparameters = { ref = \"main\" }";
        let written = rule(text);
        assert_eq!(written.throttle, Some(SignedDuration::from_mins(10)));
        let row = json!({"name": "test", "webhook": 1, "actions": ["TASKS_COMPLETED"], "condition": null, "on_transition": false,
            "threshold": 100, "throttle": "PT10M", "rename_action": null, "template": null, "parameters": {"ref": "main"}});
        assert_eq!(Rule::from_row(&row.to_string()).unwrap(), written);
        assert!(
            toml::from_str::<Rule>("name = \"a\"\nwebhook = 1\ntreshold = 3")
                .unwrap_err()
                .to_string()
                .contains("treshold")
        );
        assert!(rule("condition = \"event.\"").check().is_err());
        assert!(rule("on_transition = true").check().is_err());
        assert!(written.check().is_ok());
        assert!(written.governs("TASKS_COMPLETED") && !written.governs("TASKS_CREATED") && rule("").governs("ANY"));
    }

    #[test]
    fn an_action_is_renamed_and_nothing_else() {
        let body =
            r#"{"action":"TASKS_COMPLETED","tasks":[{"id":1,"n":1.10}],"note":"\"action\":\"TASKS_COMPLETED\""}"#;
        let event = serde_json::from_str(body).unwrap();
        let passed =
            Rulebook::default().write(&rule("rename_action = \"TRAIN\""), "TASKS_COMPLETED", body, &event).unwrap();
        assert_eq!(passed.action, "TRAIN");
        assert_eq!(passed.body, body.replacen("TASKS_COMPLETED", "TRAIN", 1));
    }
}
