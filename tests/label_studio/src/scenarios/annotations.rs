//! What annotators do.

use reqwest::Method;
use serde_json::{Value, json};

use crate::scenario::Claim::{Differs, Nothing, Same};
use crate::scenario::{Scenario, scenario};
use crate::stage::{choice, id};

pub fn scenarios() -> Vec<Scenario> {
    vec![
        scenario!("submit an annotation", ["ANNOTATION_CREATED"], Same, |stage| {
            stage.annotate(0, json!({"result": choice("owl"), "lead_time": 12.345})).await
        }),
        scenario!("submit another of the same task", ["ANNOTATION_CREATED"], Same, |stage| {
            stage.annotate(0, json!({"result": choice("wren")})).await
        }),
        scenario!("submit an empty one", ["ANNOTATION_CREATED"], Same, |stage| stage
            .annotate(1, json!({"result": []}))
            .await),
        scenario!("edit its result", ["ANNOTATION_UPDATED"], Same, |stage| stage
            .edit(json!({"result": choice("owl")}))
            .await),
        scenario!("save it unchanged", ["ANNOTATION_UPDATED"], Same, |stage| {
            stage.edit(json!({"result": choice("owl")})).await
        }),
        scenario!("replace it whole", ["ANNOTATION_UPDATED"], Same, |stage| {
            let path = format!("/api/annotations/{}/", stage.annotation);
            let whole =
                json!({"result": choice("wren"), "lead_time": 1, "ground_truth": false, "was_cancelled": false});
            stage.studio.call(Method::PUT, &path, whole).await
        }),
        scenario!("make it ground truth", ["ANNOTATION_UPDATED"], Same, |stage| stage
            .edit(json!({"ground_truth": true}))
            .await),
        scenario!("make it ground truth no longer", ["ANNOTATION_UPDATED"], Same, |stage| {
            stage.edit(json!({"ground_truth": false})).await
        }),
        scenario!("submit one that is ground truth", ["ANNOTATION_CREATED"], Same, |stage| {
            stage.annotate(1, json!({"result": choice("owl"), "ground_truth": true})).await
        }),
        scenario!("skip a task", ["ANNOTATION_CREATED"], Same, |stage| {
            stage.annotate(2, json!({"result": [], "was_cancelled": true})).await
        }),
        scenario!("un-skip it", ["ANNOTATION_UPDATED"], Same, |stage| {
            let path = format!("/api/annotations/{}/?was_cancelled=0", stage.annotation);
            stage.studio.patch(&path, json!({"result": choice("owl"), "was_cancelled": false})).await
        }),
        scenario!("skip it by editing", ["ANNOTATION_UPDATED"], Same, |stage| stage
            .edit(json!({"was_cancelled": true}))
            .await),
        scenario!("save a draft", [], Nothing("there is no action for it"), |stage| {
            stage.studio.post(&format!("/api/tasks/{}/drafts", stage.tasks[3]), json!({"result": choice("owl")})).await
        }),
        scenario!("edit the draft", [], Nothing("there is no action for it"), |stage| {
            let draft: i64 =
                stage.sql.query_one("select max(id)::bigint from tasks_annotationdraft", &[]).await?.get(0);
            stage.studio.patch(&format!("/api/drafts/{draft}/"), json!({"result": choice("wren")})).await
        }),
        scenario!("submit it", ["ANNOTATION_CREATED"], Same, |stage| {
            let draft: i64 =
                stage.sql.query_one("select max(id)::bigint from tasks_annotationdraft", &[]).await?.get(0);
            stage.annotate(3, json!({"result": choice("wren"), "draft_id": draft})).await
        }),
        scenario!("save a draft of an annotation", [], Nothing("there is no action for it"), |stage| {
            let path = format!("/api/tasks/{}/annotations/{}/drafts", stage.tasks[3], stage.annotation);
            stage.studio.post(&path, json!({"result": choice("owl")})).await
        }),
        scenario!("update the annotation from it", ["ANNOTATION_UPDATED"], Same, |stage| {
            let draft: i64 =
                stage.sql.query_one("select max(id)::bigint from tasks_annotationdraft", &[]).await?.get(0);
            stage.edit(json!({"result": choice("owl"), "draft_id": draft})).await
        }),
        scenario!("save a draft and delete it", [], Nothing("there is no action for it"), |stage| {
            let draft = json!({"result": choice("owl")});
            let draft = stage.studio.post(&format!("/api/tasks/{}/drafts", stage.tasks[2]), draft).await?;
            stage.studio.delete(&format!("/api/drafts/{}/", id(&draft)?)).await
        }),
        scenario!(
            "convert an annotation to a draft",
            ["ANNOTATIONS_DELETED"],
            Differs(&[], "it looks the annotation up after it has deleted it"),
            |stage| {
                let path = format!("/api/annotations/{}/convert-to-draft", stage.annotation);
                stage.attempt(Method::POST, &path, Value::Null).await
            }
        ),
        scenario!("make a prediction", [], Nothing("there is no action for it"), |stage| {
            let prediction =
                json!({"task": stage.tasks[3], "result": choice("owl"), "model_version": "m", "score": 0.5});
            stage.studio.post("/api/predictions/", prediction).await
        }),
        scenario!("submit what a prediction suggested", ["ANNOTATION_CREATED"], Same, |stage| {
            let prediction: i64 = stage.sql.query_one("select max(id)::bigint from prediction", &[]).await?.get(0);
            stage.annotate(3, json!({"result": choice("owl"), "parent_prediction": prediction})).await
        }),
        scenario!("submit a copy of an annotation", ["ANNOTATION_CREATED"], Same, |stage| {
            let parent = stage.annotation;
            stage.annotate(3, json!({"result": choice("wren"), "parent_annotation": parent})).await
        }),
        scenario!("delete the prediction", [], Nothing("there is no action for it"), |stage| {
            let prediction: i64 = stage.sql.query_one("select max(id)::bigint from prediction", &[]).await?.get(0);
            stage.studio.delete(&format!("/api/predictions/{prediction}/")).await
        }),
        scenario!("open the next task", [], Nothing("a lock is no event"), |stage| {
            stage.attempt(Method::GET, &format!("/api/projects/{}/next/", stage.project), Value::Null).await
        }),
        scenario!("delete an annotation", ["ANNOTATIONS_DELETED"], Same, |stage| {
            stage.studio.delete(&format!("/api/annotations/{}/", stage.annotation)).await
        }),
        scenario!("delete an annotated task", ["TASKS_DELETED"], Same, |stage| {
            stage.studio.delete(&format!("/api/tasks/{}/", stage.tasks[0])).await
        }),
        scenario!(
            "submit two annotations by SQL",
            ["ANNOTATION_CREATED", "ANNOTATION_CREATED"],
            Differs(&[], "it does not see SQL"),
            |stage| {
                let one = format!(
                    r#"select fixture.rows('task_completion', '{{"project_id": {}, "task_id": {}, "result": []}}')"#,
                    stage.project, stage.tasks[1]
                );
                stage.run(&format!("{one}; {one}")).await
            }
        ),
    ]
}
