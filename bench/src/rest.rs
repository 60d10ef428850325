//! What lshookd takes when nothing happens.

use std::time::Duration;

use anyhow::Result;

use crate::Ground;
use crate::cost::Meter;
use crate::report::Report;

const SECONDS: u64 = 15;

/// Processor time, memory, and what is written to PostgreSQL's log, of an idle daemon.
pub async fn measure(ground: &Ground, report: &mut Report) -> Result<()> {
    let database = ground.database("idle").await?;
    let sql = database.connect().await?;
    let daemon = ground.lshookd(&database).await?.run().await?;
    tokio::time::sleep(Duration::from_secs(5)).await;
    // What PostgreSQL does by itself is not lshookd's.
    sql.batch_execute("alter system set autovacuum = off").await?;
    sql.batch_execute("select pg_reload_conf()").await?;
    sql.batch_execute("checkpoint").await?;
    tokio::time::sleep(Duration::from_secs(1)).await;
    let written = "select pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0')::bigint";
    let wal = sql.query_one(written, &[]).await?.get::<_, i64>(0);
    let meter = Meter::start(&daemon, &sql).await?;
    tokio::time::sleep(Duration::from_secs(SECONDS)).await;
    let busy = meter.seconds()?;
    let grown = sql.query_one(written, &[]).await?.get::<_, i64>(0) - wal;
    sql.batch_execute("alter system reset autovacuum").await?;
    sql.batch_execute("select pg_reload_conf()").await?;
    report.alone("idle: share of a core", format!("{:.3} %", 100.0 * busy / SECONDS as f64), "≤ 0.1 %");
    report.alone("idle: PostgreSQL's log", format!("{grown} bytes"), "0");
    report.alone("idle: memory", format!("{} MB", daemon.resident_kilobytes()? / 1000), "≤ 64 MB");
    daemon.stop().await?;
    Ok(())
}
