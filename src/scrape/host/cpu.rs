//! `/proc/stat`: processor time by mode, and counts since boot.

use super::samples::{Samples, number, text_of};
use crate::env::Host;

/// The kernel's unit of processor time towards user space, the same on every architecture.
const TICKS_PER_SECOND: f64 = 100.0;

const MODES: [&str; 8] = ["user", "nice", "system", "idle", "iowait", "irq", "softirq", "steal"];

pub(super) fn collect(host: &dyn Host, samples: &mut Samples) -> Option<()> {
    for line in text_of(host, "/proc/stat")?.lines() {
        let mut words = line.split_ascii_whitespace();
        // The line `cpu` without a number is the sum of the others.
        let cpu = words.next().and_then(|key| key.strip_prefix("cpu")).filter(|cpu| !cpu.is_empty());
        if let Some(cpu) = cpu {
            one_cpu(samples, cpu, words);
        }
    }
    Some(())
}

/// The counts of `/proc/stat` since boot, and the two that are of this instant.
const COUNTS: [(&str, &str); 6] = [
    ("intr", "node_intr_total"),
    ("ctxt", "node_context_switches_total"),
    ("btime", "node_boot_time_seconds"),
    ("processes", "node_forks_total"),
    ("procs_running", "node_procs_running"),
    ("procs_blocked", "node_procs_blocked"),
];

pub(super) fn counts(host: &dyn Host, samples: &mut Samples) -> Option<()> {
    for line in text_of(host, "/proc/stat")?.lines() {
        let mut words = line.split_ascii_whitespace();
        let (Some(key), Some(value)) = (words.next(), words.next().and_then(number)) else { continue };
        if let Some((_, name)) = COUNTS.iter().find(|(k, _)| *k == key) {
            samples.push(name, &[], value);
        }
    }
    Some(())
}

fn one_cpu<'a>(samples: &mut Samples, cpu: &str, words: impl Iterator<Item = &'a str>) {
    let ticks: Vec<f64> = words.map_while(number).collect();
    for (mode, ticks) in MODES.iter().zip(&ticks) {
        samples.push("node_cpu_seconds_total", &[("cpu", cpu), ("mode", mode)], ticks / TICKS_PER_SECOND);
    }
    // Also counted in user and nice, as node_exporter has it too.
    for (mode, ticks) in ["user", "nice"].iter().zip(ticks.iter().skip(MODES.len())) {
        samples.push("node_cpu_guest_seconds_total", &[("cpu", cpu), ("mode", mode)], ticks / TICKS_PER_SECOND);
    }
}
