//! The connections of the admin listener, which can exhaust neither files nor memory: there are so many at most, each
//! must send its request's head in time, and one that is kept open for nothing is closed.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::serve::Listener;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::sync::Semaphore;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tower_service::Service;

/// Connections at once.
const MOST: usize = 64;

/// Within this the head of a request must be there, also the next one of a connection that is kept.
const HEAD: Duration = Duration::from_secs(10);

/// No connection lasts longer, whatever it does.
const LONGEST: Duration = Duration::from_secs(120);

/// Serves what connects, until `stop`.
pub async fn serve<L: Listener>(mut listener: L, routes: Router, stop: CancellationToken) {
    let places = Arc::new(Semaphore::new(MOST));
    loop {
        let place = tokio::select! {
            place = Arc::clone(&places).acquire_owned() => place,
            () = stop.cancelled() => return,
        };
        let Ok(place) = place else { return };
        let (stream, _) = tokio::select! {
            accepted = listener.accept() => accepted,
            () = stop.cancelled() => return,
        };
        let routes = routes.clone();
        let stop = stop.clone();
        tokio::spawn(async move {
            let answer = service_fn(move |request: Request<Incoming>| {
                let mut routes = routes.clone();
                async move {
                    Ok::<_, Infallible>(
                        routes.call(request.map(Body::new)).await.unwrap_or_else(|never| match never {}),
                    )
                }
            });
            let connection = http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(HEAD)
                .serve_connection(TokioIo::new(stream), answer);
            tokio::pin!(connection);
            let served = async {
                tokio::select! {
                    ended = connection.as_mut() => return ended,
                    () = stop.cancelled() => connection.as_mut().graceful_shutdown(),
                }
                connection.await
            };
            if let Ok(Err(error)) = timeout(LONGEST, served).await {
                tracing::debug!(%error, "a connection to the admin listener failed");
            }
            drop(place);
        });
    }
}
