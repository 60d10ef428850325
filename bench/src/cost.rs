//! What lshookd takes: processor time of its own and of its PostgreSQL connections.

use std::time::Duration;

use anyhow::{Context, Result};
use lshookd_testbed::daemon::Daemon;
use lshookd_testbed::eventually;
use tokio_postgres::Client;

/// The daemon's roles, each of which has a connection.
const ROLES: usize = 3;

/// The processes that do lshookd's work.
pub struct Meter {
    pids: Vec<u32>,
    before: f64,
}

impl Meter {
    /// Begins to count.
    pub async fn start(daemon: &Daemon, sql: &Client) -> Result<Meter> {
        let mut pids: Vec<u32> = sessions(sql).await?.into_iter().map(|(_, backend)| backend).collect();
        pids.push(daemon.pid());
        Meter::of(pids)
    }

    /// The same of other processes.
    pub fn of(pids: Vec<u32>) -> Result<Meter> {
        let mut meter = Meter { pids, before: 0.0 };
        meter.before = meter.total()?;
        Ok(meter)
    }

    /// Seconds of processor time since then.
    pub fn seconds(&self) -> Result<f64> {
        Ok(self.total()? - self.before)
    }

    fn total(&self) -> Result<f64> {
        self.pids.iter().map(|pid| processor_time(*pid)).sum()
    }
}

/// The processes of the daemon's PostgreSQL sessions, by role, when it is active in all of them.
pub async fn sessions(sql: &Client) -> Result<Vec<(String, u32)>> {
    // Not every connection of the name: the one by which the daemon looks around at first is gone in a moment.
    let active = async || {
        let rows = sql.query("select role::text, backend from lshookd.active_role", &[]).await?;
        Ok((rows.len() == ROLES).then_some(rows))
    };
    let rows = eventually("the daemon is active in every role", Duration::from_secs(10), active).await?;
    Ok(rows.iter().map(|row| (row.get("role"), row.get::<_, i32>("backend").unsigned_abs())).collect())
}

/// Seconds of processor time so far (proc(5), in ticks of a hundredth).
pub fn processor_time(pid: u32) -> Result<f64> {
    let line = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
    let fields: Vec<&str> = line.rsplit(')').next().context("no fields")?.split_whitespace().collect();
    let ticks = |place: usize| fields.get(place).and_then(|text| text.parse::<f64>().ok()).unwrap_or_default();
    Ok((ticks(11) + ticks(12)) / 100.0)
}

/// Of all cores together, what did nothing so far and all there was, in ticks (proc(5)).
pub fn machine_time() -> Result<[f64; 2]> {
    let stat = std::fs::read_to_string("/proc/stat")?;
    let line = stat.lines().next().context("no line")?;
    let ticks: Vec<f64> = line.split_whitespace().skip(1).take(8).filter_map(|text| text.parse().ok()).collect();
    Ok([ticks.get(3).context("no idle time")? + ticks.get(4).unwrap_or(&0.0), ticks.iter().sum()])
}
