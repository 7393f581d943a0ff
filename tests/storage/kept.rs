//! Exemplars and metadata: stored with the samples' sync, kept over restarts and checkpoints.

use std::sync::Arc;

use evenkeel::env::disk::{Disk, MemoryDisk, Survival};
use evenkeel::model::{
    Exemplar, Labels, MatchOp, Matcher, MetricKind, MetricMetadata, Sample, Seq, SeriesExemplar, TimeRange,
};
use evenkeel::storage::{Applied, Entry, ExemplarCounts, Store, StoreOptions};

use super::{at, batch, commit, labels, open, options};

fn exemplar(series: &str, trace: &str, ms: i64) -> SeriesExemplar {
    let sample = Sample { t: at(ms), v: 0.25 };
    let exemplar = Exemplar { labels: Labels::new([("trace_id", trace)]).unwrap(), sample };
    SeriesExemplar { series: labels(series, 1), exemplar }
}

fn metadata(family: &str, help: &str) -> MetricMetadata {
    MetricMetadata { family: family.into(), kind: MetricKind::Counter, help: help.into(), unit: "s".into() }
}

/// What is kept, as text.
fn shown(store: &Store) -> Vec<String> {
    let all = vec![Matcher::new("__name__", MatchOp::NotEqual, "").unwrap()];
    let exemplars = store.exemplars(&[all], TimeRange::ALL).concat().into_iter().map(|one| {
        format!("{} {} {}", one.series, one.exemplar.labels.get("trace_id"), one.exemplar.sample.t.0 - at(0).0)
    });
    let metadata = store.metadata(None, usize::MAX).concat().into_iter();
    exemplars.chain(metadata.map(|one| format!("{} {} {}", one.family, one.help, one.unit))).collect()
}

fn fill(store: &Store) -> Vec<Applied> {
    let group = vec![
        Entry::Transaction(batch(&[(&labels("a", 1), 1000, 1.0)])),
        Entry::Exemplars(vec![exemplar("a", "x", 900), exemplar("b", "y", 950), exemplar("a", "w", 1)]),
        Entry::Metadata(vec![metadata("a", "first"), metadata("b", "words")]),
    ];
    store.commit(at(1000), group).unwrap()
}

const KEPT: [&str; 4] = ["a{n=\"1\"} x 900", "b{n=\"1\"} y 950", "a first s", "b words s"];

#[test]
fn they_share_the_sync_of_their_samples_and_survive_it() {
    let memory = MemoryDisk::new();
    let disk: Arc<dyn Disk> = Arc::new(memory.clone());
    let (store, ..) = open(&disk, options());
    let syncs = store.status().fsyncs;
    let applied = fill(&store);
    assert_eq!(store.status().fsyncs, syncs + 1);
    assert_eq!(applied.iter().map(Applied::seq).collect::<Vec<_>>(), [Seq(1), Seq(2), Seq(3)]);
    assert_eq!(shown(&store), KEPT);
    let after: Arc<dyn Disk> = Arc::new(memory.power_cut(Survival::Least));
    let (again, entries, _) = open(&after, options());
    assert_eq!((shown(&again), entries.len()), (KEPT.map(str::to_owned).to_vec(), 3));
    // What is known is neither logged nor counted anew.
    let bytes = again.status().wal_bytes;
    let repeated = vec![Entry::Exemplars(vec![exemplar("a", "x", 900)]), Entry::Metadata(vec![metadata("a", "first")])];
    let applied = again.commit(at(1000), repeated).unwrap();
    let known = ExemplarCounts { known: 1, ..ExemplarCounts::default() };
    assert!(matches!(&applied[0], Applied::Exemplars { seq: Seq(3), counts, .. } if *counts == known), "{applied:?}");
    assert!(matches!(applied[1], Applied::Metadata { seq: Seq(3), .. }));
    assert!(again.status().wal_bytes <= bytes + 24, "at most the header of a segment");
}

#[test]
fn a_checkpoint_carries_them_on() {
    let disk: Arc<dyn Disk> = Arc::new(MemoryDisk::new());
    let (store, ..) = open(&disk, options());
    fill(&store);
    assert!(store.begin_checkpoint(vec![("rules".into(), vec![1])]).unwrap());
    store.commit(at(2000), vec![Entry::Exemplars(vec![exemplar("a", "z", 1500)])]).unwrap();
    store.finish_checkpoint().unwrap();
    let kept = shown(&store);
    assert_eq!(kept.len(), 5);
    drop(store);
    for _ in 0..2 {
        let (store, ..) = open(&disk, options());
        assert_eq!(shown(&store), kept);
        assert!(store.begin_checkpoint(Vec::new()).unwrap());
        store.finish_checkpoint().unwrap();
    }
    // Fewer are wanted at the next start: the oldest go.
    let (store, ..) = open(&disk, StoreOptions { exemplars_max: 1, ..options() });
    assert_eq!(shown(&store)[0], "a{n=\"1\"} z 1500");
    assert_eq!(shown(&store).len(), 3);
}

#[test]
fn samples_go_on_where_exemplars_alone_are_in_a_segment() {
    let disk: Arc<dyn Disk> = Arc::new(MemoryDisk::new());
    let (store, ..) = open(&disk, StoreOptions { segment_bytes_max: 1, ..options() });
    fill(&store);
    store.commit(at(3000), vec![Entry::Exemplars(vec![exemplar("a", "z", 2500)])]).unwrap();
    commit(&store, 4000, batch(&[(&labels("a", 1), 4000, 2.0)]));
    let (kept, samples) = (shown(&store), super::content(&store.snapshot()));
    drop(store);
    let (store, _, report) = open(&disk, options());
    assert!(report.damage.is_empty(), "{report}");
    assert_eq!((shown(&store), super::content(&store.snapshot())), (kept, samples));
}
