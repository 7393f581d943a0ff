//! For test suites: faulty disks, traffic, scripts of the query language.
//!
//! Layer 6. Imports: `env`, `model`, `promql`.
//! Does not know: HTTP.

mod faulty_disk;
mod script;
mod shop;
mod trace_disk;

pub use faulty_disk::{Fault, FaultyDisk};
pub use script::{Failure, MemorySeries, ScriptReport, run_script};
pub use shop::Shop;
pub use trace_disk::{Contents, Loss, Names, TraceDisk};
