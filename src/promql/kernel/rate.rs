//! `rate`, `increase`, `delta`: the change over a window, extrapolated to the window's edges.
//!
//! Invariants:
//! - Edges are compared and added in whole milliseconds. So while no edge is tripped the result
//!   does not move with the window, not even by one bit.

use crate::model::{Sample, TimeRange};

/// What the three functions differ in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Extrapolated {
    /// Of a counter, per second.
    Rate,
    /// Of a counter.
    Increase,
    /// Of a gauge.
    Delta,
}

/// The extrapolated change; nothing for fewer than two samples.
pub(super) fn extrapolated(kind: Extrapolated, samples: &[Sample], range: TimeRange) -> Option<f64> {
    let [first, .., last] = samples else { return None };
    let mut change = last.v - first.v;
    if kind != Extrapolated::Delta {
        for two in samples.windows(2) {
            if two[1].v < two[0].v {
                change += two[0].v;
            }
        }
    }
    let sampled = (last.t - first.t).0;
    if sampled <= 0 {
        return None;
    }
    let gaps = samples.len() as i64 - 1;
    let mut to_start = edge((first.t - range.after).0, sampled, gaps);
    let to_end = edge((range.until - last.t).0, sampled, gaps);
    if kind != Extrapolated::Delta && change > 0.0 && first.v >= 0.0 {
        // A counter was not below zero: do not extrapolate past the instant of its zero.
        let to_zero = sampled as f64 * (first.v / change);
        if to_zero < to_start {
            to_start = to_zero;
        }
    }
    let mut factor = (sampled as f64 + to_start + to_end) / sampled as f64;
    if kind == Extrapolated::Rate {
        factor /= (range.until - range.after).as_seconds();
    }
    Some(change * factor)
}

/// How far to extrapolate beyond an outermost sample: up to the window's edge where that is less
/// than 1.1 average gaps away, else by half a gap.
fn edge(distance: i64, sampled: i64, gaps: i64) -> f64 {
    if is_tripped(distance, sampled, gaps) { sampled as f64 / (2 * gaps) as f64 } else { distance as f64 }
}

/// Whether an edge is so far away that the series is taken to begin or end inside the window.
fn is_tripped(distance: i64, sampled: i64, gaps: i64) -> bool {
    i128::from(distance) * i128::from(gaps) * 10 >= i128::from(sampled) * 11
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Timestamp;

    fn samples(pairs: &[(i64, f64)]) -> Vec<Sample> {
        pairs.iter().map(|&(s, v)| Sample { t: Timestamp(s * 1000), v }).collect()
    }

    fn range(after: i64, until: i64) -> TimeRange {
        TimeRange { after: Timestamp(after * 1000), until: Timestamp(until * 1000) }
    }

    #[test]
    fn changes_are_extrapolated_as_in_prometheus() {
        let check = |kind, pairs: &[(i64, f64)], range: TimeRange, expected: Option<f64>| {
            assert_eq!(extrapolated(kind, &samples(pairs), range), expected, "{kind:?} {pairs:?} {range:?}");
        };
        let steady = [(60, 100.0), (120, 160.0), (180, 220.0), (240, 280.0)];
        check(Extrapolated::Increase, &steady, range(0, 240), Some(240.0));
        check(Extrapolated::Rate, &steady, range(0, 240), Some(180.0 * (240.0 / 180.0 / 240.0)));
        check(Extrapolated::Delta, &steady, range(30, 270), Some(240.0));
        // The right edge is two gaps away: half a gap is added instead.
        check(Extrapolated::Increase, &steady, range(60 - 30, 360), Some(180.0 + 30.0 + 30.0));
        // A counter that starts at zero gets nothing before its first sample.
        check(Extrapolated::Increase, &[(60, 0.0), (120, 60.0)], range(30, 130), Some(60.0 + 10.0));
        check(Extrapolated::Delta, &[(60, 0.0), (120, 60.0)], range(30, 130), Some(60.0 + 30.0 + 10.0));
        // A reset adds what was there before.
        check(Extrapolated::Increase, &[(60, 100.0), (120, 110.0), (180, 5.0)], range(60, 180), Some(15.0));
        check(Extrapolated::Increase, &[(60, 1.0)], range(0, 60), None);
        check(Extrapolated::Increase, &[], range(0, 60), None);
    }

    #[test]
    fn an_untripped_window_may_move_without_changing_a_bit() {
        let steady: Vec<Sample> =
            (0..20).map(|i| Sample { t: Timestamp(i * 15_003), v: i as f64 * 0.7 + 1000.0 }).collect();
        let last = steady[19].t.0;
        let window = last + 9_000;
        let at = |until: i64| {
            let range = TimeRange { after: Timestamp(until - window), until: Timestamp(until) };
            extrapolated(Extrapolated::Rate, &steady, range).unwrap().to_bits()
        };
        for until in last..last + 8_999 {
            assert_eq!(at(until), at(last));
        }
    }
}
