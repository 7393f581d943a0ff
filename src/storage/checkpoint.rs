//! Checkpoints: the head's samples become a block, and the log before them goes.
//!
//! Invariants:
//! - A segment is removed only after a durable manifest says that it is not needed.
//! - A checkpoint that fails anywhere can be finished later, or by a replay of the log.

use std::sync::Arc;

use crate::model::{Labels, SeriesRef, TimeRange};

use super::beside::Captured;
use super::block::{Block, BlockError, BlockWriter};
use super::commit::CommitError;
use super::head::Generation;
use super::maintain::MaintainError;
use super::manifest::{Attachments, BlockName, Manifest};
use super::snapshot::put_in_order;
use super::store::{Inner, Store};
use super::tombstones::Tombstones;
use super::wal::{segment_number, segment_path};

/// A checkpoint between its beginning and its end.
pub(super) struct Checkpoint {
    attachments: Attachments,
    first_segment: u64,
    generation: Arc<Generation>,
    kept: Captured,
}

impl Store {
    /// Whether the log has grown enough for a checkpoint, and none is under way.
    pub fn checkpoint_due(&self) -> bool {
        let due = self.inner.writer.lock().log_bytes >= self.inner.options.flush_bytes;
        due && self.inner.pending.lock().is_none()
    }

    /// Begins a checkpoint at the last entry, with what upper layers want to find at the next start.
    /// Cheap. `false`: one is under way already, and nothing was done.
    ///
    /// # Errors
    /// The store takes no writes, or the log cannot be synced.
    pub fn begin_checkpoint(&self, attachments: Vec<(String, Vec<u8>)>) -> Result<bool, CommitError> {
        let inner = &self.inner;
        let mut writer = inner.writer.lock();
        writer.check_open()?;
        let mut pending = inner.pending.lock();
        if pending.is_some() {
            return Ok(false);
        }
        inner.sync_log(&mut writer)?;
        // The next entry opens a new segment; the checkpoint needs none from it on.
        writer.segment = None;
        writer.log_bytes = 0;
        let mut generation = None;
        inner.show(|view| {
            generation = Some(Arc::clone(&view.live));
            view.frozen = generation.clone();
            view.live = Arc::new(Generation::new(writer.seq));
        });
        let Some(generation) = generation else { return Ok(false) };
        let attachments = Attachments { seq: writer.seq, at: writer.at, parts: attachments };
        let kept = inner.kept.read().capture();
        *pending = Some(Arc::new(Checkpoint { attachments, first_segment: writer.next_segment, generation, kept }));
        Ok(true)
    }

    /// Finishes the checkpoint that is under way, if there is one: writes the block, then the
    /// manifest, then removes what is not needed any more.
    ///
    /// # Errors
    /// The disk's; the checkpoint stays under way, and calling again tries again.
    pub fn finish_checkpoint(&self) -> Result<(), MaintainError> {
        let mut manifest = self.inner.maintenance.lock();
        self.inner.finish_checkpoint(&mut manifest)
    }
}

impl Inner {
    pub(super) fn finish_checkpoint(&self, manifest: &mut Manifest) -> Result<(), MaintainError> {
        let Some(checkpoint) = self.pending.lock().clone() else { return Ok(()) };
        let upto = checkpoint.attachments.seq;
        let tombstones = Arc::clone(&self.shown.read().view.tombstones);
        let block = self.write_block(manifest, 0, |writer| {
            for (labels, series) in self.sorted_series(&checkpoint.generation) {
                let mut samples = Vec::new();
                let cover = tombstones.cover(&labels, TimeRange::ALL, upto);
                checkpoint.generation.read(series, &cover, TimeRange::ALL, upto, &mut samples);
                put_in_order(&mut samples);
                writer.add(&labels, &samples)?;
            }
            Ok(())
        })?;
        let attachments = manifest.next_file;
        manifest.next_file += 1;
        let mut parts = checkpoint.attachments.clone();
        parts.parts.extend(checkpoint.kept.to_parts());
        let mut left = Tombstones::clone(&tombstones);
        left.forget_done(upto);
        let mut next = manifest.clone();
        let saved = self
            .files
            .save_attachments(attachments, &parts)
            .and_then(|()| self.files.save_tombstones(&mut next, &left.upto(upto)));
        if let Err(error) = saved {
            // Another try writes both anew; on a full disk, what this one wrote must not stay. Once the
            // manifest is being replaced it is too late for that: it may name them already.
            self.remove(&self.files.attachments(attachments));
            if let Some(block) = block {
                self.remove(&self.files.block(block.number()));
            }
            return Err(error.into());
        }
        next.seq = checkpoint.attachments.seq;
        next.at = checkpoint.attachments.at;
        next.first_segment = checkpoint.first_segment;
        next.attachments = attachments;
        next.blocks.extend(block.iter().map(|block| BlockName { number: block.number(), level: block.level() }));
        self.files.save(&next)?;
        let before = std::mem::replace(manifest, next);
        let number = block.as_ref().map(Block::number);
        self.show(|view| {
            if let Some(block) = block {
                let blocks = view.blocks.iter().cloned().chain([Arc::new(block)]).collect();
                view.blocks = Arc::new(blocks);
            }
            let tombstones = Arc::make_mut(&mut view.tombstones);
            tombstones.blocks_changed(&[], number, upto);
            tombstones.forget_done(upto);
            view.frozen = None;
        });
        *self.pending.lock() = None;
        self.status.lock().checkpoints += 1;
        if before.attachments > 0 {
            self.remove(&self.files.attachments(before.attachments));
        }
        self.remove_tombstones(before.tombstones, manifest);
        self.remove_segments(manifest.first_segment);
        Ok(())
    }

    /// Writes a block with the next file number and opens it; without samples there is none.
    pub(super) fn write_block(
        &self,
        manifest: &mut Manifest,
        level: u8,
        fill: impl FnOnce(&mut BlockWriter) -> Result<(), MaintainError>,
    ) -> Result<Option<Block>, MaintainError> {
        let number = manifest.next_file;
        manifest.next_file += 1;
        let path = self.files.block(number);
        let disk = &*self.files.disk;
        let write = || {
            let mut writer = BlockWriter::create(disk, &path, level)?;
            fill(&mut writer)?;
            if writer.samples() == 0 {
                return Ok(None);
            }
            writer.finish()?;
            disk.sync_dir(&self.files.blocks)?;
            let block = Block::open(disk, &path, (number, level)).map_err(|error| match error {
                BlockError::Io(error) => MaintainError::Io(error),
                BlockError::Damaged(reason) => {
                    MaintainError::Unsound { file: path.display().to_string(), reason: reason.to_string() }
                }
            })?;
            Ok(Some(block))
        };
        let block = write();
        if !matches!(block, Ok(Some(_))) {
            // No manifest names it; what cannot be removed now is removed at the next start.
            self.remove(&path);
        }
        block
    }

    /// Removes a file that nothing needs any more; if that fails, the next start does it.
    pub(super) fn remove(&self, path: &std::path::Path) {
        if let Err(error) = self.files.disk.remove(path) {
            tracing::debug!(%error, "a file that is not needed stays until the next start");
        }
    }

    /// Removes the log segments before `first`, or keeps them aside if they are damaged.
    fn remove_segments(&self, first: u64) {
        let Ok(entries) = self.files.disk.list(&self.files.wal) else { return };
        let mut damaged = self.damaged_segments.lock();
        let (mut bytes, mut count) = (0, 0);
        for entry in entries {
            let Some(number) = segment_number(&entry.name) else { continue };
            if number >= first {
                bytes += entry.bytes;
                count += 1;
            } else if damaged.remove(&number) {
                if let Err(error) = self.files.quarantine(&segment_path(&self.files.wal, number)) {
                    tracing::warn!(%error, "a damaged log segment cannot be kept aside");
                }
            } else {
                self.remove(&entry.path);
            }
        }
        let mut status = self.status.lock();
        (status.wal_bytes, status.wal_segments) = (bytes, count);
    }

    fn sorted_series(&self, generation: &Generation) -> Vec<(Labels, SeriesRef)> {
        let series = generation.series();
        let index = self.index.lock.read();
        let named = |series: SeriesRef| index.labels(series).map(|labels| (labels.clone(), series));
        let mut all: Vec<_> = series.into_iter().filter_map(named).collect();
        drop(index);
        all.sort_unstable();
        all
    }
}
