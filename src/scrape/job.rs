//! What to scrape and how: one `scrape_configs` entry, resolved.

use super::relabel::Relabel;
use crate::model::{Millis, limits};
use crate::notify::{Authorization, Secret};
use crate::wire::{Format, HistogramReading};

/// A set of targets that are scraped in the same way.
#[derive(Debug, Clone, PartialEq)]
pub struct Job {
    /// The value of the label `job`.
    pub name: String,
    /// From one scrape to the next.
    pub interval: Millis,
    /// How long one scrape may take.
    pub timeout: Millis,
    /// How to connect.
    pub scheme: Scheme,
    /// The path of the metrics, with its leading slash.
    pub metrics_path: String,
    /// Parameters of the query, in order.
    pub params: Vec<(String, String)>,
    /// Whether a label of the target's text wins over the job's label of the same name. Otherwise
    /// it is renamed to `exported_…`.
    pub honor_labels: bool,
    /// Whether timestamps in the target's text are believed.
    pub honor_timestamps: bool,
    /// Samples that one scrape may bring; zero for no limit. A scrape with more of them fails.
    pub sample_limit: usize,
    /// Bytes of an answer, before and after decompression.
    pub body_bytes_max: usize,
    /// The targets.
    pub targets: Vec<TargetGroup>,
    /// How to log in.
    pub authorization: Authorization,
    /// Further headers of every request.
    pub headers: Vec<(String, Secret)>,
    /// Rules for the targets: what they are called, how they are reached, and which are left out.
    pub relabel: Vec<Relabel>,
    /// Rules for the samples, applied after the target's labels are on them.
    pub metric_relabel: Vec<Relabel>,
    /// The format to assume of an answer whose content type says none. Without it such an answer
    /// is refused.
    pub fallback_format: Option<Encoding>,
    /// The formats to ask for, the best first.
    pub protocols: Vec<Protocol>,
    /// What is made of histograms in protobuf.
    pub histograms: HistogramReading,
    /// Whether it is looked at when counting began. The lines of OpenMetrics that say it are no samples then.
    pub start_timestamps: bool,
}

impl Job {
    /// A job with Prometheus' defaults and these targets.
    pub fn new(name: &str, targets: Vec<TargetGroup>) -> Job {
        Job {
            name: name.to_owned(),
            interval: Millis::minutes(1),
            timeout: Millis::seconds(10),
            scheme: Scheme::Http,
            metrics_path: "/metrics".to_owned(),
            params: Vec::new(),
            honor_labels: false,
            honor_timestamps: true,
            sample_limit: 0,
            body_bytes_max: limits::BODY_DECODED_BYTES_MAX,
            targets,
            authorization: Authorization::None,
            headers: Vec::new(),
            relabel: Vec::new(),
            metric_relabel: Vec::new(),
            fallback_format: None,
            protocols: Protocol::TEXTS.to_vec(),
            histograms: HistogramReading::default(),
            start_timestamps: false,
        }
    }
}

/// How an answer is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoding {
    /// As text.
    Text(Format),
    /// As messages of metric families.
    Protobuf,
}

/// A format that a target may be asked for, named as Prometheus names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// `PrometheusProto`
    Proto,
    /// `OpenMetricsText1.0.0`
    OpenMetrics1,
    /// `OpenMetricsText0.0.1`
    OpenMetrics0,
    /// `PrometheusText1.0.0`
    Text1,
    /// `PrometheusText0.0.4`
    Text0,
}

impl Protocol {
    /// All texts, in the order in which Prometheus prefers them.
    pub const TEXTS: [Protocol; 4] = [Protocol::OpenMetrics1, Protocol::OpenMetrics0, Protocol::Text1, Protocol::Text0];

    /// The protocol of a name.
    pub fn of(name: &str) -> Option<Protocol> {
        match name {
            "PrometheusProto" => Some(Protocol::Proto),
            "OpenMetricsText1.0.0" => Some(Protocol::OpenMetrics1),
            "OpenMetricsText0.0.1" => Some(Protocol::OpenMetrics0),
            "PrometheusText1.0.0" => Some(Protocol::Text1),
            "PrometheusText0.0.4" => Some(Protocol::Text0),
            _ => None,
        }
    }

    /// The media type to ask for.
    pub(super) fn media_type(self) -> &'static str {
        match self {
            Protocol::Proto => {
                "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited"
            }
            Protocol::OpenMetrics1 => "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8",
            Protocol::OpenMetrics0 => "application/openmetrics-text;version=0.0.1",
            Protocol::Text1 => "text/plain;version=1.0.0;escaping=allow-utf-8",
            Protocol::Text0 => "text/plain;version=0.0.4",
        }
    }

    /// How it is written.
    pub(super) fn encoding(self) -> Encoding {
        match self {
            Protocol::Proto => Encoding::Protobuf,
            Protocol::OpenMetrics1 | Protocol::OpenMetrics0 => Encoding::Text(Format::OpenMetrics),
            Protocol::Text1 | Protocol::Text0 => Encoding::Text(Format::Text),
        }
    }
}

/// How to connect to a target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scheme {
    /// Unencrypted.
    Http,
    /// With TLS.
    Https,
}

impl Scheme {
    /// The word of the URL.
    pub fn as_str(self) -> &'static str {
        match self {
            Scheme::Http => "http",
            Scheme::Https => "https",
        }
    }
}

/// Targets that share labels.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TargetGroup {
    /// `host:port` of each target.
    pub addresses: Vec<String>,
    /// Labels that every series of these targets gets.
    pub labels: Vec<(String, String)>,
}
