//! Whether a request went out on a connection that was there before, and whether it was lost with that.
//!
//! An endpoint may close a connection that rests at the very moment at which a request is sent on it. It has not
//! answered, and with HTTP/1.1 nothing tells whether it has read (RFC 9112, 9.3.1): the request is sent again at
//! once, with the same `webhook-id`.

use std::cell::Cell;
use std::error::Error;
use std::future::Future;
use std::io::{self, ErrorKind};
use std::task::{Context, Poll};

use tower_layer::Layer;
use tower_service::Service;

tokio::task_local! {
    static OPENED: Cell<bool>;
}

/// Lets [`was_reused`] know of the connections that a client opens.
#[derive(Debug, Clone, Copy)]
pub struct Openings;

impl<S> Layer<S> for Openings {
    type Service = Noted<S>;

    fn layer(&self, inner: S) -> Noted<S> {
        Noted(inner)
    }
}

/// A connector whose use is noted.
#[derive(Debug, Clone)]
pub struct Noted<S>(S);

impl<S: Service<R>, R> Service<R> for Noted<S> {
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.0.poll_ready(context)
    }

    fn call(&mut self, request: R) -> S::Future {
        // Connections that a client opens beside a request are nobody's.
        let _ = OPENED.try_with(|opened| opened.set(true));
        self.0.call(request)
    }
}

/// Sends, and says whether that took no new connection.
pub async fn was_reused<T>(sending: impl Future<Output = T>) -> (T, bool) {
    let sending = async {
        let outcome = sending.await;
        (outcome, !OPENED.with(Cell::get))
    };
    OPENED.scope(Cell::new(false), sending).await
}

/// Whether the connection ended before there was an answer.
pub fn has_ended(error: &reqwest::Error) -> bool {
    let mut cause: Option<&(dyn Error + 'static)> = Some(error);
    while let Some(error) = cause {
        let is_end = |error: &io::Error| {
            matches!(
                error.kind(),
                ErrorKind::ConnectionReset
                    | ErrorKind::ConnectionAborted
                    | ErrorKind::BrokenPipe
                    | ErrorKind::NotConnected
                    | ErrorKind::UnexpectedEof
            )
        };
        let ended = error
            .downcast_ref::<hyper::Error>()
            .is_some_and(|error| error.is_incomplete_message() || error.is_closed())
            || error
                .downcast_ref::<h2::Error>()
                .is_some_and(|error| error.is_go_away() || error.get_io().is_some_and(is_end))
            || error.downcast_ref::<io::Error>().is_some_and(is_end);
        if ended {
            return true;
        }
        cause = error.source();
    }
    false
}
