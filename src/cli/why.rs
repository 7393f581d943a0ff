//! `evenkeel why` and `evenkeel why-not`: what decided an alert, and what keeps a rule from firing.

use std::io::IsTerminal;
use std::process::ExitCode;

use anyhow::{Context, bail};
use clap::{Args, ValueEnum};
use serde_json::Value;

use crate::report::{Colour, DeployReport, FiredReport, VerdictReport, WhyReport, verdict_text, why_text};

use super::Server;
use super::ask::{client, no_answer, percent};

/// Say why an alert fires or a service is as it is: values, samples, turning points
#[derive(Args)]
#[command(
    after_help = "Example: evenkeel why 'HighErrors{job=\"checkout\"}' --at 2026-11-28T12:00:00Z\n\nExit codes: 0 it was explained; 1 there is no such alert or service, or nobody answers."
)]
pub(super) struct WhyArgs {
    /// An alert's name, with conditions on its labels in braces if it has several; or a service
    name: String,
    #[command(flatten)]
    asked: Asked,
}

/// Say why a rule does not fire: which part is empty or false, by how much, since when
#[derive(Args)]
#[command(
    after_help = "Example: evenkeel why-not HighErrors --at 2026-11-28T12:00:00Z\n\nExit codes: 0 it was explained; 1 there is no such rule, or nobody answers."
)]
pub(super) struct WhyNotArgs {
    /// The alerting rule's name, with conditions on labels in braces if one alert is meant
    rule: String,
    #[command(flatten)]
    asked: Asked,
}

#[derive(Args)]
struct Asked {
    /// The time, as Unix seconds or RFC 3339 [default: now]
    #[arg(long)]
    at: Option<String>,
    /// How to print it
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
    #[command(flatten)]
    server: Server,
}

#[derive(Clone, Copy, PartialEq, ValueEnum)]
enum Format {
    /// A tree for people
    Text,
    /// For machines
    Json,
}

pub(super) fn why(args: WhyArgs) -> anyhow::Result<ExitCode> {
    run("why", &args.name, &args.asked)
}

pub(super) fn why_not(args: WhyNotArgs) -> anyhow::Result<ExitCode> {
    run("why-not", &args.rule, &args.asked)
}

fn run(path: &str, name: &str, asked: &Asked) -> anyhow::Result<ExitCode> {
    let mut answer = super::runtime()?.block_on(fetch(path, name, asked))?;
    if asked.format == Format::Json {
        outln!("{}", serde_json::to_string_pretty(&answer)?);
        return Ok(ExitCode::SUCCESS);
    }
    let odd = "the answer has another form than expected; are program and server of the same version?";
    if !answer["verdict"].is_null() {
        let verdict: VerdictReport = serde_json::from_value(answer["verdict"].take()).context(odd)?;
        let colour = if std::io::stdout().is_terminal() { Colour::Ansi } else { Colour::Never };
        outln!("{}", verdict_text(&verdict, colour));
    }
    let fired: Option<Vec<FiredReport>> = serde_json::from_value(answer["fired"].take()).context(odd)?;
    let deploys: Option<Vec<DeployReport>> = serde_json::from_value(answer["deploys"].take()).context(odd)?;
    for fired in fired.iter().flatten() {
        outln!("{}", fired_line(fired));
    }
    for deploy in deploys.iter().flatten() {
        outln!("{} {} went live at {}", deploy.service, deploy.version, deploy.at);
    }
    let explanations: Vec<WhyReport> = serde_json::from_value(answer["explanations"].take()).context(odd)?;
    let texts: Vec<String> = explanations.iter().map(why_text).collect();
    out!("{}", texts.join("\n"));
    Ok(ExitCode::SUCCESS)
}

/// An alert that fires or fired, and who was told.
fn fired_line(fired: &FiredReport) -> String {
    let told: Vec<String> = fired.told.iter().map(|told| format!("{} at {}", told.receiver, told.at)).collect();
    let told = if told.is_empty() { "nobody was told".to_owned() } else { format!("told: {}", told.join(", ")) };
    format!("{} {} since {}; {told}; evidence: {}", fired.urgency, fired.name, fired.at, fired.id)
}

async fn fetch(path: &str, name: &str, asked: &Asked) -> anyhow::Result<Value> {
    let url = asked.server.url.trim_end_matches('/');
    let time = asked.at.as_ref().map_or(String::new(), |at| format!("&time={}", percent(at)));
    let address = format!("{url}/api/v1/{path}?of={}{time}", percent(name));
    let answer = client()?.get(address).send().await.with_context(|| no_answer(url))?;
    let status = answer.status();
    let bytes = answer.bytes().await?;
    let mut json: Value = serde_json::from_slice(&bytes).with_context(|| {
        format!("{url} answered {status} with something that is not JSON; is it an Evenkeel server?")
    })?;
    if !status.is_success() {
        bail!("{}", json["error"].as_str().unwrap_or("the server gave no reason"));
    }
    Ok(json["data"].take())
}
