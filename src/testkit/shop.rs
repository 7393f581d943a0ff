//! A small shop whose traffic looks like traffic: a daily shape, noise, latency, a trickle.
//!
//! Invariants:
//! - The same seed and the same steps give the same samples.
//! - Every series is what a real exporter would give: counters only grow, histograms add up.

use crate::env::Rng;
use crate::model::{Batch, Labels, Millis, Sample, Timestamp};

/// Upper bounds of the latency buckets, in seconds.
const LATENCY_BOUNDS: [f64; 6] = [0.05, 0.1, 0.25, 0.5, 1.0, f64::INFINITY];

/// A shop: services with customers.
#[derive(Debug, Clone)]
pub struct Shop {
    services: Vec<Service>,
    rng: Rng,
}

/// One service of the shop, with its counters.
#[derive(Debug, Clone)]
struct Service {
    name: &'static str,
    /// Requests a second, averaged over a day.
    rate: f64,
    /// The share of requests that fail.
    error_ratio: f64,
    /// The median latency in seconds; the distribution is log-normal.
    latency_median: f64,
    /// Slow noise around the daily shape, an autoregressive process.
    drift: f64,
    series: Series,
}

#[derive(Debug, Clone)]
struct Series {
    ok: Counter,
    failed: Counter,
    buckets: Vec<Counter>,
    latency_sum: Counter,
    latency_count: Counter,
    up: Labels,
}

#[derive(Debug, Clone)]
struct Counter {
    labels: Labels,
    value: f64,
}

impl Shop {
    /// Three services: `catalog` with 120 requests a second, `checkout` with 40, and `refunds`
    /// with about two a minute.
    pub fn new(seed: u64) -> Shop {
        let service = |name, rate, error_ratio, latency_median| Service {
            name,
            rate,
            error_ratio,
            latency_median,
            drift: 0.0,
            series: Series::new(name),
        };
        Shop {
            services: vec![
                service("catalog", 120.0, 0.0001, 0.03),
                service("checkout", 40.0, 0.0002, 0.08),
                service("refunds", 0.03, 0.004, 0.2),
            ],
            rng: Rng::new(seed),
        }
    }

    /// The names of the services.
    pub fn services(&self) -> impl Iterator<Item = &'static str> {
        self.services.iter().map(|service| service.name)
    }

    /// Sets the share of a service's requests that fail from now on.
    pub fn set_error_ratio(&mut self, name: &str, error_ratio: f64) {
        if let Some(service) = self.services.iter_mut().find(|service| service.name == name) {
            service.error_ratio = error_ratio.clamp(0.0, 1.0);
        }
    }

    /// What an exporter of each service would show at `at`, after `span` more of traffic: one
    /// batch a service, as one scrape each.
    pub fn step(&mut self, at: Timestamp, span: Millis) -> Vec<Batch> {
        let rng = &mut self.rng;
        self.services.iter_mut().map(|service| service.step(at, span, rng)).collect()
    }
}

impl Service {
    fn step(&mut self, at: Timestamp, span: Millis, rng: &mut Rng) -> Batch {
        self.drift = 0.98 * self.drift + 0.02 * rng.normal();
        let expected = self.rate * daily_shape(at) * (1.0 + self.drift).max(0.1) * span.as_seconds();
        let requests = rng.poisson(expected);
        let failed = if requests < 64 {
            (0..requests).filter(|_| rng.unit() < self.error_ratio).count() as u64
        } else {
            rng.poisson(requests as f64 * self.error_ratio).min(requests)
        };
        self.series.ok.value += (requests - failed) as f64;
        self.series.failed.value += failed as f64;
        self.observe_latencies(requests, rng);
        self.series.batch(at)
    }

    fn observe_latencies(&mut self, requests: u64, rng: &mut Rng) {
        // The shape of a thousand requests is enough; above that each draw stands for several.
        let draws = requests.min(1000);
        if draws == 0 {
            return;
        }
        let (each, more) = (requests / draws, requests % draws);
        for i in 0..draws {
            let weight = (each + u64::from(i < more)) as f64;
            let latency = self.latency_median * (0.6 * rng.normal()).exp();
            for (bucket, bound) in self.series.buckets.iter_mut().zip(LATENCY_BOUNDS) {
                if latency <= bound {
                    bucket.value += weight;
                }
            }
            self.series.latency_sum.value += latency * weight;
            self.series.latency_count.value += weight;
        }
    }
}

/// The share of the day's average at an hour: quiet at four in the morning, busy at four in the
/// afternoon.
fn daily_shape(at: Timestamp) -> f64 {
    let hour = at.0.rem_euclid(86_400_000) as f64 / 3_600_000.0;
    1.0 + 0.6 * ((hour - 10.0) / 24.0 * std::f64::consts::TAU).sin()
}

impl Series {
    fn new(service: &str) -> Series {
        let instance = format!("{service}:8080");
        let labels = |name: &str, more: &[(&str, &str)]| {
            let own = [("__name__", name), ("job", "shop"), ("instance", instance.as_str()), ("service", service)];
            // Fixed names within every limit; a set that is refused would be a mistake of this file.
            Labels::new(own.into_iter().chain(more.iter().copied())).unwrap_or_else(|_| Labels::empty())
        };
        let counter = |name: &str, more: &[(&str, &str)]| Counter { labels: labels(name, more), value: 0.0 };
        let bound_text = |bound: f64| if bound.is_infinite() { "+Inf".to_owned() } else { bound.to_string() };
        Series {
            ok: counter("http_requests_total", &[("code", "200")]),
            failed: counter("http_requests_total", &[("code", "500")]),
            buckets: LATENCY_BOUNDS
                .iter()
                .map(|bound| counter("http_request_duration_seconds_bucket", &[("le", &bound_text(*bound))]))
                .collect(),
            latency_sum: counter("http_request_duration_seconds_sum", &[]),
            latency_count: counter("http_request_duration_seconds_count", &[]),
            up: labels("up", &[]),
        }
    }

    fn batch(&self, at: Timestamp) -> Batch {
        let mut batch = Batch::new();
        let counters = [&self.ok, &self.failed, &self.latency_sum, &self.latency_count];
        for counter in counters.into_iter().chain(&self.buckets) {
            batch.push(counter.labels.clone(), Sample { t: at, v: counter.value });
        }
        batch.push(self.up.clone(), Sample { t: at, v: 1.0 });
        batch
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(seed: u64) -> Vec<Batch> {
        let mut shop = Shop::new(seed);
        (1..=100).flat_map(|i| shop.step(Timestamp(i * 5000), Millis::seconds(5))).collect()
    }

    #[test]
    fn a_seed_repeats_exactly_and_counters_grow() {
        let batches = run(7);
        assert_eq!(batches, run(7));
        assert_ne!(batches, run(8));
        let mut last = std::collections::HashMap::new();
        for batch in &batches {
            for sample in batch.samples() {
                let labels = &batch.series()[sample.series as usize];
                let before = last.insert(labels.clone(), sample.sample.v).unwrap_or(0.0);
                assert!(sample.sample.v >= before, "{labels} fell");
            }
        }
        assert_eq!(last.len(), 3 * (4 + LATENCY_BOUNDS.len() + 1));
    }

    #[test]
    fn errors_follow_the_ratio() {
        let mut shop = Shop::new(1);
        shop.set_error_ratio("checkout", 0.5);
        let mut last = Batch::new();
        for i in 1..=60 {
            last = shop.step(Timestamp(i * 60_000), Millis::minutes(1)).swap_remove(1);
        }
        let value = |code: &str| {
            let at = last.series().iter().position(|labels| labels.get("code") == code).unwrap();
            last.samples()[at].sample.v
        };
        let ratio = value("500") / (value("500") + value("200"));
        assert!((0.48..0.52).contains(&ratio), "{ratio}");
    }
}
