//! What the database says of itself: numbers for people, pages and `/metrics`.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;

use crate::model::{Labels, Rejected, Rejection, Seq, Timestamp};
use crate::notify::NotifyStatus;
use crate::storage::{BlockStatus, Health, StoreStatus};

use super::Db;
use super::cache::CacheStatus;
use super::error::AppendError;
use super::ingest::Receipt;

/// Upper bounds of the buckets of latencies, in seconds: from a sync of a fast disk to a stalled one.
const LATENCY_BOUNDS: [f64; 12] = [0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0];

/// Counts since the start.
#[derive(Default)]
pub(super) struct Counters {
    stored: AtomicU64,
    refused: AtomicU64,
    failed: AtomicU64,
    samples: AtomicU64,
    rejected: [AtomicU64; REASONS.len()],
    histograms: AtomicU64,
    coarsened: AtomicU64,
    /// Native histograms that were none, by reason.
    invalid: Mutex<BTreeMap<&'static str, u64>>,
    latency_buckets: [AtomicU64; LATENCY_BOUNDS.len()],
    latency_ns: AtomicU64,
    decisions: AtomicU64,
    decision_ns: AtomicU64,
    decision_buckets: [AtomicU64; LATENCY_BOUNDS.len()],
    queries: AtomicU64,
    audits: AtomicU64,
    mismatches: AtomicU64,
}

const REASONS: [Rejection; 7] = [
    Rejection::OutOfOrder,
    Rejection::Duplicate,
    Rejection::FarFuture,
    Rejection::TooOld,
    Rejection::Downsampled,
    Rejection::TooManySeries,
    Rejection::InvalidHistogram,
];

impl Counters {
    /// Counts an append with what became of it.
    pub(super) fn appended(&self, result: &Result<Receipt, AppendError>, took: Duration) {
        match result {
            Ok(receipt) => {
                self.stored.fetch_add(1, Ordering::Relaxed);
                self.samples.fetch_add(receipt.stored as u64, Ordering::Relaxed);
                self.histograms.fetch_add(receipt.histograms as u64, Ordering::Relaxed);
                self.coarsened.fetch_add(receipt.coarsened, Ordering::Relaxed);
                self.rejected(&receipt.rejected);
                self.latency_ns.fetch_add(took.as_nanos() as u64, Ordering::Relaxed);
                if let Some(at) = LATENCY_BOUNDS.iter().position(|bound| took.as_secs_f64() <= *bound) {
                    self.latency_buckets[at].fetch_add(1, Ordering::Relaxed);
                }
            }
            Err(AppendError::Full { .. } | AppendError::Invalid(_)) => {
                self.refused.fetch_add(1, Ordering::Relaxed);
            }
            Err(_) => {
                self.failed.fetch_add(1, Ordering::Relaxed);
            }
        }
    }

    /// Counts what was refused.
    pub(super) fn rejected(&self, rejected: &Rejected) {
        for (reason, n) in &rejected.counts {
            if let Some(at) = REASONS.iter().position(|r| r == reason) {
                self.rejected[at].fetch_add(*n, Ordering::Relaxed);
            }
        }
        if !rejected.invalid.is_empty() {
            let mut invalid = self.invalid.lock();
            rejected.invalid.iter().for_each(|one| *invalid.entry(one.first.1.as_str()).or_default() += one.count);
        }
    }

    /// Counts one look of rules and objectives at the log.
    pub(super) fn decided(&self, took: Duration) {
        self.decisions.fetch_add(1, Ordering::Relaxed);
        self.decision_ns.fetch_add(took.as_nanos() as u64, Ordering::Relaxed);
        if let Some(at) = LATENCY_BOUNDS.iter().position(|bound| took.as_secs_f64() <= *bound) {
            self.decision_buckets[at].fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Counts a comparison of a rule with a query.
    pub(super) fn audited(&self, is_same: bool) {
        self.audits.fetch_add(1, Ordering::Relaxed);
        self.mismatches.fetch_add(u64::from(!is_same), Ordering::Relaxed);
    }

    /// Counts a query.
    pub(super) fn queried(&self) {
        self.queries.fetch_add(1, Ordering::Relaxed);
    }
}

/// How the database is doing.
#[derive(Debug, Clone, PartialEq)]
pub struct DbStatus {
    /// When it was opened.
    pub started_at: Timestamp,
    /// The store.
    pub store: StoreStatus,
    /// Delivery.
    pub notify: NotifyStatus,
}

impl Db {
    /// Counts in [`metrics`](Db::metrics) what was refused before it came to be appended.
    pub fn count_rejected(&self, rejected: &Rejected) {
        self.inner.counters.rejected(rejected);
    }

    /// How the database is doing.
    pub fn status(&self) -> DbStatus {
        DbStatus {
            started_at: self.inner.started_at,
            store: self.inner.store.status(),
            notify: self.inner.notifier.status(),
        }
    }

    /// The blocks of the store, in the order of time.
    pub fn blocks(&self) -> Vec<BlockStatus> {
        self.inner.store.blocks()
    }

    /// The labels that are added to what leaves this database.
    pub fn external_labels(&self) -> Labels {
        self.inner.notifier.external_labels()
    }

    /// Its own metrics: series names with labels, and their values now. Counters end in `_total`.
    pub fn metrics(&self) -> Vec<(Labels, f64)> {
        let status = self.status();
        let mut out = Metrics::default();
        out.counters(&self.inner.counters);
        out.store(&status.store);
        out.notify(&status);
        self.inner.results.iter().for_each(|results| out.results(&results.status()));
        self.add_scorecard(&mut out);
        let core = self.inner.core.lock();
        let alerts = core.alerts();
        let firing = alerts.iter().filter(|alert| alert.fired_at.is_some()).count();
        out.add("evenkeel_alerts", &[("state", "firing")], firing as f64);
        out.add("evenkeel_alerts", &[("state", "pending")], (alerts.len() - firing) as f64);
        out.add("evenkeel_rule_group_iterations_missed_total", &[], core.evaluator.missed_evaluations() as f64);
        out.add("evenkeel_start_time_seconds", &[], status.started_at.as_seconds());
        out.into_series()
    }
}

/// Series names with labels, and their values.
#[derive(Default)]
pub(super) struct Metrics(Vec<(Labels, f64)>);

impl Metrics {
    pub(super) fn add(&mut self, name: &str, labels: &[(&str, &str)], value: f64) {
        match Labels::new([("__name__", name)].into_iter().chain(labels.iter().copied())) {
            Ok(labels) => self.0.push((labels, value)),
            Err(error) => tracing::warn!("an own metric is left out: {error}"),
        }
    }

    pub(super) fn into_series(self) -> Vec<(Labels, f64)> {
        self.0
    }

    fn counters(&mut self, c: &Counters) {
        let of = |n: &AtomicU64| n.load(Ordering::Relaxed) as f64;
        self.add("evenkeel_append_requests_total", &[("outcome", "stored")], of(&c.stored));
        self.add("evenkeel_append_requests_total", &[("outcome", "refused")], of(&c.refused));
        self.add("evenkeel_append_requests_total", &[("outcome", "failed")], of(&c.failed));
        self.add("evenkeel_samples_stored_total", &[], of(&c.samples));
        for (reason, n) in REASONS.iter().zip(&c.rejected) {
            self.add("evenkeel_samples_rejected_total", &[("reason", reason.as_str())], of(n));
        }
        self.add("evenkeel_histograms_stored_total", &[], of(&c.histograms));
        self.add("evenkeel_histograms_coarsened_total", &[], of(&c.coarsened));
        for (reason, n) in &*c.invalid.lock() {
            self.add("evenkeel_histograms_invalid_total", &[("reason", reason)], *n as f64);
        }
        let mut below = 0.0;
        for (bound, n) in LATENCY_BOUNDS.iter().zip(&c.latency_buckets) {
            below += of(n);
            self.add("evenkeel_append_duration_seconds_bucket", &[("le", &bound.to_string())], below);
        }
        self.add("evenkeel_append_duration_seconds_bucket", &[("le", "+Inf")], of(&c.stored));
        self.add("evenkeel_append_duration_seconds_count", &[], of(&c.stored));
        self.add("evenkeel_append_duration_seconds_sum", &[], of(&c.latency_ns) / 1e9);
        let mut below = 0.0;
        for (bound, n) in LATENCY_BOUNDS.iter().zip(&c.decision_buckets) {
            below += of(n);
            self.add("evenkeel_decision_duration_seconds_bucket", &[("le", &bound.to_string())], below);
        }
        self.add("evenkeel_decision_duration_seconds_bucket", &[("le", "+Inf")], of(&c.decisions));
        self.add("evenkeel_decision_duration_seconds_count", &[], of(&c.decisions));
        self.add("evenkeel_decision_duration_seconds_sum", &[], of(&c.decision_ns) / 1e9);
        self.add("evenkeel_decisions_total", &[], of(&c.decisions));
        self.add("evenkeel_decision_seconds_total", &[], of(&c.decision_ns) / 1e9);
        self.add("evenkeel_queries_total", &[], of(&c.queries));
        self.add("evenkeel_rule_audits_total", &[], of(&c.audits));
        self.add("evenkeel_rule_audit_mismatches_total", &[], of(&c.mismatches));
    }

    fn store(&mut self, s: &StoreStatus) {
        self.add("evenkeel_storage_series", &[], s.series as f64);
        self.add("evenkeel_storage_start_changes", &[], s.start_changes as f64);
        self.add("evenkeel_storage_start_changes_dropped_total", &[], s.start_changes_dropped as f64);
        self.add("evenkeel_storage_log_bytes", &[], s.wal_bytes as f64);
        self.add("evenkeel_storage_log_segments", &[], s.wal_segments as f64);
        self.add("evenkeel_storage_blocks", &[], s.blocks as f64);
        self.add("evenkeel_storage_block_bytes", &[], s.block_bytes as f64);
        self.add("evenkeel_storage_blocks_downsampled_total", &[], s.blocks_downsampled as f64);
        self.add("evenkeel_storage_syncs_total", &[], s.fsyncs as f64);
        self.add("evenkeel_storage_healthy", &[], f64::from(u8::from(s.health == Health::Healthy)));
        let Seq(seq) = s.last_seq;
        self.add("evenkeel_storage_last_sequence", &[], seq as f64);
    }

    fn results(&mut self, s: &CacheStatus) {
        for (outcome, n) in [("hit", s.hits), ("partial", s.partial_hits), ("miss", s.misses), ("bypass", s.bypassed)] {
            self.add("evenkeel_results_cache_requests_total", &[("outcome", outcome)], n as f64);
        }
        for (from, n) in [("cache", s.steps_reused), ("evaluation", s.steps_evaluated)] {
            self.add("evenkeel_results_cache_steps_total", &[("from", from)], n as f64);
        }
        self.add("evenkeel_results_cache_invalidations_total", &[], s.invalidated as f64);
        self.add("evenkeel_results_cache_evictions_total", &[], s.evicted as f64);
        self.add("evenkeel_results_cache_entries", &[], s.entries as f64);
        self.add("evenkeel_results_cache_bytes", &[], s.bytes as f64);
    }

    fn notify(&mut self, status: &DbStatus) {
        self.add("evenkeel_notify_outbox_alerts", &[], status.notify.outbox_len as f64);
        let broken = status.notify.disk_error.is_some();
        self.add("evenkeel_notify_outbox_healthy", &[], f64::from(u8::from(!broken)));
        self.add("evenkeel_notify_dropped_total", &[], status.notify.dropped as f64);
        for receiver in &status.notify.receivers {
            let labels = [("receiver", receiver.name.as_str()), ("address", receiver.address.as_str())];
            self.add("evenkeel_notify_pending", &labels, receiver.pending as f64);
            self.add("evenkeel_notify_sent_total", &labels, receiver.sent as f64);
            self.add("evenkeel_notify_refused_total", &labels, receiver.refused as f64);
            self.add("evenkeel_notify_failed_total", &labels, receiver.failed as f64);
            self.add("evenkeel_notify_failing", &labels, f64::from(u8::from(receiver.failing_since.is_some())));
        }
    }
}
