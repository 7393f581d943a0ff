//! The last evaluations of a rule: when, how long, what came out.
//!
//! Invariants:
//! - A bounded number is kept for each rule, the newest.
//! - Measuring decides nothing: time is told by a [`Stopwatch`], which may show nothing at all.

use std::collections::VecDeque;
use std::fmt;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::model::{Matcher, Millis, Summarized, TimeRange, Timestamp, limits};
use crate::promql::{SeriesSamples, SeriesSource, SeriesSummaries, SourceError};

/// Tells how much time has passed, for measuring.
pub trait Stopwatch: Send + Sync {
    /// Time since some fixed instant; never steps back.
    fn elapsed(&self) -> Duration;
}

/// A stopwatch, or none: then nothing takes any time.
#[derive(Clone, Default)]
pub(super) struct Timing(pub(super) Option<Arc<dyn Stopwatch>>);

impl Timing {
    pub(super) fn elapsed(&self) -> Duration {
        self.0.as_ref().map_or(Duration::ZERO, |stopwatch| stopwatch.elapsed())
    }
}

impl fmt::Debug for Timing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Timing")
    }
}

/// One evaluation of a rule.
#[derive(Debug, Clone, PartialEq)]
pub struct Evaluation {
    /// The instant of the rule, in the log's time.
    pub at: Timestamp,
    /// How long it took; for a rule that is followed, without the part that rules share.
    pub took: Duration,
    /// How many elements the expression gave.
    pub series: usize,
    /// How many samples were read; absent if the rule is followed, for then none are.
    pub samples: Option<u64>,
    /// Why there was no result.
    pub error: Option<String>,
}

/// The last evaluations of a rule.
#[derive(Debug, Default)]
pub(super) struct Evaluations(VecDeque<Evaluation>);

impl Evaluations {
    /// Notes an evaluation; the oldest goes if there are too many.
    pub(super) fn push(&mut self, evaluation: Evaluation) {
        if self.0.len() >= limits::RULE_EVALUATIONS_KEPT {
            self.0.pop_front();
        }
        self.0.push_back(evaluation);
    }

    /// The last one.
    pub(super) fn last(&self) -> Option<&Evaluation> {
        self.0.back()
    }

    /// All, the newest first.
    pub(super) fn newest_first(&self) -> Vec<Evaluation> {
        self.0.iter().rev().cloned().collect()
    }
}

/// A source whose samples are counted.
pub(super) struct Counted<'a> {
    source: &'a dyn SeriesSource,
    samples: AtomicU64,
}

impl<'a> Counted<'a> {
    pub(super) fn new(source: &'a dyn SeriesSource) -> Counted<'a> {
        Counted { source, samples: AtomicU64::new(0) }
    }

    /// The samples read since this was last asked; a window that was answered from statistics counts as one.
    pub(super) fn take(&self) -> u64 {
        self.samples.swap(0, Ordering::Relaxed)
    }
}

impl SeriesSource for Counted<'_> {
    fn select(
        &self,
        matchers: &[Matcher],
        range: TimeRange,
        samples_max: usize,
    ) -> Result<Vec<SeriesSamples>, SourceError> {
        let found = self.source.select(matchers, range, samples_max)?;
        let count: usize = found.iter().map(SeriesSamples::count).sum();
        self.samples.fetch_add(count as u64, Ordering::Relaxed);
        Ok(found)
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
        self.source.summaries(matchers, windows, samples_max, &mut |series| {
            self.samples.fetch_add(series.windows.len() as u64, Ordering::Relaxed);
            each(series)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_are_kept() {
        let mut all = Evaluations::default();
        assert_eq!((all.last(), all.newest_first()), (None, Vec::new()));
        let one = |n: usize| Evaluation {
            at: Timestamp(n as i64),
            took: Duration::ZERO,
            series: n,
            samples: None,
            error: None,
        };
        (0..limits::RULE_EVALUATIONS_KEPT + 5).for_each(|n| all.push(one(n)));
        let kept = all.newest_first();
        assert_eq!(kept.len(), limits::RULE_EVALUATIONS_KEPT);
        assert_eq!((kept[0].series, kept[kept.len() - 1].series), (limits::RULE_EVALUATIONS_KEPT + 4, 5));
        assert_eq!(all.last(), Some(&kept[0]));
    }
}
