//! Kills the server again and again under write load and counts what was lost.
//!
//! ```sh
//! cargo build --release && cargo run --release --example kill_rounds -- --rounds 100 --seed 1
//! ```
//!
//! With `--keep DIR` the database and the server's log stay in that directory.

mod campaign;
#[path = "../harness/mod.rs"]
mod harness;

use std::error::Error;
use std::path::PathBuf;

use clap::Parser;

/// Kills the server again and again under write load and counts what was lost.
#[derive(Parser)]
struct Options {
    /// How often the server is killed
    #[arg(long, default_value_t = 100)]
    rounds: u64,
    /// Seed of everything that is random
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Directory in which the database and the server's log stay
    #[arg(long)]
    keep: Option<PathBuf>,
}

fn main() -> Result<(), Box<dyn Error>> {
    let Options { rounds, seed, keep } = Options::parse();
    let temporary = tempfile::tempdir()?;
    let dir = keep.unwrap_or_else(|| temporary.path().to_owned());
    std::fs::create_dir_all(&dir)?;
    let report = campaign::run(&harness::program()?, &dir, rounds, seed)?;
    println!("{report}");
    if report.failures.is_empty() { Ok(()) } else { Err("something was lost".into()) }
}
