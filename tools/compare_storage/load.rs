//! Rounds of samples for the measurements of speed and memory: encoded and compressed before any clock runs.
//!
//! Each instance of a service has a hundred series of six or seven labels. Half of the series go
//! over the first connection, the others over the second, as a sender with two shards does it.

use evenkeel::model::Labels;

use crate::Outcome;
use crate::check::mix;
use crate::harness::now_ms;
use crate::payload::{Request, RequestBuilder, encode_labels};
use crate::process::Process;
use crate::sender::{Sender, Sent};
use crate::source::SAMPLES_PER_REQUEST;

/// Connections, each with its share of the series.
pub(crate) const SHARDS: usize = 2;
/// Time between two samples of a series.
const EVERY_MS: i64 = 15_000;
const SERIES_PER_INSTANCE: usize = 100;
const METRICS: usize = 20;

/// Requests of all rounds.
pub(crate) struct Load {
    pub(crate) series: usize,
    start: i64,
    /// Of each round, of each shard.
    rounds: Vec<[Vec<Request>; SHARDS]>,
    /// Bytes of the labels of all series, encoded.
    pub(crate) label_bytes: usize,
    /// Bytes of all requests.
    pub(crate) request_bytes: usize,
}

impl Load {
    /// Encodes so many rounds of so many series; they end a little before now.
    pub(crate) fn new(series: usize, rounds: usize) -> Outcome<Load> {
        let labels: Vec<Vec<u8>> = (0..series)
            .map(|i| labels(i).map(|labels| encode_labels(labels.iter().map(|label| (label.name, label.value)))))
            .collect::<Outcome<_>>()?;
        let start = now_ms() - 60_000 - rounds as i64 * EVERY_MS;
        let mut load = Load {
            series,
            start,
            rounds: Vec::new(),
            label_bytes: labels.iter().map(Vec::len).sum(),
            request_bytes: 0,
        };
        let mut builder = RequestBuilder::default();
        for round in 0..rounds {
            let mut shards: [Vec<Request>; SHARDS] = Default::default();
            for (shard, requests) in shards.iter_mut().enumerate() {
                for i in (shard..series).step_by(SHARDS) {
                    builder.push(&labels[i], load.time(round), value(i, round));
                    if builder.samples() == SAMPLES_PER_REQUEST {
                        requests.push(builder.finish()?);
                    }
                }
                if builder.samples() > 0 {
                    requests.push(builder.finish()?);
                }
                load.request_bytes += requests.iter().map(|request| request.body.len()).sum::<usize>();
            }
            load.rounds.push(shards);
        }
        Ok(load)
    }

    /// When the samples of a round are from.
    pub(crate) fn time(&self, round: usize) -> i64 {
        self.start + round as i64 * EVERY_MS
    }

    /// How many rounds there are.
    pub(crate) fn rounds(&self) -> usize {
        self.rounds.len()
    }

    /// Sends some rounds; each connection goes on by itself. Stops between two rounds if `enough` says so.
    pub(crate) fn send(
        &self,
        process: &Process,
        rounds: std::ops::Range<usize>,
        enough: impl Fn() -> bool + Sync,
    ) -> Outcome<Sent> {
        let enough = &enough;
        let address = process.address;
        std::thread::scope(|scope| {
            let connections: Vec<_> = (0..SHARDS)
                .map(|shard| {
                    let rounds = &self.rounds[rounds.clone()];
                    scope.spawn(move || {
                        let mut sender = Sender::connect(address)?;
                        for round in rounds {
                            if enough() {
                                break;
                            }
                            round[shard].iter().try_for_each(|request| sender.send(request))?;
                        }
                        Outcome::Ok(sender.sent)
                    })
                })
                .collect();
            let mut all = Sent::default();
            for connection in connections {
                all.add(connection.join().map_err(|_| "a sending thread panicked")??);
            }
            Ok(all)
        })
    }
}

/// The metrics' names.
pub(crate) fn metrics() -> impl Iterator<Item = String> {
    (0..METRICS).map(metric)
}

fn metric(i: usize) -> String {
    let subject =
        ["http_server_requests", "grpc_client_calls", "db_pool_connections", "queue_messages", "cache_lookups"][i % 5];
    let what = ["total", "bytes_total", "in_use", "duration_seconds_sum"][i / 5];
    format!("{subject}_{what}")
}

/// The labels of a series: about 165 bytes when encoded.
pub(crate) fn labels(i: usize) -> Outcome<Labels> {
    let (instance, of_instance) = (i / SERIES_PER_INSTANCE, i % SERIES_PER_INSTANCE);
    let service = ["checkout", "catalog", "accounts", "search", "payments"][instance % 5];
    let metric = metric(of_instance % METRICS);
    let route =
        ["/api/v1/items", "/api/v1/orders", "/api/v1/session", "/api/v1/search", "/metrics"][of_instance / METRICS];
    let address = format!("10.{}.{}.{}:8080", instance / 62_500, instance / 250 % 250, instance % 250);
    let pod = format!("{service}-7d9f8b6c5d-{:05x}", mix(instance as u64) & 0xf_ffff);
    let mut pairs = vec![
        ("__name__", metric.as_str()),
        ("instance", &address),
        ("job", "services"),
        ("namespace", "shop"),
        ("pod", &pod),
        ("route", route),
    ];
    if of_instance.is_multiple_of(2) {
        pairs.push(("code", "200"));
    }
    Ok(Labels::new(pairs)?)
}

/// The value of a series in a round: constants, whole counters, memory, and times with three digits.
pub(crate) fn value(i: usize, round: usize) -> f64 {
    let of_series = mix(i as u64);
    let of_sample = mix(of_series ^ round as u64);
    let start = (of_series % 1_000_000) as f64;
    match i % SERIES_PER_INSTANCE {
        0..30 => start,
        30..70 => {
            let rate = 1 + of_series % 200;
            start + (round as u64 * rate + of_sample % rate) as f64
        }
        70..90 => (start + (of_sample % 64) as f64) * 4096.0,
        _ => (start + (round as u64 * 700 + of_sample % 700) as f64) / 1000.0,
    }
}
