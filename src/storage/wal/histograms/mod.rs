//! Native histograms of a transaction.

mod format;

pub(super) use format::{HistogramEncoder, take_histograms};
