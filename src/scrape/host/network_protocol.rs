//! The counters of the network protocols, sockets, packet queues and neighbours.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use regex::Regex;

use super::samples::{Samples, number, text_of};
use crate::env::Host;

/// The counters of several hundred that people look at: node_exporter's default.
static SHOWN: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(
        "^(.*_(InErrors|InErrs)|Ip_Forwarding|Ip(6|Ext)_(InOctets|OutOctets)|Icmp6?_(InMsgs|OutMsgs)|\
         TcpExt_(Listen.*|Syncookies.*|TCPSynRetrans|TCPTimeouts|TCPOFOQueue|TCPRcvQDrop)|\
         Tcp_(ActiveOpens|InSegs|OutSegs|OutRsts|PassiveOpens|RetransSegs|CurrEstab)|\
         Udp6?_(InDatagrams|OutDatagrams|NoPorts|RcvbufErrors|SndbufErrors))$",
    )
    .expect("a fixed pattern is valid")
});

pub(super) fn netstat(host: &dyn Host, samples: &mut Samples) -> Option<()> {
    let mut push = |name: &str, value: f64| {
        if SHOWN.is_match(name) {
            samples.push(&format!("node_netstat_{name}"), &[], value);
        }
    };
    for file in ["/proc/net/netstat", "/proc/net/snmp"] {
        let text = text_of(host, file)?;
        let lines: Vec<&str> = text.lines().collect();
        // A line of names, then a line of values, both behind the protocol.
        for two in lines.chunks_exact(2) {
            let (Some((protocol, names)), Some((_, values))) = (two[0].split_once(':'), two[1].split_once(':')) else {
                continue;
            };
            for (name, value) in names.split_ascii_whitespace().zip(values.split_ascii_whitespace()) {
                if let Some(value) = number(value) {
                    push(&format!("{protocol}_{name}"), value);
                }
            }
        }
    }
    // Absent where version 6 is switched off.
    for line in text_of(host, "/proc/net/snmp6").unwrap_or_default().lines() {
        let mut words = line.split_ascii_whitespace();
        let (Some(name), Some(value)) = (words.next(), words.next().and_then(number)) else { continue };
        if let Some(at) = name.find('6') {
            push(&format!("{}_{}", &name[..=at], &name[at + 1..]), value);
        }
    }
    Some(())
}

pub(super) fn sockstat(host: &dyn Host, samples: &mut Samples) -> Option<()> {
    let page = page_bytes(host);
    let text = text_of(host, "/proc/net/sockstat")?;
    let text6 = text_of(host, "/proc/net/sockstat6").unwrap_or_default();
    for line in text.lines().chain(text6.lines()) {
        let Some((protocol, rest)) = line.split_once(':') else { continue };
        let words: Vec<&str> = rest.split_ascii_whitespace().collect();
        for two in words.chunks_exact(2) {
            let Some(value) = number(two[1]) else { continue };
            samples.push(&format!("node_sockstat_{protocol}_{}", two[0]), &[], value);
            if let Some(page) = page.filter(|_| two[0] == "mem") {
                samples.push(&format!("node_sockstat_{protocol}_mem_bytes"), &[], value * page);
            }
        }
    }
    Some(())
}

/// The size of a memory page, from the two ways in which the kernel tells our own size. They are
/// not read at the same instant, so the nearest power of two is meant.
fn page_bytes(host: &dyn Host) -> Option<f64> {
    let pages = number(text_of(host, "/proc/self/statm")?.split_ascii_whitespace().next()?)?;
    let status = text_of(host, "/proc/self/status")?;
    let size = status.lines().find_map(|line| line.strip_prefix("VmSize:"))?;
    let kilobytes = number(size.trim().strip_suffix("kB")?.trim())?;
    let page = (kilobytes * 1024.0 / pages).log2().round().exp2();
    page.is_normal().then_some(page)
}

/// The columns of `/proc/net/softnet_stat` that are still in use, and the metric's name.
const SOFTNET: [(usize, &str); 7] = [
    (0, "processed_total"),
    (1, "dropped_total"),
    (2, "times_squeezed_total"),
    (8, "cpu_collision_total"),
    (9, "received_rps_total"),
    (10, "flow_limit_count_total"),
    (11, "backlog_len"),
];
/// The column that tells the processor; before Linux 5.10 it is the line.
const SOFTNET_CPU: usize = 12;

pub(super) fn softnet(host: &dyn Host, samples: &mut Samples) -> Option<()> {
    let text = text_of(host, "/proc/net/softnet_stat")?;
    for (line_number, line) in text.lines().enumerate() {
        let columns: Vec<u32> =
            line.split_ascii_whitespace().map_while(|word| u32::from_str_radix(word, 16).ok()).collect();
        let cpu = columns.get(SOFTNET_CPU).map_or(line_number.to_string(), ToString::to_string);
        for (column, name) in SOFTNET {
            if let Some(value) = columns.get(column) {
                samples.push(&format!("node_softnet_{name}"), &[("cpu", &cpu)], f64::from(*value));
            }
        }
    }
    Some(())
}

pub(super) fn arp(host: &dyn Host, samples: &mut Samples) -> Option<()> {
    let text = text_of(host, "/proc/net/arp")?;
    let mut entries: BTreeMap<&str, f64> = BTreeMap::new();
    for device in text.lines().skip(1).filter_map(|line| line.split_ascii_whitespace().last()) {
        *entries.entry(device).or_default() += 1.0;
    }
    for (device, count) in entries {
        samples.push("node_arp_entries", &[("device", device)], count);
    }
    Some(())
}

pub(super) fn udp_queues(host: &dyn Host, samples: &mut Samples) -> Option<()> {
    for (version, file) in [("v4", "/proc/net/udp"), ("v6", "/proc/net/udp6")] {
        // Version 6 may be switched off.
        let text = match text_of(host, file) {
            Some(text) => text,
            None if version == "v6" => break,
            None => return None,
        };
        let (mut sent, mut received) = (0, 0);
        for queues in text.lines().skip(1).filter_map(|line| line.split_ascii_whitespace().nth(4)) {
            let bytes = |hex| u64::from(u32::from_str_radix(hex, 16).unwrap_or(0));
            if let Some((tx, rx)) = queues.split_once(':') {
                (sent, received) = (sent + bytes(tx), received + bytes(rx));
            }
        }
        samples.push("node_udp_queues", &[("ip", version), ("queue", "tx")], sent as f64);
        samples.push("node_udp_queues", &[("ip", version), ("queue", "rx")], received as f64);
    }
    Some(())
}
