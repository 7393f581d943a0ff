//! Byte layout of a block's frame: header, pages, tables of pages, footer. `storage-format.md`
//! describes it; change both together.

use crate::codec::{Cursor, Damaged, checksum, compress, decompress, put_varint, signed, unsigned};
use crate::model::{Millis, Timestamp};

/// The version of blocks that is written.
const VERSION: u32 = 2;
/// The oldest version that is read: it has neither intervals nor native histograms.
const VERSION_OLDEST: u32 = 1;
const MAGIC: [u8; 8] = *b"evkblock";
/// Length of the header.
pub(super) const HEADER_BYTES: usize = 16;
/// Length of what stands before a page's content.
pub(super) const PAGE_HEADER_BYTES: usize = 12;
/// Length of the footer behind its list of sections.
const FOOTER_REST_BYTES: usize = 56;
/// Bytes that an unpacked page may have: an item larger than a page has one to itself.
const PAGE_BYTES_MAX: usize = 256 << 20;
/// Bytes below which compressing is not tried: there is nothing to gain.
const COMPRESSED_BYTES_MIN: usize = 128;
/// Places of pages that one page of a table holds.
const TABLE_PLACES: usize = 512;

/// The kinds of pages. Each is numbered by itself, from 0 on, in the order of the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Section {
    /// Values of chunks.
    Values,
    /// Statistics of series.
    Statistics,
    /// Stamps of timelines.
    Stamps,
    /// Timelines, 128 a page.
    Timelines,
    /// Chunks of series, 128 series a page.
    Directory,
    /// Labels of series, 128 series a page.
    Series,
    /// Values of labels.
    LabelValues,
    /// First values of the pages of label values.
    Fences,
    /// Lists of series.
    Postings,
    /// Names of labels; one page.
    Names,
    /// Counts and times of intervals.
    Counts,
    /// Figures of intervals.
    Figures,
    /// Where the intervals of series are, 128 series a page.
    Intervals,
}

/// How many kinds of pages there are.
pub(super) const SECTIONS: usize = 13;
/// How many there were in version 1.
const SECTIONS_1: usize = 10;

/// How a page's content may be stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Packing {
    /// As it is.
    Plain,
    /// Compressed, if that makes it smaller by this part: one in so many.
    Zstd(usize),
}

/// The header: magic, version, checksum.
pub(super) fn header() -> [u8; HEADER_BYTES] {
    let mut header = [0; HEADER_BYTES];
    header[..8].copy_from_slice(&MAGIC);
    header[8..12].copy_from_slice(&VERSION.to_le_bytes());
    let crc = checksum(&[&header[..12]]);
    header[12..].copy_from_slice(&crc.to_le_bytes());
    header
}

/// Checks a header and gives its version.
pub(super) fn check_header(bytes: &[u8]) -> Result<u32, Damaged> {
    let header: &[u8; HEADER_BYTES] = bytes.first_chunk().ok_or(Damaged("the file is shorter than a header"))?;
    let mut fields = Cursor::new(&header[8..]);
    let (version, crc) = (fields.u32()?, fields.u32()?);
    if header[..8] != MAGIC || crc != checksum(&[&header[..12]]) {
        return Err(Damaged("the header fails its checksum"));
    }
    if (VERSION_OLDEST..=VERSION).contains(&version) {
        Ok(version)
    } else {
        Err(Damaged("it was written by another version of evenkeel; use that version to read it"))
    }
}

/// Appends a page: checksum of all that follows, unpacked length, stored length, content.
pub(super) fn put_page(out: &mut Vec<u8>, raw: &[u8], packing: Packing) {
    let packed = match packing {
        Packing::Plain => None,
        Packing::Zstd(_) if raw.len() < COMPRESSED_BYTES_MIN => None,
        Packing::Zstd(part) => compress(raw).filter(|packed| packed.len() + raw.len() / part < raw.len()),
    };
    let stored = packed.as_deref().unwrap_or(raw);
    let mut head = [0; PAGE_HEADER_BYTES];
    head[4..8].copy_from_slice(&(raw.len() as u32).to_le_bytes());
    head[8..].copy_from_slice(&(stored.len() as u32).to_le_bytes());
    let crc = checksum(&[&head[4..], stored]);
    head[..4].copy_from_slice(&crc.to_le_bytes());
    out.extend(head);
    out.extend(stored);
}

/// A page that passed its check.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct StoredPage<'a> {
    /// The content as stored.
    stored: &'a [u8],
    raw_len: usize,
}

impl<'a> StoredPage<'a> {
    /// Checks the page at the beginning of `bytes`.
    pub(super) fn take(bytes: &'a [u8]) -> Result<StoredPage<'a>, Damaged> {
        let mut from = Cursor::new(bytes);
        let head: [u8; PAGE_HEADER_BYTES] = from.array()?;
        let mut fields = Cursor::new(&head);
        let (crc, raw_len, stored_len) = (fields.u32()?, fields.u32()? as usize, fields.u32()? as usize);
        let stored = from.bytes(stored_len)?;
        if crc != checksum(&[&head[4..], stored]) {
            return Err(Damaged("a page fails its checksum"));
        }
        if raw_len > PAGE_BYTES_MAX || stored_len > raw_len {
            return Err(Damaged("a page has a length that none is written with"));
        }
        Ok(StoredPage { stored, raw_len })
    }

    /// How many bytes of the file it takes.
    pub(super) fn length(&self) -> usize {
        PAGE_HEADER_BYTES + self.stored.len()
    }

    /// The content, if it is stored as it is.
    pub(super) fn plain(&self) -> Option<&'a [u8]> {
        (self.stored.len() == self.raw_len).then_some(self.stored)
    }

    /// The content.
    pub(super) fn unpack(&self) -> Result<Vec<u8>, Damaged> {
        match self.plain() {
            Some(bytes) => Ok(bytes.to_vec()),
            None => decompress(self.stored, self.raw_len),
        }
    }
}

/// Appends the table of a section: where its pages begin, in pages of equal length but for the last.
pub(super) fn put_table(out: &mut Vec<u8>, places: &[u64]) {
    for part in places.chunks(TABLE_PLACES) {
        let raw: Vec<u8> = part.iter().flat_map(|place| place.to_le_bytes()).collect();
        put_page(out, &raw, Packing::Plain);
    }
}

/// Where page `number` of a section begins whose table begins at `table`.
pub(super) fn take_place(file: &[u8], table: u64, number: u64) -> Result<usize, Damaged> {
    const OUTSIDE: Damaged = Damaged("a page's place lies behind the end");
    let part = number / TABLE_PLACES as u64;
    let length = (PAGE_HEADER_BYTES + TABLE_PLACES * 8) as u64;
    let start = part.checked_mul(length).and_then(|at| at.checked_add(table)).ok_or(OUTSIDE)?;
    let bytes = usize::try_from(start).ok().and_then(|start| file.get(start..)).ok_or(OUTSIDE)?;
    let places = StoredPage::take(bytes)?.plain().ok_or(Damaged("a table of pages is compressed"))?;
    let place = places.get(number as usize % TABLE_PLACES * 8..).ok_or(OUTSIDE)?;
    usize::try_from(Cursor::new(place).u64()?).map_err(|_| OUTSIDE)
}

/// Appends a column of numbers: each as a varint. Pages of columns are compressed as a whole.
pub(super) fn put_numbers(out: &mut Vec<u8>, numbers: impl IntoIterator<Item = u64>) {
    numbers.into_iter().for_each(|n| put_varint(out, n));
}

/// Takes `count` numbers that [`put_numbers`] put.
pub(super) fn take_numbers(from: &mut Cursor<'_>, count: usize) -> Result<Vec<u64>, Damaged> {
    if count > from.remaining() {
        return Err(Damaged("a column is longer than the data"));
    }
    (0..count).map(|_| from.varint()).collect()
}

/// Appends a column of numbers that are near those before them: each as its difference.
pub(super) fn put_differences(out: &mut Vec<u8>, numbers: impl IntoIterator<Item = u64>) {
    let mut before = 0u64;
    put_numbers(
        out,
        numbers.into_iter().map(|n| {
            let step = unsigned(n.wrapping_sub(before) as i64);
            before = n;
            step
        }),
    );
}

/// Takes `count` numbers that [`put_differences`] put.
pub(super) fn take_differences(from: &mut Cursor<'_>, count: usize) -> Result<Vec<u64>, Damaged> {
    let mut numbers = take_numbers(from, count)?;
    let mut before = 0u64;
    for n in &mut numbers {
        before = before.wrapping_add(signed(*n) as u64);
        *n = before;
    }
    Ok(numbers)
}

/// The pages of one section.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct SectionPlace {
    /// Where its table begins.
    pub(super) table: u64,
    /// How many pages it has.
    pub(super) pages: u64,
}

/// The end of a block: where its pages are, and what is in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Footer {
    /// The sections, in the order of [`Section`].
    pub(super) sections: [SectionPlace; SECTIONS],
    /// How many series there are.
    pub(super) series: u64,
    /// How many samples there are, native histograms included.
    pub(super) samples: u64,
    /// The first sample's time.
    pub(super) first: Timestamp,
    /// The last sample's time.
    pub(super) last: Timestamp,
    /// The coarsest resolution of its series; zero if all samples are as they came.
    pub(super) resolution: Millis,
    /// How many series have native histograms.
    pub(super) histogram_series: u32,
}

/// Where the footer of a file of that version begins.
fn footer_start(file: &[u8], version: u32) -> Result<usize, Damaged> {
    let sections = if version == 1 { SECTIONS_1 } else { SECTIONS };
    let start = file.len().checked_sub(FOOTER_REST_BYTES + sections * 16);
    start.filter(|start| *start >= HEADER_BYTES).ok_or(Damaged("the file is shorter than a footer"))
}

/// The pages of a file and its tables, between header and footer.
pub(super) fn body(file: &[u8]) -> Result<&[u8], Damaged> {
    let version = check_header(file)?;
    Ok(&file[HEADER_BYTES..footer_start(file, version)?])
}

impl Footer {
    /// The bytes: sections, series, samples, first, last, resolution, magic, series with
    /// histograms, checksum.
    pub(super) fn to_bytes(self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(FOOTER_REST_BYTES + SECTIONS * 16);
        for section in self.sections {
            bytes.extend(section.table.to_le_bytes());
            bytes.extend(section.pages.to_le_bytes());
        }
        bytes.extend(self.series.to_le_bytes());
        bytes.extend(self.samples.to_le_bytes());
        bytes.extend(self.first.0.to_le_bytes());
        bytes.extend(self.last.0.to_le_bytes());
        bytes.extend(self.resolution.0.to_le_bytes());
        bytes.extend(MAGIC);
        bytes.extend(self.histogram_series.to_le_bytes());
        let crc = checksum(&[&bytes]);
        bytes.extend(crc.to_le_bytes());
        bytes
    }

    /// The footer of a file.
    pub(super) fn take(file: &[u8]) -> Result<Footer, Damaged> {
        let version = check_header(file)?;
        let bytes = &file[footer_start(file, version)?..];
        let (body, crc) = bytes.split_at(bytes.len() - 4);
        if Cursor::new(crc).u32()? != checksum(&[body]) {
            return Err(Damaged("the footer fails its checksum; the file was cut or overwritten"));
        }
        let mut from = Cursor::new(body);
        let mut sections = [SectionPlace::default(); SECTIONS];
        let known = if version == 1 { SECTIONS_1 } else { SECTIONS };
        for section in &mut sections[..known] {
            *section = SectionPlace { table: from.u64()?, pages: from.u64()? };
        }
        let mut footer = Footer {
            sections,
            series: from.u64()?,
            samples: from.u64()?,
            first: Timestamp(from.i64()?),
            last: Timestamp(from.i64()?),
            // Zero in version 1.
            resolution: Millis(from.i64()?),
            histogram_series: 0,
        };
        if from.array::<8>()? != MAGIC {
            return Err(Damaged("the footer is not a block's"));
        }
        // Zero in version 1.
        footer.histogram_series = from.u32()?;
        Ok(footer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_footer_comes_back() {
        let mut sections = [SectionPlace::default(); SECTIONS];
        sections[3] = SectionPlace { table: 7, pages: u64::MAX };
        let (first, last, resolution) = (Timestamp(-5), Timestamp(5), Millis(7));
        let footer = Footer { sections, series: 2, samples: 9, first, last, resolution, histogram_series: 4 };
        let mut file = header().to_vec();
        file.extend(b"abcdef");
        file.extend(footer.to_bytes());
        assert_eq!((Footer::take(&file), body(&file)), (Ok(footer), Ok(&b"abcdef"[..])));
        for at in (0..file.len()).filter(|at| !(16..22).contains(at)) {
            file[at] ^= 1;
            assert!(Footer::take(&file).is_err(), "byte {at}");
            file[at] ^= 1;
        }
        assert!((0..file.len()).all(|end| Footer::take(&file[..end]).is_err()));
    }

    #[test]
    fn blocks_of_the_first_version_are_read_and_later_ones_are_not() {
        for (version, is_read) in [(0, false), (1, true), (2, true), (3, false)] {
            let mut header = header();
            header[8] = version;
            let crc = checksum(&[&header[..12]]);
            header[12..].copy_from_slice(&crc.to_le_bytes());
            assert_eq!(check_header(&header).is_ok(), is_read, "{version}");
        }
    }

    #[test]
    fn pages_are_packed_if_that_is_worth_it() {
        let noise: Vec<u8> = (0..=255).collect();
        for (raw, part, packs) in [(vec![7; 5000], 32, true), (noise, 32, false), (Vec::new(), 1, false)] {
            let mut bytes = Vec::new();
            put_page(&mut bytes, &raw, Packing::Zstd(part));
            let length = bytes.len();
            bytes.extend(b"next");
            let page = StoredPage::take(&bytes).unwrap();
            assert_eq!((page.plain().is_none(), page.length()), (packs, length));
            assert_eq!(page.unpack(), Ok(raw));
        }
    }

    #[test]
    fn a_table_gives_places() {
        let mut file = b"before".to_vec();
        let places: Vec<u64> = (0..1300).map(|n| n * 1_000_003).collect();
        put_table(&mut file, &places);
        for (number, place) in places.iter().enumerate() {
            assert_eq!(take_place(&file, 6, number as u64), Ok(*place as usize));
        }
        assert!(take_place(&file, 6, 1300).is_err() && take_place(&file, 6, u64::MAX).is_err());
    }

    proptest::proptest! {
        #[test]
        fn columns_come_back(numbers in proptest::collection::vec(proptest::arbitrary::any::<u64>(), 0..50)) {
            let mut out = Vec::new();
            put_numbers(&mut out, numbers.iter().copied());
            put_differences(&mut out, numbers.iter().copied());
            let mut from = Cursor::new(&out);
            assert_eq!(take_numbers(&mut from, numbers.len()).unwrap(), numbers);
            assert_eq!(take_differences(&mut from, numbers.len()).unwrap(), numbers);
        }

        #[test]
        fn garbage_never_panics(bytes in proptest::collection::vec(proptest::arbitrary::any::<u8>(), 0..300), number in 0u64..1000) {
            let _ = StoredPage::take(&bytes).and_then(|page| page.unpack());
            let _ = Footer::take(&bytes);
            let _ = take_place(&bytes, 3, number);
            let _ = take_numbers(&mut Cursor::new(&bytes), number as usize);
        }
    }
}
