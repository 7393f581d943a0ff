//! What Prometheus promises of alerts to an Alertmanager and to readers, in a group that decides at its interval: cases
//! of our own, on the clock of a day that passes in a moment.

use evenkeel::notify::{AlertmanagerTarget, NotifyOptions};

use super::*;

const RULES: &str = r#"
groups:
- name: promises
  interval: 30s
  evaluation_mode: interval
  rules:
  - record: load:doubled
    expr: 2 * load
  - alert: Immediate
    expr: load:doubled > 10
    labels: {severity: page, room: "{{ $labels.room }}-{{ $value }}", none: ""}
    annotations: {text: "{{ $labels.room }} has {{ $value | humanize }} on {{ $externalLabels.site }}"}
  - alert: Short
    expr: load > 3
    for: 15s
  - alert: Long
    expr: load > 3
    for: 2m
  - alert: Kept
    expr: load > 3
    keep_firing_for: 70s
  - alert: Seen
    expr: 'ALERTS{alertname="Immediate",alertstate="firing"} == 1'
    labels: {alertname: ignored}
"#;

/// A post to the Alertmanager: when, and the alerts of a name in it.
struct Post {
    at: i64,
    alerts: Vec<serde_json::Value>,
}

#[derive(Default)]
struct Alertmanager {
    clock: Mutex<Option<Arc<ManualClock>>>,
    posts: Mutex<Vec<Post>>,
}

impl Transport for Alertmanager {
    fn send(&self, request: &Request) -> Result<Response, TransportError> {
        assert!(request.url.ends_with("/api/v2/alerts"), "{}", request.url);
        let at = evenkeel::env::Clock::now_ms(&**self.clock.lock().as_ref().unwrap());
        let alerts = serde_json::from_slice(&request.body).unwrap();
        self.posts.lock().push(Post { at, alerts });
        Ok(Response { status: 200, retry_after: None, body: String::new() })
    }
}

/// A database whose clock runs second by second, with a sample of each room every ten seconds.
struct Bench {
    clock: Arc<ManualClock>,
    alertmanager: Arc<Alertmanager>,
    db: Db,
    /// The first instant of evaluation.
    slot: i64,
    now: i64,
}

impl Bench {
    fn new() -> Bench {
        let clock = Arc::new(ManualClock::new(BEGIN));
        let alertmanager = Arc::new(Alertmanager::default());
        *alertmanager.clock.lock() = Some(Arc::clone(&clock));
        let mut options = DbOptions::new("/data");
        options.watch.groups = evenkeel::config::parse_rules("rules.yml", RULES).unwrap();
        options.watch.notify = NotifyOptions {
            alertmanagers: vec![AlertmanagerTarget::new("http://am:9093")],
            external_labels: Labels::new([("site", "north")]).unwrap(),
            ..NotifyOptions::default()
        };
        options.disk = Arc::new(evenkeel::env::disk::MemoryDisk::new());
        (options.clock, options.transport) = (Arc::clone(&clock) as _, Arc::clone(&alertmanager) as _);
        options.threads = Threads::None;
        let db = Db::open(options).unwrap();
        let mut bench = Bench { clock, alertmanager, db, slot: 0, now: BEGIN };
        // The recording rule tells where the instants are.
        bench.run(35, &[("quiet", 1.0)]);
        bench.slot = bench.db.rule_groups()[0].last_evaluation.0;
        bench
    }

    /// So many seconds, in which rooms have these loads.
    fn run(&mut self, seconds: i64, rooms: &[(&str, f64)]) {
        for _ in 0..seconds {
            self.now += 1000;
            self.clock.set(self.now);
            self.db.time_moved();
            if self.now % 10_000 == 0 {
                let mut batch = Batch::new();
                for (room, v) in rooms {
                    let labels = Labels::new([("__name__", "load"), ("room", *room)]).unwrap();
                    batch.push(labels, Sample { t: Timestamp(self.now), v: *v });
                }
                self.db.append(batch).unwrap();
            }
            self.db.step();
        }
        let group = &self.db.rule_groups()[0];
        let late = group.rules.iter().map(|rule| self.now - rule.last_evaluation.0).max();
        assert!(late < Some(30_000), "every rule is evaluated with each interval: {late:?}");
    }

    /// Until just before an instant of evaluation.
    fn run_to_slot(&mut self, rooms: &[(&str, f64)]) {
        let left = (self.slot - self.now).rem_euclid(30_000);
        self.run(left.div_euclid(1000) - i64::from(left % 1000 == 0), rooms);
    }

    /// How an alert stands, with the seconds from the first evaluation to its beginning.
    fn states(&self, name: &str) -> Vec<(AlertState, i64)> {
        let alerts = self.db.alerts().into_iter().filter(|alert| alert.labels.get("alertname") == name);
        alerts.map(|alert| (alert.state, (alert.active_at.0 - self.slot) / 1000)).collect()
    }

    /// When an alert was posted, in seconds after the first evaluation, and whether as one that has ended.
    fn posted(&self, name: &str) -> Vec<(i64, bool)> {
        let posts = self.alertmanager.posts.lock();
        let mine = posts.iter().flat_map(|post| {
            let of = post.alerts.iter().filter(|alert| alert["labels"]["alertname"] == name);
            of.map(|alert| {
                let ends = time(&alert["endsAt"]);
                assert!(time(&alert["startsAt"]) <= post.at);
                if ends > post.at {
                    // Four times what is the longer of interval and the time between two posts.
                    assert_eq!(ends - post.at, 240_000);
                }
                (post.at, ends <= post.at)
            })
        });
        mine.map(|(at, ended)| ((at - self.slot).div_euclid(1000), ended)).collect()
    }

    fn value(&self, text: &str) -> Vec<(String, f64)> {
        instant(&self.db, text, self.now)
    }
}

fn time(text: &serde_json::Value) -> i64 {
    let text = text.as_str().unwrap();
    let (date, of_day) = text.trim_end_matches('Z').split_once('T').unwrap();
    assert_eq!(date, "2027-01-15", "{text}");
    let parts: Vec<f64> = of_day.split(':').map(|part| part.parse().unwrap()).collect();
    let seconds = parts[0] * 3600.0 + parts[1] * 60.0 + parts[2];
    // 1,800,000,000 s are 08:00 of that day.
    BEGIN + ((seconds - 8.0 * 3600.0) * 1000.0).round() as i64
}

const PENDING: AlertState = AlertState::Pending;
const FIRING: AlertState = AlertState::Firing;

#[test]
fn alerts_begin_change_and_end_at_evaluations_alone() {
    let mut bench = Bench::new();
    bench.run_to_slot(&[("a", 6.0)]);
    assert!(bench.db.alerts().is_empty(), "the sample is there, the evaluation is not");
    bench.run(1, &[("a", 6.0)]);
    let k = (bench.now - bench.slot) / 30_000 * 30;
    for (name, state) in [("Immediate", FIRING), ("Short", PENDING), ("Long", PENDING), ("Kept", FIRING)] {
        assert_eq!(bench.states(name), [(state, k)], "{name}");
    }
    // A later rule sees at the same instant what those before it made.
    assert_eq!(bench.states("Seen"), [(FIRING, k)]);
    assert_eq!(bench.value("count(ALERTS{alertname=\"Seen\"})")[0].1, 1.0);
    assert_eq!(bench.value("ALERTS_FOR_STATE{alertname=\"Long\"}")[0].1, ((bench.slot / 1000) + k) as f64);
    // `for: 15s` is over in between, and fires with the next evaluation only.
    bench.run_to_slot(&[("a", 6.0)]);
    assert_eq!(bench.states("Short"), [(PENDING, k)]);
    bench.run(1, &[("a", 6.0)]);
    assert_eq!(bench.states("Short"), [(FIRING, k)]);
    assert_eq!(bench.value("ALERTS{alertname=\"Short\",alertstate=\"pending\"}"), [], "it became stale");
    for evaluation in 2..=4 {
        bench.run(29, &[("a", 6.0)]);
        assert_eq!(bench.states("Long"), [(PENDING, k)]);
        bench.run(1, &[("a", 6.0)]);
        assert_eq!(bench.states("Long"), [(if evaluation == 4 { FIRING } else { PENDING }, k)]);
    }
    assert_eq!(bench.posted("Short")[0], (k + 30, false));
    assert_eq!(bench.posted("Long"), [(k + 120, false)]);
    // What ends between two evaluations ends with the next; what is kept ends with the one that is late enough.
    bench.run_to_slot(&[("a", 1.0)]);
    assert_eq!(bench.states("Long"), [(FIRING, k)]);
    bench.run(1, &[("a", 1.0)]);
    assert_eq!((bench.states("Long"), bench.states("Kept")), (vec![], vec![(FIRING, k)]));
    assert_eq!(bench.posted("Long"), [(k + 120, false), (k + 150, true)]);
    bench.run(61, &[("a", 1.0)]);
    assert_eq!(bench.states("Kept"), [(FIRING, k)]);
    bench.run(30, &[("a", 1.0)]);
    assert_eq!(bench.states("Kept"), []);
    assert_eq!(bench.value("{__name__=~\"ALERTS.*\"}"), [], "all of them became stale");
}

#[test]
fn an_alertmanager_is_told_at_evaluations_again_each_minute_and_of_ends_for_a_quarter_of_an_hour() {
    let mut bench = Bench::new();
    bench.run_to_slot(&[("a", 6.0)]);
    bench.run(1 + 150, &[("a", 6.0)]);
    let k = bench.posted("Kept")[0].0;
    assert_eq!(bench.posted("Kept"), [(k, false), (k + 60, false), (k + 120, false)]);
    // Another room is another alert of the same rule.
    bench.run(60, &[("a", 6.0), ("b", 4.0)]);
    let labels = |bench: &Bench| -> Vec<String> {
        let alerts = bench.db.alerts().into_iter().filter(|alert| alert.labels.get("alertname") == "Kept");
        alerts.map(|alert| alert.labels.get("room").to_owned()).collect()
    };
    assert_eq!(labels(&bench), ["a", "b"]);
    // The first falls silent: after the lookback it is gone, and kept for a while.
    bench.run(1500, &[("b", 1.0)]);
    let ends: Vec<i64> = bench.posted("Short").iter().filter(|(_, ended)| *ended).map(|(at, _)| *at).collect();
    let (first, last) = (ends[0], *ends.last().unwrap());
    assert!((840..=900 + 400).contains(&(last - first)), "told of ends from {first} to {last}");
    assert_eq!(bench.db.alerts(), []);
    let before = bench.alertmanager.posts.lock().len();
    bench.run(600, &[("b", 1.0)]);
    let posts = bench.alertmanager.posts.lock();
    assert!(posts[before..].iter().all(|post| post.at - bench.slot < 2_000_000), "nothing is told any more");
}

#[test]
fn labels_and_texts_are_those_of_the_rule() {
    let mut bench = Bench::new();
    bench.run_to_slot(&[("a", 6.0)]);
    bench.run(1, &[("a", 6.0)]);
    let posts = bench.alertmanager.posts.lock();
    let all = posts.iter().flat_map(|post| &post.alerts);
    let sent = all.into_iter().find(|alert| alert["labels"]["alertname"] == "Immediate").unwrap();
    let labels = serde_json::json!({"alertname": "Immediate", "severity": "page", "room": "a-12", "site": "north"});
    assert_eq!(sent["labels"], labels, "external labels are added, empty ones left out, the metric's name dropped");
    assert_eq!(sent["annotations"]["text"], "a has 12 on north");
    assert!(sent["generatorURL"].as_str().unwrap().contains("g0.expr=load%3Adoubled"), "{sent}");
    let stored = bench.value("ALERTS{alertname=\"Immediate\"}");
    let expected = "ALERTS{alertname=\"Immediate\", alertstate=\"firing\", room=\"a-12\", severity=\"page\"}";
    assert_eq!(stored, [(expected.to_owned(), 1.0)], "external labels are not stored");
    assert_eq!(bench.states("ignored"), []);
}
