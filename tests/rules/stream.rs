//! A log in memory that answers as the store does, and rules made of texts.

use std::collections::BTreeMap;

use evenkeel::model::{Committed, Labels, Matcher, Millis, Rejected, Sample, Seq, SeriesRef, TimeRange, Timestamp};
use evenkeel::promql::{SeriesSamples, SeriesSource, SourceError, parse};
use evenkeel::rules::{AlertingRule, RecordingRule, Rule, RuleGroup};

/// Stored series, and the entries that brought them.
#[derive(Default)]
pub(super) struct Stream {
    series: BTreeMap<Labels, (SeriesRef, Vec<Sample>)>,
    met: u64,
    seq: u64,
}

impl Stream {
    /// Every series that a transaction has named.
    pub(super) fn known(&self) -> impl Iterator<Item = (SeriesRef, Labels)> {
        self.series.iter().map(|(labels, (series, _))| (*series, labels.clone()))
    }

    /// Stores a transaction; samples at or before a series' newest are left out.
    pub(super) fn commit(&mut self, at: i64, samples: &[(Labels, i64, f64)]) -> Committed {
        self.seq += 1;
        let mut committed = Committed {
            seq: Seq(self.seq),
            at: Timestamp(at),
            new_series: Vec::new(),
            samples: Vec::new(),
            histograms: Vec::new(),
            rejected: Rejected::default(),
        };
        for (labels, t, v) in samples {
            let sample = Sample { t: Timestamp(*t), v: *v };
            let (series, stored) = self.series.entry(labels.clone()).or_insert_with(|| (SeriesRef(0), Vec::new()));
            if series.0 == 0 {
                self.met += 1;
                *series = SeriesRef(self.met);
                committed.new_series.push((*series, labels.clone()));
            }
            if stored.last().is_none_or(|last| last.t < sample.t) {
                stored.push(sample);
                committed.samples.push((*series, sample));
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
        self.series.values_mut().for_each(|(series, _)| *series = SeriesRef(0));
    }
}

impl SeriesSource for Stream {
    fn select(&self, matchers: &[Matcher], range: TimeRange, _: usize) -> Result<Vec<SeriesSamples>, SourceError> {
        let matching =
            self.series.iter().filter(|(labels, _)| matchers.iter().all(|m| m.matches(labels.get(m.name()))));
        Ok(matching
            .map(|(labels, (_, samples))| {
                let inside = samples.iter().copied().filter(|s| range.contains(s.t));
                SeriesSamples::of_numbers(labels.clone(), inside.collect())
            })
            .filter(|series| !series.samples.is_empty())
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
        limit: 0,
        query_offset: Millis::ZERO,
        labels: Labels::empty(),
        rules,
    }
}
