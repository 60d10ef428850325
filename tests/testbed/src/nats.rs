//! A NATS server with JetStream, which keeps its streams on disk.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener};
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result};
use tempfile::TempDir;

use crate::child_guard::ChildGuard;
use crate::listens_on;

/// The server.
pub struct Nats {
    /// Where it listens.
    pub address: SocketAddr,
    store: TempDir,
    guard: Mutex<Option<ChildGuard>>,
}

impl Nats {
    /// Starts it on a free port of the loopback interface.
    pub async fn start() -> Result<Nats> {
        Nats::start_on(Ipv4Addr::LOCALHOST.into()).await
    }

    /// The same on another address of this machine.
    pub async fn start_on(address: IpAddr) -> Result<Nats> {
        let address = TcpListener::bind((address, 0))?.local_addr()?;
        let nats = Nats { address, store: TempDir::with_prefix("lshookd-nats-")?, guard: Mutex::default() };
        nats.put_up().await?;
        Ok(nats)
    }

    /// A URL of a subject on it.
    pub fn url(&self, subject: &str) -> String {
        format!("nats://owl:feathers@{}/{subject}", self.address)
    }

    /// Kills it.
    pub fn take_down(&self) {
        self.guard(Option::take);
    }

    /// Starts it again, with the streams that it had.
    pub async fn put_up(&self) -> Result<()> {
        let mut command: Vec<String> =
            ["nats-server", "--jetstream", "--user", "owl", "--pass", "feathers"].map(str::to_owned).to_vec();
        command.extend(["--addr".to_owned(), self.address.ip().to_string()]);
        command.extend(["--port".to_owned(), self.address.port().to_string()]);
        command.extend(["--store_dir".to_owned(), self.store.path().display().to_string()]);
        let guard = ChildGuard::start(&command, &[], Path::new("/dev/null"), "").await?;
        self.guard(|held| *held = Some(guard));
        listens_on("NATS", self.address).await
    }

    /// Stops it for this long, with its connections open.
    pub async fn freeze(&self, time: Duration) -> Result<()> {
        let signal =
            |name| self.guard(|guard| guard.as_ref().context("NATS was taken down").and_then(|it| it.signal(name)));
        signal("STOP")?;
        tokio::time::sleep(time).await;
        signal("CONT")
    }

    fn guard<T>(&self, with: impl FnOnce(&mut Option<ChildGuard>) -> T) -> T {
        with(&mut self.guard.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
