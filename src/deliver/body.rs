//! A body that tells when it was handed over to the connection.

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

/// The body, and who is to know that all of it was taken.
pub struct TrackedBody {
    rest: Bytes,
    sent: Arc<Notify>,
}

impl TrackedBody {
    /// A body; `sent` is notified with its last piece, which an empty body does not have.
    pub fn new(body: Bytes, sent: Arc<Notify>) -> TrackedBody {
        TrackedBody { rest: body, sent }
    }
}

impl Body for TrackedBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if self.rest.is_empty() {
            return Poll::Ready(None);
        }
        let length = self.rest.len().min(PIECE);
        let piece = self.rest.split_to(length);
        if self.rest.is_empty() {
            self.sent.notify_one();
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
