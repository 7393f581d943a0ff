//! Functions of classic histograms: series that differ in `le` alone.

use std::collections::HashMap;

use super::Evaluator;
use super::row::Row;
use crate::model::Labels;

/// The label that holds a bucket's upper bound.
const BOUND: &str = "le";

/// The buckets of one histogram: upper bound and place in the vector.
pub(super) struct Histogram {
    pub(super) labels: Labels,
    pub(super) buckets: Vec<(f64, usize)>,
}

impl Histogram {
    /// The buckets that are there at a step.
    pub(super) fn at<'a>(&'a self, rows: &'a [Row], step: usize) -> impl Iterator<Item = (f64, f64)> + 'a {
        self.buckets.iter().filter_map(move |(le, at)| rows[*at].get(step).map(|v| (*le, v)))
    }

    /// Whether there is any bucket at a step.
    pub(super) fn is_at(&self, rows: &[Row], step: usize) -> bool {
        self.at(rows, step).next().is_some()
    }
}

impl Evaluator<'_> {
    /// The classic histograms that the numbers of a vector make up.
    pub(super) fn classic_histograms(&self, rows: &[Row], place: &str) -> Vec<Histogram> {
        let mut places: HashMap<Labels, usize> = HashMap::new();
        let mut histograms: Vec<Histogram> = Vec::new();
        for (at, row) in rows.iter().enumerate().filter(|(_, row)| row.iter().next().is_some()) {
            let bound = row.labels.get(BOUND);
            let Ok(le) = bound.parse::<f64>() else {
                self.notes.borrow_mut().bad_bucket_label(bound, row.labels.metric_name(), place);
                continue;
            };
            let labels = row.labels.filter(|name| name != BOUND);
            let place = *places.entry(labels.clone()).or_insert_with(|| {
                histograms.push(Histogram { labels, buckets: Vec::new() });
                histograms.len() - 1
            });
            histograms[place].buckets.push((le, at));
        }
        histograms
    }
}

/// The share of observations between two values, interpolated inside a bucket; a bucket without
/// an end on one side gives nothing to an interval that ends in it.
pub(super) fn fraction(lower: f64, upper: f64, buckets: &mut [(f64, f64)]) -> f64 {
    buckets.sort_by(|a, b| a.0.total_cmp(&b.0));
    let Some(&(last_bound, _)) = buckets.last() else { return f64::NAN };
    let mut merged: Vec<(f64, f64)> = Vec::with_capacity(buckets.len());
    for &(le, count) in buckets.iter() {
        match merged.last_mut() {
            Some(last) if last.0 == le => last.1 += count,
            _ => merged.push((le, count)),
        }
    }
    let total = merged.last().map_or(0.0, |bucket| bucket.1);
    if last_bound != f64::INFINITY || total == 0.0 || total.is_nan() || lower.is_nan() || upper.is_nan() {
        return f64::NAN;
    }
    if lower >= upper {
        return 0.0;
    }
    (rank_of(upper, &merged, total) - rank_of(lower, &merged, total)) / total
}

/// How many observations lie at or below `v`.
fn rank_of(v: f64, buckets: &[(f64, f64)], total: f64) -> f64 {
    let mut rank: f64 = 0.0;
    let mut from = if buckets[0].0 > 0.0 { 0.0 } else { f64::NEG_INFINITY };
    for &(to, count) in buckets {
        if from >= v {
            return rank.min(total);
        }
        if to > v {
            return match (from.is_infinite(), to.is_infinite()) {
                (true, _) => count,
                (false, true) => rank,
                (false, false) => rank + (count - rank) * (v - from) / (to - from),
            }
            .min(total);
        }
        (rank, from) = (count, to);
    }
    total
}
