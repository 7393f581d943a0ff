//! Functions of a window of one series.

use crate::model::{ExactSum, Sample, Summary, TimeRange};

use super::Function;
use super::group::quantile;
use super::rate::{self, Extrapolated, Motion, Resets, extrapolated, extrapolated_summary};
use super::regression::{Compensated, fit};
use super::smoothing::{double_exponential, median_deviation, time_of_extreme};

/// The value of a function of a range vector for one series; nothing where the series gets no
/// element in the result.
///
/// `samples` lie inside `range`, in the order of time, without staleness markers. `args` are the
/// scalar arguments: `quantile_over_time` its quantile; `predict_linear` how many seconds to look
/// ahead and, if the selector is shifted, how many seconds the evaluation time lies after
/// `range.until`; `double_exponential_smoothing` its two factors. A function that is not of this kind gives nothing.
pub fn over_range(function: Function, args: &[f64], samples: &[Sample], range: TimeRange) -> Option<f64> {
    let (first, last) = (samples.first()?, samples.last()?);
    let arg = |at: usize| args.get(at).copied();
    let values = || samples.iter().map(|sample| sample.v);
    let count = samples.len() as f64;
    Some(match function {
        Function::Rate => extrapolated(Extrapolated::Rate, samples, range)?,
        Function::Increase => extrapolated(Extrapolated::Increase, samples, range)?,
        Function::Delta => extrapolated(Extrapolated::Delta, samples, range)?,
        Function::Irate | Function::Idelta => last_change(function, samples)?,
        Function::Deriv => fit(samples, first.t)?.slope,
        Function::PredictLinear => {
            let ahead = arg(0).unwrap_or(f64::NAN);
            let line =
                fit(samples, range.until + crate::model::Millis((arg(1).unwrap_or(0.0) * 1000.0).round() as i64))?;
            line.slope * ahead + line.intercept
        }
        Function::Changes => pairs(samples, |a, b| a != b && !(a.is_nan() && b.is_nan())),
        Function::Resets => pairs(samples, |a, b| b < a),
        Function::AvgOverTime => sum(values()).mean(count),
        Function::SumOverTime => sum(values()).value(),
        Function::CountOverTime => count,
        Function::MinOverTime => values().fold(f64::NAN, |min, v| if v < min || min.is_nan() { v } else { min }),
        Function::MaxOverTime => values().fold(f64::NAN, |max, v| if v > max || max.is_nan() { v } else { max }),
        Function::StddevOverTime => variance(samples).sqrt(),
        Function::StdvarOverTime => variance(samples),
        Function::QuantileOverTime => quantile(arg(0).unwrap_or(f64::NAN), &mut values().collect::<Vec<_>>()),
        Function::LastOverTime => last.v,
        Function::FirstOverTime => first.v,
        Function::PresentOverTime => 1.0,
        Function::MadOverTime => median_deviation(samples),
        Function::DoubleExponentialSmoothing => double_exponential(samples, arg(0)?, arg(1)?)?,
        Function::TsOfFirstOverTime => first.t.as_seconds(),
        Function::TsOfLastOverTime => last.t.as_seconds(),
        Function::TsOfMaxOverTime => time_of_extreme(samples, |v, best| v >= best)?,
        Function::TsOfMinOverTime => time_of_extreme(samples, |v, best| v <= best)?,
        _ => return None,
    })
}

/// Whether [`over_summary`] knows the function.
pub fn by_summary(function: Function) -> bool {
    matches!(
        function,
        Function::Rate
            | Function::Increase
            | Function::Delta
            | Function::Changes
            | Function::Resets
            | Function::AvgOverTime
            | Function::SumOverTime
            | Function::CountOverTime
            | Function::MinOverTime
            | Function::MaxOverTime
            | Function::LastOverTime
            | Function::FirstOverTime
            | Function::PresentOverTime
    )
}

/// Whether a function of part of a window is likely to be that of the whole: it neither adds up nor gives
/// what stood at an end. `increase` and `delta` take a longer window's part by themselves.
pub fn is_even(function: Function) -> bool {
    matches!(
        function,
        Function::Rate
            | Function::Increase
            | Function::Delta
            | Function::AvgOverTime
            | Function::MinOverTime
            | Function::MaxOverTime
            | Function::PresentOverTime
    )
}

/// [`over_range`], from what a summary says of the samples: the same bits.
pub fn over_summary(function: Function, summary: &Summary, range: TimeRange) -> Option<f64> {
    let (first, last) = summary.ends?;
    let count = summary.count as f64;
    Some(match function {
        Function::Rate => extrapolated_summary(Extrapolated::Rate, summary, range)?,
        Function::Increase => extrapolated_summary(Extrapolated::Increase, summary, range)?,
        Function::Delta => extrapolated_summary(Extrapolated::Delta, summary, range)?,
        Function::Changes => summary.changes as f64,
        Function::Resets => summary.resets as f64,
        Function::AvgOverTime => summary.sum.mean(count),
        Function::SumOverTime => summary.sum.value(),
        Function::CountOverTime => count,
        Function::MinOverTime => summary.min,
        Function::MaxOverTime => summary.max,
        Function::LastOverTime => last.v,
        Function::FirstOverTime => first.v,
        Function::PresentOverTime => 1.0,
        _ => return None,
    })
}

/// The value of a function of a range vector, as [`over_range`], and how it moves while the window moves on and no
/// sample enters or leaves it. Without `resets` the samples between the first and the last are not looked at.
pub fn moving(
    function: Function,
    args: &[f64],
    samples: &[Sample],
    resets: Resets,
    range: TimeRange,
) -> (Option<f64>, Motion) {
    let Some(kind) = Extrapolated::of(function) else {
        let value = over_range(function, args, samples, range);
        let motion = if function == Function::PredictLinear { drift(value, args, samples) } else { Motion::STILL };
        return (value, motion);
    };
    rate::moving(kind, samples, resets, range)
}

/// [`moving`], from the first and the last of `count` samples and what a counter had before each of its resets;
/// nothing if that says too little of them.
pub fn moving_by_ends(
    function: Function,
    ends: (Sample, Sample),
    count: usize,
    before_resets: Vec<f64>,
    range: TimeRange,
) -> Option<(Option<f64>, Motion)> {
    Some(rate::moving_by_ends(Extrapolated::of(function)?, ends, count, before_resets, range))
}

/// How a prediction moves: along its line.
fn drift(value: Option<f64>, args: &[f64], samples: &[Sample]) -> Motion {
    let (Some(value), Some(first)) = (value, samples.first()) else { return Motion::STILL };
    if samples.iter().all(|sample| sample.v == first.v) {
        return Motion::STILL;
    }
    let slope = fit(samples, first.t).map_or(f64::NAN, |line| line.slope);
    // What is left of large terms that nearly cancel is rounding, which follows no line.
    let terms = slope.abs() * args.first().map_or(1.0, |ahead| ahead.abs());
    let speed = if value.abs() > terms * 1e-6 { slope / 1000.0 } else { f64::NAN };
    // Where the line is flat, rounding still differs from instant to instant.
    Motion { speed: if speed == 0.0 { f64::MIN_POSITIVE } else { speed }, until: None }
}

fn last_change(function: Function, samples: &[Sample]) -> Option<f64> {
    let [.., before, last] = samples else { return None };
    let elapsed = last.t - before.t;
    if elapsed.0 <= 0 {
        return None;
    }
    if function == Function::Idelta {
        return Some(last.v - before.v);
    }
    let change = if last.v < before.v { last.v } else { last.v - before.v };
    Some(change / elapsed.as_seconds())
}

fn pairs(samples: &[Sample], counts: impl Fn(f64, f64) -> bool) -> f64 {
    samples.windows(2).filter(|two| counts(two[0].v, two[1].v)).count() as f64
}

fn sum(values: impl Iterator<Item = f64>) -> ExactSum {
    let mut sum = ExactSum::new();
    values.for_each(|v| sum.add(v));
    sum
}

/// The population variance (Welford, 1962), with compensated sums.
fn variance(samples: &[Sample]) -> f64 {
    let (mut mean, mut squares) = (Compensated::default(), Compensated::default());
    for (n, sample) in samples.iter().enumerate() {
        let delta = sample.v - mean.value();
        mean.add(delta / (n as f64 + 1.0));
        squares.add(delta * (sample.v - mean.value()));
    }
    squares.value() / samples.len() as f64
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::model::Timestamp;

    #[test]
    fn windows_have_known_values() {
        let range = TimeRange { after: Timestamp(0), until: Timestamp(60_000) };
        let check = |function, args: &[f64], values: &[f64], expected: Option<f64>| {
            let samples: Vec<Sample> =
                values.iter().enumerate().map(|(i, &v)| Sample { t: Timestamp(15_000 * (i as i64 + 1)), v }).collect();
            let got = over_range(function, args, &samples, range);
            assert_eq!(got.map(f64::to_bits), expected.map(f64::to_bits), "{function:?} {values:?}: {got:?}");
        };
        check(Function::Rate, &[], &[1.0, 2.0, 3.0, 4.0], Some(3.0 * (60.0 / 45.0 / 60.0)));
        check(Function::Irate, &[], &[5.0, 2.0], Some(2.0 / 15.0));
        check(Function::Idelta, &[], &[5.0, 2.0], Some(-3.0));
        check(Function::Idelta, &[], &[5.0], None);
        check(Function::Deriv, &[], &[0.0, 15.0, 30.0], Some(1.0));
        check(Function::PredictLinear, &[60.0], &[15.0, 30.0, 45.0, 60.0], Some(120.0));
        check(Function::PredictLinear, &[60.0, 10.0], &[15.0, 30.0, 45.0, 60.0], Some(130.0));
        check(Function::Changes, &[], &[1.0, 1.0, f64::NAN, f64::NAN, 2.0], Some(2.0));
        check(Function::Resets, &[], &[1.0, 0.5, 3.0, 2.0], Some(2.0));
        check(Function::AvgOverTime, &[], &[f64::MAX, f64::MAX], Some(f64::MAX));
        check(Function::SumOverTime, &[], &[0.1, 0.2, 0.3], Some(0.6));
        check(Function::CountOverTime, &[], &[f64::NAN], Some(1.0));
        check(Function::MinOverTime, &[], &[f64::NAN, 2.0, 1.0], Some(1.0));
        check(Function::MaxOverTime, &[], &[1.0, f64::NAN, 2.0], Some(2.0));
        check(Function::StdvarOverTime, &[], &[1.0, 2.0, 3.0, 4.0], Some(1.25));
        check(Function::QuantileOverTime, &[0.5], &[3.0, 1.0, 2.0], Some(2.0));
        check(Function::LastOverTime, &[], &[3.0, 1.0], Some(1.0));
        check(Function::FirstOverTime, &[], &[3.0, 1.0], Some(3.0));
        check(Function::PresentOverTime, &[], &[3.0], Some(1.0));
        check(Function::SumOverTime, &[], &[], None);
        check(Function::MadOverTime, &[], &[4.0, 6.0, 2.0, 1.0], Some(1.5));
        check(Function::MadOverTime, &[], &[1.0, f64::NAN], Some(f64::NAN));
        check(Function::DoubleExponentialSmoothing, &[0.5, 0.5], &[1.0, 2.0, 4.0], Some(3.5));
        check(Function::DoubleExponentialSmoothing, &[0.5, 0.5], &[1.0], None);
        check(Function::TsOfFirstOverTime, &[], &[3.0, 1.0], Some(15.0));
        check(Function::TsOfLastOverTime, &[], &[3.0, 1.0], Some(30.0));
        check(Function::TsOfMaxOverTime, &[], &[f64::NAN, 3.0, 3.0, 1.0], Some(45.0));
        check(Function::TsOfMinOverTime, &[], &[1.0, 1.0, 2.0], Some(30.0));
    }

    proptest::proptest! {
        #[test]
        fn a_summary_gives_the_same_bits(
            values in proptest::collection::vec(proptest::prop_oneof![
                4 => (0i32..20).prop_map(f64::from),
                2 => (0i32..2000).prop_map(|n| f64::from(n) / 10.0),
                1 => proptest::arbitrary::any::<f64>(),
                1 => Just(f64::NAN),
                1 => Just(-0.0),
            ], 0..30),
        ) {
            let range = TimeRange { after: Timestamp(0), until: Timestamp(1_000_000) };
            let samples: Vec<Sample> =
                (1i64..).zip(values).map(|(n, v)| Sample { t: Timestamp(n * n * 1000), v }).collect();
            let summary = Summary::of(&samples);
            for function in Function::ALL.iter().copied().filter(|function| by_summary(*function)) {
                let got = over_summary(function, &summary, range).map(f64::to_bits);
                prop_assert_eq!(got, over_range(function, &[], &samples, range).map(f64::to_bits), "{:?}", function);
            }
        }
    }
}
