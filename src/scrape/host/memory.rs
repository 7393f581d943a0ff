//! `/proc/meminfo` and the part of `/proc/vmstat` that tells of memory pressure.

use super::samples::{Samples, number, text_of};
use crate::env::Host;

pub(super) fn collect(host: &dyn Host, samples: &mut Samples) -> Option<()> {
    let text = text_of(host, "/proc/meminfo")?;
    for line in text.lines() {
        let Some((key, rest)) = line.split_once(':') else { continue };
        let mut words = rest.split_ascii_whitespace();
        let Some(value) = words.next().and_then(number) else { continue };
        let name = key.replace('(', "_").replace(')', "");
        match words.next() {
            Some("kB") => samples.push(&format!("node_memory_{name}_bytes"), &[], value * 1024.0),
            _ => samples.push(&format!("node_memory_{name}"), &[], value),
        }
    }
    Some(())
}

pub(super) fn vmstat(host: &dyn Host, samples: &mut Samples) -> Option<()> {
    let text = text_of(host, "/proc/vmstat")?;
    for line in text.lines() {
        let Some((key, value)) = line.split_once(' ') else { continue };
        let pressure = key.starts_with("oom_kill")
            || key.starts_with("pgpg")
            || key.starts_with("pswp")
            || (key.starts_with("pg") && key.contains("fault"));
        if let Some(value) = number(value.trim()).filter(|_| pressure) {
            samples.push(&format!("node_vmstat_{key}"), &[], value);
        }
    }
    Some(())
}
