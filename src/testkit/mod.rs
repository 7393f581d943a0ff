//! For test suites: memory and faulty disks, traffic, scripts, recorded messages.
//!
//! Layer 6. Imports: `env`.
//! Does not know: HTTP.

mod faulty_disk;

pub use faulty_disk::{Fault, FaultyDisk};
