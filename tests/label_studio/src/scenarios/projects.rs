//! Settings of projects, and what happens around them.

use reqwest::Method;
use serde_json::{Value, json};

use crate::scenario::Claim::{Differs, Nothing, Same};
use crate::scenario::{Scenario, scenario};
use crate::stage::{CHOICES, choice};

pub fn scenarios() -> Vec<Scenario> {
    vec![
        scenario!("change the title", ["PROJECT_UPDATED"], Same, |stage| stage
            .set_project(json!({"title": "Owls & wrens"}))
            .await),
        scenario!("save it unchanged", ["PROJECT_UPDATED"], Same, |stage| stage
            .set_project(json!({"title": "Owls & wrens"}))
            .await),
        scenario!("change the instructions", ["PROJECT_UPDATED"], Same, |stage| {
            stage.set_project(json!({"expert_instruction": "<b>Listen.</b>", "show_instruction": true})).await
        }),
        scenario!("ask for two annotations of each task", ["PROJECT_UPDATED"], Same, |stage| {
            stage.set_project(json!({"maximum_annotations": 2})).await
        }),
        scenario!("ask for two of some tasks only", ["PROJECT_UPDATED"], Same, |stage| {
            stage.set_project(json!({"maximum_annotations": 2, "overlap_cohort_percentage": 50})).await
        }),
        scenario!("change the order of tasks", ["PROJECT_UPDATED"], Same, |stage| {
            stage.set_project(json!({"sampling": "Uniform sampling", "show_skip_button": false})).await
        }),
        scenario!("change the labelling interface", ["PROJECT_UPDATED"], Same, |stage| {
            stage.set_project(json!({"label_config": CHOICES.replace("owl", "eagle owl")})).await
        }),
        scenario!("pin it", ["PROJECT_UPDATED"], Same, |stage| {
            stage.set_project(json!({"pinned_at": "2020-02-29T12:00:00Z"})).await
        }),
        scenario!("import predictions of a model", [], Nothing("there is no action for it"), |stage| {
            let prediction = json!({"task": stage.tasks[0], "result": choice("owl"), "model_version": "owls-1"});
            stage.studio.post("/api/predictions/", prediction).await
        }),
        scenario!("choose it", ["PROJECT_UPDATED"], Same, |stage| {
            stage.set_project(json!({"model_version": "owls-1", "evaluate_predictions_automatically": true})).await
        }),
        scenario!("save settings that are refused", [], Nothing("nothing is changed"), |stage| {
            let settings = json!({"label_config": "<View><Choices/></View>"});
            stage.attempt(Method::PATCH, &format!("/api/projects/{}/", stage.project), settings).await
        }),
        scenario!("look at the pages of the project", [], Nothing("looking is no event"), |stage| {
            for path in ["", "summary/", "next/", "tasks/"] {
                stage.attempt(Method::GET, &format!("/api/projects/{}/{path}", stage.project), Value::Null).await?;
            }
            let page = format!("/api/dm/project/?project={}", stage.project);
            stage.attempt(Method::GET, &page, Value::Null).await
        }),
        scenario!("make a tab of the data manager", [], Nothing("there is no action for it"), |stage| {
            let tab = json!({"project": stage.project, "data": {"title": "Night", "filters": {"conjunction": "and", "items": []}}});
            stage.studio.post("/api/dm/views/", tab).await
        }),
        scenario!("reset the summary", [], Nothing("there is no action for it"), |stage| {
            stage.attempt(Method::POST, &format!("/api/projects/{}/summary/reset/", stage.project), Value::Null).await
        }),
        scenario!("edit the webhooks", [], Nothing("there is no action for it"), |stage| {
            let webhook = stage.newest("webhook").await?;
            let path = format!("/api/webhooks/{webhook}/");
            stage.attempt(Method::PATCH, &path, json!({"headers": {"X-Aviary": "new"}})).await
        }),
        scenario!("change the title by SQL", ["PROJECT_UPDATED"], Differs(&[], "it does not see SQL"), |stage| {
            stage.run(&format!("update project set title = 'By SQL' where id = {}", stage.project)).await
        }),
        scenario!("change it by SQL to what it was", [], Nothing("nothing is changed"), |stage| {
            stage.run(&format!("update project set title = 'By SQL' where id = {}", stage.project)).await
        }),
        scenario!(
            "make a project like this one, and label in both",
            ["ANNOTATION_CREATED", "PROJECT_CREATED"],
            Same,
            |stage| {
                stage.annotate(0, json!({"result": choice("owl")})).await?;
                stage.settle().await?;
                stage.studio.post("/api/projects", json!({"title": "Birds, too", "label_config": CHOICES})).await
            }
        ),
        scenario!("delete the project", ["PROJECT_DELETED"], Same, |stage| {
            stage.studio.delete(&format!("/api/projects/{}/", stage.project)).await
        }),
    ]
}
