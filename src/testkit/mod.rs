//! For test suites: memory and faulty disks, traffic, scripts, recorded messages.
//!
//! Layer 6. Imports: `env`, `model`, `promql`.
//! Does not know: HTTP.

mod script;
mod shop;

pub use script::{Failure, MemorySeries, ScriptReport, run_script};
pub use shop::Shop;
