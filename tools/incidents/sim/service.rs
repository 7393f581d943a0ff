//! A service: its traffic, its promise, how it is measured.

use evenkeel::model::{MatchOp, Matcher, Millis, Timestamp};
use evenkeel::slo::{Indicator, Objective};

use super::START;

/// What its objective is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Promise {
    /// Requests are answered without an error.
    Answers,
    /// Requests are answered in time.
    Latency,
}

/// A service.
#[derive(Debug, Clone)]
pub(crate) struct Service {
    pub(crate) name: String,
    /// Requests a second, on average.
    pub(crate) rate: f64,
    pub(crate) objective: f64,
    pub(crate) promise: Promise,
    /// The share of its budget that it spends when nothing is wrong.
    pub(crate) base: f64,
    pub(crate) interval: Millis,
    pub(crate) instances: usize,
    /// How many more requests come for each that fails.
    pub(crate) retries: f64,
    pub(crate) days: i64,
    pub(crate) seed: u64,
}

/// The window of every objective.
pub(crate) const WINDOW: Millis = Millis::days(30);
/// Before this nothing goes wrong: the longest windows fill.
pub(crate) const QUIET: Millis = Millis::days(3);

/// Requests a second, of the services.
const RATES: [f64; 12] = [0.02, 0.05, 0.15, 0.5, 1.0, 3.0, 10.0, 30.0, 100.0, 300.0, 1000.0, 2000.0];
const OBJECTIVES: [f64; 4] = [0.999, 0.99, 0.9995, 0.995];

/// Services of every size, as many as asked for.
pub(crate) fn services(seed: u64, count: usize, days: i64) -> Vec<Service> {
    (0..count)
        .map(|n| Service {
            name: format!("service-{n}"),
            rate: RATES[n % RATES.len()],
            objective: OBJECTIVES[(n + n / RATES.len()) % OBJECTIVES.len()],
            promise: if n % 3 == 2 { Promise::Latency } else { Promise::Answers },
            base: [0.1, 0.3, 0.5][n % 3],
            interval: Millis::seconds(if n % 4 == 1 { 15 } else { 30 }),
            instances: 1 + usize::from(n % 4 == 3),
            retries: if n % 5 == 4 { 1.5 } else { 0.0 },
            days,
            seed: seed.wrapping_mul(1_000_003).wrapping_add(n as u64),
        })
        .collect()
}

impl Service {
    pub(crate) fn budget(&self) -> f64 {
        1.0 - self.objective
    }

    pub(crate) fn end(&self) -> Timestamp {
        START + Millis::days(self.days)
    }

    /// How its traffic at an instant compares with the average: quiet nights and weekends.
    pub(crate) fn shape(&self, t: Timestamp) -> f64 {
        let day = (t - START).0 as f64 / 86_400_000.0;
        let weekend = if day.rem_euclid(7.0) >= 5.0 { 0.6 } else { 1.16 };
        weekend * (1.0 - 0.7 * (std::f64::consts::TAU * (day + 0.1)).cos())
    }

    /// Bad events that the window of its objective may hold.
    pub(crate) fn allowed(&self) -> f64 {
        self.rate * (WINDOW.0 as f64 / 1000.0) * self.budget()
    }

    pub(crate) fn objective(&self) -> Objective {
        let metric = |name: &str| vec![Matcher::equal("__name__", name)];
        let indicator = match self.promise {
            Promise::Answers => {
                let code = Matcher::new("code", MatchOp::Match, "5..").expect("a pattern");
                let errors = vec![Matcher::equal("__name__", "requests_total"), code];
                Indicator::ErrorRatio { errors: errors.into(), total: metric("requests_total").into() }
            }
            Promise::Latency => {
                let fast = vec![Matcher::equal("__name__", "seconds_bucket"), Matcher::equal("le", "0.3")];
                Indicator::Ratio { good: fast.into(), total: metric("seconds_count").into() }
            }
        };
        Objective::new(&self.name, "promise", self.objective, WINDOW, indicator)
    }
}
