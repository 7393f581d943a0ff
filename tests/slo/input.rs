//! Input that stops, comes back, or never came.

use evenkeel::model::{Matcher, Millis, TransitionKind};
use evenkeel::slo::{BlindCause, Comparison, Indicator, Objective};

use super::story::{Story, metric, ratio, shop};

fn cause(story: &Story) -> Option<BlindCause> {
    story.status().blind.map(|blind| blind.cause)
}

#[test]
fn blind_until_proven_and_again_when_input_stops() {
    let mut story = Story::new(vec![shop(0.999, ratio())]);
    let blind = story.status().blind.unwrap();
    assert_eq!(blind.cause, BlindCause::NoSeries);
    assert_eq!(blind.reason, "no series match requests_total and requests_total{code=\"200\"}");
    story.traffic(15, 15, 10.0, 0.0);
    assert_eq!(cause(&story), Some(BlindCause::NotProven));
    story.traffic(15, 15, 10.0, 0.0);
    assert_eq!(cause(&story), None);
    story.traffic(300, 15, 10.0, 0.0);
    let last = story.now;
    story.pass(Millis::seconds(44));
    assert_eq!(cause(&story), None);
    story.pass(Millis::seconds(8));
    let blind = story.status().blind.unwrap();
    assert_eq!((blind.cause, blind.since), (BlindCause::InputStopped, last));
    assert_eq!(blind.reason, "input stopped: last sample 52s ago, expected every 15s");
    story.traffic(15, 15, 10.0, 0.0);
    assert_eq!(cause(&story), None);
}

#[test]
fn who_catches_up_is_not_taken_for_one_that_sends_a_thousand_times_a_second() {
    let mut story = Story::new(vec![shop(0.999, ratio())]);
    // Five minutes of samples that waited somewhere come within 20 ms.
    let first = story.now - Millis::minutes(5);
    for n in 0..20 {
        story.pass(Millis(1));
        story
            .send(&[(metric("requests_total", &[("code", "200")]), n as f64 * 100.0)], first + Millis::seconds(15 * n));
    }
    story.pass(Millis::seconds(40));
    assert_eq!(cause(&story), None);
    assert_eq!(story.status().interval, Some(Millis::seconds(15)));
    story.pass(Millis::seconds(6));
    assert_eq!(cause(&story), Some(BlindCause::InputStopped));
}

#[test]
fn blindness_ends_no_alert_and_what_comes_after_does() {
    let mut story = Story::new(vec![shop(0.999, ratio())]);
    story.traffic(3600, 15, 10.0, 0.0);
    story.traffic(300, 15, 10.0, 50.0);
    assert!(!story.objectives.alerts().is_empty());
    let silent = story.now;
    story.pass(Millis::minutes(20));
    assert!(story.after(silent, TransitionKind::Resolved, "1h").is_none());
    assert_eq!(cause(&story), Some(BlindCause::InputStopped));
    let back = story.now;
    story.traffic(60, 15, 10.0, 0.0);
    assert!(story.after(back, TransitionKind::Resolved, "1h").unwrap() <= 15.0);
}

#[test]
fn a_gauge_counts_an_event_a_sample() {
    let gauge = vec![Matcher::equal("__name__", "up")];
    let up = Indicator::Threshold { gauge, op: Comparison::Equal, bound: 1.0 };
    let mut story = Story::new(vec![Objective::new("host", "up", 0.99, Millis::days(30), up)]);
    let send = |story: &mut Story, v: f64| {
        story.pass(Millis::seconds(15));
        story.send(&[(metric("up", &[]), v)], story.now);
    };
    (0..240).for_each(|_| send(&mut story, 1.0));
    assert_eq!((story.status().good, story.status().total), (240.0, 240.0));
    send(&mut story, f64::NAN);
    assert_eq!(story.status().total, 240.0);
    let from = story.now;
    (0..60).for_each(|_| send(&mut story, 0.0));
    assert_eq!(story.status().good, 240.0);
    // 14.4 % of 240 samples are 35; the evidence asks for a dozen more.
    let seconds = story.after(from, TransitionKind::Firing, "1h").unwrap();
    assert!((35.0 * 15.0..=50.0 * 15.0).contains(&seconds), "{seconds}");
}

#[test]
fn samples_of_the_future_count_when_their_time_comes() {
    let mut story = Story::new(vec![shop(0.999, ratio())]);
    story.traffic(60, 5, 10.0, 0.0);
    let before = story.status().total;
    let ahead = story.now + Millis::seconds(30);
    story.send(
        &[(metric("requests_total", &[("code", "200")]), 1000.0), (metric("requests_total", &[("code", "500")]), 0.0)],
        ahead,
    );
    assert_eq!(story.status().total, before);
    story.pass(Millis::seconds(29));
    assert_eq!(story.status().total, before);
    story.pass(Millis::seconds(1));
    assert_eq!(story.status().total, before + 400.0);
}

/// A class in one line.
fn of_class(class: &str) -> Story {
    let text = format!("slo: {{service: pay, class: {class}}}\n");
    Story::new(evenkeel::config::parse_objectives("slo.yml", &text).unwrap())
}

#[test]
fn requests_that_do_not_say_how_they_ended_are_no_successes() {
    let send = |labels: &[(&str, &str)]| {
        let mut story = of_class("LOW");
        for _ in 0..10 {
            story.pass(Millis::seconds(15));
            story.count(&[(metric("http_requests_total", labels), 50.0)]);
        }
        story
    };
    let story = send(&[("job", "pay")]);
    let blind = story.status().blind.unwrap();
    let expected = "no series match http_requests_total{job=\"pay\",code!=\"\"} and http_requests_total{job=\"pay\",code=~\"5..\"}";
    assert_eq!((blind.cause, blind.reason.as_str()), (BlindCause::NoSeries, expected));
    assert_eq!(cause(&send(&[("job", "pay"), ("code", "200")])), None);
    assert_eq!(cause(&send(&[("job", "search"), ("code", "200")])), Some(BlindCause::NoSeries));
}

#[test]
fn a_histogram_without_the_bucket_that_is_promised_is_blind_and_not_slow() {
    let mut story = of_class("HIGH_FAST");
    let histogram = |ending: &str, le: &str| {
        let le = if le.is_empty() { vec![("job", "pay")] } else { vec![("job", "pay"), ("le", le)] };
        metric(&format!("http_request_duration_seconds_{ending}"), &le)
    };
    let scrape = |story: &mut Story, buckets: &[&str]| {
        let mut counted = vec![(histogram("count", ""), 100.0)];
        counted.extend(buckets.iter().map(|le| (histogram("bucket", le), 99.5)));
        for _ in 0..40 {
            story.pass(Millis::seconds(15));
            story.count(&counted);
        }
    };
    scrape(&mut story, &["0.1", "0.25"]);
    let [_, most, all] = &story.objectives.statuses(story.now)[..] else { panic!("three objectives") };
    assert!(most.blind.is_none() && most.total > 3000.0, "{most:?}");
    let blind = all.blind.clone().unwrap();
    let expected = "no series match http_request_duration_seconds_bucket{job=\"pay\",le=\"0.2\"}: the histogram has no such \
                    bucket; add it, or promise another time";
    assert_eq!((blind.cause, blind.reason.as_str(), all.total), (BlindCause::NoSeries, expected, 0.0));
    assert!(story.objectives.alerts().is_empty());
    // Once it is there it counts, from then on.
    scrape(&mut story, &["0.1", "0.2", "0.25"]);
    let all = &story.objectives.statuses(story.now)[2];
    assert!(all.blind.is_none() && all.total > 3000.0 && all.good / all.total > 0.99, "{all:?}");
    assert!(story.objectives.alerts().is_empty());
}
