//! `subscribe` and `unsubscribe`: webhooks as Label Studio itself would write them.

use std::path::PathBuf;

use anyhow::{Context, Result};
use clap::Args;
use serde_json::{Map, Value, json};
use tokio_postgres::Client;
use url::Url;

use super::adopt::listed;
use super::extend::{Extras, extend};
use super::{Output, check_known, explain_write, wake_lanes};
use crate::event::Action;
use crate::retention;

/// A new subscription.
#[derive(Debug, Args)]
pub struct Subscribe {
    /// Where to post, an http or https URL; or a subject of NATS JetStream, nats://HOST:PORT/SUBJECT
    url: Url,
    /// A project's; without, the webhook is the organization's and hears of every project
    #[arg(long, value_name = "ID")]
    project: Option<i64>,
    /// The organization, where there are several
    #[arg(long, value_name = "ID", conflicts_with = "project")]
    organization: Option<i64>,
    /// Actions to send, separated by commas; without, all of Label Studio's
    #[arg(long, value_delimiter = ',', value_name = "ACTION")]
    actions: Vec<Action>,
    /// File of headers to send along, `Name: value` in each line
    #[arg(long, value_name = "FILE")]
    headers_file: Option<PathBuf>,
    #[command(flatten)]
    extras: Extras,
    /// Send the action's name alone
    #[arg(long)]
    no_payload: bool,
    /// Leave it to Label Studio, too: the webhook is active there, and each delivers every event
    #[arg(long)]
    beside_label_studio: bool,
}

/// Makes a webhook.
///
/// # Errors
/// When the URL, the headers or the project cannot be used, or Label Studio's tables may not be written.
pub async fn subscribe(client: &mut Client, wanted: &Subscribe, output: Output) -> Result<()> {
    if !matches!(wanted.url.scheme(), "http" | "https" | "nats") {
        fail!(Choice, "the URL has the scheme {:?}; only http, https and nats are served", wanted.url.scheme());
    }
    if wanted.url.scheme() == "nats" && wanted.beside_label_studio {
        fail!(Choice, "Label Studio itself cannot post to NATS; leave out --beside-label-studio");
    }
    if wanted.project.is_some()
        && let Some(action) = wanted.actions.iter().find(|action| action.organization_only())
    {
        fail!(Choice, "{action} goes to webhooks of the organization alone; leave out --project");
    }
    let organization = organization(client, wanted).await?;
    let headers = match &wanted.headers_file {
        None => Map::new(),
        Some(path) => {
            let text = std::fs::read_to_string(path).with_context(|| format!("reading {}", path.display()))?;
            parse_headers(&text)?
        }
    };
    let label_studios = wanted.actions.iter().filter(|action| action.is_label_studios());
    let actions: Option<Vec<&str>> =
        (!wanted.actions.is_empty()).then(|| label_studios.map(|action| action.name()).collect());
    let transaction = client.transaction().await?;
    let row = transaction
        .query_one(
            include_str!("../../sql/ops/subscribe.sql"),
            &[
                &organization,
                &wanted.project,
                &wanted.url.as_str(),
                &!wanted.no_payload,
                &actions,
                &Value::Object(headers),
                &wanted.beside_label_studio,
            ],
        )
        .await
        .map_err(explain_write)?;
    let id: i64 = row.get("id");
    transaction.execute(include_str!("../../sql/queue/ensure_secrets.sql"), &[&vec![id]]).await?;
    if !wanted.extras.are_none() || wanted.actions.iter().any(|action| !action.is_label_studios()) {
        extend(&transaction, id, &wanted.actions, &wanted.extras).await?;
    }
    transaction.commit().await?;
    output.say(
        &format!("Webhook {id} is made; `lshookd secret {id}` shows what its requests are signed with."),
        &json!({ "id": id }),
    );
    Ok(())
}

async fn organization(client: &Client, wanted: &Subscribe) -> Result<i64> {
    if let Some(organization) = wanted.organization {
        return Ok(organization);
    }
    let rows = client.query(include_str!("../../sql/ops/organization.sql"), &[&wanted.project]).await?;
    match (rows.as_slice(), wanted.project) {
        ([only], _) => Ok(only.get("id")),
        ([], Some(project)) => fail!(UnknownProject, "Label Studio has no project {project}"),
        ([], None) => fail!(UnknownProject, "Label Studio has no organization yet"),
        (several, _) => fail!(
            Choice,
            "Label Studio has {} organizations; name one by --organization, of {}",
            several.len(),
            several.iter().map(|row| row.get::<_, i64>("id").to_string()).collect::<Vec<_>>().join(", ")
        ),
    }
}

/// `Name: value` lines, by Label Studio's own rule: at most ten, of letters, digits, `-` and `_`.
fn parse_headers(text: &str) -> Result<Map<String, Value>> {
    let mut headers = Map::new();
    for (number, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        // The line itself may hold a secret.
        let (name, value) =
            line.split_once(':').with_context(|| format!("line {}: expected Name: value", number + 1))?;
        let name = name.trim();
        if name.is_empty() || !name.chars().all(|each| each.is_ascii_alphanumeric() || "-_".contains(each)) {
            fail!(Choice, "line {}: a header's name is made of letters, digits, - and _", number + 1);
        }
        headers.insert(name.to_owned(), json!(value.trim()));
    }
    if headers.len() > 10 {
        fail!(Choice, "Label Studio allows ten headers, not {}", headers.len());
    }
    Ok(headers)
}

/// Deletes webhooks; what waits for them is cancelled.
///
/// # Errors
/// When one is unknown, deliveries wait and this was not confirmed, or Label Studio's tables may
/// not be written.
pub async fn unsubscribe(client: &mut Client, ids: &[i64], confirmed: bool, output: Output) -> Result<()> {
    check_known(client, ids).await?;
    let pending: i64 = client.query_one(include_str!("../../sql/ops/pending_of.sql"), &[&ids]).await?.get("pending");
    if pending > 0 && !confirmed {
        fail!(
            WouldLose,
            "{pending} deliveries wait for webhook {} and would be cancelled; add --yes to go ahead",
            listed(ids)
        );
    }
    let transaction = client.transaction().await?;
    transaction.query(include_str!("../../sql/ops/unsubscribe.sql"), &[&ids]).await.map_err(explain_write)?;
    retention::forget_webhooks(&transaction).await?;
    wake_lanes(&transaction, Some(ids)).await?;
    transaction.commit().await?;
    output.say(
        &format!("Webhook {} is deleted; {pending} deliveries that waited are cancelled.", listed(ids)),
        &json!({ "deleted": ids, "cancelled": pending }),
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_are_read_line_by_line_and_never_shown() {
        let headers = parse_headers("Authorization: Bearer hidden\n\nX-A:b\n").unwrap();
        assert_eq!(headers["Authorization"], "Bearer hidden");
        assert_eq!(headers["X-A"], "b");
        for wrong in ["hidden", "hid den: 1", ": hidden"] {
            let error = format!("{:#}", parse_headers(wrong).unwrap_err());
            assert!(error.contains("line 1") && !error.contains("hidden"), "{error}");
        }
    }
}
