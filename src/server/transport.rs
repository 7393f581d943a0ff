//! Notifications over HTTP and HTTPS: the real sender behind [`Transport`].

use std::sync::OnceLock;
use std::time::Duration;

use tokio::runtime::Handle;

use crate::env::{Request, Response, Transport, TransportError};
use crate::model::limits;

/// Sends over HTTP. Blocks its caller, which must not be a thread of the runtime.
pub struct HttpTransport {
    runtime: Handle,
    /// Built at the first request: reading the system's certificates takes longer than a start should.
    client: OnceLock<reqwest::Client>,
}

impl HttpTransport {
    /// A sender whose connections live on this runtime.
    pub fn new(runtime: Handle) -> HttpTransport {
        HttpTransport { runtime, client: OnceLock::new() }
    }

    /// Builds the client now, so that the first page does not wait for it. Blocks for some
    /// milliseconds.
    pub fn warm_up(&self) {
        if let Err(error) = self.client() {
            tracing::error!("no notification can be sent over HTTP: {error}");
        }
    }

    fn client(&self) -> Result<&reqwest::Client, reqwest::Error> {
        if let Some(client) = self.client.get() {
            return Ok(client);
        }
        // Another part of the program may have installed it before; then it stays.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .user_agent(concat!("evenkeel/", env!("CARGO_PKG_VERSION")))
            .tcp_nodelay(true)
            .build()?;
        Ok(self.client.get_or_init(|| client))
    }

    async fn exchange(&self, request: &Request) -> Result<Response, reqwest::Error> {
        let mut post = self.client()?.post(&request.url).timeout(request.timeout).body(request.body.clone());
        for (name, value) in &request.headers {
            post = post.header(name, value);
        }
        let mut answer = post.send().await?;
        let retry_after =
            answer.headers().get("retry-after").and_then(|value| value.to_str().ok()?.trim().parse().ok());
        let mut body = Vec::new();
        while body.len() < limits::RECEIVER_ANSWER_BYTES_MAX {
            let Some(part) = answer.chunk().await? else { break };
            body.extend_from_slice(&part);
        }
        body.truncate(limits::RECEIVER_ANSWER_BYTES_MAX);
        Ok(Response {
            status: answer.status().as_u16(),
            retry_after: retry_after.map(Duration::from_secs),
            body: String::from_utf8_lossy(&body).into_owned(),
        })
    }
}

impl Transport for HttpTransport {
    fn send(&self, request: &Request) -> Result<Response, TransportError> {
        self.runtime
            .block_on(self.exchange(request))
            .map_err(|error| TransportError { url: place(&request.url), reason: reason(&error.without_url()) })
    }
}

/// Scheme, host and port: the rest of a webhook's address is often a secret.
fn place(url: &str) -> String {
    let Ok(url) = reqwest::Url::parse(url) else { return "an address that does not parse".to_owned() };
    let port = url.port().map_or(String::new(), |port| format!(":{port}"));
    format!("{}://{}{port}", url.scheme(), url.host_str().unwrap_or_default())
}

/// The error with its causes, which name what the outermost text hides.
fn reason(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}
