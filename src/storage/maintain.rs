//! Background work on blocks: retention, repair, downsampling, compaction.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use crate::model::{Seq, Timestamp};

use super::block::Block;
use super::changes::Contents;
use super::compact::Aim;
use super::manifest::{BlockName, Manifest};
use super::retention::Cutoff;
use super::store::{Inner, Store};
use super::tombstones::Tombstones;

/// Why background work stopped. What was begun is not visible, and the next call tries again.
#[derive(Debug, thiserror::Error)]
pub enum MaintainError {
    /// The disk failed.
    #[error("background work on stored blocks stopped: {0}; the next round tries again")]
    Io(#[from] io::Error),
    /// [`Store::interrupt`] was called.
    #[error("background work on stored blocks was interrupted; the next round begins again")]
    Interrupted,
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
    /// Blocks removed because everything together took too much room.
    pub blocks_over_size: usize,
    /// Blocks written anew without series that are past their time.
    pub blocks_thinned: usize,
    /// Blocks written anew at a lower resolution.
    pub blocks_downsampled: usize,
    /// Blocks merged into larger ones.
    pub blocks_merged: usize,
    /// Damaged blocks moved to quarantine, with the samples of each that could not be read.
    pub quarantined: Vec<(String, u64)>,
    /// Deletes that are worked off: nothing of what they cover is stored any more.
    pub deletes_done: usize,
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
            "upkeep: {} blocks merged, {} blocks past their retention dropped",
            self.blocks_merged, self.blocks_dropped
        )?;
        if self.blocks_over_size > 0 {
            write!(f, "; {} blocks dropped for their size", self.blocks_over_size)?;
        }
        if self.blocks_thinned > 0 {
            write!(f, "; {} blocks written anew without series past their retention", self.blocks_thinned)?;
        }
        if self.blocks_downsampled > 0 {
            write!(f, "; {} blocks downsampled", self.blocks_downsampled)?;
        }
        if self.deletes_done > 0 {
            write!(f, "; {} deletes worked off", self.deletes_done)?;
        }
        self.quarantined.iter().try_for_each(|(block, lost)| {
            write!(f, "; {block} is damaged and set aside, {lost} samples of it cannot be read")
        })
    }
}

impl Store {
    /// Finishes a pending checkpoint, removes what is older than the retention at `now`, repairs
    /// blocks in which a read met damage, downsamples those that are old enough, and merges small blocks.
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
        inner.drop_old(&mut manifest, &cutoff, pace, &mut report)?;
        inner.repair(&mut manifest, &cutoff, pace, &mut report)?;
        inner.downsample(&mut manifest, &cutoff, pace, &mut report)?;
        inner.compact(&mut manifest, &cutoff, pace, &mut report)?;
        inner.drop_over_size(&mut manifest, &mut report)?;
        inner.finish_deletes(&mut manifest, &mut report)?;
        Ok(report)
    }
}

impl Store {
    /// Ends a merge that is under way, so that what waits for it, a last checkpoint say, need not wait
    /// long. What the merge wrote is removed; its sources stay.
    pub fn interrupt(&self) {
        self.inner.interrupts.fetch_add(1, Ordering::Relaxed);
    }

    /// Whether a checkpoint has begun and waits for its end.
    pub fn checkpoint_pending(&self) -> bool {
        self.inner.pending.lock().is_some()
    }

    /// Writes the blocks anew that hold deleted samples, without them. Deletes behind the last checkpoint
    /// stay in force and are worked off after the next one.
    ///
    /// # Errors
    /// The disk's; what was done until then stays done.
    pub fn clean(&self, now: Timestamp, pace: &mut dyn FnMut(u64)) -> Result<MaintainReport, MaintainError> {
        let inner = &self.inner;
        let mut manifest = inner.maintenance.lock();
        inner.finish_checkpoint(&mut manifest)?;
        let mut report = MaintainReport::default();
        let cutoff = inner.cutoff(now);
        let view = Arc::clone(&inner.shown.read().view);
        for block in view.blocks.iter().filter(|block| view.tombstones.touch(block)) {
            let lost =
                inner.merge(&mut manifest, std::slice::from_ref(block), block.level(), Aim::Keep(&cutoff), pace)?;
            inner.put_away(block, lost.iter().sum(), &mut report)?;
        }
        inner.finish_deletes(&mut manifest, &mut report)?;
        Ok(report)
    }
}

impl Inner {
    /// Forgets deletes of which nothing is stored any more, durably.
    fn finish_deletes(&self, manifest: &mut Manifest, report: &mut MaintainReport) -> Result<(), MaintainError> {
        let view = Arc::clone(&self.shown.read().view);
        if view.tombstones.is_empty() {
            return Ok(());
        }
        let named = view.blocks.iter().filter(|block| view.tombstones.name(block.number()));
        let untouched: Vec<u64> =
            named.filter(|block| !view.tombstones.touch(block)).map(|block| block.number()).collect();
        let mut left = Tombstones::clone(&view.tombstones);
        left.blocks_changed(&untouched, None, manifest.seq);
        left.forget_done(manifest.seq);
        let done = view.tombstones.len() - left.len();
        if done == 0 {
            return Ok(());
        }
        let mut next = manifest.clone();
        self.files.save_tombstones(&mut next, &left.upto(manifest.seq))?;
        self.files.save(&next)?;
        let before = std::mem::replace(manifest, next);
        self.show(|view| {
            let tombstones = Arc::make_mut(&mut view.tombstones);
            tombstones.blocks_changed(&untouched, None, manifest.seq);
            tombstones.forget_done(manifest.seq);
        });
        self.remove_tombstones(before.tombstones, manifest);
        report.deletes_done += done;
        Ok(())
    }

    /// Removes a file of tombstones that the manifest names no more.
    pub(super) fn remove_tombstones(&self, number: u64, manifest: &Manifest) {
        if number > 0 && number != manifest.tombstones {
            self.remove(&self.files.tombstones(number));
        }
    }

    /// Removes a block that was written anew, or keeps it aside if it is damaged.
    pub(super) fn put_away(&self, block: &Block, lost: u64, report: &mut MaintainReport) -> Result<(), MaintainError> {
        let path = self.files.block(block.number());
        if block.is_damaged() {
            self.files.quarantine(&path)?;
            report.quarantined.push((path.display().to_string(), lost));
        } else {
            self.remove(&path);
        }
        Ok(())
    }

    /// What is removed. The newest sample counts as well as the clock: a
    /// clock that jumps ahead, or a store that gets nothing any more, must not delete everything. And
    /// the log's time counts: what a snapshot shows stays.
    pub(super) fn cutoff(&self, now: Timestamp) -> Cutoff {
        let newest = self.status.lock().last_sample.unwrap_or(now);
        Cutoff::new(&self.retention, now.min(newest).min(self.shown.read().at))
    }

    /// Puts `new`, written under the tombstones up to `upto`, in the place of `old`: in the manifest first,
    /// then for snapshots; it may hold other contents. The old files stay.
    pub(super) fn replace_blocks(
        &self,
        manifest: &mut Manifest,
        old: &[Arc<Block>],
        new: Option<Block>,
        (upto, contents): (Seq, Contents),
    ) -> Result<(), MaintainError> {
        // The log must be as durable as what is done because of it: a delete, or a time, that a power cut
        // could still take back must not have taken samples.
        {
            let mut writer = self.writer.lock();
            let synced = writer.check_open().and_then(|()| self.sync_log(&mut writer));
            synced.map_err(|error| MaintainError::Io(io::Error::other(error.to_string())))?;
        }
        let is_old = |number: u64| old.iter().any(|block| block.number() == number);
        let mut next = manifest.clone();
        let place = next.blocks.iter().position(|name| is_old(name.number)).unwrap_or(next.blocks.len());
        next.blocks.retain(|name| !is_old(name.number));
        if let Some(block) = &new {
            next.blocks.insert(place, BlockName { number: block.number(), level: block.level() });
        }
        self.files.save(&next)?;
        *manifest = next;
        self.show_other(contents, |view| {
            let numbers: Vec<u64> = old.iter().map(|block| block.number()).collect();
            let number = new.as_ref().map(Block::number);
            Arc::make_mut(&mut view.tombstones).blocks_changed(&numbers, number, upto);
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
        cutoff: &Cutoff,
        pace: &mut dyn FnMut(u64),
        report: &mut MaintainReport,
    ) -> Result<(), MaintainError> {
        let blocks = Arc::clone(&self.shown.read().view.blocks);
        for block in blocks.iter().filter(|block| block.is_damaged()) {
            let lost = self.merge(manifest, std::slice::from_ref(block), block.level(), Aim::Keep(cutoff), pace)?;
            let lost = lost.iter().sum();
            let path = self.files.block(block.number());
            let file = path.display().to_string();
            tracing::warn!(file, lost, "a damaged block was rewritten without what cannot be read");
            self.files.quarantine(&path)?;
            report.quarantined.push((file, lost));
        }
        Ok(())
    }
}
