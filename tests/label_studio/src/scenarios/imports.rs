//! Ways for tasks to come into a project.

use reqwest::Method;
use serde_json::{Value, json};

use crate::scenario::Claim::{Differs, Nothing, Same};
use crate::scenario::{Scenario, scenario};
use crate::scenario_run::choice;

pub fn scenarios() -> Vec<Scenario> {
    vec![
        scenario!("import one task as a JSON object", ["TASKS_CREATED"], Same, |run| {
            run.import(json!({"text": "a single call"})).await
        }),
        scenario!("import tasks as a JSON list", ["TASKS_CREATED"], Same, |run| {
            run.import(json!([{"text": "one"}, {"data": {"text": "two"}, "meta": {"site": "marsh"}}])).await
        }),
        scenario!("import 2,500 tasks", ["TASKS_CREATED"], Same, |run| {
            run.import((0..2500).map(|number| json!({"text": format!("call {number}")})).collect()).await
        }),
        scenario!("import, and ask for the ids", ["TASKS_CREATED"], Same, |run| {
            run.in_project("import?return_task_ids=true", json!([{"text": "with an id"}])).await
        }),
        scenario!("import by the older path", ["TASKS_CREATED"], Same, |run| {
            run.in_project("tasks/bulk/", json!([{"text": "in bulk"}, {"text": "in bulk"}])).await
        }),
        scenario!("create a task", ["TASKS_CREATED"], Same, |run| {
            run.studio
                .post("/api/tasks/", json!({"project": run.project, "data": {"text": "alone"}, "overlap": 2}))
                .await
        }),
        scenario!("create a task without the slash", ["TASKS_CREATED"], Same, |run| {
            run.studio.post("/api/tasks", json!({"project": run.project, "data": {"text": "alone"}})).await
        }),
        scenario!("import annotated tasks", ["TASKS_CREATED"], Same, |run| {
            let task = |kind: &str, cancelled: bool, truth: bool| {
                let annotation = json!({"result": choice(kind), "was_cancelled": cancelled, "ground_truth": truth,
                    "lead_time": 2.25});
                json!({"data": {"text": kind}, "annotations": [annotation.clone(), annotation]})
            };
            run.import(json!([task("owl", false, true), task("wren", true, false), task("owl", false, false)])).await
        }),
        scenario!("import tasks with predictions of two models", ["TASKS_CREATED"], Same, |run| {
            let prediction = |model: &str| json!({"result": choice("owl"), "model_version": model, "score": 0.25});
            run.import(json!([{"data": {"text": "heard"}, "predictions": [prediction("a"), prediction("b")]}])).await
        }),
        scenario!("upload a JSON file", ["TASKS_CREATED"], Same, |run| {
            run.studio.upload(run.project, "calls.json", r#"[{"text": "from JSON"}, {"text": "and another"}]"#).await
        }),
        scenario!("upload a CSV file", ["TASKS_CREATED"], Same, |run| {
            run.studio.upload(run.project, "calls.csv", "text,site\nkiwitt,marsh\nschuhu,\"wood, old\"\n").await
        }),
        scenario!("upload a TSV file", ["TASKS_CREATED"], Same, |run| {
            run.studio.upload(run.project, "calls.tsv", "text\tsite\nkiwitt\tmarsh\nschuhu\twood\n").await
        }),
        scenario!("upload a text file", ["TASKS_CREATED"], Same, |run| {
            run.studio.upload(run.project, "calls.txt", "kiwitt\nschuhu\ntschilp\n").await
        }),
        scenario!(
            "re-import an upload",
            ["TASKS_DELETED", "TASKS_CREATED"],
            Differs(&["TASKS_CREATED"], "it does not say that the tasks of the first import went"),
            |run| {
                let uploads = run.ids("data_import_fileupload").await?;
                let uploads = json!({"file_upload_ids": [uploads[0]], "files_as_tasks_list": true});
                run.in_project("reimport", uploads).await
            }
        ),
        scenario!("upload a file for later", [], Nothing("no task has come yet"), |run| {
            run.studio.upload_for_later(run.project, "later.json", r#"[{"text": "later"}]"#).await
        }),
        scenario!("import what was uploaded for later", ["TASKS_CREATED"], Same, |run| {
            let upload = run.newest("data_import_fileupload").await?;
            let uploads = json!({"file_upload_ids": [upload], "files_as_tasks_list": true});
            run.in_project("reimport", uploads).await
        }),
        scenario!("import nothing", [], Nothing("it is refused"), |run| {
            run.attempt(Method::POST, &format!("/api/projects/{}/import", run.project), json!([])).await
        }),
        scenario!("import tasks without the field that is shown", [], Nothing("it is refused"), |run| {
            let path = format!("/api/projects/{}/import", run.project);
            run.attempt(Method::POST, &path, json!([{"data": "no object"}, 7])).await
        }),
        scenario!("import predictions", [], Nothing("there is no action for it"), |run| {
            let prediction = |task: i64| json!({"task": task, "result": choice("owl"), "model_version": "late"});
            run.in_project("import/predictions", json!([prediction(run.tasks[0]), prediction(run.tasks[1])])).await
        }),
        scenario!("copy tasks into the table", ["TASKS_CREATED"], Differs(&[], "it does not see SQL"), |run| {
            run.run(&format!(
                r#"select fixture.rows('task', '{{"project_id": {}, "data": {{"text": "many"}}, "overlap": 1}}', 1500)"#,
                run.project
            )).await
        }),
        scenario!("delete all that was imported", ["TASKS_DELETED"], Same, |run| {
            run.act("delete_tasks", None, Value::Null).await
        }),
    ]
}
