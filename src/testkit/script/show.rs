//! What a query gave, in the notation of the scripts.

use crate::model::Timestamp;
use crate::promql::{Answer, ElementValue, Value};

use super::native::written;

/// One line a series, then the annotations.
pub(super) fn show(answer: &Answer) -> Vec<String> {
    let mut lines = match &answer.value {
        Value::Scalar(sample) => vec![sample.v.to_string()],
        Value::String(_, text) => vec![format!("expect string {text:?}")],
        Value::Vector(elements) => {
            let value = |value: &ElementValue| match value {
                ElementValue::Number(v) => v.to_string(),
                ElementValue::Histogram(histogram) => written(&(&**histogram).into()),
            };
            elements.iter().map(|one| format!("{} {}", one.labels, value(&one.value))).collect()
        }
        Value::Matrix(series) => {
            let at = |t: Timestamp, v: String| format!("{v}@{}", t.as_seconds());
            let line = |one: &crate::promql::MatrixSeries| {
                let numbers = one.samples.iter().map(|sample| (sample.t, sample.v.to_string()));
                let histograms = one.histograms.iter().map(|one| (one.t, written(&(&*one.histogram).into())));
                let mut values: Vec<_> = numbers.chain(histograms).collect();
                values.sort_by_key(|(t, _)| *t);
                let values: Vec<String> = values.into_iter().map(|(t, v)| at(t, v)).collect();
                format!("{} {}", one.labels, values.join(" "))
            };
            series.iter().map(line).collect()
        }
    };
    if lines.is_empty() {
        lines.push("nothing".to_owned());
    }
    lines.extend(answer.warnings.iter().chain(&answer.infos).cloned());
    lines
}
