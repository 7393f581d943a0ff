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

fn main() -> Result<(), Box<dyn Error>> {
    let option = |name: &str, default: u64| {
        std::env::args().skip_while(|a| a != name).nth(1).map_or(Ok(default), |n| n.parse::<u64>())
    };
    let (rounds, seed) = (option("--rounds", 100)?, option("--seed", 1)?);
    let keep = std::env::args().skip_while(|a| a != "--keep").nth(1);
    let temporary = tempfile::tempdir()?;
    let dir = keep.map_or_else(|| temporary.path().to_owned(), Into::into);
    std::fs::create_dir_all(&dir)?;
    let report = campaign::run(&harness::program()?, &dir, rounds, seed)?;
    println!("{report}");
    if report.failures.is_empty() { Ok(()) } else { Err("something was lost".into()) }
}
