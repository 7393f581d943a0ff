//! Series that come and go for hours: memory lets go of them, rules and objectives do not notice.

use evenkeel::storage::StoreOptions;

use super::*;

const RULES: &str = "groups:
- name: g
  rules:
  - {alert: Busy, expr: 'sum by (job) (increase(requests_total[4h])) > 500'}
  - {alert: Pods, expr: 'count by (job) (up == 1) > 9'}
";
const OBJECTIVES: &str = "objectives:
- service: shop
  name: answers
  objective: 90%
  window: 7d
  errors: requests_total{code=\"500\"}
  total: requests_total
";

fn open(world: &World, idle: Millis) -> Db {
    let mut options = DbOptions::new(world.dir.path());
    (options.watch, options.clock) = (world.watch.clone(), Arc::clone(&world.clock) as _);
    (options.transport, options.threads) = (Arc::clone(&world.recorder) as _, Threads::None);
    options.store = StoreOptions { idle, flush_bytes: 1 << 12, ..options.store };
    Db::open(options).unwrap()
}

/// A minute's scrape: ten pods that live for half an hour, and a counter that is away from time to time.
fn scrape(minute: i64) -> Batch {
    let (t, mut batch) = (Timestamp(BEGIN + minute * 60_000), Batch::new());
    let mut push = |pairs: &[(&str, &str)], v| {
        batch.push(Labels::new(pairs.iter().copied()).unwrap(), Sample { t, v });
    };
    for n in 0..10 {
        let pod = format!("pod-{n}-{}", (minute + 3 * n) / 30);
        push(&[("__name__", "up"), ("job", "a"), ("pod", &pod)], 1.0);
        push(&[("__name__", "requests_total"), ("job", "a"), ("pod", &pod), ("code", "200")], (minute % 30) as f64);
    }
    push(&[("__name__", "up"), ("job", "b")], 1.0);
    if minute % 120 < 10 {
        push(&[("__name__", "requests_total"), ("job", "b"), ("code", "500")], (minute * 5) as f64);
    }
    batch
}

#[test]
fn rules_and_objectives_go_on_as_if_nothing_was_forgotten() {
    let (world, twin) = (World::new(RULES, OBJECTIVES), World::new(RULES, OBJECTIVES));
    let (mut db, whole) = (open(&world, Millis::minutes(20)), open(&twin, Millis::days(1000)));
    let (mut most, mut fired) = (0, 0);
    for minute in 0..400 {
        for (world, db) in [(&world, &db), (&twin, &whole)] {
            world.clock.set(BEGIN + minute * 60_000);
            let receipt = db.append(scrape(minute)).unwrap();
            assert_eq!(receipt.rejected.total(), 0);
            db.step();
        }
        assert_eq!(db.alerts(), whole.alerts(), "minute {minute}");
        fired += db.alerts().len();
        if minute % 60 == 0 {
            assert_eq!(format!("{:?}", db.objectives()), format!("{:?}", whole.objectives()), "minute {minute}");
        }
        if minute == 233 {
            drop(db);
            db = open(&world, Millis::minutes(20));
        }
        if minute > 120 {
            most = most.max(db.status().store.series);
        }
    }
    assert!(fired > 100, "{fired}");
    assert!(whole.alerts().iter().any(|alert| alert.labels.get("job") == "b"), "the increase over its gap counts");
    assert!(most < 110, "{most} of {} series are in memory", whole.status().store.series);
    let now = BEGIN + 399 * 60_000;
    let query = "sort(sum by (job) (count_over_time(requests_total[10h])))";
    assert_eq!(instant(&db, query, now), instant(&whole, query, now));
    // What is stored already is known for that, however long ago its series was forgotten.
    let mut old = one("requests_total", &[("job", "b"), ("code", "500")], BEGIN + 360 * 60_000 + 540_000, 1845.0);
    old.append(one("requests_total", &[("job", "b"), ("code", "500")], BEGIN + 360 * 60_000 + 540_000, 7.0));
    old.append(one("requests_total", &[("job", "b"), ("code", "500")], BEGIN + 360 * 60_000, 7.0));
    let [a, b] = [&db, &whole].map(|db| db.append(old.clone()).unwrap());
    assert_eq!((a.stored, &a.rejected.counts), (b.stored, &b.rejected.counts));
    assert_eq!((a.stored, a.rejected.total()), (0, 2));
}
