//! Sorted lists of numbers, such as the series that have a label, and what they have in common.

mod format;
mod intersect;

pub use format::{Postings, PostingsCursor, put_postings};
pub use intersect::intersect;
