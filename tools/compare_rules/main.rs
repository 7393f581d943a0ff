//! Measures what alert rules cost Evenkeel and Prometheus beside ingestion, and how soon they decide.
//!
//! ```sh
//! cargo build --release
//! cargo run --release --example compare_rules -- PEERS_DIR --series 100000 --rules 1000 --minutes 3
//! ```
//!
//! Each program is measured without rules and with them, and gets the same samples by remote-write, one of each series every
//! ten seconds, evenly spread over the time; Prometheus evaluates every 15 s. The clocks run half a minute after some minutes
//! of history were sent at once, so that most windows are full: twice on a fresh directory. With `--hours 6` all windows are
//! full, as after a day of work; so much history is sent once, and rules come by a reload once it has been measured without
//! them. Beside that, a probe twice a second: one decisive sample, and the time until it is acknowledged and until its alert
//! arrives at a receiver that both take for an Alertmanager. The output is Markdown.

mod fleet;
#[path = "../harness/mod.rs"]
mod harness;
#[path = "../compare_storage/payload.rs"]
#[allow(dead_code, reason = "shared with compare_storage")]
mod payload;
#[path = "../compare_storage/premises.rs"]
#[allow(dead_code, reason = "shared with compare_storage")]
mod premises;
#[path = "../compare_storage/procfs.rs"]
#[allow(dead_code, reason = "shared with compare_storage")]
mod procfs;
mod run;
mod shapes;
#[path = "../compare_storage/table.rs"]
#[allow(dead_code, reason = "shared with compare_storage")]
mod table;

use std::error::Error;
use std::path::PathBuf;

use clap::{Parser, ValueEnum};

use harness::quantile;
use premises::Premises;
use run::{Measured, Rules};
use table::{Table, bytes};

/// What can go wrong here is told to a person and ends the run.
type Outcome<T> = Result<T, Box<dyn Error + Send + Sync>>;

/// One of the programs.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub(crate) enum Kind {
    /// The program under test
    Evenkeel,
    /// Prometheus
    Prometheus,
}

impl Kind {
    /// Its name.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Kind::Evenkeel => "Evenkeel",
            Kind::Prometheus => "Prometheus",
        }
    }
}

/// Measure what rules cost, side by side
#[derive(Parser)]
#[command(name = "compare_rules")]
pub(crate) struct Options {
    /// Directory that holds Prometheus' program, directly or in a folder bin somewhere below
    pub(crate) peers: PathBuf,
    /// The program under test; without this, the one that lies beside this tool
    #[arg(long)]
    pub(crate) evenkeel: Option<PathBuf>,
    /// Only these programs
    #[arg(long, value_enum, value_delimiter = ',')]
    pub(crate) only: Vec<Kind>,
    /// How many series
    #[arg(long, default_value_t = 1_000_000)]
    pub(crate) series: usize,
    /// How many alert rules
    #[arg(long, default_value_t = 10_000)]
    pub(crate) rules: usize,
    /// How long each run is measured
    #[arg(long, default_value_t = 3.0)]
    pub(crate) minutes: f64,
    /// Minutes of history that are sent at once before, so that windows are full when the clocks run
    #[arg(long, default_value_t = 10.0)]
    pub(crate) history: f64,
    /// Hours of history before that, of the series that rules look at over an hour or more
    #[arg(long, default_value_t = 0.0)]
    pub(crate) hours: f64,
    /// Only the runs with rules
    #[arg(long)]
    pub(crate) with_rules_only: bool,
    /// Directory for the data; it is removed at the end. Without this, one beside the programs in target/
    #[arg(long)]
    pub(crate) dir: Option<PathBuf>,
}

impl Options {
    /// Who shares the rules out among themselves.
    pub(crate) fn teams(&self) -> usize {
        self.rules.div_ceil(shapes::COUNT).max(1)
    }
}

fn main() -> Outcome<()> {
    let options = Options::parse();
    let premises = Premises::new(options.dir.as_deref())?;
    println!("# Rules, side by side\n");
    println!(
        "- {} series, one sample each every 10 s; {} rules of {} shapes",
        options.series,
        options.rules,
        shapes::COUNT
    );
    println!(
        "- {}; load average {}; {:.1} min a run, {:.1} min of history, {:.1} h of what rules look at so long",
        procfs::utc(),
        procfs::load(),
        options.minutes,
        options.history,
        options.hours
    );
    println!("- {}\n", premises.describe());
    let mut all = Vec::new();
    for kind in [Kind::Evenkeel, Kind::Prometheus] {
        if !options.only.is_empty() && !options.only.contains(&kind) {
            continue;
        }
        let stages: &[Rules] = if options.with_rules_only { &[Rules::All] } else { &[Rules::None, Rules::All] };
        // Hours of history are sent once.
        let of_a_run = if options.hours > 0.0 { stages.len() } else { 1 };
        let mut measured = Vec::new();
        for stages in stages.chunks(of_a_run) {
            let mut say = |rules: Rules, measured: &Measured| say(kind, rules.name(), measured);
            measured.extend(run::measure(&options, kind, stages, &premises, &mut say)?);
        }
        let (with, without) = (measured.pop().ok_or("nothing was measured")?, measured.pop());
        all.push((kind, without, with));
    }
    println!("\n{}", costs(&all));
    println!("{}", times(&all));
    Ok(())
}

/// Says what was measured as soon as it was: a long run may be ended before its tables.
fn say(kind: Kind, what: &str, measured: &Measured) {
    let usage = &measured.usage;
    println!(
        "- {} {}, {what}: {:.2} % of a core, {}, {:.0} samples/s, {} alerts, {} missed",
        kind.name(),
        measured.version,
        usage.cpu * 100.0,
        bytes(usage.resident),
        usage.rate,
        measured.alerts,
        measured.missed
    );
}

fn costs(all: &[(Kind, Option<Measured>, Measured)]) -> String {
    let mut table = Table::new(&[
        "",
        "CPU without rules",
        "with",
        "added",
        "RSS without",
        "with",
        "added",
        "samples/s",
        "sender behind, s",
        "alerts",
        "missed evaluations",
    ]);
    let share = |v: f64| format!("{:.2} %", v * 100.0);
    for (kind, without, with) in all {
        let from = |text: &dyn Fn(f64) -> String, f: &dyn Fn(&Measured) -> f64| match without {
            Some(without) => [text(f(without)), text(f(with) - f(without))],
            None => ["—".to_owned(), "—".to_owned()],
        };
        let [cpu, cpu_added] = from(&share, &|m| m.usage.cpu);
        let [memory, memory_added] = from(&bytes, &|m| m.usage.resident);
        table.row(vec![
            kind.name().into(),
            cpu,
            share(with.usage.cpu),
            cpu_added,
            memory,
            bytes(with.usage.resident),
            memory_added,
            format!("{:.0}", with.usage.rate),
            format!("{:.1}", with.usage.behind),
            with.alerts.to_string(),
            with.missed.to_string(),
        ]);
    }
    let added = |kind: Kind| {
        let (_, without, with) = all.iter().find(|(of, ..)| *of == kind)?;
        Some(with.usage.cpu - without.as_ref()?.usage.cpu)
    };
    let mut text = format!(
        "{}\nCPU is of one core; memory is resident at the end of a run; of a run with hours of history, what is added came in while the clocks ran, too.\n",
        table.text()
    );
    if let (Some(ours), Some(theirs)) = (added(Kind::Evenkeel), added(Kind::Prometheus)) {
        text += &format!("Prometheus' rules take {:.1} times the CPU of ours.\n", theirs / ours);
    }
    text
}

fn times(all: &[(Kind, Option<Measured>, Measured)]) -> String {
    let mut table = Table::new(&[
        "with rules, ms",
        "probes",
        "commit to decision p50",
        "p99",
        "to acknowledgement p50",
        "p99",
        "to the alert's arrival p50",
        "p99",
    ]);
    for (kind, _, with) in all {
        let cell = |v: f64| format!("{v:.2}");
        let (acks, pages) = (&with.acknowledged_ms, &with.arrived_ms);
        let decided = |q: f64| with.decided.as_ref().map_or("—".to_owned(), |decided| decided.at(q));
        table.row(vec![
            kind.name().into(),
            acks.len().to_string(),
            decided(0.5),
            decided(0.99),
            cell(quantile(acks, 0.5)),
            cell(quantile(acks, 0.99)),
            cell(quantile(pages, 0.5)),
            cell(quantile(pages, 0.99)),
        ]);
    }
    format!(
        "{}\n*Commit to decision* is from evenkeel_decision_duration_seconds, over all commits: a bucket's upper bound.\n",
        table.text()
    )
}
