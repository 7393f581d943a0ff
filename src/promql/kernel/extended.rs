//! Functions of an anchored or smoothed range: the edges of the window have values of their own,
//! found from the samples around them, so that nothing is extrapolated.
//!
//! Invariants:
//! - Windows that touch give increases that add up, as both see the same value at the edge between
//!   them; a reset of a counter counts in one of them.

use crate::model::{Sample, TimeRange, Timestamp};

use super::Function;

/// How the value at an edge is found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EdgeValue {
    /// The newest sample at the edge or before it.
    Before,
    /// On the line between the samples around it.
    Between,
}

/// What kind of numbers are looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Counter,
    Gauge,
}

/// The functions that know what to do with anchored ranges.
pub const ANCHORED: [Function; 5] =
    [Function::Changes, Function::Delta, Function::Increase, Function::Rate, Function::Resets];

/// The functions that know what to do with smoothed ranges.
pub const SMOOTHED: [Function; 3] = [Function::Delta, Function::Increase, Function::Rate];

/// The value of a function of an anchored or smoothed range; nothing if the series has no sample that
/// tells of the window. `samples` reach back beyond the window by the lookback and, for
/// [`EdgeValue::Between`], ahead as far; they are in the order of time, without staleness markers.
pub fn over_extended(function: Function, edge: EdgeValue, samples: &[Sample], range: TimeRange) -> Option<f64> {
    let kind = if function == Function::Delta { Kind::Gauge } else { Kind::Counter };
    let Edges { left, right, inside } = Edges::of(edge, kind, samples, range)?;
    let values = || inside.iter().map(|sample| sample.v).chain([right]);
    match function {
        Function::Delta => Some(right - left),
        Function::Increase => Some(right - left + before_resets(left, values())),
        Function::Rate => {
            let increase = right - left + before_resets(left, values());
            Some(increase / (range.until - range.after).as_seconds())
        }
        Function::Changes => Some(pairs(left, values(), |a, b| a != b && !(a.is_nan() && b.is_nan()))),
        Function::Resets => Some(pairs(left, values(), |a, b| b < a)),
        _ => None,
    }
}

/// The value of a series at an instant, on the line between the samples around it; the one before, if
/// none comes after.
pub fn between(samples: &[Sample], t: Timestamp) -> Option<f64> {
    let next = samples.partition_point(|sample| sample.t < t);
    let before = next.checked_sub(1).map(|at| samples[at]);
    match (before, samples.get(next)) {
        (_, Some(exact)) if exact.t == t => Some(exact.v),
        (Some(before), Some(after)) => Some(on_line(before, *after, t, Kind::Gauge)),
        (Some(before), None) => Some(before.v),
        (None, _) => None,
    }
}

struct Edges<'a> {
    left: f64,
    right: f64,
    /// The samples between the edges.
    inside: &'a [Sample],
}

impl<'a> Edges<'a> {
    fn of(edge: EdgeValue, kind: Kind, samples: &'a [Sample], range: TimeRange) -> Option<Edges<'a>> {
        let newest = samples.len().checked_sub(1)?;
        let mut first = samples[..newest].partition_point(|sample| sample.t <= range.after).saturating_sub(1);
        let mut last = newest;
        if edge == EdgeValue::Between {
            last = samples[..newest].partition_point(|sample| sample.t < range.until);
        }
        let outside = samples[last].t <= range.after || edge == EdgeValue::Between && samples[first].t > range.until;
        if outside {
            return None;
        }
        let left = match edge {
            EdgeValue::Between if samples[first].t < range.after => {
                on_line(samples[first], samples[first + 1], range.after, kind)
            }
            _ => samples[first].v,
        };
        let right = match edge {
            EdgeValue::Between if last > 0 && samples[last].t > range.until => {
                on_line(samples[last - 1], samples[last], range.until, kind)
            }
            _ => samples[last].v,
        };
        if samples[first].t <= range.after {
            first += 1;
        }
        let end = if samples[last].t >= range.until { last } else { last + 1 };
        Some(Edges { left, right, inside: samples.get(first..end).unwrap_or_default() })
    }
}

/// The value at `t` between two samples; a counter that was reset began at zero.
fn on_line(before: Sample, after: Sample, t: Timestamp, kind: Kind) -> f64 {
    let from = if kind == Kind::Counter && after.v < before.v { 0.0 } else { before.v };
    from + (after.v - from) * (t - before.t).0 as f64 / (after.t - before.t).0 as f64
}

/// What a counter had before each reset.
fn before_resets(left: f64, values: impl Iterator<Item = f64>) -> f64 {
    let (mut before, mut sum) = (left, 0.0);
    for v in values {
        if v < before {
            sum += before;
        }
        before = v;
    }
    sum
}

fn pairs(left: f64, values: impl Iterator<Item = f64>, counts: impl Fn(f64, f64) -> bool) -> f64 {
    let (mut before, mut count) = (left, 0.0);
    for v in values {
        if counts(before, v) {
            count += 1.0;
        }
        before = v;
    }
    count
}

#[cfg(test)]
mod tests {
    use super::*;

    fn samples(pairs: &[(i64, f64)]) -> Vec<Sample> {
        pairs.iter().map(|&(s, v)| Sample { t: Timestamp(s * 1000), v }).collect()
    }

    #[test]
    fn edges_have_values_of_their_own() {
        let check = |function, edge, pairs: &[(i64, f64)], (after, until): (i64, i64), expected: Option<f64>| {
            let range = TimeRange { after: Timestamp(after * 1000), until: Timestamp(until * 1000) };
            let got = over_extended(function, edge, &samples(pairs), range);
            assert_eq!(got, expected, "{function:?} {edge:?} {pairs:?} {after}..{until}");
        };
        use EdgeValue::{Before, Between};
        let steady = [(0, 0.0), (10, 10.0), (20, 30.0)];
        check(Function::Increase, Before, &steady, (5, 20), Some(30.0));
        check(Function::Increase, Before, &steady, (10, 25), Some(20.0));
        check(Function::Increase, Before, &steady, (20, 30), None);
        check(Function::Increase, Between, &steady, (5, 15), Some(15.0));
        check(Function::Rate, Between, &steady, (5, 15), Some(1.5));
        check(Function::Increase, Between, &steady, (15, 40), Some(10.0));
        check(Function::Increase, Between, &steady, (-10, -5), None);
        check(Function::Increase, Before, &[(5, 7.0)], (0, 10), Some(0.0));
        check(Function::Increase, Before, &[], (0, 10), None);
        // The reset lies between the edges, or the edge between the samples around the reset.
        let reset = [(0, 4.0), (10, 10.0), (20, 2.0)];
        check(Function::Increase, Before, &reset, (0, 20), Some(8.0));
        check(Function::Delta, Before, &reset, (0, 20), Some(-2.0));
        check(Function::Increase, Between, &reset, (15, 20), Some(1.0));
        check(Function::Increase, Between, &reset, (10, 15), Some(1.0));
        check(Function::Resets, Before, &reset, (0, 20), Some(1.0));
        check(Function::Changes, Before, &reset, (0, 20), Some(2.0));
        check(Function::Changes, Before, &reset, (10, 20), Some(1.0));
    }

    #[test]
    fn instants_lie_on_lines() {
        let line = samples(&[(0, 0.0), (10, 10.0), (20, 0.0)]);
        let check = |t: i64, expected: Option<f64>| assert_eq!(between(&line, Timestamp(t * 1000)), expected, "{t}");
        check(-1, None);
        check(0, Some(0.0));
        check(5, Some(5.0));
        check(15, Some(5.0));
        check(25, Some(0.0));
    }
}
