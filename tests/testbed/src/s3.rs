//! An S3-compatible object store, by moto's server.

use std::path::Path;

use anyhow::{Context, Result, ensure};

use crate::child_guard::ChildGuard;
use crate::{cache, free_port, listens};

/// An object store with one bucket, to which any key gives access.
pub struct S3 {
    /// Its URL.
    pub endpoint: String,
    _guard: ChildGuard,
}

impl S3 {
    /// The bucket.
    pub const BUCKET: &str = "aviary";

    /// Starts it.
    pub async fn start() -> Result<S3> {
        let port = free_port()?;
        let server = cache().join("python-parts/bin/moto_server").display().to_string();
        let command = [server, "-H".to_owned(), "127.0.0.1".to_owned(), "-p".to_owned(), port.to_string()];
        let guard = ChildGuard::start(&command, &[], Path::new("/dev/null"), "").await?;
        listens("the object store", port).await?;
        let store = S3 { endpoint: format!("http://127.0.0.1:{port}"), _guard: guard };
        store.put("", String::new()).await?;
        Ok(store)
    }

    /// Its port.
    pub fn port(&self) -> Result<u16> {
        self.endpoint.rsplit(':').next().context("no port")?.parse().context("the port")
    }

    /// Puts an object into the bucket.
    pub async fn put(&self, key: &str, content: String) -> Result<()> {
        let url = format!("{}/{}/{key}", self.endpoint, S3::BUCKET);
        let client = reqwest::Client::builder().no_proxy().build()?;
        let answer = client.put(url.trim_end_matches('/')).body(content).send().await?;
        ensure!(answer.status().is_success(), "the object store answered with {}", answer.status());
        Ok(())
    }
}
