//! Series in memory, as a query sees those that Prometheus has stored.
//!
//! Invariants:
//! - At an instant a series has a number or a histogram, never both.
//! - What is known of a histogram's resets is what Prometheus' storage tells: of the first of a run
//!   nothing, of the others that they are none. A run ends with a number, a staleness marker,
//!   another bucket layout, a reset, or where a gauge begins or ends.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::model::{Histogram, HistogramSample, Labels, Matcher, ResetHint, Sample, TimeRange, Timestamp, is_stale};
use crate::promql::kernel::{FloatHistogram, native_weight};
use crate::promql::{SeriesSamples, SeriesSource, SourceError};

/// Series in memory.
#[derive(Debug, Clone, Default)]
pub struct MemorySeries(BTreeMap<Labels, BTreeMap<Timestamp, Stored>>);

#[derive(Debug, Clone)]
struct Stored {
    start: Timestamp,
    value: StoredValue,
}

#[derive(Debug, Clone)]
enum StoredValue {
    Number(f64),
    Histogram(Arc<Histogram>),
}

impl MemorySeries {
    /// Adds samples; a sample at an instant that has one replaces it.
    pub fn insert(&mut self, labels: Labels, samples: impl IntoIterator<Item = Sample>) {
        for sample in samples {
            self.insert_with_start(labels.clone(), sample, Timestamp(0));
        }
    }

    /// Adds a sample of which it is known when its counting began.
    pub fn insert_with_start(&mut self, labels: Labels, sample: Sample, start: Timestamp) {
        self.put(labels, sample.t, Stored { start, value: StoredValue::Number(sample.v) });
    }

    /// Adds a native histogram.
    pub fn insert_histogram(&mut self, labels: Labels, sample: HistogramSample) {
        self.put(labels, sample.t, Stored { start: sample.start, value: StoredValue::Histogram(sample.histogram) });
    }

    fn put(&mut self, labels: Labels, t: Timestamp, stored: Stored) {
        self.0.entry(labels).or_default().insert(t, stored);
    }
}

impl SeriesSource for MemorySeries {
    fn select(
        &self,
        matchers: &[Matcher],
        range: TimeRange,
        samples_max: usize,
    ) -> Result<Vec<SeriesSamples>, SourceError> {
        let mut left = samples_max;
        let mut selected = Vec::new();
        for (labels, stored) in &self.0 {
            if !matchers.iter().all(|matcher| matcher.matches(labels.get(matcher.name()))) {
                continue;
            }
            let mut series = series_of(labels, stored);
            let inside = |t: Timestamp| range.contains(t);
            let starts = series.samples.iter().zip(&series.starts).filter(|(sample, _)| inside(sample.t));
            series.starts = starts.map(|(_, start)| *start).collect();
            series.samples.retain(|sample| inside(sample.t));
            series.histograms.retain(|sample| inside(sample.t));
            let histograms: usize = series.histograms.iter().map(|sample| native_weight(&sample.histogram)).sum();
            left = left
                .checked_sub(series.samples.len() + histograms)
                .ok_or(SourceError::TooManySamples { limit: samples_max })?;
            if !series.samples.is_empty() || !series.histograms.is_empty() {
                selected.push(series);
            }
        }
        Ok(selected)
    }
}

fn series_of(labels: &Labels, stored: &BTreeMap<Timestamp, Stored>) -> SeriesSamples {
    let mut series = SeriesSamples::of_numbers(labels.clone(), Vec::new());
    let mut before: Option<Arc<Histogram>> = None;
    for (t, Stored { start, value }) in stored {
        match value {
            // A marker of staleness ends histograms as well, and their run.
            StoredValue::Number(v) => {
                series.samples.push(Sample { t: *t, v: *v });
                series.starts.push(*start);
                before = before.filter(|_| is_stale(*v)).map(|_| Arc::new(stale()));
            }
            StoredValue::Histogram(histogram) => {
                let hint = hint_after(before.as_deref(), histogram);
                let told = Arc::new(Histogram { reset_hint: hint, ..Histogram::clone(histogram) });
                series.histograms.push(HistogramSample { t: *t, start: *start, histogram: told });
                before = Some(histogram.clone());
            }
        }
    }
    if series.starts.iter().all(|start| *start == Timestamp(0)) {
        series.starts.clear();
    }
    series
}

fn stale() -> Histogram {
    let mut stale = FloatHistogram::empty(0, Arc::from([]));
    stale.sum = f64::from_bits(crate::model::STALE_NAN);
    stale.to_histogram()
}

/// What the storage tells of a histogram's resets.
fn hint_after(before: Option<&Histogram>, histogram: &Histogram) -> ResetHint {
    if matches!(histogram.reset_hint, ResetHint::Gauge | ResetHint::Reset) {
        return histogram.reset_hint;
    }
    let Some(before) = before.filter(|before| !before.is_stale() && before.reset_hint != ResetHint::Gauge) else {
        return ResetHint::Unknown;
    };
    let unmarked = |histogram: &Histogram| {
        let mut float = FloatHistogram::from(histogram);
        float.reset_hint = ResetHint::Unknown;
        float
    };
    let same_layout = histogram.schema == before.schema
        && histogram.zero_threshold == before.zero_threshold
        && histogram.bounds == before.bounds;
    match same_layout && !unmarked(histogram).is_reset_since(&unmarked(before)) {
        true => ResetHint::NoReset,
        false => ResetHint::Unknown,
    }
}
