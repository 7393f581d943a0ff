//! Histograms of anchored and smoothed selectors: the edges of a window have histograms of their own,
//! so that nothing is extrapolated.

use std::sync::Arc;

use super::change::{Change, is_gauge};
use super::sum::{Sign, combine};
use super::{FloatHistogram, HistogramPoint, MixedLayouts};
use crate::model::{ExactSum, ResetHint, TimeRange, Timestamp};
use crate::promql::kernel::{EdgeValue, Function};

/// Whether a fall of counts is taken for a reset.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Counter,
    Gauge,
}

/// A histogram at an edge, and where custom bounds were left out to find it.
struct Found {
    histogram: FloatHistogram,
    reconciled: bool,
}

/// The change over a window, by `rate`, `increase` or `delta`; nothing if no histogram tells of the
/// window. The points reach back beyond it and, for [`EdgeValue::Between`], ahead.
///
/// # Errors
/// Some have custom bounds and others have not.
pub fn native_extended(
    function: Function,
    edge: EdgeValue,
    points: &[HistogramPoint],
    range: TimeRange,
) -> Result<Option<Change>, MixedLayouts> {
    let Some(newest) = points.len().checked_sub(1) else { return Ok(None) };
    let kind = if function == Function::Delta { Kind::Gauge } else { Kind::Counter };
    let first = points[..newest].partition_point(|point| point.t <= range.after).saturating_sub(1);
    let last = match edge {
        EdgeValue::Between => points[..newest].partition_point(|point| point.t < range.until),
        EdgeValue::Before => newest,
    };
    if points[last].t <= range.after || edge == EdgeValue::Between && points[first].t > range.until {
        return Ok(None);
    }
    let seen = points.get(first..=last).unwrap_or_default();
    let custom = points[first].histogram.is_custom();
    if seen.iter().any(|point| point.histogram.is_custom() != custom) {
        return Err(MixedLayouts);
    }
    let left_between = edge == EdgeValue::Between && points[first].t < range.after;
    let left = match left_between {
        true => on_line(&points[first], &points[first + 1], range.after, kind)?,
        false => exact(&points[first]),
    };
    let right = match edge == EdgeValue::Between && last > 0 && points[last].t > range.until {
        true => on_line(&points[last - 1], &points[last], range.until, kind)?,
        false => exact(&points[last]),
    };
    let mut terms = vec![(Sign::Plus, &right.histogram), (Sign::Minus, &left.histogram)];
    if kind == Kind::Counter {
        let inside = points.get(first + 1..last).unwrap_or_default();
        let counted = left_between && points[first + 1].histogram.is_reset_since(&points[first].histogram);
        terms.extend(before_resets(&left, inside, &right, counted, first + 1 == last).map(|one| (Sign::Plus, one)));
    }
    let combined = combine(&terms, ExactSum::value)?;
    let mut change = Change::of(combined.histogram);
    change.subtraction_reconciled = combined.bounds_reconciled || left.reconciled || right.reconciled;
    change.addition_reconciled = left.reconciled || right.reconciled;
    change.not_a_counter = kind == Kind::Counter && seen.iter().any(is_gauge);
    let gauge = |found: &Found| found.histogram.reset_hint == ResetHint::Gauge;
    change.not_a_gauge = kind == Kind::Gauge && !(gauge(&left) && gauge(&right));
    if function == Function::Rate {
        change.histogram = change.histogram.divided((range.until - range.after).as_seconds());
    }
    change.histogram.reset_hint = ResetHint::Gauge;
    Ok(Some(change))
}

/// What a counter had before each reset between its edges. If the left edge lies on a line across a
/// reset, that one is `counted` already.
fn before_resets<'a>(
    left: &'a Found,
    inside: &'a [HistogramPoint],
    right: &'a Found,
    counted: bool,
    adjacent: bool,
) -> impl Iterator<Item = &'a FloatHistogram> {
    let mut all: Vec<&FloatHistogram> = vec![&left.histogram];
    all.extend(inside.iter().map(|point| &*point.histogram));
    all.push(&right.histogram);
    // Without a sample inside both edges lie on the same line.
    let skipped = match (counted, adjacent) {
        (true, true) => all.len(),
        (true, false) => 1,
        (false, _) => 0,
    };
    let resets = all.split_off(skipped.min(all.len()));
    (1..resets.len())
        .filter(|&at| resets[at].is_reset_since(resets[at - 1]))
        .map(|at| resets[at - 1])
        .collect::<Vec<_>>()
        .into_iter()
}

/// The histogram of a series at an instant, on the line between those around it; the one before, if
/// none comes after.
///
/// # Errors
/// One has custom bounds and the other has not.
pub fn native_between(points: &[HistogramPoint], t: Timestamp) -> Result<Option<Arc<FloatHistogram>>, MixedLayouts> {
    let next = points.partition_point(|point| point.t < t);
    let before = next.checked_sub(1).map(|at| &points[at]);
    match (before, points.get(next)) {
        (_, Some(exact)) if exact.t == t => Ok(Some(exact.histogram.clone())),
        (Some(before), Some(after)) => {
            let kind = if is_gauge(before) || is_gauge(after) { Kind::Gauge } else { Kind::Counter };
            Ok(Some(Arc::new(on_line(before, after, t, kind)?.histogram)))
        }
        (Some(before), None) => Ok(Some(before.histogram.clone())),
        (None, _) => Ok(None),
    }
}

fn exact(point: &HistogramPoint) -> Found {
    Found { histogram: FloatHistogram::clone(&point.histogram), reconciled: false }
}

/// The histogram at `t` between two; a counter that was reset began at zero.
fn on_line(before: &HistogramPoint, after: &HistogramPoint, t: Timestamp, kind: Kind) -> Result<Found, MixedLayouts> {
    if t == before.t {
        return Ok(exact(before));
    }
    if t == after.t {
        return Ok(exact(after));
    }
    if after.histogram.is_custom() != before.histogram.is_custom() {
        return Err(MixedLayouts);
    }
    let part = (t - before.t).0 as f64 / (after.t - before.t).0 as f64;
    if kind == Kind::Counter && after.histogram.is_reset_since(&before.histogram) {
        return Ok(Found { histogram: after.histogram.scaled(part), reconciled: false });
    }
    let rise = after.histogram.minus(&before.histogram)?;
    let reconciled = rise.bounds_reconciled;
    Ok(Found { histogram: rise.histogram.scaled(part).plus(&before.histogram)?.histogram, reconciled })
}
