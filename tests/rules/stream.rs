//! A log in memory that answers as the store does, and rules made of texts.

use std::collections::BTreeMap;
use std::sync::Arc;

use evenkeel::model::{
    Committed, Histogram, HistogramSample, Labels, Matcher, Millis, Rejected, Sample, Seq, SeriesRef, StartChange,
    TimeRange, Timestamp,
};
use evenkeel::promql::{SeriesSamples, SeriesSource, SourceError, parse};
use evenkeel::rules::{AlertingRule, EvaluationMode, RecordingRule, Rule, RuleGroup};

/// Stored series, and the entries that brought them.
#[derive(Default)]
pub(super) struct Stream {
    series: BTreeMap<Labels, Stored>,
    met: u64,
    seq: u64,
    /// How much older than its series' newest a sample may be.
    out_of_order: Millis,
}

#[derive(Default)]
struct Stored {
    number: u64,
    samples: Vec<Sample>,
    histograms: Vec<HistogramSample>,
    /// From which time on its counting is said to have begun when.
    starts: Vec<(Timestamp, Timestamp)>,
}

/// What a series has at an instant.
#[derive(Debug, Clone)]
pub(super) enum Point {
    Number(f64),
    /// A number whose counting began at a time.
    Counted(f64, i64),
    Histogram(Arc<Histogram>),
}

impl Stream {
    /// One that takes samples that are so much older than their series' newest.
    pub(super) fn accepting(out_of_order: Millis) -> Stream {
        Stream { out_of_order, ..Stream::default() }
    }

    /// Every series that a transaction has named.
    pub(super) fn known(&self) -> impl Iterator<Item = (SeriesRef, Labels)> {
        self.series.iter().map(|(labels, stored)| (SeriesRef(stored.number), labels.clone()))
    }

    /// Stores a transaction; samples that are too old, or of an instant that has one, are left out.
    pub(super) fn commit(&mut self, at: i64, samples: &[(Labels, i64, f64)]) -> Committed {
        let points: Vec<_> = samples.iter().map(|(labels, t, v)| (labels.clone(), *t, Point::Number(*v))).collect();
        self.commit_points(at, &points)
    }

    /// The same of samples and native histograms.
    pub(super) fn commit_points(&mut self, at: i64, points: &[(Labels, i64, Point)]) -> Committed {
        self.seq += 1;
        let mut committed = Committed {
            seq: Seq(self.seq),
            at: Timestamp(at),
            new_series: Vec::new(),
            samples: Vec::new(),
            histograms: Vec::new(),
            starts: Vec::new(),
            coarsened: 0,
            rejected: Rejected::default(),
        };
        for (labels, t, point) in points {
            let t = Timestamp(*t);
            let stored = self.series.entry(labels.clone()).or_default();
            if stored.number == 0 {
                self.met += 1;
                stored.number = self.met;
                committed.new_series.push((SeriesRef(stored.number), labels.clone()));
            }
            let number = SeriesRef(stored.number);
            let newest = stored.samples.last().map(|last| last.t).max(stored.histograms.last().map(|last| last.t));
            let is_taken = stored.samples.binary_search_by_key(&t, |s| s.t).is_ok()
                || stored.histograms.binary_search_by_key(&t, |s| s.t).is_ok();
            if newest.is_some_and(|newest| newest >= t && (is_taken || newest - t >= self.out_of_order)) {
                continue;
            }
            match point {
                Point::Number(v) | Point::Counted(v, _) => {
                    if let (Point::Counted(_, start), true) = (point, newest.is_none_or(|newest| newest < t)) {
                        let (start, last) = (Timestamp(*start), stored.starts.last());
                        if start.0 > 0 && start <= t && last.is_none_or(|(_, told)| *told != start) {
                            stored.starts.push((t, start));
                            committed.starts.push(StartChange { series: number, t, start });
                        }
                    }
                    let sample = Sample { t, v: *v };
                    let at = stored.samples.partition_point(|s| s.t < t);
                    stored.samples.insert(at, sample);
                    committed.samples.push((number, sample));
                }
                Point::Histogram(histogram) => {
                    let sample = HistogramSample { t, start: Timestamp(0), histogram: Arc::clone(histogram) };
                    let at = stored.histograms.partition_point(|s| s.t < t);
                    stored.histograms.insert(at, sample.clone());
                    committed.histograms.push((number, sample));
                }
            }
        }
        committed
    }

    /// A log entry without samples.
    pub(super) fn tick(&mut self) -> Seq {
        self.seq += 1;
        Seq(self.seq)
    }

    /// The store is opened anew: every series will be met for the first time again.
    pub(super) fn reopen(&mut self) {
        self.series.values_mut().for_each(|stored| stored.number = 0);
    }
}

impl SeriesSource for Stream {
    fn start_changes(&self, labels: &Labels) -> Vec<(Timestamp, Timestamp)> {
        self.series.get(labels).map(|stored| stored.starts.clone()).unwrap_or_default()
    }

    fn select(&self, matchers: &[Matcher], range: TimeRange, _: usize) -> Result<Vec<SeriesSamples>, SourceError> {
        let matching =
            self.series.iter().filter(|(labels, _)| matchers.iter().all(|m| m.matches(labels.get(m.name()))));
        Ok(matching
            .map(|(labels, stored)| {
                let samples: Vec<_> = stored.samples.iter().copied().filter(|s| range.contains(s.t)).collect();
                let start = |t: Timestamp| {
                    let known = stored.starts.iter().rev().find(|(from, _)| *from <= t);
                    known.map_or(Timestamp(0), |(_, start)| *start)
                };
                let told = |s: &HistogramSample| HistogramSample { start: start(s.t), ..s.clone() };
                let histograms = stored.histograms.iter().filter(|s| range.contains(s.t)).map(told).collect();
                let is_known = !stored.starts.is_empty();
                let starts = samples.iter().filter(|_| is_known).map(|s| start(s.t)).collect();
                SeriesSamples { labels: labels.clone(), samples, starts, histograms }
            })
            .filter(|series| !series.samples.is_empty() || !series.histograms.is_empty())
            .collect())
    }
}

pub(super) fn labels(pairs: &[(&str, &str)]) -> Labels {
    Labels::new(pairs.iter().copied()).unwrap()
}

pub(super) fn alert(name: &str, expr: &str) -> AlertingRule {
    AlertingRule {
        alert: name.to_owned(),
        expr: parse(expr).unwrap_or_else(|error| panic!("{expr}: {error}")),
        hold: Millis::ZERO,
        keep_firing: Millis::ZERO,
        labels: Vec::new(),
        annotations: Vec::new(),
    }
}

pub(super) fn record(name: &str, expr: &str) -> Rule {
    Rule::Recording(RecordingRule { record: name.to_owned(), expr: parse(expr).unwrap(), labels: Vec::new() })
}

pub(super) fn group(rules: Vec<Rule>) -> RuleGroup {
    RuleGroup {
        name: "group".to_owned(),
        file: "rules.yml".to_owned(),
        interval: Millis::seconds(30),
        mode: EvaluationMode::Ingest,
        limit: 0,
        query_offset: Millis::ZERO,
        labels: Labels::empty(),
        rules,
    }
}
