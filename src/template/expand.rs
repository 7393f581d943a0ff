//! From a template's text and an alert's data to the finished text.
//!
//! Invariants:
//! - A text without `{{` is given back as it is, without being parsed.
//! - A label that is absent is the empty text, as in Prometheus.

use std::collections::BTreeMap;
use std::sync::Arc;

use gotmpl::{Template, Value};

use crate::model::Labels;

use super::functions;

/// What a template may refer to: `$labels`, `$externalLabels`, `$externalURL`, `$value`.
#[derive(Debug, Clone, Copy)]
pub struct TemplateData<'a> {
    /// The labels of the element that made the alert.
    pub labels: &'a Labels,
    /// The labels of this server.
    pub external_labels: &'a Labels,
    /// Where this server is found from outside.
    pub external_url: &'a str,
    /// The value of the expression.
    pub value: TemplateValue<'a>,
}

/// The value of the expression of an alert.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum TemplateValue<'a> {
    /// A number.
    Number(f64),
    /// A native histogram, in words.
    Histogram(&'a str),
}

/// A template that cannot be filled in.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct TemplateError {
    message: String,
}

impl From<gotmpl::TemplateError> for TemplateError {
    fn from(error: gotmpl::TemplateError) -> TemplateError {
        TemplateError { message: error.to_string() }
    }
}

/// Gives every template its short names, as in Prometheus.
const PRELUDE: &str = "{{$labels := .Labels}}{{$externalLabels := .ExternalLabels}}\
                       {{$externalURL := .ExternalURL}}{{$value := .Value}}";

/// Loop rounds that one text may take.
const ROUNDS_MAX: u64 = 10_000;

/// The template's text with everything filled in.
///
/// # Errors
/// The text is not a template, or a function in it fails.
pub fn expand(text: &str, data: &TemplateData<'_>) -> Result<String, TemplateError> {
    if !text.contains("{{") {
        return Ok(text.to_owned());
    }
    let template = parse(text, data.external_url)?;
    let root = Value::from_entries([
        ("Labels".to_owned(), labels_value(data.labels)),
        ("ExternalLabels".to_owned(), labels_value(data.external_labels)),
        ("ExternalURL".to_owned(), Value::String(Arc::from(data.external_url))),
        ("Value".to_owned(), value_of(data.value)),
    ]);
    Ok(template.execute_to_string(&root)?.replace("<no value>", ""))
}

/// Whether the text is a template: its syntax, its functions' and variables' names.
///
/// # Errors
/// It is not.
pub fn check(text: &str) -> Result<(), TemplateError> {
    let unknown = |error: &TemplateError| error.message.contains("undefined");
    let value = TemplateValue::Number(0.0);
    let data = TemplateData { labels: &Labels::empty(), external_labels: &Labels::empty(), external_url: "", value };
    match expand(text, &data) {
        Err(error) if unknown(&error) => Err(error),
        // What fails for want of labels may succeed for an alert that has them.
        _ if text.contains("{{") => parse(text, "").map(|_| ()),
        _ => Ok(()),
    }
}

fn parse(text: &str, external_url: &str) -> Result<Template, TemplateError> {
    let template = Template::new("").max_range_iters(ROUNDS_MAX).funcs(functions::all(external_url));
    Ok(template.parse(&format!("{PRELUDE}{text}"))?)
}

fn value_of(value: TemplateValue<'_>) -> Value {
    match value {
        TemplateValue::Number(v) => Value::Float(v),
        TemplateValue::Histogram(text) => Value::String(Arc::from(text)),
    }
}

fn labels_value(labels: &Labels) -> Value {
    let map: BTreeMap<Arc<str>, Value> =
        labels.iter().map(|label| (Arc::from(label.name), Value::String(Arc::from(label.value)))).collect();
    Value::Map(Arc::new(map))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check_text(text: &str, expected: &str) {
        let labels = Labels::new([("instance", "db-1:9100"), ("job", "node exporter")]).unwrap();
        let external = Labels::new([("cluster", "eu")]).unwrap();
        let data = TemplateData {
            labels: &labels,
            external_labels: &external,
            external_url: "https://even.example/keel",
            value: TemplateValue::Number(1234.5678),
        };
        let got = expand(text, &data).unwrap_or_else(|error| format!("error: {error}"));
        assert_eq!(got, expected, "{text}");
    }

    #[test]
    fn alerts_are_put_into_words() {
        check_text("plain { text }", "plain { text }");
        check_text("{{ $labels.instance }} of {{ .Labels.job }}", "db-1:9100 of node exporter");
        check_text("[{{ $labels.none }}]", "[]");
        check_text("{{ $externalLabels.cluster }} {{ $externalURL }}", "eu https://even.example/keel");
        check_text("{{ $value | humanize }}", "1.235k");
        check_text("{{ $value }}", "1234.5678");
        check_text("{{ printf \"%.2f\" $value }}", "1234.57");
        check_text("{{ $value | printf \"%.0f%%\" }}", "1235%");
        check_text("{{ if gt $value 1000.0 }}high{{ else }}low{{ end }}", "high");
        check_text("{{ range $k, $v := $labels }}{{ $k }}={{ $v }};{{ end }}", "instance=db-1:9100;job=node exporter;");
        check_text("{{ $labels.instance | stripPort }}", "db-1");
        check_text("{{ reReplaceAll \"(.*)-(.*):.*\" \"$2-$1\" $labels.instance }}", "1-db");
        check_text("{{ if match \"^db\" $labels.instance }}yes{{ end }}", "yes");
        check_text("{{ title $labels.job }} {{ toUpper \"a\" }}{{ toLower \"B\" }}", "Node Exporter Ab");
        check_text("{{ $labels.job | urlQueryEscape }}", "node+exporter");
        check_text("{{ externalURL }}{{ pathPrefix }}", "https://even.example/keel/keel");
        check_text("{{ graphLink \"up == 0\" }}", "/graph?g0.expr=up+%3D%3D+0&g0.tab=0");
        check_text("{{ with args 1 \"b\" }}{{ .arg1 }}{{ end }}", "b");
        check_text("{{ parseDuration \"1h30m\" }}", "5400");
    }

    #[test]
    fn a_bad_template_says_why() {
        for bad in ["{{ $labels.a", "{{ nothing }}", "{{ $none }}", "{{ if }}x{{ end }}"] {
            assert!(check(bad).is_err(), "{bad}");
        }
        for good in ["x", "{{ $labels.a | humanize }}", "{{ query \"up\" | first | value }}"] {
            assert_eq!(check(good), Ok(()), "{good}");
        }
        let value = TemplateValue::Number(0.0);
        let data =
            TemplateData { labels: &Labels::empty(), external_labels: &Labels::empty(), external_url: "", value };
        let error = expand("{{ query \"up\" }}", &data).unwrap_err();
        assert!(error.to_string().contains("query is not available"), "{error}");
    }
}
