//! Redirects: which are followed, and which would lose the event.

use http::header::LOCATION;
use http::{HeaderMap, HeaderValue, StatusCode};
use url::Url;

/// Whether the webhook's own headers may go there: to its own host, over TLS also where its URL has none, as
/// python-requests decides.
pub fn is_same_host(url: &Url, origin: &Url) -> bool {
    let is_upgrade = origin.scheme() == "http"
        && url.scheme() == "https"
        && origin.port_or_known_default() == Some(80)
        && url.port_or_known_default() == Some(443);
    let is_same = url.scheme() == origin.scheme() && url.port_or_known_default() == origin.port_or_known_default();
    url.host() == origin.host() && (is_same || is_upgrade)
}

/// Where a redirect leads, if it is one.
///
/// # Errors
/// When it leads to something that is no http or https URL.
pub fn redirect(status: StatusCode, headers: &HeaderMap, from: &Url) -> Result<Option<Url>, String> {
    let is_redirect = matches!(status.as_u16(), 301 | 302 | 303 | 307 | 308);
    let Some(location) = headers.get(LOCATION).filter(|_| is_redirect) else {
        return Ok(None);
    };
    target(location, from).map(Some)
}

/// Whether a redirect turns a POST into a GET (RFC 9110, 15.4).
pub fn loses_body(status: StatusCode) -> bool {
    matches!(status, StatusCode::MOVED_PERMANENTLY | StatusCode::FOUND | StatusCode::SEE_OTHER)
}

/// What to say of that.
pub fn lost(status: StatusCode, next: &Url) -> String {
    format!(
        "the endpoint answered {status} and redirects to {}, which would lose the event: set the webhook's URL to that \
         (or redirect_to_get)",
        crate::model::masked_url(next.as_str())
    )
}

fn target(location: &HeaderValue, from: &Url) -> Result<Url, String> {
    // Browsers and python-requests take UTF-8 here.
    let next = from.join(&String::from_utf8_lossy(location.as_bytes())).ok();
    next.filter(|next| matches!(next.scheme(), "http" | "https"))
        .ok_or_else(|| "the endpoint redirects to something that is no http or https URL".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_webhooks_headers_go_to_its_own_host_alone() {
        let origin: Url = "http://host/a".parse().unwrap();
        let own = |url: &str| is_same_host(&url.parse().unwrap(), &origin);
        assert!(own("http://host:80/b") && own("https://host/b"));
        for other in ["http://other/", "http://host:8080/", "https://host:8443/", "http://host.example/"] {
            assert!(!own(other), "{other}");
        }
        assert!(!is_same_host(&origin, &"https://host/a".parse().unwrap()));
    }

    proptest! {
        #[test]
        fn no_answer_leads_anywhere_but_to_http(location: Vec<u8>) {
            let from = "http://127.0.0.1/a".parse().unwrap();
            if let Ok(location) = HeaderValue::from_bytes(&location)
                && let Ok(next) = target(&location, &from)
            {
                prop_assert!(matches!(next.scheme(), "http" | "https"));
            }
        }
    }
}
