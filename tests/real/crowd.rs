//! Many people at once, on every kind of connection: what lshookd sends is what Label Studio
//! sends, event for event, and in the order in which things happened to each object.

use std::collections::{BTreeMap, HashMap};

use anyhow::{Context, Result, ensure};
use futures_util::future::try_join_all;
use lshookd_scenarios::scenario_run::{PROJECT, ScenarioRun, choice, id};
use lshookd_testbed::label_studio::Surroundings;
use lshookd_testbed::pooler::Pooler;
use lshookd_testbed::receiver::Received;
use serde_json::json;

use crate::test_env::{label_studio_database, run};

const PEOPLE: usize = 20;
const ROUNDS: usize = 3;

/// What one of them does: imports, labels, corrects, skips, deletes.
async fn work(run: &ScenarioRun, person: usize) -> Result<()> {
    let studio = &run.studio;
    for round in 0..ROUNDS {
        let text = format!("person {person}, round {round}");
        let task = id(&studio.post("/api/tasks/", json!({"project": run.project, "data": {"text": text}})).await?)?;
        run.import(json!([{"text": text}, {"text": text}, {"text": text}])).await?;
        let annotations = format!("/api/tasks/{task}/annotations/");
        let first = id(&studio.post(&annotations, json!({"result": choice("owl")})).await?)?;
        studio.patch(&format!("/api/annotations/{first}/"), json!({"result": choice("wren")})).await?;
        let second = id(&studio.post(&annotations, json!({"result": [], "was_cancelled": true})).await?)?;
        studio.delete(&format!("/api/annotations/{second}/")).await?;
        if round % 2 == 0 {
            studio.delete(&format!("/api/tasks/{task}/")).await?;
        }
    }
    Ok(())
}

/// Each event with its objects, and how often it was sent.
fn tally(requests: &[&Received]) -> BTreeMap<String, usize> {
    let mut tally = BTreeMap::new();
    for request in requests {
        let mut ids: Vec<String> = ["tasks", "annotation", "annotations"]
            .iter()
            .flat_map(|key| request.ids(key))
            .map(|id| id.to_string())
            .collect();
        ids.sort();
        *tally.entry(format!("{} {}", request.action(), ids.join(","))).or_default() += 1;
    }
    tally
}

/// Checks that nothing is sent of an object before its creation or after its deletion.
fn check_order(requests: &[&Received]) -> Result<()> {
    let mut stages: HashMap<(&str, i64), usize> = HashMap::new();
    for request in requests {
        let (kind, run) = match request.action() {
            "TASKS_CREATED" => ("tasks", 1),
            "TASKS_DELETED" => ("tasks", 3),
            "ANNOTATION_CREATED" => ("annotation", 1),
            "ANNOTATION_UPDATED" => ("annotation", 2),
            "ANNOTATIONS_DELETED" => ("annotations", 3),
            _ => continue,
        };
        for id in request.ids(kind) {
            let kind = kind.trim_end_matches('s');
            let before = stages.insert((kind, id), run).unwrap_or_default();
            ensure!(before < run, "{kind} {id}: {} came too late", request.action());
        }
    }
    Ok(())
}

/// Lets the crowd in, and compares what both senders sent.
async fn crowd(label: &str, pool: Option<(&str, usize)>, connection: &str) -> Result<()> {
    let database = label_studio_database(label).await?;
    let pooler = match pool {
        Some((mode, connections)) => Some(Pooler::start(&database, mode, connections).await?),
        None => None,
    };
    let variables = pooler.as_ref().map(Pooler::environment).unwrap_or_default();
    let surroundings = Surroundings { variables, connection, redis: None };
    let (mut run, _daemon) = run(&database, surroundings).await?;
    run.furnish().await?;
    run.receiver.clear();
    let run = &run;
    try_join_all((0..PEOPLE).map(|person| work(run, person))).await?;
    run.settle().await?;
    let received = run.receiver.received();
    let (ours, theirs): (Vec<&Received>, Vec<&Received>) =
        received.iter().filter(|request| request.path == PROJECT).partition(|request| request.is_ours());
    let (ours_tally, theirs_tally) = (tally(&ours), tally(&theirs));
    let missing: Vec<_> = theirs_tally.iter().filter(|(event, count)| ours_tally.get(*event) != Some(count)).collect();
    let extra: Vec<_> = ours_tally.iter().filter(|(event, count)| theirs_tally.get(*event) != Some(count)).collect();
    ensure!(missing.is_empty() && extra.is_empty(), "Label Studio alone: {missing:?}; lshookd alone: {extra:?}");
    let expected = PEOPLE * ROUNDS * 6 + PEOPLE * ROUNDS.div_ceil(2);
    ensure!(ours.len() == expected, "{} events, expected {expected}", ours.len());
    check_order(&ours).context("lshookd's order")
}

#[tokio::test(flavor = "multi_thread")]
async fn twenty_people_at_once() -> Result<()> {
    crowd("crowd", None, "{}").await
}

#[tokio::test(flavor = "multi_thread")]
async fn twenty_people_on_connections_that_stay_open() -> Result<()> {
    crowd("persistent", None, "{'CONN_MAX_AGE': 600}").await
}

#[tokio::test(flavor = "multi_thread")]
async fn twenty_people_through_a_pooler_of_sessions() -> Result<()> {
    crowd("sessions", Some(("session", 30)), "{}").await
}

#[tokio::test(flavor = "multi_thread")]
async fn twenty_people_through_a_pooler_of_transactions() -> Result<()> {
    // As Django's documentation asks for with such a pooler.
    crowd("pooled", Some(("transaction", 3)), "{'DISABLE_SERVER_SIDE_CURSORS': True}").await
}
