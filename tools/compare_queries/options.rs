//! What the command line says.

use std::path::PathBuf;

use clap::{Parser, ValueEnum};

use crate::program::Kind;

/// Which part is measured.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum What {
    /// Latency, processor time and memory of each query, side by side
    Speed,
    /// Ranges that are asked for again a step later, with the servers' caches of results
    Refresh,
    /// Acknowledgements of writes while queries of death run
    Death,
}

/// Measure queries of Evenkeel, Prometheus and VictoriaMetrics side by side
#[derive(Parser)]
#[command(name = "compare_queries")]
pub(crate) struct Options {
    /// Directory that holds the peers' programs somewhere below
    pub(crate) peers: PathBuf,
    /// What is measured
    #[arg(value_enum, default_value = "speed")]
    pub(crate) what: What,
    /// The program under test; without this, the one that lies beside this tool
    #[arg(long)]
    pub(crate) evenkeel: Option<PathBuf>,
    /// Only these programs
    #[arg(long, value_enum, value_delimiter = ',')]
    pub(crate) only: Vec<Kind>,
    /// Only queries whose number or whose name, kind or text holds one of these
    #[arg(long, value_delimiter = ',')]
    pub(crate) queries: Vec<String>,
    /// Runs of each query and program, in turn; the medians are reported
    #[arg(long, default_value_t = 7)]
    pub(crate) repeats: usize,
    /// Generated hosts (each with three service instances)
    #[arg(long, default_value_t = 6)]
    pub(crate) hosts: usize,
    /// Generated pods
    #[arg(long, default_value_t = 200)]
    pub(crate) pods: usize,
    /// Hours of samples of hosts, services and pods
    #[arg(long, default_value_t = 24.0)]
    pub(crate) hours: f64,
    /// Series of the metric of high cardinality, which has half an hour of samples
    #[arg(long, default_value_t = 100_000)]
    pub(crate) crowd: usize,
    /// death: seconds of writing without and with queries
    #[arg(long, default_value_t = 30)]
    pub(crate) seconds: u64,
    /// death: bytes that the server may take at the most
    #[arg(long, default_value_t = 4 << 30)]
    pub(crate) memory: u64,
    /// Seed of everything that is random
    #[arg(long, default_value_t = 1)]
    pub(crate) seed: u64,
    /// Directory for the data; it is removed at the end. Without this, one beside the programs in target/
    #[arg(long)]
    pub(crate) dir: Option<PathBuf>,
    /// Directory whose data are used if they are there, and left there if not
    #[arg(long)]
    pub(crate) keep: Option<PathBuf>,
    /// File that gets the report too
    #[arg(long)]
    pub(crate) out: Option<PathBuf>,
}

impl Options {
    /// Whether a program takes part.
    pub(crate) fn wants(&self, kind: Kind) -> bool {
        self.only.is_empty() || self.only.contains(&kind)
    }
}
