//! What a query reads, counted as it reads.

use std::ops::{ControlFlow, Range};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::env::Clock;
use crate::model::{Labels, Matcher, Millis, Summarized, TimeRange, Timestamp};
use crate::promql::{SeriesSamples, SeriesSet, SeriesSource, SeriesSummaries, SourceError, Visit};

/// Samples that a query has read, and the time that took.
#[derive(Debug, Default)]
pub struct QueryMeter {
    samples: AtomicU64,
    nanos: AtomicU64,
    steps_reused: AtomicU64,
    steps_evaluated: AtomicU64,
}

impl QueryMeter {
    /// Samples read, a window that was answered from statistics counted as one; and the time spent.
    pub fn read(&self) -> (u64, Duration) {
        (self.samples.load(Ordering::Relaxed), Duration::from_nanos(self.nanos.load(Ordering::Relaxed)))
    }

    /// Steps of a range whose values were kept from an earlier query, and steps that were evaluated; neither if the
    /// answer is not of a kind that is kept.
    pub fn steps(&self) -> (u64, u64) {
        (self.steps_reused.load(Ordering::Relaxed), self.steps_evaluated.load(Ordering::Relaxed))
    }

    pub(super) fn count_steps(&self, reused: u64, evaluated: u64) {
        self.steps_reused.fetch_add(reused, Ordering::Relaxed);
        self.steps_evaluated.fetch_add(evaluated, Ordering::Relaxed);
    }

    fn add(&self, samples: usize, took: Duration) {
        self.samples.fetch_add(samples as u64, Ordering::Relaxed);
        self.nanos.fetch_add(took.as_nanos() as u64, Ordering::Relaxed);
    }
}

/// A source whose reads are counted.
pub(super) struct Metered<'a, S> {
    pub(super) source: S,
    pub(super) meter: &'a QueryMeter,
    pub(super) clock: &'a dyn Clock,
}

impl<S: SeriesSource> SeriesSource for Metered<'_, S> {
    fn select(
        &self,
        matchers: &[Matcher],
        range: TimeRange,
        samples_max: usize,
    ) -> Result<Vec<SeriesSamples>, SourceError> {
        let begun = self.clock.elapsed();
        let found = self.source.select(matchers, range, samples_max);
        let samples = found.iter().flatten().map(SeriesSamples::count).sum();
        self.meter.add(samples, self.clock.elapsed().saturating_sub(begun));
        found
    }

    fn find<'s>(
        &'s self,
        matchers: &[Matcher],
        range: TimeRange,
        samples_max: usize,
    ) -> Result<Box<dyn SeriesSet + 's>, SourceError> {
        let begun = self.clock.elapsed();
        let set = self.source.find(matchers, range, samples_max);
        self.meter.add(0, self.clock.elapsed().saturating_sub(begun));
        Ok(Box::new(MeteredSet { set: set?, meter: self.meter }))
    }

    fn resolution(&self, range: TimeRange) -> Millis {
        self.source.resolution(range)
    }

    fn raw_since(&self, matchers: &[Matcher], range: TimeRange) -> Result<Timestamp, SourceError> {
        self.source.raw_since(matchers, range)
    }

    fn summaries(
        &self,
        matchers: &[Matcher],
        windows: &[TimeRange],
        samples_max: usize,
        each: &mut dyn FnMut(SeriesSummaries) -> ControlFlow<()>,
    ) -> Result<Summarized, SourceError> {
        let begun = self.clock.elapsed();
        let mut samples = 0;
        let done = self.source.summaries(matchers, windows, samples_max, &mut |one| {
            samples += one.windows.len();
            each(one)
        });
        self.meter.add(samples, self.clock.elapsed().saturating_sub(begun));
        done
    }
}

/// Series that were found, whose samples are counted as they are read. Reading goes on while they are
/// evaluated, and its time is not told apart.
struct MeteredSet<'a> {
    set: Box<dyn SeriesSet + 'a>,
    meter: &'a QueryMeter,
}

impl SeriesSet for MeteredSet<'_> {
    fn count(&self) -> usize {
        self.set.count()
    }

    fn sort(&mut self) {
        self.set.sort();
    }

    fn labels(&self, at: usize) -> Labels {
        self.set.labels(at)
    }

    fn has_name(&self, name: &str) -> bool {
        self.set.has_name(name)
    }

    fn groups(&self, keep: &dyn Fn(&str) -> bool) -> (Vec<u32>, Vec<Labels>) {
        self.set.groups(keep)
    }

    fn read(&self, which: &mut dyn Iterator<Item = Range<usize>>, visit: &mut Visit<'_>) -> Result<(), SourceError> {
        let mut count = 0;
        let result = self.set.read(which, &mut |at, samples, histograms| {
            count += samples.len() + histograms.len();
            visit(at, samples, histograms)
        });
        self.meter.add(count, Duration::ZERO);
        result
    }
}
