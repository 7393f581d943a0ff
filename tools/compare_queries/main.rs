//! Measures queries of Evenkeel, Prometheus and VictoriaMetrics side by side.
//!
//! ```sh
//! cargo build --release
//! cargo run --release --example compare_queries -- PEERS_DIR [speed|refresh|death] [options]
//! ```
//!
//! `PEERS_DIR` holds the peers' packages, unpacked (`tools/peers.sh` of the shared folder fills it). Each
//! program runs as a process of its own and is only spoken to over HTTP on loopback; all get the same
//! samples by remote-write: hosts, an HTTP service, a cluster for a day, and a metric with many series for
//! half an hour. The output is Markdown.

mod answers;
#[path = "../compare_storage/ask.rs"]
#[allow(dead_code, reason = "shared with compare_storage")]
mod ask;
#[path = "../compare_storage/check.rs"]
#[allow(dead_code, reason = "shared with compare_storage")]
mod check;
mod cluster;
mod death;
#[path = "../compare_storage/fleet.rs"]
#[allow(dead_code, reason = "shared with compare_storage")]
mod fleet;
#[path = "../harness/mod.rs"]
mod harness;
mod load;
mod options;
#[path = "../compare_storage/payload.rs"]
mod payload;
#[path = "../compare_storage/premises.rs"]
#[allow(dead_code, reason = "shared with compare_storage")]
mod premises;
#[path = "../compare_storage/process.rs"]
#[allow(dead_code, reason = "shared with compare_storage")]
mod process;
#[path = "../compare_storage/procfs.rs"]
#[allow(dead_code, reason = "shared with compare_storage")]
mod procfs;
#[path = "../compare_storage/program.rs"]
#[allow(dead_code, reason = "shared with compare_storage")]
mod program;
mod queries;
mod refresh;
#[path = "../compare_storage/sender.rs"]
#[allow(dead_code, reason = "shared with compare_storage")]
mod sender;
#[path = "../compare_storage/shapes.rs"]
mod shapes;
#[path = "../compare_storage/source.rs"]
#[allow(dead_code, reason = "shared with compare_storage")]
mod source;
mod speed;
#[path = "../compare_storage/table.rs"]
mod table;

use std::error::Error;
use std::fs::{self, File};
use std::io::Write;
use std::path::Path;
use std::thread;
use std::time::Duration;

use clap::Parser;

use options::{Options, What};
use premises::Premises;
use process::Process;
use program::{Kind, Programs, Setup};

/// What can go wrong here is told to a person and ends the run.
type Outcome<T> = Result<T, Box<dyn Error + Send + Sync>>;

/// Prometheus looks once a minute whether its head can become a block.
const COMPACTS_WITHIN: Duration = Duration::from_secs(75);
/// The file of kept data that says when they end.
const END: &str = "end";

fn main() -> Outcome<()> {
    let options = Options::parse();
    let programs = Programs::find(&options)?;
    let mut output = Output::new(&options)?;
    let premises = Premises::new(options.dir.as_deref())?;
    output.print(&header(&options, &programs, &premises))?;
    match options.what {
        What::Speed => {
            let (processes, end) = start(&options, &programs, &premises, &mut output)?;
            speed::run(&options, &processes, end, &mut output)
        }
        What::Refresh => {
            let (processes, end) = start(&options, &programs, &premises, &mut output)?;
            refresh::run(&options, &processes, end, &mut output)
        }
        What::Death => {
            let (mut processes, end) = start(&options, &programs, &premises, &mut output)?;
            for process in &mut processes {
                output.print(&format!("### {}\n", process.kind.name()))?;
                death::run(&options, process, end, &mut output)?;
            }
            Ok(())
        }
    }
}

/// Starts all servers on data that end at a known time.
fn start(
    options: &Options,
    programs: &Programs,
    premises: &Premises,
    output: &mut Output,
) -> Outcome<(Vec<Process>, i64)> {
    let place = |kind: Kind| match &options.keep {
        Some(kept) => Ok(kept.join(kind.name())),
        None => premises.fresh(kind.name()),
    };
    let mut processes = Vec::new();
    for program in programs.all() {
        if let Some(kept) = &options.keep {
            fs::create_dir_all(kept)?;
        }
        processes.push(Process::start(program, &place(program.kind)?, Setup::Default, false)?);
    }
    if let Some(kept) = &options.keep
        && let Ok(end) = fs::read_to_string(kept.join(END))
    {
        thread::sleep(Duration::from_secs(2));
        return Ok((processes, end.trim().parse()?));
    }
    let end = (harness::now_ms() - 30_000) / 15_000 * 15_000;
    let addresses: Vec<_> = processes.iter().map(|process| process.address).collect();
    let begun = std::time::Instant::now();
    let loaded = load::load(options, &addresses, end)?;
    let seconds = begun.elapsed().as_secs_f64();
    output.print(&format!("- {} series, {} samples, sent in {seconds:.0} s\n", loaded.series, loaded.samples))?;
    thread::sleep(COMPACTS_WITHIN);
    for process in &mut processes {
        process.settle()?;
    }
    if let Some(kept) = &options.keep {
        fs::write(kept.join(END), end.to_string())?;
    }
    Ok((processes, end))
}

/// What was measured, with what and where.
fn header(options: &Options, programs: &Programs, premises: &Premises) -> String {
    let cores = thread::available_parallelism().map_or(1, |n| n.get());
    let mut text = String::from("# Queries, side by side\n\n");
    for program in programs.all() {
        text += &format!("- {}: {}\n", program.kind.name(), program.version);
    }
    text += &format!("- {} at the start; {cores} cores; load average {}\n", procfs::utc(), procfs::load());
    let kept = options.keep.as_deref().map(Path::display);
    let kept = kept.map_or(String::new(), |kept| format!(" (kept in {kept})"));
    text += &format!("- {}{kept}; seed {}; {} runs\n", premises.describe(), options.seed, options.repeats);
    text
}

/// Standard output, and a file if one was asked for.
pub(crate) struct Output {
    file: Option<File>,
}

impl Output {
    fn new(options: &Options) -> Outcome<Output> {
        let file = options.out.as_ref().map(File::create).transpose()?;
        Ok(Output { file })
    }

    /// Prints a part of the report.
    pub(crate) fn print(&mut self, text: &str) -> Outcome<()> {
        println!("{text}");
        if let Some(file) = &mut self.file {
            writeln!(file, "{text}")?;
        }
        Ok(())
    }
}
