//! Labels and annotations of alerts, their templates filled in.
//!
//! Invariants:
//! - A template that fails is told in place of its text; it never keeps an alert from being told.
//! - What a template asks is answered from the data that the decision was made on.

use crate::model::{Labels, Timestamp};
use crate::promql::{ElementValue, Query, SeriesSource, ValueType};
use crate::template::{TemplateData, TemplateSample, TemplateValue, expand};

use super::interval::instant;
use super::naming::AlertId;
use super::reading::Reading;
use super::rule::RuleContext;
use super::status::{GroupStatus, RuleStatus};

/// Where and when texts are filled in.
pub(super) struct Scene<'a> {
    /// What all rules may refer to.
    pub(super) context: &'a RuleContext,
    /// The data.
    pub(super) source: &'a dyn SeriesSource,
    /// The instant.
    pub(super) at: Timestamp,
}

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
pub(super) fn fill(texts: &[(String, String)], subject: &Subject<'_>, scene: &Scene<'_>) -> Labels {
    let filled: Vec<(&str, String)> =
        texts.iter().map(|(name, text)| (name.as_str(), filled(text, subject, scene))).collect();
    Labels::new(filled.iter().map(|(name, text)| (*name, text.as_str()))).unwrap_or_else(|error| {
        let text = error.to_string();
        Labels::new([("error", text.as_str())]).unwrap_or_else(|_| Labels::empty())
    })
}

/// The labels of the alert that an element stands for.
pub(super) fn alert_labels(
    group: &Labels,
    texts: &[(String, String)],
    subject: &Subject<'_>,
    scene: &Scene<'_>,
) -> Labels {
    let mut labels = subject.element.without_metric_name().builder();
    for label in group.iter() {
        labels.set(label.name, label.value);
    }
    for (name, text) in texts {
        labels.set(name, &filled(text, subject, scene));
    }
    labels.set("alertname", subject.alert);
    // Only a rule with very many or very long labels comes here: its name still tells it apart.
    labels.build().unwrap_or_else(|_| subject.element.without_metric_name())
}

/// The labels and the name of the alert that an element of a rule's expression stands for, or stood for at an earlier
/// instant.
pub fn alert_of(
    (group, rule): (&GroupStatus, &RuleStatus),
    (element, value): (&Labels, &ElementValue),
    context: &RuleContext,
    source: &dyn SeriesSource,
    at: Timestamp,
) -> (Labels, AlertId) {
    let value = Reading::of(value);
    let subject = Subject { alert: &rule.name, element, value: &value };
    let labels = alert_labels(&group.labels, &rule.labels, &subject, &Scene { context, source, at });
    let id = rule.id.alert(&labels);
    (labels, id)
}

/// One text.
pub(super) fn filled(text: &str, subject: &Subject<'_>, scene: &Scene<'_>) -> String {
    let data = TemplateData {
        name: subject.alert,
        labels: subject.element,
        external_labels: &scene.context.external_labels,
        external_url: &scene.context.external_url,
        value: match &subject.value.histogram {
            Some(text) => TemplateValue::Histogram(text),
            None => TemplateValue::Number(subject.value.number),
        },
        at: scene.at,
    };
    expand(text, &data, &mut |query| ask(query, scene))
        .unwrap_or_else(|error| format!("<error expanding template: {error}>"))
}

fn ask(text: &str, scene: &Scene<'_>) -> Result<Vec<TemplateSample>, String> {
    let query = Query::new(text).map_err(|error| error.to_string())?;
    if !matches!(query.expr().value_type(), ValueType::Vector | ValueType::Scalar) {
        return Err("query result is not a vector or scalar".to_owned());
    }
    let elements = instant(&query, scene.source, scene.at, &scene.context.options())?;
    let number = |value: &ElementValue| match value {
        ElementValue::Number(v) => *v,
        // As in Prometheus: templates see the native histograms of an alert, but not those of a query.
        ElementValue::Histogram(_) => 0.0,
    };
    Ok(elements.into_iter().map(|(labels, value)| TemplateSample { labels, value: number(&value) }).collect())
}
