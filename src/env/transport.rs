//! Sending one request to a receiver and waiting for its answer.

use std::time::Duration;

/// A request to a receiver.
#[derive(Debug, Clone, PartialEq)]
pub struct Request {
    /// The address, `http://…` or `https://…`.
    pub url: String,
    /// Header names and values, besides those that the transport sets itself.
    pub headers: Vec<(String, String)>,
    /// The body of the POST.
    pub body: Vec<u8>,
    /// How long the whole exchange may take.
    pub timeout: Duration,
}

/// A receiver's answer.
#[derive(Debug, Clone, PartialEq)]
pub struct Response {
    /// The HTTP status code.
    pub status: u16,
    /// The seconds of a `Retry-After` header, if there was one.
    pub retry_after: Option<Duration>,
    /// The beginning of the body, for error messages.
    pub body: String,
}

/// No answer came.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("no answer from {url}: {reason}")]
pub struct TransportError {
    /// The address without its query and credentials.
    pub url: String,
    /// What went wrong.
    pub reason: String,
}

/// Sends POST requests, blocking.
pub trait Transport: Send + Sync {
    /// Sends and waits for the answer, whatever its status.
    ///
    /// # Errors
    /// No answer came within the timeout.
    fn send(&self, request: &Request) -> Result<Response, TransportError>;
}

/// A transport that takes everything and sends nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct Discard;

impl Transport for Discard {
    fn send(&self, _request: &Request) -> Result<Response, TransportError> {
        Ok(Response { status: 200, retry_after: None, body: String::new() })
    }
}
