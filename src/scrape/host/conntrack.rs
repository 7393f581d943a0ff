//! The kernel's table of tracked connections.

use super::samples::{Samples, number_of, text_of};
use crate::env::Host;

/// The columns of `/proc/net/stat/nf_conntrack` that are shown, summed over the processors.
const SHOWN: [&str; 8] =
    ["found", "invalid", "ignore", "insert", "insert_failed", "drop", "early_drop", "search_restart"];

pub(super) fn collect(host: &dyn Host, samples: &mut Samples) -> Option<()> {
    let entries = number_of(host, "/proc/sys/net/netfilter/nf_conntrack_count")?;
    samples.push("node_nf_conntrack_entries", &[], entries);
    let limit = number_of(host, "/proc/sys/net/netfilter/nf_conntrack_max")?;
    samples.push("node_nf_conntrack_entries_limit", &[], limit);
    let text = text_of(host, "/proc/net/stat/nf_conntrack")?;
    let mut lines = text.lines();
    let names: Vec<&str> = lines.next()?.split_ascii_whitespace().collect();
    let rows: Vec<Vec<u64>> = lines
        .map(|line| line.split_ascii_whitespace().map_while(|word| u64::from_str_radix(word, 16).ok()).collect())
        .collect();
    for shown in SHOWN {
        // Linux 5.10 took some of the columns' meaning away but not the columns.
        if let Some(column) = names.iter().position(|name| *name == shown) {
            let sum: u64 = rows.iter().filter_map(|row| row.get(column)).fold(0, |a, b| a.saturating_add(*b));
            samples.push(&format!("node_nf_conntrack_stat_{shown}"), &[], sum as f64);
        }
    }
    Some(())
}
