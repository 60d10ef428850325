//! What commands take when years have passed: ten thousand webhooks, five million deliveries.

use std::time::Instant;

use anyhow::Result;

use crate::Ground;
use crate::endpoint::Endpoint;
use crate::report::Report;

const WEBHOOKS: usize = 10_000;
const EACH: usize = 500;

/// Runs of each command.
const RUNS: usize = 5;

/// Each command with its start and its connection.
pub async fn measure(ground: &Ground, report: &mut Report) -> Result<()> {
    let (database, endpoint) = (ground.database("years").await?, Endpoint::start().await?);
    endpoint.subscribe(&database, WEBHOOKS).await?;
    let lshookd = ground.lshookd(&database).await?.with("LSHOOKD_RETENTION", "2000d");
    let sql = database.connect().await?;
    sql.batch_execute(&format!("set lshookd_test.events = {EACH}")).await?;
    sql.batch_execute(include_str!("../../tests/sql/years.sql")).await?;
    sql.batch_execute("vacuum analyze").await?;
    lshookd.succeed(&["webhook", "pause", "--all"]).await?;
    let daemon = lshookd.run().await?;
    for command in [
        &["status"][..],
        &["check"],
        &["webhook", "list"],
        &["delivery", "list"],
        &["delivery", "list", "--state", "dead"],
        &["delivery", "list", "--webhook", "7"],
        &["event", "list"],
    ] {
        let mut milliseconds = Vec::new();
        for _ in 0..RUNS {
            let started = Instant::now();
            // That something is not well is an exit code of `check`, and no failure of this.
            lshookd.command(command).await?;
            milliseconds.push(started.elapsed().as_secs_f64() * 1000.0);
        }
        milliseconds.sort_by(f64::total_cmp);
        let what = format!("{WEBHOOKS} webhooks, {} deliveries: {}", WEBHOOKS * EACH, command.join(" "));
        report.alone(&what, format!("{:.0} ms", milliseconds[RUNS / 2]), "≤ 100 ms");
    }
    daemon.stop().await?;
    Ok(())
}
