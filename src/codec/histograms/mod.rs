//! Native histograms: columns of them, and one by itself.

mod format;

pub use format::{put_histogram, put_histograms, take_histogram, take_histograms};
