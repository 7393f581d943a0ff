//! Bytes per sample on disk, after everything was compacted.
//!
//! Each program gets the same samples, one per series and request as from a scrape, and is then brought to its
//! smallest form by its own means. The directory that was measured is opened once more and asked
//! for what was sent: sizes of a store that lost something say nothing.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use clap::ValueEnum;

use crate::check::{Comparison, Truth};
use crate::fleet::{Churn, Fleet};
use crate::floats::Floats;
use crate::harness::{Http, now_ms};
use crate::options::{Options, Set};
use crate::premises::{Premises, discard};
use crate::process::Process;
use crate::program::{Kind, Program, Programs, Setup};
use crate::recording::Recording;
use crate::source::{Source, send_all};
use crate::table::{Table, bytes};
use crate::usage::Usage;
use crate::{Outcome, Output};

/// Hosts if nobody says how many: a few thousand series, tens of millions of samples.
const HOSTS: usize = 8;
/// Hosts to which a recording of one exposition a second is dealt: each has one in 15 s.
const RECORDED_HOSTS: usize = 15;
/// The longest wait until merges are over.
const MERGED_WITHIN: Duration = Duration::from_secs(900);

const HOW: &str = "\n## Bytes on disk\n
The same samples go to each by remote-write, one sample per series and request. Then:\n
- Evenkeel is stopped (which writes a checkpoint) and, where the program has the command, `evenkeel compact` runs.
  Its log and the series files, which say what the log's series are, are not counted.
- Prometheus keeps the whole span in its head and writes it as one block (an admin snapshot): one index for everything,
  which is its best case. It would have blocks of 2 to 36 hours with an index each. Its log is not counted.
- VictoriaMetrics is flushed and force-merged until no merge runs, then stopped. Its caches are not counted.\n
Then each is started on the directory that was measured and asked for random spans of random series, which are compared
with what was sent bit for bit, and for the number of all samples. *Kept* is samples with index; *beside* is logs and caches.\n";

/// What came out for one program.
struct Measured {
    series: usize,
    samples: u64,
    usage: Usage,
    beside: u64,
    cpu: f64,
    comparison: Comparison,
}

/// Measures all sets that were asked for.
pub(crate) fn run(options: &Options, programs: &Programs, premises: &Premises, output: &mut Output) -> Outcome<()> {
    output.print(HOW)?;
    if let Some(ours) = programs.all().iter().find(|program| program.kind == Kind::Evenkeel && !program.compacts()) {
        output.print(&format!(
            "({} has no `compact` yet: Evenkeel is measured as its stop leaves it.)\n",
            ours.version
        ))?;
    }
    let end = now_ms() - 60_000;
    // Read once: a recording that still goes on would be longer for the next program.
    let recording: Arc<[u8]> = match &options.recording {
        Some(path) => std::fs::read(path).map_err(|error| format!("{}: {error}", path.display()))?.into(),
        None => Arc::default(),
    };
    for &set in Set::value_variants() {
        if !options.wants_set(set) {
            continue;
        }
        if set == Set::Recorded && options.recording.is_none() {
            return Err("the recorded set needs --recording FILE; the command `record` makes one".into());
        }
        let columns = [
            "",
            "bytes/sample",
            "allocated",
            "index files",
            "kept",
            "beside",
            "CPU µs/sample",
            "given back",
            "peer ÷ ours",
        ];
        let mut table = Table::new(&columns);
        let (mut ours, mut title) = (f64::NAN, String::new());
        for program in programs.all() {
            let mut source = source(options, set, end, &recording)?;
            let found = measure(program, premises, source.as_mut(), options.seed);
            let found = found.map_err(|error| format!("{}: {error}", program.kind.name()))?;
            title = format!("### {}: {} series, {} samples\n", name(set), found.series, found.samples);
            let per_sample = found.usage.kept() as f64 / found.samples as f64;
            if program.kind == Kind::Evenkeel {
                ours = per_sample;
            }
            table.row(row(program, &found, per_sample / ours));
        }
        output.print(&format!("{title}\n{}", table.text()))?;
    }
    Ok(())
}

fn row(program: &Program, found: &Measured, ratio: f64) -> Vec<String> {
    let per_sample = |n: u64| format!("{:.3}", n as f64 / found.samples as f64);
    let index = if found.usage.index > 0 { per_sample(found.usage.index) } else { "in the blocks".into() };
    vec![
        program.kind.name().into(),
        per_sample(found.usage.kept()),
        per_sample(found.usage.allocated),
        index,
        bytes(found.usage.kept() as f64),
        bytes(found.beside as f64),
        format!("{:.2}", found.cpu * 1e6 / found.samples as f64),
        found.comparison.words(),
        if program.kind == Kind::Evenkeel || ratio.is_nan() { String::new() } else { format!("{ratio:.2}×") },
    ]
}

fn name(set: Set) -> &'static str {
    match set {
        Set::Recorded => "Recorded node_exporter",
        Set::Fleet => "Generated hosts and HTTP services",
        Set::Churn => "The same, 10 % of the targets replaced per hour",
        Set::Floats => "Random walks with all digits",
    }
}

fn source(options: &Options, set: Set, end: i64, recording: &Arc<[u8]>) -> Outcome<Box<dyn Source>> {
    let (hosts, hours, seed) = (options.hosts.unwrap_or(HOSTS), options.hours, options.seed);
    Ok(match set {
        Set::Recorded => Box::new(Recording::new(Arc::clone(recording), options.hosts.unwrap_or(RECORDED_HOSTS))?),
        Set::Fleet => Box::new(Fleet::new(hosts, hours, end, Churn::None, seed)?),
        Set::Churn => Box::new(Fleet::new(hosts, hours, end, Churn::TenPercentHourly, seed)?),
        Set::Floats => Box::new(Floats::new(hosts, hours, end, seed)?),
    })
}

fn measure(program: &Program, premises: &Premises, source: &mut dyn Source, seed: u64) -> Outcome<Measured> {
    let data = premises.fresh(program.kind.name())?;
    let process = Process::start(program, &data, Setup::OneBlock, false)?;
    let mut truth = Truth::new(seed);
    let sent = send_all(source, process.address, &mut truth)?;
    let (compacted, cpu) = compact(program, process, &data)?;
    let usage = Usage::of(program.kind, &compacted)?;
    let beside = Usage::of(program.kind, &data)?.beside;
    // A snapshot lies below the directory, and is not a thing beside the data.
    let beside = if compacted == data { beside } else { beside - usage.kept() - usage.beside };
    let process = Process::start(program, &compacted, Setup::OneBlock, false)?;
    let comparison = truth.compare(source.catalogue(), process.address)?;
    process.stop()?;
    discard(&data)?;
    Ok(Measured { series: source.catalogue().len(), samples: sent.samples, usage, beside, cpu, comparison })
}

/// Brings the data to their smallest form and stops the program; returns where they are then, and all
/// processor time that was spent on them.
fn compact(program: &Program, process: Process, data: &Path) -> Outcome<(PathBuf, f64)> {
    match program.kind {
        Kind::Evenkeel => {
            let mut cpu = process.stop()?;
            if program.compacts() {
                cpu += offline(program, data)?;
            }
            Ok((data.to_owned(), cpu))
        }
        Kind::Prometheus => {
            let answer = ask(&process, "POST", "/api/v1/admin/tsdb/snapshot")?;
            let answer: serde_json::Value = serde_json::from_str(&answer)?;
            let name = answer["data"]["name"].as_str().ok_or("the snapshot has no name")?;
            let snapshot = data.join("snapshots").join(name);
            Ok((snapshot, process.stop()?))
        }
        Kind::VictoriaMetrics => {
            ask(&process, "GET", "/internal/force_flush")?;
            ask(&process, "GET", "/internal/force_merge")?;
            wait_for_merges(&process)?;
            Ok((data.to_owned(), process.stop()?))
        }
    }
}

/// Runs our command on a directory that nobody has open; returns the processor time.
fn offline(program: &Program, data: &Path) -> Outcome<f64> {
    let output =
        Command::new("sh").args(["-c", "\"$0\" compact \"$1\" && times"]).arg(&program.path).arg(data).output()?;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    if !output.status.success() {
        return Err(format!("compact: {said}{}", String::from_utf8_lossy(&output.stderr)).into());
    }
    // The last line of `times`: user and system time of the children, as 0m1.234s.
    let seconds = |word: &str| {
        let (minutes, seconds) = word.strip_suffix('s')?.split_once('m')?;
        Some(minutes.parse::<f64>().ok()? * 60.0 + seconds.parse::<f64>().ok()?)
    };
    Ok(said.lines().last().into_iter().flat_map(str::split_whitespace).filter_map(seconds).sum())
}

fn ask(process: &Process, method: &str, path: &str) -> Outcome<String> {
    let mut http = Http::connect(process.address)?;
    http.wait_up_to(MERGED_WITHIN)?;
    let answer = if method == "POST" { http.form(path, "")? } else { http.get(path)? };
    if answer.status / 100 == 2 {
        Ok(answer.text())
    } else {
        Err(format!("{path}: {} {}", answer.status, answer.text()).into())
    }
}

/// Waits until no merge was running at three looks in a row.
fn wait_for_merges(process: &Process) -> Outcome<()> {
    let begun = Instant::now();
    let mut quiet = 0;
    while quiet < 3 {
        if begun.elapsed() > MERGED_WITHIN {
            return Err("merges do not end".into());
        }
        thread::sleep(Duration::from_millis(700));
        let metrics = ask(process, "GET", "/metrics")?;
        let running = metrics
            .lines()
            .filter(|line| line.starts_with("vm_active_merges") || line.starts_with("vm_active_force_merges"))
            .any(|line| !line.ends_with(" 0"));
        quiet = if running { 0 } else { quiet + 1 };
    }
    Ok(())
}
