//! One run of one program: met with all series, then fed at the pace of the clock.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use crate::fleet::{Fleet, PER_TARGET};
use crate::harness::{self, Http, Server, free_address, now_ms};
use crate::payload::RequestBuilder;
use crate::premises::{Premises, discard};
use crate::{Kind, Options, Outcome, procfs, shapes};

/// Time between two samples of a series.
const EVERY_MS: u64 = 10_000;
/// Requests into which a round is cut.
const PARTS: usize = 200;
/// The most samples of one request.
const REQUEST_SAMPLES: usize = 5000;
/// How long everything runs before the clocks do: every rule has been evaluated.
const WARM_UP: Duration = Duration::from_secs(35);
/// Rounds that are sent at once before, so that counters have risen.
const ROUNDS_BEFORE: u64 = 12;

/// Whether objectives are there.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Promises {
    /// None.
    None,
    /// All of them.
    All,
}

/// What a program used.
pub(crate) struct Usage {
    /// Processor time, in seconds a second.
    pub(crate) cpu: f64,
    /// Bytes.
    pub(crate) resident: f64,
    /// Samples a second that were acknowledged.
    pub(crate) rate: f64,
    /// How far the sending was behind the clock at the most, in seconds.
    pub(crate) behind: f64,
    /// Of each path that was asked for meanwhile how long answers took, in milliseconds, sorted.
    pub(crate) answers: Vec<(&'static str, Vec<f64>)>,
}

/// What whoever looks asks for: the verdict with its evidence, the first page.
const ASKED: [&str; 2] = ["/api/v1/verdict", "/"];
/// How many times.
const ASKED_TIMES: usize = 200;

/// Runs a program and measures it.
pub(crate) fn measure(options: &Options, kind: Kind, promises: Promises, premises: &Premises) -> Outcome<Usage> {
    let data = premises.fresh(kind.name())?;
    let server = start(options, kind, promises, &data)?;
    let fleet = Fleet::new(options.objectives * 3 * PER_TARGET, options.objectives)?;
    let mut sender =
        Sender { fleet, builder: RequestBuilder::default(), http: Http::connect(server.address)?, sent: 0 };
    for round in 0..ROUNDS_BEFORE {
        let t = now_ms() - ((ROUNDS_BEFORE - round) * EVERY_MS) as i64;
        (0..sender.fleet.targets()).try_for_each(|target| sender.add(target, round, t))?;
        sender.flush()?;
    }
    let mut pace = Pace { sender, begun: Instant::now(), part: 0, behind: Duration::ZERO };
    pace.until(Instant::now() + WARM_UP)?;
    let before = procfs::figures(server.pid())?;
    let (clock, sent) = (Instant::now(), pace.sender.sent);
    pace.behind = Duration::ZERO;
    pace.until(clock + Duration::from_secs_f64(options.minutes * 60.0))?;
    let (after, took) = (procfs::figures(server.pid())?, clock.elapsed().as_secs_f64());
    let (rate, behind) = ((pace.sender.sent - sent) as f64 / took, pace.behind.as_secs_f64());
    let answers = match (promises, kind) {
        (Promises::All, Kind::Evenkeel) => ask(server.address, &mut pace)?,
        _ => Vec::new(),
    };
    server.stop()?;
    discard(&data)?;
    Ok(Usage { cpu: (after.cpu - before.cpu) / took, resident: after.resident as f64, rate, behind, answers })
}

/// Asks while samples come in.
fn ask(address: SocketAddr, pace: &mut Pace) -> Outcome<Vec<(&'static str, Vec<f64>)>> {
    let asking = thread::spawn(move || -> Outcome<Vec<(&'static str, Vec<f64>)>> {
        let mut http = Http::connect(address)?;
        let mut times = |path: &'static str| -> Outcome<(&'static str, Vec<f64>)> {
            let mut took = Vec::new();
            for _ in 0..ASKED_TIMES {
                let begun = Instant::now();
                let answer = http.get(path)?;
                if answer.status != 200 {
                    return Err(format!("{path} was answered with {}", answer.status).into());
                }
                took.push(begun.elapsed().as_secs_f64() * 1000.0);
                thread::sleep(Duration::from_millis(20));
            }
            took.sort_by(f64::total_cmp);
            Ok((path, took))
        };
        ASKED.into_iter().map(&mut times).collect()
    });
    while !asking.is_finished() {
        pace.until(Instant::now() + Duration::from_secs(1))?;
    }
    asking.join().map_err(|_| "the asking thread ended early")?
}

fn start(options: &Options, kind: Kind, promises: Promises, data: &Path) -> Outcome<Server> {
    fs::create_dir_all(data)?;
    let program = match kind {
        Kind::Evenkeel => options.evenkeel.clone().map_or_else(harness::program, Ok)?,
        Kind::Prometheus => harness::peer(&options.peers, "prometheus")?,
    };
    let mut config = String::from("global: {evaluation_interval: 30s}\n");
    match (promises, kind) {
        (Promises::None, _) => {}
        (Promises::All, Kind::Evenkeel) => {
            fs::write(data.join("slo.yml"), shapes::objectives(options.objectives))?;
            config += "slo_files: [slo.yml]\n";
        }
        (Promises::All, Kind::Prometheus) => {
            fs::write(data.join("rules.yml"), shapes::rules(options.objectives))?;
            config += "rule_files: [rules.yml]\n";
        }
    }
    let file = data.join("prometheus.yml");
    fs::write(&file, config)?;
    let address: SocketAddr = free_address()?;
    let mut command = Command::new(&program);
    let stored = data.join("data");
    match kind {
        Kind::Evenkeel => {
            command.arg("serve").arg("--config").arg(&file).arg("--data").arg(&stored);
            command.arg("--listen").arg(address.to_string());
        }
        Kind::Prometheus => {
            command.arg(format!("--config.file={}", file.display()));
            command.arg(format!("--storage.tsdb.path={}", stored.display()));
            command.arg(format!("--web.listen-address={address}"));
            command.args(["--web.enable-remote-write-receiver", "--log.level=warn"]);
        }
    }
    Ok(Server::launch(command, address, &data.join("log"))?)
}

/// Sends what targets show over one connection.
struct Sender {
    fleet: Fleet,
    builder: RequestBuilder,
    http: Http,
    /// Samples that were acknowledged.
    sent: u64,
}

impl Sender {
    fn add(&mut self, target: usize, round: u64, t: i64) -> Outcome<()> {
        let builder = &mut self.builder;
        self.fleet.scrape(target, round, |labels, value| builder.push(labels, t, value));
        if self.builder.samples() + PER_TARGET > REQUEST_SAMPLES { self.flush() } else { Ok(()) }
    }

    fn flush(&mut self) -> Outcome<()> {
        if self.builder.samples() == 0 {
            return Ok(());
        }
        let request = self.builder.finish()?;
        let answer = self.http.remote_write(&request.body)?;
        if !(200..300).contains(&answer.status) {
            return Err(format!("a write was answered with {}: {}", answer.status, answer.text()).into());
        }
        self.sent += request.samples as u64;
        Ok(())
    }
}

/// All targets again and again, each every ten seconds.
struct Pace {
    sender: Sender,
    begun: Instant,
    /// Parts of rounds that were sent.
    part: u64,
    /// How far the sending was behind the clock at the most.
    behind: Duration,
}

impl Pace {
    fn until(&mut self, end: Instant) -> Outcome<()> {
        loop {
            let due = self.begun + Duration::from_millis(self.part * EVERY_MS / PARTS as u64);
            if due >= end {
                return Ok(());
            }
            let now = Instant::now();
            thread::sleep(due.saturating_duration_since(now));
            self.behind = self.behind.max(now.saturating_duration_since(due));
            let (round, part) = (ROUNDS_BEFORE + self.part / PARTS as u64, (self.part % PARTS as u64) as usize);
            let targets = self.sender.fleet.targets();
            for target in part * targets / PARTS..(part + 1) * targets / PARTS {
                self.sender.add(target, round, now_ms())?;
            }
            self.sender.flush()?;
            self.part += 1;
        }
    }
}
