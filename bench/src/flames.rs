//! `make flames`: where the time of a catch-up goes, as flame graphs of the daemon and of each of its PostgreSQL sessions
//! in `target/flames`. Relies on `perf`, and on being allowed to use it.

use std::io::{BufReader, Cursor, ErrorKind};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use inferno::collapse::Collapse;
use inferno::collapse::perf::Folder;
use inferno::flamegraph::{self, Options};
use tokio::process::Command;

use crate::Ground;
use crate::cost;
use crate::deliver::Outage;

/// Enough that the catch-up lasts longer than it is watched.
const CHANGES: usize = 100_000;
const SECONDS: &str = "4";

/// Draws them.
pub async fn draw(ground: &Ground) -> Result<()> {
    let folder = PathBuf::from("target/flames");
    // What is left of another run would be taken for this one's.
    std::fs::remove_dir_all(&folder).or_else(|error| match error.kind() {
        ErrorKind::NotFound => Ok(()),
        _ => Err(error),
    })?;
    std::fs::create_dir_all(&folder)?;
    let outage = Outage::of(ground, CHANGES).await?;
    let daemon = outage.lshookd.run().await?;
    let sessions = cost::sessions(&outage.database.connect().await?).await?;
    let mut watched = vec![("daemon".to_owned(), daemon.pid())];
    watched.extend(sessions);
    let samples = folder.join("perf.data");
    let pids = watched.iter().map(|(_, pid)| pid.to_string()).collect::<Vec<_>>().join(",");
    let recording = Command::new("perf")
        .args(["record", "--quiet", "-F", "199", "--call-graph", "dwarf,16384", "-p", &pids, "-o"])
        .arg(&samples)
        .args(["--", "sleep", SECONDS])
        .status();
    let recorded = recording.await.context("perf")?;
    ensure!(recorded.success(), "perf record failed; is it allowed here (kernel.perf_event_paranoid)?");
    ensure!(outage.endpoint.count().await? < CHANGES as u64, "the catch-up was over before it was watched to the end");
    daemon.stop().await?;
    for (name, pid) in watched {
        let graph = folder.join(format!("{name}.svg"));
        match graph_of(&samples, pid, &name, &graph).await? {
            true => println!("{}", graph.display()),
            false => println!("{name}: it did nothing"),
        }
    }
    std::fs::remove_file(samples)?;
    Ok(())
}

/// Draws one process; `false` if it was never seen to work.
async fn graph_of(samples: &Path, pid: u32, name: &str, graph: &Path) -> Result<bool> {
    let script = Command::new("perf").args(["script", "--pid", &pid.to_string(), "-i"]).arg(samples).output().await?;
    ensure!(script.status.success(), "perf script failed: {}", String::from_utf8_lossy(&script.stderr));
    let mut folded = Vec::new();
    Folder::default().collapse(BufReader::new(Cursor::new(script.stdout)), &mut folded)?;
    if folded.is_empty() {
        return Ok(false);
    }
    let mut options = Options::default();
    options.title = format!("{name}, in a catch-up");
    flamegraph::from_reader(&mut options, folded.as_slice(), std::fs::File::create(graph)?)?;
    Ok(true)
}
