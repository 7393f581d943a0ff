//! From values to pixels: a burn scale that shows 1 and 1000 at once, and a time scale in UTC.

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

    /// Round instants, at most nine, with their texts.
    pub(super) fn ticks(&self) -> Vec<(Timestamp, String)> {
        let length = self.length();
        let fits = |step: &&Millis| length / step.0 as f64 <= 8.0;
        let step = TIME_STEPS.iter().find(fits).copied().unwrap_or(Millis((length / 8.0) as i64 + 1));
        let first = self.range.after.0.div_euclid(step.0) + 1;
        (first..)
            .take(9)
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
            scale.ticks().into_iter().map(|(_, text)| text).collect::<Vec<_>>()
        };
        assert_eq!(ticks(1), ["22:20", "22:30", "22:40", "22:50", "23:00", "23:10"]);
        assert_eq!(ticks(6), ["23:00", "11-15", "01:00", "02:00", "03:00", "04:00"]);
        assert_eq!(ticks(72), ["11-15", "12:00", "11-16", "12:00", "11-17", "12:00"]);
        for hours in 1..2000 {
            assert!((1..=9).contains(&ticks(hours).len()), "{hours}");
        }
    }

    #[test]
    fn burns_keep_their_order() {
        let scale = BurnScale { top: 10.0, bottom: 210.0, most: 1200.0 };
        assert_eq!((scale.y(0.0), scale.y(1200.0), scale.y(9e9)), (210.0, 10.0, 10.0));
        assert_eq!(scale.ticks(), [0.0, 1.0, 3.0, 10.0, 30.0, 100.0, 300.0, 1000.0]);
    }
}
