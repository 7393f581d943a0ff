//! The main path: commit, read, reopen, checkpoint, retention, health.

use std::collections::BTreeSet;
use std::sync::Arc;

use evenkeel::env::Rng;
use evenkeel::env::disk::{Disk, MemoryDisk, RealDisk};
use evenkeel::model::{Committed, Labels, MatchOp, Matcher, Millis, Rejection, Seq, TimeRange};
use evenkeel::storage::{Applied, CommitError, Entry, Health, OpenError, ReadError, Store, StoreOptions};
use evenkeel::testkit::{Fault, FaultyDisk};

use super::{at, batch, commit, content, labels, named, open, options};

#[test]
fn a_real_directory_keeps_what_was_committed() {
    let temp = tempfile::tempdir().unwrap();
    let disk: Arc<dyn Disk> = Arc::new(RealDisk);
    let path = temp.path().join("data");
    let up = labels("up", 1);
    let shown;
    {
        let (store, mut replay) = Store::open(Arc::clone(&disk), &path, options()).unwrap();
        assert_eq!(store.commit(at(0), vec![Entry::Tick]), Err(CommitError::Replaying));
        assert_eq!(replay.next().unwrap(), None);
        drop(replay);
        let taken = commit(&store, 1000, batch(&[(&up, 1000, 1.0)]));
        assert_eq!((taken.seq, taken.at, taken.new_series.len()), (Seq(1), at(1000), 1));
        assert!(matches!(Store::open(Arc::clone(&disk), &path, options()), Err(OpenError::Locked { .. })));
        assert!(store.begin_checkpoint(vec![("rules".into(), b"state".to_vec())]).unwrap());
        commit(&store, 2000, batch(&[(&up, 2000, 0.0)]));
        assert!(!store.begin_checkpoint(Vec::new()).unwrap(), "one is under way");
        store.finish_checkpoint().unwrap();
        let note = store.commit(at(3000), vec![Entry::Note(b"deploy".to_vec()), Entry::Tick]).unwrap();
        assert_eq!(note[1], Applied::Tick { seq: Seq(4), at: at(3000) });
        shown = content(&store.snapshot());
    }
    let (store, mut replay) = Store::open(disk, &path, options()).unwrap();
    assert_eq!((replay.position(), replay.attachment("rules")), ((Seq(1), at(1000)), Some(b"state".as_slice())));
    let Some(Applied::Transaction(second)) = replay.next().unwrap() else { panic!("a transaction comes first") };
    assert_eq!((second.seq, second.new_series.len(), second.samples.len()), (Seq(2), 1, 1));
    assert_eq!(store.snapshot().seq(), Seq(2));
    assert!(matches!(replay.next().unwrap(), Some(Applied::Note { seq: Seq(3), .. })));
    assert!(matches!(replay.next().unwrap(), Some(Applied::Tick { seq: Seq(4), .. })));
    assert_eq!(replay.next().unwrap(), None);
    assert_eq!(content(&store.snapshot()), shown);
    assert_eq!((store.status().blocks, store.status().wal_segments), (1, 1));
    let later = commit(&store, 4000, batch(&[(&up, 4000, 1.0)]));
    assert!(later.new_series.is_empty(), "replay told it already");
}

fn rejections(committed: &Committed) -> Vec<(Rejection, u64)> {
    committed.rejected.counts.clone()
}

fn memory() -> Arc<dyn Disk> {
    Arc::new(MemoryDisk::new())
}

#[test]
fn samples_that_break_a_rule_are_told_and_the_rest_is_stored() {
    let disk = memory();
    let keep = StoreOptions { retention: Millis::hours(1), ..options() };
    let (store, ..) = open(&disk, keep.clone());
    let (a, b) = (labels("a", 1), labels("b", 1));
    let hour = 3_600_000;
    let first =
        commit(&store, 0, batch(&[(&a, 0, 1.0), (&a, 0, 1.0), (&a, 0, 2.0), (&a, -1, 1.0), (&b, 600_001, 1.0)]));
    assert_eq!(first.samples.len(), 1);
    assert_eq!(rejections(&first), [(Rejection::Duplicate, 1), (Rejection::OutOfOrder, 1), (Rejection::FarFuture, 1)]);
    assert_eq!(first.rejected.first.as_ref().unwrap().2, Rejection::Duplicate);
    let second = commit(&store, 1000, batch(&[(&b, -hour, 1.0), (&b, 1000 - hour, 1.0)]));
    assert_eq!((second.samples.len(), second.new_series.len()), (0, 0), "refused samples make no series known");
    assert_eq!(rejections(&second), [(Rejection::TooOld, 2)]);
    assert_eq!(second.seq, Seq(2), "a transaction without a stored sample is answered all the same");
    let third = commit(&store, 2000, batch(&[(&b, 1001 - hour + 1000, 1.0), (&b, 602_000, 1.0)]));
    assert_eq!((third.samples.len(), third.new_series.len()), (2, 1));
    drop(store);
    // The order is known after a restart from the log, and after another from a block.
    for round in 0..2 {
        let (store, ..) = open(&disk, keep.clone());
        let again = commit(&store, 3000, batch(&[(&a, 0, 1.0), (&a, 0, -1.0), (&a, -5, 1.0)]));
        assert!(again.samples.is_empty() && again.new_series.is_empty(), "round {round}");
        assert_eq!(rejections(&again), [(Rejection::Duplicate, 1), (Rejection::OutOfOrder, 1)], "round {round}");
        store.begin_checkpoint(Vec::new()).unwrap();
        store.finish_checkpoint().unwrap();
        assert_eq!(store.status().rejected.iter().map(|(_, n)| n).sum::<u64>(), 2);
    }
}

#[test]
fn late_samples_are_taken_within_the_window() {
    let disk = memory();
    let late = StoreOptions { out_of_order: Millis::seconds(10), ..options() };
    let (store, ..) = open(&disk, late);
    let a = labels("a", 1);
    commit(&store, 20_000, batch(&[(&a, 20_000, 1.0), (&a, 12_000, 2.0), (&a, 12_000, 2.0), (&a, 12_000, 3.0)]));
    store.begin_checkpoint(Vec::new()).unwrap();
    store.finish_checkpoint().unwrap();
    let more =
        commit(&store, 21_000, batch(&[(&a, 12_000, 2.0), (&a, 12_000, 9.0), (&a, 15_000, 4.0), (&a, 9_999, 1.0)]));
    assert_eq!(more.samples.len(), 1);
    assert_eq!(rejections(&more), [(Rejection::Duplicate, 1), (Rejection::OutOfOrder, 1)]);
    let times: Vec<i64> = content(&store.snapshot())[0].1.iter().map(|(t, _)| *t).collect();
    assert_eq!(times, [12_000, 15_000, 20_000]);
}

#[test]
fn old_samples_are_hidden_and_their_blocks_dropped() {
    let disk = memory();
    let keep = StoreOptions { retention: Millis::seconds(100), ..options() };
    let (store, ..) = open(&disk, keep);
    let (a, b) = (labels("a", 1), labels("b", 1));
    for i in 0..30 {
        let name = if i < 10 { &a } else { &b };
        commit(&store, i * 10_000, batch(&[(name, i * 10_000, i as f64)]));
        store.begin_checkpoint(Vec::new()).unwrap();
        store.finish_checkpoint().unwrap();
    }
    let times: Vec<i64> = content(&store.snapshot())[0].1.iter().map(|(t, _)| *t).collect();
    assert_eq!(times, (20..30).map(|i| i * 10_000).collect::<Vec<_>>(), "left-open: the sample at the edge is out");
    let before = store.status();
    let done = store.maintain(at(290_000)).unwrap();
    assert_eq!(done.blocks_dropped, 20, "{done:?}");
    let retired = store.retire();
    assert!(retired.series.len() == 1 && !retired.more, "a series goes with its last block: {retired:?}");
    let after = store.status();
    assert_eq!((before.blocks, after.blocks, before.series, after.series), (30, 10, 2, 1));
    assert_eq!(store.snapshot().label_values("__name__", &[], TimeRange::ALL).unwrap(), ["b"]);
    // A clock that runs ahead does not delete what is there.
    assert_eq!(store.maintain(at(10_000_000)).unwrap().blocks_dropped, 0);
    let known_anew = commit(&store, 300_000, batch(&[(&a, 300_000, 1.0)]));
    assert_eq!(known_anew.new_series.len(), 1);
}

#[test]
fn small_blocks_are_merged_and_snapshots_stay_as_they_were() {
    let disk = memory();
    let (store, ..) = open(&disk, options());
    let series: Vec<Labels> = (0..3).map(|n| labels("m", n)).collect();
    let mut shown = Vec::new();
    for i in 0..64 {
        let samples: Vec<_> = series.iter().map(|labels| (labels, i * 1000, i as f64 / 8.0)).collect();
        commit(&store, i * 1000, batch(&samples));
        store.begin_checkpoint(Vec::new()).unwrap();
        let snapshot = store.snapshot();
        shown.push((content(&snapshot), snapshot));
        store.finish_checkpoint().unwrap();
        if i % 8 == 7 {
            store.maintain(at(i * 1000)).unwrap();
        }
    }
    let status = store.status();
    assert_eq!((status.blocks, status.block_samples, status.wal_segments), (1, 192, 0), "{status:?}");
    for (content_then, snapshot) in &shown {
        assert_eq!(&content(snapshot), content_then);
    }
    let all = content(&store.snapshot());
    drop((store, shown));
    assert_eq!(content(&open(&disk, options()).0.snapshot()), all);
}

#[test]
fn series_files_are_few_and_name_what_is_there() {
    let memory = MemoryDisk::new();
    let disk: Arc<dyn Disk> = Arc::new(memory.clone());
    let keep = StoreOptions { retention: Millis::minutes(30), ..options() };
    let files = || {
        let entries = memory.list(&super::dir().join("blocks")).unwrap().into_iter();
        entries.filter(|entry| entry.name.ends_with(".series")).map(|entry| entry.bytes).collect::<Vec<_>>()
    };
    let (mut store, ..) = open(&disk, keep.clone());
    let (mut most, mut largest) = (0, 0);
    for i in 0..60i64 {
        let t = i * 60_000;
        // One series goes on, four are new each minute and end after it.
        let fresh: Vec<Labels> = (0..4).map(|n| labels("fresh", (i * 4 + n) as u64)).collect();
        let constant = labels("constant", 0);
        let samples: Vec<_> = fresh.iter().chain([&constant]).map(|labels| (labels, t, 1.0)).collect();
        commit(&store, t, batch(&samples));
        store.begin_checkpoint(Vec::new()).unwrap();
        commit(&store, t + 1, batch(&[(&constant, t + 1, 1.0)]));
        store.finish_checkpoint().unwrap();
        store.maintain(at(t)).unwrap();
        most = most.max(files().len());
        largest = largest.max(files().iter().sum());
        if i % 7 == 6 {
            let shown = content(&store.snapshot());
            drop(store);
            let report;
            (store, _, report) = open(&disk, keep.clone());
            assert!(report.damage.is_empty() && report.samples_lost == 0, "minute {i}: {report}");
            assert_eq!(content(&store.snapshot()), shown, "minute {i}");
        }
    }
    assert!((2..=8).contains(&most), "{most} files");
    assert!(largest < 4000, "{largest} bytes: those that are gone are not named for ever");
}

#[test]
fn labels_are_listed_and_large_answers_refused() {
    let disk = memory();
    let (store, ..) = open(&disk, options());
    let (a, b) = (labels("a", 1), labels("b", 2));
    commit(&store, 0, batch(&[(&a, 0, 1.0), (&b, 0, 1.0)]));
    store.begin_checkpoint(Vec::new()).unwrap();
    store.finish_checkpoint().unwrap();
    commit(&store, 60_000, batch(&[(&a, 60_000, 1.0)]));
    let snapshot = store.snapshot();
    let late = TimeRange { after: at(0), until: at(60_000) };
    assert_eq!(snapshot.series(&[], TimeRange::ALL).unwrap(), [a.clone(), b]);
    assert_eq!(snapshot.series(&[], late).unwrap(), [a]);
    assert_eq!(snapshot.label_names(&[], late).unwrap(), ["__name__", "n"]);
    assert_eq!(snapshot.label_values("n", &[], TimeRange::ALL).unwrap(), ["1", "2"]);
    assert_eq!(snapshot.label_values("n", &named("b"), late).unwrap(), Vec::<String>::new());
    assert_eq!(snapshot.select(&[], TimeRange::ALL, 3).unwrap().len(), 2);
    assert_eq!(snapshot.select(&[], TimeRange::ALL, 2), Err(ReadError::TooManySamples { limit: 2 }));
}

#[test]
fn an_entry_over_the_limit_is_refused_and_leaves_no_trace() {
    let disk = memory();
    let (store, ..) = open(&disk, options());
    let a = labels("a", 1);
    let note = vec![0; evenkeel::model::limits::LOG_RECORD_BYTES_MAX + 1];
    let group = vec![Entry::Transaction(batch(&[(&a, 0, 1.0)])), Entry::Note(note)];
    assert!(matches!(store.commit(at(0), group), Err(CommitError::TooLarge { .. })));
    assert!(content(&store.snapshot()).is_empty());
    let taken = commit(&store, 0, batch(&[(&a, 0, 2.0)]));
    assert_eq!((taken.seq, taken.new_series.len(), taken.samples.len()), (Seq(1), 1, 1));
    drop(store);
    assert_eq!(open(&disk, options()).1.len(), 1);
}

#[test]
fn a_failed_sync_stops_writes_until_the_next_start() {
    let faulty = FaultyDisk::new(memory());
    let disk: Arc<dyn Disk> = Arc::new(faulty.clone());
    let (store, ..) = open(&disk, options());
    let a = labels("a", 1);
    commit(&store, 0, batch(&[(&a, 0, 1.0)]));
    // The next operations are a write and its sync.
    faulty.fail_at(faulty.operations() + 1, Fault::Error(std::io::ErrorKind::Other));
    let next = vec![Entry::Transaction(batch(&[(&a, 1000, 1.0)]))];
    assert!(matches!(store.commit(at(1000), next.clone()), Err(CommitError::Poisoned { .. })));
    assert!(matches!(store.commit(at(1000), next), Err(CommitError::Poisoned { .. })));
    assert!(matches!(store.status().health, Health::Poisoned { .. }));
    assert_eq!(content(&store.snapshot())[0].1.len(), 1, "reads go on");
    drop(store);
    let (store, ..) = open(&disk, options());
    commit(&store, 2000, batch(&[(&a, 2000, 1.0)]));
}

#[test]
fn readers_see_whole_transactions_while_others_write_and_flush() {
    let disk = memory();
    let (store, ..) = open(&disk, options());
    let (a, b) = (labels("a", 1), labels("b", 1));
    std::thread::scope(|scope| {
        let writer = scope.spawn(|| {
            for i in 0..2000 {
                commit(&store, i, batch(&[(&a, i, i as f64), (&b, i, i as f64)]));
                if i % 100 == 99 {
                    store.begin_checkpoint(Vec::new()).unwrap();
                }
            }
        });
        let flusher = scope.spawn(|| {
            while !writer_is_done(&store) {
                store.maintain(at(0)).unwrap();
            }
        });
        while !writer_is_done(&store) {
            let snapshot = store.snapshot();
            let found = content(&snapshot);
            let expected = snapshot.seq().0 as usize;
            assert!(found.iter().all(|(_, samples)| samples.len() == expected), "{expected} of each at {expected}");
        }
        writer.join().unwrap();
        flusher.join().unwrap();
    });
}

fn writer_is_done(store: &Store) -> bool {
    store.status().last_seq == Seq(2000)
}

#[test]
fn a_group_that_fails_leaves_nothing_known_of_its_series() {
    let disk = FaultyDisk::new(memory());
    let shared: Arc<dyn Disk> = Arc::new(disk.clone());
    let (a, b) = (labels("a", 1), labels("b", 1));
    let (store, ..) = open(&shared, options());
    commit(&store, 10_000, batch(&[(&a, 10_000, 1.0)]));
    store.begin_checkpoint(Vec::new()).unwrap();
    store.finish_checkpoint().unwrap();
    drop(store);
    let (store, ..) = open(&shared, options());
    commit(&store, 11_000, batch(&[(&b, 11_000, 1.0)]));
    disk.fail_at(disk.operations(), Fault::Error(std::io::ErrorKind::StorageFull));
    store.commit(at(12_000), vec![Entry::Transaction(batch(&[(&a, 12_000, 2.0)]))]).unwrap_err();
    disk.heal();
    // The block has a newer sample, with which the one that failed was not compared.
    let late = commit(&store, 12_000, batch(&[(&a, 9_000, 2.0)]));
    assert_eq!((late.samples.len(), rejections(&late)), (0, vec![(Rejection::OutOfOrder, 1)]));
}

#[test]
fn names_values_and_presence_are_those_of_the_series_in_the_range() {
    let disk = memory();
    let (store, ..) = open(&disk, StoreOptions { retention: Millis::hours(10), ..options() });
    let mut rng = Rng::new(5);
    let series: Vec<Labels> = (0..3000u64)
        .map(|n| {
            let (name, id, zone) = (format!("m{}", n % 5), n.to_string(), (n % 7).to_string());
            let zone = (n % 3 == 0).then_some(("zone", zone.as_str()));
            Labels::new([("__name__", name.as_str()), ("id", id.as_str())].into_iter().chain(zone)).unwrap()
        })
        .collect();
    // Each series has two samples somewhere in an hour.
    let mut times: Vec<(i64, usize)> = (0..6000).map(|n| (rng.below(3_600_000) as i64, n % 3000)).collect();
    times.sort_unstable();
    times.dedup();
    let check = |store: &Store, rng: &mut Rng, gone: &dyn Fn(&Labels, i64) -> bool| {
        let snapshot = store.snapshot();
        for round in 0..40 {
            let after = rng.below(3_600_000) as i64;
            let length = [1, 60_000, 3_600_000][round % 3];
            let range = TimeRange { after: at(after), until: at(after + length) };
            let matchers = match round % 4 {
                0 => Vec::new(),
                1 => named("m3"),
                2 => vec![Matcher::new("zone", MatchOp::NotEqual, "").unwrap()],
                _ => vec![Matcher::new("zone", MatchOp::Match, "[0-3]|").unwrap(), named("m1").remove(0)],
            };
            let shown = times.iter().filter(|(t, _)| *t > after && *t <= after + length);
            let shown = shown.map(|(t, n)| (*t, &series[*n])).filter(|(t, labels)| !gone(labels, *t));
            let shown: BTreeSet<&Labels> = shown
                .map(|(_, labels)| labels)
                .filter(|labels| matchers.iter().all(|matcher| matcher.matches(labels.get(matcher.name()))))
                .collect();
            let names: BTreeSet<&str> = shown.iter().flat_map(|labels| labels.iter()).map(|label| label.name).collect();
            let said = snapshot.label_names(&matchers, range).unwrap();
            assert_eq!(said, names.into_iter().collect::<Vec<_>>(), "{matchers:?} {range:?}");
            for name in ["__name__", "id", "zone", "none"] {
                let values: BTreeSet<&str> = shown.iter().map(|labels| labels.get(name)).collect();
                let values: Vec<&str> = values.into_iter().filter(|value| !value.is_empty()).collect();
                assert_eq!(
                    snapshot.label_values(name, &matchers, range).unwrap(),
                    values,
                    "{name} {matchers:?} {range:?}"
                );
            }
            assert_eq!(snapshot.has_series(&matchers, range).unwrap(), !shown.is_empty(), "{matchers:?} {range:?}");
        }
    };
    for part in times.chunks(500) {
        let samples: Vec<_> = part.iter().map(|(t, n)| (&series[*n], *t, 1.0)).collect();
        commit(&store, part[part.len() - 1].0, batch(&samples));
    }
    check(&store, &mut rng, &|_, _| false);
    let deleted = TimeRange { after: at(600_000), until: at(3_000_000) };
    let all = vec![Entry::Delete { matchers: named("m3"), range: deleted }];
    store.commit(at(3_600_000), all).unwrap();
    check(&store, &mut rng, &|labels, t| labels.get("__name__") == "m3" && t > 600_000 && t <= 3_000_000);
}
