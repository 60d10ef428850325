//! The connections of a listener, which can exhaust neither files nor memory: there are so many at most, each must
//! agree on TLS and send its request's head in time, and one that is kept open for nothing is closed.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{ConnectInfo, Request};
use axum::serve::Listener;
use http::HeaderValue;
use http::header::CONNECTION;
use http_body::Body as _;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::Semaphore;
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tower_service::Service;

/// Within this the head of a request must be there, also the next one of a connection that is kept.
const HEAD: Duration = Duration::from_secs(10);

/// A body of so many bytes comes with the head, or just behind it, and is read whatever is answered.
const SHORT_BODY: u64 = 4 * 1024;

/// Where and for how long somebody may be connected.
pub struct Limits {
    /// What is listened to, for the log.
    pub name: &'static str,
    /// Connections at once.
    pub connections: usize,
    /// No connection lasts longer, whatever it does.
    pub longest: Duration,
}

/// Listens until that ends by itself, and after each failure anew in a while. What fails is told once, and noted as long
/// as it lasts; `listen` is told whether it had failed before.
pub async fn keep_listening(
    every: Duration,
    listen: impl AsyncFn(bool) -> anyhow::Result<()>,
    tell: impl Fn(&str),
    note: impl AsyncFn(&str),
) {
    let mut failure: Option<String> = None;
    while let Err(error) = listen(failure.is_some()).await {
        let message = format!("{error:#}");
        if failure.as_ref() != Some(&message) {
            tell(&message);
        }
        note(&message).await;
        failure = Some(message);
        sleep(every).await;
    }
}

/// Serves what connects, until `stop`. Requests are told from where they come, if `peer` knows it.
pub async fn serve<L: Listener>(
    mut listener: L,
    peer: impl Fn(&L::Addr) -> Option<SocketAddr>,
    tls: Option<TlsAcceptor>,
    routes: Router,
    limits: &Limits,
    stop: CancellationToken,
) {
    let places = Arc::new(Semaphore::new(limits.connections));
    let (name, longest) = (limits.name, limits.longest);
    loop {
        let place = tokio::select! {
            place = Arc::clone(&places).acquire_owned() => place,
            () = stop.cancelled() => return,
        };
        let Ok(place) = place else { return };
        let (stream, address) = tokio::select! {
            accepted = listener.accept() => accepted,
            () = stop.cancelled() => return,
        };
        let (tls, routes, peer, stop) = (tls.clone(), routes.clone(), peer(&address), stop.clone());
        tokio::spawn(async move {
            let served = async {
                match tls {
                    None => converse(stream, peer, routes, stop).await,
                    Some(tls) => converse(timeout(HEAD, tls.accept(stream)).await??, peer, routes, stop).await,
                }
            };
            if let Ok(Err(error)) = timeout(longest, served).await {
                tracing::debug!(error = format!("{error:#}"), "a connection to the {name} failed");
            }
            drop(place);
        });
    }
}

/// Answers the requests of one connection.
///
/// # Errors
/// When it is lost, or sends what is no HTTP.
async fn converse<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(
    stream: S,
    peer: Option<SocketAddr>,
    routes: Router,
    stop: CancellationToken,
) -> anyhow::Result<()> {
    let answer = service_fn(move |mut request: Request<Incoming>| {
        let mut routes = routes.clone();
        if let Some(peer) = peer {
            request.extensions_mut().insert(ConnectInfo(peer));
        }
        let is_long = request.body().size_hint().upper().is_none_or(|bytes| bytes > SHORT_BODY);
        async move {
            let answer = routes.call(request.map(Body::new)).await;
            let mut answer = answer.unwrap_or_else(|never| match never {});
            // A body that was refused is not read to its end, and the connection is closed behind the answer: a client that
            // was not told would send its next request into it.
            if is_long && answer.status().is_client_error() {
                answer.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
            }
            Ok::<_, Infallible>(answer)
        }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD)
        .serve_connection(TokioIo::new(stream), answer);
    tokio::pin!(connection);
    tokio::select! {
        ended = connection.as_mut() => return Ok(ended?),
        () = stop.cancelled() => connection.as_mut().graceful_shutdown(),
    }
    Ok(connection.await?)
}
