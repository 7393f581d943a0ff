//! Rounds of `kill -9`: writers note what was acknowledged, alerts are left pending and firing, and
//! after each restart everything is compared with what was promised.
//!
//! Promises checked:
//! - every acknowledged sample can be read;
//! - an alert that was seen pending or firing is active since the same millisecond as before;
//! - a page fires exactly `for` after that, to the millisecond, though the server may be down then;
//! - every due page arrives.

use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;
use std::fmt;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use evenkeel::env::Rng;
use evenkeel::model::{Batch, Labels, Sample, Timestamp};
use evenkeel::wire::encode_remote_write;
use serde_json::Value;

use crate::harness::{Http, Message, Server, now_ms, percent, webhook_receiver};

const WRITERS: u64 = 3;
const SERIES_PER_BATCH: u64 = 40;
const HOLD_MS: i64 = 700;
/// How long a round writes, at the least and at the most: with the starts and the comparisons, a
/// thousand rounds take a quarter of an hour.
const LOAD_MS: (u64, u64) = (20, 500);

/// What a campaign found.
pub(crate) struct Report {
    rounds: u64,
    samples_acknowledged: u64,
    alerts: usize,
    alerts_seen_before_and_after: u64,
    pages_while_up: u64,
    pages_after_restart: u64,
    pages_repeated: u64,
    /// Broken promises, in words.
    pub(crate) failures: Vec<String>,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "rounds of kill -9                        {:>10}", self.rounds)?;
        writeln!(f, "samples acknowledged                     {:>10}", self.samples_acknowledged)?;
        writeln!(f, "alerts raised                            {:>10}", self.alerts)?;
        writeln!(f, "alerts compared across a kill            {:>10}", self.alerts_seen_before_and_after)?;
        writeln!(f, "pages due while up, fired to the ms      {:>10}", self.pages_while_up)?;
        writeln!(f, "pages due while down, sent after restart {:>10}", self.pages_after_restart)?;
        writeln!(f, "pages sent again (same idempotency key)  {:>10}", self.pages_repeated)?;
        write!(f, "broken promises                          {:>10}", self.failures.len())?;
        self.failures.iter().take(20).try_for_each(|failure| write!(f, "\n  {failure}"))
    }
}

/// Acknowledged samples: for each series the instants and values.
type Acknowledged = BTreeMap<(u64, u64, u64), Vec<(i64, f64)>>;

struct Campaign {
    rng: Rng,
    acknowledged: Acknowledged,
    /// For each alert, the active-since text that was first seen.
    active_at: BTreeMap<String, i64>,
    /// When the server was up: spans of real time.
    up: Vec<(i64, i64)>,
    /// For each alert, when its page said that it fired, once a page arrived.
    fired_at: BTreeMap<String, i64>,
    raised: Vec<String>,
    report: Report,
}

/// Runs `rounds` rounds in `dir`; the seed decides when each kill comes.
pub(crate) fn run(program: &Path, dir: &Path, rounds: u64, seed: u64) -> Result<Report, Box<dyn Error>> {
    let (receiver, pages) = webhook_receiver()?;
    write_config(dir, &receiver.to_string())?;
    let config = dir.join("prometheus.yml");
    let data = dir.join("data");
    let mut campaign = Campaign {
        rng: Rng::new(seed),
        acknowledged: Acknowledged::new(),
        active_at: BTreeMap::new(),
        up: Vec::new(),
        fired_at: BTreeMap::new(),
        raised: Vec::new(),
        report: Report {
            rounds,
            samples_acknowledged: 0,
            alerts: 0,
            alerts_seen_before_and_after: 0,
            pages_while_up: 0,
            pages_after_restart: 0,
            pages_repeated: 0,
            failures: Vec::new(),
        },
    };
    for round in 0..rounds {
        let mut server = Server::start(program, &data, Some(&config))?;
        let since = now_ms();
        campaign.check_samples(&server, round.checked_sub(1))?;
        campaign.compare_alerts(&server)?;
        campaign.load_and_kill(&mut server, round)?;
        campaign.up.push((since, now_ms()));
        campaign.take_pages(&pages);
    }
    let server = Server::start(program, &data, Some(&config))?;
    campaign.up.push((now_ms(), i64::MAX));
    campaign.check_samples(&server, None)?;
    campaign.compare_alerts(&server)?;
    campaign.wait_for_pages(&pages);
    campaign.check_pages();
    server.kill()?;
    Ok(campaign.report)
}

fn write_config(dir: &Path, receiver: &str) -> std::io::Result<()> {
    std::fs::write(
        dir.join("rules.yml"),
        format!(
            "groups:\n- name: campaign\n  rules:\n  - alert: Stuck\n    expr: sum by (alarm) (stuck_level) > 0\n    for: {HOLD_MS}ms\n    labels: {{severity: page}}\n"
        ),
    )?;
    std::fs::write(
        dir.join("alertmanager.yml"),
        format!(
            "route: {{receiver: pager, group_by: ['...'], group_wait: 0s, group_interval: 1m, repeat_interval: 24h}}\n\
             receivers: [{{name: pager, webhook_configs: [{{url: 'http://{receiver}/'}}]}}]\n"
        ),
    )?;
    std::fs::write(dir.join("prometheus.yml"), "rule_files: [rules.yml]\nalertmanager_file: alertmanager.yml\n")
}

impl Campaign {
    /// Writes from several connections for a while, raises an alert somewhere in between, and kills the
    /// server while they go on writing.
    fn load_and_kill(&mut self, server: &mut Server, round: u64) -> Result<(), Box<dyn Error>> {
        let length = Duration::from_millis(LOAD_MS.0 + self.rng.below(LOAD_MS.1 - LOAD_MS.0));
        let raise_after = length.mul_f64(self.rng.unit());
        let stop = AtomicBool::new(false);
        let begun = Instant::now();
        let alarm = format!("r{round}");
        let address = server.address;
        let (acknowledged, done) = std::thread::scope(|scope| {
            let stop = &stop;
            let writers: Vec<_> =
                (0..WRITERS).map(|writer| scope.spawn(move || write_until(address, round, writer, stop))).collect();
            std::thread::sleep(raise_after);
            let done = raise(server, &alarm).and_then(|()| {
                self.raised.push(alarm);
                self.compare_alerts(server)?;
                std::thread::sleep(length.saturating_sub(begun.elapsed()));
                Ok(server.kill_now()?)
            });
            stop.store(true, Ordering::Relaxed);
            (writers.into_iter().map(|writer| writer.join()).collect::<Vec<_>>(), done)
        });
        done?;
        self.report.alerts += 1;
        for list in acknowledged {
            let list = list.map_err(|_| "a writer panicked")??;
            for (key, sample) in list {
                self.report.samples_acknowledged += 1;
                self.acknowledged.entry(key).or_default().push(sample);
            }
        }
        Ok(())
    }

    /// Reads back the samples of one round, or of all.
    fn check_samples(&mut self, server: &Server, round: Option<u64>) -> Result<(), Box<dyn Error>> {
        let mut http = Http::connect(server.address)?;
        let rounds: BTreeSet<u64> = match round {
            Some(round) => BTreeSet::from([round]),
            None => self.acknowledged.keys().map(|(round, ..)| *round).collect(),
        };
        for round in rounds {
            let of_round = (round, 0, 0)..(round + 1, 0, 0);
            let selector = format!("load_value{{round=\"{round}\"}}[1d]");
            // A fast writer's instants, one millisecond apart, run ahead of the clock.
            let last = self.acknowledged.range(of_round.clone()).filter_map(|(_, samples)| samples.last());
            let until = last.map(|(t, _)| *t).max().unwrap_or(0) as f64 / 1000.0;
            let answer = http.form("/api/v1/query", &format!("query={}&time={until}", percent(&selector)))?;
            let stored = samples_of(&serde_json::from_slice(&answer.body)?);
            for ((_, writer, series), expected) in self.acknowledged.range(of_round) {
                let stored = stored.get(&(*writer, *series));
                for (t, v) in expected {
                    let found = stored.and_then(|stored| stored.get(t));
                    if found != Some(&v.to_string()) {
                        self.report.failures.push(format!(
                            "round {round}, writer {writer}, series {series} at {t}: {v} was acknowledged, {found:?} is stored"
                        ));
                    }
                }
            }
        }
        Ok(())
    }

    /// Compares the instants since which alerts are active with those seen before.
    fn compare_alerts(&mut self, server: &Server) -> Result<(), Box<dyn Error>> {
        let json: Value = serde_json::from_slice(&Http::connect(server.address)?.get("/api/v1/alerts")?.body)?;
        for alert in json["data"]["alerts"].as_array().into_iter().flatten() {
            let (Some(alarm), Some(since)) = (alert["labels"]["alarm"].as_str(), alert["activeAt"].as_str()) else {
                continue;
            };
            let since = Timestamp::parse_rfc3339(since)
                .map(|t| t.0)
                .ok_or_else(|| format!("activeAt {since:?} is no instant"))?;
            match self.active_at.get(alarm) {
                None => {
                    self.active_at.insert(alarm.to_owned(), since);
                }
                Some(before) => {
                    self.report.alerts_seen_before_and_after += 1;
                    if *before != since {
                        self.report.failures.push(format!("alert {alarm}: active since {before} before, {since} now"));
                    }
                }
            }
        }
        for alarm in &self.raised {
            let listed =
                json["data"]["alerts"].as_array().into_iter().flatten().any(|a| a["labels"]["alarm"] == **alarm);
            if !listed {
                self.report.failures.push(format!("alert {alarm} was raised and is not listed"));
            }
        }
        Ok(())
    }

    fn take_pages(&mut self, pages: &mpsc::Receiver<Message>) {
        while let Ok(page) = pages.try_recv() {
            let Ok(json) = serde_json::from_str::<Value>(&page.body) else {
                self.report.failures.push(format!("a page is no JSON: {}", page.body));
                continue;
            };
            for alert in json["alerts"].as_array().into_iter().flatten() {
                let (Some(alarm), Some(at)) = (alert["labels"]["alarm"].as_str(), alert["startsAt"].as_str()) else {
                    continue;
                };
                let at = Timestamp::parse_rfc3339(at).map_or(-1, |t| t.0);
                match self.fired_at.insert(alarm.to_owned(), at) {
                    None => {}
                    Some(before) if before == at => self.report.pages_repeated += 1,
                    Some(before) => {
                        self.report.failures.push(format!("alert {alarm}: pages say it fired at {before} and at {at}"));
                    }
                }
            }
        }
    }

    fn wait_for_pages(&mut self, pages: &mpsc::Receiver<Message>) {
        let begun = Instant::now();
        while begun.elapsed() < Duration::from_secs(10) {
            self.take_pages(pages);
            if self.raised.iter().all(|alarm| self.fired_at.contains_key(alarm)) {
                return;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn check_pages(&mut self) {
        for alarm in &self.raised {
            let (Some(&active), Some(&fired)) = (self.active_at.get(alarm), self.fired_at.get(alarm)) else {
                self.report.failures.push(format!("alert {alarm}: its page never came, or it was never listed"));
                continue;
            };
            let due = active + HOLD_MS;
            // A timer that is late, or was due while the server was down, is logged with its own instant.
            if fired != due {
                self.report.failures.push(format!("alert {alarm}: due at {due}, fired at {fired}"));
            } else if self.up.iter().any(|(from, until)| (*from..*until).contains(&due)) {
                self.report.pages_while_up += 1;
            } else {
                self.report.pages_after_restart += 1;
            }
        }
    }
}

type Acks = Vec<((u64, u64, u64), (i64, f64))>;

/// The samples of an answer by writer and series: instants and values as texts.
fn samples_of(answer: &Value) -> BTreeMap<(u64, u64), BTreeMap<i64, String>> {
    let mut all: BTreeMap<_, BTreeMap<i64, String>> = BTreeMap::new();
    for result in answer["data"]["result"].as_array().into_iter().flatten() {
        let number = |name: &str| result["metric"][name].as_str().and_then(|text| text.parse::<u64>().ok());
        let (Some(writer), Some(series)) = (number("writer"), number("series")) else { continue };
        let pairs = result["values"].as_array().into_iter().flatten();
        let sample = |pair: &Value| Some(((pair[0].as_f64()? * 1000.0).round() as i64, pair[1].as_str()?.to_owned()));
        all.entry((writer, series)).or_default().extend(pairs.filter_map(sample));
    }
    all
}

/// Writes one batch after the other until told to stop or the server is gone, and notes those that were
/// acknowledged.
fn write_until(address: SocketAddr, round: u64, writer: u64, stop: &AtomicBool) -> Result<Acks, String> {
    let mut http = Http::connect(address).map_err(|error| error.to_string())?;
    let mut acks = Acks::new();
    let mut last = 0;
    while !stop.load(Ordering::Relaxed) {
        let t = now_ms().max(last + 1);
        last = t;
        let mut batch = Batch::new();
        let mut sent = Acks::new();
        for series in 0..SERIES_PER_BATCH {
            let text = [round.to_string(), writer.to_string(), series.to_string()];
            let labels = Labels::new([
                ("__name__", "load_value"),
                ("round", text[0].as_str()),
                ("writer", text[1].as_str()),
                ("series", text[2].as_str()),
            ])
            .map_err(|e| e.to_string())?;
            let v = (t % 100_000) as f64 + series as f64 / 64.0;
            batch.push(labels, Sample { t: Timestamp(t), v });
            sent.push(((round, writer, series), (t, v)));
        }
        match http.remote_write(&encode_remote_write(&batch)) {
            Ok(answer) if answer.status == 204 => acks.extend(sent),
            Ok(answer) => return Err(format!("a write was answered with {}: {}", answer.status, answer.text())),
            // Killed: nothing was promised.
            Err(_) => break,
        }
    }
    Ok(acks)
}

fn raise(server: &Server, alarm: &str) -> Result<(), Box<dyn Error>> {
    let mut batch = Batch::new();
    let labels = Labels::new([("__name__", "stuck_level"), ("alarm", alarm)])?;
    batch.push(labels, Sample { t: Timestamp(now_ms()), v: 1.0 });
    let answer = Http::connect(server.address)?.remote_write(&encode_remote_write(&batch))?;
    if answer.status == 204 { Ok(()) } else { Err(answer.text().into()) }
}
