//! Random walks that use all digits of a double: what no codec can shorten by much.

use evenkeel::env::Rng;
use evenkeel::model::Labels;

use crate::Outcome;
use crate::source::{Catalogue, Scrape, Source};

/// Time between two scrapes of a host.
const EVERY_MS: i64 = 15_000;
/// Series of one host.
const SERIES_PER_HOST: usize = 100;

/// Hosts with gauges between 0 and 100, each a random walk as in the Time Series Benchmark Suite.
pub(crate) struct Floats {
    catalogue: Catalogue,
    values: Vec<f64>,
    hosts: usize,
    rng: Rng,
    round_at: i64,
    end: i64,
    turn: usize,
}

impl Floats {
    /// So many hosts, from `hours` before `end`.
    pub(crate) fn new(hosts: usize, hours: f64, end: i64, seed: u64) -> Outcome<Floats> {
        let mut rng = Rng::new(seed);
        let mut catalogue = Catalogue::default();
        for host in 0..hosts {
            let host = format!("host_{host}");
            for i in 0..SERIES_PER_HOST {
                let metric = format!("usage_{}", i % 10);
                let unit = (i / 10).to_string();
                let pairs =
                    [("__name__", metric.as_str()), ("hostname", &host), ("region", "eu-central-1"), ("unit", &unit)];
                catalogue.add(Labels::new(pairs)?);
            }
        }
        let values = (0..hosts * SERIES_PER_HOST).map(|_| rng.unit() * 100.0).collect();
        let span = (hours * 3_600_000.0) as i64 / EVERY_MS * EVERY_MS;
        Ok(Floats { catalogue, values, hosts, rng, round_at: end - span, end, turn: 0 })
    }
}

impl Source for Floats {
    fn catalogue(&self) -> &Catalogue {
        &self.catalogue
    }

    fn next(&mut self, scrape: &mut Scrape) -> Outcome<bool> {
        if self.turn == self.hosts {
            self.turn = 0;
            self.round_at += EVERY_MS;
        }
        if self.round_at + EVERY_MS > self.end {
            return Ok(false);
        }
        let first = self.turn * SERIES_PER_HOST;
        self.turn += 1;
        scrape.t = self.round_at + self.rng.below(3) as i64;
        scrape.samples.clear();
        for series in first..first + SERIES_PER_HOST {
            let value = &mut self.values[series];
            *value = (*value + self.rng.normal()).clamp(0.0, 100.0);
            scrape.samples.push((series, *value));
        }
        Ok(true)
    }
}
