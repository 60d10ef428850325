//! Real parts to try lshookd on, each started by itself and gone with the process that
//! started it: a PostgreSQL server, Label Studio, HTTP receivers, the daemon.

pub mod child_guard;
pub mod clock;
pub mod connect_proxy;
pub mod daemon;
pub mod label_studio;
pub mod misbehaving;
pub mod names;
pub mod nats;
pub mod network;
pub mod pooler;
pub mod postgres;
pub mod proxy;
pub mod receiver;
pub mod redis;
pub mod s3;
pub mod scripted;

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use tokio::net::TcpStream;

/// SQL that makes rows of Label Studio's tables, whatever columns its version has:
/// `fixture.rows(table, given, quantity)`.
pub const FIXTURE: &str = include_str!("fixture.sql");

/// A port on the loopback interface that nobody uses.
pub fn free_port() -> Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

/// Where downloads are kept between runs.
pub fn cache() -> PathBuf {
    match std::env::var_os("LSHOOKD_TEST_CACHE") {
        Some(folder) => folder.into(),
        None => PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../.cache")),
    }
}

/// Waits until a server of ours accepts connections.
pub async fn listens(what: &str, port: u16) -> Result<()> {
    listens_on(what, (Ipv4Addr::LOCALHOST, port).into()).await
}

/// The same on another address of this machine.
pub async fn listens_on(what: &str, address: SocketAddr) -> Result<()> {
    let accepts = async || Ok(TcpStream::connect(address).await.ok().map(drop));
    eventually(&format!("{what} accepts connections"), Duration::from_secs(30), accepts).await
}

/// Asks again and again until there is an answer.
pub async fn eventually<T>(
    what: &str,
    timeout: Duration,
    mut ask: impl AsyncFnMut() -> Result<Option<T>>,
) -> Result<T> {
    let deadline = tokio::time::Instant::now() + timeout;
    loop {
        if let Some(answer) = ask().await.with_context(|| what.to_owned())? {
            return Ok(answer);
        }
        if tokio::time::Instant::now() > deadline {
            bail!("{what}: not within {timeout:?}");
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
