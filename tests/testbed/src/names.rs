//! A server of names that never answers, for one process alone.

use std::net::{Ipv4Addr, UdpSocket};
use std::sync::atomic::{AtomicU8, Ordering};

use anyhow::{Context, Result};

/// The server; silent as long as it is there.
pub struct SilentNames {
    _socket: UdpSocket,
    configuration: tempfile::NamedTempFile,
}

impl SilentNames {
    /// Starts it; `None` for whoever may not (it takes root).
    ///
    /// # Errors
    /// When its configuration cannot be written.
    pub fn start() -> Result<Option<SilentNames>> {
        static NUMBER: AtomicU8 = AtomicU8::new(1);
        let [.., high, low] = std::process::id().to_be_bytes();
        let address = Ipv4Addr::new(127, high | 64, low, NUMBER.fetch_add(1, Ordering::Relaxed));
        let Ok(socket) = UdpSocket::bind((address, 53)) else {
            return Ok(None);
        };
        let may = std::process::Command::new("unshare").args(["--mount", "true"]).output();
        if !may.is_ok_and(|done| done.status.success()) {
            return Ok(None);
        }
        let configuration = tempfile::NamedTempFile::new()?;
        std::fs::write(configuration.path(), format!("nameserver {address}\n")).context("writing resolv.conf")?;
        Ok(Some(SilentNames { _socket: socket, configuration }))
    }

    /// The command that runs another one which asks it alone.
    pub fn command(&self) -> [String; 6] {
        let script = format!("mount --bind '{}' /etc/resolv.conf && exec \"$@\"", self.configuration.path().display());
        ["unshare", "--mount", "sh", "-c", &script, "names"].map(str::to_owned)
    }
}
