//! What was wrong, what told of it, and what people say of it: kept through crashes, reloads and other rules.

use evenkeel::backtest::LocalTime;
use evenkeel::confidence::{Accuracy, OutcomeLabel, Truth, Urgency};
use evenkeel::db::Db;
use evenkeel::model::{Batch, Labels, Millis, Sample, TimeRange, Timestamp};
use evenkeel::report::AccuracyReport;

use super::{BEGIN, World};

const OBJECTIVE: &str =
    "objectives: [{service: shop, objective: 99.9, errors: 'requests_total{code=\"500\"}', total: requests_total}]";
const MINUTE: i64 = 60_000;
const EVER: TimeRange = TimeRange { after: Timestamp::MIN, until: Timestamp::MAX };

/// A shop with 600 requests a minute.
struct Story {
    world: World,
    db: Option<Db>,
    requests: f64,
    failed: f64,
}

impl Story {
    fn begin(rules: &str) -> Story {
        let world = World::new(rules, OBJECTIVE);
        let db = Some(world.open());
        Story { world, db, requests: 0.0, failed: 0.0 }
    }

    fn db(&self) -> &Db {
        self.db.as_ref().unwrap()
    }

    /// So many minutes in which this share of requests fails.
    fn pass(&mut self, minutes: i64, share: f64) {
        for _ in 0..minutes {
            self.world.clock.advance(MINUTE);
            self.requests += 600.0;
            self.failed += 600.0 * share;
            let t = Timestamp(evenkeel::env::Clock::now_ms(&*self.world.clock));
            let mut batch = Batch::new();
            for (code, v) in [("200", self.requests - self.failed), ("500", self.failed)] {
                let labels = Labels::new([("__name__", "requests_total"), ("code", code)]).unwrap();
                batch.push(labels, Sample { t, v });
            }
            self.db().append(batch).unwrap();
            self.db().step();
        }
    }

    /// A crash: nothing is closed, and what was not synced is not missed.
    fn crash(&mut self) {
        drop(self.db.take());
        self.db = Some(self.world.open());
        self.db().step();
    }

    fn accuracy(&self) -> Accuracy {
        self.db().accuracy(EVER, &|_| LocalTime { weekday: 0, hour: 3 })
    }

    fn minute(t: Timestamp) -> i64 {
        (t.0 - BEGIN) / MINUTE
    }

    /// The outage: half of the requests from minute 181 to minute 200.
    fn outage(&mut self) {
        self.pass(180, 0.0);
        self.db().mark_deploy("shop", "v2").unwrap();
        self.pass(20, 0.5);
    }
}

#[test]
fn an_outage_is_an_episode_with_its_page_its_deploy_and_what_it_spent() {
    let mut story = Story::begin("");
    story.outage();
    let open = story.db().episodes(EVER).remove(0);
    assert!(!open.episode.over && open.episode.watched);
    story.pass(90, 0.0);
    let episodes = story.db().episodes(EVER);
    assert_eq!(episodes.len(), 1, "{episodes:?}");
    let known = &episodes[0];
    assert_eq!((known.id, known.episode.over), (open.id, true));
    assert_eq!((Story::minute(known.episode.start), Story::minute(known.episode.last)), (181, 200));
    assert_eq!((known.episode.bad, known.episode.total, known.episode.burn), (6000.0, 12_000.0, 500.0));
    assert_eq!(known.deploys.iter().map(|deploy| deploy.version.as_str()).collect::<Vec<_>>(), ["v2"]);

    let alerts = story.db().fired_alerts(EVER);
    let pages: Vec<_> = alerts.iter().filter(|alert| alert.urgency == Urgency::Page).collect();
    assert_eq!(pages.len(), 1, "{alerts:?}");
    assert_eq!(Story::minute(pages[0].at), 182, "the second failing scrape pages");
    assert_eq!(pages[0].told.iter().map(|told| told.receiver.as_str()).collect::<Vec<_>>(), ["r"]);
    assert!(pages[0].ended.is_some());
    let now = Timestamp(BEGIN + 290 * MINUTE);
    assert_eq!(pages[0].truth(&episodes, now), Truth::Episode(known.id));
    // Of 30 days at the traffic of three hours 25,920 requests may fail; 600 were known to.
    assert!((known.spent_at(pages[0]) - 600.0 / 25_920.0).abs() < 1e-9, "{}", known.spent_at(pages[0]));

    let accuracy = story.accuracy();
    assert_eq!((accuracy.all.precision.k, accuracy.all.precision.n), (1, 1));
    assert_eq!((accuracy.all.recall.k, accuracy.all.early.k, accuracy.all.recall.n), (1, 1, 1));
    assert_eq!(accuracy.all.detection.median.map(|median| median.value), Some(60.0));
    assert_eq!(accuracy.classes[2].pages, 1, "it was at three in the morning");
}

#[test]
fn restarts_change_nothing_and_outcomes_stay() {
    let mut plain = Story::begin("");
    plain.outage();
    plain.pass(90, 0.0);
    let mut crashed = Story::begin("");
    crashed.pass(100, 0.0);
    crashed.crash();
    crashed.pass(80, 0.0);
    crashed.db().mark_deploy("shop", "v2").unwrap();
    for _ in 0..20 {
        crashed.pass(1, 0.5);
        crashed.crash();
    }
    let id = crashed.db().fired_alerts(EVER)[0].id;
    crashed.db().label_alert(id, OutcomeLabel::TooLate, "ann", "an hour").unwrap();
    for _ in 0..9 {
        crashed.pass(10, 0.0);
        crashed.crash();
    }
    assert_eq!(crashed.db().episodes(EVER), plain.db().episodes(EVER));
    let mut alerts = crashed.db().fired_alerts(EVER);
    let outcome = alerts[0].outcome.take().unwrap();
    assert_eq!((outcome.label, outcome.by.as_str(), outcome.note.as_str()), (OutcomeLabel::TooLate, "ann", "an hour"));
    assert_eq!(alerts, plain.db().fired_alerts(EVER));
    assert_eq!(crashed.accuracy().outcomes, [0, 0, 0, 1, 0]);
}

#[test]
fn a_crash_before_other_rules_loses_no_alert() {
    let mut story = Story::begin("");
    story.outage();
    let (alerts, episodes) = (story.db().fired_alerts(EVER), story.db().episodes(EVER));
    let high = "groups: [{name: g, rules: [{alert: Never, expr: 'requests_total < 0'}]}]";
    story.world.watch.groups = evenkeel::config::parse_rules("rules.yml", high).unwrap();
    story.crash();
    let after = story.db().fired_alerts(EVER).remove(0);
    assert_eq!((after.id, &after.told, &after.spent), (alerts[0].id, &alerts[0].told, &alerts[0].spent));
    assert_eq!(story.db().episodes(EVER)[0].id, episodes[0].id);
    story.pass(90, 0.0);
    let after = story.db().episodes(EVER);
    assert_eq!((after.len(), after[0].id, after[0].episode.over), (1, episodes[0].id, true));
    assert!(after[0].episode.watched);
    // Without its objective nothing goes on.
    story.pass(10, 0.5);
    story.world.watch.objectives.clear();
    story.db().reload(story.world.watch.clone()).unwrap();
    assert!(story.db().episodes(EVER).iter().all(|known| known.episode.over));
}

#[test]
fn what_nobody_paged_is_missed_and_what_nothing_was_is_noise() {
    // A rule that pages of something else.
    let rules = "groups: [{name: g, rules: [{alert: Busy, expr: 'requests_total{code=\"200\"} == 6000', \
                 labels: {severity: page, service: shop}}, {alert: Elsewhere, expr: 'requests_total{code=\"200\"} == 6000', \
                 labels: {severity: page}}]}]";
    let mut story = Story::begin(rules);
    story.pass(600, 0.0);
    // Burn 5 for two hours: too slow for a page.
    story.pass(120, 0.005);
    story.pass(300, 0.0);
    let accuracy = story.accuracy();
    let episodes = story.db().episodes(EVER);
    assert_eq!(episodes.len(), 1, "{episodes:?}");
    let paged = story.db().fired_alerts(EVER).iter().filter(|a| a.urgency == Urgency::Page).count();
    assert_eq!((paged, accuracy.unknown), (2, 1), "no objective measures what is elsewhere");
    assert_eq!((accuracy.all.precision.k, accuracy.all.precision.n), (0, 1));
    assert_eq!((accuracy.all.recall.k, accuracy.all.recall.n), (0, 1));
    assert_eq!(accuracy.missed.iter().map(|known| known.id).collect::<Vec<_>>(), [episodes[0].id]);
}

#[test]
fn early_warning_tells_of_what_came_late_and_of_what_it_took() {
    let mut story = Story::begin("");
    story.outage();
    story.pass(90, 0.0);
    let mut accuracy = story.accuracy();
    let range = TimeRange { after: Timestamp(BEGIN), until: Timestamp(BEGIN + 290 * MINUTE) };
    let text =
        |accuracy: &Accuracy| AccuracyReport::new(accuracy, range, "UTC", range.until).early_warning_document().text();
    let told = text(&accuracy);
    for part in [
        "paged before 10 % of the budget was spent: 100 % (1 of 1; ",
        "what that took: 1 page, of which were right: 100 % (1 of 1; ",
        "insufficient: 99 % needs 299 episodes; you have 1",
    ] {
        assert!(told.contains(part), "{part}: {told}");
    }
    assert!(!told.contains("Late"), "{told}");
    // The same, had the page come later.
    let (known, page) = (story.db().episodes(EVER).remove(0), story.db().fired_alerts(EVER).remove(0));
    accuracy.late.push((known, page));
    let told = text(&accuracy);
    for part in ["Late: episodes that were paged after 10 %", "shop"] {
        assert!(told.contains(part), "{part}: {told}");
    }
}

#[test]
fn an_objective_that_is_added_later_blames_nobody_for_the_past() {
    let mut story = Story::begin("");
    let objectives = std::mem::take(&mut story.world.watch.objectives);
    story.db().reload(story.world.watch.clone()).unwrap();
    story.outage();
    story.pass(90, 0.0);
    assert_eq!(story.db().episodes(EVER), []);
    story.world.watch.objectives = objectives;
    story.db().reload(story.world.watch.clone()).unwrap();
    story.pass(1, 0.0);
    let episodes = story.db().episodes(EVER);
    assert_eq!(episodes.len(), 1, "stored history tells of it");
    assert!(!episodes[0].episode.watched);
    assert_eq!(episodes[0].episode.last - episodes[0].episode.start, Millis::minutes(19));
    let accuracy = story.accuracy();
    assert_eq!((accuracy.all.recall.n, accuracy.unwatched), (0, 1));
}

#[test]
fn targets_are_those_of_the_last_reload() {
    let mut world = World::new("", "");
    world.watch.accuracy.precision = 0.9;
    let db = world.open();
    let targets = || -> Vec<f64> {
        let accuracy = db.accuracy(EVER, &|_| LocalTime { weekday: 0, hour: 3 });
        accuracy.claims.iter().map(|(target, ..)| *target).collect()
    };
    assert_eq!(targets(), [0.9, 0.995, 0.99]);
    world.watch.accuracy.early_warning = 0.8;
    db.reload(world.watch.clone()).unwrap();
    assert_eq!(targets(), [0.9, 0.995, 0.8]);
}
