//! Storages: tasks that come from elsewhere, one transaction each.

use anyhow::{Context, Result};
use lshookd_testbed::redis::Redis;
use lshookd_testbed::s3::S3;
use serde_json::{Value, json};

use crate::scenario::Claim::{Nothing, ReadEarly, Same};
use crate::scenario::{ORDER, Scenario, scenario};
use crate::scenario_run::{ScenarioRun, choice, id};

pub fn scenarios() -> Vec<Scenario> {
    vec![
        scenario!("connect a local storage", [], Nothing("no task has come yet"), |run| {
            fill(run, "first", 0..200)?;
            connect_folder(run, "first").await
        }),
        scenario!("synchronize it", ["TASKS_CREATED"], ReadEarly(&[ORDER, "overlap", "finished_task_number"]), |run| {
            synchronize(run).await
        }),
        scenario!("synchronize it again", [], Nothing("no task has come"), |run| synchronize(run).await),
        scenario!(
            "add files and synchronize",
            ["TASKS_CREATED"],
            ReadEarly(&[ORDER, "overlap", "finished_task_number"]),
            |run| {
                fill(run, "first", 200..203)?;
                synchronize(run).await
            }
        ),
        scenario!(
            "connect a storage of media files",
            ["TASKS_CREATED"],
            ReadEarly(&[ORDER, "overlap", "finished_task_number"]),
            |run| {
                let folder = run.studio.files.join("media");
                std::fs::create_dir_all(&folder)?;
                for name in ["owl.txt", "wren.txt"] {
                    std::fs::write(folder.join(name), "hu-hu")?;
                }
                let connection = json!({"path": folder, "regex_filter": ".*txt", "use_blob_urls": true});
                connect(run, "localfiles", connection).await?;
                synchronize(run).await
            }
        ),
        scenario!("label a stored task", ["ANNOTATION_CREATED"], Same, |run| {
            run.note_tasks().await?;
            run.annotate(7, json!({"result": choice("owl")})).await
        }),
        scenario!("delete the stored tasks", ["TASKS_DELETED"], Same, |run| run
            .act("delete_tasks", None, json!({}))
            .await),
        scenario!(
            "synchronize a Redis storage",
            ["TASKS_CREATED"],
            ReadEarly(&[ORDER, "overlap", "finished_task_number"]),
            |run| {
                let redis = Redis::start().await?;
                for number in 0..20 {
                    redis.set(&format!("calls/{number}"), &task(number)).await?;
                }
                let connection =
                    json!({"host": "127.0.0.1", "port": redis.port.to_string(), "db": 1, "path": "calls/"});
                run.redis = Some(redis);
                connect(run, "redis", connection).await?;
                synchronize(run).await
            }
        ),
        scenario!(
            "synchronize an S3 storage",
            ["TASKS_CREATED"],
            ReadEarly(&[ORDER, "overlap", "finished_task_number"]),
            |run| {
                let store = S3::start().await?;
                for number in 0..20 {
                    store.put(&format!("calls/{number}.json"), task(number)).await?;
                }
                let connection = json!({"bucket": S3::BUCKET, "prefix": "calls/", "regex_filter": ".*json",
                "aws_access_key_id": "key", "aws_secret_access_key": "secret", "region_name": "us-east-1",
                "s3_endpoint": store.endpoint});
                run.store = Some(store);
                connect(run, "s3", connection).await?;
                synchronize(run).await
            }
        ),
        scenario!(
            "add objects and synchronize",
            ["TASKS_CREATED"],
            ReadEarly(&[ORDER, "overlap", "finished_task_number"]),
            |run| {
                let store = run.store.as_ref().context("the object store was started before")?;
                for number in 20..23 {
                    store.put(&format!("calls/{number}.json"), task(number)).await?;
                }
                synchronize(run).await
            }
        ),
        scenario!("disconnect a storage", [], Nothing("its tasks stay"), |run| {
            let (kind, storage) = run.storage;
            run.studio.delete(&format!("/api/storages/{kind}/{storage}")).await
        }),
    ]
}

fn task(number: usize) -> String {
    json!({"text": format!("stored {number}")}).to_string()
}

pub fn fill(run: &ScenarioRun, name: &str, numbers: std::ops::Range<usize>) -> Result<()> {
    let folder = run.studio.files.join(name);
    std::fs::create_dir_all(&folder)?;
    for number in numbers {
        std::fs::write(folder.join(format!("{number:03}.json")), task(number))?;
    }
    Ok(())
}

pub async fn connect_folder(run: &mut ScenarioRun, name: &str) -> Result<()> {
    let connection = json!({"path": run.studio.files.join(name), "regex_filter": ".*json"});
    connect(run, "localfiles", connection).await
}

async fn connect(run: &mut ScenarioRun, kind: &'static str, connection: Value) -> Result<()> {
    let mut storage = json!({"project": run.project, "title": kind, "use_blob_urls": false});
    if let (Value::Object(storage), Value::Object(connection)) = (&mut storage, connection) {
        storage.extend(connection);
    }
    let made = run.studio.post(&format!("/api/storages/{kind}"), storage).await?;
    run.storage = (kind, id(&made)?);
    Ok(())
}

/// Synchronizes the storage that was connected last.
pub async fn synchronize(run: &ScenarioRun) -> Result<Value> {
    let (kind, storage) = run.storage;
    run.studio.post(&format!("/api/storages/{kind}/{storage}/sync"), Value::Null).await
}
