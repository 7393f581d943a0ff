//! What became of queries, for `/metrics`.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::model::Labels;

use super::queries::QueryStats;

/// Upper bounds of the duration's buckets, in seconds: from a panel's query to the timeout.
const BOUNDS: [f64; 9] = [0.001, 0.005, 0.025, 0.1, 0.5, 2.0, 10.0, 30.0, 120.0];

/// How a query ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    Answered,
    Failed,
    TimedOut,
    TooLarge,
}

impl Outcome {
    const ALL: [Outcome; 4] = [Outcome::Answered, Outcome::Failed, Outcome::TimedOut, Outcome::TooLarge];

    pub(super) fn as_str(self) -> &'static str {
        match self {
            Outcome::Answered => "answered",
            Outcome::Failed => "failed",
            Outcome::TimedOut => "timed_out",
            Outcome::TooLarge => "too_large",
        }
    }
}

/// Counts since the start.
#[derive(Debug, Default)]
pub(super) struct QueryCounts {
    outcomes: [AtomicU64; Outcome::ALL.len()],
    buckets: [AtomicU64; BOUNDS.len()],
    nanos: AtomicU64,
    queued_nanos: AtomicU64,
    samples: AtomicU64,
    refused: AtomicU64,
    abandoned: AtomicU64,
    slow: AtomicU64,
}

impl QueryCounts {
    pub(super) fn ended(&self, outcome: Outcome, stats: &QueryStats) {
        self.outcomes[outcome as usize].fetch_add(1, Ordering::Relaxed);
        let seconds = stats.total.as_secs_f64();
        if let Some(at) = BOUNDS.iter().position(|bound| seconds <= *bound) {
            self.buckets[at].fetch_add(1, Ordering::Relaxed);
        }
        self.nanos.fetch_add(stats.total.as_nanos() as u64, Ordering::Relaxed);
        self.queued_nanos.fetch_add(stats.queued.as_nanos() as u64, Ordering::Relaxed);
        self.samples.fetch_add(stats.samples, Ordering::Relaxed);
    }

    pub(super) fn refused(&self) {
        self.refused.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn abandoned(&self) {
        self.abandoned.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn slow(&self) {
        self.slow.fetch_add(1, Ordering::Relaxed);
    }

    /// Its series with their values.
    pub(super) fn metrics(&self) -> Vec<(Labels, f64)> {
        let of = |n: &AtomicU64| n.load(Ordering::Relaxed) as f64;
        let mut out = Vec::new();
        let mut add = |name: &str, label: Option<(&str, &str)>, value: f64| {
            if let Ok(labels) = Labels::new([(Labels::METRIC_NAME, name)].into_iter().chain(label)) {
                out.push((labels, value));
            }
        };
        let mut ended = 0.0;
        for outcome in Outcome::ALL {
            let n = of(&self.outcomes[outcome as usize]);
            ended += n;
            add("evenkeel_query_total", Some(("outcome", outcome.as_str())), n);
        }
        add("evenkeel_query_total", Some(("outcome", "abandoned")), of(&self.abandoned));
        add("evenkeel_query_total", Some(("outcome", "refused")), of(&self.refused));
        let mut below = 0.0;
        for (bound, n) in BOUNDS.iter().zip(&self.buckets) {
            below += of(n);
            add("evenkeel_query_duration_seconds_bucket", Some(("le", &bound.to_string())), below);
        }
        add("evenkeel_query_duration_seconds_bucket", Some(("le", "+Inf")), ended);
        add("evenkeel_query_duration_seconds_sum", None, of(&self.nanos) / 1e9);
        add("evenkeel_query_duration_seconds_count", None, ended);
        add("evenkeel_query_queue_seconds_total", None, of(&self.queued_nanos) / 1e9);
        add("evenkeel_query_samples_total", None, of(&self.samples));
        add("evenkeel_query_slow_total", None, of(&self.slow));
        out
    }
}
