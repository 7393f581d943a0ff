//! Background work on blocks: retention, repair, compaction.

use std::fmt;
use std::io;
use std::sync::Arc;

use crate::model::{Seq, TimeRange, Timestamp};

use super::block::Block;
use super::head::Generation;
use super::manifest::{BlockName, Manifest};
use super::store::{Inner, Store};

/// Why background work stopped. What was begun is not visible, and the next call tries again.
#[derive(Debug, thiserror::Error)]
pub enum MaintainError {
    /// The disk failed.
    #[error("background work on stored blocks stopped: {0}; the next round tries again")]
    Io(#[from] io::Error),
    /// A block that was just written cannot be read back.
    #[error("{file} cannot be read back after writing: {reason}; check the disk")]
    Unsound {
        /// The block.
        file: String,
        /// What is wrong with it.
        reason: String,
    },
}

/// What a round of background work did.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct MaintainReport {
    /// Blocks removed because all their samples were too old.
    pub blocks_dropped: usize,
    /// Blocks merged into larger ones.
    pub blocks_merged: usize,
    /// Damaged blocks moved to quarantine, with the samples of each that could not be read.
    pub quarantined: Vec<(String, u64)>,
    /// Series forgotten because all their samples were too old.
    pub series_forgotten: usize,
}

impl MaintainReport {
    /// Whether nothing was done.
    pub fn is_empty(&self) -> bool {
        *self == MaintainReport::default()
    }
}

impl fmt::Display for MaintainReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "upkeep: {} blocks merged, {} blocks and {} series past their retention dropped",
            self.blocks_merged, self.blocks_dropped, self.series_forgotten
        )?;
        self.quarantined.iter().try_for_each(|(block, lost)| {
            write!(f, "; {block} is damaged and set aside, {lost} samples of it cannot be read")
        })
    }
}

impl Store {
    /// Finishes a pending checkpoint, removes what is older than the retention at `now`, repairs
    /// blocks in which a read met damage, and merges small blocks.
    ///
    /// # Errors
    /// The disk's; what was done until then stays done.
    pub fn maintain(&self, now: Timestamp) -> Result<MaintainReport, MaintainError> {
        self.maintain_paced(now, &mut |_| ())
    }

    /// As [`Store::maintain`]; `pace` is called with the number of bytes written since the call before,
    /// and may take its time.
    ///
    /// # Errors
    /// As [`Store::maintain`].
    pub fn maintain_paced(&self, now: Timestamp, pace: &mut dyn FnMut(u64)) -> Result<MaintainReport, MaintainError> {
        let inner = &self.inner;
        let mut manifest = inner.maintenance.lock();
        inner.finish_checkpoint(&mut manifest)?;
        let mut report = MaintainReport::default();
        let cutoff = inner.cutoff(now);
        inner.drop_old(&mut manifest, cutoff, &mut report)?;
        inner.repair(&mut manifest, cutoff, pace, &mut report)?;
        inner.compact(&mut manifest, cutoff, pace, &mut report)?;
        report.series_forgotten = inner.forget_series(cutoff);
        Ok(report)
    }
}

impl Inner {
    /// Samples at or before this are removed. The newest sample counts as well as the clock: a
    /// clock that jumps ahead, or a store that gets nothing any more, must not delete everything. And
    /// the log's time counts: what a snapshot shows stays.
    pub(super) fn cutoff(&self, now: Timestamp) -> Timestamp {
        let newest = self.status.lock().last_sample.unwrap_or(now);
        now.min(newest).min(self.shown.read().at) - self.options.retention
    }

    fn drop_old(
        &self,
        manifest: &mut Manifest,
        cutoff: Timestamp,
        report: &mut MaintainReport,
    ) -> Result<(), MaintainError> {
        let blocks = Arc::clone(&self.shown.read().view.blocks);
        let old: Vec<Arc<Block>> = blocks.iter().filter(|block| block.last() <= cutoff).cloned().collect();
        if !old.is_empty() {
            self.replace_blocks(manifest, &old, None)?;
            old.iter().for_each(|block| self.remove(&self.files.block(block.number())));
            report.blocks_dropped = old.len();
        }
        Ok(())
    }

    /// Puts `new` in the place of `old`: in the manifest first, then for snapshots. The old files stay.
    pub(super) fn replace_blocks(
        &self,
        manifest: &mut Manifest,
        old: &[Arc<Block>],
        new: Option<Block>,
    ) -> Result<(), MaintainError> {
        let is_old = |number: u64| old.iter().any(|block| block.number() == number);
        let mut next = manifest.clone();
        let place = next.blocks.iter().position(|name| is_old(name.number)).unwrap_or(next.blocks.len());
        next.blocks.retain(|name| !is_old(name.number));
        if let Some(block) = &new {
            next.blocks.insert(place, BlockName { number: block.number(), level: block.level() });
        }
        self.files.save(&next)?;
        *manifest = next;
        self.show(|view| {
            let mut blocks: Vec<Arc<Block>> = view.blocks.iter().filter(|b| !is_old(b.number())).cloned().collect();
            if let Some(block) = new {
                // A position among the blocks that stay, as in the manifest: later blocks win.
                blocks.insert(place.min(blocks.len()), Arc::new(block));
            }
            view.blocks = Arc::new(blocks);
        });
        Ok(())
    }

    /// Rewrites blocks in which a read met a damaged page, without the chunks that cannot be read.
    fn repair(
        &self,
        manifest: &mut Manifest,
        cutoff: Timestamp,
        pace: &mut dyn FnMut(u64),
        report: &mut MaintainReport,
    ) -> Result<(), MaintainError> {
        let blocks = Arc::clone(&self.shown.read().view.blocks);
        for block in blocks.iter().filter(|block| block.is_damaged()) {
            let lost = self.merge(manifest, std::slice::from_ref(block), block.level(), cutoff, pace)?;
            let lost = lost.iter().sum();
            let path = self.files.block(block.number());
            let file = path.display().to_string();
            tracing::warn!(file, lost, "a damaged block was rewritten without what cannot be read");
            self.files.quarantine(&path)?;
            report.quarantined.push((file, lost));
        }
        Ok(())
    }

    /// Forgets series without a sample behind `cutoff`. Done while the writer waits, so that none
    /// of them can get a sample meanwhile.
    fn forget_series(&self, cutoff: Timestamp) -> usize {
        let writer = self.writer.lock();
        let mut index = self.index.lock.write();
        let before = index.len();
        let newest = |series| writer.states.get(series).and_then(|state| state.newest());
        // While the log has a sample of a series, it needs the labels: a start would take it for lost.
        let view = Arc::clone(&self.shown.read().view);
        let logged = |series| {
            let in_generation = |generation: &Generation| generation.touches(series, TimeRange::ALL, Seq(u64::MAX));
            in_generation(&view.live) || view.frozen.as_deref().is_some_and(in_generation)
        };
        index.remove(|series| newest(series).is_none_or(|t| t <= cutoff) && !logged(series));
        before - index.len()
    }
}
