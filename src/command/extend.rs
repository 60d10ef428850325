//! `extend`: what a webhook receives beyond what Label Studio would send it.

use anyhow::Result;
use clap::Args;
use serde_json::json;
use tokio_postgres::GenericClient;

use super::{Output, check_known, explain_write};
use crate::event::Action;

/// What a webhook receives beyond Label Studio's own actions and payloads.
#[derive(Debug, Clone, Args)]
pub struct Extras {
    /// Show in deletions what was deleted, as it last was
    #[arg(long)]
    enrich_deletions: bool,
    /// Show in updates what was there before
    #[arg(long)]
    previous: bool,
    /// Send CloudEvents 1.0: attributes as headers (binary), or the event inside an envelope (structured)
    #[arg(long, value_name = "MODE", value_parser = ["binary", "structured"])]
    cloudevents: Option<String>,
}

/// A webhook that is extended.
#[derive(Debug, Args)]
pub struct Extend {
    /// The webhook, by its number in Label Studio
    #[arg(value_name = "ID")]
    subscription: i64,
    /// Actions that Label Studio does not have, separated by commas: exactly these, without any none
    #[arg(long, value_delimiter = ',', value_name = "ACTION")]
    actions: Vec<Action>,
    #[command(flatten)]
    extras: Extras,
}

/// Sets what a webhook receives beyond Label Studio's own.
///
/// # Errors
/// When there is no such webhook, an action is Label Studio's own, or a table of Label Studio's is
/// locked.
pub async fn run(client: &tokio_postgres::Client, wanted: &Extend, output: Output) -> Result<()> {
    let id = wanted.subscription;
    check_known(client, &[id]).await?;
    if let Some(action) = wanted.actions.iter().find(|action| action.is_label_studios()) {
        fail!(Choice, "{action} is Label Studio's own; choose it in Label Studio's webhook settings");
    }
    extend(client, id, &wanted.actions, &wanted.extras).await?;
    output.say(
        &match wanted.actions.as_slice() {
            [] => format!("Webhook {id} receives no actions beyond Label Studio's."),
            several => format!(
                "Webhook {id} receives {} beyond Label Studio's actions.",
                several.iter().map(|action| action.name()).collect::<Vec<_>>().join(", ")
            ),
        },
        &json!({ "id": id, "actions": wanted.actions.iter().map(|action| action.name()).collect::<Vec<_>>(),
                 "enrich_deletions": wanted.extras.enrich_deletions, "previous": wanted.extras.previous, "cloudevents": wanted.extras.cloudevents }),
    );
    Ok(())
}

/// Writes what a webhook receives beyond Label Studio's own, and so puts on the triggers that it takes.
///
/// # Errors
/// When a table of Label Studio's is locked, or the role may not.
pub async fn extend(client: &impl GenericClient, webhook: i64, actions: &[Action], extras: &Extras) -> Result<()> {
    let more: Vec<&str> =
        actions.iter().filter(|action| !action.is_label_studios()).map(|action| action.name()).collect();
    client
        .execute(
            include_str!("../../sql/ops/extend.sql"),
            &[&webhook, &more, &extras.enrich_deletions, &extras.previous, &extras.cloudevents],
        )
        .await
        .map_err(explain_write)?;
    Ok(())
}

impl Extras {
    /// Whether nothing is asked for.
    pub fn are_none(&self) -> bool {
        !self.enrich_deletions && !self.previous && self.cloudevents.is_none()
    }
}
