//! Alert rules as they stand in public collections for hosts, Kubernetes, HTTP services and burn rates, in our words.
//!
//! `@` stands for the matcher that tells one team's rules from another's: a cluster, a namespace or a service.

use std::fmt::Write;

/// A rule's name, its expression and its `for`.
type Shape = (&'static str, &'static str, &'static str);

/// Rules about the hosts of a cluster.
const NODE: [Shape; 15] = [
    ("NodeDown", "up{job=\"node\",@} == 0", "1m"),
    ("NodeCpuBusy", "1 - avg by (instance) (rate(node_cpu_seconds_total{@,mode=\"idle\"}[5m])) > 0.9", "15m"),
    ("NodeMemoryLow", "node_memory_MemAvailable_bytes{@} / node_memory_MemTotal_bytes{@} < 0.1", "15m"),
    ("NodeDiskLow", "node_filesystem_avail_bytes{@} / node_filesystem_size_bytes{@} < 0.05", "30m"),
    ("NodeDiskFills", "predict_linear(node_filesystem_avail_bytes{@}[1h], 4 * 3600) < 0", "1h"),
    ("NodeInodesLow", "node_filesystem_files_free{@} / node_filesystem_files{@} < 0.05", "30m"),
    (
        "NodeReceiveErrors",
        "rate(node_network_receive_errs_total{@}[2m]) / rate(node_network_receive_packets_total{@}[2m]) > 0.01",
        "1h",
    ),
    (
        "NodeTransmitErrors",
        "rate(node_network_transmit_errs_total{@}[2m]) / rate(node_network_transmit_packets_total{@}[2m]) > 0.01",
        "1h",
    ),
    ("NodeLoadHigh", "node_load1{@} / count without (cpu, mode) (node_cpu_seconds_total{@,mode=\"idle\"}) > 2", "15m"),
    ("NodeDiskBusy", "rate(node_disk_io_time_weighted_seconds_total{@}[5m]) > 10", "30m"),
    ("NodeClockSkew", "abs(node_timex_offset_seconds{@}) > 0.05", "10m"),
    ("NodeMajorFaults", "rate(node_vmstat_pgmajfault{@}[5m]) > 500", "15m"),
    ("NodeFilesMany", "node_filefd_allocated{@} * 100 / node_filefd_maximum{@} > 70", "15m"),
    ("NodeRebooted", "changes(node_boot_time_seconds{@}[15m]) > 0", "0s"),
    ("ClusterSilent", "absent(up{job=\"node\",@})", "5m"),
];

/// Rules about the workloads of a namespace.
const KUBERNETES: [Shape; 12] = [
    (
        "PodWaits",
        "max_over_time(kube_pod_container_status_waiting_reason{@,reason=\"CrashLoopBackOff\"}[5m]) >= 1",
        "15m",
    ),
    ("PodRestarts", "increase(kube_pod_container_status_restarts_total{@}[15m]) > 3", "0s"),
    ("PodNotReady", "sum by (namespace, pod) (kube_pod_status_phase{@,phase=~\"Pending|Unknown|Failed\"}) > 0", "15m"),
    (
        "DeploymentShort",
        "(kube_deployment_spec_replicas{@} > kube_deployment_status_replicas_available{@}) and (changes(kube_deployment_status_replicas_updated{@}[10m]) == 0)",
        "15m",
    ),
    ("StatefulSetShort", "kube_statefulset_status_replicas_ready{@} != kube_statefulset_status_replicas{@}", "15m"),
    (
        "ContainerMemoryHigh",
        "container_memory_working_set_bytes{@} / on (namespace, pod, container) kube_pod_container_resource_limits{@,resource=\"memory\"} > 0.95",
        "10m",
    ),
    (
        "ContainerThrottled",
        "sum by (namespace, pod, container) (increase(container_cpu_cfs_throttled_periods_total{@}[5m])) / sum by (namespace, pod, container) (increase(container_cpu_cfs_periods_total{@}[5m])) > 0.25",
        "15m",
    ),
    ("NamespaceCpuOver", "sum(kube_pod_container_resource_requests{@,resource=\"cpu\"}) > 400", "5m"),
    ("JobFailed", "kube_job_failed{@} > 0", "15m"),
    ("VolumeFull", "kubelet_volume_stats_available_bytes{@} / kubelet_volume_stats_capacity_bytes{@} < 0.03", "1m"),
    ("AutoscalerAtMost", "kube_hpa_status_current_replicas{@} == kube_hpa_spec_max_replicas{@}", "15m"),
    ("ContainerKilled", "increase(container_oom_events_total{@}[5m]) > 0", "0s"),
];

/// Rules about an HTTP service.
const SERVICE: [Shape; 13] = [
    ("ServiceDown", "up{job=\"http\",@} == 0", "1m"),
    (
        "ErrorsHigh",
        "sum(rate(http_requests_total{@,code=~\"5..\"}[5m])) / sum(rate(http_requests_total{@}[5m])) > 0.05",
        "5m",
    ),
    (
        "RouteErrorsHigh",
        "sum by (route) (rate(http_requests_total{@,code=~\"5..\"}[5m])) / sum by (route) (rate(http_requests_total{@}[5m])) > 0.1",
        "5m",
    ),
    ("SlowP99", "histogram_quantile(0.99, sum by (le) (rate(http_request_duration_seconds_bucket{@}[5m]))) > 1", "5m"),
    (
        "RouteSlowP95",
        "histogram_quantile(0.95, sum by (route, le) (rate(http_request_duration_seconds_bucket{@}[5m]))) > 0.9",
        "10m",
    ),
    (
        "TrafficDropped",
        "sum(rate(http_requests_total{@}[5m])) < 0.5 * sum(rate(http_requests_total{@}[5m] offset 10m))",
        "5m",
    ),
    ("TrafficGone", "sum(rate(http_requests_total{@}[10m])) == 0", "5m"),
    (
        "BudgetBurnsFast",
        "sum(rate(http_requests_total{@,code=~\"5..\"}[1h])) / sum(rate(http_requests_total{@}[1h])) > 14.4 * 0.001 and sum(rate(http_requests_total{@,code=~\"5..\"}[5m])) / sum(rate(http_requests_total{@}[5m])) > 14.4 * 0.001",
        "2m",
    ),
    (
        "BudgetBurns",
        "sum(rate(http_requests_total{@,code=~\"5..\"}[6h])) / sum(rate(http_requests_total{@}[6h])) > 6 * 0.001 and sum(rate(http_requests_total{@,code=~\"5..\"}[30m])) / sum(rate(http_requests_total{@}[30m])) > 6 * 0.001",
        "15m",
    ),
    ("InFlightMany", "http_requests_in_flight{@} > 200", "5m"),
    ("CertificateEnds", "probe_ssl_earliest_cert_expiry{@} - time() < 14 * 86400", "1h"),
    ("FilesMany", "process_open_fds{@} / process_max_fds{@} > 0.8", "10m"),
    ("PoolFull", "db_pool_connections_in_use{@} / db_pool_connections_max{@} > 0.9", "5m"),
];

/// How many shapes there are.
pub(crate) const COUNT: usize = NODE.len() + KUBERNETES.len() + SERVICE.len();

/// A rule file: so many rules over so many teams, a group for each, and one rule for the probes.
pub(crate) fn rule_file(rules: usize, teams: usize) -> String {
    let mut text = String::from("groups:\n");
    text += "- {name: probes, rules: [{alert: Probe, expr: probe_level > 0, labels: {severity: page}}]}\n";
    let kinds = [("cluster", &NODE[..]), ("namespace", &KUBERNETES[..]), ("service", &SERVICE[..])];
    let shapes = kinds.iter().flat_map(|(label, shapes)| shapes.iter().map(move |shape| (*label, shape)));
    let shapes: Vec<_> = shapes.collect();
    for team in 0..teams {
        let _ = writeln!(text, "- name: team-{team}\n  rules:");
        for (at, (label, (name, expr, hold))) in shapes.iter().enumerate() {
            if team * COUNT + at >= rules {
                break;
            }
            let expr = expr.replace('@', &format!("{label}=\"{}\"", team_name(team)));
            let _ = writeln!(
                text,
                "  - {{alert: {name}, expr: '{expr}', for: {hold}, labels: {{severity: ticket}}, annotations: {{summary: '{name}: {{{{ $value }}}}'}}}}"
            );
        }
    }
    text
}

/// The value of the label that tells a team's series.
pub(crate) fn team_name(team: usize) -> String {
    format!("team-{team:03}")
}
