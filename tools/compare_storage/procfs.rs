//! What the kernel says about a process and the machine.

use std::fs;
use std::process::Command;
use std::sync::OnceLock;

use crate::Outcome;

/// Figures of a process at one instant.
#[derive(Clone, Copy, Default, Debug)]
pub(crate) struct Figures {
    /// Processor time of all threads and of children that ended, in seconds.
    pub(crate) cpu: f64,
    /// Resident bytes.
    pub(crate) resident: u64,
    /// Resident bytes that belong to no file.
    pub(crate) anonymous: u64,
    /// The most that was ever resident.
    pub(crate) peak: u64,
    /// Bytes that were given to the disk.
    pub(crate) written: u64,
}

/// Reads the figures of a process.
pub(crate) fn figures(pid: u32) -> Outcome<Figures> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let io = fs::read_to_string(format!("/proc/{pid}/io"))?;
    let kib = |name: &str| number(&status, name) * 1024;
    Ok(Figures {
        cpu: processor_time(pid)?.seconds,
        resident: kib("VmRSS:"),
        anonymous: kib("RssAnon:"),
        peak: kib("VmHWM:"),
        written: number(&io, "write_bytes:"),
    })
}

/// Processor time so far, and whether the process has ended and only waits to be waited for.
pub(crate) struct ProcessorTime {
    pub(crate) seconds: f64,
    pub(crate) ended: bool,
}

/// Reads the processor time, which can still be read of a process that has ended.
pub(crate) fn processor_time(pid: u32) -> Outcome<ProcessorTime> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    // The program's name may hold spaces; it ends with the last parenthesis.
    let (_, rest) = stat.rsplit_once(") ").ok_or("no name in /proc/PID/stat")?;
    let fields: Vec<&str> = rest.split(' ').collect();
    // Fields 14 to 17 of proc(5): utime, stime, cutime, cstime; the state is field 3.
    let ticks: u64 =
        fields.get(11..15).ok_or("too few fields in /proc/PID/stat")?.iter().flat_map(|f| f.parse::<u64>()).sum();
    Ok(ProcessorTime { seconds: ticks as f64 / ticks_per_second(), ended: matches!(fields.first(), Some(&"Z" | &"X")) })
}

fn ticks_per_second() -> f64 {
    static TICKS: OnceLock<f64> = OnceLock::new();
    *TICKS.get_or_init(|| {
        let said = Command::new("getconf").arg("CLK_TCK").output().map(|output| output.stdout).unwrap_or_default();
        // Linux has had 100 on every common machine for decades.
        String::from_utf8_lossy(&said).trim().parse().unwrap_or(100.0)
    })
}

/// The number behind a name at the beginning of a line.
fn number(text: &str, name: &str) -> u64 {
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    line.and_then(|rest| rest.split_whitespace().next()).and_then(|word| word.parse().ok()).unwrap_or(0)
}

/// The load averages of the machine.
pub(crate) fn load() -> String {
    let text = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split(' ').take(3).collect::<Vec<_>>().join(" ")
}

/// Now, in words.
pub(crate) fn utc() -> String {
    let said = Command::new("date").args(["-u", "+%F %H:%M UTC"]).output().map(|output| output.stdout);
    said.map(|out| String::from_utf8_lossy(&out).trim().to_owned()).unwrap_or_default()
}

/// Puts all threads of this process on a core.
pub(crate) fn stay_on_core(core: u32) -> Outcome<()> {
    let pid = std::process::id().to_string();
    let output = Command::new("taskset").args(["-a", "-p", "-c", &core.to_string(), &pid]).output();
    let output = output.map_err(|error| format!("taskset: {error}; it is part of util-linux, or say --no-pin"))?;
    if output.status.success() { Ok(()) } else { Err(String::from_utf8_lossy(&output.stderr).into_owned().into()) }
}
