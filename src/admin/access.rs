//! Who may look, and who may change something.
//!
//! On the loopback interface whoever is on the machine may look. A page of another site's that
//! had its name resolve to the loopback interface could make a browser look for it, so the `Host`
//! must be an address, `localhost` or a name of the setting `admin_hosts`, whatever else opens. What changes something
//! takes the setting `admin_write`, this process's token from a page of ours, and no sign of another
//! site. Passwords cannot be guessed quickly.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use rand::RngExt;

use super::Admin;

/// Proves that a form was on a page of ours.
pub struct Token(String);

impl Token {
    /// A new one.
    pub fn new() -> Token {
        Token(format!("{:032x}", rand::rng().random::<u128>()))
    }

    /// Its text, for a form.
    pub fn text(&self) -> &str {
        &self.0
    }

    /// Whether it is this one; takes as long whatever differs.
    pub fn is(&self, other: &str) -> bool {
        same(&self.0, other)
    }
}

/// Wrong passwords of late.
#[derive(Default)]
pub struct Guesses(Mutex<VecDeque<Instant>>);

impl Guesses {
    const MOST: usize = 10;
    const WINDOW: Duration = Duration::from_secs(60);

    /// Whether another password may be tried.
    fn may_be_made(&self, now: Instant) -> bool {
        let mut failed = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        while failed.front().is_some_and(|at| now.saturating_duration_since(*at) >= Guesses::WINDOW) {
            failed.pop_front();
        }
        failed.len() < Guesses::MOST
    }

    fn failed(&self, now: Instant) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push_back(now);
    }
}

/// Lets requests through that may look, and those that change something only if they may.
pub async fn guard(State(admin): State<Arc<Admin>>, request: Request, next: Next) -> Response {
    let headers = request.headers();
    let settings = &admin.settings.admin;
    if !is_known_host(headers, &settings.hosts) {
        return (StatusCode::FORBIDDEN, "unknown host name; see the setting admin_hosts\n").into_response();
    }
    let is_named = |name: &str| headers.get(name).is_some_and(|value| !value.as_bytes().trim_ascii().is_empty());
    let by_proxy = settings.header.as_deref().is_some_and(is_named);
    let guarded = settings.header.is_some() || settings.password.is_some();
    if guarded && !by_proxy {
        if headers.contains_key(header::AUTHORIZATION) && !admin.guesses.may_be_made(Instant::now()) {
            let later = [(header::RETRY_AFTER, "60")];
            return (StatusCode::TOO_MANY_REQUESTS, later, "too many wrong passwords\n").into_response();
        }
        if !settings.password.as_deref().is_some_and(|password| knows(headers, password)) {
            if headers.contains_key(header::AUTHORIZATION) {
                admin.guesses.failed(Instant::now());
            }
            let ask = [(header::WWW_AUTHENTICATE, "Basic realm=\"lshookd\"")];
            return (StatusCode::UNAUTHORIZED, ask, "authentication required\n").into_response();
        }
    }
    if request.method() == axum::http::Method::POST {
        if !settings.write {
            return (StatusCode::FORBIDDEN, "nothing can be changed here; see the setting admin_write\n")
                .into_response();
        }
        if is_cross_site(headers) {
            return (StatusCode::FORBIDDEN, "this comes from another site\n").into_response();
        }
    }
    let mut response = next.run(request).await;
    let answer = response.headers_mut();
    for (name, value) in [
        (
            header::CONTENT_SECURITY_POLICY,
            "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
        ),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::CACHE_CONTROL, "no-store"),
    ] {
        answer.insert(name, axum::http::HeaderValue::from_static(value));
    }
    response
}

/// Basic authentication (RFC 7617), by any user name.
fn knows(headers: &HeaderMap, password: &str) -> bool {
    let given = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let Some((scheme, encoded)) = given.and_then(|given| given.split_once(' ')) else {
        return false;
    };
    if !scheme.eq_ignore_ascii_case("basic") {
        return false;
    }
    let decoded = data_encoding::BASE64.decode(encoded.trim().as_bytes()).unwrap_or_default();
    let decoded = String::from_utf8(decoded).unwrap_or_default();
    decoded.split_once(':').is_some_and(|(_, given)| same(password, given))
}

fn same(one: &str, other: &str) -> bool {
    one.len() == other.len() && one.bytes().zip(other.bytes()).fold(0, |all, (a, b)| all | (a ^ b)) == 0
}

/// Whether the host is an address, `localhost` or one of these names: what no foreign name can be.
fn is_known_host(headers: &HeaderMap, hosts: &[String]) -> bool {
    let Some(host) = headers.get(header::HOST).and_then(|value| value.to_str().ok()) else {
        // HTTP/1.0, which no browser speaks.
        return true;
    };
    match url::Url::parse(&format!("http://{host}/")) {
        Ok(url) => match url.host() {
            Some(url::Host::Domain(name)) => {
                name == "localhost" || hosts.iter().any(|host| host.eq_ignore_ascii_case(name))
            }
            Some(_) => true,
            None => false,
        },
        Err(_) => false,
    }
}

/// Whether a browser says that the request was made by another site's page.
fn is_cross_site(headers: &HeaderMap) -> bool {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    if let Some(site) = text("sec-fetch-site") {
        return !matches!(site, "same-origin" | "none");
    }
    match (text("origin"), text("host")) {
        // A page without referrer says "null" even to its own origin; the token decides.
        (Some(origin), Some(host)) => origin != "null" && origin.split("://").nth(1) != Some(host),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect()
    }

    #[test]
    fn only_the_password_opens() {
        let given = |value| headers(&[("authorization", value)]);
        assert!(knows(&given("Basic YW55Ym9keTpzZXNhbWU="), "sesame"));
        assert!(knows(&given("basic YW55Ym9keTpzZXNhbWU="), "sesame"));
        for wrong in ["Basic YW55Ym9keTpzZXNhbQ==", "Basic !", "Bearer sesame", "Basic c2VzYW1l", ""] {
            assert!(!knows(&given(wrong), "sesame"), "{wrong}");
        }
        assert!(!knows(&headers(&[]), ""));
    }

    #[test]
    fn passwords_are_not_guessed_quickly() {
        let (guesses, start) = (Guesses::default(), Instant::now());
        for _ in 0..Guesses::MOST {
            assert!(guesses.may_be_made(start));
            guesses.failed(start);
        }
        assert!(!guesses.may_be_made(start + Duration::from_secs(59)));
        assert!(guesses.may_be_made(start + Duration::from_secs(60)));
    }

    #[test]
    fn a_foreign_name_is_no_local_host() {
        for host in ["127.0.0.1:9187", "[::1]:9187", "localhost", "10.0.0.7"] {
            assert!(is_known_host(&headers(&[("host", host)]), &[]), "{host}");
        }
        assert!(is_known_host(&headers(&[("host", "hooks.example:443")]), &["hooks.example".to_owned()]));
        for host in ["evil.example:9187", "localhost.evil.example", ""] {
            assert!(!is_known_host(&headers(&[("host", host)]), &["hooks.example".to_owned()]), "{host}");
        }
    }

    #[test]
    fn another_sites_page_is_recognized() {
        assert!(is_cross_site(&headers(&[("sec-fetch-site", "cross-site")])));
        assert!(is_cross_site(&headers(&[("origin", "http://evil.example"), ("host", "127.0.0.1:9187")])));
        assert!(!is_cross_site(&headers(&[("origin", "http://127.0.0.1:9187"), ("host", "127.0.0.1:9187")])));
        assert!(!is_cross_site(&headers(&[("sec-fetch-site", "same-origin")])));
    }
}
