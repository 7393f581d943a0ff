//! This host's metrics from fixture texts, with the values that node_exporter gives for them.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use evenkeel::env::{FileSystemSpace, Host, RealHost};
use evenkeel::model::Timestamp;
use evenkeel::scrape::Collect;
use evenkeel::scrape::host::{HostCollector, hostname, samples};

/// A machine made of texts.
#[derive(Default, Clone)]
struct Texts(BTreeMap<&'static str, &'static str>);

impl Host for Texts {
    fn read(&self, path: &Path) -> io::Result<String> {
        let text = self.0.get(path.to_str().unwrap()).copied();
        text.map(str::to_owned).ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn list(&self, path: &Path) -> io::Result<Vec<PathBuf>> {
        let mut names: Vec<PathBuf> = (self.0.keys())
            .filter_map(|file| Path::new(file).strip_prefix(path).ok())
            .filter_map(|rest| rest.components().next().map(|first| path.join(first)))
            .collect();
        names.dedup();
        if names.is_empty() { Err(io::ErrorKind::NotFound.into()) } else { Ok(names) }
    }

    fn space(&self, path: &Path) -> io::Result<FileSystemSpace> {
        if path == Path::new("/broken") {
            return Err(io::Error::other("stale file handle"));
        }
        Ok(FileSystemSpace {
            size_bytes: 1000,
            free_bytes: 500,
            available_bytes: 400,
            files: 100,
            files_free: 90,
            read_only: false,
        })
    }
}

/// The samples as lines, those about the collectors left out.
fn lines(texts: &[(&'static str, &'static str)]) -> Vec<String> {
    let host = Texts(texts.iter().copied().collect());
    let all = samples(&host, Timestamp(1500));
    let all = all.iter().filter(|(labels, _)| labels.metric_name() != "node_scrape_collector_success");
    all.map(|(labels, value)| format!("{labels} {value}")).filter(|line| line != "node_time_seconds 1.5").collect()
}

#[track_caller]
fn check(texts: &[(&'static str, &'static str)], expected: &str) {
    let expected: Vec<&str> = expected.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    assert_eq!(lines(texts), expected);
}

#[test]
fn processor_time_is_in_seconds() {
    let text = "cpu  30 0 0 0 0 0 0 0 0 0\ncpu0 14711 1 3938 149093 305 2 19 13 7 8\nintr 410711 0 0\nctxt 682880\n\
                btime 1795441603\nprocesses 19205\nprocs_running 3\nprocs_blocked 1\nsoftirq 251048 0\n";
    check(
        &[("/proc/stat", text)],
        r#"
        node_cpu_seconds_total{cpu="0", mode="user"} 147.11
        node_cpu_seconds_total{cpu="0", mode="nice"} 0.01
        node_cpu_seconds_total{cpu="0", mode="system"} 39.38
        node_cpu_seconds_total{cpu="0", mode="idle"} 1490.93
        node_cpu_seconds_total{cpu="0", mode="iowait"} 3.05
        node_cpu_seconds_total{cpu="0", mode="irq"} 0.02
        node_cpu_seconds_total{cpu="0", mode="softirq"} 0.19
        node_cpu_seconds_total{cpu="0", mode="steal"} 0.13
        node_cpu_guest_seconds_total{cpu="0", mode="user"} 0.07
        node_cpu_guest_seconds_total{cpu="0", mode="nice"} 0.08
        node_intr_total 410711
        node_context_switches_total 682880
        node_boot_time_seconds 1795441603
        node_forks_total 19205
        node_procs_running 3
        node_procs_blocked 1
        "#,
    );
}

#[test]
fn memory_is_in_bytes() {
    let text = "MemTotal:       24684084 kB\nActive(anon):       1560 kB\nHugePages_Total:       2\nodd\n";
    let vmstat = "nr_free_pages 7\npgpgin 11\npgfault 12\npgmajfault 13\npgsteal_kswapd 1\npswpout 14\noom_kill 15\n";
    check(
        &[("/proc/meminfo", text), ("/proc/vmstat", vmstat)],
        "
        node_memory_MemTotal_bytes 25276502016
        node_memory_Active_anon_bytes 1597440
        node_memory_HugePages_Total 2
        node_vmstat_pgpgin 11
        node_vmstat_pgfault 12
        node_vmstat_pgmajfault 13
        node_vmstat_pswpout 14
        node_vmstat_oom_kill 15
        ",
    );
}

#[test]
fn disks_are_counted_and_partitions_are_not() {
    let text = "   7 0 loop0 1 0 0 0 0 0 0 0 0 0 0\n   8 1 sda1 1 0 0 0 0 0 0 0 0 0 0\n 259 1 nvme0n1p1 1 0 0\n \
                254 0 vda 76696 18300 10 61679 27034 64671 20 102541 3 21148 165540 9864 26 1033984 1147 2955 500\n \
                259 0 nvme0n1 5 0 2 0\n";
    check(
        &[("/proc/diskstats", text), ("/sys/block/vda/queue/rotational", "0\n")],
        r#"
        node_disk_info{device="vda", major="254", minor="0", rotational="0"} 1
        node_disk_reads_completed_total{device="vda"} 76696
        node_disk_reads_merged_total{device="vda"} 18300
        node_disk_read_bytes_total{device="vda"} 5120
        node_disk_read_time_seconds_total{device="vda"} 61.679
        node_disk_writes_completed_total{device="vda"} 27034
        node_disk_writes_merged_total{device="vda"} 64671
        node_disk_written_bytes_total{device="vda"} 10240
        node_disk_write_time_seconds_total{device="vda"} 102.541
        node_disk_io_now{device="vda"} 3
        node_disk_io_time_seconds_total{device="vda"} 21.148
        node_disk_io_time_weighted_seconds_total{device="vda"} 165.54
        node_disk_discards_completed_total{device="vda"} 9864
        node_disk_discards_merged_total{device="vda"} 26
        node_disk_discarded_sectors_total{device="vda"} 1033984
        node_disk_discard_time_seconds_total{device="vda"} 1.147
        node_disk_flush_requests_total{device="vda"} 2955
        node_disk_flush_requests_time_seconds_total{device="vda"} 0.5
        node_disk_info{device="nvme0n1", major="259", minor="0"} 1
        node_disk_reads_completed_total{device="nvme0n1"} 5
        node_disk_reads_merged_total{device="nvme0n1"} 0
        node_disk_read_bytes_total{device="nvme0n1"} 1024
        node_disk_read_time_seconds_total{device="nvme0n1"} 0
        "#,
    );
}

#[test]
fn file_systems_are_shown_with_their_faults() {
    let text = "22 27 0:21 / /proc rw,relatime - proc proc rw\n\
                27 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw,discard\n\
                27 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw,discard\n\
                30 27 254:1 / /my\\040data ro,relatime - xfs /dev/vdb rw\n\
                31 27 0:30 / /broken rw - nfs4 host:/x rw\n\
                32 27 0:31 / /var/lib/docker/overlay2/x rw - ext4 /dev/vdc rw\n\
                33 27 0:32 / /merged rw - overlay overlay rw\n";
    check(
        &[("/proc/self/mountinfo", text)],
        r#"
        node_filesystem_device_error{device="/dev/vda", fstype="ext4", mountpoint="/"} 0
        node_filesystem_readonly{device="/dev/vda", fstype="ext4", mountpoint="/"} 0
        node_filesystem_size_bytes{device="/dev/vda", fstype="ext4", mountpoint="/"} 1000
        node_filesystem_free_bytes{device="/dev/vda", fstype="ext4", mountpoint="/"} 500
        node_filesystem_avail_bytes{device="/dev/vda", fstype="ext4", mountpoint="/"} 400
        node_filesystem_files{device="/dev/vda", fstype="ext4", mountpoint="/"} 100
        node_filesystem_files_free{device="/dev/vda", fstype="ext4", mountpoint="/"} 90
        node_filesystem_mount_info{device="/dev/vda", major="254", minor="0", mountpoint="/"} 1
        node_filesystem_device_error{device="/dev/vdb", fstype="xfs", mountpoint="/my data"} 0
        node_filesystem_readonly{device="/dev/vdb", fstype="xfs", mountpoint="/my data"} 1
        node_filesystem_size_bytes{device="/dev/vdb", fstype="xfs", mountpoint="/my data"} 1000
        node_filesystem_free_bytes{device="/dev/vdb", fstype="xfs", mountpoint="/my data"} 500
        node_filesystem_avail_bytes{device="/dev/vdb", fstype="xfs", mountpoint="/my data"} 400
        node_filesystem_files{device="/dev/vdb", fstype="xfs", mountpoint="/my data"} 100
        node_filesystem_files_free{device="/dev/vdb", fstype="xfs", mountpoint="/my data"} 90
        node_filesystem_mount_info{device="/dev/vdb", major="254", minor="1", mountpoint="/my data"} 1
        node_filesystem_device_error{device="host:/x", device_error="stale file handle", fstype="nfs4", mountpoint="/broken"} 1
        node_filesystem_readonly{device="host:/x", device_error="stale file handle", fstype="nfs4", mountpoint="/broken"} 0
        "#,
    );
    // In a container the root is an overlay and is shown all the same.
    let container = lines(&[("/proc/self/mountinfo", "1 0 0:99 / / rw - overlay overlay rw\n")]);
    assert!(container.iter().any(|line| line.starts_with("node_filesystem_avail_bytes{device=\"overlay\"")));
}

#[test]
fn interfaces_are_counted_and_described() {
    let text = "Inter-|   Receive  |  Transmit\n face |bytes packets|bytes\n\
                  eth0: 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16\n";
    let counted = lines(&[("/proc/net/dev", text)]);
    assert_eq!(counted.len(), 16);
    assert_eq!(counted[0], r#"node_network_receive_bytes_total{device="eth0"} 1"#);
    assert_eq!(counted[7], r#"node_network_receive_multicast_total{device="eth0"} 8"#);
    assert_eq!(counted[8], r#"node_network_transmit_bytes_total{device="eth0"} 9"#);
    assert_eq!(counted[15], r#"node_network_transmit_compressed_total{device="eth0"} 16"#);
    check(
        &[
            ("/sys/class/net/eth0/flags", "0x1003\n"),
            ("/sys/class/net/eth0/dev_id", "0x0\n"),
            ("/sys/class/net/eth0/operstate", "up\n"),
            ("/sys/class/net/eth0/speed", "1000\n"),
            ("/sys/class/net/eth0/mtu", "1400\n"),
            ("/sys/class/net/eth0/address", "02:fc:00:00:00:01\n"),
            ("/sys/class/net/bonding_masters", "bond0\n"),
        ],
        r#"
        node_network_device_id{device="eth0"} 0
        node_network_flags{device="eth0"} 4099
        node_network_mtu_bytes{device="eth0"} 1400
        node_network_speed_bytes{device="eth0"} 125000000
        node_network_up{device="eth0"} 1
        node_network_info{address="02:fc:00:00:00:01", adminstate="up", device="eth0", operstate="up"} 1
        "#,
    );
}

#[test]
fn protocols_and_sockets_are_counted() {
    check(
        &[
            ("/proc/net/netstat", "TcpExt: SyncookiesSent Other\nTcpExt: 3 9\nIpExt: InOctets\nIpExt: 55\n"),
            ("/proc/net/snmp", "Tcp: ActiveOpens MaxConn CurrEstab\nTcp: 76 -1 4\nUdp: InErrors\nUdp: 2\n"),
            ("/proc/net/snmp6", "Ip6InOctets    71\nIcmp6InMsgs  1\nIp6Other 1\n"),
            ("/proc/net/sockstat", "sockets: used 15\nTCP: inuse 1 mem 431\n"),
            ("/proc/net/sockstat6", "FRAG6: inuse 0 memory 2\n"),
            ("/proc/self/statm", "1000 5 5\n"),
            ("/proc/self/status", "Name:\tx\nVmSize:\t    4012 kB\n"),
        ],
        r"
        node_netstat_TcpExt_SyncookiesSent 3
        node_netstat_IpExt_InOctets 55
        node_netstat_Tcp_ActiveOpens 76
        node_netstat_Tcp_CurrEstab 4
        node_netstat_Udp_InErrors 2
        node_netstat_Ip6_InOctets 71
        node_netstat_Icmp6_InMsgs 1
        node_sockstat_sockets_used 15
        node_sockstat_TCP_inuse 1
        node_sockstat_TCP_mem 431
        node_sockstat_TCP_mem_bytes 1765376
        node_sockstat_FRAG6_inuse 0
        node_sockstat_FRAG6_memory 2
        ",
    );
}

#[test]
fn queues_neighbours_and_connections_are_counted() {
    check(
        &[
            ("/proc/net/arp", "IP address HW type\n192.0.2.1 0x1 0x2 02:fc * eth0\n192.0.2.2 0x1 0x2 02:fd * eth0\n"),
            ("/proc/sys/net/netfilter/nf_conntrack_count", "2\n"),
            ("/proc/sys/net/netfilter/nf_conntrack_max", "262144\n"),
            ("/proc/net/stat/nf_conntrack", "entries found drop\n0000000f 00000010 00000001\n0 1 0\n"),
            ("/proc/net/softnet_stat", "0000260e 1 2 0 0 0 0 0 3 4 5 6 00000001 0 0\n"),
            (
                "/proc/net/udp",
                "  sl local\n 1: 00000000:0044 00000000:0000 07 00000010:00000001 00\n 2: x y z 00000001:00000000 0\n",
            ),
        ],
        r#"
        node_arp_entries{device="eth0"} 2
        node_nf_conntrack_entries 2
        node_nf_conntrack_entries_limit 262144
        node_nf_conntrack_stat_found 17
        node_nf_conntrack_stat_drop 1
        node_softnet_processed_total{cpu="1"} 9742
        node_softnet_dropped_total{cpu="1"} 1
        node_softnet_times_squeezed_total{cpu="1"} 2
        node_softnet_cpu_collision_total{cpu="1"} 3
        node_softnet_received_rps_total{cpu="1"} 4
        node_softnet_flow_limit_count_total{cpu="1"} 5
        node_softnet_backlog_len{cpu="1"} 6
        node_udp_queues{ip="v4", queue="tx"} 17
        node_udp_queues{ip="v4", queue="rx"} 1
        "#,
    );
}

#[test]
fn the_system_is_described() {
    let os = "PRETTY_NAME=\"Debian \\\"x\\\"\"\nVERSION_ID='22.04.3'\nID=debian\nHOME_URL=\"https://x\"\n";
    check(
        &[
            ("/proc/sys/kernel/random/entropy_avail", "256\n"),
            ("/proc/sys/kernel/random/poolsize", "256\n"),
            ("/proc/sys/fs/file-nr", "556\t0\t2466170\n"),
            ("/proc/sys/kernel/hung_task_detect_count", "0\n"),
            ("/proc/loadavg", "0.36 0.35 0.26 2/93 26068\n"),
            ("/etc/os-release", os),
            ("/proc/pressure/cpu", "some avg10=2.77 total=34534477\nfull avg10=0.00 total=0\n"),
            ("/proc/pressure/io", "some avg10=1.21 total=9964031\nfull avg10=0.95 total=8912146\n"),
            ("/sys/devices/system/clocksource/clocksource0/available_clocksource", "tsc kvm-clock \n"),
            ("/sys/devices/system/clocksource/clocksource0/current_clocksource", "tsc\n"),
        ],
        r#"
        node_entropy_available_bits 256
        node_entropy_pool_size_bits 256
        node_filefd_allocated 556
        node_filefd_maximum 2466170
        node_kernel_hung_tasks_total 0
        node_load1 0.36
        node_load5 0.35
        node_load15 0.26
        node_os_info{id="debian", pretty_name="Debian \"x\"", version_id="22.04.3"} 1
        node_os_version{id="debian"} 22.04
        node_pressure_cpu_waiting_seconds_total 34.534477
        node_pressure_io_waiting_seconds_total 9.964031
        node_pressure_io_stalled_seconds_total 8.912146
        node_time_clocksource_available_info{clocksource="tsc", device="0"} 1
        node_time_clocksource_available_info{clocksource="kvm-clock", device="0"} 1
        node_time_clocksource_current_info{clocksource="tsc", device="0"} 1
        "#,
    );
}

#[test]
fn the_machine_is_named() {
    let texts = [("/proc/sys/kernel/hostname", "vm\n"), ("/proc/sys/kernel/osrelease", "6.18\n")];
    let machine = std::env::consts::ARCH;
    check(&texts, &format!("node_uname_info{{machine=\"{machine}\", nodename=\"vm\", release=\"6.18\"}} 1"));
    assert_eq!(hostname(&Texts(texts.into_iter().collect())), "vm");
    assert_eq!(hostname(&Texts::default()), "localhost");
}

#[test]
fn a_file_that_is_absent_costs_only_its_own_metrics() {
    let host = Texts([("/proc/loadavg", "1 2 3")].into_iter().collect());
    let all = HostCollector::new(Arc::new(host)).collect(Timestamp(0));
    let of = |collector: &str| {
        let found = all.iter().find(|(labels, _)| labels.get("collector") == collector);
        found.map(|(_, value)| *value)
    };
    assert_eq!((of("loadavg"), of("cpu"), of("netclass")), (Some(1.0), Some(0.0), Some(0.0)));
    assert!(all.iter().any(|(labels, _)| labels.metric_name() == "node_load15"));
}

#[test]
fn texts_full_of_nonsense_are_passed_over() {
    let nonsense = [
        "",
        "\n\n\n",
        ":::\n: :\n - \n",
        "cpu\ncpu0\ncpuX x y\n",
        "é é é\n\u{0}\n",
        "1\n2\n3\n",
        "a b c d e f g h i j k l m n\n",
    ];
    let files = [
        "/proc/stat",
        "/proc/meminfo",
        "/proc/vmstat",
        "/proc/diskstats",
        "/proc/self/mountinfo",
        "/proc/net/dev",
        "/sys/class/net/x/flags",
        "/proc/net/netstat",
        "/proc/net/snmp",
        "/proc/net/snmp6",
        "/proc/net/sockstat",
        "/proc/self/statm",
        "/proc/self/status",
        "/proc/net/softnet_stat",
        "/proc/net/arp",
        "/proc/net/udp",
        "/proc/sys/net/netfilter/nf_conntrack_count",
        "/proc/net/stat/nf_conntrack",
        "/proc/loadavg",
        "/proc/sys/fs/file-nr",
        "/proc/pressure/cpu",
        "/etc/os-release",
        "/proc/sys/kernel/osrelease",
    ];
    for text in nonsense {
        let host = Texts(files.into_iter().map(|file| (file, text)).collect());
        assert!(samples(&host, Timestamp(0)).iter().all(|(_, value)| value.is_finite()), "{text:?}");
    }
}

#[test]
fn a_real_linux_says_what_dashboards_ask_for() {
    if !cfg!(target_os = "linux") {
        return;
    }
    let all = samples(&RealHost, Timestamp(1_000_000));
    for name in ["node_cpu_seconds_total", "node_memory_MemAvailable_bytes", "node_load1", "node_boot_time_seconds"] {
        assert!(all.iter().any(|(labels, _)| labels.metric_name() == name), "{name} is missing");
    }
    let mut series: Vec<_> = all.iter().map(|(labels, _)| labels).collect();
    series.sort();
    assert!(series.windows(2).all(|two| two[0] != two[1]), "a series stands twice");
}
