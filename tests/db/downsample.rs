//! Samples that grow old under a database: what queries, rules and objectives make of it.

use std::collections::BTreeMap;

use evenkeel::model::{DownsampleRule, STALE_NAN};
use evenkeel::storage::StoreOptions;

use super::*;

const SCRAPE: i64 = 15_000;
/// Scrapes of a bit more than four hours.
const SCRAPES: i64 = 1000;
const HOUR: i64 = 3_600_000;

fn rule(after: i64, resolution: i64) -> DownsampleRule {
    DownsampleRule { matchers: Vec::new(), after: Millis::minutes(after), resolution: Millis::minutes(resolution) }
}

fn open(world: &World, downsample: Vec<DownsampleRule>) -> Result<Db, String> {
    let mut options = DbOptions::new(world.dir.path());
    options.store = StoreOptions { downsample, ..StoreOptions::default() };
    options.watch = world.watch.clone();
    options.clock = Arc::clone(&world.clock) as _;
    options.threads = Threads::None;
    Db::open(options).map_err(|error| error.to_string())
}

/// A counter that resets, a gauge with decimals and not numbers, a series that ends.
fn fill(world: &World, downsample: Vec<DownsampleRule>) -> Db {
    let again = || open(world, downsample.clone()).unwrap();
    let mut db = again();
    for n in 0..SCRAPES {
        let t = BEGIN + n * SCRAPE + (n * 37) % 400;
        world.clock.set(t);
        let gauge = if n % 71 == 0 { f64::NAN } else { ((n * n) % 1009) as f64 / 10.0 };
        let mut batch = one("requests_total", &[("room", "a")], t, ((n * 7) % 1501) as f64);
        batch.append(one("level", &[("room", "b")], t, gauge));
        if n < 320 {
            batch.append(one("ended", &[], t, n as f64));
        } else if n == 320 {
            batch.append(one("ended", &[], t, f64::from_bits(STALE_NAN)));
        }
        db.append(batch).unwrap();
        if n % 100 == 99 {
            // A block each time; the newest samples stay in memory.
            db.close().unwrap();
            db = again();
        }
    }
    db.step();
    db
}

fn range(db: &Db, text: &str, (start, end): (i64, i64), step: Millis) -> BTreeMap<String, Vec<(i64, u64)>> {
    let options = EvalOptions::default();
    let answer = db.query_range(text, (Timestamp(start), Timestamp(end)), step, &options).unwrap().value;
    let Value::Matrix(rows) = answer else { panic!("{text} is no matrix") };
    let bits = |samples: Vec<Sample>| samples.iter().map(|s| (s.t.0 - BEGIN, s.v.to_bits())).collect();
    rows.into_iter().map(|row| (row.labels.to_string(), bits(row.samples))).collect()
}

const FUNCTIONS: &str = "rate increase delta changes resets avg_over_time sum_over_time count_over_time min_over_time \
                         max_over_time last_over_time first_over_time present_over_time";

#[test]
fn queries_over_whole_intervals_give_the_bits_of_raw_samples() {
    let (raw, old) = (World::new("", ""), World::new("", ""));
    let (raw, old) = (fill(&raw, Vec::new()), fill(&old, vec![rule(30, 5), rule(120, 20)]));
    let kept =
        |db: &Db| range(db, "count_over_time({room=~\".+\"}[5h:15s])", (BEGIN + 5 * HOUR, BEGIN + 5 * HOUR), Millis(1));
    assert_ne!(kept(&raw), kept(&old), "something was downsampled");
    let twenty = Millis::minutes(20);
    for function in FUNCTIONS.split_whitespace() {
        for window in ["20m", "1h", "4h", "40m] offset 20m", "20m] @ 1800004800"] {
            let window = if window.contains(']') { window.to_owned() } else { format!("{window}]") };
            let text = format!("{function}({{__name__=~\".+\",room!=\"\"}}[{window})");
            let text = if function.ends_with("_over_time") { text } else { format!("sum by (room) ({text})") };
            let span = (BEGIN, BEGIN + 5 * HOUR);
            assert_eq!(range(&old, &text, span, twenty), range(&raw, &text, span, twenty), "{text}");
            assert_eq!(instant(&old, &text, span.0 + 4 * HOUR).len(), instant(&raw, &text, span.0 + 4 * HOUR).len());
        }
    }
    // Where nothing is downsampled yet, any window is exact; so is one that reaches back to a whole interval.
    let recent = (BEGIN + 4 * HOUR - 5 * 60_000, BEGIN + 4 * HOUR);
    for text in
        ["rate(requests_total[3m])", "stddev_over_time(level[7m])", "level", "quantile_over_time(0.9, level[4m])"]
    {
        assert_eq!(
            range(&old, text, recent, Millis::seconds(7)),
            range(&raw, text, recent, Millis::seconds(7)),
            "{text}"
        );
    }
    let mixed = (BEGIN + 4 * HOUR, BEGIN + 4 * HOUR + 1);
    for text in ["increase(requests_total[4h])", "max_over_time(level[160m])", "sum_over_time(level[2h])"] {
        assert_eq!(range(&old, text, mixed, Millis(1)), range(&raw, text, mixed, Millis(1)), "{text}");
    }
}

#[test]
fn short_windows_see_the_interval_around_them() {
    let world = World::new("", "");
    let db = fill(&world, vec![rule(30, 5)]);
    let at = BEGIN + 31 * 60_000 + 30_000;
    let value = |text: &str| instant(&db, text, at).first().map(|(_, v)| *v);
    // The interval from minute 30 to 35, of which the window is a fifth.
    let of_all = |text: &str| instant(&db, text, BEGIN + 35 * 60_000)[0].1;
    let (whole, part) = (of_all("increase(requests_total[5m])"), value("increase(requests_total[1m])").unwrap());
    assert!((part / whole - 0.2).abs() < 0.01, "{part} of {whole}");
    assert_eq!(value("rate(requests_total[1m])").map(|v| (v * 60.0 / part).round()), Some(1.0));
    assert_eq!(value("max_over_time(level[1m])"), Some(of_all("max_over_time(level[5m])")));
    for text in ["sum_over_time(level[1m])", "count_over_time(level[1m])", "last_over_time(level[1m])"] {
        assert_eq!(value(text), None, "{text} would be another window's");
    }
    // A series that has ended is gone.
    let end = BEGIN + 320 * SCRAPE;
    assert_eq!(instant(&db, "ended", end - SCRAPE + 400).len(), 1);
    assert_eq!(instant(&db, "ended", end + SCRAPE), []);
}

const LONG: &str = "groups:\n- name: g\n  rules:\n  - record: r\n    expr: rate(requests_total[1h])\n";

#[test]
fn rules_that_look_back_to_downsampled_samples_are_refused() {
    let world = World::new(LONG, "");
    let text = "rule r of group g looks back 1h, but samples are downsampled after 59m";
    assert!(open(&world, vec![rule(59, 5)]).map(|_| ()).unwrap_err().starts_with(text));
    let db = open(&world, vec![rule(60, 5)]).unwrap();
    let mut watch = world.watch.clone();
    watch.groups = evenkeel::config::parse_rules("rules.yml", &LONG.replace("1h", "61m")).unwrap();
    assert!(db.reload(watch).unwrap_err().to_string().contains("looks back 1h1m"));
    db.reload(world.watch.clone()).unwrap();
}

#[test]
fn what_begins_later_counts_only_what_is_there() {
    let mut world = World::new("", "");
    drop(fill(&world, vec![rule(30, 5)]));
    // An objective and a rule that reach back to what was downsampled under an earlier rule.
    let slo = "objectives:\n- service: s\n  name: n\n  objective: 99\n  window: 2h\n  errors: ended\n  total: requests_total\n";
    world.watch.objectives = evenkeel::config::parse_objectives("slo.yml", slo).unwrap();
    let count = "count_over_time(requests_total[2h])";
    let rules = format!(
        "groups:\n- name: g\n  rules:\n  - record: r\n    expr: {count}\n  - alert: A\n    expr: {count} > 0\n"
    );
    world.watch.groups = evenkeel::config::parse_rules("rules.yml", &rules).unwrap();
    let db = open(&world, vec![rule(180, 5)]).unwrap();
    let now = BEGIN + SCRAPES * SCRAPE;
    world.clock.set(now);
    db.append(one("requests_total", &[("room", "a")], now, 5.0)).unwrap();
    world.clock.set(now + 60_000);
    db.step();
    // What is asked of the store counts all; what follows samples begins where they are whole.
    assert_eq!(instant(&db, "r", now + 60_000)[0].1, 481.0);
    assert_eq!(db.alerts()[0].value, 201.0);
    let total = db.objectives()[0].total;
    assert!((700.0..2900.0).contains(&total), "{total} requests in the part of the window that is not downsampled");
}
