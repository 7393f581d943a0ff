//! Intervals of a block in the making.

use std::collections::HashMap;
use std::io;

use super::format::{self, GROUP, SeriesIntervals};
use crate::model::Millis;
use crate::storage::block::format::{Packing, Section};
use crate::storage::block::pages::{PageWriter, Place, Stream};
use crate::storage::interval::{Interval, Resolution};

/// Bytes of a page: as of the values of a merged block.
const PAGE_BYTES: usize = 8 << 10;
/// Bytes of counts that are kept for comparing: what lies further back is stored once more.
const KEPT_BYTES_MAX: usize = 8 << 20;

/// Takes what the samples of downsampled series stand for.
pub(in crate::storage::block) struct IntervalWriter {
    counts: Stream,
    figures: Stream,
    known: HashMap<Vec<u8>, Place>,
    known_bytes: usize,
    /// Series of the page of the directory that is being filled.
    group: Vec<SeriesIntervals>,
    /// Pages of the directory that would be empty and are not written yet.
    empty: usize,
    coarsest: Millis,
}

impl IntervalWriter {
    /// Begins without any.
    pub(in crate::storage::block) fn new() -> IntervalWriter {
        IntervalWriter {
            counts: Stream::new(Section::Counts, Packing::Zstd(16), PAGE_BYTES),
            figures: Stream::new(Section::Figures, Packing::Zstd(32), PAGE_BYTES),
            known: HashMap::new(),
            known_bytes: 0,
            group: Vec::with_capacity(GROUP),
            empty: 0,
            coarsest: Millis::ZERO,
        }
    }

    /// The coarsest resolution so far; zero if no series is downsampled.
    pub(in crate::storage::block) fn coarsest(&self) -> Millis {
        self.coarsest
    }

    /// Adds what the samples of the next series stand for; for one that is not downsampled there is
    /// nothing to say.
    pub(in crate::storage::block) fn add(
        &mut self,
        pages: &mut PageWriter,
        intervals: &[Interval],
        resolution: Resolution,
    ) -> io::Result<()> {
        let mut entry = SeriesIntervals { resolution, ..SeriesIntervals::default() };
        self.coarsest = self.coarsest.max(resolution.coarsest);
        if intervals.iter().any(|interval| interval.whole.is_some()) {
            let (mut counts, mut figures) = (Vec::new(), Vec::new());
            format::put_counts(&mut counts, intervals);
            format::put_figures(&mut figures, intervals);
            entry.figures = (self.figures.put(pages, &figures)?, figures.len() as u32);
            entry.counts = (self.counts_place(pages, &counts)?, counts.len() as u32);
        }
        self.group.push(entry);
        if self.group.len() == GROUP {
            self.close_group(pages)?;
        }
        Ok(())
    }

    fn counts_place(&mut self, pages: &mut PageWriter, counts: &[u8]) -> io::Result<Place> {
        if let Some(place) = self.known.get(counts) {
            return Ok(*place);
        }
        let place = self.counts.put(pages, counts)?;
        if self.known_bytes > KEPT_BYTES_MAX {
            self.known.clear();
            self.known_bytes = 0;
        }
        self.known_bytes += counts.len();
        self.known.insert(counts.to_vec(), place);
        Ok(place)
    }

    /// Writes what is not written yet.
    pub(in crate::storage::block) fn finish(&mut self, pages: &mut PageWriter) -> io::Result<()> {
        self.close_group(pages)?;
        self.counts.close(pages)?;
        self.figures.close(pages)
    }

    /// A page that says nothing is written only if one that says something follows it.
    fn close_group(&mut self, pages: &mut PageWriter) -> io::Result<()> {
        if self.group.iter().all(|entry| entry.resolution.is_raw()) {
            self.empty += 1;
        } else {
            for _ in 0..std::mem::take(&mut self.empty) {
                put_page(pages, &[])?;
            }
            put_page(pages, &self.group)?;
        }
        self.group.clear();
        Ok(())
    }
}

fn put_page(pages: &mut PageWriter, group: &[SeriesIntervals]) -> io::Result<()> {
    let mut raw = Vec::new();
    format::put_directory(&mut raw, group);
    pages.put(Section::Intervals, &raw, Packing::Zstd(32))
}
