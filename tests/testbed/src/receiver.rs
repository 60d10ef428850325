//! An HTTP endpoint that records what it receives, and can fail in the ways endpoints do.

use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::Result;
use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::eventually;

/// One request.
#[derive(Debug, Clone)]
pub struct Received {
    /// When it was read.
    pub at: Instant,
    /// Path of the URL.
    pub path: String,
    /// Headers; names in lower case.
    pub headers: HeaderMap,
    /// The body as JSON.
    pub body: Value,
    /// The answer that it got.
    pub status: u16,
}

impl Received {
    /// The action in the body.
    pub fn action(&self) -> &str {
        self.body["action"].as_str().unwrap_or_default()
    }

    /// Whether lshookd sent it, and not Label Studio.
    pub fn is_ours(&self) -> bool {
        self.headers.contains_key("webhook-id")
    }

    /// A header's text.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    /// The ids of the objects under a key: of a list, or of one.
    pub fn ids(&self, key: &str) -> Vec<i64> {
        match &self.body[key] {
            Value::Array(items) => items.iter().filter_map(|item| item["id"].as_i64()).collect(),
            one => one["id"].as_i64().into_iter().collect(),
        }
    }

    /// The action and the ids, in a line.
    pub fn summary(&self) -> String {
        let mut parts = vec![self.action().to_owned()];
        for key in ["tasks", "annotation", "annotations", "label_link"] {
            if !self.body[key].is_null() {
                let ids: Vec<String> = self.ids(key).iter().take(6).map(i64::to_string).collect();
                let more = if self.ids(key).len() > 6 { ",…" } else { "" };
                parts.push(format!("{key} {}{more}", ids.join(",")));
            }
        }
        if let Some(project) = self.body["project"]["id"].as_i64() {
            parts.push(format!("project {project}"));
        }
        parts.join(" ")
    }
}

/// How to answer a request.
#[derive(Debug, Clone)]
pub struct Reply {
    /// HTTP status.
    pub status: u16,
    /// Headers of the answer.
    pub headers: Vec<(&'static str, String)>,
    /// How long to wait first.
    pub delay: Duration,
    /// Body of the answer.
    pub body: &'static str,
}

impl Reply {
    /// An answer at once.
    pub fn status(status: u16) -> Reply {
        Reply { status, headers: Vec::new(), delay: Duration::ZERO, body: "" }
    }
}

#[derive(Default)]
struct Shared {
    /// Where set, of bodies this alone is kept: the ids under the key.
    only_ids_of: Mutex<Option<&'static str>>,
    received: Mutex<Vec<Received>>,
    /// Replies to the next requests; 200 when there are none left.
    script: Mutex<VecDeque<Reply>>,
    /// Reply to requests on paths that begin so.
    rules: Mutex<Vec<(String, Reply)>>,
}

/// The endpoint.
pub struct Receiver {
    address: SocketAddr,
    /// Where clients find it.
    shown: SocketAddr,
    shared: Arc<Shared>,
    serving: Option<JoinHandle<()>>,
}

impl Receiver {
    /// Starts on a free port.
    pub async fn start() -> Result<Receiver> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared::default());
        let serving = Some(serve(listener, Arc::clone(&shared)));
        Ok(Receiver { address, shown: address, shared, serving })
    }

    /// A URL on it.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.shown)
    }

    /// From now on its URLs lead to something in front of it.
    pub fn behind(&mut self, front: impl Into<SocketAddr>) {
        self.shown = front.into();
    }

    /// The address in its URLs.
    pub fn host(&self) -> IpAddr {
        self.shown.ip()
    }

    /// Its port.
    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// Closes the port: connections are refused.
    pub async fn take_down(&mut self) {
        if let Some(serving) = self.serving.take() {
            serving.abort();
            let _ = serving.await;
        }
    }

    /// Opens the same port again.
    pub async fn bring_up(&mut self) -> Result<()> {
        let bind = async || Ok(TcpListener::bind(self.address).await.ok());
        let listener = eventually("the receiver's port is free", Duration::from_secs(10), bind).await?;
        self.serving = Some(serve(listener, Arc::clone(&self.shared)));
        Ok(())
    }

    /// Replies to the next requests, one each.
    pub fn script(&self, replies: impl IntoIterator<Item = Reply>) {
        lock(&self.shared.script).extend(replies);
    }

    /// The reply to all requests on paths that begin so, until there is another.
    pub fn answer(&self, path: &str, reply: Reply) {
        let mut rules = lock(&self.shared.rules);
        rules.retain(|(prefix, _)| prefix != path);
        rules.push((path.to_owned(), reply));
    }

    /// From now on keeps of each body no more than the ids under a key, for there will be many.
    pub fn keep_only_ids_of(&self, key: &'static str) {
        *lock(&self.shared.only_ids_of) = Some(key);
    }

    /// How many requests were received so far.
    pub fn count(&self) -> usize {
        lock(&self.shared.received).len()
    }

    /// Everything received so far.
    pub fn received(&self) -> Vec<Received> {
        lock(&self.shared.received).clone()
    }

    /// What lshookd sent so far and got a 2xx answer for.
    pub fn accepted(&self) -> Vec<Received> {
        self.received()
            .into_iter()
            .filter(|request| request.is_ours() && (200..300).contains(&request.status))
            .collect()
    }

    /// Forgets what was received.
    pub fn clear(&self) {
        lock(&self.shared.received).clear();
    }

    /// Waits until as many events of lshookd's have been accepted, and for a moment more, so
    /// that one too many is seen.
    pub async fn expect(&self, count: usize) -> Result<Vec<Received>> {
        let enough = async || Ok((self.accepted().len() >= count).then_some(()));
        if let Err(error) = eventually("events arrive", Duration::from_secs(30), enough).await {
            let seen: Vec<String> = self.accepted().iter().map(|request| request.action().to_owned()).collect();
            return Err(error.context(format!("expected {count} events, received {seen:?}")));
        }
        tokio::time::sleep(Duration::from_millis(400)).await;
        Ok(self.accepted())
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        if let Some(serving) = self.serving.take() {
            serving.abort();
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn serve(listener: TcpListener, shared: Arc<Shared>) -> JoinHandle<()> {
    let limit = axum::extract::DefaultBodyLimit::disable();
    let router = Router::new().fallback(receive).layer(limit).with_state(shared);
    tokio::spawn(async move {
        let _ = axum::serve(listener, router).await;
    })
}

async fn receive(
    State(shared): State<Arc<Shared>>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    // No event: somebody asks what an event would be answered with.
    let is_asking = method == Method::HEAD;
    let scripted = if is_asking { None } else { lock(&shared.script).pop_front() };
    let ruled = || {
        lock(&shared.rules).iter().find(|(prefix, _)| uri.path().starts_with(prefix)).map(|(_, reply)| reply.clone())
    };
    let reply = scripted.or_else(ruled).unwrap_or_else(|| Reply::status(200));
    let received = Received {
        at: Instant::now(),
        path: uri.path().to_owned(),
        headers,
        body: serde_json::from_slice(&body).unwrap_or(Value::Null),
        status: reply.status,
    };
    let received = match *lock(&shared.only_ids_of) {
        None => received,
        Some(key) => {
            let objects: Vec<Value> = received.ids(key).into_iter().map(|id| json!({ "id": id })).collect();
            Received { body: json!({ key: objects }), headers: HeaderMap::new(), ..received }
        }
    };
    // Even no time at all would be a millisecond.
    if !reply.delay.is_zero() {
        tokio::time::sleep(reply.delay).await;
    }
    if !is_asking {
        lock(&shared.received).push(received);
    }
    let status = StatusCode::from_u16(reply.status).unwrap_or(StatusCode::OK);
    let mut response = (status, reply.body).into_response();
    for (name, value) in reply.headers {
        if let Ok(value) = HeaderValue::from_str(&value) {
            response.headers_mut().insert(HeaderName::from_static(name), value);
        }
    }
    response
}
