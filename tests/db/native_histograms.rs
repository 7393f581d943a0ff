//! Native histograms from a batch to an answer: in memory, in blocks, in windows that statistics would answer.

use std::sync::Arc;

use evenkeel::model::{Histogram, HistogramCounts, HistogramSample, ResetHint, Span, TimeRange};

use super::*;

/// A day and an hour, a minute apart.
const SAMPLES: u64 = 1500;

/// `n` observations in (1, 2] and as many in (2, 4].
fn histogram(t: i64, n: u64) -> HistogramSample {
    let histogram = Histogram {
        reset_hint: ResetHint::Unknown,
        schema: 0,
        zero_threshold: 0.0,
        sum: 4.5 * n as f64,
        positive_spans: vec![Span { offset: 1, length: 2 }],
        negative_spans: vec![],
        bounds: vec![],
        counts: HistogramCounts::Integer { count: 2 * n, zero: 0, positive: vec![n, n], negative: vec![] },
    };
    HistogramSample { t: Timestamp(t), start: Timestamp(0), histogram: Arc::new(histogram) }
}

fn fill(world: &World) -> (Db, i64) {
    let mut db = world.open();
    let mut t = BEGIN;
    for n in 1..=SAMPLES {
        t = BEGIN + n as i64 * 60_000;
        world.clock.set(t);
        let mut batch = one("level", &[("kind", "number")], t, n as f64);
        let labels = Labels::new([("__name__", "latency"), ("kind", "histogram")]).unwrap();
        batch.push_histogram(labels, histogram(t, n));
        let receipt = db.append(batch).unwrap();
        assert_eq!(receipt.rejected.total(), 0);
        if n % 600 == 0 {
            db.close().unwrap();
            db = world.open();
            db.step();
        }
    }
    (db, t)
}

#[test]
fn histograms_are_asked_for_like_numbers() {
    let world = World::new("", "");
    let (db, t) = fill(&world);
    assert!(db.status().store.blocks > 0);
    let n = SAMPLES as f64;
    let check = |text: &str, expected: &[(&str, f64)]| {
        let expected: Vec<(String, f64)> = expected.iter().map(|(labels, v)| ((*labels).to_owned(), *v)).collect();
        assert_eq!(instant(&db, text, t), expected, "{text}");
    };
    let kind = "{kind=\"histogram\"}";
    check("histogram_count(latency)", &[(kind, 2.0 * n)]);
    check("histogram_sum(sum(latency))", &[("{}", 4.5 * n)]);
    check("histogram_quantile(0.5, latency)", &[(kind, 2.0)]);
    check("count({kind=~\".+\"})", &[("{}", 2.0)]);
    check("absent(latency)", &[]);
    // Of a long window statistics tell nothing of histograms, and all of a number.
    let day = 1440.0;
    let total = day * n - (0..1440).sum::<u64>() as f64;
    check("histogram_count(sum_over_time(latency[1d]))", &[(kind, 2.0 * total)]);
    check("sum_over_time(level[1d])", &[("{kind=\"number\"}", total)]);
    check("count_over_time({kind=~\".+\"}[1d])", &[(kind, day), ("{kind=\"number\"}", day)]);
    check("histogram_count(increase(latency[1d]))", &[(kind, 2.0 * day)]);
    check("histogram_quantile(0.25, rate(latency[5m]))", &[(kind, 2f64.sqrt())]);
}

const RULES: &str = "
groups:
- name: native
  interval: 30s
  rules:
  - {record: 'latency:sum', expr: 'sum by (kind) (latency)'}
  - {alert: Gone, expr: 'absent(latency)'}
  - {alert: None, expr: 'count(latency) < 2 or absent(latency)'}
  - {alert: High, expr: 'latency > 5', for: 1m}
  - {alert: Many, expr: 'histogram_count(latency) > 7'}
";

#[test]
fn rules_see_histograms_before_and_after_a_restart() {
    let world = World::new(RULES, "");
    let latency = |kind: &str| Labels::new([("__name__", "latency"), ("kind", kind)]).unwrap();
    let firing = |db: &Db| {
        let mut names: Vec<String> = db.alerts().iter().map(|one| one.labels.get("alertname").to_owned()).collect();
        names.sort();
        names
    };
    let mut db = world.open();
    for n in 1..=20u64 {
        let t = BEGIN + n as i64 * 15_000;
        world.clock.set(t);
        let mut batch = Batch::new();
        batch.push_histogram(latency("a"), histogram(t, n.min(5)));
        if n > 2 {
            batch.push(latency("b"), Sample { t: Timestamp(t), v: if n > 4 { 9.0 } else { 1.0 } });
        }
        db.append(batch).unwrap();
        db.step();
        if n == 10 {
            drop(db);
            db = world.open();
        }
        let expected: &[&str] = match n {
            1 | 2 => &["None"],
            3 => &[],
            20 => &["High", "Many"],
            _ => continue,
        };
        assert_eq!(firing(&db), expected, "after {n}");
    }
    let groups = db.rule_groups();
    let modes: Vec<&str> = groups[0].rules.iter().map(|rule| rule.mode.as_str()).collect();
    assert_eq!(modes, ["interval", "incremental", "incremental", "interval", "interval"]);
    let high = db.alerts().into_iter().find(|one| one.labels.get("alertname") == "High").unwrap();
    assert!(high.fired_at == Some(high.active_at + evenkeel::model::Millis::minutes(1)), "{high:?}");
    let t = BEGIN + 20 * 15_000;
    assert_eq!(instant(&db, "histogram_count({__name__=\"latency:sum\"})", t), [("{kind=\"a\"}".to_owned(), 10.0)]);
}

#[test]
fn finer_schemas_are_brought_to_one_that_is_kept_and_what_is_none_is_counted() {
    let world = World::new("", "");
    let db = world.open();
    let labels = || Labels::new([("__name__", "fine")]).unwrap();
    let with = |t: i64, change: &dyn Fn(&mut Histogram)| {
        let mut sample = histogram(t, 3);
        change(Arc::make_mut(&mut sample.histogram));
        sample
    };
    let mut batch = Batch::new();
    batch.push_histogram(
        labels(),
        with(BEGIN, &|histogram| {
            histogram.schema = 10;
            histogram.positive_spans = vec![Span { offset: 4, length: 2 }];
        }),
    );
    batch.push_histogram(labels(), with(BEGIN + 1, &|histogram| histogram.schema = 53));
    batch.push_histogram(labels(), with(BEGIN + 2, &|histogram| histogram.positive_spans.clear()));
    let receipt = db.append(batch).unwrap();
    assert_eq!((receipt.histograms, receipt.coarsened), (1, 1));
    let range = TimeRange { after: Timestamp(0), until: Timestamp(BEGIN) };
    let stored = db.select(&[], range, 100).unwrap().remove(0).histograms.remove(0).histogram;
    assert_eq!((stored.schema, &*stored.positive_spans), (8, &[Span { offset: 1, length: 2 }][..]));
    let metrics = db.metrics();
    let check = |name: &str, reason: &str, expected: f64| {
        let is = |labels: &Labels| labels.metric_name() == name && labels.get("reason") == reason;
        let found: Vec<f64> = metrics.iter().filter(|(labels, _)| is(labels)).map(|(_, v)| *v).collect();
        assert_eq!(found, [expected], "{name} {reason}");
    };
    check("evenkeel_histograms_stored_total", "", 1.0);
    check("evenkeel_histograms_coarsened_total", "", 1.0);
    check("evenkeel_histograms_invalid_total", "unknown schema", 1.0);
    check("evenkeel_histograms_invalid_total", "spans and buckets differ in number", 1.0);
    check("evenkeel_samples_rejected_total", "invalid native histogram", 2.0);
}

const LATENCY: &str = "
objectives:
- {service: shop, objective: 90, window: 2d, latency: {histogram: latency, within: 2s, native: true}}
- {service: shop, name: within a bucket, objective: 90, window: 2d, latency: {histogram: latency, within: 3s, native: true}}
";

/// Good and all events of each objective.
fn counted(db: &Db) -> Vec<(f64, f64)> {
    db.objectives().iter().map(|status| (status.good, status.total)).collect()
}

#[test]
fn observations_up_to_a_bound_are_good_events() {
    // As they arrive, with restarts between.
    let world = World::new("", LATENCY);
    let (db, t) = fill(&world);
    let followed = counted(&db);
    let increases = (SAMPLES - 1) as f64;
    assert_eq!(followed[0], (increases, 2.0 * increases));
    // Of (2, 4] those up to 3 are, on a logarithmic scale, 58 %.
    let within = 3f64.log2() - 1.0;
    let (good, total) = followed[1];
    assert!((good - increases * (1.0 + within)).abs() < 1e-6 && total == 2.0 * increases, "{good} of {total}");
    let answer = instant(&db, "histogram_fraction(-Inf, 3, sum(increase(latency[1d])))", t);
    assert!((answer[0].1 - good / total).abs() < 1e-9, "{answer:?}");

    // From what is stored, by objectives that come later.
    let mut world = World::new("", "");
    drop(fill(&world));
    world.watch.objectives = World::new("", LATENCY).watch.objectives;
    assert_eq!(counted(&world.open()), followed);
}
