//! A scripted day with hundreds of restarts, power cuts and reloads at random places: what is told, every transition and
//! every sample that rules make must be those of a twin that nothing happens to.
//!
//! ```sh
//! cargo run --profile checked --example rule_restarts -- --restarts 500 --seed 1
//! ```

#![expect(clippy::unwrap_used, reason = "a campaign that cannot go on stops")]

mod day;

use std::error::Error;

fn main() -> Result<(), Box<dyn Error>> {
    let option = |name: &str, default: u64| {
        std::env::args().skip_while(|a| a != name).nth(1).map_or(Ok(default), |n| n.parse::<u64>())
    };
    let (restarts, seed) = (option("--restarts", 500)? as usize, option("--seed", 1)?);
    let events = day::script(seed, option("--events", 2400)? as usize);
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
