//! The floors: what a program that does only what must be done makes of the same work, beside the same references.

use std::time::Instant;

use anyhow::{Result, ensure};

use crate::Ground;
use crate::cost::Meter;
use crate::deliver::{Backlog, Load, Outage, PROJECTS, Program, by_reqwest, commit_to_request, first_body};
use crate::endpoint::Endpoint;
use crate::report::{Report, percentile};
use crate::scale::{Breadth, DELIVERIES, by_psql, import_tasks};
use crate::stripped::Stripped;

const PAIRS: usize = 3;
const CHANGES: usize = 40_000;

/// All of them.
pub async fn measure(ground: &Ground, report: &mut Report) -> Result<()> {
    throughput(ground, report).await?;
    breadth(ground, report).await?;
    latency(ground, report).await?;
    import(ground, report, 100_000, 1_000).await?;
    import(ground, report, 10_000, 50_000).await
}

async fn throughput(ground: &Ground, report: &mut Report) -> Result<()> {
    let (mut caught_up, mut drained) = (Vec::new(), Vec::new());
    for _ in 0..PAIRS {
        let Outage { database, endpoint, lshookd: _ } = Outage::of(ground, CHANGES).await?;
        let started = Instant::now();
        let stripped = Stripped::start(&database, &endpoint.base(), PROJECTS).await?;
        stripped.catch_up().await?;
        drop(stripped.end().await?);
        let floor = CHANGES as f64 / started.elapsed().as_secs_f64();
        ensure!(endpoint.count().await? == CHANGES as u64, "not all of it arrived");
        let body = first_body(&database.connect().await?).await?;
        caught_up.push((floor, by_reqwest(&endpoint, body, CHANGES as u64, PROJECTS).await?));

        let Backlog { database, endpoint, daemon, body, total, .. } = Backlog::of(ground, 32, 1_000).await?;
        daemon.stop().await?;
        let started = Instant::now();
        let stripped = Stripped::start(&database, &endpoint.base(), 32).await?;
        stripped.drain().await?;
        drop(stripped.end().await?);
        let floor = total as f64 / started.elapsed().as_secs_f64();
        ensure!(endpoint.count().await? == total, "not all of it arrived");
        drained.push((floor, by_reqwest(&endpoint, body, total, 32).await?));
    }
    report.pairs("floor: catch-up of 40 thousand changes in 32 projects", "/s", &caught_up, "");
    report.pairs("floor: drain of 32 thousand, 32 lanes", "/s", &drained, "");
    Ok(())
}

async fn latency(ground: &Ground, report: &mut Report) -> Result<()> {
    for load in [Load::Idle, Load::Half] {
        let mut rounds = Vec::new();
        for _ in 0..PAIRS {
            let stripped = commit_to_request(ground, Program::Stripped, load).await?;
            let bare = commit_to_request(ground, Program::Bare, load).await?;
            rounds.push((percentile(&stripped, 50), percentile(&bare, 50)));
        }
        report.pairs(&format!("floor: commit to request, {}, 50 %", load.name()), "ms", &rounds, "");
    }
    Ok(())
}

/// PostgreSQL puts the whole event together, stores it, and tells it: no row leaves it twice.
async fn import(ground: &Ground, report: &mut Report, tasks: usize, bytes: usize) -> Result<()> {
    let (database, endpoint) = (ground.database("import").await?, Endpoint::start().await?);
    endpoint.subscribe(&database, 1).await?;
    ground.lshookd(&database).await?;
    let mut pairs = Vec::new();
    for _ in 0..PAIRS {
        let last = import_tasks(&database, tasks, bytes).await?;
        let started = Instant::now();
        let stripped = Stripped::start(&database, &endpoint.base(), 1).await?;
        stripped.import(bytes).await?;
        drop(stripped.end().await?);
        let floor = started.elapsed().as_secs_f64();
        pairs.push((floor, by_psql(&database, last).await?));
    }
    report.pairs(&format!("floor: import of {tasks} tasks of {bytes} bytes, against psql"), "s", &pairs, "");
    Ok(())
}

async fn breadth(ground: &Ground, report: &mut Report) -> Result<()> {
    let (mut by_webhooks, mut by_projects) = (Vec::new(), Vec::new());
    for _ in 0..PAIRS {
        let few = cost(Breadth::of_webhooks(ground, 1).await?, ground, 1).await?;
        by_webhooks.push((cost(Breadth::of_webhooks(ground, DELIVERIES).await?, ground, DELIVERIES).await?, few));
        let few = cost(Breadth::of_projects(ground, 10).await?, ground, 10).await?;
        by_projects.push((cost(Breadth::of_projects(ground, DELIVERIES).await?, ground, DELIVERIES).await?, few));
    }
    report.pairs(&format!("floor: processor time of a delivery, {DELIVERIES} webhooks"), "µs", &by_webhooks, "");
    report.pairs(&format!("floor: processor time of a delivery, {DELIVERIES} projects"), "µs", &by_projects, "");
    Ok(())
}

/// Microseconds of each delivery, where this process does nothing else.
async fn cost(breadth: Breadth, ground: &Ground, webhooks: usize) -> Result<f64> {
    let Breadth { database, endpoint, .. } = &breadth;
    ground.lshookd(database).await?;
    breadth.update().await?;
    let stripped = Stripped::start(database, &endpoint.base(), webhooks).await?;
    let meter = Meter::of([&[std::process::id()], stripped.backends.as_slice()].concat())?;
    stripped.catch_up().await?;
    let sessions = stripped.end().await?;
    let each = meter.seconds()? * 1e6 / DELIVERIES as f64;
    drop(sessions);
    ensure!(endpoint.count().await? == DELIVERIES as u64, "not all of it arrived");
    Ok(each)
}
