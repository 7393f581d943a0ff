//! Random rules over random series: at every instant the alerts must be what a query answers, and
//! a restart at any place must change nothing.

use std::collections::BTreeMap;
use std::sync::Arc;

use evenkeel::env::Rng;
use evenkeel::model::{Histogram, HistogramCounts, Labels, Millis, ResetHint, STALE_NAN, Span, Timestamp};
use evenkeel::promql::{EvalOptions, Query, Value};
use evenkeel::rules::{AlertingRule, Evaluator, Health, Mode, Rule, RuleContext};

use super::stream::{Point, Stream, alert, group, labels};

const RULES: usize = 14;
const STEPS: usize = 160;

/// Writes expressions by a small grammar.
struct Grammar {
    rng: Rng,
}

impl Grammar {
    fn pick<'a>(&mut self, choices: &[&'a str]) -> &'a str {
        choices[self.rng.below(choices.len() as u64) as usize]
    }

    fn selector(&mut self) -> String {
        let metric = self.pick(&["c", "d", "g", "h"]);
        let matchers = self.pick(&["", "", "{job=\"a\"}", "{i=~\"1|2\"}", "{i!=\"1\",job=\"b\"}", "{job=\"none\"}"]);
        format!("{metric}{matchers}")
    }

    fn offset(&mut self) -> &'static str {
        self.pick(&["", "", "", " offset 7s", " offset 1m"])
    }

    fn window(&mut self) -> String {
        let function = self.pick(&[
            "rate",
            "rate",
            "increase",
            "delta",
            "irate",
            "idelta",
            "deriv",
            "changes",
            "resets",
            "sum_over_time",
            "avg_over_time",
            "min_over_time",
            "max_over_time",
            "count_over_time",
            "stddev_over_time",
            "last_over_time",
            "present_over_time",
            "quantile_over_time",
            "predict_linear",
        ]);
        let (selector, range, offset) = (self.selector(), self.pick(&["31s", "1m", "2m", "5m"]), self.offset());
        match function {
            "quantile_over_time" => format!("quantile_over_time(0.7, {selector}[{range}]{offset})"),
            "predict_linear" => format!("predict_linear({selector}[{range}]{offset}, 90)"),
            _ => format!("{function}({selector}[{range}]{offset})"),
        }
    }

    fn scalar(&mut self) -> String {
        match self.rng.below(6) {
            0 => "time()".to_owned(),
            1 => format!("scalar({}{})", self.selector(), self.offset()),
            2 => "pi()".to_owned(),
            _ => self.pick(&["0", "1", "2.5", "10", "-1"]).to_owned(),
        }
    }

    fn matching(&mut self) -> &'static str {
        self.pick(&[
            "",
            "on (job, i)",
            "on (job)",
            "ignoring (i)",
            "on (job) group_left ()",
            "on (i) group_right (job)",
        ])
    }

    fn vector(&mut self, depth: u32) -> String {
        if depth == 0 {
            return match self.rng.below(3) {
                0 => format!("{}{}", self.selector(), self.offset()),
                _ => self.window(),
            };
        }
        let depth = depth - 1;
        match self.rng.below(11) {
            0 | 1 => {
                let op = self.pick(&["sum", "avg", "min", "max", "count", "group", "stddev", "stdvar"]);
                let by = self.pick(&["", "by (job) ", "by (i) ", "without (i) "]);
                format!("{op} {by}({})", self.vector(depth))
            }
            2 => {
                let op = self.pick(&["+", "-", "*", "/", "^", "%", ">", "<=", "== bool", "!="]);
                format!("({}) {op} {}", self.vector(depth), self.scalar())
            }
            3 => {
                let op = self.pick(&["-", "*", "<", ">= bool"]);
                format!("{} {op} ({})", self.scalar(), self.vector(depth))
            }
            4 | 5 => {
                let (op, matching) = (self.pick(&["+", "/", "-", ">", "<", "== bool"]), self.matching());
                format!("({}) {op} {matching} ({})", self.vector(depth), self.vector(depth))
            }
            6 => {
                let (op, on) = (self.pick(&["and", "or", "unless"]), self.pick(&["", "on (job)", "ignoring (i)"]));
                format!("({}) {op} {on} ({})", self.vector(depth), self.vector(depth))
            }
            7 => {
                let function = self.pick(&["abs", "ceil", "sgn", "sqrt", "round", "-", "sort"]);
                format!("{function}({})", self.vector(depth))
            }
            8 => format!("clamp({}, {}, {})", self.vector(depth), self.scalar(), self.scalar()),
            9 => match self.rng.below(3) {
                0 => format!("absent({})", self.vector(depth)),
                1 => format!("absent_over_time({}[1m])", self.selector()),
                _ => format!("timestamp({})", self.selector()),
            },
            _ => match self.rng.below(2) {
                0 => {
                    format!("histogram_quantile(0.9, sum by (job, le) (rate(b_bucket[{}])))", self.pick(&["1m", "5m"]))
                }
                _ => "histogram_quantile(0.5, b_bucket)".to_owned(),
            },
        }
    }
}

/// Makes samples with jitter, gaps, resets, staleness, NaN, and series that come and go.
struct World {
    rng: Rng,
    values: BTreeMap<Labels, f64>,
    asleep_until: [i64; 4],
    /// Whether a series may have native histograms, and of each target until when it has.
    histograms: Histograms,
    histograms_until: [i64; 4],
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Histograms {
    Never,
    Sometimes,
}

impl World {
    fn targets() -> [(&'static str, &'static str); 4] {
        [("a", "1"), ("a", "2"), ("b", "1"), ("b", "3")]
    }

    fn transaction(&mut self, at: i64) -> Vec<(Labels, i64, Point)> {
        let target = self.rng.below(4) as usize;
        if self.asleep_until[target] > at {
            return Vec::new();
        }
        if self.rng.below(25) == 0 {
            self.asleep_until[target] = at + 1000 * self.rng.below(500) as i64;
        }
        if self.histograms == Histograms::Sometimes && self.rng.below(40) == 0 {
            self.histograms_until[target] = at + 1000 * self.rng.below(60) as i64;
        }
        let (job, i) = World::targets()[target];
        let jitter = self.rng.below(1500) as i64;
        let t = if self.rng.below(12) == 0 { at + 2 * jitter } else { at - jitter };
        let mut samples = Vec::new();
        for metric in ["c", "d", "g", "h"] {
            if self.rng.below(10) == 0 {
                continue;
            }
            let series = labels(&[("__name__", metric), ("job", job), ("i", i)]);
            let is_histogram = ["c", "h"].contains(&metric) && self.histograms_until[target] > at;
            let point = if is_histogram && self.rng.below(6) > 0 {
                Point::Histogram(self.histogram())
            } else {
                Point::Number(self.value(metric, series.clone()))
            };
            samples.push((series, t, point));
        }
        for (le, share) in [("0.1", 0.3), ("1", 0.8), ("+Inf", 1.0)] {
            let series = labels(&[("__name__", "b_bucket"), ("job", job), ("i", i), ("le", le)]);
            let total = self.values.entry(series.clone()).or_insert(0.0);
            *total += (self.rng.below(20) as f64) * share;
            samples.push((series, t, Point::Number(*total)));
        }
        samples
    }

    /// One that is none, or of a few buckets.
    fn histogram(&mut self) -> Arc<Histogram> {
        let positive: Vec<u64> = (0..2).map(|_| self.rng.below(5)).collect();
        let zero = self.rng.below(3);
        let is_stale = self.rng.below(8) == 0;
        Arc::new(Histogram {
            reset_hint: ResetHint::Unknown,
            schema: self.rng.below(3) as i32,
            zero_threshold: 0.001,
            sum: if is_stale { f64::from_bits(STALE_NAN) } else { self.rng.normal() },
            positive_spans: vec![Span { offset: self.rng.below(4) as i32, length: 2 }],
            negative_spans: vec![],
            bounds: vec![],
            counts: HistogramCounts::Integer {
                count: zero + positive.iter().sum::<u64>(),
                zero,
                positive,
                negative: vec![],
            },
        })
    }

    fn value(&mut self, metric: &str, series: Labels) -> f64 {
        if self.rng.below(30) == 0 {
            return f64::from_bits(STALE_NAN);
        }
        let value = self.values.entry(series).or_insert(0.0);
        match metric {
            "c" if self.rng.below(20) == 0 => *value = 0.0,
            "c" => *value += self.rng.below(10) as f64,
            "d" => *value += 0.1 + self.rng.unit(),
            "g" if self.rng.below(25) == 0 => return [f64::NAN, f64::INFINITY, 1e300][self.rng.below(3) as usize],
            "g" => *value = self.rng.normal() * 10.0,
            _ => *value = self.rng.below(3) as f64,
        }
        *value
    }
}

/// The alerts that a query asks for; nothing where it has no result.
fn expected(query: &Query, name: &str, stream: &Stream, at: i64) -> Option<BTreeMap<Labels, u64>> {
    let answer = query.instant(stream, Timestamp(at), &EvalOptions::default()).ok()?;
    let Value::Vector(elements) = answer.value else { panic!("not a vector") };
    let count = elements.len();
    let alerts: BTreeMap<Labels, u64> = elements
        .into_iter()
        .map(|e| {
            // As in Prometheus, an alert on a native histogram has the value 0.
            let v = e.number().unwrap_or(0.0);
            (e.labels.without_metric_name().builder().set("alertname", name).build().unwrap(), v.to_bits())
        })
        .collect();
    (alerts.len() == count).then_some(alerts)
}

/// Which rules are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Look {
    AtAll,
    /// Those that are evaluated at the interval.
    AtOthers,
}

/// Compares rules that are followed with what a query answers now, and others if they were evaluated just now.
/// Gives how many of the others there were.
fn compare(rules: &Evaluator, queries: &[(String, Query)], stream: &Stream, at: i64, look: Look, what: &str) -> usize {
    let group = &rules.groups()[0];
    let mut others = 0;
    for (status, (name, query)) in group.rules.iter().zip(queries) {
        if let Mode::Interval { reason } = &status.mode {
            assert!(reason.contains("selects native histograms now"), "{reason}");
            if status.last_evaluation.0 != at {
                continue;
            }
            others += 1;
        } else if look == Look::AtOthers {
            continue;
        }
        let context = || format!("{what}, at {at}: {}", status.expr);
        match expected(query, name, stream, at) {
            Some(expected) => {
                assert!(!matches!(status.health, Health::Err(_)), "{}: {:?}", context(), status.health);
                let got: BTreeMap<Labels, u64> =
                    status.alerts.iter().map(|alert| (alert.labels.clone(), alert.value.to_bits())).collect();
                let nan = |bits: &u64| f64::from_bits(*bits).is_nan();
                let same = got.len() == expected.len()
                    && got.iter().all(|(l, v)| expected.get(l).is_some_and(|e| e == v || (nan(e) && nan(v))));
                assert!(same, "{}\n got {got:?}\nwant {expected:?}", context());
            }
            None => assert!(matches!(status.health, Health::Err(_)), "{}: should be in error", context()),
        }
    }
    others
}

struct Run {
    seed: u64,
    queries: Vec<(String, Query)>,
    texts: Vec<String>,
}

impl Run {
    fn new(seed: u64) -> Run {
        let mut grammar = Grammar { rng: Rng::new(seed) };
        let texts: Vec<String> = (0..RULES).map(|n| grammar.vector(n as u32 % 4)).collect();
        let name = |n| format!("R{n}");
        let queries = texts.iter().enumerate().map(|(n, text)| (name(n), Query::new(text).unwrap())).collect();
        Run { seed, queries, texts }
    }

    fn evaluator(&self) -> Evaluator {
        let holds = [0, 0, 20_300, 60_000];
        let rules = self.texts.iter().zip(&self.queries).enumerate().map(|(n, (text, (name, _)))| {
            Rule::Alerting(AlertingRule { hold: Millis(holds[n % holds.len()]), ..alert(name, text) })
        });
        let evaluator = Evaluator::new(vec![group(rules.collect())], RuleContext::default()).unwrap();
        assert!(evaluator.groups()[0].rules.iter().all(|rule| rule.mode == Mode::Incremental));
        evaluator
    }

    /// Runs with a twin that is restarted now and then. Gives how often a rule came to be evaluated at the
    /// interval, ceased to be, and how often such a rule was compared.
    fn run(&self, histograms: Histograms) -> [usize; 3] {
        let mut rng = Rng::new(self.seed ^ 0xabc);
        let mut world = World {
            rng: Rng::new(self.seed ^ 0xdef),
            values: BTreeMap::new(),
            asleep_until: [0; 4],
            histograms,
            histograms_until: [0; 4],
        };
        let (mut stream, mut twin_stream) = (Stream::default(), Stream::default());
        let (mut rules, mut twin) = (self.evaluator(), self.evaluator());
        let mut at = 1_000_000;
        rules.seed(Timestamp(at), &stream).unwrap();
        twin.seed(Timestamp(at), &twin_stream).unwrap();
        let what = format!("seed {}", self.seed);
        let (mut modes, mut turns) = (vec![false; RULES], [0; 3]);
        for step in 0..STEPS {
            at += 1000 * (1 + rng.below(if step % 40 == 39 { 59 } else { 15 }) as i64);
            while let Some(due) = rules.next_deadline().filter(|due| due.0 < at) {
                let (outcome, twins) =
                    (rules.tick(stream.tick(), due, &stream), twin.tick(twin_stream.tick(), due, &twin_stream));
                assert_eq!(format!("{outcome:?}"), format!("{twins:?}"), "{what}, tick at {due}");
                turns[2] += compare(&rules, &self.queries, &stream, due.0, Look::AtOthers, &what);
            }
            let points = world.transaction(at);
            let (committed, twins) = (stream.commit_points(at, &points), twin_stream.commit_points(at, &points));
            let (outcome, twins) = (rules.observe(&committed, &stream), twin.observe(&twins, &twin_stream));
            assert_eq!(format!("{outcome:?}"), format!("{twins:?}"), "{what}, step {step} at {at}");
            turns[2] += compare(&rules, &self.queries, &stream, at, Look::AtAll, &what);
            for (was, rule) in modes.iter_mut().zip(&rules.groups()[0].rules) {
                let is = rule.mode != Mode::Incremental;
                turns[usize::from(!is)] += usize::from(is != *was);
                *was = is;
            }
            if rng.below(6) == 0 {
                let bytes = twin.save();
                twin = self.evaluator();
                twin_stream.reopen();
                twin.restore(&bytes).unwrap();
                twin.seed(Timestamp(at), &twin_stream).unwrap();
            }
        }
        assert_eq!(format!("{:?}", rules.alerts()), format!("{:?}", twin.alerts()));
        turns
    }
}

#[test]
fn alerts_are_what_a_query_answers_and_a_restart_changes_nothing() {
    for seed in 1..=8 {
        assert_eq!(Run::new(seed).run(Histograms::Never), [0; 3]);
    }
}

#[test]
fn native_histograms_come_and_go_and_a_restart_changes_nothing() {
    let mut all = [0; 3];
    for seed in 101..=108 {
        let turns = Run::new(seed).run(Histograms::Sometimes);
        all.iter_mut().zip(turns).for_each(|(all, n)| *all += n);
    }
    assert!(all.iter().all(|n| *n > 40), "{all:?} turns to the interval, turns back, comparisons");
}
