//! Where traces of deliveries go.

use url::Url;

use super::{SettingError, Sources};

/// Where traces go, and of which deliveries there are some.
#[derive(Debug, Clone, PartialEq)]
pub struct Tracing {
    /// The URL that spans are posted to.
    pub endpoint: Url,
    /// The share of deliveries that is traced, from 0 to 1.
    pub share: f64,
}

/// Reads it.
pub fn tracing(sources: &Sources) -> Result<Option<Tracing>, SettingError> {
    let share = sources.parse("otlp_share", share)?;
    let endpoint = sources.parse_optional("otlp_endpoint", endpoint)?.flatten();
    Ok(endpoint.map(|endpoint| Tracing { endpoint, share }))
}

/// The URL of a collector, to which the path for traces is added where it has none (OTLP Specification, "OTLP/HTTP
/// Request").
fn endpoint(text: &str) -> Result<Option<Url>, String> {
    if text.trim().is_empty() {
        return Ok(None);
    }
    let mut url =
        Url::parse(text.trim()).map_err(|error| format!("{error}; expected such as http://127.0.0.1:4318"))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err("expected a URL of http or https".to_owned());
    }
    if url.path() == "/" {
        url.set_path("/v1/traces");
    }
    Ok(Some(url))
}

fn share(text: &str) -> Result<f64, String> {
    let share = text.trim().parse::<f64>().ok().filter(|share| (0.0..=1.0).contains(share));
    share.ok_or_else(|| "expected a number from 0 to 1".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_traced_unless_it_is_said_where_to() {
        let from = |environment: &[(&str, &str)]| tracing(&Sources::for_test(&[], environment, "").unwrap());
        assert_eq!(from(&[]).unwrap(), None);
        let traced = from(&[("LSHOOKD_OTLP_ENDPOINT", "http://127.0.0.1:4318")]).unwrap().unwrap();
        assert_eq!((traced.endpoint.as_str(), traced.share), ("http://127.0.0.1:4318/v1/traces", 1.0));
        let own =
            from(&[("LSHOOKD_OTLP_ENDPOINT", "https://host/own"), ("LSHOOKD_OTLP_SHARE", "0.1")]).unwrap().unwrap();
        assert_eq!((own.endpoint.as_str(), own.share), ("https://host/own", 0.1));
        assert!(from(&[("LSHOOKD_OTLP_ENDPOINT", "host:4317")]).is_err());
        assert!(from(&[("LSHOOKD_OTLP_SHARE", "2")]).is_err());
    }
}
