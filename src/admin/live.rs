//! What tells pages that there is a new board: server-sent events, one source for all who look.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures_util::{StreamExt, stream};

use super::Admin;

/// So many may look at once; for others the pages are as they were loaded.
const MAXIMUM: usize = 40;

/// A silent stream says so often that it is there.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// Tells each new board by the moment at which it was taken.
pub async fn stream(State(admin): State<Arc<Admin>>) -> Response {
    let boards = admin.boards.subscribe();
    if admin.boards.receiver_count() > MAXIMUM {
        return (StatusCode::SERVICE_UNAVAILABLE, "too many viewers\n").into_response();
    }
    let stop = admin.stop.clone();
    admin.somebody_looks();
    let told = stream::unfold(boards, async |mut boards| {
        boards.changed().await.ok()?;
        let taken_at = boards.borrow_and_update().as_ref().map(|board| board.taken_at.to_string());
        let event = Event::default().event("board").data(taken_at.unwrap_or_default());
        Some((Ok::<_, Infallible>(event), boards))
    });
    let told = told.take_until(async move { stop.cancelled().await });
    Sse::new(told).keep_alive(KeepAlive::new().interval(KEEP_ALIVE)).into_response()
}
