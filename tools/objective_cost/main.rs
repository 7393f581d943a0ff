//! Measures what objectives cost Evenkeel beside ingestion, and what Sloth's rules for the same objectives cost Prometheus.
//!
//! ```sh
//! cargo build --release
//! cargo run --release --example objective_cost -- PEERS_DIR --objectives 1000 --minutes 2
//! ```
//!
//! Each program runs twice on a fresh directory, without objectives and with them, and gets the same samples by remote-write:
//! of each series one every ten seconds, evenly spread over the time. There is a target of a hundred series for each objective, of which
//! sixteen count; others surround them. Prometheus evaluates every 30 s. Then the memory that objectives take once
//! thirty days are known is measured in this process. The output is Markdown.

#[path = "../compare_rules/fleet.rs"]
mod fleet;
#[path = "../harness/mod.rs"]
mod harness;
mod month;
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

use premises::Premises;
use run::{Promises, Usage};
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

/// Measure what objectives cost, side by side
#[derive(Parser)]
#[command(name = "objective_cost")]
pub(crate) struct Options {
    /// Directory that holds Prometheus' program, directly or in a folder bin somewhere below
    pub(crate) peers: PathBuf,
    /// The program under test; without this, the one that lies beside this tool
    #[arg(long)]
    pub(crate) evenkeel: Option<PathBuf>,
    /// Only these programs
    #[arg(long, value_enum, value_delimiter = ',')]
    pub(crate) only: Vec<Kind>,
    /// How many objectives; three hundred series are sent for each
    #[arg(long, default_value_t = 1000)]
    pub(crate) objectives: usize,
    /// How long each run is measured
    #[arg(long, default_value_t = 1.0)]
    pub(crate) minutes: f64,
    /// Only the memory of this many objectives once a month is known
    #[arg(long)]
    pub(crate) month_only: bool,
    /// Not that, which takes a minute
    #[arg(long, conflicts_with = "month_only")]
    pub(crate) no_month: bool,
    /// Directory for the data; it is removed at the end. Without this, one beside the programs in target/
    #[arg(long)]
    pub(crate) dir: Option<PathBuf>,
}

fn main() -> Outcome<()> {
    let options = Options::parse();
    if options.no_month {
        return side_by_side(&options);
    }
    // First: what was freed before would be used again.
    let month = month::measure(options.objectives.min(200))?;
    println!(
        "{} objectives that know thirty days, and the last three hours of samples every 10 s: {} each; {:.1} µs a transaction of \
two samples, with its decision; {:.2} ms for the status of 1000.",
        month.objectives,
        bytes(month.bytes_each),
        month.micros,
        month.status_ms
    );
    if options.month_only { Ok(()) } else { side_by_side(&options) }
}

fn side_by_side(options: &Options) -> Outcome<()> {
    let premises = Premises::new(options.dir.as_deref())?;
    println!("# Objectives, side by side\n");
    println!(
        "- {} objectives of 8 windows beside {} series, one sample each every 10 s; {}; load average {}; {:.1} min a run",
        options.objectives,
        options.objectives * 300,
        procfs::utc(),
        procfs::load(),
        options.minutes
    );
    println!("- {}\n", premises.describe());
    let mut table = Table::new(&[
        "",
        "samples/s",
        "CPU without",
        "with",
        "added",
        "added to ingestion's CPU",
        "RSS without",
        "with",
        "added",
        "sender behind, s",
    ]);
    let mut answers = Vec::new();
    for kind in [Kind::Evenkeel, Kind::Prometheus] {
        if !options.only.is_empty() && !options.only.contains(&kind) {
            continue;
        }
        let without = run::measure(options, kind, Promises::None, &premises)?;
        let with = run::measure(options, kind, Promises::All, &premises)?;
        table.row(row(kind, &without, &with));
        answers.extend(with.answers);
    }
    println!("{}\nCPU is of one core; memory is resident at the end of the run.\n", table.text());
    for (path, times) in answers {
        let (half, most) = (harness::quantile(&times, 0.5), harness::quantile(&times, 0.95));
        println!(
            "`{path}` with all of them while samples came in: p50 {half:.1} ms, p95 {most:.1} ms, {} times.",
            times.len()
        );
    }
    Ok(())
}

fn row(kind: Kind, without: &Usage, with: &Usage) -> Vec<String> {
    let share = |v: f64| format!("{:.2} %", v * 100.0);
    let added = with.cpu - without.cpu;
    vec![
        kind.name().into(),
        format!("{:.0}", with.rate),
        share(without.cpu),
        share(with.cpu),
        share(added),
        format!("{:.1} %", added / without.cpu * 100.0),
        bytes(without.resident),
        bytes(with.resident),
        bytes(with.resident - without.resident),
        format!("{:.1}", with.behind),
    ]
}
