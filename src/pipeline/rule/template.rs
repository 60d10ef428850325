//! Templates of bodies, in the language of minijinja.
//!
//! A template sees `action`, `event` and `parameters`, and must come to JSON; the filter `tojson` writes a value so.

use anyhow::{Context, Result};
use minijinja::value::Serde;
use minijinja::{Environment, UndefinedBehavior, context};
use serde_json::{Map, Value};

/// Says why a template cannot be used, if it cannot.
pub fn check(template: &str) -> Result<()> {
    if !template.contains('{') {
        anyhow::bail!("template: {template:?} holds no JSON; a file is named by template_file");
    }
    environment().template_from_str(template).map(|_| ()).map_err(|error| anyhow::anyhow!("template: {error:#}"))
}

/// The body that a template makes of an event.
pub fn fill(template: &str, action: &str, event: &Value, parameters: &Map<String, Value>) -> Result<String> {
    let filled = environment()
        .render_str(
            template,
            context! {
                action,
                event => Serde(event),
                parameters => Serde(parameters),
            },
        )
        .map_err(|error| anyhow::anyhow!("template: {error:#}"))?;
    let body: Value = serde_json::from_str(&filled).context("template: what comes of it is no JSON")?;
    Ok(body.to_string())
}

fn environment() -> Environment<'static> {
    let mut environment = Environment::new();
    // A name that is written wrongly is an error, and not silence.
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    // And a loop without an end is one, too.
    environment.set_fuel(Some(1_000_000));
    environment
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    /// What a documented template makes of an event.
    fn documented(name: &str, parameters: Value) -> Result<Value> {
        filled(&std::fs::read_to_string(format!("docs/templates/{name}.json"))?, parameters)
    }

    fn filled(template: &str, parameters: Value) -> Result<Value> {
        let event = json!({
            "action": "TASKS_COMPLETED",
            "tasks": [{"id": 1}, {"id": 2}],
            "project": {"id": 7, "title": "Birds \"of prey\"", "task_number": 10, "finished_task_number": 8},
        });
        let parameters = parameters.as_object().cloned().unwrap_or_default();
        Ok(serde_json::from_str(&fill(template, "TRAIN", &event, &parameters)?)?)
    }

    /// Each against the format that its receiver documents.
    #[test]
    fn the_documented_ones_are_what_their_receivers_take() {
        // https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks
        let slack = documented("slack", json!({})).unwrap();
        assert_eq!(slack, json!({"text": "TRAIN in project 7 Birds \"of prey\": 8 of 10 tasks are done"}));
        // https://docs.github.com/en/rest/repos/repos#create-a-repository-dispatch-event
        let github = documented("github", json!({})).unwrap();
        assert_eq!(github["event_type"], "TRAIN");
        assert!(github["client_payload"].as_object().unwrap().len() <= 10);
        assert_eq!(github["client_payload"]["project"]["id"], 7);
        assert_eq!(documented("github", json!({"event_type": "train"})).unwrap()["event_type"], "train");
        // https://docs.gitlab.com/api/pipeline_triggers
        let gitlab = documented("gitlab", json!({"ref": "main"})).unwrap();
        assert_eq!(
            gitlab,
            json!({"ref": "main", "variables": {"LABEL_STUDIO_ACTION": "TRAIN", "LABEL_STUDIO_PROJECT": "7"}})
        );
        assert!(documented("gitlab", json!({})).is_err());
        // https://airflow.apache.org/docs/apache-airflow/stable/stable-rest-api-ref.html (a DAG run)
        let airflow = documented("airflow", json!({})).unwrap();
        assert_eq!(airflow, json!({"logical_date": null, "conf": {"action": "TRAIN", "project": 7}}));
        // https://docs.dagster.io/api/graphql (launchRun)
        let dagster = documented("dagster", json!({"location": "code", "job": "train"})).unwrap();
        assert!(dagster["query"].as_str().unwrap().contains("launchRun"));
        assert_eq!(dagster["variables"]["params"]["selector"]["jobName"], "train");
        // https://plugins.jenkins.io/generic-webhook-trigger: JSON whose values are picked by JSONPath
        assert_eq!(
            documented("jenkins", json!({})).unwrap(),
            json!({"action": "TRAIN", "project": 7, "title": "Birds \"of prey\""})
        );
    }

    #[test]
    fn what_cannot_be_filled_is_an_error() {
        for (wrong, words) in
            [("{{ event.project.titel }}", "undefined"), ("{{ event", "template: "), ("{ not json }", "no JSON")]
        {
            let error = format!("{:#}", filled(wrong, json!({})).unwrap_err());
            assert!(error.contains(words), "{wrong}: {error}");
        }
        assert!(check("{{ event").is_err() && check("slack").is_err());
    }
}
