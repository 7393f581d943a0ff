//! Columns of values: up to [`CHUNK_MAX`](super::CHUNK_MAX) samples of one series.

mod decimal;
mod format;

pub use format::{Values, put_values};
