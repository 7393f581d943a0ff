//! The log: segments of checksummed records, one record an entry.
//!
//! Invariants:
//! - A segment's file is as long from the beginning as it will be, so that room is missing at its creation
//!   and not in the middle of a record, and a sync has no length to note.
//! - What stands in a file from an earlier use never counts: the segment's number is part of each checksum.
//! - What a failed write left is cut off and synced before anything else is written; if that fails,
//!   nothing is written any more.

mod files;
mod format;
mod histograms;
mod scan;
mod segment;

pub(super) use files::{LogFiles, allocated_bytes, file_number, segment_path, segments, spares};
pub(super) use format::{END, Encoder, EntryKind, RecordHeader, SEGMENT_HEADER_BYTES, Transaction};
pub(super) use scan::{Place, Scan, scan, torn_bytes};
pub(super) use segment::{NewSegment, Segment, WriteError};
