//! Faults against a store on a disk in memory, in full: prints what was tried, how often, what was found.
//!
//! ```sh
//! cargo run --release --example faults -- all
//! cargo run --release --example faults -- enumerate | powercut | flips [--stride 10]
//! cargo run --release --example faults -- simulate --rounds 10000 --seed 1
//! ```
//!
//! With a stride only every so many-th place is tried.

mod campaign;

use std::error::Error;
use std::time::Instant;

use campaign::cases::Outcome;
use clap::{Parser, ValueEnum};

/// Random images of each kind at each place of `powercut`.
const DRAWS: u64 = 6;
/// Each bit by itself, then a whole byte.
const MASKS: [u8; 9] = [1, 2, 4, 8, 16, 32, 64, 128, 255];
/// Findings of a campaign that are printed.
const FOUND_SHOWN: usize = 10;

/// Faults against a store on a disk in memory.
#[derive(Parser)]
struct Options {
    /// What is done
    #[arg(value_enum, default_value = "all")]
    what: What,
    /// Tries every so many-th place only
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    stride: u32,
    /// simulate: histories that are run
    #[arg(long, default_value_t = 10_000)]
    rounds: usize,
    /// simulate: seed of everything that is random
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

#[derive(Clone, Copy, ValueEnum)]
enum What {
    /// Each call fails once, and twice
    Enumerate,
    /// What of unsynced writes a power cut may leave
    Powercut,
    /// Each byte of each file is damaged
    Flips,
    /// Random histories beside a plain model
    Simulate,
    /// All of these
    All,
}

fn main() -> Result<(), Box<dyn Error>> {
    let Options { what, stride, rounds, seed } = Options::parse();
    let stride = usize::try_from(stride)?;
    let parts = match what {
        What::All => vec![What::Enumerate, What::Powercut, What::Flips, What::Simulate],
        one => vec![one],
    };
    println!("{:<44} {:>10} {:>8} {:>8}", "what", "cases", "seconds", "found");
    let mut found = 0;
    for part in parts {
        let begun = Instant::now();
        let outcomes = match part {
            What::Enumerate => campaign::enumerate::run(stride)?,
            What::Powercut => campaign::power_cut::run(stride, DRAWS)?,
            What::Flips => campaign::flips::run(&MASKS, stride)?,
            What::Simulate | What::All => vec![campaign::simulate::run(seed, rounds)],
        };
        for outcome in &outcomes {
            print(outcome, begun);
            found += outcome.found.len();
        }
    }
    if found == 0 { Ok(()) } else { Err(format!("{found} findings").into()) }
}

fn print(outcome: &Outcome, begun: Instant) {
    let seconds = begun.elapsed().as_secs_f64();
    println!("{:<44} {:>10} {seconds:>8.1} {:>8}", outcome.what, outcome.cases, outcome.found.len());
    for (name, n) in &outcome.counts {
        println!("  {name:<42} {n:>10}");
    }
    for found in outcome.found.iter().take(FOUND_SHOWN) {
        println!("  FOUND {found}");
    }
}
