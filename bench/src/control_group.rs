//! Less of a processor for a process than there is (cgroups(7)).

use std::path::PathBuf;

use anyhow::{Context, Result};

/// Where groups are, and the file that holds what each may have.
const CONTROLLERS: [(&str, &str); 2] = [("/sys/fs/cgroup/cpu", "cpu.cfs_quota_us"), ("/sys/fs/cgroup", "cpu.max")];

/// Microseconds in which a group may have its part.
const PERIOD: f64 = 100_000.0;

/// A group of one process; it ends with it.
pub struct ControlGroup(PathBuf);

impl ControlGroup {
    /// Gives a process so much of a processor.
    pub fn hold(pid: u32, processors: f64) -> Result<ControlGroup> {
        let (folder, limit) = CONTROLLERS
            .into_iter()
            .map(|(root, limit)| (PathBuf::from(root).join(format!("lshookd-bench-{pid}")), limit))
            .find(|(folder, limit)| std::fs::create_dir(folder).is_ok() && folder.join(limit).exists())
            .context("there are no control groups for processors on this machine")?;
        let group = ControlGroup(folder);
        std::fs::write(group.0.join(limit), format!("{:.0}", processors * PERIOD))?;
        std::fs::write(group.0.join("cgroup.procs"), pid.to_string())?;
        Ok(group)
    }
}

impl Drop for ControlGroup {
    fn drop(&mut self) {
        // Its process has ended, or it stays until the machine does.
        let _ = std::fs::remove_dir(&self.0);
    }
}
