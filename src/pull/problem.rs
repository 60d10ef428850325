//! Why a consumer's request is not answered as it asks, as JSON.

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::json;

/// Why a request is not answered as it asks.
#[derive(Debug)]
pub enum Problem {
    /// No token, or a wrong one; whether there is such a webhook is not told.
    Unauthorized,
    /// PostgreSQL is away.
    Away,
    /// What is asked for cannot be.
    Invalid(String),
    /// There is no such event.
    UnknownEvent,
    /// There is no such path.
    UnknownPath,
}

impl From<anyhow::Error> for Problem {
    fn from(error: anyhow::Error) -> Problem {
        tracing::warn!(error = format!("{error:#}"), "a request of a consumer failed");
        Problem::Away
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let (status, message) = match self {
            Problem::Unauthorized => {
                (StatusCode::UNAUTHORIZED, "show the token of this webhook as Authorization: Bearer …".to_owned())
            }
            Problem::Away => (StatusCode::SERVICE_UNAVAILABLE, "the database could not be asked; try again".to_owned()),
            Problem::Invalid(message) => (StatusCode::BAD_REQUEST, message),
            Problem::UnknownEvent => (StatusCode::NOT_FOUND, "this webhook has no such event any more".to_owned()),
            Problem::UnknownPath => (StatusCode::NOT_FOUND, "there is nothing here".to_owned()),
        };
        let mut response = (status, Json(json!({ "error": message }))).into_response();
        let headers = response.headers_mut();
        match status {
            StatusCode::UNAUTHORIZED => {
                headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"lshookd\""));
            }
            StatusCode::SERVICE_UNAVAILABLE => {
                headers.insert(header::RETRY_AFTER, HeaderValue::from_static("5"));
            }
            _ => {}
        }
        response
    }
}
