//! The one benchmark binary.

mod query;
mod rules;
mod storage;

criterion::criterion_main!(storage::benches, query::benches, rules::benches);
