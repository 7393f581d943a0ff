//! The mounted file systems and their sizes.

use std::collections::HashSet;
use std::path::Path;
use std::sync::LazyLock;

use regex::Regex;

use super::samples::{Samples, text_of};
use crate::env::Host;

/// Mount points that say nothing of the host: node_exporter's default.
static EXCLUDED_POINTS: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"^/(dev|proc|run/credentials/.+|sys|var/lib/docker/.+|var/lib/containers/storage/.+)($|/)")
        .expect("a fixed pattern is valid")
});

/// File systems without room to run out of, or whose room is another's: node_exporter's default.
const EXCLUDED_TYPES: [&str; 25] = [
    "autofs",
    "binfmt_misc",
    "bpf",
    "cgroup",
    "cgroup2",
    "configfs",
    "debugfs",
    "devpts",
    "devtmpfs",
    "erofs",
    "fusectl",
    "hugetlbfs",
    "iso9660",
    "mqueue",
    "nsfs",
    "overlay",
    "proc",
    "procfs",
    "pstore",
    "rpc_pipefs",
    "securityfs",
    "selinuxfs",
    "squashfs",
    "sysfs",
    "tracefs",
];

/// One line of `/proc/self/mountinfo`.
struct Mount<'a> {
    major: &'a str,
    minor: &'a str,
    point: String,
    device: String,
    kind: &'a str,
    read_only: bool,
}

impl Mount<'_> {
    fn parse(line: &str) -> Option<Mount<'_>> {
        let (left, right) = line.split_once(" - ")?;
        let mut left = left.split(' ').skip(2);
        let (major, minor) = left.next()?.split_once(':')?;
        let (point, options) = (left.nth(1)?, left.next()?);
        let mut right = right.split(' ');
        let (kind, device) = (right.next()?, right.next()?);
        let super_options = right.next().unwrap_or_default();
        let read_only = [options, super_options].iter().any(|options| options.split(',').any(|option| option == "ro"));
        Some(Mount { major, minor, point: unescape(point), device: unescape(device), kind, read_only })
    }

    fn is_shown(&self) -> bool {
        // In a container the root is an overlay, and it is the one that runs full.
        self.point == "/" || !(EXCLUDED_TYPES.contains(&self.kind) || EXCLUDED_POINTS.is_match(&self.point))
    }
}

pub(super) fn collect(host: &dyn Host, samples: &mut Samples) -> Option<()> {
    let text = text_of(host, "/proc/self/mountinfo")?;
    let mut seen = HashSet::new();
    for mount in text.lines().filter_map(Mount::parse).filter(Mount::is_shown) {
        if seen.insert((mount.device.clone(), mount.point.clone())) {
            one(host, &mount, samples);
        }
    }
    Some(())
}

fn one(host: &dyn Host, mount: &Mount<'_>, samples: &mut Samples) {
    let space = host.space(Path::new(&mount.point));
    let fault = space.as_ref().err().map(ToString::to_string).unwrap_or_default();
    let labels = [
        ("device", mount.device.as_str()),
        ("device_error", fault.as_str()),
        ("fstype", mount.kind),
        ("mountpoint", mount.point.as_str()),
    ];
    let mut push = |name, value| samples.push(name, &labels, value);
    let flag = |is: bool| f64::from(u8::from(is));
    push("node_filesystem_device_error", flag(space.is_err()));
    push("node_filesystem_readonly", flag(mount.read_only || space.as_ref().is_ok_and(|space| space.read_only)));
    let Ok(space) = space else { return };
    push("node_filesystem_size_bytes", space.size_bytes as f64);
    push("node_filesystem_free_bytes", space.free_bytes as f64);
    push("node_filesystem_avail_bytes", space.available_bytes as f64);
    push("node_filesystem_files", space.files as f64);
    push("node_filesystem_files_free", space.files_free as f64);
    let about = [
        ("device", mount.device.as_str()),
        ("major", mount.major),
        ("minor", mount.minor),
        ("mountpoint", mount.point.as_str()),
    ];
    samples.push("node_filesystem_mount_info", &about, 1.0);
}

/// The kernel writes blanks and backslashes as three octal digits.
fn unescape(text: &str) -> String {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, more)) = rest.split_first() {
        let octal = (byte == b'\\').then(|| more.first_chunk::<3>()).flatten();
        let octal = octal.and_then(|d| std::str::from_utf8(d).ok()).and_then(|d| u8::from_str_radix(d, 8).ok());
        out.push(octal.unwrap_or(byte));
        rest = if octal.is_some() { &more[3..] } else { more };
    }
    String::from_utf8_lossy(&out).into_owned()
}
