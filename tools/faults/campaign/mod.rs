//! Campaigns of faults against a store on a disk in memory: every failure, every power cut, every
//! damaged byte, random histories.
//!
//! Shared by the command (`tools/faults`), which runs them in full, and the tests, which run a small
//! fixed part. They know the store by its public interface only.

pub(crate) mod cases;
pub(crate) mod enumerate;
pub(crate) mod flips;
pub(crate) mod histograms;
pub(crate) mod model;
pub(crate) mod power_cut;
pub(crate) mod simulate;
pub(crate) mod workload;
