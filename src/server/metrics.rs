//! `/metrics`: the program's own numbers, with those of its process.

use std::path::Path;
use std::sync::atomic::Ordering;

use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};

use crate::env::Host;
use crate::model::{Labels, MetricKind};
use crate::wire::{Description, EXPOSITION_CONTENT_TYPE, to_exposition};

use super::state::ServerState;

/// What the families are.
const DESCRIPTIONS: &[Description] = &[
    Description { name: "evenkeel_alerts", kind: MetricKind::Gauge, help: "Alerts of rules and objectives by state." },
    Description {
        name: "evenkeel_accuracy_cases",
        kind: MetricKind::Gauge,
        help: "Pages and episodes of the last 30 days that evenkeel_accuracy_ratio and evenkeel_accuracy_quantile rest on.",
    },
    Description {
        name: "evenkeel_accuracy_quantile",
        kind: MetricKind::Gauge,
        help: "Seconds to the first page, the share of the budget spent by then, seconds to the end of the last page, over the last 30 days; once a minute.",
    },
    Description {
        name: "evenkeel_accuracy_quantile_high",
        kind: MetricKind::Gauge,
        help: "The upper bound of its 95 % interval, if so many cases have one.",
    },
    Description {
        name: "evenkeel_accuracy_quantile_low",
        kind: MetricKind::Gauge,
        help: "The lower bound of its 95 % interval, if so many cases have one.",
    },
    Description {
        name: "evenkeel_accuracy_ratio",
        kind: MetricKind::Gauge,
        help: "Pages that were right, episodes that were paged, episodes paged early, over the last 30 days; once a minute.",
    },
    Description {
        name: "evenkeel_accuracy_ratio_high",
        kind: MetricKind::Gauge,
        help: "The upper bound of its 95 % interval.",
    },
    Description {
        name: "evenkeel_accuracy_ratio_low",
        kind: MetricKind::Gauge,
        help: "The lower bound of its 95 % interval.",
    },
    Description {
        name: "evenkeel_adoption_ratio",
        kind: MetricKind::Gauge,
        help: "Services with an objective that has fresh input, a page that has a route, and an owner, of those of evenkeel_coverage_services; once a minute.",
    },
    Description {
        name: "evenkeel_confidence_factor_ratio",
        kind: MetricKind::Gauge,
        help: "What the verdict's certainty is made of: services that are covered, objectives with fresh input, receivers that are proven, of all; once a minute.",
    },
    Description {
        name: "evenkeel_confidence_ratio",
        kind: MetricKind::Gauge,
        help: "The product of evenkeel_confidence_factor_ratio.",
    },
    Description {
        name: "evenkeel_customers_bad_events",
        kind: MetricKind::Gauge,
        help: "Bad events of the last hour, of each service by the objective with the most of them; once a minute.",
    },
    Description {
        name: "evenkeel_coverage_critical_incomplete",
        kind: MetricKind::Gauge,
        help: "Critical services that lack an objective, its input, a page, its route, a proof of its receiver, or an owner; once a minute.",
    },
    Description {
        name: "evenkeel_coverage_critical_services",
        kind: MetricKind::Gauge,
        help: "Services that the section coverage of the configuration makes critical.",
    },
    Description {
        name: "evenkeel_coverage_ratio",
        kind: MetricKind::Gauge,
        help: "Services that are covered, of those of evenkeel_coverage_services, or of critical ones alone if the configuration says which are; once a minute.",
    },
    Description {
        name: "evenkeel_coverage_services",
        kind: MetricKind::Gauge,
        help: "Services that are known, whether covered or not.",
    },
    Description {
        name: "evenkeel_error_budget_remaining_ratio",
        kind: MetricKind::Gauge,
        help: "The share of the error budget that is left: 1 untouched, 0 used up, negative overspent.",
    },
    Description {
        name: "evenkeel_objective_time_coverage_ratio",
        kind: MetricKind::Gauge,
        help: "The share of the last day, and of the objective's window, for which there were samples; the time before the first one does not count.",
    },
    Description {
        name: "evenkeel_scorecard_left_out",
        kind: MetricKind::Gauge,
        help: "Services without evenkeel_verdict and objectives without evenkeel_error_budget_remaining_ratio, because of their limit of 1000 each; the worst come first.",
    },
    Description {
        name: "evenkeel_verdict",
        kind: MetricKind::Gauge,
        help: "The verdict of a service: 0 OK, 1 AT_RISK, 2 HURTING, 3 BLIND.",
    },
    Description {
        name: "evenkeel_verdict_overall",
        kind: MetricKind::Gauge,
        help: "The verdict of everything: 0 OK, 1 AT_RISK, 2 HURTING, 3 BLIND.",
    },
    Description {
        name: "evenkeel_append_duration_seconds",
        kind: MetricKind::Histogram,
        help: "From a batch's arrival at the database until it is durable and decided on.",
    },
    Description {
        name: "evenkeel_append_requests_total",
        kind: MetricKind::Counter,
        help: "Batches by what became of them.",
    },
    Description {
        name: "evenkeel_decision_duration_seconds",
        kind: MetricKind::Histogram,
        help: "From a commit until rules and objectives have decided on it.",
    },
    Description {
        name: "evenkeel_decision_seconds_total",
        kind: MetricKind::Counter,
        help: "Time that rules and objectives took to look at the log.",
    },
    Description {
        name: "evenkeel_decisions_total",
        kind: MetricKind::Counter,
        help: "Looks of rules and objectives at the log.",
    },
    Description {
        name: "evenkeel_notify_dropped_total",
        kind: MetricKind::Counter,
        help: "Alerts given up because the outbox was full.",
    },
    Description {
        name: "evenkeel_notify_failed_total",
        kind: MetricKind::Counter,
        help: "Attempts to deliver that failed and are repeated.",
    },
    Description {
        name: "evenkeel_notify_failing",
        kind: MetricKind::Gauge,
        help: "1 while every attempt to reach the receiver fails.",
    },
    Description {
        name: "evenkeel_notify_outbox_alerts",
        kind: MetricKind::Gauge,
        help: "Alerts that are firing or have something still to be told.",
    },
    Description {
        name: "evenkeel_federate_histograms_left_out_total",
        kind: MetricKind::Counter,
        help: "Native histograms that /federate left out of answers as text; a scraper that accepts protobuf gets them.",
    },
    Description {
        name: "evenkeel_histograms_coarsened_total",
        kind: MetricKind::Counter,
        help: "Native histograms that came in a finer schema than is kept and were brought to schema 8.",
    },
    Description {
        name: "evenkeel_histograms_invalid_total",
        kind: MetricKind::Counter,
        help: "Native histograms that were refused because they are none, by reason.",
    },
    Description {
        name: "evenkeel_histograms_stored_total",
        kind: MetricKind::Counter,
        help: "Native histograms that were stored.",
    },
    Description {
        name: "evenkeel_notify_outbox_healthy",
        kind: MetricKind::Gauge,
        help: "1 while the outbox can be written.",
    },
    Description {
        name: "evenkeel_notify_pending",
        kind: MetricKind::Gauge,
        help: "Alerts of which the receiver has still to be told something.",
    },
    Description {
        name: "evenkeel_notify_refused_total",
        kind: MetricKind::Counter,
        help: "Messages that the receiver refused for good.",
    },
    Description {
        name: "evenkeel_notify_sent_total",
        kind: MetricKind::Counter,
        help: "Messages that the receiver took.",
    },
    Description { name: "evenkeel_queries_total", kind: MetricKind::Counter, help: "Queries." },
    Description {
        name: "evenkeel_rule_group_iterations_missed_total",
        kind: MetricKind::Counter,
        help: "Instants of rule groups that had passed before the group was evaluated at them.",
    },
    Description {
        name: "evenkeel_samples_rejected_total",
        kind: MetricKind::Counter,
        help: "Samples that were refused, by reason.",
    },
    Description { name: "evenkeel_samples_stored_total", kind: MetricKind::Counter, help: "Samples that were stored." },
    Description {
        name: "evenkeel_start_time_seconds",
        kind: MetricKind::Gauge,
        help: "When the database was opened, in seconds since 1970.",
    },
    Description { name: "evenkeel_storage_block_bytes", kind: MetricKind::Gauge, help: "Bytes in blocks." },
    Description { name: "evenkeel_storage_blocks", kind: MetricKind::Gauge, help: "Blocks." },
    Description { name: "evenkeel_storage_healthy", kind: MetricKind::Gauge, help: "1 while samples can be stored." },
    Description {
        name: "evenkeel_storage_last_sequence",
        kind: MetricKind::Gauge,
        help: "The number of the log's last entry.",
    },
    Description { name: "evenkeel_storage_log_bytes", kind: MetricKind::Gauge, help: "Bytes in log segments." },
    Description { name: "evenkeel_storage_log_segments", kind: MetricKind::Gauge, help: "Log segments." },
    Description {
        name: "evenkeel_storage_series",
        kind: MetricKind::Gauge,
        help: "Series with samples inside the retention.",
    },
    Description { name: "evenkeel_storage_syncs_total", kind: MetricKind::Counter, help: "Syncs of the log." },
    Description { name: "evenkeel_http_connections_open", kind: MetricKind::Gauge, help: "Connections that are open." },
    Description {
        name: "evenkeel_http_connections_total",
        kind: MetricKind::Counter,
        help: "Connections that were taken.",
    },
    Description {
        name: "evenkeel_http_connections_refused_total",
        kind: MetricKind::Counter,
        help: "Connections that were closed because too many were open.",
    },
    Description {
        name: "evenkeel_query_duration_seconds",
        kind: MetricKind::Histogram,
        help: "From a query's arrival until its answer can be written.",
    },
    Description {
        name: "evenkeel_query_queue_seconds_total",
        kind: MetricKind::Counter,
        help: "Time that queries waited for their turn.",
    },
    Description {
        name: "evenkeel_query_running",
        kind: MetricKind::Gauge,
        help: "Questions about stored series that run now.",
    },
    Description { name: "evenkeel_query_samples_total", kind: MetricKind::Counter, help: "Samples that queries read." },
    Description {
        name: "evenkeel_query_slow_total",
        kind: MetricKind::Counter,
        help: "Queries that took longer than the limit for the log.",
    },
    Description { name: "evenkeel_query_total", kind: MetricKind::Counter, help: "Queries by how they ended." },
    Description {
        name: "evenkeel_query_waiting",
        kind: MetricKind::Gauge,
        help: "Questions about stored series that wait for their turn.",
    },
    Description { name: "evenkeel_ready", kind: MetricKind::Gauge, help: "1 when the log is replayed." },
    Description { name: "process_cpu_seconds_total", kind: MetricKind::Counter, help: "CPU time in seconds." },
    Description { name: "process_resident_memory_bytes", kind: MetricKind::Gauge, help: "Memory in use." },
    Description { name: "process_virtual_memory_bytes", kind: MetricKind::Gauge, help: "Address space in use." },
    Description { name: "process_open_fds", kind: MetricKind::Gauge, help: "Open file descriptors." },
    Description { name: "process_threads", kind: MetricKind::Gauge, help: "Threads." },
    Description {
        name: "process_start_time_seconds",
        kind: MetricKind::Gauge,
        help: "When the server was started, in seconds since 1970.",
    },
];

/// `GET /metrics`
pub(super) async fn metrics(State(state): State<ServerState>) -> Response {
    let mut samples = state.ask(|db| db.metrics()).await.unwrap_or_default();
    samples.extend(state.queries().counts().metrics());
    let counts = state.connections();
    let mut add = |name: &str, value: f64| {
        if let Ok(labels) = Labels::new([(Labels::METRIC_NAME, name)]) {
            samples.push((labels, value));
        }
    };
    add("evenkeel_http_connections_open", counts.open.load(Ordering::Relaxed) as f64);
    add("evenkeel_http_connections_total", counts.accepted.load(Ordering::Relaxed) as f64);
    add("evenkeel_http_connections_refused_total", counts.refused.load(Ordering::Relaxed) as f64);
    let left_out = state.federate_left_out().load(Ordering::Relaxed);
    add("evenkeel_federate_histograms_left_out_total", left_out as f64);
    add("evenkeel_query_running", state.queries().running() as f64);
    add("evenkeel_query_waiting", state.queries().waiting() as f64);
    add("evenkeel_ready", f64::from(u8::from(state.db().is_ok())));
    add("process_start_time_seconds", state.started().as_seconds());
    for (name, value) in process(state.doors().host.as_ref()) {
        add(name, value);
    }
    ([(header::CONTENT_TYPE, EXPOSITION_CONTENT_TYPE)], to_exposition(&samples, DESCRIPTIONS)).into_response()
}

/// What the machine says of this process; nothing where it does not say.
fn process(host: &dyn Host) -> Vec<(&'static str, f64)> {
    /// Linux shows times in this fraction of a second on every platform that it runs on.
    const TICKS_PER_SECOND: f64 = 100.0;
    /// In `/proc/self/stat`, counted after the command's closing parenthesis.
    const USER_TICKS: usize = 11;
    let mut found = Vec::new();
    if let Ok(stat) = host.read(Path::new("/proc/self/stat"))
        && let Some((_, fields)) = stat.rsplit_once(')')
    {
        let ticks: f64 =
            fields.split_whitespace().skip(USER_TICKS).take(2).filter_map(|field| field.parse::<f64>().ok()).sum();
        found.push(("process_cpu_seconds_total", ticks / TICKS_PER_SECOND));
    }
    if let Ok(status) = host.read(Path::new("/proc/self/status")) {
        let number = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name))?;
            line.split_whitespace().next()?.parse::<f64>().ok()
        };
        found.extend(number("VmRSS:").map(|kib| ("process_resident_memory_bytes", kib * 1024.0)));
        found.extend(number("VmSize:").map(|kib| ("process_virtual_memory_bytes", kib * 1024.0)));
        found.extend(number("Threads:").map(|n| ("process_threads", n)));
    }
    if let Ok(files) = host.list(Path::new("/proc/self/fd")) {
        found.push(("process_open_fds", files.len() as f64));
    }
    found
}
