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
    // Of tasks of their own, as people have: whoever changes the same one is waited for.
    sql.batch_execute("update task_completion set task_id = id").await?;
    let lshookd = ground.lshookd(&database).await?;
    is_known(&sql, None).await?;
    let daemon = lshookd.run().await?;
    let until = Instant::now() + Duration::from_secs(SECONDS);
    let writers = try_join_all((0..WRITERS).map(|writer| write(&database, writer * each, each, until)));
    let ((), lags) = tokio::try_join!(async { writers.await.map(drop) }, lags(&sql, until))?;
    let delivered = endpoint.count().await? as f64 / SECONDS as f64;
    report.alone(
        &format!("sustained, {webhooks} webhooks: arrived"),
        format!("{delivered:.0} /s"),
        &format!("{DELIVERIES} /s"),
    );
    report.alone(
        &format!("sustained, {webhooks} webhooks: lag in the middle, at last"),
        of_thirds(&lags, "s"),
        "no growth",
    );
    daemon.stop().await?;
    Ok(())
}

/// That connections of this client live on, or of that application's, is known, as it is learned in the first minute: else
/// most of a short run is waited for connections that might close.
async fn is_known(sql: &Client, application: Option<&str>) -> Result<()> {
    let known = "insert into lshookd.client (role, address, application, lived_on)
                 select current_user, host(inet_client_addr()), coalesce($1, current_setting('application_name')), 4";
    sql.execute(known, &[&application]).await?;
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

/// Means of the middle third and of the last, in this unit; the first warms up.
fn of_thirds(values: &[f64], unit: &str) -> String {
    let mean = |part: &[f64]| part.iter().sum::<f64>() / part.len().max(1) as f64;
    let third = values.len() / 3;
    let figure = |part: &[f64]| match mean(part) {
        small if small < 10.0 => format!("{small:.2} {unit}"),
        large => format!("{large:.0} {unit}"),
    };
    format!("{}, {}", figure(&values[third..2 * third]).trim_end(), figure(&values[2 * third..]).trim_end())
}

/// Minutes for which somebody else's transaction holds back vacuum, minutes of a soak, and changes a second meanwhile.
const HELD_MINUTES: usize = 10;
const SOAK_MINUTES: usize = 480;
const RATE: usize = 1_000;

const MINUTE: Duration = Duration::from_secs(60);

/// For so many minutes, or as many as the environment says.
fn minutes(otherwise: usize) -> usize {
    std::env::var("LSHOOKD_BENCH_MINUTES").ok().and_then(|text| text.parse().ok()).unwrap_or(otherwise)
}

/// What is delivered while a transaction of somebody else's keeps PostgreSQL from tidying up: in its first minute, and in
/// its last.
pub async fn held(ground: &Ground, report: &mut Report) -> Result<()> {
    let minutes = minutes(HELD_MINUTES);
    let outage = Outage::of(ground, 3_200).await?;
    let (database, endpoint) = (&outage.database, &outage.endpoint);
    let (sql, foreign) = (database.connect().await?, database.connect().await?);
    let daemon = outage.lshookd.run().await?;
    capture::settled(database).await?;
    foreign.batch_execute("begin isolation level repeatable read; select count(*) from project").await?;
    let until = Instant::now() + MINUTE * u32::try_from(minutes)?;
    let writing = capture::run(database, "catch_up", 8, Length::Seconds(minutes * 60), Some(RATE));
    let (_, rates, lags) = tokio::try_join!(writing, by_minute(endpoint, minutes), lags(&sql, until))?;
    foreign.batch_execute("rollback").await?;
    daemon.stop().await?;
    let pair = rates.last().copied().zip(rates.first().copied()).context("it lasts for less than a minute")?;
    report.pairs(
        &format!("delivered in minute {minutes} of a foreign transaction, in its first"),
        "/s",
        &[pair],
        "≥ 0.7",
    );
    report.alone("their lag in the middle, at last", of_thirds(&lags, "s"), "flat");
    Ok(())
}

/// Requests a second in each of so many minutes.
async fn by_minute(endpoint: &Endpoint, minutes: usize) -> Result<Vec<f64>> {
    let mut rates = Vec::new();
    for _ in 0..minutes {
        let before = endpoint.count().await?;
        tokio::time::sleep(MINUTE).await;
        rates.push((endpoint.count().await? - before) as f64 / MINUTE.as_secs_f64());
    }
    Ok(rates)
}

/// What grows in hours of load, where everything is kept for a minute: the daemon, the tables, their indexes, the lag.
pub async fn soak(ground: &Ground, report: &mut Report) -> Result<()> {
    let minutes = minutes(SOAK_MINUTES);
    let Outage { database, endpoint, lshookd } = Outage::of(ground, 3_200).await?;
    let sql = database.connect().await?;
    let daemon = lshookd.with("LSHOOKD_RETENTION", "1m").run().await?;
    let until = Instant::now() + MINUTE * u32::try_from(minutes)?;
    let writing = capture::run(&database, "catch_up", 8, Length::Seconds(minutes * 60), Some(RATE));
    let sizes = async {
        let mut sizes = Vec::new();
        for _ in 0..minutes {
            tokio::time::sleep(MINUTE - Duration::from_secs(1)).await;
            let row = sql.query_one(include_str!("../sql/sizes.sql"), &[]).await?;
            let megabytes = |name| row.get::<_, i64>(name) as f64 / 1e6;
            let deliveries = row.get::<_, i64>("deliveries") as f64;
            sizes.push([
                daemon.resident_kilobytes()? as f64 / 1e3,
                megabytes("tables"),
                megabytes("indexes"),
                deliveries,
            ]);
        }
        anyhow::Ok(sizes)
    };
    let (_, rates, lags, sizes) = tokio::try_join!(writing, by_minute(&endpoint, minutes), lags(&sql, until), sizes)?;
    capture::settled(&database).await?;
    daemon.stop().await?;
    report.alone("soak: delivered in the middle, at last", of_thirds(&rates, "/s"), "1000 /s");
    report.alone("soak: lag", of_thirds(&lags, "s"), "flat");
    let sized = [("memory of the daemon", "MB"), ("tables", "MB"), ("indexes", "MB"), ("deliveries that are kept", "")];
    for (place, (what, unit)) in sized.into_iter().enumerate() {
        let values: Vec<f64> = sizes.iter().map(|row| row[place]).collect();
        report.alone(&format!("soak: {what}"), of_thirds(&values, unit), "flat");
    }
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
        is_known(&sql, Some("pgbench")).await?;
        let daemon = lshookd.run().await?;
        let until = Instant::now() + Duration::from_secs(SECONDS);
        let rate = capture::run(&database, "annotate", CONNECTIONS, Length::Seconds(SECONDS as usize), Some(300));
        let (rate, lags) = tokio::try_join!(rate, lags(&sql, until))?;
        rates.push(rate);
        lag.push(of_thirds(&lags, "s"));
        daemon.stop().await?;
    }
    report.pairs("writes at 300/s: a million tasks, a thousand", "/s", &[(rates[0], rates[1])], "≥ 0.95");
    report.alone("their lag in the middle, at last: a million", lag[0].clone(), "flat");
    report.alone("their lag in the middle, at last: a thousand", lag[1].clone(), "flat");
    Ok(())
}
