//! Measures Evenkeel, Prometheus and VictoriaMetrics side by side: bytes on disk, work per sample, memory, restart.
//!
//! ```sh
//! cargo build --release
//! cargo run --release --example compare_storage -- PEERS_DIR [disk|ingest|memory|all] [options]
//! cargo run --release --example compare_storage -- record --target http://127.0.0.1:9100/metrics FILE
//! ```
//!
//! `PEERS_DIR` holds the peers' packages, unpacked (`tools/peers.sh` of the shared folder fills it). Each
//! program runs as a process of its own on a fresh directory, one at a time, and is only spoken to over
//! HTTP on loopback; all get the same bytes. What is measured is also checked: a figure of a program
//! that does not give back what it was sent is marked so. The output is Markdown.

mod ask;
mod check;
mod disk;
mod fleet;
mod floats;
#[path = "../harness/mod.rs"]
mod harness;
mod ingest;
mod load;
mod memory;
mod options;
mod payload;
mod premises;
mod process;
mod procfs;
mod program;
mod recording;
mod sender;
mod shapes;
mod source;
mod table;
mod usage;

use std::error::Error;
use std::fs::File;
use std::io::Write;

use clap::Parser;

use options::{Options, RecordOptions, What};
use premises::Premises;
use program::Programs;

/// What can go wrong here is told to a person and ends the run.
type Outcome<T> = Result<T, Box<dyn Error + Send + Sync>>;

fn main() -> Outcome<()> {
    if std::env::args().nth(1).is_some_and(|first| first == "record") {
        return recording::record(&RecordOptions::parse_from(std::env::args().skip(1)));
    }
    let options = Options::parse();
    let programs = Programs::find(&options)?;
    let mut output = Output::new(&options)?;
    let premises = Premises::new(options.dir.as_deref())?;
    output.print(&header(&options, &programs, &premises))?;
    let all = options.what == What::All;
    if all || options.what == What::Disk {
        disk::run(&options, &programs, &premises, &mut output)?;
    }
    if all || options.what == What::Ingest {
        ingest::run(&options, &programs, &premises, &mut output)?;
    }
    if all || options.what == What::Memory {
        memory::run(&options, &programs, &premises, &mut output)?;
    }
    Ok(())
}

/// What was measured, with what and where.
fn header(options: &Options, programs: &Programs, premises: &Premises) -> String {
    let cores = std::thread::available_parallelism().map_or(1, |n| n.get());
    let mut text = String::from("# Storage, side by side\n\n");
    for program in programs.all() {
        text += &format!("- {}: {}\n", program.kind.name(), program.version);
    }
    let pinned = if options.pinned() {
        "for speed and memory the server on core 0, the sender on core 1"
    } else {
        "no core is reserved"
    };
    text += &format!("- {} at the start; {cores} cores, {pinned}; load average {}\n", procfs::utc(), procfs::load());
    text += &format!("- {}; seed {}\n", premises.describe(), options.seed);
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
