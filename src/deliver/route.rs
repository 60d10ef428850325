//! The way of a request: the connection that it went over, and where its time went.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// So much of what an endpoint says is kept as it was said, in case that it cannot be read as HTTP.
const HEARD: usize = 64 * 1024;

/// What is recorded of the way of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    /// The endpoint's address.
    pub address: SocketAddr,
    /// `HTTP/1.1`, `HTTP/2` or the like.
    pub protocol: &'static str,
    /// How long it took to open the connection; `None`: it was there already.
    pub opening: Option<Opening>,
    /// From there to the head of the answer, if there was one.
    pub answer: Option<Duration>,
}

/// How long the parts of opening a connection took.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Opening {
    /// To resolve the name.
    pub dns: Duration,
    /// Until an address accepted.
    pub tcp: Duration,
    /// The TLS handshake; `None` without TLS.
    pub tls: Option<Duration>,
}

/// A connection to an endpoint, as its requests see it.
#[derive(Debug)]
pub struct Link {
    address: SocketAddr,
    opening: Opening,
    opened_at: Instant,
    is_http2: bool,
    requests: AtomicUsize,
    /// Milliseconds from `opened_at` until something was last read or written.
    active_at: AtomicU64,
    heard: Mutex<Heard>,
}

#[derive(Debug, Default)]
struct Heard {
    answered: bool,
    bytes: Vec<u8>,
}

impl Link {
    /// A connection that was opened just now.
    pub fn new(address: SocketAddr, opening: Opening, is_http2: bool) -> Link {
        Link {
            address,
            opening,
            opened_at: Instant::now(),
            is_http2,
            requests: AtomicUsize::new(0),
            active_at: AtomicU64::new(0),
            heard: Mutex::default(),
        }
    }

    /// A request went over it. Whether it was not the first.
    pub fn used(&self) -> bool {
        self.requests.fetch_add(1, Ordering::Relaxed) > 0
    }

    /// The way of a request that was answered after this time, if it was.
    pub fn route(&self, was_reused: bool, answered: Option<Duration>) -> Route {
        let Opening { dns, tcp, tls } = self.opening;
        let opening = if was_reused { Duration::ZERO } else { dns + tcp + tls.unwrap_or_default() };
        Route {
            address: self.address,
            protocol: if self.is_http2 { "HTTP/2" } else { "HTTP/1.1" },
            opening: (!was_reused).then_some(self.opening),
            answer: answered.map(|answered| answered.saturating_sub(opening)),
        }
    }

    /// When something was last read or written.
    pub fn active_at(&self) -> Instant {
        self.opened_at + Duration::from_millis(self.active_at.load(Ordering::Relaxed))
    }

    /// These bytes were read.
    pub fn read(&self, bytes: &[u8]) {
        self.touch();
        if self.is_http2 {
            return;
        }
        let mut heard = self.heard();
        if !heard.answered {
            let room = HEARD.saturating_sub(heard.bytes.len());
            heard.bytes.extend_from_slice(&bytes[..bytes.len().min(room)]);
        }
    }

    /// Something was written: after an answer it is the next request.
    pub fn wrote(&self) {
        self.touch();
        let mut heard = self.heard();
        if heard.answered {
            *heard = Heard::default();
        }
    }

    /// The head of an answer was understood; what was heard of it need not be kept.
    pub fn understood(&self) {
        *self.heard() = Heard { answered: true, bytes: Vec::new() };
    }

    /// What was said since the request began, up to a bound.
    pub fn take_heard(&self) -> Vec<u8> {
        std::mem::take(&mut self.heard().bytes)
    }

    fn touch(&self) {
        let elapsed = u64::try_from(self.opened_at.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.active_at.store(elapsed, Ordering::Relaxed);
    }

    fn heard(&self) -> std::sync::MutexGuard<'_, Heard> {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
