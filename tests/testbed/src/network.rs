//! Another machine: a network namespace, with a network of its own to us in which packets can get
//! lost without a word.

use std::net::Ipv4Addr;
use std::path::Path;
use std::sync::atomic::{AtomicU8, Ordering};

use anyhow::{Context, Result, ensure};

use crate::child_guard::ChildGuard;

/// A machine with two ways to this one, one of which goes through a switch.
pub struct Machine {
    name: String,
    /// This machine as that one sees it through the switch.
    pub switched: Ipv4Addr,
    /// This machine as that one sees it directly.
    pub direct: Ipv4Addr,
    _guard: ChildGuard,
}

impl Machine {
    /// Sets it up; `None` for whoever may not (it takes root).
    pub async fn start() -> Result<Option<Machine>> {
        static NUMBER: AtomicU8 = AtomicU8::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let process = std::process::id();
        let name = format!("lsh{process}-{number}");
        let net = u8::try_from(process % 250)?;
        let [switched, direct] = [1, 129].map(|host| Ipv4Addr::new(10, 213, net, host + 4 * number));
        let may = std::process::Command::new("ip").args(["netns", "add", &name]).output();
        if !may.is_ok_and(|done| done.status.success()) {
            return Ok(None);
        }
        let clean_up = format!("ip netns del {name}; ip netns del {name}s");
        let guard = ChildGuard::start(&["sleep", "infinity"], &[], Path::new("/dev/null"), &clean_up).await?;
        let script = include_str!("network.sh").replace("NAME", &name);
        let arguments = [switched, neighbour(switched), direct, neighbour(direct)].map(|one| one.to_string());
        let done = std::process::Command::new("sh").args(["-ec", &script, "network"]).args(arguments).output()?;
        ensure!(done.status.success(), "setting up a network failed: {}", String::from_utf8_lossy(&done.stderr));
        Ok(Some(Machine { name, switched, direct, _guard: guard }))
    }

    /// The command that runs another one there.
    pub fn command(&self) -> [&str; 4] {
        ["ip", "netns", "exec", &self.name]
    }

    /// Pulls the plug out of the switch: what is sent arrives nowhere, and nobody is told.
    pub fn lose_packets(&self) -> Result<()> {
        self.switch("nomaster")
    }

    /// Plugs it in again.
    pub fn pass_packets(&self) -> Result<()> {
        self.switch("master br0")
    }

    fn switch(&self, port: &str) -> Result<()> {
        let script = format!("ip -n {}s link set m1 {port}", self.name);
        let done = std::process::Command::new("sh").args(["-c", &script]).status().context("ip")?;
        ensure!(done.success(), "{script} failed");
        Ok(())
    }
}

fn neighbour(address: Ipv4Addr) -> Ipv4Addr {
    Ipv4Addr::from(u32::from(address) + 1)
}
