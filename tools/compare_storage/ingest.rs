//! Work and time per sample of remote-write, from the socket to the disk.
//!
//! The figure that counts is processor time of the server per sample, with the work that it puts off:
//! each is watched until it rests. Wall time needs a machine that does nothing else.

use std::time::{Duration, Instant};

use crate::ask::Asker;
use crate::harness::quantile;
use crate::load::{self, Load};
use crate::options::Options;
use crate::premises::{Premises, discard};
use crate::process::Process;
use crate::procfs;
use crate::program::{Kind, Program, Programs, Setup};
use crate::table::{Table, bytes, median, short, times};
use crate::{Outcome, Output};

/// Numbers of series if nobody says which.
const SERIES: [usize; 3] = [10_000, 100_000, 1_000_000];
/// The timed span has at least so many rounds, however many series there are.
const ROUNDS_MIN: usize = 4;

const HOW: &str = "\n## Remote-write\n
All get the same requests over two connections that send the next one when the last was answered, one sample per series
and request; requests are encoded before any clock runs. *CPU* is user and system time of the server process:
*span* from the first to the last answer, *settled* until it rests (16 s at least), *to the end* until it has
stopped, so that nothing that was put off is left out. *First contact* is the first sample of each series, settled.
Medians; the order of the programs alternates; each run begins with an empty directory.\n";

/// What one run came to.
struct Run {
    kind: Kind,
    samples: f64,
    seconds: f64,
    cpu_span: f64,
    cpu_settled: f64,
    cpu_end: f64,
    p50_ms: f64,
    p99_ms: f64,
    peak: f64,
    written: f64,
    first_seconds: f64,
    first_cpu: f64,
    rested: bool,
    /// Samples that were acknowledged and cannot be counted.
    missing: i64,
    repeated: f64,
}

/// Measures all numbers of series that were asked for.
pub(crate) fn run(options: &Options, programs: &Programs, premises: &Premises, output: &mut Output) -> Outcome<()> {
    if options.pinned() {
        procfs::stay_on_core(1)?;
    }
    output.print(HOW)?;
    let sizes = if options.series.is_empty() { SERIES.to_vec() } else { options.series.clone() };
    for series in sizes {
        let load = Load::new(series, 1 + (options.samples / series).max(ROUNDS_MIN))?;
        let mut runs = Vec::new();
        for repeat in 0..options.repeats {
            let mut order: Vec<&Program> = programs.all().iter().collect();
            if repeat % 2 == 1 {
                order.reverse();
            }
            for program in order {
                let run = measure(options, program, premises, &load);
                let run = run.map_err(|error| format!("{}: {error}", program.kind.name()))?;
                eprintln!("{series} series, run {}, {}: {:.2} s", repeat + 1, program.kind.name(), run.seconds);
                runs.push(run);
            }
        }
        output.print(&report(&load, programs, &runs))?;
    }
    Ok(())
}

fn measure(options: &Options, program: &Program, premises: &Premises, load: &Load) -> Outcome<Run> {
    let data = premises.fresh(program.kind.name())?;
    let mut process = Process::start(program, &data, Setup::Default, options.pinned())?;
    let before = process.figures()?;
    let begun = Instant::now();
    let first = load.send(&process, 0..1, || false)?;
    let first_seconds = begun.elapsed().as_secs_f64();
    let (contacted, _) = process.settle()?;

    let begun = Instant::now();
    let limit = Duration::from_secs_f64(options.seconds);
    let mut sent = load.send(&process, 1..load.rounds(), || begun.elapsed() > limit)?;
    let seconds = begun.elapsed().as_secs_f64();
    let after = process.figures()?;
    let (settled, rested) = process.settle()?;

    let acknowledged = (first.samples + sent.samples) as i64;
    let missing = acknowledged - stored(&process, load)? as i64;
    // Counting is work too, which is not the writer's.
    let counted = process.figures()?.cpu - settled.cpu;
    let cpu_end = process.stop()? - counted - contacted.cpu;
    discard(&data)?;
    sent.times_ms.sort_by(f64::total_cmp);
    Ok(Run {
        kind: program.kind,
        samples: sent.samples as f64,
        seconds,
        cpu_span: after.cpu - contacted.cpu,
        cpu_settled: settled.cpu - contacted.cpu,
        cpu_end,
        p50_ms: quantile(&sent.times_ms, 0.5),
        p99_ms: quantile(&sent.times_ms, 0.99),
        peak: after.peak.max(settled.peak) as f64,
        written: (settled.written - contacted.written) as f64,
        first_seconds,
        first_cpu: contacted.cpu - before.cpu,
        rested,
        missing,
        repeated: (sent.repeated + first.repeated) as f64,
    })
}

/// How many of the load's samples a server has.
pub(crate) fn stored(process: &Process, load: &Load) -> Outcome<u64> {
    let mut asker = Asker::connect(process.address)?;
    let (after, until) = (load.time(0) - 1, load.time(load.rounds() - 1));
    load::metrics().map(|metric| asker.count(&metric, after, until)).sum()
}

fn report(load: &Load, programs: &Programs, runs: &[Run]) -> String {
    let mut speed = Table::new(&[
        "",
        "samples per CPU-second, span",
        "settled",
        "to the end",
        "CPU ns/sample, settled",
        "samples/s",
        "ack p50 ms",
        "ack p99 ms",
        "peak RSS",
        "written B/sample",
        "durable when answered",
    ]);
    let mut first = Table::new(&["", "first contact s", "CPU µs/series", "settled", "missing", "sent again"]);
    let mut ratios = Table::new(&[
        "peer ÷ ours",
        "CPU span",
        "CPU settled",
        "CPU to the end",
        "wall",
        "peak RSS",
        "first contact CPU",
    ]);
    let of = |kind: Kind, f: &dyn Fn(&Run) -> f64| median(runs.iter().filter(|run| run.kind == kind).map(f));
    for program in programs.all() {
        let kind = program.kind;
        speed.row(vec![
            kind.name().into(),
            short(of(kind, &|r| r.samples / r.cpu_span)),
            short(of(kind, &|r| r.samples / r.cpu_settled)),
            short(of(kind, &|r| r.samples / r.cpu_end)),
            short(of(kind, &|r| r.cpu_settled / r.samples * 1e9)),
            short(of(kind, &|r| r.samples / r.seconds)),
            format!("{:.2}", of(kind, &|r| r.p50_ms)),
            format!("{:.2}", of(kind, &|r| r.p99_ms)),
            bytes(of(kind, &|r| r.peak)),
            short(of(kind, &|r| r.written / r.samples)),
            kind.durability().into(),
        ]);
        let rested = runs.iter().filter(|run| run.kind == kind).all(|run| run.rested);
        let missing = runs.iter().filter(|run| run.kind == kind).map(|run| run.missing.to_string());
        first.row(vec![
            kind.name().into(),
            format!("{:.2}", of(kind, &|r| r.first_seconds)),
            format!("{:.2}", of(kind, &|r| r.first_cpu / load.series as f64 * 1e6)),
            if rested { "yes".into() } else { "**no**".into() },
            missing.collect::<Vec<_>>().join(", "),
            short(of(kind, &|r| r.repeated)),
        ]);
        if kind != Kind::Evenkeel {
            let ratio = |f: &dyn Fn(&Run) -> f64| times(of(kind, f) / of(Kind::Evenkeel, f));
            ratios.row(vec![
                kind.name().into(),
                ratio(&|r| r.cpu_span / r.samples),
                ratio(&|r| r.cpu_settled / r.samples),
                ratio(&|r| r.cpu_end / r.samples),
                ratio(&|r| r.seconds / r.samples),
                ratio(&|r| r.peak),
                ratio(&|r| r.first_cpu),
            ]);
        }
    }
    let samples = load.series * load.rounds();
    format!(
        "### {} series, {} rounds: {} B of labels per series, {:.1} B per sample on the wire; load average {}\n\n{}\n{}\n{}",
        load.series,
        load.rounds() - 1,
        load.label_bytes / load.series,
        load.request_bytes as f64 / samples as f64,
        procfs::load(),
        speed.text(),
        first.text(),
        ratios.text()
    )
}
