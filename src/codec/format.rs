//! Byte layouts of numbers and texts: variable-length integers, and what a sealed state begins and
//! ends with.
//! `storage-format.md` describes them; change both together.
//!
//! Invariants:
//! - Whatever is put is taken back.
//! - Taking never panics.

use super::cursor::{Cursor, Damaged};

/// CRC-32 (IEEE 802.3) of all parts, one after the other.
pub fn checksum(parts: &[&[u8]]) -> u32 {
    let mut crc = crc32fast::Hasher::new();
    for part in parts {
        crc.update(part);
    }
    crc.finalize()
}

/// Appends seven bits a byte, lowest first; bit 7 says that another byte follows.
pub fn put_varint(out: &mut Vec<u8>, mut n: u64) {
    while n >= 0x80 {
        out.push(n as u8 | 0x80);
        n >>= 7;
    }
    out.push(n as u8);
}

/// Appends a signed number whose small magnitudes are short: [`unsigned`] of it as a varint.
pub fn put_signed(out: &mut Vec<u8>, n: i64) {
    put_varint(out, unsigned(n));
}

/// Appends a text: its length as a varint, its bytes.
pub fn put_text(out: &mut Vec<u8>, text: &str) {
    put_varint(out, text.len() as u64);
    out.extend_from_slice(text.as_bytes());
}

/// Appends a signed number that may be absent: a byte 0, or a byte 1 and the number.
pub fn put_maybe(out: &mut Vec<u8>, n: Option<i64>) {
    out.push(u8::from(n.is_some()));
    if let Some(n) = n {
        put_signed(out, n);
    }
}

/// Begins a sealed state: what kind it is, and in which version it is written.
pub fn open_seal(kind: [u8; 8], version: u32) -> Vec<u8> {
    let mut out = kind.to_vec();
    out.extend(version.to_le_bytes());
    out
}

/// Ends a sealed state with the checksum of everything before.
pub fn close_seal(mut out: Vec<u8>) -> Vec<u8> {
    let crc = checksum(&[&out]);
    out.extend(crc.to_le_bytes());
    out
}

/// A sealed state that is not read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SealError {
    /// Its bytes fail their check, or are of another kind.
    Damaged(Damaged),
    /// It is whole, and of another version.
    Version(u32),
}

impl From<Damaged> for SealError {
    fn from(damaged: Damaged) -> SealError {
        SealError::Damaged(damaged)
    }
}

/// What stands between [`open_seal`] and [`close_seal`]. The version is believed only of a state
/// whose checksum is right.
///
/// # Errors
/// The checksum is wrong, or kind or version are others.
pub fn break_seal(bytes: &[u8], kind: [u8; 8], version: u32) -> Result<Cursor<'_>, SealError> {
    let (body, crc) = bytes.split_last_chunk::<4>().ok_or(Damaged("it is too short"))?;
    if u32::from_le_bytes(*crc) != checksum(&[body]) {
        return Err(Damaged("it fails its checksum").into());
    }
    let mut from = Cursor::new(body);
    if from.array::<8>()? != kind {
        return Err(Damaged("it is of another kind").into());
    }
    match from.u32()? {
        found if found == version => Ok(from),
        found => Err(SealError::Version(found)),
    }
}

/// 0, -1, 1, -2, … as 0, 1, 2, 3, …
pub fn unsigned(n: i64) -> u64 {
    ((n << 1) ^ (n >> 63)) as u64
}

/// The inverse of [`unsigned`].
pub fn signed(n: u64) -> i64 {
    (n >> 1) as i64 ^ -((n & 1) as i64)
}

impl<'a> Cursor<'a> {
    /// What [`put_varint`] put.
    ///
    /// # Errors
    /// The data ends early or the number has more than 64 bits.
    pub fn varint(&mut self) -> Result<u64, Damaged> {
        let mut n = 0u64;
        for shift in (0..64).step_by(7) {
            let byte = self.u8()?;
            let bits = u64::from(byte & 0x7f);
            if shift == 63 && bits > 1 {
                break;
            }
            n |= bits << shift;
            if byte < 0x80 {
                return Ok(n);
            }
        }
        Err(Damaged("a number is longer than 64 bits"))
    }

    /// What [`put_signed`] put.
    ///
    /// # Errors
    /// As [`Cursor::varint`].
    pub fn signed(&mut self) -> Result<i64, Damaged> {
        self.varint().map(signed)
    }

    /// A varint that counts things of at least one byte, or that is a length: not more than is left.
    ///
    /// # Errors
    /// As [`Cursor::varint`], or more than there are bytes left.
    pub fn length(&mut self) -> Result<usize, Damaged> {
        let n = self.varint()?;
        usize::try_from(n).ok().filter(|n| *n <= self.remaining()).ok_or(Damaged("a length is larger than the data"))
    }

    /// What [`put_text`] put.
    ///
    /// # Errors
    /// The data ends early, or the text is not UTF-8.
    pub fn text(&mut self) -> Result<&'a str, Damaged> {
        let length = self.length()?;
        std::str::from_utf8(self.bytes(length)?).map_err(|_| Damaged("a text is not UTF-8"))
    }

    /// What [`put_maybe`] put.
    ///
    /// # Errors
    /// The data ends early, or it is neither there nor absent.
    pub fn maybe(&mut self) -> Result<Option<i64>, Damaged> {
        match self.u8()? {
            0 => Ok(None),
            1 => self.signed().map(Some),
            _ => Err(Damaged("a mark is neither 0 nor 1")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_round_trip_at_the_edges() {
        for n in [0, 1, 127, 128, 1 << 32, u64::MAX - 1, u64::MAX] {
            let mut out = Vec::new();
            put_varint(&mut out, n);
            put_signed(&mut out, n as i64);
            let mut from = Cursor::new(&out);
            assert_eq!((from.varint().unwrap(), from.signed().unwrap()), (n, n as i64));
        }
        assert!(Cursor::new(&[0xff; 10]).varint().is_err());
        assert!(Cursor::new(&[0x80]).varint().is_err());
    }
}
