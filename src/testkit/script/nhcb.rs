//! `load_with_nhcb`: the native histograms with custom bounds that classic histograms amount to.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::model::{CUSTOM_SCHEMA, Labels, Sample, Timestamp, is_stale};
use crate::promql::kernel::{Bucket, FloatHistogram};

/// Classic histograms whose series come one by one.
#[derive(Default)]
pub(super) struct Classic(BTreeMap<Labels, BTreeMap<Timestamp, Parts>>);

/// What is known of a histogram at an instant.
#[derive(Default)]
struct Parts {
    /// Cumulative counts by upper bound.
    buckets: Vec<(f64, f64)>,
    count: Option<f64>,
    sum: f64,
}

impl Classic {
    /// Adds a series if it is part of a classic histogram.
    pub(super) fn add(&mut self, labels: &Labels, samples: &[Sample]) -> Result<(), String> {
        let name = labels.metric_name();
        let Some((suffix, base)) =
            ["_bucket", "_count", "_sum"].iter().find_map(|suffix| Some((*suffix, name.strip_suffix(suffix)?)))
        else {
            return Ok(());
        };
        let le = match (suffix, labels.get("le").parse::<f64>()) {
            ("_bucket", Ok(le)) if !le.is_nan() => le,
            ("_bucket", _) => return Ok(()),
            _ => f64::NAN,
        };
        let mut builder = labels.builder();
        builder.set(Labels::METRIC_NAME, base).remove("le");
        let histogram = self.0.entry(builder.build().map_err(|error| error.to_string())?).or_default();
        for sample in samples.iter().filter(|sample| !is_stale(sample.v)) {
            let parts = histogram.entry(sample.t).or_default();
            match suffix {
                "_bucket" => parts.buckets.push((le, sample.v)),
                "_count" => parts.count = Some(sample.v),
                _ => parts.sum = sample.v,
            }
        }
        Ok(())
    }

    /// The native histograms.
    pub(super) fn convert(self) -> Result<Vec<(Labels, Timestamp, FloatHistogram)>, String> {
        let mut all = Vec::new();
        for (labels, instants) in self.0 {
            for (t, parts) in instants {
                all.push((labels.clone(), t, parts.convert()?));
            }
        }
        Ok(all)
    }
}

impl Parts {
    fn convert(mut self) -> Result<FloatHistogram, String> {
        self.buckets.sort_by(|a, b| a.0.total_cmp(&b.0));
        let last = self.buckets.last().copied();
        let count = self.count.or(last.map(|(_, count)| count)).unwrap_or(0.0);
        if last.is_none_or(|(le, _)| le != f64::INFINITY) {
            self.buckets.push((f64::INFINITY, count));
        }
        let bounds: Arc<[f64]> = self.buckets.iter().map(|(le, _)| *le).filter(|le| le.is_finite()).collect();
        let mut histogram = FloatHistogram::empty(CUSTOM_SCHEMA, bounds);
        let mut below = 0.0;
        for (index, (_, cumulative)) in (0i32..).zip(&self.buckets) {
            let count = cumulative - below;
            if count < 0.0 {
                return Err("the counts of a classic histogram fall from one bucket to the next".to_owned());
            }
            if count != 0.0 {
                histogram.positive.push(Bucket { index, count });
            }
            below = *cumulative;
        }
        if below != count {
            return Err(format!("a classic histogram's buckets count {below}, but its count is {count}"));
        }
        (histogram.count, histogram.sum) = (count, self.sum);
        Ok(histogram)
    }
}
