//! Numbers to bytes and back: variable-length integers, packed columns, compression, checksums.
//!
//! Layer 1. Imports: `model`.
//! Does not know: files, series.
//! When you change this, also touch: `storage-format.md`.

mod bits;
mod coded;
mod coding;
mod compress;
mod cursor;
mod format;
mod histograms;
mod integers;
mod postings;
mod timestamps;
mod values;

pub use coding::Coding;
pub use compress::{compress, decompress};
pub use cursor::{Cursor, Damaged};
pub use format::{
    SealError, break_seal, checksum, close_seal, open_seal, put_maybe, put_signed, put_text, put_varint, signed,
    unsigned,
};
pub use histograms::{put_histogram, put_histograms, take_histogram, take_histograms};
pub use integers::{put_integers, take_integers};
pub use postings::{Postings, PostingsCursor, intersect, put_postings};
pub use timestamps::{Timestamps, put_timestamps};
pub use values::{Values, put_values};

/// Samples of a vector: what is decoded at once.
pub const VECTOR: usize = 1024;
/// Samples of a chunk at most: eight vectors. A larger one would gain under a hundredth.
pub const CHUNK_MAX: usize = 8 * VECTOR;

/// How hard a column is worked on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effort {
    /// Little, for columns of some ten to some hundred values that are compressed together with many
    /// others and merged soon.
    Young,
    /// Until it is as small as it gets, for columns that stay.
    Cold,
}
