//! Labels and annotations of alerts, their templates filled in.
//!
//! Invariants:
//! - A template that fails is told in place of its text; it never keeps an alert from being told.
//! - What a template asks is answered from the data that the decision was made on.

use crate::model::Labels;
use crate::promql::{ElementValue, EvalOptions, Query, ValueType};
use crate::template::{TemplateData, TemplateSample, TemplateValue, expand};

use super::alerting::Moment;
use super::interval::instant;
use super::reading::Reading;

/// What the texts of an alert are about.
pub(super) struct Subject<'a> {
    /// The alert's name.
    pub(super) alert: &'a str,
    /// The labels of the element that made the alert.
    pub(super) element: &'a Labels,
    /// The value of the element.
    pub(super) value: &'a Reading,
}

/// All texts, as labels.
pub(super) fn fill(texts: &[(String, String)], subject: &Subject<'_>, moment: &Moment<'_>) -> Labels {
    let filled: Vec<(&str, String)> =
        texts.iter().map(|(name, text)| (name.as_str(), filled(text, subject, moment))).collect();
    Labels::new(filled.iter().map(|(name, text)| (*name, text.as_str()))).unwrap_or_else(|error| {
        let text = error.to_string();
        Labels::new([("error", text.as_str())]).unwrap_or_else(|_| Labels::empty())
    })
}

/// One text.
pub(super) fn filled(text: &str, subject: &Subject<'_>, moment: &Moment<'_>) -> String {
    let data = TemplateData {
        name: subject.alert,
        labels: subject.element,
        external_labels: &moment.context.external_labels,
        external_url: &moment.context.external_url,
        value: match &subject.value.histogram {
            Some(text) => TemplateValue::Histogram(text),
            None => TemplateValue::Number(subject.value.number),
        },
        at: moment.at,
    };
    expand(text, &data, &mut |query| ask(query, moment))
        .unwrap_or_else(|error| format!("<error expanding template: {error}>"))
}

fn ask(text: &str, moment: &Moment<'_>) -> Result<Vec<TemplateSample>, String> {
    let query = Query::new(text).map_err(|error| error.to_string())?;
    if !matches!(query.expr().value_type(), ValueType::Vector | ValueType::Scalar) {
        return Err("query result is not a vector or scalar".to_owned());
    }
    let elements = instant(&query, moment.source, moment.at, &EvalOptions::default())?;
    let number = |value: &ElementValue| match value {
        ElementValue::Number(v) => *v,
        // As in Prometheus: templates see the native histograms of an alert, but not those of a query.
        ElementValue::Histogram(_) => 0.0,
    };
    Ok(elements.into_iter().map(|(labels, value)| TemplateSample { labels, value: number(&value) }).collect())
}
