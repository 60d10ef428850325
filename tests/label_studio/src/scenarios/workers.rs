//! Label Studio with a queue: imports, synchronizations and deletions are jobs of its workers,
//! whose connections to the database stay open from job to job.

use serde_json::json;

use super::storages::{connect_folder, fill, synchronize};
use crate::scenario::Claim::{ReadEarly, Same};
use crate::scenario::{ORDER, Scenario, scenario};
use crate::stage::choice;

pub fn scenarios() -> Vec<Scenario> {
    vec![
        scenario!("import one task by a worker", ["TASKS_CREATED"], Same, |stage| {
            stage.import(json!({"text": "alone"})).await
        }),
        scenario!("import 2,500 tasks by a worker", ["TASKS_CREATED"], Same, |stage| {
            stage.import((0..2500).map(|number| json!({"text": format!("call {number}")})).collect()).await
        }),
        scenario!("upload a file and import it by a worker", ["TASKS_CREATED"], Same, |stage| {
            stage.studio.upload(stage.project, "calls.csv", "text,site\nkiwitt,marsh\n").await
        }),
        scenario!("import twice, one right after the other", ["TASKS_CREATED", "TASKS_CREATED"], Same, |stage| {
            stage.import(json!([{"text": "one"}, {"text": "two"}])).await?;
            stage.finish_jobs().await?;
            stage.import(json!([{"text": "three"}, {"text": "four"}])).await
        }),
        scenario!(
            "synchronize a storage by a worker",
            ["TASKS_CREATED"],
            ReadEarly(&[ORDER, "overlap", "finished_task_number"]),
            |stage| {
                fill(stage, "queued", 0..200)?;
                connect_folder(stage, "queued").await?;
                synchronize(stage).await
            }
        ),
        scenario!("label a task while workers stand by", ["ANNOTATION_CREATED"], Same, |stage| {
            stage.annotate(0, json!({"result": choice("owl")})).await
        }),
        scenario!("delete some tasks by a worker", ["TASKS_DELETED"], Same, |stage| stage
            .act("delete_tasks", Some(&[1, 2]), json!({}))
            .await),
        scenario!("delete every task by a worker", ["TASKS_DELETED"], Same, |stage| stage
            .act("delete_tasks", None, json!({}))
            .await),
    ]
}
