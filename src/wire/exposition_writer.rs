//! Writes the text format 0.0.4: our own `/metrics`.

use std::collections::BTreeMap;
use std::fmt::Write;

use crate::model::{Labels, MetricKind, Sample};

/// The content type of what [`to_exposition`] writes.
pub const EXPOSITION_CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8; escaping=allow-utf-8";

/// What a metric family is and means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Description {
    /// The family's name; a histogram's without `_bucket`, `_sum` and `_count`.
    pub name: &'static str,
    /// Its type.
    pub kind: MetricKind,
    /// One sentence.
    pub help: &'static str,
}

/// The samples as text, family by family in the order of their names.
///
/// A family without a description is a counter if its name ends in `_total`, else untyped.
pub fn to_exposition(samples: &[(Labels, f64)], descriptions: &[Description]) -> String {
    let mut families: BTreeMap<&str, Vec<&(Labels, f64)>> = BTreeMap::new();
    for sample in samples {
        families.entry(family_of(sample.0.metric_name(), descriptions)).or_default().push(sample);
    }
    let mut out = String::new();
    for (name, samples) in families {
        let described = descriptions.iter().find(|description| description.name == name);
        let kind = match described {
            Some(description) => description.kind,
            None if name.ends_with("_total") => MetricKind::Counter,
            None => MetricKind::Unknown,
        };
        let shown = if is_plain(name, true) { name.to_owned() } else { quoted(name) };
        if let Some(description) = described {
            let help = description.help.replace('\\', "\\\\").replace('\n', "\\n");
            let _ = writeln!(out, "# HELP {shown} {help}");
        }
        let _ = writeln!(out, "# TYPE {shown} {}", text_word(kind));
        for (labels, value) in samples {
            push_series(&mut out, labels);
            let _ = writeln!(out, " {}", number(*value));
        }
    }
    out
}

/// The line that begins a family of unknown type.
pub fn type_line(out: &mut String, name: &str) {
    let shown = if is_plain(name, true) { name.to_owned() } else { quoted(name) };
    let _ = writeln!(out, "# TYPE {shown} untyped");
}

/// A sample with its time.
pub fn exposition_line(out: &mut String, labels: &Labels, sample: Sample) {
    push_series(out, labels);
    let _ = writeln!(out, " {} {}", number(sample.v), sample.t.0);
}

/// The word of the text format 0.0.4, which does not know them all.
fn text_word(kind: MetricKind) -> &'static str {
    match kind {
        MetricKind::Counter => "counter",
        MetricKind::Gauge | MetricKind::Info | MetricKind::StateSet => "gauge",
        MetricKind::Histogram => "histogram",
        MetricKind::Summary => "summary",
        MetricKind::GaugeHistogram | MetricKind::Unknown => "untyped",
    }
}

/// The family that a series of this name belongs to.
fn family_of<'a>(name: &'a str, descriptions: &[Description]) -> &'a str {
    let part = ["_bucket", "_sum", "_count"].iter().find_map(|end| name.strip_suffix(end));
    let composed = |family: &str| {
        let kind = descriptions.iter().find(|description| description.name == family).map(|found| found.kind);
        matches!(kind, Some(MetricKind::Histogram | MetricKind::GaugeHistogram | MetricKind::Summary))
    };
    part.filter(|family| composed(family)).unwrap_or(name)
}

fn push_series(out: &mut String, labels: &Labels) {
    let name = labels.metric_name();
    let mut parts = Vec::new();
    if is_plain(name, true) {
        out.push_str(name);
    } else {
        parts.push(quoted(name));
    }
    for label in labels.iter().filter(|label| label.name != Labels::METRIC_NAME) {
        let shown = if is_plain(label.name, false) { label.name.to_owned() } else { quoted(label.name) };
        parts.push(format!("{shown}={}", quoted(label.value)));
    }
    if !parts.is_empty() {
        let _ = write!(out, "{{{}}}", parts.join(","));
    }
}

fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n"))
}

/// Whether a name needs no quotes.
fn is_plain(name: &str, colons: bool) -> bool {
    !name.is_empty()
        && !name.starts_with(|c: char| c.is_ascii_digit())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || (colons && c == ':'))
}

fn number(value: f64) -> String {
    if value.is_nan() {
        "NaN".to_owned()
    } else if value.is_infinite() {
        if value > 0.0 { "+Inf".to_owned() } else { "-Inf".to_owned() }
    } else if value != 0.0 && !(1e-6..1e21).contains(&value.abs()) {
        format!("{value:e}")
    } else {
        value.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Timestamp;
    use crate::wire::{Format, exposition};

    fn sample(pairs: &[(&str, &str)], value: f64) -> (Labels, f64) {
        (Labels::new(pairs.iter().copied()).unwrap(), value)
    }

    #[test]
    fn families_are_written_together() {
        let descriptions = [
            Description { name: "lat_seconds", kind: MetricKind::Histogram, help: "How long\\short.\nTwo lines." },
            Description { name: "up", kind: MetricKind::Gauge, help: "Whether it is there." },
        ];
        let samples = [
            sample(&[("__name__", "lat_seconds_bucket"), ("le", "+Inf")], 2.0),
            sample(&[("__name__", "up"), ("job", "a\"b\\c\nd")], 1.0),
            sample(&[("__name__", "lat_seconds_sum")], 0.25),
            sample(&[("__name__", "lat_seconds_count")], 2.0),
            sample(&[("__name__", "things_total")], 1e300),
            sample(&[("__name__", "up"), ("a.b", "c")], f64::INFINITY),
            sample(&[("__name__", "x.y")], f64::NAN),
        ];
        let text = to_exposition(&samples, &descriptions);
        let expected = r#"# HELP lat_seconds How long\\short.\nTwo lines.
# TYPE lat_seconds histogram
lat_seconds_bucket{le="+Inf"} 2
lat_seconds_sum 0.25
lat_seconds_count 2
# TYPE things_total counter
things_total 1e300
# HELP up Whether it is there.
# TYPE up gauge
up{job="a\"b\\c\nd"} 1
up{"a.b"="c"} +Inf
# TYPE "x.y" untyped
{"x.y"} NaN
"#;
        assert_eq!(text, expected);
        let back = exposition(text.as_bytes(), Format::Text, Timestamp(0)).unwrap();
        assert_eq!(back.len(), samples.len());
        for (labels, value) in &samples {
            let found = back.iter().find(|(l, _)| l == labels).unwrap();
            assert!(found.1.v == *value || value.is_nan(), "{labels}");
        }
    }

    #[test]
    fn numbers_read_back_exactly() {
        for value in [0.1, -0.0, 1e21, 1e-7, 5e-324, f64::MAX, 123_456_789.123, 1e20] {
            assert_eq!(number(value).parse::<f64>().unwrap().to_bits(), value.to_bits(), "{value}");
        }
    }
}
