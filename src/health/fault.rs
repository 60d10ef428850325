//! What of a running daemon does not work although it goes on, for `check` to say. A fault is noted again as long as it
//! lasts; what nobody noted for two minutes is over. Relies on `lshookd.daemon_fault`.

use anyhow::{Context, Result};
use tokio_postgres::Client;
use uuid::Uuid;

/// What does not work.
#[derive(Debug, Clone, Copy, PartialEq, Eq, strum::EnumString, strum::IntoStaticStr)]
#[strum(serialize_all = "kebab-case")]
pub enum Fault {
    /// Metrics and the console.
    AdminListener,
    /// What consumers pull from.
    PullListener,
}

/// Notes that something of a daemon does not work, and why; with `None`, that it works again.
///
/// # Errors
/// When the database cannot be asked.
pub async fn note(client: &Client, daemon: Uuid, fault: Fault, message: Option<&str>) -> Result<()> {
    let name: &str = fault.into();
    let noted = match message {
        Some(_) => client.execute(include_str!("../../sql/daemon/note_fault.sql"), &[&daemon, &name, &message]).await,
        None => client.execute(include_str!("../../sql/daemon/end_fault.sql"), &[&daemon, &name]).await,
    };
    noted.map(drop).context("noting a fault, or its end")
}
