//! Transitions that an operator makes: pending deliveries are retried now or skipped, dead ones are discarded, ended
//! ones are replayed.

use anyhow::{Context, Result};
use tokio_postgres::Client;

use super::delivery::{DeliveryState, Filter};
use super::search;
use crate::model::{Action, DeliveryId};

/// Deliveries of one transaction.
const BATCH: i64 = 1000;

/// What is done to deliveries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transition {
    /// The next attempt of a pending one is made now (`lshookd.retry`).
    Retry,
    /// A pending one ends undelivered, a dead one is discarded (`lshookd.skip`).
    Skip,
    /// An ended one becomes pending again, under the webhook-id that its endpoint knows (`lshookd.replay`).
    Replay,
}

impl Transition {
    fn statement(self) -> &'static str {
        match self {
            Transition::Retry => "select lshookd.retry($1::bigint[]) as done",
            Transition::Skip => "select lshookd.skip($1::bigint[]) as done",
            Transition::Replay => "select lshookd.replay($1::bigint[]) as done",
        }
    }

    /// The states that it applies to.
    fn states(self) -> &'static [DeliveryState] {
        use DeliveryState::*;
        match self {
            Transition::Retry => &[Pending],
            Transition::Skip => &[Pending, Dead],
            Transition::Replay => &[Delivered, Dead, Cancelled, Skipped],
        }
    }

    /// What to do with a delivery of another state.
    fn advice(self) -> &'static str {
        match self {
            Transition::Retry => "only pending deliveries are retried; replay the others",
            Transition::Skip => "only pending and dead deliveries are skipped",
            Transition::Replay => "pending deliveries are not replayed; retry them",
        }
    }
}

/// Applies a transition to deliveries: to those of these numbers or, where there are none, to those of the filter. With
/// `dry_run` they are only counted. `progress` is told how many there are so far.
///
/// # Errors
/// When neither numbers nor a filter are given, a number is unknown or in a state that the transition does not apply
/// to, or the database refuses.
pub async fn apply(
    client: &Client,
    transition: Transition,
    ids: &[DeliveryId],
    filter: &Filter,
    dry_run: bool,
    progress: impl Fn(i64),
) -> Result<i64> {
    if ids.is_empty() && filter.is_empty() {
        fail!(Choice, "say which deliveries: by number, or by a filter such as --state dead or --since 2h");
    }
    search::check(client, filter).await?;
    check_states(client, transition, ids).await?;
    let mut done = 0;
    let mut after = DeliveryId(0);
    loop {
        let batch = batch(client, transition, after, ids, filter).await?;
        let Some(last) = batch.last() else {
            return Ok(done);
        };
        after = *last;
        done += match dry_run {
            true => i64::try_from(batch.len())?,
            false => apply_to(client, transition, &batch).await?,
        };
        progress(done);
    }
}

/// Applies a transition to these deliveries, as far as their states allow; how many there were.
///
/// # Errors
/// When the database refuses.
pub async fn apply_to(client: &Client, transition: Transition, deliveries: &[DeliveryId]) -> Result<i64> {
    Ok(client.query_one(transition.statement(), &[&deliveries]).await?.get("done"))
}

async fn check_states(client: &Client, transition: Transition, ids: &[DeliveryId]) -> Result<()> {
    let query = include_str!("../../sql/ops/delivery_states.sql");
    let rows = client.query(query, &[&ids]).await.context("reading lshookd.delivery")?;
    for row in rows {
        let (id, state): (DeliveryId, Option<String>) = (row.get("id"), row.get("state"));
        let Some(state) = state else {
            fail!(UnknownDelivery, "there is no delivery {id}; it may have been deleted after its retention");
        };
        if !transition.states().iter().any(|allowed| allowed.name() == state) {
            fail!(Choice, "delivery {id} is {state}: {}; nothing was changed", transition.advice());
        }
    }
    Ok(())
}

async fn batch(
    client: &Client,
    transition: Transition,
    after: DeliveryId,
    ids: &[DeliveryId],
    filter: &Filter,
) -> Result<Vec<DeliveryId>> {
    let ids = (!ids.is_empty()).then_some(ids);
    let Filter { webhook, action, project, state, since, until } = filter;
    let states: Vec<&str> = transition.states().iter().map(|state| state.name()).collect();
    let rows = client
        .query(
            include_str!("../../sql/ops/select_deliveries.sql"),
            &[
                &after,
                &ids,
                webhook,
                &action.map(Action::name),
                project,
                &state.map(DeliveryState::name),
                since,
                until,
                &BATCH,
                &states,
                &(transition == Transition::Replay),
            ],
        )
        .await
        .context("reading lshookd.delivery")?;
    Ok(rows.iter().map(|row| row.get("id")).collect())
}
