//! What a metric family is and means, as its sender says it.

/// Type, description and unit of a metric family.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MetricMetadata {
    /// The family's name; a histogram's without `_bucket`, `_sum` and `_count`.
    pub family: String,
    /// Its type.
    pub kind: MetricKind,
    /// Its description, perhaps empty.
    pub help: String,
    /// Its unit, perhaps empty.
    pub unit: String,
}

/// The type of a metric family.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MetricKind {
    /// Only goes up, or starts again from zero.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Counts in buckets.
    Histogram,
    /// Counts in buckets that may also go down.
    GaugeHistogram,
    /// Quantiles as the sender computed them.
    Summary,
    /// Facts as labels.
    Info,
    /// One of several states.
    StateSet,
    /// Nobody said.
    Unknown,
}

impl MetricKind {
    /// Every type.
    pub const ALL: [MetricKind; 8] = [
        MetricKind::Counter,
        MetricKind::Gauge,
        MetricKind::Histogram,
        MetricKind::GaugeHistogram,
        MetricKind::Summary,
        MetricKind::Info,
        MetricKind::StateSet,
        MetricKind::Unknown,
    ];

    /// The word of OpenMetrics and of the API.
    pub fn as_str(self) -> &'static str {
        match self {
            MetricKind::Counter => "counter",
            MetricKind::Gauge => "gauge",
            MetricKind::Histogram => "histogram",
            MetricKind::GaugeHistogram => "gaugehistogram",
            MetricKind::Summary => "summary",
            MetricKind::Info => "info",
            MetricKind::StateSet => "stateset",
            MetricKind::Unknown => "unknown",
        }
    }

    /// The type that a word names; `untyped` is the older one for [`MetricKind::Unknown`].
    pub fn from_word(word: &str) -> Option<MetricKind> {
        let word = if word == "untyped" { "unknown" } else { word };
        MetricKind::ALL.into_iter().find(|kind| kind.as_str() == word)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_read_back() {
        for kind in MetricKind::ALL {
            assert_eq!(MetricKind::from_word(kind.as_str()), Some(kind));
        }
        assert_eq!(MetricKind::from_word("untyped"), Some(MetricKind::Unknown));
        assert_eq!(MetricKind::from_word("Counter"), None);
    }
}
