//! Who may look, and who may change something.
//!
//! On the loopback interface whoever is on the machine may look, unless there is a password or a proxy that names who
//! it is. A page of another site's that had its name resolve to the loopback interface could make a browser look for it,
//! so the `Host` must be an address, `localhost` or a name of the setting `admin_hosts`, whatever else opens. What changes
//! something takes the setting `admin_write`, somebody who may write, their token from a page of ours, and no
//! sign of another site. Passwords cannot be guessed quickly.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use aws_lc_rs::hmac;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Redirect, Response};
use data_encoding::HEXLOWER;
use rand::RngExt;

use super::Admin;
use super::password::{is_right, is_same};

/// What a reverse proxy proves itself by.
const PROXY_SECRET: &str = "x-lshookd-secret";

/// Who looks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Viewer {
    /// As the audit log names them.
    pub name: String,
    /// Whether they may change something, and see URLs in full.
    pub may_write: bool,
    /// What their forms send along.
    pub token: String,
}

/// What proves that a form was on a page that somebody was shown: of each session another one, and of others by who
/// they are.
pub struct Tokens(hmac::Key);

impl Tokens {
    /// Of this process.
    pub fn new() -> Tokens {
        Tokens(hmac::Key::new(hmac::HMAC_SHA256, &rand::rng().random::<[u8; 32]>()))
    }

    /// Of who came in this way, by this name.
    fn of(&self, way: &str, name: &str) -> String {
        HEXLOWER.encode(hmac::sign(&self.0, format!("{way}\n{name}").as_bytes()).as_ref())
    }

    /// Of nobody yet, who is about to log in.
    pub fn of_nobody(&self) -> String {
        self.of("nobody", "")
    }
}

/// Wrong passwords of late.
#[derive(Default)]
pub struct Guesses(Mutex<VecDeque<Instant>>);

impl Guesses {
    const MAXIMUM: usize = 10;
    const WINDOW: Duration = Duration::from_secs(60);

    /// Whether another password may be tried.
    pub fn may_be_made(&self, now: Instant) -> bool {
        let mut failed = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        while failed.front().is_some_and(|at| now.saturating_duration_since(*at) >= Guesses::WINDOW) {
            failed.pop_front();
        }
        failed.len() < Guesses::MAXIMUM
    }

    /// One was wrong.
    pub fn failed(&self, now: Instant) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push_back(now);
    }
}

/// Why somebody may not look.
#[derive(Debug, PartialEq, Eq)]
pub enum Refusal {
    /// It is not said who it is.
    Unknown,
    /// The password is wrong.
    Wrong,
    /// Too many passwords were wrong of late.
    TooMany,
}

/// Who the password, given by somebody of a name, opens to.
///
/// # Errors
/// When it opens to nobody.
pub async fn by_password(admin: &Admin, name: &str, password: &str) -> Result<Viewer, Refusal> {
    if !admin.guesses.may_be_made(Instant::now()) {
        return Err(Refusal::TooMany);
    }
    let settings = &admin.settings.admin;
    let name = if name.trim().is_empty() { "somebody" } else { name.trim() };
    let name: String = name.chars().take(100).collect();
    let way = |may_write| if may_write { "writer" } else { "viewer" };
    let viewer = |may_write| Viewer { token: admin.tokens.of(way(may_write), &name), name: name.clone(), may_write };
    // Both are tried, whichever opens.
    let opens = match &settings.password {
        Some(right) => is_right(right, password).await,
        None => false,
    };
    let shows = match &settings.viewer_password {
        Some(right) => is_right(right, password).await,
        None => false,
    };
    match (opens, shows) {
        (true, _) => Ok(viewer(settings.write)),
        (false, true) => Ok(viewer(false)),
        (false, false) => {
            admin.guesses.failed(Instant::now());
            Err(Refusal::Wrong)
        }
    }
}

/// Who makes a request.
async fn viewer(admin: &Admin, headers: &HeaderMap) -> Result<Viewer, Refusal> {
    let settings = &admin.settings.admin;
    if let Some(viewer) = admin.sessions.of(headers, Instant::now()) {
        return Ok(viewer);
    }
    if let Some(name) = named_by_proxy(headers, settings.header.as_deref(), settings.header_secret.as_deref()) {
        let may_write = settings.write
            && settings.trusts_header()
            && (settings.writers.is_empty() || settings.writers.contains(&name));
        return Ok(Viewer { token: admin.tokens.of("proxy", &name), name, may_write });
    }
    if let Some((name, password)) = basic(headers) {
        return by_password(admin, &name, &password).await;
    }
    match settings.header.is_some() || settings.password.is_some() || settings.viewer_password.is_some() {
        true => Err(Refusal::Unknown),
        false => {
            let name = "local user".to_owned();
            Ok(Viewer { token: admin.tokens.of("machine", ""), name, may_write: settings.write })
        }
    }
}

/// Lets requests through that may look, and says of whom they are.
pub async fn guard(State(admin): State<Arc<Admin>>, mut request: Request, next: Next) -> Response {
    match viewer(&admin, request.headers()).await {
        Ok(viewer) => request.extensions_mut().insert(viewer),
        Err(refusal) => return refused(&admin, refusal, &request),
    };
    next.run(request).await
}

/// Lets those that change something through only of who may write.
pub async fn guard_writing(State(admin): State<Arc<Admin>>, request: Request, next: Next) -> Response {
    let may_write = request.extensions().get::<Viewer>().is_some_and(|viewer| viewer.may_write);
    if request.method() == Method::POST && !may_write {
        let why = match admin.settings.admin.write {
            true => "this user may only read\n",
            false => "nothing can be changed here; see the setting admin_write\n",
        };
        return (StatusCode::FORBIDDEN, why).into_response();
    }
    next.run(request).await
}

fn refused(admin: &Admin, refusal: Refusal, request: &Request) -> Response {
    let settings = &admin.settings.admin;
    let has_password = settings.password.is_some() || settings.viewer_password.is_some();
    let is_page = request.method() == Method::GET
        && request.headers().get(header::ACCEPT).is_some_and(|accept| accept.as_bytes().starts_with(b"text/html"));
    match refusal {
        Refusal::Unknown if is_page && has_password => Redirect::to("/login").into_response(),
        Refusal::TooMany => {
            let later = [(header::RETRY_AFTER, "60")];
            (StatusCode::TOO_MANY_REQUESTS, later, "too many wrong passwords\n").into_response()
        }
        Refusal::Unknown | Refusal::Wrong => {
            let ask = [(header::WWW_AUTHENTICATE, "Basic realm=\"lshookd\"")];
            (StatusCode::UNAUTHORIZED, ask, "authentication required\n").into_response()
        }
    }
}

/// Answers only by names that are ours, refuses what comes from another site's page, and lets browsers do with what is
/// answered no more than they must.
pub async fn protect(State(admin): State<Arc<Admin>>, request: Request, next: Next) -> Response {
    let headers = request.headers();
    if !is_known_host(headers, &admin.settings.admin.hosts) {
        return (StatusCode::FORBIDDEN, "unknown host name; see the setting admin_hosts\n").into_response();
    }
    if request.method() == Method::POST && is_cross_site(headers) {
        return (StatusCode::FORBIDDEN, "this comes from another site\n").into_response();
    }
    let mut response = next.run(request).await;
    let answer = response.headers_mut();
    for (name, value) in [
        (
            header::CONTENT_SECURITY_POLICY,
            "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; \
             form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
        ),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::CACHE_CONTROL, "no-store"),
    ] {
        answer.insert(name, HeaderValue::from_static(value));
    }
    response
}

/// Whom the reverse proxy names, where it is the proxy that does.
fn named_by_proxy(headers: &HeaderMap, header: Option<&str>, secret: Option<&str>) -> Option<String> {
    let text = |name: &str| headers.get(name).map(|value| String::from_utf8_lossy(value.as_bytes()).trim().to_owned());
    let name = text(header?).filter(|name| !name.is_empty())?;
    let is_proxy = secret.is_none_or(|secret| text(PROXY_SECRET).is_some_and(|given| is_same(secret, &given)));
    is_proxy.then_some(name)
}

/// Name and password of Basic authentication (RFC 7617).
fn basic(headers: &HeaderMap) -> Option<(String, String)> {
    let given = headers.get(header::AUTHORIZATION)?;
    let (scheme, encoded) = given.to_str().ok()?.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let decoded = data_encoding::BASE64.decode(encoded.trim().as_bytes()).ok()?;
    let decoded = String::from_utf8(decoded).ok()?;
    decoded.split_once(':').map(|(name, password)| (name.to_owned(), password.to_owned()))
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
    fn basic_authentication_is_read() {
        let given = |value| basic(&headers(&[("authorization", value)]));
        let sesame = Some(("anybody".to_owned(), "sesame".to_owned()));
        assert_eq!(given("Basic YW55Ym9keTpzZXNhbWU="), sesame);
        assert_eq!(given("basic YW55Ym9keTpzZXNhbWU="), sesame);
        for wrong in ["Basic !", "Bearer sesame", "Basic c2VzYW1l", ""] {
            assert_eq!(given(wrong), None, "{wrong}");
        }
        assert_eq!(basic(&headers(&[])), None);
    }

    #[test]
    fn only_the_proxy_names_somebody() {
        let named = |pairs| named_by_proxy(&headers(pairs), Some("x-user"), Some("sesame"));
        assert_eq!(named(&[("x-user", "owl"), ("x-lshookd-secret", "sesame")]), Some("owl".to_owned()));
        for wrong in [
            &[("x-user", "owl")][..],
            &[("x-user", "owl"), ("x-lshookd-secret", "sesam")],
            &[("x-user", " "), ("x-lshookd-secret", "sesame")],
            &[("x-lshookd-secret", "sesame")],
        ] {
            assert_eq!(named(wrong), None, "{wrong:?}");
        }
        // On a Unix socket there is nobody else.
        assert_eq!(named_by_proxy(&headers(&[("x-user", "owl")]), Some("x-user"), None), Some("owl".to_owned()));
        assert_eq!(named_by_proxy(&headers(&[("x-user", "owl")]), None, None), None);
    }

    #[test]
    fn passwords_are_not_guessed_quickly() {
        let (guesses, start) = (Guesses::default(), Instant::now());
        for _ in 0..Guesses::MAXIMUM {
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
