//! The tour: one of everything, from a project's creation to its deletion.

use reqwest::Method;
use serde_json::{Value, json};

use crate::scenario::Claim::{Differs, Nothing, ReadEarly, Same, SameOrNeither};
use crate::scenario::{Scenario, scenario};
use crate::stage::{CHOICES, PROJECT, choice, id};

pub fn scenarios() -> Vec<Scenario> {
    vec![
        scenario!("create a project", ["PROJECT_CREATED"], Same, |stage| {
            let project =
                stage.studio.post("/api/projects", json!({"title": "Birds", "label_config": CHOICES})).await?;
            stage.project = id(&project)?;
            Ok::<_, anyhow::Error>(())
        }),
        scenario!("subscribe a webhook to it", [], Nothing("subscribing is no event"), |stage| {
            let webhook = json!({"url": stage.receiver.url(PROJECT), "project": stage.project,
                "send_for_all_actions": true, "send_payload": true, "headers": {"X-Aviary": "7"}});
            stage.studio.post("/api/webhooks/", webhook).await
        }),
        scenario!("import tasks with predictions and annotations", ["TASKS_CREATED"], Same, |stage| {
            let task = |number: i32| {
                let annotations = if number == 0 { json!([{"result": choice("owl")}]) } else { json!([]) };
                json!({"data": {"text": format!("call {number} — «hu-hu»")}, "annotations": annotations,
                       "predictions": [{"result": choice("owl"), "model_version": "v1", "score": 0.5}]})
            };
            stage.import(Value::Array((0..4).map(task).collect())).await?;
            stage.note_tasks().await
        }),
        scenario!("create one task", ["TASKS_CREATED"], Same, |stage| {
            stage.studio.post("/api/tasks/", json!({"project": stage.project, "data": {"text": "one more"}})).await
        }),
        scenario!("label a task", ["ANNOTATION_CREATED"], Same, |stage| {
            stage.annotate(1, json!({"result": choice("owl"), "lead_time": 1.5})).await
        }),
        scenario!("re-label it", ["ANNOTATION_UPDATED"], Same, |stage| {
            stage.edit(json!({"result": choice("wren"), "lead_time": 3})).await
        }),
        scenario!("make it ground truth", ["ANNOTATION_UPDATED"], Same, |stage| {
            stage.edit(json!({"ground_truth": true})).await
        }),
        scenario!("skip a task", ["ANNOTATION_CREATED"], Same, |stage| {
            stage
                .studio
                .post(&format!("/api/tasks/{}/annotations/?was_cancelled=1", stage.tasks[2]), json!({"result": []}))
                .await
        }),
        scenario!("un-skip it", ["ANNOTATION_UPDATED"], Same, |stage| {
            let skipped = stage.newest("task_completion").await?;
            let path = format!("/api/annotations/{skipped}/?was_cancelled=0");
            stage.studio.patch(&path, json!({"result": choice("owl"), "was_cancelled": false})).await
        }),
        scenario!("save a draft and submit it", ["ANNOTATION_CREATED"], Same, |stage| {
            let draft = json!({"result": choice("owl"), "lead_time": 1});
            let draft = stage.studio.post(&format!("/api/tasks/{}/drafts", stage.tasks[3]), draft).await?;
            let annotation = json!({"result": choice("owl"), "draft_id": id(&draft)?});
            stage.studio.post(&format!("/api/tasks/{}/annotations/", stage.tasks[3]), annotation).await
        }),
        scenario!(
            "convert an annotation to a draft",
            ["ANNOTATIONS_DELETED"],
            Differs(&[], "it looks the annotation up after it has deleted it"),
            |stage| {
                let last = stage.newest("task_completion").await?;
                // Label Studio 1.13.1 does it and answers 500.
                stage.attempt(Method::POST, &format!("/api/annotations/{last}/convert-to-draft"), Value::Null).await
            }
        ),
        scenario!("delete an annotation", ["ANNOTATIONS_DELETED"], Same, |stage| {
            stage.studio.delete(&format!("/api/annotations/{}/", stage.annotation)).await
        }),
        scenario!(
            "turn predictions into annotations",
            ["ANNOTATIONS_CREATED"],
            ReadEarly(&["total_annotations", "is_labeled", "finished_task_number"]),
            |stage| stage.act("predictions_to_annotations", None, json!({})).await
        ),
        scenario!(
            "propagate an annotation",
            ["ANNOTATIONS_CREATED"],
            Differs(&[], "its action has no webhook"),
            |stage| {
                let source = stage.ids("task_completion").await?[0];
                stage.act("propagate_annotations", Some(&[1]), json!({"source_annotation_id": source})).await
            }
        ),
        scenario!("change the project's title", ["PROJECT_UPDATED"], Same, |stage| {
            stage.set_project(json!({"title": "Night birds"})).await
        }),
        scenario!("save the project unchanged", ["PROJECT_UPDATED"], Same, |stage| {
            stage.set_project(json!({"title": "Night birds"})).await
        }),
        scenario!("change the labelling interface", ["PROJECT_UPDATED"], Same, |stage| {
            stage
                .set_project(
                    json!({"label_config": CHOICES.replace("</Choices>", r#"<Choice value="bat"/></Choices>"#)}),
                )
                .await
        }),
        scenario!("edit a task's data", [], Nothing("there is no action for it"), |stage| {
            stage.studio.patch(&format!("/api/tasks/{}/", stage.tasks[0]), json!({"data": {"text": "edited"}})).await
        }),
        scenario!("import predictions", [], Nothing("there is no action for it"), |stage| {
            let prediction = json!({"task": stage.tasks[0], "result": choice("wren"), "model_version": "v2"});
            stage.studio.post("/api/predictions/", prediction).await
        }),
        scenario!(
            "synchronize a local storage",
            ["TASKS_CREATED"],
            ReadEarly(&["overlap", "finished_task_number"]),
            |stage| {
                let folder = stage.studio.files.join("calls");
                std::fs::create_dir_all(&folder)?;
                for number in 0..5 {
                    let task = json!({"text": format!("stored {number}")}).to_string();
                    std::fs::write(folder.join(format!("{number}.json")), task)?;
                }
                let storage = json!({"project": stage.project, "path": folder, "regex_filter": ".*json",
                    "use_blob_urls": false, "title": "calls"});
                let storage = stage.studio.post("/api/storages/localfiles", storage).await?;
                stage.studio.post(&format!("/api/storages/localfiles/{}/sync", id(&storage)?), Value::Null).await
            }
        ),
        scenario!("upload a CSV file", ["TASKS_CREATED"], Same, |stage| {
            stage.studio.upload(stage.project, "calls.csv", "text\nkiwitt\nschuhu\n").await
        }),
        scenario!(
            "re-import it",
            ["TASKS_DELETED", "TASKS_CREATED"],
            Differs(&["TASKS_CREATED"], "it does not say that the tasks of the first import went"),
            |stage| {
                let uploads = stage.ids("data_import_fileupload").await?;
                let uploads = json!({"file_upload_ids": uploads, "files_as_tasks_list": false});
                stage.in_project("reimport", uploads).await
            }
        ),
        scenario!("import a plain text file", ["TASKS_CREATED"], Same, |stage| {
            stage.studio.upload(stage.project, "calls.txt", "tschilp\n").await
        }),
        scenario!("delete one task", ["TASKS_DELETED"], Same, |stage| {
            stage.studio.delete(&format!("/api/tasks/{}/", stage.tasks[3])).await
        }),
        scenario!(
            "delete the annotations of all tasks",
            ["ANNOTATIONS_DELETED"],
            ReadEarly(&["finished_task_number"]),
            |stage| stage.act("delete_tasks_annotations", None, json!({})).await
        ),
        scenario!("delete two tasks", ["TASKS_DELETED"], Same, |stage| {
            stage.act("delete_tasks", Some(&[0, 1]), json!({})).await
        }),
        scenario!(
            "delete all tasks by the API",
            ["TASKS_DELETED"],
            Differs(&[], "it tells the webhooks of the organization alone, and not of which project"),
            |stage| stage.studio.delete(&format!("/api/projects/{}/tasks/", stage.project)).await
        ),
        scenario!("insert tasks by SQL", ["TASKS_CREATED"], Differs(&[], "it does not see SQL"), |stage| {
            stage
                .run(&format!(
                    r#"begin;
                   select fixture.rows('task', '{{"project_id": {0}, "data": {{"text": "by SQL"}}, "overlap": 1}}', 3);
                   select fixture.rows('task', '{{"project_id": {0}, "data": {{"text": "by SQL"}}, "overlap": 1}}', 2);
                   commit"#,
                    stage.project
                ))
                .await
        }),
        scenario!("insert tasks and roll back", [], Nothing("nothing happened"), |stage| {
            stage
                .run(&format!(r#"begin; select fixture.rows('task', '{{"project_id": {}}}'); rollback"#, stage.project))
                .await
        }),
        scenario!(
            "create a label by the API",
            ["LABEL_LINK_CREATED"],
            SameOrNeither("while a webhook listens, the labels API answers 500 and undoes the label"),
            |stage| {
                let label = json!([{"project": stage.project, "from_name": "kind", "title": "owl", "value": ["owl"]}]);
                stage.attempt(Method::POST, "/api/labels/", label).await
            }
        ),
        scenario!("link a label by SQL", ["LABEL_LINK_CREATED"], Differs(&[], "it does not see SQL"), |stage| {
            stage.run(&format!(
                r#"begin;
                   select fixture.rows('labels_manager_label', '{{"title": "wren", "value": ["wren"], "organization_id": 1, "created_by_id": 1}}');
                   select fixture.rows('labels_manager_labellink', jsonb_build_object('project_id', {}, 'label_id', max(id), 'from_name', 'kind'))
                   from labels_manager_label;
                   commit"#,
                stage.project
            )).await
        }),
        scenario!("change the label's link", ["LABEL_LINK_UPDATED"], Same, |stage| {
            let link = stage.newest("labels_manager_labellink").await?;
            stage.studio.patch(&format!("/api/label_links/{link}/"), json!({"from_name": "species"})).await
        }),
        scenario!("delete the label's link", ["LABEL_LINK_DELETED"], Same, |stage| {
            let link = stage.newest("labels_manager_labellink").await?;
            stage.studio.delete(&format!("/api/label_links/{link}/")).await
        }),
        scenario!("delete the project", ["PROJECT_DELETED"], Same, |stage| {
            stage.studio.delete(&format!("/api/projects/{}/", stage.project)).await
        }),
    ]
}
