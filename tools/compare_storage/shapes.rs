//! How the values of generated series move: the kinds of numbers that exporters hand out.

use evenkeel::env::Rng;

/// Bytes of a page of memory; gauges of memory are multiples of it.
const PAGE: f64 = 4096.0;

/// Upper bounds of the buckets of a request's duration, in seconds: the defaults of the Go client.
pub(crate) const BUCKETS: [f64; 11] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];

/// The state of one series and how it goes on.
pub(crate) enum Shape {
    /// Always the same.
    Constant(f64),
    /// Counts events; each is worth about `unit`, exactly so if that is 1.
    Counter { value: f64, per_second: f64, unit: f64 },
    /// Time spent, in parts of a second: two digits for the kernel's ticks, three for milliseconds.
    Spent { parts: f64, parts_per_second: f64, second: f64 },
    /// Memory in whole pages, wandering around a level.
    Memory { pages: f64, level: f64, step: f64 },
    /// A small number with two decimals that follows the load.
    Load { value: f64, level: f64, pull: f64 },
    /// A whole number that wanders within bounds, and often stays.
    Level { value: f64, most: f64, moves: f64 },
    /// How long something took just now: all digits of nanoseconds.
    Duration { median: f64, spread: f64 },
    /// The same, looked at each time and seldom new.
    RareDuration { value: f64, median: f64, renewed: f64 },
}

impl Shape {
    /// The value after so many seconds, when the day's load is `busy` (around 1).
    pub(crate) fn next(&mut self, rng: &mut Rng, seconds: f64, busy: f64) -> f64 {
        match self {
            Shape::Constant(value) => *value,
            Shape::Counter { value, per_second, unit } => {
                let events = rng.poisson(*per_second * seconds * busy) as f64;
                *value += if *unit == 1.0 { events } else { (events * *unit * (0.7 + 0.6 * rng.unit())).round() };
                *value
            }
            Shape::Spent { parts, parts_per_second, second } => {
                *parts += rng.poisson(*parts_per_second * seconds * busy) as f64;
                *parts / *second
            }
            Shape::Memory { pages, level, step } => {
                *pages += (rng.normal() * *step + (*level - *pages) * 0.01).round();
                *pages = pages.max(0.0);
                *pages * PAGE
            }
            Shape::Load { value, level, pull } => {
                let target = (*level * busy * (1.0 + 0.3 * rng.normal())).max(0.0);
                *value += (target - *value) * *pull;
                (*value * 100.0).round() / 100.0
            }
            Shape::Level { value, most, moves } => {
                if rng.unit() < *moves {
                    *value = (*value + (rng.normal() * (1.0 + *most * 0.02)).round()).clamp(0.0, *most);
                }
                *value
            }
            Shape::Duration { median, spread } => nanoseconds(*median * (*spread * rng.normal()).exp()),
            Shape::RareDuration { value, median, renewed } => {
                if rng.unit() < *renewed {
                    *value = nanoseconds(*median * (0.8 * rng.normal()).exp());
                }
                *value
            }
        }
    }
}

/// A time as a clock with nanoseconds would have measured it.
fn nanoseconds(seconds: f64) -> f64 {
    (seconds * 1e9).round() / 1e9
}

/// One route of an HTTP service: requests by code, and a histogram of their durations.
pub(crate) struct Route {
    per_second: f64,
    median: f64,
    codes: [f64; 3],
    buckets: [f64; BUCKETS.len() + 1],
    sum: f64,
}

impl Route {
    /// Series that a route makes: three codes, the buckets with the one for all, sum and count.
    pub(crate) const SERIES: usize = 3 + BUCKETS.len() + 1 + 2;

    /// A route that is asked for so often and takes so long.
    pub(crate) fn new(per_second: f64, median: f64) -> Route {
        Route { per_second, median, codes: [0.0; 3], buckets: [0.0; BUCKETS.len() + 1], sum: 0.0 }
    }

    /// Goes on for so many seconds and gives the values of all its series.
    pub(crate) fn next(&mut self, rng: &mut Rng, seconds: f64, busy: f64, values: &mut Vec<f64>) {
        for _ in 0..rng.poisson(self.per_second * seconds * busy) {
            let took = nanoseconds(self.median * (0.9 * rng.normal()).exp());
            // Added one by one, as a client library does; that is what gives sums their digits.
            self.sum += took;
            let bucket = BUCKETS.iter().position(|&bound| took <= bound).unwrap_or(BUCKETS.len());
            self.buckets[bucket] += 1.0;
            let luck = rng.unit();
            self.codes[if luck < 0.985 {
                0
            } else if luck < 0.998 {
                1
            } else {
                2
            }] += 1.0;
        }
        values.extend(self.codes);
        let mut total = 0.0;
        for count in self.buckets {
            total += count;
            values.push(total);
        }
        values.extend([self.sum, total]);
    }
}
