//! Writing a series file, and reading what is whole of one.

use std::io;
use std::path::Path;

use crate::codec::{Cursor, Damaged, SealError, checksum, compress, decompress};
use crate::env::disk::Disk;

use super::format::{Header, PageEntry, TextDecoder, TextEncoder};

/// A page is closed when its unpacked content has reached this: a flipped bit costs at most so much.
const PAGE_BYTES: usize = 32 << 10;

/// A series file in the making. It is held in memory: a million series take some ten megabytes.
#[derive(Debug, Default)]
pub(in crate::storage) struct SeriesFileWriter {
    header: Header,
    pages: Vec<u8>,
    page: Vec<u8>,
    on_page: u32,
    encoder: TextEncoder,
}

impl SeriesFileWriter {
    /// Adds a series; numbers come in ascending order.
    pub(in crate::storage) fn push(&mut self, number: u32, text: &str) {
        self.encoder.put(&mut self.page, number, text);
        self.on_page += 1;
        self.header.series += 1;
        if self.page.len() >= PAGE_BYTES {
            self.close_page();
        }
    }

    /// How many series it has.
    pub(in crate::storage) fn series(&self) -> u32 {
        self.header.series
    }

    /// Writes the file and syncs it; its name is the caller's to sync.
    pub(in crate::storage) fn write(mut self, disk: &dyn Disk, path: &Path, next_series: u32) -> io::Result<()> {
        self.close_page();
        self.header.next_series = next_series;
        let mut file = disk.create(path)?;
        file.write_all(&self.header.to_bytes())?;
        file.write_all(&self.pages)?;
        file.sync()
    }

    fn close_page(&mut self) {
        if self.on_page == 0 {
            return;
        }
        let packed = compress(&self.page);
        let stored = packed.as_deref().unwrap_or(&self.page);
        self.header.pages.push(PageEntry {
            series: self.on_page,
            stored: stored.len() as u32,
            unpacked: self.page.len() as u32,
            checksum: checksum(&[stored]),
        });
        self.pages.extend(stored);
        self.page.clear();
        self.on_page = 0;
        // A page is read by itself.
        self.encoder.clear();
    }
}

/// What a series file held.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(in crate::storage) struct Loaded {
    /// A number that no series has had.
    pub(in crate::storage) next_series: u32,
    /// How many series it names.
    pub(in crate::storage) series: u32,
    /// How many of them cannot be read, and why.
    pub(in crate::storage) lost: Option<(u32, &'static str)>,
}

/// Reads the series of a file, as far as they can be read, one by one.
///
/// # Errors
/// The header is damaged, so that nothing can be read, or is of another version.
pub(in crate::storage) fn load(file: &[u8], mut each: impl FnMut(u32, &str)) -> Result<Loaded, SealError> {
    let (header, mut rest) = Header::split(file)?;
    let mut loaded = Loaded { next_series: header.next_series, series: header.series, lost: None };
    for page in &header.pages {
        let stored;
        (stored, rest) = rest.split_at(rest.len().min(page.stored as usize));
        if let Err(damaged) = load_page(page, stored, &mut each) {
            let lost = loaded.lost.map_or(0, |(lost, _)| lost).saturating_add(page.series);
            loaded.lost = Some((lost, damaged.0));
        }
    }
    if !rest.is_empty() && loaded.lost.is_none() {
        loaded.lost = Some((0, "there are bytes behind the end"));
    }
    Ok(loaded)
}

fn load_page(page: &PageEntry, stored: &[u8], each: &mut impl FnMut(u32, &str)) -> Result<(), Damaged> {
    if checksum(&[stored]) != page.checksum || stored.len() != page.stored as usize {
        return Err(Damaged("a page fails its checksum"));
    }
    let unpacked;
    let content = if page.stored == page.unpacked {
        stored
    } else {
        unpacked = decompress(stored, page.unpacked as usize)?;
        &unpacked
    };
    let (mut from, mut decoder) = (Cursor::new(content), TextDecoder::default());
    for _ in 0..page.series {
        let (number, text) = decoder.take(&mut from)?;
        each(number, text);
    }
    from.end()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::env::disk::MemoryDisk;

    fn text(n: u32) -> String {
        format!("name{}instance{}", n % 7, u64::from(n).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> (n % 40))
    }

    fn written(count: u32) -> Vec<u8> {
        let (disk, path) = (MemoryDisk::new(), Path::new("/f"));
        let mut writer = SeriesFileWriter::default();
        (0..count).for_each(|n| writer.push(n * 3, &text(n)));
        assert_eq!(writer.series(), count);
        writer.write(&disk, path, count * 3).unwrap();
        disk.read(path).unwrap()
    }

    #[test]
    fn a_flipped_byte_costs_the_series_of_one_page() {
        let bytes = written(9000);
        let check = |bytes: &[u8]| {
            let mut found = 0;
            let loaded = load(bytes, |n, got| {
                assert_eq!(got, text(n / 3), "never another text");
                found += 1;
            });
            loaded.map(|loaded| (found, loaded))
        };
        let (found, loaded) = check(&bytes).unwrap();
        assert_eq!((found, loaded), (9000, Loaded { next_series: 27_000, series: 9000, lost: None }));
        let pages = Header::split(&bytes).unwrap().0.pages;
        assert!(pages.len() > 2, "{} pages", pages.len());
        let header = bytes.len() - pages.iter().map(|page| page.stored as usize).sum::<usize>();
        for at in (0..bytes.len()).step_by(1499) {
            let mut damaged = bytes.clone();
            damaged[at] ^= 0x10;
            match check(&damaged) {
                Err(SealError::Damaged(_)) => assert!(at < header, "byte {at}"),
                Err(SealError::Version(version)) => panic!("byte {at}: version {version}"),
                Ok((found, loaded)) => {
                    let lost = loaded.lost.unwrap_or_else(|| panic!("byte {at} is not noticed")).0;
                    assert_eq!(found + lost, 9000, "byte {at}");
                    assert!(pages.iter().any(|page| page.series == lost), "byte {at} costs {lost}");
                }
            }
            if let Ok((found, loaded)) = check(&bytes[..at]) {
                assert_eq!(found + loaded.lost.unwrap().0, 9000, "cut at {at}");
            }
        }
    }

    #[test]
    fn a_header_that_claims_more_than_there_can_be_is_read_to_its_end() {
        let page = PageEntry { series: u32::MAX, stored: 7, unpacked: 7, checksum: 0 };
        let header = Header { next_series: 1, series: u32::MAX, pages: vec![page, page] };
        let loaded = load(&header.to_bytes(), |_, _| panic!("no series is there")).unwrap();
        assert_eq!(loaded.lost, Some((u32::MAX, "a page fails its checksum")));
    }
}
