//! A running program: started, watched, stopped.

use std::fs::File;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::Outcome;
use crate::harness::{Http, free_address};
use crate::premises;
use crate::procfs::{self, Figures};
use crate::program::{Kind, Program, Setup};

/// How long a program may take until it is ready, after a kill with a long log too.
const READY_WITHIN: Duration = Duration::from_secs(300);
/// How long it may take to stop.
const STOPPED_WITHIN: Duration = Duration::from_secs(600);
/// VictoriaMetrics may hold samples for 5 s, and looks every few seconds; everybody gets as long.
const SETTLE_MIN: Duration = Duration::from_secs(16);
/// After that, whoever still works is measured as far as it came.
const SETTLE_MAX: Duration = Duration::from_secs(90);
/// A process that uses less than this share of a core for three seconds has nothing left to do.
const IDLE_SHARE: f64 = 0.03;

/// A program that serves from a directory.
pub(crate) struct Process {
    child: Child,
    pub(crate) kind: Kind,
    pub(crate) address: SocketAddr,
    pub(crate) begun: Instant,
    log: PathBuf,
}

impl Process {
    /// Starts it and waits until it says that it is ready.
    pub(crate) fn start(program: &Program, data: &Path, setup: Setup, pinned: bool) -> Outcome<Process> {
        let mut process = Process::spawn(program, data, setup, pinned)?;
        process.wait_until_ready()?;
        Ok(process)
    }

    /// Starts it and does not wait.
    pub(crate) fn spawn(program: &Program, data: &Path, setup: Setup, pinned: bool) -> Outcome<Process> {
        let address = free_address()?;
        let mut command = program.command(address, data, setup, pinned)?;
        let log = data.with_extension("log");
        let file = File::options().create(true).append(true).open(&log)?;
        command.stdin(Stdio::null()).stdout(file.try_clone()?).stderr(file);
        let begun = Instant::now();
        let child = command.spawn().map_err(|error| format!("{:?}: {error}", command.get_program()))?;
        premises::started(&child);
        Ok(Process { child, kind: program.kind, address, begun, log })
    }

    fn wait_until_ready(&mut self) -> Outcome<()> {
        loop {
            let path = self.kind.ready_path();
            if Http::connect(self.address).and_then(|mut http| http.get(path)).is_ok_and(|a| a.status == 200) {
                return Ok(());
            }
            self.still_runs()?;
            if self.begun.elapsed() > READY_WITHIN {
                return Err(format!("{} is not ready in time", self.kind.name()).into());
            }
            thread::sleep(Duration::from_millis(5));
        }
    }

    /// An error with the end of its log, if it has ended by itself.
    pub(crate) fn still_runs(&mut self) -> Outcome<()> {
        if !procfs::processor_time(self.child.id())?.ended {
            return Ok(());
        }
        let log = std::fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        let end = lines[lines.len().saturating_sub(5)..].join("\n");
        Err(format!("{} has ended:\n{end}", self.kind.name()).into())
    }

    /// Its number.
    #[allow(dead_code, reason = "for compare_queries, which shares this file")]
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Its figures now.
    pub(crate) fn figures(&self) -> Outcome<Figures> {
        procfs::figures(self.child.id())
    }

    /// Waits until it does nothing any more; returns the figures and whether it came to rest.
    pub(crate) fn settle(&mut self) -> Outcome<(Figures, bool)> {
        let begun = Instant::now();
        let mut recent = vec![self.figures()?.cpu];
        loop {
            thread::sleep(Duration::from_secs(1));
            self.still_runs()?;
            let figures = self.figures()?;
            recent.push(figures.cpu);
            let before = recent[recent.len().saturating_sub(4)];
            let idle = recent.len() > 3 && figures.cpu - before < 3.0 * IDLE_SHARE;
            if begun.elapsed() >= SETTLE_MAX || (idle && begun.elapsed() >= SETTLE_MIN) {
                return Ok((figures, idle));
            }
        }
    }

    /// Stops it as an administrator would; returns all processor time that it ever took.
    pub(crate) fn stop(mut self) -> Outcome<f64> {
        let pid = self.child.id();
        Command::new("kill").arg("-TERM").arg(pid.to_string()).status()?;
        let begun = Instant::now();
        while begun.elapsed() < STOPPED_WITHIN {
            let time = procfs::processor_time(pid)?;
            if time.ended {
                premises::wait_for(&mut self.child);
                return Ok(time.seconds);
            }
            thread::sleep(Duration::from_millis(10));
        }
        Err(format!("{} does not stop", self.kind.name()).into())
    }

    /// Ends it as `kill -9` does.
    pub(crate) fn kill(mut self) -> Outcome<()> {
        self.child.kill()?;
        premises::wait_for(&mut self.child);
        Ok(())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Already ended is fine.
        let _ = self.child.kill();
        premises::wait_for(&mut self.child);
    }
}
