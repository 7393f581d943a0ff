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
pub struct MemorySeries(BTreeMap<Labels, Column>);

/// What is stored of a series, as it is told.
#[derive(Debug, Clone)]
struct Column {
    /// With a start for each sample.
    told: SeriesSamples,
    /// The newest histogram of the run that is not over.
    before: Option<Arc<Histogram>>,
    last: Timestamp,
}

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
        let column = self.0.entry(labels.clone()).or_insert_with(|| Column::new(labels));
        if t > column.last {
            column.append(t, stored);
        } else {
            let mut all = column.stored();
            all.insert(t, stored);
            *column = Column::new(column.told.labels.clone());
            all.into_iter().for_each(|(t, stored)| column.append(t, stored));
        }
    }
}

impl Column {
    fn new(labels: Labels) -> Column {
        Column { told: SeriesSamples::of_numbers(labels, Vec::new()), before: None, last: Timestamp::MIN }
    }

    /// Adds what is newer than all that is there.
    fn append(&mut self, t: Timestamp, Stored { start, value }: Stored) {
        self.last = t;
        match value {
            // A marker of staleness ends histograms as well, and their run.
            StoredValue::Number(v) => {
                self.told.samples.push(Sample { t, v });
                self.told.starts.push(start);
                self.before = self.before.take().filter(|_| is_stale(v)).map(|_| Arc::new(stale()));
            }
            StoredValue::Histogram(histogram) => {
                let hint = hint_after(self.before.as_deref(), &histogram);
                let told = Arc::new(Histogram { reset_hint: hint, ..Histogram::clone(&histogram) });
                self.told.histograms.push(HistogramSample { t, start, histogram: told });
                self.before = Some(histogram);
            }
        }
    }

    /// What was stored. Of hints only those that are not made here are needed.
    fn stored(&self) -> BTreeMap<Timestamp, Stored> {
        let numbers = self.told.samples.iter().zip(&self.told.starts);
        let numbers = numbers.map(|(s, start)| (s.t, Stored { start: *start, value: StoredValue::Number(s.v) }));
        let histograms = self.told.histograms.iter();
        let histograms = histograms
            .map(|h| (h.t, Stored { start: h.start, value: StoredValue::Histogram(Arc::clone(&h.histogram)) }));
        numbers.chain(histograms).collect()
    }

    /// What is told of a range.
    fn within(&self, range: TimeRange) -> SeriesSamples {
        let told = &self.told;
        let (from, to) = inside(&told.samples, range, |sample| sample.t);
        let (first, end) = inside(&told.histograms, range, |sample| sample.t);
        let starts = &told.starts[from..to];
        let known = starts.iter().any(|start| *start != Timestamp(0));
        SeriesSamples {
            labels: told.labels.clone(),
            samples: told.samples[from..to].to_vec(),
            starts: if known { starts.to_vec() } else { Vec::new() },
            histograms: told.histograms[first..end].to_vec(),
        }
    }
}

/// Where a range begins and ends in a list that is in the order of time.
fn inside<T>(list: &[T], range: TimeRange, t: impl Fn(&T) -> Timestamp) -> (usize, usize) {
    let from = list.partition_point(|one| t(one) <= range.after);
    (from, list.partition_point(|one| t(one) <= range.until).max(from))
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
        for (labels, column) in &self.0 {
            if !matchers.iter().all(|matcher| matcher.matches(labels.get(matcher.name()))) {
                continue;
            }
            let series = column.within(range);
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
