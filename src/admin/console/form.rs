//! What a form sends: fields by name, some of them more than once, with the token that proves that it was a form of ours.

use std::str::FromStr;
use std::sync::Arc;

use axum::extract::{FromRequest, Request};
use axum::http::StatusCode;
use axum::response::Response;
use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use url::form_urlencoded;

use super::failed;
use crate::admin::Admin;
use crate::admin::access::Viewer;
use crate::admin::password::is_same;

/// A form may be so large: a rule has a template.
const MAXIMUM_BYTES: usize = 1_000_000;

/// A form of ours that somebody sent.
#[derive(Debug, Default)]
pub struct Sent(Vec<(String, String)>);

impl Sent {
    /// The first value of a field, without white space around it; empty where there is none.
    pub fn text(&self, name: &str) -> &str {
        self.0.iter().find(|(field, _)| field == name).map_or("", |(_, value)| value.trim())
    }

    /// The value of a field as it is written.
    pub fn written(&self, name: &str) -> &str {
        self.0.iter().find(|(field, _)| field == name).map_or("", |(_, value)| value)
    }

    /// Whether there is a value.
    pub fn has(&self, name: &str) -> bool {
        !self.text(name).is_empty()
    }

    /// All values of a field.
    pub fn all(&self, name: &str) -> Vec<&str> {
        self.0.iter().filter(|(field, _)| field == name).map(|(_, value)| value.as_str()).collect()
    }

    /// The value of a field, if there is one.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn parsed<T: FromStr<Err: std::fmt::Display>>(&self, name: &str) -> anyhow::Result<Option<T>> {
        parsed(name, self.text(name))
    }
}

/// The value of a field that has this text, if it has one.
///
/// # Errors
/// When it cannot be read.
pub fn parsed<T: FromStr<Err: std::fmt::Display>>(name: &str, text: &str) -> anyhow::Result<Option<T>> {
    match text.trim() {
        "" => Ok(None),
        text => match text.parse() {
            Ok(value) => Ok(Some(value)),
            Err(error) => fail!(Choice, "{}: {error}", name.replace('_', " ")),
        },
    }
}

/// A moment as a browser sends it, in UTC.
///
/// # Errors
/// When it is none.
pub fn moment(text: &str) -> anyhow::Result<Option<Timestamp>> {
    if text.is_empty() {
        return Ok(None);
    }
    if let Ok(moment) = text.parse() {
        return Ok(Some(moment));
    }
    match text.parse::<DateTime>().and_then(|time| time.to_zoned(TimeZone::UTC)) {
        Ok(time) => Ok(Some(time.timestamp())),
        Err(_) => fail!(Choice, "expected a time such as 2026-11-24T15:00"),
    }
}

impl FromRequest<Arc<Admin>> for Sent {
    type Rejection = Response;

    async fn from_request(request: Request, admin: &Arc<Admin>) -> Result<Sent, Response> {
        let viewer = request.extensions().get::<Viewer>().map(|viewer| viewer.token.clone());
        let token = viewer.unwrap_or_else(|| admin.tokens.of_nobody());
        let bytes = axum::body::to_bytes(request.into_body(), MAXIMUM_BYTES).await;
        let bytes = bytes.map_err(|_| failed(StatusCode::PAYLOAD_TOO_LARGE, "Too large", "The form is too large."))?;
        let sent = Sent(form_urlencoded::parse(&bytes).into_owned().collect());
        match is_same(&token, sent.text("token")) {
            true => Ok(sent),
            false => Err(failed(
                StatusCode::FORBIDDEN,
                "Form expired",
                "The form is out of date. Reload the page and submit the form once more. Nothing was changed.",
            )),
        }
    }
}
