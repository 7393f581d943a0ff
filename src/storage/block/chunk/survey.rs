//! How chunks and timelines are stored, for those who ask where bytes go.

use crate::codec::{Coding, Damaged, Timestamps, Values};
use crate::storage::block::format::Section;

use super::format;
use super::reader::{ChunkPlace, Chunks};

/// A column of stamps as it is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::storage) struct StoredStamps {
    /// How.
    pub(in crate::storage) coding: Coding,
    /// How many stamps there are.
    pub(in crate::storage) count: u64,
    /// Bytes that they take, before their page is packed; none if the timeline says all of them.
    pub(in crate::storage) bytes: u64,
}

impl Chunks<'_> {
    /// How the values of a chunk are stored, and how many of them stand apart from the others.
    pub(in crate::storage::block) fn coding(&mut self, chunk: &ChunkPlace) -> Result<(Coding, u64), Damaged> {
        if chunk.is_constant() {
            return Ok((Coding::CONSTANT, 0));
        }
        let count = chunk.count();
        let values = Values::open(self.values_of(chunk)?, count)?;
        Ok((values.coding(), values.exceptions() as u64))
    }

    /// How the timelines are stored, each as it is read; damaged ones are left out.
    pub(in crate::storage::block) fn stored_stamps(&mut self, see: &mut dyn FnMut(StoredStamps)) {
        for page in 0..self.pages(Section::Timelines) {
            let Ok(timelines) = self.read(Section::Timelines, page).and_then(|page| format::take_timelines(&page))
            else {
                continue;
            };
            for timeline in timelines {
                let count = timeline.count as usize;
                let coding = match timeline.length {
                    0 => Ok(Coding::LINE),
                    length => self
                        .item(Section::Stamps, timeline.place, length)
                        .and_then(|bytes| Timestamps::open(bytes, count))
                        .map(|stamps| stamps.coding()),
                };
                if let Ok(coding) = coding {
                    see(StoredStamps { coding, count: count as u64, bytes: u64::from(timeline.length) });
                }
            }
        }
    }
}
