//! The one test binary.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

mod layering;
mod tidy;

mod backtest;
#[path = "../tools/blindness/matrix/mod.rs"]
mod blindness;
#[path = "../tools/faults/campaign/mod.rs"]
mod campaign;
mod config;
mod db;
mod decoders;
#[path = "../tools/fuzz/mod.rs"]
mod fuzz;
#[allow(dead_code, reason = "the tool uses all of it")]
#[path = "../tools/incidents/sim/mod.rs"]
mod incidents;
mod notify;
mod promql;
mod rules;
mod slo;
mod storage;
mod wire;

#[cfg(feature = "server")]
mod cli;
#[cfg(feature = "server")]
#[path = "../tools/harness/mod.rs"]
mod harness;
#[cfg(feature = "server")]
mod http;
#[cfg(feature = "server")]
mod scrape;
