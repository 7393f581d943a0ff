//! What a server has measured, by the names that the field gives to such things.
//!
//! Only the query API that Prometheus has is asked.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::propose::{Proposal, quoted};
use super::{texts, vector};
use crate::cli::ask::percent;
use crate::model::Millis;

/// Labels that say how a request ended, and the values that are the server's fault.
const CODES: [(&str, &str); 11] = [
    ("code", "5.."),
    ("status_code", "5.."),
    ("http_status_code", "5.."),
    ("http_response_status_code", "5.."),
    ("response_code", "5.."),
    ("status", "5..|(?i:error|failed|failure)"),
    ("grpc_code", GRPC_WORDS),
    ("rpc_grpc_status_code", "2|4|12|13|14|15"),
    ("grpc_status", "2|4|12|13|14|15"),
    ("result", "(?i:error|failed|failure|timeout)"),
    ("outcome", "(?i:error|failed|failure|server_error|timeout)"),
];
/// The codes of gRPC that are the server's fault, as words.
const GRPC_WORDS: &str = "(?i:unknown|deadline_?exceeded|unimplemented|internal|unavailable|data_?loss)";
/// Counters whose names have one of these words count requests.
const REQUEST_WORDS: [&str; 9] =
    ["request", "requests", "http", "grpc", "rpc", "handled", "responses", "calls", "processed"];
/// Histograms whose names have one of these words are of durations.
const DURATION_WORDS: [&str; 3] = ["duration", "latency", "seconds"];
/// Shares of requests for which a latency is proposed.
const LATENCY_SHARES: [f64; 2] = [0.99, 0.95];
/// Metrics that are looked at, of each kind.
const METRICS_MAX: usize = 200;

/// What one server has seen.
pub(super) struct Seen<'a> {
    url: &'a str,
    since: Millis,
}

/// The service of a row, and the matchers that select it.
struct Service {
    name: String,
    matcher: String,
}

impl<'a> Seen<'a> {
    pub(super) fn new(url: &'a str, since: Millis) -> Seen<'a> {
        Seen { url, since }
    }

    /// Everything that fits, by kind.
    pub(super) async fn proposals(&self) -> anyhow::Result<Vec<Proposal>> {
        let names = texts(self.url, "/api/v1/label/__name__/values").await?;
        let plain = |name: &&String| name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b':');
        let names: Vec<String> = names.iter().filter(plain).cloned().collect();
        let of = |ending: &'static str| names.iter().filter(move |name| name.ends_with(ending)).map(String::as_str);
        let has = |name: &str, words: &[&str]| name.split(['_', ':']).any(|part| words.contains(&part));
        let mut proposals = Vec::new();
        for name in of("_total").filter(|name| has(name, &REQUEST_WORDS)).take(METRICS_MAX) {
            proposals.extend(self.requests(name).await?);
        }
        let with_codes: BTreeSet<String> = proposals.iter().map(|proposal| proposal.service.clone()).collect();
        for name in of("_bucket").filter(|name| has(name, &DURATION_WORDS)).take(METRICS_MAX) {
            let base = name.trim_end_matches("_bucket");
            proposals.extend(self.latencies(base).await?);
            // The count of a histogram of requests may be all that says how they ended.
            let counted = self.requests(&format!("{base}_count")).await?;
            proposals.extend(counted.into_iter().filter(|proposal| !with_codes.contains(&proposal.service)));
        }
        for (metric, name) in [("probe_success", "probe"), ("up", "up")] {
            if names.iter().any(|known| known == metric) {
                proposals.extend(self.probes(metric, name).await?);
            }
        }
        Ok(proposals)
    }

    /// Requests of which a label says how they ended.
    async fn requests(&self, metric: &str) -> anyhow::Result<Vec<Proposal>> {
        let path = format!("/api/v1/labels?match%5B%5D={}", percent(metric));
        let labels = texts(self.url, &path).await?;
        let Some((label, codes)) = CODES.into_iter().find(|(label, _)| labels.iter().any(|known| known == label))
        else {
            return Ok(Vec::new());
        };
        let by = service_label(&labels);
        let ended = self.increase(metric, by, &format!("{label}=~\"{codes}\"")).await?;
        let mut proposals = Vec::new();
        for (service, total) in self.increase(metric, by, "").await? {
            let bad = ended.get(&service).copied().unwrap_or(0.0);
            let Service { name, matcher } = of_service(by, &service);
            proposals.push(Proposal {
                service: name,
                name: "availability".to_owned(),
                indicator: vec![
                    ("errors", quoted(&format!("{metric}{{{}}}", joined(&matcher, &format!("{label}=~\"{codes}\""))))),
                    ("total", quoted(&selector(metric, &matcher))),
                ],
                total,
                bad,
                note: String::new(),
            });
        }
        Ok(proposals)
    }

    /// A histogram of durations: for each share the smallest bound that history kept with room to spare.
    async fn latencies(&self, base: &str) -> anyhow::Result<Vec<Proposal>> {
        let labels =
            texts(self.url, &format!("/api/v1/labels?match%5B%5D={}", percent(&format!("{base}_bucket")))).await?;
        let by = service_label(&labels);
        let group = by.map_or("le".to_owned(), |by| format!("le, {by}"));
        let query = format!("sum by ({group}) (increase({base}_bucket[{}]))", self.since);
        let mut services: BTreeMap<String, Vec<(f64, f64)>> = BTreeMap::new();
        for (metric, count) in vector(self.url, &query).await? {
            let Some(bound) = metric["le"].as_str().and_then(|le| le.replace("+Inf", "inf").parse::<f64>().ok()) else {
                continue;
            };
            services.entry(label(&metric, by)).or_default().push((bound, count));
        }
        let mut proposals = Vec::new();
        for (service, mut bounds) in services {
            bounds.sort_by(|a, b| a.0.total_cmp(&b.0));
            let Some((_, total)) = bounds.last().copied().filter(|(bound, _)| bound.is_infinite()) else { continue };
            for share in LATENCY_SHARES {
                let fits = |(bound, count): &&(f64, f64)| {
                    // Bounds are kept to the millisecond in files.
                    let whole = (bound * 1000.0).fract().abs() < 1e-9 && *bound >= 0.001;
                    whole && bound.is_finite() && total - count <= total * (1.0 - share) / 2.0
                };
                let Some((bound, count)) = bounds.iter().find(fits) else { continue };
                let Service { name, matcher } = of_service(by, &service);
                let within = Millis((bound * 1000.0).round() as i64);
                let histogram = quoted(&selector(base, &matcher));
                let proposal = Proposal {
                    service: name,
                    name: format!("latency-{within}"),
                    indicator: vec![("latency", format!("{{histogram: {histogram}, within: {within}}}"))],
                    total,
                    bad: total - count,
                    note: String::new(),
                };
                // One bound is enough if the stricter share has it.
                let known = proposals.iter().any(|other: &Proposal| other.indicator == proposal.indicator);
                if !known {
                    proposals.push(proposal);
                }
            }
        }
        Ok(proposals)
    }

    /// Gauges that are 1 when all is well, by job.
    async fn probes(&self, metric: &str, name: &str) -> anyhow::Result<Vec<Proposal>> {
        let mut proposals = Vec::new();
        let sums = self.by_job(&format!("sum by (job) (sum_over_time({metric}[{}]))", self.since)).await?;
        for (job, total) in self.by_job(&format!("sum by (job) (count_over_time({metric}[{}]))", self.since)).await? {
            let good = sums.get(&job).copied().unwrap_or(0.0);
            let Service { name: service, matcher } = of_service(Some("job"), &job);
            proposals.push(Proposal {
                service,
                name: name.to_owned(),
                indicator: vec![("probe", quoted(&selector(metric, &matcher)))],
                total,
                bad: (total - good).max(0.0),
                note: "each sample is an event".to_owned(),
            });
        }
        Ok(proposals)
    }

    async fn increase(&self, metric: &str, by: Option<&str>, matcher: &str) -> anyhow::Result<BTreeMap<String, f64>> {
        let group = by.map_or(String::new(), |by| format!(" by ({by})"));
        let query = format!("sum{group} (increase({metric}{{{matcher}}}[{}]))", self.since);
        let rows = vector(self.url, &query).await?;
        Ok(rows.into_iter().map(|(metric, v)| (label(&metric, by), v)).filter(|(_, v)| v.is_finite()).collect())
    }

    async fn by_job(&self, query: &str) -> anyhow::Result<BTreeMap<String, f64>> {
        let rows = vector(self.url, query).await?;
        Ok(rows.into_iter().map(|(metric, v)| (label(&metric, Some("job")), v)).collect())
    }
}

/// The label by which services are told apart.
fn service_label(labels: &[String]) -> Option<&'static str> {
    ["service", "service_name", "app", "job"].into_iter().find(|name| labels.iter().any(|known| known == name))
}

fn label(metric: &Value, name: Option<&str>) -> String {
    name.and_then(|name| metric[name].as_str()).unwrap_or_default().to_owned()
}

fn of_service(by: Option<&str>, value: &str) -> Service {
    match (by, value) {
        (Some(by), value) if !value.is_empty() => {
            let text = value.replace('\\', "\\\\").replace('"', "\\\"");
            Service { name: value.to_owned(), matcher: format!("{by}=\"{text}\"") }
        }
        (Some(by), _) => Service { name: "unnamed".to_owned(), matcher: format!("{by}=\"\"") },
        (None, _) => Service { name: "unnamed".to_owned(), matcher: String::new() },
    }
}

fn selector(metric: &str, matcher: &str) -> String {
    if matcher.is_empty() { metric.to_owned() } else { format!("{metric}{{{matcher}}}") }
}

fn joined(one: &str, other: &str) -> String {
    if one.is_empty() { other.to_owned() } else { format!("{one},{other}") }
}
