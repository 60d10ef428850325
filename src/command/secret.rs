//! `secret`: what a webhook's requests are signed with.

use anyhow::Result;
use serde_json::Value;
use tokio_postgres::Client;

use super::output::rows;
use super::{Output, check_known};

const COLUMNS: &[(&str, &str)] = &[("secret", "SECRET"), ("created_at", "CREATED"), ("expires_at", "EXPIRES")];

/// Shows the secrets that hold, after giving the webhook a new one if `rotate` says so.
///
/// # Errors
/// When there is no such webhook, or the database refuses.
pub async fn run(client: &Client, webhook: i64, rotate: bool, output: Output) -> Result<()> {
    check_known(client, &[webhook]).await?;
    client.execute(include_str!("../../sql/queue/ensure_secrets.sql"), &[&vec![webhook]]).await?;
    if rotate {
        client.execute("select lshookd.rotate_secret($1::bigint) as secret", &[&webhook]).await?;
    }
    let secrets: Vec<Value> = rows(client, include_str!("../../sql/ops/secrets.sql"), &[&webhook]).await?;
    output.table(&secrets, COLUMNS, "There is none.");
    Ok(())
}
