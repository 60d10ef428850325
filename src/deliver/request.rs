//! One request: what Label Studio would have sent, within limits. Where the URL is of NATS, a message.
//!
//! Promises: the webhook's own headers go to its own host alone, no address is reached that
//! [`egress`](super::egress) refuses, no answer takes more memory than its head, and nothing
//! secret (URL, headers) is in an error.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::Result;
use bytes::Bytes;
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, LOCATION, RETRY_AFTER, USER_AGENT};
use reqwest::{Body, Method, RequestBuilder, Response, StatusCode};
use standardwebhooks::{Webhook, WebhookError};
use tokio::sync::Notify;
use url::Url;

use super::backoff;
use super::body::TrackedBody;
use super::client::Clients;
use super::cloudevent::{self, Mode};
use super::connection;
use super::egress::EgressPolicy;
use super::message::Message;
use super::publish::Publisher;
use super::resolver::Resolver;
use crate::config::{Settings, Timeout};

/// Of an answer this much is kept.
const HEAD: usize = 1024;
/// And this much is read, so that the connection can be used again.
const LONGEST_ANSWER: usize = 64 * 1024;
/// python-requests follows as many.
const MOST_REDIRECTS: usize = 30;
/// For so long the rest of an answer is waited for: its status is known by then.
const ANSWER_BODY: Duration = Duration::from_secs(1);
/// So many headers a webhook may have.
const MOST_HEADERS: usize = 200;
/// Of a text that others wrote so many characters are kept in an error.
const QUOTED: usize = 100;
/// And an error has so many at most.
const LONGEST_ERROR: usize = 1000;
/// What is shown in place of a secret.
const MASK: &str = "***";
/// Texts that are shorter are in many an answer; masking them would tell more than it hides.
const SHORTEST_SECRET: usize = 6;

/// A body gets time to be sent beside the time for the answer: a second for as many bytes.
const SLOWEST_UPLOAD: f64 = 1_000_000.0;

/// What is recorded in place of an answer that was not awaited.
const UNAWAITED: &str = "(answer not awaited)";

/// What came of a request.
#[derive(Debug)]
pub struct Answer {
    /// When it began, by our clock.
    pub started_at: SystemTime,
    /// How long it took.
    pub duration: Duration,
    /// The last answer's status, if there was an answer.
    pub status: Option<StatusCode>,
    /// Why it did not succeed.
    pub error: Option<String>,
    /// The beginning of the answer's body.
    pub head: Option<String>,
    /// How long the endpoint asks us to stay away.
    pub retry_after: Option<Duration>,
}

/// Sends requests.
pub struct Sender {
    clients: Clients,
    policy: Arc<EgressPolicy>,
    resolver: Arc<Resolver>,
    publisher: Publisher,
    timeout: Timeout,
    redirect_to_get: bool,
}

impl Sender {
    /// A sender by the operator's settings, through this policy.
    ///
    /// # Errors
    /// When a certificate of the settings cannot be used.
    pub fn new(settings: &Settings, policy: Arc<EgressPolicy>) -> Result<Sender> {
        let (timeout, redirect_to_get) = (settings.timeout, settings.redirect_to_get);
        let publisher = Publisher::new(Arc::clone(&policy), timeout);
        let resolver = Arc::new(Resolver::new(Arc::clone(&policy)));
        Ok(Sender {
            clients: Clients::new(&settings.trust, timeout.connect, &resolver)?,
            policy,
            resolver,
            publisher,
            timeout,
            redirect_to_get,
        })
    }

    /// Sends one message. Never fails: failure is an answer too.
    pub async fn send(&self, message: &Message) -> Answer {
        let started_at = SystemTime::now();
        let clock = Instant::now();
        let upload = Duration::from_secs_f64(message.body.len() as f64 / SLOWEST_UPLOAD);
        let timeout = self.timeout_of(message);
        let limit = timeout.connect + timeout.answer + upload;
        let mut answer =
            Answer { started_at, duration: Duration::ZERO, status: None, error: None, head: None, retry_after: None };
        match tokio::time::timeout(limit, self.exchange(message, timeout, &mut answer)).await {
            Ok(Ok(())) => {}
            Ok(Err(reason)) => answer.error = Some(reason),
            Err(_) => {
                answer.error = Some(format!(
                    "no complete answer within {:.1} s (settings connect_timeout and answer_timeout)",
                    limit.as_secs_f64()
                ))
            }
        }
        answer.duration = clock.elapsed();
        let secrets = secrets(message);
        answer.error = answer.error.map(|error| shortened(&mask(&error, &secrets), LONGEST_ERROR));
        answer.head = answer.head.map(|head| mask(&head, &secrets));
        answer
    }

    /// The webhook's own limits, else those of the settings.
    fn timeout_of(&self, message: &Message) -> Timeout {
        let own = &message.options;
        Timeout {
            connect: own.connect_timeout.unwrap_or(self.timeout.connect),
            answer: own.answer_timeout.unwrap_or(self.timeout.answer),
        }
    }

    /// Whether an endpoint redirects in a way that loses the event, and why; asked by a HEAD.
    pub async fn losing_redirect(&self, url: &str) -> Option<String> {
        let url = parse_url(url).ok().filter(|_| !self.redirect_to_get)?;
        self.policy.check_url(&url).ok()?;
        let response = self.clients.of(&url, self.timeout.connect).ok()?.head(url.clone()).send().await.ok()?;
        let next = redirect(&response, &url).ok().flatten()?;
        loses_body(response.status()).then(|| lost(response.status(), &next))
    }

    async fn exchange(&self, message: &Message, timeout: Timeout, answer: &mut Answer) -> Result<(), String> {
        if is_published(&message.url) {
            let mut headers = headers(message)?;
            headers.extend(identification(message, SystemTime::now())?);
            answer.head = Some(self.publisher.publish(message, &headers).await?);
            return Ok(());
        }
        let Some(mut response) = self.follow(message, timeout, &mut answer.status).await? else {
            answer.head = Some(UNAWAITED.to_owned());
            return Ok(());
        };
        let status = response.status();
        answer.status = Some(status);
        let header = response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok());
        answer.retry_after = header.and_then(|value| backoff::retry_after(value, SystemTime::now()));
        // An answer that never ends has been given all the same.
        let mut head = Vec::new();
        let _ = tokio::time::timeout(ANSWER_BODY, read_head(&mut response, &mut head)).await;
        // Text columns of PostgreSQL cannot hold NUL.
        answer.head = Some(String::from_utf8_lossy(&head).replace('\0', "\u{fffd}"));
        if status.is_success() { Ok(()) } else { Err(format!("the endpoint answered {status}")) }
    }

    /// Posts, and follows redirects that repeat the request (307 and 308). 301, 302 and 303 turn it into a GET without
    /// a body (RFC 9110, 15.4), which no event arrives by: they are a failure, unless the operator wants what
    /// python-requests does. `None` where an answer was not awaited.
    async fn follow(
        &self,
        message: &Message,
        timeout: Timeout,
        status: &mut Option<StatusCode>,
    ) -> Result<Option<Response>, String> {
        let origin = parse_url(&message.url)?;
        let own = headers(message)?;
        let mut url = origin.clone();
        let mut method = Method::POST;
        for _ in 0..=MOST_REDIRECTS {
            self.policy.check_url(&url).map_err(|refusal| refusal.to_string())?;
            let client = self.clients.of(&url, timeout.connect).map_err(|error| format!("{error:#}"))?;
            let mut request = client.request(method.clone(), url.clone());
            if same_host(&url, &origin) {
                request = request.headers(own.clone());
            }
            request = request.headers(identification(message, SystemTime::now())?);
            let body = if method == Method::POST { message.body.clone() } else { Bytes::new() };
            let patience = (!message.options.await_answer).then_some(timeout.answer);
            let sent = send(request, body, patience).await.map_err(|error| explain(&error.without_url()))?;
            let Some(response) = sent else {
                return Ok(None);
            };
            if let (Some(host), Some(address)) = (url.host_str(), response.remote_addr()) {
                self.resolver.reached(host, address.ip());
            }
            let Some(next) = redirect(&response, &url)? else {
                return Ok(Some(response));
            };
            if loses_body(response.status()) {
                if !self.redirect_to_get {
                    *status = Some(response.status());
                    return Err(lost(response.status(), &next));
                }
                method = Method::GET;
            }
            url = next;
        }
        Err(format!("more than {MOST_REDIRECTS} redirects"))
    }
}

/// Sends a request, and once more if the connection that it was sent on had rested and was closed just then. `None`:
/// it was sent, and there was no answer for as long as `patience` says.
async fn send(request: RequestBuilder, body: Bytes, patience: Option<Duration>) -> reqwest::Result<Option<Response>> {
    let Some(again) = request.try_clone() else {
        return send_once(request, body, patience).await;
    };
    match connection::was_reused(send_once(request, body.clone(), patience)).await {
        (Err(error), true) if connection::has_ended(&error) => send_once(again, body, patience).await,
        (outcome, _) => outcome,
    }
}

async fn send_once(
    request: RequestBuilder,
    body: Bytes,
    patience: Option<Duration>,
) -> reqwest::Result<Option<Response>> {
    let Some(patience) = patience else {
        return request.body(body).send().await.map(Some);
    };
    let sent = Arc::new(Notify::new());
    let request = request.body(Body::wrap(TrackedBody::new(body, Arc::clone(&sent))));
    tokio::select! {
        response = request.send() => response.map(Some),
        () = async { sent.notified().await; tokio::time::sleep(patience).await } => Ok(None),
    }
}

/// Reads the beginning of the body; of a body that is not too long the rest is read and thrown away.
async fn read_head(response: &mut Response, head: &mut Vec<u8>) {
    let mut length = 0;
    while let Ok(Some(chunk)) = response.chunk().await {
        let room = HEAD.saturating_sub(head.len());
        head.extend_from_slice(&chunk[..chunk.len().min(room)]);
        length += chunk.len();
        if length > LONGEST_ANSWER {
            break;
        }
    }
}

/// What nobody may read in an answer or an error: what signs the request and what its headers and its URL say.
fn secrets(message: &Message) -> Vec<String> {
    let mut secrets = message.secrets.clone();
    if let serde_json::Value::Object(headers) = &message.headers {
        let is_known = |name: &str| ["content-type", "user-agent", "accept"].contains(&name.to_lowercase().as_str());
        for value in headers.iter().filter(|(name, _)| !is_known(name)).filter_map(|(_, value)| value.as_str()) {
            secrets.push(value.to_owned());
            // "Bearer …", "Token …": the scheme is no secret.
            secrets.extend(value.split_once(' ').map(|(_, credentials)| credentials.to_owned()));
        }
    }
    if let Ok(url) = Url::parse(&message.url) {
        let decoded = |text: &str| percent_encoding::percent_decode_str(text).decode_utf8_lossy().into_owned();
        // Of NATS it is a subject, which its errors name.
        let path = if is_published(&message.url) { "" } else { url.path() };
        let parts = [path, url.query().unwrap_or_default(), url.password().unwrap_or_default(), url.username()];
        secrets.extend(parts.iter().flat_map(|part| [(*part).to_owned(), decoded(part)]));
        secrets.extend(path.split('/').filter(|part| part.len() >= 16).map(str::to_owned));
    }
    secrets.retain(|secret| secret.len() >= SHORTEST_SECRET);
    // The longest first: one may hold another.
    secrets.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
    secrets.dedup();
    secrets
}

fn mask(text: &str, secrets: &[String]) -> String {
    secrets.iter().fold(text.to_owned(), |text, secret| text.replace(secret.as_str(), MASK))
}

/// The beginning of a text.
fn shortened(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        Some((place, _)) => format!("{}…", &text[..place]),
        None => text.to_owned(),
    }
}

/// Whether it goes to NATS and not to an HTTP endpoint.
fn is_published(url: &str) -> bool {
    url.get(..7).is_some_and(|scheme| scheme.eq_ignore_ascii_case("nats://"))
}

fn parse_url(text: &str) -> Result<Url, String> {
    let url = Url::parse(text).map_err(|error| format!("the webhook's URL is not valid: {error}"))?;
    match url.scheme() {
        "http" | "https" => Ok(url),
        scheme => Err(format!("the webhook's URL has the scheme {scheme:?}; only http, https and nats are served")),
    }
}

fn same_host(url: &Url, origin: &Url) -> bool {
    url.host() == origin.host()
        && url.port_or_known_default() == origin.port_or_known_default()
        && url.scheme() == origin.scheme()
}

/// Where a redirect leads, if it is one.
fn redirect(response: &Response, from: &Url) -> Result<Option<Url>, String> {
    let is_redirect = matches!(response.status().as_u16(), 301 | 302 | 303 | 307 | 308);
    let Some(location) = response.headers().get(LOCATION).filter(|_| is_redirect) else {
        return Ok(None);
    };
    target(location, from).map(Some)
}

/// Whether a redirect turns a POST into a GET (RFC 9110, 15.4).
fn loses_body(status: StatusCode) -> bool {
    matches!(status, StatusCode::MOVED_PERMANENTLY | StatusCode::FOUND | StatusCode::SEE_OTHER)
}

fn lost(status: StatusCode, next: &Url) -> String {
    format!(
        "the endpoint answered {status} and redirects to {}, which would lose the event: set the webhook's URL to that \
         (or redirect_to_get)",
        crate::model::masked_url(next.as_str())
    )
}

fn target(location: &HeaderValue, from: &Url) -> Result<Url, String> {
    let next = location.to_str().ok().and_then(|location| from.join(location).ok());
    next.filter(|next| matches!(next.scheme(), "http" | "https"))
        .ok_or_else(|| "the endpoint redirects to something that is no http or https URL".to_owned())
}

/// The webhook's headers over our defaults.
fn headers(message: &Message) -> Result<HeaderMap, String> {
    let mut headers = HeaderMap::new();
    let none = serde_json::Map::new();
    let object = match &message.headers {
        serde_json::Value::Object(object) => object,
        // What is empty is nothing, as for python-requests.
        serde_json::Value::Null => &none,
        serde_json::Value::Array(items) if items.is_empty() => &none,
        _ => return Err("the webhook's headers are no JSON object".to_owned()),
    };
    if object.len() > MOST_HEADERS {
        return Err(format!("the webhook has {} headers; {MOST_HEADERS} are allowed", object.len()));
    }
    for (name, value) in object {
        let quoted = shortened(name, QUOTED);
        let header: HeaderName =
            name.parse().map_err(|_| format!("the webhook's header {quoted:?} has no valid name"))?;
        if belongs_to_connection(header.as_str()) {
            continue;
        }
        let text = match value {
            serde_json::Value::String(text) => text.clone(),
            serde_json::Value::Number(_) | serde_json::Value::Bool(_) => value.to_string(),
            // As python-requests, which takes a null for a header that is not to be sent.
            serde_json::Value::Null => continue,
            _ => return Err(format!("the webhook's header {quoted:?} is no text")),
        };
        let mut value = HeaderValue::from_bytes(&encoded(&text))
            .map_err(|_| format!("the webhook's header {quoted:?} has no valid value"))?;
        value.set_sensitive(true);
        headers.try_insert(header, value).map_err(|_| "the webhook has too many headers".to_owned())?;
    }
    if !headers.contains_key(USER_AGENT) {
        headers.insert(USER_AGENT, HeaderValue::from_static(concat!("lshookd/", env!("CARGO_PKG_VERSION"))));
    }
    if let Some((Mode::Structured, _)) = message.cloudevent {
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(cloudevent::ENVELOPE));
    } else if !headers.contains_key(CONTENT_TYPE) {
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    }
    Ok(headers)
}

/// What belongs to the connection is ours to say.
fn belongs_to_connection(name: &str) -> bool {
    matches!(name, "content-length" | "transfer-encoding" | "connection")
}

/// Of a webhook's headers those that have no effect, for lshookd sets them itself; those of CloudEvents where they are sent
/// in binary mode.
pub fn ineffective_headers(headers: &serde_json::Value, in_binary_mode: bool) -> Vec<String> {
    const OURS: [&str; 3] = ["webhook-id", "webhook-timestamp", "webhook-signature"];
    let is_ours = |name: &&String| {
        let name = name.to_ascii_lowercase();
        belongs_to_connection(&name) || OURS.contains(&name.as_str()) || (in_binary_mode && name.starts_with("ce-"))
    };
    headers.as_object().into_iter().flat_map(|headers| headers.keys()).filter(is_ours).cloned().collect()
}

/// The bytes of a header's value: Latin-1 where that has all of its characters, as Python's http.client sends it.
fn encoded(text: &str) -> Vec<u8> {
    let latin: Option<Vec<u8>> = text.chars().map(|each| u8::try_from(u32::from(each)).ok()).collect();
    latin.unwrap_or_else(|| text.as_bytes().to_vec())
}

/// What tells one delivery from another and proves where it is from (Standard Webhooks).
fn identification(message: &Message, now: SystemTime) -> Result<HeaderMap, String> {
    let now = now.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let id = message.id.to_string();
    let timestamp = i64::try_from(now).unwrap_or(i64::MAX);
    let sign = |secret: &String| Webhook::new(secret)?.sign(&id, timestamp, &message.body);
    let signatures: Result<Vec<String>, WebhookError> = message.secrets.iter().map(sign).collect();
    let signatures = signatures.map_err(|_| {
        "a secret in lshookd.secret cannot be used: it must be whsec_ and base64; select lshookd.rotate_secret(webhook)"
            .to_owned()
    })?;
    let value = |text: String| HeaderValue::from_str(&text).map_err(|error| error.to_string());
    let mut headers = HeaderMap::new();
    headers.insert("webhook-id", value(id)?);
    headers.insert("webhook-timestamp", value(now.to_string())?);
    if !signatures.is_empty() {
        headers.insert("webhook-signature", value(signatures.join(" "))?);
    }
    if let Some((Mode::Binary, event)) = &message.cloudevent {
        for (name, text) in event.headers() {
            headers.insert(name, value(text)?);
        }
    }
    Ok(headers)
}

/// An error with its causes in one line.
fn explain(error: &dyn std::error::Error) -> String {
    let mut parts = vec![error.to_string()];
    let mut cause = error.source();
    while let Some(error) = cause {
        parts.push(error.to_string());
        cause = error.source();
    }
    parts.dedup();
    parts.join(": ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::deliver::option::DeliveryOptions;
    use crate::model::Scope;
    use proptest::prelude::*;
    use uuid::Uuid;

    fn message(headers: serde_json::Value) -> Message {
        Message {
            url: "http://127.0.0.1/".to_owned(),
            headers,
            id: Uuid::nil(),
            secrets: Vec::new(),
            scope: Scope::Project(1),
            cloudevent: None,
            options: DeliveryOptions::default(),
            body: Bytes::new(),
        }
    }

    #[test]
    fn the_webhooks_headers_win_over_our_defaults() {
        let headers = headers(&message(serde_json::json!({"User-Agent": "mine", "X-A": "b", "X-N": 1}))).unwrap();
        assert_eq!(headers[USER_AGENT], "mine");
        assert_eq!(headers["x-a"], "b");
        assert_eq!(headers["x-n"], "1");
        assert_eq!(headers[CONTENT_TYPE], "application/json");
    }

    /// The example of the Standard Webhooks specification, and a second secret beside it.
    #[test]
    fn requests_are_signed_by_every_secret() {
        let secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw".to_owned();
        let body = Bytes::from_static(br#"{"test": 2432232314}"#);
        let message = |secrets| Message { body: body.clone(), secrets, ..message(serde_json::Value::Null) };
        let now = SystemTime::now();
        let headers = identification(&message(vec![secret.clone(), "whsec_YW5vdGhlcg==".to_owned()]), now).unwrap();
        let signatures = headers["webhook-signature"].to_str().unwrap();
        assert_eq!(signatures.split(' ').count(), 2);
        assert!(signatures.split(' ').all(|signature| signature.starts_with("v1,")));
        Webhook::new(&secret).unwrap().verify(&body, &headers).unwrap();
        assert!(!identification(&message(Vec::new()), now).unwrap().contains_key("webhook-signature"));
        let error = identification(&message(vec!["whsec_not base64".to_owned()]), now).unwrap_err();
        assert!(error.contains("lshookd.secret") && !error.contains("not base64"));
    }

    #[test]
    fn headers_are_sent_as_python_requests_sends_them() {
        let sent = |value| headers(&message(value)).unwrap();
        assert_eq!(sent(serde_json::json!({"Authorization": "Bearer ü"}))["authorization"].as_bytes(), b"Bearer \xfc");
        assert_eq!(sent(serde_json::json!({"X-A": "ł"}))["x-a"].as_bytes(), "ł".as_bytes());
        assert!(!sent(serde_json::json!({"X-A": null})).contains_key("x-a"));
        assert_eq!(sent(serde_json::json!([])).len(), 2);
        assert!(headers(&message(serde_json::json!(["X-A"]))).is_err());
    }

    #[test]
    fn headers_that_are_ours_have_no_effect_and_are_known() {
        let given = serde_json::json!({"Webhook-Id": "x", "CE-Type": "y", "Content-Length": "1", "X-A": "b"});
        assert_eq!(ineffective_headers(&given, true), ["CE-Type", "Content-Length", "Webhook-Id"]);
        assert_eq!(ineffective_headers(&given, false), ["Content-Length", "Webhook-Id"]);
        assert!(ineffective_headers(&serde_json::json!([]), true).is_empty());
    }

    #[test]
    fn any_number_and_size_of_headers_is_an_error_and_no_panic() {
        let many: serde_json::Map<String, serde_json::Value> =
            (0..40_000).map(|number| (format!("X-{number}"), "a".into())).collect();
        assert!(headers(&message(many.into())).unwrap_err().contains("40000 headers"));
        let long = "X ".repeat(500_000);
        assert!(headers(&message(serde_json::json!({long: "a"}))).unwrap_err().len() < 500);
    }

    #[test]
    fn what_an_endpoint_repeats_of_our_secrets_is_masked() {
        let secrets = secrets(&Message {
            url: "https://user:swordfish@hooks.example/services/T000/B000/XXXXYYYYZZZZ?token=open-sesame".to_owned(),
            secrets: vec!["whsec_abcdef".to_owned()],
            ..message(serde_json::json!({"Authorization": "Bearer open-says-me", "Content-Type": "application/json"}))
        });
        let answer = "no open-says-me at /services/T000/B000/XXXXYYYYZZZZ?token=open-sesame for swordfish whsec_abcdef, \
                      application/json";
        let masked = mask(answer, &secrets);
        assert_eq!(masked, "no *** at ***?*** for *** ***, application/json");
        assert_eq!(shortened("ééé", 2), "éé…");
    }

    #[test]
    fn headers_cannot_smuggle_lines_or_lengths() {
        assert!(headers(&message(serde_json::json!({"X-A": "b\r\nX-Evil: 1"}))).is_err());
        assert!(headers(&message(serde_json::json!({"X A": "b"}))).is_err());
        assert!(!headers(&message(serde_json::json!({"Content-Length": "1"}))).unwrap().contains_key("content-length"));
    }

    #[test]
    fn only_http_is_served_and_bad_urls_are_not_shown() {
        for url in ["ftp://user:hidden@host/", "http://:hidden@", "hidden", "file:///etc/passwd"] {
            assert!(!parse_url(url).unwrap_err().contains("hidden"), "{url}");
        }
        assert!(parse_url("HTTPS://host/").is_ok());
    }

    proptest! {
        #[test]
        fn no_answer_leads_anywhere_but_to_http(location: Vec<u8>) {
            let from = parse_url("http://127.0.0.1/a").unwrap();
            if let Ok(location) = HeaderValue::from_bytes(&location)
                && let Ok(next) = target(&location, &from)
            {
                prop_assert!(matches!(next.scheme(), "http" | "https"));
            }
        }

        #[test]
        fn no_row_of_the_webhook_table_makes_it_panic(url: String, name: String, value: String) {
            let _ = parse_url(&url);
            let mut object = serde_json::Map::new();
            object.insert(name, serde_json::Value::String(value));
            let _ = headers(&message(serde_json::Value::Object(object)));
        }
    }
}
