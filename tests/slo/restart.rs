//! A restart continues exactly where the log stands.

use std::sync::Mutex;

use evenkeel::model::{
    Committed, Labels, Matcher, Millis, Seq, SeriesRef, TimeRange, Timestamp, Transition, TransitionKind,
};
use evenkeel::promql::{SeriesSamples, SeriesSource, SourceError};
use evenkeel::slo::{Objectives, RestoreError};

use super::story::{Entry, Story, metric, ratio, shop};

fn incident() -> Story {
    let mut story = Story::new(vec![shop(0.999, ratio())]);
    story.traffic(1800, 15, 20.0, 0.0);
    story.traffic(600, 15, 20.0, 15.0);
    story.traffic(900, 15, 20.0, 0.0);
    story.pass(Millis::minutes(10));
    story.traffic(300, 15, 20.0, 2.0);
    story
}

/// Feeds a log as a store that was opened anew gives it: other numbers, every series new once.
pub(super) fn replay(objectives: &mut Objectives, known: &[Labels], log: &[Entry]) -> Vec<Transition> {
    let mut met: Vec<SeriesRef> = Vec::new();
    let mut out = Vec::new();
    for entry in log {
        match entry {
            Entry::Tick(seq, at) => out.extend(objectives.tick(*seq, *at)),
            Entry::Transaction(committed) => {
                let mut again = Committed { new_series: Vec::new(), ..committed.clone() };
                for (number, _) in &mut again.samples {
                    let other = SeriesRef(number.0 + 1000);
                    if !met.contains(&other) {
                        met.push(other);
                        again.new_series.push((other, known[number.0 as usize].clone()));
                    }
                    *number = other;
                }
                out.extend(objectives.observe(&again));
            }
        }
    }
    out
}

fn known(number: SeriesRef) -> Labels {
    metric("requests_total", &[("code", if number.0 == 0 { "200" } else { "500" })])
}

#[test]
fn a_restart_at_any_place_changes_nothing() {
    let story = incident();
    assert!(story.transitions.len() >= 4, "{:#?}", story.transitions);
    let last = story.now;
    for cut in (0..=story.log.len()).step_by(7) {
        let mut first = Objectives::new(vec![shop(0.999, ratio())]).unwrap();
        let mut transitions = replay(&mut first, &story.known, &story.log[..cut]);
        let bytes = first.save();
        let mut second = Objectives::new(vec![shop(0.999, ratio())]).unwrap();
        second.restore(&bytes).unwrap();
        assert_eq!(second.save(), bytes, "saved after {cut} entries");
        assert_eq!(second.next_deadline(), first.next_deadline(), "after {cut} entries");
        transitions.extend(replay(&mut second, &story.known, &story.log[cut..]));
        assert_eq!(transitions, story.transitions, "cut after {cut} entries");
        assert_eq!(second.statuses(last), story.objectives.statuses(last), "cut after {cut} entries");
        assert_eq!(second.save(), story.objectives.save(), "cut after {cut} entries");
    }
}

#[test]
fn series_that_were_retired_go_on_when_they_come_back() {
    let story = incident();
    for cut in (0..=story.log.len()).step_by(7) {
        let mut objectives = Objectives::new(vec![shop(0.999, ratio())]).unwrap();
        let mut transitions = replay(&mut objectives, &story.known, &story.log[..cut]);
        objectives.retire(&(0..2 * story.known.len() as u64).map(|n| SeriesRef(n + 1000)).collect::<Vec<_>>());
        transitions.extend(replay(&mut objectives, &story.known, &story.log[cut..]));
        assert_eq!(transitions, story.transitions, "cut after {cut} entries");
        assert_eq!(objectives.save(), story.objectives.save(), "cut after {cut} entries");
    }
}

#[test]
fn damaged_state_is_refused_and_nothing_panics() {
    let story = incident();
    let bytes = story.objectives.save();
    let fresh = || Objectives::new(vec![shop(0.999, ratio())]).unwrap();
    assert!(matches!(fresh().restore(b""), Err(RestoreError::Damaged(_))));
    let newer = evenkeel::codec::close_seal(evenkeel::codec::open_seal(*b"evkobjct", 3));
    assert!(matches!(fresh().restore(&newer), Err(RestoreError::Version { found: 3 })));
    for at in (0..bytes.len()).step_by(11) {
        let mut damaged = bytes.clone();
        damaged[at] ^= 0x10;
        assert!(matches!(fresh().restore(&damaged), Err(RestoreError::Damaged(_))), "byte {at}");
        // With a checksum that fits, the content itself must not be believed blindly.
        let body = damaged.len() - 4;
        let sum = crc32fast::hash(&damaged[..body]);
        damaged[body..].copy_from_slice(&sum.to_le_bytes());
        let _ = fresh().restore(&damaged);
        let _ = fresh().restore(&bytes[..at]);
    }
}

/// What the story's store holds.
struct Stored {
    log: Vec<Entry>,
    largest: Mutex<usize>,
}

impl SeriesSource for Stored {
    fn select(&self, matchers: &[Matcher], range: TimeRange, most: usize) -> Result<Vec<SeriesSamples>, SourceError> {
        let mut out: Vec<SeriesSamples> = Vec::new();
        let mut count = 0;
        for n in 0..2 {
            let labels = known(SeriesRef(n));
            if !matchers.iter().all(|m| m.matches(labels.get(m.name()))) {
                continue;
            }
            let samples: Vec<_> = self
                .log
                .iter()
                .filter_map(|entry| match entry {
                    Entry::Transaction(committed) => Some(committed),
                    Entry::Tick(..) => None,
                })
                .flat_map(|committed| &committed.samples)
                .filter(|(number, sample)| number.0 == n && range.contains(sample.t))
                .map(|(_, sample)| *sample)
                .collect();
            count += samples.len();
            if !samples.is_empty() {
                out.push(SeriesSamples::of_numbers(labels, samples));
            }
        }
        let mut largest = self.largest.lock().unwrap();
        *largest = count.max(*largest);
        // A store with little room.
        if count > most.min(100) { Err(SourceError::TooManySamples { limit: 100 }) } else { Ok(out) }
    }
}

#[test]
fn stored_history_gives_what_watching_gave() {
    let story = incident();
    let mut seeded = Objectives::new(vec![shop(0.999, ratio())]).unwrap();
    let source = Stored { log: story.log.clone(), largest: Mutex::new(0) };
    seeded.seed(story.now, &source).unwrap();
    let (live, cold) = (story.status(), seeded.statuses(story.now).remove(0));
    assert_eq!((cold.good, cold.total, cold.budget), (live.good, live.total, live.budget));
    assert_eq!(cold.burns[0].long, live.burns[0].long);
    assert_eq!((cold.interval, cold.series, cold.blind), (live.interval, live.series, live.blind));
    assert!(*source.largest.lock().unwrap() > 100, "the slices were never halved");
    // What follows is counted from where the stored series end.
    let next = Timestamp(story.now.0 + 15_000);
    let mut on = incident();
    on.traffic(15, 15, 20.0, 0.0);
    let entry = on.log.last().cloned().unwrap();
    replay(&mut seeded, &story.known, &[entry]);
    assert_eq!(seeded.statuses(next)[0].total, on.status().total);
}

#[test]
fn what_nothing_watches_any_more_is_resolved() {
    let mut story = Story::new(vec![shop(0.999, ratio())]);
    story.traffic(1800, 15, 20.0, 0.0);
    story.traffic(300, 15, 20.0, 50.0);
    let firing = story.objectives.alerts();
    assert_eq!(firing.len(), 4);
    let bytes = story.objectives.save();
    let resolved = |objectives: &mut Objectives| {
        let due = objectives.next_deadline().unwrap();
        assert!(due <= story.now + Millis(1), "{due}");
        let transitions = objectives.tick(Seq(9_000), due.max(story.now));
        assert!(objectives.next_deadline().is_none_or(|next| next > due));
        transitions.into_iter().map(|t| (t.kind, t.alert.labels)).collect::<Vec<_>>()
    };
    let all: Vec<_> = firing.iter().map(|alert| (TransitionKind::Resolved, alert.labels.clone())).collect();
    // The objective is gone; by a restart, by a restart that was saved again before anything came, by a reload.
    let mut gone = Objectives::new(Vec::new()).unwrap();
    gone.restore(&bytes).unwrap();
    let mut again = Objectives::new(Vec::new()).unwrap();
    again.restore(&gone.save()).unwrap();
    assert_eq!(resolved(&mut gone), all);
    assert_eq!(resolved(&mut again), all);
    // It is told with other labels now: the old alerts end, the new ones begin.
    let mut relabelled = shop(0.999, ratio());
    relabelled.labels = Labels::new([("team", "payments")]).unwrap();
    let mut other = Objectives::new(vec![relabelled]).unwrap();
    other.restore(&bytes).unwrap();
    assert_eq!(resolved(&mut other), all);
    story.objectives.reload(Vec::new()).unwrap();
    assert_eq!(resolved(&mut story.objectives), all);
}

#[test]
fn a_reload_keeps_what_was_counted() {
    let mut story = incident();
    let before = story.status();
    let mut stricter = shop(0.9995, ratio());
    stricter.window = Millis::days(7);
    let other = evenkeel::slo::Objective::new("shop", "other", 0.99, Millis::days(30), ratio());
    story.objectives.reload(vec![other, stricter]).unwrap();
    let after = story.objectives.statuses(story.now).remove(1);
    assert_eq!((after.good, after.total), (before.good, before.total));
    assert_eq!(after.window, Millis::days(7));
    story.objectives.adopt([(SeriesRef(0), known(SeriesRef(0))), (SeriesRef(1), known(SeriesRef(1)))]);
    story.traffic(30, 15, 20.0, 0.0);
    let both = story.objectives.statuses(story.now);
    assert_eq!(both[1].total, before.total + 600.0);
    assert_eq!((both[0].total, both[0].series), (300.0, 2));
}
