//! The system as a whole: load, open files, pressure, and what it is.

use super::samples::{Samples, number, number_of, text_of};
use crate::env::Host;

pub(super) fn load(host: &dyn Host, samples: &mut Samples) -> Option<()> {
    let text = text_of(host, "/proc/loadavg")?;
    for (name, value) in ["node_load1", "node_load5", "node_load15"].iter().zip(text.split(' ').map_while(number)) {
        samples.push(name, &[], value);
    }
    Some(())
}

pub(super) fn file_descriptors(host: &dyn Host, samples: &mut Samples) -> Option<()> {
    let text = text_of(host, "/proc/sys/fs/file-nr")?;
    let mut words = text.split_ascii_whitespace();
    samples.push("node_filefd_allocated", &[], words.next().and_then(number)?);
    samples.push("node_filefd_maximum", &[], words.nth(1).and_then(number)?);
    Some(())
}

pub(super) fn entropy(host: &dyn Host, samples: &mut Samples) -> Option<()> {
    samples.push("node_entropy_available_bits", &[], number_of(host, "/proc/sys/kernel/random/entropy_avail")?);
    samples.push("node_entropy_pool_size_bits", &[], number_of(host, "/proc/sys/kernel/random/poolsize")?);
    Some(())
}

pub(super) fn hung_tasks(host: &dyn Host, samples: &mut Samples) -> Option<()> {
    // Linux 6.13 and later.
    let count = number_of(host, "/proc/sys/kernel/hung_task_detect_count")?;
    samples.push("node_kernel_hung_tasks_total", &[], count);
    Some(())
}

/// Time in which some or all tasks waited for a resource, and its metric.
const PRESSURES: [(&str, &str, &str); 6] = [
    ("cpu", "some", "node_pressure_cpu_waiting_seconds_total"),
    ("io", "some", "node_pressure_io_waiting_seconds_total"),
    ("io", "full", "node_pressure_io_stalled_seconds_total"),
    ("memory", "some", "node_pressure_memory_waiting_seconds_total"),
    ("memory", "full", "node_pressure_memory_stalled_seconds_total"),
    ("irq", "full", "node_pressure_irq_stalled_seconds_total"),
];

pub(super) fn pressure(host: &dyn Host, samples: &mut Samples) -> Option<()> {
    text_of(host, "/proc/pressure/cpu")?;
    for (resource, share, metric) in PRESSURES {
        let text = text_of(host, &format!("/proc/pressure/{resource}")).unwrap_or_default();
        let line = text.lines().find(|line| line.split(' ').next() == Some(share));
        let total = line.and_then(|line| line.split(' ').find_map(|word| word.strip_prefix("total=")));
        if let Some(microseconds) = total.and_then(number) {
            samples.push(metric, &[], microseconds / 1e6);
        }
    }
    Some(())
}

pub(super) fn uname(host: &dyn Host, samples: &mut Samples) -> Option<()> {
    let read = |name: &str| text_of(host, &format!("/proc/sys/kernel/{name}")).map(|text| text.trim().to_owned());
    let release = read("osrelease")?;
    let (system, version) = (read("ostype").unwrap_or_default(), read("version").unwrap_or_default());
    let (node, domain) = (read("hostname").unwrap_or_default(), read("domainname").unwrap_or_default());
    let about = [
        ("domainname", domain.as_str()),
        // The program's own architecture is the machine's word for it on the usual ones.
        ("machine", std::env::consts::ARCH),
        ("nodename", node.as_str()),
        ("release", release.as_str()),
        ("sysname", system.as_str()),
        ("version", version.as_str()),
    ];
    samples.push("node_uname_info", &about, 1.0);
    Some(())
}

/// Keys of os-release that become labels of the same name.
const OS_KEYS: [&str; 12] = [
    "BUILD_ID",
    "ID",
    "ID_LIKE",
    "IMAGE_ID",
    "IMAGE_VERSION",
    "NAME",
    "PRETTY_NAME",
    "VARIANT",
    "VARIANT_ID",
    "VERSION",
    "VERSION_CODENAME",
    "VERSION_ID",
];

pub(super) fn os_release(host: &dyn Host, samples: &mut Samples) -> Option<()> {
    let text = text_of(host, "/etc/os-release").or_else(|| text_of(host, "/usr/lib/os-release"))?;
    let mut facts: Vec<(String, String)> = Vec::new();
    for (key, value) in text.lines().filter_map(|line| line.split_once('=')) {
        if OS_KEYS.contains(&key) {
            facts.push((key.to_ascii_lowercase(), unquote(value.trim())));
        }
    }
    let about: Vec<(&str, &str)> = facts.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    samples.push("node_os_info", &about, 1.0);
    let version = about.iter().find(|(name, _)| *name == "version_id").map_or("", |(_, value)| *value);
    // Of a version with more parts the first two count: 22.04 of 22.04.3.
    let end = version.match_indices('.').nth(1).map_or(version.len(), |(at, _)| at);
    if let Some(version) = number(&version[..end]) {
        let about: Vec<_> =
            about.iter().copied().filter(|(name, _)| matches!(*name, "id" | "id_like" | "name")).collect();
        samples.push("node_os_version", &about, version);
    }
    Some(())
}

/// A value of os-release without its shell quotes.
fn unquote(value: &str) -> String {
    let inside = |quote: char| value.strip_prefix(quote).and_then(|value| value.strip_suffix(quote));
    match (inside('\''), inside('"')) {
        (Some(plain), _) => plain.to_owned(),
        (None, Some(escaped)) => {
            let mut chars = escaped.chars();
            let mut out = String::new();
            while let Some(c) = chars.next() {
                out.extend(if c == '\\' { chars.next() } else { Some(c) });
            }
            out
        }
        (None, None) => value.to_owned(),
    }
}

pub(super) fn clock_source(host: &dyn Host, samples: &mut Samples) -> Option<()> {
    let read = |name: &str| text_of(host, &format!("/sys/devices/system/clocksource/clocksource0/{name}_clocksource"));
    for source in read("available")?.split_ascii_whitespace() {
        samples.push("node_time_clocksource_available_info", &[("clocksource", source), ("device", "0")], 1.0);
    }
    for source in read("current")?.split_ascii_whitespace() {
        samples.push("node_time_clocksource_current_info", &[("clocksource", source), ("device", "0")], 1.0);
    }
    Some(())
}
