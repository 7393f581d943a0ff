//! Columns of timestamps, which the series of one scrape share.

mod format;
mod grid;

pub use format::{Timestamps, put_timestamps};
