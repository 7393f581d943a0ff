//! Tests of `storage`.

mod backup;
mod blocks;
mod crash;
mod damage;
mod deletes;
mod downsample;
mod engine;
mod format;
mod histograms;
mod intake;
mod kept;
mod model;
mod retention;
mod starts;
mod verify;

use std::path::Path;
use std::sync::Arc;

use evenkeel::env::disk::Disk;
use evenkeel::model::{Batch, Labels, MatchOp, Matcher, Sample, TimeRange, Timestamp};
use evenkeel::storage::{Applied, Entry, RecoveryReport, Snapshot, Store, StoreOptions};

/// Where the stores of these tests lie.
fn dir() -> &'static Path {
    Path::new("/data")
}

/// The instant at which these tests begin.
const START: Timestamp = Timestamp(1_700_000_000_000);

fn at(ms: i64) -> Timestamp {
    Timestamp(START.0 + ms)
}

fn options() -> StoreOptions {
    StoreOptions { reserve_bytes: 0, segment_bytes_max: 16 << 10, ..StoreOptions::default() }
}

fn labels(name: &str, n: u64) -> Labels {
    Labels::new([("__name__", name), ("n", n.to_string().as_str())]).unwrap()
}

fn batch(samples: &[(&Labels, i64, f64)]) -> Batch {
    let mut batch = Batch::new();
    for (labels, ms, v) in samples {
        batch.push((*labels).clone(), Sample { t: at(*ms), v: *v });
    }
    batch
}

/// Opens and replays to the end.
fn open(disk: &Arc<dyn Disk>, options: StoreOptions) -> (Store, Vec<Applied>, RecoveryReport) {
    let (store, mut replay) = Store::open(Arc::clone(disk), dir(), options).unwrap();
    let mut applied = Vec::new();
    while let Some(entry) = replay.next().unwrap() {
        applied.push(entry);
    }
    let report = replay.report().clone();
    (store, applied, report)
}

fn commit(store: &Store, ms: i64, batch: Batch) -> evenkeel::model::Committed {
    match store.commit(at(ms), vec![Entry::Transaction(batch)]).unwrap().remove(0) {
        Applied::Transaction(committed) => committed,
        other => panic!("a transaction gives a transaction, not {other:?}"),
    }
}

/// Everything a snapshot shows, values by their bits.
fn content(snapshot: &Snapshot) -> Vec<(String, Vec<(i64, u64)>)> {
    let all = snapshot.select(&[], TimeRange::ALL, usize::MAX).unwrap();
    let bits = |samples: Vec<Sample>| samples.into_iter().map(|s| (s.t.0 - START.0, s.v.to_bits())).collect();
    all.into_iter().map(|series| (series.labels.to_string(), bits(series.samples))).collect()
}

fn named(name: &str) -> Vec<Matcher> {
    vec![Matcher::new("__name__", MatchOp::Equal, name).unwrap()]
}
