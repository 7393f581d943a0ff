//! What is scraped of the counters: with restarts, series that begin with their first failure, and gaps.

use std::collections::BTreeMap;

use evenkeel::env::Rng;
use evenkeel::model::{Batch, Labels, Matcher, Sample, TimeRange, Timestamp};
use evenkeel::promql::{SeriesSamples, SeriesSource, SourceError};

use super::plan::{Disturbance, Plan};
use super::service::{Promise, Service};
use super::traffic::Traffic;
use super::{START, STEP};

/// One scrape: its time, and the values of series by number.
pub(crate) struct Scrape {
    pub(crate) t: Timestamp,
    pub(crate) values: Vec<(usize, f64)>,
}

/// Every sample of a service.
pub(crate) struct Samples {
    pub(crate) labels: Vec<Labels>,
    pub(crate) scrapes: Vec<Scrape>,
}

struct Instance {
    name: String,
    total: u64,
    bad: u64,
    /// Whether it failed since it started: only then there is a series of failures.
    failed: bool,
}

impl Samples {
    /// Two series: answered and failed requests of one instance.
    pub(crate) fn codes(job: &str) -> Vec<Labels> {
        let series = |code| [("__name__", "requests_total"), ("job", job), ("instance", "a"), ("code", code)];
        ["200", "500"].map(|code| Labels::new(series(code)).expect("labels")).into()
    }

    pub(crate) fn draw(service: &Service, plan: &Plan, traffic: &Traffic) -> Samples {
        let mut samples = Samples { labels: Vec::new(), scrapes: Vec::new() };
        let mut known: BTreeMap<(String, &'static str), usize> = BTreeMap::new();
        let fresh = |name: String| Instance { name, total: 0, bad: 0, failed: false };
        let mut instances: Vec<Instance> = (0..service.instances).map(|n| fresh(format!("i{n}"))).collect();
        let mut rng = Rng::new(service.seed ^ 0x73_61_6d_70);
        let offsets: Vec<i64> = (0..service.instances).map(|_| rng.below(service.interval.0 as u64) as i64).collect();
        let (mut next, mut silent_until, mut generation) = (0, Timestamp(0), 0);
        for n in 0..traffic.steps.len() {
            let (from, until) = (START.0 + n as i64 * STEP.0, START.0 + (n as i64 + 1) * STEP.0);
            while let Some((at, what)) = plan.disturbances.get(next).filter(|(at, _)| at.0 <= from) {
                next += 1;
                match what {
                    Disturbance::Gap(end) => silent_until = silent_until.max(*end),
                    Disturbance::Restart(k) => instances[*k] = fresh(instances[*k].name.clone()),
                    Disturbance::Replaced(k) => {
                        generation += 1;
                        instances[*k] = fresh(format!("i{k}-{generation}"));
                    }
                    Disturbance::Surge(_) => {}
                }
                let _ = at;
            }
            for (k, instance) in instances.iter_mut().enumerate() {
                let (total, bad) = traffic.by_instance[k][n];
                instance.total += u64::from(total);
                instance.bad += u64::from(bad);
                instance.failed |= bad > 0;
                // The scrape whose time lies in this step sees what came up to its end.
                let interval = service.interval.0;
                let due = (until - START.0 - offsets[k]).div_euclid(interval) * interval + offsets[k] + START.0;
                if due > from && due <= until && Timestamp(due) >= silent_until {
                    let values = samples.values(service, instance, &mut known);
                    samples.scrapes.push(Scrape { t: Timestamp(until), values });
                }
            }
        }
        samples
    }

    fn values(
        &mut self,
        service: &Service,
        instance: &Instance,
        known: &mut BTreeMap<(String, &'static str), usize>,
    ) -> Vec<(usize, f64)> {
        let mut number = |what: &'static str, name: &str, label: (&str, &str)| {
            *known.entry((instance.name.clone(), what)).or_insert_with(|| {
                let pairs = [("__name__", name), ("job", &*service.name), ("instance", &*instance.name), label];
                self.labels.push(Labels::new(pairs).expect("labels"));
                self.labels.len() - 1
            })
        };
        let (total, good) = (instance.total as f64, (instance.total - instance.bad) as f64);
        match service.promise {
            Promise::Answers => {
                let mut values = vec![(number("ok", "requests_total", ("code", "200")), good)];
                if instance.failed {
                    values.push((number("failed", "requests_total", ("code", "500")), instance.bad as f64));
                }
                values
            }
            Promise::Latency => vec![
                (number("fast", "seconds_bucket", ("le", "0.3")), good),
                (number("all", "seconds_bucket", ("le", "+Inf")), total),
                (number("count", "seconds_count", ("part", "all")), total),
            ],
        }
    }

    /// The transaction of a scrape.
    pub(crate) fn batch(&self, scrape: &Scrape) -> Batch {
        let mut batch = Batch::new();
        for (series, v) in &scrape.values {
            batch.push(self.labels[*series].clone(), Sample { t: scrape.t, v: *v });
        }
        batch
    }

    /// The same samples, to be queried.
    pub(crate) fn source(&self) -> Stored {
        let mut series: Vec<SeriesSamples> =
            self.labels.iter().map(|labels| SeriesSamples::of_numbers(labels.clone(), Vec::new())).collect();
        for scrape in &self.scrapes {
            for (at, v) in &scrape.values {
                series[*at].samples.push(Sample { t: scrape.t, v: *v });
            }
        }
        series.sort_by(|a, b| a.labels.cmp(&b.labels));
        Stored(series)
    }

    /// When the first scrape comes at or after an instant.
    pub(crate) fn seen_by(&self, t: Timestamp) -> Timestamp {
        let at = self.scrapes.partition_point(|scrape| scrape.t < t);
        self.scrapes.get(at).map_or(t, |scrape| scrape.t)
    }
}

/// Samples in memory, sorted by labels.
pub(crate) struct Stored(Vec<SeriesSamples>);

impl SeriesSource for Stored {
    fn select(
        &self,
        matchers: &[Matcher],
        range: TimeRange,
        samples_max: usize,
    ) -> Result<Vec<SeriesSamples>, SourceError> {
        let (mut found, mut left) = (Vec::new(), samples_max);
        for series in &self.0 {
            if !matchers.iter().all(|m| m.matches(series.labels.get(m.name()))) {
                continue;
            }
            let from = series.samples.partition_point(|sample| sample.t <= range.after);
            let to = series.samples.partition_point(|sample| sample.t <= range.until);
            if from < to {
                left = left.checked_sub(to - from).ok_or(SourceError::TooManySamples { limit: samples_max })?;
                found.push(SeriesSamples::of_numbers(series.labels.clone(), series.samples[from..to].to_vec()));
            }
        }
        Ok(found)
    }
}
