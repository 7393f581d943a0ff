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
                let mut again = Committed { new_series: Vec::new(), ..Committed::clone(committed) };
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
    assert!(story.transitions.len() >= 2, "{:#?}", story.transitions);
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
    let newer = evenkeel::codec::close_seal(evenkeel::codec::open_seal(*b"evkobjct", 99));
    assert!(matches!(fresh().restore(&newer), Err(RestoreError::Version { found: 99 })));
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
    assert_eq!(firing.len(), 1);
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

/// A state as version 1 wrote it: ten quiet minutes and one in which half of the requests fail.
const VERSION_1: &str = "65766b6f626a637401000000010473686f700c617661696c6162696c6974792f726174696f2072657175657374735f746f74616c7b636f\
     64653d22323030227d2072657175657374735f746f74616c80a0f6a71301b08aadfef9620000000000c08240000000000032c94004d00f\
     c0c850002be0f4aefef962000000d804b0ea01000000d804b0ea01000000d804b0ea01000000d804b0ea01000000d804b0ea01000000d8\
     04b0ea01000000d804b0ea01000000d804b0ea01000000d804b0ea01000000d804b0ea01000000d804b0ea01000000d804b0ea01000000\
     d804b0ea01000000d804b0ea01000000d804b0ea01000000d804b0ea01000000d804b0ea01000000d804b0ea01000000d804b0ea010000\
     00d804b0ea01000000d804b0ea01000000d804b0ea01000000d804b0ea01000000d804b0ea01000000d804b0ea01000000d804b0ea0100\
     0000d804b0ea01000000d804b0ea01000000d804b0ea01000000d804b0ea01000000d804b0ea01000000d804b0ea01000000d804b0ea01\
     000000d804b0ea01000000d804b0ea01000000d804b0ea01000000d804b0ea01000000d804b0ea01000000d804b0ea0100ac0200d804b0\
     ea0100ac0200d804b0ea0100ac0200d804b0ea0100ac0200d804904e8093b807002be0f4aefef962000000d804b0ea01000000d804b0ea\
     01000000d804b0ea01000000d804b0ea01000000d804b0ea01000000d804b0ea01000000d804b0ea01000000d804b0ea01000000d804b0\
     ea01000000d804b0ea01000000d804b0ea01000000d804b0ea01000000d804b0ea01000000d804b0ea01000000d804b0ea01000000d804\
     b0ea01000000d804b0ea01000000d804b0ea01000000d804b0ea01000000d804b0ea01000000d804b0ea01000000d804b0ea01000000d8\
     04b0ea01000000d804b0ea01000000d804b0ea01000000d804b0ea01000000d804b0ea01000000d804b0ea01000000d804b0ea01000000\
     d804b0ea01000000d804b0ea01000000d804b0ea01000000d804b0ea01000000d804b0ea01000000d804b0ea01000000d804b0ea010000\
     00d804b0ea01000000d804b0ea01000000d804b0ea0100ac0200d804b0ea0100ac0200d804b0ea0100ac0200d804b0ea0100ac0200d804\
     c0a90780c487fe01000ce0f4aefef962000000d804c0a907000000e012c0a907000000e012c0a907000000e012c0a907000000e012c0a9\
     07000000e012c0a907000000e012c0a907000000e012c0a907000000e012c0a907000000e012c0a90700d80400e012e0d40300d80400b0\
     09809f4980de88a9130002e0eddafef9620000009875e0fa2000b00900b05401b08aadfef96201c0e8fbfef96201c0e8fbfef962021fb0\
     ea01b0ea01b0ea01b0ea01b0ea01b0ea01b0ea01b0ea01b0ea01b0ea01b0ea01b0ea01b0ea01b0ea01b0ea01b0ea01b0ea01b0ea01b0ea\
     01b0ea01b0ea01b0ea01b0ea01b0ea01b0ea01b0ea01b0ea01b0ea01b0ea01b0ea01b0ea0101c0e8fbfef96201c0e8fbfef962000400cd\
     cccccccccc2c4080bab703c0cf2401e093f8fef96264703e06e76338405009616c6572746e616d650f4572726f72427564676574427572\
     6e07736572766963650473686f70087365766572697479047061676503736c6f0c617661696c6162696c6974790677696e646f77023168\
     8c020b6465736372697074696f6e4602333030206f66203132333030206576656e747320776572652062616420696e20746865206c6173\
     742031682c20333030206f66203630303020696e20746865206c61737420356d3b20302e312025206f66207468656d206d61792062652e\
     2041742074686973207261746520612077686f6c6520627564676574206c6173747320316435682e0773756d6d6172796e0173686f7020\
     617661696c6162696c697479206275726e732069747320333064206572726f72206275646765742032342e342074696d657320746f6f20\
     66617374206f76657220316820616e642035302074696d6573206f76657220356d2028706167652066726f6d2031342e3429c501283120\
     2d2073756d28696e6372656173652872657175657374735f746f74616c7b636f64653d22323030227d5b31685d2929202f2073756d2869\
     6e6372656173652872657175657374735f746f74616c5b31685d292929203e20302e3031343420616e64202831202d2073756d28696e63\
     72656173652872657175657374735f746f74616c7b636f64653d22323030227d5b356d5d2929202f2073756d28696e6372656173652872\
     657175657374735f746f74616c5b356d5d292929203e20302e3031343400000000000000184080dccc1480dddb0101b0a9f6fef9620000\
     0000000029405009616c6572746e616d650f4572726f724275646765744275726e07736572766963650473686f70087365766572697479\
     047061676503736c6f0c617661696c6162696c6974790677696e646f770236688e020b6465736372697074696f6e4802313530206f6620\
     3132303030206576656e747320776572652062616420696e20746865206c6173742036682c20313530206f6620313230303020696e2074\
     6865206c6173742033306d3b20302e312025206f66207468656d206d61792062652e2041742074686973207261746520612077686f6c65\
     20627564676574206c6173747320326439682e0773756d6d6172796e0173686f7020617661696c6162696c697479206275726e73206974\
     7320333064206572726f72206275646765742031322e352074696d657320746f6f2066617374206f76657220366820616e642031322e35\
     2074696d6573206f7665722033306d2028706167652066726f6d203629c5012831202d2073756d28696e63726561736528726571756573\
     74735f746f74616c7b636f64653d22323030227d5b36685d2929202f2073756d28696e6372656173652872657175657374735f746f7461\
     6c5b36685d292929203e20302e30303620616e64202831202d2073756d28696e6372656173652872657175657374735f746f74616c7b63\
     6f64653d22323030227d5b33306d5d2929202f2073756d28696e6372656173652872657175657374735f746f74616c5b33306d5d292929\
     203e20302e30303601000000000000084080f0b25280f4ee0601b0a9f6fef96200000000000029405209616c6572746e616d650f457272\
     6f724275646765744275726e07736572766963650473686f70087365766572697479067469636b657403736c6f0c617661696c6162696c\
     6974790677696e646f770231648e020b6465736372697074696f6e4702313530206f66203132303030206576656e747320776572652062\
     616420696e20746865206c6173742031642c20313530206f6620313230303020696e20746865206c6173742032683b20302e312025206f\
     66207468656d206d61792062652e2041742074686973207261746520612077686f6c6520627564676574206c6173747320326439682e07\
     73756d6d6172796f0173686f7020617661696c6162696c697479206275726e732069747320333064206572726f72206275646765742031\
     322e352074696d657320746f6f2066617374206f76657220316420616e642031322e352074696d6573206f76657220326820287469636b\
     65742066726f6d203329c3012831202d2073756d28696e6372656173652872657175657374735f746f74616c7b636f64653d2232303022\
     7d5b31645d2929202f2073756d28696e6372656173652872657175657374735f746f74616c5b31645d292929203e20302e30303320616e\
     64202831202d2073756d28696e6372656173652872657175657374735f746f74616c7b636f64653d22323030227d5b32685d2929202f20\
     73756d28696e6372656173652872657175657374735f746f74616c5b32685d292929203e20302e30303301000000000000f03f80d098f7\
     0180dccc1401b0a9f6fef96200000000000029405209616c6572746e616d650f4572726f724275646765744275726e0773657276696365\
     0473686f70087365766572697479067469636b657403736c6f0c617661696c6162696c6974790677696e646f770233648e020b64657363\
     72697074696f6e4702313530206f66203132303030206576656e747320776572652062616420696e20746865206c6173742033642c2031\
     3530206f6620313230303020696e20746865206c6173742036683b20302e312025206f66207468656d206d61792062652e204174207468\
     6973207261746520612077686f6c6520627564676574206c6173747320326439682e0773756d6d6172796f0173686f7020617661696c61\
     62696c697479206275726e732069747320333064206572726f72206275646765742031322e352074696d657320746f6f2066617374206f\
     76657220336420616e642031322e352074696d6573206f76657220366820287469636b65742066726f6d203129c3012831202d2073756d\
     28696e6372656173652872657175657374735f746f74616c7b636f64653d22323030227d5b33645d2929202f2073756d28696e63726561\
     73652872657175657374735f746f74616c5b33645d292929203e20302e30303120616e64202831202d2073756d28696e63726561736528\
     72657175657374735f746f74616c7b636f64653d22323030227d5b36685d2929202f2073756d28696e6372656173652872657175657374\
     735f746f74616c5b36685d292929203e20302e3030310221085f5f6e616d655f5f0e72657175657374735f746f74616c04636f64650332\
     3030c0e8fbfef962c0e8fbfef96200000000009cc84021085f5f6e616d655f5f0e72657175657374735f746f74616c04636f6465033530\
     30c0e8fbfef962c0e8fbfef9620000000000c082400100b08aadfef96200c8137d5a";

#[test]
fn a_state_of_the_first_version_is_read() {
    let bytes: Vec<u8> =
        (0..VERSION_1.len()).step_by(2).map(|at| u8::from_str_radix(&VERSION_1[at..at + 2], 16).unwrap()).collect();
    let mut story = Story::new(vec![shop(0.999, ratio())]);
    story.traffic(600, 15, 20.0, 0.0);
    story.traffic(60, 15, 20.0, 50.0);
    let mut restored = Objectives::new(vec![shop(0.999, ratio())]).unwrap();
    restored.restore(&bytes).unwrap();
    // In that version every pair had an alert of its own, which fires on until it is over.
    assert_eq!(restored.alerts().len(), 4);
    let counts = |objectives: &Objectives| {
        let mut status = objectives.statuses(story.now).remove(0);
        status.alerts.clear();
        status.time_coverage = None;
        status.burns.iter_mut().for_each(|burn| (burn.firing_since, burn.told_as) = (None, None));
        status
    };
    assert_eq!(counts(&restored), counts(&story.objectives));
}
