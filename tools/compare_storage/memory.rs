//! Resident bytes per active series, and how long after `kill -9` a server answers rightly again.

use std::thread;
use std::time::Duration;

use crate::ask::Asker;
use crate::ingest::stored;
use crate::load::{Load, labels, value};
use crate::options::Options;
use crate::premises::{Premises, discard};
use crate::process::Process;
use crate::procfs::{self, Figures};
use crate::program::{Kind, Program, Programs, Setup};
use crate::table::{Table, bytes, times};
use crate::{Outcome, Output};

/// Series if nobody says how many.
const SERIES: usize = 1_000_000;
/// A server that does not answer at all by then has failed.
const ANSWERS_WITHIN: Duration = Duration::from_secs(300);
/// A server that still answers wrongly so long after its first answer has lost something.
const RIGHT_WITHIN: Duration = Duration::from_secs(30);
/// Series that are asked for, from all parts of the load.
const ASKED: usize = 10;

const HOW: &str = "\n## Memory and restart\n
Resident bytes per series: what is resident minus what was after the start, divided by the number of series, all of which
are active. *Sent* is right after the last answer, *rested* when the server does nothing any more (checkpoints and flushes
are over by then); *own* is without mapped files. Then one more round is sent, and the server is ended by `kill -9` right
after the last acknowledgement. *Answers* is the time from the start of the new process to its first answer for ten
series, *rightly* to the first one that has all their acknowledged samples and no other.\n";

/// What came out for one program.
struct Measured {
    start: Figures,
    sent: Figures,
    rested: Figures,
    answers: Option<Duration>,
    rightly: Option<Duration>,
    missing: i64,
    restart_cpu: f64,
}

/// Measures all numbers of series that were asked for.
pub(crate) fn run(options: &Options, programs: &Programs, premises: &Premises, output: &mut Output) -> Outcome<()> {
    if options.pinned() {
        procfs::stay_on_core(1)?;
    }
    output.print(HOW)?;
    let sizes = if options.series.is_empty() { vec![SERIES] } else { options.series.clone() };
    for series in sizes {
        let load = Load::new(series, options.rounds.max(1) + 1)?;
        let mut table = Table::new(&[
            "",
            "sent B/series",
            "rested B/series",
            "own B/series",
            "peak RSS",
            "peer ÷ ours, rested",
            "answers",
            "rightly",
            "acknowledged and missing",
            "CPU s until it answers",
        ]);
        let mut ours = f64::NAN;
        for program in programs.all() {
            let found = measure(options, program, premises, &load);
            let found = found.map_err(|error| format!("{}: {error}", program.kind.name()))?;
            let per_series = |now: u64, before: u64| (now as f64 - before as f64) / series as f64;
            let rested = per_series(found.rested.resident, found.start.resident);
            if program.kind == Kind::Evenkeel {
                ours = rested;
            }
            let seconds =
                |time: Option<Duration>| time.map_or("never".into(), |time| format!("{:.2} s", time.as_secs_f64()));
            table.row(vec![
                program.kind.name().into(),
                format!("{:.0}", per_series(found.sent.resident, found.start.resident)),
                format!("{rested:.0}"),
                format!("{:.0}", per_series(found.rested.anonymous, found.start.anonymous)),
                bytes(found.rested.peak as f64),
                if program.kind == Kind::Evenkeel { String::new() } else { times(rested / ours) },
                seconds(found.answers),
                seconds(found.rightly),
                found.missing.to_string(),
                format!("{:.2}", found.restart_cpu),
            ]);
        }
        output.print(&format!("### {series} series, {} rounds before the kill\n\n{}", load.rounds(), table.text()))?;
    }
    Ok(())
}

fn measure(options: &Options, program: &Program, premises: &Premises, load: &Load) -> Outcome<Measured> {
    let data = premises.fresh(program.kind.name())?;
    let mut process = Process::start(program, &data, Setup::Default, options.pinned())?;
    let start = process.figures()?;
    let last = load.rounds() - 1;
    let mut acknowledged = load.send(&process, 0..last, || false)?.samples;
    let sent = process.figures()?;
    let (rested, _) = process.settle()?;
    acknowledged += load.send(&process, last..last + 1, || false)?.samples;
    process.kill()?;

    let mut process = Process::spawn(program, &data, Setup::Default, options.pinned())?;
    let (answers, rightly, restart_cpu) = wait_until_right(&mut process, load)?;
    // Whoever has not come up rightly has lost something, but may still be loading.
    process.settle()?;
    let missing = acknowledged as i64 - stored(&process, load)? as i64;
    process.stop()?;
    discard(&data)?;
    Ok(Measured { start, sent, rested, answers, rightly, missing, restart_cpu })
}

/// When the first answer came and when the first right one, and the processor time until the first.
fn wait_until_right(process: &mut Process, load: &Load) -> Outcome<(Option<Duration>, Option<Duration>, f64)> {
    let (mut answers, mut cpu) = (None, f64::NAN);
    while process.begun.elapsed() < answers.map_or(ANSWERS_WITHIN, |first| first + RIGHT_WITHIN) {
        process.still_runs()?;
        // An error means that nobody listens yet, or that the server says it is not ready.
        if let Ok(right) = answer(process, load) {
            let now = process.begun.elapsed();
            if answers.is_none() {
                (answers, cpu) = (Some(now), process.figures()?.cpu);
            }
            if right {
                return Ok((answers, Some(now), cpu));
            }
        }
        thread::sleep(Duration::from_millis(2));
    }
    Ok((answers, None, cpu))
}

/// Asks for some series; true if all have all their samples.
fn answer(process: &Process, load: &Load) -> Outcome<bool> {
    let mut asker = Asker::connect(process.address)?;
    let (after, until) = (load.time(0) - 1, load.time(load.rounds() - 1));
    for asked in 0..ASKED {
        let series = asked * (load.series - 1) / (ASKED - 1);
        let got = asker.samples(&labels(series)?, after, until)?.unwrap_or_default();
        let expected = (0..load.rounds()).map(|round| (load.time(round), value(series, round)));
        if !expected.eq(got) {
            return Ok(false);
        }
    }
    Ok(true)
}
