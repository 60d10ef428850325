//! `make demo`: the real Label Studio on a real PostgreSQL, and lshookd beside it.
//!
//! Plays what people do in Label Studio and prints, live, what Label Studio's own webhook sent,
//! what lshookd sent, and whether that is as claimed. Then takes the endpoint away, labels on,
//! brings it back, and counts. Exits with 0 only if every row is as claimed.

use std::collections::BTreeSet;
use std::io::IsTerminal;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use lshookd_scenarios::scenario::{Claim, Scenario};
use lshookd_scenarios::scenario_run::{ORGANIZATION, PROJECT, ScenarioRun};
use lshookd_scenarios::scenarios::tables;
use lshookd_testbed::daemon::Lshookd;
use lshookd_testbed::label_studio::{EMAIL, Installation, PASSWORD};
use lshookd_testbed::postgres::Server;
use lshookd_testbed::receiver::Receiver;
use serde_json::json;

const OUTAGE: Duration = Duration::from_secs(4);

#[tokio::main]
async fn main() -> ExitCode {
    match demonstrate().await {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("demo: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn demonstrate() -> Result<bool> {
    let start = Instant::now();
    let step = |text: &str| println!("[{:5.1} s] {text}", start.elapsed().as_secs_f64());
    let binary = std::env::var("LSHOOKD").unwrap_or_else(|_| "target/release/lshookd".to_owned());
    let version = std::env::var("LSHOOKD_TEST_LABEL_STUDIO").unwrap_or_else(|_| "1.23.2".to_owned());

    let server = Server::obtain().await?;
    step(&format!("PostgreSQL runs ({})", server.origin));
    let installation = Installation::find(&version)?;
    let template = installation.template(&server).await?;
    step(&format!("Label Studio {version} has its database"));
    let database = server.create("demo", Some(&template.name)).await?;
    let studio = installation.start(&database).await?;
    step(&format!("Label Studio runs at {}", studio.base));
    let lshookd = Lshookd::new(&binary, &database);
    lshookd.succeed(&["install"]).await?;
    let daemon = lshookd.run().await?;
    step("lshookd is installed and runs");

    let mut run = ScenarioRun::start(studio, &database, Receiver::start().await?).await?;
    let mut honest = true;
    println!("\n{:<46}{:<24}{:<24}as claimed", "what happened", "Label Studio sent", "lshookd sent");
    let all = tables().into_iter().next().context("no tour")?.scenarios;
    let (last, before) = all.split_last().context("no scenarios")?;
    for scenario in before {
        honest &= play(&mut run, scenario).await?;
    }
    let (outage, labelled, lost) = endure_an_outage(&mut run).await?;
    honest &= lost == 0;
    honest &= play(&mut run, last).await?;

    let counts = run
        .sql
        .query_one("select count(*), count(*) filter (where state = 'delivered'), (select count(*) from lshookd.attempt) from lshookd.delivery", &[])
        .await?;
    let counts: [i64; 3] = [counts.get(0), counts.get(1), counts.get(2)];
    let verdict = if honest { "every row as claimed" } else { "NOT as claimed; see above" };
    println!("\nthings done    {}, {verdict}", all.len());
    println!("endpoint away  {:.0} s, {labelled} annotations meanwhile, {lost} lost", outage.as_secs_f64());
    println!("deliveries     {} queued, {} delivered, {} attempts recorded", counts[0], counts[1], counts[2]);
    println!("time           {:.0} s", start.elapsed().as_secs_f64());

    if std::env::var("KEEP").is_ok_and(|keep| keep == "1") {
        println!("\nLabel Studio  {}  (user {EMAIL}, password {PASSWORD})", run.studio.base);
        for (name, value) in database.environment() {
            println!("export {name}={value}");
        }
        println!(
            "receiver      {}\nlog           {}\nPress Ctrl-C to end it all.",
            run.receiver.url("/"),
            daemon.log_file().display()
        );
        tokio::signal::ctrl_c().await?;
    }
    daemon.stop().await?;
    Ok(honest)
}

/// Plays one scenario and prints its row.
async fn play(run: &mut ScenarioRun, scenario: &Scenario) -> Result<bool> {
    let outcome = run.play(scenario).await?;
    let holds = outcome.faults.is_empty();
    let claim = match scenario.claim {
        Claim::Same => "equal".to_owned(),
        Claim::ReadEarly(fields) => format!("equal but {}: read before Label Studio's last write", fields.join(", ")),
        Claim::Differs(_, why) => format!("lshookd alone is right; Label Studio: {why}"),
        Claim::SameOrNeither(why) if outcome.ours.is_empty() => format!("nothing to send: {why}"),
        Claim::SameOrNeither(_) => "equal".to_owned(),
        Claim::Nothing(why) => format!("nothing to send: {why}"),
    };
    let (good, bad, plain) =
        if std::io::stdout().is_terminal() { ("\x1b[32m", "\x1b[31m", "\x1b[0m") } else { ("", "", "") };
    let mark = if holds { format!("{good}yes{plain}") } else { format!("{bad}NO{plain} ") };
    println!("{:<46}{:<24}{:<24}{mark}  {claim}", scenario.what, sent(&outcome.theirs), sent(&outcome.ours));
    for fault in &outcome.faults {
        println!("    {fault}");
    }
    Ok(holds)
}

/// The actions sent, those to the project's webhook where there are any.
fn sent(requests: &[String]) -> String {
    let of = |path: &str| -> Vec<&str> {
        requests.iter().filter_map(|line| line.strip_prefix(path)?.trim_start().split(' ').next()).collect()
    };
    let actions = if of(PROJECT).is_empty() { of(ORGANIZATION) } else { of(PROJECT) };
    match actions.as_slice() {
        [] => "–".to_owned(),
        [only] => (*only).to_owned(),
        [first, rest @ ..] => format!("{first} +{}", rest.len()),
    }
}

/// Takes the receiver down, labels on, brings it up: how long, how many, and how many are lost.
async fn endure_an_outage(run: &mut ScenarioRun) -> Result<(Duration, usize, usize)> {
    run.receiver.clear();
    let start = Instant::now();
    run.receiver.take_down().await;
    println!("{:<46}–", "the endpoint goes away");
    let task = run.studio.post("/api/tasks/", json!({"project": run.project, "data": {"text": "in the dark"}})).await?;
    let mut expected = BTreeSet::new();
    while start.elapsed() < OUTAGE {
        let path = format!("/api/tasks/{}/annotations/", task["id"]);
        let annotation = run.studio.post(&path, json!({"result": [], "lead_time": 1})).await?;
        expected.insert(annotation["id"].as_i64().context("no id")?);
    }
    let outage = start.elapsed();
    run.receiver.bring_up().await?;
    // To the project's webhook and to the organization's: the task, and every annotation.
    run.receiver.expect(2 * (expected.len() + 1)).await?;
    let arrived = |path: &str| -> BTreeSet<i64> {
        run.receiver
            .accepted()
            .iter()
            .filter(|event| event.path == path)
            .flat_map(|event| event.ids("annotation"))
            .collect()
    };
    let lost = expected.difference(&arrived(PROJECT)).count();
    let theirs = run.receiver.received().iter().filter(|event| !event.is_ours()).count();
    println!(
        "{:<46}{:<24}{:<24}{}",
        "the endpoint comes back",
        format!("{theirs} of {}", expected.len() + 1),
        format!("{} of {}", arrived(PROJECT).len() + 1, expected.len() + 1),
        if lost == 0 { "yes  nothing was lost" } else { "NO" }
    );
    Ok((outage, expected.len(), lost))
}
