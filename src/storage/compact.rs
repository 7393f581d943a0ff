//! Merging small blocks into larger ones, so that a long range touches few files.
//!
//! Invariants:
//! - Merging changes no answer: the same samples, the younger one where two share an instant.
//! - The merged block is durable and named by the manifest before its sources go.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::model::{Labels, TimeRange, Timestamp};

use super::block::{Block, PageCache};
use super::maintain::{MaintainError, MaintainReport};
use super::manifest::Manifest;
use super::snapshot::put_in_order;
use super::store::Inner;

/// Blocks of one level that make one of the next. With four, a sample is rewritten about once for
/// each fourfold growth of the store.
const FAN_IN: usize = 4;
/// The level at which blocks are left as they are.
const LEVEL_MAX: u8 = 5;
/// A block spans at most this part of the retention, since only whole blocks are dropped.
const RETENTION_PARTS: i64 = 8;

impl Inner {
    pub(super) fn compact(
        &self,
        manifest: &mut Manifest,
        cutoff: Timestamp,
        report: &mut MaintainReport,
    ) -> Result<(), MaintainError> {
        loop {
            let blocks = Arc::clone(&self.shown.read().view.blocks);
            let Some((sources, level)) = self.choose(&blocks) else { return Ok(()) };
            let lost = self.merge(manifest, &sources, level, cutoff)?;
            for block in &sources {
                let path = self.files.block(block.number());
                if block.is_damaged() {
                    // Met while merging: what could be read is in the new block.
                    self.files.quarantine(&path)?;
                    report.quarantined.push((path.display().to_string(), lost));
                } else {
                    self.remove(&path);
                }
            }
            report.blocks_merged += sources.len();
            self.status.lock().blocks_merged += sources.len() as u64;
        }
    }

    /// The oldest neighbours of one level that together do not span too much, and the level that
    /// they make. Neighbours in the manifest's order, so that "younger" keeps its meaning.
    fn choose(&self, blocks: &[Arc<Block>]) -> Option<(Vec<Arc<Block>>, u8)> {
        let span_max = self.options.retention.0 / RETENTION_PARTS;
        let fits = |run: &&[Arc<Block>]| {
            let first = run.iter().map(|block| block.first()).min().unwrap_or_default();
            let last = run.iter().map(|block| block.last()).max().unwrap_or_default();
            let level = run[0].level();
            level < LEVEL_MAX && run.iter().all(|block| block.level() == level) && (last - first).0 <= span_max
        };
        let run = blocks.windows(FAN_IN).find(fits)?;
        Some((run.to_vec(), run[0].level() + 1))
    }

    /// Writes the samples of `sources` behind `cutoff` into one block of `level` that takes their
    /// place; gives the number of samples that could not be read.
    pub(super) fn merge(
        &self,
        manifest: &mut Manifest,
        sources: &[Arc<Block>],
        level: u8,
        cutoff: Timestamp,
    ) -> Result<u64, MaintainError> {
        let mut places: BTreeMap<&Labels, Vec<(usize, usize)>> = BTreeMap::new();
        for (source, block) in sources.iter().enumerate() {
            for (position, labels) in block.labels() {
                places.entry(labels).or_default().push((source, position));
            }
        }
        let (tombstones, upto) = {
            let shown = self.shown.read();
            (Arc::clone(&shown.view.tombstones), shown.seq)
        };
        let mut cache = PageCache::default();
        let mut lost = 0;
        let merged = self.write_block(manifest, level, |writer| {
            for (labels, places) in &places {
                let mut samples = Vec::new();
                let cover = tombstones.cover(labels, TimeRange::ALL, upto);
                for (source, position) in places {
                    let from = samples.len();
                    lost += sources[*source].salvage(*position, &mut cache, &mut samples);
                    cover.thin(sources[*source].number(), &mut samples, from);
                }
                samples.retain(|sample| sample.t > cutoff);
                put_in_order(&mut samples);
                writer.add(labels, &samples)?;
            }
            Ok(())
        })?;
        self.replace_blocks(manifest, sources, merged, upto)?;
        Ok(lost)
    }
}
