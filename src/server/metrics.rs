//! `/metrics`: the program's own numbers, with those of its process.

use std::path::Path;
use std::sync::atomic::Ordering;

use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};

use crate::env::Host;
use crate::model::Labels;
use crate::wire::{Description, EXPOSITION_CONTENT_TYPE, MetricKind, to_exposition};

use super::state::ServerState;

/// What the server's own families are.
const DESCRIPTIONS: &[Description] = &[
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
    let counts = state.connections();
    let mut add = |name: &str, value: f64| {
        if let Ok(labels) = Labels::new([(Labels::METRIC_NAME, name)]) {
            samples.push((labels, value));
        }
    };
    add("evenkeel_http_connections_open", counts.open.load(Ordering::Relaxed) as f64);
    add("evenkeel_http_connections_total", counts.accepted.load(Ordering::Relaxed) as f64);
    add("evenkeel_http_connections_refused_total", counts.refused.load(Ordering::Relaxed) as f64);
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
