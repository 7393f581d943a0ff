//! What a block's file consists of, page by page, for those who look at files rather than at samples.

use crate::codec::Damaged;

use super::format::{SECTIONS, StoredPage, take_place};
use super::reader::Block;

/// What the sections hold, in the order of their numbers.
const NAMES: [&str; SECTIONS] = [
    "values",
    "statistics",
    "timestamps",
    "timelines",
    "chunk directory",
    "series labels",
    "label values",
    "label fences",
    "postings",
    "label names",
    "interval counts",
    "interval figures",
    "interval directory",
];

/// The pages of one kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::storage) struct SectionSize {
    /// What they hold.
    pub(in crate::storage) name: &'static str,
    /// How many there are.
    pub(in crate::storage) pages: u64,
    /// How many of them are compressed.
    pub(in crate::storage) compressed: u64,
    /// Bytes that they take in the file.
    pub(in crate::storage) bytes: u64,
    /// Bytes that they hold when unpacked.
    pub(in crate::storage) unpacked: u64,
}

/// A page that fails its check.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::storage) struct PageFault {
    /// What it holds.
    pub(in crate::storage) section: &'static str,
    /// Where it begins in the file, if that is known.
    pub(in crate::storage) offset: Option<u64>,
    /// What is wrong with it.
    pub(in crate::storage) reason: Damaged,
}

impl Block {
    /// The sizes of its sections and of the rest, and every page that fails its check.
    pub(in crate::storage) fn survey(&self) -> (Vec<SectionSize>, Vec<PageFault>) {
        let (mut sizes, mut faults) = (Vec::new(), Vec::new());
        let mut counted = 0;
        for (place, section) in self.footer.sections.iter().zip(NAMES) {
            let mut size = SectionSize { name: section, pages: 0, compressed: 0, bytes: 0, unpacked: 0 };
            for number in 0..place.pages {
                let offset = take_place(&self.content, place.table, number);
                let page = offset.and_then(|offset| {
                    StoredPage::take(self.content.get(offset..).unwrap_or_default())
                        .and_then(|page| Ok((page, page.unpack()?.len() as u64)))
                });
                match page {
                    Ok((page, unpacked)) => {
                        size.pages += 1;
                        size.compressed += u64::from(page.plain().is_none());
                        size.bytes += page.length() as u64;
                        size.unpacked += unpacked;
                    }
                    Err(reason) => {
                        let offset = offset.ok().map(|offset| offset as u64);
                        faults.push(PageFault { section, offset, reason });
                        if offset.is_none() {
                            // The table fails; what it would tell of cannot be found.
                            break;
                        }
                    }
                }
            }
            counted += size.bytes;
            sizes.push(size);
        }
        let rest = (self.content.len() as u64).saturating_sub(counted);
        let frame = "header, tables, footer";
        sizes.push(SectionSize { name: frame, pages: 0, compressed: 0, bytes: rest, unpacked: rest });
        (sizes, faults)
    }
}
