//! Opening a connection to an endpoint: its name, its address, TLS.
//!
//! Promises: no address is connected to that [`egress`](super::egress) refuses; silent addresses of a name cost a
//! quarter of a second each (RFC 8305); all of it ends in time; and errors say which part failed, and at what.

use std::error::Error;
use std::fmt;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use http::Uri;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::connect::proxy::Tunnel;
use hyper_util::client::proxy::matcher::Intercept;
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsConnector;
use tower_service::Service;

use super::egress::Refusal;
use super::resolver::Resolver;
use super::route::{Link, Opening};
use super::stream::{Lasting, Stream, Transport};
use crate::config::{Limit, Proxy};
use crate::tls;

/// After so long the next address of a name is tried beside those before (RFC 8305, 5: "Connection Attempt Delay").
const ATTEMPT_DELAY: Duration = Duration::from_millis(250);

/// Resolving a name takes so long at most where the limit is of each connection, as python-requests has it, which waits
/// for names as long as the system does.
const LONGEST_RESOLUTION: Duration = Duration::from_secs(30);

const SETTINGS: tls::SettingNames = tls::SettingNames { authorities: "ca_file", identity: "client_certificates" };

/// Opens connections.
#[derive(Clone)]
pub struct Connector {
    resolver: Arc<Resolver>,
    tls: TlsConnector,
    proxy: Proxy,
    limit: Limit,
    /// Connected to in place of the host and port of the request, which are the webhook's own `Host` then.
    target: Option<(String, u16)>,
}

impl Connector {
    /// A connector within a limit of time.
    pub fn new(
        resolver: Arc<Resolver>,
        tls: TlsConnector,
        proxy: Proxy,
        limit: Limit,
        target: Option<(String, u16)>,
    ) -> Connector {
        Connector { resolver, tls, proxy, limit, target }
    }

    async fn open(self, uri: Uri) -> Result<TokioIo<Stream>, ConnectError> {
        let is_tls = uri.scheme_str() == Some("https");
        let (host, port) = self.target.clone().unwrap_or_else(|| {
            let port = uri.port_u16().unwrap_or(if is_tls { 443 } else { 80 });
            (uri.host().unwrap_or_default().trim_matches(['[', ']']).to_owned(), port)
        });
        let phase = Mutex::new(Phase::Name);
        let enter = |next| *phase.lock().unwrap_or_else(PoisonError::into_inner) = next;
        let opening = async {
            let proxy = self.proxy.of(&whereto(is_tls, &host, port)?);
            let clock = Instant::now();
            // Also where a proxy is asked: what may not be reached may not be reached through it.
            let resolving = within(self.resolution(), self.resolver.addresses(&host, port), Phase::Name);
            let addresses = match proxy.is_some() && self.resolver.allows_name(&host) {
                true => Vec::new(),
                false => resolving.await?.map_err(ConnectError::unresolved)?,
            };
            let dns = clock.elapsed();
            let clock = Instant::now();
            let (tcp, address) = match proxy {
                None => {
                    enter(Phase::Address(addresses.len()));
                    race(&addresses, self.each()).await?
                }
                Some(proxy) => {
                    enter(Phase::Proxy);
                    let to = addresses.first().map_or_else(|| format!("{host}:{port}"), SocketAddr::to_string);
                    within(self.each(), through(&proxy, &to), Phase::Proxy).await??
                }
            };
            let tcp_took = clock.elapsed();
            // Small requests are not held back for more; silence of hours is noticed by TLS and HTTP alike.
            let _ = tcp.set_nodelay(true);
            let stream = Lasting::new(tcp);
            enter(Phase::Tls);
            let clock = Instant::now();
            let (transport, is_http2) = if is_tls {
                let name = ServerName::try_from(host.clone()).map_err(|_| ConnectError::Unnamed)?;
                let stream = within(self.each(), self.tls.connect(name, stream), Phase::Tls).await?;
                let stream = stream.map_err(|error| ConnectError::tls(&error))?;
                let is_http2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
                (Transport::Tls(Box::new(stream)), is_http2)
            } else {
                (Transport::Plain(stream), false)
            };
            let tls_took = is_tls.then(|| clock.elapsed());
            self.resolver.reached(&host, address.ip());
            let link = Link::new(address, Opening { dns, tcp: tcp_took, tls: tls_took }, is_http2);
            Ok(TokioIo::new(Stream::new(transport, Arc::new(link), is_http2)))
        };
        match self.limit {
            Limit::Each(_) => opening.await,
            Limit::Whole(limit) => match timeout(limit, opening).await {
                Ok(outcome) => outcome,
                Err(_) => {
                    let phase = *phase.lock().unwrap_or_else(PoisonError::into_inner);
                    Err(ConnectError::TimedOut { phase, limit })
                }
            },
        }
    }

    /// The limit of each step, where it is of each.
    fn each(&self) -> Option<Duration> {
        match self.limit {
            Limit::Each(limit) => Some(limit),
            Limit::Whole(_) => None,
        }
    }

    fn resolution(&self) -> Option<Duration> {
        self.each().map(|limit| limit.max(LONGEST_RESOLUTION))
    }
}

/// Where a connection leads, whatever the request calls it.
fn whereto(is_tls: bool, host: &str, port: u16) -> Result<Uri, ConnectError> {
    let scheme = if is_tls { "https" } else { "http" };
    let host = if host.contains(':') { format!("[{host}]") } else { host.to_owned() };
    format!("{scheme}://{host}:{port}/").parse().map_err(|_| ConnectError::Unnamed)
}

async fn within<T>(limit: Option<Duration>, step: impl Future<Output = T>, phase: Phase) -> Result<T, ConnectError> {
    match limit {
        None => Ok(step.await),
        Some(limit) => timeout(limit, step).await.map_err(|_| ConnectError::TimedOut { phase, limit }),
    }
}

/// Connects to the first address that accepts. One that is silent is waited for beside the next.
async fn race(addresses: &[SocketAddr], each: Option<Duration>) -> Result<(TcpStream, SocketAddr), ConnectError> {
    let mut rest = addresses.iter().copied();
    let mut attempts = FuturesUnordered::new();
    let mut failure = ConnectError::Nowhere;
    loop {
        match rest.next() {
            Some(address) => attempts.push(async move {
                let connecting = within(each, TcpStream::connect(address), Phase::Address(addresses.len()));
                let connected = connecting.await.and_then(|outcome| {
                    outcome.map_err(|error| ConnectError::Unreachable { address, error: Arc::new(error) })
                });
                connected.map(|stream| (stream, address))
            }),
            None if attempts.is_empty() => return Err(failure),
            None => {}
        }
        let more = rest.len() > 0;
        tokio::select! {
            Some(outcome) = attempts.next() => match outcome {
                Ok(connected) => return Ok(connected),
                Err(error) => failure = error,
            },
            () = sleep(ATTEMPT_DELAY), if more => {}
        }
    }
}

/// A connection through a proxy, by CONNECT (RFC 9110, 9.3.6): to an address that was judged, for a name might resolve to
/// another one there; to a name only where the operator allows that.
async fn through(proxy: &Intercept, to: &str) -> Result<(TcpStream, SocketAddr), ConnectError> {
    let failed = |error: String| ConnectError::Proxy { proxy: proxy.uri().to_string(), to: to.to_owned(), error };
    let destination: Uri = to.parse().map_err(|_| failed("there is no such address".to_owned()))?;
    let mut tunnel = Tunnel::new(proxy.uri().clone(), HttpConnector::new());
    if let Some(credentials) = proxy.basic_auth() {
        tunnel = tunnel.with_auth(credentials.clone());
    }
    let stream = tunnel.call(destination).await.map_err(|error| {
        let cause = error.source().map(|cause| format!(": {cause}")).unwrap_or_default();
        failed(format!("{error}{cause}"))
    })?;
    let stream = stream.into_inner();
    let address = stream.peer_addr().map_err(|error| failed(error.to_string()))?;
    Ok((stream, address))
}

impl Service<Uri> for Connector {
    type Response = TokioIo<Stream>;
    type Error = ConnectError;
    type Future = Pin<Box<dyn Future<Output = Result<TokioIo<Stream>, ConnectError>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), ConnectError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        Box::pin(self.clone().open(uri))
    }
}

/// What was done when the time was up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Its name was being resolved.
    Name,
    /// So many addresses were tried.
    Address(usize),
    /// The proxy was being asked.
    Proxy,
    /// TLS was being agreed on.
    Tls,
}

impl fmt::Display for Phase {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Phase::Name => write!(to, "the name was not resolved"),
            Phase::Address(1) => write!(to, "its address did not answer"),
            Phase::Address(number) => write!(to, "none of its {number} addresses answered"),
            Phase::Proxy => write!(to, "the proxy did not answer"),
            Phase::Tls => write!(to, "the TLS handshake did not end"),
        }
    }
}

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// Egress forbids an address.
    #[error(transparent)]
    Refused(Box<Refusal>),
    /// The name has no address.
    #[error("the name of the endpoint does not resolve: {0}")]
    Unresolved(Box<dyn Error + Send + Sync>),
    /// The name has an empty list of addresses.
    #[error("the name of the endpoint has no address")]
    Nowhere,
    /// An address refuses, or has no way to it.
    #[error("cannot connect to {address}: {error}")]
    Unreachable {
        /// The last that was tried.
        address: SocketAddr,
        /// What the system says.
        error: Arc<io::Error>,
    },
    /// The proxy cannot be reached, or will not connect.
    #[error("the proxy {proxy} does not connect to {to}: {error} (setting proxy)")]
    Proxy {
        /// Its URL, without credentials.
        proxy: String,
        /// Where to.
        to: String,
        /// What it said, or the system.
        error: String,
    },
    /// A host that no certificate can be of.
    #[error("the host of the URL cannot be the name of a certificate")]
    Unnamed,
    /// TLS refused the server, or the server us.
    #[error("TLS: {0}")]
    Tls(String),
    /// It took too long.
    #[error("no connection within {:.1} s: {phase} (setting connect_timeout)", limit.as_secs_f64())]
    TimedOut {
        /// What took so long.
        phase: Phase,
        /// The limit.
        limit: Duration,
    },
}

impl ConnectError {
    fn unresolved(error: Box<dyn Error + Send + Sync>) -> ConnectError {
        match error.downcast() {
            Ok(refusal) => ConnectError::Refused(refusal),
            Err(error) => ConnectError::Unresolved(error),
        }
    }

    fn tls(error: &io::Error) -> ConnectError {
        let cause = error.get_ref().and_then(|cause| cause.downcast_ref::<rustls::Error>());
        ConnectError::Tls(cause.map_or_else(|| error.to_string(), |cause| tls::explain(cause, SETTINGS)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Addresses of this machine's loopback network at which nobody accepts: the queue of the first is full.
    async fn silent() -> (std::net::TcpListener, Vec<TcpStream>, SocketAddr) {
        let socket = tokio::net::TcpSocket::new_v4().unwrap();
        socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let listener = socket.listen(0).unwrap().into_std().unwrap();
        let address = listener.local_addr().unwrap();
        let mut held = Vec::new();
        while let Ok(Ok(stream)) = timeout(Duration::from_millis(100), TcpStream::connect(address)).await {
            held.push(stream);
        }
        (listener, held, address)
    }

    #[tokio::test]
    async fn silent_addresses_cost_a_quarter_of_a_second_each_and_refusing_ones_nothing() {
        let (_listener, _held, silent) = silent().await;
        let accepting = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let good = accepting.local_addr().unwrap();
        let refusing: SocketAddr = "127.0.0.1:1".parse().unwrap();

        let clock = Instant::now();
        let (_, reached) = race(&[silent, silent, silent, silent, good], None).await.unwrap();
        assert_eq!(reached, good);
        let took = clock.elapsed();
        assert!((3 * ATTEMPT_DELAY..8 * ATTEMPT_DELAY).contains(&took), "{took:?}");

        let clock = Instant::now();
        let (_, reached) = race(&[refusing, refusing, good], None).await.unwrap();
        assert!(reached == good && clock.elapsed() < ATTEMPT_DELAY);

        let error = race(&[refusing], None).await.err().unwrap().to_string();
        assert!(error.starts_with("cannot connect to 127.0.0.1:1: "), "{error}");
        let error = race(&[silent], Some(Duration::from_millis(50))).await.err().unwrap().to_string();
        assert_eq!(error, "no connection within 0.1 s: its address did not answer (setting connect_timeout)");
        assert!(matches!(race(&[], None).await, Err(ConnectError::Nowhere)));
    }
}
