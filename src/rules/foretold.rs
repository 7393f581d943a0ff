//! What rules that are queried at their group's interval give at many instants, computed at once: for whoever has
//! history as a whole.
//!
//! Invariants:
//! - At each instant it is what a query at that instant gives on the same samples; what cannot be had so is an error,
//!   and the rules are to be queried one instant after the other.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use crate::model::{Labels, Millis, STALE_NAN, Sample, TimeRange, Timestamp};
use crate::promql::{ElementValue, EvalOptions, Expr, MatrixSeries, Query, SeriesSamples, SeriesSource, Value};

use super::interval::{SAME_LABELS, instant, output_labels};
use super::rule::{RecordingRule, RuleGroup};

/// The instants of a group in a stretch of time.
#[derive(Debug, Clone, Copy)]
pub struct Instants<'a> {
    /// The first one.
    pub first: Timestamp,
    /// The last one, not before the first.
    pub last: Timestamp,
    /// The group's interval.
    pub interval: Millis,
    /// Those at which samples come that are not seen yet, in order.
    pub apart: &'a [Timestamp],
}

/// What is to be seen at the instants.
pub struct Sight<'a> {
    /// At all of them but those that stand apart.
    pub all: &'a dyn SeriesSource,
    /// At one that stands apart.
    pub at: &'a (dyn Fn(Timestamp) -> Box<dyn SeriesSource + 'a> + 'a),
}

/// The elements that a query gives at each of the instants.
fn matrix(query: &Query, instants: Instants<'_>, sight: &Sight<'_>) -> Result<Vec<MatrixSeries>, String> {
    let options = EvalOptions::default();
    let Instants { first, last, interval, apart } = instants;
    let answer = query.range(sight.all, first, last, interval, &options).map_err(|error| error.to_string())?;
    let Value::Matrix(mut all) = answer.value else {
        return Err("the expression has no value at an instant".to_owned());
    };
    if apart.is_empty() {
        return Ok(all);
    }
    for series in &mut all {
        series.samples.retain(|sample| apart.binary_search(&sample.t).is_err());
        series.histograms.retain(|sample| apart.binary_search(&sample.t).is_err());
    }
    let mut places: HashMap<Labels, usize> = all.iter().enumerate().map(|(n, one)| (one.labels.clone(), n)).collect();
    for &t in apart {
        for (labels, value) in instant(query, &*(sight.at)(t), t, &options)? {
            let ElementValue::Number(v) = value else { return Err(HISTOGRAMS.to_owned()) };
            let at = *places.entry(labels.clone()).or_insert_with(|| {
                all.push(MatrixSeries { labels, samples: Vec::new(), histograms: Vec::new() });
                all.len() - 1
            });
            let samples = &mut all[at].samples;
            samples.insert(samples.partition_point(|sample| sample.t < t), Sample { t, v });
        }
    }
    Ok(all)
}

const HISTOGRAMS: &str = "native histograms are queried one instant after the other";

/// A recording rule whose instants are computed many at a time.
#[derive(Debug)]
pub struct Recorder {
    def: RecordingRule,
    group_labels: Labels,
    limit: usize,
    query: Query,
    /// The series that it made at the last instant.
    open: BTreeSet<Labels>,
}

impl Recorder {
    /// A rule of a group that has made nothing yet.
    pub fn new(group: &RuleGroup, def: &RecordingRule) -> Recorder {
        let (def, query) = (def.clone(), Query::from_expr(def.expr.clone()));
        Recorder { def, group_labels: group.labels.clone(), limit: group.limit, query, open: BTreeSet::new() }
    }

    /// What it makes at the instants, which come right after those of the last call, staleness markers included.
    ///
    /// # Errors
    /// It has to be queried at each instant by itself.
    pub fn record(&mut self, instants: Instants<'_>, sight: &Sight<'_>) -> Result<Vec<SeriesSamples>, String> {
        let mut made: BTreeMap<Labels, Vec<Sample>> = BTreeMap::new();
        for series in matrix(&self.query, instants, sight)? {
            if !series.histograms.is_empty() {
                return Err(HISTOGRAMS.to_owned());
            }
            if series.samples.is_empty() {
                continue;
            }
            let samples = made.entry(output_labels(&self.def, &self.group_labels, &series.labels)?).or_default();
            samples.extend(series.samples);
            samples.sort_by_key(|sample| sample.t);
            if samples.windows(2).any(|two| two[0].t == two[1].t) {
                return Err(SAME_LABELS.to_owned());
            }
        }
        if self.limit > 0 && most_at_once(made.values()) > self.limit {
            return Err(format!("exceeded limit of {}", self.limit));
        }
        let ended = self.open.iter().filter(|labels| !made.contains_key(*labels)).cloned().collect::<Vec<_>>();
        made.extend(ended.into_iter().map(|labels| (labels, Vec::new())));
        let before = std::mem::take(&mut self.open);
        let mut all = Vec::new();
        for (labels, samples) in made {
            if samples.last().is_some_and(|sample| sample.t == instants.last) {
                self.open.insert(labels.clone());
            }
            let samples = with_ends(samples, before.contains(&labels), instants);
            all.push(SeriesSamples::of_numbers(labels, samples));
        }
        Ok(all)
    }
}

/// The most series that have a sample at one instant.
fn most_at_once<'a>(all: impl Iterator<Item = &'a Vec<Sample>>) -> usize {
    let mut counts: HashMap<Timestamp, usize> = HashMap::new();
    all.flatten().for_each(|sample| *counts.entry(sample.t).or_default() += 1);
    counts.into_values().max().unwrap_or(0)
}

/// The samples of a series, with a staleness marker at each first instant at which there is none any more.
fn with_ends(samples: Vec<Sample>, was_open: bool, instants: Instants<'_>) -> Vec<Sample> {
    let marker = |t| Sample { t, v: f64::from_bits(STALE_NAN) };
    let mut all = Vec::with_capacity(samples.len());
    let mut next = was_open.then_some(instants.first);
    for sample in samples {
        if let Some(due) = next.filter(|due| *due < sample.t) {
            all.push(marker(due));
        }
        all.push(sample);
        next = Some(sample.t + instants.interval);
    }
    all.extend(next.filter(|due| *due <= instants.last).map(marker));
    all
}

/// The results of an alerting rule's query at all instants of a stretch.
#[derive(Debug, Default)]
pub struct Foretold {
    covers: Option<TimeRange>,
    elements: HashMap<Timestamp, Vec<(Labels, ElementValue)>>,
}

impl Foretold {
    /// What a query gives at the instants, which are all that lie in a range.
    ///
    /// # Errors
    /// It has to be asked at each instant by itself.
    pub fn of(expr: &Expr, covers: TimeRange, instants: Instants<'_>, sight: &Sight<'_>) -> Result<Foretold, String> {
        let mut elements: HashMap<Timestamp, Vec<(Labels, ElementValue)>> = HashMap::new();
        for series in matrix(&Query::from_expr(expr.clone()), instants, sight)? {
            if !series.histograms.is_empty() {
                return Err(HISTOGRAMS.to_owned());
            }
            for sample in series.samples {
                let element = (series.labels.clone(), ElementValue::Number(sample.v));
                elements.entry(sample.t).or_default().push(element);
            }
        }
        Ok(Foretold { covers: Some(covers), elements })
    }

    /// The result at an instant, if it is known; it is given once.
    pub(super) fn take(&mut self, at: Timestamp) -> Option<Vec<(Labels, ElementValue)>> {
        let is_known = self.covers.is_some_and(|range| range.contains(at));
        is_known.then(|| self.elements.remove(&at).unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_series_that_is_made_no_more_ends_at_the_next_instant() {
        let check = |values: &[i64], was_open: bool, expected: &[(i64, bool)]| {
            let instants = Instants { first: Timestamp(10), last: Timestamp(50), interval: Millis(10), apart: &[] };
            let samples = values.iter().map(|t| Sample { t: Timestamp(*t), v: 1.0 }).collect();
            let all = with_ends(samples, was_open, instants);
            let all: Vec<(i64, bool)> = all.iter().map(|s| (s.t.0, crate::model::is_stale(s.v))).collect();
            assert_eq!(all, expected, "{values:?}");
        };
        check(&[], false, &[]);
        check(&[], true, &[(10, true)]);
        check(&[10, 20, 50], true, &[(10, false), (20, false), (30, true), (50, false)]);
        check(&[20, 30], true, &[(10, true), (20, false), (30, false), (40, true)]);
        check(&[50], false, &[(50, false)]);
    }
}
