//! `evenkeel backtest`: what rules would have decided on stored history.

mod budget;
mod page;
mod result;
mod source;
mod words;

use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, anyhow, bail};
use clap::{Args, ValueEnum};
use jiff::tz::TimeZone;
use parking_lot::Mutex;

use self::result::{RuleSet, Tested};
use self::source::RemoteSource;
use super::files::write_file;
use crate::backtest::{Backtest, ComputeAhead, Episode, LocalTime, Progress, score, spans};
use crate::config;
use crate::env::disk::{Disk, RealDisk};
use crate::env::{Clock, SystemClock};
use crate::model::{Labels, Matcher, Millis, TimeRange, Timestamp};
use crate::promql::{SeriesSource, parse_selector};
use crate::rules::{Rule, RuleContext, RuleGroup};
use crate::slo::Objective;
use crate::storage::{Store, StoreOptions};

/// Play stored history through rules: every alert that would have fired, and whom it would have woken
#[derive(Args)]
#[command(
    after_help = "Example: evenkeel backtest rules.yml --data evenkeel-data --since 90d\n         evenkeel backtest new.yml --against old.yml --url http://prometheus:9090 --since 30d --html backtest.html\n         evenkeel backtest rules.yml --data evenkeel-data --episodes incidents.csv --timezone Europe/Berlin\n\nEach sample is played at its own time, through the code that decides live; recording rules are played too, in place\nof what they stored. Alerts that page are those that --pages selects. Episodes are times in which something was\nwrong: YAML (episodes: [{start, end, labels, name}]) or CSV (start,end,name and one column for each label); an\nalert tells of one if both overlap and no label that both have differs.\n\nExit code 0: played. 1: it could not be."
)]
pub(super) struct BacktestArgs {
    /// Rule files in Prometheus' format
    #[arg(required = true)]
    rules: Vec<PathBuf>,
    /// Rules to compare with; may be given several times
    #[arg(long, value_name = "RULES")]
    against: Vec<PathBuf>,
    /// How far back to begin: 12h, 30d, 90d
    #[arg(long, default_value = "30d", conflicts_with = "start")]
    since: String,
    /// Where to begin, as seconds since the epoch or RFC 3339
    #[arg(long)]
    start: Option<String>,
    /// Where to end; the newest log entry, or now, by default
    #[arg(long)]
    end: Option<String>,
    /// Directory of a database that no process has open, or of a snapshot or backup
    #[arg(long)]
    data: Option<PathBuf>,
    /// Address of a server to read from by remote read, ours or a Prometheus, in place of --data
    #[arg(long, default_value = "http://127.0.0.1:9090", env = "EVENKEEL_URL", conflicts_with = "data")]
    url: String,
    /// Which alerts page somebody
    #[arg(long, value_name = "MATCHERS", default_value = "{severity=~\"page|critical\"}")]
    pages: String,
    /// Time zone of the person who is paged, such as Europe/Berlin
    #[arg(long, default_value = "UTC")]
    timezone: String,
    /// Times in which something was wrong, to hold the alerts against
    #[arg(long, value_name = "FILE")]
    episodes: Option<PathBuf>,
    /// Objectives, to tell how much of their budgets was spent when episodes were detected; may be given several times
    #[arg(long, value_name = "FILE", requires = "episodes")]
    slo: Vec<PathBuf>,
    /// How the answer is written
    #[arg(long, value_enum, default_value_t = BacktestFormat::Text)]
    format: BacktestFormat,
    /// Also write a page with a timeline to this file
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
}

/// How a backtest is written.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum BacktestFormat {
    /// Lines for people
    Text,
    /// One object
    Json,
}

pub(super) fn run(args: BacktestArgs) -> anyhow::Result<ExitCode> {
    let zone = TimeZone::get(&args.timezone)
        .map_err(|_| anyhow!("{} is no time zone; write it like Europe/Berlin or UTC", args.timezone))?;
    let pages = parse_selector(&args.pages).map_err(|error| anyhow!("--pages: {error}\n{}", error.caret()))?;
    let episodes = match &args.episodes {
        Some(path) => config::load_episodes(&RealDisk, path)?,
        None => Vec::new(),
    };
    let mut objectives = Vec::new();
    for path in &args.slo {
        objectives.extend(config::load_objectives(&RealDisk, path)?.0);
    }
    let mut sets = vec![("new", load(&args.rules)?)];
    if !args.against.is_empty() {
        sets.push(("old", load(&args.against)?));
    }
    let tested = match &args.data {
        Some(dir) => {
            let store = open(dir)?;
            let newest = store.snapshot().at();
            let range = range(&args, newest)?;
            let source = crate::db::stored(&store);
            test(&args, sets, &source, range, &zone, pages, (episodes, &objectives))?
        }
        None => {
            let source = RemoteSource::new(&args.url)?;
            let range = range(&args, Timestamp(SystemClock::new().now_ms()))?;
            test(&args, sets, &source, range, &zone, pages, (episodes, &objectives))?
        }
    };
    if let Some(path) = &args.html {
        write_file(path, page::html(&tested).as_bytes()).with_context(|| format!("cannot write {}", path.display()))?;
    }
    match args.format {
        BacktestFormat::Text => out!("{}", words::text(&tested)),
        BacktestFormat::Json => outln!("{}", serde_json::to_string_pretty(&result::json(&tested))?),
    }
    Ok(ExitCode::SUCCESS)
}

fn load(files: &[PathBuf]) -> anyhow::Result<Vec<RuleGroup>> {
    let mut groups = Vec::new();
    for file in files {
        groups.extend(config::load_rules(&RealDisk, file)?);
    }
    if groups.iter().all(|group| group.rules.is_empty()) {
        bail!("there are no rules in {}", files.iter().map(|f| f.display().to_string()).collect::<Vec<_>>().join(", "));
    }
    Ok(groups)
}

fn open(dir: &Path) -> anyhow::Result<Store> {
    let disk: Arc<dyn Disk> = Arc::new(RealDisk);
    super::inspect::check_database(&*disk, dir)?;
    // What is kept is the server's configuration to say, which this command does not read.
    let options = StoreOptions { retention: Millis(i64::MAX / 4), ..StoreOptions::default() };
    let (store, mut replay) = Store::open(disk, dir, options)?;
    while replay.next()?.is_some() {}
    Ok(store)
}

fn range(args: &BacktestArgs, newest: Timestamp) -> anyhow::Result<TimeRange> {
    let until = args.end.as_deref().map(super::query::instant).transpose()?.unwrap_or(newest);
    let after = match &args.start {
        Some(start) => super::query::instant(start)?,
        None => until - Millis::parse(&args.since).map_err(|error| anyhow!("--since: {error}"))?,
    };
    if after >= until {
        bail!("the range is empty: it begins at {} and ends at {}", after.as_seconds(), until.as_seconds());
    }
    Ok(TimeRange { after, until })
}

fn test(
    args: &BacktestArgs,
    sets: Vec<(&str, Vec<RuleGroup>)>,
    source: &dyn SeriesSource,
    range: TimeRange,
    zone: &TimeZone,
    pages: Vec<Matcher>,
    (episodes, objectives): (Vec<Episode>, &[Objective]),
) -> anyhow::Result<Tested> {
    let workers = crate::db::workers();
    let clock = SystemClock::new();
    let local = |t: Timestamp| local_time(t, zone);
    let is_page = |labels: &Labels| pages.iter().all(|matcher| matcher.matches(labels.get(matcher.name())));
    let mut tested = Vec::new();
    for (name, groups) in sets {
        let begun = clock.elapsed();
        let context = RuleContext::default();
        let backtest = Backtest {
            groups: &groups,
            context: &context,
            source,
            range,
            workers: Some(&workers),
            ahead: ComputeAhead::default(),
        };
        let bar = ProgressBar::new(name);
        let played = backtest.run(&|progress| bar.tell(progress))?;
        bar.end();
        let took = clock.elapsed().saturating_sub(begun);
        let spans = spans(&played.transitions, range);
        let score = score(&spans, range, &episodes, &is_page, &local);
        let detections = score.accuracy.iter().flat_map(|accuracy| &accuracy.detection);
        let spent = episodes.iter().zip(detections).map(|(episode, detected)| {
            detected.and_then(|detected| budget::spent(objectives, source, range, (episode, detected)))
        });
        let spent = if objectives.is_empty() { None } else { Some(spent.collect()) };
        let rules = groups.iter().flat_map(|group| &group.rules).map(Rule::name).map(str::to_owned).collect();
        let paging = spans.iter().map(|span| is_page(&span.labels)).collect();
        tested.push(RuleSet { name: name.to_owned(), rules, spans, paging, score, spent, played, took });
    }
    Ok(Tested { range, sets: tested, episodes, zone: zone.clone(), timezone: args.timezone.clone() })
}

fn local_time(t: Timestamp, zone: &TimeZone) -> LocalTime {
    LocalTime::of(t, zone)
}

/// One line on a terminal that is written over; nothing elsewhere.
struct ProgressBar<'a> {
    name: &'a str,
    shown: bool,
    clock: SystemClock,
    last: Mutex<Duration>,
}

impl<'a> ProgressBar<'a> {
    fn new(name: &'a str) -> ProgressBar<'a> {
        let shown = std::io::stderr().is_terminal();
        ProgressBar { name, shown, clock: SystemClock::new(), last: Mutex::new(Duration::ZERO) }
    }

    fn tell(&self, progress: Progress) {
        let now = self.clock.elapsed();
        let mut last = self.last.lock();
        if !self.shown || now.saturating_sub(*last) < Duration::from_millis(100) {
            return;
        }
        *last = now;
        let done = (progress.share * 30.0) as usize;
        let bar = format!("{}{}", "█".repeat(done.min(30)), "░".repeat(30 - done.min(30)));
        let (share, samples) = (progress.share * 100.0, progress.samples as f64 / 1e6);
        // Where this goes may be gone; the work goes on.
        let _ = write!(std::io::stderr(), "\r{} rules {bar} {share:3.0} %  {samples:.1} M samples", self.name);
    }

    fn end(&self) {
        if self.shown {
            let _ = write!(std::io::stderr(), "\r{:80}\r", "");
        }
    }
}
