//! A generated fleet: hosts as node_exporter shows them, and instances of HTTP services.
//!
//! For each host there are three service instances. If asked for, a tenth of all of them is replaced each hour
//! by one that does the same under new names. All times and values follow from the seed.

use evenkeel::env::Rng;
use evenkeel::model::Labels;

use crate::Outcome;
use crate::shapes::{BUCKETS, Route, Shape};
use crate::source::{Catalogue, Scrape, Source};

/// Time between two scrapes of a target.
const EVERY_MS: i64 = 15_000;
/// Share of the targets that is replaced in an hour, where there is churn.
const REPLACED_PER_HOUR: f64 = 0.1;
const INSTANCES_PER_HOST: usize = 3;
const SERVICES: [&str; 5] = ["checkout", "catalog", "accounts", "search", "payments"];
const ROUTES: [&str; 6] = ["/", "/api/v1/items", "/api/v1/items/{id}", "/api/v1/orders", "/api/v1/session", "/healthz"];

/// Whether targets are replaced.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Churn {
    /// The same ones from the first to the last sample
    None,
    /// A tenth is new each hour
    TenPercentHourly,
}

/// The fleet, at a point in time.
pub(crate) struct Fleet {
    catalogue: Catalogue,
    targets: Vec<Target>,
    rng: Rng,
    churn: Churn,
    end: i64,
    round_at: i64,
    turn: usize,
}

/// One process that is scraped.
struct Target {
    number: usize,
    generation: usize,
    first_series: usize,
    shapes: Vec<Shape>,
    routes: Vec<Route>,
    offset: i64,
    rng: Rng,
}

impl Fleet {
    /// A fleet of so many hosts with their instances, from `hours` before `end`.
    pub(crate) fn new(hosts: usize, hours: f64, end: i64, churn: Churn, seed: u64) -> Outcome<Fleet> {
        let mut rng = Rng::new(seed);
        let mut catalogue = Catalogue::default();
        let mut targets = Vec::new();
        for number in 0..hosts * (1 + INSTANCES_PER_HOST) {
            targets.push(Target::new(number, 0, &mut catalogue, &mut rng)?);
        }
        targets.sort_by_key(|target| target.offset);
        let span = (hours * 3_600_000.0) as i64 / EVERY_MS * EVERY_MS;
        Ok(Fleet { catalogue, targets, rng, churn, end, round_at: end - span, turn: 0 })
    }
}

impl Source for Fleet {
    fn catalogue(&self) -> &Catalogue {
        &self.catalogue
    }

    fn next(&mut self, scrape: &mut Scrape) -> Outcome<bool> {
        if self.turn == self.targets.len() {
            self.turn = 0;
            self.round_at += EVERY_MS;
        }
        if self.round_at + EVERY_MS > self.end {
            return Ok(false);
        }
        let turn = self.turn;
        self.turn += 1;
        let replaced = REPLACED_PER_HOUR * EVERY_MS as f64 / 3_600_000.0;
        if self.churn == Churn::TenPercentHourly && self.rng.unit() < replaced {
            let old = &self.targets[turn];
            let mut new = Target::new(old.number, old.generation + 1, &mut self.catalogue, &mut self.rng)?;
            // It keeps its turn, so that times rise.
            new.offset = old.offset;
            self.targets[turn] = new;
        }
        let day = self.round_at.rem_euclid(86_400_000) as f64 / 86_400_000.0;
        let busy = 1.0 + 0.5 * (std::f64::consts::TAU * (day - 0.3)).sin();
        self.targets[turn].scrape(self.round_at, busy, scrape);
        Ok(true)
    }
}

impl Target {
    fn new(number: usize, generation: usize, catalogue: &mut Catalogue, rng: &mut Rng) -> Outcome<Target> {
        let mut rng = Rng::new(rng.bits());
        let mut plan =
            Plan { target: target_labels(number, generation, &mut rng), series: Vec::new(), shapes: Vec::new() };
        let mut routes = Vec::new();
        if number.is_multiple_of(1 + INSTANCES_PER_HOST) {
            plan.host(&mut rng);
        } else {
            plan.go_process(&mut rng);
            for route in ROUTES {
                let popularity = if route == "/healthz" { 0.2 } else { (1.5 * rng.normal()).exp() };
                routes.push(Route::new(popularity, 0.002 * (1.2 * rng.normal()).exp()));
                plan.route(route);
            }
        }
        let first_series = catalogue.len();
        for pairs in &plan.series {
            let labels = plan.target.iter().chain(pairs).map(|(name, value)| (name.as_str(), value.as_str()));
            catalogue.add(Labels::new(labels)?);
        }
        let offset = rng.below(EVERY_MS as u64 - 100) as i64;
        Ok(Target { number, generation, first_series, shapes: plan.shapes, routes, offset, rng })
    }

    fn scrape(&mut self, round_at: i64, busy: f64, scrape: &mut Scrape) {
        // Most scrapes begin within two milliseconds of their time, some have to wait.
        let late = if self.rng.unit() < 0.9 { self.rng.below(3) } else { self.rng.below(40) };
        scrape.t = round_at + self.offset + late as i64;
        let seconds = EVERY_MS as f64 / 1000.0;
        let mut values = Vec::with_capacity(self.shapes.len() + self.routes.len() * Route::SERIES);
        for shape in &mut self.shapes {
            values.push(shape.next(&mut self.rng, seconds, busy));
        }
        for route in &mut self.routes {
            route.next(&mut self.rng, seconds, busy, &mut values);
        }
        scrape.samples.clear();
        scrape.samples.extend(values.into_iter().enumerate().map(|(i, value)| (self.first_series + i, value)));
    }
}

type Pairs = Vec<(String, String)>;

fn target_labels(number: usize, generation: usize, rng: &mut Rng) -> Pairs {
    let host = number / (1 + INSTANCES_PER_HOST);
    let pair = |name: &str, value: String| (name.to_owned(), value);
    if number.is_multiple_of(1 + INSTANCES_PER_HOST) {
        let instance = format!("10.{}.{}.{}:9100", generation, host / 200, host % 200 + 10);
        return vec![pair("instance", instance), pair("job", "node".into())];
    }
    let service = SERVICES[number % SERVICES.len()];
    let instance = format!("10.{}.{}.{}:8080", 100 + rng.below(100), rng.below(250), rng.below(250));
    let pod = format!("{service}-{:x}-{:x}", 0x7d9f_8b6c_u64 + number as u64 % 3, rng.bits() >> 44);
    vec![
        pair("instance", instance),
        pair("job", "services".into()),
        pair("namespace", "shop".into()),
        pair("pod", format!("{pod}{generation}")),
        pair("service", service.into()),
    ]
}

/// The series of a target, while they are listed.
struct Plan {
    target: Pairs,
    series: Vec<Pairs>,
    shapes: Vec<Shape>,
}

impl Plan {
    fn name(&mut self, name: &str, labels: &[(&str, &str)]) {
        let mut pairs = vec![("__name__".to_owned(), name.to_owned())];
        pairs.extend(labels.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
        self.series.push(pairs);
    }

    fn add(&mut self, name: &str, labels: &[(&str, &str)], shape: Shape) {
        self.name(name, labels);
        self.shapes.push(shape);
    }

    /// About the series of node_exporter on a machine with eight processors.
    fn host(&mut self, rng: &mut Rng) {
        for cpu in 0..8 {
            let cpu = cpu.to_string();
            let modes =
                [("idle", 88.0), ("iowait", 0.3), ("irq", 0.0), ("nice", 0.02), ("softirq", 0.4), ("steal", 0.05)];
            for (mode, ticks) in modes.into_iter().chain([("system", 3.0), ("user", 8.0)]) {
                let parts = (rng.unit() * 1e7 * ticks / 88.0).round();
                let shape = Shape::Spent { parts, parts_per_second: ticks, second: 100.0 };
                self.add("node_cpu_seconds_total", &[("cpu", &cpu), ("mode", mode)], shape);
            }
            for mode in ["nice", "user"] {
                self.add("node_cpu_guest_seconds_total", &[("cpu", &cpu), ("mode", mode)], Shape::Constant(0.0));
            }
        }
        for i in 0..50 {
            let pages = (rng.unit() * 4e6).round();
            let shape = match i % 5 {
                0 | 1 => Shape::Memory { pages, level: pages, step: 40.0 * (1.5 * rng.normal()).exp() },
                2 => Shape::Memory { pages, level: pages, step: 0.3 },
                3 => Shape::Constant(pages * 4096.0),
                _ => Shape::Constant(0.0),
            };
            self.add(
                &format!("node_memory_{}_bytes", MEMORY[i % MEMORY.len()].to_owned() + SUFFIX[i / MEMORY.len()]),
                &[],
                shape,
            );
        }
        for (name, pull) in [("node_load1", 0.22), ("node_load5", 0.05), ("node_load15", 0.017)] {
            self.add(name, &[], Shape::Load { value: 1.0, level: 1.2, pull });
        }
        self.file_systems(rng);
        self.devices(rng);
        self.kernel(rng);
        self.collectors(rng);
    }

    fn file_systems(&mut self, rng: &mut Rng) {
        for (device, mount) in
            [("/dev/vda1", "/"), ("/dev/vda15", "/boot/efi"), ("/dev/vdb", "/data"), ("tmpfs", "/run")]
        {
            let labels = [
                ("device", device),
                ("fstype", if device == "tmpfs" { "tmpfs" } else { "ext4" }),
                ("mountpoint", mount),
            ];
            let size = (rng.unit() * 4e7).round() + 1e6;
            let step = match mount {
                "/" => 8.0,
                "/data" => 90.0,
                "/run" => 0.2,
                _ => 0.0,
            };
            self.add("node_filesystem_size_bytes", &labels, Shape::Constant(size * 4096.0));
            for name in ["node_filesystem_free_bytes", "node_filesystem_avail_bytes"] {
                let pages = (size * 0.6).round();
                let shape = if step > 0.0 {
                    Shape::Memory { pages, level: pages, step }
                } else {
                    Shape::Constant(pages * 4096.0)
                };
                self.add(name, &labels, shape);
            }
            self.add("node_filesystem_files", &labels, Shape::Constant(size));
            self.add(
                "node_filesystem_files_free",
                &labels,
                Shape::Level { value: size, most: size, moves: step / 200.0 },
            );
            self.add("node_filesystem_readonly", &labels, Shape::Constant(0.0));
            self.add("node_filesystem_device_error", &labels, Shape::Constant(0.0));
        }
    }

    fn devices(&mut self, rng: &mut Rng) {
        for (device, rate) in [("vda", 12.0), ("vdb", 60.0), ("vdc", 0.0)] {
            let start = rng.unit() * 1e6;
            for (i, name) in DISK.iter().enumerate() {
                let shape = match (i % 3, rate > 0.0) {
                    (_, false) => Shape::Constant(start.round()),
                    (0, _) => Shape::Counter { value: start.round(), per_second: rate, unit: 1.0 },
                    (1, _) => Shape::Counter { value: (start * 4096.0).round(), per_second: rate, unit: 8192.0 },
                    _ => Shape::Spent { parts: start.round(), parts_per_second: rate * 2.0, second: 1000.0 },
                };
                self.add(&format!("node_disk_{name}"), &[("device", device)], shape);
            }
        }
        for (device, rate) in [("eth0", 900.0), ("lo", 30.0), ("docker0", 0.0)] {
            let start = (rng.unit() * 1e8).round();
            for (i, name) in NETWORK.iter().enumerate() {
                let shape = match i {
                    0 | 1 if rate > 0.0 => Shape::Counter { value: start * 700.0, per_second: rate, unit: 700.0 },
                    2 | 3 if rate > 0.0 => Shape::Counter { value: start, per_second: rate, unit: 1.0 },
                    4 if rate > 100.0 => Shape::Counter { value: 12.0, per_second: 0.002, unit: 1.0 },
                    _ => Shape::Constant(if i > 15 { 1500.0 + i as f64 } else { 0.0 }),
                };
                self.add(&format!("node_network_{name}"), &[("device", device)], shape);
            }
        }
    }

    /// Counters and gauges of the kernel: rates from never to thousands a second.
    fn kernel(&mut self, rng: &mut Rng) {
        for i in 0..130 {
            let per_second = (3.0 * rng.normal() - 1.0).exp().min(20_000.0);
            let shape = match i % 10 {
                0..=3 => Shape::Counter { value: (rng.unit() * 1e7).round(), per_second, unit: 1.0 },
                4 => Shape::Level { value: 20.0, most: 400.0, moves: 0.6 },
                5 => Shape::Constant((rng.unit() * 1e6).round()),
                6 => Shape::Counter { value: 17.0, per_second: 0.001, unit: 1.0 },
                _ => Shape::Constant(0.0),
            };
            let area = ["netstat_Tcp", "netstat_Udp", "vmstat", "sockstat", "schedstat", "nf_conntrack"][i % 6];
            self.add(
                &format!("node_{area}_{}_{i}", ["InSegs", "OutSegs", "pgfault", "inuse", "running"][i % 5]),
                &[],
                shape,
            );
        }
        for i in 0..24 {
            let parts_per_second = (1.5 * rng.normal()).exp();
            // Pressure and scheduling are given in micro- and nanoseconds.
            let second = if i % 2 == 0 { 1e6 } else { 1e9 };
            let shape = Shape::Spent {
                parts: (rng.unit() * 1e9).round(),
                parts_per_second: parts_per_second * second / 1e3,
                second,
            };
            self.add(&format!("node_pressure_waiting_seconds_total_{i}"), &[], shape);
        }
    }

    /// What an exporter says about its own work.
    fn collectors(&mut self, rng: &mut Rng) {
        for i in 0..40 {
            let collector = format!("collector{i}");
            let median = 0.0004 * rng.normal().exp();
            let labels = [("collector", collector.as_str())];
            self.add("node_scrape_collector_duration_seconds", &labels, Shape::Duration { median, spread: 0.4 });
            self.add("node_scrape_collector_success", &labels, Shape::Constant(1.0));
        }
        self.add("node_boot_time_seconds", &[], Shape::Constant(1_790_000_000.0));
        self.add("node_uname_info", &[("release", "6.1.0-28-amd64"), ("sysname", "Linux")], Shape::Constant(1.0));
        self.scraper();
    }

    /// What the scraper adds.
    fn scraper(&mut self) {
        self.add("up", &[], Shape::Constant(1.0));
        self.add("scrape_duration_seconds", &[], Shape::Duration { median: 0.02, spread: 0.3 });
        for name in ["scrape_samples_scraped", "scrape_samples_post_metric_relabeling"] {
            self.add(name, &[], Shape::Constant(460.0));
        }
        self.add("scrape_series_added", &[], Shape::Constant(0.0));
    }

    /// The runtime of a Go program, and its requests under way.
    fn go_process(&mut self, rng: &mut Rng) {
        for quantile in ["0", "0.25", "0.5", "0.75", "1"] {
            let shape = Shape::RareDuration { value: 0.000_05, median: 0.000_08, renewed: 0.1 };
            self.add("go_gc_duration_seconds", &[("quantile", quantile)], shape);
        }
        self.add(
            "go_gc_duration_seconds_sum",
            &[],
            Shape::Spent { parts: 1e6, parts_per_second: 9_000.0, second: 1e9 },
        );
        self.add("go_gc_duration_seconds_count", &[], Shape::Counter { value: 900.0, per_second: 0.03, unit: 1.0 });
        self.add("go_goroutines", &[], Shape::Level { value: 40.0, most: 300.0, moves: 0.7 });
        self.add("go_threads", &[], Shape::Level { value: 12.0, most: 20.0, moves: 0.01 });
        self.add("go_info", &[("version", "go1.27.1")], Shape::Constant(1.0));
        for i in 0..24 {
            let level = (2000.0 * rng.normal().exp()).round();
            let shape = match i % 4 {
                0 => Shape::Memory { pages: level, level, step: level * 0.05 },
                1 => Shape::Memory { pages: level, level, step: 0.2 },
                2 => Shape::Counter { value: level * 1e5, per_second: 40.0, unit: 320.0 },
                _ => Shape::Constant(level * 8.0),
            };
            self.add(
                &format!(
                    "go_memstats_{}_{i}",
                    ["heap_alloc_bytes", "sys_bytes", "alloc_bytes_total", "gc_sys_bytes"][i % 4]
                ),
                &[],
                shape,
            );
        }
        let parts = Shape::Spent { parts: 1000.0, parts_per_second: 4.0, second: 100.0 };
        self.add("process_cpu_seconds_total", &[], parts);
        self.add("process_resident_memory_bytes", &[], Shape::Memory { pages: 9000.0, level: 9000.0, step: 12.0 });
        self.add("process_open_fds", &[], Shape::Level { value: 30.0, most: 200.0, moves: 0.4 });
        self.add("process_max_fds", &[], Shape::Constant(1_048_576.0));
        self.add(
            "process_start_time_seconds",
            &[],
            Shape::Constant(1_790_000_000.0 + (rng.unit() * 1e8).round() / 100.0),
        );
        self.add("http_requests_in_flight", &[], Shape::Level { value: 1.0, most: 12.0, moves: 0.5 });
        self.scraper();
    }

    /// The names of a route's series, in the order in which it gives its values.
    fn route(&mut self, route: &str) {
        for code in ["200", "404", "500"] {
            self.name("http_requests_total", &[("code", code), ("method", "GET"), ("route", route)]);
        }
        for bound in BUCKETS.iter().map(f64::to_string).chain(["+Inf".to_owned()]) {
            self.name("http_request_duration_seconds_bucket", &[("le", &bound), ("route", route)]);
        }
        self.name("http_request_duration_seconds_sum", &[("route", route)]);
        self.name("http_request_duration_seconds_count", &[("route", route)]);
    }
}

const MEMORY: [&str; 25] = [
    "Active",
    "Inactive",
    "MemFree",
    "MemTotal",
    "HugetlbFree",
    "AnonPages",
    "Buffers",
    "Shmem",
    "SwapTotal",
    "Bounce",
    "Cached",
    "MemAvailable",
    "KernelStack",
    "CommitLimit",
    "WritebackTmp",
    "Mapped",
    "Slab",
    "PageTables",
    "VmallocTotal",
    "HugePages",
    "Dirty",
    "Committed_AS",
    "Percpu",
    "DirectMap4k",
    "NFS_Unstable",
];
const SUFFIX: [&str; 2] = ["", "_node0"];
const DISK: [&str; 17] = [
    "reads_completed_total",
    "read_bytes_total",
    "read_time_seconds_total",
    "writes_completed_total",
    "written_bytes_total",
    "write_time_seconds_total",
    "reads_merged_total",
    "discarded_bytes_total",
    "io_time_seconds_total",
    "writes_merged_total",
    "discarded_sectors_total",
    "io_time_weighted_seconds_total",
    "flush_requests_total",
    "flush_bytes_total",
    "flush_time_seconds_total",
    "discards_completed_total",
    "info_bytes_total",
];
const NETWORK: [&str; 22] = [
    "receive_bytes_total",
    "transmit_bytes_total",
    "receive_packets_total",
    "transmit_packets_total",
    "receive_drop_total",
    "transmit_drop_total",
    "receive_errs_total",
    "transmit_errs_total",
    "receive_fifo_total",
    "transmit_fifo_total",
    "receive_frame_total",
    "receive_multicast_total",
    "transmit_carrier_total",
    "transmit_colls_total",
    "receive_compressed_total",
    "transmit_compressed_total",
    "mtu_bytes",
    "speed_bytes",
    "carrier",
    "iface_id",
    "up",
    "transmit_queue_length",
];
