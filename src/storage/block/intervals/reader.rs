//! Reading the intervals of a block.

use std::collections::HashMap;
use std::sync::Arc;

use super::format::{self, GROUP, SeriesIntervals};
use crate::codec::Damaged;
use crate::env::disk::Mapped;
use crate::model::Sample;
use crate::storage::block::format::{Footer, Section};
use crate::storage::block::pages::{self, Page, Place};
use crate::storage::interval::{Interval, Resolution};

/// What a question has read of a block's intervals.
#[derive(Debug, Default)]
pub(in crate::storage::block) struct IntervalCache {
    directory: Option<(u64, Arc<Vec<SeriesIntervals>>)>,
    pages: HashMap<Section, (u64, Page)>,
}

/// The intervals of an open block.
pub(in crate::storage::block) struct Intervals<'a> {
    file: &'a Mapped,
    footer: &'a Footer,
    cache: &'a mut IntervalCache,
}

impl<'a> Intervals<'a> {
    /// Of a block.
    pub(in crate::storage::block) fn new(
        file: &'a Mapped,
        footer: &'a Footer,
        cache: &'a mut IntervalCache,
    ) -> Intervals<'a> {
        Intervals { file, footer, cache }
    }

    /// How long the intervals of the series at a position are.
    pub(in crate::storage::block) fn resolution(&mut self, position: u32) -> Result<Resolution, Damaged> {
        Ok(self.series(position)?.resolution)
    }

    /// What the samples of the series at a position stand for, of which `kept` are all.
    pub(in crate::storage::block) fn of(&mut self, position: u32, kept: &[Sample]) -> Result<Vec<Interval>, Damaged> {
        let found = self.series(position)?;
        if found.counts.1 == 0 {
            return Ok(kept.iter().copied().map(Interval::of).collect());
        }
        self.load(Section::Counts, found.counts.0)?;
        self.load(Section::Figures, found.figures.0)?;
        let counts = self.item(Section::Counts, found.counts)?;
        format::take_intervals(counts, self.item(Section::Figures, found.figures)?, kept)
    }

    fn series(&mut self, position: u32) -> Result<SeriesIntervals, Damaged> {
        let (page, at) = (u64::from(position) / GROUP as u64, position as usize % GROUP);
        if page >= self.footer.sections[Section::Intervals as usize].pages {
            return Ok(SeriesIntervals::default());
        }
        let known = self.cache.directory.as_ref().filter(|(number, _)| *number == page);
        let directory = match known {
            Some((_, directory)) => Arc::clone(directory),
            None => {
                let bytes = pages::read(self.file, self.footer, Section::Intervals, page)?;
                let directory = Arc::new(format::take_directory(&bytes)?);
                self.cache.directory = Some((page, Arc::clone(&directory)));
                directory
            }
        };
        Ok(directory.get(at).copied().unwrap_or_default())
    }

    fn load(&mut self, section: Section, place: Place) -> Result<(), Damaged> {
        if self.cache.pages.get(&section).is_none_or(|(number, _)| *number != place.page) {
            let page = pages::read(self.file, self.footer, section, place.page)?;
            self.cache.pages.insert(section, (place.page, page));
        }
        Ok(())
    }

    fn item(&self, section: Section, (place, length): (Place, u32)) -> Result<&[u8], Damaged> {
        let page = self.cache.pages.get(&section).map_or(&[][..], |(_, page)| page);
        let start = place.start as usize;
        page.get(start..start + length as usize).ok_or(Damaged("intervals lie behind the end of their page"))
    }
}
