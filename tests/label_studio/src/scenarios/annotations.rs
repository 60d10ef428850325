//! What annotators do.

use reqwest::Method;
use serde_json::{Value, json};

use crate::scenario::Claim::{Differs, Nothing, Same};
use crate::scenario::{Scenario, scenario};
use crate::scenario_run::{choice, id};

pub fn scenarios() -> Vec<Scenario> {
    vec![
        scenario!("submit an annotation", ["ANNOTATION_CREATED"], Same, |run| {
            run.annotate(0, json!({"result": choice("owl"), "lead_time": 12.345})).await
        }),
        scenario!("submit another of the same task", ["ANNOTATION_CREATED"], Same, |run| {
            run.annotate(0, json!({"result": choice("wren")})).await
        }),
        scenario!("submit an empty one", ["ANNOTATION_CREATED"], Same, |run| run
            .annotate(1, json!({"result": []}))
            .await),
        scenario!("edit its result", ["ANNOTATION_UPDATED"], Same, |run| run
            .edit(json!({"result": choice("owl")}))
            .await),
        scenario!("save it unchanged", ["ANNOTATION_UPDATED"], Same, |run| {
            run.edit(json!({"result": choice("owl")})).await
        }),
        scenario!("replace it whole", ["ANNOTATION_UPDATED"], Same, |run| {
            let path = format!("/api/annotations/{}/", run.annotation);
            let whole =
                json!({"result": choice("wren"), "lead_time": 1, "ground_truth": false, "was_cancelled": false});
            run.studio.call(Method::PUT, &path, whole).await
        }),
        scenario!("make it ground truth", ["ANNOTATION_UPDATED"], Same, |run| run
            .edit(json!({"ground_truth": true}))
            .await),
        scenario!("make it ground truth no longer", ["ANNOTATION_UPDATED"], Same, |run| {
            run.edit(json!({"ground_truth": false})).await
        }),
        scenario!("submit one that is ground truth", ["ANNOTATION_CREATED"], Same, |run| {
            run.annotate(1, json!({"result": choice("owl"), "ground_truth": true})).await
        }),
        scenario!(
            "submit another that is ground truth",
            ["ANNOTATION_CREATED", "ANNOTATION_UPDATED"],
            Differs(&["ANNOTATION_CREATED"], "it does not say that another annotation is ground truth no longer"),
            |run| run.annotate(1, json!({"result": choice("wren"), "ground_truth": true})).await
        ),
        scenario!("skip a task", ["ANNOTATION_CREATED"], Same, |run| {
            run.annotate(2, json!({"result": [], "was_cancelled": true})).await
        }),
        scenario!("un-skip it", ["ANNOTATION_UPDATED"], Same, |run| {
            let path = format!("/api/annotations/{}/?was_cancelled=0", run.annotation);
            run.studio.patch(&path, json!({"result": choice("owl"), "was_cancelled": false})).await
        }),
        scenario!("skip it by editing", ["ANNOTATION_UPDATED"], Same, |run| run
            .edit(json!({"was_cancelled": true}))
            .await),
        scenario!("save a draft", [], Nothing("there is no action for it"), |run| {
            run.studio.post(&format!("/api/tasks/{}/drafts", run.tasks[3]), json!({"result": choice("owl")})).await
        }),
        scenario!("edit the draft", [], Nothing("there is no action for it"), |run| {
            let draft: i64 = run.sql.query_one("select max(id)::bigint from tasks_annotationdraft", &[]).await?.get(0);
            run.studio.patch(&format!("/api/drafts/{draft}/"), json!({"result": choice("wren")})).await
        }),
        scenario!("submit it", ["ANNOTATION_CREATED"], Same, |run| {
            let draft: i64 = run.sql.query_one("select max(id)::bigint from tasks_annotationdraft", &[]).await?.get(0);
            run.annotate(3, json!({"result": choice("wren"), "draft_id": draft})).await
        }),
        scenario!("save a draft of an annotation", [], Nothing("there is no action for it"), |run| {
            let path = format!("/api/tasks/{}/annotations/{}/drafts", run.tasks[3], run.annotation);
            run.studio.post(&path, json!({"result": choice("owl")})).await
        }),
        scenario!("update the annotation from it", ["ANNOTATION_UPDATED"], Same, |run| {
            let draft: i64 = run.sql.query_one("select max(id)::bigint from tasks_annotationdraft", &[]).await?.get(0);
            run.edit(json!({"result": choice("owl"), "draft_id": draft})).await
        }),
        scenario!("save a draft and delete it", [], Nothing("there is no action for it"), |run| {
            let draft = json!({"result": choice("owl")});
            let draft = run.studio.post(&format!("/api/tasks/{}/drafts", run.tasks[2]), draft).await?;
            run.studio.delete(&format!("/api/drafts/{}/", id(&draft)?)).await
        }),
        scenario!(
            "convert an annotation to a draft",
            ["ANNOTATIONS_DELETED"],
            Differs(&[], "it looks the annotation up after it has deleted it"),
            |run| {
                let path = format!("/api/annotations/{}/convert-to-draft", run.annotation);
                run.attempt(Method::POST, &path, Value::Null).await
            }
        ),
        scenario!("make a prediction", [], Nothing("there is no action for it"), |run| {
            let prediction = json!({"task": run.tasks[3], "result": choice("owl"), "model_version": "m", "score": 0.5});
            run.studio.post("/api/predictions/", prediction).await
        }),
        scenario!("submit what a prediction suggested", ["ANNOTATION_CREATED"], Same, |run| {
            let prediction: i64 = run.sql.query_one("select max(id)::bigint from prediction", &[]).await?.get(0);
            run.annotate(3, json!({"result": choice("owl"), "parent_prediction": prediction})).await
        }),
        scenario!("submit a copy of an annotation", ["ANNOTATION_CREATED"], Same, |run| {
            let parent = run.annotation;
            run.annotate(3, json!({"result": choice("wren"), "parent_annotation": parent})).await
        }),
        scenario!("delete the prediction", [], Nothing("there is no action for it"), |run| {
            let prediction: i64 = run.sql.query_one("select max(id)::bigint from prediction", &[]).await?.get(0);
            run.studio.delete(&format!("/api/predictions/{prediction}/")).await
        }),
        scenario!("open the next task", [], Nothing("a lock is no event"), |run| {
            run.attempt(Method::GET, &format!("/api/projects/{}/next/", run.project), Value::Null).await
        }),
        scenario!("delete an annotation", ["ANNOTATIONS_DELETED"], Same, |run| {
            run.studio.delete(&format!("/api/annotations/{}/", run.annotation)).await
        }),
        scenario!("delete an annotated task", ["TASKS_DELETED"], Same, |run| {
            run.studio.delete(&format!("/api/tasks/{}/", run.tasks[0])).await
        }),
        scenario!(
            "submit two annotations by SQL",
            ["ANNOTATION_CREATED", "ANNOTATION_CREATED"],
            Differs(&[], "it does not see SQL"),
            |run| {
                let one = format!(
                    r#"select fixture.rows('task_completion', '{{"project_id": {}, "task_id": {}, "result": []}}')"#,
                    run.project, run.tasks[1]
                );
                run.run(&format!("{one}; {one}")).await
            }
        ),
    ]
}
