//! Crashes of a running server, seen from outside: what was acknowledged over HTTP is noted here and
//! looked for after the server was killed, the power was cut, the disk was full, or a bit was flipped.
//!
//! ```sh
//! cargo build --release
//! cargo run --release --example crash_rounds -- kill --rounds 1000
//! cargo run --release --example crash_rounds -- power --rounds 100      # needs root: mounts a loop device
//! cargo run --release --example crash_rounds -- full --rounds 20        # the same
//! cargo run --release --example crash_rounds -- flips --rounds 200
//! ```
//!
//! With `--peers DIR`, which holds `prometheus` and `victoria-metrics`, the same is done to them, by
//! the same protocol (remote-write in, query out), as often as `--peer-rounds` says. With `--keep DIR`
//! everything stays in that directory. Only loopback is listened on.

mod flips;
mod full;
#[path = "../harness/mod.rs"]
mod harness;
mod kill;
mod ledger;
mod power;
mod programs;
mod volume;

use std::error::Error;
use std::path::{Path, PathBuf};
use std::time::Instant;

use clap::{Parser, ValueEnum};
use programs::Program;

/// One line of the table.
pub(crate) struct Row {
    /// What was done, and to whom.
    pub(crate) what: String,
    /// Counts, by name.
    pub(crate) counts: Vec<(&'static str, String)>,
    /// What a server of ours must not do.
    pub(crate) broken: Vec<String>,
}

/// A campaign: a program, a directory of its own, rounds, a seed.
type Campaign = fn(&Program, &Path, u64, u64) -> Result<Row, Box<dyn Error>>;

/// Crashes of a running server, seen from outside.
#[derive(Parser)]
struct Options {
    /// What is done to it
    #[arg(value_enum)]
    what: What,
    /// How often; without this 100 for kill and power, 20 for full, 60 for flips
    #[arg(long)]
    rounds: Option<u64>,
    /// Seed of everything that is random
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Directory in which everything stays
    #[arg(long)]
    keep: Option<PathBuf>,
    /// Directory with `prometheus` and `victoria-metrics`, to which the same is done
    #[arg(long)]
    peers: Option<PathBuf>,
    /// How often to them; without this at most 10 times
    #[arg(long)]
    peer_rounds: Option<u64>,
}

#[derive(Clone, Copy, ValueEnum)]
enum What {
    /// It is killed
    Kill,
    /// The power is cut; needs root, mounts a loop device
    Power,
    /// The disk is full; needs root, mounts a loop device
    Full,
    /// A bit of a file flips
    Flips,
}

fn main() -> Result<(), Box<dyn Error>> {
    let options = Options::parse();
    let (campaign, name, rounds, mounts): (Campaign, &str, u64, bool) = match options.what {
        What::Kill => (kill::run, "kill", 100, false),
        What::Power => (power::run, "power", 100, true),
        What::Full => (full::run, "full", 20, true),
        What::Flips => (flips::run, "flips", 60, false),
    };
    if mounts && let Some(status) = volume::in_private_mounts()? {
        return if status.success() { Ok(()) } else { Err("see above".into()) };
    }
    if mounts && let Err(reason) = volume::try_out() {
        println!("{name}: SKIPPED, loop devices cannot be mounted here: {reason}");
        return Ok(());
    }
    let temporary = tempfile::tempdir()?;
    let dir = options.keep.unwrap_or_else(|| temporary.path().to_owned());
    let rounds = options.rounds.unwrap_or(rounds);
    let peer_rounds = options.peer_rounds.unwrap_or(rounds.min(10));
    let mut broken = 0;
    for program in programs::found(options.peers.as_deref())? {
        let place = dir.join(program.name());
        std::fs::create_dir_all(&place)?;
        let rounds = if program.is_ours() { rounds } else { peer_rounds };
        match campaign(&program, &place, rounds, options.seed) {
            Ok(row) => {
                print(&row);
                broken += if program.is_ours() { row.broken.len() } else { 0 };
            }
            Err(error) if !program.is_ours() => println!("{name}, {}: stopped: {error}", program.name()),
            Err(error) => return Err(error),
        }
    }
    if broken == 0 { Ok(()) } else { Err(format!("{broken} broken promises").into()) }
}

/// Says on standard error how far it is, a few times in all.
pub(crate) fn progress(program: &Program, done: u64, of: u64, begun: Instant) {
    if done.is_multiple_of((of / 20).max(1)) {
        eprintln!("  {}: {done} of {of} rounds, {:.0} s", program.name(), begun.elapsed().as_secs_f64());
    }
}

fn print(row: &Row) {
    println!("{}", row.what);
    for (name, n) in &row.counts {
        println!("  {name:<44} {n:>12}");
    }
    println!("  {:<44} {:>12}", "broken promises", row.broken.len());
    row.broken.iter().take(10).for_each(|found| println!("    {found}"));
}
