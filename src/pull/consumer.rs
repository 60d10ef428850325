//! Who asks: a request that shows the token of its webhook (RFC 6750), and from where it comes.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use axum::extract::{ConnectInfo, FromRequestParts, Path};
use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;

use super::lease::Leases;
use super::problem::Problem;
use super::token::is_token;
use super::{Consumers, ask};
use crate::model::WebhookId;

/// A consumer of one webhook.
pub struct Consumer {
    /// Whose events it may have.
    pub webhook: WebhookId,
    /// From where it asks.
    pub address: Option<IpAddr>,
    /// The database.
    pub leases: Arc<Leases>,
}

impl FromRequestParts<Arc<Consumers>> for Consumer {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, consumers: &Arc<Consumers>) -> Result<Consumer, Problem> {
        let id: Result<Path<String>, _> = Path::from_request_parts(parts, consumers).await;
        // What is no number is no webhook, and is not told from one whose token this is not.
        let webhook = WebhookId(id.ok().and_then(|Path(id)| id.parse().ok()).unwrap_or(-1));
        let shown = parts.headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok());
        let token = shown
            .and_then(|shown| shown.split_once(' '))
            .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
            .map(|(_, token)| token.trim())
            .ok_or(Problem::Unauthorized)?;
        let leases = consumers.leases().ok_or(Problem::Away)?;
        let kept = ask(leases.token_hash(webhook)).await?;
        if !is_token(token, kept.as_deref()) {
            return Err(Problem::Unauthorized);
        }
        let peer = parts.extensions.get::<ConnectInfo<SocketAddr>>();
        Ok(Consumer { webhook, address: peer.map(|ConnectInfo(peer)| peer.ip()), leases })
    }
}
