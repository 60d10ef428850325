//! The admin listener: metrics, health, and a page, for those who look after the daemon.
//!
//! Promises: it listens on the loopback interface unless the operator says otherwise, and to
//! others it answers only who knows the password or comes through the operator's own proxy; it
//! changes nothing unless `admin_write` is set; no request of another site's page gets through;
//! deliveries go on whether it can listen or not. Relies on a session of its own, opened when
//! somebody looks.

mod access;
mod metrics;
mod page;

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result};
use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use jiff::Timestamp;
use tokio::time::sleep;
use tokio_postgres::Client;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::config::{Listen, Settings};
use crate::health::Service;
use crate::health::fault::{self, Fault};
use crate::listener::{self, Limits};
use crate::metrics::Metrics;
use crate::ops::connect;
use crate::ops::status::{self, Status};
use crate::pg;
use access::{Guesses, Token};

/// A few people and a scraper.
const LIMITS: Limits = Limits { name: "admin listener", connections: 64, longest: Duration::from_secs(120) };

/// How long a question to the database may take.
const QUERY_TIMEOUT: Duration = Duration::from_secs(20);

/// How often it is tried to listen where that fails.
const LISTEN_INTERVAL: Duration = Duration::from_secs(10);

/// How often the backlog is noted, and how many notes are kept.
const NOTE_INTERVAL: Duration = Duration::from_secs(60);
const MAXIMUM_NOTES: usize = 24 * 60;

/// What every request can look at.
struct Admin {
    settings: Settings,
    metrics: Metrics,
    service: Arc<Service>,
    token: Token,
    guesses: Guesses,
    session: tokio::sync::Mutex<Option<Arc<Client>>>,
    backlog: Mutex<VecDeque<(Timestamp, i64)>>,
}

impl Admin {
    /// The session, opened anew where it is gone.
    async fn client(&self) -> Result<Arc<Client>> {
        let mut session = self.session.lock().await;
        if let Some(client) = session.as_ref().filter(|client| !client.is_closed()) {
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

    /// Lets `check` know that nobody can look here, and why, or that it is over.
    async fn note_fault(&self, daemon: Uuid, message: Option<&str>) {
        let noting = self.ask(async |client| fault::note(client, daemon, Fault::AdminListener, message).await);
        if let Err(error) = noting.await {
            tracing::debug!(error = format!("{error:#}"), "the fault, or its end, is not noted");
        }
    }

    fn note_backlog(&self, status: &Status) {
        let mut backlog = self.backlog.lock().unwrap_or_else(PoisonError::into_inner);
        backlog.push_back((Timestamp::now(), status.deliveries_pending));
        if backlog.len() > MAXIMUM_NOTES {
            backlog.pop_front();
        }
    }
}

/// An error that becomes an answer.
struct Failure(anyhow::Error);

impl<E: Into<anyhow::Error>> From<E> for Failure {
    fn from(error: E) -> Failure {
        Failure(error.into())
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        tracing::warn!(error = format!("{:#}", self.0), "a request to the admin listener failed");
        // What PostgreSQL says of it is for the log.
        (StatusCode::SERVICE_UNAVAILABLE, "the database could not be asked; see the log\n").into_response()
    }
}

/// Serves until `stop`. Where it cannot listen it says so, in the log and to `check`, and tries again: the daemon named
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
        token: Token::new(),
        guesses: Guesses::default(),
        session: tokio::sync::Mutex::default(),
        backlog: Mutex::default(),
    });
    let listening = listener::keep_listening(
        LISTEN_INTERVAL,
        async |had_failed| listen_on(&admin, daemon, had_failed, stop).await,
        |error| tracing::error!(error, "no metrics and no page (setting admin_listen); deliveries go on"),
        async |error| admin.note_fault(daemon, Some(error)).await,
    );
    tokio::select! {
        () = listening => {}
        () = note(&admin) => {}
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

/// Notes the backlog every minute.
async fn note(admin: &Admin) {
    loop {
        match admin.status().await {
            Ok(status) => admin.note_backlog(&status),
            Err(error) => tracing::debug!(error = format!("{error:#}"), "the backlog could not be noted"),
        }
        sleep(NOTE_INTERVAL).await;
    }
}

fn routes(admin: Arc<Admin>) -> Router {
    let guarded = Router::new()
        .route("/metrics", get(metrics::show))
        .route("/", get(page::overview))
        .route("/deliveries", get(page::deliveries))
        .route("/deliveries/{id}", get(page::delivery))
        .route("/style.css", get(page::style))
        .route("/page.js", get(page::script))
        .route("/deliveries/{id}/{transition}", post(page::transition))
        .route("/webhooks/{id}/{action}", post(page::act))
        .route_layer(axum::middleware::from_fn_with_state(Arc::clone(&admin), access::guard));
    Router::new()
        .route("/healthz", get(async || "alive\n"))
        .route("/readyz", get(readiness))
        .merge(guarded)
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
