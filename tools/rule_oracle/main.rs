//! Random rules over random series: what the rules follow is compared, bit for bit, with what the query engine answers,
//! until so many comparisons were made. A difference is made as small as it goes and printed as a script.
//!
//! ```sh
//! cargo run --profile checked --example rule_oracle -- --comparisons 1000000 --seed 1
//! ```

#![expect(clippy::unwrap_used, reason = "a campaign that cannot go on stops")]

#[path = "../../tests/rules/grammar.rs"]
mod grammar;
#[path = "../../tests/rules/scenario.rs"]
mod scenario;
#[path = "../../tests/rules/stream.rs"]
#[expect(dead_code, reason = "the tests use more of it")]
mod stream;
#[path = "../../tests/rules/world.rs"]
mod world;

use std::error::Error;

use clap::Parser;
use scenario::{Counts, Scenario};
use world::Histograms;

/// Compares what random rules follow with what the query engine answers.
#[derive(Parser)]
struct Options {
    /// Comparisons after which it ends
    #[arg(long, default_value_t = 100_000)]
    comparisons: usize,
    /// The first seed
    #[arg(long = "seed", default_value_t = 1)]
    first: u64,
    /// Rules of each seed
    #[arg(long, default_value_t = 14)]
    rules: usize,
    /// Steps of each seed
    #[arg(long, default_value_t = 400)]
    steps: usize,
}

fn main() -> Result<(), Box<dyn Error>> {
    let Options { comparisons, first, rules, steps } = Options::parse();
    let (mut all, mut seed, mut failures) = (Counts::default(), first, 0);
    while all.comparisons < comparisons {
        let histograms = if seed % 3 == 0 { Histograms::Sometimes } else { Histograms::Never };
        let scenario = Scenario::new(seed, rules, steps, histograms);
        match scenario.play() {
            Ok(counts) => all.add(counts),
            Err(error) => {
                failures += 1;
                println!("seed {seed}: {error}\nmade smaller, which takes minutes:");
                let small = scenario.shrink();
                let error = small.play().err().unwrap_or_default();
                println!("seed {seed}: {error}\n{}", small.script());
                if failures == 5 {
                    break;
                }
            }
        }
        seed += 1;
    }
    let Counts { comparisons, polled, turns, restarts, reloads } = all;
    println!("seeds {first} to {}: {failures} with differences", seed - 1);
    println!("{comparisons} comparisons, {polled} of rules that native histograms sent to their interval");
    println!("{} turns to the interval and {} back, {restarts} restarts, {reloads} reloads", turns[0], turns[1]);
    if failures == 0 { Ok(()) } else { Err("rules and queries differ".into()) }
}
