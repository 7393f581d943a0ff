//! One run of one program: met with all series, then fed at the pace of the clock.

use std::collections::HashMap;
use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use crate::fleet::{Fleet, PER_TARGET};
use crate::harness::{self, Http, Message, Server, free_address, now_ms, webhook_receiver};
use crate::payload::{Request, RequestBuilder, encode_labels};
use crate::premises::{Premises, discard};
use crate::shapes::rule_file;
use crate::{Kind, Options, Outcome, procfs};

/// Time between two samples of a series.
const EVERY_MS: u64 = 10_000;
/// Requests into which a round is cut: so often within ten seconds something is sent.
const PARTS: usize = 200;
/// The most samples of one request.
const REQUEST_SAMPLES: usize = 5000;
/// Connections, as a sender with shards has them.
const CONNECTIONS: usize = 4;
/// How long everything runs before the clocks do.
const WARM_UP: Duration = Duration::from_secs(30);
/// Time between two probes.
const PROBE_EVERY: Duration = Duration::from_millis(500);
/// The rules, beside the configuration.
const RULES_FILE: &str = "rules.yml";
/// How long rules may take to be loaded.
const RELOAD_WITHIN: Duration = Duration::from_secs(600);
/// How long a write may wait for its answer, as it does while rules are loaded.
const ANSWER_WITHIN: Duration = Duration::from_secs(300);
/// How long a program gets to take what has waited meanwhile, and what counts for having taken it.
const CATCHES_UP_WITHIN: Duration = Duration::from_secs(120);
const CAUGHT_UP: Duration = Duration::from_secs(1);
/// How long the alert of the last probe may take.
const LAST_WITHIN: Duration = Duration::from_secs(40);

/// Whether rules are there.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rules {
    /// None.
    None,
    /// All of them.
    All,
}

impl Rules {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Rules::None => "without rules",
            Rules::All => "with rules",
        }
    }
}

/// Which series of a target are sent.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Which {
    /// Those that rules look at over hours.
    Long,
    /// All.
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
}

/// What came out.
pub(crate) struct Measured {
    pub(crate) version: String,
    pub(crate) usage: Usage,
    /// Alerts that were pending or firing at the end.
    pub(crate) alerts: u64,
    pub(crate) missed: u64,
    /// Of the probes, in order of size.
    pub(crate) acknowledged_ms: Vec<f64>,
    pub(crate) arrived_ms: Vec<f64>,
    /// Only ours tells.
    pub(crate) decided: Option<Buckets>,
}

/// Buckets of a histogram: upper bounds in seconds, and how many are below.
pub(crate) struct Buckets(Vec<(f64, f64)>);

impl Buckets {
    /// The upper bound of the bucket in which the value at a share lies, in milliseconds.
    pub(crate) fn at(&self, q: f64) -> String {
        let total = self.0.last().map_or(0.0, |(_, n)| *n);
        let bound = self.0.iter().find(|(_, n)| *n >= q * total).map_or(f64::NAN, |(bound, _)| *bound);
        format!("≤ {}", bound * 1e3)
    }
}

/// Runs a program on a fresh directory and measures it, with rules or without them; both one after the other only where
/// there are hours of history, which take as long to send as everything else: then rules come by a reload.
pub(crate) fn measure(
    options: &Options,
    kind: Kind,
    stages: &[Rules],
    premises: &Premises,
    say: &mut dyn FnMut(Rules, &Measured),
) -> Outcome<Vec<Measured>> {
    let data = premises.fresh(kind.name())?;
    let (receiver, messages) = webhook_receiver()?;
    let from_the_start = if options.hours > 0.0 { Rules::None } else { stages[0] };
    let (server, version) = start(options, kind, from_the_start, &data, receiver)?;
    let mut pace = send_history(options, &server)?;
    eprintln!("{}: history sent at {}", kind.name(), procfs::utc());
    let mut measured = Vec::new();
    for &rules in stages {
        if rules != from_the_start {
            fs::write(data.join(RULES_FILE), all_rules(options))?;
            reload(kind, &server, &mut pace)?;
        }
        pace.catch_up()?;
        let stop = AtomicBool::new(false);
        let (figures, probes) = thread::scope(|scope| {
            let (stop, server, pace) = (&stop, &server, &mut pace);
            let figures = scope.spawn(move || {
                let figures = clocks(options, server, pace);
                stop.store(true, Ordering::Relaxed);
                // The alerts of the last probes are still to come.
                pace.until(Instant::now() + if rules == Rules::All { LAST_WITHIN } else { Duration::ZERO })?;
                Outcome::Ok((figures?, alerts(server.address)?))
            });
            let probes = match rules {
                Rules::All => probe(server.address, &messages, stop),
                Rules::None => Ok((Vec::new(), Vec::new())),
            };
            Outcome::Ok((figures.join().map_err(|_| "the measuring thread panicked")??, probes?))
        })?;
        let (((usage, asked, told), alerts), (acknowledged_ms, arrived_ms)) = (figures, probes);
        let missed = match kind {
            Kind::Evenkeel => "evenkeel_rule_group_iterations_missed_total",
            Kind::Prometheus => "prometheus_rule_group_iterations_missed_total",
        };
        let missed = (told.sum(missed) - asked.sum(missed)) as u64;
        let decided =
            (kind == Kind::Evenkeel).then(|| told.buckets("evenkeel_decision_duration_seconds_bucket", &asked));
        let version = version.clone();
        let stage = Measured { version, usage, alerts, missed, acknowledged_ms, arrived_ms, decided };
        say(rules, &stage);
        measured.push(stage);
    }
    pace.sender.finish()?;
    discard(&data)?;
    Ok(measured)
}

/// Sends the history: as evenly spaced as what follows, until it has caught up with the clock; what is long by itself as
/// long as it takes.
fn send_history(options: &Options, server: &Server) -> Outcome<Pace> {
    let mut fleet = Fleet::new(options.series, options.teams())?;
    let mut sender = Sender::new(server.address)?;
    let history = (options.history * 60_000.0) as i64;
    let (begin, mut rounds) = (now_ms() - history - (options.hours * 3_600_000.0) as i64, 0);
    let at = |round: u64, part: u64| begin + (round * EVERY_MS + part * EVERY_MS / PARTS as u64) as i64;
    let mut which = if options.hours > 0.0 { Which::Long } else { Which::All };
    while at(rounds + 1, 0) <= now_ms() {
        if at(rounds, 0) >= now_ms() - history {
            which = Which::All;
        }
        for target in 0..fleet.targets() {
            let part = ((target + 1) * PARTS - 1) / fleet.targets();
            sender.add(&mut fleet, target, which, rounds, at(rounds, part as u64))?;
        }
        sender.flush()?;
        rounds += 1;
    }
    let late = Duration::from_millis((now_ms() - at(rounds, 0)).max(0) as u64);
    let (begun, begun_ms) = (Instant::now() - late, at(rounds, 0));
    Ok(Pace { fleet, sender, begun, begun_ms, rounds, part: 0, behind: Duration::ZERO })
}

/// Has the rules loaded while samples come in.
fn reload(kind: Kind, server: &Server, pace: &mut Pace) -> Outcome<()> {
    let address = server.address;
    let asked = thread::spawn(move || {
        let begun = Instant::now();
        let mut http = Http::connect(address)?;
        http.wait_up_to(RELOAD_WITHIN)?;
        let answer = http.post("/-/reload")?;
        match answer.status {
            200..=299 => Outcome::Ok(begun.elapsed()),
            status => Err(format!("the reload was answered with {status}: {}", answer.text()).into()),
        }
    });
    while !asked.is_finished() {
        pace.until(Instant::now() + PROBE_EVERY)?;
    }
    let took = asked.join().map_err(|_| "the reloading thread panicked")??;
    println!("- {}: rules loaded within {:.1} s while samples came in", kind.name(), took.as_secs_f64());
    Ok(())
}

/// Lets everything warm up, and measures what it takes from then on.
fn clocks(options: &Options, server: &Server, pace: &mut Pace) -> Outcome<(Usage, Metrics, Metrics)> {
    pace.until(Instant::now() + WARM_UP)?;
    let (before, asked) = (procfs::figures(server.pid())?, Metrics::of(server.address)?);
    let (clock, samples) = (Instant::now(), pace.sender.samples());
    pace.behind = Duration::ZERO;
    pace.until(clock + Duration::from_secs_f64(options.minutes * 60.0))?;
    let (after, took) = (procfs::figures(server.pid())?, clock.elapsed().as_secs_f64());
    let told = Metrics::of(server.address)?;
    let (rate, behind) = ((pace.sender.samples() - samples) as f64 / took, pace.behind.as_secs_f64());
    let usage = Usage { cpu: (after.cpu - before.cpu) / took, resident: after.resident as f64, rate, behind };
    Ok((usage, asked, told))
}

fn all_rules(options: &Options) -> String {
    rule_file(options.rules, options.teams())
}

fn start(options: &Options, kind: Kind, rules: Rules, data: &Path, receiver: SocketAddr) -> Outcome<(Server, String)> {
    fs::create_dir_all(data)?;
    let program = match kind {
        Kind::Evenkeel => options.evenkeel.clone().map_or_else(harness::program, Ok)?,
        Kind::Prometheus => harness::peer(&options.peers, "prometheus")?,
    };
    let mut config = String::from("global: {evaluation_interval: 15s}\n");
    let text = if rules == Rules::All { all_rules(options) } else { "groups: []\n".to_owned() };
    fs::write(data.join(RULES_FILE), text)?;
    config += &format!("rule_files: [{RULES_FILE}]\n");
    config += &format!("alerting: {{alertmanagers: [{{static_configs: [{{targets: ['{receiver}']}}]}}]}}\n");
    let file = data.join("prometheus.yml");
    fs::write(&file, config)?;
    let address = free_address()?;
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
            command.args(["--web.enable-remote-write-receiver", "--web.enable-lifecycle", "--log.level=warn"]);
        }
    }
    let said = Command::new(&program).arg("--version").output().map(|output| output.stdout).unwrap_or_default();
    let version = String::from_utf8_lossy(&said).lines().next().unwrap_or_default().trim().to_owned();
    Ok((Server::launch(command, address, &data.join("log"))?, version))
}

/// Sends requests over several connections, those of one target always over the same.
struct Sender {
    shards: Vec<Shard>,
    acknowledged: Arc<AtomicU64>,
}

struct Shard {
    builder: RequestBuilder,
    requests: mpsc::SyncSender<Request>,
    thread: thread::JoinHandle<Outcome<()>>,
}

impl Sender {
    fn new(address: SocketAddr) -> Outcome<Sender> {
        let acknowledged = Arc::new(AtomicU64::new(0));
        let shard = |_| {
            let (requests, waiting) = mpsc::sync_channel::<Request>(1);
            let (mut connection, acknowledged) = (Connection::new(address)?, Arc::clone(&acknowledged));
            let thread = thread::spawn(move || {
                for request in waiting {
                    connection.send(&request)?;
                    acknowledged.fetch_add(request.samples as u64, Ordering::Relaxed);
                }
                Ok(())
            });
            Ok(Shard { builder: RequestBuilder::default(), requests, thread })
        };
        Ok(Sender { shards: (0..CONNECTIONS).map(shard).collect::<Outcome<_>>()?, acknowledged })
    }

    /// Samples that were acknowledged.
    fn samples(&self) -> u64 {
        self.acknowledged.load(Ordering::Relaxed)
    }

    /// Adds what a target shows at a time; sends what is enough for a request.
    fn add(&mut self, fleet: &mut Fleet, target: usize, which: Which, round: u64, t: i64) -> Outcome<()> {
        let shard = &mut self.shards[target % CONNECTIONS];
        let push = |labels: &[u8], value| shard.builder.push(labels, t, value);
        match which {
            Which::Long => fleet.scrape_long(target, round, push),
            Which::All => fleet.scrape(target, round, push),
        }
        if shard.builder.samples() + PER_TARGET > REQUEST_SAMPLES { shard.flush() } else { Ok(()) }
    }

    fn flush(&mut self) -> Outcome<()> {
        self.shards.iter_mut().try_for_each(Shard::flush)
    }

    /// Waits until everything is acknowledged.
    fn finish(self) -> Outcome<()> {
        for shard in self.shards {
            drop(shard.requests);
            shard.thread.join().map_err(|_| "a sending thread panicked")??;
        }
        Ok(())
    }
}

impl Shard {
    fn flush(&mut self) -> Outcome<()> {
        if self.builder.samples() == 0 {
            return Ok(());
        }
        let request = self.builder.finish()?;
        self.requests.send(request).map_err(|_| "a connection has ended; see the program's log".into())
    }
}

/// A connection that is opened again should the server have closed it: one that rested, or is a few minutes old.
struct Connection {
    address: SocketAddr,
    http: Http,
}

impl Connection {
    fn new(address: SocketAddr) -> Outcome<Connection> {
        let mut http = Http::connect(address)?;
        http.wait_up_to(ANSWER_WITHIN)?;
        Ok(Connection { address, http })
    }

    fn send(&mut self, request: &Request) -> Outcome<()> {
        let answer = match self.http.remote_write(&request.body) {
            Ok(answer) => answer,
            Err(_) => {
                *self = Connection::new(self.address)?;
                self.http.remote_write(&request.body)?
            }
        };
        match answer.status {
            200..=299 => Ok(()),
            status => Err(format!("a write was answered with {status}: {}", answer.text()).into()),
        }
    }
}

/// All targets again and again, each every ten seconds.
struct Pace {
    fleet: Fleet,
    sender: Sender,
    begun: Instant,
    /// The same by the clock that samples carry.
    begun_ms: i64,
    /// Rounds that were sent before.
    rounds: u64,
    /// Parts of rounds that were sent.
    part: u64,
    /// How far the sending was behind the clock at the most.
    behind: Duration,
}

impl Pace {
    /// How far the sending is behind the clock.
    fn lag(&self) -> Duration {
        let due = self.begun + Duration::from_millis(self.part * EVERY_MS / PARTS as u64);
        Instant::now().saturating_duration_since(due)
    }

    /// Sends what has waited, as far as the program takes it in time.
    fn catch_up(&mut self) -> Outcome<()> {
        let begun = Instant::now();
        while self.lag() > CAUGHT_UP && begun.elapsed() < CATCHES_UP_WITHIN {
            self.until(Instant::now() + CAUGHT_UP)?;
        }
        Ok(())
    }

    /// Sends what is due before an instant; what a program has not taken by then has to wait.
    fn until(&mut self, end: Instant) -> Outcome<()> {
        loop {
            let due = self.begun + Duration::from_millis(self.part * EVERY_MS / PARTS as u64);
            let now = Instant::now();
            if due >= end || now >= end {
                return Ok(());
            }
            thread::sleep(due.saturating_duration_since(now));
            self.behind = self.behind.max(now.saturating_duration_since(due));
            let (round, part) = (self.rounds + self.part / PARTS as u64, (self.part % PARTS as u64) as usize);
            // As scrapes have it, the time at which it was due.
            let t = self.begun_ms + (self.part * EVERY_MS / PARTS as u64) as i64;
            let targets = self.fleet.targets();
            for target in part * targets / PARTS..(part + 1) * targets / PARTS {
                self.sender.add(&mut self.fleet, target, Which::All, round, t)?;
            }
            self.sender.flush()?;
            self.part += 1;
        }
    }
}

/// Sends a decisive sample now and then; gives how long each took to be acknowledged, and its alert to arrive.
fn probe(address: SocketAddr, messages: &mpsc::Receiver<Message>, stop: &AtomicBool) -> Outcome<(Vec<f64>, Vec<f64>)> {
    let mut connection = Connection::new(address)?;
    let mut builder = RequestBuilder::default();
    let (mut sent, mut acknowledged, mut arrived) = (HashMap::new(), Vec::new(), Vec::new());
    let mut number = 0u64;
    let mut last = None;
    thread::sleep(WARM_UP);
    loop {
        if !stop.load(Ordering::Relaxed) {
            let name = format!("p{number}p");
            let labels = encode_labels([("__name__", "probe_level"), ("probe", name.as_str())]);
            builder.push(&labels, now_ms(), 1.0);
            let request = builder.finish()?;
            let begun = Instant::now();
            connection.send(&request)?;
            acknowledged.push(begun.elapsed().as_secs_f64() * 1e3);
            sent.insert(name, begun);
            number += 1;
        } else if sent.is_empty() || last.get_or_insert_with(Instant::now).elapsed() > LAST_WITHIN {
            break;
        }
        let next = Instant::now() + PROBE_EVERY;
        while let Ok(message) = messages.recv_timeout(next.saturating_duration_since(Instant::now())) {
            for name in message.body.split('"').filter(|word| word.starts_with('p') && word.ends_with('p')) {
                if let Some(begun) = sent.remove(name) {
                    arrived.push(message.arrived.saturating_duration_since(begun).as_secs_f64() * 1e3);
                }
            }
        }
    }
    if !sent.is_empty() {
        eprintln!("{} of {number} probes without an alert", sent.len());
    }
    acknowledged.sort_by(f64::total_cmp);
    arrived.sort_by(f64::total_cmp);
    Ok((acknowledged, arrived))
}

/// A program's own numbers.
struct Metrics(String);

impl Metrics {
    fn of(address: SocketAddr) -> Outcome<Metrics> {
        Ok(Metrics(Http::connect(address)?.get("/metrics")?.text()))
    }

    fn rows<'m>(&'m self, name: &'m str) -> impl Iterator<Item = (&'m str, f64)> {
        self.0.lines().filter_map(move |line| {
            let rest = line.strip_prefix(name).filter(|rest| rest.starts_with(['{', ' ']))?;
            let (labels, value) = rest.rsplit_once(' ')?;
            Some((labels, value.parse().ok()?))
        })
    }

    fn sum(&self, name: &str) -> f64 {
        self.rows(name).map(|(_, value)| value).sum()
    }

    /// The buckets of a histogram, without what was in them earlier.
    fn buckets(&self, name: &str, earlier: &Metrics) -> Buckets {
        let before: HashMap<&str, f64> = earlier.rows(name).collect();
        let bucket = |(labels, n): (&str, f64)| {
            let bound = labels.split('"').nth(1)?.replace("+Inf", "inf").parse().ok()?;
            Some((bound, n - before.get(labels).copied().unwrap_or(0.0)))
        };
        let mut buckets: Vec<(f64, f64)> = self.rows(name).filter_map(bucket).collect();
        buckets.sort_by(|a, b| a.0.total_cmp(&b.0));
        Buckets(buckets)
    }
}

/// How many alerts are pending or firing.
fn alerts(address: SocketAddr) -> Outcome<u64> {
    let answer = Http::connect(address)?.get("/api/v1/alerts")?;
    let value: serde_json::Value = serde_json::from_slice(&answer.body)?;
    Ok(value["data"]["alerts"].as_array().map_or(0, |alerts| alerts.len() as u64))
}
