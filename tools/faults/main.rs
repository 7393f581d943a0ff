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

/// Histories that `simulate` runs if not told otherwise.
const ROUNDS: u64 = 10_000;
/// Random images of each kind at each place of `powercut`.
const DRAWS: u64 = 6;
/// Each bit by itself, then a whole byte.
const MASKS: [u8; 9] = [1, 2, 4, 8, 16, 32, 64, 128, 255];
/// Findings of a campaign that are printed.
const FOUND_SHOWN: usize = 10;

fn main() -> Result<(), Box<dyn Error>> {
    let option = |name: &str, default: u64| {
        std::env::args().skip_while(|a| a != name).nth(1).map_or(Ok(default), |n| n.parse::<u64>())
    };
    let (seed, rounds) = (option("--seed", 1)?, option("--rounds", ROUNDS)?);
    let stride = usize::try_from(option("--stride", 1)?)?.max(1);
    let which = std::env::args().nth(1).unwrap_or_else(|| "all".to_owned());
    let parts: &[&str] = match which.as_str() {
        "all" => &["enumerate", "powercut", "flips", "simulate"],
        _ => &[which.as_str()],
    };
    println!("{:<44} {:>10} {:>8} {:>8}", "what", "cases", "seconds", "found");
    let mut found = 0;
    for part in parts {
        let begun = Instant::now();
        let outcomes = match *part {
            "enumerate" => campaign::enumerate::run(stride)?,
            "powercut" => campaign::power_cut::run(stride, DRAWS)?,
            "flips" => campaign::flips::run(&MASKS, stride)?,
            "simulate" => vec![campaign::simulate::run(seed, usize::try_from(rounds)?)],
            other => return Err(format!("{other:?}: say enumerate, powercut, flips, simulate or all").into()),
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
