//! What more of something costs: a longer backlog, more webhooks, projects or daemons, larger imports.

use std::time::Instant;

use anyhow::Result;
use lshookd_testbed::postgres::Database;
use tokio::process::Command;

use crate::Ground;
use crate::capture;
use crate::control_group::ControlGroup;
use crate::cost::{self, Meter};
use crate::endpoint::Endpoint;
use crate::report::Report;

/// Deliveries of a backlog that are waited for: a long one is not drained to its end.
const DRAINED: u64 = 40_000;
const LANES: usize = 32;

/// How often each is measured.
const ROUNDS: usize = 2;

/// How a backlog drains, portion by portion.
struct Drained {
    /// Deliveries per second of each portion.
    rates: Vec<f64>,
    /// Of the largest daemon, in megabytes.
    memory: u64,
    /// How much of the machine did nothing in the meantime, from 0 to 1.
    idle: f64,
}

/// A backlog of so many deliveries, by so many daemons.
async fn drain(ground: &Ground, deliveries: u64, daemons: usize) -> Result<Drained> {
    drain_by(ground, deliveries, daemons, None).await
}

/// The same; each daemon may have no more of a processor than this, and posts over TLS then.
async fn drain_by(ground: &Ground, deliveries: u64, daemons: usize, each: Option<f64>) -> Result<Drained> {
    let (database, endpoint) = (ground.database("backlog").await?, Endpoint::start().await?);
    endpoint.subscribe(&database, LANES).await?;
    let mut lshookd = ground.lshookd(&database).await?;
    if each.is_some() {
        endpoint.secure(&database).await?;
        lshookd = lshookd.with("LSHOOKD_CA_FILE", &endpoint.authority());
    }
    let sql = database.connect().await?;
    let events = deliveries / LANES as u64;
    sql.batch_execute(&format!("set bench.events = {events}")).await?;
    sql.batch_execute(include_str!("../sql/queue.sql")).await?;
    sql.batch_execute("checkpoint").await?;
    let most = if each.is_some() { DRAINED / 4 } else { DRAINED };
    let portion = deliveries.min(most) / LANES as u64 * LANES as u64;
    let (mut rates, mut memory) = (Vec::new(), 0);
    let mut times = [0.0, 0.0];
    while rates.len() < ROUNDS && endpoint.count().await? + portion <= deliveries {
        let before = endpoint.count().await?;
        let mut running = vec![lshookd.run().await?];
        for _ in 1..daemons {
            running.push(lshookd.start().await?);
        }
        let groups: Vec<ControlGroup> = match each {
            Some(each) => running.iter().map(|daemon| ControlGroup::hold(daemon.pid(), each)).collect::<Result<_>>()?,
            None => Vec::new(),
        };
        // From the first deliveries on: how long a daemon takes to start is not the question.
        let begun = endpoint.reaches(before + 1).await?;
        let (started, [idle, all]) = (Instant::now(), cost::machine_time()?);
        let ended = endpoint.reaches(before + portion).await?;
        rates.push((ended - begun) as f64 / started.elapsed().as_secs_f64());
        let [idle_since, all_since] = cost::machine_time()?;
        times = [times[0] + idle_since - idle, times[1] + all_since - all];
        for daemon in running {
            memory = memory.max(daemon.peak_kilobytes()?);
            daemon.stop().await?;
        }
        drop(groups);
    }
    Ok(Drained { rates, memory: memory / 1000, idle: times[0] / times[1] })
}

/// Rates beside those of the reference.
fn beside(rates: &[f64], reference: &[f64]) -> Vec<(f64, f64)> {
    rates.iter().copied().zip(reference.iter().copied()).collect()
}

/// Backlogs of ten thousand, a hundred thousand and two million.
pub async fn backlogs(ground: &Ground, report: &mut Report) -> Result<()> {
    let Drained { rates: reference, .. } = drain(ground, 100_000, 1).await?;
    for (deliveries, name) in [(10_000, "10 thousand"), (100_000, "100 thousand"), (2_000_000, "2 million")] {
        let Drained { rates, memory, .. } = drain(ground, deliveries, 1).await?;
        let pairs = beside(&rates, &reference);
        report.pairs(&format!("drain of a backlog of {name}"), "/s", &pairs, "0.9 to 1.1");
        report.alone(&format!("memory at a backlog of {name}"), format!("{memory} MB"), "≤ 64 MB");
    }
    Ok(())
}

/// Several daemons on one database, which share all of the machine with it.
pub async fn daemons_unlimited(ground: &Ground, report: &mut Report) -> Result<()> {
    let one = drain(ground, 100_000, 1).await?;
    for daemons in [2, 4] {
        let several = drain(ground, 100_000, daemons).await?;
        let pairs = beside(&several.rates, &one.rates);
        report.pairs(&format!("drain by {daemons} daemons against one"), "/s", &pairs, "> 1");
    }
    Ok(())
}

/// Several daemons on one database, each of which may have this part of a processor: the daemon is the limit, and neither
/// PostgreSQL nor the endpoint.
pub async fn daemons(ground: &Ground, report: &mut Report, each: f64, what: &str) -> Result<()> {
    let one = drain_by(ground, 100_000, 1, Some(each)).await?;
    let four = drain_by(ground, 100_000, 4, Some(each)).await?;
    let name = format!("drain over TLS by 4 daemons with {what} each against one");
    report.pairs(&name, "/s", &beside(&four.rates, &one.rates), "≥ 2.5");
    let idle = format!("{:.0} %, {:.0} %", one.idle * 100.0, four.idle * 100.0);
    report.alone("of the machine, what did nothing in the meantime: one, four", idle, "");
    Ok(())
}

/// Deliveries whose processor time is measured.
pub const DELIVERIES: usize = 10_000;

/// Processor time of a delivery, with more and more webhooks, and more and more projects.
pub async fn breadth(ground: &Ground, report: &mut Report) -> Result<()> {
    let mut by_webhooks = Vec::new();
    let mut by_projects = Vec::new();
    for _ in 0..ROUNDS {
        let few = Breadth::of_webhooks(ground, 1).await?.cost(ground).await?;
        by_webhooks.push([
            (few, few),
            (Breadth::of_webhooks(ground, 100).await?.cost(ground).await?, few),
            (Breadth::of_webhooks(ground, 10_000).await?.cost(ground).await?, few),
        ]);
        let few = Breadth::of_projects(ground, 10).await?.cost(ground).await?;
        by_projects.push([(few, few), (Breadth::of_projects(ground, 10_000).await?.cost(ground).await?, few)]);
    }
    for (place, webhooks) in [1, 100, 10_000].into_iter().enumerate() {
        let pairs: Vec<(f64, f64)> = by_webhooks.iter().map(|round| round[place]).collect();
        report.pairs(&format!("processor time of a delivery, {webhooks} webhooks"), "µs", &pairs, "≤ 1.2");
    }
    for (place, projects) in [10, 10_000].into_iter().enumerate() {
        let pairs: Vec<(f64, f64)> = by_projects.iter().map(|round| round[place]).collect();
        report.pairs(&format!("processor time of a delivery, {projects} projects"), "µs", &pairs, "≤ 1.2");
    }
    Ok(())
}

/// What ten thousand deliveries are made of.
pub struct Breadth {
    /// Where.
    pub database: Database,
    /// Who hears of them.
    pub endpoint: Endpoint,
    /// So many updates of all annotations make them.
    pub updates: usize,
}

impl Breadth {
    /// To so many webhooks of a project.
    pub async fn of_webhooks(ground: &Ground, webhooks: usize) -> Result<Breadth> {
        let (database, endpoint) = (ground.database("webhooks").await?, Endpoint::start().await?);
        endpoint.subscribe(&database, webhooks).await?;
        let sql = database.connect().await?;
        let events = i32::try_from(DELIVERIES / webhooks)?;
        let made = r#"select fixture.rows('task_completion', '{"project_id": 1, "task_id": 1}', $1::integer)"#;
        sql.execute(made, &[&events]).await?;
        Ok(Breadth { database, endpoint, updates: 1 })
    }

    /// To a webhook of each of so many projects.
    pub async fn of_projects(ground: &Ground, projects: usize) -> Result<Breadth> {
        let (database, endpoint) = (ground.database("projects").await?, Endpoint::start().await?);
        let sql = database.connect().await?;
        sql.batch_execute(&format!("set bench.projects = {projects}; set bench.url = '{}'", endpoint.url(0))).await?;
        sql.batch_execute(include_str!("../sql/projects.sql")).await?;
        sql.batch_execute("analyze").await?;
        Ok(Breadth { database, endpoint, updates: DELIVERIES / projects })
    }

    /// Makes them.
    pub async fn update(&self) -> Result<()> {
        let sql = self.database.connect().await?;
        for _ in 0..self.updates {
            sql.execute("update task_completion set updated_at = clock_timestamp()", &[]).await?;
        }
        Ok(())
    }

    /// Microseconds of each.
    async fn cost(self, ground: &Ground) -> Result<f64> {
        let Breadth { database, endpoint, .. } = &self;
        let sql = database.connect().await?;
        let daemon = ground.lshookd(database).await?.run().await?;
        let meter = Meter::start(&daemon, &sql).await?;
        self.update().await?;
        finished(endpoint, database, DELIVERIES as u64).await?;
        let each = meter.seconds()? * 1e6 / DELIVERIES as f64;
        daemon.stop().await?;
        Ok(each)
    }
}

/// An import of so many tasks with so many bytes each: until it is delivered, beside psql reading its rows.
pub async fn import(ground: &Ground, report: &mut Report, tasks: usize, bytes: usize) -> Result<()> {
    let (database, endpoint) = (ground.database("import").await?, Endpoint::start().await?);
    endpoint.subscribe(&database, 1).await?;
    let daemon = ground.lshookd(&database).await?.run().await?;
    let mut pairs = Vec::new();
    for _ in 0..ROUNDS {
        let before = endpoint.count().await?;
        let last = import_tasks(&database, tasks, bytes).await?;
        let started = Instant::now();
        finished(&endpoint, &database, before + 1).await?;
        let ours = started.elapsed().as_secs_f64();
        pairs.push((ours, by_psql(&database, last).await?));
    }
    let memory = daemon.peak_kilobytes()? / 1000;
    daemon.stop().await?;
    let what = format!("import of {tasks} tasks of {bytes} bytes");
    report.pairs(&format!("{what}, against psql"), "s", &pairs, "≤ 3");
    report.alone(&format!("{what}: memory"), format!("{memory} MB"), "≤ 128 MB");
    Ok(())
}

/// Imports so many tasks; which was the last before.
pub async fn import_tasks(database: &Database, tasks: usize, bytes: usize) -> Result<i64> {
    let sql = database.connect().await?;
    let last: i64 = sql.query_one("select max(id)::bigint from task", &[]).await?.get(0);
    // Text that does not compress to nothing.
    let text = format!(
        r#"select fixture.rows('task', jsonb_build_object('project_id', 1, 'data', jsonb_build_object('text',
            (select string_agg(md5(number::text), '') from generate_series(1, {bytes} / 32) as number))), {tasks})"#
    );
    sql.execute(&text, &[]).await?;
    Ok(last)
}

/// Seconds in which psql reads the tasks behind one.
pub async fn by_psql(database: &Database, last: i64) -> Result<f64> {
    let started = Instant::now();
    let mut psql = Command::new("psql");
    psql.args(["--host=127.0.0.1", "--username=postgres", "--tuples-only", "--no-align", "--output=/dev/null"]);
    psql.args(["--port", &database.port().to_string(), "--dbname", &database.name]);
    psql.arg(format!("--command=select * from task where id > {last}"));
    anyhow::ensure!(psql.status().await?.success(), "psql failed");
    Ok(started.elapsed().as_secs_f64())
}

/// Waits until so many requests have come at least, nothing waits any more, and all is recorded.
async fn finished(endpoint: &Endpoint, database: &Database, requests: u64) -> Result<()> {
    endpoint.reaches(requests).await?;
    capture::settled(database).await
}
