//! The admin listener: metrics, health, and the console, for those who look after the daemon.
//!
//! Promises: it listens on the loopback interface unless the operator says otherwise, and to
//! others it answers only who knows the password or comes through the operator's own proxy; it
//! changes nothing unless `admin_write` is set; no request of another site's page gets through;
//! deliveries go on whether it can listen or not. Relies on a session of its own, opened when
//! somebody looks.

mod access;
mod board;
mod console;
mod live;
mod metrics;
mod password;
mod session;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use tokio::sync::{Notify, watch};
use tokio::time::{sleep, timeout};
use tokio_postgres::Client;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::config::{Listen, Settings};
use crate::health::Service;
use crate::health::fault::{self, Fault};
use crate::listener::{self, Limits};
use crate::metrics::Metrics;
use crate::model::WebhookId;
use crate::ops::status::{self, Status};
use crate::ops::{connect, webhook};
use crate::pg;
use access::{Guesses, Tokens};
use board::{BOUND, Board, Sampler};
pub use password::hash;
use session::Sessions;

/// A few people and a scraper.
const LIMITS: Limits = Limits { name: "admin listener", connections: 64, longest: Duration::from_secs(120) };

/// How long a question to the database may take.
const QUERY_TIMEOUT: Duration = Duration::from_secs(20);

/// How often it is tried to listen where that fails.
const LISTEN_INTERVAL: Duration = Duration::from_secs(10);

/// How often there is a new board: while somebody looks, unless taking it takes long, and while nobody does.
const WATCHED: Duration = Duration::from_secs(2);
const UNWATCHED: Duration = Duration::from_secs(60);
/// Taking boards may take so much of the time.
const SHARE: u32 = 10;

/// Somebody who loaded a page looks at it for so long.
const LOOK: Duration = Duration::from_secs(30);

/// A board that is older is taken anew before it is shown, as far as somebody waits for it.
const FRESH: Duration = Duration::from_secs(1);
const BOARD_TIMEOUT: Duration = Duration::from_millis(80);

/// What every request can look at.
struct Admin {
    settings: Settings,
    metrics: Metrics,
    service: Arc<Service>,
    tokens: Tokens,
    guesses: Guesses,
    sessions: Sessions,
    session: tokio::sync::Mutex<Option<Arc<Client>>>,
    sampler: tokio::sync::Mutex<Sampler>,
    boards: watch::Sender<Option<Arc<Board>>>,
    /// When somebody looked last, and that somebody does.
    looked_at: Mutex<Option<Instant>>,
    looks: Notify,
    stop: CancellationToken,
}

impl Admin {
    /// The session, opened anew where it is gone.
    async fn client(&self) -> Result<Arc<Client>> {
        let mut session = self.session.lock().await;
        // That it is gone is known when it is used.
        if let Some(client) = session.as_ref().filter(|client| !client.is_closed())
            && pg::within(QUERY_TIMEOUT, async { Ok(client.simple_query("").await?) }).await.is_ok()
        {
            return Ok(Arc::clone(client));
        }
        let client = Arc::new(pg::within(QUERY_TIMEOUT, connect(&self.settings)).await?);
        *session = Some(Arc::clone(&client));
        Ok(client)
    }

    /// Asks the database something.
    async fn ask<T>(&self, question: impl AsyncFnOnce(&Client) -> Result<T>) -> Result<T> {
        let client = self.client().await?;
        pg::within(QUERY_TIMEOUT, question(&client)).await
    }

    /// What `lshookd status` shows.
    async fn status(&self) -> Result<Status> {
        self.ask(async |client| status::read(client).await).await
    }

    /// Whether people log in by a password.
    fn has_login(&self) -> bool {
        let settings = &self.settings.admin;
        settings.password.is_some() || settings.viewer_password.is_some()
    }

    /// Somebody looks, so that boards are taken more often.
    fn somebody_looks(&self) {
        *self.looked_at.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
        self.looks.notify_one();
    }

    fn is_watched(&self) -> bool {
        let looked_at = *self.looked_at.lock().unwrap_or_else(PoisonError::into_inner);
        self.boards.receiver_count() > 0 || looked_at.is_some_and(|at| at.elapsed() < LOOK)
    }

    /// The board for somebody who looks: of this moment, or where taking one takes long the latest.
    async fn board(self: &Arc<Self>) -> Result<Arc<Board>> {
        self.somebody_looks();
        let latest = self.boards.borrow().clone();
        if let Some(board) = latest.as_ref().filter(|board| board.age() < FRESH.max(board.took * SHARE)) {
            return Ok(Arc::clone(board));
        }
        // It is taken to its end, whether this waits for it or not.
        let own = Arc::clone(self);
        let taking = tokio::spawn(async move { own.take_board(FRESH).await });
        match latest {
            None => taking.await?,
            Some(latest) => match timeout(BOARD_TIMEOUT, taking).await {
                Ok(taken) => taken?,
                Err(_) => Ok(latest),
            },
        }
    }

    /// Takes a board, unless somebody has while this waited for its turn.
    async fn take_board(&self, fresh: Duration) -> Result<Arc<Board>> {
        let mut sampler = self.sampler.lock().await;
        if let Some(board) = self.boards.borrow().clone().filter(|board| board.age() < fresh) {
            return Ok(board);
        }
        let board = Arc::new(self.ask(async |client| sampler.take(client).await).await?);
        self.boards.send_replace(Some(Arc::clone(&board)));
        Ok(board)
    }

    /// Shows at once what was done to a webhook.
    async fn renew(&self, id: WebhookId) {
        let _turn = self.sampler.lock().await;
        let renewed = self.ask(async |client| webhook::list(client, Some(&[id]), Some(BOUND + 1)).await).await;
        let Some(latest) = self.boards.borrow().clone() else { return };
        match renewed {
            Ok(mut renewed) => {
                self.boards.send_replace(Some(Arc::new(latest.with(id, renewed.pop()))));
            }
            Err(error) => tracing::debug!(error = format!("{error:#}"), "the board is not renewed"),
        }
    }

    /// Keeps the board up.
    async fn keep_board(&self) {
        loop {
            let took = match self.take_board(Duration::ZERO).await {
                Ok(board) => board.took,
                Err(error) => {
                    tracing::debug!(error = format!("{error:#}"), "no board could be taken");
                    Duration::ZERO
                }
            };
            let taken = Instant::now();
            loop {
                let pause = if self.is_watched() { WATCHED.max(took * SHARE) } else { UNWATCHED };
                let rest = pause.saturating_sub(taken.elapsed());
                if rest.is_zero() {
                    break;
                }
                tokio::select! {
                    () = sleep(rest) => {}
                    () = self.looks.notified() => {}
                }
            }
        }
    }

    /// Lets `check` know that nobody can look here, and why, or that it is over.
    async fn note_fault(&self, daemon: Uuid, message: Option<&str>) {
        let noting = self.ask(async |client| fault::note(client, daemon, Fault::AdminListener, message).await);
        if let Err(error) = noting.await {
            tracing::debug!(error = format!("{error:#}"), "the fault, or its end, is not noted");
        }
    }
}

/// Serves until `stop`. Where it cannot listen it says so, in the log and to `check`, and retries: the daemon named
/// goes on without.
pub async fn serve(
    settings: &Settings,
    metrics: &Metrics,
    (service, daemon): (&Arc<Service>, Uuid),
    stop: &CancellationToken,
) {
    let listen = settings.admin.listen.clone();
    if listen == Listen::Off {
        return;
    }
    let admin = Arc::new(Admin {
        settings: settings.clone(),
        metrics: metrics.clone(),
        service: Arc::clone(service),
        tokens: Tokens::new(),
        guesses: Guesses::default(),
        sessions: Sessions::default(),
        session: tokio::sync::Mutex::default(),
        sampler: tokio::sync::Mutex::default(),
        boards: watch::Sender::default(),
        looked_at: Mutex::default(),
        looks: Notify::new(),
        stop: stop.clone(),
    });
    let listening = listener::keep_listening(
        LISTEN_INTERVAL,
        async |had_failed| listen_on(&admin, daemon, had_failed, stop).await,
        |error| tracing::error!(error, "no metrics and no console (setting admin_listen); deliveries go on"),
        async |error| admin.note_fault(daemon, Some(error)).await,
    );
    tokio::select! {
        () = listening => {}
        () = admin.keep_board() => {}
        () = stop.cancelled() => {}
    }
    if let Listen::Unix(path) = &listen {
        let _ = std::fs::remove_file(path);
    }
}

/// Listens, and serves until `stop`; says that it does where it `had_failed` before.
///
/// # Errors
/// When the address cannot be listened on.
async fn listen_on(admin: &Arc<Admin>, daemon: Uuid, had_failed: bool, stop: &CancellationToken) -> Result<()> {
    let (stopped, routes) = (stop.clone(), routes(Arc::clone(admin)));
    let listen = &admin.settings.admin.listen;
    match listen {
        Listen::Off => {}
        Listen::Tcp(address) => {
            let listener =
                tokio::net::TcpListener::bind(address).await.with_context(|| format!("listening on {address}"))?;
            tracing::info!(address = %listener.local_addr()?, "admin listener started");
            if had_failed {
                admin.note_fault(daemon, None).await;
            }
            listener::serve(listener, |_| None, None, routes, &LIMITS, stopped).await;
        }
        Listen::Unix(path) => {
            // What a daemon left behind that was killed.
            let _ = std::fs::remove_file(path);
            let listener =
                tokio::net::UnixListener::bind(path).with_context(|| format!("listening on {}", path.display()))?;
            tracing::info!(socket = %path.display(), "admin listener started");
            if had_failed {
                admin.note_fault(daemon, None).await;
            }
            listener::serve(listener, |_| None, None, routes, &LIMITS, stopped).await;
        }
    }
    Ok(())
}

fn routes(admin: Arc<Admin>) -> Router {
    let guarded = Router::new()
        .route("/metrics", get(metrics::show))
        .merge(console::guarded())
        .route_layer(axum::middleware::from_fn_with_state(Arc::clone(&admin), access::guard_writing))
        // Whoever may look may leave.
        .merge(console::leaving())
        .route_layer(axum::middleware::from_fn_with_state(Arc::clone(&admin), access::guard));
    let pages = guarded
        .merge(console::open())
        .route_layer(axum::middleware::from_fn_with_state(Arc::clone(&admin), access::protect));
    Router::new()
        .route("/healthz", get(async || "alive\n"))
        .route("/readyz", get(readiness))
        .merge(pages)
        .with_state(admin)
}

/// Whether it is active or standby, with sessions in the database.
async fn readiness(State(admin): State<Arc<Admin>>) -> Response {
    match admin.service.is_ready_now() {
        true => "ready\n".into_response(),
        false => {
            (StatusCode::SERVICE_UNAVAILABLE, "PostgreSQL is away, or this daemon has just begun\n").into_response()
        }
    }
}
