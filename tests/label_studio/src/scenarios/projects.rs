//! Settings of projects, and what happens around them.

use reqwest::Method;
use serde_json::{Value, json};

use crate::scenario::Claim::{Differs, Nothing, ReadEarly, Same};
use crate::scenario::{Scenario, scenario};
use crate::scenario_run::{CHOICES, choice};

pub fn scenarios() -> Vec<Scenario> {
    vec![
        scenario!("change the title", ["PROJECT_UPDATED"], Same, |run| run
            .set_project(json!({"title": "Owls & wrens"}))
            .await),
        scenario!("save it unchanged", ["PROJECT_UPDATED"], Same, |run| run
            .set_project(json!({"title": "Owls & wrens"}))
            .await),
        scenario!("change the instructions", ["PROJECT_UPDATED"], Same, |run| {
            run.set_project(json!({"expert_instruction": "<b>Listen.</b>", "show_instruction": true})).await
        }),
        scenario!("ask for two annotations of each task", ["PROJECT_UPDATED"], Same, |run| {
            run.set_project(json!({"maximum_annotations": 2})).await
        }),
        scenario!("ask for two of some tasks only", ["PROJECT_UPDATED"], Same, |run| {
            run.set_project(json!({"maximum_annotations": 2, "overlap_cohort_percentage": 50})).await
        }),
        scenario!(
            "import where some tasks ask for two",
            ["TASKS_CREATED"],
            ReadEarly(&["overlap", "finished_task_number"]),
            |run| {
                let tasks: Vec<Value> = (0..500).map(|number| json!({"text": number.to_string()})).collect();
                run.import(json!(tasks)).await
            }
        ),
        scenario!("ask for two of other tasks", ["PROJECT_UPDATED"], Same, |run| {
            run.set_project(json!({"maximum_annotations": 2, "overlap_cohort_percentage": 30})).await
        }),
        scenario!("change the order of tasks", ["PROJECT_UPDATED"], Same, |run| {
            run.set_project(json!({"sampling": "Uniform sampling", "show_skip_button": false})).await
        }),
        scenario!("change the labeling interface", ["PROJECT_UPDATED"], Same, |run| {
            run.set_project(json!({"label_config": CHOICES.replace("owl", "eagle owl")})).await
        }),
        scenario!("pin it", ["PROJECT_UPDATED"], Same, |run| {
            run.set_project(json!({"pinned_at": "2020-02-29T12:00:00Z"})).await
        }),
        scenario!("import predictions of a model", [], Nothing("there is no action for it"), |run| {
            let prediction = json!({"task": run.tasks[0], "result": choice("owl"), "model_version": "owls-1"});
            run.studio.post("/api/predictions/", prediction).await
        }),
        scenario!("choose it", ["PROJECT_UPDATED"], Same, |run| {
            run.set_project(json!({"model_version": "owls-1", "evaluate_predictions_automatically": true})).await
        }),
        scenario!("save settings that are refused", [], Nothing("nothing is changed"), |run| {
            let settings = json!({"label_config": "<View><Choices/></View>"});
            run.attempt(Method::PATCH, &format!("/api/projects/{}/", run.project), settings).await
        }),
        scenario!("look at the pages of the project", [], Nothing("looking is no event"), |run| {
            for path in ["", "summary/", "next/", "tasks/"] {
                run.attempt(Method::GET, &format!("/api/projects/{}/{path}", run.project), Value::Null).await?;
            }
            let page = format!("/api/dm/project/?project={}", run.project);
            run.attempt(Method::GET, &page, Value::Null).await
        }),
        scenario!("make a tab of the data manager", [], Nothing("there is no action for it"), |run| {
            let tab = json!({"project": run.project, "data": {"title": "Night", "filters": {"conjunction": "and", "items": []}}});
            run.studio.post("/api/dm/views/", tab).await
        }),
        scenario!("reset the summary", [], Nothing("there is no action for it"), |run| {
            run.attempt(Method::POST, &format!("/api/projects/{}/summary/reset/", run.project), Value::Null).await
        }),
        scenario!("edit the webhooks", [], Nothing("there is no action for it"), |run| {
            let webhook = run.newest("webhook").await?;
            let path = format!("/api/webhooks/{webhook}/");
            run.attempt(Method::PATCH, &path, json!({"headers": {"X-Aviary": "new"}})).await
        }),
        scenario!("change the title by SQL", ["PROJECT_UPDATED"], Differs(&[], "it does not see SQL"), |run| {
            run.run(&format!("update project set title = 'By SQL' where id = {}", run.project)).await
        }),
        scenario!("change it by SQL to what it was", [], Nothing("nothing is changed"), |run| {
            run.run(&format!("update project set title = 'By SQL' where id = {}", run.project)).await
        }),
        scenario!(
            "make a project like this one, and label in both",
            ["ANNOTATION_CREATED", "PROJECT_CREATED"],
            Same,
            |run| {
                run.annotate(0, json!({"result": choice("owl")})).await?;
                run.settle().await?;
                run.studio.post("/api/projects", json!({"title": "Birds, too", "label_config": CHOICES})).await
            }
        ),
        scenario!("delete the project", ["PROJECT_DELETED"], Same, |run| {
            run.studio.delete(&format!("/api/projects/{}/", run.project)).await
        }),
    ]
}
