//! `evenkeel verdict`, `coverage`, `blindspots`: whether customers are fine, and who would be told if not.

use std::io::{IsTerminal, Write};
use std::process::ExitCode;

use anyhow::Context;
use clap::{Args, ValueEnum};
use serde::de::DeserializeOwned;

use crate::confidence::Verdict;
use crate::report::{
    BlindSpotReport, Colour, CoverageReport, VerdictReport, blind_spots_text, coverage_text, nagios_text,
    verdict_lines, verdict_text,
};

use super::Server;
use super::ask::{client, no_answer, percent};

/// Say in one word whether customers are fine, with the evidence
#[derive(Args)]
#[command(
    after_help = "Example: evenkeel verdict checkout\n\nExit codes: 0 OK, 1 AT_RISK, 2 HURTING, 3 BLIND; 3 too if nobody answers: then nothing is known. They are those of Nagios plugins."
)]
pub(super) struct VerdictArgs {
    /// Only this service
    service: Option<String>,
    /// What was known at this time, as it was known then: RFC 3339 or Unix seconds
    #[arg(long)]
    at: Option<String>,
    /// How to print it
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
    /// All reasons and services with their evidence, instead of five lines
    #[arg(long)]
    long: bool,
    #[command(flatten)]
    server: Server,
}

/// Say which services have an objective with input, something that pages, a receiver that is proven, and an owner
#[derive(Args)]
#[command(
    after_help = "Example: evenkeel coverage --fail-under 100\n\nServices are critical if the section coverage of the configuration declares them; then they alone count.\n\nExit codes: 0 fine, 3 too few services are covered, or a critical one lacks any of what the table shows."
)]
pub(super) struct CoverageArgs {
    /// Exit with 3 if fewer percent of the services are covered
    #[arg(long, default_value_t = 0.0)]
    fail_under: f64,
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    server: Server,
}

/// Say what nobody would be told of, with what would help
#[derive(Args)]
#[command(after_help = "Example: evenkeel blindspots\n\nExit codes: 0 none, 3 some.")]
pub(super) struct BlindSpotsArgs {
    /// Only errors that nobody looks at, with their number in the last day
    #[arg(long)]
    cost: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    server: Server,
}

#[derive(Clone, Copy, PartialEq, ValueEnum)]
enum Format {
    /// For people
    Text,
    /// For machines
    Json,
    /// One line as of a Nagios plugin, with performance data
    Nagios,
}

pub(super) fn run(args: VerdictArgs) -> anyhow::Result<ExitCode> {
    let path =
        args.at.as_ref().map_or("/api/v1/verdict".to_owned(), |at| format!("/api/v1/verdict?at={}", percent(at)));
    let report: VerdictReport = match super::runtime()?.block_on(fetch(&args.server.url, &path)) {
        Ok(report) => report,
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "error: {error:#}");
            outln!(
                "{}  nothing is known: {}",
                Verdict::Blind,
                if args.at.is_some() { "see above" } else { "the server does not answer" }
            );
            return Ok(ExitCode::from(Verdict::Blind.exit_code()));
        }
    };
    let report = match &args.service {
        Some(name) => report.of_service(name).with_context(|| {
            let known: Vec<_> = report.services.iter().map(|service| service.service.as_str()).collect();
            format!("there is no service \"{name}\"; there are: {}", known.join(", "))
        })?,
        None => report,
    };
    match args.format {
        Format::Json => outln!("{}", serde_json::to_string_pretty(&report)?),
        Format::Nagios => outln!("{}", nagios_text(&report)),
        Format::Text => {
            let colour = if std::io::stdout().is_terminal() { Colour::Ansi } else { Colour::Never };
            let text = if args.long { verdict_text } else { verdict_lines };
            out!("{}", text(&report, colour));
        }
    }
    Ok(ExitCode::from(report.exit_code))
}

pub(super) fn coverage(args: CoverageArgs) -> anyhow::Result<ExitCode> {
    let report: CoverageReport = super::runtime()?.block_on(fetch(&args.server.url, "/api/v1/coverage"))?;
    match args.json {
        true => outln!("{}", serde_json::to_string_pretty(&report)?),
        false => out!("{}", coverage_text(&report)),
    }
    let enough = report.share * 100.0 >= args.fail_under && report.critical_with_gaps().next().is_none();
    Ok(if enough { ExitCode::SUCCESS } else { ExitCode::from(Verdict::Blind.exit_code()) })
}

pub(super) fn blind_spots(args: BlindSpotsArgs) -> anyhow::Result<ExitCode> {
    let mut spots: Vec<BlindSpotReport> = super::runtime()?.block_on(fetch(&args.server.url, "/api/v1/blindspots"))?;
    spots.retain(|spot| !args.cost || spot.events.is_some());
    match args.json {
        true => outln!("{}", serde_json::to_string_pretty(&spots)?),
        false => out!("{}", blind_spots_text(&spots)),
    }
    Ok(if spots.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(Verdict::Blind.exit_code()) })
}

/// The `data` of an answer.
async fn fetch<T: DeserializeOwned>(url: &str, path: &str) -> anyhow::Result<T> {
    let address = format!("{}{path}", url.trim_end_matches('/'));
    let answer = client()?.get(address).send().await.with_context(|| no_answer(url))?;
    let status = answer.status();
    let bytes = answer.bytes().await?;
    let mut json: serde_json::Value = serde_json::from_slice(&bytes)
        .with_context(|| format!("{url} answered {status}, and not with JSON; is it an Evenkeel server?"))?;
    if let Some(error) = json["error"].as_str() {
        anyhow::bail!("{error}");
    }
    serde_json::from_value(json["data"].take()).with_context(|| format!("{url} answered {status} with something else"))
}
