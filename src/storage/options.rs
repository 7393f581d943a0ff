//! What a store is opened with.

use crate::model::{DownsampleRule, Millis, limits};

use super::retention::RetentionRule;

/// When a transaction counts as taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Durability {
    /// When the disk has it: it survives a power cut.
    #[default]
    Synced,
    /// When the operating system has it: it survives the end of the process. A power cut loses up
    /// to this much; the owner calls [`Store::sync`](super::Store::sync) that often.
    Interval(Millis),
    /// When the operating system has it; it is synced when the system pleases.
    Buffered,
}

/// An hour: what pauses for less, a restart, a deployment or a job that runs now and then, comes back to its
/// old number, and what comes back later costs one look into the blocks. What churns is in memory for an
/// hour more, which is little beside the checkpoint that it waits for anyway.
const IDLE: Millis = Millis::hours(1);

/// What a store is opened with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoreOptions {
    /// When a transaction counts as taken.
    pub durability: Durability,
    /// How long samples are kept.
    pub retention: Millis,
    /// Series that are kept for another time; the first rule that takes a series counts.
    pub retention_rules: Vec<RetentionRule>,
    /// Which series are kept at a lower resolution from which age on. Of several rules that take a series the
    /// one with the longest intervals counts whose age has come.
    pub downsample: Vec<DownsampleRule>,
    /// Bytes that everything together may take; then the oldest blocks go. 0 for any number.
    pub retention_bytes: u64,
    /// The size at which a log segment is closed and the next one begun.
    pub segment_bytes_max: u64,
    /// Log bytes after which a checkpoint is due; twice as many if there are many series.
    pub flush_bytes: u64,
    /// How much older than its series' newest a sample may be.
    pub out_of_order: Millis,
    /// Bytes that a commit leaves free on the disk, so that a checkpoint can still be written and
    /// make room.
    pub reserve_bytes: u64,
    /// Exemplars that are kept in memory, of all series together; 0 keeps none.
    pub exemplars_max: usize,
    /// Changes of when the counting of series began that are kept in memory, of all series together; 0 keeps none.
    pub start_changes_max: usize,
    /// A series that gets no samples for so long leaves memory when all of its samples are in blocks.
    pub idle: Millis,
    /// Series that are in memory at once; new ones beyond are refused.
    pub series_max: u64,
}

impl Default for StoreOptions {
    /// Synced, 30 days, segments of 32 MiB, a checkpoint every 64 MiB of log (128 MiB if there are many
    /// series), nothing out of order. Two segments between checkpoints are as many as are used again.
    fn default() -> StoreOptions {
        StoreOptions {
            durability: Durability::Synced,
            retention: Millis::days(30),
            retention_rules: Vec::new(),
            downsample: Vec::new(),
            retention_bytes: 0,
            segment_bytes_max: 32 << 20,
            flush_bytes: 64 << 20,
            out_of_order: Millis::ZERO,
            reserve_bytes: 32 << 20,
            exemplars_max: limits::EXEMPLARS_MAX,
            start_changes_max: 0,
            idle: IDLE,
            series_max: limits::ACTIVE_SERIES_MAX,
        }
    }
}
