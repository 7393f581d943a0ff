//! Annotations: what the user should know of an answer, in Prometheus' words.

use std::collections::BTreeSet;

use crate::promql::kernel::NanNote;
use crate::promql::parse::quote;
use crate::promql::value::{Answer, Value};

/// The annotations of one evaluation, each text once.
#[derive(Debug, Default)]
pub(super) struct Notes {
    warnings: BTreeSet<String>,
    infos: BTreeSet<String>,
}

impl Notes {
    pub(super) fn answer(self, value: Value) -> Answer {
        Answer { value, warnings: self.warnings.into_iter().collect(), infos: self.infos.into_iter().collect() }
    }

    fn warn(&mut self, text: &str, place: &str) {
        self.warnings.insert(format!("PromQL warning: {text} {place}"));
    }

    fn info(&mut self, text: &str, place: &str) {
        self.infos.insert(format!("PromQL info: {text} {place}"));
    }

    pub(super) fn quantile_out_of_range(&mut self, q: f64, place: &str) {
        self.warn(&format!("quantile value should be between 0 and 1, got {}", general(q)), place);
    }

    pub(super) fn ratio_is_capped(&mut self, ratio: f64, place: &str) {
        let cap = ratio.signum();
        let text = format!("ratio value should be between -1 and 1, got {}, capping to {cap}", general(ratio));
        self.warn(&text, place);
    }

    pub(super) fn mixed_range(&mut self, metric: &str, place: &str) {
        self.warn(&format!("encountered a mix of histograms and floats for metric name {}", quote(metric)), place);
    }

    pub(super) fn mixed_group(&mut self, place: &str) {
        self.warn("encountered a mix of histograms and floats for aggregation", place);
    }

    pub(super) fn mixed_kinds_of_histograms(&mut self, metric: &str, place: &str) {
        self.warn(&with_metric("vector contains a mix of classic and native histograms".to_owned(), metric), place);
    }

    pub(super) fn mixed_layouts(&mut self, metric: &str, place: &str) {
        let text = "vector contains a mix of histograms with exponential and custom buckets schemas for metric name";
        self.warn(&format!("{text} {}", quote(metric)), place);
    }

    pub(super) fn not_a_counter(&mut self, metric: &str, place: &str) {
        self.warn(&format!("this native histogram metric is not a counter: {}", quote(metric)), place);
    }

    pub(super) fn not_a_gauge(&mut self, metric: &str, place: &str) {
        self.warn(&format!("this native histogram metric is not a gauge: {}", quote(metric)), place);
    }

    pub(super) fn layouts_do_not_fit(&mut self, operator: &str, place: &str) {
        self.warn(&format!("incompatible bucket layout encountered for binary operator {operator}"), place);
    }

    /// `operation` is addition, subtraction or aggregation.
    pub(super) fn resets_conflict(&mut self, operation: &str, place: &str) {
        self.warn(&format!("conflicting counter resets during histogram {operation}"), place);
    }

    pub(super) fn bounds_reconciled(&mut self, operation: &str, place: &str) {
        self.info(&format!("mismatched custom buckets were reconciled during {operation}"), place);
    }

    pub(super) fn types_do_not_fit(&mut self, left: &str, operator: &str, right: &str, place: &str) {
        let text = "incompatible sample types encountered for binary operator";
        self.info(&format!("{text} {}: {left} {operator} {right}", quote(operator)), place);
    }

    pub(super) fn ignored_in_group(&mut self, aggregation: &str, place: &str) {
        self.info(&format!("ignored histogram in {aggregation} aggregation"), place);
    }

    pub(super) fn ignored_in_range(&mut self, metric: &str, place: &str) {
        let text = "ignored histograms in a range containing both floats and histograms for metric name";
        self.info(&format!("{text} {}", quote(metric)), place);
    }

    pub(super) fn nan_quantile(&mut self, note: NanNote, metric: &str, place: &str) {
        let text = match note {
            NanNote::None => return,
            NanNote::Result => "input to histogram_quantile has NaN observations, result is NaN",
            NanNote::Observations => "input to histogram_quantile has NaN observations, result is skewed higher",
        };
        self.info(&with_metric(text.to_owned(), metric), place);
    }

    pub(super) fn nan_fraction(&mut self, note: NanNote, metric: &str, place: &str) {
        if note != NanNote::None {
            let text = "input to histogram_fraction has NaN observations, which are excluded from all fractions";
            self.info(&with_metric(text.to_owned(), metric), place);
        }
    }

    pub(super) fn starts_overlap(&mut self, metric: &str, place: &str) {
        let text = "sample has start time that overlaps with previous sample timestamp for metric";
        self.warn(&format!("{text} {}", quote(metric)), place);
    }

    pub(super) fn sort_is_ineffective(&mut self, place: &str) {
        self.warn("sort is ineffective for range queries since results are always ordered by labels", place);
    }

    pub(super) fn bad_bucket_label(&mut self, value: &str, metric: &str, place: &str) {
        let text = format!("bucket label \"le\" is missing or has a malformed value of {}", quote(value));
        self.warn(&with_metric(text, metric), place);
    }

    pub(super) fn maybe_not_a_counter(&mut self, metric: &str, place: &str) {
        let text = "metric might not be a counter, name does not end in _total/_sum/_count/_bucket:";
        self.info(&format!("{text} {}", quote(metric)), place);
    }

    pub(super) fn forced_monotonic(&mut self, metric: &str, place: &str) {
        let text = "input to histogram_quantile needed to be fixed for monotonicity (see \
                    https://prometheus.io/docs/prometheus/latest/querying/functions/#histogram_quantile)";
        self.info(&with_metric(text.to_owned(), metric), place);
    }
}

/// A number as Go's `%g` writes it.
pub(super) fn general(v: f64) -> String {
    if v.is_infinite() {
        return if v > 0.0 { "+Inf" } else { "-Inf" }.to_owned();
    }
    let text = format!("{v:e}");
    let Some((digits, exponent)) = text.split_once('e') else { return text };
    match exponent.parse::<i32>() {
        Ok(-4..=5) | Err(_) => v.to_string(),
        Ok(exponent) => format!("{digits}e{}{:02}", if exponent < 0 { '-' } else { '+' }, exponent.abs()),
    }
}

fn with_metric(text: String, metric: &str) -> String {
    if metric.is_empty() { text } else { format!("{text} for metric name {}", quote(metric)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_as_go_writes_them() {
        let check = |v: f64, expected: &str| assert_eq!(general(v), expected);
        check(-0.5, "-0.5");
        check(0.0, "0");
        check(100_000.0, "100000");
        check(1e6, "1e+06");
        check(-538_634_217.6, "-5.386342176e+08");
        check(1e-4, "0.0001");
        check(1.5e-5, "1.5e-05");
        check(1e300, "1e+300");
        check(f64::NAN, "NaN");
        check(f64::NEG_INFINITY, "-Inf");
    }
}
