//! Setting aside: what cannot be planned is moved out of the way, with its reason (`lshookd.change_set_aside`).

use anyhow::{Context, Result};
use tokio_postgres::Client;

use crate::metrics::Metrics;
use crate::pipeline::render::Unrenderable;

/// Moves changes out of the way, and says why.
///
/// # Errors
/// When the database refuses.
pub async fn changes(client: &Client, metrics: &Metrics, seqs: &[i64], reason: &str) -> Result<()> {
    tracing::error!(
        changes = seqs.len(),
        reason,
        "changes cannot be planned and are set aside in lshookd.change_set_aside; when the cause is fixed: select \
         lshookd.requeue_set_aside()"
    );
    metrics.set_aside(seqs.len());
    let query = include_str!("../../../sql/plan/set_aside_changes.sql");
    client.execute(query, &[&seqs, &reason]).await.context("setting changes aside")?;
    Ok(())
}

/// Moves objects out of the way of changes, and says why; `false` where none of the changes names them.
///
/// # Errors
/// When the database refuses.
pub async fn objects(client: &Client, metrics: &Metrics, seqs: &[i64], unrenderable: &Unrenderable) -> Result<bool> {
    let mut changes = 0;
    for (kind, objects, reason) in unrenderable.objects() {
        let relations = vec![kind.name().to_owned(), format!("watched_{}", kind.name())];
        let query = "select lshookd.set_aside_objects($1::bigint[], $2::text[], $3::bigint[], $4::text) as changes";
        let row = client.query_one(query, &[&seqs, &relations, &objects, &reason]).await;
        let of_this_kind: i64 = row.context("setting objects aside")?.get("changes");
        if of_this_kind > 0 {
            tracing::error!(
                changes = of_this_kind,
                kind = kind.name(),
                objects = objects.len(),
                reason,
                "objects cannot be rendered and are set aside in lshookd.change_set_aside; when the cause is fixed: \
                 select lshookd.requeue_set_aside()"
            );
        }
        changes += of_this_kind;
    }
    metrics.set_aside(usize::try_from(changes).unwrap_or_default());
    Ok(changes > 0)
}
