//! The series of a selector with their samples, kept once for all windows that look at them.
//!
//! Invariants:
//! - A series holds the samples that are, or will be, in one of the windows; of those that have left the last one at
//!   most an eighth of what it holds room for, or a block. Of a selector without a range it holds the newest that counts
//!   already, and those dated later.
//! - What ranges look at holds no staleness markers.
//! - A slot stays as long as its series has a number or a sample.
//! - A sample keeps its position, counted from the first that the series ever held, until one comes before it out
//!   of order.
//! - Of when counting began, each change is kept that is in force at a sample, as the store keeps it.
//! - A native histogram is kept as its time alone, with a marker for a value: who counts samples needs no
//!   more, and whoever reads values asks [`Leaf::carries_histograms`](super::leaf::Leaf::carries_histograms) first.

use std::collections::HashMap;

use crate::model::{
    HistogramSample, Labels, Matcher, Millis, STALE_NAN, Sample, TimeRange, Timestamp, is_stale, limits,
};
use crate::promql::without_name;

use super::leaf::Reach;
use super::places::Places;
use super::renumbering::Renumbering;
use super::samples::{Samples, Unpacked, View};

/// Whether something has come to have a series to be looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Touched {
    /// It has, the first one of this round.
    First,
    /// It has not, or it had one already.
    Not,
}

/// Stands for a native histogram: a NaN that neither arithmetic nor Prometheus makes. Should a sample have
/// these bits all the same, its rules are queried, which is right too.
pub(super) const HISTOGRAM_NAN: u64 = 0x7ff8_6869_7374_6f67;

/// What of its samples a series keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kept {
    /// The newest that counts, `offset` after its time.
    Newest { offset: Millis },
    /// All, but for staleness markers.
    All,
}

/// A selector and its series.
#[derive(Debug)]
pub(super) struct Feed {
    matchers: Vec<Matcher>,
    kept: Kept,
    /// How long after its time a sample has left every window.
    span: Millis,
    series: Vec<Series>,
    unpacked: Unpacked,
    names: Vec<Names>,
    by_labels: Places,
    /// Of slots of which it is known when their counting began: from which time on it is said to have begun when.
    starts: HashMap<u32, Vec<(Timestamp, Timestamp)>>,
    /// How many slots have a number in the store.
    numbered: u32,
    /// Whether it has ever met a series.
    has_met: bool,
    /// Whether a native histogram has ever come; most selectors never see any.
    has_met_histogram: bool,
    /// Whether a sample came out of order in this round.
    has_disorder: bool,
    changed: Vec<u32>,
}

#[derive(Debug)]
struct Series {
    samples: Samples,
    /// How many numbers of the store lead here: one, or none of a series that is retired or only seeded.
    numbers: u32,
    /// Whether a sample came out of order in this round.
    disordered: bool,
}

/// What a series is called; apart, for it is seldom asked for.
#[derive(Debug)]
struct Names {
    labels: Labels,
    /// The same without those that describe the metric, which functions drop.
    nameless: Option<Labels>,
}

impl Feed {
    /// What a selector asks for that looks through such a window.
    pub(super) fn new(matchers: Vec<Matcher>, offset: Millis, reach: Reach) -> Feed {
        let kept = match reach {
            Reach::Instant(_) => Kept::Newest { offset },
            Reach::Range(_) => Kept::All,
        };
        let (series, names, by_labels, changed) = (Vec::new(), Vec::new(), Places::default(), Vec::new());
        Feed {
            matchers,
            kept,
            span: offset + reach.span(),
            series,
            unpacked: Unpacked::default(),
            names,
            by_labels,
            starts: HashMap::new(),
            numbered: 0,
            has_met: false,
            has_met_histogram: false,
            has_disorder: false,
            changed,
        }
    }

    /// What feeds with the same key may share.
    pub(super) fn key(matchers: &[Matcher], offset: Millis, reach: Reach) -> String {
        let mut texts: Vec<String> = matchers.iter().map(Matcher::to_string).collect();
        texts.sort_unstable();
        match reach {
            Reach::Instant(_) => format!("{texts:?} {offset} {reach:?}"),
            Reach::Range(_) => format!("{texts:?} ranges"),
        }
    }

    /// Keeps samples for another window, too. Before any has come.
    pub(super) fn widen(&mut self, offset: Millis, reach: Reach) {
        self.span = self.span.max(offset + reach.span());
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

    /// Whether a series is one of its own.
    pub(super) fn matches(&self, labels: &Labels) -> bool {
        self.matchers.iter().all(|matcher| matcher.matches(labels.get(matcher.name())))
    }

    /// The slot of a series.
    pub(super) fn slot(&mut self, labels: &Labels) -> u32 {
        let names = &self.names;
        if let Some(slot) = self.by_labels.get(labels, |slot| &names[slot as usize].labels) {
            return slot;
        }
        let slot = self.series.len() as u32;
        self.by_labels.insert(labels, slot, |slot| &names[slot as usize].labels);
        let nameless = (self.kept == Kept::All).then(|| without_name(labels));
        self.names.push(Names { labels: labels.clone(), nameless });
        self.series.push(Series { samples: Samples::default(), numbers: 0, disordered: false });
        self.has_met = true;
        slot
    }

    /// Whether it has ever met a series, be it gone or not.
    pub(super) fn has_met(&self) -> bool {
        self.has_met
    }

    /// Whether a native histogram has ever come.
    pub(super) fn has_met_histogram(&self) -> bool {
        self.has_met_histogram
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

    /// Whether nothing is known of a slot that a series that comes anew would not know. Lets go of what has left
    /// every window.
    pub(super) fn is_vacant(&mut self, slot: u32, now: Timestamp) -> bool {
        let span = self.span;
        let series = &mut self.series[slot as usize];
        if series.numbers > 0 {
            return false;
        }
        let has_left = series.samples.open().last().is_none_or(|newest| newest.t + span <= now);
        if has_left {
            series.samples.clear();
            self.starts.remove(&slot);
        }
        has_left
    }

    /// Gives up vacant slots. Between rounds.
    pub(super) fn renumber(&mut self, slots: &Renumbering) {
        slots.retain(&mut self.series);
        slots.retain(&mut self.names);
        let starts = std::mem::take(&mut self.starts);
        self.starts = starts.into_iter().filter_map(|(slot, changes)| Some((slots.get(slot)?, changes))).collect();
        let names = &self.names;
        self.by_labels.renumber(slots, |slot| &names[slot as usize].labels);
    }

    /// How many slots there are.
    pub(super) fn len(&self) -> u32 {
        self.series.len() as u32
    }

    /// The labels of a slot.
    pub(super) fn labels(&self, slot: u32) -> &Labels {
        &self.names[slot as usize].labels
    }

    /// The labels of a slot without those that describe the metric.
    pub(super) fn nameless(&self, slot: u32) -> Labels {
        let Names { labels, nameless } = &self.names[slot as usize];
        nameless.clone().unwrap_or_else(|| without_name(labels))
    }

    /// The samples of a slot, in the order of time.
    pub(super) fn samples(&self, slot: u32) -> View<'_> {
        self.series[slot as usize].samples.view(&self.unpacked)
    }

    /// The newest samples of a slot: at least two where there are two.
    pub(super) fn newest(&self, slot: u32) -> &[Sample] {
        self.series[slot as usize].samples.open()
    }

    /// The position of the first sample of a slot.
    pub(super) fn first_position(&self, slot: u32) -> u32 {
        self.series[slot as usize].samples.base()
    }

    /// From which times on the counting of a slot is said to have begun when; empty if that is not known.
    pub(super) fn starts(&self, slot: u32) -> &[(Timestamp, Timestamp)] {
        if self.starts.is_empty() { &[] } else { self.starts.get(&slot).map_or(&[], Vec::as_slice) }
    }

    /// Whether a sample of a slot came out of order in this round, or it began to count anew.
    pub(super) fn is_disordered(&self, slot: u32) -> bool {
        self.series[slot as usize].disordered
    }

    /// The slots of which samples came in this round; some perhaps more than once.
    pub(super) fn changed(&self) -> &[u32] {
        &self.changed
    }

    /// How far back of `at` stored samples are needed, and those ahead of it.
    pub(super) fn range_needed(&self, at: Timestamp) -> TimeRange {
        TimeRange { after: at - self.span, until: Timestamp::MAX }
    }

    /// Takes in a sample. One that is out of order goes to its place.
    pub(super) fn insert(&mut self, slot: u32, sample: Sample, now: Timestamp) -> Touched {
        if sample.t + self.span <= now || (is_stale(sample.v) && self.kept == Kept::All) {
            return Touched::Not;
        }
        let series = &mut self.series[slot as usize];
        match series.samples.open().last().map(|last| last.t) {
            Some(last) if last >= sample.t => {
                series.samples.amend(sample);
                series.disordered = true;
                self.has_disorder = true;
            }
            last => {
                if let Some(last) = last {
                    series.make_room(self.kept, self.span, (last, sample.t), now, &mut self.unpacked);
                }
                series.samples.push(sample);
            }
        }
        self.changed.push(slot);
        if self.changed.len() == 1 { Touched::First } else { Touched::Not }
    }

    /// From the sample at `t` on, counting is said to have begun at `start`: its samples must be looked at anew.
    pub(super) fn count_from(&mut self, slot: u32, t: Timestamp, start: Timestamp, now: Timestamp) -> Touched {
        if self.kept != Kept::All {
            return Touched::Not;
        }
        let changes = self.starts.entry(slot).or_default();
        if changes.last().is_some_and(|(last, told)| *last >= t || *told == start) {
            return Touched::Not;
        }
        let past = changes.partition_point(|(t, _)| *t + self.span <= now).saturating_sub(1);
        let over = (changes.len() - past + 1).saturating_sub(limits::START_CHANGES_PER_SERIES_MAX);
        changes.drain(..past + over);
        changes.push((t, start));
        self.series[slot as usize].disordered = true;
        self.has_disorder = true;
        self.changed.push(slot);
        if self.changed.len() == 1 { Touched::First } else { Touched::Not }
    }

    /// Takes in a native histogram.
    pub(super) fn insert_histogram(&mut self, slot: u32, sample: &HistogramSample, now: Timestamp) -> Touched {
        let bits = if sample.histogram.is_stale() { STALE_NAN } else { HISTOGRAM_NAN };
        self.has_met_histogram |= bits == HISTOGRAM_NAN;
        self.insert(slot, Sample { t: sample.t, v: f64::from_bits(bits) }, now)
    }

    /// Makes every sample wrong.
    #[cfg(test)]
    pub(super) fn distort(&mut self) {
        for (slot, series) in (0..).zip(&mut self.series) {
            series.samples.distort();
            series.disordered = true;
            self.changed.push(slot);
        }
        self.has_disorder = true;
    }

    /// Ends the round.
    pub(super) fn settle(&mut self) {
        if std::mem::take(&mut self.has_disorder) {
            self.changed.iter().for_each(|slot| self.series[*slot as usize].disordered = false);
        }
        self.changed.clear();
    }
}

impl Series {
    /// Lets go of what no window sees any more, if room is needed for a sample that comes after the last one.
    fn make_room(
        &mut self,
        kept: Kept,
        span: Millis,
        (last, next): (Timestamp, Timestamp),
        now: Timestamp,
        unpacked: &mut Unpacked,
    ) {
        match kept {
            Kept::Newest { offset } if next + offset <= now => self.samples.drop_first(self.samples.open().len()),
            Kept::Newest { offset } if self.samples.is_full() => {
                let counting = self.samples.open().partition_point(|s| s.t + offset <= now);
                self.samples.drop_first(counting.saturating_sub(1));
            }
            // Whoever looked at the window when the last one came has passed those that had left then.
            Kept::All if self.samples.is_full() => self.samples.make_room(span, last.min(now), unpacked),
            Kept::All | Kept::Newest { .. } => {}
        }
    }
}
