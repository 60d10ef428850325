//! What who annotates in a real Label Studio waits for: the time from the API's answer to the request, by default
//! settings, at an endpoint that answers at once.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use axum::Router;
use axum::body::Bytes;
use futures_util::future::try_join_all;
use lshookd_testbed::eventually;
use lshookd_testbed::label_studio::{Installation, LabelStudio};
use serde_json::{Value, json};

use crate::Ground;
use crate::api::{annotation, import, subscribe, tasks_to_annotate};
use crate::report::{Report, percentile};

/// Annotations of each run, by all annotators together.
const ANNOTATIONS: usize = 240;
/// Annotators of the larger office.
const MANY: usize = 16;
/// Tasks that are imported into another project in the meantime.
const IMPORTED: usize = 10_000;

/// When the request of each annotation arrived.
type Arrivals = Arc<Mutex<HashMap<i64, Instant>>>;

/// One annotator, then many of them while somebody imports.
pub async fn measure(ground: &Ground, report: &mut Report) -> Result<()> {
    let arrivals = Arrivals::default();
    let heard = Arc::clone(&arrivals);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}/", listener.local_addr()?);
    let take = async move |body: Bytes| {
        let arrived = Instant::now();
        if let Ok(event) = serde_json::from_slice::<Value>(&body)
            && event["action"] == "ANNOTATION_CREATED"
            && let (Some(annotation), Ok(mut arrivals)) = (event["annotation"]["id"].as_i64(), heard.lock())
        {
            arrivals.insert(annotation, arrived);
        }
    };
    let serving = tokio::spawn(async move { axum::serve(listener, Router::new().fallback(take)).await });

    let database = ground.empty_database("annotators").await?;
    let studio = Installation::find(&crate::version())?.start(&database).await?.reconnecting()?;
    for (project, title) in [(1, "Birds"), (2, "Fish")] {
        studio.post("/api/projects/", json!({"title": title})).await?;
        subscribe(&studio, project, &url).await?;
    }
    let lshookd = ground.lshookd(&database).await?;
    lshookd.succeed(&["webhook", "adopt", "--all"]).await?;
    let daemon = lshookd.run().await?;

    // Warms all of it up.
    run(&studio, &arrivals, 1, false).await?;
    let (alone, answers) = run(&studio, &arrivals, 1, false).await?;
    report.alone("one annotator, the API's answer, 50 %, 99 %", in_milliseconds(answers), "");
    report.alone("one annotator, from the API's answer to the request, 50 %, 99 %", in_milliseconds(alone), "≤ 10, 20");
    let (among, answers) = run(&studio, &arrivals, MANY, true).await?;
    report.alone(&format!("{MANY} annotators and an import, the API's answer"), in_milliseconds(answers), "");
    report.alone(&format!("{MANY} annotators and an import, answer to request"), in_milliseconds(among), "≤ 50, 150");
    daemon.stop().await?;
    serving.abort();
    Ok(())
}

/// Seconds from the answer to the request of each annotation, and from the call to the answer.
async fn run(
    studio: &LabelStudio,
    arrivals: &Arrivals,
    annotators: usize,
    somebody_imports: bool,
) -> Result<(Vec<f64>, Vec<f64>)> {
    let tasks = tasks_to_annotate(studio, annotators).await?;
    let annotate = async |task: i64| {
        let mut answers = Vec::new();
        for _ in 0..ANNOTATIONS / annotators {
            let called = Instant::now();
            let answer = studio.post(&format!("/api/tasks/{task}/annotations/"), annotation()).await?;
            answers.push((answer["id"].as_i64().context("an annotation")?, called, Instant::now()));
        }
        anyhow::Ok(answers)
    };
    let imports = async {
        match somebody_imports {
            true => import(studio, 2, IMPORTED).await,
            false => Ok(()),
        }
    };
    let (answers, ()) = tokio::try_join!(try_join_all(tasks.iter().map(|task| annotate(*task))), imports)?;
    let answers = answers.concat();
    let all_arrived = async || {
        let arrivals = arrivals.lock().ok().context("the endpoint failed")?;
        Ok(answers.iter().all(|(annotation, ..)| arrivals.contains_key(annotation)).then_some(()))
    };
    eventually("every annotation is delivered", Duration::from_secs(60), all_arrived).await?;
    let arrivals = arrivals.lock().ok().context("the endpoint failed")?;
    let mut late_and_took = (Vec::new(), Vec::new());
    for (annotation, called, answered) in &answers {
        let took = (*answered - *called).as_secs_f64();
        // A request may come before the answer is read.
        late_and_took.0.push((arrivals[annotation] - *called).as_secs_f64() - took);
        late_and_took.1.push(took);
    }
    Ok(late_and_took)
}

/// The middle one, and that which one of a hundred exceeds.
fn in_milliseconds(mut seconds: Vec<f64>) -> String {
    seconds.sort_by(f64::total_cmp);
    format!("{:.1} ms, {:.1} ms", 1000.0 * percentile(&seconds, 50), 1000.0 * percentile(&seconds, 99))
}
