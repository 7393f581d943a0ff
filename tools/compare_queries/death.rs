//! Queries of death while samples come in at full speed: they are refused or bounded, and writers do not feel them.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::{Duration, Instant};

use crate::harness::{Http, percent, quantile};
use crate::options::Options;
use crate::payload::{RequestBuilder, encode_labels};
use crate::process::Process;
use crate::sender::{Sender, Sent};
use crate::table::{Table, bytes, short};
use crate::{Outcome, Output};

/// Series that are written while queries run.
const SERIES: usize = 20_000;
/// Samples of a request, about as many as a scrape of a busy target.
const SAMPLES_PER_REQUEST: usize = 2000;
/// Connections that write.
const WRITERS: usize = 2;
/// Connections that ask.
const ASKERS: usize = 8;
/// Time between two samples of a series.
const EVERY_MS: i64 = 15_000;
/// How long an asker waits for an answer.
const ANSWER_WITHIN: Duration = Duration::from_secs(150);

/// Each asks for more than a server should give: expression, seconds, step.
const QUERIES: [(&str, i64, i64); 8] = [
    ("{__name__=~\".+\"}", 86_400, 8),
    ("sum by (tenant, endpoint, code, instance, pod, le) (rate({__name__=~\".+_total|.+_bucket\"}[24h]))", 86_400, 8),
    ("max_over_time(rate(http_request_duration_seconds_bucket[5m])[24h:1s])", 3600, 15),
    ("quantile_over_time(0.5, {__name__=~\".+\"}[24h])", 3600, 15),
    ("gateway_requests_total * on (tenant, endpoint, code) group_left gateway_requests_total", 3600, 1),
    ("count by (tenant) ({__name__=~\".*e.*e.*e.*\", tenant!~\".*[13579]$\"})", 86_400, 8),
    ("label_replace(gateway_requests_total, \"x\", \"$1$1$1$1\", \"tenant\", \"(.*)\")", 3600, 1),
    ("topk(100000, sort(predict_linear({__name__=~\"node_.*|gateway_.*\"}[12h], 3600)))", 86_400, 8),
];

const HOW: &str = "\n## Queries of death\n
Two connections write requests of 2,000 samples of 20,000 series as fast as they are answered; then they do so again while eight
connections ask for far too much, one query after the other. Times are from a request to its acknowledgement.\n";

/// What came back to the askers.
#[derive(Default)]
struct Asked {
    answered: u64,
    refused: u64,
    lost: u64,
    longest: f64,
}

/// Measures both phases of one server.
pub(crate) fn run(options: &Options, process: &mut Process, end: i64, output: &mut Output) -> Outcome<()> {
    output.print(HOW)?;
    let clock = AtomicI64::new(end - 86_400_000);
    let mut table = Table::new(&["", "samples/s", "ack p50 ms", "p99 ms", "longest ms", "RSS", "peak RSS"]);
    let mut p99 = Vec::new();
    let mut asked = Asked::default();
    for phase in ["alone", "with queries of death"] {
        let over = AtomicBool::new(false);
        let address = process.address;
        let begun = Instant::now();
        let (sent, found) = std::thread::scope(|scope| -> Outcome<(Sent, Asked)> {
            let (over, clock) = (&over, &clock);
            let writers: Vec<_> = (0..WRITERS).map(|n| scope.spawn(move || write(address, n, clock, over))).collect();
            let askers = if phase == "alone" { 0 } else { ASKERS };
            let askers: Vec<_> = (0..askers).map(|n| scope.spawn(move || torment(address, n, end, over))).collect();
            while begun.elapsed() < Duration::from_secs(options.seconds) {
                std::thread::sleep(Duration::from_millis(200));
                process.still_runs()?;
            }
            over.store(true, Ordering::Relaxed);
            let mut sent = Sent::default();
            for writer in writers {
                sent.add(writer.join().map_err(|_| "a writer panicked")??);
            }
            let mut all = Asked::default();
            for asker in askers {
                let one = asker.join().map_err(|_| "an asker panicked")?;
                all.answered += one.answered;
                all.refused += one.refused;
                all.lost += one.lost;
                all.longest = all.longest.max(one.longest);
            }
            Ok((sent, all))
        })?;
        let seconds = options.seconds as f64;
        let mut times = sent.times_ms;
        times.sort_by(f64::total_cmp);
        let figures = process.figures()?;
        p99.push(quantile(&times, 0.99));
        table.row(vec![
            phase.to_owned(),
            short(sent.samples as f64 / seconds),
            short(quantile(&times, 0.5)),
            short(quantile(&times, 0.99)),
            short(times.last().copied().unwrap_or(f64::NAN)),
            bytes(figures.resident as f64),
            bytes(figures.peak as f64),
        ]);
        asked = found;
    }
    output.print(&table.text())?;
    let peak = process.figures()?.peak;
    output.print(&format!(
        "- {} queries answered, {} refused, {} connections lost; the longest took {:.1} s\n\
         - p99 with queries ÷ alone: {:.2}×\n- peak RSS {} of {} allowed: {}\n",
        asked.answered,
        asked.refused,
        asked.lost,
        asked.longest,
        p99[1] / p99[0],
        bytes(peak as f64),
        bytes(options.memory as f64),
        if peak <= options.memory { "within" } else { "**over**" }
    ))
}

/// Writes as fast as it is answered; all writers share a clock, so that time goes on in the second phase.
fn write(address: SocketAddr, writer: usize, clock: &AtomicI64, over: &AtomicBool) -> Outcome<Sent> {
    let mut sender = Sender::connect(address)?;
    let mut labels = Vec::new();
    for number in (writer..SERIES).step_by(WRITERS) {
        let name = format!("written_total_{}", number % 50);
        let instance = format!("writer-{}", number / 50);
        labels.push(encode_labels([("__name__", name.as_str()), ("instance", instance.as_str()), ("job", "death")]));
    }
    let mut builder = RequestBuilder::default();
    let mut value = 0.0;
    while !over.load(Ordering::Relaxed) {
        let t = clock.fetch_add(EVERY_MS / WRITERS as i64, Ordering::Relaxed);
        value += 1.0;
        for part in labels.chunks(SAMPLES_PER_REQUEST) {
            part.iter().for_each(|labels| builder.push(labels, t, value));
            sender.send(&builder.finish()?)?;
        }
    }
    Ok(sender.sent)
}

/// Asks for too much until it is told to stop.
fn torment(address: SocketAddr, asker: usize, end: i64, over: &AtomicBool) -> Asked {
    let mut asked = Asked::default();
    let mut http = None;
    for n in asker.. {
        if over.load(Ordering::Relaxed) {
            break;
        }
        let (query, length, step) = QUERIES[n % QUERIES.len()];
        let end = end / 1000;
        let form = format!("query={}&start={}&end={end}&step={step}", percent(query), end - length);
        let connection = http.take().map_or_else(|| Http::connect(address), Ok);
        let begun = Instant::now();
        let answer = connection.and_then(|mut connection| {
            connection.wait_up_to(ANSWER_WITHIN)?;
            let answer = connection.form("/api/v1/query_range", &form)?;
            Ok((connection, answer))
        });
        asked.longest = asked.longest.max(begun.elapsed().as_secs_f64());
        match answer {
            Ok((connection, answer)) => {
                http = Some(connection);
                *if answer.status == 200 { &mut asked.answered } else { &mut asked.refused } += 1;
            }
            Err(_) => asked.lost += 1,
        }
    }
    asked
}
