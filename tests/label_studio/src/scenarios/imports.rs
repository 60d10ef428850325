//! Ways for tasks to come into a project.

use reqwest::Method;
use serde_json::{Value, json};

use crate::scenario::Claim::{Differs, Nothing, Same};
use crate::scenario::{Scenario, scenario};
use crate::stage::choice;

pub fn scenarios() -> Vec<Scenario> {
    vec![
        scenario!("import one task as a JSON object", ["TASKS_CREATED"], Same, |stage| {
            stage.import(json!({"text": "a single call"})).await
        }),
        scenario!("import tasks as a JSON list", ["TASKS_CREATED"], Same, |stage| {
            stage.import(json!([{"text": "one"}, {"data": {"text": "two"}, "meta": {"site": "marsh"}}])).await
        }),
        scenario!("import 2,500 tasks", ["TASKS_CREATED"], Same, |stage| {
            stage.import((0..2500).map(|number| json!({"text": format!("call {number}")})).collect()).await
        }),
        scenario!("import, and ask for the ids", ["TASKS_CREATED"], Same, |stage| {
            stage.in_project("import?return_task_ids=true", json!([{"text": "with an id"}])).await
        }),
        scenario!("import by the older path", ["TASKS_CREATED"], Same, |stage| {
            stage.in_project("tasks/bulk/", json!([{"text": "in bulk"}, {"text": "in bulk"}])).await
        }),
        scenario!("create a task", ["TASKS_CREATED"], Same, |stage| {
            stage
                .studio
                .post("/api/tasks/", json!({"project": stage.project, "data": {"text": "alone"}, "overlap": 2}))
                .await
        }),
        scenario!("create a task without the slash", ["TASKS_CREATED"], Same, |stage| {
            stage.studio.post("/api/tasks", json!({"project": stage.project, "data": {"text": "alone"}})).await
        }),
        scenario!("import annotated tasks", ["TASKS_CREATED"], Same, |stage| {
            let task = |kind: &str, cancelled: bool, truth: bool| {
                let annotation = json!({"result": choice(kind), "was_cancelled": cancelled, "ground_truth": truth,
                    "lead_time": 2.25});
                json!({"data": {"text": kind}, "annotations": [annotation.clone(), annotation]})
            };
            stage.import(json!([task("owl", false, true), task("wren", true, false), task("owl", false, false)])).await
        }),
        scenario!("import tasks with predictions of two models", ["TASKS_CREATED"], Same, |stage| {
            let prediction = |model: &str| json!({"result": choice("owl"), "model_version": model, "score": 0.25});
            stage.import(json!([{"data": {"text": "heard"}, "predictions": [prediction("a"), prediction("b")]}])).await
        }),
        scenario!("upload a JSON file", ["TASKS_CREATED"], Same, |stage| {
            stage
                .studio
                .upload(stage.project, "calls.json", r#"[{"text": "from JSON"}, {"text": "and another"}]"#)
                .await
        }),
        scenario!("upload a CSV file", ["TASKS_CREATED"], Same, |stage| {
            stage.studio.upload(stage.project, "calls.csv", "text,site\nkiwitt,marsh\nschuhu,\"wood, old\"\n").await
        }),
        scenario!("upload a TSV file", ["TASKS_CREATED"], Same, |stage| {
            stage.studio.upload(stage.project, "calls.tsv", "text\tsite\nkiwitt\tmarsh\nschuhu\twood\n").await
        }),
        scenario!("upload a text file", ["TASKS_CREATED"], Same, |stage| {
            stage.studio.upload(stage.project, "calls.txt", "kiwitt\nschuhu\ntschilp\n").await
        }),
        scenario!(
            "re-import an upload",
            ["TASKS_DELETED", "TASKS_CREATED"],
            Differs(&["TASKS_CREATED"], "it does not say that the tasks of the first import went"),
            |stage| {
                let uploads = stage.ids("data_import_fileupload").await?;
                let uploads = json!({"file_upload_ids": [uploads[0]], "files_as_tasks_list": true});
                stage.in_project("reimport", uploads).await
            }
        ),
        scenario!("upload a file for later", [], Nothing("no task has come yet"), |stage| {
            stage.studio.upload_for_later(stage.project, "later.json", r#"[{"text": "later"}]"#).await
        }),
        scenario!("import what was uploaded for later", ["TASKS_CREATED"], Same, |stage| {
            let upload = stage.newest("data_import_fileupload").await?;
            let uploads = json!({"file_upload_ids": [upload], "files_as_tasks_list": true});
            stage.in_project("reimport", uploads).await
        }),
        scenario!("import nothing", [], Nothing("it is refused"), |stage| {
            stage.attempt(Method::POST, &format!("/api/projects/{}/import", stage.project), json!([])).await
        }),
        scenario!("import tasks without the field that is shown", [], Nothing("it is refused"), |stage| {
            let path = format!("/api/projects/{}/import", stage.project);
            stage.attempt(Method::POST, &path, json!([{"data": "no object"}, 7])).await
        }),
        scenario!("import predictions", [], Nothing("there is no action for it"), |stage| {
            let prediction = |task: i64| json!({"task": task, "result": choice("owl"), "model_version": "late"});
            stage
                .in_project("import/predictions", json!([prediction(stage.tasks[0]), prediction(stage.tasks[1])]))
                .await
        }),
        scenario!("copy tasks into the table", ["TASKS_CREATED"], Differs(&[], "it does not see SQL"), |stage| {
            stage.run(&format!(
                r#"select fixture.rows('task', '{{"project_id": {}, "data": {{"text": "many"}}, "overlap": 1}}', 1500)"#,
                stage.project
            )).await
        }),
        scenario!("delete all that was imported", ["TASKS_DELETED"], Same, |stage| {
            stage.act("delete_tasks", None, Value::Null).await
        }),
    ]
}
