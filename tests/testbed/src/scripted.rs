//! An endpoint that follows a script, whatever HTTP thinks of it.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio::time::sleep;

/// What it does next with a connection.
#[derive(Debug, Clone)]
pub enum Step {
    /// Reads a request to its end.
    Read,
    /// Reads the head of a request, and of its body what came with it.
    ReadHead,
    /// Says this.
    Say(Vec<u8>),
    /// Says this so often, after this pause each time.
    Repeat(Vec<u8>, usize, Duration),
    /// Does nothing for a while.
    Wait(Duration),
    /// Closes the connection with a reset.
    Reset,
    /// Closes the connection.
    Close,
}

/// Such an endpoint, on a free port. The script begins anew with each connection, and where it does not end with
/// closing it, with each request.
pub struct Scripted {
    /// Its port.
    pub port: u16,
    serving: JoinHandle<()>,
}

impl Scripted {
    /// Starts it.
    pub async fn start(script: Vec<Step>) -> Result<Scripted> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let port = listener.local_addr()?.port();
        let script = Arc::new(script);
        let serving = tokio::spawn(async move {
            while let Ok((connection, _)) = listener.accept().await {
                let script = Arc::clone(&script);
                tokio::spawn(async move { follow(connection, &script).await });
            }
        });
        Ok(Scripted { port, serving })
    }
}

impl Drop for Scripted {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

async fn follow(mut connection: TcpStream, script: &[Step]) -> Result<()> {
    connection.set_nodelay(true)?;
    loop {
        for step in script {
            match step {
                Step::Read => read_request(&mut connection).await?,
                Step::ReadHead => drop(read_head(&mut connection).await?),
                Step::Say(bytes) => connection.write_all(bytes).await?,
                Step::Repeat(bytes, times, pause) => {
                    for _ in 0..*times {
                        sleep(*pause).await;
                        connection.write_all(bytes).await?;
                    }
                }
                Step::Wait(pause) => sleep(*pause).await,
                Step::Reset => {
                    connection.set_zero_linger()?;
                    return Ok(());
                }
                Step::Close => return Ok(connection.shutdown().await?),
            }
        }
    }
}

/// The head of a request, and what of its body came with it.
async fn read_head(connection: &mut TcpStream) -> Result<(String, Vec<u8>)> {
    let mut request = Vec::new();
    loop {
        if let Some(end) = request.windows(4).position(|bytes| bytes == b"\r\n\r\n") {
            let body = request.split_off(end + 4);
            return Ok((String::from_utf8_lossy(&request).to_lowercase(), body));
        }
        ensure!(connection.read_buf(&mut request).await? > 0, "the connection has ended");
    }
}

async fn read_request(connection: &mut TcpStream) -> Result<()> {
    let (head, body) = read_head(connection).await?;
    let length = head.lines().find_map(|line| line.strip_prefix("content-length:")).unwrap_or("0");
    let mut left = length.trim().parse::<usize>().context("a length")?.saturating_sub(body.len());
    let mut buffer = vec![0; 64 * 1024];
    while left > 0 {
        let length = connection.read(&mut buffer).await?;
        ensure!(length > 0, "the connection has ended");
        left = left.saturating_sub(length);
    }
    Ok(())
}
