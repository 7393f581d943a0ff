//! The value of an alert: a number, or a native histogram, which has none.
//!
//! Invariants:
//! - As in Prometheus, an alert on a native histogram has the value 0, and templates see the histogram.

use std::fmt::Write as _;
use std::sync::Arc;

use crate::model::{Histogram, HistogramCounts, float_text};
use crate::promql::ElementValue;
use crate::promql::kernel::native_buckets;

/// What an element of an alert's expression says.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Reading {
    /// The number; 0 of a native histogram.
    pub(super) number: f64,
    /// The native histogram, in words.
    pub(super) histogram: Option<Arc<str>>,
}

impl Reading {
    /// A number.
    pub(super) fn of_number(number: f64) -> Reading {
        Reading { number, histogram: None }
    }

    /// The value of an element.
    pub(super) fn of(value: &ElementValue) -> Reading {
        match value {
            ElementValue::Number(number) => Reading::of_number(*number),
            ElementValue::Histogram(histogram) => {
                Reading { number: 0.0, histogram: Some(Arc::from(histogram_text(histogram))) }
            }
        }
    }
}

/// A native histogram as Prometheus prints it: count, sum, and the buckets that are not empty.
fn histogram_text(histogram: &Histogram) -> String {
    let count = match histogram.counts {
        HistogramCounts::Integer { count, .. } => count as f64,
        HistogramCounts::Float { count, .. } => count,
    };
    let mut text = format!("{{count:{}, sum:{}", float_text(count), float_text(histogram.sum));
    for bucket in native_buckets(histogram) {
        let interval = bucket.interval;
        let (open, close) =
            (if interval.lower_inclusive { '[' } else { '(' }, if interval.upper_inclusive { ']' } else { ')' });
        let [lower, upper, count] = [interval.lower, interval.upper, bucket.count].map(float_text);
        let _ = write!(text, ", {open}{lower},{upper}{close}:{count}");
    }
    text.push('}');
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{ResetHint, Span};

    #[test]
    fn a_histogram_is_put_into_words() {
        let histogram = Histogram {
            reset_hint: ResetHint::Gauge,
            schema: 0,
            zero_threshold: 1e-5,
            sum: 18.4,
            positive_spans: vec![Span { offset: 1, length: 2 }],
            negative_spans: vec![Span { offset: 0, length: 1 }],
            bounds: vec![],
            counts: HistogramCounts::Float { count: 5.5, zero: 2.0, positive: vec![0.0, 2.5], negative: vec![1.0] },
        };
        let text = "{count:5.5, sum:18.4, [-1,-0.5):1, [-1e-05,1e-05]:2, (2,4]:2.5}";
        assert_eq!(histogram_text(&histogram), text);
        let reading = Reading::of(&ElementValue::Histogram(Arc::new(histogram)));
        assert_eq!((reading.number, reading.histogram.as_deref()), (0.0, Some(text)));
    }
}
