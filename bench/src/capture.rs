//! What capture costs the writers: the same load on a database with lshookd active, and without.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use lshookd_testbed::eventually;
use lshookd_testbed::postgres::Database;
use tokio::process::Command;

use crate::Ground;
use crate::endpoint::Endpoint;
use crate::report::Report;
use crate::stripped::Stripped;

/// Seconds of one run, and how many pairs of runs; of annotations, by connections that never rest, more than twice as long
/// as lshookd waits for them to do so: most of the run, it plans and delivers.
const SECONDS: usize = 12;
const PAIRS: usize = 3;
const WARM_UP: usize = 3;
/// Imports of one run, each by a connection of its own, as a request of Label Studio's has.
const IMPORTS: usize = 32;
/// Transactions of one run of deletions: what is deleted must have been made before.
const DELETIONS: usize = 64;

/// What writers are slowed by.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Burden {
    /// lshookd's triggers, and the daemon on the same machine.
    Daemon,
    /// Its triggers alone.
    Capture,
    /// Triggers that write down what changed and do nothing else.
    Least,
    /// The same, and a program on the same machine that delivers it each second and does nothing else.
    LeastOfAll,
    /// As many triggers that do nothing.
    Nothing,
}

/// What is written: a script, and its name in the table.
const LOADS: [(&str, &str); 3] =
    [("annotate", "annotations"), ("import", "imports of 1,000"), ("delete", "deletions of 200")];

/// Transactions per second with lshookd and without, at one and at sixteen connections.
pub async fn measure(ground: &Ground, report: &mut Report) -> Result<()> {
    for (script, what) in LOADS {
        beside_nothing(ground, report, script, &format!("capture: {what}"), Burden::Daemon).await?;
    }
    Ok(())
}

/// The same without the daemon, whose cores are others' on a larger machine; and the least that triggers cost, and
/// deliveries.
pub async fn floors(ground: &Ground, report: &mut Report) -> Result<()> {
    let (script, what) = LOADS[0];
    let all = format!("floor: the least capture and delivery: {what}");
    beside_nothing(ground, report, script, &all, Burden::LeastOfAll).await?;
    for (script, what) in LOADS {
        beside_nothing(ground, report, script, &format!("capture alone: {what}"), Burden::Capture).await?;
        beside_nothing(ground, report, script, &format!("floor: the least capture: {what}"), Burden::Least).await?;
        beside_nothing(ground, report, script, &format!("floor: empty triggers: {what}"), Burden::Nothing).await?;
    }
    Ok(())
}

async fn beside_nothing(ground: &Ground, report: &mut Report, script: &str, what: &str, burden: Burden) -> Result<()> {
    let endpoint = Endpoint::start().await?;
    let (ours, bare) = (ground.database("ours").await?, ground.database("bare").await?);
    if script == "delete" {
        for database in [&ours, &bare] {
            database.connect().await?.batch_execute(include_str!("../sql/victims.sql")).await?;
        }
    }
    endpoint.subscribe(&ours, 1).await?;
    let lshookd = ground.lshookd(&ours).await?;
    let daemon = if burden == Burden::Daemon { Some(lshookd.run().await?) } else { None };
    let sql = ours.connect().await?;
    match burden {
        Burden::Daemon | Burden::Capture => {}
        Burden::Least | Burden::LeastOfAll => sql.batch_execute(include_str!("../sql/least_triggers.sql")).await?,
        Burden::Nothing => sql.batch_execute(include_str!("../sql/empty_triggers.sql")).await?,
    }
    let delivers = match burden {
        Burden::LeastOfAll => Some(tokio::spawn(deliver(Stripped::start(&ours, &endpoint.base(), 1).await?))),
        _ => None,
    };
    let length = match script {
        "delete" => Length::Requests(DELETIONS),
        "import" => Length::Requests(IMPORTS),
        _ => Length::Seconds(SECONDS),
    };
    let warm_up = match length {
        Length::Seconds(_) => Length::Seconds(WARM_UP),
        other => other,
    };
    for connections in [1, 16] {
        let mut pairs = Vec::new();
        let ours_by_itself = async |length| {
            let rate = run(&ours, script, connections, length, None).await?;
            match daemon.is_some() || delivers.is_some() {
                // What is still to be done must not slow the other one down.
                true => settled(&ours).await?,
                false => sql.batch_execute("truncate lshookd.change").await?,
            }
            anyhow::Ok(rate)
        };
        // Both databases are cold once.
        if connections == 1 {
            ours_by_itself(warm_up).await?;
            run(&bare, script, connections, warm_up, None).await?;
        }
        for round in 0..PAIRS {
            // Which one goes first takes turns.
            let pair = match round % 2 {
                0 => {
                    let with = ours_by_itself(length).await?;
                    (with, run(&bare, script, connections, length, None).await?)
                }
                _ => {
                    let without = run(&bare, script, connections, length, None).await?;
                    (ours_by_itself(length).await?, without)
                }
            };
            pairs.push(pair);
        }
        let goal = match burden {
            Burden::Daemon | Burden::LeastOfAll if script == "annotate" => "≥ 0.85",
            _ => "≥ 0.95",
        };
        report.pairs(&format!("{what}, {connections} connections"), "/s", &pairs, goal);
    }
    if script == "delete" {
        let left = "select last_value * 200 < (select max(id) from task) from victim";
        let left: bool = bare.connect().await?.query_one(left, &[]).await?.get(0);
        ensure!(left, "there were not enough tasks to delete");
    }
    if let Some(daemon) = daemon {
        daemon.stop().await?;
    }
    if let Some(delivers) = delivers {
        delivers.abort();
    }
    Ok(())
}

/// As often as lshookd plans what connections do that never rest.
async fn deliver(stripped: Stripped) -> Result<()> {
    loop {
        stripped.catch_up().await?;
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}

/// Waits until nothing is left to plan or to deliver.
pub async fn settled(database: &Database) -> Result<()> {
    let sql = database.connect().await?;
    let idle = async || {
        let waits = "select not exists (select from lshookd.change) and not exists (select from lshookd.delivery where state = 'pending')";
        Ok(sql.query_one(waits, &[]).await?.get::<_, bool>(0).then_some(()))
    };
    eventually("all is delivered", Duration::from_secs(300), idle).await
}

/// How long a run is.
#[derive(Clone, Copy)]
pub enum Length {
    /// In time.
    Seconds(usize),
    /// In work, by all connections together, each transaction on a new one.
    Requests(usize),
    /// In work, by all connections together.
    Transactions(usize),
}

/// One run of pgbench, as fast as it goes or at a given rate; transactions per second.
pub async fn run(
    database: &Database,
    script: &str,
    connections: usize,
    length: Length,
    rate: Option<usize>,
) -> Result<f64> {
    let length = match length {
        Length::Seconds(seconds) => vec![format!("--time={seconds}")],
        Length::Transactions(all) => vec![format!("--transactions={}", all / connections)],
        Length::Requests(all) => vec!["--connect".to_owned(), format!("--transactions={}", all / connections)],
    };
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("sql/{script}.sql"));
    let output = Command::new("pgbench")
        .args(["--no-vacuum", "--protocol=prepared", "--jobs=2", &format!("--client={connections}")])
        .args(length)
        .arg("--file")
        .arg(path)
        .args(rate.map(|rate| format!("--rate={rate}")))
        .args(["--host=127.0.0.1", "--username=postgres", "--port", &database.port().to_string(), &database.name])
        .env("PATH", format!("{}:/usr/lib/postgresql/15/bin:/usr/bin", std::env::var("PATH").unwrap_or_default()))
        .stderr(Stdio::piped())
        .output()
        .await
        .context("pgbench")?;
    let said = String::from_utf8_lossy(&output.stdout);
    ensure!(output.status.success(), "pgbench failed: {}", String::from_utf8_lossy(&output.stderr));
    let line = said.lines().find_map(|line| line.strip_prefix("tps = ")).context("pgbench tells no tps")?;
    Ok(line.split(' ').next().unwrap_or_default().parse()?)
}
