//! The body of a request, which can tell when it was handed over to the connection.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use tokio::sync::Notify;

/// Handed over piece by piece: the connection takes the next when it has room, so that of a large body no more than some
/// pieces are unsent when the last is taken.
const PIECE: usize = 4 * 1024;

/// A body, whole or in pieces.
pub struct RequestBody {
    rest: Bytes,
    sent: Option<Arc<Notify>>,
}

impl RequestBody {
    /// Handed over whole.
    pub fn whole(body: Bytes) -> RequestBody {
        RequestBody { rest: body, sent: None }
    }

    /// Handed over in pieces; `sent` is notified with the last one, which an empty body does not have.
    pub fn tracked(body: Bytes, sent: Arc<Notify>) -> RequestBody {
        RequestBody { rest: body, sent: Some(sent) }
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if self.rest.is_empty() {
            return Poll::Ready(None);
        }
        let length = if self.sent.is_some() { self.rest.len().min(PIECE) } else { self.rest.len() };
        let piece = self.rest.split_to(length);
        if let Some(sent) = self.sent.as_ref().filter(|_| self.rest.is_empty()) {
            sent.notify_one();
        }
        Poll::Ready(Some(Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.rest.len() as u64)
    }
}
