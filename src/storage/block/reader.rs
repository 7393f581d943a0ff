//! An open block: its index in memory, its pages in the mapped file.

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use crate::codec::{Cursor, Damaged};
use crate::env::disk::{Disk, Mapped};
use crate::model::{Labels, Sample, SeriesRef, TimeRange, Timestamp};

use super::format::{self, ChunkPlace, Footer, SeriesEntry};

/// A sealed block.
#[derive(Debug)]
pub(in crate::storage) struct Block {
    number: u64,
    level: u8,
    path: PathBuf,
    content: Mapped,
    footer: Footer,
    /// In the order of labels.
    series: Vec<BlockSeries>,
    chunks: Vec<ChunkPlace>,
    /// Positions in `series`, in the order of numbers.
    by_number: Vec<(SeriesRef, u32)>,
    damaged: AtomicBool,
}

/// One series of a block.
#[derive(Debug)]
struct BlockSeries {
    labels: Labels,
    chunks_start: u32,
    chunks_end: u32,
}

/// A block that cannot be opened.
#[derive(Debug)]
pub(in crate::storage) enum BlockError {
    /// The disk did not give the bytes.
    Io(io::Error),
    /// The bytes are not a block.
    Damaged(Damaged),
}

impl From<Damaged> for BlockError {
    fn from(damaged: Damaged) -> BlockError {
        BlockError::Damaged(damaged)
    }
}

/// A page of a block that fails its check, met while reading.
#[derive(Debug)]
pub(in crate::storage) struct DamagedBlock {
    /// Its file.
    pub(in crate::storage) file: String,
    /// The first sample time of the file.
    pub(in crate::storage) first: Timestamp,
    /// The last sample time of the file.
    pub(in crate::storage) last: Timestamp,
    /// What is wrong with the page.
    pub(in crate::storage) reason: Damaged,
}

/// The page of each block that was unpacked last: neighbours in order lie on the same page.
#[derive(Debug, Default)]
pub(in crate::storage) struct PageCache {
    pages: HashMap<u64, (u64, Vec<u8>)>,
}

impl Block {
    /// Opens a block and checks its header, index and footer. `intern` numbers a series, given its
    /// labels and its newest sample.
    pub(in crate::storage) fn open(
        disk: &dyn Disk,
        path: &Path,
        (number, level): (u64, u8),
        mut intern: impl FnMut(&Labels, Sample) -> SeriesRef,
    ) -> Result<Block, BlockError> {
        let content = disk.map(path).map_err(BlockError::Io)?;
        format::check_header(&content)?;
        let (footer, mut index) = Footer::take(&content)?;
        let mut entries = Vec::new();
        while !index.is_empty() {
            let (page, length) = format::take_page(index)?;
            index = &index[length..];
            let mut from = Cursor::new(&page);
            while from.remaining() > 0 {
                entries.push(SeriesEntry::take(&mut from)?);
            }
        }
        if entries.len() as u64 != footer.series {
            return Err(Damaged("the index has another number of series than the footer").into());
        }
        // Only a block that is sound as a whole may make series known.
        let mut block = Block {
            number,
            level,
            path: path.to_owned(),
            content,
            footer,
            series: Vec::with_capacity(entries.len()),
            chunks: Vec::new(),
            by_number: Vec::with_capacity(entries.len()),
            damaged: AtomicBool::new(false),
        };
        for entry in entries {
            let Some(last) = entry.chunks.last() else { continue };
            let newest = Sample { t: last.last, v: f64::from_bits(entry.last_value) };
            let series = intern(&entry.labels, newest);
            block.by_number.push((series, block.series.len() as u32));
            let chunks_start = block.chunks.len() as u32;
            block.chunks.extend(entry.chunks);
            let chunks_end = block.chunks.len() as u32;
            block.series.push(BlockSeries { labels: entry.labels, chunks_start, chunks_end });
        }
        block.by_number.sort_unstable();
        Ok(block)
    }

    /// Its number, which is its file's name.
    pub(in crate::storage) fn number(&self) -> u64 {
        self.number
    }

    /// How many times its samples were merged.
    pub(in crate::storage) fn level(&self) -> u8 {
        self.level
    }

    /// The bytes of its file.
    pub(in crate::storage) fn bytes(&self) -> u64 {
        self.content.len() as u64
    }

    /// How many samples it holds.
    pub(in crate::storage) fn samples(&self) -> u64 {
        self.footer.samples
    }

    /// The time of its first sample.
    pub(in crate::storage) fn first(&self) -> Timestamp {
        self.footer.first
    }

    /// The time of its last sample.
    pub(in crate::storage) fn last(&self) -> Timestamp {
        self.footer.last
    }

    /// Whether a read has met a damaged page.
    pub(in crate::storage) fn is_damaged(&self) -> bool {
        self.damaged.load(Ordering::Relaxed)
    }

    /// The labels of its series, sorted, each with its position.
    pub(in crate::storage) fn labels(&self) -> impl Iterator<Item = (usize, &Labels)> {
        self.series.iter().map(|series| &series.labels).enumerate()
    }

    /// Adds to `out` the samples of a series inside `range`.
    pub(in crate::storage) fn read(
        &self,
        series: SeriesRef,
        range: TimeRange,
        cache: &mut PageCache,
        out: &mut Vec<Sample>,
    ) -> Result<(), DamagedBlock> {
        for chunk in self.chunks_inside(series, range) {
            self.read_chunk(chunk, range, cache, out).map_err(|reason| self.damage(reason))?;
        }
        Ok(())
    }

    /// Adds to `out` all samples of the series at a position that can be read, and gives the number
    /// of those that cannot.
    pub(in crate::storage) fn salvage(&self, position: usize, cache: &mut PageCache, out: &mut Vec<Sample>) -> u64 {
        let Some(series) = self.series.get(position) else { return 0 };
        let mut lost = 0;
        for chunk in &self.chunks[series.chunks_start as usize..series.chunks_end as usize] {
            if let Err(reason) = self.read_chunk(chunk, TimeRange::ALL, cache, out) {
                self.damage(reason);
                lost += u64::from(chunk.count);
            }
        }
        lost
    }

    /// Whether a chunk of the series overlaps `range`.
    pub(in crate::storage) fn touches(&self, series: SeriesRef, range: TimeRange) -> bool {
        self.chunks_inside(series, range).next().is_some()
    }

    fn chunks_inside(&self, series: SeriesRef, range: TimeRange) -> impl Iterator<Item = &ChunkPlace> {
        let chunks = if range.overlaps(self.footer.first, self.footer.last)
            && let Ok(found) = self.by_number.binary_search_by_key(&series, |(number, _)| *number)
        {
            let series = &self.series[self.by_number[found].1 as usize];
            &self.chunks[series.chunks_start as usize..series.chunks_end as usize]
        } else {
            &[]
        };
        let start = chunks.partition_point(|chunk| chunk.last <= range.after);
        chunks[start..].iter().take_while(move |chunk| chunk.first <= range.until)
    }

    fn read_chunk(
        &self,
        chunk: &ChunkPlace,
        range: TimeRange,
        cache: &mut PageCache,
        out: &mut Vec<Sample>,
    ) -> Result<(), Damaged> {
        let page = match cache.pages.get(&self.number) {
            Some((at, _)) if *at == chunk.page => &cache.pages[&self.number].1,
            _ => {
                let start = usize::try_from(chunk.page).unwrap_or(usize::MAX);
                let bytes = self.content.get(start..).ok_or(Damaged("a page lies behind the end"))?;
                let (page, _) = format::take_page(bytes)?;
                &cache.pages.entry(self.number).insert_entry((chunk.page, page)).into_mut().1
            }
        };
        let start = chunk.start as usize;
        let bytes = page.get(start..start + chunk.length as usize).ok_or(Damaged("a chunk lies behind its page"))?;
        let samples = format::take_chunk(bytes, chunk.count as usize)?;
        if range.after < chunk.first && chunk.last <= range.until {
            out.extend(samples);
        } else {
            out.extend(samples.filter(|sample| range.contains(sample.t)));
        }
        Ok(())
    }

    fn damage(&self, reason: Damaged) -> DamagedBlock {
        self.damaged.store(true, Ordering::Relaxed);
        DamagedBlock { file: self.path.display().to_string(), first: self.footer.first, last: self.footer.last, reason }
    }
}
