//! What the store says of itself: counters and its health.

use crate::model::{HistogramSample, Rejected, Rejection, Sample, Seq, SeriesRef, Timestamp};

/// Whether the store takes writes.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Health {
    /// It does.
    #[default]
    Healthy,
    /// The last one was refused; the next one tries again.
    ReadOnly {
        /// Why.
        reason: String,
    },
    /// None until it is opened again.
    Poisoned {
        /// Why.
        reason: String,
    },
}

/// Counters and sizes.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct StoreStatus {
    /// Whether it takes writes.
    pub health: Health,
    /// Since when it does not.
    pub unhealthy_since: Option<Timestamp>,
    /// Series with samples inside the retention.
    pub series: u64,
    /// Bytes that samples take in memory which are in no block yet.
    pub head_bytes: u64,
    /// Samples stored since it was opened.
    pub samples_appended: u64,
    /// Native histograms stored since it was opened.
    pub histograms_appended: u64,
    /// Samples and histograms refused since it was opened, by reason.
    pub rejected: Vec<(Rejection, u64)>,
    /// Changes of when the counting of series began that are kept.
    pub start_changes: u64,
    /// Such changes there was no room for since it was opened.
    pub start_changes_dropped: u64,
    /// Bytes in log segments.
    pub wal_bytes: u64,
    /// Log segments.
    pub wal_segments: u64,
    /// Blocks.
    pub blocks: u64,
    /// Bytes in blocks.
    pub block_bytes: u64,
    /// Samples and histograms in blocks.
    pub block_samples: u64,
    /// The last entry of the log.
    pub last_seq: Seq,
    /// The log's time at that entry.
    pub last_at: Timestamp,
    /// The earliest sample, if there is any.
    pub first_sample: Option<Timestamp>,
    /// The latest sample, if there is any.
    pub last_sample: Option<Timestamp>,
    /// How often the log was synced.
    pub fsyncs: u64,
    /// Checkpoints finished.
    pub checkpoints: u64,
    /// Blocks merged into larger ones.
    pub blocks_merged: u64,
    /// Blocks written anew at a lower resolution.
    pub blocks_downsampled: u64,
}

/// One block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BlockStatus {
    /// Its number, which is its file's name.
    pub number: u64,
    /// How many times its samples were merged.
    pub level: u8,
    /// Its earliest sample.
    pub first: Timestamp,
    /// Its latest sample.
    pub last: Timestamp,
    /// Its series.
    pub series: u32,
    /// Its samples.
    pub samples: u64,
    /// Its file's bytes.
    pub bytes: u64,
}

impl StoreStatus {
    pub(super) fn set_health(&mut self, health: Health, at: Timestamp) {
        self.unhealthy_since = (health != Health::Healthy).then(|| self.unhealthy_since.unwrap_or(at));
        self.health = health;
    }

    pub(super) fn count_rejected(&mut self, rejected: &Rejected) {
        for (reason, n) in &rejected.counts {
            match self.rejected.iter_mut().find(|(r, _)| r == reason) {
                Some((_, total)) => *total += n,
                None => self.rejected.push((*reason, *n)),
            }
        }
    }

    /// Takes note of the times of samples that were stored.
    pub(super) fn see_samples(&mut self, samples: &[(SeriesRef, Sample)]) {
        // Most samples of a transaction have the time of the one before.
        let mut seen = None;
        for (_, sample) in samples {
            if seen != Some(sample.t) {
                self.see_sample(sample.t);
                seen = Some(sample.t);
            }
        }
    }

    /// Takes note of the times of native histograms that were stored.
    pub(super) fn see_histograms(&mut self, histograms: &[(SeriesRef, HistogramSample)]) {
        histograms.iter().for_each(|(_, histogram)| self.see_sample(histogram.t));
    }

    pub(super) fn see_sample(&mut self, t: Timestamp) {
        self.first_sample = Some(self.first_sample.map_or(t, |first| first.min(t)));
        self.last_sample = Some(self.last_sample.map_or(t, |last| last.max(t)));
    }
}
