//! Byte layout of a series file, and of labels that are told one after the other.
//! `storage-format.md` describes them; change both together.

use crate::codec::{Cursor, Damaged, SealError, break_seal, close_seal, open_seal, put_varint};
use crate::model::limits::LABELS_TEXT_BYTES_MAX;

/// The version that is written.
const VERSION: u32 = 1;
const MAGIC: [u8; 8] = *b"evkserie";
/// Bytes of the header before its list of pages, and of the checksum behind it.
const FIXED_BYTES: usize = 12 + 4 + 4 + 4 + 4;
/// Bytes that the header has for each page.
const PAGE_ENTRY_BYTES: usize = 16;

/// What stands before the pages of a series file.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Header {
    /// A number that no series has had.
    pub(super) next_series: u32,
    /// How many series the file names.
    pub(super) series: u32,
    /// Its pages, one after the other.
    pub(super) pages: Vec<PageEntry>,
}

/// How the header describes a page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct PageEntry {
    /// Series on the page.
    pub(super) series: u32,
    /// Bytes in the file.
    pub(super) stored: u32,
    /// Bytes when unpacked; as many as in the file if it is not packed.
    pub(super) unpacked: u32,
    /// Checksum of the bytes in the file.
    pub(super) checksum: u32,
}

impl Header {
    /// Magic, version, next series, count of series, count of pages, pages, checksum.
    pub(super) fn to_bytes(&self) -> Vec<u8> {
        let mut out = open_seal(MAGIC, VERSION);
        out.extend(self.next_series.to_le_bytes());
        out.extend(self.series.to_le_bytes());
        out.extend((self.pages.len() as u32).to_le_bytes());
        for page in &self.pages {
            for field in [page.series, page.stored, page.unpacked, page.checksum] {
                out.extend(field.to_le_bytes());
            }
        }
        close_seal(out)
    }

    /// Reads the header that a file begins with; the pages are what is left.
    pub(super) fn split(file: &[u8]) -> Result<(Header, &[u8]), SealError> {
        let short = Damaged("the data ends early");
        let count = file.get(20..24).and_then(|bytes| bytes.first_chunk()).ok_or(short)?;
        let pages = u32::from_le_bytes(*count) as usize;
        let length = pages.checked_mul(PAGE_ENTRY_BYTES).and_then(|bytes| bytes.checked_add(FIXED_BYTES));
        let (header, rest) = length.and_then(|length| file.split_at_checked(length)).ok_or(short)?;
        let mut from = break_seal(header, MAGIC, VERSION)?;
        let mut found = Header { next_series: from.u32()?, series: from.u32()?, pages: Vec::with_capacity(pages) };
        for _ in 0..from.u32()? {
            let (series, stored) = (from.u32()?, from.u32()?);
            found.pages.push(PageEntry { series, stored, unpacked: from.u32()?, checksum: from.u32()? });
        }
        from.end()?;
        Ok((found, rest))
    }
}

/// Writes series one after the other, each by how it differs from the one before.
#[derive(Debug, Default)]
pub(in crate::storage) struct TextEncoder {
    number: Option<u32>,
    text: Vec<u8>,
}

impl TextEncoder {
    /// Begins anew, with nothing before.
    pub(in crate::storage) fn clear(&mut self) {
        self.number = None;
        self.text.clear();
    }

    /// Appends a number and its labels' text: distance from one more than the number before, lengths
    /// of what both texts begin and end with, length of what is between, what is between.
    pub(in crate::storage) fn put(&mut self, out: &mut Vec<u8>, number: u32, text: &str) {
        let text = text.as_bytes();
        let expected = self.number.map_or(0, |before| before.wrapping_add(1));
        put_varint(out, u64::from(number.wrapping_sub(expected)));
        let shorter = text.len().min(self.text.len());
        let same = |pairs: &mut dyn Iterator<Item = (&u8, &u8)>| pairs.take_while(|(a, b)| a == b).count();
        let prefix = same(&mut text.iter().zip(&self.text));
        let rest = shorter - prefix;
        let suffix = same(&mut text.iter().rev().zip(self.text.iter().rev()).take(rest));
        let between = &text[prefix..text.len() - suffix];
        put_varint(out, prefix as u64);
        put_varint(out, suffix as u64);
        put_varint(out, between.len() as u64);
        out.extend(between);
        self.number = Some(number);
        self.text.clear();
        self.text.extend(text);
    }
}

/// Reads what [`TextEncoder`] wrote.
#[derive(Debug, Default)]
pub(in crate::storage) struct TextDecoder {
    number: Option<u32>,
    text: Vec<u8>,
    next: Vec<u8>,
}

impl TextDecoder {
    /// The next number and text.
    pub(in crate::storage) fn take(&mut self, from: &mut Cursor<'_>) -> Result<(u32, &str), Damaged> {
        let expected = self.number.map_or(0, |before| before.wrapping_add(1));
        let step = u32::try_from(from.varint()?).map_err(|_| Damaged("a series number is over 32 bits"))?;
        let number = expected.wrapping_add(step);
        let mut length = || from.varint().map(|n| usize::try_from(n).unwrap_or(usize::MAX));
        let (prefix, suffix, between) = (length()?, length()?, length()?);
        // What both share cannot overlap, so that no text is longer than the bytes that tell it.
        let shared = prefix.checked_add(suffix).filter(|shared| *shared <= self.text.len());
        shared.ok_or(Damaged("labels share more with those before than there is"))?;
        self.next.clear();
        self.next.extend(&self.text[..prefix]);
        self.next.extend(from.bytes(between)?);
        self.next.extend(&self.text[self.text.len() - suffix..]);
        if self.next.len() > LABELS_TEXT_BYTES_MAX {
            return Err(Damaged("labels are longer than any series may have"));
        }
        std::mem::swap(&mut self.text, &mut self.next);
        self.number = Some(number);
        let text = std::str::from_utf8(&self.text).map_err(|_| Damaged("labels are not UTF-8"))?;
        Ok((number, text))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn series_come_back_in_any_order_and_share_what_they_can() {
        let all =
            [(3, "abcXdef"), (4, "abcYdef"), (5, ""), (1, "ab"), (u32::MAX, "abab"), (0, "aba"), (0, "ü"), (1, "ÿ")];
        let (mut out, mut encoder) = (Vec::new(), TextEncoder::default());
        all.iter().for_each(|(number, text)| encoder.put(&mut out, *number, text));
        let (mut from, mut decoder) = (Cursor::new(&out), TextDecoder::default());
        for expected in all {
            assert_eq!(decoder.take(&mut from).unwrap(), expected);
        }
        from.end().unwrap();
        let mut two = Vec::new();
        let mut encoder = TextEncoder::default();
        encoder.put(&mut two, 7, "abcXdef");
        let first = two.len();
        encoder.put(&mut two, 8, "abcYdef");
        assert_eq!(two.len() - first, 5);
    }

    #[test]
    fn every_changed_byte_of_a_header_is_noticed() {
        let page = PageEntry { series: 3, stored: 4, unpacked: 5, checksum: 6 };
        let header = Header { next_series: 9, series: 6, pages: vec![page, page] };
        let mut bytes = header.to_bytes();
        bytes.extend(b"pages");
        let length = bytes.len() - 5;
        assert_eq!(Header::split(&bytes).unwrap(), (header, b"pages".as_slice()));
        for at in 0..length {
            bytes[at] ^= 1;
            assert!(matches!(Header::split(&bytes), Err(SealError::Damaged(_))), "byte {at}");
            bytes[at] ^= 1;
            assert!(Header::split(&bytes[..at]).is_err(), "cut at {at}");
        }
    }

    proptest::proptest! {
        #[test]
        fn garbage_never_panics(bytes in proptest::collection::vec(proptest::arbitrary::any::<u8>(), 0..200)) {
            let _ = Header::split(&bytes);
            let (mut from, mut decoder) = (Cursor::new(&bytes), TextDecoder::default());
            while decoder.take(&mut from).is_ok() {}
        }
    }
}
