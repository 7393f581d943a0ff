//! `evenkeel verdict`: one word, its evidence, an exit code.

use std::io::IsTerminal;
use std::process::ExitCode;

use anyhow::Context;
use clap::{Args, ValueEnum};

use crate::confidence::Verdict;
use crate::report::{Colour, VerdictReport, verdict_text};

use super::Server;
use super::ask::{client, no_answer};

/// Say in one word whether customers are fine, with the evidence
#[derive(Args)]
#[command(
    after_help = "Example: evenkeel verdict checkout\n\nExit codes: 0 OK, 1 AT_RISK, 2 HURTING, 3 BLIND; 3 too if nobody answers: then nothing is known."
)]
pub(super) struct VerdictArgs {
    /// Only this service
    service: Option<String>,
    /// How to print it
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
    #[command(flatten)]
    server: Server,
}

#[derive(Clone, Copy, PartialEq, ValueEnum)]
enum Format {
    /// For people
    Text,
    /// For machines
    Json,
}

pub(super) fn run(args: VerdictArgs) -> anyhow::Result<ExitCode> {
    let report = match super::runtime()?.block_on(fetch(&args.server.url)) {
        Ok(report) => report,
        Err(error) => {
            eprintln!("error: {error:#}");
            println!("{}  nothing is known: the server does not answer", Verdict::Blind);
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
        Format::Json => println!("{}", serde_json::to_string_pretty(&report)?),
        Format::Text => {
            let colour = if std::io::stdout().is_terminal() { Colour::Ansi } else { Colour::Never };
            print!("{}", verdict_text(&report, colour));
        }
    }
    Ok(ExitCode::from(report.exit_code))
}

async fn fetch(url: &str) -> anyhow::Result<VerdictReport> {
    let address = format!("{}/api/v1/verdict", url.trim_end_matches('/'));
    let answer = client()?.get(address).send().await.with_context(|| no_answer(url))?;
    let status = answer.status();
    let bytes = answer.bytes().await?;
    let mut json: serde_json::Value = serde_json::from_slice(&bytes)
        .with_context(|| format!("{url} answered {status}, and not with a verdict; is it an Evenkeel server?"))?;
    serde_json::from_value(json["data"].take()).with_context(|| format!("{url} answered {status} without a verdict"))
}
