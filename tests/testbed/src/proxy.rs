//! A TCP proxy that can be cut, or fall silent as a network does that drops packets.

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;

use anyhow::Result;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

#[derive(Debug, Clone, Copy, PartialEq)]
enum Flow {
    Open,
    Silent,
    Cut,
}

/// Passes connections on to a port of this machine.
pub struct Proxy {
    /// Where it listens.
    pub port: u16,
    target: Arc<AtomicU16>,
    flow: watch::Sender<Flow>,
    serving: JoinHandle<()>,
}

impl Proxy {
    /// Starts on a free port.
    pub async fn start(target: u16) -> Result<Proxy> {
        Proxy::start_on(Ipv4Addr::LOCALHOST, target).await
    }

    /// The same on another address of this machine.
    pub async fn start_on(address: Ipv4Addr, target: u16) -> Result<Proxy> {
        let listener = TcpListener::bind((address, 0)).await?;
        let port = listener.local_addr()?.port();
        let target = Arc::new(AtomicU16::new(target));
        let aim = Arc::clone(&target);
        let (flow, watched) = watch::channel(Flow::Open);
        let serving = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let (watched, target) = (watched.clone(), aim.load(Ordering::Relaxed));
                tokio::spawn(async move {
                    if *watched.borrow() == Flow::Cut {
                        return;
                    }
                    if let Ok(server) = TcpStream::connect(("127.0.0.1", target)).await {
                        let (client_reads, client_writes) = client.into_split();
                        let (server_reads, server_writes) = server.into_split();
                        tokio::select! {
                            () = pass(client_reads, server_writes, watched.clone()) => {}
                            () = pass(server_reads, client_writes, watched) => {}
                        }
                    }
                });
            }
        });
        Ok(Proxy { port, target, flow, serving })
    }

    /// Ends every connection; new ones are passed on to another port.
    pub async fn turn_to(&self, target: u16) {
        self.target.store(target, Ordering::Relaxed);
        self.cut(Duration::from_millis(100)).await;
    }

    /// Ends every connection, and new ones at once, for a while.
    pub async fn cut(&self, time: Duration) {
        self.disturb(Flow::Cut, time).await;
    }

    /// Passes nothing on for a while, and says nothing about it.
    pub async fn silence(&self, time: Duration) {
        self.disturb(Flow::Silent, time).await;
    }

    async fn disturb(&self, flow: Flow, time: Duration) {
        self.flow.send_replace(flow);
        tokio::time::sleep(time).await;
        self.flow.send_replace(Flow::Open);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

/// Passes one direction on until it ends or is cut.
async fn pass(
    mut from: impl AsyncReadExt + Unpin,
    mut to: impl AsyncWriteExt + Unpin,
    mut flow: watch::Receiver<Flow>,
) {
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let read = tokio::select! {
            read = from.read(&mut buffer) => read,
            _ = flow.wait_for(|flow| *flow == Flow::Cut) => return,
        };
        let Ok(length @ 1..) = read else { return };
        match flow.wait_for(|flow| *flow != Flow::Silent).await.map(|flow| *flow) {
            Ok(Flow::Open) => {}
            _ => return,
        }
        if to.write_all(&buffer[..length]).await.is_err() {
            return;
        }
    }
}
