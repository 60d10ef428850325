//! A Redis server: the queue of Label Studio's workers, and a storage of tasks.

use std::path::Path;

use anyhow::{Result, ensure};
use tokio::process::Command;

use crate::child_guard::ChildGuard;
use crate::{free_port, listens};

/// An empty server that keeps everything in memory.
pub struct Redis {
    /// Its port on the loopback interface.
    pub port: u16,
    _guard: ChildGuard,
}

impl Redis {
    /// Starts it.
    pub async fn start() -> Result<Redis> {
        let port = free_port()?;
        let arguments = ["--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--port"];
        let mut command = vec!["redis-server".to_owned()];
        command.extend(arguments.map(str::to_owned));
        command.push(port.to_string());
        let guard = ChildGuard::start(&command, &[], Path::new("/dev/null"), "").await?;
        listens("Redis", port).await?;
        Ok(Redis { port, _guard: guard })
    }

    /// Sets a key in database 1.
    pub async fn set(&self, key: &str, value: &str) -> Result<()> {
        let answer = self.ask(&["-n", "1", "set", key, value]).await?;
        ensure!(answer == "OK", "Redis answered {answer}");
        Ok(())
    }

    /// How many jobs wait for Label Studio's workers or are being done.
    pub async fn jobs(&self) -> Result<i64> {
        Ok(self.ask(&["eval", include_str!("unfinished_jobs.lua"), "0"]).await?.parse()?)
    }

    async fn ask(&self, command: &[&str]) -> Result<String> {
        let output = Command::new("redis-cli").args(["-p", &self.port.to_string()]).args(command).output().await?;
        Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    }
}
