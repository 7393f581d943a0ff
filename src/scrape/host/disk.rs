//! `/proc/diskstats`: what each disk did.

use std::sync::LazyLock;

use regex::Regex;

use super::samples::{Samples, number, text_of};
use crate::env::Host;

/// Memory disks, loop devices and partitions: node_exporter's default.
static EXCLUDED: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"^(z?ram|loop|fd|(h|s|v|xv)d[a-z]|nvme[0-9]+n[0-9]+p)[0-9]+$").expect("a fixed pattern is valid")
});

/// The kernel counts in sectors of this size, whatever the disk's own.
const SECTOR_BYTES: f64 = 512.0;
const MILLISECOND: f64 = 0.001;

/// The fields behind the device's name, in order, with the factor to the metric's unit.
const FIELDS: [(&str, f64); 17] = [
    ("node_disk_reads_completed_total", 1.0),
    ("node_disk_reads_merged_total", 1.0),
    ("node_disk_read_bytes_total", SECTOR_BYTES),
    ("node_disk_read_time_seconds_total", MILLISECOND),
    ("node_disk_writes_completed_total", 1.0),
    ("node_disk_writes_merged_total", 1.0),
    ("node_disk_written_bytes_total", SECTOR_BYTES),
    ("node_disk_write_time_seconds_total", MILLISECOND),
    ("node_disk_io_now", 1.0),
    ("node_disk_io_time_seconds_total", MILLISECOND),
    ("node_disk_io_time_weighted_seconds_total", MILLISECOND),
    ("node_disk_discards_completed_total", 1.0),
    ("node_disk_discards_merged_total", 1.0),
    ("node_disk_discarded_sectors_total", 1.0),
    ("node_disk_discard_time_seconds_total", MILLISECOND),
    ("node_disk_flush_requests_total", 1.0),
    ("node_disk_flush_requests_time_seconds_total", MILLISECOND),
];

pub(super) fn collect(host: &dyn Host, samples: &mut Samples) -> Option<()> {
    let text = text_of(host, "/proc/diskstats")?;
    for line in text.lines() {
        let mut words = line.split_ascii_whitespace();
        let (Some(major), Some(minor), Some(device)) = (words.next(), words.next(), words.next()) else { continue };
        if EXCLUDED.is_match(device) {
            continue;
        }
        let rotational = text_of(host, &format!("/sys/block/{device}/queue/rotational")).unwrap_or_default();
        let about = [("device", device), ("major", major), ("minor", minor), ("rotational", rotational.trim())];
        samples.push("node_disk_info", &about, 1.0);
        // Older kernels end the line earlier.
        for ((name, factor), value) in FIELDS.iter().zip(words.map_while(number)) {
            samples.push(name, &[("device", device)], value * factor);
        }
    }
    Some(())
}
