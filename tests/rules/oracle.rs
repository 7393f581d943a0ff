//! Random rules over random series: at every instant the alerts must be what a query answers, and a restart or a
//! reload at any place must change nothing. `tools/rule_oracle` does the same at length.

use super::scenario::{Counts, Scenario};
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
