//! For how much of the time an objective was measured: live, over restarts, and from what is stored.

use evenkeel::codec::{checksum, put_maybe, put_varint};
use evenkeel::model::{Matcher, Millis, Timestamp};
use evenkeel::report::ObjectiveReport;
use evenkeel::slo::{Calendar, CalendarUnit, Indicator, MeasuredTime, Method, Objective, Objectives, Part};

use super::restart::replay;
use super::story::{START, Stored, Story, metric, ratio, shop};

/// Seconds that were measured, and that should have been.
fn seconds(time: MeasuredTime) -> [f64; 2] {
    [time.measured.as_seconds(), time.expected.as_seconds()]
}

/// The same of the window and of the last day, a while after the story's end.
fn covered(objectives: &Objectives, at: Timestamp) -> [[f64; 2]; 2] {
    let time = objectives.statuses(at).remove(0).time_coverage.unwrap();
    [seconds(time.window), seconds(time.day)]
}

/// An hour with a sample every 15 s, one of which is missed; ten minutes of nothing; and half an hour more.
fn interrupted() -> Story {
    let mut story = Story::new(vec![shop(0.999, ratio())]);
    story.traffic(1800, 15, 20.0, 0.0);
    story.pass(Millis::seconds(15));
    story.traffic(1785, 15, 20.0, 0.0);
    story.pass(Millis::minutes(10));
    story.traffic(1800, 15, 20.0, 0.0);
    story
}

#[test]
fn what_is_missed_is_missing_and_the_time_before_the_first_sample_is_not_expected() {
    let mut story = interrupted();
    // The first sample came after 15 s; the missed one stood for 15 s, the silence for ten minutes.
    let (expected, missing) = (3600.0 + 600.0 + 1800.0 - 15.0, 15.0 + 600.0);
    assert_eq!(covered(&story.objectives, story.now), [[expected - missing, expected]; 2]);
    // Silence counts once it is blindness: of the last interval a sample may still come.
    let after = |story: &Story, more: i64| covered(&story.objectives, story.now + Millis::seconds(more))[0];
    assert_eq!(after(&story, 44), [expected + 44.0 - missing, expected + 44.0]);
    assert_eq!(after(&story, 45), [expected - missing + 15.0, expected + 45.0]);
    assert_eq!(after(&story, 3600), [expected - missing + 15.0, expected + 3600.0]);
    // A day later it is all that the last day knows.
    story.pass(Millis::days(2));
    assert_eq!(covered(&story.objectives, story.now)[1], [15.0, 86_400.0]);
    story.pass(Millis::days(29));
    assert_eq!(covered(&story.objectives, story.now)[0], [15.0, 30.0 * 86_400.0]);
    // And back: what was missing stays so.
    story.traffic(15, 15, 20.0, 0.0);
    assert_eq!(covered(&story.objectives, story.now), [[15.0, 30.0 * 86_400.0], [15.0, 86_400.0]]);
}

#[test]
fn what_comes_late_fills_what_was_missing() {
    let mut story = Story::new(vec![shop(0.999, ratio())]);
    story.traffic(600, 15, 20.0, 0.0);
    let (ok, silent) = (metric("requests_total", &[("code", "200")]), story.now);
    story.pass(Millis::minutes(5));
    assert_eq!(covered(&story.objectives, story.now)[0], [600.0, 885.0]);
    // The sender was cut off, and sends all that it has.
    for n in 1..=20 {
        story.send(&[(ok.clone(), 12_000.0 + 300.0 * f64::from(n))], silent + Millis::seconds(15 * i64::from(n)));
    }
    assert_eq!(covered(&story.objectives, story.now)[0], [885.0, 885.0]);
}

#[test]
fn stored_samples_and_restarts_tell_the_same() {
    let story = interrupted();
    let live = covered(&story.objectives, story.now);
    story.survives_restarts(&[shop(0.999, ratio())], 31);
    let mut cold = Objectives::new(vec![shop(0.999, ratio())]).unwrap();
    cold.seed(story.now, &story.stored()).unwrap();
    assert_eq!(covered(&cold, story.now), live);
    // An objective that is changed knows on what its samples said, and what is not stored any more.
    let mut sliced = shop(0.99, ratio());
    sliced.method = Method::RatioTimeslices { width: Millis::minutes(1) };
    let mut changed = Objectives::new(vec![shop(0.999, ratio())]).unwrap();
    replay(&mut changed, &story.known, &story.log);
    changed.reload(vec![sliced]).unwrap();
    let young = Stored { since: Timestamp(START + 3_000_000), ..story.stored() };
    changed.seed(story.now, &young).unwrap();
    assert_eq!(covered(&changed, story.now), live);
}

#[test]
fn a_period_of_the_calendar_is_measured_from_its_beginning() {
    let mut objective = shop(0.999, ratio());
    objective.calendar = Some(Calendar::new(CalendarUnit::Day, 1, "UTC", None).unwrap());
    objective.window = Millis::days(1);
    let mut story = Story::new(vec![objective]);
    story.traffic(3600, 15, 20.0, 0.0);
    // 1,700,000,000 is 22:13:20 of its day: 1 h 46 min 40 s later the next one begins.
    story.pass(Millis::hours(2));
    let time = story.status().time_coverage.unwrap();
    assert_eq!(seconds(time.window), [15.0, 4400.0]);
    assert_eq!(seconds(time.day), [3600.0, 3600.0 + 7200.0 - 15.0]);
}

#[test]
fn a_composite_is_measured_while_all_its_parts_are() {
    let part = |name: &str| {
        let of = |code: Option<&str>| {
            let mut matchers = vec![Matcher::equal("__name__", name)];
            matchers.extend(code.map(|code| Matcher::equal("code", code)));
            matchers
        };
        let indicator = Indicator::Ratio { good: of(Some("200")).into(), total: of(None).into() };
        Objective::new("shop", name, 0.999, Millis::days(30), indicator)
    };
    let both = Indicator::Composite(vec![Part::new("shop", "a", 1.0), Part::new("shop", "b", 2.0)]);
    let whole = Objective::new("shop", "whole", 0.999, Millis::days(30), both);
    let mut story = Story::new(vec![part("a"), part("b"), whole]);
    let mut values = [0.0; 2];
    for n in 1..=100 {
        story.pass(Millis::seconds(10));
        // Both are there from the tenth on; a misses 20 to 29, b 25 to 34.
        let there = [!(20..30).contains(&n), n >= 10 && !(25..35).contains(&n)];
        let labels = ["a", "b"].map(|name| metric(name, &[("code", "200")]));
        for (at, name) in labels.into_iter().enumerate().filter(|(at, _)| there[*at]) {
            values[at] += 100.0;
            story.send(&[(name, values[at])], story.now);
        }
    }
    let of = |n: usize| seconds(story.objectives.statuses(story.now)[n].time_coverage.unwrap().window);
    assert_eq!((of(0), of(1)), ([890.0, 990.0], [800.0, 900.0]));
    assert_eq!(of(2), [750.0, 900.0]);
}

#[test]
fn it_is_told_as_json_and_unknown_of_groups_and_before_the_first_sample() {
    let mut grouped = shop(0.999, ratio());
    grouped.group_by = vec!["code".to_owned()];
    let mut story = Story::new(vec![grouped]);
    assert_eq!(story.status().time_coverage, None);
    story.traffic(600, 15, 20.0, 1.0);
    let json = serde_json::to_value(ObjectiveReport::new(&story.status())).unwrap();
    let all = serde_json::json!({"measured_seconds": 585.0, "expected_seconds": 585.0, "share": 1.0});
    assert_eq!(json["time_coverage"], serde_json::json!({"window": all, "day": all}));
    let groups = json["groups"]["budgets"].as_array().unwrap();
    assert!(groups.len() == 2 && groups.iter().all(|group| group["time_coverage"].is_null()), "{json}");
}

#[test]
fn a_state_of_version_6_is_read_and_knows_from_then_on() {
    let mut story = interrupted();
    let bytes = story.objectives.save();
    // What version 7 has more of one objective, behind which there are no alerts and no composites.
    let mut more = Vec::new();
    put_maybe(&mut more, Some(START + 15_000));
    put_maybe(&mut more, Some(story.now.0));
    put_varint(&mut more, 2);
    let body = bytes.len() - 4;
    let at = bytes.windows(more.len()).rposition(|part| part == more).unwrap();
    let mut old = bytes[..at].to_vec();
    old.extend([0, 0]);
    old[8..12].copy_from_slice(&6_u32.to_le_bytes());
    assert_eq!(&bytes[body - 2..body], [0, 0]);
    let sum = checksum(&[&old]);
    old.extend(sum.to_le_bytes());
    let mut restored = Objectives::new(vec![shop(0.999, ratio())]).unwrap();
    restored.restore(&old).unwrap();
    let mut expected = story.status();
    assert_eq!(restored.statuses(story.now)[0].time_coverage, None, "what was missing before is not known");
    expected.time_coverage = None;
    assert_eq!(restored.statuses(story.now)[0], expected);
    let last = story.log.len();
    story.pass(Millis::minutes(5));
    story.traffic(150, 15, 20.0, 0.0);
    replay(&mut restored, &story.known, &story.log[last..]);
    // Five minutes were missed, and then a sample came after 15 s more.
    assert_eq!(covered(&restored, story.now)[0], [150.0, 450.0]);
}
