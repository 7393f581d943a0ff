//! Tests of `scrape` over loopback: a small server says what a test wants, the clock moves only
//! when the test moves it.

mod configured;
mod database;
mod host;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use evenkeel::db::Beside;
use evenkeel::env::ManualClock;
use evenkeel::model::{Batch, Labels, Millis, Rejected, Timestamp, is_stale};
use evenkeel::notify::{Authorization, Secret};
use evenkeel::scrape::{
    Collect, Encoding, Health, Job, LocalJob, Scheme, Scraper, Sink, SinkError, TargetGroup, TargetStatus,
};
use evenkeel::wire::Format;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::mpsc;

const INTERVAL: Millis = Millis::seconds(10);
const TEXT: &str = "Content-Type: text/plain; version=0.0.4";

/// What the server answers, and the heads of the requests that it got.
#[derive(Default)]
struct Site {
    answer: Mutex<Vec<u8>>,
    heads: Mutex<Vec<String>>,
}

impl Site {
    fn says(&self, status: &str, headers: &str, body: &[u8]) {
        let mut answer =
            format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\n{headers}\r\n\r\n", body.len()).into_bytes();
        answer.extend_from_slice(body);
        *self.answer.lock().unwrap() = answer;
    }

    fn last_head(&self) -> String {
        self.heads.lock().unwrap().last().unwrap().clone()
    }
}

async fn serve() -> (Arc<Site>, String) {
    let site = Arc::new(Site::default());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let shared = Arc::clone(&site);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let shared = Arc::clone(&shared);
            tokio::spawn(async move {
                let mut head = Vec::new();
                while !head.ends_with(b"\r\n\r\n") {
                    match stream.read_u8().await {
                        // Not the beginning of a GET: a TLS handshake.
                        Ok(byte) if head.is_empty() && byte != b'G' => return,
                        Ok(byte) => head.push(byte),
                        Err(_) => return,
                    }
                }
                shared.heads.lock().unwrap().push(String::from_utf8(head).unwrap());
                let answer = shared.answer.lock().unwrap().clone();
                if answer.is_empty() {
                    // Says nothing until the other side gives up.
                    let _ = stream.read_u8().await;
                    return;
                }
                let _ = stream.write_all(&answer).await;
                let _ = stream.shutdown().await;
            });
        }
    });
    (site, address)
}

/// A sink that shows every batch to the test and fails when told to.
struct Shown {
    batches: mpsc::UnboundedSender<Batch>,
    broken: Mutex<bool>,
}

impl Sink for Shown {
    fn write(&self, batch: Batch, _: Beside) -> Result<Rejected, SinkError> {
        self.batches.send(batch).unwrap();
        if *self.broken.lock().unwrap() { Err(SinkError("disk full".to_owned())) } else { Ok(Rejected::default()) }
    }
}

struct Bench {
    scraper: Scraper,
    clock: Arc<ManualClock>,
    sink: Arc<Shown>,
    batches: mpsc::UnboundedReceiver<Batch>,
}

impl Bench {
    fn new() -> Bench {
        let (sender, batches) = mpsc::unbounded_channel();
        let sink = Arc::new(Shown { batches: sender, broken: Mutex::new(false) });
        let clock = Arc::new(ManualClock::new(1_700_000_000_000));
        let scraper = Scraper::new(Arc::<Shown>::clone(&sink), Arc::<ManualClock>::clone(&clock)).unwrap();
        Bench { scraper, clock, sink, batches }
    }

    /// Moves on by one interval and waits for the batch of it.
    async fn round(&mut self) -> Batch {
        self.clock.advance(INTERVAL.0);
        self.scraper.clock_moved();
        self.batch().await
    }

    async fn batch(&mut self) -> Batch {
        tokio::time::timeout(Duration::from_secs(20), self.batches.recv()).await.expect("a batch comes").unwrap()
    }

    /// The only target's status once it speaks of the scrape that made this batch.
    async fn status(&self, batch: &Batch) -> TargetStatus {
        let at = Some(batch.samples()[0].sample.t);
        let shown = async {
            loop {
                let status = self.scraper.targets().remove(0);
                if status.last_scrape == at {
                    return status;
                }
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(20), shown).await.expect("the status follows the batch")
    }
}

fn job(address: &str) -> Job {
    let group =
        TargetGroup { addresses: vec![address.to_owned()], labels: vec![("env".to_owned(), "test".to_owned())] };
    Job { interval: INTERVAL, ..Job::new("shop", vec![group]) }
}

fn value(batch: &Batch, name: &str) -> Option<f64> {
    let at = batch.series().iter().position(|labels| labels.metric_name() == name)?;
    batch.samples().iter().find(|sample| sample.series as usize == at).map(|sample| sample.sample.v)
}

fn gzip(body: &[u8]) -> Vec<u8> {
    use std::io::Write;
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(body).unwrap();
    encoder.finish().unwrap()
}

#[tokio::test]
async fn a_target_is_scraped_every_interval_with_its_labels() {
    let (site, address) = serve().await;
    let mut bench = Bench::new();
    site.says("200 OK", TEXT, b"requests_total{code=\"200\"} 5\n");
    bench.scraper.reload(&[job(&address)], &[]).await.unwrap();
    assert_eq!(bench.scraper.targets()[0].health, Health::Unknown);
    let first = bench.round().await;
    let series: Vec<String> = first.series().iter().map(ToString::to_string).collect();
    assert_eq!(
        series.last().unwrap(),
        &format!("requests_total{{code=\"200\", env=\"test\", instance=\"{address}\", job=\"shop\"}}")
    );
    assert_eq!((value(&first, "up"), value(&first, "requests_total")), (Some(1.0), Some(5.0)));
    assert_eq!(value(&first, "scrape_series_added"), Some(1.0));
    let head = site.last_head().to_lowercase();
    assert!(head.starts_with("get /metrics http/1.1"), "{head}");
    for part in ["accept: application/openmetrics-text;version=1.0.0", "accept-encoding: gzip", "user-agent: evenkeel/"]
    {
        assert!(head.contains(part), "{head}");
    }
    assert!(head.contains("x-prometheus-scrape-timeout-seconds: 10"), "{head}");
    let second = bench.round().await;
    assert_eq!(second.samples()[0].sample.t - first.samples()[0].sample.t, INTERVAL);
    let status = bench.status(&second).await;
    assert_eq!((status.health, status.samples, status.last_error.as_str()), (Health::Up, 1, ""));
    assert_eq!(status.url, format!("http://{address}/metrics"));
    assert_eq!(status.last_scrape, Some(second.samples()[0].sample.t));
}

#[tokio::test]
async fn answers_are_refused_with_their_reason() {
    let (site, address) = serve().await;
    let mut bench = Bench::new();
    let small = Job { body_bytes_max: 1000, ..job(&address) };
    bench.scraper.reload(&[small], &[]).await.unwrap();
    let bomb = gzip(&[b'\n'; 100_000]);
    assert!(bomb.len() < 1000);
    let gzipped = format!("{TEXT}\r\nContent-Encoding: gzip");
    let cases: [(&str, &str, &[u8], &str); 9] = [
        ("500 Oops", TEXT, b"", "the target answered with HTTP status 500 Internal Server Error"),
        ("200 OK", "X: y", b"a 1\n", "the answer has no content type; set fallback_scrape_protocol"),
        (
            "200 OK",
            "Content-Type: text/html",
            b"a 1\n",
            "the answer's content type \"text/html\" is not a metrics format",
        ),
        ("200 OK", TEXT, &[b'\n'; 1001], "the answer is longer than 1000 bytes"),
        ("200 OK", &gzipped, &bomb, "the answer is longer than 1000 bytes"),
        ("200 OK", &gzipped, b"plain", "the answer cannot be decompressed: "),
        (
            "200 OK",
            &format!("{TEXT}\r\nContent-Encoding: br"),
            b"",
            "the answer's content encoding \"br\" was not asked for",
        ),
        ("200 OK", TEXT, b"a 1\nb", "2:2: a value is missing behind the series"),
        (
            "200 OK",
            "Content-Type: application/openmetrics-text; version=1.0.0",
            b"a 1\n",
            "2:1: the text does not end with # EOF",
        ),
    ];
    for (status, headers, body, reason) in cases {
        site.says(status, headers, body);
        let batch = bench.round().await;
        assert_eq!(value(&batch, "up"), Some(0.0), "{reason}");
        assert_eq!(value(&batch, "a"), None, "{reason}");
        let shown = bench.status(&batch).await;
        assert_eq!(shown.health, Health::Down);
        assert!(shown.last_error.starts_with(reason), "{}\n{reason}", shown.last_error);
    }
}

#[tokio::test]
async fn compressed_and_untyped_answers_are_read_when_allowed() {
    let (site, address) = serve().await;
    let mut bench = Bench::new();
    let job = Job { fallback_format: Some(Encoding::Text(Format::Text)), ..job(&address) };
    bench.scraper.reload(&[job], &[]).await.unwrap();
    site.says("200 OK", "X: y\r\nContent-Encoding: gzip", &gzip(b"a 1\n"));
    assert_eq!(value(&bench.round().await, "a"), Some(1.0));
    site.says("200 OK", "Content-Type: application/openmetrics-text", b"a 2\n# EOF\n");
    assert_eq!(value(&bench.round().await, "a"), Some(2.0));
}

#[tokio::test]
async fn a_target_that_vanishes_goes_stale_and_a_silent_one_times_out() {
    let (site, address) = serve().await;
    let mut bench = Bench::new();
    let hasty = Job { timeout: Millis(50), ..job(&address) };
    bench.scraper.reload(&[hasty], &[]).await.unwrap();
    site.says("200 OK", TEXT, b"a 1\n");
    // Fifty milliseconds may be short on a busy machine; what counts is that it comes through.
    while value(&bench.round().await, "a") != Some(1.0) {}
    site.answer.lock().unwrap().clear();
    let silent = bench.round().await;
    assert_eq!(value(&silent, "up"), Some(0.0));
    assert!(is_stale(value(&silent, "a").unwrap()));
    assert_eq!(bench.status(&silent).await.last_error, "no complete answer within 50ms");
}

#[tokio::test]
async fn nobody_listening_is_an_error_that_says_so() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    drop(listener);
    let mut bench = Bench::new();
    bench.scraper.reload(&[job(&address)], &[]).await.unwrap();
    let batch = bench.round().await;
    assert_eq!(value(&batch, "up"), Some(0.0));
    let error = bench.status(&batch).await.last_error;
    assert!(error.to_lowercase().contains("connection refused"), "{error}");
}

#[tokio::test]
async fn a_target_that_speaks_no_tls_is_an_error() {
    let (site, address) = serve().await;
    site.says("200 OK", TEXT, b"a 1\n");
    let mut bench = Bench::new();
    let encrypted = Job { scheme: Scheme::Https, timeout: Millis::seconds(5), ..job(&address) };
    bench.scraper.reload(&[encrypted], &[]).await.unwrap();
    let batch = bench.round().await;
    assert_eq!(value(&batch, "up"), Some(0.0));
    assert!(!bench.status(&batch).await.last_error.is_empty());
}

#[tokio::test]
async fn credentials_and_parameters_are_sent() {
    let (site, address) = serve().await;
    site.says("200 OK", TEXT, b"a 1\n");
    let mut bench = Bench::new();
    let basic = Authorization::Basic { username: "me".to_owned(), password: Secret::new("secret") };
    let params = vec![("match[]".to_owned(), "{a=\"b\"}".to_owned())];
    let with_basic = Job { authorization: basic, params: params.clone(), ..job(&address) };
    bench.scraper.reload(&[with_basic], &[]).await.unwrap();
    bench.round().await;
    let head = site.last_head();
    assert!(head.starts_with("GET /metrics?match%5B%5D=%7Ba%3D%22b%22%7D HTTP/1.1"), "{head}");
    assert!(head.to_lowercase().contains("authorization: basic bwu6c2vjcmv0"), "{head}");
    let bearer = Authorization::Credentials { scheme: "Bearer".to_owned(), credentials: Secret::new("token") };
    let headers = vec![("X-Tenant".to_owned(), Secret::new("a"))];
    bench.scraper.reload(&[Job { authorization: bearer, headers, ..job(&address) }], &[]).await.unwrap();
    bench.round().await;
    let head = site.last_head().to_lowercase();
    assert!(head.contains("authorization: bearer token") && head.contains("x-tenant: a"), "{head}");
    let broken = vec![("X-Tenant".to_owned(), Secret::new("line\nbreak"))];
    bench.scraper.reload(&[Job { headers: broken, ..job(&address) }], &[]).await.unwrap();
    let batch = bench.round().await;
    let error = bench.status(&batch).await.last_error;
    assert_eq!(error, "a secret of the job cannot stand in a header; it has control characters");
}

#[tokio::test]
async fn redirects_are_followed_but_not_for_ever() {
    let (site, address) = serve().await;
    let mut bench = Bench::new();
    bench.scraper.reload(&[job(&address)], &[]).await.unwrap();
    site.says("302 Found", "Location: /metrics", b"");
    let batch = bench.round().await;
    assert_eq!(value(&batch, "up"), Some(0.0));
    let error = bench.status(&batch).await.last_error;
    assert!(error.contains("too many redirects"), "{error}");
}

#[tokio::test]
async fn a_reload_keeps_hands_on_and_ends_targets() {
    let (site, address) = serve().await;
    let (other_site, other) = serve().await;
    site.says("200 OK", TEXT, b"a 1\n");
    other_site.says("200 OK", TEXT, b"b 1\n");
    let mut bench = Bench::new();
    let shop = job(&address);
    let second = Job { name: "second".to_owned(), ..job(&other) };
    bench.scraper.reload(&[shop.clone(), second.clone()], &[]).await.unwrap();
    let (one, two) = (bench.round().await, bench.batch().await);
    assert!(value(&one, "a").or(value(&two, "a")).is_some() && value(&one, "b").or(value(&two, "b")).is_some());

    // The second one leaves: its series end, the first one's do not.
    bench.scraper.reload(std::slice::from_ref(&shop), &[]).await.unwrap();
    let ended = bench.batch().await;
    assert_eq!(ended.samples().len(), 6);
    assert!(ended.samples().iter().all(|sample| is_stale(sample.sample.v)));
    assert!(ended.series().iter().all(|labels| labels.get("job") == "second"));
    assert_eq!(bench.scraper.targets().len(), 1);
    // The loop that stayed kept its status.
    let shop_batch = if value(&one, "a").is_some() { &one } else { &two };
    assert_eq!(bench.status(shop_batch).await.health, Health::Up);

    // Other options, same labels: nothing ends, and what vanishes later is still noticed.
    let changed = Job { timeout: Millis::seconds(5), ..shop.clone() };
    bench.scraper.reload(&[changed], &[]).await.unwrap();
    site.says("200 OK", TEXT, b"c 1\n");
    let after = bench.round().await;
    assert_eq!(value(&after, "c"), Some(1.0));
    assert!(is_stale(value(&after, "a").unwrap()));

    // A wrong job changes nothing.
    let wrong = job("http://x");
    assert!(bench.scraper.reload(&[wrong], &[]).await.is_err());
    assert_eq!(value(&bench.round().await, "c"), Some(1.0));

    // The program's end is no end of a series.
    bench.scraper.stop().await;
    assert!(bench.batches.try_recv().is_err());
    assert!(bench.scraper.targets().is_empty());
}

#[tokio::test]
async fn a_sink_that_fails_is_shown_and_made_up_for() {
    let (site, address) = serve().await;
    let mut bench = Bench::new();
    bench.scraper.reload(&[job(&address)], &[]).await.unwrap();
    site.says("200 OK", TEXT, b"a 1\n");
    bench.round().await;
    *bench.sink.broken.lock().unwrap() = true;
    site.says("200 OK", TEXT, b"b 1\n");
    let lost = bench.round().await;
    assert!(is_stale(value(&lost, "a").unwrap()));
    assert_eq!(bench.status(&lost).await.last_error, "not stored: disk full");
    *bench.sink.broken.lock().unwrap() = false;
    let next = bench.round().await;
    assert!(is_stale(value(&next, "a").unwrap()), "the lost marker is said again");
}

/// A source that panics at its second collection.
struct Fragile(Mutex<u32>);

impl Collect for Fragile {
    fn collect(&self, at: Timestamp) -> Vec<(Labels, f64)> {
        let round = {
            let mut rounds = self.0.lock().unwrap();
            *rounds += 1;
            *rounds
        };
        assert!(round != 2, "the second time");
        Fixed.collect(at)
    }
}

#[tokio::test]
async fn a_source_that_panics_is_collected_again() {
    fn sent_between_threads<T: Send>(future: T) -> T {
        future
    }
    let mut bench = Bench::new();
    let source = Arc::new(Fragile(Mutex::new(0)));
    let shown = Arc::clone(&source);
    let local = LocalJob { name: "node".to_owned(), instance: "host".to_owned(), interval: INTERVAL, source };
    sent_between_threads(bench.scraper.reload(&[], std::slice::from_ref(&local))).await.unwrap();
    assert_eq!(value(&bench.round().await, "up"), Some(1.0));
    bench.clock.advance(INTERVAL.0);
    while *shown.0.lock().unwrap() < 2 {
        bench.scraper.clock_moved();
        tokio::task::yield_now().await;
    }
    assert_eq!(value(&bench.round().await, "up"), Some(1.0));
    assert_eq!(*shown.0.lock().unwrap(), 3);
}

struct Fixed;

impl Collect for Fixed {
    fn collect(&self, _at: Timestamp) -> Vec<(Labels, f64)> {
        vec![(Labels::new([("__name__", "node_load1")]).unwrap(), 0.5)]
    }
}

#[tokio::test]
async fn local_sources_are_targets_too() {
    let mut bench = Bench::new();
    let local =
        LocalJob { name: "node".to_owned(), instance: "host".to_owned(), interval: INTERVAL, source: Arc::new(Fixed) };
    bench.scraper.reload(&[], std::slice::from_ref(&local)).await.unwrap();
    let batch = bench.round().await;
    let series: Vec<String> = batch.series().iter().map(ToString::to_string).collect();
    assert_eq!(series[0], "up{instance=\"host\", job=\"node\"}");
    assert_eq!(series[5], "node_load1{instance=\"host\", job=\"node\"}");
    assert_eq!(bench.status(&batch).await.url, "local:node");
}
