//! Which lanes are due: a look at `lshookd.lane`, which takes those that this daemon is to work on.

use std::time::{Duration, Instant, SystemTime};

use anyhow::{Context, Result};
use tokio_postgres::Row;
use tokio_postgres::types::ToSql;

use super::Shared;
use super::peers::Part;
use crate::model::{Lane, Scope, WebhookId};

/// What a look for lanes has found.
pub struct Look {
    /// To be worked on.
    pub due: Vec<Lane>,
    /// Until another one is due.
    pub next: Option<Duration>,
    /// Whether others were left to other daemons.
    pub has_left: bool,
}

/// Looks for lanes that are due, and takes so many at most that are not worked on yet.
///
/// # Errors
/// When the database refuses.
pub async fn due_lanes(
    shared: &Shared,
    active: impl Iterator<Item = Lane>,
    room: usize,
    clock: &mut ServerClock,
) -> Result<Look> {
    let client = shared.database();
    let (webhooks, scopes): (Vec<WebhookId>, Vec<Scope>) = active.map(|lane| (lane.webhook, lane.scope)).unzip();
    let room = i64::try_from(room).unwrap_or(i64::MAX);
    let Part { deliverers, has_more, foreign } = shared.peers.part();
    let (full, own) = (shared.shares.full(), shared.peers.own());
    let parameters: [&(dyn ToSql + Sync); 8] =
        [&webhooks, &scopes, &room, &full, &own, &deliverers, &has_more, &foreign];
    let rows = client.query(include_str!("../../sql/deliver/due_lanes.sql"), &parameters).await;
    let rows = rows.context("reading lshookd.lane")?;
    let (end, lanes) = rows.split_last().context("reading lshookd.lane")?;
    if clock.stepped_back(end.get("now"), Instant::now()) {
        tracing::warn!("PostgreSQL's clock was set back; what waits for a retry is attempted now");
        client.execute(include_str!("../../sql/deliver/end_pauses.sql"), &[]).await.context("ending pauses")?;
        return Ok(Look { due: Vec::new(), next: Some(Duration::ZERO), has_left: false });
    }
    let lane = |row: &Row| Lane { webhook: row.get("webhook_id"), scope: row.get("project_id") };
    let wait = end.get::<_, Option<f64>>("wait");
    let wait = wait.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    Ok(Look {
        due: lanes.iter().map(lane).collect(),
        // Somebody who has come or gone is asked for before anything else.
        next: if shared.peers.note(end.get("deliverers")) { Some(Duration::ZERO) } else { wait },
        has_left: end.get("has_left"),
    })
}

/// The server's clock, by which pauses are measured.
#[derive(Default)]
pub struct ServerClock(Option<(SystemTime, Instant)>);

impl ServerClock {
    /// Whether it went back since the last look, by more than a look may take.
    fn stepped_back(&mut self, now: SystemTime, at: Instant) -> bool {
        const NOTEWORTHY: Duration = Duration::from_secs(10);
        let expected = self.0.map(|(before, then)| before + at.saturating_duration_since(then));
        self.0 = Some((now, at));
        expected.and_then(|expected| expected.duration_since(now).ok()).is_some_and(|back| back > NOTEWORTHY)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_goes_back_is_noticed_and_one_that_goes_forward_is_not() {
        let (start, now) = (Instant::now(), SystemTime::now());
        let mut clock = ServerClock::default();
        let mut look = |seconds: u64, clock_says: i64| {
            let says = match clock_says {
                ahead @ 0.. => now + Duration::from_secs(ahead.unsigned_abs()),
                back => now - Duration::from_secs(back.unsigned_abs()),
            };
            clock.stepped_back(says, start + Duration::from_secs(seconds))
        };
        assert!(!look(0, 0));
        assert!(!look(5, 4));
        assert!(!look(10, 3600));
        assert!(look(15, 15));
        assert!(!look(20, 20));
        assert!(look(25, -3600));
    }
}
