//! Labels that describe a metric.

use crate::model::Labels;

/// Whether a label describes the metric and goes when its values are changed.
pub fn is_metadata(name: &str) -> bool {
    matches!(name, Labels::METRIC_NAME | "__type__" | "__unit__")
}

/// The labels without those that describe the metric.
pub fn without_name(labels: &Labels) -> Labels {
    if !labels.iter().any(|label| is_metadata(label.name)) {
        return labels.clone();
    }
    labels.filter(|name| !is_metadata(name))
}
