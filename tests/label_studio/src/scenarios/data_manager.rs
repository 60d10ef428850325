//! The data manager's actions on many tasks.

use reqwest::Method;
use serde_json::json;

use crate::scenario::Claim::{Differs, Nothing, ReadEarly, Same};
use crate::scenario::{Scenario, label_studio_is_before, scenario};
use crate::scenario_run::choice;

pub fn scenarios() -> Vec<Scenario> {
    vec![
        scenario!("import tasks with predictions", ["TASKS_CREATED"], Same, |run| {
            let task = |number: i32| {
                let prediction = json!({"result": choice("owl"), "model_version": "m", "score": 0.5});
                json!({"data": {"text": format!("call {number}")}, "predictions": [prediction]})
            };
            run.import((0..6).map(task).collect()).await?;
            run.note_tasks().await
        }),
        scenario!(
            "turn one prediction into an annotation",
            ["ANNOTATIONS_CREATED"],
            ReadEarly(&["total_annotations", "is_labeled", "finished_task_number"]),
            |run| run.act("predictions_to_annotations", Some(&[4]), json!({})).await
        ),
        scenario!(
            "turn some predictions into annotations",
            ["ANNOTATIONS_CREATED"],
            ReadEarly(&["total_annotations", "is_labeled", "finished_task_number"]),
            |run| run.act("predictions_to_annotations", Some(&[5, 6, 7]), json!({})).await
        ),
        scenario!(
            "propagate an annotation",
            ["ANNOTATIONS_CREATED"],
            Differs(&[], "its action has no webhook"),
            |run| {
                let source = run.newest("task_completion").await?;
                run.act("propagate_annotations", Some(&[0, 1]), json!({"source_annotation_id": source})).await
            }
        ),
        scenario!(
            "rename a label",
            [
                "ANNOTATION_UPDATED",
                "ANNOTATION_UPDATED",
                "ANNOTATION_UPDATED",
                "ANNOTATION_UPDATED",
                "ANNOTATION_UPDATED",
                "ANNOTATION_UPDATED"
            ],
            Differs(&[], "its action has no webhook"),
            |run| {
                let labels = json!({"old_label_name": "owl", "new_label_name": "eagle owl", "control_tag": "kind"});
                run.act("rename_labels", None, labels).await
            }
        ),
        scenario!("add a field to the tasks' data", [], Nothing("there is no action for it"), |run| {
            run.act("add_data_field", None, json!({"value_name": "site", "value_type": "String", "value": "marsh"}))
                .await
        }),
        scenario!("cache labels in the tasks' data", [], Nothing("there is no action for it"), |run| {
            // Versions before 1.13 do not know it.
            let path = format!("/api/dm/actions?id=cache_labels&project={}", run.project);
            let labels = json!({"selectedItems": {"all": true, "excluded": []}, "ordering": [], "control_tag": "ALL",
                "with_counters": "Yes", "source": "annotations"});
            run.attempt(Method::POST, &path, labels).await
        }),
        scenario!("delete some predictions", [], Nothing("there is no action for it"), |run| {
            run.act("delete_tasks_predictions", Some(&[8, 9]), json!({})).await
        }),
        scenario!(
            "delete the annotations of some tasks",
            ["ANNOTATIONS_DELETED"],
            ReadEarly(&["finished_task_number"]),
            |run| run.act("delete_tasks_annotations", Some(&[4, 5]), json!({})).await
        ),
        scenario!("import duplicates", ["TASKS_CREATED"], Same, |run| {
            run.import(json!([{"text": "twice"}, {"text": "twice"}, {"text": "once"}])).await
        }),
        scenario!("remove duplicates", ["TASKS_DELETED"], ReadEarly(&["finished_task_number"]), |run| {
            run.act("remove_duplicates", None, json!({})).await
        }),
        scenario!(
            "import duplicates, and label both",
            ["TASKS_CREATED", "ANNOTATION_CREATED", "ANNOTATION_CREATED"],
            Same,
            |run| {
                run.import(json!([{"text": "labeled"}, {"text": "labeled"}, {"text": "labeled"}])).await?;
                run.note_tasks().await?;
                let last = run.tasks.len() - 1;
                run.annotate(last, json!({"result": choice("owl")})).await?;
                run.annotate(last - 1, json!({"result": choice("wren")})).await
            }
        ),
        // Up to 1.11 the annotations go with their tasks.
        match label_studio_is_before(1, 12) {
            true => scenario!("remove duplicates that are labeled", ["TASKS_DELETED"], Same, |run| {
                run.act("remove_duplicates", None, json!({})).await
            }),
            false => scenario!(
                "remove duplicates that are labeled",
                ["ANNOTATION_UPDATED", "TASKS_DELETED"],
                Differs(&["TASKS_DELETED"], "it does not say that annotations move to the task that stays"),
                |run| run.act("remove_duplicates", None, json!({})).await
            ),
        },
        scenario!("delete some tasks", ["TASKS_DELETED"], Same, |run| {
            run.act("delete_tasks", Some(&[0, 1, 2]), json!({})).await
        }),
        scenario!("delete the rest", ["TASKS_DELETED"], Same, |run| run.act("delete_tasks", None, json!({})).await),
    ]
}
