//! The log: segments of checksummed records, one record an entry.
//!
//! Invariants:
//! - A record's bytes are written once. What a failed write left is cut off and synced before
//!   anything else is written; if that fails, nothing is written any more.
//! - A segment explains itself: the labels of a series stand in the segment before or with its first use.

mod format;
mod scan;
mod segment;

pub(super) use format::{Encoder, EntryKind, RecordHeader, SEGMENT_HEADER_BYTES, Transaction};
pub(super) use scan::{Place, Scan, scan};
pub(super) use segment::{Segment, WriteError, segment_number, segment_path};
