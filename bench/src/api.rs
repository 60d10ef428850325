//! What people feel: the same done through the API of a real Label Studio alone, of one with lshookd beside
//! it, and of one that posts to the same endpoint itself, which takes 200 ms to answer.

use std::time::Instant;

use anyhow::{Context, Result};
use lshookd_testbed::daemon::Daemon;
use lshookd_testbed::label_studio::{Installation, LabelStudio};
use serde_json::{Value, json};

use crate::Ground;
use crate::endpoint::Endpoint;
use crate::report::Report;

const ROUNDS: usize = 2;
const ANNOTATIONS: usize = 30;
const TASKS: usize = 10_000;

/// One Label Studio and what delivers for it.
struct Office {
    studio: LabelStudio,
    _daemon: Option<Daemon>,
}

/// Who delivers the events.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Sender {
    Nobody,
    Lshookd,
    LabelStudio,
}

impl Office {
    async fn open(ground: &Ground, endpoint: &Endpoint, sender: Sender) -> Result<Office> {
        let database = ground.empty_database("api").await?;
        let studio = Installation::find(&crate::version())?.start(&database).await?;
        studio.post("/api/projects/", json!({"title": "Birds"})).await?;
        if sender != Sender::Nobody {
            subscribe(&studio, 1, &endpoint.slow()).await?;
        }
        let mut daemon = None;
        if sender == Sender::Lshookd {
            let lshookd = ground.lshookd(&database).await?;
            lshookd.succeed(&["webhook", "adopt", "--all"]).await?;
            daemon = Some(lshookd.run().await?);
        }
        Ok(Office { studio, _daemon: daemon })
    }

    /// Seconds to annotate, to import and to delete.
    async fn work(&self) -> Result<[f64; 3]> {
        let tasks = tasks_to_annotate(&self.studio, ANNOTATIONS).await?;
        let started = Instant::now();
        for task in &tasks {
            self.studio.post(&format!("/api/tasks/{task}/annotations/"), annotation()).await?;
        }
        let annotated = started.elapsed().as_secs_f64();
        let started = Instant::now();
        import(&self.studio, 1, TASKS).await?;
        let imported = started.elapsed().as_secs_f64();
        let started = Instant::now();
        self.studio.data_manager("delete_tasks", 1, None, Value::Null).await?;
        Ok([annotated, imported, started.elapsed().as_secs_f64()])
    }
}

/// A webhook of a project, which hears of everything.
pub async fn subscribe(studio: &LabelStudio, project: i64, url: &str) -> Result<()> {
    let webhook = json!({"project": project, "url": url, "send_payload": true, "send_for_all_actions": true});
    studio.post("/api/webhooks/", webhook).await?;
    Ok(())
}

/// Imports so many tasks.
pub async fn import(studio: &LabelStudio, project: i64, quantity: usize) -> Result<()> {
    let tasks: Vec<Value> = (0..quantity).map(|number| json!({"text": format!("owl {number}")})).collect();
    studio.post(&format!("/api/projects/{project}/import"), json!(tasks)).await?;
    Ok(())
}

/// New tasks of project 1.
pub async fn tasks_to_annotate(studio: &LabelStudio, quantity: usize) -> Result<Vec<i64>> {
    import(studio, 1, quantity).await?;
    let list = studio.get(&format!("/api/tasks?project=1&page_size={quantity}&order_by=-id")).await?;
    Ok(list["tasks"].as_array().context("tasks")?.iter().filter_map(|task| task["id"].as_i64()).collect())
}

/// What somebody submits.
pub fn annotation() -> Value {
    json!({"result": [{"from_name": "kind", "to_name": "text", "type": "choices",
        "value": {"choices": ["owl"]}}], "lead_time": 1.5})
}

/// Work per second in each office, in turns.
pub async fn measure(ground: &Ground, report: &mut Report) -> Result<()> {
    let endpoint = Endpoint::start().await?;
    let mut offices = Vec::new();
    for sender in [Sender::Lshookd, Sender::Nobody, Sender::LabelStudio] {
        offices.push(Office::open(ground, &endpoint, sender).await?);
    }
    let mut seconds = Vec::new();
    for round in 0..=ROUNDS {
        let mut row = Vec::new();
        for office in &offices {
            row.push(office.work().await?);
        }
        // The first one warms all up.
        if round > 0 {
            seconds.push(row);
        }
    }
    let works = [("30 annotations", ANNOTATIONS as f64), ("an import of 10,000", 1.0), ("a deletion of 10,000", 1.0)];
    for (work, (what, count)) in works.into_iter().enumerate() {
        for (other, who, goal) in [(1, "alone", "≥ 0.98"), (2, "with its own webhook", "> 1")] {
            let pairs: Vec<(f64, f64)> =
                seconds.iter().map(|row: &Vec<[f64; 3]>| (count / row[0][work], count / row[other][work])).collect();
            report.pairs(&format!("API: {what}, against Label Studio {who}"), "/s", &pairs, goal);
        }
    }
    Ok(())
}
