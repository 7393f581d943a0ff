//! Which metrics are a service's requests and how long they took, where a file names none.
//!
//! | `metrics` | Requests, and which of them failed | Durations |
//! | --- | --- | --- |
//! | `prometheus`, if left out | `http_requests_total`, `code=~"5.."` | `http_request_duration_seconds` |
//! | `opentelemetry` | `http_server_request_duration_seconds_count`, `http_response_status_code=~"5.."` | `http_server_request_duration_seconds` |
//! | `micrometer` | `http_server_requests_seconds_count`, `status=~"5.."` | `http_server_requests_seconds` |
//! | `grpc` | `grpc_server_handled_total`, `grpc_code=~"Unknown\|DeadlineExceeded\|…"` | `grpc_server_handling_seconds` |
//!
//! Those of a service are the ones whose label `job` names it, or the label that `service_label` names.
//!
//! Invariants:
//! - What a file means follows from the file alone: never from what is stored, or comes one day.
//! - Requests count only with a label that says how they ended. Without one there is no series, and the objective is blind;
//!   it never takes failures for successes.

use crate::config::error::ConfigError;
use crate::config::section::Section;
use crate::model::{Labels, MatchOp, Matcher};
use crate::slo::{Events, Indicator, Reading};

/// Metrics that are named alike wherever a library makes them.
#[derive(Debug)]
struct Convention {
    /// How files call it.
    name: &'static str,
    /// The counter of requests.
    requests: &'static str,
    /// Its label that says how a request ended.
    code: &'static str,
    /// The values that are the server's fault.
    failed: &'static str,
    /// The histogram of how long requests took.
    histogram: &'static str,
}

/// Prometheus' client libraries, OpenTelemetry's semantic conventions, Spring's Micrometer, and the interceptors of gRPC.
const CONVENTIONS: [Convention; 4] = [
    Convention {
        name: "prometheus",
        requests: "http_requests_total",
        code: "code",
        failed: "5..",
        histogram: "http_request_duration_seconds",
    },
    Convention {
        name: "opentelemetry",
        requests: "http_server_request_duration_seconds_count",
        code: "http_response_status_code",
        failed: "5..",
        histogram: "http_server_request_duration_seconds",
    },
    Convention {
        name: "micrometer",
        requests: "http_server_requests_seconds_count",
        code: "status",
        failed: "5..",
        histogram: "http_server_requests_seconds",
    },
    Convention {
        name: "grpc",
        requests: "grpc_server_handled_total",
        code: "grpc_code",
        failed: "Unknown|DeadlineExceeded|Unimplemented|Internal|Unavailable|DataLoss",
        histogram: "grpc_server_handling_seconds",
    },
];

/// The label that names the service: every scrape sets it, and OpenTelemetry's `service.name` becomes it.
const SERVICE_LABEL: &str = "job";

/// The metrics of one service.
#[derive(Debug)]
pub(super) struct ServiceMetrics {
    convention: &'static Convention,
    service: Matcher,
}

impl ServiceMetrics {
    /// Those that the keys `metrics` and `service_label` choose, or that are usual.
    pub(super) fn read(section: &mut Section<'_>, service: &str) -> Result<ServiceMetrics, ConfigError> {
        let convention = match section.get("metrics") {
            None => &CONVENTIONS[0],
            Some(field) => {
                let name = field.word()?;
                CONVENTIONS.iter().find(|known| known.name == name).ok_or_else(|| {
                    let known = CONVENTIONS.map(|convention| convention.name).join(", ");
                    field.error(format!(
                        "there is no convention \"{name}\"; there are {known}, and others are written as \"errors\", \
                         \"total\" and \"histogram\""
                    ))
                })?
            }
        };
        let label = match section.get("service_label") {
            None => SERVICE_LABEL.to_owned(),
            Some(field) => match field.word()? {
                name if name == Labels::METRIC_NAME => {
                    return Err(field.error("\"__name__\" names the metric, not the service; name another label"));
                }
                name => name,
            },
        };
        Ok(ServiceMetrics { convention, service: Matcher::equal(&label, service) })
    }

    /// The share of requests that failed.
    pub(super) fn availability(&self, native: bool) -> Result<Indicator, String> {
        let Convention { requests, code, failed, histogram, .. } = *self.convention;
        // A native histogram counts its observations itself.
        let counted_by_histogram = native && requests.strip_suffix("_count") == Some(histogram);
        let events = |op, value: &str| {
            let code = Matcher::new(code, op, value).map_err(|error| error.to_string())?;
            let of = |name| vec![Matcher::equal(Labels::METRIC_NAME, name), self.service.clone(), code];
            Ok::<Events, String>(match counted_by_histogram {
                true => Events::of_histograms(of(histogram), Reading::Observations),
                false => of(requests).into(),
            })
        };
        Ok(Indicator::ErrorRatio { errors: events(MatchOp::Match, failed)?, total: events(MatchOp::NotEqual, "")? })
    }

    /// The selector of the histogram, without an ending.
    pub(super) fn histogram(&self) -> Vec<Matcher> {
        vec![Matcher::equal(Labels::METRIC_NAME, self.convention.histogram), self.service.clone()]
    }
}
