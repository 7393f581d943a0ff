//! Questions to a running server, and `evenkeel deploy`.

use std::process::ExitCode;

use anyhow::{Context, bail};
use clap::{Args, Subcommand};
use serde_json::Value;

use super::Server;

/// Mark deploys, so that charts and reasons can name them
#[derive(Args)]
pub(super) struct DeployArgs {
    #[command(subcommand)]
    action: DeployAction,
}

#[derive(Subcommand)]
enum DeployAction {
    /// Note that a version of a service went live now
    #[command(after_help = "Example: evenkeel deploy mark checkout v2")]
    Mark {
        /// The service, as objectives name it
        service: String,
        /// The version, free text
        version: String,
        #[command(flatten)]
        server: Server,
    },
}

pub(super) fn deploy(args: DeployArgs) -> anyhow::Result<ExitCode> {
    let DeployAction::Mark { service, version, server } = args.action;
    let form = [("service", service.as_str()), ("version", version.as_str())];
    super::runtime()?.block_on(post(&server.url, "/api/v1/deploys", &form))?;
    outln!("{service} {version} is marked");
    Ok(ExitCode::SUCCESS)
}

/// Sends a form and gives the `data` of a successful answer.
pub(super) async fn post(url: &str, path: &str, form: &[(&str, &str)]) -> anyhow::Result<Value> {
    Ok(post_whole(url, path, form).await?["data"].take())
}

/// Sends a form and gives the whole of a successful answer.
pub(super) async fn post_whole(url: &str, path: &str, form: &[(&str, &str)]) -> anyhow::Result<Value> {
    let body: String =
        form.iter().map(|(name, value)| format!("{name}={}", percent(value))).collect::<Vec<_>>().join("&");
    let request = client()?
        .post(format!("{}{path}", url.trim_end_matches('/')))
        .header("content-type", "application/x-www-form-urlencoded")
        .body(body);
    let answer = request.send().await.with_context(|| no_answer(url))?;
    let status = answer.status();
    let bytes = answer.bytes().await?;
    if status == reqwest::StatusCode::NO_CONTENT {
        return Ok(Value::Null);
    }
    let json: Value = serde_json::from_slice(&bytes).with_context(|| {
        format!("{url} answered {status} with something that is not JSON; is it an Evenkeel server?")
    })?;
    if !status.is_success() {
        bail!("{}", json["error"].as_str().unwrap_or("the server gave no reason"));
    }
    Ok(json)
}

/// The `data` of what a path answers.
pub(super) async fn get(url: &str, path: &str) -> anyhow::Result<Value> {
    let request = client()?.get(format!("{}{path}", url.trim_end_matches('/')));
    let answer = request.send().await.with_context(|| no_answer(url))?;
    let status = answer.status();
    let mut json: Value = serde_json::from_slice(&answer.bytes().await?)
        .with_context(|| format!("{url}{path} answered {status} with something that is not JSON"))?;
    if !status.is_success() {
        bail!("{}", json["error"].as_str().unwrap_or("the server gave no reason"));
    }
    Ok(json["data"].take())
}

/// The client for questions; TLS works with the ring provider.
pub(super) fn client() -> anyhow::Result<reqwest::Client> {
    // A second call finds the provider installed; that is fine.
    let _ = rustls::crypto::ring::default_provider().install_default();
    Ok(reqwest::Client::builder().timeout(std::time::Duration::from_secs(30)).build()?)
}

/// What to do when nobody answers.
pub(super) fn no_answer(url: &str) -> String {
    format!("no answer from {url}; is `evenkeel serve` running, or does --url name another address?")
}

/// A text for the query part of a URL.
pub(super) fn percent(text: &str) -> String {
    text.bytes()
        .map(|b| if b.is_ascii_alphanumeric() { char::from(b).to_string() } else { format!("%{b:02X}") })
        .collect()
}
