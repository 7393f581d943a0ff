//! Writing a block, front to back.

use std::io;
use std::path::Path;

use crate::env::disk::{Disk, DiskFile};
use crate::model::{Labels, Sample, Timestamp};

use super::format::{self, ChunkPlace, Footer, SeriesEntry};

/// A block in the making. Series come in the order of their labels, samples in the order of time.
pub(in crate::storage) struct BlockWriter {
    file: Box<dyn DiskFile>,
    offset: u64,
    /// Chunks of the page that is being filled.
    page: Vec<u8>,
    index: Vec<SeriesEntry>,
    samples: u64,
    first: Timestamp,
    last: Timestamp,
}

impl BlockWriter {
    /// Begins the file.
    pub(in crate::storage) fn create(disk: &dyn Disk, path: &Path) -> io::Result<BlockWriter> {
        let mut file = disk.create(path)?;
        file.write_all(&format::header())?;
        Ok(BlockWriter {
            file,
            offset: format::HEADER_BYTES as u64,
            page: Vec::new(),
            index: Vec::new(),
            samples: 0,
            first: Timestamp::MAX,
            last: Timestamp::MIN,
        })
    }

    /// Adds a series with its samples; without samples it is left out.
    pub(in crate::storage) fn add(&mut self, labels: &Labels, samples: &[Sample]) -> io::Result<()> {
        let (Some(first), Some(last)) = (samples.first(), samples.last()) else { return Ok(()) };
        debug_assert!(samples.is_sorted_by(|a, b| a.t < b.t), "samples of {labels} are in order");
        let mut chunks = Vec::with_capacity(samples.len().div_ceil(format::CHUNK_SAMPLES));
        for part in samples.chunks(format::CHUNK_SAMPLES) {
            let start = self.page.len();
            format::put_chunk(&mut self.page, part);
            chunks.push(ChunkPlace {
                first: part[0].t,
                last: part[part.len() - 1].t,
                count: part.len() as u32,
                page: self.offset,
                start: start as u32,
                length: (self.page.len() - start) as u32,
            });
            if self.page.len() >= format::PAGE_BYTES {
                self.close_page()?;
            }
        }
        self.samples += samples.len() as u64;
        self.first = self.first.min(first.t);
        self.last = self.last.max(last.t);
        self.index.push(SeriesEntry { labels: labels.clone(), last_value: last.v.to_bits(), chunks });
        Ok(())
    }

    /// Samples added so far.
    pub(in crate::storage) fn samples(&self) -> u64 {
        self.samples
    }

    /// Writes index and footer and makes the file's content durable; its name is the caller's affair.
    pub(in crate::storage) fn finish(mut self) -> io::Result<()> {
        self.close_page()?;
        let footer = Footer {
            index: self.offset,
            series: self.index.len() as u64,
            samples: self.samples,
            first: self.first,
            last: self.last,
        };
        for entry in std::mem::take(&mut self.index) {
            entry.put(&mut self.page);
            if self.page.len() >= format::PAGE_BYTES {
                self.close_page()?;
            }
        }
        self.close_page()?;
        self.file.write_all(&footer.to_bytes())?;
        self.file.sync()
    }

    fn close_page(&mut self) -> io::Result<()> {
        if self.page.is_empty() {
            return Ok(());
        }
        let mut bytes = Vec::with_capacity(self.page.len());
        format::put_page(&mut bytes, &self.page);
        self.page.clear();
        self.offset += bytes.len() as u64;
        self.file.write_all(&bytes)
    }
}
