//! The one benchmark binary.

mod codec;
mod query;
mod rules;
mod storage;
mod wire;

criterion::criterion_main!(codec::benches, storage::benches, query::benches, rules::benches, wire::benches);
