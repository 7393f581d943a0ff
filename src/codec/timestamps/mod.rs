//! Columns of timestamps, which the series of one scrape share.

mod format;

pub use format::{Timestamps, put_timestamps};
