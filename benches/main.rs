//! The one benchmark binary.

mod query;
mod rules;
mod storage;
mod wire;

criterion::criterion_main!(storage::benches, query::benches, rules::benches, wire::benches);
