//! Byte layout of a block. `storage-format.md` describes it; change both together.

use crate::codec::{
    Cursor, Damaged, Effort, Timestamps, Values, checksum, compress, decompress, put_signed, put_timestamps,
    put_values, put_varint,
};
use crate::model::{Labels, Sample, Timestamp};

/// The version of blocks that is written.
const VERSION: u32 = 1;
/// The oldest version that is read.
const VERSION_OLDEST: u32 = 1;
const MAGIC: [u8; 8] = *b"evkblock";
/// Length of the header.
pub(super) const HEADER_BYTES: usize = 16;
const PAGE_HEADER_BYTES: usize = 16;
/// Length of the footer.
const FOOTER_BYTES: usize = 56;
/// Samples of a chunk: the unit that is decoded at once.
pub(super) const CHUNK_SAMPLES: usize = 1000;
/// Bytes at which a page is closed; one read unpacks one page.
pub(super) const PAGE_BYTES: usize = 32 << 10;
/// Bytes that an unpacked page may have: one series' entry can be as large as its labels and chunks.
const PAGE_BYTES_MAX: usize = 64 << 20;

const STORED_PLAIN: u8 = 0;
const STORED_ZSTD: u8 = 1;

/// The header: magic, version, checksum.
pub(super) fn header() -> [u8; HEADER_BYTES] {
    let mut header = [0; HEADER_BYTES];
    header[..8].copy_from_slice(&MAGIC);
    header[8..12].copy_from_slice(&VERSION.to_le_bytes());
    let crc = checksum(&[&header[..12]]);
    header[12..].copy_from_slice(&crc.to_le_bytes());
    header
}

/// Checks a header.
pub(super) fn check_header(bytes: &[u8]) -> Result<(), Damaged> {
    let header: &[u8; HEADER_BYTES] = bytes.first_chunk().ok_or(Damaged("the file is shorter than a header"))?;
    let mut fields = Cursor::new(&header[8..]);
    let (version, crc) = (fields.u32()?, fields.u32()?);
    if header[..8] != MAGIC || crc != checksum(&[&header[..12]]) {
        return Err(Damaged("the header fails its checksum"));
    }
    if (VERSION_OLDEST..=VERSION).contains(&version) {
        Ok(())
    } else {
        Err(Damaged("it was written by another version of evenkeel; use that version to read it"))
    }
}

/// Appends a page: checksum of all that follows, unpacked length, stored length, how stored, zeros, bytes.
pub(super) fn put_page(out: &mut Vec<u8>, raw: &[u8]) {
    let packed = compress(raw);
    let (stored, how) = packed.as_deref().map_or((raw, STORED_PLAIN), |packed| (packed, STORED_ZSTD));
    let mut head = [0; PAGE_HEADER_BYTES];
    head[4..8].copy_from_slice(&(raw.len() as u32).to_le_bytes());
    head[8..12].copy_from_slice(&(stored.len() as u32).to_le_bytes());
    head[12] = how;
    let crc = checksum(&[&head[4..], stored]);
    head[..4].copy_from_slice(&crc.to_le_bytes());
    out.extend(head);
    out.extend(stored);
}

/// The page at the beginning of `bytes`, unpacked, and how many bytes it takes.
pub(super) fn take_page(bytes: &[u8]) -> Result<(Vec<u8>, usize), Damaged> {
    let mut from = Cursor::new(bytes);
    let head: [u8; PAGE_HEADER_BYTES] = from.array()?;
    let mut fields = Cursor::new(&head);
    let (crc, raw_len, stored_len) = (fields.u32()?, fields.u32()? as usize, fields.u32()? as usize);
    let stored = from.bytes(stored_len)?;
    if crc != checksum(&[&head[4..], stored]) {
        return Err(Damaged("a page fails its checksum"));
    }
    if raw_len > PAGE_BYTES_MAX {
        return Err(Damaged("a page is larger than any that is written"));
    }
    let raw = match fields.u8()? {
        STORED_PLAIN => stored.to_vec(),
        STORED_ZSTD => decompress(stored, raw_len)?,
        _ => return Err(Damaged("a page is stored in an unknown way")),
    };
    Ok((raw, PAGE_HEADER_BYTES + stored_len))
}

/// Appends a chunk: the length of its timestamps, they, its values.
pub(super) fn put_chunk(out: &mut Vec<u8>, samples: &[Sample]) {
    let times: Vec<i64> = samples.iter().map(|s| s.t.0).collect();
    let values: Vec<f64> = samples.iter().map(|s| s.v).collect();
    let mut column = Vec::new();
    put_timestamps(&mut column, &times, Effort::Cold);
    put_varint(out, column.len() as u64);
    out.extend(column);
    put_values(out, &values, Effort::Cold);
}

/// The samples of a chunk of `count`.
pub(super) fn take_chunk(bytes: &[u8], count: usize) -> Result<impl Iterator<Item = Sample> + use<>, Damaged> {
    let mut from = Cursor::new(bytes);
    let length = from.length()?;
    let (mut times, mut values) = (Vec::new(), Vec::new());
    Timestamps::open(from.bytes(length)?, count)?.all(&mut times)?;
    Values::open(from.bytes(from.remaining())?, count)?.all(&mut values)?;
    Ok(times.into_iter().zip(values).map(|(t, v)| Sample { t: Timestamp(t), v }))
}

/// Where a chunk lies and what times it spans.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ChunkPlace {
    /// Its first sample's time.
    pub(super) first: Timestamp,
    /// Its last sample's time.
    pub(super) last: Timestamp,
    /// Its samples.
    pub(super) count: u32,
    /// Where its page begins in the file.
    pub(super) page: u64,
    /// Where it begins in the unpacked page.
    pub(super) start: u32,
    /// Its bytes in the unpacked page.
    pub(super) length: u32,
}

/// A series of a block, as its index tells it.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct SeriesEntry {
    /// Its labels.
    pub(super) labels: Labels,
    /// Its newest value in the block.
    pub(super) last_value: u64,
    /// Its chunks in the order of time.
    pub(super) chunks: Vec<ChunkPlace>,
}

impl SeriesEntry {
    /// Appends it: labels, newest value, count of chunks, chunks.
    pub(super) fn put(&self, out: &mut Vec<u8>) {
        let text = self.labels.as_text();
        put_varint(out, text.len() as u64);
        out.extend(text.as_bytes());
        out.extend(self.last_value.to_le_bytes());
        put_varint(out, self.chunks.len() as u64);
        let mut t = 0;
        for chunk in &self.chunks {
            put_signed(out, chunk.first.0.wrapping_sub(t));
            put_varint(out, chunk.last.0.wrapping_sub(chunk.first.0) as u64);
            put_varint(out, u64::from(chunk.count));
            put_varint(out, chunk.page);
            put_varint(out, u64::from(chunk.start));
            put_varint(out, u64::from(chunk.length));
            t = chunk.last.0;
        }
    }

    /// Takes the next one.
    pub(super) fn take(from: &mut Cursor<'_>) -> Result<SeriesEntry, Damaged> {
        let length = from.length()?;
        let text = std::str::from_utf8(from.bytes(length)?).map_err(|_| Damaged("labels are not UTF-8"))?;
        let labels = Labels::from_text(text).map_err(|_| Damaged("labels are not in canonical form"))?;
        let last_value = from.u64()?;
        let count = from.length()?;
        let mut chunks = Vec::with_capacity(count);
        let mut t = 0i64;
        let small = |n: u64| u32::try_from(n).map_err(|_| Damaged("a chunk's place is over 32 bits"));
        for _ in 0..count {
            let first = t.wrapping_add(from.signed()?);
            let last = first.wrapping_add(from.varint()? as i64);
            let count = small(from.varint()?)?;
            if count == 0 || count as usize > CHUNK_SAMPLES || last < first {
                return Err(Damaged("a chunk has an impossible count or span"));
            }
            let (page, start, length) = (from.varint()?, small(from.varint()?)?, small(from.varint()?)?);
            chunks.push(ChunkPlace { first: Timestamp(first), last: Timestamp(last), count, page, start, length });
            t = last;
        }
        Ok(SeriesEntry { labels, last_value, chunks })
    }
}

/// The end of a block: where its index begins, and what is in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Footer {
    /// Where the first index page begins.
    pub(super) index: u64,
    /// How many series there are.
    pub(super) series: u64,
    /// How many samples there are.
    pub(super) samples: u64,
    /// The first sample's time.
    pub(super) first: Timestamp,
    /// The last sample's time.
    pub(super) last: Timestamp,
}

impl Footer {
    /// The bytes: index, series, samples, first, last, magic, zeros, checksum.
    pub(super) fn to_bytes(self) -> [u8; FOOTER_BYTES] {
        let mut bytes = [0; FOOTER_BYTES];
        bytes[..8].copy_from_slice(&self.index.to_le_bytes());
        bytes[8..16].copy_from_slice(&self.series.to_le_bytes());
        bytes[16..24].copy_from_slice(&self.samples.to_le_bytes());
        bytes[24..32].copy_from_slice(&self.first.0.to_le_bytes());
        bytes[32..40].copy_from_slice(&self.last.0.to_le_bytes());
        bytes[40..48].copy_from_slice(&MAGIC);
        let crc = checksum(&[&bytes[..52]]);
        bytes[52..].copy_from_slice(&crc.to_le_bytes());
        bytes
    }

    /// The footer of a file, and the bytes of its index pages.
    pub(super) fn take(file: &[u8]) -> Result<(Footer, &[u8]), Damaged> {
        let (body, bytes) =
            file.split_last_chunk::<FOOTER_BYTES>().ok_or(Damaged("the file is shorter than a footer"))?;
        let mut from = Cursor::new(bytes);
        let footer = Footer {
            index: from.u64()?,
            series: from.u64()?,
            samples: from.u64()?,
            first: Timestamp(from.i64()?),
            last: Timestamp(from.i64()?),
        };
        let magic: [u8; 8] = from.array()?;
        from.u32()?;
        if magic != MAGIC || from.u32()? != checksum(&[&bytes[..52]]) {
            return Err(Damaged("the footer fails its checksum; the file was cut or overwritten"));
        }
        let start = usize::try_from(footer.index).map_err(|_| Damaged("the index lies behind the end"))?;
        let index = body.get(start..).ok_or(Damaged("the index lies behind the end"))?;
        Ok((footer, index))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_and_a_footer_come_back() {
        let labels = Labels::new([("__name__", "up"), ("job", "a")]).unwrap();
        let chunk = |first, last, count| ChunkPlace {
            first: Timestamp(first),
            last: Timestamp(last),
            count,
            page: 1 << 40,
            start: 7,
            length: u32::MAX,
        };
        let chunks = vec![chunk(i64::MIN, -1, 1000), chunk(0, 0, 1), chunk(5, i64::MAX, 2)];
        let entry = SeriesEntry { labels, last_value: u64::MAX, chunks };
        let mut bytes = Vec::new();
        entry.put(&mut bytes);
        let mut from = Cursor::new(&bytes);
        assert_eq!(SeriesEntry::take(&mut from), Ok(entry));
        from.end().unwrap();
        let footer = Footer { index: 3, series: 2, samples: 9, first: Timestamp(-5), last: Timestamp(5) };
        let mut file = b"abcdef".to_vec();
        file.extend(footer.to_bytes());
        assert_eq!(Footer::take(&file), Ok((footer, b"def".as_slice())));
    }

    #[test]
    fn pages_are_packed_if_that_is_shorter() {
        for (raw, packs) in [(vec![7; 5000], true), ((0..=255).collect::<Vec<u8>>(), false), (Vec::new(), false)] {
            let mut page = Vec::new();
            put_page(&mut page, &raw);
            assert_eq!(page[12] == STORED_ZSTD, packs);
            let length = page.len();
            page.extend(b"next");
            assert_eq!(take_page(&page), Ok((raw, length)));
        }
    }

    proptest::proptest! {
        #[test]
        fn garbage_never_panics(bytes in proptest::collection::vec(proptest::arbitrary::any::<u8>(), 0..300), count in 0usize..1000) {
            let _ = SeriesEntry::take(&mut Cursor::new(&bytes));
            let _ = take_page(&bytes);
            let _ = Footer::take(&bytes);
            let _ = take_chunk(&bytes, count).map(Iterator::count);
        }
    }
}
