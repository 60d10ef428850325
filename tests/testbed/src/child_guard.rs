//! Processes that end with ours, however ours ends.

use std::ffi::OsStr;
use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::process::Stdio;

use anyhow::{Context, Result};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

/// A process that is killed, and cleaned up after, when this is dropped or our process ends.
pub struct ChildGuard {
    child: Child,
    /// Ends when all is cleaned up.
    cleaned_up: File,
    /// The command's own process id.
    pub pid: u32,
}

impl ChildGuard {
    /// Starts a command with its output in a file. `clean_up` is run by the shell afterwards.
    pub async fn start<S: AsRef<OsStr>>(
        command: &[S],
        environment: &[(String, String)],
        output: &Path,
        clean_up: &str,
    ) -> Result<ChildGuard> {
        let output = File::create(output)?;
        let mut child = Command::new("sh")
            .arg("-c")
            .arg(include_str!("child_guard.sh"))
            .arg("guard")
            .arg(clean_up)
            .args(command)
            .envs(environment.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(output)
            .spawn()
            .context("starting a shell")?;
        let mut stdout = BufReader::new(child.stdout.take().context("no standard output")?);
        let mut first = String::new();
        stdout.read_line(&mut first).await?;
        let pid = first.trim().parse().context("the shell did not say the process id")?;
        let cleaned_up = stdout.into_inner().into_owned_fd()?.into();
        Ok(ChildGuard { child, cleaned_up, pid })
    }

    /// Sends a signal to the command, by name.
    pub fn signal(&self, name: &str) -> Result<()> {
        std::process::Command::new("kill").arg(format!("-{name}")).arg(self.pid.to_string()).status()?;
        Ok(())
    }

    /// Waits for the command to end; its exit code, if it was not killed.
    pub async fn ended(&mut self) -> Result<Option<i32>> {
        let code = self.child.wait().await?.code();
        // The shell reports a signal as 128 and its number.
        Ok(code.filter(|code| *code < 128))
    }
}

impl Drop for ChildGuard {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        // Nothing is written, so this returns when the last writer is gone.
        let _ = self.cleaned_up.read(&mut [0]);
    }
}
