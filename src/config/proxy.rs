//! The HTTP proxy through which endpoints are reached, where there is one.

use std::fmt;
use std::sync::Arc;

use http::Uri;
use hyper_util::client::proxy::matcher::{Intercept, Matcher};

use super::{SettingError, Sources};

/// Which requests go through which proxy. Its credentials are never printed.
#[derive(Clone, Default)]
pub struct Proxy(Option<Arc<Matcher>>);

/// A webhook's own proxy where it shall have none.
pub const DIRECT: &str = "direct";

/// Whether it is the URL of one; it may hold a password.
fn is_url(text: &str) -> bool {
    text.parse::<Uri>()
        .is_ok_and(|url| url.scheme_str() == Some("http") && url.host().is_some_and(|host| !host.is_empty()))
}

impl Proxy {
    /// A webhook's own, whatever the settings except.
    ///
    /// # Errors
    /// What is wrong with it, without it.
    pub fn of_webhook(text: &str) -> Result<Proxy, String> {
        match text {
            DIRECT => Ok(Proxy(None)),
            text if is_url(text) => Ok(Proxy(Some(Arc::new(Matcher::builder().all(text).build())))),
            _ => Err(format!("expected http://HOST:PORT of a proxy that knows CONNECT, or {DIRECT}")),
        }
    }

    /// The proxy for a URL, if it goes through one.
    pub fn of(&self, url: &Uri) -> Option<Intercept> {
        self.0.as_ref()?.intercept(url)
    }
}

impl fmt::Debug for Proxy {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        to.write_str(if self.0.is_some() { "Proxy(…)" } else { "Proxy(none)" })
    }
}

/// What the settings say of it: the environment's variables count only where they say so.
pub fn proxy(sources: &Sources) -> Result<Proxy, SettingError> {
    let exempt = sources.parse("no_proxy", |text| Ok(text.to_owned()))?;
    let matcher = sources.parse_optional("proxy", |text| match text.trim() {
        "" | "off" => Ok(None),
        "environment" => Ok(Some(Matcher::from_env())),
        text if is_url(text) => Ok(Some(Matcher::builder().all(text).no(exempt.as_str()).build())),
        _ => Err("expected http://HOST:PORT of a proxy that knows CONNECT, environment, or off".to_owned()),
    })?;
    Ok(Proxy(matcher.flatten().map(Arc::new)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(proxy: &Proxy, url: &str) -> Option<String> {
        proxy.of(&url.parse().unwrap()).map(|found| found.uri().to_string())
    }

    #[test]
    fn a_proxy_is_used_where_the_settings_say_so_and_nowhere_else() {
        let read = |environment: &[(&str, &str)]| proxy(&Sources::for_test(&[], environment, "").unwrap());
        assert_eq!(of(&read(&[("HTTP_PROXY", "http://other:1")]).unwrap(), "http://host/"), None);
        let set = [("LSHOOKD_PROXY", "http://us:pass@proxy:3128"), ("LSHOOKD_NO_PROXY", "inside.example, 10.0.0.0/8")];
        let set = read(&set).unwrap();
        assert_eq!(of(&set, "http://host/").unwrap(), "http://proxy:3128/");
        assert_eq!(of(&set, "https://host/").unwrap(), "http://proxy:3128/");
        assert!(set.of(&"http://host/".parse().unwrap()).unwrap().basic_auth().unwrap().is_sensitive());
        for exempt in ["http://inside.example/", "https://a.inside.example/", "http://10.1.2.3/"] {
            assert_eq!(of(&set, exempt), None, "{exempt}");
        }
        assert_eq!(format!("{set:?}"), "Proxy(…)");
        let own = Proxy::of_webhook("http://us:hidden@proxy:3129").unwrap();
        assert_eq!(of(&own, "http://inside.example/").unwrap(), "http://proxy:3129/");
        assert_eq!(of(&Proxy::of_webhook("direct").unwrap(), "http://host/"), None);
        assert!(!Proxy::of_webhook("ftp://us:hidden@proxy").unwrap_err().contains("hidden"));
        for wrong in ["proxy:3128", "socks5://us:hidden@proxy:1080", "https://us:hidden@proxy", "http://"] {
            let error = read(&[("LSHOOKD_PROXY", wrong)]).unwrap_err().to_string();
            assert!(error.contains("setting proxy") && !error.contains("hidden"), "{error}");
        }
    }
}
