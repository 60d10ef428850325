//! Publishing: a delivery as a message of NATS JetStream, for webhooks whose URL is `nats://`.
//!
//! Promises what a request promises: a delivery is done when the stream has acknowledged it, and until then it is
//! sent again, in the order of its lane; `Nats-Msg-Id` lets the stream drop what it has already. No server is
//! connected to whose address the [policy](super::egress) refuses, nor any that a server tells of.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_nats::header::NATS_MESSAGE_ID;
use async_nats::jetstream::{self, Context};
use async_nats::{Client, ConnectOptions};
use http::HeaderMap;
use tokio::sync::OnceCell;
use url::Url;

use super::egress::EgressPolicy;
use super::message::Message;
use crate::config::Timeout;
use crate::model::Scope;

const PORT: u16 = 4222;

/// Publishes messages, over one connection for each server.
pub struct Publisher {
    policy: Arc<EgressPolicy>,
    timeout: Timeout,
    /// By authority: each is connected to once, and holds up no other.
    servers: Mutex<HashMap<String, Arc<OnceCell<Client>>>>,
}

impl Publisher {
    /// A publisher through this policy.
    pub fn new(policy: Arc<EgressPolicy>, timeout: Timeout) -> Publisher {
        Publisher { policy, timeout, servers: Mutex::default() }
    }

    /// Publishes a message with these headers, and returns what the stream said.
    ///
    /// # Errors
    /// Why it was not acknowledged; nothing secret is in it.
    pub async fn publish(&self, message: &Message, headers: &HeaderMap) -> Result<String, String> {
        let url = Url::parse(&message.url).map_err(|error| format!("the webhook's URL is not valid: {error}"))?;
        let subject = subject(&url, message.scope)?;
        let server = Arc::clone(self.servers().entry(url.authority().to_owned()).or_default());
        let client = server.get_or_try_init(|| self.connect(&url)).await?;
        let published = self.send(client, subject, message, headers).await;
        if published.is_err() {
            // It may be somebody else's address by now.
            self.servers().remove(url.authority());
        }
        published
    }

    fn servers(&self) -> MutexGuard<'_, HashMap<String, Arc<OnceCell<Client>>>> {
        self.servers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn send(
        &self,
        client: &Client,
        subject: String,
        message: &Message,
        headers: &HeaderMap,
    ) -> Result<String, String> {
        let most = client.server_info().max_payload;
        if message.body.len() > most {
            return Err(format!(
                "the body has {} bytes, and the server takes {most}; raise its max_payload, or lower the setting batch_bytes",
                message.body.len()
            ));
        }
        let mut named = async_nats::HeaderMap::new();
        for (name, value) in headers {
            if let Ok(value) = value.to_str() {
                named.insert(name.as_str(), value);
            }
        }
        named.insert(NATS_MESSAGE_ID, message.id.to_string().as_str());
        let mut stream: Context = jetstream::new(client.clone());
        stream.set_timeout(self.timeout.answer.duration());
        let sent = async { stream.publish_with_headers(subject.clone(), named, message.body.clone()).await?.await };
        match sent.await {
            Ok(done) => Ok(format!(
                "stream {}, sequence {}{}",
                done.stream,
                done.sequence,
                if done.duplicate { ", which it had already" } else { "" }
            )),
            Err(error) => Err(format!("no stream acknowledged the subject {subject}: {error}")),
        }
    }

    async fn connect(&self, url: &Url) -> Result<Client, String> {
        let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
        let addresses =
            self.policy.addresses(host, url.port().unwrap_or(PORT)).await.map_err(|error| error.to_string())?;
        let mut options = ConnectOptions::new()
            .name("lshookd")
            .connection_timeout(self.timeout.connect.duration())
            .request_timeout(Some(self.timeout.answer.duration()))
            .ignore_discovered_servers();
        options = match (url.username(), url.password()) {
            ("", _) => options,
            (token, None) => options.token(decoded(token)),
            (user, Some(password)) => options.user_and_password(decoded(user), decoded(password)),
        };
        options.connect(addresses).await.map_err(|error| format!("connecting to NATS: {error}"))
    }
}

fn decoded(text: &str) -> String {
    percent_encoding::percent_decode_str(text).decode_utf8_lossy().into_owned()
}

/// The subject: the path of the URL, and the project, by which consumers may share the work.
fn subject(url: &Url, scope: Scope) -> Result<String, String> {
    let path = decoded(url.path().trim_matches('/')).replace('/', ".");
    let valid = |token: &str| !token.is_empty() && !token.contains(['*', '>']) && !token.contains(char::is_whitespace);
    match path.split('.').all(valid) {
        true => Ok(format!("{path}.{scope}")),
        false => Err("the webhook's URL names no subject: expected nats://HOST:PORT/SUBJECT".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_path_is_the_subject_and_the_project_follows() {
        let of = |url: &str| subject(&Url::parse(url).unwrap(), Scope::Project(7));
        assert_eq!(of("nats://host/label-studio.events").unwrap(), "label-studio.events.7");
        assert_eq!(of("nats://host:4222/label-studio/events/").unwrap(), "label-studio.events.7");
        for wrong in [
            "nats://host",
            "nats://host/a..b",
            "nats://host/a.*",
            "nats://host/>",
            "nats://host/a%20b",
            "nats://host/a%0d%0ab",
        ] {
            assert!(of(wrong).is_err(), "{wrong}");
        }
    }
}
