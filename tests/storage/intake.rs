//! Write requests in the bytes of their protocol, and the limit of series.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::sync::Arc;

use bytes::Bytes;
use evenkeel::env::Rng;
use evenkeel::env::disk::{Disk, MemoryDisk};
use evenkeel::model::{Labels, Millis, RawBatch, RawBatchBuilder, Rejected, Rejection, Sample};
use evenkeel::storage::{Applied, Entry, Store, StoreOptions};
use evenkeel::testkit::{Fault, FaultyDisk};

use super::{at, batch, commit, content, labels, open, options};

fn memory() -> Arc<dyn Disk> {
    Arc::new(MemoryDisk::new())
}

/// Reads `name=value` pairs with commas between.
fn read_labels(bytes: &[u8], offset: usize, series: usize) -> Result<Labels, String> {
    let text = std::str::from_utf8(bytes).map_err(|error| error.to_string())?;
    let pairs = text.split(',').filter_map(|pair| pair.split_once('='));
    Labels::new(pairs).map_err(|error| format!("series {series} at {offset}: {error}"))
}

/// A request of some series, each with its spelling and samples.
fn request(series: &[(String, Vec<Sample>)]) -> RawBatch {
    let text: String = series.iter().map(|(spelling, _)| spelling.as_str()).collect();
    let mut raw = RawBatchBuilder::default();
    let mut start = 0;
    for (position, (spelling, samples)) in series.iter().enumerate() {
        samples.iter().for_each(|sample| raw.push_sample(*sample));
        raw.push_series(spelling.as_bytes(), start, position);
        start += spelling.len();
    }
    raw.finish(Bytes::from(text), read_labels)
}

fn spelling(n: u64, way: u64) -> String {
    match way {
        0 => format!("__name__=m,n={n},job=a"),
        1 => format!("job=a,n={n},__name__=m"),
        2 => format!("n={n},job=a,empty=,__name__=m"),
        3 => format!("n={n},job=a,__name__=m,empty{n}="),
        4..8 => format!("empty{way}=,n={n},job=a,__name__=m"),
        // A name that stands twice.
        _ => format!("n={n},n=x"),
    }
}

#[test]
fn a_request_is_stored_as_the_labels_that_it_spells() {
    let seed = std::env::var("EVENKEEL_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(1);
    println!("seed {seed}; EVENKEEL_SEED={seed} repeats this");
    for (round, out_of_order) in [Millis::ZERO, Millis::minutes(1)].into_iter().enumerate() {
        let mut rng = Rng::new(seed + round as u64);
        let disks = [memory(), memory()].map(FaultyDisk::new);
        let options = StoreOptions { out_of_order, series_max: 60, ..options() };
        let stores = disks.each_ref().map(|disk| open(&(Arc::new(disk.clone()) as _), options.clone()).0);
        let mut now = 0;
        for step in 0..300 {
            now += rng.below(3000) as i64;
            let group: Vec<RawBatch> = (0..1 + rng.below(3)).map(|_| random_request(&mut rng, now, step)).collect();
            let refused = rng.below(10) == 0;
            for disk in disks.iter().filter(|_| refused) {
                disk.fail_at(disk.operations(), Fault::Error(ErrorKind::StorageFull));
            }
            let as_bytes = stores[0].commit(at(now), group.iter().cloned().map(Entry::Write).collect());
            let as_labels = stores[1].commit(at(now), group.iter().map(labelled).collect());
            assert_eq!(refused, as_bytes.is_err(), "step {step}");
            if let (Ok(as_bytes), Ok(as_labels)) = (as_bytes, as_labels) {
                for ((mut a, b), raw) in as_bytes.into_iter().zip(as_labels).zip(&group) {
                    take_unnamed(&mut a, raw);
                    assert_eq!(comparable(&a), comparable(&b), "step {step}");
                }
            }
            if rng.below(40) == 0 {
                stores.iter().for_each(checkpoint);
            }
        }
        let [a, b] = stores.each_ref().map(|store| (content(&store.snapshot()), store.status().series));
        assert_eq!(a, b);
        assert!(a.0.len() > 50 && a.1 <= 60);
        drop(stores);
        let opened = open(&(Arc::new(disks[0].clone()) as _), options).0;
        assert_eq!(content(&opened.snapshot()), a.0);
    }
}

fn checkpoint(store: &Store) {
    store.begin_checkpoint(Vec::new()).unwrap();
    store.finish_checkpoint().unwrap();
}

fn random_request(rng: &mut Rng, now: i64, step: u64) -> RawBatch {
    let series = (0..rng.below(8)).map(|_| {
        let spelling = spelling(rng.below(10 + step / 4), rng.below(9));
        let samples = (0..rng.below(4)).map(|_| {
            let t = now - rng.below(2000) as i64 * rng.below(2) as i64;
            Sample { t: at(t), v: rng.below(3) as f64 }
        });
        (spelling, samples.collect())
    });
    request(&series.collect::<Vec<_>>())
}

fn labelled(raw: &RawBatch) -> Entry {
    Entry::Transaction(raw.read(&mut Rejected::default()))
}

/// Takes what is told of unnamed series out of an entry after comparing it.
fn take_unnamed(applied: &mut Applied, raw: &RawBatch) {
    let Applied::Transaction(committed) = applied else { panic!("a write gives a transaction") };
    let mut expected = Rejected::default();
    raw.read(&mut expected);
    let found = (std::mem::take(&mut committed.rejected.unnamed), committed.rejected.first_unnamed.take());
    assert_eq!(found, (expected.unnamed, expected.first_unnamed));
}

fn comparable(applied: &Applied) -> impl PartialEq + std::fmt::Debug + use<> {
    let Applied::Transaction(committed) = applied else { panic!("a write gives a transaction") };
    format!("{committed:?}")
}

#[test]
fn new_series_over_the_limit_are_refused_and_old_ones_go_on() {
    let (store, ..) = open(&memory(), StoreOptions { series_max: 2, ..options() });
    let [a, b, c] = ["a", "b", "c"].map(|name| labels(name, 1));
    let first = commit(&store, 1000, batch(&[(&a, 0, 1.0), (&b, 0, 1.0), (&c, 0, 1.0), (&c, 1, 1.0)]));
    assert_eq!((first.samples.len(), first.new_series.len()), (2, 2));
    assert_eq!(first.rejected.counts, [(Rejection::TooManySeries, 2)]);
    let second = commit(&store, 2000, batch(&[(&a, 1000, 1.0), (&c, 1000, 1.0), (&b, 1000, 1.0)]));
    assert_eq!((second.samples.len(), second.rejected.counts), (2, vec![(Rejection::TooManySeries, 1)]));
    let counted: BTreeMap<_, _> = store.status().rejected.into_iter().collect();
    assert_eq!(counted, BTreeMap::from([(Rejection::TooManySeries, 3)]));
    assert_eq!(store.status().series, 2);
}
