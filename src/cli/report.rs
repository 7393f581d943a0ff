//! `evenkeel report`, `episodes`, `outcome`: what was wrong, what told of it, how good that was, and what was known.

use std::process::ExitCode;

use anyhow::{Context, bail};
use clap::{Args, Subcommand, ValueEnum};
use jiff::civil::Date;
use jiff::tz::TimeZone;
use serde_json::Value;

use super::Server;
use super::ask::{get, percent, post};
use crate::env::{Clock, SystemClock};
use crate::model::{Millis, Timestamp};
use crate::report::{AccuracyReport, Document, EpisodeReport, FiredReport, HeldWordsReport, episodes_document};

/// Write a report
#[derive(Args)]
pub(super) struct ReportArgs {
    #[command(subcommand)]
    report: Report,
}

#[derive(Subcommand)]
enum Report {
    /// Precision, recall, detection and reset of alerts, with intervals
    #[command(
        after_help = "Example: evenkeel report accuracy --since 90d\n         evenkeel report accuracy --month 2026-10 --time-zone Europe/Berlin --format html > accuracy.html\n\nExit codes: 0 written, 1 it could not be."
    )]
    Accuracy(AskedArgs),
    /// How many episodes were paged before a tenth of the budget was spent, and those that were not
    #[command(
        after_help = "Example: evenkeel report early-warning --since 90d\n\nExit codes: 0 written, 1 it could not be."
    )]
    EarlyWarning(AskedArgs),
    /// For how many minutes each word held, of everything and of each service: blind minutes too
    #[command(
        after_help = "Example: evenkeel report verdicts --month 2026-10\n         evenkeel report verdicts --since 7d --format json\n\nA word holds from when it was known until another one was. While the program did not run, every service is BLIND.\n\nExit codes: 0 written, 1 it could not be."
    )]
    Verdicts(AskedArgs),
}

#[derive(Args)]
struct AskedArgs {
    #[command(flatten)]
    span: SpanArgs,
    /// Whose months these are, and whose hours are business, off and sleep
    #[arg(long, default_value = "UTC")]
    time_zone: String,
    /// How it is written
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
    #[command(flatten)]
    server: Server,
}

/// List episodes: spans in which an objective burned above 1, for certain, whatever any rule said
#[derive(Args)]
#[command(after_help = "Example: evenkeel episodes --since 90d --alerts\n\nExit codes: 0 listed, 1 they could not be.")]
pub(super) struct EpisodesArgs {
    /// The alerts that fired as well, with the names by which `evenkeel outcome` knows them
    #[arg(long)]
    alerts: bool,
    #[command(flatten)]
    span: SpanArgs,
    /// How it is written
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
    #[command(flatten)]
    server: Server,
}

/// Say of an alert that fired what it was
#[derive(Args)]
#[command(
    after_help = "Example: evenkeel outcome 00112233aabbccdd noise --by ann --note 'a deploy of the test cluster'\n\nThe last word counts.\n\nExit codes: 0 recorded, 1 it could not be."
)]
pub(super) struct OutcomeArgs {
    /// Which alert, and which time, as `evenkeel episodes --alerts` names it
    alert: String,
    /// useful, noise, duplicate, too-late or test
    outcome: String,
    /// Who says so
    #[arg(long, env = "USER", default_value = "")]
    by: String,
    /// Why
    #[arg(long, default_value = "")]
    note: String,
    #[command(flatten)]
    server: Server,
}

#[derive(Args)]
struct SpanArgs {
    /// So far back from now
    #[arg(long, default_value = "30d")]
    since: String,
    /// A month of the time zone instead: 2026-10
    #[arg(long)]
    month: Option<String>,
}

#[derive(Clone, Copy, PartialEq, ValueEnum)]
enum Format {
    /// For people
    Text,
    /// For machines
    Json,
    /// Markdown
    Md,
    /// A page that needs nothing else
    Html,
    /// Tables for a spreadsheet
    Csv,
}

pub(super) fn report(args: ReportArgs) -> anyhow::Result<ExitCode> {
    let ask = |server: &Server, path: &str| super::runtime()?.block_on(get(&server.url, path));
    let accuracy = |AskedArgs { span, time_zone, server, .. }: &AskedArgs| {
        let (span, zone) = (span.parameters(time_zone)?, percent(time_zone));
        ask(server, &format!("/api/v1/reports/accuracy?{span}&time_zone={zone}"))
    };
    match args.report {
        Report::Accuracy(asked) => {
            let answer = accuracy(&asked)?;
            write(&answer, asked.format, || Ok(read::<AccuracyReport>(answer.clone())?.document()))
        }
        Report::EarlyWarning(asked) => {
            let report = read::<AccuracyReport>(accuracy(&asked)?)?;
            let early = report.classes.first().map(|class| &class.early);
            let known = serde_json::json!({
                "from": report.from, "to": report.to, "early": early, "claim": report.early_warning_claim(),
                "late": report.late, "missed": report.missed,
            });
            write(&known, asked.format, || Ok(report.early_warning_document()))
        }
        Report::Verdicts(AskedArgs { span, time_zone, format, server }) => {
            let answer = ask(&server, &format!("/api/v1/reports/verdicts?{}", span.parameters(&time_zone)?))?;
            write(&answer, format, || Ok(read::<HeldWordsReport>(answer.clone())?.document()))
        }
    }
}

pub(super) fn episodes(args: EpisodesArgs) -> anyhow::Result<ExitCode> {
    let span = args.span.parameters("UTC")?;
    let runtime = super::runtime()?;
    let ask = |path: &str| runtime.block_on(get(&args.server.url, &format!("/api/v1/{path}?{span}")));
    let episodes = ask("episodes")?;
    let alerts = if args.alerts { ask("alerts/fired")? } else { Value::Array(Vec::new()) };
    let both = match args.alerts {
        true => serde_json::json!({"episodes": episodes, "alerts": alerts}),
        false => episodes.clone(),
    };
    write(&both, args.format, || {
        let mut document =
            episodes_document(&read::<Vec<EpisodeReport>>(episodes)?, &read::<Vec<FiredReport>>(alerts)?);
        document.tables.retain(|table| args.alerts || table.title != "Alerts");
        Ok(document)
    })
}

pub(super) fn outcome(args: OutcomeArgs) -> anyhow::Result<ExitCode> {
    let path = format!("/api/v1/alerts/fired/{}/outcome", percent(&args.alert));
    let form = [("outcome", args.outcome.as_str()), ("by", &args.by), ("note", &args.note)];
    let answer = super::runtime()?.block_on(post(&args.server.url, &path, &form))?;
    let alert: FiredReport = read(answer)?;
    outln!("{} of {} is {}", alert.name, alert.at, alert.outcome.unwrap_or_default());
    Ok(ExitCode::SUCCESS)
}

fn read<T: serde::de::DeserializeOwned>(answer: Value) -> anyhow::Result<T> {
    serde_json::from_value(answer)
        .context("the answer has another form than expected; are program and server of the same version?")
}

fn write(
    answer: &Value,
    format: Format,
    document: impl FnOnce() -> anyhow::Result<Document>,
) -> anyhow::Result<ExitCode> {
    match format {
        Format::Json => outln!("{}", serde_json::to_string_pretty(answer)?),
        Format::Text => out!("{}", document()?.text()),
        Format::Md => out!("{}", document()?.markdown()),
        Format::Html => out!("{}", document()?.html()),
        Format::Csv => out!("{}", document()?.csv()),
    }
    Ok(ExitCode::SUCCESS)
}

impl SpanArgs {
    /// As parameters of a URL.
    fn parameters(&self, time_zone: &str) -> anyhow::Result<String> {
        let (start, end) = match &self.month {
            Some(month) => month_of(month, time_zone)?,
            None => {
                let now = Timestamp(SystemClock::new().now_ms());
                let since = Millis::parse(&self.since).map_err(|error| anyhow::anyhow!("--since: {error}"))?;
                (now - since, now)
            }
        };
        Ok(format!("start={}&end={}", percent(&start.to_string()), percent(&end.to_string())))
    }
}

/// The first and the last instant of a month.
fn month_of(month: &str, time_zone: &str) -> anyhow::Result<(Timestamp, Timestamp)> {
    let first: Date = format!("{month}-01").parse().with_context(|| format!("{month} is no month; write 2026-10"))?;
    let zone = TimeZone::get(time_zone).with_context(|| format!("{time_zone} is no time zone; write Europe/Berlin"))?;
    let next = first.last_of_month().tomorrow()?;
    let instant = |date: Date| anyhow::Ok(Timestamp(date.to_zoned(zone.clone())?.timestamp().as_millisecond()));
    let (start, end) = (instant(first)?, instant(next)? - Millis(1));
    if start > end {
        bail!("{month} is no month");
    }
    Ok((start, end))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_month_is_a_month_of_its_zone() {
        let check = |month: &str, zone: &str, expected: [&str; 2]| {
            let (start, end) = month_of(month, zone).unwrap();
            assert_eq!([start.to_string(), end.to_string()], expected, "{month} {zone}");
        };
        check("2026-10", "UTC", ["2026-10-01T00:00:00.000Z", "2026-10-31T23:59:59.999Z"]);
        // The clock goes back on the 25th.
        check("2026-10", "Europe/Berlin", ["2026-09-30T22:00:00.000Z", "2026-10-31T22:59:59.999Z"]);
        assert!(month_of("October", "UTC").unwrap_err().to_string().contains("is no month"));
        assert!(month_of("2026-10", "Berlin").unwrap_err().to_string().contains("is no time zone"));
    }
}
