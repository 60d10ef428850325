//! Pulling: consumers ask for the events of a webhook over HTTP, where no request reaches them.
//!
//! Promises what a request promises: within a lane events are given in order, to one consumer at a time; what is not
//! acknowledged within its lease is given again; what fails too often is dead, and its lane goes on. A token opens one
//! webhook and no other. Any daemon may serve, active or standby: who has which lane is in `lshookd.lease`. Relies on
//! the planner's announcement of lanes, and on a session of its own.

mod consumer;
mod event;
mod lease;
mod problem;
mod request;
mod stream;
mod token;

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result};
use axum::Router;
use axum::routing::{get, post};
use rustls::ServerConfig;
use tokio::net::TcpListener;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep, sleep_until, timeout_at};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::config::{Pull, Settings};
use crate::health::fault::{self, Fault};
use crate::listener::{self, Limits};
use crate::metrics::Metrics;
use crate::model::WebhookId;
use crate::{label_studio, pg, tls};
use lease::Leases;
pub use token::Token;

/// Each waiting consumer holds a connection; a stream may last for hours, and is resumed where it ended.
const LIMITS: Limits =
    Limits { name: "listener of consumers", connections: 512, longest: Duration::from_secs(6 * 3600) };

/// How long a question to the database may take.
const QUERY_TIMEOUT: Duration = Duration::from_secs(20);

/// How often it is tried to listen, or to reach PostgreSQL, where that fails.
const AGAIN: Duration = Duration::from_secs(5);

/// Announcements that come within this time are answered together.
const GATHERING: Duration = Duration::from_millis(5);

/// How often somebody who waits looks without an announcement: leases end by themselves.
const LOOK: Duration = Duration::from_secs(1);

/// The URL of webhooks that are pulled from.
pub const URL: &str = "pull:";

/// What every request can look at.
struct Consumers {
    settings: Settings,
    metrics: Metrics,
    /// The daemon.
    name: Uuid,
    stop: CancellationToken,
    /// `None` while PostgreSQL is away.
    leases: Mutex<Option<Arc<Leases>>>,
    /// Who waits for events of which webhook.
    waiting: Mutex<HashMap<WebhookId, Arc<Notify>>>,
}

impl Consumers {
    /// The database, if it is there.
    fn leases(&self) -> Option<Arc<Leases>> {
        self.leases.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set_leases(&self, leases: Option<Arc<Leases>>) {
        *self.leases.lock().unwrap_or_else(PoisonError::into_inner) = leases;
    }

    fn waiting(&self) -> MutexGuard<'_, HashMap<WebhookId, Arc<Notify>>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What tells of new events of a webhook. Taken before one looks, it misses none.
    fn announcements(&self, webhook: WebhookId) -> Arc<Notify> {
        let mut waiting = self.waiting();
        // Those for which nobody waits any more.
        waiting.retain(|_, notify| Arc::strong_count(notify) > 1);
        Arc::clone(waiting.entry(webhook).or_default())
    }

    /// Waits for new events, or until it is time to look again.
    async fn wait(&self, announced: impl Future<Output = ()>, deadline: Instant) {
        tokio::select! {
            () = announced => {}
            () = sleep_until(deadline.min(Instant::now() + LOOK)) => {}
            () = self.stop.cancelled() => {}
        }
    }

    /// Keeps a session, and wakes who waits when something is announced.
    async fn keep_session(&self) {
        let mut failure: Option<String> = None;
        loop {
            let ended = self.announce().await;
            self.set_leases(None);
            let message = ended.err().map(|error| format!("{error:#}"));
            if failure != message {
                tracing::warn!(error = message, "consumers cannot be served while PostgreSQL is away");
            }
            failure = message;
            sleep(AGAIN).await;
        }
    }

    /// Wakes who waits until the session is lost.
    ///
    /// # Errors
    /// Why it was lost, or could not be opened.
    async fn announce(&self) -> Result<()> {
        let opening = async {
            let session = pg::connect(&self.settings.server).await?;
            label_studio::enter(&session.client, self.settings.label_studio_schema.as_deref()).await?;
            session.keep_plans().await?;
            session.client.batch_execute("listen lshookd_lane").await?;
            anyhow::Ok(session)
        };
        let pg::Session { client, statements, mut notifications } = ask(opening).await?;
        let leases = Arc::new(Leases::new(client, statements, &self.settings.pull));
        self.set_leases(Some(Arc::clone(&leases)));
        while notifications.recv().await.is_some() {
            let gathered = Instant::now() + GATHERING;
            while let Ok(Some(())) = timeout_at(gathered, notifications.recv()).await {}
            let waiting: Vec<WebhookId> = self.waiting().keys().copied().collect();
            if waiting.is_empty() {
                continue;
            }
            for webhook in ask(leases.awaited(&waiting)).await? {
                self.waiting().get(&webhook).inspect(|notify| notify.notify_waiters());
            }
        }
        anyhow::bail!("the connection to PostgreSQL was lost")
    }

    /// Listens, and serves until the daemon stops. Where it cannot listen it says so, in the log and to `check`, and
    /// retries.
    async fn listen(self: &Arc<Self>, address: SocketAddr) {
        listener::keep_listening(
            AGAIN,
            async |had_failed| self.listen_on(address, had_failed).await,
            |error| tracing::error!(error, "consumers cannot pull (setting pull_listen); deliveries go on"),
            async |error| self.note_fault(Some(error)).await,
        )
        .await;
    }

    /// Notes that nobody can pull, and why, or that it is over.
    async fn note_fault(&self, message: Option<&str>) {
        let Some(leases) = self.leases() else {
            return;
        };
        let noting = fault::note(leases.client(), self.name, Fault::PullListener, message);
        if let Err(error) = ask(noting).await {
            tracing::debug!(error = format!("{error:#}"), "the fault, or its end, is not noted");
        }
    }

    /// Listens, and says that it does where it `had_failed` before.
    ///
    /// # Errors
    /// When the address cannot be listened on, or the certificate cannot be used.
    async fn listen_on(self: &Arc<Self>, address: SocketAddr, had_failed: bool) -> Result<()> {
        let acceptor = acceptor(&self.settings.pull)?;
        let listener = TcpListener::bind(address).await.with_context(|| format!("listening on {address}"))?;
        if had_failed {
            self.note_fault(None).await;
        }
        tracing::info!(address = %listener.local_addr()?, tls = acceptor.is_some(), "listener of consumers started");
        let peer = |address: &SocketAddr| Some(*address);
        listener::serve(listener, peer, acceptor, routes(Arc::clone(self)), &LIMITS, self.stop.clone()).await;
        Ok(())
    }
}

/// A question to the database, which is not waited for without end.
async fn ask<T>(question: impl Future<Output = Result<T>>) -> Result<T> {
    pg::within(QUERY_TIMEOUT, question).await
}

/// Serves consumers until `stop`, if the settings say so; the daemon has this name.
pub async fn serve(settings: &Settings, metrics: &Metrics, name: Uuid, stop: &CancellationToken) {
    let Some(address) = settings.pull.listen else {
        return;
    };
    let consumers = Arc::new(Consumers {
        settings: settings.clone(),
        metrics: metrics.clone(),
        name,
        stop: stop.clone(),
        leases: Mutex::default(),
        waiting: Mutex::default(),
    });
    tokio::select! {
        () = consumers.listen(address) => {}
        () = consumers.keep_session() => {}
        () = stop.cancelled() => {}
    }
}

fn acceptor(settings: &Pull) -> Result<Option<TlsAcceptor>> {
    let Some((chain, key)) = &settings.identity else {
        return Ok(None);
    };
    let mut config = ServerConfig::builder_with_provider(tls::provider())
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(chain.clone(), key.clone_key())
        .context("using the certificate of the setting pull_certificate")?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Some(TlsAcceptor::from(Arc::new(config))))
}

fn routes(consumers: Arc<Consumers>) -> Router {
    Router::new()
        .route("/v1/webhooks/{id}/events", get(request::events))
        .route("/v1/webhooks/{id}/ack", post(request::acknowledge))
        .route("/v1/webhooks/{id}/nack", post(request::refuse))
        .route("/v1/webhooks/{id}/extend", post(request::extend))
        .route("/v1/webhooks/{id}/release", post(request::release))
        .route("/v1/webhooks/{id}/seek", post(request::seek))
        .route("/v1/webhooks/{id}/stream", get(stream::stream))
        .fallback(request::unknown_path)
        .with_state(consumers)
}
