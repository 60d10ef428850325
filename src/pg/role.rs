//! Roles, and the heartbeat of each: proof that a daemon is active in it.
//!
//! The work itself writes it, so that work that hangs has none. A daemon takes a role with the advisory lock of that
//! role, which goes with its connection; where somebody else holds that lock and no heart beats, with the heartbeat
//! alone. Any number of daemons deliver, without a lock. Each beat asks whether the role is still this daemon's.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use tokio_postgres::Client;
use uuid::Uuid;

use super::Prepared;
use super::lock::LockKey;

/// How often a heart beats.
pub const INTERVAL: Duration = Duration::from_secs(10);

/// Without a beat for so long, a role counts as nobody's although its lock is held. Planning an import of gigabytes
/// may take half of that.
pub const LOST: Duration = Duration::from_secs(120);

/// One part of a daemon's work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Changes → events: one daemon.
    Planner,
    /// Events → requests: all daemons.
    Deliverer,
    /// Deletes what ended long ago: one daemon.
    Retention,
}

impl Role {
    /// All roles.
    pub const ALL: [Role; 3] = [Role::Planner, Role::Deliverer, Role::Retention];

    /// The advisory lock that the active daemon holds, where there is one such daemon.
    pub fn lock(self) -> Option<LockKey> {
        match self {
            Role::Planner => Some(LockKey::Planner),
            Role::Deliverer => None,
            Role::Retention => Some(LockKey::Retention),
        }
    }

    /// As in `lshookd.active_role`.
    pub fn name(self) -> &'static str {
        match self {
            Role::Planner => "planner",
            Role::Deliverer => "deliverer",
            Role::Retention => "retention",
        }
    }
}

/// The heartbeat of one role of one daemon.
#[derive(Debug, Clone)]
pub struct Heartbeat {
    role: Role,
    holder: Uuid,
    beat_at: Instant,
}

impl Heartbeat {
    /// Begins to deliver, beside others.
    ///
    /// # Errors
    /// When the database cannot be asked.
    pub async fn join(client: &Prepared<'_, Client>, holder: Uuid) -> Result<Heartbeat> {
        let joined = client.execute(include_str!("../../sql/daemon/join.sql"), &[&holder]).await;
        joined.context("writing lshookd.active_role")?;
        Ok(Heartbeat { role: Role::Deliverer, holder, beat_at: Instant::now() })
    }

    /// The daemon's own name.
    pub fn holder(&self) -> Uuid {
        self.holder
    }

    /// Takes a role, from whoever else's heart has not beaten for `since`; `None` where it has.
    ///
    /// # Errors
    /// When the database cannot be asked.
    pub async fn start(
        client: &Prepared<'_, Client>,
        role: Role,
        holder: Uuid,
        since: Duration,
    ) -> Result<Option<Heartbeat>> {
        let heartbeat = Heartbeat { role, holder, beat_at: Instant::now() };
        Ok(heartbeat.write(client, since).await?.then_some(heartbeat))
    }

    /// Beats, where it is time to.
    ///
    /// # Errors
    /// When another daemon has taken the role meanwhile, or the database cannot be asked.
    pub async fn beat(&mut self, client: &Prepared<'_, Client>) -> Result<()> {
        if self.beat_at.elapsed() < INTERVAL {
            return Ok(());
        }
        self.beat_at = Instant::now();
        if !self.write(client, LOST).await? {
            bail!("another daemon has taken over the role {}", self.role.name());
        }
        Ok(())
    }

    async fn write(&self, client: &Prepared<'_, Client>, since: Duration) -> Result<bool> {
        let rows = match self.role {
            Role::Deliverer => client.query(include_str!("../../sql/daemon/stay.sql"), &[&self.holder]).await,
            role => {
                let query = include_str!("../../sql/daemon/beat.sql");
                client.query(query, &[&role.name(), &self.holder, &since.as_secs_f64()]).await
            }
        };
        Ok(!rows.context("writing lshookd.active_role")?.is_empty())
    }

    /// Gives the role up, so that another daemon takes it at once.
    ///
    /// # Errors
    /// When the database cannot be asked.
    pub async fn stop(self, client: &Client) -> Result<()> {
        leave(client, self.role, self.holder).await
    }
}

/// Says that a daemon is active in a role no more, if it was.
///
/// # Errors
/// When the database cannot be asked.
pub async fn leave(client: &Client, role: Role, holder: Uuid) -> Result<()> {
    let query = include_str!("../../sql/daemon/leave.sql");
    client.execute(query, &[&role.name(), &holder]).await.context("writing lshookd.active_role")?;
    Ok(())
}
