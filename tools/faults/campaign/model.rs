//! What a store should hold, as a plain map; and what it may hold after something was in flight.

use std::collections::BTreeMap;

use evenkeel::codec::put_histogram;
use evenkeel::model::{Batch, HistogramSample, Labels, Matcher, Rejected, Rejection, TimeRange, Timestamp, limits};
use evenkeel::storage::{Entry, Snapshot, Store, StoreOptions, StoredSeries};

use super::cases::Found;

/// What stands at an instant, bit for bit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Point {
    /// The bits of a value.
    Number(u64),
    /// The bytes of a native histogram.
    Histogram(Vec<u8>),
}

impl Point {
    fn histogram(sample: &HistogramSample) -> Point {
        let mut bytes = Vec::new();
        put_histogram(&mut bytes, &sample.histogram);
        Point::Histogram(bytes)
    }
}

/// Series with what stands at their instants.
pub(crate) type Content = Vec<(Labels, Vec<(i64, Point)>)>;

/// What a store should hold.
#[derive(Debug, Clone, Default)]
pub(crate) struct Model {
    samples: BTreeMap<Labels, BTreeMap<i64, Point>>,
    pub(crate) at: Timestamp,
    pub(crate) seq: u64,
}

impl Model {
    fn decide(&self, options: &StoreOptions, labels: &Labels, t: i64, point: &Point) -> Result<bool, Rejection> {
        if t > self.at.0 + limits::FUTURE_MAX.0 {
            return Err(Rejection::FarFuture);
        }
        if t <= self.at.0 - options.retention.0 {
            return Err(Rejection::TooOld);
        }
        let Some(stored) = self.samples.get(labels) else { return Ok(true) };
        let Some((newest, _)) = stored.last_key_value() else { return Ok(true) };
        if t < *newest && (options.out_of_order.0 == 0 || newest - t > options.out_of_order.0) {
            return Err(Rejection::OutOfOrder);
        }
        match stored.get(&t) {
            None => Ok(true),
            Some(same) if same == point => Ok(false),
            Some(_) => Err(Rejection::Duplicate),
        }
    }

    /// Takes an entry at clock time `at`; gives the counts of refused samples by reason.
    pub(crate) fn take(&mut self, options: &StoreOptions, at: Timestamp, entry: &Entry) -> BTreeMap<Rejection, u64> {
        self.at = self.at.max(at);
        self.seq += 1;
        match entry {
            Entry::Transaction(batch) => self.take_batch(options, batch),
            Entry::Write(raw) => self.take_batch(options, &raw.read(&mut Rejected::default())),
            Entry::Delete { matchers, range } => {
                let matching = |labels: &Labels| matchers.iter().all(|m| m.matches(labels.get(m.name())));
                let deleted = self.samples.iter_mut().filter(|(labels, _)| matching(labels));
                deleted.for_each(|(_, samples)| samples.retain(|t, _| !range.contains(Timestamp(*t))));
                BTreeMap::new()
            }
            Entry::Tick | Entry::Note(_) | Entry::Exemplars(_) | Entry::Metadata(_) => BTreeMap::new(),
        }
    }

    fn take_batch(&mut self, options: &StoreOptions, batch: &Batch) -> BTreeMap<Rejection, u64> {
        let mut refused = BTreeMap::new();
        let samples = batch
            .samples()
            .iter()
            .map(|sample| (sample.series, sample.sample.t.0, Ok(Point::Number(sample.sample.v.to_bits()))));
        let histograms = batch.histograms().iter().map(|histogram| {
            let sound = histogram.sample.histogram.validate().map(|()| Point::histogram(&histogram.sample));
            (histogram.series, histogram.sample.t.0, sound.map_err(|_| Rejection::InvalidHistogram))
        });
        for (series, t, point) in samples.chain(histograms) {
            let labels = &batch.series()[series as usize];
            let decided = point.and_then(|point| Ok((self.decide(options, labels, t, &point)?, point)));
            match decided {
                Err(reason) => *refused.entry(reason).or_default() += 1,
                Ok((false, _)) => {}
                Ok((true, point)) => {
                    self.samples.entry(labels.clone()).or_default().insert(t, point);
                }
            }
        }
        refused
    }

    /// The answer to a select.
    pub(crate) fn select(&self, options: &StoreOptions, matchers: &[Matcher], range: TimeRange) -> Content {
        let oldest = (self.at - options.retention).max(range.after).0;
        let matching =
            self.samples.iter().filter(|(labels, _)| matchers.iter().all(|m| m.matches(labels.get(m.name()))));
        let inside = matching.map(|(labels, samples)| {
            let inside = samples.iter().filter(|(t, _)| **t > oldest && **t <= range.until.0);
            (labels.clone(), inside.map(|(t, point)| (*t, point.clone())).collect::<Vec<_>>())
        });
        inside.filter(|(_, samples)| !samples.is_empty()).collect()
    }

    /// Everything that is visible.
    pub(crate) fn content(&self, options: &StoreOptions) -> Content {
        self.select(options, &[], TimeRange::ALL)
    }
}

/// What a snapshot answers, bit for bit. A sample and a histogram at one instant stand there twice.
pub(crate) fn select(snapshot: &Snapshot, matchers: &[Matcher], range: TimeRange) -> Result<Content, Found> {
    let points = |series: StoredSeries| {
        let samples = series.samples.iter().map(|sample| (sample.t.0, Point::Number(sample.v.to_bits())));
        let histograms = series.histograms.iter().map(|histogram| (histogram.t.0, Point::histogram(histogram)));
        let mut points: Vec<(i64, Point)> = samples.chain(histograms).collect();
        points.sort_by_key(|(t, _)| *t);
        (series.labels, points)
    };
    let found = snapshot.select(matchers, range, usize::MAX).map_err(|error| format!("a read failed: {error}"))?;
    Ok(found.into_iter().map(points).collect())
}

/// The first difference of two contents, in words.
pub(crate) fn difference(found: &Content, expected: &Content) -> Option<Found> {
    if found == expected {
        return None;
    }
    let as_map = |content: &Content| -> BTreeMap<(String, i64), Point> {
        content.iter().flat_map(|(labels, s)| s.iter().map(|(t, v)| ((labels.to_string(), *t), v.clone()))).collect()
    };
    let (a, b) = (as_map(found), as_map(expected));
    let missing: Vec<_> = b.iter().filter(|(key, v)| a.get(*key) != Some(v)).take(3).collect();
    let invented: Vec<_> = a.iter().filter(|(key, v)| b.get(*key) != Some(v)).take(3).collect();
    Some(format!(
        "{} samples found, {} expected; missing or other: {missing:?}; not expected: {invented:?}",
        a.len(),
        b.len()
    ))
}

/// How a process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// The machine goes on: the system has everything that was written.
    Process,
    /// The power went: only what was synced must be there.
    Power,
}

/// What must be in a store and what may be.
#[derive(Debug, Clone)]
pub(crate) struct Truth {
    pub(crate) options: StoreOptions,
    /// What a power cut must leave.
    sure: Model,
    /// What a reader must see now.
    pub(crate) shown: Model,
    /// Entries behind `sure`: those that are shown, then those whose fate is not known.
    open: Vec<(Timestamp, Entry)>,
}

impl Truth {
    /// Nothing.
    pub(crate) fn new(options: StoreOptions) -> Truth {
        Truth { options, sure: Model::default(), shown: Model::default(), open: Vec::new() }
    }

    /// A group was acknowledged. Gives the counts of refused samples that each entry should have had.
    pub(crate) fn acknowledge(
        &mut self,
        at: Timestamp,
        group: &[Entry],
        is_synced: bool,
    ) -> Vec<BTreeMap<Rejection, u64>> {
        let refused = group.iter().map(|entry| self.shown.take(&self.options, at, entry)).collect();
        if is_synced {
            self.synced();
        } else {
            self.open.extend(group.iter().map(|entry| (at, entry.clone())));
        }
        refused
    }

    /// Everything shown is durable now.
    pub(crate) fn synced(&mut self) {
        self.sure = self.shown.clone();
        self.open.clear();
    }

    /// A group failed, and whether it is stored will be seen at the next start.
    pub(crate) fn in_doubt(&mut self, at: Timestamp, group: &[Entry]) {
        self.open.extend(group.iter().map(|entry| (at, entry.clone())));
    }

    /// Whether a running store shows exactly what it should.
    pub(crate) fn check(&self, snapshot: &Snapshot) -> Result<(), Found> {
        self.shown.check(&self.options, snapshot)
    }

    /// Compares a store that was just opened with what may be there, and takes what is there as the
    /// truth from here on: a start makes durable what it shows.
    pub(crate) fn settle(&mut self, store: &Store, end: End) -> Result<(), Found> {
        let snapshot = store.snapshot();
        let seq = snapshot.seq().0;
        let least = match end {
            End::Process => self.shown.seq,
            End::Power => self.sure.seq,
        };
        let most = self.sure.seq + self.open.len() as u64;
        if !(least..=most).contains(&seq) {
            return Err(format!("the last entry is {seq}; it should be {least} to {most}"));
        }
        let mut model = self.sure.clone();
        for (at, entry) in &self.open[..(seq - self.sure.seq) as usize] {
            model.take(&self.options, *at, entry);
        }
        model.check(&self.options, &snapshot)?;
        self.shown = model;
        self.synced();
        Ok(())
    }
}

impl Model {
    fn check(&self, options: &StoreOptions, snapshot: &Snapshot) -> Result<(), Found> {
        if (snapshot.seq().0, snapshot.at()) != (self.seq, self.at) {
            let (seq, at) = (snapshot.seq(), snapshot.at());
            return Err(format!("the last entry is {seq:?} at {at:?}; it should be {} at {:?}", self.seq, self.at));
        }
        difference(&select(snapshot, &[], TimeRange::ALL)?, &self.content(options)).map_or(Ok(()), Err)
    }
}
