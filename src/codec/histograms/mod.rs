//! Columns of native histograms.

mod format;

pub use format::{put_histograms, take_histograms};
