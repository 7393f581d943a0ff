//! What the command line says.

use std::path::PathBuf;

use clap::{Parser, ValueEnum};

use crate::program::Kind;

/// Which part is measured.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum What {
    /// Bytes per sample on disk
    Disk,
    /// Work and time per sample of remote-write
    Ingest,
    /// Bytes of memory per series, and the restart after kill -9
    Memory,
    /// All of them
    All,
}

/// What is stored when bytes on disk are measured.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Set {
    /// A recording of a real node_exporter, dealt to several hosts
    Recorded,
    /// Generated hosts and HTTP services
    Fleet,
    /// The same, and each hour a share of them is replaced
    Churn,
    /// Random walks with all digits of a double
    Floats,
}

/// Measure Evenkeel, Prometheus and VictoriaMetrics side by side
#[derive(Parser)]
#[command(name = "compare_storage")]
pub(crate) struct Options {
    /// Directory that holds the peers' programs somewhere below
    pub(crate) peers: PathBuf,
    /// What is measured
    #[arg(value_enum, default_value = "all")]
    pub(crate) what: What,
    /// The program under test; without this, the one that lies beside this tool
    #[arg(long)]
    pub(crate) evenkeel: Option<PathBuf>,
    /// Only these programs
    #[arg(long, value_enum, value_delimiter = ',')]
    pub(crate) only: Vec<Kind>,
    /// disk: only these sets
    #[arg(long, value_enum, value_delimiter = ',')]
    pub(crate) sets: Vec<Set>,
    /// disk: a file that `record` wrote
    #[arg(long)]
    pub(crate) recording: Option<PathBuf>,
    /// disk: hosts that are generated (each with three service instances), and the hosts to which a recording is dealt
    #[arg(long)]
    pub(crate) hosts: Option<usize>,
    /// disk: hours of generated samples
    #[arg(long, default_value_t = 24.0)]
    pub(crate) hours: f64,
    /// ingest and memory: numbers of series
    #[arg(long, value_delimiter = ',')]
    pub(crate) series: Vec<usize>,
    /// ingest: samples after the first round
    #[arg(long, default_value_t = 5_000_000)]
    pub(crate) samples: usize,
    /// ingest: the timed span ends after so many seconds, whatever is left
    #[arg(long, default_value_t = 60.0)]
    pub(crate) seconds: f64,
    /// ingest: runs of each program on a fresh directory; the medians are reported
    #[arg(long, default_value_t = 3)]
    pub(crate) repeats: usize,
    /// memory: rounds of samples
    #[arg(long, default_value_t = 10)]
    pub(crate) rounds: usize,
    /// Seed of everything that is random
    #[arg(long, default_value_t = 1)]
    pub(crate) seed: u64,
    /// Directory for the data; it is removed at the end. Without this, one beside the programs in target/
    #[arg(long)]
    pub(crate) dir: Option<PathBuf>,
    /// File that gets the report too
    #[arg(long)]
    pub(crate) out: Option<PathBuf>,
    /// Do not reserve a core for the server and one for the sender
    #[arg(long)]
    no_pin: bool,
}

impl Options {
    /// Whether the server and the sender have a core each.
    pub(crate) fn pinned(&self) -> bool {
        !self.no_pin && std::thread::available_parallelism().is_ok_and(|n| n.get() > 1)
    }

    /// Whether a program takes part.
    pub(crate) fn wants(&self, kind: Kind) -> bool {
        self.only.is_empty() || self.only.contains(&kind)
    }

    /// Whether a set takes part: all that were named, or all that can be.
    pub(crate) fn wants_set(&self, set: Set) -> bool {
        if self.sets.is_empty() { set != Set::Recorded || self.recording.is_some() } else { self.sets.contains(&set) }
    }
}

/// Record the expositions of a target with their times
#[derive(Parser)]
#[command(name = "record")]
pub(crate) struct RecordOptions {
    /// Where the exposition is, as in http://127.0.0.1:9100/metrics
    #[arg(long)]
    pub(crate) target: String,
    /// Time between two expositions
    #[arg(long, default_value = "1s")]
    pub(crate) every: String,
    /// How long to record
    #[arg(long = "for", default_value = "90m")]
    pub(crate) length: String,
    /// File that is appended to
    pub(crate) file: PathBuf,
}
