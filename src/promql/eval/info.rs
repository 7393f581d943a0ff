//! `info`: the labels of info metrics, put on the series that they describe.
//!
//! Invariants:
//! - The info series are those of the instant that the first selector of the argument sees, so that
//!   `@` and `offset` choose both alike.

use std::collections::{BTreeMap, BTreeSet};

use super::Evaluator;
use super::row::{Operand, Row, unique};
use crate::model::{Labels, Sample, TimeRange, Timestamp, is_stale};
use crate::promql::ast::Expr;
use crate::promql::info::InfoSelector;
use crate::promql::plan::Steps;
use crate::promql::query::EvalError;
use crate::promql::source::SeriesSamples;

/// The labels by which an info series says what it describes.
const IDENTIFYING: [&str; 2] = ["instance", "job"];

impl Evaluator<'_> {
    pub(super) fn info(&self, args: &[Expr], steps: Steps) -> Result<Operand, EvalError> {
        let selector = InfoSelector::of(args);
        let rows = self.vector(&args[0], steps)?;
        let span = selector.span(steps, &self.frame);
        let series = self.reads.get(&selector.matchers, span)?;
        let (infos, bases): (Vec<Row>, Vec<Row>) =
            rows.into_iter().partition(|row| selector.is_info(row.labels.metric_name()));
        let identified = Identified::of(&bases);
        let mut series: Vec<Info<'_>> = series.iter().filter(|s| identified.fits(&s.labels)).map(Info::of).collect();
        let mut built: BTreeMap<(Labels, bool), Row> = BTreeMap::new();
        let mut found: Vec<(usize, Sample)> = Vec::new();
        for (step, t) in steps.times().enumerate() {
            self.check_size(built.len() + bases.len() + infos.len(), steps)?;
            let seen = selector.seen(t, &self.frame);
            found.clear();
            let window = TimeRange { after: seen - self.frame.lookback, until: seen };
            for (at, info) in series.iter_mut().enumerate() {
                if let Some(sample) = info.newest(window)? {
                    found.push((at, sample));
                }
            }
            let newest = newest_of_each(&series, &found)?;
            for base in &bases {
                let Some(point) = base.point(step) else { continue };
                let Some(labels) = selector.enriched(&base.labels, &newest)? else { continue };
                let row = built.entry((labels, base.drop_name)).or_insert_with_key(|(labels, drop_name)| {
                    let mut row = Row::absent(labels.clone(), steps);
                    row.drop_name = *drop_name;
                    row
                });
                if row.has(step) {
                    return Err(EvalError::SameLabelset);
                }
                row.set_point(step, point);
            }
        }
        Ok(Operand::Vector(unique(infos.into_iter().chain(built.into_values()).collect())?))
    }
}

/// An info series, seen as time goes on.
struct Info<'a> {
    series: &'a SeriesSamples,
    next: usize,
}

impl<'a> Info<'a> {
    fn of(series: &'a SeriesSamples) -> Info<'a> {
        Info { series, next: 0 }
    }

    /// The newest sample in a window whose end never goes back.
    fn newest(&mut self, window: TimeRange) -> Result<Option<Sample>, EvalError> {
        let samples = &self.series.samples;
        while samples.get(self.next).is_some_and(|sample| sample.t <= window.until) {
            self.next += 1;
        }
        let newest = self.next.checked_sub(1).map(|at| samples[at]).filter(|sample| sample.t > window.after);
        let histograms = &self.series.histograms;
        let after = |t: Timestamp| window.contains(t) && newest.is_none_or(|sample| t > sample.t);
        if histograms.iter().any(|one| after(one.t) && !one.histogram.is_stale()) {
            return Err(EvalError::Parameter("info sample should be float".to_owned()));
        }
        if histograms.iter().any(|one| after(one.t)) {
            return Ok(None);
        }
        Ok(newest.filter(|sample| !is_stale(sample.v)))
    }
}

/// What a series is identified by, with the metric that describes it.
type Identity<'a> = (&'a str, [&'a str; 2]);

fn identity<'a>(metric: &'a str, labels: &'a Labels) -> Identity<'a> {
    (metric, IDENTIFYING.map(|name| labels.get(name)))
}

/// The newest info series for each identity.
pub(in crate::promql) type Newest<'a> = BTreeMap<Identity<'a>, &'a Labels>;

fn newest_of_each<'a>(series: &[Info<'a>], found: &[(usize, Sample)]) -> Result<Newest<'a>, EvalError> {
    let mut newest: BTreeMap<Identity<'a>, (&'a Labels, Timestamp)> = BTreeMap::new();
    for (at, sample) in found {
        let labels = &series[*at].series.labels;
        let known = newest.entry(identity(labels.metric_name(), labels)).or_insert((labels, Timestamp(i64::MIN)));
        if known.1 == sample.t {
            return Err(EvalError::Matching(format!(
                "found duplicate series for info metric: existing {} @ {}, new {labels} @ {}",
                known.0, known.1.0, sample.t.0
            )));
        }
        if sample.t > known.1 {
            *known = (labels, sample.t);
        }
    }
    Ok(newest.into_iter().map(|(identity, (labels, _))| (identity, labels)).collect())
}

impl InfoSelector {
    /// The labels of a series with those of its info series; nothing if it has none and a condition
    /// demands a label.
    fn enriched(&self, base: &Labels, newest: &Newest<'_>) -> Result<Option<Labels>, EvalError> {
        let mut added: BTreeMap<&str, &str> = BTreeMap::new();
        let mut described = false;
        let metrics: BTreeSet<&str> = newest.keys().map(|(metric, _)| *metric).collect();
        for metric in metrics {
            let Some(info) = newest.get(&identity(metric, base)) else { continue };
            described = true;
            for label in info.iter().filter(|label| self.takes(label.name)) {
                if added.get(label.name).is_some_and(|value| *value != label.value) {
                    return Err(EvalError::Matching(format!("conflicting label: {}", label.name)));
                }
                if base.get(label.name).is_empty() {
                    added.insert(label.name, label.value);
                }
            }
        }
        if !described && self.demands_label() {
            return Ok(None);
        }
        let mut builder = base.builder();
        added.into_iter().for_each(|(name, value)| {
            builder.set(name, value);
        });
        let labels = builder.build();
        labels.map(Some).map_err(|error| EvalError::Parameter(format!("labels after info(): {error}")))
    }
}

/// The values that the series to be described are identified by.
struct Identified([BTreeSet<String>; 2]);

impl Identified {
    fn of(bases: &[Row]) -> Identified {
        Identified(IDENTIFYING.map(|name| {
            let values = bases.iter().map(|row| row.labels.get(name));
            values.filter(|value| !value.is_empty()).map(str::to_owned).collect()
        }))
    }

    /// Whether an info series may describe any of them.
    fn fits(&self, info: &Labels) -> bool {
        let fits = |(name, values): (&&str, &BTreeSet<String>)| values.is_empty() || values.contains(info.get(name));
        self.0.iter().any(|values| !values.is_empty()) && IDENTIFYING.iter().zip(&self.0).all(fits)
    }
}
