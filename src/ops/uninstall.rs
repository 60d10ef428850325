//! Uninstalling: adopted webhooks go back to Label Studio, then our schema is dropped, and with it everything of ours,
//! triggers included.

use anyhow::Result;

use super::adoption::release;
use super::listed;
use crate::config::Server;
use crate::label_studio;
use crate::pg;
use crate::schema::install::{self, InstallState, with_retries};

/// Removes lshookd from the database; without `confirmed` only says what would be lost. What it does, `tell` is told
/// sentence by sentence.
///
/// # Errors
/// When it is not confirmed, or a table stayed locked.
pub async fn uninstall(server: &Server, schema: Option<&str>, confirmed: bool, tell: impl Fn(&str)) -> Result<()> {
    let mut session = pg::connect(server).await?;
    let client = &mut session.client;
    label_studio::enter(client, schema).await?;
    if !install::is_installed(client).await? {
        tell(&format!("lshookd is not installed in the {}; nothing to do.", server.display()));
        return Ok(());
    }
    let losses = client.query_one(include_str!("../../sql/install/uninstall_losses.sql"), &[]).await?;
    let losses = format!(
        "{} pending deliveries, {} dead ones, {} unplanned changes, {} signing secrets, and the record of {} attempts",
        losses.get::<_, i64>("pending"),
        losses.get::<_, i64>("dead"),
        losses.get::<_, i64>("changes"),
        losses.get::<_, i64>("secrets"),
        losses.get::<_, i64>("attempts"),
    );
    if !confirmed {
        fail!(WouldLose, "uninstalling would lose {losses}; nothing was changed; add --yes to go ahead");
    }
    // An older installation has adopted nothing.
    if install::state(client).await? != InstallState::Outdated {
        let released = release(client, None).await?;
        if !released.is_empty() {
            tell(&format!("Label Studio delivers webhook {} again.", listed(&released)));
        }
    }
    let drop = async || {
        let transaction = client.transaction().await?;
        // The triggers on Label Studio's tables go with their functions.
        transaction
            .batch_execute(
                "set local lock_timeout = '1s'; set local client_min_messages = warning; drop schema lshookd cascade",
            )
            .await?;
        transaction.commit().await
    };
    with_retries("drop schema lshookd", &tell, drop).await?;
    tell(&format!("lshookd is uninstalled from the {}, and with it are deleted {losses}.", server.display()));
    Ok(())
}
