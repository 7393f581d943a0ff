//! Intervals of downsampled series: for each sample of such a series, what it stands for.
//!
//! Invariants:
//! - The samples that are kept are an ordinary series of the block; what is here adds to them.
//! - Series of one scrape share their counts and times, which are stored once.

mod format;
mod reader;
mod writer;

pub(super) use reader::{IntervalCache, Intervals};
pub(super) use writer::IntervalWriter;
