//! Measures the time from sending one decisive sample to the arrival of its page.
//!
//! Starts the release build of the program with a rule and a webhook receiver on loopback, writes
//! a healthy sample for each probe's series, and then, probe by probe, the sample that makes the
//! rule true. The clock runs from before the remote-write request is sent until the whole webhook
//! request has been read. Every sample is synced to disk before the page leaves; how long the disk takes for so little is
//! measured between the probes, by a file beside the data.
//!
//! ```sh
//! cargo build --release && cargo run --release --example page_latency -- --probes 200
//! ```

mod harness;

use std::error::Error;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::time::{Duration, Instant};

use clap::Parser;
use evenkeel::model::{Batch, Labels, Sample, Timestamp};
use evenkeel::wire::encode_remote_write;
use harness::{Http, Server, now_ms, program, quantile, webhook_receiver};

/// Measures the time from sending one decisive sample to the arrival of its page.
#[derive(Parser)]
struct Options {
    /// Pages that are waited for, one after the other
    #[arg(long, default_value_t = 200)]
    probes: usize,
}

/// What is written and synced to know the disk: as much as a small entry of the log.
const DISK_PROBE_BYTES: usize = 256;

fn main() -> Result<(), Box<dyn Error>> {
    let Options { probes } = Options::parse();
    let dir = tempfile::tempdir()?;
    let (receiver, pages) = webhook_receiver()?;
    std::fs::write(
        dir.path().join("rules.yml"),
        "groups:\n- name: probes\n  rules:\n  - alert: ProbeHigh\n    expr: probe_level > 0\n    labels: {severity: page}\n",
    )?;
    std::fs::write(
        dir.path().join("alertmanager.yml"),
        format!(
            "route: {{receiver: pager, group_by: ['...'], group_wait: 0s, group_interval: 1m, repeat_interval: 1h}}\n\
             receivers: [{{name: pager, webhook_configs: [{{url: 'http://{receiver}/'}}]}}]\n"
        ),
    )?;
    let config = dir.path().join("prometheus.yml");
    std::fs::write(&config, "rule_files: [rules.yml]\nalertmanager_file: alertmanager.yml\n")?;
    let server = Server::start(&program()?, &dir.path().join("data"), Some(&config))?;
    let mut http = Http::connect(server.address)?;
    for probe in 0..probes {
        write(&mut http, probe, 0.0)?;
    }
    let disk = DiskProbe::new(dir.path(), probes)?;
    let (mut to_page, mut to_answer, mut to_sync) = (Vec::new(), Vec::new(), Vec::new());
    for probe in 0..probes {
        // A little apart, so that one probe's page does not ride along with another's.
        std::thread::sleep(Duration::from_millis(10));
        to_sync.push(disk.sync(probe)?.as_secs_f64() * 1e3);
        std::thread::sleep(Duration::from_millis(10));
        let sent = Instant::now();
        write(&mut http, probe, 1.0)?;
        to_answer.push(sent.elapsed().as_secs_f64() * 1e3);
        let page = pages.recv_timeout(Duration::from_secs(10)).map_err(|_| format!("no page for probe {probe}"))?;
        if !page.body.contains(&format!("\"probe\":\"{probe}\"")) {
            return Err(format!("probe {probe} got the page {}", page.body).into());
        }
        to_page.push((page.arrived - sent).as_secs_f64() * 1e3);
    }
    println!("{probes} probes, every sample synced before its page left (ms)");
    println!("{:<42}{:>8}{:>8}{:>8}{:>8}", "", "median", "p90", "p99", "max");
    for (name, mut times) in [
        ("decisive sample sent -> page arrived", to_page),
        ("decisive sample sent -> acknowledged", to_answer),
        ("the disk alone: 256 bytes synced", to_sync),
    ] {
        times.sort_by(f64::total_cmp);
        let at = |q| quantile(&times, q);
        println!("{name:<42}{:>8.2}{:>8.2}{:>8.2}{:>8.2}", at(0.5), at(0.9), at(0.99), at(1.0));
    }
    Ok(())
}

/// A file that has its size already, as segments of the log do, so that a sync is of bytes alone.
struct DiskProbe(File);

impl DiskProbe {
    fn new(dir: &Path, probes: usize) -> Result<DiskProbe, Box<dyn Error>> {
        let file = File::create(dir.join("disk-probe"))?;
        file.write_all_at(&vec![1; (probes + 1) * DISK_PROBE_BYTES], 0)?;
        file.sync_all()?;
        Ok(DiskProbe(file))
    }

    fn sync(&self, probe: usize) -> Result<Duration, Box<dyn Error>> {
        let begun = Instant::now();
        self.0.write_all_at(&[2; DISK_PROBE_BYTES], (probe * DISK_PROBE_BYTES) as u64)?;
        self.0.sync_data()?;
        Ok(begun.elapsed())
    }
}

fn write(http: &mut Http, probe: usize, level: f64) -> Result<(), Box<dyn Error>> {
    let mut batch = Batch::new();
    let labels = Labels::new([("__name__", "probe_level"), ("probe", probe.to_string().as_str())])?;
    batch.push(labels, Sample { t: Timestamp(now_ms()), v: level });
    let answer = http.remote_write(&encode_remote_write(&batch))?;
    if answer.status != 204 {
        return Err(format!("the write was answered with {}: {}", answer.status, answer.text()).into());
    }
    Ok(())
}
