//! Feeds every decoder with inputs that nobody meant: mutations of what our own encoders make.
//!
//! ```sh
//! cargo run --profile checked --example fuzz                      # every target, a minute of the processor each
//! cargo run --profile checked --example fuzz -- promql --minutes 10 --seed 7
//! cargo run --profile checked --example fuzz -- block --input fuzz-found/block-0         # that input once more
//! ```
//!
//! Mutated files get their checksums repaired, so that what stands behind those is reached. An input that stops a decoder is written to `fuzz-found/`, beside its seed.

#[path = "mod.rs"]
mod fuzz;

use std::error::Error;
use std::path::PathBuf;
use std::time::Duration;

use clap::Parser;

use fuzz::mutate::{self, Report, Rounds};
use fuzz::targets;

/// Feeds decoders with mutations of what our own encoders make.
#[derive(Parser)]
struct Options {
    /// Only these targets
    targets: Vec<String>,
    /// Minutes of the processor that each target gets
    #[arg(long, default_value_t = 1.0)]
    minutes: f64,
    /// Seed of everything that is random
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Give the targets this file's bytes alone
    #[arg(long)]
    input: Option<PathBuf>,
}

fn main() -> Result<(), Box<dyn Error>> {
    let Options { targets: named, minutes, seed, input } = Options::parse();
    let input = input.map(std::fs::read).transpose()?;
    let all = targets::all();
    if let Some(name) = named.iter().find(|name| !all.iter().any(|target| target.name == **name)) {
        let names: Vec<_> = all.iter().map(|target| target.name).collect();
        return Err(format!("there is no target {name}; there are {}", names.join(", ")).into());
    }
    println!("{:<20} {:>12} {:>12} {:>12} {:>8}", "target", "inputs", "taken", "longest ms", "found");
    let mut found = 0;
    for target in all.iter().filter(|target| named.is_empty() || named.iter().any(|name| name == target.name)) {
        let report = match &input {
            Some(input) => mutate::run_once(target, input),
            None => mutate::run(target, seed, Rounds::For(Duration::from_secs_f64(minutes * 60.0))),
        };
        let longest = report.longest.as_secs_f64() * 1000.0;
        println!(
            "{:<20} {:>12} {:>12} {longest:>12.1} {:>8}",
            target.name,
            report.inputs,
            report.taken,
            report.found.len()
        );
        match &input {
            Some(_) => report.found.iter().for_each(|(_, what)| println!("  {what}")),
            None => keep(target.name, &report)?,
        }
        found += report.found.len();
    }
    if found == 0 {
        Ok(())
    } else {
        Err(format!("{found} findings{}", if input.is_none() { ", see fuzz-found/" } else { "" }).into())
    }
}

fn keep(target: &str, report: &Report) -> std::io::Result<()> {
    for (n, (input, what)) in report.found.iter().enumerate() {
        std::fs::create_dir_all("fuzz-found")?;
        std::fs::write(format!("fuzz-found/{target}-{n}"), input)?;
        println!("  fuzz-found/{target}-{n}: {what}");
    }
    Ok(())
}
