//! A clock that can be set, for the processes that are started with it (libfaketime).

use std::path::PathBuf;

use anyhow::{Context, Result};

/// A clock of their own for some processes; the machine's goes on as it is.
pub struct Clock {
    library: PathBuf,
    file: tempfile::TempPath,
}

impl Clock {
    /// A clock that shows the right time; `None` where there is no libfaketime.
    pub fn new() -> Result<Option<Clock>> {
        let folders = std::fs::read_dir("/usr/lib").context("reading /usr/lib")?;
        let paths = folders.flatten().map(|entry| entry.path().join("faketime/libfaketimeMT.so.1"));
        let Some(library) = paths.into_iter().find(|path| path.exists()) else {
            return Ok(None);
        };
        let clock =
            Clock { library, file: tempfile::Builder::new().prefix("lshookd-clock-").tempfile()?.into_temp_path() };
        clock.set(0)?;
        // PostgreSQL runs as another user.
        std::fs::set_permissions(&clock.file, std::os::unix::fs::PermissionsExt::from_mode(0o644))?;
        Ok(Some(clock))
    }

    /// Puts it so many seconds before or behind the right time.
    pub fn set(&self, seconds: i64) -> Result<()> {
        Ok(std::fs::write(&self.file, format!("{seconds:+}s\n"))?)
    }

    /// What processes go by it with.
    pub fn environment(&self) -> Vec<(String, String)> {
        [
            ("LD_PRELOAD", self.library.display().to_string()),
            ("FAKETIME_TIMESTAMP_FILE", self.file.display().to_string()),
            ("FAKETIME_NO_CACHE", "1".to_owned()),
            // As a clock that is set: what is measured goes on.
            ("FAKETIME_DONT_FAKE_MONOTONIC", "1".to_owned()),
        ]
        .map(|(name, value)| (name.to_owned(), value))
        .to_vec()
    }
}
