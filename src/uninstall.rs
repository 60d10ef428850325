//! Uninstalling: adopted webhooks go back to Label Studio, then our schema goes, and with it
//! everything of ours, triggers included.

use anyhow::Result;

use crate::command::adopt::{give_back, listed};
use crate::database::Server;
use crate::install::{self, Fitness, with_patience};
use crate::label_studio;

/// Removes lshookd from the database; without `confirmed` only says what would be lost.
///
/// # Errors
/// When it is not confirmed, or a table stayed locked.
pub async fn run(server: &Server, schema: Option<&str>, confirmed: bool) -> Result<()> {
    let mut session = server.connect().await?;
    let client = &mut session.client;
    label_studio::enter(client, schema).await?;
    if !install::is_installed(client).await? {
        say!("lshookd is not installed in the {}; nothing to do.", server.display());
        return Ok(());
    }
    let losses = client.query_one(include_str!("../sql/install/uninstall_losses.sql"), &[]).await?;
    let losses = format!(
        "{} undelivered deliveries, {} dead ones, {} changes not yet planned, {} signing secrets, and the \
         record of {} attempts",
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
    if install::fitness(client).await? != Fitness::Outdated {
        let released = give_back(client, None).await?;
        if !released.is_empty() {
            say!("Label Studio delivers webhook {} again.", listed(&released));
        }
    }
    with_patience("drop schema lshookd", async || {
        let transaction = client.transaction().await?;
        // The triggers on Label Studio's tables go with their functions.
        transaction
            .batch_execute(
                "set local lock_timeout = '1s'; set local client_min_messages = warning; drop schema lshookd cascade",
            )
            .await?;
        transaction.commit().await
    })
    .await?;
    say!("lshookd is gone from the {}, and with it {losses}.", server.display());
    Ok(())
}
