//! Conditions: expressions of the Common Expression Language (<https://cel.dev>) over an event.
//!
//! Promises that no condition holds planning up: one that would look at too many elements is refused, and one that
//! takes too long is left to itself and not evaluated again for a while.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use cel::{Context, Program, Value as Cel};
use serde_json::{Map, Value};

/// Conditions that were compiled, by their text.
#[derive(Default)]
pub struct Conditions {
    programs: HashMap<String, Arc<Program>>,
    /// Conditions that took too long, and until when they are not evaluated again.
    too_slow: HashMap<String, Instant>,
}

/// How long a condition may take for one event. Planning waits for it, and for nothing longer.
const DEADLINE: Duration = Duration::from_millis(500);

/// A condition that took longer is not evaluated again for so long: its evaluation cannot be ended.
const SUSPENSION: Duration = Duration::from_secs(300);

/// A condition may look at so many elements of lists: at so many in each of the loops that are nested in it.
const BUDGET: f64 = 10_000_000.0;

impl Conditions {
    /// Whether the condition holds of a body.
    ///
    /// # Errors
    /// When the condition cannot be evaluated, or is neither true nor false.
    pub async fn holds(&mut self, condition: &str, parameters: &Map<String, Value>, event: &Value) -> Result<bool> {
        if self.too_slow.get(condition).is_some_and(|until| *until > Instant::now()) {
            anyhow::bail!("condition: it took longer than {DEADLINE:?} and is not evaluated for a while");
        }
        let elements = longest_list(event).max(parameters.values().map(longest_list).max().unwrap_or_default());
        let nesting = nested_loops(condition);
        if (elements as f64).powi(nesting) > BUDGET {
            anyhow::bail!("condition: {nesting} loops in each other over lists of {elements} elements take too long");
        }
        let program = match self.programs.entry(condition.to_owned()) {
            Entry::Occupied(compiled) => Arc::clone(compiled.get()),
            Entry::Vacant(place) => Arc::clone(place.insert(Arc::new(compile(condition)?))),
        };
        let (event, parameters) = (event.clone(), parameters.clone());
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
                self.too_slow.insert(condition.to_owned(), Instant::now() + SUSPENSION);
                anyhow::bail!("condition: it took longer than {DEADLINE:?}")
            }
        }
    }
}

/// Compiles a condition.
///
/// # Errors
/// With what is wrong with it.
pub fn compile(condition: &str) -> Result<Program> {
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

fn object_to_cel(object: &Map<String, Value>) -> Cel {
    let members: HashMap<String, Cel> = object.iter().map(|(name, value)| (name.clone(), to_cel(value))).collect();
    Cel::Map(members.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn holds(condition: &str, event: &Value) -> Result<bool> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(Conditions::default().holds(condition, &Map::new(), event))
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
}
