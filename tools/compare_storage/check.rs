//! What was sent, remembered for some series, and compared with what a server gives back.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use evenkeel::env::Rng;

use crate::Outcome;
use crate::ask::Asker;
use crate::source::Catalogue;

/// One series in so many is remembered sample by sample.
const ONE_IN: u64 = 64;
/// Questions that are asked.
const QUESTIONS: usize = 200;
/// VictoriaMetrics keeps about twelve decimal digits.
const CLOSE: f64 = 1e-12;

/// Samples of some series, and how many there are of each metric.
pub(crate) struct Truth {
    seed: u64,
    kept: BTreeMap<usize, Vec<(i64, f64)>>,
    per_series: Vec<u64>,
    first: i64,
    last: i64,
}

/// What a comparison found.
#[derive(Default)]
pub(crate) struct Comparison {
    pub(crate) questions: usize,
    pub(crate) samples: u64,
    /// Samples whose bits differ.
    pub(crate) unequal: u64,
    /// Of these, those that differ by more than 1e-12 of the value.
    pub(crate) far: u64,
    /// Instants that only one side has, among the questions.
    pub(crate) unmatched: u64,
    /// Samples that the server counts, minus those that were sent.
    pub(crate) surplus: i64,
}

impl Truth {
    /// Remembers nothing yet.
    pub(crate) fn new(seed: u64) -> Truth {
        Truth { seed, kept: BTreeMap::new(), per_series: Vec::new(), first: i64::MAX, last: i64::MIN }
    }

    /// Takes note of a sample that is sent.
    pub(crate) fn note(&mut self, series: usize, t: i64, value: f64) {
        if series >= self.per_series.len() {
            self.per_series.resize(series + 1, 0);
        }
        self.per_series[series] += 1;
        self.first = self.first.min(t);
        self.last = self.last.max(t);
        if mix(series as u64 ^ self.seed).is_multiple_of(ONE_IN) {
            self.kept.entry(series).or_default().push((t, value));
        }
    }

    /// Asks a server for random spans of remembered series and for the number of all samples.
    pub(crate) fn compare(&self, catalogue: &Catalogue, address: SocketAddr) -> Outcome<Comparison> {
        let mut asker = Asker::connect(address)?;
        let mut found = Comparison::default();
        let kept: Vec<_> = self.kept.iter().collect();
        let mut rng = Rng::new(self.seed);
        for _ in 0..QUESTIONS.min(kept.len() * 8) {
            let (series, samples) = kept[rng.below(kept.len() as u64) as usize];
            let at = |rng: &mut Rng| samples[rng.below(samples.len() as u64) as usize].0;
            let (a, b) = (at(&mut rng), at(&mut rng));
            let (after, until) = (a.min(b) - 1, a.max(b));
            let expected: Vec<_> = samples.iter().copied().filter(|&(t, _)| t > after && t <= until).collect();
            let got = asker.samples(catalogue.labels(*series), after, until)?.unwrap_or_default();
            found.questions += 1;
            found.take(&expected, &got);
        }
        found.surplus = self.count(catalogue, &mut asker)? as i64 - self.per_series.iter().sum::<u64>() as i64;
        Ok(found)
    }

    /// All samples that the server has, counted metric by metric, so that no single answer is large.
    fn count(&self, catalogue: &Catalogue, asker: &mut Asker) -> Outcome<u64> {
        let mut metrics: Vec<&str> = catalogue.all().iter().map(|labels| labels.metric_name()).collect();
        metrics.sort_unstable();
        metrics.dedup();
        metrics.iter().map(|metric| asker.count(metric, self.first - 1, self.last)).sum()
    }
}

impl Comparison {
    fn take(&mut self, expected: &[(i64, f64)], got: &[(i64, f64)]) {
        let got: BTreeMap<i64, f64> = got.iter().copied().collect();
        let mut matched = 0;
        for (t, value) in expected {
            let Some(other) = got.get(t) else {
                self.unmatched += 1;
                continue;
            };
            matched += 1;
            self.samples += 1;
            if other.to_bits() != value.to_bits() {
                self.unequal += 1;
                self.far += u64::from((other - value).abs() > CLOSE * value.abs());
            }
        }
        self.unmatched += got.len() as u64 - matched;
    }

    /// In a few words, for a cell of a table.
    pub(crate) fn words(&self) -> String {
        let mut words = format!("{} of {} differ", self.unequal, self.samples);
        if self.unequal == 0 {
            words = format!("{} equal", self.samples);
        }
        if self.far > 0 {
            words += &format!(", {} by more than {CLOSE:e}", self.far);
        }
        if self.unmatched > 0 {
            words += &format!(", **{} missing or extra**", self.unmatched);
        }
        if self.surplus != 0 {
            words += &format!(", **{:+} samples in all**", self.surplus);
        }
        words
    }
}

/// Spreads numbers that lie close together (the finaliser of SplitMix64, Steele and others, 2014).
pub(crate) fn mix(n: u64) -> u64 {
    let n = n.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let n = (n ^ (n >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let n = (n ^ (n >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    n ^ (n >> 31)
}
