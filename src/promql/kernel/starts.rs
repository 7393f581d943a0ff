//! Functions of a window of a counter of which it is known when the counting of each sample began: a
//! reset shows even if the value did not fall.
//!
//! Invariants:
//! - If nothing is known, they give the same bits as without.

use crate::model::{ExactSum, Sample, TimeRange, Timestamp};

use super::Function;
use super::range::{moving, over_range};
use super::rate::{self, Extrapolated, Motion, Resets, from_start};

/// Whether [`over_range_with_starts`] gives another value than [`over_range`] may.
pub fn by_starts(function: Function) -> bool {
    matches!(function, Function::Rate | Function::Increase | Function::Irate | Function::Resets)
}

/// [`over_range`] for `rate`, `increase`, `irate` and `resets`, with the start of each sample, 0 where
/// it is not known; of other functions what `over_range` gives. Nothing where the series gets no
/// element in the result.
pub fn over_range_with_starts(
    function: Function,
    args: &[f64],
    samples: &[Sample],
    starts: &[Timestamp],
    range: TimeRange,
) -> Option<f64> {
    if starts.len() != samples.len() || starts.iter().all(|start| start.0 == 0) {
        return over_range(function, args, samples, range);
    }
    match function {
        Function::Rate => increase(Extrapolated::Rate, samples, starts, range),
        Function::Increase => increase(Extrapolated::Increase, samples, starts, range),
        Function::Irate => {
            let from = samples.len().checked_sub(2)?;
            let [before, last] = &samples[from..] else { return None };
            if !is_reset((starts[from], before.t), (starts[from + 1], last.t)) {
                return over_range(function, args, samples, range);
            }
            let elapsed = last.t - before.t;
            (elapsed.0 > 0).then(|| last.v / elapsed.as_seconds())
        }
        Function::Resets => {
            let resets = (1..samples.len()).filter(|&at| was_reset(samples, starts, at)).count();
            (!samples.is_empty()).then_some(resets as f64)
        }
        _ => over_range(function, args, samples, range),
    }
}

/// Whether a sample claims to count from before its predecessor on, and yet not from where that
/// one does.
pub fn starts_overlap(samples: &[Sample], starts: &[Timestamp]) -> bool {
    let overlap = |at: usize| starts[at].0 != 0 && starts[at] < samples[at - 1].t && starts[at] != starts[at - 1];
    starts.len() == samples.len() && (1..samples.len()).any(overlap)
}

fn was_reset(samples: &[Sample], starts: &[Timestamp], at: usize) -> bool {
    let (before, sample) = (samples[at - 1], samples[at]);
    sample.v < before.v || is_reset((starts[at - 1], before.t), (starts[at], sample.t))
}

/// Whether the counting began anew between two samples, by what is known of its starts.
pub(super) fn is_reset(
    (start_before, before): (Timestamp, Timestamp),
    (start, sample): (Timestamp, Timestamp),
) -> bool {
    // Not known, or no start at all: OpenTelemetry's unknown start is the sample's own time.
    if start.0 == 0 || start >= sample || start < before {
        return false;
    }
    // A start at the sample before is a delta if that one has a start as well, and else a
    // counter of which nobody knows since when it counts.
    start > before || start_before.0 != 0 && start_before < before
}

/// [`over_range_with_starts`], and how the value moves while the window moves on and no sample enters or leaves it.
pub fn moving_with_starts(
    function: Function,
    args: &[f64],
    samples: &[Sample],
    starts: &[Timestamp],
    range: TimeRange,
) -> (Option<f64>, Motion) {
    let kind = match function {
        Function::Rate => Extrapolated::Rate,
        Function::Increase => Extrapolated::Increase,
        _ if by_starts(function) => {
            return (over_range_with_starts(function, args, samples, starts, range), Motion::STILL);
        }
        _ => return moving(function, args, samples, Resets::Perhaps, range),
    };
    if starts.len() != samples.len() || starts.iter().all(|start| start.0 == 0) {
        return rate::moving(kind, samples, Resets::Perhaps, range);
    }
    match risen(samples, starts, range) {
        Some((rise, start)) => rate::moving_from_start(kind, samples, start, rise, range),
        None => (None, Motion::STILL),
    }
}

fn increase(kind: Extrapolated, samples: &[Sample], starts: &[Timestamp], range: TimeRange) -> Option<f64> {
    let (rise, start) = risen(samples, starts, range)?;
    from_start(kind, samples, start, rise, range)
}

/// By how much a counter rose in a window, and when it began to count if that lies inside.
fn risen(samples: &[Sample], starts: &[Timestamp], range: TimeRange) -> Option<(f64, Option<Timestamp>)> {
    let (first, last) = (samples.first()?, samples.last()?);
    let mut rise = ExactSum::new();
    rise.add(last.v);
    rise.add(-first.v);
    (1..samples.len()).filter(|&at| was_reset(samples, starts, at)).for_each(|at| rise.add(samples[at - 1].v));
    let start = starts[0];
    let begins_inside = start.0 != 0 && start > range.after && start < first.t;
    if begins_inside {
        // It was zero then.
        rise.add(first.v);
    }
    Some((rise.value(), begins_inside.then_some(start)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn starts_show_resets() {
        let check = |function, counted: &[(i64, f64, i64)], (after, until): (i64, i64), expected: Option<f64>| {
            let samples: Vec<Sample> = counted.iter().map(|&(s, v, _)| Sample { t: Timestamp(s * 1000), v }).collect();
            let starts: Vec<Timestamp> = counted.iter().map(|&(.., start)| Timestamp(start * 1000)).collect();
            let range = TimeRange { after: Timestamp(after * 1000), until: Timestamp(until * 1000) };
            let got = over_range_with_starts(function, &[], &samples, &starts, range);
            assert_eq!(got, expected, "{function:?} {counted:?}");
        };
        let deltas = [(60, 60.0, 1), (120, 60.0, 60), (180, 60.0, 120)];
        check(Function::Increase, &deltas, (1, 180), Some(120.0 * 179.0 / 120.0));
        check(Function::Increase, &deltas, (0, 180), Some(180.0));
        check(Function::Resets, &deltas, (0, 180), Some(2.0));
        check(Function::Irate, &deltas, (0, 180), Some(1.0));
        check(Function::Rate, &[(60, 30.0, 30)], (0, 120), Some(0.25));
        check(Function::Increase, &[(60, 30.0, 0)], (0, 120), None);
        check(Function::Increase, &[(60, 30.0, 60)], (0, 120), None);
        // A start at the sample before, whose own start nobody knows.
        check(Function::Resets, &[(60, 1.0, 0), (120, 1.0, 60)], (0, 180), Some(0.0));
        check(Function::Resets, &[(60, 1.0, 60), (120, 1.0, 60)], (0, 180), Some(0.0));
        check(Function::Resets, &[(60, 1.0, 90), (120, 1.0, 60)], (0, 180), Some(0.0));
        check(Function::Resets, &[(60, 5.0, 0), (120, 1.0, 0)], (0, 180), Some(1.0));
    }

    #[test]
    fn overlaps_are_seen() {
        let check = |starts: &[i64], expected: bool| {
            let samples: Vec<Sample> =
                (1..).take(starts.len()).map(|t| Sample { t: Timestamp(t * 60), v: 1.0 }).collect();
            let starts: Vec<Timestamp> = starts.iter().map(|start| Timestamp(*start)).collect();
            assert_eq!(starts_overlap(&samples, &starts), expected, "{starts:?}");
        };
        check(&[1, 60, 120], false);
        check(&[30, 30, 30], false);
        check(&[0, 0, 0], false);
        check(&[1, 2, 120], true);
    }

    /// Wherever a window stands: until the instant that is named, its value is where the motion brings it.
    #[test]
    fn motion_names_every_instant_of_change() {
        for (seed, window) in (0..200u64).zip([61_000, 90_000, 45_000, 400_000].into_iter().cycle()) {
            let mut state = seed;
            let mut below = |n: u64| {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                ((state >> 33) % n) as i64
            };
            let (mut samples, mut starts) = (Vec::new(), Vec::new());
            let (mut t, mut v, mut start) = (60_000, 0.0, below(60_000) * below(2));
            for _ in 0..1 + below(6) {
                t += 10_000 + below(9000) * below(3);
                (v, start) = if below(3) == 0 { (1.0, t - below(10_000)) } else { (v + below(9) as f64, start) };
                samples.push(Sample { t: Timestamp(t), v });
                starts.push(Timestamp(start));
            }
            let at = |until: i64| TimeRange { after: Timestamp(until - window), until: Timestamp(until) };
            for function in [Function::Rate, Function::Increase, Function::Irate, Function::Resets] {
                let moving = |until: i64| moving_with_starts(function, &[], &samples, &starts, at(until));
                let value = |until: i64| over_range_with_starts(function, &[], &samples, &starts, at(until));
                let (mut until, last) = (t, samples[0].t.0 + window);
                while until < last {
                    let (told, motion) = moving(until);
                    let text =
                        format!("seed {seed} {function:?} {samples:?} {starts:?} {window} at {until}: {motion:?}");
                    assert_eq!(told.map(f64::to_bits), value(until).map(f64::to_bits), "{text}");
                    let end = motion.until.map_or(last, |end| end.0.min(last));
                    assert!(end > until, "{text}");
                    for later in (until..end).step_by(37).chain([end - 1]) {
                        let now = value(later);
                        if !motion.is_moving() {
                            assert_eq!(now.map(f64::to_bits), told.map(f64::to_bits), "{text}, then {later}");
                        } else if let (Some(from), Some(to)) = (told, now) {
                            let expected = from + motion.speed * (later - until) as f64;
                            assert!((to - expected).abs() <= 1e-9 * from.abs().max(1.0), "{text}, then {later}: {to}");
                        }
                    }
                    until = end;
                }
            }
        }
    }
}
