//! Series files: which labels a series number of the log stands for.
//!
//! Invariants:
//! - A number stands for one set of labels as long as any record of the log or any file speaks of it.
//! - A file is complete and synced before a manifest names it, and is not changed afterwards.
//! - A damaged page costs the series on it and no others.

mod file;
mod format;

pub(super) use file::{SeriesFileWriter, load};
pub(super) use format::{TextDecoder, TextEncoder};
