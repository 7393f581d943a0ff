//! The index of a block: which series it has, found by their labels.
//!
//! Invariants:
//! - Series have positions in the order of their labels; names and values are numbered in their order,
//!   so that numbers compare as texts do.
//! - Nothing of it has to be in memory: a question reads the pages that it needs.

pub(super) mod format;
mod reader;
mod select;
mod writer;

pub(super) use reader::{Index, IndexCache, names};
pub(super) use writer::IndexWriter;
