//! A selector that is followed: for each of its series the samples of its window.
//!
//! Invariants:
//! - At the time it was last settled for, a series holds the samples inside the window and those
//!   dated later; at an instant selector, of those inside only the newest.
//! - A window of a range holds no staleness markers.
//! - A slot stays as long as its series has a number or a sample.
//! - A native histogram is kept as its time alone, with a marker for a value: who counts samples needs no
//!   more, and for whoever reads values [`Leaf::carries_histograms`] says that there are none.

use std::collections::HashMap;

use crate::model::{HistogramSample, Labels, Matcher, Millis, STALE_NAN, Sample, TimeRange, Timestamp, is_stale};

use super::renumbering::Renumbering;
use super::timers::Alarm;

/// How far a selector sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Reach {
    /// The newest sample of the lookback.
    Instant(Millis),
    /// All samples of a range.
    Range(Millis),
}

impl Reach {
    fn span(self) -> Millis {
        match self {
            Reach::Instant(span) | Reach::Range(span) => span,
        }
    }
}

/// Whether a leaf has come to have a series to be looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Touched {
    /// It has, the first one of this round.
    First,
    /// It has not, or it had one already.
    Not,
}

/// Stands for a native histogram: a NaN that neither arithmetic nor Prometheus makes. Should a sample have
/// these bits all the same, its rules are queried, which is right too.
const HISTOGRAM_NAN: u64 = 0x7ff8_6869_7374_6f67;

/// A selector and its series.
#[derive(Debug)]
pub(super) struct Leaf {
    matchers: Vec<Matcher>,
    offset: Millis,
    reach: Reach,
    series: Vec<Series>,
    by_labels: HashMap<Labels, u32>,
    /// How many slots have a number in the store.
    numbered: u32,
    /// Whether it has ever met a series.
    has_met: bool,
    /// Whether a native histogram has ever come; most selectors never see any.
    has_met_histogram: bool,
    /// How many series have a native histogram in their window, or ahead of it.
    carrying: u32,
    changed: Vec<u32>,
}

#[derive(Debug)]
struct Series {
    labels: Labels,
    samples: Vec<Sample>,
    /// The samples before this one have left the window.
    head: usize,
    alarm: Alarm,
    marked: bool,
    /// Whether one of the samples stands for a native histogram.
    carries: bool,
    /// How many numbers of the store lead here: one, or none of a series that is retired or only seeded.
    numbers: u32,
}

impl Leaf {
    /// A selector that has met no series yet.
    pub(super) fn new(matchers: Vec<Matcher>, offset: Millis, reach: Reach) -> Leaf {
        let (series, by_labels, changed) = (Vec::new(), HashMap::new(), Vec::new());
        Leaf {
            matchers,
            offset,
            reach,
            series,
            by_labels,
            numbered: 0,
            has_met: false,
            has_met_histogram: false,
            carrying: 0,
            changed,
        }
    }

    /// Its conditions.
    pub(super) fn matchers(&self) -> &[Matcher] {
        &self.matchers
    }

    /// Its conditions, as a query writes them.
    pub(super) fn selector(&self) -> String {
        let matchers: Vec<String> = self.matchers.iter().map(Matcher::to_string).collect();
        format!("{{{}}}", matchers.join(","))
    }

    /// The name that all its series have, if it asks for one.
    pub(super) fn metric_name(&self) -> Option<&str> {
        let equal = |m: &&Matcher| m.name() == Labels::METRIC_NAME && m.op() == crate::model::MatchOp::Equal;
        self.matchers.iter().find(equal).map(Matcher::value)
    }

    /// Whether a series is one of its own.
    pub(super) fn matches(&self, labels: &Labels) -> bool {
        self.matchers.iter().all(|matcher| matcher.matches(labels.get(matcher.name())))
    }

    /// The slot of a series.
    pub(super) fn slot(&mut self, labels: &Labels) -> u32 {
        if let Some(slot) = self.by_labels.get(labels) {
            return *slot;
        }
        let slot = self.series.len() as u32;
        self.by_labels.insert(labels.clone(), slot);
        let labels = labels.clone();
        let samples = Vec::new();
        let (alarm, marked, carries) = (Alarm::OFF, false, false);
        self.series.push(Series { labels, samples, head: 0, alarm, marked, carries, numbers: 0 });
        self.has_met = true;
        slot
    }

    /// Whether it has ever met a series, be it gone or not.
    pub(super) fn has_met(&self) -> bool {
        self.has_met
    }

    /// Notes that a number of the store leads to a slot from now on.
    pub(super) fn number(&mut self, slot: u32) {
        let numbers = &mut self.series[slot as usize].numbers;
        *numbers += 1;
        self.numbered += u32::from(*numbers == 1);
    }

    /// Notes that a number that led to a slot means nothing any more.
    pub(super) fn retire(&mut self, slot: u32) {
        let numbers = &mut self.series[slot as usize].numbers;
        *numbers -= 1;
        self.numbered -= u32::from(*numbers == 0);
    }

    /// Slots that no number leads to: those that may be given up are among them.
    pub(super) fn unnumbered(&self) -> u32 {
        self.len() - self.numbered
    }

    /// Whether nothing is known of a slot that a series that comes anew would not know.
    pub(super) fn is_vacant(&self, slot: u32) -> bool {
        let series = &self.series[slot as usize];
        series.numbers == 0 && series.samples.is_empty() && !series.alarm.is_on() && !series.marked
    }

    /// Gives up vacant slots. Between rounds.
    pub(super) fn renumber(&mut self, slots: &Renumbering) {
        slots.retain(&mut self.series);
        self.by_labels.retain(|_, slot| slots.get(*slot).map(|new| *slot = new).is_some());
        self.by_labels.shrink_to(self.series.len() * 2);
    }

    /// How many slots there are.
    pub(super) fn len(&self) -> u32 {
        self.series.len() as u32
    }

    /// The labels of a slot.
    pub(super) fn labels(&self, slot: u32) -> &Labels {
        &self.series[slot as usize].labels
    }

    /// The slots touched in this round.
    pub(super) fn changed(&self) -> &[u32] {
        &self.changed
    }

    /// How far back of `at` stored samples are needed, and those ahead of it.
    pub(super) fn range_needed(&self, at: Timestamp) -> TimeRange {
        TimeRange { after: at - self.offset - self.reach.span(), until: Timestamp::MAX }
    }

    /// Takes in a sample. One that is out of order goes to its place.
    pub(super) fn insert(&mut self, slot: u32, sample: Sample, now: Timestamp) -> Touched {
        if sample.t + self.offset + self.reach.span() <= now {
            return Touched::Not;
        }
        if is_stale(sample.v) && matches!(self.reach, Reach::Range(_)) {
            return Touched::Not;
        }
        let series = &mut self.series[slot as usize];
        match series.samples.last() {
            Some(last) if last.t >= sample.t => {
                let at = series.samples.partition_point(|s| s.t < sample.t).max(series.head);
                if series.samples.get(at).is_some_and(|s| s.t == sample.t) {
                    series.samples[at] = sample;
                } else {
                    series.samples.insert(at, sample);
                }
            }
            _ => series.samples.push(sample),
        }
        self.mark(slot)
    }

    /// Takes in a native histogram.
    pub(super) fn insert_histogram(&mut self, slot: u32, sample: &HistogramSample, now: Timestamp) -> Touched {
        let bits = if sample.histogram.is_stale() { STALE_NAN } else { HISTOGRAM_NAN };
        self.has_met_histogram |= bits == HISTOGRAM_NAN;
        self.insert(slot, Sample { t: sample.t, v: f64::from_bits(bits) }, now)
    }

    /// Whether the values of some samples in the windows are native histograms. Holds once every series that
    /// changed was settled with [`Leaf::evict`].
    pub(super) fn carries_histograms(&self) -> bool {
        self.carrying > 0
    }

    /// Notes that a series must be looked at in this round.
    pub(super) fn mark(&mut self, slot: u32) -> Touched {
        let series = &mut self.series[slot as usize];
        if series.marked {
            return Touched::Not;
        }
        series.marked = true;
        self.changed.push(slot);
        if self.changed.len() == 1 { Touched::First } else { Touched::Not }
    }

    /// Makes every sample wrong.
    #[cfg(test)]
    pub(super) fn distort(&mut self) {
        for slot in 0..self.len() {
            self.series[slot as usize].samples.iter_mut().for_each(|sample| sample.v += 0.5);
            self.mark(slot);
        }
    }

    /// When the series is due; the caller sets it.
    pub(super) fn alarm(&mut self, slot: u32) -> &mut Alarm {
        &mut self.series[slot as usize].alarm
    }

    /// Lets go of what has left the window, and says when the next sample enters or leaves.
    pub(super) fn evict(&mut self, slot: u32, now: Timestamp) -> Option<Timestamp> {
        let (offset, reach) = (self.offset, self.reach);
        let series = &mut self.series[slot as usize];
        let left = |s: &Sample| s.t + offset + reach.span() <= now;
        series.head += series.samples[series.head..].partition_point(left);
        let entered = series.head + series.samples[series.head..].partition_point(|s| s.t + offset <= now);
        let enters = series.samples.get(entered).map(|s| s.t + offset);
        if matches!(reach, Reach::Instant(_)) && entered > series.head {
            series.head = entered - 1;
        }
        if series.head * 2 > series.samples.len() {
            series.samples.drain(..series.head);
            series.head = 0;
            if series.samples.is_empty() {
                series.samples.shrink_to_fit();
            }
        }
        if self.has_met_histogram {
            let carries = series.samples[series.head..].iter().any(|s| s.v.to_bits() == HISTOGRAM_NAN);
            self.carrying = self.carrying + u32::from(carries) - u32::from(series.carries);
            series.carries = carries;
        }
        let leaves = series.samples.get(series.head).map(|s| s.t + offset + reach.span());
        super::timers::earliest(leaves, enters)
    }

    /// The window at `now`.
    pub(super) fn range(&self, now: Timestamp) -> TimeRange {
        let until = now - self.offset;
        TimeRange { after: until - self.reach.span(), until }
    }

    /// The samples inside the window at `now`.
    pub(super) fn window(&self, slot: u32, now: Timestamp) -> &[Sample] {
        let series = &self.series[slot as usize];
        let samples = &series.samples[series.head..];
        let range = self.range(now);
        match samples.last() {
            Some(last) if last.t > range.until => &samples[..samples.partition_point(|s| s.t <= range.until)],
            _ => samples,
        }
    }

    /// The sample that an instant selector sees at `now`.
    pub(super) fn newest(&self, slot: u32, now: Timestamp) -> Option<Sample> {
        self.window(slot, now).last().copied().filter(|sample| !is_stale(sample.v))
    }

    /// Ends the round.
    pub(super) fn settle(&mut self) {
        for slot in self.changed.drain(..) {
            self.series[slot as usize].marked = false;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::model::{Histogram, HistogramCounts, ResetHint};

    fn leaf(offset: i64, reach: Reach) -> Leaf {
        let mut leaf = Leaf::new(Vec::new(), Millis(offset), reach);
        leaf.slot(&Labels::empty());
        leaf
    }

    fn put(leaf: &mut Leaf, t: i64, v: f64, now: i64) -> Option<i64> {
        leaf.insert(0, Sample { t: Timestamp(t), v }, Timestamp(now));
        leaf.evict(0, Timestamp(now)).map(|t| t.0)
    }

    #[test]
    fn a_window_is_left_open_and_right_closed() {
        let mut leaf = leaf(0, Reach::Range(Millis(100)));
        assert_eq!(put(&mut leaf, 10, 1.0, 10), Some(110));
        assert_eq!(put(&mut leaf, 60, 2.0, 50), Some(60), "a sample dated ahead counts from its own time on");
        assert_eq!(leaf.window(0, Timestamp(59)).len(), 1);
        assert_eq!(leaf.window(0, Timestamp(60)).len(), 2);
        assert_eq!(leaf.evict(0, Timestamp(109)), Some(Timestamp(110)));
        assert_eq!(leaf.evict(0, Timestamp(110)), Some(Timestamp(160)));
        assert_eq!(leaf.window(0, Timestamp(110)).len(), 1);
        assert_eq!(put(&mut leaf, 55, 3.0, 110), Some(155), "out of order");
        assert_eq!(put(&mut leaf, 5, 3.0, 110), Some(155), "too old");
        put(&mut leaf, 70, f64::from_bits(STALE_NAN), 110);
        assert_eq!(leaf.window(0, Timestamp(110)).len(), 2);
    }

    #[test]
    fn native_histograms_are_counted_as_long_as_they_are_in_the_window() {
        let put = |leaf: &mut Leaf, t: i64, sum: f64, now: i64| {
            let counts = HistogramCounts::Float { count: 0.0, zero: 0.0, positive: vec![], negative: vec![] };
            let histogram = Histogram {
                reset_hint: ResetHint::Unknown,
                schema: 0,
                zero_threshold: 0.0,
                sum,
                positive_spans: vec![],
                negative_spans: vec![],
                bounds: vec![],
                counts,
            };
            let sample = HistogramSample { t: Timestamp(t), start: Timestamp(0), histogram: Arc::new(histogram) };
            leaf.insert_histogram(0, &sample, Timestamp(now));
            leaf.evict(0, Timestamp(now));
            leaf.carries_histograms()
        };
        let stale = f64::from_bits(STALE_NAN);
        let mut instant = leaf(0, Reach::Instant(Millis(100)));
        assert!(put(&mut instant, 10, 1.0, 10));
        assert!(instant.newest(0, Timestamp(10)).is_some());
        assert!(put(&mut instant, 30, stale, 20), "the end is dated ahead");
        instant.evict(0, Timestamp(30));
        assert!(!instant.carries_histograms() && instant.newest(0, Timestamp(30)).is_none());
        assert!(put(&mut instant, 40, 1.0, 40) && put(&mut instant, 50, 1.0, 50));
        instant.insert(0, Sample { t: Timestamp(60), v: f64::NAN }, Timestamp(60));
        instant.evict(0, Timestamp(60));
        assert!(!instant.carries_histograms(), "a number has taken its place");
        let mut range = leaf(0, Reach::Range(Millis(100)));
        assert!(put(&mut range, 10, 1.0, 10) && put(&mut range, 20, stale, 20));
        assert_eq!(range.window(0, Timestamp(20)).len(), 1, "a range has no marks of staleness");
        range.evict(0, Timestamp(110));
        assert!(!range.carries_histograms());
    }

    #[test]
    fn an_instant_selector_sees_the_newest_sample_until_it_is_stale() {
        let mut leaf = leaf(20, Reach::Instant(Millis(100)));
        assert_eq!(put(&mut leaf, 10, 1.0, 10), Some(30));
        assert_eq!(leaf.newest(0, Timestamp(29)), None);
        leaf.evict(0, Timestamp(30));
        assert_eq!(leaf.newest(0, Timestamp(30)).map(|s| s.v), Some(1.0));
        put(&mut leaf, 20, f64::from_bits(STALE_NAN), 40);
        assert_eq!(leaf.newest(0, Timestamp(40)), None);
        put(&mut leaf, 30, 2.0, 50);
        assert_eq!(leaf.newest(0, Timestamp(149)).map(|s| s.v), Some(2.0));
        leaf.evict(0, Timestamp(150));
        assert_eq!(leaf.newest(0, Timestamp(150)), None);
    }
}
