//! The operator's commands: one file each, on a session of their own beside the daemon.
//!
//! Promises: what a command prints is a table or sentences for people and, with `--json`, JSON for
//! programs; nothing that people wrote into Label Studio reaches the terminal as an escape; URLs
//! are shown without credentials. Relies on an installation of this very version.

pub mod adopt;
pub mod backfill;
pub mod check;
pub mod deliveries;
pub mod extend;
pub mod listen;
pub mod output;
pub mod pause;
pub mod replay;
pub mod rules;
pub mod secret;
pub mod status;
pub mod subscribe;
pub mod subscriptions;
pub mod tail;
pub mod test;

use anyhow::Result;
use clap::Args;
use tokio_postgres::{Client, GenericClient};

use crate::failure::{Code, Failure};
use crate::install::{self, Fitness};
use crate::label_studio;
use crate::settings::Settings;
pub use output::Output;

/// Which webhooks a command is about.
#[derive(Debug, Args)]
pub struct Chosen {
    /// Webhooks, by their number in Label Studio
    #[arg(value_name = "ID", required_unless_present = "all")]
    ids: Vec<i64>,
    /// All of them
    #[arg(long, conflicts_with = "ids")]
    all: bool,
}

impl Chosen {
    /// All that there are.
    pub fn everything() -> Chosen {
        Chosen { ids: Vec::new(), all: true }
    }

    /// The ids; `None` for all.
    fn ids(&self) -> Option<&[i64]> {
        (!self.all).then_some(&self.ids)
    }

    /// The ids, if all of them are webhooks.
    async fn known(&self, client: &Client) -> Result<Option<&[i64]>> {
        if let Some(ids) = self.ids() {
            check_known(client, ids).await?;
        }
        Ok(self.ids())
    }
}

/// Connects, and makes sure that lshookd is installed in this database, in this version.
///
/// # Errors
/// When the database cannot be reached, is not Label Studio's, or has no such installation.
pub async fn connect(settings: &Settings) -> Result<Client> {
    let mut session = settings.server.connect().await?;
    label_studio::check_server_version(&session.client).await?;
    label_studio::enter(&session.client, settings.label_studio_schema.as_deref()).await?;
    match install::fitness(&mut session.client).await? {
        Fitness::Missing => {
            fail!(NotInstalled, "lshookd is not installed in this database; run `lshookd install` first")
        }
        Fitness::Outdated => {
            fail!(Version, "the installation is older than this lshookd; run `lshookd install` to upgrade it")
        }
        Fitness::Newer => fail!(Version, "the installation is newer than this lshookd; use the newer one"),
        Fitness::Complete | Fitness::Triggers(_) => Ok(session.client),
    }
}

/// Makes the lanes of some webhooks due at once, or with `None` those of all.
async fn wake_lanes(client: &impl GenericClient, ids: Option<&[i64]>) -> Result<()> {
    client.execute("select lshookd.wake_lanes($1::bigint[])", &[&ids]).await?;
    Ok(())
}

/// Refuses ids that are no webhooks.
async fn check_known(client: &Client, ids: &[i64]) -> Result<()> {
    let rows = client.query(include_str!("../sql/ops/unknown_webhooks.sql"), &[&ids]).await?;
    let unknown: Vec<String> = rows.iter().map(|row| row.get::<_, i64>("webhook_id").to_string()).collect();
    if !unknown.is_empty() {
        fail!(UnknownWebhook, "Label Studio has no webhook {}; `lshookd subscriptions` lists them", unknown.join(", "));
    }
    Ok(())
}

/// Says which right is lacking where Label Studio's own tables are written.
fn explain_write(error: tokio_postgres::Error) -> anyhow::Error {
    if error.code() == Some(&tokio_postgres::error::SqlState::INSUFFICIENT_PRIVILEGE) {
        return Failure::new(
            Code::Privileges,
            format!(
                "{}; run this command as Label Studio's role or as the owner that `lshookd install --print-roles` makes, \
                 and where Label Studio has new tables run again what that prints",
                crate::database::explain(&error)
            ),
        )
        .into();
    }
    if error.code() == Some(&tokio_postgres::error::SqlState::LOCK_NOT_AVAILABLE) {
        let what = "one of Label Studio's tables is in use by a long transaction; look for it in pg_stat_activity and run \
                    the command again";
        return Failure::new(Code::TableLocked, what.to_owned()).into();
    }
    anyhow::anyhow!(crate::database::explain(&error))
}

/// A URL without user, password and the values of its query, for people to see.
pub fn shown_url(text: &str) -> String {
    let Ok(mut url) = url::Url::parse(text) else {
        return "(no valid URL)".to_owned();
    };
    // These fail for URLs that cannot have a user at all.
    let _ = url.set_username("");
    let _ = url.set_password(None);
    let query = url.query().is_some();
    url.set_query(None);
    url.set_fragment(None);
    format!("{url}{}", if query { "?…" } else { "" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shown_url_holds_no_credentials() {
        assert_eq!(shown_url("https://user:hidden@host/path?token=hidden#hidden"), "https://host/path?…");
        assert_eq!(shown_url("http://host:8080/path"), "http://host:8080/path");
        assert!(!shown_url("user:hidden").contains("hidden") || !shown_url("user:hidden").contains('@'));
    }
}
