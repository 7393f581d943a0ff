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

fn main() -> Result<(), Box<dyn Error>> {
    let option = |name: &str| std::env::args().skip_while(|a| a != name).nth(1);
    let number = |name: &str, default: u64| option(name).map_or(Ok(default), |n| n.parse::<u64>());
    let which = std::env::args().nth(1).unwrap_or_default();
    let (campaign, rounds, mounts): (Campaign, u64, bool) = match which.as_str() {
        "kill" => (kill::run, 100, false),
        "power" => (power::run, 100, true),
        "full" => (full::run, 20, true),
        "flips" => (flips::run, 60, false),
        other => return Err(format!("{other:?}: say kill, power, full or flips").into()),
    };
    if mounts && let Some(status) = volume::in_private_mounts()? {
        return if status.success() { Ok(()) } else { Err("see above".into()) };
    }
    if mounts && let Err(reason) = volume::try_out() {
        println!("{which}: SKIPPED, loop devices cannot be mounted here: {reason}");
        return Ok(());
    }
    let temporary = tempfile::tempdir()?;
    let dir = option("--keep").map_or_else(|| temporary.path().to_owned(), PathBuf::from);
    let (seed, rounds) = (number("--seed", 1)?, number("--rounds", rounds)?);
    let peer_rounds = number("--peer-rounds", rounds.min(10))?;
    let peers = option("--peers").map(PathBuf::from);
    let mut broken = 0;
    for program in programs::found(peers.as_deref())? {
        let place = dir.join(program.name());
        std::fs::create_dir_all(&place)?;
        let rounds = if program.is_ours() { rounds } else { peer_rounds };
        match campaign(&program, &place, rounds, seed) {
            Ok(row) => {
                print(&row);
                broken += if program.is_ours() { row.broken.len() } else { 0 };
            }
            Err(error) if !program.is_ours() => println!("{which}, {}: stopped: {error}", program.name()),
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
