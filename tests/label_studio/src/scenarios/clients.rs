//! Other ways into Label Studio than its own pages: its SDK, Django's admin site, its shell, another organization.

use anyhow::{Result, ensure};
use lshookd_testbed::label_studio::TOKEN;
use lshookd_testbed::receiver::Received;
use reqwest::Method;
use serde_json::{Value, json};

use crate::scenario::Claim::{Differs, Same};
use crate::scenario::{Scenario, label_studio_is_before, scenario};
use crate::scenario_run::{CHOICES, ScenarioRun, choice, id};

/// Label Studio's webhooks are sent by the views of its API.
const NOT_BY_THE_API: &str = "it tells what comes through its API alone";

pub fn scenarios() -> Vec<Scenario> {
    let mut scenarios = vec![
        scenario!("change the title in the admin site", ["PROJECT_UPDATED"], Differs(&[], NOT_BY_THE_API), |run| {
            in_the_admin_site(run, "title").await
        }),
        scenario!("delete a task in the admin site", ["TASKS_DELETED"], Differs(&[], NOT_BY_THE_API), |run| {
            in_the_admin_site(run, "delete").await
        }),
        scenario!("create tasks in the shell", ["TASKS_CREATED"], Differs(&[], NOT_BY_THE_API), |run| {
            in_the_shell(run, "create").await
        }),
        scenario!("annotate in the shell", ["ANNOTATION_CREATED"], Differs(&[], NOT_BY_THE_API), |run| {
            in_the_shell(run, "annotate").await
        }),
        scenario!("change the title in the shell", ["PROJECT_UPDATED"], Differs(&[], NOT_BY_THE_API), |run| {
            in_the_shell(run, "edit").await
        }),
        scenario!("delete a task in the shell", ["TASKS_DELETED"], Differs(&[], NOT_BY_THE_API), |run| {
            in_the_shell(run, "delete").await
        }),
        // Neither organization hears of the other; what the other's own webhook receives is compared, too.
        scenario!("work in another organization", [], Same, |run| in_another_organization(run).await),
    ];
    // Older versions bring no SDK along.
    if !label_studio_is_before(1, 13) {
        scenarios.push(scenario!(
            "work by label-studio-sdk",
            [
                "TASKS_CREATED",
                "ANNOTATION_CREATED",
                "ANNOTATION_UPDATED",
                "ANNOTATIONS_DELETED",
                "TASKS_DELETED",
                "PROJECT_UPDATED"
            ],
            Same,
            |run| {
                let project = run.project.to_string();
                let variables = [("BASE", run.studio.base.as_str()), ("TOKEN", TOKEN), ("PROJECT", &project)];
                run.studio.program(include_str!("clients/sdk.py"), &variables).await
            }
        ));
    }
    scenarios
}

async fn in_the_admin_site(run: &ScenarioRun, edit: &str) -> Result<()> {
    let project = run.project.to_string();
    run.studio.shell(include_str!("clients/admin_site.py"), &[("EDIT", edit), ("PROJECT", &project)]).await
}

async fn in_the_shell(run: &ScenarioRun, work: &str) -> Result<()> {
    let project = run.project.to_string();
    run.studio.shell(include_str!("clients/shell.py"), &[("DO", work), ("PROJECT", &project)]).await
}

async fn in_another_organization(run: &ScenarioRun) -> Result<()> {
    const PATH: &str = "/other-organization";
    const SOMEBODY: &str = "89abcdef0123456789abcdef0123456789abcdef";
    let variables = [("URL", run.receiver.url(PATH)), ("TOKEN", SOMEBODY.to_owned())];
    let variables = variables.each_ref().map(|(name, value)| (*name, value.as_str()));
    run.studio.shell(include_str!("clients/organization.py"), &variables).await?;
    let post = async |path: &str, body: Value| {
        let (status, answer) = run.studio.attempt_as(SOMEBODY, Method::POST, path, body).await?;
        ensure!(status.is_success(), "{path}: {status} {answer}");
        id(&answer)
    };
    let project = post("/api/projects/", json!({"title": "Elsewhere", "label_config": CHOICES})).await?;
    run.settle().await?;
    let task = post("/api/tasks/", json!({"project": project, "data": {"text": "zizibe"}})).await?;
    run.settle().await?;
    post(&format!("/api/tasks/{task}/annotations/"), json!({"result": choice("owl")})).await?;
    run.settle().await?;
    let received = run.receiver.received();
    for action in ["PROJECT_CREATED", "TASKS_CREATED", "ANNOTATION_CREATED"] {
        let ours = |request: &&Received| request.is_ours() && request.path == PATH && request.action() == action;
        ensure!(received.iter().filter(ours).count() == 1, "{action} is not there once");
    }
    Ok(())
}
