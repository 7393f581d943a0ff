//! Random rules over random series: at every instant the alerts must be what a query answers, and a restart or a
//! reload at any place must change nothing. `tools/rule_oracle` does the same at length.

use evenkeel::model::Millis;

use super::scenario::{Counts, Event, Scenario};
use super::stream::{Point, labels};
use super::world::Histograms;

fn run(seeds: std::ops::RangeInclusive<u64>, histograms: Histograms) -> Counts {
    let mut all = Counts::default();
    for seed in seeds {
        let scenario = Scenario::new(seed, 14, 110, histograms);
        match scenario.play() {
            Ok(counts) => all.add(counts),
            Err(_) => {
                let small = scenario.shrink();
                let error = small.play().err().unwrap_or_default();
                panic!("seed {seed}: {error}\n{}", small.script());
            }
        }
    }
    all
}

#[test]
fn alerts_are_what_a_query_answers_and_restarts_change_nothing() {
    let counts = run(1..=4, Histograms::Never);
    assert!(counts.comparisons > 5_000 && counts.restarts > 10 && counts.reloads > 10, "{counts:?}");
    assert_eq!((counts.polled, counts.turns), (0, [0; 2]));
}

#[test]
fn native_histograms_come_and_go_and_restarts_change_nothing() {
    let counts = run(101..=104, Histograms::Sometimes);
    assert!(counts.turns.iter().all(|n| *n > 15) && counts.polled > 40, "{counts:?}");
}

/// Plays one rule over samples `(when it comes, metric, its time, its value)`, with events between them. A metric may name
/// its instance: `h/4`.
fn check(rule: &str, hold: i64, samples: &[(i64, &str, i64, f64)], others: &[(i64, Event)]) {
    let commit = |(at, metric, t, v): &(i64, &str, i64, f64)| {
        let (metric, instance) = metric.split_once('/').unwrap_or((metric, "1"));
        let series = labels(&[("__name__", metric), ("job", "a"), ("i", instance)]);
        (*at, Event::Commit(vec![(series, *t, Point::Number(*v))]))
    };
    let mut events: Vec<(i64, Event)> = samples.iter().map(commit).chain(others.iter().cloned()).collect();
    events.sort_by_key(|(at, _)| *at);
    let scenario = Scenario { rules: vec![(rule.to_owned(), Millis(hold))], query_offset: Millis::ZERO, events };
    scenario.play().unwrap_or_else(|error| panic!("{error}\n{}", scenario.script()));
}

#[test]
fn a_value_that_is_only_compared_ceases_to_be_infinite() {
    let samples = [
        (1_704_000, "g", 1_702_660, f64::INFINITY),
        (1_730_000, "g", 1_729_392, -1.0),
        (1_730_000, "h", 1_729_392, 0.0),
    ];
    check("sum(h) < 3 and max(avg_over_time(g[31s])) < 3", 0, &samples, &[(1_739_000, Event::Compare)]);
    check("avg_over_time(g[31s]) < 3", 0, &samples, &[(1_739_000, Event::Compare)]);
}

#[test]
fn a_restart_does_not_move_decisions_on_values_that_move() {
    let samples = [
        (1_337_000, "k", 1_336_398, 283.99),
        (1_342_000, "k", 1_341_583, 317.57),
        (1_536_000, "k", 1_535_699, 411.05),
        (1_540_000, "k", 1_539_509, 443.14),
        (1_567_000, "k", 1_566_000, 475.0),
    ];
    for threshold in ["> 0.98", "> 1.05", "!= 1", "< 1.2"] {
        for event in [Event::Reload, Event::Restart] {
            let others = [(1_495_000, event.clone()), (1_538_000, event.clone()), (1_551_000, Event::Compare)];
            let others = [&others[..], &[(1_553_000, event), (1_602_000, Event::Compare)]].concat();
            check(&format!("rate(k[1m]) {threshold}"), 20_300, &samples, &others);
        }
    }
}

#[test]
fn a_restart_does_not_move_the_value_that_an_end_tells() {
    let samples = [
        (2_118_000, "h", 2_116_968, 1.0),
        (2_120_000, "h", 2_118_917, 2.0),
        (2_637_000, "c/4", 2_636_638, 122.0),
        (2_637_000, "h/4", 2_636_638, 1.0),
        (2_669_000, "c/4", 2_668_834, 126.0),
        (2_669_000, "h/4", 2_668_834, 2.0),
        (2_679_000, "h", 2_678_863, 1.0),
        (2_682_000, "h", 2_681_904, 0.0),
        (2_696_000, "h/4", 2_695_000, 2.0),
    ];
    let rule = "(sum by (job) (delta(h[1m])) >= 0.05) and max by (job) (delta(c[1m] offset 7s)) >= 0.05";
    check(rule, 0, &samples, &[(2_659_000, Event::Restart)]);
}

#[test]
fn a_sum_of_parts_that_move_is_exact_for_its_instant() {
    let samples = [
        (1_788_000, "l/1", 1_786_658, 10.002717777284778),
        (1_788_674, "l/3", 1_787_179, 9.382888557620282),
        (1_811_000, "l/3", 1_810_441, 9.963487482558376),
        (1_824_000, "l/1", 1_816_440, 9.649046586824626),
        (1_824_000, "l/1", 1_823_267, 9.809173674055446),
    ];
    let rule = "sum by (job) (predict_linear(l[1m], 90)) / sum by (job) (rate(l{i!=\"1\",job=\"a\"}[1m])) != 1";
    check(rule, 0, &samples, &[(1_824_000, Event::Compare)]);
}

/// The sum falls below zero while each of its parts is known well enough, and the ratio stays as infinite as it was.
#[test]
fn a_ratio_to_nothing_changes_its_sign() {
    let samples = [
        (1_776_000, "k/1", 1_774_627, 831.125531470691),
        (1_814_000, "k/2", 1_812_676, 677.8745005691942),
        (1_829_000, "k/1", 1_828_564, 927.9295073792161),
        (1_836_000, "k/2", 1_834_734, 711.2392119349134),
        (1_836_000, "k/2", 1_832_680, 742.840905736185),
        (1_836_649, "k/1", 1_835_755, 960.4273855862592),
    ];
    let rule = "sum by (job) (delta(k[31s] offset 7s)) / sum by (job) (resets(k{i=\"1\"}[31s] offset 1m)) < 12";
    check(rule, 0, &samples, &[(1_864_000, Event::Compare)]);
}
