//! Load that goes on: from writers to receivers, in projects small and large.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use futures_util::future::try_join_all;
use lshookd_testbed::postgres::Database;
use tokio_postgres::Client;

use crate::Ground;
use crate::capture::{self, Length};
use crate::deliver::Outage;
use crate::endpoint::Endpoint;
use crate::report::Report;

const SECONDS: u64 = 15;
/// Writers, each of which updates so many annotations in a statement, as often as to make 5,000 deliveries
/// a second of all of them.
const WRITERS: i64 = 10;
const DELIVERIES: usize = 5_000;

/// Writers to receivers, with as many webhooks: deliveries per second, and how the lag grows.
pub async fn sustained(ground: &Ground, report: &mut Report, webhooks: usize) -> Result<()> {
    let (database, endpoint) = (ground.database("sustained").await?, Endpoint::start().await?);
    endpoint.subscribe(&database, webhooks).await?;
    let sql = database.connect().await?;
    let events = i64::try_from(DELIVERIES / webhooks)?;
    let each = (events / WRITERS / 10).max(1);
    sql.execute(
        r#"select fixture.rows('task_completion', '{"project_id": 1, "task_id": 1}', $1::integer)"#,
        &[&i32::try_from(each * WRITERS)?],
    )
    .await?;
    let daemon = ground.lshookd(&database).await?.run().await?;
    let until = Instant::now() + Duration::from_secs(SECONDS);
    let writers = try_join_all((0..WRITERS).map(|writer| write(&database, writer * each, each, until)));
    let ((), lags) = tokio::try_join!(async { writers.await.map(drop) }, lags(&sql, until))?;
    let delivered = endpoint.count().await? as f64 / SECONDS as f64;
    report.alone(
        &format!("sustained, {webhooks} webhooks: arrived"),
        format!("{delivered:.0} /s"),
        &format!("{DELIVERIES} /s"),
    );
    report.alone(&format!("sustained, {webhooks} webhooks: lag in the middle, at last"), in_thirds(&lags), "no growth");
    daemon.stop().await?;
    Ok(())
}

async fn write(database: &Database, after: i64, each: i64, until: Instant) -> Result<()> {
    let client = database.connect().await?;
    let update = "update task_completion set updated_at = clock_timestamp() where id > $1::bigint and id <= $2::bigint";
    let update = client.prepare(update).await?;
    let mut next = Instant::now();
    while Instant::now() < until {
        client.execute(&update, &[&after, &(after + each)]).await?;
        next += Duration::from_millis(100);
        tokio::time::sleep(next.saturating_duration_since(Instant::now())).await;
    }
    Ok(())
}

/// For how long the oldest event waits, twice a second.
async fn lags(sql: &Client, until: Instant) -> Result<Vec<f64>> {
    let mut lags = Vec::new();
    while Instant::now() < until {
        tokio::time::sleep(Duration::from_millis(500)).await;
        let row =
            sql.query_one("select greatest(oldest_change_seconds, oldest_delivery_seconds) from lshookd.lag", &[]);
        lags.push(row.await?.get(0));
    }
    Ok(lags)
}

/// Means of the middle third and of the last; the first warms up.
fn in_thirds(lags: &[f64]) -> String {
    let mean = |part: &[f64]| part.iter().sum::<f64>() / part.len().max(1) as f64;
    let third = lags.len() / 3;
    format!("{:.2} s, {:.2} s", mean(&lags[third..2 * third]), mean(&lags[2 * third..]))
}

/// Minutes for which somebody else's transaction holds back vacuum, and changes a second meanwhile.
const HELD_MINUTES: usize = 10;
const HELD_RATE: usize = 1_000;

/// What is delivered while a transaction of somebody else's keeps PostgreSQL from tidying up: in its first minute, and in
/// its last.
pub async fn held(ground: &Ground, report: &mut Report) -> Result<()> {
    let minutes =
        std::env::var("LSHOOKD_BENCH_MINUTES").ok().and_then(|text| text.parse().ok()).unwrap_or(HELD_MINUTES);
    let outage = Outage::of(ground, 3_200).await?;
    let (database, endpoint) = (&outage.database, &outage.endpoint);
    let (sql, foreign) = (database.connect().await?, database.connect().await?);
    let daemon = outage.lshookd.run().await?;
    capture::settled(database).await?;
    foreign.batch_execute("begin isolation level repeatable read; select count(*) from project").await?;
    let minute = Duration::from_secs(60);
    let until = Instant::now() + minute * u32::try_from(minutes)?;
    let writing = capture::run(database, "catch_up", 8, Length::Seconds(minutes * 60), Some(HELD_RATE));
    let counting = async {
        let mut rates = Vec::new();
        for _ in 0..minutes {
            let before = endpoint.count().await?;
            tokio::time::sleep(minute).await;
            rates.push((endpoint.count().await? - before) as f64 / minute.as_secs_f64());
        }
        anyhow::Ok(rates)
    };
    let (_, rates, lags) = tokio::try_join!(writing, counting, lags(&sql, until))?;
    foreign.batch_execute("rollback").await?;
    daemon.stop().await?;
    let pair = rates.last().copied().zip(rates.first().copied()).context("it lasts for less than a minute")?;
    report.pairs(
        &format!("delivered in minute {minutes} of a foreign transaction, in its first"),
        "/s",
        &[pair],
        "≥ 0.7",
    );
    report.alone("their lag in the middle, at last", in_thirds(&lags), "flat");
    Ok(())
}

/// So many connections that each rests longer than lshookd waits for it to rest: what is measured is the planner, and
/// not whether it sees them rest.
const CONNECTIONS: usize = 96;

/// Three hundred annotations a second in a project of a million tasks and as many annotations, and in one of a
/// thousand: what of them was written, and how the lag grows.
pub async fn large_project(ground: &Ground, report: &mut Report) -> Result<()> {
    let mut rates = Vec::new();
    let mut lag = Vec::new();
    for large in [true, false] {
        let (database, endpoint) = (ground.database("large").await?, Endpoint::start().await?);
        let sql = database.connect().await?;
        if large {
            sql.batch_execute(include_str!("../sql/million.sql")).await?;
            sql.batch_execute("vacuum analyze task, task_completion").await?;
        }
        endpoint.subscribe(&database, 1).await?;
        let lshookd = ground.lshookd(&database).await?;
        // As it is learned in the first minute: else most of this time is waited for connections that might close.
        sql.batch_execute("insert into lshookd.client values ('postgres', '127.0.0.1', 'pgbench', 0, 4)").await?;
        let daemon = lshookd.run().await?;
        let until = Instant::now() + Duration::from_secs(SECONDS);
        let rate = capture::run(&database, "annotate", CONNECTIONS, Length::Seconds(SECONDS as usize), Some(300));
        let (rate, lags) = tokio::try_join!(rate, lags(&sql, until))?;
        rates.push(rate);
        lag.push(in_thirds(&lags));
        daemon.stop().await?;
    }
    report.pairs("writes at 300/s: a million tasks, a thousand", "/s", &[(rates[0], rates[1])], "≥ 0.95");
    report.alone("their lag in the middle, at last: a million", lag[0].clone(), "flat");
    report.alone("their lag in the middle, at last: a thousand", lag[1].clone(), "flat");
    Ok(())
}
