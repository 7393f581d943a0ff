//! Random series: with jitter, gaps, resets, staleness, NaN, native histograms, and series that come and go.

use std::collections::BTreeMap;
use std::sync::Arc;

use evenkeel::env::Rng;
use evenkeel::model::{Histogram, HistogramCounts, Labels, ResetHint, STALE_NAN, Span};

use super::stream::{Point, labels};

/// Makes samples with jitter, gaps, resets, staleness, NaN, and series that come and go.
pub(super) struct World {
    rng: Rng,
    values: BTreeMap<Labels, f64>,
    /// Of counters that tell when their counting began, when that was; none tells in some worlds.
    starts: Option<BTreeMap<Labels, i64>>,
    asleep_until: [i64; 4],
    /// Whether a series may have native histograms, and of each target until when it has.
    histograms: Histograms,
    histograms_until: [i64; 4],
    /// How often a target came back under another name.
    churn: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Histograms {
    Never,
    Sometimes,
}

impl World {
    pub(super) fn new(mut rng: Rng, histograms: Histograms) -> World {
        let (asleep_until, histograms_until) = ([0; 4], [0; 4]);
        let starts = (rng.below(3) == 0).then(BTreeMap::new);
        World { rng, values: BTreeMap::new(), starts, asleep_until, histograms, histograms_until, churn: 0 }
    }

    fn targets() -> [(&'static str, &'static str); 4] {
        [("a", "1"), ("a", "2"), ("b", "1"), ("b", "3")]
    }

    /// What comes at an instant: nothing, or a target's samples.
    pub(super) fn transaction(&mut self, at: i64) -> Vec<(Labels, i64, Point)> {
        let target = self.rng.below(4) as usize;
        if self.asleep_until[target] > at {
            return Vec::new();
        }
        if self.rng.below(25) == 0 {
            self.asleep_until[target] = at + 1000 * self.rng.below(500) as i64;
        }
        if self.histograms == Histograms::Sometimes && self.rng.below(40) == 0 {
            self.histograms_until[target] = at + 1000 * self.rng.below(60) as i64;
        }
        let (job, i) = World::targets()[target];
        self.churn += u64::from(self.rng.below(200) == 0);
        let i = if target == 3 && !self.churn.is_multiple_of(3) { ["4", "5"][self.churn as usize % 2] } else { i };
        let jitter = self.rng.below(1500) as i64;
        let t = match self.rng.below(24) {
            0 | 1 => at + 2 * jitter,
            // Older than what came before: out of order.
            2 => at - 20 * jitter,
            _ => at - jitter,
        };
        let mut samples = Vec::new();
        for metric in ["c", "d", "g", "h", "k", "l"] {
            if self.rng.below(10) == 0 {
                continue;
            }
            let series = labels(&[("__name__", metric), ("job", job), ("i", i)]);
            let is_histogram = ["c", "h"].contains(&metric) && self.histograms_until[target] > at;
            let point = if is_histogram && self.rng.below(6) > 0 {
                Point::Histogram(self.histogram())
            } else {
                let v = self.value(metric, series.clone());
                self.point(&series, t, v)
            };
            samples.push((series, t, point));
        }
        for (le, share) in [("0.1", 0.3), ("1", 0.8), ("+Inf", 1.0)] {
            let series = labels(&[("__name__", "b_bucket"), ("job", job), ("i", i), ("le", le)]);
            let total = self.values.entry(series.clone()).or_insert(0.0);
            *total += (self.rng.below(20) as f64) * share;
            let total = *total;
            let point = self.point(&series, t, total);
            samples.push((series, t, point));
        }
        samples
    }

    /// A value, perhaps with when its counting began: mostly long ago, now and then anew, sometimes nonsense.
    fn point(&mut self, series: &Labels, t: i64, v: f64) -> Point {
        let Some(starts) = &mut self.starts else { return Point::Number(v) };
        let start = starts.entry(series.clone()).or_insert(0);
        match self.rng.below(30) {
            0 => *start = t - self.rng.below(200_000) as i64,
            1 => *start = t - self.rng.below(10) as i64,
            2 => return Point::Counted(v, t + self.rng.below(3) as i64),
            3 => return Point::Number(v),
            _ => {}
        }
        Point::Counted(v, *start)
    }

    /// One that is none, or of a few buckets.
    fn histogram(&mut self) -> Arc<Histogram> {
        let positive: Vec<u64> = (0..2).map(|_| self.rng.below(5)).collect();
        let zero = self.rng.below(3);
        let is_stale = self.rng.below(8) == 0;
        Arc::new(Histogram {
            reset_hint: ResetHint::Unknown,
            schema: self.rng.below(3) as i32,
            zero_threshold: 0.001,
            sum: if is_stale { f64::from_bits(STALE_NAN) } else { self.rng.normal() },
            positive_spans: vec![Span { offset: self.rng.below(4) as i32, length: 2 }],
            negative_spans: vec![],
            bounds: vec![],
            counts: HistogramCounts::Integer {
                count: zero + positive.iter().sum::<u64>(),
                zero,
                positive,
                negative: vec![],
            },
        })
    }

    fn value(&mut self, metric: &str, series: Labels) -> f64 {
        if self.rng.below(30) == 0 {
            return f64::from_bits(STALE_NAN);
        }
        let value = self.values.entry(series).or_insert(0.0);
        match metric {
            "c" if self.rng.below(20) == 0 => *value = 0.0,
            "c" => *value += self.rng.below(10) as f64,
            "d" => *value += 0.1 + self.rng.unit(),
            // Neither rate nor level moves much.
            "k" => *value += 30.0 + self.rng.unit() * 4.0,
            "l" => *value = 10.0 + self.rng.normal() * 0.3,
            "g" if self.rng.below(25) == 0 => return [f64::NAN, f64::INFINITY, 1e300][self.rng.below(3) as usize],
            "g" => *value = self.rng.normal() * 10.0,
            _ => *value = self.rng.below(3) as f64,
        }
        *value
    }
}
