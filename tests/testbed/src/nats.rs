//! A NATS server with JetStream, which keeps its streams on disk.

use std::path::Path;

use anyhow::Result;
use tempfile::TempDir;

use crate::leash::Leash;
use crate::{free_port, listens};

/// The server.
pub struct Nats {
    /// Its port on the loopback interface.
    pub port: u16,
    store: TempDir,
    leash: Option<Leash>,
}

impl Nats {
    /// Starts it on a free port.
    pub async fn start() -> Result<Nats> {
        let mut nats = Nats { port: free_port()?, store: TempDir::with_prefix("lshookd-nats-")?, leash: None };
        nats.put_up().await?;
        Ok(nats)
    }

    /// A URL of a subject on it.
    pub fn url(&self, subject: &str) -> String {
        format!("nats://owl:feathers@127.0.0.1:{}/{subject}", self.port)
    }

    /// Kills it.
    pub fn take_down(&mut self) {
        self.leash = None;
    }

    /// Starts it again, with the streams that it had.
    pub async fn put_up(&mut self) -> Result<()> {
        let mut command: Vec<String> =
            ["nats-server", "--addr", "127.0.0.1", "--jetstream", "--user", "owl", "--pass", "feathers"]
                .map(str::to_owned)
                .to_vec();
        command.extend(["--port".to_owned(), self.port.to_string()]);
        command.extend(["--store_dir".to_owned(), self.store.path().display().to_string()]);
        self.leash = Some(Leash::start(&command, &[], Path::new("/dev/null"), "").await?);
        listens("NATS", self.port).await
    }
}
