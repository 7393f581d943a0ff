//! Windows of weeks, which are answered from the statistics of stored chunks.

use evenkeel::model::Millis;
use evenkeel::promql::{EvalOptions, Value};

use super::*;

/// Samples of each series, five minutes apart: seventeen days.
const SAMPLES: i64 = 5000;
const STEP: i64 = 300_000;

/// A counter that resets, a gauge with gaps and staleness markers, and decimals.
fn fill(world: &World) -> Db {
    let mut db = world.open();
    for n in 0..SAMPLES {
        let t = BEGIN + n * STEP;
        world.clock.set(t);
        let mut batch = one("requests_total", &[("room", "a")], t, ((n * 7) % 6001) as f64 / 10.0);
        if n % 97 != 0 {
            batch.append(one("level", &[("room", "b")], t, ((n * n) % 1009) as f64));
        } else {
            batch.append(one("level", &[("room", "b")], t, f64::from_bits(evenkeel::model::STALE_NAN)));
        }
        db.append(batch).unwrap();
        if n % 1700 == 1699 {
            // A block each time; the newest samples stay in memory.
            db.close().unwrap();
            db = world.open();
            db.step();
        }
    }
    db
}

#[test]
fn statistics_give_the_bits_that_reading_every_sample_gives() {
    let world = World::new("", "");
    let db = fill(&world);
    assert!(db.status().store.blocks > 0);
    let at = Timestamp(BEGIN + (SAMPLES - 1) * STEP + 1234);
    let functions = "rate increase delta changes resets avg_over_time sum_over_time count_over_time min_over_time \
                     max_over_time last_over_time first_over_time present_over_time";
    for function in functions.split_whitespace() {
        for window in ["16d", "13h", "20d"] {
            let text = format!("{function}({{room=~\"a|b\"}}[{window}])");
            let from_statistics = instant(&db, &text, at.0);
            // Many steps close together are read sample by sample; the first of them is the same instant.
            let options = EvalOptions::default();
            let end = at + Millis::minutes(200);
            let Value::Matrix(rows) = db.query_range(&text, (at, end), Millis::minutes(1), &options).unwrap().value
            else {
                panic!("{text} is no matrix")
            };
            let read: Vec<_> = rows
                .into_iter()
                .filter(|row| row.samples[0].t == at)
                .map(|row| (row.labels.to_string(), row.samples[0].v))
                .collect();
            assert_eq!(read.len(), 2, "{text}");
            let bits = |all: &[(String, f64)]| -> std::collections::BTreeMap<String, u64> {
                all.iter().map(|(labels, v)| (labels.clone(), v.to_bits())).collect()
            };
            assert_eq!(bits(&from_statistics), bits(&read), "{text}");
        }
    }
}
