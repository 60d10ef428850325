//! An HTTP proxy that knows CONNECT, and notes what it is asked.

use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Result;
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// A proxy on the loopback interface.
pub struct ConnectProxy {
    /// Its port.
    pub port: u16,
    asked: Arc<Mutex<Vec<String>>>,
    serving: JoinHandle<()>,
}

impl ConnectProxy {
    /// One that connects whoever shows these credentials, the text of `Proxy-Authorization`.
    pub async fn start(credentials: &'static str) -> Result<ConnectProxy> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let port = listener.local_addr()?.port();
        let asked: Arc<Mutex<Vec<String>>> = Arc::default();
        let notes = Arc::clone(&asked);
        let serving = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let notes = Arc::clone(&notes);
                tokio::spawn(async move { pass(client, credentials, &notes).await });
            }
        });
        Ok(ConnectProxy { port, asked, serving })
    }

    /// The first lines of the requests so far.
    pub fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for ConnectProxy {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

async fn pass(mut client: TcpStream, credentials: &str, notes: &Mutex<Vec<String>>) -> Result<()> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") && head.len() < 8192 {
        head.push(client.read_u8().await?);
    }
    let head = String::from_utf8_lossy(&head).into_owned();
    let first = head.lines().next().unwrap_or_default().to_owned();
    notes.lock().unwrap_or_else(PoisonError::into_inner).push(first.clone());
    if !head.to_lowercase().contains(&format!("proxy-authorization: {}", credentials.to_lowercase())) {
        client.write_all(b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n").await?;
        return Ok(());
    }
    let to = first.split(' ').nth(1).unwrap_or_default();
    match TcpStream::connect(to).await {
        Ok(mut server) => {
            client.write_all(b"HTTP/1.1 200 Connection Established\r\n\r\n").await?;
            copy_bidirectional(&mut client, &mut server).await?;
        }
        Err(_) => client.write_all(b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n").await?,
    }
    Ok(())
}
