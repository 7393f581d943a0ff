//! Any course of events: restarts change nothing, and nothing that was counted is lost.

use evenkeel::confidence::{Verdict, group_verdict, is_fine, objective_verdict};
use evenkeel::model::{Labels, Millis, Timestamp};
use evenkeel::slo::{
    Adjustment, Calendar, CalendarUnit, Indicator, Method, Objective, Objectives, Part, Schedule, Standing,
};
use proptest::prelude::*;

use super::restart::replay;
use super::story::{START, Story, apart, metric, shop};

/// One thing that happens.
#[derive(Debug, Clone)]
enum Event {
    /// Requests are counted, and how many of them were good, in one transaction.
    Both { all: u16, bad: u16 },
    /// Only all requests are heard of.
    All { all: u16 },
    /// Only the good ones are.
    Good { good: u16 },
    /// The process restarted; both counters begin anew.
    Reset { all: u16 },
    /// A transaction dated ahead.
    Ahead { all: u16, by_ms: i64 },
    /// Nothing arrives.
    Silence { seconds: i64 },
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        8 => (0u16..500, 0u16..200).prop_map(|(all, bad)| Event::Both { all, bad: bad.min(all) }),
        2 => (0u16..500).prop_map(|all| Event::All { all }),
        2 => (0u16..500).prop_map(|good| Event::Good { good }),
        1 => (0u16..50).prop_map(|all| Event::Reset { all }),
        1 => (0u16..50, 1i64..90_000).prop_map(|(all, by_ms)| Event::Ahead { all, by_ms }),
        1 => (1i64..2000).prop_map(|seconds| Event::Silence { seconds }),
    ]
}

/// What a patient clerk would have counted.
#[derive(Debug, Default)]
struct Clerk {
    all: Option<f64>,
    good: Option<f64>,
    counted: [f64; 2],
    newest: [i64; 2],
}

impl Clerk {
    /// A counter shows `v` at `t`: its increase, from the first value on.
    fn count(last: &mut Option<f64>, counted: &mut f64, newest: &mut i64, v: f64, t: i64) {
        if last.is_some() && t <= *newest {
            return;
        }
        *counted += match *last {
            None => 0.0,
            Some(last) if v < last => v,
            Some(last) => v - last,
        };
        *last = Some(v);
        *newest = t;
    }
}

fn play(events: &[(i64, Event)]) -> (Story, Clerk) {
    let mut story = Story::new(vec![shop(0.99, apart())]);
    let names: [Labels; 2] = [metric("requests_total", &[]), metric("ok_total", &[])];
    let (mut clerk, mut values) = (Clerk::default(), [1000.0, 1000.0]);
    // Both counters are met together, so that neither is born under watch.
    let begin = Event::Both { all: 0, bad: 0 };
    for (gap_ms, event) in std::iter::once(&(1000, begin)).chain(events) {
        story.pass(Millis(*gap_ms));
        let mut ahead = 0;
        let heard: &[usize] = match event {
            Event::Both { all, bad } => {
                values[0] += f64::from(*all);
                values[1] += f64::from(all - bad);
                &[0, 1]
            }
            Event::All { all } => {
                values[0] += f64::from(*all);
                &[0]
            }
            Event::Good { good } => {
                values[1] += f64::from(*good);
                &[1]
            }
            Event::Reset { all } => {
                values = [f64::from(*all); 2];
                &[0, 1]
            }
            Event::Ahead { all, by_ms } => {
                values.iter_mut().for_each(|v| *v += f64::from(*all));
                ahead = *by_ms;
                &[0, 1]
            }
            Event::Silence { seconds } => {
                story.pass(Millis::seconds(*seconds));
                &[]
            }
        };
        let t = story.now + Millis(ahead);
        let sent: Vec<_> = heard.iter().map(|n| (names[*n].clone(), values[*n])).collect();
        if sent.is_empty() {
            continue;
        }
        story.send(&sent, t);
        for n in heard {
            let last = if *n == 0 { &mut clerk.all } else { &mut clerk.good };
            Clerk::count(last, &mut clerk.counted[*n], &mut clerk.newest[*n], values[*n], t.0);
        }
    }
    (story, clerk)
}

/// Objectives of every kind over the same counters.
fn kinds() -> Vec<Objective> {
    let named = |name: &str| Objective::new("shop", name, 0.99, Millis::days(30), apart());
    let calendar = Calendar::new(CalendarUnit::Day, 1, "Asia/Kathmandu", None).unwrap();
    let nightly = Schedule::new("2023-11-14 22:20", Millis::minutes(7), "UTC", Some("FREQ=DAILY")).unwrap();
    let mut all = ["grouped", "daily", "sliced", "ratios", "maintained"].map(named);
    all[0].group_by = vec!["route".to_owned()];
    all[0].groups_max = 1;
    (all[1].window, all[1].calendar) = (calendar.length(), Some(calendar));
    all[2].method = Method::Timeslices { width: Millis::minutes(1), target: 0.9 };
    all[3].method = Method::RatioTimeslices { width: Millis::seconds(30) };
    all[4].adjustments = vec![Adjustment { name: "n".to_owned(), schedule: nightly }];
    let parts = ["grouped", "sliced"].map(|name| Part::new("shop", name, 1.0));
    let composite = Indicator::Composite(parts.to_vec());
    let whole = Objective::new("shop", "whole", 0.99, Millis::days(30), composite);
    all.into_iter().chain([whole]).collect()
}

/// What is said of objectives in a few numbers is what their statuses say, and whoever is fine by it is fine.
fn assert_standings(story: &Story) {
    let (started_at, statuses) = (Timestamp(START), story.objectives.statuses(story.now));
    let standings: Vec<Standing<'_>> = story.objectives.standings(story.now).collect();
    assert_eq!(standings.len(), statuses.len());
    for (standing, status) in standings.iter().zip(&statuses) {
        let groups = || status.groups.iter().flat_map(|groups| &groups.budgets);
        let expected = Standing {
            service: &status.service,
            name: &status.name,
            fires: !status.alerts.is_empty() || groups().any(|group| !group.alerts.is_empty()),
            blind: status.blind.is_some(),
            last_input: status.last_input,
            total: status.total,
            left: status.budget.left,
            left_of_groups: groups().map(|group| group.budget.left).fold(1.0, f64::min),
            time_coverage: status.time_coverage,
        };
        assert_eq!(*standing, expected);
        let word =
            groups().fold(objective_verdict(status, started_at), |word, group| word.or_worse(group_verdict(group)));
        assert!(word == Verdict::Ok || !is_fine(standing, started_at), "{word:?}: {standing:?}");
    }
    let unwell = story.objectives.statuses_of(story.now, &mut |standing| !is_fine(standing, started_at));
    let expected: Vec<_> = statuses.into_iter().zip(standings).filter(|(_, one)| !is_fine(one, started_at)).collect();
    assert!(unwell.iter().eq(expected.iter().map(|(status, _)| status)), "other statuses");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 16, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_restart_anywhere_changes_no_kind_of_objective(
        events in prop::collection::vec((1i64..40_000, event(), 0usize..3), 1..100),
        cut in 0.0..1.0f64,
    ) {
        let mut story = Story::new(kinds());
        let mut values = [[1000.0; 2]; 3];
        for (gap_ms, event, route) in &events {
            story.pass(Millis(*gap_ms));
            let (all, bad) = match event {
                Event::Both { all, bad } => (*all, *bad),
                Event::All { all } | Event::Reset { all } | Event::Ahead { all, .. } => (*all, 0),
                Event::Good { .. } => continue,
                Event::Silence { seconds } => {
                    story.pass(Millis::seconds(*seconds));
                    continue;
                }
            };
            if let Event::Reset { .. } = event {
                values[*route] = [0.0; 2];
            }
            values[*route][0] += f64::from(all);
            values[*route][1] += f64::from(all - bad);
            let name = ["a", "b", "c"][*route];
            let labels = |metric_name: &str| metric(metric_name, &[("route", name)]);
            let ahead = if let Event::Ahead { by_ms, .. } = event { *by_ms } else { 0 };
            let sent = [(labels("requests_total"), values[*route][0]), (labels("ok_total"), values[*route][1])];
            story.send(&sent, story.now + Millis(ahead));
            assert_standings(&story);
        }
        let fresh = || Objectives::new(kinds()).unwrap();
        let cut = (story.log.len() as f64 * cut) as usize;
        let mut first = fresh();
        let mut transitions = replay(&mut first, &story.known, &story.log[..cut]);
        let mut second = fresh();
        second.restore(&first.save()).unwrap();
        prop_assert_eq!(second.next_deadline(), first.next_deadline());
        transitions.extend(replay(&mut second, &story.known, &story.log[cut..]));
        prop_assert_eq!(&transitions, &story.transitions);
        prop_assert!(second.statuses(story.now) == story.objectives.statuses(story.now), "statuses differ");
        prop_assert!(second.save() == story.objectives.save(), "states differ");
        // When all patience is over, the total of all groups is that of the counters, whoever has a budget.
        story.pass(Millis::minutes(5));
        let statuses = story.objectives.statuses(story.now);
        let groups = statuses[0].groups.as_ref().unwrap();
        let with: f64 = groups.budgets.iter().map(|group| group.total).sum();
        prop_assert!((with + groups.total_without - statuses[0].total).abs() < 1e-6, "{groups:?}");
        for status in &statuses {
            prop_assert!(status.good >= 0.0 && status.good <= status.total, "{status:?}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_restart_anywhere_and_a_clerk_agree(
        events in prop::collection::vec((1i64..40_000, event()), 1..120),
        cut in 0.0..1.0f64,
    ) {
        let (mut story, clerk) = play(&events);
        let fresh = || Objectives::new(vec![shop(0.99, apart())]).unwrap();
        let cut = (story.log.len() as f64 * cut) as usize;
        let mut first = fresh();
        let mut transitions = replay(&mut first, &story.known, &story.log[..cut]);
        let bytes = first.save();
        let mut second = fresh();
        second.restore(&bytes).unwrap();
        prop_assert_eq!(second.next_deadline(), first.next_deadline());
        transitions.extend(replay(&mut second, &story.known, &story.log[cut..]));
        prop_assert_eq!(&transitions, &story.transitions);
        prop_assert_eq!(second.statuses(story.now), story.objectives.statuses(story.now));
        prop_assert_eq!(second.save(), story.objectives.save());

        // When all patience is over, everything has been counted once.
        story.pass(Millis::minutes(5));
        let status = story.status();
        let bad = (clerk.counted[0] - clerk.counted[1]).clamp(0.0, clerk.counted[0]);
        prop_assert_eq!((status.total, status.total - status.good), (clerk.counted[0], bad));
        // Every alert that fired was told once, and every one that stopped had fired.
        let mut firing = std::collections::BTreeSet::new();
        for transition in &story.transitions {
            let changed = match transition.kind {
                evenkeel::model::TransitionKind::Firing => firing.insert(transition.alert.labels.clone()),
                _ => firing.remove(&transition.alert.labels),
            };
            prop_assert!(changed, "{:?}", transition);
        }
    }
}
