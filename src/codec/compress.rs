//! Compression of whole pages with Zstandard.

use std::cell::RefCell;

use zstd::bulk::{Compressor, Decompressor};

use super::cursor::Damaged;

/// Zstandard's level: 3 is its own default; higher ones gain under 3 % on packed columns.
const LEVEL: i32 = 3;

thread_local! {
    // Making one asks the processor what it can do, which takes a virtual machine longer than a page does.
    static COMPRESSOR: RefCell<Option<Compressor<'static>>> = const { RefCell::new(None) };
    static DECOMPRESSOR: RefCell<Option<Decompressor<'static>>> = const { RefCell::new(None) };
}

/// The bytes compressed, or `None` if that does not make them smaller.
pub fn compress(raw: &[u8]) -> Option<Vec<u8>> {
    let packed = COMPRESSOR.with_borrow_mut(|kept| match kept {
        Some(compressor) => compressor.compress(raw).ok(),
        None => kept.insert(Compressor::new(LEVEL).ok()?).compress(raw).ok(),
    });
    packed.filter(|packed| packed.len() < raw.len())
}

/// What [`compress`] was given, `raw_len` bytes of it; never allocates more than that.
///
/// # Errors
/// The bytes are not a frame of that content length.
pub fn decompress(packed: &[u8], raw_len: usize) -> Result<Vec<u8>, Damaged> {
    let unpack = |kept: &mut Option<Decompressor<'static>>| match kept {
        Some(decompressor) => decompressor.decompress(packed, raw_len),
        None => kept.insert(Decompressor::new()?).decompress(packed, raw_len),
    };
    let raw = DECOMPRESSOR.with_borrow_mut(unpack).map_err(|_| Damaged("a compressed page does not unpack"))?;
    if raw.len() == raw_len { Ok(raw) } else { Err(Damaged("a compressed page has another length than it says")) }
}
