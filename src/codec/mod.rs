//! Numbers to bytes and back: variable-length integers, packed columns, compression, checksums.
//!
//! Layer 0. Imports: nothing.
//! Does not know: what the numbers mean.
//! When you change this, also touch: `storage-format.md`.

mod compress;
mod cursor;
mod format;

pub use compress::{compress, decompress};
pub use cursor::{Cursor, Damaged};
pub use format::{
    SealError, break_seal, checksum, close_seal, open_seal, put_maybe, put_signed, put_text, put_timestamps,
    put_values, put_varint, signed, take_timestamps, take_values, unsigned,
};
