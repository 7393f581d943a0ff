//! For test suites: faulty disks, traffic, scripts.
//!
//! Layer 6. Imports: `env`, `model`.
//! Does not know: HTTP.

mod faulty_disk;
mod shop;

pub use faulty_disk::FaultyDisk;
pub use shop::Shop;
