//! Endpoints that do what no HTTP server should.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// What an endpoint does with a connection.
#[derive(Debug, Clone, Copy)]
pub enum Misbehavior {
    /// Reads, and never answers.
    Hangs,
    /// Answers one request of a connection, and closes it when the next one has come.
    Leaves,
    /// Closes the connection with a reset before it answers.
    Resets,
    /// Sends its answer a byte in two seconds.
    Drips,
    /// Answers 200 with a gigabyte.
    Floods,
    /// Answers with what is no HTTP.
    Babbles,
}

/// Such an endpoint, on a free port.
pub struct Misbehaving {
    /// Its URL.
    pub url: String,
    serving: JoinHandle<()>,
}

impl Misbehaving {
    /// Starts it.
    pub async fn start(how: Misbehavior) -> Result<Misbehaving> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let url = format!("http://{}/", listener.local_addr()?);
        let serving = tokio::spawn(async move {
            while let Ok((connection, _)) = listener.accept().await {
                tokio::spawn(how.treat(connection));
            }
        });
        Ok(Misbehaving { url, serving })
    }
}

impl Drop for Misbehaving {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

impl Misbehavior {
    async fn treat(self, mut connection: TcpStream) {
        match self {
            Misbehavior::Leaves => drop(read_request(&mut connection).await),
            _ => drop(connection.read(&mut [0; 1024]).await),
        }
        match self {
            Misbehavior::Hangs => tokio::time::sleep(Duration::from_secs(3600)).await,
            Misbehavior::Leaves => {
                let _ = connection.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").await;
                let _ = read_request(&mut connection).await;
            }
            // Closing with something unread is a reset.
            Misbehavior::Resets => {}
            Misbehavior::Drips => {
                for byte in b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok" {
                    let _ = connection.write_all(&[*byte]).await;
                    tokio::time::sleep(Duration::from_secs(2)).await;
                }
            }
            Misbehavior::Floods => {
                let _ = connection.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 1073741824\r\n\r\n").await;
                let chunk = vec![b'x'; 1 << 20];
                for _ in 0..1024 {
                    if connection.write_all(&chunk).await.is_err() {
                        return;
                    }
                }
            }
            Misbehavior::Babbles => {
                let _ = connection.write_all(b"\x00\xff what is this?\r\n\r\n").await;
            }
        }
    }
}

/// Reads a request to its end.
async fn read_request(connection: &mut TcpStream) -> Result<()> {
    let mut request = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&request).to_lowercase();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head.lines().find_map(|line| line.strip_prefix("content-length:"));
            if body.len() >= length.context("no length")?.trim().parse()? {
                return Ok(());
            }
        }
        ensure!(connection.read_buf(&mut request).await? > 0, "the connection has ended");
    }
}
