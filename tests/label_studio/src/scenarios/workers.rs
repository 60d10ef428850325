//! Label Studio with a queue: imports, synchronizations and deletions are jobs of its workers,
//! whose connections to the database stay open from job to job.

use serde_json::json;

use super::storages::{connect_folder, fill, synchronize};
use crate::scenario::Claim::Same;
use crate::scenario::{ORDER, Scenario, scenario, synchronized};
use crate::scenario_run::choice;

pub fn scenarios() -> Vec<Scenario> {
    vec![
        scenario!("import one task by a worker", ["TASKS_CREATED"], Same, |run| {
            run.import(json!({"text": "alone"})).await
        }),
        scenario!("import 2,500 tasks by a worker", ["TASKS_CREATED"], Same, |run| {
            run.import((0..2500).map(|number| json!({"text": format!("call {number}")})).collect()).await
        }),
        scenario!("upload a file and import it by a worker", ["TASKS_CREATED"], Same, |run| {
            run.studio.upload(run.project, "calls.csv", "text,site\nkiwitt,marsh\n").await
        }),
        scenario!("import twice, one right after the other", ["TASKS_CREATED", "TASKS_CREATED"], Same, |run| {
            run.import(json!([{"text": "one"}, {"text": "two"}])).await?;
            run.finish_jobs().await?;
            run.import(json!([{"text": "three"}, {"text": "four"}])).await
        }),
        scenario!(
            "synchronize a storage by a worker",
            ["TASKS_CREATED"],
            synchronized(&[ORDER, "overlap", "finished_task_number"]),
            |run| {
                fill(run, "queued", 0..200)?;
                connect_folder(run, "queued").await?;
                synchronize(run).await
            }
        ),
        scenario!("label a task while workers are idle", ["ANNOTATION_CREATED"], Same, |run| {
            run.annotate(0, json!({"result": choice("owl")})).await
        }),
        scenario!("delete some tasks by a worker", ["TASKS_DELETED"], Same, |run| run
            .act("delete_tasks", Some(&[1, 2]), json!({}))
            .await),
        scenario!("delete every task by a worker", ["TASKS_DELETED"], Same, |run| run
            .act("delete_tasks", None, json!({}))
            .await),
    ]
}
