//! What capture costs the writers: the same load on a database with lshookd at work, and without.

use std::path::Path;
use std::process::Stdio;

use anyhow::{Context, Result, ensure};
use lshookd_testbed::postgres::Database;
use tokio::process::Command;

use crate::Ground;
use crate::endpoint::Endpoint;
use crate::report::Report;

/// Seconds of one run, and how many pairs of runs.
const SECONDS: &str = "3";
const PAIRS: usize = 5;

/// Transactions per second with triggers and without, at one and at sixteen connections.
pub async fn measure(ground: &Ground, report: &mut Report) -> Result<()> {
    let endpoint = Endpoint::start().await?;
    for (script, what) in [
        ("annotate", "capture: annotations"),
        ("import", "capture: imports of 1,000"),
        ("delete", "capture: deletions of 200"),
    ] {
        let (ours, bare) = (ground.database("ours").await?, ground.database("bare").await?);
        if script == "delete" {
            for database in [&ours, &bare] {
                database.connect().await?.batch_execute(include_str!("../sql/victims.sql")).await?;
            }
        }
        endpoint.subscribe(&ours, 1).await?;
        let daemon = ground.lshookd(&ours).await?.run().await?;
        for connections in ["1", "16"] {
            let mut pairs = Vec::new();
            run(&ours, script, connections, "2").await?;
            run(&bare, script, connections, "2").await?;
            for round in 0..PAIRS {
                // Which one goes first takes turns.
                let pair = match round % 2 {
                    0 => {
                        let with = run(&ours, script, connections, SECONDS).await?;
                        (with, run(&bare, script, connections, SECONDS).await?)
                    }
                    _ => {
                        let without = run(&bare, script, connections, SECONDS).await?;
                        (run(&ours, script, connections, SECONDS).await?, without)
                    }
                };
                pairs.push(pair);
            }
            report.pairs(&format!("{what}, {connections} connections"), "/s", &pairs, "≥ 0.95");
        }
        if script == "delete" {
            let left = "select last_value * 200 < (select max(id) from task) from victim";
            let left: bool = bare.connect().await?.query_one(left, &[]).await?.get(0);
            ensure!(left, "there were not enough tasks to delete");
        }
        daemon.stop().await?;
    }
    Ok(())
}

/// One run of pgbench; transactions per second.
async fn run(database: &Database, script: &str, connections: &str, seconds: &str) -> Result<f64> {
    run_at(database, script, connections, seconds, None).await
}

/// The same at a given rate.
pub async fn run_at(
    database: &Database,
    script: &str,
    connections: &str,
    seconds: &str,
    rate: Option<&str>,
) -> Result<f64> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("sql/{script}.sql"));
    let output = Command::new("pgbench")
        .args(["--no-vacuum", "--protocol=prepared", "--jobs=2", "--client", connections, "--time", seconds, "--file"])
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
