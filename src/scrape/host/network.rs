//! The network interfaces: what passed through them, and what they are.

use super::samples::{Samples, number, number_of, text_of};
use crate::env::Host;
use std::path::Path;

/// The columns of `/proc/net/dev`, in order.
const COLUMNS: [&str; 16] = [
    "receive_bytes",
    "receive_packets",
    "receive_errs",
    "receive_drop",
    "receive_fifo",
    "receive_frame",
    "receive_compressed",
    "receive_multicast",
    "transmit_bytes",
    "transmit_packets",
    "transmit_errs",
    "transmit_drop",
    "transmit_fifo",
    "transmit_colls",
    "transmit_carrier",
    "transmit_compressed",
];

/// Files of `/sys/class/net/<device>` with one number, and the metric's name.
const NUMBERS: [(&str, &str); 17] = [
    ("addr_assign_type", "node_network_address_assign_type"),
    ("carrier", "node_network_carrier"),
    ("carrier_changes", "node_network_carrier_changes_total"),
    ("carrier_down_count", "node_network_carrier_down_changes_total"),
    ("carrier_up_count", "node_network_carrier_up_changes_total"),
    ("dev_id", "node_network_device_id"),
    ("dormant", "node_network_dormant"),
    ("flags", "node_network_flags"),
    ("ifindex", "node_network_iface_id"),
    ("iflink", "node_network_iface_link"),
    ("link_mode", "node_network_iface_link_mode"),
    ("mtu", "node_network_mtu_bytes"),
    ("name_assign_type", "node_network_name_assign_type"),
    ("netdev_group", "node_network_net_dev_group"),
    ("tx_queue_len", "node_network_transmit_queue_length"),
    ("type", "node_network_protocol_type"),
    ("statistics/rx_nohandler", "node_network_receive_nohandler_total"),
];

/// A megabit a second in bytes a second.
const MEGABIT_BYTES: f64 = 125_000.0;
/// The flag that an administrator sets.
const FLAG_UP: u64 = 1;

pub(super) fn devices(host: &dyn Host, samples: &mut Samples) -> Option<()> {
    let text = text_of(host, "/proc/net/dev")?;
    for line in text.lines() {
        let Some((device, values)) = line.split_once(':') else { continue };
        for (column, value) in COLUMNS.iter().zip(values.split_ascii_whitespace().map_while(number)) {
            samples.push(&format!("node_network_{column}_total"), &[("device", device.trim())], value);
        }
    }
    Some(())
}

pub(super) fn classes(host: &dyn Host, samples: &mut Samples) -> Option<()> {
    for path in host.list(Path::new("/sys/class/net")).ok()? {
        let Some(device) = path.file_name().and_then(|name| name.to_str()) else { continue };
        let file = |name: &str| format!("/sys/class/net/{device}/{name}");
        let word = |name: &str| text_of(host, &file(name)).unwrap_or_default().trim().to_owned();
        // Bonding keeps a plain file among the interfaces.
        let Some(flags) = number_of(host, &file("flags")) else { continue };
        for (name, metric) in NUMBERS {
            // An interface that is down refuses some of them.
            if let Some(value) = number_of(host, &file(name)) {
                samples.push(metric, &[("device", device)], value);
            }
        }
        if let Some(speed) = number_of(host, &file("speed")) {
            samples.push("node_network_speed_bytes", &[("device", device)], speed * MEGABIT_BYTES);
        }
        let state = word("operstate");
        samples.push("node_network_up", &[("device", device)], f64::from(u8::from(state == "up")));
        let about = [
            ("address", word("address")),
            ("adminstate", if flags as u64 & FLAG_UP == 0 { "down" } else { "up" }.to_owned()),
            ("broadcast", word("broadcast")),
            ("device", device.to_owned()),
            ("duplex", word("duplex")),
            ("ifalias", word("ifalias")),
            ("operstate", state),
        ];
        let about = about.each_ref().map(|(name, value)| (*name, value.as_str()));
        samples.push("node_network_info", &about, 1.0);
    }
    Some(())
}
