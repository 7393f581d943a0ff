//! A generated Kubernetes cluster, as kubelets and kube-state-metrics show it, and a crowd of tenants.
//!
//! All times and values follow from the seed.

use evenkeel::env::Rng;
use evenkeel::model::Labels;

use crate::Outcome;
use crate::shapes::Shape;
use crate::source::{Catalogue, Scrape, Source};

/// Time between two scrapes of a target.
const EVERY_MS: i64 = 15_000;
const NODES: usize = 8;
const NAMESPACES: [&str; 6] = ["shop", "payments", "monitoring", "kube-system", "search", "batch"];
const PHASES: [&str; 5] = ["Failed", "Pending", "Running", "Succeeded", "Unknown"];
/// Series that one gateway of the crowd shows.
const CROWD_PER_TARGET: usize = 5000;

/// Targets whose series stay the same.
pub(crate) struct Cluster {
    catalogue: Catalogue,
    targets: Vec<Target>,
    end: i64,
    round_at: i64,
    turn: usize,
}

struct Target {
    first_series: usize,
    shapes: Vec<Shape>,
    offset: i64,
    rng: Rng,
}

impl Cluster {
    /// A cluster of so many pods, from `hours` before `end`.
    pub(crate) fn new(pods: usize, hours: f64, end: i64, seed: u64) -> Outcome<Cluster> {
        let mut cluster = Cluster::empty(hours, end);
        let mut rng = Rng::new(seed ^ 0x6b75_6265);
        let pods: Vec<Pod> = (0..pods).map(|number| Pod::new(number, &mut rng)).collect();
        for node in 0..NODES {
            let mut plan = Plan::default();
            pods.iter().filter(|pod| pod.node == node).for_each(|pod| plan.kubelet(pod, &mut rng));
            cluster.add(plan, &mut rng)?;
        }
        let mut plan = Plan::default();
        pods.iter().for_each(|pod| plan.state(pod));
        for (i, namespace) in NAMESPACES.iter().enumerate() {
            for deployment in 0..5 {
                let name = format!("{namespace}-app{deployment}");
                let labels = [("deployment", name.as_str()), ("job", "kube-state-metrics"), ("namespace", namespace)];
                let replicas = 3.0 + (i * 5 + deployment) as f64 % 4.0;
                plan.add("kube_deployment_spec_replicas", &labels, Shape::Constant(replicas));
                let shape = Shape::Level { value: replicas, most: replicas, moves: 0.001 };
                plan.add("kube_deployment_status_replicas_available", &labels, shape);
            }
        }
        cluster.add(plan, &mut rng)?;
        cluster.targets.sort_by_key(|target| target.offset);
        Ok(cluster)
    }

    /// Gateways with a counter for each tenant, endpoint and code: so many series in all.
    pub(crate) fn crowd(series: usize, hours: f64, end: i64, seed: u64) -> Outcome<Cluster> {
        let mut cluster = Cluster::empty(hours, end);
        let mut rng = Rng::new(seed ^ 0x6372_6f77);
        for first in (0..series).step_by(CROWD_PER_TARGET) {
            let instance = format!("10.200.{}.1:9000", first / CROWD_PER_TARGET);
            let mut plan = Plan::default();
            for number in first..series.min(first + CROWD_PER_TARGET) {
                let tenant = format!("tenant-{:05}", number / 20);
                let endpoint = format!("/v1/{}", ["read", "write", "list", "delete", "watch"][number % 5]);
                let code = ["200", "404", "429", "500"][number / 5 % 4];
                let labels = [
                    ("code", code),
                    ("endpoint", endpoint.as_str()),
                    ("instance", instance.as_str()),
                    ("job", "gateway"),
                    ("tenant", tenant.as_str()),
                ];
                let per_second = if code == "200" { 2.0 } else { 0.05 };
                plan.add(
                    "gateway_requests_total",
                    &labels,
                    Shape::Counter { value: (rng.unit() * 1e5).round(), per_second, unit: 1.0 },
                );
            }
            cluster.add(plan, &mut rng)?;
        }
        cluster.targets.sort_by_key(|target| target.offset);
        Ok(cluster)
    }

    fn empty(hours: f64, end: i64) -> Cluster {
        let span = (hours * 3_600_000.0) as i64 / EVERY_MS * EVERY_MS;
        Cluster { catalogue: Catalogue::default(), targets: Vec::new(), end, round_at: end - span, turn: 0 }
    }

    fn add(&mut self, plan: Plan, rng: &mut Rng) -> Outcome<()> {
        let first_series = self.catalogue.len();
        for pairs in &plan.series {
            let labels = Labels::new(pairs.iter().map(|(name, value)| (name.as_str(), value.as_str())))?;
            self.catalogue.add(labels);
        }
        let offset = rng.below(EVERY_MS as u64 - 100) as i64;
        self.targets.push(Target { first_series, shapes: plan.shapes, offset, rng: Rng::new(rng.bits()) });
        Ok(())
    }
}

impl Source for Cluster {
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
        let Some(target) = self.targets.get_mut(self.turn) else { return Ok(false) };
        self.turn += 1;
        let late = if target.rng.unit() < 0.9 { target.rng.below(3) } else { target.rng.below(40) };
        scrape.t = self.round_at + target.offset + late as i64;
        scrape.samples.clear();
        for (i, shape) in target.shapes.iter_mut().enumerate() {
            let value = shape.next(&mut target.rng, EVERY_MS as f64 / 1000.0, 1.0);
            scrape.samples.push((target.first_series + i, value));
        }
        Ok(true)
    }
}

/// A pod and where it runs.
struct Pod {
    name: String,
    namespace: &'static str,
    node: usize,
    containers: Vec<String>,
}

impl Pod {
    fn new(number: usize, rng: &mut Rng) -> Pod {
        let namespace = NAMESPACES[number % NAMESPACES.len()];
        let app = number / NAMESPACES.len() % 5;
        let name = format!("{namespace}-app{app}-{:08x}-{:05x}", 0x7d9f_8b6c + app, rng.bits() >> 44);
        let mut containers = vec![format!("app{app}")];
        if number.is_multiple_of(2) {
            containers.push("proxy".to_owned());
        }
        Pod { name, namespace, node: rng.below(NODES as u64) as usize, containers }
    }
}

type Pairs = Vec<(String, String)>;

/// The series of a target, while they are listed.
#[derive(Default)]
struct Plan {
    series: Vec<Pairs>,
    shapes: Vec<Shape>,
}

impl Plan {
    fn add(&mut self, name: &str, labels: &[(&str, &str)], shape: Shape) {
        let mut pairs = vec![("__name__".to_owned(), name.to_owned())];
        pairs.extend(labels.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
        self.series.push(pairs);
        self.shapes.push(shape);
    }

    /// What the kubelet of its node says of a pod.
    fn kubelet(&mut self, pod: &Pod, rng: &mut Rng) {
        let node = format!("node-{}", pod.node);
        let instance = format!("10.0.0.{}:10250", pod.node + 1);
        let base = [
            ("instance", instance.as_str()),
            ("job", "kubelet"),
            ("namespace", pod.namespace),
            ("node", node.as_str()),
            ("pod", pod.name.as_str()),
        ];
        for container in &pod.containers {
            let mut labels = base.to_vec();
            labels.push(("container", container));
            let parts_per_second = 1e5 * (0.8 * rng.normal()).exp();
            let cpu = Shape::Spent { parts: 1e9, parts_per_second, second: 1e6 };
            self.add("container_cpu_usage_seconds_total", &labels, cpu);
            let pages = (2e4 * rng.normal().exp()).round();
            for name in ["container_memory_working_set_bytes", "container_memory_rss"] {
                self.add(name, &labels, Shape::Memory { pages, level: pages, step: pages * 0.01 });
            }
            let throttled = Shape::Counter { value: 100.0, per_second: 0.2, unit: 1.0 };
            self.add("container_cpu_cfs_throttled_periods_total", &labels, throttled);
            self.add(
                "container_cpu_cfs_periods_total",
                &labels,
                Shape::Counter { value: 1e4, per_second: 10.0, unit: 1.0 },
            );
        }
        for direction in ["receive", "transmit"] {
            let mut labels = base.to_vec();
            labels.push(("interface", "eth0"));
            let shape = Shape::Counter { value: 1e6, per_second: 40.0, unit: 900.0 };
            self.add(&format!("container_network_{direction}_bytes_total"), &labels, shape);
        }
    }

    /// What kube-state-metrics says of it.
    fn state(&mut self, pod: &Pod) {
        let base = [
            ("instance", "10.0.1.1:8080"),
            ("job", "kube-state-metrics"),
            ("namespace", pod.namespace),
            ("pod", pod.name.as_str()),
        ];
        let node = format!("node-{}", pod.node);
        let mut labels = base.to_vec();
        labels.extend([("node", node.as_str()), ("created_by_kind", "ReplicaSet")]);
        self.add("kube_pod_info", &labels, Shape::Constant(1.0));
        for phase in PHASES {
            let mut labels = base.to_vec();
            labels.push(("phase", phase));
            self.add("kube_pod_status_phase", &labels, Shape::Constant(f64::from(u8::from(phase == "Running"))));
        }
        for container in &pod.containers {
            let mut labels = base.to_vec();
            labels.push(("container", container));
            let restarts = Shape::Counter { value: 0.0, per_second: 0.000_05, unit: 1.0 };
            self.add("kube_pod_container_status_restarts_total", &labels, restarts);
            for (resource, value) in [("cpu", 0.5), ("memory", 536_870_912.0)] {
                let mut labels = labels.clone();
                labels.push(("resource", resource));
                self.add("kube_pod_container_resource_requests", &labels, Shape::Constant(value));
                self.add("kube_pod_container_resource_limits", &labels, Shape::Constant(value * 2.0));
            }
        }
    }
}
