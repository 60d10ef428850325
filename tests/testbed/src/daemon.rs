//! The daemon under test, and its commands.

use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use tokio::io::AsyncWriteExt;
use tokio::process::Command;

use crate::child_guard::ChildGuard;
use crate::eventually;
use crate::postgres::Database;

/// `lshookd`, as built, against one database.
#[derive(Clone)]
pub struct Lshookd {
    binary: PathBuf,
    environment: Vec<(String, String)>,
    /// The command that runs the daemon, which sets limits to it.
    wrapper: Vec<String>,
    /// The role of the running daemon, where that is another than the commands'.
    daemon_role: Option<String>,
}

/// A running `lshookd run`.
pub struct Daemon {
    guard: ChildGuard,
    log: PathBuf,
}

impl Lshookd {
    /// The program, with the settings that every test wants: it posts to loopback, and does not
    /// wait long before the next attempt.
    pub fn new(binary: &str, database: &Database) -> Lshookd {
        let mut environment = database.environment();
        for (name, value) in [
            ("SSRF_PROTECTION_ENABLED", "false"),
            ("LSHOOKD_POLL", "1s"),
            ("LSHOOKD_ADMIN_LISTEN", "off"),
            ("LSHOOKD_RETRY_SCHEDULE", "200ms,500ms,1s,1s,1s,1s,1s,1s,1s,1s,1s,1s"),
            ("LSHOOKD_LOG_LEVEL", "lshookd=debug"),
        ] {
            environment.push((name.to_owned(), value.to_owned()));
        }
        Lshookd { binary: binary.into(), environment, wrapper: Vec::new(), daemon_role: None }
    }

    /// The same with another setting.
    pub fn with(mut self, name: &str, value: &str) -> Lshookd {
        self.environment.retain(|(set, _)| set != name);
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    /// The same with a daemon that is run by another command, which puts itself into its place.
    pub fn under(mut self, wrapper: &[&str]) -> Lshookd {
        self.wrapper = wrapper.iter().map(|word| (*word).to_owned()).collect();
        self
    }

    /// Makes roles as `install --print-roles` says, of this test process's own names; from then on
    /// commands are the owner's, and what runs is the daemon's.
    pub async fn with_roles(self, database: &Database) -> Result<Lshookd> {
        let daemon = database.role_name();
        let owner = format!("{daemon}_owner");
        let script = self.succeed(&["install", "--print-roles"]).await?;
        let script = script.replace("set name 'lshookd'", &format!("set name '{daemon}'"));
        database
            .psql(&format!("{script}\nalter role {owner} password 'owner'; alter role {daemon} password 'owner';"))
            .await?;
        let mut lshookd = self.with("POSTGRE_USER", &owner).with("POSTGRE_PASSWORD", "owner");
        lshookd.daemon_role = Some(daemon);
        Ok(lshookd)
    }

    /// The same, whose daemon is the owner, too.
    pub fn run_as_owner(mut self) -> Lshookd {
        self.daemon_role = None;
        self
    }

    /// The role that the daemon runs as, if it has one of its own.
    pub fn daemon_role(&self) -> Option<&str> {
        self.daemon_role.as_deref()
    }

    /// Runs a command to its end.
    pub async fn command(&self, arguments: &[&str]) -> Result<Output> {
        let mut command = Command::new(&self.binary);
        command.args(arguments).envs(self.environment.iter().map(|(name, value)| (name, value)));
        // A command that is waited for no longer is not left behind.
        command.kill_on_drop(true);
        command.output().await.with_context(|| format!("running {}", self.binary.display()))
    }

    /// Runs a command that must succeed; what it printed.
    pub async fn succeed(&self, arguments: &[&str]) -> Result<String> {
        let output = self.command(arguments).await?;
        if !output.status.success() {
            bail!("lshookd {arguments:?} failed: {}", String::from_utf8_lossy(&output.stderr));
        }
        Ok(String::from_utf8(output.stdout)?)
    }

    /// Runs a command that must succeed and reads this; what it printed.
    pub async fn fed(&self, arguments: &[&str], input: &str) -> Result<String> {
        let mut command = Command::new(&self.binary);
        command.args(arguments).envs(self.environment.iter().map(|(name, value)| (name, value)));
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true).spawn()?;
        child.stdin.take().context("no standard input")?.write_all(input.as_bytes()).await?;
        let output = child.wait_with_output().await?;
        ensure!(output.status.success(), "lshookd {arguments:?} failed");
        Ok(String::from_utf8(output.stdout)?)
    }

    /// Starts a command that goes on until it is killed, with what it prints in a file.
    pub fn follow(&self, arguments: &[&str], output: std::fs::File) -> Result<tokio::process::Child> {
        let mut command = Command::new(&self.binary);
        command.args(arguments).envs(self.environment.iter().map(|(name, value)| (name, value)));
        Ok(command.stdout(output).kill_on_drop(true).spawn()?)
    }

    /// Starts the daemon, and waits until it plans.
    pub async fn run(&self) -> Result<Daemon> {
        let daemon = self.start().await?;
        let ready = async || Ok(daemon.log().contains("active role=Planner").then_some(()));
        if let Err(error) = eventually("lshookd is active", Duration::from_secs(20), ready).await {
            bail!("{error:#}; its log:\n{}", daemon.log());
        }
        Ok(daemon)
    }

    /// Starts the daemon, which may be standby.
    pub async fn start(&self) -> Result<Daemon> {
        let log = tempfile::Builder::new().prefix("lshookd-log-").tempfile()?.keep()?.1;
        let clean_up = format!("rm -f '{}'", log.display());
        let mut command = self.wrapper.clone();
        command.extend([self.binary.display().to_string(), "run".to_owned()]);
        let mut environment = self.environment.clone();
        environment.extend(self.daemon_role.iter().map(|role| ("POSTGRE_USER".to_owned(), role.clone())));
        let guard = ChildGuard::start(&command, &environment, &log, &clean_up).await?;
        Ok(Daemon { guard, log })
    }
}

impl Daemon {
    /// What it has logged so far.
    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Its process.
    pub fn pid(&self) -> u32 {
        self.guard.pid
    }

    /// The file it logs to.
    pub fn log_file(&self) -> &Path {
        &self.log
    }

    /// Sends a signal, by name.
    pub fn signal(&self, name: &str) -> Result<()> {
        self.guard.signal(name)
    }

    /// How much memory it holds.
    pub fn resident_kilobytes(&self) -> Result<u64> {
        self.memory("VmRSS:")
    }

    /// How much memory it held at most.
    pub fn peak_kilobytes(&self) -> Result<u64> {
        self.memory("VmHWM:")
    }

    /// How much address space it holds, which is far more than memory: each thread reserves some.
    pub fn address_space_kilobytes(&self) -> Result<u64> {
        self.memory("VmSize:")
    }

    fn memory(&self, which: &str) -> Result<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.guard.pid))?;
        let line = status.lines().find_map(|line| line.strip_prefix(which)).with_context(|| format!("no {which}"))?;
        Ok(line.trim().trim_end_matches("kB").trim().parse()?)
    }

    /// Whether it is still there.
    pub fn is_running(&self) -> bool {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.guard.pid)).unwrap_or_default();
        status.lines().any(|line| line.starts_with("State:") && !line.contains('Z'))
    }

    /// Lets it open no more files and connections than so many at once, all told.
    pub fn limit_files(&self, most: u32) -> Result<()> {
        let limit = format!("--nofile={most}:");
        let status =
            std::process::Command::new("prlimit").args(["--pid", &self.guard.pid.to_string(), &limit]).status()?;
        ensure!(status.success(), "prlimit failed");
        Ok(())
    }

    /// How many files and connections it has open.
    pub fn open_files(&self) -> Result<u32> {
        Ok(u32::try_from(std::fs::read_dir(format!("/proc/{}/fd", self.guard.pid))?.count())?)
    }

    /// Waits for its end; the exit code, if it was not killed.
    pub async fn ended(mut self) -> Result<Option<i32>> {
        self.guard.ended().await
    }

    /// Ends it at once, as a power failure would.
    pub async fn kill(mut self) -> Result<()> {
        self.signal("KILL")?;
        self.guard.ended().await?;
        Ok(())
    }

    /// Ends it as systemd would.
    pub async fn stop(self) -> Result<Option<i32>> {
        self.signal("TERM")?;
        self.ended().await
    }
}
