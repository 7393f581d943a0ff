//! Benchmarks of `storage`.

fn run(_criterion: &mut criterion::Criterion) {}

criterion::criterion_group!(benches, run);
