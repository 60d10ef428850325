//! What lshookd takes when nothing happens.

use std::time::Duration;

use anyhow::{Context, Result};

use crate::Ground;
use crate::report::Report;

const SECONDS: u64 = 30;

/// Processor time, memory, and what is written to PostgreSQL's log, of an idle daemon.
pub async fn measure(ground: &Ground, report: &mut Report) -> Result<()> {
    let database = ground.database("idle").await?;
    let sql = database.connect().await?;
    let daemon = ground.lshookd(&database).await?.run().await?;
    tokio::time::sleep(Duration::from_secs(5)).await;
    sql.batch_execute("checkpoint").await?;
    let written = "select pg_current_wal_lsn()::text, pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0')::bigint";
    let (before, wal) = (processor_time(daemon.pid())?, sql.query_one(written, &[]).await?.get::<_, i64>(1));
    tokio::time::sleep(Duration::from_secs(SECONDS)).await;
    let busy = processor_time(daemon.pid())? - before;
    let grown = sql.query_one(written, &[]).await?.get::<_, i64>(1) - wal;
    report.alone("idle: share of a core", format!("{:.3} %", 100.0 * busy / SECONDS as f64), "≤ 0.1 %");
    report.alone("idle: PostgreSQL's log", format!("{grown} bytes"), "0");
    report.alone("idle: memory", format!("{} MB", daemon.resident_kilobytes()? / 1000), "≤ 64 MB");
    daemon.stop().await?;
    Ok(())
}

/// Seconds of processor time so far (proc(5), in ticks of a hundredth).
fn processor_time(pid: u32) -> Result<f64> {
    let line = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
    let fields: Vec<&str> = line.rsplit(')').next().context("no fields")?.split_whitespace().collect();
    let ticks = |place: usize| fields.get(place).and_then(|text| text.parse::<f64>().ok()).unwrap_or_default();
    Ok((ticks(11) + ticks(12)) / 100.0)
}
