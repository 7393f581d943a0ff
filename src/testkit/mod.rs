//! For test suites: memory and faulty disks, traffic, scripts, recorded messages.
//!
//! Layer 6. Imports: `env`, `model`.
//! Does not know: HTTP.

mod shop;

pub use shop::Shop;
