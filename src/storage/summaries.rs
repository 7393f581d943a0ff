//! Summaries of windows: from statistics where they speak for whole vectors of samples, from intervals where
//! samples are downsampled, else from samples.

use crate::model::{Millis, Summary, TimeRange, Timestamp};

use super::content::Content;
use super::interval::{self, Interval};
use super::snapshot::{Asked, One, ReadError, Source};
use super::tombstones::Cover;

/// A window is summed up from statistics if so much of time lies between two of them, as in the plan of
/// a query: at each edge of one, samples of a few hours have to be read.
const STATISTICS_SPAN_MIN: Millis = Millis::hours(12);

impl Asked<'_> {
    /// The coarsest resolution of a series; zero if its samples are as they came.
    pub(super) fn resolution(&mut self, one: One<'_>) -> Result<Millis, ReadError> {
        let mut coarsest = Millis::ZERO;
        for source in one.found.sources(one.series) {
            if let Source::Block(at, position) = source {
                coarsest = coarsest.max(self.blocks[at].1.resolution(position)?.coarsest);
            }
        }
        Ok(coarsest)
    }

    /// The samples that [`Asked::content`] gives, with what the samples stand for.
    pub(super) fn intervals(&mut self, one: One<'_>) -> Result<Vec<Interval>, ReadError> {
        let range = self.range_of(one);
        let mut intervals = self.intervals_beyond(one)?;
        intervals.retain(|interval| range.contains(interval.end()));
        Ok(intervals)
    }

    /// The same, and those behind that may reach into the range.
    fn intervals_beyond(&mut self, one: One<'_>) -> Result<Vec<Interval>, ReadError> {
        let (cover, range) = (self.cover(one), self.range_of(one));
        // An interval that ends behind the range may have taken in what another source has inside of it.
        let until = Timestamp(range.until.0.saturating_add(self.resolution(one)?.0));
        let wider = TimeRange { after: range.after, until };
        let (mut intervals, mut head) = (Vec::new(), Vec::new());
        for source in one.found.sources(one.series) {
            match source {
                Source::Block(at, position) => {
                    let from = intervals.len();
                    self.blocks[at].1.intervals(position, wider, &mut intervals)?;
                    cover.thin_intervals(self.blocks[at].0.number(), &mut intervals, from);
                }
                Source::Head(series) => {
                    self.head_samples(series, &cover, range, &mut head);
                    intervals.extend(head.drain(..).map(Interval::of));
                }
            }
        }
        interval::put_in_order(&mut intervals);
        Ok(intervals)
    }

    /// The summaries of one series in windows inside the asked range. Where windows are close to one another or
    /// samples are downsampled, all is read once; else the statistics of each window are.
    pub(super) fn summaries(
        &mut self,
        one: One<'_>,
        windows: &[TimeRange],
        samples_max: usize,
    ) -> Result<Vec<Summary>, ReadError> {
        let hull = self.range_of(one);
        let inside = |window: &TimeRange| TimeRange { after: window.after.max(hull.after), until: window.until };
        let apart = (hull.until - hull.after).0 / windows.len().max(1) as i64;
        if apart >= STATISTICS_SPAN_MIN.0 && self.resolution(one)? == Millis::ZERO {
            return windows.iter().map(|window| self.summary(one, inside(window))).collect();
        }
        let intervals = self.intervals_beyond(one)?;
        if intervals.len() > samples_max {
            return Err(ReadError::TooManySamples { limit: samples_max });
        }
        let of = |window: TimeRange| {
            let from = intervals.partition_point(|interval| interval.end() <= window.after);
            let to = intervals.partition_point(|interval| interval.end() <= window.until).max(from);
            match intervals.get(to) {
                // Nothing else is known of a window inside of an interval.
                Some(around) if from == to && window.after < around.end() && around.start() <= window.until => {
                    interval::summary_of(std::slice::from_ref(around))
                }
                _ => interval::summary_of(&intervals[from..to]),
            }
        };
        Ok(windows.iter().map(inside).map(of).collect())
    }

    /// The summary of one series whose samples are as they came. Statistics speak for blocks that follow one
    /// another; where sources overlap, samples do.
    fn summary(&mut self, one: One<'_>, range: TimeRange) -> Result<Summary, ReadError> {
        if !self.cover(one).is_empty() {
            return self.summary_of_samples(one, range);
        }
        let mut parts = Vec::new();
        let mut head = Vec::new();
        for source in one.found.sources(one.series) {
            match source {
                Source::Block(at, position) => {
                    let bounds = self.blocks[at].1.bounds(position, range)?;
                    parts.extend(bounds.map(|(first, last)| (first, last, source)));
                }
                Source::Head(series) => {
                    let mut content = Content::default();
                    self.head_samples(series, &Cover::default(), range, &mut content.samples);
                    content.put_in_order();
                    head = content.samples;
                    let ends = head.first().zip(head.last());
                    parts.extend(ends.map(|(first, last)| (first.t, last.t, source)));
                }
            }
        }
        parts.sort_by_key(|(first, ..)| *first);
        if parts.windows(2).any(|two| two[0].1 >= two[1].0) {
            return self.summary_of_samples(one, range);
        }
        let mut summary = Summary::default();
        for (.., source) in parts {
            match source {
                Source::Block(at, position) => self.blocks[at].1.summarize(position, range, &mut summary)?,
                Source::Head(_) => summary.extend(&head),
            }
        }
        Ok(summary)
    }

    fn summary_of_samples(&mut self, one: One<'_>, range: TimeRange) -> Result<Summary, ReadError> {
        let mut content = Content::default();
        self.content(one, &mut content)?;
        content.samples.retain(|sample| range.contains(sample.t));
        Ok(Summary::of(&content.samples))
    }
}
