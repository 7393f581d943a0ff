//! This host's metrics under node_exporter's names and labels, read through `env::Host`.
//!
//! Invariants:
//! - Pure: the same texts give the same samples, in the same order.
//! - A file that is absent or says something unexpected leaves out its own metrics and no others;
//!   `node_scrape_collector_success` says which.

mod conntrack;
mod cpu;
mod disk;
mod filesystem;
mod memory;
mod network;
mod network_protocol;
mod samples;
mod system;

use std::path::Path;
use std::sync::Arc;

use self::samples::Samples;
use super::collect::Collect;
use crate::env::Host;
use crate::model::{Labels, Timestamp};

/// Reads one part of the host. `None`: its main file cannot be read.
type Collector = fn(&dyn Host, &mut Samples) -> Option<()>;

/// Every collector under node_exporter's name for it.
const COLLECTORS: [(&str, Collector); 22] = [
    ("arp", network_protocol::arp),
    ("conntrack", conntrack::collect),
    ("cpu", cpu::collect),
    ("diskstats", disk::collect),
    ("entropy", system::entropy),
    ("filefd", system::file_descriptors),
    ("filesystem", filesystem::collect),
    ("kernel_hung", system::hung_tasks),
    ("loadavg", system::load),
    ("meminfo", memory::collect),
    ("netclass", network::classes),
    ("netdev", network::devices),
    ("netstat", network_protocol::netstat),
    ("os", system::os_release),
    ("pressure", system::pressure),
    ("sockstat", network_protocol::sockstat),
    ("softnet", network_protocol::softnet),
    ("stat", cpu::counts),
    ("time", system::clock_source),
    ("udp_queues", network_protocol::udp_queues),
    ("uname", system::uname),
    ("vmstat", memory::vmstat),
];

/// The host's metrics at one instant, without `job` and `instance`.
pub fn samples(host: &dyn Host, at: Timestamp) -> Vec<(Labels, f64)> {
    let mut samples = Samples::default();
    for (name, collect) in COLLECTORS {
        let success = collect(host, &mut samples).is_some();
        samples.push("node_scrape_collector_success", &[("collector", name)], f64::from(u8::from(success)));
    }
    samples.push("node_time_seconds", &[], at.as_seconds());
    samples.into_vec()
}

/// The host's name, for the label `instance`; `localhost` if it is not known.
pub fn hostname(host: &dyn Host) -> String {
    let name = host.read(Path::new("/proc/sys/kernel/hostname")).unwrap_or_default();
    let name = name.trim();
    if name.is_empty() { "localhost".to_owned() } else { name.to_owned() }
}

/// The host as a source that is collected like a target.
#[derive(Clone)]
pub struct HostCollector {
    host: Arc<dyn Host>,
}

impl HostCollector {
    /// Collects from `host`.
    pub fn new(host: Arc<dyn Host>) -> HostCollector {
        HostCollector { host }
    }
}

impl Collect for HostCollector {
    fn collect(&self, at: Timestamp) -> Vec<(Labels, f64)> {
        samples(&*self.host, at)
    }
}
