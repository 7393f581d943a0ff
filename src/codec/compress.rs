//! Compression of whole pages with Zstandard.

use super::cursor::Damaged;

/// Zstandard's level: 3 is its own default; higher ones gain under 3 % on packed columns.
const LEVEL: i32 = 3;

/// The bytes compressed, or `None` if that does not make them smaller.
pub fn compress(raw: &[u8]) -> Option<Vec<u8>> {
    zstd::bulk::compress(raw, LEVEL).ok().filter(|packed| packed.len() < raw.len())
}

/// What [`compress`] was given, `raw_len` bytes of it; never allocates more than that.
///
/// # Errors
/// The bytes are not a frame of that content length.
pub fn decompress(packed: &[u8], raw_len: usize) -> Result<Vec<u8>, Damaged> {
    let raw = zstd::bulk::decompress(packed, raw_len).map_err(|_| Damaged("a compressed page does not unpack"))?;
    if raw.len() == raw_len { Ok(raw) } else { Err(Damaged("a compressed page has another length than it says")) }
}
