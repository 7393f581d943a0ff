//! The series that the rules are about: hosts, workloads and HTTP services, a hundred series a target.
//!
//! Values follow from the number of the series and the round. One target in a thousand is in trouble at a time, for two
//! minutes, so that rules have something to decide.

use evenkeel::model::Labels;

use crate::Outcome;
use crate::payload::encode_labels;
use crate::shapes::team_name;

/// Series of one target.
pub(crate) const PER_TARGET: usize = 100;
/// Rounds for which a target is in trouble.
const TROUBLE_ROUNDS: u64 = 12;

/// How a series moves.
#[derive(Clone, Copy)]
enum Move {
    /// About this value.
    Level(f64),
    /// Always this value.
    Still(f64),
    /// Counts about so many a round; more in trouble.
    Count(f64, f64),
    /// The first value, and in trouble the second.
    Switch(f64, f64),
}

/// One series.
struct Series {
    labels: Vec<u8>,
    moves: Move,
    value: f64,
    /// Whether rules look at hours of it.
    is_long: bool,
}

/// What rules look at over an hour or more.
const LONG: [&str; 2] = ["http_requests_total", "node_filesystem_avail_bytes"];

/// All series.
pub(crate) struct Fleet {
    series: Vec<Series>,
}

impl Fleet {
    /// So many series, dealt to so many teams.
    pub(crate) fn new(series: usize, teams: usize) -> Outcome<Fleet> {
        let mut fleet = Fleet { series: Vec::with_capacity(series) };
        for target in 0..series / PER_TARGET {
            let team = team_name(target / 3 % teams);
            let begin = fleet.series.len();
            match target % 3 {
                0 => fleet.node(target, &team)?,
                1 => fleet.workload(target, &team)?,
                _ => fleet.service(target, &team)?,
            }
            assert_eq!(fleet.series.len() - begin, PER_TARGET, "a target has as many series as any other");
        }
        Ok(fleet)
    }

    pub(crate) fn targets(&self) -> usize {
        self.series.len() / PER_TARGET
    }

    fn add(&mut self, name: &str, common: &[(&str, &str)], own: &[(&str, &str)], moves: Move) -> Outcome<()> {
        let labels = Labels::new([("__name__", name)].iter().chain(common).chain(own).copied())?;
        let labels = encode_labels(labels.iter().map(|label| (label.name, label.value)));
        let value = match moves {
            Move::Level(v) | Move::Still(v) | Move::Switch(v, _) => v,
            Move::Count(..) => (self.series.len() % 1000) as f64,
        };
        self.series.push(Series { labels, moves, value, is_long: LONG.contains(&name) });
        Ok(())
    }

    fn node(&mut self, target: usize, team: &str) -> Outcome<()> {
        let instance = format!("10.0.{}.{}:9100", target / 250, target % 250);
        let common = [("cluster", team), ("instance", instance.as_str()), ("job", "node")];
        self.add("up", &common, &[], Move::Switch(1.0, 0.0))?;
        for cpu in ["0", "1", "2", "3"] {
            for mode in ["idle", "iowait", "irq", "nice", "softirq", "steal", "system", "user"] {
                let rate = if mode == "idle" { 8.0 } else { 0.2 };
                let moves = Move::Count(rate, if mode == "idle" { 0.1 } else { 1.2 });
                self.add("node_cpu_seconds_total", &common, &[("cpu", cpu), ("mode", mode)], moves)?;
            }
        }
        for (name, v) in [
            ("node_memory_MemTotal_bytes", 16e9),
            ("node_memory_MemFree_bytes", 2e9),
            ("node_memory_Cached_bytes", 4e9),
            ("node_memory_Buffers_bytes", 5e8),
            ("node_load5", 1.5),
            ("node_load15", 1.4),
            ("node_timex_offset_seconds", 0.001),
            ("node_filefd_allocated", 9000.0),
            ("node_procs_running", 4.0),
            ("node_procs_blocked", 1.0),
            ("node_entropy_available_bits", 256.0),
        ] {
            self.add(name, &common, &[], if name.ends_with("Total_bytes") { Move::Still(v) } else { Move::Level(v) })?;
        }
        self.add("node_memory_MemAvailable_bytes", &common, &[], Move::Switch(6e9, 1e9))?;
        self.add("node_load1", &common, &[], Move::Switch(1.5, 12.0))?;
        self.add("node_filefd_maximum", &common, &[], Move::Still(1e6))?;
        self.add("node_boot_time_seconds", &common, &[], Move::Still(1.7e9))?;
        for name in ["node_vmstat_pgmajfault", "node_context_switches_total", "node_intr_total", "node_forks_total"] {
            self.add(name, &common, &[], Move::Count(30.0, 9000.0))?;
        }
        for disk in ["/", "/boot", "/data", "/var"] {
            let own = [("device", "/dev/sda1"), ("mountpoint", disk)];
            self.add("node_filesystem_avail_bytes", &common, &own, Move::Switch(5e10, 1e9))?;
            self.add("node_filesystem_size_bytes", &common, &own, Move::Still(1e11))?;
            self.add("node_filesystem_files_free", &common, &own, Move::Level(6e6))?;
            self.add("node_filesystem_files", &common, &own, Move::Still(6.5e6))?;
        }
        for device in ["eth0", "eth1", "lo"] {
            for way in ["receive", "transmit"] {
                for (what, rate) in [("bytes", 1e6), ("packets", 1e4), ("errs", 0.0), ("drop", 0.0)] {
                    let name = format!("node_network_{way}_{what}_total");
                    self.add(&name, &common, &[("device", device)], Move::Count(rate, rate.max(300.0)))?;
                }
            }
        }
        for device in ["sda", "sdb"] {
            for name in ["io_time_weighted_seconds_total", "reads_completed_total", "written_bytes_total", "io_now"] {
                self.add(&format!("node_disk_{name}"), &common, &[("device", device)], Move::Count(2.0, 200.0))?;
            }
        }
        Ok(())
    }

    fn workload(&mut self, target: usize, team: &str) -> Outcome<()> {
        let names: Vec<String> = (0..4).map(|n| format!("app-{target}-{n}")).collect();
        for name in &names {
            let common = [("namespace", team), ("job", "kube-state-metrics"), ("pod", name.as_str())];
            let own = [("container", "main")];
            for phase in ["Failed", "Pending", "Running", "Succeeded", "Unknown"] {
                let is_running = phase == "Running";
                let moves = if is_running { Move::Switch(1.0, 0.0) } else { Move::Still(0.0) };
                self.add("kube_pod_status_phase", &common, &[("phase", phase)], moves)?;
            }
            let waits = [("container", "main"), ("reason", "CrashLoopBackOff")];
            self.add("kube_pod_container_status_waiting_reason", &common, &waits, Move::Switch(0.0, 1.0))?;
            self.add("kube_pod_container_status_restarts_total", &common, &own, Move::Count(0.0, 1.0))?;
            self.add("container_memory_working_set_bytes", &common, &own, Move::Switch(5e8, 1.05e9))?;
            for (resource, v) in [("cpu", 0.5), ("memory", 1.07e9)] {
                let own = [("container", "main"), ("resource", resource)];
                self.add("kube_pod_container_resource_limits", &common, &own, Move::Still(v))?;
                self.add("kube_pod_container_resource_requests", &common, &own, Move::Still(v))?;
            }
            self.add("container_cpu_cfs_periods_total", &common, &own, Move::Count(100.0, 100.0))?;
            self.add("container_cpu_cfs_throttled_periods_total", &common, &own, Move::Count(2.0, 60.0))?;
            self.add("container_cpu_usage_seconds_total", &common, &own, Move::Count(3.0, 9.0))?;
            self.add("container_oom_events_total", &common, &own, Move::Count(0.0, 1.0))?;
            for name in ["receive_bytes_total", "transmit_bytes_total"] {
                self.add(&format!("container_network_{name}"), &common, &own, Move::Count(1e5, 1e5))?;
            }
        }
        for name in &names {
            let common = [("namespace", team), ("job", "kube-state-metrics"), ("deployment", name.as_str())];
            self.add("kube_deployment_spec_replicas", &common, &[], Move::Still(3.0))?;
            self.add("kube_deployment_status_replicas_available", &common, &[], Move::Switch(3.0, 2.0))?;
            self.add("kube_deployment_status_replicas_updated", &common, &[], Move::Still(3.0))?;
            let common = [("namespace", team), ("job", "kube-state-metrics"), ("persistentvolumeclaim", name.as_str())];
            self.add("kubelet_volume_stats_available_bytes", &common, &[], Move::Level(5e9))?;
            self.add("kubelet_volume_stats_capacity_bytes", &common, &[], Move::Still(1e10))?;
        }
        let name = names[0].as_str();
        let common = [("namespace", team), ("job", "kube-state-metrics"), ("workload", name)];
        self.add("kube_statefulset_status_replicas_ready", &common, &[], Move::Switch(3.0, 2.0))?;
        self.add("kube_statefulset_status_replicas", &common, &[], Move::Still(3.0))?;
        self.add("kube_hpa_status_current_replicas", &common, &[], Move::Switch(3.0, 10.0))?;
        self.add("kube_hpa_spec_max_replicas", &common, &[], Move::Still(10.0))?;
        self.add("kube_job_failed", &common, &[], Move::Switch(0.0, 1.0))?;
        for n in 0..3 {
            self.add("kube_pod_labels", &common, &[("n", n.to_string().as_str())], Move::Still(1.0))?;
        }
        Ok(())
    }

    fn service(&mut self, target: usize, team: &str) -> Outcome<()> {
        let instance = format!("10.1.{}.{}:8080", target / 250, target % 250);
        let common = [("service", team), ("instance", instance.as_str()), ("job", "http")];
        self.add("up", &common, &[], Move::Switch(1.0, 0.0))?;
        for route in ["/items", "/orders", "/search", "/session"] {
            for (code, rate, trouble) in
                [("200", 500.0, 300.0), ("404", 5.0, 5.0), ("500", 0.1, 200.0), ("503", 0.0, 20.0)]
            {
                let own = [("code", code), ("route", route)];
                self.add("http_requests_total", &common, &own, Move::Count(rate, trouble))?;
            }
            let total = 505.1;
            for (at, le) in ["0.01", "0.05", "0.1", "0.25", "0.5", "1", "2.5", "5", "10", "+Inf"].iter().enumerate() {
                let quick = [0.2, 0.5, 0.8, 0.95, 0.99, 0.999, 1.0, 1.0, 1.0, 1.0][at];
                let slow = [0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.8, 0.99, 1.0, 1.0][at];
                let own = [("le", *le), ("route", route)];
                let moves = Move::Count(total * quick, total * slow);
                self.add("http_request_duration_seconds_bucket", &common, &own, moves)?;
            }
            self.add("http_request_duration_seconds_sum", &common, &[("route", route)], Move::Count(40.0, 400.0))?;
            self.add("http_request_duration_seconds_count", &common, &[("route", route)], Move::Count(total, total))?;
        }
        self.add("http_requests_in_flight", &common, &[], Move::Switch(12.0, 300.0))?;
        self.add("probe_ssl_earliest_cert_expiry", &common, &[], Move::Still(2.5e9))?;
        self.add("process_open_fds", &common, &[], Move::Switch(120.0, 900.0))?;
        self.add("process_max_fds", &common, &[], Move::Still(1024.0))?;
        self.add("db_pool_connections_in_use", &common, &[], Move::Switch(8.0, 20.0))?;
        self.add("db_pool_connections_max", &common, &[], Move::Still(20.0))?;
        for name in ["process_cpu_seconds_total", "process_network_receive_bytes_total", "queue_messages_total"] {
            self.add(name, &common, &[], Move::Count(3.0, 3.0))?;
        }
        for name in ["process_resident_memory_bytes", "process_virtual_memory_bytes", "go_goroutines", "go_threads"] {
            self.add(name, &common, &[], Move::Level(1e6))?;
        }
        for n in 0..22 {
            self.add("cache_lookups_total", &common, &[("shard", n.to_string().as_str())], Move::Count(50.0, 50.0))?;
        }
        Ok(())
    }

    /// Gives `each` the labels and the value of every series of a target in a round.
    pub(crate) fn scrape(&mut self, target: usize, round: u64, each: impl FnMut(&[u8], f64)) {
        self.show(target, round, |_| true, each);
    }

    /// The same of those that rules look at over hours.
    #[allow(dead_code, reason = "objectives have no such history")]
    pub(crate) fn scrape_long(&mut self, target: usize, round: u64, each: impl FnMut(&[u8], f64)) {
        self.show(target, round, |series| series.is_long, each);
    }

    fn show(&mut self, target: usize, round: u64, which: impl Fn(&Series) -> bool, mut each: impl FnMut(&[u8], f64)) {
        let in_trouble = mix(target as u64 ^ (round / TROUBLE_ROUNDS) << 32).is_multiple_of(1000);
        let begin = target * PER_TARGET;
        let series = self.series[begin..begin + PER_TARGET].iter_mut().enumerate();
        for (at, series) in series.filter(|(_, series)| which(series)) {
            let luck = (mix((begin + at) as u64 ^ round << 40) % 1024) as f64 / 1024.0;
            series.value = match series.moves {
                Move::Still(v) => v,
                Move::Level(v) => v * (0.95 + 0.1 * luck),
                Move::Count(usual, trouble) => {
                    let rate = if in_trouble { trouble } else { usual };
                    series.value + (rate * (0.9 + 0.2 * luck) * 8.0).round() / 8.0
                }
                Move::Switch(usual, trouble) => {
                    if in_trouble {
                        trouble
                    } else {
                        usual
                    }
                }
            };
            each(&series.labels, series.value);
        }
    }
}

/// Spreads a number over all bits (splitmix64).
fn mix(n: u64) -> u64 {
    let mut z = n.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}
