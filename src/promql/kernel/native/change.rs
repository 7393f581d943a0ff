//! `rate`, `increase`, `delta`, `irate`, `idelta` of histograms.
//!
//! Invariants:
//! - A change has one rounding for each count: what was there before each reset is added exactly.
//! - Windows are extrapolated as those of numbers are, by the count of observations.

use super::sum::{Sign, combine_within};
use super::{FloatHistogram, HistogramPoint, MixedLayouts};
use crate::model::{ExactSum, ResetHint, Sample, TimeRange, Timestamp};
use crate::promql::kernel::Function;
use crate::promql::kernel::rate::{Extrapolated, from_start};
use crate::promql::kernel::starts;

/// A change with what the user should know of it.
#[derive(Debug, Clone)]
pub struct Change {
    /// The change; a gauge.
    pub histogram: FloatHistogram,
    /// Whether a gauge was taken for a counter.
    pub not_a_counter: bool,
    /// Whether a counter was taken for a gauge.
    pub not_a_gauge: bool,
    /// Whether custom bounds were left out to subtract.
    pub subtraction_reconciled: bool,
    /// Whether custom bounds were left out to add what was there before a reset.
    pub addition_reconciled: bool,
}

/// The change over a window, by `rate`, `increase` or `delta`; nothing for too few histograms. Starts
/// of counting that are not to be looked at are 0.
///
/// # Errors
/// Some have custom bounds and others have not.
pub fn native_change(
    function: Function,
    points: &[HistogramPoint],
    range: TimeRange,
) -> Result<Option<Change>, MixedLayouts> {
    let kind = match function {
        Function::Rate => Extrapolated::Rate,
        Function::Increase => Extrapolated::Increase,
        _ => Extrapolated::Delta,
    };
    let (Some(first), Some(_)) = (points.first(), points.last()) else { return Ok(None) };
    let counts = kind != Extrapolated::Delta;
    // It was zero at its start, if that lies inside the window.
    let start = Some(first.start).filter(|start| counts && start.0 != 0 && *start > range.after && *start < first.t);
    if points.len() < 2 && start.is_none() {
        return Ok(None);
    }
    let mut change = if counts { of_counter(points, start)? } else { of_gauge(points)? };
    // The factor by which a change of the count is extrapolated is that of every other one.
    let sample = |point: &HistogramPoint| Sample { t: point.t, v: point.histogram.count };
    let samples: Vec<Sample> = points.iter().map(sample).collect();
    let rise = change.histogram.count;
    let probe = if rise == 0.0 || !rise.is_finite() { 1.0 } else { rise };
    let unknown = |mut samples: Vec<Sample>| -> Vec<Sample> {
        // Without a rise nothing is known of when it was zero; a number below zero says so.
        samples.iter_mut().for_each(|sample| sample.v = -1.0);
        samples.iter_mut().next_back().into_iter().for_each(|last| last.v += probe);
        samples
    };
    let seen = if rise == probe { samples } else { unknown(samples) };
    let Some(extrapolated) = from_start(kind, &seen, start, probe, range) else { return Ok(None) };
    change.histogram = change.histogram.scaled(extrapolated / probe);
    change.histogram.reset_hint = ResetHint::Gauge;
    Ok(Some(change))
}

/// The change between the last two histograms, by `irate` a second, by `idelta` in all.
///
/// # Errors
/// As [`native_change`].
pub fn native_last_change(
    function: Function,
    before: &HistogramPoint,
    last: &HistogramPoint,
) -> Result<Option<Change>, MixedLayouts> {
    let elapsed = (last.t - before.t).as_seconds();
    if elapsed <= 0.0 {
        return Ok(None);
    }
    let rate = function == Function::Irate;
    let any_gauge = is_gauge(before) || is_gauge(last);
    let all_gauges = is_gauge(before) && is_gauge(last);
    let mut change = Change::of(FloatHistogram::clone(&last.histogram));
    (change.not_a_counter, change.not_a_gauge) = (rate && any_gauge, !rate && !all_gauges);
    if !rate || !is_reset(before, last) {
        let difference = last.histogram.minus(&before.histogram)?;
        change.subtraction_reconciled = difference.bounds_reconciled;
        change.histogram = difference.histogram;
    }
    if rate {
        change.histogram = change.histogram.divided(elapsed);
    }
    change.histogram.reset_hint = ResetHint::Gauge;
    Ok(Some(change))
}

/// Whether counting began anew between two, by their counts or by what is known of its starts.
pub fn is_reset(before: &HistogramPoint, now: &HistogramPoint) -> bool {
    starts::is_reset((before.start, before.t), (now.start, now.t)) || now.histogram.is_reset_since(&before.histogram)
}

impl Change {
    pub(super) fn of(histogram: FloatHistogram) -> Change {
        Change {
            histogram,
            not_a_counter: false,
            not_a_gauge: false,
            subtraction_reconciled: false,
            addition_reconciled: false,
        }
    }
}

pub(super) fn is_gauge(point: &HistogramPoint) -> bool {
    point.histogram.reset_hint == ResetHint::Gauge
}

fn of_gauge(points: &[HistogramPoint]) -> Result<Change, MixedLayouts> {
    let (first, last) = (&points[0], &points[points.len() - 1]);
    let difference = last.histogram.minus(&first.histogram)?;
    let mut change = Change::of(difference.histogram);
    change.subtraction_reconciled = difference.bounds_reconciled;
    change.not_a_gauge = !is_gauge(first) || !is_gauge(last);
    Ok(change)
}

fn of_counter(points: &[HistogramPoint], start: Option<Timestamp>) -> Result<Change, MixedLayouts> {
    let last = &*points[points.len() - 1].histogram;
    let reset_at_once = points.len() > 1 && is_reset(&points[0], &points[1]);
    // What the first one counted does not matter then, nor how.
    let nothing;
    let first = if reset_at_once {
        nothing = FloatHistogram::empty(points[1].histogram.schema, points[1].histogram.bounds.clone());
        &nothing
    } else {
        &*points[0].histogram
    };
    let looked_at = &points[usize::from(reset_at_once)..];
    if looked_at.iter().any(|point| point.histogram.is_custom() != last.is_custom()) {
        return Err(MixedLayouts);
    }
    let mut terms = vec![(Sign::Plus, last), (Sign::Minus, first)];
    let before_resets = looked_at.windows(2).filter(|two| is_reset(&two[0], &two[1])).map(|two| &*two[0].histogram);
    terms.extend(before_resets.map(|before| (Sign::Plus, before)));
    let subtraction_reconciled = first.bounds != last.bounds;
    let addition_reconciled = terms[2..].iter().any(|(_, term)| term.bounds != last.bounds);
    if start.is_some() {
        terms.push((Sign::Plus, first));
    }
    let coarsest = looked_at.iter().map(|point| point.histogram.schema).min().unwrap_or(last.schema);
    let mut change = Change::of(combine_within(&terms, coarsest, ExactSum::value)?.histogram);
    (change.subtraction_reconciled, change.addition_reconciled) = (subtraction_reconciled, addition_reconciled);
    change.not_a_counter = points.iter().any(is_gauge);
    Ok(change)
}
