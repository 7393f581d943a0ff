//! `evenkeel query`: what an expression gives, from a running server or a stopped database, for people or machines.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context, anyhow, bail};
use clap::{Args, ValueEnum};
use serde_json::Value;

use super::{Server, answer, ask};
use crate::env::disk::{Disk, RealDisk};
use crate::env::{Clock, SystemClock};
use crate::model::{Millis, Timestamp};
use crate::promql::{EvalOptions, ParseError, Query, parse};
use crate::storage::{Store, StoreOptions};

/// Ask a running server, or a stopped database, for the value of a PromQL expression
#[derive(Args)]
#[command(
    after_help = "Example: evenkeel query 'sum by (job) (up)'\n         evenkeel query --last 1h 'rate(http_requests_total[5m])'\n         evenkeel query --data evenkeel-data --format csv 'up'\n         evenkeel query --format-only 'sum(rate(x[5m]))by(job)'"
)]
pub(super) struct QueryArgs {
    /// The expression
    expr: String,
    /// Instant, as seconds since the epoch or RFC 3339; now by default
    #[arg(long, conflicts_with_all = ["start", "end", "last"])]
    at: Option<String>,
    /// First instant of a range
    #[arg(long, requires = "end")]
    start: Option<String>,
    /// Last instant of a range
    #[arg(long, requires = "start")]
    end: Option<String>,
    /// A range that ends now: 30m, 6h, 7d
    #[arg(long, conflicts_with_all = ["start", "end"])]
    last: Option<String>,
    /// From one instant of a range to the next; a sixtieth of the range by default
    #[arg(long)]
    step: Option<String>,
    /// How the answer is written
    #[arg(long, value_enum, default_value_t = Format::Table)]
    format: Format,
    /// Directory of a database that no process has open, to be asked in place of a server
    #[arg(long)]
    data: Option<PathBuf>,
    /// Only print the expression as it should be written
    #[arg(long)]
    format_only: bool,
    #[command(flatten)]
    server: Server,
}

/// How an answer is written.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// Columns, and charts for ranges
    Table,
    /// The `data` of the HTTP API
    Json,
    /// One line a sample: the labels, the time, the value
    Csv,
}

/// When the expression is looked at.
#[derive(Clone, Copy)]
enum When {
    At(Timestamp),
    Over { start: Timestamp, end: Timestamp, step: Millis },
}

pub(super) fn query(args: QueryArgs) -> anyhow::Result<ExitCode> {
    let expr = match parse(&args.expr) {
        Ok(expr) => expr,
        Err(error) => return Ok(complain(&error)),
    };
    if args.format_only {
        outln!("{}", expr.pretty());
        return Ok(ExitCode::SUCCESS);
    }
    let when = when(&args)?;
    let answered = match &args.data {
        Some(dir) => from_directory(dir, &args.expr, when)?,
        None => from_server(&args.server.url, &args.expr, when)?,
    };
    for kind in ["warnings", "infos"] {
        for note in answered[kind].as_array().into_iter().flatten() {
            // Where this goes may be gone; the answer matters more.
            let _ = writeln!(std::io::stderr(), "{}", note.as_str().unwrap_or_default());
        }
    }
    let data = &answered["data"];
    match args.format {
        Format::Json => outln!("{}", serde_json::to_string_pretty(data)?),
        Format::Csv => out!("{}", answer::csv(data)),
        Format::Table => out!("{}", answer::table(data)),
    }
    Ok(ExitCode::SUCCESS)
}

/// The error with the place marked, as a compiler shows it.
fn complain(error: &ParseError) -> ExitCode {
    let _ = writeln!(std::io::stderr(), "{error}\n\n{}", error.caret());
    ExitCode::from(1)
}

fn when(args: &QueryArgs) -> anyhow::Result<When> {
    let now = || Timestamp(SystemClock::new().now_ms());
    let duration = |text: &str| {
        let duration = Millis::parse(text).map_err(|error| anyhow!("{text}: {error}"))?;
        if duration > Millis::ZERO { Ok(duration) } else { bail!("{text}: more than nothing is needed") }
    };
    let range = match (&args.start, &args.end, &args.last) {
        (Some(from), Some(to), _) => Some((instant(from)?, instant(to)?)),
        (_, _, Some(last)) => Some((now() - duration(last)?, now())),
        _ => None,
    };
    let Some((start, end)) = range else {
        if args.step.is_some() {
            bail!("--step needs a range: --last 1h, or --start and --end");
        }
        return Ok(When::At(args.at.as_deref().map(instant).transpose()?.unwrap_or_else(now)));
    };
    let step = match &args.step {
        Some(step) => duration(step)?,
        None => Millis(((end - start).0 / 60_000).max(1) * 1000),
    };
    Ok(When::Over { start, end, step })
}

pub(super) fn instant(text: &str) -> anyhow::Result<Timestamp> {
    let seconds = text.parse::<f64>().ok().filter(|seconds| seconds.is_finite());
    seconds
        .map(Timestamp::from_seconds)
        .or_else(|| Timestamp::parse_rfc3339(text))
        .with_context(|| format!("{text} is no instant; give seconds since the epoch, or 2026-11-23T13:49:07Z"))
}

fn from_server(url: &str, expr: &str, when: When) -> anyhow::Result<Value> {
    let seconds = |t: Timestamp| t.as_seconds().to_string();
    let mut form = vec![("query", expr.to_owned())];
    let path = match when {
        When::At(t) => {
            form.push(("time", seconds(t)));
            "/api/v1/query"
        }
        When::Over { start, end, step } => {
            form.extend([("start", seconds(start)), ("end", seconds(end)), ("step", step.as_seconds().to_string())]);
            "/api/v1/query_range"
        }
    };
    let form: Vec<(&str, &str)> = form.iter().map(|(name, value)| (*name, value.as_str())).collect();
    super::runtime()?.block_on(ask::post_whole(url, path, &form))
}

fn from_directory(dir: &Path, expr: &str, when: When) -> anyhow::Result<Value> {
    let disk: Arc<dyn Disk> = Arc::new(RealDisk);
    super::inspect::check_database(&*disk, dir)?;
    // What is kept is the server's configuration to say, which this command does not read.
    let options = StoreOptions { retention: Millis(i64::MAX / 4), ..StoreOptions::default() };
    let (store, mut replay) = Store::open(disk, dir, options)?;
    while replay.next()?.is_some() {}
    let source = crate::db::stored(&store);
    let query = Query::new(expr)?;
    let options = EvalOptions::default();
    let answer = match when {
        When::At(t) => query.instant(&source, t, &options)?,
        When::Over { start, end, step } => query.range(&source, start, end, step, &options)?,
    };
    Ok(serde_json::from_str(&crate::server::answer_json(answer))?)
}
