//! `evenkeel suggest`: objectives that fit what is measured already.

mod propose;
mod seen;

use std::collections::BTreeSet;
use std::process::ExitCode;

use anyhow::Context;
use clap::{Args, Subcommand};

use super::Server;
use super::ask::get;
use crate::model::Millis;
use propose::file;
use seen::Seen;

/// Propose objectives from what has been measured
#[derive(Args)]
pub(super) struct SuggestArgs {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// A file of objectives for request counters with codes, histograms of durations, probes and targets, each with what
    /// history attained; nothing is applied
    #[command(
        after_help = "Example: evenkeel suggest slos > slos/suggested.yml && evenkeel check slo slos/suggested.yml\n\nWorks on an Evenkeel server and on a Prometheus. A target is the highest usual one of which at most half the budget\nwas spent and that the traffic can carry.\n\nExit code 0: proposed. 1: nothing fits, or nobody answers."
    )]
    Slos {
        /// How far back to look
        #[arg(long, default_value = "30d")]
        since: String,
        #[command(flatten)]
        server: Server,
    },
}

pub(super) fn run(args: SuggestArgs) -> anyhow::Result<ExitCode> {
    let What::Slos { since, server } = args.what;
    let since = Millis::parse(&since).with_context(|| format!("--since: {since} is no duration"))?;
    let mut proposals = super::runtime()?.block_on(Seen::new(&server.url, since).proposals())?;
    // Two metrics may give one service an availability: each keeps its name, the others get numbers.
    let mut taken = BTreeSet::new();
    for proposal in &mut proposals {
        let base = proposal.name.clone();
        let mut n = 1;
        while !taken.insert((proposal.service.clone(), proposal.name.clone())) {
            n += 1;
            proposal.name = format!("{base}-{n}");
        }
    }
    out!("{}", file(&proposals, since));
    let fits = proposals.iter().any(|proposal| proposal.target().is_some());
    Ok(if fits { ExitCode::SUCCESS } else { ExitCode::from(1) })
}

/// The values of the first element of each answered vector, with its labels.
async fn vector(url: &str, query: &str) -> anyhow::Result<Vec<(serde_json::Value, f64)>> {
    let form = [("query", query)];
    let answer = super::ask::post(url, "/api/v1/query", &form).await.with_context(|| format!("asking {query}"))?;
    let rows = answer["result"].as_array().cloned().unwrap_or_default();
    let value = |row: serde_json::Value| {
        let number = row["value"][1].as_str()?.parse().ok()?;
        Some((row["metric"].clone(), number))
    };
    Ok(rows.into_iter().filter_map(value).collect())
}

/// A list of texts that a path answers.
async fn texts(url: &str, path: &str) -> anyhow::Result<Vec<String>> {
    let answer = get(url, path).await?;
    let list = answer.as_array().cloned().unwrap_or_default();
    Ok(list.into_iter().filter_map(|text| text.as_str().map(str::to_owned)).collect())
}
