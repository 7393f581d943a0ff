//! The store against a plain map, through commits, checkpoints, merges and restarts, by seed.
//!
//! A failure prints its seed; `EVENKEEL_SEED=… cargo test storage::model` repeats it.

use std::collections::BTreeMap;
use std::sync::Arc;

use evenkeel::env::Rng;
use evenkeel::env::disk::{Disk, MemoryDisk};
use evenkeel::model::{Batch, Labels, MatchOp, Matcher, Millis, Rejection, Sample, TimeRange, Timestamp, limits};
use evenkeel::storage::{Applied, Entry, Snapshot, Store, StoreOptions};

use super::{START, open, options};

/// What a store should hold.
#[derive(Default)]
struct Model {
    samples: BTreeMap<Labels, BTreeMap<i64, u64>>,
    at: Timestamp,
    seq: u64,
}

impl Model {
    fn decide(&self, options: &StoreOptions, labels: &Labels, sample: Sample) -> Result<bool, Rejection> {
        let (t, bits) = (sample.t.0, sample.v.to_bits());
        if t > self.at.0 + limits::FUTURE_MAX.0 {
            return Err(Rejection::FarFuture);
        }
        if t <= self.at.0 - options.retention.0 {
            return Err(Rejection::TooOld);
        }
        let Some(stored) = self.samples.get(labels) else { return Ok(true) };
        let Some((newest, _)) = stored.last_key_value() else { return Ok(true) };
        if t < *newest && (options.out_of_order.0 == 0 || newest - t > options.out_of_order.0) {
            return Err(Rejection::OutOfOrder);
        }
        match stored.get(&t) {
            None => Ok(true),
            Some(same) if *same == bits => Ok(false),
            Some(_) => Err(Rejection::Duplicate),
        }
    }

    /// Takes a batch; gives the counts of refused samples by reason.
    fn commit(&mut self, options: &StoreOptions, batch: &Batch) -> BTreeMap<Rejection, u64> {
        self.seq += 1;
        let mut refused = BTreeMap::new();
        for sample in batch.samples() {
            let labels = &batch.series()[sample.series as usize];
            match self.decide(options, labels, sample.sample) {
                Err(reason) => *refused.entry(reason).or_default() += 1,
                Ok(false) => {}
                Ok(true) => {
                    let stored = self.samples.entry(labels.clone()).or_default();
                    stored.insert(sample.sample.t.0, sample.sample.v.to_bits());
                }
            }
        }
        refused
    }

    fn delete(&mut self, matchers: &[Matcher], range: TimeRange) {
        self.seq += 1;
        let matching =
            self.samples.iter_mut().filter(|(labels, _)| matchers.iter().all(|m| m.matches(labels.get(m.name()))));
        matching.for_each(|(_, samples)| samples.retain(|t, _| !range.contains(Timestamp(*t))));
    }

    fn select(&self, options: &StoreOptions, matchers: &[Matcher], range: TimeRange) -> Vec<(Labels, Vec<(i64, u64)>)> {
        let oldest = (self.at - options.retention).max(range.after).0;
        let matching =
            self.samples.iter().filter(|(labels, _)| matchers.iter().all(|m| m.matches(labels.get(m.name()))));
        let inside = matching.map(|(labels, samples)| {
            let inside = samples.iter().filter(|(t, _)| **t > oldest && **t <= range.until.0);
            (labels.clone(), inside.map(|(t, bits)| (*t, *bits)).collect::<Vec<_>>())
        });
        inside.filter(|(_, samples)| !samples.is_empty()).collect()
    }
}

fn random_batch(rng: &mut Rng, now: Timestamp) -> Batch {
    let mut batch = Batch::new();
    for _ in 0..rng.below(12) {
        let n = rng.below(8).to_string();
        let job = ["a", "b", ""][rng.below(3) as usize];
        let labels = Labels::new([("__name__", "m"), ("n", n.as_str()), ("job", job)]).unwrap();
        let samples: Vec<Sample> = (0..=rng.below(3))
            .map(|_| {
                let shift = match rng.below(20) {
                    0 => limits::FUTURE_MAX.0 + 1 + rng.below(5) as i64,
                    1 => -(rng.below(400_000) as i64),
                    2..5 => rng.below(3000) as i64,
                    _ => -(rng.below(8) as i64) * 500,
                };
                let v = match rng.below(6) {
                    0 => f64::from_bits(evenkeel::model::STALE_NAN),
                    1 => -0.0,
                    2 => f64::from_bits(rng.bits()),
                    3 => rng.below(10) as f64 / 10.0,
                    _ => rng.below(1000) as f64,
                };
                Sample { t: now + Millis(shift), v }
            })
            .collect();
        batch.push_series(labels, samples);
    }
    batch
}

fn random_query(rng: &mut Rng, now: Timestamp) -> (Vec<Matcher>, TimeRange) {
    let choices = [
        ("job", MatchOp::Equal, "a"),
        ("job", MatchOp::NotEqual, "a"),
        ("job", MatchOp::Equal, ""),
        ("n", MatchOp::Match, "[1-5]"),
        ("n", MatchOp::NotMatch, "1|2"),
        ("__name__", MatchOp::Equal, "m"),
    ];
    let picked = (0..rng.below(3)).map(|_| choices[rng.below(choices.len() as u64) as usize]);
    let matchers = picked.map(|(name, op, value)| Matcher::new(name, op, value).unwrap()).collect();
    let until = now + Millis(3000 - rng.below(60_000) as i64);
    (matchers, TimeRange { after: until - Millis(rng.below(100_000) as i64), until })
}

fn check(snapshot: &Snapshot, model: &Model, options: &StoreOptions, matchers: &[Matcher], range: TimeRange) {
    let bits = |samples: Vec<Sample>| samples.into_iter().map(|s| (s.t.0, s.v.to_bits())).collect::<Vec<_>>();
    let found = snapshot.select(matchers, range, usize::MAX).unwrap();
    let found: Vec<_> = found.into_iter().map(|(labels, samples)| (labels, bits(samples))).collect();
    let expected = model.select(options, matchers, range);
    assert!(found == expected, "{matchers:?} {range:?}: found {found:?}, expected {expected:?}");
    let series = snapshot.series(matchers, range).unwrap();
    assert!(expected.iter().all(|(labels, _)| series.binary_search(labels).is_ok()));
}

fn run(seed: u64) {
    let mut rng = Rng::new(seed);
    let options = StoreOptions {
        retention: if rng.below(2) == 0 { Millis::minutes(2) } else { Millis::days(30) },
        segment_bytes_max: 1 + rng.below(4000),
        flush_bytes: 3000,
        out_of_order: Millis(rng.below(2) as i64 * 3000),
        ..options()
    };
    let disk: Arc<dyn Disk> = Arc::new(MemoryDisk::new());
    let (mut store, _, _) = open(&disk, options.clone());
    let mut model = Model::default();
    let mut now = START;
    for _ in 0..300 {
        match rng.below(40) {
            0 => {
                drop(store);
                let (again, applied, report) = open(&disk, options.clone());
                assert!(applied.is_sorted_by_key(Applied::seq) && report.damage.is_empty(), "{report}");
                store = again;
            }
            1 | 2 => {
                if store.checkpoint_due() {
                    assert!(store.begin_checkpoint(vec![("seq".into(), model.seq.to_le_bytes().to_vec())]).unwrap());
                }
            }
            3 => store.finish_checkpoint().unwrap(),
            4 => {
                store.maintain(now).unwrap();
            }
            5 => {
                let (matchers, range) = random_query(&mut rng, now);
                check(&store.snapshot(), &model, &options, &matchers, range);
            }
            6 => now = now + Millis(rng.below(60_000) as i64),
            7 => {
                let (matchers, mut range) = random_query(&mut rng, now);
                if rng.below(3) == 0 {
                    range = TimeRange::ALL;
                }
                let before = (super::content(&store.snapshot()), store.snapshot());
                now = now.max(model.at);
                store.commit(now, vec![Entry::Delete { matchers: matchers.clone(), range }]).unwrap();
                model.at = now;
                model.delete(&matchers, range);
                assert_eq!(super::content(&before.1), before.0, "a snapshot from before still shows it");
                check(&store.snapshot(), &model, &options, &[], TimeRange::ALL);
            }
            8 => {
                store.clean(now, &mut |_| ()).unwrap();
            }
            _ => commit(&store, &mut model, &options, &mut rng, &mut now),
        }
    }
    check(&store.snapshot(), &model, &options, &[], TimeRange::ALL);
    drop(store);
    let (store, ..) = open(&disk, options.clone());
    check(&store.snapshot(), &model, &options, &[], TimeRange::ALL);
}

fn commit(store: &Store, model: &mut Model, options: &StoreOptions, rng: &mut Rng, now: &mut Timestamp) {
    // Reading everything at each commit would take most of the test's time.
    let before = (rng.below(8) == 0).then(|| store.snapshot()).map(|snapshot| (super::content(&snapshot), snapshot));
    // The clock may step back; the log's time does not.
    *now = *now + Millis(rng.below(2000) as i64 - 100);
    let group: Vec<Entry> = (0..=rng.below(2)).map(|_| Entry::Transaction(random_batch(rng, *now))).collect();
    model.at = model.at.max(*now);
    let applied = store.commit(*now, group.clone()).unwrap();
    for (entry, applied) in group.iter().zip(&applied) {
        let (Entry::Transaction(batch), Applied::Transaction(committed)) = (entry, applied) else {
            panic!("two kinds")
        };
        let refused = model.commit(options, batch);
        assert_eq!(committed.rejected.counts.iter().copied().collect::<BTreeMap<_, _>>(), refused);
        assert_eq!((committed.seq.0, committed.at), (model.seq, model.at));
    }
    if let Some((shown, snapshot)) = before {
        assert_eq!(super::content(&snapshot), shown, "a snapshot does not change");
    }
    assert_eq!(store.snapshot().at(), model.at);
}

#[test]
fn the_store_agrees_with_a_map() {
    if let Ok(seed) = std::env::var("EVENKEEL_SEED") {
        return run(seed.parse().unwrap());
    }
    for seed in 0..12 {
        if let Err(panic) = std::panic::catch_unwind(|| run(seed)) {
            eprintln!("seed {seed}; repeat with EVENKEEL_SEED={seed} cargo test storage::model");
            std::panic::resume_unwind(panic);
        }
    }
}
