//! Benchmarks of `codec`: columns of values and timestamps of a chunk, written and read.

use std::hint::black_box;

use criterion::{Criterion, Throughput};
use evenkeel::codec::{CHUNK_MAX, Effort, Timestamps, Values, put_timestamps, put_values};
use evenkeel::env::Rng;

/// Values of the shapes that lead to different layouts, each of one full chunk.
fn shapes() -> Vec<(&'static str, Vec<f64>)> {
    let mut rng = Rng::new(1);
    let mut sum = 0.0;
    let mut walk = |step: f64| {
        sum += step;
        sum
    };
    let mut column = |value: fn(&mut Rng) -> f64| (0..CHUNK_MAX).map(|_| value(&mut rng)).collect::<Vec<f64>>();
    let counter = column(|rng| rng.below(20) as f64).into_iter().map(&mut walk).collect();
    vec![
        ("constant", vec![1.0; CHUNK_MAX]),
        ("line", (0..CHUNK_MAX).map(|i| i as f64 * 15.0).collect()),
        ("integers", column(|rng| rng.below(200) as f64)),
        ("counter", counter),
        ("hundredths", column(|rng| rng.below(5000) as f64 / 100.0)),
        ("noise", column(|rng| rng.normal())),
    ]
}

fn values(criterion: &mut Criterion) {
    for (name, values) in shapes() {
        let mut group = criterion.benchmark_group(format!("codec/{name}"));
        for (effort, count) in [(Effort::Young, 120), (Effort::Cold, CHUNK_MAX)] {
            group.throughput(Throughput::Bytes(8 * count as u64));
            let values = &values[..count];
            let mut bytes = Vec::new();
            group.bench_function(format!("{effort:?}/encode"), |bencher| {
                bencher.iter(|| {
                    bytes.clear();
                    put_values(&mut bytes, black_box(values), effort);
                });
            });
            let mut back = Vec::new();
            group.bench_function(format!("{effort:?}/decode"), |bencher| {
                bencher.iter(|| {
                    back.clear();
                    Values::open(black_box(&bytes), count).and_then(|column| column.all(&mut back))
                });
            });
        }
        group.finish();
    }
}

fn timestamps(criterion: &mut Criterion) {
    let mut rng = Rng::new(2);
    let times: Vec<i64> = (0..CHUNK_MAX as i64).map(|i| 1_700_000_000_000 + i * 15_000 + rng.below(3) as i64).collect();
    let mut group = criterion.benchmark_group("codec/timestamps");
    group.throughput(Throughput::Bytes(8 * CHUNK_MAX as u64));
    let (mut bytes, mut back) = (Vec::new(), Vec::new());
    group.bench_function("encode", |bencher| {
        bencher.iter(|| {
            bytes.clear();
            put_timestamps(&mut bytes, black_box(&times), Effort::Cold);
        });
    });
    group.bench_function("decode", |bencher| {
        bencher.iter(|| {
            back.clear();
            Timestamps::open(black_box(&bytes), CHUNK_MAX).and_then(|column| column.all(&mut back))
        });
    });
    group.finish();
}

criterion::criterion_group!(benches, values, timestamps);
