//! The stored samples that a part of the rules reads, a stretch of time at once, and what the rules make of them.
//!
//! Invariants:
//! - A query sees nothing that is newer than the instant that is played; [`Columns`] shows all that is loaded.
//! - Series that no rule follows are not played: they are seen from their times on.
//! - What rules record at an instant comes before raw samples of that instant, and behind its deadlines.
//! - Of metrics that rules record, what was stored while they are played is left out: the rules make it anew.
//! - Of a stretch that was played, only what rules look back to stays in memory.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, HashMap};

use crate::model::{
    Batch, Committed, HistogramSample, Labels, Matcher, Millis, Rejected, Sample, Seq, SeriesRef, TimeRange, Timestamp,
};
use crate::promql::{SeriesSamples, SeriesSource, SourceError};

/// A series, as far as it is in memory.
#[derive(Debug)]
struct Column {
    labels: Labels,
    number: SeriesRef,
    samples: Vec<Sample>,
    histograms: Vec<HistogramSample>,
    /// Whether the evaluator knows its number.
    told: bool,
    /// How many of its samples and histograms were played.
    played: (usize, usize),
    origin: Origin,
    /// Whether rules follow it, so that it must be played.
    is_followed: bool,
}

/// Where the samples of a series come from that are to be played.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Origin {
    /// From rules that were computed before the play.
    Recorded,
    /// From the source, or from rules as they are played.
    Raw,
}

/// What is in memory.
#[derive(Debug, Default)]
pub(super) struct History {
    columns: Vec<Column>,
    /// Places of columns that were given up.
    free: Vec<usize>,
    by_labels: HashMap<Labels, usize>,
    by_name: BTreeMap<String, Vec<usize>>,
    numbers: u64,
    seq: u64,
    /// The instant that is played.
    pub(super) now: Timestamp,
    /// The instant of the last transaction.
    transaction_at: Timestamp,
    /// Columns whose samples to be played are at the same instants, as those of one target are.
    bundles: Vec<Vec<usize>>,
    /// The instant of the next sample of each bundle.
    due: BinaryHeap<Reverse<(Timestamp, Origin, usize)>>,
}

impl History {
    /// Nothing, before an instant.
    pub(super) fn new(now: Timestamp) -> History {
        History { now, transaction_at: Timestamp::MIN, ..History::default() }
    }

    fn column(&mut self, labels: Labels) -> usize {
        if let Some(at) = self.by_labels.get(&labels) {
            return *at;
        }
        self.numbers += 1;
        let column = Column {
            labels: labels.clone(),
            number: SeriesRef(self.numbers),
            samples: Vec::new(),
            histograms: Vec::new(),
            told: false,
            played: (0, 0),
            origin: Origin::Raw,
            is_followed: true,
        };
        let at = self.free.pop().unwrap_or(self.columns.len());
        if at == self.columns.len() {
            self.columns.push(column);
        } else {
            self.columns[at] = column;
        }
        let named = self.by_name.entry(labels.metric_name().to_owned()).or_default();
        let place = named.partition_point(|other| self.columns[*other].labels < labels);
        named.insert(place, at);
        self.by_labels.insert(labels, at);
        at
    }

    /// Adds what a stretch holds of a series, in the order of time and newer than what is there. What is not after
    /// `played` was seen already. Gives how many samples are to be played.
    pub(super) fn load(&mut self, series: SeriesSamples, played: Timestamp) -> u64 {
        let at = self.column(series.labels);
        let column = &mut self.columns[at];
        let newest = column.newest();
        let (samples, histograms) = (column.samples.len(), column.histograms.len());
        column.samples.extend(series.samples.into_iter().filter(|sample| sample.t > newest));
        column.histograms.extend(series.histograms.into_iter().filter(|sample| sample.t > newest));
        if !column.told {
            column.played = (
                column.samples.partition_point(|s| s.t <= played),
                column.histograms.partition_point(|s| s.t <= played),
            );
        }
        let new = |from: usize, played: usize, to: usize| (to - from.max(played).min(to)) as u64;
        new(samples, column.played.0, column.samples.len()) + new(histograms, column.played.1, column.histograms.len())
    }

    /// Adds what a rule has made ahead of the play; what is not newer than what its series has is left out. Gives how
    /// many samples are added.
    pub(super) fn record(&mut self, series: SeriesSamples) -> u64 {
        let at = self.column(series.labels);
        let column = &mut self.columns[at];
        column.origin = Origin::Recorded;
        let (newest, before) = (column.newest(), column.samples.len());
        column.samples.extend(series.samples.into_iter().filter(|sample| sample.t > newest));
        (column.samples.len() - before) as u64
    }

    /// All that is loaded, whatever was played of it.
    pub(super) fn columns(&self) -> Columns<'_> {
        Columns(self)
    }

    /// Whether there are native histograms.
    pub(super) fn has_histograms(&self) -> bool {
        self.columns.iter().any(|column| !column.histograms.is_empty())
    }

    /// The instants of a grid at which raw samples come.
    pub(super) fn raw_times_on(&self, first: Timestamp, interval: Millis, until: Timestamp) -> Vec<Timestamp> {
        let mut found = Vec::new();
        let mut last: &[Sample] = &[];
        for column in self.columns.iter().filter(|column| column.origin == Origin::Raw) {
            let samples = &column.samples[column.samples.partition_point(|sample| sample.t < first)..];
            let histograms = column.histograms.iter().map(|sample| sample.t);
            // Series of a target share their times.
            let known = samples.len() == last.len() && samples.iter().zip(last).all(|(a, b)| a.t == b.t);
            let numbers = samples.iter().map(|sample| sample.t).take(if known { 0 } else { usize::MAX });
            let is_on = |t: &Timestamp| (first..=until).contains(t) && (*t - first).0 % interval.0 == 0;
            found.extend(numbers.chain(histograms).filter(is_on));
            last = samples;
        }
        found.sort_unstable();
        found.dedup();
        found
    }

    /// Makes ready to play what was loaded, as far as rules follow it.
    pub(super) fn begin(&mut self, follows: &dyn Fn(&Labels) -> bool) {
        let mut alike: HashMap<(Origin, Timestamp, Timestamp, usize), Vec<usize>> = HashMap::new();
        let mut bundles: Vec<Vec<usize>> = Vec::new();
        for at in 0..self.columns.len() {
            let column = &mut self.columns[at];
            if !column.told {
                column.is_followed = follows(&column.labels);
            }
            if !column.is_followed {
                column.played = (column.samples.len(), column.histograms.len());
                continue;
            }
            let column = &self.columns[at];
            let waiting = column.waiting();
            let (Some(first), Some(last)) = (waiting.first(), waiting.last()) else {
                if column.next().is_some() {
                    bundles.push(vec![at]);
                }
                continue;
            };
            if column.histograms.len() > column.played.1 {
                bundles.push(vec![at]);
                continue;
            }
            let candidates = alike.entry((column.origin, first.t, last.t, waiting.len())).or_default();
            let same = |bundle: &usize| {
                let other = self.columns[bundles[*bundle][0]].waiting();
                other.iter().zip(waiting).all(|(a, b)| a.t == b.t)
            };
            match candidates.iter().copied().find(same) {
                Some(bundle) => bundles[bundle].push(at),
                None => {
                    candidates.push(bundles.len());
                    bundles.push(vec![at]);
                }
            }
        }
        let next = |(bundle, columns): (usize, &Vec<usize>)| {
            let column = &self.columns[columns[0]];
            Some(Reverse((column.next()?, column.origin, bundle)))
        };
        self.due = bundles.iter().enumerate().filter_map(next).collect();
        self.bundles = bundles;
    }

    /// The transaction of the next instant, none after `until`.
    pub(super) fn next(&mut self, until: Timestamp) -> Option<Committed> {
        let Reverse((t, origin, _)) = self.due.peek().copied().filter(|Reverse((t, ..))| *t <= until)?;
        let mut committed = self.committed(t);
        self.transaction_at = t;
        let is_next = |Reverse((due, of, _)): &Reverse<(Timestamp, Origin, usize)>| (*due, *of) == (t, origin);
        while let Some(Reverse((.., bundle))) = self.due.peek().copied().filter(is_next) {
            self.due.pop();
            for at in &self.bundles[bundle] {
                let column = &mut self.columns[*at];
                column.tell(&mut committed);
                if let Some(sample) = column.samples.get(column.played.0).filter(|sample| sample.t == t) {
                    committed.samples.push((column.number, *sample));
                    column.played.0 += 1;
                }
                if let Some(sample) = column.histograms.get(column.played.1).filter(|sample| sample.t == t) {
                    committed.histograms.push((column.number, sample.clone()));
                    column.played.1 += 1;
                }
            }
            if let Some(next) = self.columns[self.bundles[bundle][0]].next() {
                self.due.push(Reverse((next, origin, bundle)));
            }
        }
        Some(committed)
    }

    /// The instant of the next transaction.
    pub(super) fn next_at(&self) -> Option<Timestamp> {
        self.due.peek().map(|Reverse((t, ..))| *t)
    }

    /// The number of the next log entry.
    pub(super) fn next_seq(&mut self) -> Seq {
        self.seq += 1;
        Seq(self.seq)
    }

    fn committed(&mut self, at: Timestamp) -> Committed {
        let seq = self.next_seq();
        let rejected = Rejected::default();
        Committed {
            seq,
            at,
            new_series: Vec::new(),
            samples: Vec::new(),
            histograms: Vec::new(),
            starts: Vec::new(),
            coarsened: 0,
            rejected,
        }
    }

    /// Stores what rules have made, as the transaction that it is; what is not newer than what its series has is left out.
    pub(super) fn store(&mut self, made: &Batch) -> Committed {
        let mut committed = self.committed(self.now);
        let labels = |at: u32| made.series()[at as usize].clone();
        for one in made.samples() {
            let at = self.column(labels(one.series));
            let column = &mut self.columns[at];
            if column.newest() < one.sample.t {
                column.samples.push(one.sample);
                column.played.0 = column.samples.len();
                column.tell(&mut committed);
                committed.samples.push((column.number, one.sample));
            }
        }
        for one in made.histograms() {
            let at = self.column(labels(one.series));
            let column = &mut self.columns[at];
            if column.newest() < one.sample.t {
                column.histograms.push(one.sample.clone());
                column.played.1 = column.histograms.len();
                column.tell(&mut committed);
                committed.histograms.push((column.number, one.sample.clone()));
            }
        }
        committed
    }

    /// Forgets what is not after `before` and was played; gives the numbers of series of which nothing is left.
    pub(super) fn forget(&mut self, before: Timestamp) -> Vec<SeriesRef> {
        let mut gone = Vec::new();
        for at in 0..self.columns.len() {
            let column = &mut self.columns[at];
            let samples = column.samples.partition_point(|s| s.t <= before).min(column.played.0);
            let histograms = column.histograms.partition_point(|s| s.t <= before).min(column.played.1);
            column.samples.drain(..samples);
            column.histograms.drain(..histograms);
            column.played = (column.played.0 - samples, column.played.1 - histograms);
            if column.samples.is_empty()
                && column.histograms.is_empty()
                && self.by_labels.get(&column.labels) == Some(&at)
            {
                gone.push(column.number);
                let labels = std::mem::replace(&mut column.labels, Labels::empty());
                column.told = true;
                if let Some(named) = self.by_name.get_mut(labels.metric_name()) {
                    named.retain(|other| *other != at);
                }
                self.by_labels.remove(&labels);
                self.free.push(at);
            }
        }
        gone
    }
}

impl Column {
    fn newest(&self) -> Timestamp {
        let number = self.samples.last().map_or(Timestamp::MIN, |sample| sample.t);
        self.histograms.last().map_or(number, |sample| number.max(sample.t))
    }

    /// The instant of the next sample to be played.
    fn next(&self) -> Option<Timestamp> {
        let number = self.samples.get(self.played.0).map(|sample| sample.t);
        let histogram = self.histograms.get(self.played.1).map(|sample| sample.t);
        [number, histogram].into_iter().flatten().min()
    }

    /// The samples to be played.
    fn waiting(&self) -> &[Sample] {
        &self.samples[self.played.0..]
    }

    fn tell(&mut self, committed: &mut Committed) {
        if !std::mem::replace(&mut self.told, true) {
            committed.new_series.push((self.number, self.labels.clone()));
        }
    }

    /// What was played of a range: as in the database, a deadline sees no sample of its own instant that comes after it.
    fn within(&self, range: TimeRange) -> SeriesSamples {
        of_range(&self.labels, &self.samples[..self.played.0], &self.histograms[..self.played.1], range)
    }
}

/// What lies in a range.
fn of_range(labels: &Labels, samples: &[Sample], histograms: &[HistogramSample], range: TimeRange) -> SeriesSamples {
    let from = samples.partition_point(|sample| sample.t <= range.after);
    let to = samples.partition_point(|sample| sample.t <= range.until).max(from);
    let first = histograms.partition_point(|sample| sample.t <= range.after);
    let end = histograms.partition_point(|sample| sample.t <= range.until).max(first);
    SeriesSamples {
        labels: labels.clone(),
        samples: samples[from..to].to_vec(),
        starts: Vec::new(),
        histograms: histograms[first..end].to_vec(),
    }
}

/// The name that a selector fixes.
pub(super) fn fixed_name(matchers: &[Matcher]) -> Option<&str> {
    let fixed = |m: &&Matcher| m.name() == Labels::METRIC_NAME && m.op() == crate::model::MatchOp::Equal;
    matchers.iter().find(fixed).map(Matcher::value)
}

impl History {
    /// The series that satisfy matchers, as far as `within` shows them.
    fn found(
        &self,
        matchers: &[Matcher],
        samples_max: usize,
        within: impl Fn(&Column) -> SeriesSamples,
    ) -> Result<Vec<SeriesSamples>, SourceError> {
        let empty = Vec::new();
        let mut all = Vec::new();
        let columns: &[usize] = match fixed_name(matchers) {
            Some(name) => self.by_name.get(name).unwrap_or(&empty),
            None => {
                all.extend(self.by_labels.values().copied());
                all.sort_by(|a, b| self.columns[*a].labels.cmp(&self.columns[*b].labels));
                &all
            }
        };
        let mut left = samples_max;
        let mut found = Vec::new();
        for at in columns {
            let column = &self.columns[*at];
            if !matchers.iter().all(|matcher| matcher.matches(column.labels.get(matcher.name()))) {
                continue;
            }
            let series = within(column);
            let weight = series.count();
            left = left.checked_sub(weight).ok_or(SourceError::TooManySamples { limit: samples_max })?;
            if weight > 0 {
                found.push(series);
            }
        }
        Ok(found)
    }
}

impl SeriesSource for History {
    fn select(
        &self,
        matchers: &[Matcher],
        range: TimeRange,
        samples_max: usize,
    ) -> Result<Vec<SeriesSamples>, SourceError> {
        let until = range.until.min(self.now);
        let range = TimeRange { after: range.after.min(until), until };
        // A deadline comes before the samples of its instant.
        let seen = if self.transaction_at == self.now { until } else { until.min(self.now - Millis(1)) };
        let unplayed = TimeRange { after: range.after.min(seen), until: seen };
        self.found(matchers, samples_max, |column| column.within(if column.is_followed { range } else { unplayed }))
    }
}

/// All that is loaded.
#[derive(Clone, Copy)]
pub(super) struct Columns<'a>(&'a History);

impl Columns<'_> {
    /// Whether a series was made by rules that are computed ahead.
    pub(super) fn is_recorded(&self, labels: &Labels) -> bool {
        let at = self.0.by_labels.get(labels);
        at.is_some_and(|at| self.0.columns[*at].origin == Origin::Recorded)
    }
}

impl SeriesSource for Columns<'_> {
    fn select(
        &self,
        matchers: &[Matcher],
        range: TimeRange,
        samples_max: usize,
    ) -> Result<Vec<SeriesSamples>, SourceError> {
        self.0
            .found(matchers, samples_max, |column| of_range(&column.labels, &column.samples, &column.histograms, range))
    }
}

/// How many samples some series have.
pub(super) fn weight(series: &[SeriesSamples]) -> usize {
    series.iter().map(SeriesSamples::count).sum()
}

/// The longest of some spans.
pub(super) fn longest(spans: impl Iterator<Item = Millis>) -> Millis {
    spans.max().unwrap_or(Millis::ZERO)
}
