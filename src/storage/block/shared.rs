//! Unpacked pages of a block that the questions of all readers share: what a dashboard asks, it asks again.
//!
//! Invariants:
//! - A page is here only if it passed its check when it was read.
//! - All pages of a block take at most [`BYTES_MAX`], those of all blocks of the process at most [`TOTAL_MAX`].

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use parking_lot::RwLock;

use super::chunk::format::{SeriesEntry, Timeline};
use super::index::format::{SeriesPage, Texts, Values};
use super::pages::Page;
use crate::codec::Damaged;

/// The labels of a hundred thousand series with the places of their chunks.
const BYTES_MAX: usize = 32 << 20;
/// What charts of a few series over a day need.
const UNPACKED_MAX: usize = 8 << 20;
/// Four such blocks, or many of which a part is asked for.
const TOTAL_MAX: usize = 128 << 20;
/// What the pages of all blocks take: blocks are opened here and there, and the memory is one.
static TOTAL: AtomicUsize = AtomicUsize::new(0);

/// The pages of one block.
#[derive(Debug)]
pub(super) struct SharedPages {
    /// Values of labels, by page.
    pub(super) values: Shared<Values>,
    /// First values of pages, by page.
    pub(super) fences: Shared<Texts>,
    /// Labels of series, by page.
    pub(super) series: Shared<SeriesPage>,
    /// Chunks of series, by page.
    pub(super) directory: Shared<Vec<SeriesEntry>>,
    /// Timelines, by page.
    pub(super) timelines: Shared<Vec<Timeline>>,
    /// Stamps of vectors, by timeline and vector.
    pub(super) stamps: Shared<Vec<i64>>,
    /// Pages of values and statistics that were packed, by section and page; not more than [`UNPACKED_MAX`].
    pub(super) unpacked: Shared<Page>,
    unpacked_bytes: AtomicUsize,
    bytes: AtomicUsize,
}

/// Pages of one kind, each with the bytes that it counts for.
#[derive(Debug)]
pub(super) struct Shared<T> {
    pages: RwLock<HashMap<u64, (Arc<T>, usize)>>,
}

impl<T> Default for Shared<T> {
    fn default() -> Shared<T> {
        Shared { pages: RwLock::default() }
    }
}

impl<T> Shared<T> {
    /// Forgets everything; gives the bytes that it counted for.
    fn clear(&self) -> usize {
        std::mem::take(&mut *self.pages.write()).values().map(|(_, bytes)| bytes).sum()
    }
}

/// What a page takes in memory, about.
pub(super) trait Weigh {
    /// In bytes.
    fn weight(&self) -> usize;
}

impl Weigh for Values {
    fn weight(&self) -> usize {
        self.texts.weight() + size_of_val(self.lists.as_slice())
    }
}

impl Weigh for Texts {
    fn weight(&self) -> usize {
        self.bytes() + self.len() * 4
    }
}

impl Weigh for SeriesPage {
    fn weight(&self) -> usize {
        self.bytes()
    }
}

impl Weigh for Vec<SeriesEntry> {
    fn weight(&self) -> usize {
        self.iter().map(|series| size_of_val(series) + size_of_val(series.chunks.as_slice())).sum()
    }
}

impl Weigh for Vec<Timeline> {
    fn weight(&self) -> usize {
        self.iter().map(|timeline| size_of_val(timeline) + size_of_val(timeline.vectors.as_slice())).sum()
    }
}

impl Weigh for Vec<i64> {
    fn weight(&self) -> usize {
        size_of_val(self.as_slice())
    }
}

impl SharedPages {
    /// None yet.
    pub(super) fn new() -> SharedPages {
        SharedPages {
            values: Shared::default(),
            fences: Shared::default(),
            series: Shared::default(),
            directory: Shared::default(),
            timelines: Shared::default(),
            stamps: Shared::default(),
            unpacked: Shared::default(),
            unpacked_bytes: AtomicUsize::new(0),
            bytes: AtomicUsize::new(0),
        }
    }

    /// A page of one kind, read if nobody has it.
    pub(super) fn get<T: Weigh>(
        &self,
        kind: &Shared<T>,
        key: u64,
        read: impl FnOnce() -> Result<T, Damaged>,
    ) -> Result<Arc<T>, Damaged> {
        if let Some((page, _)) = kind.pages.read().get(&key) {
            return Ok(Arc::clone(page));
        }
        let page = Arc::new(read()?);
        let weight = page.weight() + size_of::<(u64, Arc<T>, usize)>();
        if self.bytes.load(Ordering::Relaxed) + weight > BYTES_MAX || TOTAL.load(Ordering::Relaxed) + weight > TOTAL_MAX
        {
            // What is needed comes back soon; nobody has to note who was asked for last.
            self.clear();
        }
        // Other blocks may have all the room.
        if TOTAL.load(Ordering::Relaxed) + weight <= TOTAL_MAX
            && kind.pages.write().insert(key, (Arc::clone(&page), weight)).is_none()
        {
            self.bytes.fetch_add(weight, Ordering::Relaxed);
            TOTAL.fetch_add(weight, Ordering::Relaxed);
        }
        Ok(page)
    }

    /// A page of values or statistics; one that lies in the file as it is is not kept.
    pub(super) fn page(&self, key: u64, read: impl FnOnce() -> Result<Page, Damaged>) -> Result<Page, Damaged> {
        if let Some((page, _)) = self.unpacked.pages.read().get(&key) {
            return Ok(Page::clone(page));
        }
        let page = read()?;
        let Page::Unpacked(bytes) = &page else { return Ok(page) };
        let weight = bytes.len();
        if self.unpacked_bytes.load(Ordering::Relaxed) + weight > UNPACKED_MAX {
            // A question that reads many values must not drive out the index.
            let cleared = self.unpacked.clear();
            self.unpacked_bytes.fetch_sub(cleared, Ordering::Relaxed);
            TOTAL.fetch_sub(cleared, Ordering::Relaxed);
        }
        let room = weight <= UNPACKED_MAX && TOTAL.load(Ordering::Relaxed) + weight <= TOTAL_MAX;
        if room && self.unpacked.pages.write().insert(key, (Arc::new(page.clone()), weight)).is_none() {
            self.unpacked_bytes.fetch_add(weight, Ordering::Relaxed);
            TOTAL.fetch_add(weight, Ordering::Relaxed);
        }
        Ok(page)
    }

    fn clear(&self) {
        let labels = [self.values.clear(), self.fences.clear(), self.series.clear()];
        let chunks = [self.directory.clear(), self.timelines.clear(), self.stamps.clear()];
        let cleared = labels.into_iter().chain(chunks).sum();
        self.bytes.fetch_sub(cleared, Ordering::Relaxed);
        TOTAL.fetch_sub(cleared, Ordering::Relaxed);
    }
}

impl Drop for SharedPages {
    fn drop(&mut self) {
        self.clear();
        TOTAL.fetch_sub(self.unpacked.clear(), Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_are_kept_within_their_room() {
        let shared = SharedPages::new();
        let read = |key: u64, length: usize| {
            let mut reads = 0;
            let page = shared.get(&shared.stamps, key, || {
                reads += 1;
                Ok(vec![key as i64; length])
            });
            assert_eq!(page.map(|page| (page[0], page.len())), Ok((key as i64, length)));
            assert!(shared.bytes.load(Ordering::Relaxed) <= BYTES_MAX);
            reads
        };
        assert_eq!((read(1, 100_000), read(1, 100_000)), (1, 0));
        for key in 0..100 {
            read(key, 100_000);
        }
        let bytes: usize = shared.stamps.pages.read().values().map(|(_, bytes)| bytes).sum();
        assert_eq!(shared.bytes.load(Ordering::Relaxed), bytes);
        let mut reads = 0;
        for key in (0..300u64).chain([299]) {
            let page = shared.page(key, || {
                reads += 1;
                Ok(Page::Unpacked(Arc::from(vec![key as u8; 60_000])))
            });
            assert_eq!(page.map(|page| (page[0], page.len())), Ok((key as u8, 60_000)));
            assert!(shared.unpacked_bytes.load(Ordering::Relaxed) <= UNPACKED_MAX);
        }
        assert_eq!(reads, 300);
        // A page that is damaged is not kept.
        let damaged = shared.get(&shared.stamps, 3000, || Err(Damaged("a page fails its checksum")));
        assert!(damaged.is_err());
        assert_eq!(read(3000, 10), 1);
    }
}
