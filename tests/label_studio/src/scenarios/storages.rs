//! Storages: tasks that come from elsewhere, one transaction each.

use anyhow::{Context, Result};
use lshookd_testbed::redis::Redis;
use lshookd_testbed::s3::S3;
use serde_json::{Value, json};

use crate::scenario::Claim::{Nothing, ReadEarly, Same};
use crate::scenario::{ORDER, Scenario, scenario};
use crate::stage::{Stage, choice, id};

pub fn scenarios() -> Vec<Scenario> {
    vec![
        scenario!("connect a local storage", [], Nothing("no task has come yet"), |stage| {
            fill(stage, "first", 0..200)?;
            connect_folder(stage, "first").await
        }),
        scenario!(
            "synchronize it",
            ["TASKS_CREATED"],
            ReadEarly(&[ORDER, "overlap", "finished_task_number"]),
            |stage| { synchronize(stage).await }
        ),
        scenario!("synchronize it again", [], Nothing("no task has come"), |stage| synchronize(stage).await),
        scenario!(
            "add files and synchronize",
            ["TASKS_CREATED"],
            ReadEarly(&[ORDER, "overlap", "finished_task_number"]),
            |stage| {
                fill(stage, "first", 200..203)?;
                synchronize(stage).await
            }
        ),
        scenario!(
            "connect a storage of media files",
            ["TASKS_CREATED"],
            ReadEarly(&[ORDER, "overlap", "finished_task_number"]),
            |stage| {
                let folder = stage.studio.files.join("media");
                std::fs::create_dir_all(&folder)?;
                for name in ["owl.txt", "wren.txt"] {
                    std::fs::write(folder.join(name), "hu-hu")?;
                }
                let connection = json!({"path": folder, "regex_filter": ".*txt", "use_blob_urls": true});
                connect(stage, "localfiles", connection).await?;
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
        scenario!(
            "synchronize a Redis storage",
            ["TASKS_CREATED"],
            ReadEarly(&[ORDER, "overlap", "finished_task_number"]),
            |stage| {
                let redis = Redis::start().await?;
                for number in 0..20 {
                    redis.set(&format!("calls/{number}"), &task(number)).await?;
                }
                let connection =
                    json!({"host": "127.0.0.1", "port": redis.port.to_string(), "db": 1, "path": "calls/"});
                stage.redis = Some(redis);
                connect(stage, "redis", connection).await?;
                synchronize(stage).await
            }
        ),
        scenario!(
            "synchronize an S3 storage",
            ["TASKS_CREATED"],
            ReadEarly(&[ORDER, "overlap", "finished_task_number"]),
            |stage| {
                let store = S3::start().await?;
                for number in 0..20 {
                    store.put(&format!("calls/{number}.json"), task(number)).await?;
                }
                let connection = json!({"bucket": S3::BUCKET, "prefix": "calls/", "regex_filter": ".*json",
                "aws_access_key_id": "key", "aws_secret_access_key": "secret", "region_name": "us-east-1",
                "s3_endpoint": store.endpoint});
                stage.store = Some(store);
                connect(stage, "s3", connection).await?;
                synchronize(stage).await
            }
        ),
        scenario!(
            "add objects and synchronize",
            ["TASKS_CREATED"],
            ReadEarly(&[ORDER, "overlap", "finished_task_number"]),
            |stage| {
                let store = stage.store.as_ref().context("the object store was started before")?;
                for number in 20..23 {
                    store.put(&format!("calls/{number}.json"), task(number)).await?;
                }
                synchronize(stage).await
            }
        ),
        scenario!("disconnect a storage", [], Nothing("its tasks stay"), |stage| {
            let (kind, storage) = stage.storage;
            stage.studio.delete(&format!("/api/storages/{kind}/{storage}")).await
        }),
    ]
}

fn task(number: usize) -> String {
    json!({"text": format!("stored {number}")}).to_string()
}

pub fn fill(stage: &Stage, name: &str, numbers: std::ops::Range<usize>) -> Result<()> {
    let folder = stage.studio.files.join(name);
    std::fs::create_dir_all(&folder)?;
    for number in numbers {
        std::fs::write(folder.join(format!("{number:03}.json")), task(number))?;
    }
    Ok(())
}

pub async fn connect_folder(stage: &mut Stage, name: &str) -> Result<()> {
    let connection = json!({"path": stage.studio.files.join(name), "regex_filter": ".*json"});
    connect(stage, "localfiles", connection).await
}

async fn connect(stage: &mut Stage, kind: &'static str, connection: Value) -> Result<()> {
    let mut storage = json!({"project": stage.project, "title": kind, "use_blob_urls": false});
    if let (Value::Object(storage), Value::Object(connection)) = (&mut storage, connection) {
        storage.extend(connection);
    }
    let made = stage.studio.post(&format!("/api/storages/{kind}"), storage).await?;
    stage.storage = (kind, id(&made)?);
    Ok(())
}

/// Synchronizes the storage that was connected last.
pub async fn synchronize(stage: &Stage) -> Result<Value> {
    let (kind, storage) = stage.storage;
    stage.studio.post(&format!("/api/storages/{kind}/{storage}/sync"), Value::Null).await
}
