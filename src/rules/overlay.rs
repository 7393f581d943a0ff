//! Stored series together with what rules have just made.
//!
//! Invariants:
//! - Where a series has a sample already, it stays.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::Arc;

use crate::model::{
    Batch, HistogramSample, Labels, Matcher, Millis, Sample, Summarized, Summary, TimeRange, Timestamp,
};
use crate::promql::{ElementValue, SeriesSamples, SeriesSource, SeriesSummaries, SourceError};

/// Stored series together with samples that are not stored yet.
pub(super) struct Overlay<'a> {
    base: &'a dyn SeriesSource,
    extra: BTreeMap<Labels, Made>,
}

/// What rules have made of one series.
#[derive(Default)]
struct Made {
    samples: Vec<Sample>,
    histograms: Vec<HistogramSample>,
}

impl<'a> Overlay<'a> {
    /// What is stored, and what rules have made since.
    pub(super) fn new(base: &'a dyn SeriesSource, made: &Batch) -> Overlay<'a> {
        let mut overlay = Overlay { base, extra: BTreeMap::new() };
        let series = |at: u32| made.series()[at as usize].clone();
        for sample in made.samples() {
            overlay.push(series(sample.series), sample.sample.t, &ElementValue::Number(sample.sample.v));
        }
        for sample in made.histograms() {
            let value = ElementValue::Histogram(Arc::clone(&sample.sample.histogram));
            overlay.push(series(sample.series), sample.sample.t, &value);
        }
        overlay
    }

    /// Adds what a rule has made.
    pub(super) fn push(&mut self, labels: Labels, t: Timestamp, value: &ElementValue) {
        let made = self.extra.entry(labels).or_default();
        match value {
            ElementValue::Number(v) => made.samples.push(Sample { t, v: *v }),
            ElementValue::Histogram(histogram) => {
                made.histograms.push(HistogramSample { t, start: Timestamp(0), histogram: Arc::clone(histogram) });
            }
        }
    }
}

impl Made {
    /// Adds what is inside of a range, where the series has nothing yet.
    fn add_to(&self, series: &mut SeriesSamples, range: TimeRange) {
        let (samples, histograms) = (&mut series.samples, &mut series.histograms);
        let is_free = |t: Timestamp, samples: &[Sample], histograms: &[HistogramSample]| {
            range.contains(t)
                && samples.binary_search_by_key(&t, |sample| sample.t).is_err()
                && histograms.binary_search_by_key(&t, |sample| sample.t).is_err()
        };
        for sample in &self.samples {
            if is_free(sample.t, samples, histograms) {
                samples.insert(samples.partition_point(|other| other.t < sample.t), *sample);
                if !series.starts.is_empty() {
                    series.starts.insert(samples.partition_point(|other| other.t < sample.t), Timestamp(0));
                }
            }
        }
        for sample in &self.histograms {
            if is_free(sample.t, samples, histograms) {
                histograms.insert(histograms.partition_point(|other| other.t < sample.t), sample.clone());
            }
        }
    }
}

impl SeriesSource for Overlay<'_> {
    fn select(
        &self,
        matchers: &[Matcher],
        range: TimeRange,
        samples_max: usize,
    ) -> Result<Vec<SeriesSamples>, SourceError> {
        let mut all = self.base.select(matchers, range, samples_max)?;
        for (labels, made) in &self.extra {
            if !matchers.iter().all(|matcher| matcher.matches(labels.get(matcher.name()))) {
                continue;
            }
            let at = all.binary_search_by(|series| series.labels.cmp(labels)).unwrap_or_else(|at| {
                all.insert(at, SeriesSamples::of_numbers(labels.clone(), Vec::new()));
                at
            });
            made.add_to(&mut all[at], range);
        }
        all.retain(|series| !series.samples.is_empty() || !series.histograms.is_empty());
        Ok(all)
    }

    fn resolution(&self, range: TimeRange) -> Millis {
        self.base.resolution(range)
    }

    fn raw_since(&self, matchers: &[Matcher], range: TimeRange) -> Result<Timestamp, SourceError> {
        self.base.raw_since(matchers, range)
    }

    fn summaries(
        &self,
        matchers: &[Matcher],
        windows: &[TimeRange],
        samples_max: usize,
        each: &mut dyn FnMut(SeriesSummaries) -> ControlFlow<()>,
    ) -> Result<Summarized, SourceError> {
        let mut extra: BTreeMap<&Labels, &[Sample]> = BTreeMap::new();
        for (labels, made) in &self.extra {
            if matchers.iter().all(|matcher| matcher.matches(labels.get(matcher.name()))) {
                if !made.histograms.is_empty() {
                    return Ok(Summarized::NotHistograms);
                }
                extra.insert(labels, &made.samples);
            }
        }
        if extra.is_empty() {
            return self.base.summaries(matchers, windows, samples_max, each);
        }
        let mut all = Vec::new();
        let told = self.base.summaries(matchers, windows, samples_max, &mut |series| {
            all.push(series);
            ControlFlow::Continue(())
        })?;
        for (labels, samples) in extra {
            let at = all.binary_search_by(|series| series.labels.cmp(labels)).unwrap_or_else(|at| {
                let windows = vec![Summary::default(); windows.len()];
                all.insert(at, SeriesSummaries { labels: labels.clone(), windows });
                at
            });
            // What is not stored yet is newer than what is.
            for (summary, window) in all[at].windows.iter_mut().zip(windows) {
                let newest = summary.ends.map_or(Timestamp::MIN, |(_, last)| last.t);
                let newer = samples.iter().filter(|sample| window.contains(sample.t) && sample.t > newest);
                newer.for_each(|sample| summary.push(*sample));
            }
        }
        let _ended = all.into_iter().try_for_each(each);
        Ok(told)
    }
}
