//! The daemons that deliver from the same database, and how they share its lanes.
//!
//! Promises: a lane is worked on by one daemon, until it has closed it, waits to retry, or releases it; where one has more
//! than its part of what is due, it releases lanes between two deliveries, and whoever has fewer takes them. Webhooks that
//! limit their requests are the first daemon's, for nobody else knows how many it makes. Relies on `lshookd.lane.holder`,
//! and on `lshookd.active_role`, which a daemon leaves with its session: its lanes are then anybody's.

use std::collections::HashSet;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use tokio_postgres::Client;
use tokio_postgres::types::ToSql;
use uuid::Uuid;

use crate::model::{Lane, Scope, WebhookId};
use crate::pg::{Prepared, role};

/// How often a daemon that is not alone asks who else there is, and whether it has its part.
pub const INTERVAL: Duration = Duration::from_secs(1);

/// What this daemon knows of those that deliver beside it.
pub struct Peers {
    own: Uuid,
    state: Mutex<State>,
}

struct State {
    /// With this one.
    deliverers: i64,
    is_first: bool,
    /// Delivered by the first alone.
    limited: HashSet<WebhookId>,
    /// So many lanes more than its part.
    excess: i64,
    /// Lanes that it no longer works on, and are to be released.
    left: Vec<Lane>,
    /// Whether lanes that are not for this daemon may be its own.
    has_foreign: bool,
    asked_at: Option<Instant>,
}

/// How to look for lanes.
pub struct Part {
    /// Among so many daemons, this one included.
    pub deliverers: i64,
    /// Whether it has more than its part already.
    pub has_more: bool,
    /// Whose lanes it leaves to others.
    pub foreign: Vec<WebhookId>,
}

impl Peers {
    /// Of a daemon of this name, that thinks it is alone until it has asked.
    pub fn new(own: Uuid) -> Peers {
        let limited = HashSet::new();
        let state = State {
            deliverers: 1,
            is_first: true,
            limited,
            excess: 0,
            left: Vec::new(),
            has_foreign: false,
            asked_at: None,
        };
        Peers { own, state: Mutex::new(state) }
    }

    /// This daemon.
    pub fn own(&self) -> Uuid {
        self.own
    }

    /// Whether nobody else delivers.
    pub fn is_alone(&self) -> bool {
        self.state().deliverers == 1
    }

    /// Whether what is for one daemon alone is for this one.
    pub fn is_first(&self) -> bool {
        self.state().is_first
    }

    /// Takes part of what is due.
    pub fn part(&self) -> Part {
        let state = self.state();
        Part { deliverers: state.deliverers, has_more: state.excess > 0, foreign: state.foreign() }
    }

    /// Notes how many deliver; `true` where that is news, and it should [ask](Peers::ask).
    pub fn note(&self, deliverers: i64) -> bool {
        let mut state = self.state();
        let is_news = state.deliverers != deliverers;
        if is_news {
            state.asked_at = None;
        }
        is_news
    }

    /// Asks who there is, where it is time to.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn ask(&self, database: &Prepared<'_, Client>) -> Result<()> {
        {
            let mut state = self.state();
            if state.asked_at.is_some_and(|at| state.deliverers == 1 || at.elapsed() < INTERVAL) {
                return Ok(());
            }
            state.asked_at = Some(Instant::now());
        }
        let lost = role::LOST.as_secs_f64();
        let row = database.query_one(include_str!("../../sql/deliver/peers.sql"), &[&self.own, &lost]).await;
        let row = row.context("asking who else delivers")?;
        let mut state = self.state();
        let deliverers = row.get("deliverers");
        if state.deliverers != deliverers {
            tracing::info!(deliverers, "lanes are shared among the daemons that deliver");
        }
        state.deliverers = deliverers;
        // Where others have forgotten it, the next heartbeat says so.
        state.is_first = row.get::<_, Option<bool>>("is_first").unwrap_or_default();
        state.limited = row.get::<_, Option<Vec<WebhookId>>>("limited").unwrap_or_default().into_iter().collect();
        state.excess = row.get("excess");
        state.has_foreign = !state.foreign().is_empty();
        Ok(())
    }

    /// Whether a lane is to be left to others: its deliveries are recorded first, and then it is [left](Peers::left).
    pub fn should_leave(&self, lane: Lane) -> bool {
        let mut state = self.state();
        if state.limited.contains(&lane.webhook) {
            return !state.is_first;
        }
        let leaves = state.excess > 0;
        state.excess -= i64::from(leaves);
        leaves
    }

    /// A lane is no longer worked on, and all that was sent in it is recorded.
    pub fn left(&self, lane: Lane) {
        self.state().left.push(lane);
    }

    /// Releases the lanes that it has left, and those that are not for it and on which it does not work.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn release(&self, database: &Prepared<'_, Client>, active: impl Iterator<Item = Lane>) -> Result<()> {
        let (left, foreign) = {
            let mut state = self.state();
            let foreign = if std::mem::take(&mut state.has_foreign) { state.foreign() } else { Vec::new() };
            (std::mem::take(&mut state.left), foreign)
        };
        if left.is_empty() && foreign.is_empty() {
            return Ok(());
        }
        let (webhooks, scopes) = columns(left.into_iter());
        let (active_webhooks, active_scopes) = columns(active);
        let parameters: [&(dyn ToSql + Sync); 6] =
            [&webhooks, &scopes, &foreign, &active_webhooks, &active_scopes, &self.own];
        let released = database.execute(include_str!("../../sql/deliver/release_lanes.sql"), &parameters).await;
        released.context("releasing lanes")?;
        Ok(())
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn foreign(&self) -> Vec<WebhookId> {
        if self.is_first { Vec::new() } else { self.limited.iter().copied().collect() }
    }
}

fn columns(lanes: impl Iterator<Item = Lane>) -> (Vec<WebhookId>, Vec<Scope>) {
    lanes.map(|lane| (lane.webhook, lane.scope)).unzip()
}
