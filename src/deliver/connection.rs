//! Whether a request was lost with the connection that it was sent on.
//!
//! An endpoint may close a connection that rests at the very moment at which a request is sent on it. It has not
//! answered, and with HTTP/1.1 nothing tells whether it has read (RFC 9112, 9.3.1): the request is sent again at
//! once, with the same `webhook-id`.

use std::error::Error;
use std::io::{self, ErrorKind};

/// Whether the connection ended before there was an answer.
pub fn has_ended(error: &(dyn Error + 'static)) -> bool {
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
    causes(error).any(|error| {
        error
            .downcast_ref::<hyper::Error>()
            .is_some_and(|error| error.is_incomplete_message() || error.is_closed() || error.is_canceled())
            || error
                .downcast_ref::<h2::Error>()
                .is_some_and(|error| error.is_go_away() || error.get_io().is_some_and(is_end))
            || error.downcast_ref::<io::Error>().is_some_and(is_end)
    })
}

/// Whether the endpoint says that it has not looked at the request (RFC 9113, 8.7).
pub fn is_unprocessed(error: &(dyn Error + 'static)) -> bool {
    causes(error)
        .filter_map(|error| error.downcast_ref::<h2::Error>())
        .any(|error| error.is_remote() && (error.reason() == Some(h2::Reason::REFUSED_STREAM) || error.is_go_away()))
}

/// Whether what the endpoint said is no HTTP.
pub fn is_no_http(error: &(dyn Error + 'static)) -> bool {
    causes(error).any(|error| {
        error.downcast_ref::<hyper::Error>().is_some_and(|error| error.is_parse() || error.is_parse_too_large())
    })
}

/// An error and what caused it, from the outside in.
pub fn causes<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |cause: &&'a (dyn Error + 'static)| (*cause).source())
}
