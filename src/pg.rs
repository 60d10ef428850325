//! Connections to Label Studio's database.
//!
//! Promises: a session that speaks UTC, finds Label Studio's tables by its `search_path` and
//! lshookd's own by their schema, is not ended by time-outs that the DBA set for others, and
//! is noticed by the server within seconds when this machine goes away. Relies on a direct
//! connection: LISTEN and advisory locks do not survive a pooler in transaction mode.

pub mod lock;
mod prepared;
pub mod role;
mod tls;

use std::future::poll_fn;
use std::time::Duration;

use anyhow::{Context, Result, anyhow};
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_postgres::config::{ChannelBinding, SslMode as WireSslMode};
use tokio_postgres::tls::MakeTlsConnect;
use tokio_postgres::{AsyncMessage, Client, Config, NoTls, SimpleQueryMessage, Socket};

use crate::config::{Server, SslMode};
use crate::error::{Code, Failure};
pub use prepared::{Prepared, Statements};

/// One connection, and the notifications that arrive on it.
pub struct Session {
    /// For queries; several may be in flight at once.
    pub client: Client,
    /// What is prepared on it.
    pub statements: Statements,
    /// One message per notification; closed when the connection is.
    pub notifications: mpsc::UnboundedReceiver<()>,
}

/// Connects, and readies the session.
///
/// # Errors
/// When the server cannot be reached, refuses the login, or its certificate does not hold.
pub async fn connect(server: &Server) -> Result<Session> {
    let mut config = server.config.clone();
    // Set as the connection is made, so that it is there if PostgreSQL itself was reached: a pooler between leaves it
    // out, or refuses it.
    let proof = uuid::Uuid::now_v7().simple().to_string();
    let options = server.config.get_options().map(|options| format!("{options} ")).unwrap_or_default();
    config
        .options(format!("{options}-c lshookd.connection={proof}"))
        .application_name("lshookd")
        .connect_timeout(Duration::from_secs(10))
        .keepalives_idle(Duration::from_secs(10))
        .keepalives_interval(Duration::from_secs(3))
        .keepalives_retries(3)
        .tcp_user_timeout(Duration::from_secs(20))
        .channel_binding(ChannelBinding::Prefer);
    let session = match tls::connector(&server.tls)? {
        None => open(config.ssl_mode(WireSslMode::Disable), NoTls).await,
        Some(connector) => {
            config.ssl_mode(match server.tls.mode {
                SslMode::Disable => WireSslMode::Disable,
                SslMode::Allow | SslMode::Prefer => WireSslMode::Prefer,
                SslMode::Require | SslMode::VerifyCa | SslMode::VerifyFull => WireSslMode::Require,
            });
            open(&config, connector).await
        }
    };
    if session.as_ref().is_err_and(|error| error.to_string().contains("unsupported startup parameter")) {
        return Err(pooled(server));
    }
    let session = session.with_context(|| {
        let name = server.display();
        let message = match &server.hint {
            Some(hint) => format!("cannot connect to the {name}; {hint}"),
            None => format!("cannot connect to the {name} (setting database_url, or postgre_host and its kin)"),
        };
        Failure::new(Code::Database, message)
    })?;
    // In PostgreSQL's simple protocol: the name of a prepared statement may be taken in a session that others used.
    let answer = session.client.simple_query("select pg_catalog.current_setting('lshookd.connection', true)").await;
    let arrived = answer.context("readying the database session")?.into_iter().find_map(|message| match message {
        SimpleQueryMessage::Row(row) => row.get(0).map(str::to_owned),
        _ => None,
    });
    if arrived.as_deref() != Some(proof.as_str()) {
        // Nothing was set yet: the pooled session is as Label Studio left it.
        return Err(pooled(server));
    }
    session
        .client
        .batch_execute(include_str!("../sql/pg/session.sql"))
        .await
        .context("readying the database session")?;
    Ok(session)
}

fn pooled(server: &Server) -> anyhow::Error {
    let message = format!(
        "the {} is reached through a connection pooler, which loses locks and notifications and would change the \
         sessions of others; point lshookd at PostgreSQL itself (Label Studio may keep the pooler)",
        server.display()
    );
    Failure::new(Code::Pooler, message).into()
}

impl Session {
    /// Plans the session's statements once and not each time. Plans get old: see
    /// [`Prepared::renew_plans`].
    ///
    /// # Errors
    /// When the connection is lost.
    pub async fn keep_plans(&self) -> Result<()> {
        let steady = self.client.batch_execute(include_str!("../sql/pg/steady_plans.sql")).await;
        steady.context("readying the database session")
    }
}

async fn open<T>(config: &Config, tls: T) -> Result<Session>
where
    T: MakeTlsConnect<Socket> + Send + 'static,
    T::Stream: Send + 'static,
{
    let (client, mut connection) = config.connect(tls).await.map_err(|error| anyhow!(explain(&error)))?;
    let (sender, notifications) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        loop {
            match poll_fn(|context| connection.poll_message(context)).await {
                Some(Ok(AsyncMessage::Notification(_))) => {
                    // Nobody listens on this session: the notification is of no use.
                    let _ = sender.send(());
                }
                Some(Ok(AsyncMessage::Notice(notice))) => {
                    tracing::debug!(notice = %notice.message(), "PostgreSQL notice")
                }
                Some(Ok(_)) => {}
                Some(Err(error)) => {
                    tracing::debug!(error = explain(&error), "database connection lost");
                    break;
                }
                None => break,
            }
        }
    });
    Ok(Session { client, statements: Statements::default(), notifications })
}

/// What PostgreSQL answers, if it does so within a time.
///
/// # Errors
/// When it does not, or the question fails.
pub async fn within<T>(limit: Duration, question: impl Future<Output = Result<T>>) -> Result<T> {
    timeout(limit, question).await.context("PostgreSQL is silent").flatten()
}

/// An error with all its causes in one line; PostgreSQL's own message and hint where it spoke.
pub fn explain(error: &tokio_postgres::Error) -> String {
    if let Some(said) = error.as_db_error() {
        let hint = said.hint().map(|hint| format!(" ({hint})")).unwrap_or_default();
        return format!("{}{hint}", said.message());
    }
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        let more = tls::explanation(error).unwrap_or_else(|| error.to_string());
        if !text.contains(&more) {
            text = format!("{text}: {more}");
        }
        cause = error.source();
    }
    text
}
