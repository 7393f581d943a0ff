//! Old samples at a lower resolution: what whole intervals say stays as it was, to the last bit.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use evenkeel::env::Rng;
use evenkeel::env::disk::{Disk, MemoryDisk, Survival};
use evenkeel::model::{
    Batch, DownsampleRule, Labels, Matcher, Millis, Rejection, STALE_NAN, Sample, Summary, TimeRange, Timestamp,
};
use evenkeel::storage::{Applied, Entry, Fact, FileKind, Snapshot, Store, StoreOptions, inspect, verify};
use evenkeel::testkit::{Fault, FaultyDisk};

use super::{at, batch, commit, content, dir, labels, named, open, options};

fn rule(after: i64, resolution: i64) -> DownsampleRule {
    DownsampleRule { matchers: Vec::new(), after: Millis::seconds(after), resolution: Millis::seconds(resolution) }
}

fn keeping(rules: Vec<DownsampleRule>) -> StoreOptions {
    StoreOptions { retention: Millis::days(100), downsample: rules, ..options() }
}

fn checkpoint(store: &Store) {
    store.begin_checkpoint(Vec::new()).unwrap();
    store.finish_checkpoint().unwrap();
}

/// Lets the log's time pass, by a sample of a series of its own.
fn pass(store: &Store, ms: i64) {
    commit(store, ms, batch(&[(&labels("time", 0), ms, 0.0)]));
}

/// All samples that were ever taken, by series.
type Model = BTreeMap<Labels, Vec<Sample>>;

fn inside(samples: &[Sample], range: TimeRange) -> Vec<Sample> {
    samples.iter().copied().filter(|sample| range.contains(sample.t)).collect()
}

fn check_summaries(snapshot: &Snapshot, model: &Model, range: TimeRange, what: &str) {
    let expected: Vec<(&Labels, Summary)> = model
        .iter()
        .map(|(labels, samples)| (labels, Summary::of(&inside(samples, range))))
        .filter(|(_, summary)| summary.count + summary.stale > 0)
        .collect();
    let found = snapshot.summaries(&[], range).unwrap().unwrap();
    assert_eq!(found.len(), expected.len(), "{what}, {range:?}");
    for ((labels, found), (same, expected)) in found.iter().zip(&expected) {
        assert!(labels == *same && found == expected, "{what}, {range:?} {labels}\n{found:?}\nexpected {expected:?}");
    }
}

/// The least multiple of `length` that is not before `t`.
fn up(t: Timestamp, length: Millis) -> Timestamp {
    Timestamp((t.0 + length.0 - 1).div_euclid(length.0) * length.0)
}

/// Each sample that is shown was taken, and the last one of each interval is shown.
fn check_kept(snapshot: &Snapshot, model: &Model, length: Millis, what: &str) {
    let found: Model = snapshot
        .select(&[], TimeRange::ALL, usize::MAX)
        .unwrap()
        .into_iter()
        .map(|series| (series.labels, series.samples))
        .collect();
    for (labels, samples) in model {
        let shown = &found[labels];
        let bits = |sample: &Sample| (sample.t, sample.v.to_bits());
        assert!(shown.is_sorted_by(|a, b| a.t < b.t), "{what}");
        let among = |all: &[Sample], sample: &Sample| {
            let at = all.partition_point(|one| one.t < sample.t);
            all.get(at).map(bits) == Some(bits(sample))
        };
        for sample in shown {
            assert!(among(samples, sample), "{what}: {sample:?} of {labels} is invented");
        }
        for group in samples.chunk_by(|a, b| up(a.t, length) == up(b.t, length)) {
            let last = group.last().unwrap();
            assert!(among(shown, last), "{what}: {last:?} of {labels} is not shown");
        }
    }
}

fn value(rng: &mut Rng, kind: u64, n: i64) -> f64 {
    match rng.below(60) {
        0 => f64::from_bits(STALE_NAN),
        1 if kind > 2 => [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, f64::MAX, -0.0][rng.below(5) as usize],
        _ => match kind {
            0 => (n % 41) as f64 * 1.5,
            1 => 7.25,
            2 => rng.below(1000) as f64 / 10.0 - 40.0,
            _ => rng.normal(),
        },
    }
}

/// Takes samples of some kinds of series from `from` to `to`: jitter, gaps, resets, late ones, doubles.
fn fill(store: &Store, rng: &mut Rng, model: &mut Model, (from, to): (i64, i64)) {
    let mut ms = from;
    while ms < to {
        let longest = if rng.below(50) == 0 { 400_000 } else { 9000 };
        ms += 1 + rng.below(longest) as i64;
        let mut all = Batch::new();
        for kind in 0..5 {
            if rng.below(8) > 0 {
                let late = if rng.below(10) == 0 { rng.below(90_000) as i64 } else { 0 };
                all.push(labels("m", kind), Sample { t: at(ms - late), v: value(rng, kind, ms / 5000) });
            }
        }
        let by_number: BTreeMap<_, _> = store.known_series().into_iter().collect();
        let committed = commit(store, ms, all);
        let new: BTreeMap<_, _> = committed.new_series.iter().cloned().collect();
        for (series, sample) in committed.samples {
            let labels = by_number.get(&series).or(new.get(&series)).unwrap();
            model.entry(labels.clone()).or_default().push(sample);
        }
    }
    model.values_mut().for_each(|samples| samples.sort_by_key(|sample| sample.t));
}

fn for_seeds(test: &str, seeds: u64, run: impl Fn(u64) + std::panic::RefUnwindSafe) {
    if let Ok(seed) = std::env::var("EVENKEEL_SEED") {
        return run(seed.parse().unwrap());
    }
    for seed in 0..seeds {
        if let Err(panic) = std::panic::catch_unwind(|| run(seed)) {
            eprintln!("seed {seed}; repeat with EVENKEEL_SEED={seed} cargo test storage::downsample::{test}");
            std::panic::resume_unwind(panic);
        }
    }
}

#[test]
fn windows_of_whole_intervals_say_what_the_samples_said() {
    for_seeds("windows_of_whole_intervals_say_what_the_samples_said", 5, |seed| {
        let mut rng = Rng::new(seed);
        let fine = 1 + rng.below(40) as i64;
        let coarse = fine * (2 + rng.below(5) as i64);
        let rules = vec![rule(3000, fine), rule(12_000, coarse)];
        let options = StoreOptions { out_of_order: Millis::seconds(100), ..keeping(rules) };
        let disk: Arc<dyn Disk> = Arc::new(MemoryDisk::new());
        let (mut store, ..) = open(&disk, options.clone());
        let (mut model, mut from, mut downsampled) = (Model::new(), 0, 0);
        for round in 0..9 {
            let to = from + 200_000 + rng.below(3_000_000) as i64;
            fill(&store, &mut rng, &mut model, (from, to));
            from = to + 500_000;
            match rng.below(4) {
                0 => {}
                1 => drop(store.begin_checkpoint(Vec::new()).unwrap()),
                _ => checkpoint(&store),
            }
            if rng.below(3) > 0 {
                downsampled += store.maintain(at(from)).unwrap().blocks_downsampled;
            }
            if rng.below(6) == 0 {
                store.compact_all(at(from), &mut |_| ()).unwrap();
            }
            if rng.below(4) == 0 {
                drop(store);
                store = open(&disk, options.clone()).0;
            }
            let (snapshot, length) = (store.snapshot(), Millis::seconds(coarse));
            let what = format!("seed {seed}, round {round}, {fine} s and {coarse} s");
            check_summaries(&snapshot, &model, TimeRange::ALL, &what);
            check_kept(&snapshot, &model, length, &what);
            for _ in 0..8 {
                let after = up(at(rng.below(from as u64) as i64), length);
                let until = up(after + Millis(rng.below(from as u64) as i64), length);
                check_summaries(&snapshot, &model, TimeRange { after, until }, &what);
                // Where only the finer one came to be, its multiples are exact as well.
                let (after, until) = (up(after, Millis(1)), after + Millis::seconds(fine * rng.below(300) as i64));
                if snapshot.resolution(TimeRange { after, until }) <= Millis::seconds(fine) {
                    check_summaries(&snapshot, &model, TimeRange { after, until }, &what);
                }
            }
        }
        assert!(downsampled > 0, "seed {seed}: nothing was downsampled");
        drop(store);
        let report = verify(&disk, dir(), &mut |_, _| ()).unwrap();
        assert_eq!(report.faults, [], "seed {seed}");
    });
}

/// A counter, a gauge and a series that ends, one sample a second, in blocks of 100 seconds.
fn fill_blocks(store: &Store, seconds: i64) -> Model {
    let mut model = Model::new();
    for second in 0..seconds {
        let t = second * 1000 + 250;
        let [counter, gauge, ended] = ["counter", "gauge", "ended"].map(|name| labels(name, 1));
        let mut samples = vec![(&counter, t, (second % 37) as f64), (&gauge, t, (second * second % 101) as f64 / 4.0)];
        if second <= 57 {
            samples.push((&ended, t, if second == 57 { f64::from_bits(STALE_NAN) } else { 3.5 }));
        }
        for (labels, ms, v) in &samples {
            model.entry((*labels).clone()).or_default().push(Sample { t: at(*ms), v: *v });
        }
        commit(store, t, batch(&samples));
        if second % 100 == 99 {
            checkpoint(store);
        }
    }
    model
}

/// A store with four downsampled blocks; nothing else is in it but for one sample that let time pass.
fn downsampled(disk: &Arc<dyn Disk>) -> (Store, Model) {
    let (store, ..) = open(disk, keeping(vec![rule(3000, 10)]));
    let mut model = fill_blocks(&store, 400);
    pass(&store, 4_000_000);
    model.insert(labels("time", 0), vec![Sample { t: at(4_000_000), v: 0.0 }]);
    checkpoint(&store);
    let before = content(&store.snapshot());
    let report = store.maintain(at(4_000_000)).unwrap();
    assert!(report.blocks_downsampled == 4 && report.to_string().contains("4 blocks downsampled"), "{report}");
    assert_ne!(content(&store.snapshot()), before);
    (store, model)
}

fn ten_seconds(n: i64) -> Timestamp {
    up(at(n * 10_000), Millis::seconds(10))
}

#[test]
fn one_sample_an_interval_is_kept_and_the_end_of_a_series() {
    let disk: Arc<dyn Disk> = Arc::new(MemoryDisk::new());
    let (store, model) = downsampled(&disk);
    let shown = content(&store.snapshot());
    let of = |name: &str| &shown.iter().find(|(labels, _)| labels.starts_with(name)).unwrap().1;
    assert_eq!(of("counter").len(), 40);
    let ended: Vec<i64> = of("ended").iter().map(|(ms, _)| *ms).collect();
    assert_eq!(ended.last_chunk::<3>(), Some(&[49_250, 56_250, 57_250]));
    assert_eq!(of("ended").last().unwrap().1, STALE_NAN);
    check_kept(&store.snapshot(), &model, Millis::seconds(10), "");
    assert_eq!(store.maintain(at(4_000_000)).unwrap().blocks_downsampled, 0, "it is done once");
    drop(store);
    let (store, ..) = open(&disk, keeping(vec![rule(3000, 10)]));
    assert_eq!(store.maintain(at(4_000_000)).unwrap().blocks_downsampled, 0, "and a start does not forget it");
    // Without the rule it stays as it is.
    drop(store);
    let (store, ..) = open(&disk, keeping(Vec::new()));
    store.compact_all(at(4_000_000), &mut |_| ()).unwrap();
    assert_eq!(content(&store.snapshot()), shown);
    check_summaries(&store.snapshot(), &model, TimeRange::ALL, "merged");
}

#[test]
fn a_window_that_cuts_intervals_takes_those_that_end_in_it() {
    let disk: Arc<dyn Disk> = Arc::new(MemoryDisk::new());
    let (store, model) = downsampled(&disk);
    let snapshot = store.snapshot();
    let counter = &model[&labels("counter", 1)];
    let check = |(from, to): (i64, i64), (after, until): (Timestamp, Timestamp)| {
        let found =
            snapshot.summaries(&named("counter"), TimeRange { after: at(from), until: at(to) }).unwrap().unwrap();
        let expected = Summary::of(&inside(counter, TimeRange { after, until }));
        assert_eq!(found.first().map(|(_, summary)| summary), Some(&expected), "{from} to {to}");
    };
    check((13_000, 47_000), (ten_seconds(1), ten_seconds(4)));
    check((13_000, 49_250), (ten_seconds(1), ten_seconds(5)));
    check((9_250, 47_000), (ten_seconds(1), ten_seconds(4)));
    // One inside of an interval is told what is known of that interval.
    check((13_000, 15_000), (ten_seconds(1), ten_seconds(2)));
    let outside = TimeRange { after: at(-50_000), until: at(-20_000) };
    assert_eq!(snapshot.summaries(&named("counter"), outside).unwrap().unwrap(), []);
    // Windows that follow one another count each sample once.
    let parts = (0..80).map(|n| TimeRange { after: at(n * 5000 + 777), until: at(n * 5000 + 5777) });
    let mut counted = 0;
    for range in parts {
        let found = snapshot.summaries(&named("counter"), range).unwrap().unwrap();
        counted += found
            .iter()
            .filter(|(_, s)| s.ends.is_some_and(|(_, last)| range.contains(last.t)))
            .map(|(_, s)| s.count)
            .sum::<u64>();
    }
    assert_eq!(counted, 400);
}

#[test]
fn what_is_late_in_a_downsampled_time_is_refused() {
    let disk: Arc<dyn Disk> = Arc::new(MemoryDisk::new());
    let late = StoreOptions { out_of_order: Millis::seconds(900), ..keeping(vec![rule(1000, 10)]) };
    let (store, ..) = open(&disk, late.clone());
    let old = labels("old", 1);
    for ms in [5_000, 6_000, 9_000, 12_000] {
        commit(&store, ms, batch(&[(&old, ms, 1.0)]));
    }
    checkpoint(&store);
    pass(&store, 2_000_000);
    checkpoint(&store);
    let take = |store: &Store, t: i64, v: f64| {
        let committed = commit(store, 2_000_000, batch(&[(&old, t, v)]));
        (committed.samples.len(), committed.rejected.counts)
    };
    let refused = (0, vec![(Rejection::Downsampled, 1)]);
    assert_eq!(take(&store, 7_000, 2.0), refused, "it may be downsampled any moment");
    assert_eq!(store.maintain(at(2_000_000)).unwrap().blocks_downsampled, 1);
    assert_eq!(take(&store, 7_000, 2.0), refused);
    assert_eq!(take(&store, 12_000, 1.0), (0, vec![]), "what is there already is known");
    assert_eq!(take(&store, 13_000, 2.0), (1, vec![]), "what is newer than all is taken");
    // Under another rule that begins later.
    drop(store);
    let (store, ..) = open(&disk, StoreOptions { downsample: vec![rule(3000, 10)], ..late });
    assert_eq!(take(&store, 5_500, 2.0), refused, "an interval took in what was there");
    assert_eq!(take(&store, 9_500, 2.0), (1, vec![]), "there is none there");
    let all = store.snapshot().summaries(&named("old"), TimeRange::ALL).unwrap().unwrap();
    assert_eq!(all[0].1.count, 6);
    // What came between is not joined before nothing may come between any more.
    checkpoint(&store);
    store.compact_all(at(2_000_000), &mut |_| ()).unwrap();
    let all = store.snapshot().summaries(&named("old"), TimeRange::ALL).unwrap().unwrap();
    assert_eq!(all[0].1.count, 6);
}

#[test]
fn samples_of_other_blocks_in_between_wait_for_a_merge() {
    let disk: Arc<dyn Disk> = Arc::new(MemoryDisk::new());
    let late = StoreOptions { out_of_order: Millis::seconds(100), ..keeping(vec![rule(1000, 10)]) };
    let (store, ..) = open(&disk, late);
    let series = labels("m", 1);
    let mut model = Model::new();
    let mut add = |ms: i64, v: f64| {
        commit(&store, 50_000.max(ms), batch(&[(&series, ms, v)]));
        let samples = model.entry(series.clone()).or_default();
        samples.push(Sample { t: at(ms), v });
        samples.sort_by_key(|sample| sample.t);
    };
    (0..50).for_each(|n| add(n * 1000 + 100, n as f64));
    checkpoint(&store);
    (10..30).step_by(7).for_each(|n| add(n * 1000 + 600, -1.0));
    checkpoint(&store);
    pass(&store, 5_000_000);
    model.insert(labels("time", 0), vec![Sample { t: at(5_000_000), v: 0.0 }]);
    for round in 0..3 {
        store.maintain(at(5_000_000)).unwrap();
        check_summaries(&store.snapshot(), &model, TimeRange::ALL, &format!("round {round}"));
        (0..5).for_each(|n| {
            let range = TimeRange { after: ten_seconds(n), until: ten_seconds(n + 1) };
            check_summaries(&store.snapshot(), &model, range, &format!("round {round}"));
        });
        let shown = store.snapshot().select(&named("m"), TimeRange::ALL, 1000).unwrap()[0].samples.len();
        match round {
            0 => assert!((20..60).contains(&shown), "{shown}"),
            _ => assert!(shown <= 6, "{shown}"),
        }
        checkpoint(&store);
        store.compact_all(at(5_000_000), &mut |_| ()).unwrap();
    }
}

#[test]
fn rules_with_matchers_leave_the_others_as_they_are() {
    let disk: Arc<dyn Disk> = Arc::new(MemoryDisk::new());
    let not_gauges = Matcher::new("__name__", evenkeel::model::MatchOp::NotEqual, "gauge").unwrap();
    let rules = vec![DownsampleRule { matchers: vec![not_gauges], ..rule(3000, 10) }];
    let (store, ..) = open(&disk, keeping(rules));
    let model = fill_blocks(&store, 400);
    pass(&store, 4_000_000);
    assert_eq!(store.maintain(at(4_000_000)).unwrap().blocks_downsampled, 4);
    let snapshot = store.snapshot();
    let bits = |samples: &[Sample]| samples.iter().map(|s| (s.t, s.v.to_bits())).collect::<Vec<_>>();
    let gauge = snapshot.select(&named("gauge"), TimeRange::ALL, 1000).unwrap();
    assert_eq!(bits(&gauge[0].samples), bits(&model[&labels("gauge", 1)]));
    assert_eq!(snapshot.select(&named("counter"), TimeRange::ALL, 1000).unwrap()[0].samples.len(), 40);
    let range = TimeRange { after: at(-1), until: at(400_000) };
    assert_eq!(snapshot.raw_since(&named("gauge"), range).unwrap(), range.after);
    assert_eq!(snapshot.raw_since(&named("counter"), range).unwrap(), at(399_250));
    assert_eq!(store.maintain(at(4_000_000)).unwrap().blocks_downsampled, 0);
}

#[test]
fn deletes_take_whole_intervals_and_what_is_known_of_others() {
    let disk: Arc<dyn Disk> = Arc::new(MemoryDisk::new());
    let (store, mut model) = downsampled(&disk);
    let delete = |(from, to): (i64, i64)| {
        let range = TimeRange { after: at(from), until: at(to) };
        let entry = Entry::Delete { matchers: named("counter"), range };
        assert!(matches!(store.commit(at(4_000_000), vec![entry]).unwrap()[0], Applied::Delete { .. }));
        range
    };
    let counter = labels("counter", 1);
    let whole = delete((ten_seconds(3).0 - at(0).0, ten_seconds(6).0 - at(0).0));
    model.get_mut(&counter).unwrap().retain(|sample| !whole.contains(sample.t));
    let check = |model: &Model| {
        for (from, to) in [(0, 9), (3, 6), (2, 7), (0, 40), (35, 40)] {
            let range = TimeRange { after: ten_seconds(from), until: ten_seconds(to) };
            check_summaries(&store.snapshot(), model, range, "");
        }
    };
    check(&model);
    // A part of one interval, without and with its last sample.
    delete((200_500, 202_500));
    delete((207_000, 213_000));
    let shown = |store: &Store| {
        let range = TimeRange { after: ten_seconds(20), until: ten_seconds(22) };
        store.snapshot().summaries(&named("counter"), range).unwrap().unwrap()[0].1.count
    };
    assert_eq!(shown(&store), 1, "of the first nothing is left, of the second its last sample");
    checkpoint(&store);
    store.clean(at(4_000_000), &mut |_| ()).unwrap();
    assert_eq!(shown(&store), 1);
    assert!(store.maintain(at(4_000_000)).unwrap().blocks_downsampled == 0);
    drop(store);
    assert_eq!(verify(&disk, dir(), &mut |_, _| ()).unwrap().faults, []);
}

#[test]
fn a_power_cut_at_any_operation_shows_one_or_the_other() {
    let run = |disk: &FaultyDisk| -> Option<(Store, Model)> {
        let shared: Arc<dyn Disk> = Arc::new(disk.clone());
        let (store, mut replay) = Store::open(shared, dir(), keeping(vec![rule(1000, 10)])).ok()?;
        while replay.next().unwrap().is_some() {}
        Some((store, Model::new()))
    };
    // The store before, once.
    let memory = MemoryDisk::new();
    let first: Arc<dyn Disk> = Arc::new(memory.clone());
    let (store, ..) = open(&first, keeping(Vec::new()));
    let mut model = fill_blocks(&store, 120);
    pass(&store, 4_000_000);
    model.insert(labels("time", 0), vec![Sample { t: at(4_000_000), v: 0.0 }]);
    drop(store);
    for stop in 0.. {
        let memory = memory.power_cut(Survival::Most);
        let disk = FaultyDisk::new(Arc::new(memory.clone()));
        let Some((store, _)) = run(&disk) else { panic!("it opens") };
        disk.fail_at(disk.operations() + stop, Fault::Stop);
        let done = store.maintain(at(4_000_000)).is_ok();
        drop(store);
        for survival in [Survival::Least, Survival::Most, Survival::Seeded(stop)] {
            let what = format!("stopped at operation {stop} ({:?}), {survival:?}", disk.met());
            let after: Arc<dyn Disk> = Arc::new(memory.power_cut(survival));
            let (store, _, report) = open(&after, keeping(vec![rule(1000, 10)]));
            assert!(report.damage.is_empty(), "{what}: {report}");
            check_summaries(&store.snapshot(), &model, TimeRange::ALL, &what);
            store.maintain(at(4_000_000)).unwrap();
            check_summaries(&store.snapshot(), &model, TimeRange::ALL, &what);
            let shown = store.snapshot().select(&named("counter"), TimeRange::ALL, 1000).unwrap()[0].samples.len();
            assert_eq!(shown, 10 + 20, "{what}: the rest is in the log");
            drop(store);
            assert_eq!(verify(&after, dir(), &mut |_, _| ()).unwrap().faults, [], "{what}");
        }
        if done {
            assert!(stop > 8, "{stop} operations");
            return;
        }
    }
}

fn blocks(disk: &dyn Disk) -> Vec<PathBuf> {
    let entries = disk.list(&dir().join("blocks")).unwrap().into_iter();
    entries.filter(|entry| entry.name.ends_with(".block")).map(|entry| entry.path).collect()
}

#[test]
fn damage_is_noticed_and_tells_nothing_wrong() {
    let memory = MemoryDisk::new();
    let shared: Arc<dyn Disk> = Arc::new(memory.clone());
    let (store, ..) = open(&shared, keeping(vec![rule(1000, 10)]));
    let mut model = fill_blocks(&store, 100);
    pass(&store, 4_000_000);
    model.insert(labels("time", 0), vec![Sample { t: at(4_000_000), v: 0.0 }]);
    assert_eq!(store.maintain(at(4_000_000)).unwrap().blocks_downsampled, 1);
    drop(store);
    let path = blocks(&memory).pop().unwrap();
    for byte in 0..memory.read(&path).unwrap().len() {
        let disk = memory.power_cut(Survival::Most);
        disk.tamper(&path, |bytes| bytes[byte] ^= 0x10).unwrap();
        let shared: Arc<dyn Disk> = Arc::new(disk);
        assert!(verify(&shared, dir(), &mut |_, _| ()).unwrap().faults_found > 0, "byte {byte}");
        let (store, _, report) = open(&shared, keeping(vec![rule(1000, 10)]));
        let aside = !report.damage.is_empty();
        match store.snapshot().summaries(&[], TimeRange::ALL).map(|found| found.unwrap()) {
            Ok(found) if !aside => {
                assert!(found.iter().all(|(labels, summary)| *summary == Summary::of(&model[labels])), "byte {byte}");
            }
            Ok(found) => assert_eq!(found.len(), 1, "byte {byte}: the block is set aside"),
            Err(_) => {
                let report = store.maintain(at(4_000_000)).unwrap();
                assert_eq!(report.quarantined.len(), 1, "byte {byte}");
                store.snapshot().summaries(&[], TimeRange::ALL).unwrap();
            }
        }
        drop(store);
    }
}

#[test]
fn a_downsampled_block_beside_its_source_counts_once() {
    let memory = MemoryDisk::new();
    let shared: Arc<dyn Disk> = Arc::new(memory.clone());
    let (store, ..) = open(&shared, keeping(Vec::new()));
    let mut model = fill_blocks(&store, 100);
    pass(&store, 4_000_000);
    model.insert(labels("time", 0), vec![Sample { t: at(4_000_000), v: 0.0 }]);
    drop(store);
    let source = blocks(&memory).pop().unwrap();
    let raw = memory.read(&source).unwrap();
    let (store, ..) = open(&shared, keeping(vec![rule(1000, 10)]));
    assert_eq!(store.maintain(at(4_000_000)).unwrap().blocks_downsampled, 1);
    let shown = content(&store.snapshot());
    drop(store);
    // The source was not removed, and the manifest is lost.
    let mut file = memory.create(&source).unwrap();
    file.write_all(&raw).unwrap();
    file.sync().unwrap();
    memory.remove(&dir().join("MANIFEST")).unwrap();
    let (store, ..) = open(&shared, keeping(vec![rule(1000, 10)]));
    assert_eq!(store.status().blocks, 2);
    assert_eq!(content(&store.snapshot()), shown);
    for (from, to) in [(0, 10), (2, 3), (4, 9)] {
        let range = TimeRange { after: ten_seconds(from), until: ten_seconds(to) };
        check_summaries(&store.snapshot(), &model, range, "beside its source");
    }
    store.compact_all(at(4_000_000), &mut |_| ()).unwrap();
    assert_eq!((store.status().blocks, content(&store.snapshot())), (1, shown.clone()));
    check_summaries(&store.snapshot(), &model, TimeRange::ALL, "merged");
}

#[test]
fn files_tell_their_resolution() {
    let disk: Arc<dyn Disk> = Arc::new(MemoryDisk::new());
    let (store, _) = downsampled(&disk);
    drop(store);
    let found = inspect(&*disk, dir()).unwrap();
    let fact = |name: &str| -> Vec<Fact> {
        let blocks = found.files.iter().filter(|file| file.kind == FileKind::Block);
        blocks.filter_map(|file| Some(file.facts.iter().find(|(fact, _)| fact == name)?.1.clone())).collect()
    };
    assert!(fact("resolution").contains(&Fact::Text("10s".into())));
    let counts: u64 =
        fact("samples before downsampling").iter().map(|f| if let Fact::Count(n) = f { *n } else { 0 }).sum();
    assert_eq!(counts, 400 + 400 + 58);
    assert!(found.parts.iter().any(|(part, bytes)| part == "block: interval figures" && *bytes > 0));
}

#[test]
fn blocks_of_the_first_version_are_read() {
    let hex = include_str!("old_block.hex").trim();
    let bytes: Vec<u8> =
        (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect();
    let memory = MemoryDisk::new();
    memory.create_dir(&dir().join("blocks")).unwrap();
    let mut file = memory.create(&dir().join("blocks/00000001.block")).unwrap();
    file.write_all(&bytes).unwrap();
    file.sync().unwrap();
    let disk: Arc<dyn Disk> = Arc::new(memory);
    let (store, ..) = open(&disk, keeping(vec![rule(1000, 10)]));
    let expected: Vec<(i64, u64)> = (0..20i64).map(|i| (i * 1000, (i as f64 / 4.0).to_bits())).collect();
    assert_eq!(content(&store.snapshot())[0].1, expected);
    pass(&store, 4_000_000);
    assert_eq!(store.maintain(at(4_000_000)).unwrap().blocks_downsampled, 1);
    assert_eq!(content(&store.snapshot())[0].1.len(), 3);
    assert_eq!(store.snapshot().summaries(&[], TimeRange::ALL).unwrap().unwrap()[0].1.count, 20);
}

#[test]
fn options_that_cannot_be_followed_are_refused() {
    let disk: Arc<dyn Disk> = Arc::new(MemoryDisk::new());
    let options = StoreOptions { downsample: vec![rule(3000, 10), rule(2000, 20)], ..keeping(Vec::new()) };
    let error = Store::open(disk, dir(), options).map(|_| ()).unwrap_err().to_string();
    assert!(error.contains("entry 2 of downsample: after 33m20s does not rise"), "{error}");
}
