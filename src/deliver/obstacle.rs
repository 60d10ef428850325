//! What would keep a webhook from being delivered, seen before it is: addresses that egress refuses, redirects that
//! lose the event.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use futures_util::StreamExt;
use futures_util::stream;
use tokio::time::{Instant, timeout};
use tokio_postgres::Client;
use url::Url;

use super::egress::{EgressPolicy, Verdict};
use super::sender::Sender;
use crate::config::{Egress, Settings};
use crate::model::WebhookId;

/// So many endpoints are looked at at once, and for so long each: an operator waits.
const AT_ONCE: usize = 32;
const TIMEOUT: Duration = Duration::from_secs(3);

/// And no longer for all of them together where their names are looked up.
const TIMEOUT_OF_ALL: Duration = Duration::from_secs(10);

/// So many of them are named in the log.
const LOGGED: usize = 20;

/// Names the active webhooks that will get nothing, as names resolve now; does not wait for them.
///
/// # Errors
/// When the database cannot be asked.
pub async fn report_refused(client: &Client, egress: &Egress) -> Result<()> {
    let endpoints = served_endpoints(client).await?;
    let policy = EgressPolicy::new(egress);
    tokio::spawn(async move {
        let Reachability { refused, .. } = Reachability::of(&policy, endpoints).await;
        for (webhook, reason) in refused.iter().take(LOGGED) {
            tracing::warn!(%webhook, reason, "the endpoint of this webhook is refused");
        }
        if let Some(others) = refused.len().checked_sub(LOGGED).filter(|others| *others > 0) {
            tracing::warn!(
                others,
                "the endpoints of other webhooks are refused, too; `lshookd check --json` lists them"
            );
        }
    });
    Ok(())
}

/// Which webhooks get nothing, as names resolve now, each with the reason, ascending.
#[derive(Debug, Default, PartialEq)]
pub struct Reachability {
    /// Their endpoints are refused.
    pub refused: Vec<(WebhookId, String)>,
    /// Their endpoints are not found.
    pub unknown: Vec<(WebhookId, String)>,
}

impl Reachability {
    /// That of the webhooks that lshookd delivers by requests; takes ten seconds at most.
    ///
    /// # Errors
    /// When the database cannot be asked.
    pub async fn read(client: &Client, egress: &Egress) -> Result<Reachability> {
        Ok(Reachability::of(&EgressPolicy::new(egress), served_endpoints(client).await?).await)
    }

    /// Each name is looked up once, whatever number of webhooks has it, and none waits for another.
    async fn of(policy: &EgressPolicy, endpoints: Vec<(WebhookId, String)>) -> Reachability {
        let mut hosts: BTreeMap<String, Vec<(WebhookId, String)>> = BTreeMap::new();
        for (webhook, url) in endpoints {
            let host = Url::parse(&url).ok().and_then(|url| Some(format!("{}://{}", url.scheme(), url.host_str()?)));
            // Without a host each is judged by itself.
            hosts.entry(host.unwrap_or_else(|| url.clone())).or_default().push((webhook, url));
        }
        let end = Instant::now() + TIMEOUT_OF_ALL;
        let look = async |webhooks: Vec<(WebhookId, String)>| {
            let url = webhooks.first().map_or("", |(_, url)| url);
            let remaining = TIMEOUT.min(end.saturating_duration_since(Instant::now()));
            let verdict = match remaining.is_zero() {
                true => None,
                false => timeout(remaining, policy.judge(url)).await.ok(),
            };
            let slow = || Verdict::Unknown("names are resolved too slowly to tell".to_owned());
            (webhooks, verdict.unwrap_or_else(slow))
        };
        let mut looks = stream::iter(hosts.into_values()).map(look).buffer_unordered(AT_ONCE);
        let mut found = Reachability::default();
        while let Some((webhooks, verdict)) = looks.next().await {
            let (list, reason) = match verdict {
                Verdict::Allowed => continue,
                Verdict::Refused(refusal) => (&mut found.refused, refusal.to_string()),
                Verdict::Unknown(reason) => (&mut found.unknown, reason),
            };
            list.extend(webhooks.into_iter().map(|(webhook, _)| (webhook, reason.clone())));
        }
        found.refused.sort_unstable();
        found.unknown.sort_unstable();
        found
    }
}

/// Of webhooks and their URLs those that would get nothing, each with the reason. Endpoints that are not refused are
/// asked by a HEAD, without the webhook's headers, whether they redirect; silence is no obstacle.
///
/// # Errors
/// When a certificate of the settings cannot be used.
pub async fn obstacles(settings: &Settings, endpoints: Vec<(WebhookId, String)>) -> Result<Vec<(WebhookId, String)>> {
    let policy = Arc::new(EgressPolicy::new(&settings.egress));
    let sender = Sender::new(settings, Arc::clone(&policy))?;
    let look = async |(webhook, url): (WebhookId, String)| {
        let found = async {
            match policy.judge(&url).await {
                Verdict::Refused(refusal) => Some(refusal.to_string()),
                Verdict::Allowed | Verdict::Unknown(_) => sender.losing_redirect(&url).await,
            }
        };
        timeout(TIMEOUT, found).await.ok().flatten().map(|reason| (webhook, reason))
    };
    let mut found: Vec<(WebhookId, String)> =
        stream::iter(endpoints).map(look).buffer_unordered(AT_ONCE).filter_map(async |found| found).collect().await;
    found.sort_unstable();
    Ok(found)
}

async fn served_endpoints(client: &Client) -> Result<Vec<(WebhookId, String)>> {
    let rows = client.query(include_str!("../../sql/deliver/served_endpoints.sql"), &[]).await;
    let rows = rows.context("reading Label Studio's webhook table")?;
    Ok(rows.iter().map(|row| (row.get("webhook_id"), row.get("url"))).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn refused_and_unknown_endpoints_are_told_apart() {
        let protected = EgressPolicy::new(&Egress { protection: true, default_banned: true, ..Egress::default() });
        let urls = [
            "http://127.0.0.1/a",
            "http://8.8.8.8/b",
            "http://nowhere.invalid/c",
            "http://localhost/d",
            "http://localhost/e",
            "no URL",
            "mailto:somebody",
            "ftp://8.8.8.8/f",
        ];
        let endpoints = (1..).map(WebhookId).zip(urls.map(str::to_owned)).collect();
        let Reachability { refused, unknown } = Reachability::of(&protected, endpoints).await;
        let ids = |list: &[(WebhookId, String)]| list.iter().map(|(WebhookId(id), _)| *id).collect::<Vec<_>>();
        assert_eq!((ids(&refused), ids(&unknown)), (vec![1, 4, 5], vec![3, 6, 7, 8]));
        assert!(unknown[0].1.contains("its name nowhere.invalid does not resolve"), "{unknown:?}");
        assert!(unknown[1].1.contains("its URL cannot be read"), "{unknown:?}");
        assert!(unknown[2].1.contains("its URL has the scheme \"mailto\""), "{unknown:?}");
        assert!(unknown[3].1.contains("its URL has the scheme \"ftp\""), "{unknown:?}");
    }
}
