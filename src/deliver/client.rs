//! The HTTP clients, each with connections of its own: by the time that connecting may take, by who we say we are,
//! by a host that a webhook's `Host` header hides, and by a webhook's own proxy.
//!
//! Endpoints are trusted by the system's authorities and by those that the operator names; no redirect is followed, and
//! no address connected to, that was not looked at before.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result, anyhow};
use hyper_util::client::legacy;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use rustls::ClientConfig;
use tokio_rustls::TlsConnector;
use url::Url;

use super::body::RequestBody;
use super::connect::Connector;
use super::resolver::Resolver;
use crate::config::{Identity, Limit, Proxy, Trust};
use crate::tls;

/// A client with its connections.
pub type Client = legacy::Client<Connector, RequestBody>;

/// While a request waits, an HTTP/2 connection is asked so often whether it lives, and has as long to say so.
const KEEP_ALIVE: Duration = Duration::from_secs(5);

/// A connection rests so long at most.
const LONGEST_REST: Duration = Duration::from_secs(90);

/// Maximum clients that are kept; operators choose few limits of time, and few webhooks have a `Host` header.
const MAXIMUM_CLIENTS: usize = 1000;

/// What clients are told apart by.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Key {
    limit: Limit,
    identity: Option<String>,
    target: Option<(String, u16)>,
    /// The webhook's own proxy.
    proxy: Option<Arc<str>>,
}

/// The clients.
pub struct Clients {
    resolver: Arc<Resolver>,
    nameless: TlsConnector,
    by_host: HashMap<String, TlsConnector>,
    proxy: Proxy,
    clients: Mutex<HashMap<Key, Client>>,
}

impl Clients {
    /// Clients that trust these.
    ///
    /// # Errors
    /// When a certificate cannot be used.
    pub fn new(trust: &Trust, proxy: &Proxy, resolver: &Arc<Resolver>) -> Result<Clients> {
        let verifier = tls::Verifier::new(tls::system_authorities(), trust.authorities.clone());
        let verifier = Arc::new(verifier.context("setting ca_file")?);
        let connector = |identity| config(&verifier, identity).map(|config| TlsConnector::from(Arc::new(config)));
        let by_host = trust.identities.iter().map(|identity| Ok((identity.host.clone(), connector(Some(identity))?)));
        Ok(Clients {
            resolver: Arc::clone(resolver),
            nameless: connector(None)?,
            by_host: by_host.collect::<Result<_>>()?,
            proxy: proxy.clone(),
            clients: Mutex::default(),
        })
    }

    /// The client for a URL. Where the request names another host, `is_hidden`, connections to the URL's are of that
    /// client alone. A webhook may have a proxy of its own.
    ///
    /// # Errors
    /// What is wrong with that.
    pub fn of(&self, url: &Url, limit: Limit, is_hidden: bool, proxy: Option<&Arc<str>>) -> Result<Client, String> {
        let host = url.host_str().unwrap_or_default();
        let identity = self.by_host.get_key_value(host);
        let target = is_hidden.then(|| {
            let bare = host.trim_matches(['[', ']']).to_owned();
            (bare, url.port_or_known_default().unwrap_or_default())
        });
        let key = Key { limit, identity: identity.map(|(host, _)| host.clone()), target, proxy: proxy.cloned() };
        let mut clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        if clients.len() >= MAXIMUM_CLIENTS && !clients.contains_key(&key) {
            clients.clear();
        }
        let through = match proxy {
            None => self.proxy.clone(),
            Some(own) => Proxy::of_webhook(own).map_err(|error| format!("lshookd.delivery_option.proxy: {error}"))?,
        };
        let new = |key: &Key| {
            let tls = identity.map_or(&self.nameless, |(_, tls)| tls).clone();
            let connector = Connector::new(Arc::clone(&self.resolver), tls, through, limit, key.target.clone());
            legacy::Client::builder(TokioExecutor::new())
                .timer(TokioTimer::new())
                .pool_timer(TokioTimer::new())
                .pool_idle_timeout(LONGEST_REST)
                // A connection that has gone silent is not used for the next request.
                .http2_keep_alive_interval(KEEP_ALIVE)
                .http2_keep_alive_timeout(KEEP_ALIVE)
                // As python-requests writes them, for receivers that look for `User-Agent` to the letter.
                .http1_title_case_headers(true)
                .build(connector)
        };
        Ok(clients.entry(key).or_insert_with_key(new).clone())
    }
}

fn config(verifier: &Arc<tls::Verifier>, identity: Option<&Identity>) -> Result<ClientConfig> {
    let config = ClientConfig::builder_with_provider(tls::provider())
        .with_safe_default_protocol_versions()?
        .dangerous()
        .with_custom_certificate_verifier(Arc::clone(verifier) as Arc<_>);
    let mut config = match identity {
        None => config.with_no_client_auth(),
        Some(Identity { host, chain, key }) => config
            .with_client_auth_cert(chain.clone(), key.clone_key())
            .map_err(|error| anyhow!("setting client_certificates, {host}: {error}"))?,
    };
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(config)
}
