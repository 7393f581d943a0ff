//! Months of pods that come and go: what the rules know stays small, and what they decide stays the same.

use std::collections::HashMap;

use crate::model::{
    Committed, Labels, Matcher, Millis, Rejected, Sample, Seq, SeriesRef, TimeRange, Timestamp, Transition,
};
use crate::promql::{SeriesSamples, SeriesSource, SourceError, parse};

use super::node::Op;
use super::{AlertingRule, EvaluationMode, Evaluator, Rule, RuleContext, RuleGroup};

/// One expression for each operator, each with results that come and go.
const RULES: [&str; 16] = [
    "up == 0",
    "rate(requests[10m]) > 0.1",
    "predict_linear(requests[30m], 600) > 40",
    "sum by (job) (increase(requests[4h])) > 300",
    "max without (pod) (requests) > 90",
    "stddev by (zone) (requests) > 20",
    "requests > on (pod, job) limit",
    "requests * on (pod, job) group_left (team) owner > 50",
    "requests unless on (pod) owner{team=\"b\"} > 20",
    "up == 1 and on (job) requests > 95",
    "limit or owner{team=\"a\"}",
    "histogram_quantile(0.9, sum by (pod, le) (latency_bucket)) > 0.3",
    "absent(requests{zone=\"z\"})",
    "requests > scalar(max(limit))",
    "timestamp(up) % 7 == 3",
    "ceil({__name__=~\"up|limit\"}) > 50",
];

struct Nothing;

impl SeriesSource for Nothing {
    fn select(&self, _: &[Matcher], _: TimeRange, _: usize) -> Result<Vec<SeriesSamples>, SourceError> {
        Ok(Vec::new())
    }
}

fn evaluator() -> Evaluator {
    let rules = RULES.iter().enumerate().map(|(n, expr)| {
        let (hold, keep_firing) = (Millis::minutes(n as i64 % 3), Millis::minutes(n as i64 % 2 * 7));
        let labels = if n % 4 == 0 { vec![("is".to_owned(), "{{ $value }}".to_owned())] } else { Vec::new() };
        let (alert, expr) = (format!("R{n}"), parse(expr).unwrap());
        Rule::Alerting(AlertingRule { alert, expr, hold, keep_firing, labels, annotations: Vec::new() })
    });
    let group = RuleGroup {
        name: "g".to_owned(),
        file: "f".to_owned(),
        interval: Millis::minutes(1),
        mode: EvaluationMode::Ingest,
        limit: 0,
        query_offset: Millis::ZERO,
        labels: Labels::empty(),
        rules: rules.collect(),
    };
    let mut evaluator = Evaluator::new(vec![group], RuleContext::default()).unwrap();
    assert!(evaluator.groups()[0].rules.iter().all(|rule| rule.mode.as_str() == "incremental"));
    evaluator.seed(Timestamp(0), &Nothing).unwrap();
    evaluator
}

/// A number that follows from two others and looks like chance.
fn chance(a: u64, b: u64) -> u64 {
    let mixed = (a.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ b.wrapping_mul(0xc2b2_ae3d_27d4_eb4f)).wrapping_add(a);
    (mixed ^ (mixed >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9) >> 33
}

/// The samples of a pod in a round.
fn scrape(pod: u64, round: u64) -> Vec<(Labels, f64)> {
    let (name, job) = (format!("pod-{pod}"), if pod.is_multiple_of(3) { "a" } else { "b" });
    let mut all = Vec::new();
    let mut push = |metric: &str, more: &[(&str, &str)], v: u64| {
        let own = [("__name__", metric), ("pod", name.as_str()), ("job", job)];
        all.push((Labels::new(own.into_iter().chain(more.iter().copied())).unwrap(), v as f64));
    };
    let zone = ["x", "y", "z"][chance(pod, 1) as usize % 3];
    push("up", &[], u64::from(!chance(pod, round).is_multiple_of(5)));
    push("requests", &[("zone", zone)], chance(pod, round) % 100);
    push("limit", &[], 40 + chance(pod, round + 1) % 60);
    push("owner", &[("team", if pod.is_multiple_of(2) { "a" } else { "b" })], 1);
    for (le, n) in [("0.1", 3), ("0.5", 8), ("+Inf", 10)] {
        push("latency_bucket", &[("le", le)], n + chance(pod, round) % n);
    }
    all
}

/// Gives numbers to series, and takes them back.
#[derive(Default)]
struct Numbers {
    met: u64,
    known: HashMap<Labels, (SeriesRef, u64)>,
}

impl Numbers {
    fn commit(&mut self, seq: u64, at: i64, round: u64, scraped: &[(Labels, f64)]) -> Committed {
        let (mut new_series, mut samples) = (Vec::new(), Vec::new());
        for (labels, v) in scraped {
            let (number, seen) = self.known.entry(labels.clone()).or_insert_with(|| {
                self.met += 1;
                new_series.push((SeriesRef(self.met), labels.clone()));
                (SeriesRef(self.met), round)
            });
            *seen = round;
            samples.push((*number, Sample { t: Timestamp(at), v: *v }));
        }
        Committed {
            seq: Seq(seq),
            at: Timestamp(at),
            new_series,
            samples,
            histograms: vec![],
            starts: Vec::new(),
            coarsened: 0,
            rejected: Rejected::default(),
        }
    }

    /// The numbers of series that were not seen since a round.
    fn retire(&mut self, before: u64) -> Vec<SeriesRef> {
        let old: Vec<_> = self.known.values().filter(|(_, seen)| *seen < before).map(|(number, _)| *number).collect();
        self.known.retain(|_, (_, seen)| *seen >= before);
        old
    }
}

/// Everything that the graph keeps for series: slots, groups, buckets, claims and the entries of maps.
fn size(evaluator: &Evaluator) -> usize {
    let graph = &evaluator.graph;
    let feeds: usize = graph.feeds.iter().map(|feed| feed.len() as usize).sum();
    let leaves = feeds + graph.leaves.iter().map(|leaf| leaf.len() as usize).sum::<usize>();
    let nodes = graph.nodes.iter().map(|node| {
        let own = match &node.op {
            Op::Follow(follow) => follow.exact_until.len(),
            Op::Aggregate { groups, .. } => groups.size(),
            Op::Join { join, .. } => join.size(),
            Op::Quantile { buckets, .. } => buckets.size(),
            Op::Rank { ranking, .. } => ranking.size(),
            _ => 0,
        };
        node.out.len() as usize + own
    });
    leaves + nodes.sum::<usize>() + evaluator.timers.size() + evaluator.claims()
}

/// What a log entry led to, with all that is saved.
fn seen(evaluator: &Evaluator, transitions: Vec<Transition>) -> (Vec<Transition>, Option<Timestamp>, Vec<u8>) {
    (transitions, evaluator.next_deadline(), evaluator.save())
}

#[test]
fn what_is_gone_leaves_nothing_behind_and_nobody_can_tell() {
    let (mut tidy, mut whole) = (evaluator(), evaluator());
    let (mut numbers, mut all_numbers) = (Numbers::default(), Numbers::default());
    let (mut most, mut changes, mut gaps) = (0, 0, 0);
    let mut seq = 0;
    for round in 0..260 {
        // 32 days: rounds of three hours, each of two scrapes, and a tick. A pod lives for five rounds; each
        // fortieth comes back for a round after fifty.
        let alive = (0..10)
            .map(|n| (round + n / 2) / 5 * 10 + n)
            .chain((round >= 50 && round % 40 == 0).then(|| (round - 50) * 2));
        let scraped: Vec<_> = alive.flat_map(|pod| scrape(pod, round)).collect();
        let begin = (round * 3 * 3_600_000 + chance(round, 7) % 1000) as i64 + 3_600_000;
        for at in [begin, begin + 15_000] {
            seq += 1;
            let [a, b] = [&mut numbers, &mut all_numbers].map(|numbers| numbers.commit(seq, at, round, &scraped));
            let [a, b] = [(&mut tidy, a), (&mut whole, b)].map(|(evaluator, committed)| {
                let outcome = evaluator.observe(&committed, &Nothing);
                seen(evaluator, outcome.transitions)
            });
            assert_eq!(a, b, "round {round}");
            changes += a.0.len();
        }
        seq += 1;
        let at = Timestamp(begin + 400_000);
        let [a, b] = [&mut tidy, &mut whole].map(|evaluator| {
            let outcome = evaluator.tick(Seq(seq), at, &Nothing);
            seen(evaluator, outcome.transitions)
        });
        assert_eq!(a, b, "round {round}");
        // Some windows still have samples of what is retired.
        tidy.retire(&numbers.retire(round));
        let before = size(&tidy);
        tidy.tidy();
        gaps += usize::from(size(&tidy) < before);
        assert_eq!(tidy.groups(), whole.groups(), "round {round}");
        if round > 100 {
            most = most.max(size(&tidy));
        }
    }
    assert!(changes > 3000, "{changes} transitions");
    assert!(gaps > 5, "{gaps} times tidied");
    assert!(most < 12_000 && size(&whole) > 4 * most, "{most} at most, {} without", size(&whole));
}
