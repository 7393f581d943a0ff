//! `evenkeel simulate`: what would be told of what has not happened yet.

use std::process::ExitCode;

use anyhow::{Context, bail};
use clap::{Args, Subcommand};
use serde_json::json;

use super::Server;
use super::ask::get;
use crate::confidence::percent;
use crate::model::{Millis, TransitionKind};
use crate::report::ObjectiveReport;
use crate::slo::{BurnPair, Outage, OutageMessage, Severity, play_outage};

/// Play what has not happened, to see who would be told and when
#[derive(Args)]
pub(super) struct SimulateArgs {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// Say when an outage would be ticketed and paged, and how much of the budget would be spent by then
    #[command(
        after_help = "Example: evenkeel simulate outage --slo checkout --error-rate 5%\n\nThe objective's own burn pairs are played over its mean traffic. Nothing is stored, and nobody is told.\n\nExit codes: 0 it would page, 1 it could not be played, 3 nobody would be paged."
    )]
    Outage(OutageArgs),
}

#[derive(Args)]
struct OutageArgs {
    /// The objective: its service, with a slash and its name if it has several
    #[arg(long)]
    slo: String,
    /// The share of requests that fail: a percentage, or a share up to 1
    #[arg(long)]
    error_rate: String,
    /// How long it lasts
    #[arg(long, default_value = "6h")]
    lasting: String,
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    server: Server,
}

pub(super) fn run(args: SimulateArgs) -> anyhow::Result<ExitCode> {
    let What::Outage(args) = args.what;
    let failing = share(&args.error_rate)?;
    let lasting = Millis::parse(&args.lasting).map_err(|error| anyhow::anyhow!("--lasting: {error}"))?;
    let answer = super::runtime()?.block_on(get(&args.server.url, "/api/v1/objectives"))?;
    let all: Vec<ObjectiveReport> = serde_json::from_value(answer)
        .context("the answer has another form than expected; are program and server of the same version?")?;
    let objective = named(&all, &args.slo)?;
    let outage = outage(objective, failing, lasting)?;
    let told = play_outage(&outage)?;
    if args.json {
        outln!("{}", serde_json::to_string_pretty(&told.iter().map(message).collect::<Vec<_>>())?);
    } else {
        out!("{}", text(objective, &outage, &told));
    }
    let pages = told.iter().any(|one| one.severity == Severity::Page && one.kind == TransitionKind::Firing);
    Ok(if pages { ExitCode::SUCCESS } else { ExitCode::from(3) })
}

/// `5%`, `5 %` or `0.05`.
fn share(text: &str) -> anyhow::Result<f64> {
    let (number, scale) = text.trim().strip_suffix('%').map_or((text, 1.0), |number| (number, 100.0));
    let share = number.trim().parse::<f64>().ok().map(|number| number / scale);
    share
        .filter(|share| *share > 0.0 && *share <= 1.0)
        .with_context(|| format!("{text} is no share of requests; write 5% or 0.05"))
}

fn named<'a>(all: &'a [ObjectiveReport], slo: &str) -> anyhow::Result<&'a ObjectiveReport> {
    let is_named = |one: &&ObjectiveReport| one.service == slo || format!("{}/{}", one.service, one.name) == slo;
    let found: Vec<_> = all.iter().filter(is_named).collect();
    let names = |of: &[&ObjectiveReport]| {
        of.iter().map(|one| format!("{}/{}", one.service, one.name)).collect::<Vec<_>>().join(", ")
    };
    match found[..] {
        [one] => Ok(one),
        [] => bail!("there is no objective {slo}; there are: {}", names(&all.iter().collect::<Vec<_>>())),
        _ => bail!("{slo} has several objectives; name one of {}", names(&found)),
    }
}

/// An outage of an objective at the traffic that it has had.
fn outage(of: &ObjectiveReport, failing: f64, lasting: Millis) -> anyhow::Result<Outage> {
    let place = format!("{}/{}", of.service, of.name);
    let odd = || format!("{place} has another form than expected; are program and server of the same version?");
    let span = |text: &str| Millis::parse(text).ok().with_context(odd);
    let mut pairs = Vec::new();
    for burn in &of.burns {
        let severity = if burn.severity == Severity::Page.as_str() { Severity::Page } else { Severity::Ticket };
        let (long, short) = (span(&burn.long.window)?, span(&burn.short.window)?);
        pairs.push(BurnPair { severity, threshold: burn.threshold, long, short });
    }
    // Of the longest window it is known how much of it was counted.
    let known = of.burns.iter().map(|burn| (burn.long.n, burn.long.covered_seconds));
    let (n, seconds) = known.max_by(|a, b| a.1.total_cmp(&b.1)).with_context(odd)?;
    if n <= 0.0 || seconds <= 0.0 {
        bail!("{place} has counted nothing yet, so its traffic is not known");
    }
    Ok(Outage {
        objective: of.objective,
        window: window(of)?,
        pairs,
        requests_per_second: n / seconds,
        usual: of.error_ratio.unwrap_or(0.0).min((1.0 - of.objective) / 2.0),
        failing,
        lasting,
        interval: Millis((of.interval_seconds.unwrap_or(15.0) * 1000.0) as i64),
    })
}

/// The length of the window; of a calendar's period what it is at present.
fn window(of: &ObjectiveReport) -> anyhow::Result<Millis> {
    match &of.period {
        None => Millis::parse(&of.window).map_err(|error| anyhow::anyhow!("{}: {error}", of.window)),
        Some(period) => {
            let [begin, end] = [&period.begin, &period.end].map(|text| crate::model::Timestamp::parse_rfc3339(text));
            Ok(end.context("a period without an end")? - begin.context("a period without a beginning")?)
        }
    }
}

fn kind(told: &OutageMessage) -> &'static str {
    match (told.kind, told.severity) {
        (TransitionKind::Firing, Severity::Page) => "page",
        (TransitionKind::Firing, Severity::Ticket) => "ticket",
        _ => "resolved",
    }
}

fn message(told: &OutageMessage) -> serde_json::Value {
    json!({
        "after_seconds": told.after.0 as f64 / 1000.0,
        "what": kind(told),
        "alert": told.name,
        "window": told.window,
        "budget_spent": told.spent,
    })
}

fn text(of: &ObjectiveReport, outage: &Outage, told: &[OutageMessage]) -> String {
    let mut out = format!(
        "{}/{} of {}: {} of {:.3} requests/s fail for {}\n",
        of.service,
        of.name,
        percent(outage.objective),
        percent(outage.failing),
        outage.requests_per_second,
        outage.lasting,
    );
    for one in told {
        let name = format!("{} {}", one.name, one.window);
        let spent = percent(one.spent);
        out +=
            &format!("  after {:<9} {:<8}  {:<22}  {spent} of the budget spent\n", one.after, kind(one), name.trim());
    }
    if told.is_empty() {
        out += "  nobody would be told\n";
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_percentages_or_shares() {
        let check = |text: &str, expected: Option<f64>| assert_eq!(share(text).ok(), expected, "{text}");
        check("5%", Some(0.05));
        check("5 %", Some(0.05));
        check("0.05", Some(0.05));
        check("100%", Some(1.0));
        check("5", None);
        check("0", None);
        check("much", None);
    }
}
