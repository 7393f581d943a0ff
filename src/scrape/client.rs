//! One HTTP request to a target: what we ask for, and what we accept as an answer.
//!
//! Invariants:
//! - Never more than the allowed bytes are held, compressed or not.
//! - An error text never shows credentials.

use std::error::Error as _;
use std::io::Read;

use reqwest::header::{self, HeaderMap};
use reqwest::{Client, Response, Url, redirect};

use super::job::{Encoding, Protocol};
use crate::model::Millis;
use crate::notify::{Authorization, Secret};
use crate::wire::Format;

/// As many as Go's client follows.
const REDIRECTS_MAX: usize = 10;

/// What to ask of a target, besides its address.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Question {
    pub(super) url: Url,
    pub(super) timeout: Millis,
    pub(super) authorization: Authorization,
    pub(super) headers: Vec<(String, Secret)>,
    pub(super) body_bytes_max: usize,
    pub(super) fallback_format: Option<Encoding>,
    pub(super) protocols: Vec<Protocol>,
}

/// An answer that can be read.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) body: Vec<u8>,
    pub(super) format: Encoding,
    pub(super) gzip: bool,
}

/// A scrape that brought nothing to read.
#[derive(Debug, thiserror::Error)]
pub(super) enum FetchError {
    #[error("{0}")]
    Request(String),
    #[error("no complete answer within {0}")]
    Timeout(Millis),
    #[error("the target answered with HTTP status {0}")]
    Status(reqwest::StatusCode),
    #[error("the answer is longer than {0} bytes; raise body_size_limit or have the target say less")]
    TooLong(usize),
    #[error("the answer has no content type; set fallback_scrape_protocol if the target cannot be corrected")]
    NoContentType,
    #[error(
        "the answer's content type \"{0}\" is not a metrics format; \
         set fallback_scrape_protocol if the target cannot be corrected"
    )]
    ContentType(String),
    #[error("the answer's content encoding \"{0}\" was not asked for")]
    Encoding(String),
    #[error("the answer cannot be decompressed: {0}")]
    Gzip(std::io::Error),
}

/// The client that all targets share.
pub(super) fn client() -> Result<Client, reqwest::Error> {
    // Fails only if somebody was first, and then a provider is there.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let builder = || {
        Client::builder()
            .user_agent(concat!("Evenkeel/", env!("CARGO_PKG_VERSION")))
            .redirect(redirect::Policy::limited(REDIRECTS_MAX))
            .no_proxy()
    };
    // A machine without any root certificate can still scrape plain HTTP.
    builder().build().or_else(|_| builder().tls_certs_only([]).build())
}

/// Asks the target and reads its answer.
pub(super) async fn fetch(client: &Client, question: &Question) -> Result<Answer, FetchError> {
    let timeout = question.timeout;
    match tokio::time::timeout(timeout.to_std(), exchange(client, question)).await {
        Ok(answer) => answer,
        Err(_) => Err(FetchError::Timeout(timeout)),
    }
}

async fn exchange(client: &Client, question: &Question) -> Result<Answer, FetchError> {
    let mut request = client
        .get(question.url.clone())
        .header(header::ACCEPT, accepted(&question.protocols))
        .header(header::ACCEPT_ENCODING, "gzip")
        .header("X-Prometheus-Scrape-Timeout-Seconds", question.timeout.as_seconds().to_string());
    for (name, value) in &question.headers {
        request = request.header(name, secret_header(value.reveal())?);
    }
    if let Some(value) = question.authorization.header() {
        request = request.header(header::AUTHORIZATION, secret_header(&value)?);
    }
    let mut response = request.send().await.map_err(request_error)?;
    if !response.status().is_success() {
        return Err(FetchError::Status(response.status()));
    }
    let format = format_of(response.headers(), question.fallback_format)?;
    let gzip = match text_of(response.headers(), header::CONTENT_ENCODING).unwrap_or_default().trim() {
        "" | "identity" => false,
        encoding if encoding.eq_ignore_ascii_case("gzip") => true,
        other => return Err(FetchError::Encoding(other.to_owned())),
    };
    let body = body(&mut response, question.body_bytes_max).await?;
    Ok(Answer { body, format, gzip })
}

/// What we can read, the best first with the highest weight.
fn accepted(protocols: &[Protocol]) -> String {
    let weights = (2..protocols.len() + 2).rev();
    let mut text = String::new();
    for (protocol, weight) in protocols.iter().zip(weights) {
        text.push_str(&format!("{};q=0.{weight},", protocol.media_type()));
    }
    text + "*/*;q=0.1"
}

fn secret_header(text: &str) -> Result<header::HeaderValue, FetchError> {
    let mut value = header::HeaderValue::from_str(text).map_err(|_| {
        FetchError::Request("a secret of the job cannot stand in a header; it has control characters".to_owned())
    })?;
    value.set_sensitive(true);
    Ok(value)
}

async fn body(response: &mut Response, max: usize) -> Result<Vec<u8>, FetchError> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(request_error)? {
        if body.len() + chunk.len() > max {
            return Err(FetchError::TooLong(max));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

/// The bytes of an answer as the target wrote them. Costs processor time, so not for async code.
pub(super) fn unpack(answer: &mut Answer, max: usize) -> Result<(), FetchError> {
    if !answer.gzip {
        return Ok(());
    }
    let mut plain = Vec::new();
    let limit = u64::try_from(max).unwrap_or(u64::MAX).saturating_add(1);
    flate2::read::MultiGzDecoder::new(answer.body.as_slice())
        .take(limit)
        .read_to_end(&mut plain)
        .map_err(FetchError::Gzip)?;
    if plain.len() > max {
        return Err(FetchError::TooLong(max));
    }
    (answer.body, answer.gzip) = (plain, false);
    Ok(())
}

fn text_of(headers: &HeaderMap, name: header::HeaderName) -> Option<String> {
    headers.get(name).map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned())
}

fn format_of(headers: &HeaderMap, fallback: Option<Encoding>) -> Result<Encoding, FetchError> {
    let said = text_of(headers, header::CONTENT_TYPE).unwrap_or_default();
    let media = said.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    match (media.as_str(), fallback) {
        ("application/openmetrics-text", _) => Ok(Encoding::Text(Format::OpenMetrics)),
        ("text/plain", _) => Ok(Encoding::Text(Format::Text)),
        ("application/vnd.google.protobuf", _) if is_delimited(&said) => Ok(Encoding::Protobuf),
        (_, Some(format)) => Ok(format),
        ("", None) => Err(FetchError::NoContentType),
        (_, None) => Err(FetchError::ContentType(said)),
    }
}

/// Whether protobuf is of metric families with their lengths; what is not said is taken for that.
fn is_delimited(content_type: &str) -> bool {
    let mut params = content_type.split(';').skip(1).filter_map(|param| param.trim().split_once('='));
    params.all(|(name, value)| match name.to_ascii_lowercase().as_str() {
        "proto" => value == "io.prometheus.client.MetricFamily",
        "encoding" => value.eq_ignore_ascii_case("delimited"),
        _ => true,
    })
}

/// The chain of causes in one line, without the address: it may hold credentials and stands
/// beside the error anyway.
fn request_error(error: reqwest::Error) -> FetchError {
    let error = error.without_url();
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let more = error.to_string();
        if !text.contains(&more) {
            text.push_str(": ");
            text.push_str(&more);
        }
        cause = error.source();
    }
    FetchError::Request(text)
}
