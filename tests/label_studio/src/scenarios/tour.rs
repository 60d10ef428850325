//! The tour: one of everything, from a project's creation to its deletion.

use reqwest::Method;
use serde_json::{Value, json};

use crate::scenario::Claim::{Differs, Nothing, ReadEarly, Same, SameOrNeither};
use crate::scenario::{Scenario, scenario, synchronized};
use crate::scenario_run::{CHOICES, PROJECT, choice, id};

pub fn scenarios() -> Vec<Scenario> {
    vec![
        scenario!("create a project", ["PROJECT_CREATED"], Same, |run| {
            let project = run.studio.post("/api/projects", json!({"title": "Birds", "label_config": CHOICES})).await?;
            run.project = id(&project)?;
            Ok::<_, anyhow::Error>(())
        }),
        scenario!("subscribe a webhook to it", [], Nothing("subscribing is no event"), |run| {
            let webhook = json!({"url": run.receiver.url(PROJECT), "project": run.project,
                "send_for_all_actions": true, "send_payload": true, "headers": {"X-Aviary": "7"}});
            run.studio.post("/api/webhooks/", webhook).await
        }),
        scenario!("import tasks with predictions and annotations", ["TASKS_CREATED"], Same, |run| {
            let task = |number: i32| {
                let annotations = if number == 0 { json!([{"result": choice("owl")}]) } else { json!([]) };
                json!({"data": {"text": format!("call {number} — «hu-hu»")}, "annotations": annotations,
                       "predictions": [{"result": choice("owl"), "model_version": "v1", "score": 0.5}]})
            };
            run.import(Value::Array((0..4).map(task).collect())).await?;
            run.note_tasks().await
        }),
        scenario!("create one task", ["TASKS_CREATED"], Same, |run| {
            run.studio.post("/api/tasks/", json!({"project": run.project, "data": {"text": "one more"}})).await
        }),
        scenario!("label a task", ["ANNOTATION_CREATED"], Same, |run| {
            run.annotate(1, json!({"result": choice("owl"), "lead_time": 1.5})).await
        }),
        scenario!("re-label it", ["ANNOTATION_UPDATED"], Same, |run| {
            run.edit(json!({"result": choice("wren"), "lead_time": 3})).await
        }),
        scenario!("make it ground truth", ["ANNOTATION_UPDATED"], Same, |run| {
            run.edit(json!({"ground_truth": true})).await
        }),
        scenario!("skip a task", ["ANNOTATION_CREATED"], Same, |run| {
            run.studio
                .post(&format!("/api/tasks/{}/annotations/?was_cancelled=1", run.tasks[2]), json!({"result": []}))
                .await
        }),
        scenario!("un-skip it", ["ANNOTATION_UPDATED"], Same, |run| {
            let skipped = run.newest("task_completion").await?;
            let path = format!("/api/annotations/{skipped}/?was_cancelled=0");
            run.studio.patch(&path, json!({"result": choice("owl"), "was_cancelled": false})).await
        }),
        scenario!("save a draft and submit it", ["ANNOTATION_CREATED"], Same, |run| {
            let draft = json!({"result": choice("owl"), "lead_time": 1});
            let draft = run.studio.post(&format!("/api/tasks/{}/drafts", run.tasks[3]), draft).await?;
            let annotation = json!({"result": choice("owl"), "draft_id": id(&draft)?});
            run.studio.post(&format!("/api/tasks/{}/annotations/", run.tasks[3]), annotation).await
        }),
        scenario!(
            "convert an annotation to a draft",
            ["ANNOTATIONS_DELETED"],
            Differs(&[], "it looks the annotation up after it has deleted it"),
            |run| {
                let last = run.newest("task_completion").await?;
                // Label Studio 1.13.1 does it and answers 500.
                run.attempt(Method::POST, &format!("/api/annotations/{last}/convert-to-draft"), Value::Null).await
            }
        ),
        scenario!("delete an annotation", ["ANNOTATIONS_DELETED"], Same, |run| {
            run.studio.delete(&format!("/api/annotations/{}/", run.annotation)).await
        }),
        scenario!(
            "turn predictions into annotations",
            ["ANNOTATIONS_CREATED"],
            ReadEarly(&["total_annotations", "is_labeled", "finished_task_number"]),
            |run| run.act("predictions_to_annotations", None, json!({})).await
        ),
        scenario!(
            "propagate an annotation",
            ["ANNOTATIONS_CREATED"],
            Differs(&[], "its action has no webhook"),
            |run| {
                let source = run.ids("task_completion").await?[0];
                run.act("propagate_annotations", Some(&[1]), json!({"source_annotation_id": source})).await
            }
        ),
        scenario!("change the project's title", ["PROJECT_UPDATED"], Same, |run| {
            run.set_project(json!({"title": "Night birds"})).await
        }),
        scenario!("save the project unchanged", ["PROJECT_UPDATED"], Same, |run| {
            run.set_project(json!({"title": "Night birds"})).await
        }),
        scenario!("change the labeling interface", ["PROJECT_UPDATED"], Same, |run| {
            run.set_project(
                json!({"label_config": CHOICES.replace("</Choices>", r#"<Choice value="bat"/></Choices>"#)}),
            )
            .await
        }),
        scenario!("edit a task's data", [], Nothing("there is no action for it"), |run| {
            run.studio.patch(&format!("/api/tasks/{}/", run.tasks[0]), json!({"data": {"text": "edited"}})).await
        }),
        scenario!("import predictions", [], Nothing("there is no action for it"), |run| {
            let prediction = json!({"task": run.tasks[0], "result": choice("wren"), "model_version": "v2"});
            run.studio.post("/api/predictions/", prediction).await
        }),
        scenario!(
            "synchronize a local storage",
            ["TASKS_CREATED"],
            synchronized(&["overlap", "finished_task_number"]),
            |run| {
                let folder = run.studio.files.join("calls");
                std::fs::create_dir_all(&folder)?;
                for number in 0..5 {
                    let task = json!({"text": format!("stored {number}")}).to_string();
                    std::fs::write(folder.join(format!("{number}.json")), task)?;
                }
                let storage = json!({"project": run.project, "path": folder, "regex_filter": ".*json",
                    "use_blob_urls": false, "title": "calls"});
                let storage = run.studio.post("/api/storages/localfiles", storage).await?;
                run.studio.post(&format!("/api/storages/localfiles/{}/sync", id(&storage)?), Value::Null).await
            }
        ),
        scenario!("upload a CSV file", ["TASKS_CREATED"], Same, |run| {
            run.studio.upload(run.project, "calls.csv", "text\nkiwitt\nschuhu\n").await
        }),
        scenario!(
            "re-import it",
            ["TASKS_DELETED", "TASKS_CREATED"],
            Differs(&["TASKS_CREATED"], "it does not say that the tasks of the first import went"),
            |run| {
                let uploads = run.ids("data_import_fileupload").await?;
                let uploads = json!({"file_upload_ids": uploads, "files_as_tasks_list": false});
                run.in_project("reimport", uploads).await
            }
        ),
        scenario!("import a plain text file", ["TASKS_CREATED"], Same, |run| {
            run.studio.upload(run.project, "calls.txt", "tschilp\n").await
        }),
        scenario!("delete one task", ["TASKS_DELETED"], Same, |run| {
            run.studio.delete(&format!("/api/tasks/{}/", run.tasks[3])).await
        }),
        scenario!(
            "delete the annotations of all tasks",
            ["ANNOTATIONS_DELETED"],
            ReadEarly(&["finished_task_number"]),
            |run| run.act("delete_tasks_annotations", None, json!({})).await
        ),
        scenario!("delete two tasks", ["TASKS_DELETED"], Same, |run| {
            run.act("delete_tasks", Some(&[0, 1]), json!({})).await
        }),
        scenario!(
            "delete all tasks by the API",
            ["TASKS_DELETED"],
            Differs(&[], "it tells the webhooks of the organization alone, and not of which project"),
            |run| run.studio.delete(&format!("/api/projects/{}/tasks/", run.project)).await
        ),
        scenario!("insert tasks by SQL", ["TASKS_CREATED"], Differs(&[], "it does not see SQL"), |run| {
            run.run(&format!(
                r#"begin;
                   select fixture.rows('task', '{{"project_id": {0}, "data": {{"text": "by SQL"}}, "overlap": 1}}', 3);
                   select fixture.rows('task', '{{"project_id": {0}, "data": {{"text": "by SQL"}}, "overlap": 1}}', 2);
                   commit"#,
                run.project
            ))
            .await
        }),
        scenario!("insert tasks and roll back", [], Nothing("nothing happened"), |run| {
            run.run(&format!(r#"begin; select fixture.rows('task', '{{"project_id": {}}}'); rollback"#, run.project))
                .await
        }),
        scenario!(
            "create a label by the API",
            ["LABEL_LINK_CREATED"],
            SameOrNeither("while a webhook listens, the labels API answers 500 and undoes the label"),
            |run| {
                let label = json!([{"project": run.project, "from_name": "kind", "title": "owl", "value": ["owl"]}]);
                run.attempt(Method::POST, "/api/labels/", label).await
            }
        ),
        scenario!("link a label by SQL", ["LABEL_LINK_CREATED"], Differs(&[], "it does not see SQL"), |run| {
            run.run(&format!(
                r#"begin;
                   select fixture.rows('labels_manager_label', '{{"title": "wren", "value": ["wren"], "organization_id": 1, "created_by_id": 1}}');
                   select fixture.rows('labels_manager_labellink', jsonb_build_object('project_id', {}, 'label_id', max(id), 'from_name', 'kind'))
                   from labels_manager_label;
                   commit"#,
                run.project
            )).await
        }),
        scenario!("change the label's link", ["LABEL_LINK_UPDATED"], Same, |run| {
            let link = run.newest("labels_manager_labellink").await?;
            run.studio.patch(&format!("/api/label_links/{link}/"), json!({"from_name": "species"})).await
        }),
        scenario!("delete the label's link", ["LABEL_LINK_DELETED"], Same, |run| {
            let link = run.newest("labels_manager_labellink").await?;
            run.studio.delete(&format!("/api/label_links/{link}/")).await
        }),
        scenario!("delete the project", ["PROJECT_DELETED"], Same, |run| {
            run.studio.delete(&format!("/api/projects/{}/", run.project)).await
        }),
    ]
}
