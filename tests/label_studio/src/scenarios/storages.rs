//! Storages: tasks that come from elsewhere, one transaction each.

use anyhow::{Context, Result};
use lshookd_testbed::redis::Redis;
use lshookd_testbed::s3::S3;
use reqwest::Method;
use serde_json::{Value, json};

use crate::scenario::Claim::{Differs, Nothing, Same};
use crate::scenario::{ORDER, Scenario, label_studio_is_before, scenario, synchronized};
use crate::scenario_run::{ScenarioRun, choice, id};

pub fn scenarios() -> Vec<Scenario> {
    let mut scenarios = vec![
        scenario!("connect a local storage", [], Nothing("no task has come yet"), |run| {
            fill(run, "first", 0..200)?;
            connect_folder(run, "first").await
        }),
        scenario!(
            "synchronize it",
            ["TASKS_CREATED"],
            synchronized(&[ORDER, "overlap", "finished_task_number"]),
            |run| { synchronize(run).await }
        ),
        scenario!("synchronize it again", [], Nothing("no task has come"), |run| synchronize(run).await),
        scenario!(
            "add files and synchronize",
            ["TASKS_CREATED"],
            synchronized(&[ORDER, "overlap", "finished_task_number"]),
            |run| {
                fill(run, "first", 200..203)?;
                synchronize(run).await
            }
        ),
        scenario!(
            "connect a storage of media files",
            ["TASKS_CREATED"],
            synchronized(&[ORDER, "overlap", "finished_task_number"]),
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
            synchronized(&[ORDER, "overlap", "finished_task_number"]),
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
            synchronized(&[ORDER, "overlap", "finished_task_number"]),
            |run| {
                let store = S3::start().await?;
                for number in 0..20 {
                    store.put(&format!("calls/{number}.json"), task(number)).await?;
                }
                let connection = bucket(&store, "calls/", ".*json");
                run.store = Some(store);
                connect(run, "s3", connection).await?;
                synchronize(run).await
            }
        ),
        scenario!(
            "add objects and synchronize",
            ["TASKS_CREATED"],
            synchronized(&[ORDER, "overlap", "finished_task_number"]),
            |run| {
                let store = run.store.as_ref().context("the object store was started before")?;
                for number in 20..23 {
                    store.put(&format!("calls/{number}.json"), task(number)).await?;
                }
                synchronize(run).await
            }
        ),
        scenario!(
            "synchronize a storage with a file that is no JSON",
            ["TASKS_CREATED"],
            Differs(&[], "it does not say what a storage brought before it failed"),
            |run| {
                let store = run.store.as_ref().context("the object store was started before")?;
                for number in 0..5 {
                    store.put(&format!("broken/{number}.json"), task(number)).await?;
                }
                store.put("broken/9.json", "no JSON".to_owned()).await?;
                let connection = bucket(store, "broken/", ".*json");
                connect(run, "s3", connection).await?;
                let (kind, storage) = run.storage;
                run.attempt(Method::POST, &format!("/api/storages/{kind}/{storage}/sync"), Value::Null).await
            }
        ),
        scenario!("connect a storage to export to", [], Nothing("nothing is changed"), |run| {
            let store = run.store.as_ref().context("the object store was started before")?;
            let mut storage = bucket(store, "exported/", ".*");
            storage["project"] = json!(run.project);
            run.studio.post("/api/storages/export/s3", storage).await
        }),
        scenario!("label a task that is exported", ["ANNOTATION_CREATED"], Same, |run| {
            run.note_tasks().await?;
            run.annotate(0, json!({"result": choice("owl")})).await
        }),
        scenario!("edit what was exported", ["ANNOTATION_UPDATED"], Same, |run| {
            run.edit(json!({"result": choice("wren")})).await
        }),
        scenario!("export all annotations", [], Nothing("nothing is changed"), |run| {
            let storages = run.studio.get(&format!("/api/storages/export/s3?project={}", run.project)).await?;
            let storage = id(&storages[0])?;
            run.studio.post(&format!("/api/storages/export/s3/{storage}/sync"), Value::Null).await
        }),
        scenario!("disconnect a storage", [], Nothing("its tasks stay"), |run| {
            let (kind, storage) = run.storage;
            run.studio.delete(&format!("/api/storages/{kind}/{storage}")).await
        }),
    ];
    if !label_studio_is_before(1, 20) {
        // Older versions take one task of a file.
        scenarios.push(scenario!(
            "synchronize files of many tasks each",
            ["TASKS_CREATED"],
            synchronized(&[ORDER, "overlap", "finished_task_number"]),
            |run| {
                let store = run.store.as_ref().context("the object store was started before")?;
                for file in 0..3 {
                    let lines: Vec<String> = (0..7).map(|line| task(10 * file + line)).collect();
                    store.put(&format!("lines/{file}.jsonl"), lines.join("\n")).await?;
                }
                let connection = bucket(store, "lines/", ".*jsonl");
                connect(run, "s3", connection).await?;
                synchronize(run).await
            }
        ));
    }
    scenarios
}

fn bucket(store: &S3, prefix: &str, filter: &str) -> Value {
    json!({"bucket": S3::BUCKET, "prefix": prefix, "regex_filter": filter, "aws_access_key_id": "key",
        "aws_secret_access_key": "secret", "region_name": "us-east-1", "s3_endpoint": store.endpoint})
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
