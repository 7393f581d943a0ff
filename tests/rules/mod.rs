//! Rules over a stream of transactions: against the query engine as oracle, over restarts and
//! reloads, and at exact instants.

mod alert_series;
mod alerts;
mod grammar;
mod interval_mode;
mod native_histograms;
mod oracle;
mod scenario;
mod stream;
mod unit_tests;
mod world;
