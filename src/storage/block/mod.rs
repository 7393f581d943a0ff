//! Blocks: sealed files of compressed chunks with the series that they belong to.
//!
//! Invariants:
//! - A block is complete and durable before a manifest names it, and never changed afterwards.
//! - Every byte is under a checksum; a page's is checked each time it is read.
//! - Of an open block, header and footer are in memory, the names of labels once asked for, and some of the
//!   pages that were asked for.

mod chunk;
mod format;
mod index;
mod intervals;
mod pages;
mod reader;
mod shared;
mod survey;
mod writer;

pub(super) use chunk::format::{Slice, VECTOR_SAMPLES};
pub(super) use chunk::{ChunkPlace, EncodedChunk};
pub(super) use reader::{Block, BlockError, BlockReader, DamagedBlock, PageCache};
pub(super) use survey::SectionSize;
pub(super) use writer::BlockWriter;
