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
use super::content::Content;
use super::head::Generation;
use super::maintain::MaintainError;
use super::manifest::{Attachments, BlockName, Manifest, SeriesFileName};
use super::series_files::SeriesFileWriter;
use super::store::{Inner, Store};
use super::tombstones::Tombstones;
use super::wal::{segment_path, segments};

/// A checkpoint between its beginning and its end.
pub(super) struct Checkpoint {
    attachments: Attachments,
    /// A number that no series had had.
    next_series: u32,
    /// Series that the log explains which goes with it.
    explained: Vec<u32>,
    first_segment: u64,
    generation: Arc<Generation>,
    kept: Captured,
}

/// A sample takes four to nine bytes of the log, so this is a chunk of about a hundred samples.
const LOG_BYTES_PER_SERIES: u64 = 512;
/// So many times the configured bytes at the most: a start must not take longer for it than people wait.
const FLUSH_FACTOR_MAX: u64 = 2;
/// Series files after which the next checkpoint writes one in the place of all.
const SERIES_FILES_MAX: usize = 8;
/// Series whose labels are read under one lock of the index.
const SERIES_PER_LOCK: usize = 1024;

impl Store {
    /// Whether the log has grown enough for a checkpoint, and none is under way.
    pub fn checkpoint_due(&self) -> bool {
        let log_bytes = self.inner.writer.lock().log_bytes;
        let series = self.inner.index.lock.read().len() as u64;
        log_bytes >= flush_bytes(self.inner.options.flush_bytes, series) && self.inner.pending.lock().is_none()
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
        writer.generations.retain(|earlier| earlier.strong_count() > 0);
        writer.generations.push(Arc::downgrade(&generation));
        let attachments = Attachments { seq: writer.seq, at: writer.at, parts: attachments };
        let kept = inner.kept.lock.read().capture();
        *pending = Some(Arc::new(Checkpoint {
            attachments,
            next_series: writer.next_series,
            explained: std::mem::take(&mut writer.explained),
            first_segment: writer.next_segment,
            generation,
            kept,
        }));
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

/// Log bytes after which a checkpoint is due. The chunks of a block are as long as the log gives its
/// series samples, and short ones cost bytes and merging; but a start replays the log.
fn flush_bytes(configured: u64, series: u64) -> u64 {
    let wanted = series.saturating_mul(LOG_BYTES_PER_SERIES);
    wanted.clamp(configured, configured.saturating_mul(FLUSH_FACTOR_MAX))
}

impl Inner {
    pub(super) fn finish_checkpoint(&self, manifest: &mut Manifest) -> Result<(), MaintainError> {
        let Some(checkpoint) = self.pending.lock().clone() else { return Ok(()) };
        let upto = checkpoint.attachments.seq;
        let tombstones = Arc::clone(&self.shown.read().view.tombstones);
        let block = self.write_block(manifest, 0, |writer| {
            for (labels, series) in self.sorted_series(&checkpoint.generation) {
                let mut content = Content::default();
                let (cover, range) = (tombstones.cover(&labels, TimeRange::ALL, upto), TimeRange::ALL);
                checkpoint.generation.read(series, &cover, range, upto, &mut content.samples);
                checkpoint.generation.read_histograms(series, &cover, range, upto, &mut content.histograms);
                content.put_in_order();
                writer.add(&labels, &content.samples, &content.histograms)?;
            }
            Ok(())
        })?;
        let (attachments, series) = (manifest.next_file, manifest.next_file + 1);
        manifest.next_file += 2;
        let mut parts = checkpoint.attachments.clone();
        parts.parts.extend(checkpoint.kept.to_parts());
        let mut left = Tombstones::clone(&tombstones);
        left.forget_done(upto);
        let mut next = manifest.clone();
        let written = self.write_series(manifest, &checkpoint, series);
        let written = written.and_then(|series_files| {
            self.files.save_attachments(attachments, &parts)?;
            self.files.save_tombstones(&mut next, &left.upto(upto))?;
            Ok(series_files)
        });
        let series_files = match written {
            Ok(series_files) => series_files,
            Err(error) => {
                // Another try writes all anew; on a full disk, what this one wrote must not stay. Once the
                // manifest is being replaced it is too late for that: it may name them already.
                self.remove(&self.files.attachments(attachments));
                self.remove(&self.files.series(series));
                self.remove_tombstones(next.tombstones, manifest);
                if let Some(block) = block {
                    self.remove(&self.files.block(block.number()));
                }
                return Err(error.into());
            }
        };
        next.series_files = series_files;
        next.next_series = checkpoint.next_series;
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
        self.remove_series_files(&before.series_files, &manifest.series_files);
        self.remove_segments(manifest.first_segment);
        Ok(())
    }

    /// Writes the labels of the series that only the log before the checkpoint explains, and gives the
    /// series files that count then: one more, or one in the place of all. A series that the index
    /// does not know any more is left out: no entry behind the checkpoint speaks of it.
    fn write_series(
        &self,
        manifest: &Manifest,
        checkpoint: &Checkpoint,
        number: u64,
    ) -> std::io::Result<Vec<SeriesFileName>> {
        let named: u64 = manifest.series_files.iter().map(|file| u64::from(file.series)).sum();
        let (all, living) = (named + checkpoint.explained.len() as u64, self.index.lock.read().len() as u64);
        let damaged = !self.log.lock().damaged_series.is_empty();
        let anew = damaged || manifest.series_files.len() >= SERIES_FILES_MAX || all > 2 * living;
        let (mut files, mut numbers) = if anew {
            (Vec::new(), self.writer.lock().states.explained().collect())
        } else {
            (manifest.series_files.clone(), checkpoint.explained.clone())
        };
        numbers.sort_unstable();
        numbers.dedup();
        let mut writer = SeriesFileWriter::default();
        for part in numbers.chunks(SERIES_PER_LOCK) {
            // Locked for a few at a time: a new series of the writer must not wait for all of them.
            let index = self.index.lock.read();
            for number in part {
                if let Some(labels) = index.labels(SeriesRef(u64::from(*number))) {
                    writer.push(*number, labels.as_text());
                }
            }
        }
        if writer.series() > 0 {
            files.push(SeriesFileName { number, series: writer.series() });
            writer.write(&*self.files.disk, &self.files.series(number), checkpoint.next_series)?;
            self.files.disk.sync_dir(&self.files.blocks)?;
        }
        Ok(files)
    }

    /// Removes the series files that the manifest does not name any more, or keeps them aside if they
    /// are damaged.
    fn remove_series_files(&self, before: &[SeriesFileName], now: &[SeriesFileName]) {
        let mut log = self.log.lock();
        for name in before.iter().filter(|name| !now.contains(name)) {
            let path = self.files.series(name.number);
            if !log.damaged_series.remove(&name.number) {
                self.remove(&path);
            } else if let Err(error) = self.files.quarantine(&path) {
                tracing::warn!(%error, "a damaged series file cannot be kept aside");
            }
        }
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

    /// Makes spares of the log segments before `first`, removes them, or keeps them aside if they are damaged.
    fn remove_segments(&self, first: u64) {
        let Ok(entries) = self.files.disk.list(&self.files.wal) else { return };
        let mut log = self.log.lock();
        log.segments.retain(|number, _| *number >= first);
        for (number, entry) in segments(&entries) {
            if number >= first {
                continue;
            }
            let wal = &self.files.wal;
            let done = if log.damaged.remove(&number) {
                self.files.quarantine(&segment_path(wal, number))
            } else {
                log.retire(&*self.files.disk, (wal, number), entry.bytes, self.options.segment_bytes_max)
            };
            if let Err(error) = done {
                tracing::warn!(%error, "a log segment that is not needed stays until the next start");
            }
        }
    }

    fn sorted_series(&self, generation: &Generation) -> Vec<(Labels, SeriesRef)> {
        let series = generation.series();
        let index = self.index.lock.read();
        let named = |series: SeriesRef| Some((index.labels(series)?, series));
        let mut all: Vec<_> = series.into_iter().filter_map(named).collect();
        drop(index);
        all.sort_unstable();
        all
    }
}
