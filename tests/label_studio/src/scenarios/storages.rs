//! Storages: tasks that come from elsewhere, one transaction each.

use anyhow::Result;
use serde_json::{Value, json};

use crate::scenario::Claim::{Nothing, ReadEarly, Same};
use crate::scenario::{Scenario, scenario};
use crate::stage::{Stage, choice, id};

pub fn scenarios() -> Vec<Scenario> {
    vec![
        scenario!("connect a local storage", [], Nothing("no task has come yet"), |stage| {
            fill(stage, "first", 0..200)?;
            connect(stage, "first").await
        }),
        scenario!("synchronize it", ["TASKS_CREATED"], ReadEarly(&["overlap", "finished_task_number"]), |stage| {
            synchronize(stage).await
        }),
        scenario!("synchronize it again", [], Nothing("no task has come"), |stage| synchronize(stage).await),
        scenario!(
            "add files and synchronize",
            ["TASKS_CREATED"],
            ReadEarly(&["overlap", "finished_task_number"]),
            |stage| {
                fill(stage, "first", 200..203)?;
                synchronize(stage).await
            }
        ),
        scenario!(
            "connect a storage of media files",
            ["TASKS_CREATED"],
            ReadEarly(&["overlap", "finished_task_number"]),
            |stage| {
                let folder = stage.studio.files.join("media");
                std::fs::create_dir_all(&folder)?;
                for name in ["owl.txt", "wren.txt"] {
                    std::fs::write(folder.join(name), "hu-hu")?;
                }
                let storage = json!({"project": stage.project, "path": folder, "regex_filter": ".*txt",
                "use_blob_urls": true, "title": "media"});
                stage.studio.post("/api/storages/localfiles", storage).await?;
                synchronize(stage).await
            }
        ),
        scenario!("label a stored task", ["ANNOTATION_CREATED"], Same, |stage| {
            stage.note_tasks().await?;
            stage.annotate(7, json!({"result": choice("owl")})).await
        }),
        scenario!("delete the stored tasks", ["TASKS_DELETED"], Same, |stage| stage
            .act("delete_tasks", None, json!({}))
            .await),
        scenario!("disconnect a storage", [], Nothing("its tasks stay"), |stage| {
            let storage = newest(stage).await?;
            stage.studio.delete(&format!("/api/storages/localfiles/{storage}")).await
        }),
    ]
}

fn fill(stage: &Stage, name: &str, numbers: std::ops::Range<usize>) -> Result<()> {
    let folder = stage.studio.files.join(name);
    std::fs::create_dir_all(&folder)?;
    for number in numbers {
        let task = json!({"text": format!("stored {number}")}).to_string();
        std::fs::write(folder.join(format!("{number:03}.json")), task)?;
    }
    Ok(())
}

async fn connect(stage: &Stage, name: &str) -> Result<i64> {
    let storage = json!({"project": stage.project, "path": stage.studio.files.join(name), "regex_filter": ".*json",
        "use_blob_urls": false, "title": name});
    id(&stage.studio.post("/api/storages/localfiles", storage).await?)
}

async fn newest(stage: &Stage) -> Result<i64> {
    let query = "select max(localfilesmixin_ptr_id)::bigint from io_storages_localfilesimportstorage";
    Ok(stage.sql.query_one(query, &[]).await?.get(0))
}

async fn synchronize(stage: &Stage) -> Result<Value> {
    let storage = newest(stage).await?;
    stage.studio.post(&format!("/api/storages/localfiles/{storage}/sync"), Value::Null).await
}
