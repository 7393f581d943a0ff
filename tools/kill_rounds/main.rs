//! Kills the server again and again under write load and counts what was lost.
//!
//! ```sh
//! cargo build --release && cargo run --release --example kill_rounds -- --rounds 100 --seed 1
//! ```

mod campaign;
#[path = "../harness/mod.rs"]
mod harness;

use std::error::Error;

fn main() -> Result<(), Box<dyn Error>> {
    let option = |name: &str, default: u64| {
        std::env::args().skip_while(|a| a != name).nth(1).map_or(Ok(default), |n| n.parse::<u64>())
    };
    let (rounds, seed) = (option("--rounds", 100)?, option("--seed", 1)?);
    let dir = tempfile::tempdir()?;
    let report = campaign::run(&harness::program()?, dir.path(), rounds, seed)?;
    println!("{report}");
    if report.failures.is_empty() { Ok(()) } else { Err("something was lost".into()) }
}
