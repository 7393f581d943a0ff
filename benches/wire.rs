//! Benchmarks of `wire`: what a sample costs on its way from a body to the store, part by part.

use std::fmt::Write as _;
use std::hint::black_box;

use criterion::{Criterion, Throughput};
use evenkeel::model::{Batch, Fingerprint, Labels, Sample, Timestamp};
use evenkeel::wire::{Exposition, Format, Line, encode_remote_write, write_request};

/// Samples of one body, each of its own series: what an agent sends at each scrape.
const SERIES: u64 = 10_000;

/// Series as a cluster's agents name them: about 165 bytes a sample on the wire.
fn series(n: u64) -> Labels {
    let (node, pod, core) = (n % 40, n / 16, n % 16);
    let instance = format!("10.12.{}.{}:9100", node / 8, node);
    let pod = format!("checkout-api-{:05x}-{:05x}", pod * 7919 % 99_991, pod * 104_729 % 999_983);
    let mode = ["user", "system", "idle", "iowait"][(core % 4) as usize];
    Labels::new([
        ("__name__", "node_cpu_seconds_total"),
        ("cluster", "eu-west-1"),
        ("cpu", &*core.to_string()),
        ("instance", &*instance),
        ("job", "node"),
        ("mode", mode),
        ("pod", &*pod),
    ])
    .expect("the labels are few and short")
}

fn value(n: u64) -> f64 {
    (n * 2_654_435_761 % 100_000_000) as f64 / 100.0
}

fn batch() -> Batch {
    let mut batch = Batch::new();
    for n in 0..SERIES {
        let t = Timestamp(1_700_000_000_000 + (n % 40) as i64 * 17);
        batch.push(series(n), Sample { t, v: value(n) });
    }
    batch
}

fn remote_write(criterion: &mut Criterion) {
    let body = encode_remote_write(&batch());
    let message = snap::raw::Decoder::new().decompress_vec(&body).expect("the body is a snappy block");
    let texts: Vec<Vec<u8>> = (0..SERIES).map(|n| series(n).as_text().as_bytes().to_vec()).collect();
    let mut group = criterion.benchmark_group("wire/remote_write");
    group.throughput(Throughput::Elements(SERIES));
    group.bench_function("snappy", |bencher| {
        let mut buffer = vec![0; message.len()];
        bencher.iter(|| snap::raw::Decoder::new().decompress(black_box(&body), &mut buffer).expect("it decompresses"));
    });
    group.bench_function("fingerprint", |bencher| {
        bencher
            .iter(|| texts.iter().map(|text| Fingerprint::of_raw(black_box(text)).0 as u64).fold(0, u64::wrapping_add));
    });
    group.bench_function("body", |bencher| bencher.iter(|| write_request(black_box(&body)).expect("it decodes")));
    group.finish();
    let (sent, raw) = (body.len() as f64 / SERIES as f64, message.len() as f64 / SERIES as f64);
    eprintln!("wire/remote_write: {raw:.1} bytes a sample, {sent:.1} compressed");
}

fn exposition(criterion: &mut Criterion) {
    let mut text = String::new();
    for n in 0..SERIES {
        let (code, path) = (200 + n % 7, n / 7);
        let _ = writeln!(text, "http_requests_total{{code=\"{code}\",path=\"/api/v1/items/{path}\"}} {}", value(n));
    }
    let mut group = criterion.benchmark_group("wire/exposition");
    group.throughput(Throughput::Elements(SERIES));
    group.bench_function("lines", |bencher| {
        bencher.iter(|| {
            let lines = Exposition::new(black_box(text.as_bytes()), Format::Text).expect("it is UTF-8");
            lines.filter(|line| matches!(line, Ok(Line::Sample(_)))).count()
        });
    });
    group.finish();
}

criterion::criterion_group!(benches, remote_write, exposition);
