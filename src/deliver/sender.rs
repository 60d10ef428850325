//! One request: what Label Studio would have sent, within limits. Where the URL is of NATS, a message.
//!
//! Promises: the webhook's own headers go to its own host alone, no address is reached that
//! [`egress`](super::egress) refuses, an endpoint that gave a status has answered, whatever else it said or did, no
//! answer takes more memory than its head, and nothing secret (URL, headers) is in an error.

use std::future::{pending, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use anyhow::Result;
use bytes::Bytes;
use http::header::{ACCEPT, AUTHORIZATION, RETRY_AFTER};
use http::request::Parts;
use http::{Extensions, HeaderMap, HeaderValue, Method, Request, Response, StatusCode, Uri};
use http_body::Body;
use hyper::body::Incoming;
use hyper_util::client::legacy;
use hyper_util::client::legacy::connect::{CaptureConnection, Connected, capture_connection};
use tokio::sync::Notify;
use url::Url;

use super::answer::{Answer, read_leniently};
use super::backoff;
use super::body::RequestBody;
use super::client::{Client, Clients};
use super::connection::{causes, has_ended, is_no_http, is_unprocessed};
use super::egress::EgressPolicy;
use super::headers;
use super::mask::{mask, secrets, shortened};
use super::message::{Message, is_published};
use super::publish::Publisher;
use super::redirect::{is_same_host, loses_body, lost, redirect};
use super::resolver::Resolver;
use super::route::Link;
use crate::config::{Limit, Settings, Timeout};

/// Of an answer this much is kept.
const HEAD: usize = 1024;
/// And this much is read, so that the connection can be used again.
const LONGEST_ANSWER: usize = 64 * 1024;
/// python-requests follows as many.
const MAXIMUM_REDIRECTS: usize = 30;
/// For so long the rest of an answer is waited for: its status is known by then.
const ANSWER_BODY: Duration = Duration::from_secs(1);
/// An error has so many characters at most.
const LONGEST_ERROR: usize = 1000;
/// A body gets time to be sent beside the time for the answer: a second for as many bytes.
const SLOWEST_UPLOAD: f64 = 1_000_000.0;
/// Where limits are of each step, all of them together end after so long.
const LONGEST_STEPS: Duration = Duration::from_secs(60);
/// What is said of a connection that ended.
const CLOSED: &str = "the connection was closed before an answer came";
/// What is recorded in place of an answer that was not awaited.
const UNAWAITED: &str = "(answer not awaited)";

/// Sends requests.
pub struct Sender {
    clients: Clients,
    policy: Arc<EgressPolicy>,
    publisher: Publisher,
    timeout: Timeout,
    redirect_to_get: bool,
}

/// The limits of one request.
struct Limits {
    timeout: Timeout,
    /// How long the body may take to be sent, beside.
    upload: Duration,
    await_answer: bool,
}

/// A head of an answer, and what is left to read.
struct Reply {
    status: StatusCode,
    headers: HeaderMap,
    /// The beginning of the body, as far as it was read with the head.
    begun: Vec<u8>,
    rest: Option<Incoming>,
}

impl Sender {
    /// A sender by the operator's settings, through this policy.
    ///
    /// # Errors
    /// When a certificate of the settings cannot be used.
    pub fn new(settings: &Settings, policy: Arc<EgressPolicy>) -> Result<Sender> {
        let resolver = Arc::new(Resolver::new(Arc::clone(&policy)));
        Ok(Sender {
            clients: Clients::new(&settings.trust, &settings.proxy, &resolver)?,
            publisher: Publisher::new(Arc::clone(&policy), settings.timeout),
            policy,
            timeout: settings.timeout,
            redirect_to_get: settings.redirect_to_get,
        })
    }

    /// Sends one message. Never fails: failure is an answer too.
    pub async fn send(&self, message: &Message) -> Answer {
        let clock = Instant::now();
        let limits = self.limits(message);
        let limit = longest(limits.timeout.connect) + longest(limits.timeout.answer) + limits.upload;
        let mut answer = Answer::pending();
        match tokio::time::timeout(limit, self.exchange(message, &limits, &mut answer)).await {
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
        // Most endpoints say nothing, and have nothing masked.
        if answer.error.is_some() || answer.head.as_deref().is_some_and(|head| !head.is_empty()) {
            let secrets = secrets(message);
            answer.error = answer.error.map(|error| shortened(&mask(&error, &secrets), LONGEST_ERROR));
            answer.head = answer.head.map(|head| mask(&head, &secrets));
        }
        answer
    }

    /// The webhook's own limits, else those of the settings.
    fn limits(&self, message: &Message) -> Limits {
        let own = &message.options;
        Limits {
            timeout: Timeout {
                connect: own.connect_timeout.map_or(self.timeout.connect, Limit::Whole),
                answer: own.answer_timeout.map_or(self.timeout.answer, Limit::Whole),
            },
            upload: Duration::from_secs_f64(message.body.len() as f64 / SLOWEST_UPLOAD),
            await_answer: own.await_answer,
        }
    }

    /// Whether an endpoint redirects in a way that loses the event, and why; asked by a HEAD.
    pub async fn losing_redirect(&self, url: &str) -> Option<String> {
        let url = parse_url(url).ok().filter(|_| !self.redirect_to_get)?;
        self.policy.check_url(&url).ok()?;
        let mut request = Request::new(RequestBody::whole(Bytes::new()));
        *request.method_mut() = Method::HEAD;
        *request.uri_mut() = uri(&url, None).ok()?;
        let client = self.clients.of(&url, self.timeout.connect, false, None).ok()?;
        let response = client.request(request).await.ok()?;
        let next = redirect(response.status(), response.headers(), &url).ok().flatten()?;
        loses_body(response.status()).then(|| lost(response.status(), &next))
    }

    async fn exchange(&self, message: &Message, limits: &Limits, answer: &mut Answer) -> Result<(), String> {
        if is_published(&message.url) {
            let (mut headers, _) = headers::own(message)?;
            headers.extend(headers::identification(message, SystemTime::now())?);
            answer.head = Some(self.publisher.publish(message, &headers).await?);
            return Ok(());
        }
        let Some(mut reply) = self.follow(message, limits, answer).await? else {
            answer.head = Some(UNAWAITED.to_owned());
            return Ok(());
        };
        answer.status = Some(reply.status);
        let header = reply.headers.get(RETRY_AFTER).and_then(|value| value.to_str().ok());
        answer.retry_after = header.and_then(|value| backoff::retry_after(value, SystemTime::now()));
        // An answer that never ends has been given all the same.
        let _ = tokio::time::timeout(ANSWER_BODY, reply.read_head()).await;
        // Text columns of PostgreSQL cannot hold NUL.
        answer.head = Some(String::from_utf8_lossy(&reply.begun).replace('\0', "\u{fffd}"));
        match reply.status {
            status if status.is_success() => Ok(()),
            status => Err(format!("the endpoint answered {status}")),
        }
    }

    /// Posts, and follows redirects that repeat the request (307 and 308). 301, 302 and 303 turn it into a GET without
    /// a body (RFC 9110, 15.4), which no event arrives by: they are a failure, unless the operator wants what
    /// python-requests does. `None` where an answer was not awaited.
    async fn follow(&self, message: &Message, limits: &Limits, answer: &mut Answer) -> Result<Option<Reply>, String> {
        let origin = parse_url(&message.url)?;
        let (mut own, host) = headers::own(message)?;
        // Over a header, as python-requests has it.
        if let Some(credentials) = headers::credentials(&origin) {
            own.insert(AUTHORIZATION, credentials);
        }
        let mut url = origin.clone();
        let mut method = Method::POST;
        for _ in 0..=MAXIMUM_REDIRECTS {
            self.policy.check_url(&url).map_err(|refusal| refusal.to_string())?;
            let is_own = is_same_host(&url, &origin);
            let host = host.as_ref().filter(|_| is_own);
            let proxy = message.options.proxy.as_ref();
            let client = self.clients.of(&url, limits.timeout.connect, host.is_some(), proxy)?;
            let mut headers = if is_own { own.clone() } else { headers::defaults(message) };
            headers.entry(ACCEPT).or_insert(HeaderValue::from_static("*/*"));
            headers.extend(headers::identification(message, SystemTime::now())?);
            let (mut parts, ()) = Request::new(()).into_parts();
            parts.uri = uri(&url, host)?;
            parts.headers = headers;
            parts.method = method.clone();
            let body = if method == Method::POST { message.body.clone() } else { Bytes::new() };
            let Some(reply) = send(&client, &parts, body, limits, answer).await? else {
                return Ok(None);
            };
            let Some(next) = redirect(reply.status, &reply.headers, &url)? else {
                return Ok(Some(reply));
            };
            if loses_body(reply.status) {
                if !self.redirect_to_get {
                    answer.status = Some(reply.status);
                    return Err(lost(reply.status, &next));
                }
                method = Method::GET;
            }
            url = next;
        }
        Err(format!("more than {MAXIMUM_REDIRECTS} redirects"))
    }
}

/// Sends a request, and once more if the endpoint has not seen it: the connection had rested and was closed just then,
/// or the endpoint says so. `None`: it was sent, and is not awaited any longer.
async fn send(
    client: &Client,
    parts: &Parts,
    body: Bytes,
    limits: &Limits,
    answer: &mut Answer,
) -> Result<Option<Reply>, String> {
    match send_once(client, parts, body.clone(), limits, answer).await {
        Err(Failure::Unseen) => send_once(client, parts, body, limits, answer).await,
        outcome => outcome,
    }
    .map_err(|failure| match failure {
        Failure::Unseen => CLOSED.to_owned(),
        Failure::Other(reason) => reason,
    })
}

/// Why there was no answer.
enum Failure {
    /// The endpoint has most likely not seen the request.
    Unseen,
    /// Something else.
    Other(String),
}

/// How a request ended.
enum Ending {
    Outcome(Result<Response<Incoming>, legacy::Error>),
    /// There was no answer for too long.
    Silence,
    /// It was wholly sent, and need not be answered.
    Unawaited,
}

async fn send_once(
    client: &Client,
    parts: &Parts,
    body: Bytes,
    limits: &Limits,
    answer: &mut Answer,
) -> Result<Option<Reply>, Failure> {
    let sent = Arc::new(Notify::new());
    let body = match limits.await_answer {
        true => RequestBody::whole(body),
        false => RequestBody::tracked(body, Arc::clone(&sent)),
    };
    let mut request = Request::from_parts(parts.clone(), body);
    let connection = capture_connection(&mut request);
    let clock = Instant::now();
    let ending = tokio::select! {
        outcome = client.request(request) => Ending::Outcome(outcome),
        () = silence(connection.clone(), limits) => Ending::Silence,
        () = unawaited(&sent, limits) => Ending::Unawaited,
    };
    let link = connection.connection_metadata().as_ref().and_then(|connected| {
        if matches!(ending, Ending::Silence) {
            // A connection that timed out is not used again, whatever its protocol.
            connected.poison();
        }
        link_of(connected)
    });
    let was_reused = link.as_ref().is_some_and(|link| link.used());
    let answered = matches!(ending, Ending::Outcome(Ok(_))).then(|| clock.elapsed());
    answer.route = link.as_ref().map(|link| link.route(was_reused, answered));
    match ending {
        Ending::Outcome(Ok(response)) => {
            if let Some(link) = link {
                link.understood();
            }
            let (head, rest) = response.into_parts();
            Ok(Some(Reply { status: head.status, headers: head.headers, begun: Vec::new(), rest: Some(rest) }))
        }
        Ending::Outcome(Err(error)) => {
            // Whoever gave a status has answered, however it went on.
            let heard = link.map(|link| link.take_heard()).unwrap_or_default();
            match read_leniently(&heard) {
                Some((status, headers, body)) => {
                    let begun = body.iter().copied().take(HEAD).collect();
                    Ok(Some(Reply { status, headers, begun, rest: None }))
                }
                None if is_unprocessed(&error) || was_reused && has_ended(&error) => Err(Failure::Unseen),
                None => Err(Failure::Other(explain(&error))),
            }
        }
        Ending::Silence => Err(Failure::Other(format!(
            "no answer within {:.1} s (setting answer_timeout)",
            limits.timeout.answer.duration().as_secs_f64()
        ))),
        Ending::Unawaited => Ok(None),
    }
}

/// What our connector tells of a connection.
fn link_of(connected: &Connected) -> Option<Arc<Link>> {
    let mut extensions = Extensions::new();
    connected.get_extras(&mut extensions);
    extensions.remove()
}

/// Ends when an answer took too long, from when there is a connection.
async fn silence(mut connection: CaptureConnection, limits: &Limits) {
    let link = connection.wait_for_connection_metadata().await.as_ref().and_then(link_of);
    let started = Instant::now();
    match (limits.timeout.answer, link) {
        (_, None) => pending().await,
        (Limit::Whole(limit), Some(_)) => tokio::time::sleep(limit + limits.upload).await,
        (Limit::Each(limit), Some(link)) => {
            while let Some(left) =
                limit.checked_sub(link.active_at().max(started).elapsed()).filter(|left| !left.is_zero())
            {
                tokio::time::sleep(left).await;
            }
        }
    }
}

/// Ends when a request was wholly sent that need not be answered, and was not in time.
async fn unawaited(sent: &Notify, limits: &Limits) {
    if limits.await_answer {
        pending::<()>().await;
    }
    sent.notified().await;
    tokio::time::sleep(limits.timeout.answer.duration()).await;
}

/// What the steps of a limit may take together.
fn longest(limit: Limit) -> Duration {
    match limit {
        Limit::Whole(duration) => duration,
        Limit::Each(duration) => duration.max(LONGEST_STEPS),
    }
}

impl Reply {
    /// Reads the beginning of the body; of a body that is not too long the rest is read and thrown away.
    async fn read_head(&mut self) {
        let Some(rest) = &mut self.rest else { return };
        let mut rest = pin!(rest);
        let mut length = 0;
        while let Some(Ok(frame)) = poll_fn(|context| rest.as_mut().poll_frame(context)).await {
            let Ok(chunk) = frame.into_data() else { continue };
            let room = HEAD.saturating_sub(self.begun.len());
            self.begun.extend_from_slice(&chunk[..chunk.len().min(room)]);
            length += chunk.len();
            if length > LONGEST_ANSWER {
                break;
            }
        }
    }
}

fn parse_url(text: &str) -> Result<Url, String> {
    let url = Url::parse(text).map_err(|error| format!("the webhook's URL is not valid: {error}"))?;
    match url.scheme() {
        "http" | "https" => Ok(url),
        scheme => Err(format!("the webhook's URL has the scheme {scheme:?}; only http, https and nats are served")),
    }
}

/// What is asked for: without credentials, and of the host that the webhook's own `Host` names.
fn uri(url: &Url, host: Option<&HeaderValue>) -> Result<Uri, String> {
    let named = match host {
        Some(host) => host.to_str().map_err(|_| "the webhook's header \"Host\" is no host".to_owned())?.to_owned(),
        None => url[url::Position::BeforeHost..url::Position::AfterPort].to_owned(),
    };
    let path = &url[url::Position::BeforePath..url::Position::AfterQuery];
    Uri::builder().scheme(url.scheme()).authority(named).path_and_query(path).build().map_err(|_| match host {
        Some(_) => "the webhook's header \"Host\" is no host".to_owned(),
        None => "the webhook's URL is not valid".to_owned(),
    })
}

/// An error with its causes in one line.
fn explain(error: &legacy::Error) -> String {
    if has_ended(error) && !error.is_connect() {
        return CLOSED.to_owned();
    }
    if is_no_http(error) {
        return "the endpoint answered with something that is no HTTP".to_owned();
    }
    // The outermost says that it is one.
    let mut parts: Vec<String> = causes(error).skip(1).map(ToString::to_string).collect();
    if error.is_connect() {
        // What opening a connection says is a sentence, with its causes in it.
        parts.truncate(1);
    }
    if parts.is_empty() {
        parts.push(error.to_string());
    }
    parts.dedup();
    parts.join(": ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn only_http_is_served_and_bad_urls_are_not_shown() {
        for url in ["ftp://user:hidden@host/", "http://:hidden@", "hidden", "file:///etc/passwd"] {
            assert!(!parse_url(url).unwrap_err().contains("hidden"), "{url}");
        }
        assert!(parse_url("HTTPS://host/").is_ok());
    }

    #[test]
    fn a_webhooks_host_takes_the_place_of_the_urls() {
        let url = parse_url("http://user:hidden@127.0.0.1:8000/a?b#c").unwrap();
        assert_eq!(uri(&url, None).unwrap(), "http://127.0.0.1:8000/a?b");
        assert_eq!(
            uri(&url, Some(&HeaderValue::from_static("virtual.example"))).unwrap(),
            "http://virtual.example/a?b"
        );
        assert!(uri(&url, Some(&HeaderValue::from_static("no host"))).is_err());
    }

    proptest! {
        #[test]
        fn no_url_makes_it_panic(url: String, host: String) {
            if let Ok(url) = parse_url(&url) {
                let _ = uri(&url, HeaderValue::from_str(&host).ok().as_ref());
            }
        }
    }
}
