//! Changes of webhooks: created, updated and deleted as Label Studio itself would write them.

use anyhow::Result;
use serde_json::{Map, Value};
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, GenericClient};
use url::Url;

use super::adoption::write_adoption;
use super::webhook_option::{DeliveryChoice, PayloadChoice, set_delivery_options, set_payload_options};
use super::{check_known, check_project, explain_write, token, wake_lanes};
use crate::model::{Action, WebhookId};
use crate::pull::{self, Token};
use crate::retention;

/// A webhook to create.
#[derive(Debug, Clone)]
pub struct NewWebhook {
    /// Where its events go.
    pub url: Url,
    /// Its project; without, it belongs to the organization.
    pub project: Option<i64>,
    /// Its organization, where there are several.
    pub organization: Option<i64>,
    /// What it receives, Label Studio's own and additional actions; none: all of Label Studio's.
    pub actions: Vec<Action>,
    /// Headers of its requests.
    pub headers: Map<String, Value>,
    /// Whether it receives objects, or the action's name alone.
    pub send_payload: bool,
    /// How it wants its events.
    pub payload: PayloadChoice,
    /// How its requests are made.
    pub delivery: DeliveryChoice,
    /// Whether Label Studio delivers it, too.
    pub beside_label_studio: bool,
}

/// A webhook that was created.
pub struct Created {
    /// `webhook.id`
    pub id: WebhookId,
    /// The token of one that consumers pull from. It is not shown again.
    pub token: Option<Token>,
}

/// Creates a webhook.
///
/// # Errors
/// When the URL or the project cannot be used, or Label Studio's tables may not be written.
pub async fn create(client: &mut Client, new: &NewWebhook) -> Result<Created> {
    check_url(&new.url)?;
    if !matches!(new.url.scheme(), "http" | "https") && new.beside_label_studio {
        fail!(Choice, "Label Studio itself posts to http and https alone; leave out --beside-label-studio");
    }
    let is_pulled = new.url.as_str() == pull::URL;
    if is_pulled && !(new.headers.is_empty() && new.delivery.is_empty()) {
        fail!(Choice, "no requests are made to a webhook that consumers pull from; leave out headers and timeouts");
    }
    check_scope(&new.actions, new.project.is_some())?;
    let organization = organization(client, new).await?;
    let actions: Option<Vec<&str>> = (!new.actions.is_empty()).then(|| names(&new.actions, true));
    let transaction = client.transaction().await?;
    let row = transaction
        .query_one(
            include_str!("../../sql/ops/create_webhook.sql"),
            &[
                &organization,
                &new.project,
                &new.url.as_str(),
                &new.send_payload,
                &actions,
                &Value::Object(new.headers.clone()),
                &new.beside_label_studio,
            ],
        )
        .await
        .map_err(explain_write)?;
    let id: WebhookId = row.get("id");
    if new.beside_label_studio {
        transaction.execute(include_str!("../../sql/ops/leave_beside.sql"), &[&id]).await.map_err(explain_write)?;
        let activate = "select lshookd.update_webhook($1::bigint, null, null, null, null, null, true)";
        transaction.execute(activate, &[&id]).await.map_err(explain_write)?;
    }
    transaction.execute(include_str!("../../sql/queue/ensure_secrets.sql"), &[&vec![id]]).await?;
    let additional = names(&new.actions, false);
    if !additional.is_empty() {
        choose_actions(&transaction, id, &additional).await?;
    }
    set_payload_options(&transaction, id, &new.payload).await?;
    set_delivery_options(&transaction, id, &new.delivery).await?;
    let token = if is_pulled { Some(token::create(&transaction, id).await?) } else { None };
    transaction.commit().await?;
    Ok(Created { id, token })
}

/// What to change of a webhook; what is `None` stays as it is.
#[derive(Debug, Clone, Default)]
pub struct Update {
    /// Its URL.
    pub url: Option<Url>,
    /// All of its headers.
    pub headers: Option<Map<String, Value>>,
    /// Of Label Studio's actions those that it receives.
    pub actions: Option<LabelStudiosActions>,
    /// The additional actions that it receives.
    pub additional_actions: Option<Vec<Action>>,
    /// Whether it receives objects, or the action's name alone.
    pub send_payload: Option<bool>,
    /// How it wants its events.
    pub payload: PayloadChoice,
    /// How its requests are made.
    pub delivery: DeliveryChoice,
    /// Whether it is delivered at all.
    pub is_active: Option<bool>,
}

/// Which of Label Studio's actions a webhook receives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LabelStudiosActions {
    /// All that there are and will be.
    All,
    /// These.
    Chosen(Vec<Action>),
}

impl Update {
    /// Whether it leaves all as it is.
    pub fn is_empty(&self) -> bool {
        self.named().is_empty()
    }

    /// What it changes, without how: there may be secrets in it.
    pub fn named(&self) -> Vec<&'static str> {
        let Update { url, headers, actions, additional_actions, send_payload, payload, delivery, is_active } = self;
        let parts = [
            (url.is_some(), "URL"),
            (headers.is_some(), "headers"),
            (actions.is_some(), "actions"),
            (additional_actions.is_some(), "additional actions"),
            (send_payload.is_some() || !payload.is_empty(), "payload"),
            (!delivery.is_empty(), "how requests are made"),
            (is_active.is_some(), "state"),
        ];
        parts.into_iter().filter_map(|(is_changed, name)| is_changed.then_some(name)).collect()
    }
}

/// Changes what is given of a webhook, and nothing else.
///
/// # Errors
/// When there is no such webhook, nothing is given, a choice does not go together, or Label Studio's tables may not be
/// written.
pub async fn update(client: &mut Client, id: WebhookId, update: &Update) -> Result<()> {
    check_known(client, &[id]).await?;
    if update.is_empty() {
        fail!(Choice, "nothing to change; `lshookd webhook update --help` lists what can be changed");
    }
    if let Some(url) = &update.url {
        check_url(url)?;
    }
    let (chosen, every_action) = match &update.actions {
        None => (None, None),
        Some(LabelStudiosActions::All) => (None, Some(true)),
        Some(LabelStudiosActions::Chosen(actions)) => {
            if let Some(action) = actions.iter().find(|action| !action.is_label_studios()) {
                fail!(Choice, "{action} is an additional action; name it by --additional-actions");
            }
            (Some(names(actions, true)), Some(false))
        }
    };
    let additional = update.additional_actions.as_deref();
    if let Some(action) = additional.into_iter().flatten().find(|action| action.is_label_studios()) {
        fail!(Choice, "{action} is one of Label Studio's own actions; name it by --actions");
    }
    let webhook = client.query_one(include_str!("../../sql/ops/webhook.sql"), &[&id]).await?;
    let is_of_project = webhook.get::<_, Option<i64>>("project_id").is_some();
    let is_pulled = webhook.get("is_pulled");
    if let Some(url) = &update.url
        && is_pulled != (url.as_str() == pull::URL)
    {
        fail!(Choice, "a webhook that consumers pull from stays one, and the others stay as they are; create another");
    }
    if is_pulled && (update.headers.is_some() || !update.delivery.is_empty()) {
        fail!(Choice, "no requests are made to webhook {id}; headers and timeouts have no meaning for it");
    }
    if let Some(LabelStudiosActions::Chosen(actions)) = &update.actions {
        check_scope(actions, is_of_project)?;
    }
    check_scope(additional.unwrap_or_default(), is_of_project)?;
    let transaction = client.transaction().await?;
    let url = update.url.as_ref().map(Url::as_str);
    let headers = update.headers.clone().map(Value::Object);
    if url.is_some() || headers.is_some() || update.send_payload.is_some() || update.actions.is_some() {
        let no_state: Option<bool> = None;
        let query = include_str!("../../sql/ops/update_webhook.sql");
        let parameters: [&(dyn ToSql + Sync); 7] =
            [&id, &url, &headers, &update.send_payload, &every_action, &chosen, &no_state];
        transaction.query_one(query, &parameters).await.map_err(explain_write)?;
    }
    if let Some(additional) = additional {
        choose_actions(&transaction, id, &names(additional, false)).await?;
    }
    set_payload_options(&transaction, id, &update.payload).await?;
    set_delivery_options(&transaction, id, &update.delivery).await?;
    match update.is_active {
        Some(true) => activate(&transaction, id).await?,
        Some(false) => {
            let disabled = transaction.execute(include_str!("../../sql/ops/disable_webhook.sql"), &[&id]).await;
            disabled.map_err(explain_write)?;
        }
        None => {}
    }
    wake_lanes(&transaction, Some(&[id])).await?;
    transaction.commit().await?;
    Ok(())
}

/// Attempts at once what is pending of a webhook, in each of its lanes.
///
/// # Errors
/// When there is no such webhook, or the database refuses.
pub async fn retry_now(client: &Client, id: WebhookId) -> Result<()> {
    check_known(client, &[id]).await?;
    wake_lanes(client, Some(&[id])).await
}

/// Delivers a webhook that nobody delivers: lshookd alone does from now on.
async fn activate(client: &impl GenericClient, id: WebhookId) -> Result<()> {
    let row = client.query_one(include_str!("../../sql/ops/webhook_state.sql"), &[&id]).await?;
    if !row.get::<_, bool>("is_active") {
        write_adoption(client, Some(&[id])).await?;
    }
    Ok(())
}

/// What a deletion did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Deletion {
    /// Pending deliveries that were cancelled.
    pub cancelled: i64,
}

/// Deletes webhooks; what is pending for them is cancelled.
///
/// # Errors
/// When one is unknown, deliveries are pending and this is not confirmed, or Label Studio's tables may not be written.
pub async fn delete(client: &mut Client, ids: &[WebhookId], confirmed: bool) -> Result<Deletion> {
    check_known(client, ids).await?;
    let pending: i64 = client.query_one(include_str!("../../sql/ops/pending_of.sql"), &[&ids]).await?.get("pending");
    if pending > 0 && !confirmed {
        fail!(WouldLose, "{pending} pending deliveries of these webhooks would be cancelled; add --yes to go ahead");
    }
    let transaction = client.transaction().await?;
    transaction.query(include_str!("../../sql/ops/delete_webhooks.sql"), &[&ids]).await.map_err(explain_write)?;
    retention::forget_webhooks(&transaction).await?;
    wake_lanes(&transaction, Some(ids)).await?;
    transaction.commit().await?;
    Ok(Deletion { cancelled: pending })
}

fn check_url(url: &Url) -> Result<()> {
    match url.scheme() {
        "http" | "https" | "nats" => {}
        "pull" if url.as_str() == pull::URL => {}
        "pull" => fail!(Choice, "the URL of a webhook that consumers pull from is {} and nothing more", pull::URL),
        scheme => fail!(Choice, "the URL has the scheme {scheme:?}; the schemes are http, https, nats and pull"),
    }
    Ok(())
}

fn check_scope(actions: &[Action], is_of_project: bool) -> Result<()> {
    if is_of_project && let Some(action) = actions.iter().find(|action| action.organization_only()) {
        fail!(Choice, "{action} goes to webhooks of the organization alone, not to one of a project");
    }
    Ok(())
}

/// The names of Label Studio's own actions among these, or of the additional ones.
fn names(actions: &[Action], label_studios: bool) -> Vec<&'static str> {
    actions.iter().filter(|action| action.is_label_studios() == label_studios).map(|action| action.name()).collect()
}

/// Writes the additional actions of a webhook, and so installs the triggers that they take.
async fn choose_actions(client: &impl GenericClient, id: WebhookId, actions: &[&str]) -> Result<()> {
    let chosen = client.execute(include_str!("../../sql/ops/choose_actions.sql"), &[&id, &actions]).await;
    chosen.map_err(explain_write)?;
    Ok(())
}

async fn organization(client: &Client, new: &NewWebhook) -> Result<i64> {
    if let Some(organization) = new.organization {
        return Ok(organization);
    }
    if let Some(project) = new.project {
        check_project(client, project).await?;
    }
    let found = client.query(include_str!("../../sql/ops/organization.sql"), &[&new.project]).await?;
    match found.as_slice() {
        [only] => Ok(only.get("id")),
        [] => fail!(UnknownProject, "Label Studio has no organization yet"),
        several => fail!(
            Choice,
            "Label Studio has {} organizations; name one by --organization, of {}",
            several.len(),
            several.iter().map(|row| row.get::<_, i64>("id").to_string()).collect::<Vec<_>>().join(", ")
        ),
    }
}

/// Headers from `Name: value` lines, by Label Studio's own rule: at most ten, of letters, digits, `-` and `_`.
///
/// # Errors
/// With the number of the line that is none.
pub fn parse_headers(text: &str) -> Result<Map<String, Value>> {
    let mut headers = Map::new();
    for (number, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        // The line itself may hold a secret.
        let Some((name, value)) = line.split_once(':') else {
            fail!(Choice, "line {}: expected Name: value", number + 1);
        };
        let name = name.trim();
        if name.is_empty() || !name.chars().all(|each| each.is_ascii_alphanumeric() || "-_".contains(each)) {
            fail!(Choice, "line {}: a header's name is made of letters, digits, - and _", number + 1);
        }
        headers.insert(name.to_owned(), Value::from(value.trim()));
    }
    if headers.len() > 10 {
        fail!(Choice, "Label Studio allows ten headers, not {}", headers.len());
    }
    Ok(headers)
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
