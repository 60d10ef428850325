//! What more of something costs: a longer backlog, more webhooks, projects or daemons, larger imports.

use std::time::Instant;

use anyhow::Result;
use lshookd_testbed::postgres::Database;
use tokio::process::Command;

use crate::Ground;
use crate::capture;
use crate::cost::Meter;
use crate::endpoint::Endpoint;
use crate::report::Report;

/// Deliveries of a backlog that are waited for: a long one is not drained to its end.
const DRAINED: u64 = 40_000;
const LANES: usize = 32;

/// How fast a backlog of so many deliveries drains by so many daemons; deliveries per second and the largest
/// daemon's memory.
async fn drain(ground: &Ground, deliveries: u64, daemons: usize) -> Result<(f64, u64)> {
    let (database, endpoint) = (ground.database("backlog").await?, Endpoint::start().await?);
    endpoint.subscribe(&database, LANES).await?;
    let lshookd = ground.lshookd(&database).await?;
    let sql = database.connect().await?;
    let events = deliveries / LANES as u64;
    sql.batch_execute(&format!("set bench.events = {events}")).await?;
    sql.batch_execute(include_str!("../sql/queue.sql")).await?;
    sql.batch_execute("checkpoint").await?;
    let mut running = vec![lshookd.run().await?];
    for _ in 1..daemons {
        running.push(lshookd.start().await?);
    }
    // From the first deliveries on: how long a daemon takes to start is not the question.
    let begun = endpoint.reaches(1).await?;
    let started = Instant::now();
    let wanted = deliveries.min(DRAINED) / LANES as u64 * LANES as u64;
    let ended = endpoint.reaches(wanted).await?;
    let rate = (ended - begun) as f64 / started.elapsed().as_secs_f64();
    let mut memory = 0;
    for daemon in running {
        memory = memory.max(daemon.peak_kilobytes()?);
        daemon.stop().await?;
    }
    Ok((rate, memory / 1000))
}

/// Backlogs of ten thousand, a hundred thousand and two million.
pub async fn backlogs(ground: &Ground, report: &mut Report) -> Result<()> {
    let (reference, _) = drain(ground, 100_000, 1).await?;
    for (deliveries, name) in [(10_000, "10 thousand"), (100_000, "100 thousand"), (2_000_000, "2 million")] {
        let (rate, memory) = drain(ground, deliveries, 1).await?;
        report.pairs(&format!("drain of a backlog of {name}"), "/s", &[(rate, reference)], "0.9 to 1.1");
        report.alone(&format!("memory at a backlog of {name}"), format!("{memory} MB"), "≤ 64 MB");
    }
    Ok(())
}

/// Several daemons on one database.
pub async fn daemons(ground: &Ground, report: &mut Report) -> Result<()> {
    let (one, _) = drain(ground, 100_000, 1).await?;
    for daemons in [2, 4] {
        let (several, _) = drain(ground, 100_000, daemons).await?;
        report.pairs(&format!("drain by {daemons} daemons against one"), "/s", &[(several, one)], "> 1");
    }
    Ok(())
}

/// Processor time of a delivery, with more and more webhooks, and more and more projects.
pub async fn breadth(ground: &Ground, report: &mut Report) -> Result<()> {
    const DELIVERIES: usize = 10_000;
    let mut reference = None;
    for webhooks in [1, 100, 10_000] {
        let (database, endpoint) = (ground.database("webhooks").await?, Endpoint::start().await?);
        endpoint.subscribe(&database, webhooks).await?;
        let sql = database.connect().await?;
        let events = i32::try_from(DELIVERIES / webhooks)?;
        let made = r#"select fixture.rows('task_completion', '{"project_id": 1, "task_id": 1}', $1::integer)"#;
        sql.execute(made, &[&events]).await?;
        let daemon = ground.lshookd(&database).await?.run().await?;
        let meter = Meter::start(&daemon, &sql).await?;
        sql.execute("update task_completion set updated_at = now()", &[]).await?;
        finished(&endpoint, &database, DELIVERIES as u64).await?;
        let each = meter.seconds()? * 1e6 / DELIVERIES as f64;
        let reference = *reference.get_or_insert(each);
        report.pairs(&format!("processor time of a delivery, {webhooks} webhooks"), "µs", &[(each, reference)], "flat");
        daemon.stop().await?;
    }
    let mut reference = None;
    for projects in [10, 10_000] {
        let (database, endpoint) = (ground.database("projects").await?, Endpoint::start().await?);
        let sql = database.connect().await?;
        sql.batch_execute(&format!("set bench.projects = {projects}; set bench.url = '{}'", endpoint.url(0))).await?;
        sql.batch_execute(include_str!("../sql/projects.sql")).await?;
        sql.batch_execute("analyze").await?;
        let daemon = ground.lshookd(&database).await?.run().await?;
        let meter = Meter::start(&daemon, &sql).await?;
        for _ in 0..DELIVERIES / projects {
            sql.execute("update task_completion set updated_at = clock_timestamp()", &[]).await?;
        }
        finished(&endpoint, &database, DELIVERIES as u64).await?;
        let each = meter.seconds()? * 1e6 / DELIVERIES as f64;
        let reference = *reference.get_or_insert(each);
        report.pairs(&format!("processor time of a delivery, {projects} projects"), "µs", &[(each, reference)], "flat");
        daemon.stop().await?;
    }
    Ok(())
}

/// An import of so many tasks with so many bytes each: until it is delivered, beside psql reading its rows.
pub async fn import(ground: &Ground, report: &mut Report, tasks: usize, bytes: usize) -> Result<()> {
    let (database, endpoint) = (ground.database("import").await?, Endpoint::start().await?);
    endpoint.subscribe(&database, 1).await?;
    let sql = database.connect().await?;
    let daemon = ground.lshookd(&database).await?.run().await?;
    // Text that does not compress to nothing.
    let text = format!(
        r#"select fixture.rows('task', jsonb_build_object('project_id', 1, 'data', jsonb_build_object('text',
            (select string_agg(md5(number::text), '') from generate_series(1, {bytes} / 32) as number))), {tasks})"#
    );
    sql.execute(&text, &[]).await?;
    let started = Instant::now();
    finished(&endpoint, &database, 1).await?;
    let ours = started.elapsed().as_secs_f64();
    let memory = daemon.peak_kilobytes()? / 1000;
    daemon.stop().await?;
    let started = Instant::now();
    let mut psql = Command::new("psql");
    psql.args(["--host=127.0.0.1", "--username=postgres", "--tuples-only", "--no-align", "--output=/dev/null"]).args([
        "--port",
        &database.port().to_string(),
        "--command=select * from task where id > 1000",
        &database.name,
    ]);
    anyhow::ensure!(psql.status().await?.success(), "psql failed");
    let reference = started.elapsed().as_secs_f64();
    let what = format!("import of {tasks} tasks of {bytes} bytes");
    report.pairs(&format!("{what}, against psql"), "s", &[(ours, reference)], "≤ 3");
    report.alone(&format!("{what}: memory"), format!("{memory} MB"), "≤ 128 MB");
    Ok(())
}

/// Waits until so many requests have come at least, nothing waits any more, and all is recorded.
async fn finished(endpoint: &Endpoint, database: &Database, requests: u64) -> Result<()> {
    endpoint.reaches(requests).await?;
    capture::settled(database).await
}
