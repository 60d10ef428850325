//! The headers of a request: the webhook's own over our defaults, and what identifies and signs the delivery.

use std::time::{SystemTime, UNIX_EPOCH};

use data_encoding::BASE64;
use http::header::{CONTENT_TYPE, HOST, USER_AGENT};
use http::{HeaderMap, HeaderName, HeaderValue};
use percent_encoding::percent_decode_str;
use url::Url;

use super::cloudevent::{self, Mode};
use super::mask::shortened;
use super::message::Message;
use super::signature::signature;

/// So many headers a webhook may have.
const MAXIMUM_HEADERS: usize = 200;
/// Of a text that others wrote so many characters are kept in an error.
const QUOTED: usize = 100;

/// What any host gets: our defaults.
pub fn defaults(message: &Message) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert(USER_AGENT, HeaderValue::from_static(concat!("lshookd/", env!("CARGO_PKG_VERSION"))));
    let content_type = match message.cloudevent {
        Some((Mode::Structured, _)) => cloudevent::ENVELOPE,
        _ => "application/json",
    };
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers
}

/// What the webhook's own host gets: the webhook's headers over our defaults. Its `Host` is told apart.
///
/// # Errors
/// What is wrong with a header; it quotes little of it, and no value.
pub fn own(message: &Message) -> Result<(HeaderMap, Option<HeaderValue>), String> {
    let mut headers = defaults(message);
    let none = serde_json::Map::new();
    let object = match &message.headers {
        serde_json::Value::Object(object) => object,
        // What is empty is nothing, as for python-requests.
        serde_json::Value::Null => &none,
        serde_json::Value::Array(items) if items.is_empty() => &none,
        _ => return Err("the webhook's headers are no JSON object".to_owned()),
    };
    if object.len() > MAXIMUM_HEADERS {
        return Err(format!("the webhook has {} headers; {MAXIMUM_HEADERS} are allowed", object.len()));
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
        // Two spellings of one name are one header, the last one, as in a dictionary of python-requests.
        headers.try_insert(header, value).map_err(|_| "the webhook has too many headers".to_owned())?;
    }
    if let Some((Mode::Structured, _)) = message.cloudevent {
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(cloudevent::ENVELOPE));
    }
    let host = headers.remove(HOST);
    Ok((headers, host))
}

/// The user name and password of a URL as Basic authentication (RFC 7617).
pub fn credentials(url: &Url) -> Option<HeaderValue> {
    let (name, password) = (url.username(), url.password().unwrap_or_default());
    if name.is_empty() && password.is_empty() {
        return None;
    }
    let decoded = |text| encoded(&percent_decode_str(text).decode_utf8_lossy());
    let pair = [decoded(name), b":".to_vec(), decoded(password)].concat();
    let mut value = HeaderValue::from_str(&format!("Basic {}", BASE64.encode(&pair))).ok()?;
    value.set_sensitive(true);
    Some(value)
}

/// What goes with an event that a consumer pulls: what a request would carry, but for what the webhook adds and what
/// belongs to the connection.
///
/// # Errors
/// When a secret cannot be used.
pub fn carried(message: &Message, now: SystemTime) -> Result<HeaderMap, String> {
    let mut headers = defaults(message);
    headers.remove(USER_AGENT);
    headers.extend(identification(message, now)?);
    Ok(headers)
}

/// What belongs to the connection is ours to say.
fn belongs_to_connection(name: &str) -> bool {
    matches!(name, "content-length" | "transfer-encoding" | "connection")
}

/// Of a webhook's headers those that have no effect, for lshookd sets them itself; those of CloudEvents where they are sent
/// in binary mode.
pub fn ineffective_headers(headers: &serde_json::Value, in_binary_mode: bool) -> Vec<String> {
    const OURS: [&str; 4] = ["webhook-id", "webhook-timestamp", "webhook-signature", "lshookd-replay"];
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
///
/// # Errors
/// When a secret cannot be used.
pub fn identification(message: &Message, now: SystemTime) -> Result<HeaderMap, String> {
    let now = now.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let id = message.id.to_string();
    let signatures: Option<Vec<String>> =
        message.secrets.iter().map(|secret| signature(secret, &id, now, &message.body)).collect();
    let signatures = signatures.ok_or(
        "a secret in lshookd.secret cannot be used: it must be whsec_ and base64; select lshookd.rotate_secret(webhook)",
    )?;
    let value = |text: String| HeaderValue::from_str(&text).map_err(|error| error.to_string());
    let mut headers = HeaderMap::new();
    headers.insert("webhook-id", value(id)?);
    headers.insert("webhook-timestamp", value(now.to_string())?);
    if let Some(parent) = &message.traceparent {
        headers.insert("traceparent", value(parent.clone())?);
    }
    if !signatures.is_empty() {
        headers.insert("webhook-signature", value(signatures.join(" "))?);
    }
    if let Some(attempts) = message.replay {
        headers.insert("lshookd-replay", attempts.into());
    }
    if let Some((Mode::Binary, event)) = &message.cloudevent {
        for (name, text) in event.headers() {
            headers.insert(name, value(text)?);
        }
    }
    Ok(headers)
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use proptest::prelude::*;
    use standardwebhooks::Webhook;

    fn own_headers(headers: serde_json::Value) -> Result<HeaderMap, String> {
        own(&Message::for_test(headers)).map(|(headers, _)| headers)
    }

    #[test]
    fn the_webhooks_headers_win_over_our_defaults() {
        let headers = own_headers(serde_json::json!({"User-Agent": "mine", "X-A": "b", "X-N": 1})).unwrap();
        assert_eq!(headers[USER_AGENT], "mine");
        assert_eq!(headers["x-a"], "b");
        assert_eq!(headers["x-n"], "1");
        assert_eq!(headers[CONTENT_TYPE], "application/json");
    }

    #[test]
    fn credentials_of_a_url_are_sent_as_basic_authentication_and_into_no_stream() {
        let url = "https://us%2Fer:p%C3%A4ss@host/";
        let expected = format!("Basic {}", BASE64.encode(b"us/er:p\xe4ss"));
        assert_eq!(credentials(&Url::parse(url).unwrap()).unwrap(), expected.as_str());
        assert!(credentials(&Url::parse("https://host/").unwrap()).is_none());
        let message =
            Message { url: "nats://user:hidden@host/a".to_owned(), ..Message::for_test(serde_json::Value::Null) };
        assert!(!own(&message).unwrap().0.contains_key("authorization"));
    }

    #[test]
    fn a_host_is_told_apart() {
        let (headers, host) = own(&Message::for_test(serde_json::json!({"host": "virtual.example"}))).unwrap();
        assert_eq!(host.unwrap(), "virtual.example");
        assert!(!headers.contains_key(HOST));
    }

    /// The example of the Standard Webhooks specification, and a second secret beside it.
    #[test]
    fn requests_are_signed_by_every_secret() {
        let secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw".to_owned();
        let body = Bytes::from_static(br#"{"test": 2432232314}"#);
        let message = |secrets| Message { body: body.clone(), secrets, ..Message::for_test(serde_json::Value::Null) };
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
        let sent = |value| own_headers(value).unwrap();
        assert_eq!(sent(serde_json::json!({"Authorization": "Bearer ü"}))["authorization"].as_bytes(), b"Bearer \xfc");
        assert_eq!(sent(serde_json::json!({"X-A": "ł"}))["x-a"].as_bytes(), "ł".as_bytes());
        assert!(!sent(serde_json::json!({"X-A": null})).contains_key("x-a"));
        assert_eq!(sent(serde_json::json!([])).len(), 2);
        assert!(own_headers(serde_json::json!(["X-A"])).is_err());
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
        assert!(own_headers(many.into()).unwrap_err().contains("40000 headers"));
        let long = "X ".repeat(500_000);
        assert!(own_headers(serde_json::json!({long: "a"})).unwrap_err().len() < 500);
    }

    #[test]
    fn headers_cannot_smuggle_lines_or_lengths() {
        assert!(own_headers(serde_json::json!({"X-A": "b\r\nX-Evil: 1"})).is_err());
        assert!(own_headers(serde_json::json!({"X A": "b"})).is_err());
        assert!(!own_headers(serde_json::json!({"Content-Length": "1"})).unwrap().contains_key("content-length"));
    }

    proptest! {
        #[test]
        fn no_row_of_the_webhook_table_makes_it_panic(url: String, name: String, value: String) {
            let mut object = serde_json::Map::new();
            object.insert(name, serde_json::Value::String(value));
            let _ = own(&Message { url, ..Message::for_test(serde_json::Value::Object(object)) });
        }
    }
}
