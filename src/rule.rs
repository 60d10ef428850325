//! Rules: which events of a webhook are sent, as what, and how often (`lshookd.rule`).
//!
//! Conditions are expressions of the Common Expression Language (<https://cel.dev>), bodies are templates of
//! minijinja; both see the event as `event`. Promises that a rule which cannot be used loses nothing: the event is
//! then sent as if there were none, and the log says so.

mod pace;
mod template;

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use anyhow::{Context as _, Result};
use cel::{Context, Program, Value as Cel};
use jiff::SignedDuration;
use serde::Deserialize;
use serde_json::Value;
use tokio_postgres::GenericClient;

use crate::database::Prepared;
use crate::event::{End, Event};
use crate::queue::Addressed;
use pace::Step;

/// A rule, as `lshookd.rule` has it and as a file writes it.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// Its name, for people.
    pub name: String,
    /// `webhook.id`
    pub webhook: i64,
    /// What it governs; empty: every action.
    #[serde(default)]
    pub actions: Vec<String>,
    /// An expression in CEL over `event` and `parameters`; without, always true.
    pub condition: Option<String>,
    /// Only when the condition becomes true, and again after it was false.
    #[serde(default)]
    pub once: bool,
    /// One event for so many objects.
    pub after: Option<i32>,
    /// Not more often than this; and then the latest.
    pub at_most_every: Option<SignedDuration>,
    /// An action's name of one's own.
    pub announce_as: Option<String>,
    /// The body: the name of a ready-made template, or a template.
    pub template: Option<String>,
    /// What the condition and the template see as `parameters`.
    #[serde(default)]
    pub parameters: serde_json::Map<String, Value>,
}

/// What a rule lets through.
#[derive(Debug, Clone, PartialEq)]
pub struct Passed {
    /// The action.
    pub action: String,
    /// The body.
    pub body: String,
}

/// Conditions that were compiled, by their text.
#[derive(Default)]
pub struct Rulebook {
    programs: HashMap<String, Arc<Program>>,
    /// Conditions that took too long, and when they are tried again.
    too_slow: HashMap<String, Instant>,
    has_held: bool,
}

/// How long a condition may take for one event. Planning waits for it, and for nothing longer.
const DEADLINE: Duration = Duration::from_millis(500);

/// A condition that took longer is not tried again for so long: its evaluation cannot be ended.
const SUSPENSION: Duration = Duration::from_secs(300);

/// A condition may look at so many elements of lists: at so many in each of the loops that are nested in it.
const BUDGET: f64 = 10_000_000.0;

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
            compile(condition)?;
        }
        if let Some(template) = &self.template {
            template::check(template)?;
        }
        if self.after.is_some_and(|after| after < 1) {
            anyhow::bail!("after: expected a number above 0");
        }
        if self.once && self.condition.is_none() {
            anyhow::bail!("once: takes a condition, which becomes true");
        }
        Ok(())
    }

    /// Whether it must remember something of a project.
    fn remembers(&self) -> bool {
        self.once || self.after.is_some() || self.at_most_every.is_some()
    }
}

fn compile(condition: &str) -> Result<Program> {
    // The parser tells of several errors, each with its place.
    Program::compile(condition).map_err(|error| anyhow::anyhow!("condition: {error}"))
}

/// A JSON value for a condition. Whole numbers are CEL's `int`, as its literals are, and not `uint`.
fn to_cel(value: &Value) -> Cel {
    match value {
        Value::Null => Cel::Null,
        Value::Bool(value) => Cel::Bool(*value),
        Value::Number(number) => match number.as_i64() {
            Some(whole) => Cel::Int(whole),
            None => Cel::Float(number.as_f64().unwrap_or(f64::NAN)),
        },
        Value::String(text) => Cel::String(Arc::new(text.clone())),
        Value::Array(items) => Cel::List(Arc::new(items.iter().map(to_cel).collect())),
        Value::Object(object) => object_to_cel(object),
    }
}

/// How many loops of a condition are in each other (`all`, `exists`, `exists_one`, `map`, `filter`).
fn nested_loops(condition: &str) -> i32 {
    const LOOPS: [&str; 5] = [".all", ".exists", ".exists_one", ".map", ".filter"];
    let mut open: Vec<bool> = Vec::new();
    let (mut deepest, mut quote, mut escaped) = (0, None, false);
    for (place, each) in condition.char_indices() {
        match (quote, each) {
            (Some(_), _) if escaped => escaped = false,
            (Some(_), '\\') => escaped = true,
            (Some(end), _) if each == end => quote = None,
            (Some(_), _) => {}
            (None, '"' | '\'') => quote = Some(each),
            (None, '(') => {
                let before = condition[..place].trim_end();
                open.push(LOOPS.iter().any(|name| before.ends_with(name)));
                deepest = deepest.max(open.iter().filter(|is_loop| **is_loop).count());
            }
            (None, ')') => {
                open.pop();
            }
            (None, _) => {}
        }
    }
    i32::try_from(deepest).unwrap_or(i32::MAX)
}

/// How many elements the longest list or object in a value has.
fn longest_list(value: &Value) -> usize {
    match value {
        Value::Array(items) => items.len().max(items.iter().map(longest_list).max().unwrap_or_default()),
        Value::Object(object) => object.len().max(object.values().map(longest_list).max().unwrap_or_default()),
        _ => 0,
    }
}

fn object_to_cel(object: &serde_json::Map<String, Value>) -> Cel {
    let members: HashMap<String, Cel> = object.iter().map(|(name, value)| (name.clone(), to_cel(value))).collect();
    Cel::Map(members.into())
}

impl Rulebook {
    /// Whether an event was held back since this was asked last.
    pub fn has_held(&mut self) -> bool {
        std::mem::take(&mut self.has_held)
    }

    /// Whether the condition holds of a body.
    ///
    /// # Errors
    /// When the condition cannot be evaluated, or is neither true nor false.
    pub async fn holds(&mut self, rule: &Rule, event: &Value) -> Result<bool> {
        let Some(condition) = &rule.condition else {
            return Ok(true);
        };
        if self.too_slow.get(condition).is_some_and(|until| *until > Instant::now()) {
            anyhow::bail!("condition: it took longer than {DEADLINE:?} and is not evaluated for a while");
        }
        let elements = longest_list(event).max(rule.parameters.values().map(longest_list).max().unwrap_or_default());
        let nesting = nested_loops(condition);
        if (elements as f64).powi(nesting) > BUDGET {
            anyhow::bail!("condition: {nesting} loops in each other over lists of {elements} elements take too long");
        }
        let program = match self.programs.entry(condition.clone()) {
            Entry::Occupied(compiled) => Arc::clone(compiled.get()),
            Entry::Vacant(place) => Arc::clone(place.insert(Arc::new(compile(condition)?))),
        };
        let (event, parameters) = (event.clone(), rule.parameters.clone());
        // On a thread of its own, which nothing waits for: whatever it does, planning goes on.
        let (answer, evaluation) = tokio::sync::oneshot::channel();
        let evaluate = move || {
            let mut context = Context::default();
            context.add_variable_from_value("event", to_cel(&event));
            context.add_variable_from_value("parameters", object_to_cel(&parameters));
            let evaluated = match program.execute(&context) {
                Ok(Cel::Bool(holds)) => Ok(holds),
                Ok(_) => Err(anyhow::anyhow!("condition: it is neither true nor false")),
                Err(error) => Err(anyhow::anyhow!("condition: {error}")),
            };
            // Nobody waits for it any more where it took too long.
            let _ = answer.send(evaluated);
        };
        std::thread::Builder::new().name("condition".to_owned()).spawn(evaluate).context("starting a thread")?;
        match tokio::time::timeout(DEADLINE, evaluation).await {
            Ok(Ok(evaluated)) => evaluated,
            Ok(Err(_)) => anyhow::bail!("condition: its evaluation failed"),
            Err(_) => {
                self.too_slow.insert(condition.clone(), Instant::now() + SUSPENSION);
                anyhow::bail!("condition: it took longer than {DEADLINE:?}")
            }
        }
    }

    /// What a rule makes of an event that it lets through.
    ///
    /// # Errors
    /// When its template cannot be filled, or what comes of it is no JSON.
    pub fn write(&self, rule: &Rule, action: &str, body: &str, event: &Value) -> Result<Passed> {
        let renamed = rule.announce_as.as_deref().unwrap_or(action);
        let body = match &rule.template {
            Some(template) => template::fill(template, renamed, event, &rule.parameters)?,
            // Bodies begin with the action; the rest is passed on as it is written.
            None => body.replacen(&format!(r#""action":"{action}""#), &format!(r#""action":"{renamed}""#), 1),
        };
        Ok(Passed { action: renamed.to_owned(), body })
    }

    /// What the rules that govern an event let through of it now; part of the caller's transaction.
    ///
    /// # Errors
    /// When the database cannot be asked.
    pub async fn apply(
        &mut self,
        client: &Prepared<'_, impl GenericClient>,
        rules: &[&Rule],
        event: &Event,
        body: &str,
    ) -> Result<Vec<Passed>> {
        let action = event.action.name();
        let unchanged = || Passed { action: action.to_owned(), body: body.to_owned() };
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
            false => pace::read(client, &remembering, event.project).await?,
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
                        "the rule cannot be used: the event is sent as if there were none; see `lshookd rules test`"
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
            if step == Step::Keep(state) {
                continue; // Nothing new to remember.
            }
            pace::note(client, rule, event, &step, written.as_ref()).await?;
            match step {
                Step::LetThrough(_) => passed.extend(written),
                Step::Keep(_) => {}
                Step::Hold(_) => self.has_held = true,
            }
        }
        Ok(passed)
    }
}

/// Takes the events that rules held back for long enough, as part of the caller's transaction.
///
/// # Errors
/// When the database cannot be asked.
pub async fn let_held_through(client: &Prepared<'_, impl GenericClient>) -> Result<Vec<Addressed>> {
    let rows = client.query(include_str!("../sql/rule/let_held_through.sql"), &[]).await;
    let held = |row: &tokio_postgres::Row| Addressed {
        action: row.get("action"),
        project: row.get("project_id"),
        objects: usize::try_from(row.get::<_, i32>("objects")).unwrap_or_default(),
        occurred_at: row.get("occurred_at"),
        end: End::None,
        recipients: vec![row.get("webhook")],
        body: Some(row.get("body")),
    };
    Ok(rows.context("taking what rules held back")?.iter().map(held).collect())
}

/// In how long the next of them is due, if there is one.
///
/// # Errors
/// When the database cannot be asked.
pub async fn next_held(client: &Prepared<'_, impl GenericClient>) -> Result<Option<Duration>> {
    let row =
        client.query_one(include_str!("../sql/rule/next_held.sql"), &[]).await.context("reading lshookd.rule_state")?;
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

    fn holds(condition: &str, event: &Value) -> Result<bool> {
        let rule = Rule { condition: Some(condition.to_owned()), ..rule("") };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(Rulebook::default().holds(&rule, event))
    }

    #[test]
    fn a_condition_that_takes_too_long_is_an_error() {
        let tasks: Vec<Value> = (0..400).map(|id| json!({"id": id})).collect();
        let event = json!({"tasks": tasks});
        let nested = "event.tasks.all(a, event.tasks.all(b, event.tasks.all(c, a.id + b.id + c.id >= 0)))";
        let start = Instant::now();
        assert!(holds(nested, &event).unwrap_err().to_string().contains("3 loops in each other"));
        // Within the budget, and still too slow.
        let slow = format!("event.tasks.all(a, event.tasks.all(b, {}))", vec!["a.id + b.id >= 0"; 300].join(" && "));
        assert!(holds(&slow, &event).unwrap_err().to_string().contains("longer than"), "{:?}", start.elapsed());
        assert!(start.elapsed() < Duration::from_secs(5));
        assert_eq!(nested_loops("a.all(x, x.b == '.all(.all(') && c.exists(y, y.map(z, z) == [])"), 2);
    }

    #[test]
    fn conditions_see_the_event() {
        let event = json!({
            "action": "ANNOTATION_CREATED",
            "annotation": {"id": 7, "completed_by": 3, "lead_time": 2.5, "result": [{"value": {"choices": ["spam"]}}]},
            "previous": {"lead_time": 1.0},
            "project": {"title": "Birds of prey", "task_number": 10, "finished_task_number": 8},
        });
        for condition in [
            "event.annotation.completed_by in [3, 4]",
            "event.annotation.result.exists(region, 'spam' in region.value.choices)",
            "event.project.title.startsWith('Birds')",
            "event.project.finished_task_number * 100 >= event.project.task_number * 80",
            "has(event.previous) && event.annotation.lead_time > event.previous.lead_time",
            "!has(event.task)",
            "event.annotation.id == 7",
            "event.annotation.lead_time > 2.0 && event.annotation.lead_time > 2",
            "event.annotation.result.size() == 1",
        ] {
            assert!(holds(condition, &event).unwrap(), "{condition}");
        }
        assert!(!holds("event.annotation.completed_by == 4", &event).unwrap());
    }

    #[test]
    fn what_cannot_be_evaluated_is_an_error_and_no_panic() {
        for condition in ["event.nothing.there", "1 + 1", "event.", "'a' <", "nobody(event)"] {
            let error = holds(condition, &json!({})).unwrap_err().to_string();
            assert!(error.starts_with("condition: "), "{error}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_condition_makes_it_panic(condition: String, more in "[a-z.()\\[\\]'0-9+*/&|=<>?: -]{0,40}") {
            let event = json!({"action": "A", "project": {"id": 1}});
            let _ = holds(&condition, &event);
            let _ = holds(&more, &event);
            let _ = holds(&format!("event.project.id {more}"), &event);
        }
    }

    #[test]
    fn rules_are_read_from_files_and_rows() {
        let text =
            "actions = [\"TASKS_COMPLETED\"]\nafter = 100\nat_most_every = \"10m\"\nparameters = { ref = \"main\" }";
        let written = rule(text);
        assert_eq!(written.at_most_every, Some(SignedDuration::from_mins(10)));
        let row = json!({"name": "test", "webhook": 1, "actions": ["TASKS_COMPLETED"], "condition": null, "once": false,
            "after": 100, "at_most_every": "PT10M", "announce_as": null, "template": null, "parameters": {"ref": "main"}});
        assert_eq!(Rule::from_row(&row.to_string()).unwrap(), written);
        assert!(
            toml::from_str::<Rule>("name = \"a\"\nwebhook = 1\nafer = 3").unwrap_err().to_string().contains("afer")
        );
        assert!(rule("condition = \"event.\"").check().is_err());
        assert!(rule("once = true").check().is_err());
        assert!(written.check().is_ok());
        assert!(written.governs("TASKS_COMPLETED") && !written.governs("TASKS_CREATED") && rule("").governs("ANY"));
    }

    #[test]
    fn an_action_is_renamed_and_nothing_else() {
        let body =
            r#"{"action":"TASKS_COMPLETED","tasks":[{"id":1,"n":1.10}],"note":"\"action\":\"TASKS_COMPLETED\""}"#;
        let event = serde_json::from_str(body).unwrap();
        let passed =
            Rulebook::default().write(&rule("announce_as = \"TRAIN\""), "TASKS_COMPLETED", body, &event).unwrap();
        assert_eq!(passed.action, "TRAIN");
        assert_eq!(passed.body, body.replacen("TASKS_COMPLETED", "TRAIN", 1));
    }
}
