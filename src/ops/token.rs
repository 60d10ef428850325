//! Tokens of webhooks that consumers pull from.

use anyhow::Result;
use tokio_postgres::{Client, GenericClient};

use super::check_known;
use crate::model::WebhookId;
use crate::pull::{self, Token};

/// Makes a webhook one that is pulled from by a new token; the token before, if there was one, opens nothing any more.
///
/// # Errors
/// When the database refuses.
pub(super) async fn create(client: &impl GenericClient, webhook: WebhookId) -> Result<Token> {
    let token = Token::new();
    client.execute(include_str!("../../sql/ops/set_token.sql"), &[&webhook, &Some(token.hash())]).await?;
    Ok(token)
}

/// Gives a webhook a new token in place of the one that it has.
///
/// # Errors
/// When it is none that is pulled from, or the database refuses.
pub async fn rotate(client: &Client, webhook: WebhookId) -> Result<Token> {
    check_pulled(client, webhook).await?;
    create(client, webhook).await
}

/// Takes a webhook's token from whoever has it: nobody can pull until there is a new one.
///
/// # Errors
/// When it is none that is pulled from, or the database refuses.
pub async fn revoke(client: &Client, webhook: WebhookId) -> Result<()> {
    check_pulled(client, webhook).await?;
    let none: Option<Vec<u8>> = None;
    client.execute(include_str!("../../sql/ops/set_token.sql"), &[&webhook, &none]).await?;
    Ok(())
}

async fn check_pulled(client: &Client, webhook: WebhookId) -> Result<()> {
    check_known(client, &[webhook]).await?;
    let row = client.query_one(include_str!("../../sql/ops/webhook.sql"), &[&webhook]).await?;
    if !row.get::<_, bool>("is_pulled") && row.get::<_, String>("url") != pull::URL {
        fail!(Choice, "requests are made to webhook {webhook}; only a webhook of the URL {} has a token", pull::URL);
    }
    Ok(())
}
