//! Blocks: sealed files of compressed chunks with the series that they belong to.
//!
//! Invariants:
//! - A block is complete and durable before a manifest names it, and never changed afterwards.
//! - Every byte is under a checksum; a page's is checked each time it is read.

mod format;
mod reader;
mod writer;

pub(super) use reader::{Block, BlockError, DamagedBlock, PageCache};
pub(super) use writer::BlockWriter;
