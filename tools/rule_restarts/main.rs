//! A scripted day with hundreds of restarts, power cuts and reloads at random places: what is told, every transition and
//! every sample that rules make must be those of a twin that nothing happens to.
//!
//! ```sh
//! cargo run --profile checked --example rule_restarts -- --restarts 500 --seed 1
//! ```

#![expect(clippy::unwrap_used, reason = "a campaign that cannot go on stops")]

mod day;

use std::error::Error;

use clap::Parser;

/// A scripted day with and without restarts, compared.
#[derive(Parser)]
struct Options {
    /// Restarts and reloads
    #[arg(long, default_value_t = 500)]
    restarts: usize,
    /// Seed of everything that is random
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Events of the day
    #[arg(long, default_value_t = 2400)]
    events: usize,
}

fn main() -> Result<(), Box<dyn Error>> {
    let Options { restarts, seed, events } = Options::parse();
    let events = day::script(seed, events);
    let (twin, disturbed) = (day::live(&events, 0, seed), day::live(&events, restarts, seed));
    let samples: usize = twin.series.values().map(Vec::len).sum();
    println!("{} events, {restarts} restarts and reloads", events.len());
    println!("{} things told, {} series of rules with {samples} samples", twin.told.len(), twin.series.len());
    match day::difference(&disturbed, &twin) {
        None => println!("no difference"),
        Some(difference) => return Err(difference.into()),
    }
    Ok(())
}
