//! The queries: what dashboards and rules ask of hosts, clusters and HTTP services.

/// Over which instants a query is asked.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Span {
    /// At the end of the data.
    Instant,
    /// The last hour, a point every 15 s.
    Hour,
    /// The last 24 hours, a point every minute.
    Day,
    /// The last six hours, a point every five minutes: for windows of hours.
    Quarter,
}

impl Span {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Span::Instant => "instant",
            Span::Hour => "1h/15s",
            Span::Day => "1d/1m",
            Span::Quarter => "6h/5m",
        }
    }

    /// How long it is, and its step, in seconds.
    pub(crate) fn range(self) -> Option<(i64, i64)> {
        match self {
            Span::Instant => None,
            Span::Hour => Some((3600, 15)),
            Span::Day => Some((86_400, 60)),
            Span::Quarter => Some((21_600, 300)),
        }
    }
}

/// A query.
pub(crate) struct Query {
    pub(crate) number: usize,
    pub(crate) shape: &'static str,
    pub(crate) span: Span,
    pub(crate) text: &'static str,
}

impl Query {
    /// Whether one of the words is its number, or is in its shape, its span or its text.
    pub(crate) fn matches(&self, words: &[String]) -> bool {
        let holds = |word: &String| {
            word.parse() == Ok(self.number)
                || [self.shape, self.span.name(), self.text].iter().any(|text| text.contains(word.as_str()))
        };
        words.is_empty() || words.iter().any(holds)
    }

    /// Whether the peers calculate the same: VictoriaMetrics takes the sample before a window into
    /// account where Prometheus extrapolates.
    pub(crate) fn extrapolates(&self) -> bool {
        ["rate(", "increase(", "delta(", "deriv(", "changes(", "resets("].iter().any(|name| self.text.contains(name))
    }
}

/// All queries.
pub(crate) fn all() -> Vec<Query> {
    let listed = HOSTS.iter().map(|q| ("host", q)).chain(PODS.iter().map(|q| ("k8s", q)));
    let listed = listed.chain(HTTP.iter().map(|q| ("http", q))).chain(MANY.iter().map(|q| ("many", q)));
    let query = |(i, (shape, (span, text))): (usize, (&'static str, &(Span, &'static str)))| Query {
        number: i + 1,
        shape,
        span: *span,
        text,
    };
    listed.enumerate().map(query).collect()
}

use Span::{Day, Hour, Instant, Quarter};

/// node_exporter: dashboards and the alerts of its mixin.
const HOSTS: [(Span, &str); 19] = [
    (Instant, "up"),
    (Hour, "100 * (1 - avg by (instance) (rate(node_cpu_seconds_total{mode=\"idle\"}[5m])))"),
    (Day, "100 * (1 - avg by (instance) (rate(node_cpu_seconds_total{mode=\"idle\"}[5m])))"),
    (Hour, "sum by (mode) (rate(node_cpu_seconds_total[5m]))"),
    (Day, "sum by (instance, mode) (rate(node_cpu_seconds_total[5m]))"),
    (Hour, "node_load1"),
    (Day, "node_load1"),
    (Day, "1 - node_memory_MemAvailable_bytes / node_memory_MemTotal_bytes"),
    (Hour, "100 * node_filesystem_avail_bytes{fstype!=\"tmpfs\"} / node_filesystem_size_bytes{fstype!=\"tmpfs\"}"),
    (
        Instant,
        "node_filesystem_avail_bytes{fstype!=\"\"} / node_filesystem_size_bytes{fstype!=\"\"} * 100 < 40 \
         and predict_linear(node_filesystem_avail_bytes{fstype!=\"\"}[6h], 86400) < 0",
    ),
    (Day, "rate(node_disk_io_time_seconds_total{device=~\"vd.*\"}[5m])"),
    (Hour, "sum by (instance) (irate(node_network_receive_bytes_total{device!~\"lo|docker.*\"}[1m]))"),
    (Day, "sum by (instance) (rate(node_network_receive_bytes_total{device!~\"lo|docker.*\"}[5m]))"),
    (Quarter, "max_over_time(node_load1[6h])"),
    (Instant, "avg_over_time(node_load5[24h])"),
    (Instant, "max by (instance) (increase(node_disk_written_bytes_total[24h]))"),
    (Quarter, "quantile_over_time(0.95, node_load1[3h])"),
    (Instant, "count by (__name__) ({__name__=~\"node_network_.*\"})"),
    (Instant, "count by (job) ({instance=~\"10\\\\.0\\\\.0\\\\.1.:9100\"})"),
];

/// Kubernetes: cadvisor and kube-state-metrics.
const PODS: [(Span, &str); 17] = [
    (Hour, "sum by (namespace) (rate(container_cpu_usage_seconds_total{container!=\"\"}[5m]))"),
    (Day, "sum by (namespace) (rate(container_cpu_usage_seconds_total{container!=\"\"}[5m]))"),
    (Hour, "sum by (pod) (rate(container_cpu_usage_seconds_total{namespace=\"shop\"}[5m]))"),
    (Hour, "sum by (namespace, pod) (container_memory_working_set_bytes)"),
    (Day, "sum by (namespace) (container_memory_working_set_bytes)"),
    (Instant, "topk(10, sum by (pod) (rate(container_cpu_usage_seconds_total[5m])))"),
    (Hour, "topk(5, sum by (pod) (container_memory_working_set_bytes))"),
    (
        Hour,
        "sum by (namespace, pod) (rate(container_cpu_cfs_throttled_periods_total[5m])) \
         / sum by (namespace, pod) (rate(container_cpu_cfs_periods_total[5m]))",
    ),
    (
        Hour,
        "sum by (node) (rate(container_cpu_usage_seconds_total[5m]) * on (namespace, pod) group_left (created_by_kind) \
         kube_pod_info)",
    ),
    (
        Instant,
        "sum by (namespace, pod) (container_memory_working_set_bytes) / sum by (namespace, pod) \
         (kube_pod_container_resource_limits{resource=\"memory\"})",
    ),
    (Instant, "sum by (namespace) (kube_pod_status_phase{phase=~\"Pending|Unknown|Failed\"}) > 0"),
    (Instant, "increase(kube_pod_container_status_restarts_total[1h]) > 0"),
    (Instant, "kube_deployment_spec_replicas != kube_deployment_status_replicas_available"),
    (Day, "sum by (namespace) (rate(container_network_receive_bytes_total[5m]))"),
    (Quarter, "max by (namespace) (max_over_time(container_memory_working_set_bytes[1h]))"),
    (Instant, "sum by (namespace) (avg_over_time(container_memory_working_set_bytes[24h]))"),
    (Hour, "count by (namespace) (kube_pod_info{pod=~\".*-app[123]-.*\"})"),
];

/// HTTP services: rates, errors, durations, objectives.
const HTTP: [(Span, &str); 16] = [
    (Hour, "sum by (service) (rate(http_requests_total[5m]))"),
    (Day, "sum by (service) (rate(http_requests_total[5m]))"),
    (
        Hour,
        "sum by (service) (rate(http_requests_total{code=~\"5..\"}[5m])) / sum by (service) \
         (rate(http_requests_total[5m]))",
    ),
    (Day, "sum(rate(http_requests_total{code=~\"5..\"}[5m])) / sum(rate(http_requests_total[5m]))"),
    (Hour, "histogram_quantile(0.99, sum by (le, service) (rate(http_request_duration_seconds_bucket[5m])))"),
    (Day, "histogram_quantile(0.99, sum by (le) (rate(http_request_duration_seconds_bucket[5m])))"),
    (Instant, "histogram_quantile(0.9, sum by (le, route) (rate(http_request_duration_seconds_bucket[1h])))"),
    (
        Hour,
        "sum by (route) (rate(http_request_duration_seconds_sum[5m])) / sum by (route) \
         (rate(http_request_duration_seconds_count[5m]))",
    ),
    (Instant, "sum by (service) (increase(http_requests_total[24h]))"),
    (Instant, "1 - sum(increase(http_requests_total{code=~\"5..\"}[24h])) / sum(increase(http_requests_total[24h]))"),
    (
        Quarter,
        "sum by (service) (rate(http_requests_total{code=~\"5..\"}[6h])) / sum by (service) \
         (rate(http_requests_total[6h]))",
    ),
    (Hour, "sum by (service) (http_requests_in_flight)"),
    (Day, "max by (service) (go_goroutines)"),
    (Hour, "process_resident_memory_bytes{service=\"checkout\"}"),
    (Quarter, "max_over_time(sum by (service) (rate(http_requests_total[5m]))[1h:1m])"),
    (Hour, "rate(process_cpu_seconds_total{pod=~\"checkout-.*\"}[1m])"),
];

/// Selectors of many series.
const MANY: [(Span, &str); 8] = [
    (Instant, "count(gateway_requests_total)"),
    (Instant, "sum(rate(gateway_requests_total[5m]))"),
    (Instant, "sum by (endpoint, code) (rate(gateway_requests_total[5m]))"),
    (Instant, "topk(10, sum by (tenant) (rate(gateway_requests_total{code=\"500\"}[10m])))"),
    (Hour, "sum by (code) (rate(gateway_requests_total{tenant=~\"tenant-00.*\"}[5m]))"),
    (Hour, "gateway_requests_total{tenant=\"tenant-00042\"}"),
    (Instant, "sum(gateway_requests_total{tenant=~\".*[05]0\", code!=\"200\"})"),
    (Instant, "rate(gateway_requests_total{code=\"429\"}[5m])"),
];
