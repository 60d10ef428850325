//! The HTTP clients: one for all endpoints, and one for each host that asks who we are.
//!
//! Endpoints are trusted by the system's authorities and by those that the operator names; no
//! redirect is followed, and no address is connected to, that was not looked at before.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result, anyhow};
use reqwest::Client;
use rustls::crypto::ring;
use rustls::{ClientConfig, RootCertStore};
use url::Url;

use super::connection::Openings;
use super::resolver::{Resolver, SharedResolver};
use crate::config::{Identity, Trust};

/// While a request waits, an HTTP/2 connection is asked so often whether it lives, and has as long to say so.
const KEEP_ALIVE: Duration = Duration::from_secs(5);

/// The clients, by the time that connecting may take: as many as the settings and operators chose different ones.
pub struct Clients {
    trust: Trust,
    resolver: Arc<Resolver>,
    by_timeout: Mutex<HashMap<Duration, ClientsByHost>>,
}

/// Those of one connect timeout.
struct ClientsByHost {
    nameless: Client,
    by_host: HashMap<String, Client>,
}

impl Clients {
    /// Sets the clients up that have this connect timeout; others when they are wanted.
    ///
    /// # Errors
    /// When a certificate cannot be used.
    pub fn new(trust: &Trust, connect_timeout: Duration, resolver: &Arc<Resolver>) -> Result<Clients> {
        let usual = ClientsByHost::new(trust, connect_timeout, resolver)?;
        let by_timeout = Mutex::new([(connect_timeout, usual)].into());
        Ok(Clients { trust: trust.clone(), resolver: Arc::clone(resolver), by_timeout })
    }

    /// The client for a URL.
    ///
    /// # Errors
    /// When a certificate cannot be used any more.
    pub fn of(&self, url: &Url, connect_timeout: Duration) -> Result<Client> {
        let mut by_timeout = self.by_timeout.lock().unwrap_or_else(PoisonError::into_inner);
        let clients = match by_timeout.entry(connect_timeout) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(new) => new.insert(ClientsByHost::new(&self.trust, connect_timeout, &self.resolver)?),
        };
        Ok(clients.of(url).clone())
    }
}

impl ClientsByHost {
    fn new(trust: &Trust, connect_timeout: Duration, resolver: &Arc<Resolver>) -> Result<ClientsByHost> {
        let client = |identity: Option<&Identity>| {
            Client::builder()
                .tls_backend_preconfigured(tls(trust, identity)?)
                .dns_resolver(SharedResolver(Arc::clone(resolver)))
                .redirect(reqwest::redirect::Policy::none())
                // A proxy of the environment's would connect to what egress has not looked at.
                .no_proxy()
                .connect_timeout(connect_timeout)
                .connector_layer(Openings)
                // A connection that has gone silent is not used for the next request.
                .http2_keep_alive_interval(KEEP_ALIVE)
                .http2_keep_alive_timeout(KEEP_ALIVE)
                .tcp_nodelay(true)
                // As python-requests writes them, for receivers that look for `User-Agent` to the letter.
                .http1_title_case_headers()
                .build()
                .context("setting up the HTTP client")
        };
        let by_host = trust.identities.iter().map(|identity| Ok((identity.host.clone(), client(Some(identity))?)));
        Ok(ClientsByHost { nameless: client(None)?, by_host: by_host.collect::<Result<_>>()? })
    }

    fn of(&self, url: &Url) -> &Client {
        url.host_str().and_then(|host| self.by_host.get(host)).unwrap_or(&self.nameless)
    }
}

fn tls(trust: &Trust, identity: Option<&Identity>) -> Result<ClientConfig> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    for authority in &trust.authorities {
        roots.add(authority.clone()).context("setting ca_file")?;
    }
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots);
    let mut config = match identity {
        None => config.with_no_client_auth(),
        Some(Identity { host, chain, key }) => config
            .with_client_auth_cert(chain.clone(), key.clone_key())
            .map_err(|error| anyhow!("setting client_certificates, {host}: {error}"))?,
    };
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(config)
}
