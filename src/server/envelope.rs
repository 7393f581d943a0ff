//! The frame around every answer of the API: `{"status":…,"data":…}` as Prometheus gives it.
//!
//! Invariants:
//! - An error's type decides its HTTP status.

use std::fmt;

use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

/// The kinds of errors that clients tell apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ErrorType {
    BadData,
    Execution,
    Timeout,
    Internal,
    NotFound,
    Forbidden,
    Disabled,
    TooManyRequests,
    TooLarge,
    UnsupportedMediaType,
    RequestTimeout,
    Unavailable,
}

impl ErrorType {
    fn as_str(self) -> &'static str {
        match self {
            ErrorType::BadData
            | ErrorType::TooLarge
            | ErrorType::UnsupportedMediaType
            | ErrorType::RequestTimeout
            | ErrorType::Forbidden => "bad_data",
            ErrorType::Execution => "execution",
            ErrorType::Timeout => "timeout",
            ErrorType::Internal => "internal",
            ErrorType::NotFound => "not_found",
            ErrorType::TooManyRequests | ErrorType::Unavailable | ErrorType::Disabled => "unavailable",
        }
    }

    fn status(self) -> StatusCode {
        match self {
            ErrorType::BadData => StatusCode::BAD_REQUEST,
            ErrorType::Execution => StatusCode::UNPROCESSABLE_ENTITY,
            ErrorType::Timeout | ErrorType::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
            // Prometheus answers 500 for what it was not started for.
            ErrorType::Internal | ErrorType::Disabled => StatusCode::INTERNAL_SERVER_ERROR,
            ErrorType::NotFound => StatusCode::NOT_FOUND,
            ErrorType::Forbidden => StatusCode::FORBIDDEN,
            ErrorType::TooManyRequests => StatusCode::TOO_MANY_REQUESTS,
            ErrorType::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            ErrorType::UnsupportedMediaType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            ErrorType::RequestTimeout => StatusCode::REQUEST_TIMEOUT,
        }
    }
}

/// An answer that says what went wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ApiError {
    pub(super) kind: ErrorType,
    pub(super) text: String,
}

impl ApiError {
    pub(super) fn new(kind: ErrorType, text: impl Into<String>) -> ApiError {
        ApiError { kind, text: text.into() }
    }

    pub(super) fn internal(text: impl Into<String>) -> ApiError {
        ApiError::new(ErrorType::Internal, text)
    }

    /// A parameter that cannot be used, and why.
    pub(super) fn parameter(name: &str, reason: impl fmt::Display) -> ApiError {
        ApiError::new(ErrorType::BadData, format!("invalid parameter \"{name}\": {reason}"))
    }

    /// The answer as a plain line, for endpoints outside the envelope.
    pub(super) fn into_plain(self) -> Response {
        let mut text = self.text;
        text.push('\n');
        with_retry(self.kind, (self.kind.status(), [(header::CONTENT_TYPE, "text/plain; charset=utf-8")], text))
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let failure = Failure { status: "error", error_type: self.kind.as_str(), error: &self.text };
        let body = serde_json::to_vec(&failure).unwrap_or_default();
        with_retry(self.kind, (self.kind.status(), [(header::CONTENT_TYPE, "application/json")], body))
    }
}

/// Says when to come back, where coming back helps.
fn with_retry(kind: ErrorType, answer: impl IntoResponse) -> Response {
    let mut response = answer.into_response();
    if matches!(kind, ErrorType::TooManyRequests | ErrorType::Unavailable) {
        response.headers_mut().insert(header::RETRY_AFTER, header::HeaderValue::from_static("1"));
    }
    response
}

#[derive(Serialize)]
struct Failure<'a> {
    status: &'static str,
    #[serde(rename = "errorType")]
    error_type: &'static str,
    error: &'a str,
}

#[derive(Serialize)]
struct Success<T> {
    status: &'static str,
    data: T,
}

/// An answer with data.
pub(super) fn success(data: impl Serialize) -> Response {
    match serde_json::to_vec(&Success { status: "success", data }) {
        Ok(body) => ([(header::CONTENT_TYPE, "application/json")], body).into_response(),
        Err(error) => ApiError::internal(format!("the answer cannot be written: {error}")).into_response(),
    }
}
