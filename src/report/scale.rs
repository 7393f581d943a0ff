//! From values to pixels: a burn scale that shows 1 and 1000 at once, a linear scale, and a time scale in UTC.

use crate::model::{Millis, TimeRange, Timestamp};

/// Values that get a line on the burn axis.
const BURN_TICKS: [f64; 11] = [0.0, 1.0, 3.0, 10.0, 30.0, 100.0, 300.0, 1000.0, 3000.0, 10_000.0, 100_000.0];
/// Distances between the marks of the time axis.
const TIME_STEPS: [Millis; 17] = [
    Millis::seconds(10),
    Millis::seconds(30),
    Millis::minutes(1),
    Millis::minutes(2),
    Millis::minutes(5),
    Millis::minutes(10),
    Millis::minutes(15),
    Millis::minutes(30),
    Millis::hours(1),
    Millis::hours(2),
    Millis::hours(3),
    Millis::hours(6),
    Millis::hours(12),
    Millis::days(1),
    Millis::days(2),
    Millis::days(7),
    Millis::days(30),
];

/// Burn rates on a vertical axis: the logarithm of one more, so that nothing is at the bottom.
#[derive(Debug, Clone, Copy)]
pub(super) struct BurnScale {
    pub(super) top: f64,
    pub(super) bottom: f64,
    pub(super) most: f64,
}

impl BurnScale {
    pub(super) fn y(&self, burn: f64) -> f64 {
        let share = burn.clamp(0.0, self.most).ln_1p() / self.most.ln_1p();
        self.bottom - share * (self.bottom - self.top)
    }

    /// Round values that are not so close that their labels touch.
    pub(super) fn ticks(&self) -> Vec<f64> {
        let mut out: Vec<f64> = Vec::new();
        for tick in BURN_TICKS.into_iter().filter(|tick| *tick <= self.most) {
            if out.last().is_none_or(|last| self.y(*last) - self.y(tick) >= 14.0) {
                out.push(tick);
            }
        }
        out
    }
}

/// Values on a vertical axis whose ends are round.
#[derive(Debug, Clone, Copy)]
pub(super) struct LinearScale {
    top: f64,
    bottom: f64,
    low: f64,
    high: f64,
    /// The distance of two ticks.
    pub(super) step: f64,
}

impl LinearScale {
    /// More than any measured thing; the difference of two is still a number.
    const MOST: f64 = 1e300;
    /// The finest step that a double can tell from nothing beside values of usual size.
    const LEAST_STEP: f64 = 1e-300;

    /// Over finite values. It reaches down to zero, unless that would press all of them together at the top.
    pub(super) fn over(values: impl Iterator<Item = f64>, top: f64, bottom: f64) -> LinearScale {
        let (low, high) = values
            .map(|v| v.clamp(-Self::MOST, Self::MOST))
            .fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), v| (low.min(v), high.max(v)));
        let (low, high) = if low > high { (0.0, 1.0) } else { (low, high) };
        let close = high > low && low > 0.0 && low > high * 0.7;
        let low = if close { low } else { low.min(0.0) };
        let high = if close { high } else { high.max(0.0) };
        let high = if high > low { high } else { low + 1.0 };
        let raw = ((high - low) / 4.0).max(Self::LEAST_STEP);
        let power = 10_f64.powf(raw.log10().floor());
        let step = [1.0, 2.0, 5.0, 10.0].into_iter().map(|m| m * power).find(|step| *step >= raw).unwrap_or(raw);
        let (low, high) = ((low / step).floor() * step, (high / step).ceil() * step);
        LinearScale { top, bottom, low, high: if high > low { high } else { low + step }, step }
    }

    pub(super) fn y(&self, v: f64) -> f64 {
        let share = (v.clamp(self.low, self.high) - self.low) / (self.high - self.low);
        self.bottom - share * (self.bottom - self.top)
    }

    /// The round values, from the lowest to the highest.
    pub(super) fn ticks(&self) -> Vec<f64> {
        let count = ((self.high - self.low) / self.step).round().clamp(1.0, 10.0) as i32;
        let first = (self.low / self.step).round();
        (0..=count).map(|n| (first + f64::from(n)) * self.step).collect()
    }
}

/// Instants on a horizontal axis.
#[derive(Debug, Clone, Copy)]
pub(super) struct TimeScale {
    pub(super) left: f64,
    pub(super) right: f64,
    pub(super) range: TimeRange,
}

impl TimeScale {
    fn length(&self) -> f64 {
        (self.range.until - self.range.after).0.max(1) as f64
    }

    pub(super) fn x(&self, t: Timestamp) -> f64 {
        let share = (t - self.range.after).0 as f64 / self.length();
        self.left + share.clamp(0.0, 1.0) * (self.right - self.left)
    }

    /// Round instants, at most `most`, with their texts.
    pub(super) fn ticks(&self, most: usize) -> Vec<(Timestamp, String)> {
        let length = self.length();
        let fit = most.max(2) as f64 - 1.0;
        let fits = |step: &&Millis| length / step.0 as f64 <= fit;
        let step = TIME_STEPS.iter().find(fits).copied().unwrap_or(Millis((length / fit) as i64 + 1));
        let first = self.range.after.0.div_euclid(step.0) + 1;
        (first..)
            .take(most)
            .map(|n| Timestamp(n.saturating_mul(step.0)))
            .take_while(|t| *t <= self.range.until)
            .map(|t| (t, tick_text(t, step)))
            .collect()
    }
}

/// `13:45`, with seconds where they matter; a date at midnight.
fn tick_text(t: Timestamp, step: Millis) -> String {
    let text = t.to_string();
    let part = |range: std::ops::Range<usize>| text.get(range).unwrap_or_default().to_owned();
    if step.0 >= 86_400_000 || t.0.rem_euclid(86_400_000) == 0 {
        part(5..10)
    } else if step.0 < 60_000 {
        part(11..19)
    } else {
        part(11..16)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_round_and_few() {
        let ticks = |hours: i64| {
            let range = TimeRange {
                after: Timestamp(1_700_000_000_000),
                until: Timestamp(1_700_000_000_000) + Millis::hours(hours),
            };
            let scale = TimeScale { left: 0.0, right: 100.0, range };
            scale.ticks(9).into_iter().map(|(_, text)| text).collect::<Vec<_>>()
        };
        assert_eq!(ticks(1), ["22:20", "22:30", "22:40", "22:50", "23:00", "23:10"]);
        assert_eq!(ticks(6), ["23:00", "11-15", "01:00", "02:00", "03:00", "04:00"]);
        assert_eq!(ticks(72), ["11-15", "12:00", "11-16", "12:00", "11-17", "12:00"]);
        for hours in 1..2000 {
            assert!((1..=9).contains(&ticks(hours).len()), "{hours}");
        }
    }

    #[test]
    fn values_are_between_round_ones() {
        let ticks = |values: &[f64]| LinearScale::over(values.iter().copied(), 0.0, 100.0).ticks();
        assert_eq!(ticks(&[0.3, 1.0]), [0.0, 0.5, 1.0]);
        assert_eq!(ticks(&[14.4]), [0.0, 5.0, 10.0, 15.0]);
        assert_eq!(ticks(&[-3.0, 3.0]), [-4.0, -2.0, 0.0, 2.0, 4.0]);
        assert_eq!(ticks(&[98.0, 100.0]), [98.0, 98.5, 99.0, 99.5, 100.0]);
        assert_eq!(ticks(&[]), [0.0, 0.5, 1.0]);
        assert_eq!(ticks(&[0.0]), [0.0, 0.5, 1.0]);
        assert_eq!(ticks(&[-2.0]), [-2.0, -1.5, -1.0, -0.5, 0.0]);
    }

    #[test]
    fn burns_keep_their_order() {
        let scale = BurnScale { top: 10.0, bottom: 210.0, most: 1200.0 };
        assert_eq!((scale.y(0.0), scale.y(1200.0), scale.y(9e9)), (210.0, 10.0, 10.0));
        assert_eq!(scale.ticks(), [0.0, 1.0, 3.0, 10.0, 30.0, 100.0, 300.0, 1000.0]);
    }
}
