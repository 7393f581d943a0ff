//! What was sent and what was acknowledged, kept outside the server; and the comparison with what it
//! answers later.

use std::collections::BTreeSet;
use std::error::Error;
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use evenkeel::model::{Batch, Labels, Sample, Timestamp};
use evenkeel::wire::encode_remote_write;
use serde_json::Value;

use crate::harness::{Http, Server, now_ms, percent};

/// Connections that write at once.
pub(crate) const WRITERS: u64 = 3;

/// What one connection did in one round. Each instant stands for a sample of every series.
#[derive(Debug, Default)]
pub(crate) struct Written {
    sent: Vec<i64>,
    pub(crate) acknowledged: Vec<i64>,
    pub(crate) refused: u64,
}

/// What was written in one round.
#[derive(Debug)]
pub(crate) struct Round {
    id: u64,
    series: u64,
    writers: Vec<Written>,
}

/// What a comparison found.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Found {
    pub(crate) acknowledged: u64,
    /// Acknowledged and not there, or with another value.
    pub(crate) lost: u64,
    /// There and never sent, or sent with another value.
    pub(crate) invented: u64,
}

impl Found {
    pub(crate) fn add(&mut self, other: Found) {
        self.acknowledged += other.acknowledged;
        self.lost += other.lost;
        self.invented += other.invented;
    }
}

/// How a writer goes on.
pub(crate) struct Pace<'a> {
    pub(crate) series: u64,
    /// Between two batches.
    pub(crate) pause: Duration,
    pub(crate) stop: &'a AtomicBool,
    /// Batches acknowledged by all writers together.
    pub(crate) acknowledged: &'a AtomicU64,
    /// Batches refused.
    pub(crate) refused: &'a AtomicU64,
}

/// A whole number of up to twelve digits, which every server keeps as it is, and which none can make small:
/// a log that is to run out of room has to grow.
fn value(t: i64, series: u64) -> f64 {
    let mixed = (t as u64 ^ series << 48).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    ((mixed ^ mixed >> 32).wrapping_mul(0xd6e8_feb8_6659_fd93) >> 24) as f64 % 1e12
}

/// Writes one batch after the other until told to stop or the connection breaks.
fn write(address: SocketAddr, round: u64, writer: u64, pace: &Pace<'_>) -> Result<Written, String> {
    let mut written = Written::default();
    let Ok(mut http) = Http::connect(address) else { return Ok(written) };
    let mut last = 0;
    while !pace.stop.load(Ordering::Relaxed) {
        last = now_ms().max(last + 1);
        let body = encode_remote_write(&batch(round, writer, pace.series, last)?);
        written.sent.push(last);
        match http.remote_write(&body) {
            // Both are how a receiver says that it has everything.
            Ok(answer) if answer.status == 204 || answer.status == 200 => {
                written.acknowledged.push(last);
                pace.acknowledged.fetch_add(1, Ordering::Relaxed);
            }
            Ok(answer) if answer.status >= 500 || answer.status == 429 => {
                written.refused += 1;
                pace.refused.fetch_add(1, Ordering::Relaxed);
                std::thread::sleep(Duration::from_millis(20));
            }
            Ok(answer) => return Err(format!("a write was answered with {}: {}", answer.status, answer.text())),
            Err(_) => return Ok(written),
        }
        std::thread::sleep(pace.pause);
    }
    Ok(written)
}

fn batch(round: u64, writer: u64, series: u64, t: i64) -> Result<Batch, String> {
    let mut batch = Batch::new();
    for n in 0..series {
        let text = [round, writer, n].map(|n| n.to_string());
        let labels = Labels::new([
            ("__name__", "load_value"),
            ("round", text[0].as_str()),
            ("series", text[2].as_str()),
            ("writer", text[1].as_str()),
        ]);
        batch.push(labels.map_err(|error| error.to_string())?, Sample { t: Timestamp(t), v: value(t, n) });
    }
    Ok(batch)
}

/// Writes from several connections while `act` runs; the connections stop when it is done.
pub(crate) fn load<T>(
    server: &mut Server,
    id: u64,
    pace: &Pace<'_>,
    act: impl FnOnce(&mut Server) -> io::Result<T>,
) -> Result<(Round, T), Box<dyn Error>> {
    let address = server.address;
    let (done, writers) = std::thread::scope(|scope| {
        let writers: Vec<_> =
            (0..WRITERS).map(|writer| scope.spawn(move || write(address, id, writer, pace))).collect();
        let done = act(server);
        pace.stop.store(true, Ordering::Relaxed);
        (done, writers.into_iter().map(|writer| writer.join()).collect::<Vec<_>>())
    });
    let mut round = Round { id, series: pace.series, writers: Vec::new() };
    for written in writers {
        round.writers.push(written.map_err(|_| "a writer panicked")??);
    }
    Ok((round, done?))
}

impl Round {
    /// The last instant that was acknowledged, and by which writer.
    pub(crate) fn acknowledged(&self) -> u64 {
        self.writers.iter().map(|written| written.acknowledged.len() as u64).sum::<u64>() * self.series
    }

    /// Compares what the server answers with what was sent.
    pub(crate) fn check(&self, server: &Server) -> Result<Found, Box<dyn Error>> {
        let selector = format!("load_value{{round=\"{}\"}}[1d]", self.id);
        let until = self.writers.iter().flat_map(|written| &written.sent).max().copied().unwrap_or(now_ms());
        let form = format!("query={}&time={}", percent(&selector), until as f64 / 1000.0);
        let answer = Http::connect(server.address)?.form("/api/v1/query", &form)?;
        if answer.status != 200 {
            return Err(format!("a query was answered with {}: {}", answer.status, answer.text()).into());
        }
        let json: Value = serde_json::from_slice(&answer.body)?;
        let sent: Vec<BTreeSet<i64>> =
            self.writers.iter().map(|written| written.sent.iter().copied().collect()).collect();
        let mut stored = vec![BTreeSet::new(); self.writers.len() * self.series as usize];
        let mut found = Found { acknowledged: self.acknowledged(), ..Found::default() };
        for result in json["data"]["result"].as_array().into_iter().flatten() {
            let number = |name: &str| result["metric"][name].as_str().and_then(|text| text.parse::<u64>().ok());
            let (Some(writer), Some(series)) = (number("writer"), number("series")) else {
                found.invented += 1;
                continue;
            };
            let place = stored.get_mut((writer * self.series + series) as usize).ok_or("a series that nobody wrote")?;
            for pair in result["values"].as_array().into_iter().flatten() {
                let t = pair[0].as_f64().map_or(0, |t| (t * 1000.0).round() as i64);
                let v = pair[1].as_str().and_then(|text| text.parse::<f64>().ok());
                if v == Some(value(t, series)) && sent.get(writer as usize).is_some_and(|sent| sent.contains(&t)) {
                    place.insert(t);
                } else {
                    found.invented += 1;
                }
            }
        }
        for (writer, written) in self.writers.iter().enumerate() {
            for series in 0..self.series as usize {
                let stored = &stored[writer * self.series as usize + series];
                found.lost += written.acknowledged.iter().filter(|t| !stored.contains(*t)).count() as u64;
            }
        }
        Ok(found)
    }
}
