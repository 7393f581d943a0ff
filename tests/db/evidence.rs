//! Evidence packs: made by a database, replayed by whoever has the text of one and nothing else.

use evenkeel::db::{Db, EvidenceError, QueryMeter};
use evenkeel::model::{Batch, Labels, Sample, TimeRange, Timestamp};
use evenkeel::promql::EvalOptions;
use evenkeel::report::{EvidenceReport, evidence_text, replay_text};

use super::{BEGIN, World};

const EVER: TimeRange = TimeRange { after: Timestamp::MIN, until: Timestamp::MAX };
const STEP: i64 = 15_000;
const OBJECTIVE: &str = "objectives: [{service: shop, objective: 99.9, group_by: [tenant], \
                         errors: 'requests_total{code=\"500\"}', total: requests_total}]";
const RULES: &str = "groups: [{name: g, rules: [{alert: High, expr: 'sum by (job) (rate(x[1m])) / 3 > 0.1', for: 30s, \
                     labels: {severity: page}}]}]";

fn report(db: &Db, id: &str) -> EvidenceReport {
    let evidence = db.evidence(id, &EvalOptions::default(), &QueryMeter::default()).unwrap();
    EvidenceReport::new(&evidence, db.now())
}

/// The pack as bytes, the same however often it is asked for, and what is read back of them.
fn pack(db: &Db, id: &str) -> (String, EvidenceReport) {
    let text = || serde_json::to_string_pretty(&report(db, id)).unwrap();
    let first = text();
    assert_eq!(first, text());
    (first.clone(), EvidenceReport::read(&first).unwrap())
}

/// A metric, its other labels, a value.
type Put<'a> = (&'a str, &'a [(&'a str, &'a str)], f64);

fn put(db: &Db, world: &World, samples: &[Put<'_>]) {
    world.clock.advance(STEP);
    let t = Timestamp(evenkeel::env::Clock::now_ms(&*world.clock));
    let mut batch = Batch::new();
    for (name, more, v) in samples {
        let labels = Labels::new([("__name__", *name)].into_iter().chain(more.iter().copied())).unwrap();
        batch.push(labels, Sample { t, v: *v });
    }
    db.append(batch).unwrap();
    db.step();
}

fn fired(db: &Db, name: &str) -> String {
    let alerts = db.fired_alerts(EVER);
    let found = alerts.iter().find(|alert| alert.labels.get("alertname") == name);
    found.unwrap_or_else(|| panic!("{name} did not fire: {alerts:?}")).id.to_string()
}

/// A minute of quiet, then errors of one job among two.
fn of_a_rule(world: &World) -> Db {
    let db = world.open();
    let mut errors = 0.0;
    for n in 0..20 {
        errors += if n > 4 { 7.1 } else { 0.0 };
        put(&db, world, &[("x", &[("job", "a")], errors), ("x", &[("job", "b")], 3.0), ("y", &[], 1.0)]);
    }
    db
}

#[test]
fn an_alert_of_a_rule_is_replayed_from_its_pack_alone() {
    let mut world = World::new(RULES, "");
    let db = of_a_rule(&world);
    let id = fired(&db, "High");
    let (text, pack_of_rule) = pack(&db, &id);
    let by = &pack_of_rule.decided;
    assert!(by.recorded && by.log_position.is_some_and(|position| position > 5), "{by:?}");
    assert_eq!(by.query.as_deref(), Some("sum by (job) (rate(x[1m])) / 3 > 0.1"));
    assert_eq!(by.version.as_deref(), Some(env!("CARGO_PKG_VERSION")));
    assert_eq!(by.definition.as_deref(), Some(by.definitions[0].hash.as_str()));
    assert!(by.definitions[0].text.contains("for: 30s\n"), "{}", by.definitions[0].text);
    let alert = pack_of_rule.alert.as_ref().unwrap();
    assert_eq!((alert.name.as_str(), alert.told[0].receiver.as_str()), ("High", "r"));
    // The comparison and its left side, of the one job; `y` and the threshold have no samples.
    let queries: Vec<&str> = pack_of_rule.claims.iter().map(|claim| claim.query.as_str()).collect();
    assert_eq!(queries, [by.query.as_deref().unwrap(), "sum by (job) (rate(x[1m])) / 3", "0.1"]);
    assert_eq!(pack_of_rule.claims[0].elements, [pack_of_rule.claims[1].elements[0].clone()]);
    assert_eq!(by.value.as_ref(), Some(&pack_of_rule.claims[0].elements[0].1), "what was told is what comes out");
    assert!(pack_of_rule.series.iter().all(|series| series.labels["__name__"] == "x"));

    let replay = pack_of_rule.replay().unwrap();
    assert!(replay.same && replay.computed >= 3, "{replay:?}");
    assert!(replay_text(&replay).ends_with("the same, bit for bit\n"), "{}", replay_text(&replay));
    assert!(evidence_text(&pack_of_rule).contains("told: r at "), "{}", evidence_text(&pack_of_rule));

    // A restart, and later samples, change no byte.
    drop(db);
    let db = world.open();
    put(&db, &world, &[("x", &[("job", "a")], 900.0)]);
    assert_eq!(pack(&db, &id).0, text);
    // Another configuration is told apart, and the old one is still the one that decided.
    world.watch.groups = evenkeel::config::parse_rules("rules.yml", &RULES.replace("30s", "31s")).unwrap();
    db.reload(world.watch.clone()).unwrap();
    let (_, later) = pack(&db, &id);
    assert_eq!((&later.decided.definition, &later.decided.configuration), (&by.definition, &by.configuration));
    assert_ne!(later.decided.definitions[0].hash, by.definitions[0].hash);
    assert!(evidence_text(&later).contains("which is other than then"), "{}", evidence_text(&later));
    assert!(later.replay().unwrap().same);
}

#[test]
fn a_changed_sample_is_found_and_named_and_so_is_a_changed_claim() {
    let world = World::new(RULES, "");
    let db = of_a_rule(&world);
    let (text, whole) = pack(&db, &fired(&db, "High"));
    let series = whole.series.iter().position(|series| series.labels["job"] == "a").unwrap();
    let (at, value, _) = whole.series[series].samples.last().unwrap().clone();
    let mut changed = whole.clone();
    changed.series[series].samples.last_mut().unwrap().1 = "99.5".to_owned();
    let found = changed.replay().unwrap();
    assert!(!found.same);
    assert_eq!(found.changed.len(), 1, "{found:?}");
    assert_eq!((found.changed[0].at.clone(), found.changed[0].value.as_str()), (Timestamp(at).to_string(), "99.5"));
    assert!(found.changed[0].series.contains("job=\"a\""), "{:?}", found.changed);
    assert!(found.contradictions.iter().any(|one| one.claimed != one.computed), "{found:?}");
    let told = replay_text(&found);
    assert!(told.contains("changed: the sample 99.5 of x{job=\"a\"} at "), "{told}");
    assert!(told.contains("differs: sum by (job)") && told.ends_with("not the same\n"), "{told}");

    // One that does not matter to the value is found as well.
    let other = whole.series.iter().position(|series| series.labels["job"] == "b");
    let mut unseen = whole.clone();
    if let Some(other) = other {
        unseen.series[other].samples[0].1 = "4".to_owned();
        let found = unseen.replay().unwrap();
        assert!(!found.same && found.changed.len() == 1, "{found:?}");
    }
    let mut claimed = whole.clone();
    claimed.claims[0].elements[0].1 = value;
    let found = claimed.replay().unwrap();
    assert!(!found.same && found.altered && found.changed.is_empty(), "{found:?}");
    let mut told = whole;
    told.alert.as_mut().unwrap().told.clear();
    let found = told.replay().unwrap();
    assert!(!found.same && found.altered && found.contradictions.is_empty(), "{found:?}");

    for (text, reason) in [
        ("{", "it is not JSON: "),
        ("{}", "it is no evidence pack; `evenkeel evidence ID --format json` writes one"),
        (
            &*text.replace("evidence 1", "evidence 9"),
            "it is \"evenkeel evidence 9\"; this program reads \"evenkeel evidence 1\"",
        ),
        ("{\"format\": \"evenkeel evidence 1\"}", "it is no whole evidence pack: missing field"),
    ] {
        let error = EvidenceReport::read(text).unwrap_err();
        assert!(error.starts_with(reason), "{error}");
    }
}

/// Three tenants with 60 requests in each step; from step 400 on half of those of `a` fail, a tenth of those of `b`.
fn of_an_objective(world: &World, steps: i64) -> Db {
    let db = world.open();
    let mut counts = [[0.0; 2]; 3];
    for n in 0..steps {
        let bad = if (400..440).contains(&n) { [30.0, 6.0, 0.0] } else { [0.0; 3] };
        let mut samples = Vec::new();
        let labels: Vec<[[(&str, &str); 2]; 2]> =
            ["a", "b", "c"].map(|tenant| ["200", "500"].map(|code| [("code", code), ("tenant", tenant)])).into();
        for ((counts, bad), labels) in counts.iter_mut().zip(bad).zip(&labels) {
            counts[0] += 60.0 - bad;
            counts[1] += bad;
            samples.push(("requests_total", &labels[0][..], counts[0]));
            // Errors have no series before the first one.
            if counts[1] > 0.0 {
                samples.push(("requests_total", &labels[1][..], counts[1]));
            }
        }
        put(&db, world, &samples);
    }
    db
}

#[test]
fn a_burn_alert_shows_its_counters_at_the_edges_of_its_windows() {
    let world = World::new("", &OBJECTIVE.replace("group_by: [tenant], ", ""));
    let db = of_an_objective(&world, 420);
    for alert in db.fired_alerts(EVER) {
        let (_, any) = pack(&db, &alert.id.to_string());
        assert!(any.windows.iter().all(|window| window.agrees == Some(true)), "{any:#?}");
        assert!(any.replay().unwrap().same, "{any:#?}");
    }
    let page = db.fired_alerts(EVER).into_iter().find(|alert| alert.labels.get("severity") == "page").unwrap();
    let (text, pack) = pack(&db, &page.id.to_string());
    let by = &pack.decided;
    assert_eq!((by.threshold, by.budget), (Some(14.4), Some(0.001)));
    assert_eq!(pack.windows.len(), 2);
    for window in &pack.windows {
        let counts = window.of_samples.unwrap();
        assert_eq!(window.agrees, Some(true), "{window:?}");
        assert_eq!((Some(counts.bad), Some(counts.total)), (window.bad, window.total));
        assert_eq!(counts.good, counts.total - counts.bad);
    }
    let long = &pack.windows[0];
    let burn = long.bad.unwrap() / long.total.unwrap() / 0.001;
    assert_eq!(by.value.as_ref().unwrap().parse::<f64>().unwrap(), burn);
    // The errors began while their target was watched.
    let presumed = pack.series.iter().filter(|series| series.presumed.is_some());
    assert!(presumed.clone().count() == 2 && presumed.clone().all(|series| series.labels["code"] == "500"), "{text}");
    assert!(pack.series.iter().map(|series| series.samples.len()).sum::<usize>() < 40, "the edges are enough");
    assert!(by.definitions[0].text.contains("target: 99.9 % over 30d\n"), "{}", by.definitions[0].text);
    assert!(pack.replay().unwrap().same);
    let shown = evidence_text(&pack);
    assert!(shown.contains("by its samples: ") && shown.contains("(presumed: it began behind this)"), "{shown}");
    // Recorded, so that a restart, even with the objective gone, gives the same.
    drop(db);
    let mut world = world;
    let db = world.open();
    assert_eq!(super::evidence::pack(&db, &pack.id).0, text);
    world.watch.objectives.clear();
    db.reload(world.watch.clone()).unwrap();
    let gone = super::evidence::pack(&db, &pack.id).1;
    assert_eq!((&gone.windows, gone.decided.definitions.len()), (&pack.windows, 0));
    assert!(gone.replay().unwrap().same);
}

#[test]
fn an_episode_names_the_tenants_that_suffered_and_its_pack_counts_them_all() {
    let world = World::new("", OBJECTIVE);
    let db = of_an_objective(&world, 430);
    let whole = |db: &Db| {
        let all = db.episodes(EVER);
        all.into_iter().find(|known| known.episode.group.is_empty()).unwrap()
    };
    let so_far = whole(&db).episode;
    assert!(!so_far.over && so_far.suffered.groups.len() == 2, "{so_far:?}");
    drop(db);
    // To its end, and over a restart.
    let world = World::new("", OBJECTIVE);
    let db = of_an_objective(&world, 440 + 300);
    let known = whole(&db);
    let episode = &known.episode;
    assert!(episode.over && (episode.bad, episode.suffered.others) == (40.0 * 36.0, 0), "{episode:?}");
    let groups: Vec<(String, f64, f64)> =
        episode.suffered.groups.iter().map(|one| (one.group.get("tenant").to_owned(), one.bad, one.share)).collect();
    assert_eq!(groups, [("a".to_owned(), 1200.0, 1200.0 / 1440.0), ("b".to_owned(), 240.0, 240.0 / 1440.0)]);
    let totals: Vec<f64> = episode.suffered.groups.iter().map(|one| one.total).collect();
    assert_eq!(totals, [2400.0, 2400.0]);
    drop(db);
    let db = world.open();
    assert_eq!(whole(&db), known);

    let (_, pack) = pack(&db, &known.id.to_string());
    assert_eq!((pack.kind.as_str(), pack.episode.as_ref().map(|one| one.groups.len())), ("episode", Some(2)));
    let counts = pack.windows[0].of_samples.unwrap();
    assert_eq!((counts.bad, counts.total, pack.windows[0].agrees), (1440.0, 40.0 * 180.0, Some(true)));
    assert!(pack.told.iter().any(|alert| alert.told.iter().any(|told| told.receiver == "r")), "{:?}", pack.told);
    assert!(pack.replay().unwrap().same);
}

#[test]
fn a_verdict_has_its_reasons_and_the_samples_of_its_objectives() {
    let world = World::new("", OBJECTIVE);
    let db = of_an_objective(&world, 430);
    let at = db.now();
    let id = format!("verdict:shop@{at}");
    let (text, pack) = pack(&db, &id);
    assert_eq!((pack.kind.as_str(), pack.verdict.as_deref()), ("verdict", Some("HURTING")));
    assert!(!pack.reasons.is_empty() && !pack.told.is_empty(), "{text}");
    // The last hour, and the last five minutes, 20 steps.
    let counts = pack.windows[1].of_samples.unwrap();
    assert_eq!((counts.bad, counts.total, pack.windows[1].bad), (20.0 * 36.0, 20.0 * 180.0, None));
    assert!(pack.replay().unwrap().same, "{:?}", pack.replay());
    put(&db, &world, &[]);
    assert_eq!(super::evidence::pack(&db, &id).0, text);

    let refused = |id: &str| {
        let refused = db.evidence(id, &EvalOptions::default(), &QueryMeter::default());
        refused.map(|_| ()).map_err(|error| (matches!(error, EvidenceError::Name(_)), error.to_string())).unwrap_err()
    };
    let check = |id: &str, is_name: bool, says: &str| {
        let (name, error) = refused(id);
        assert!(name == is_name && error.contains(says), "{id}: {error}");
    };
    check("x", true, "names no evidence; write the id of an alert that fired or of an episode");
    check("verdict:shop", true, "verdict:SERVICE@TIME");
    check("verdict:shop@noon", true, "verdict:SERVICE@TIME");
    check("0000000000000000", false, "no alert and no episode 0000000000000000 is remembered");
    check(&format!("verdict:till@{at}"), false, "no verdict of a service \"till\" is known at ");
    check(&format!("verdict:shop@{}", Timestamp(BEGIN - 1)), false, "no verdict of a service \"shop\" is known at ");
    check("verdict:shop@2222-01-01T00:00:00Z", false, "has not come yet");
}

#[test]
fn a_pack_is_bounded_and_says_what_it_lacks() {
    let rules = "groups: [{name: g, rules: [{alert: Much, expr: 'sum(sum_over_time(x[1h])) > 30000'}]}]";
    let world = World::new(rules, "");
    let db = world.open();
    let jobs: Vec<String> = (0..60).map(|n| n.to_string()).collect();
    for _ in 0..240 {
        let labels: Vec<[(&str, &str); 1]> = jobs.iter().map(|job| [("job", job.as_str())]).collect();
        let samples: Vec<Put<'_>> = labels.iter().map(|labels| ("x", &labels[..], 2.5)).collect();
        put(&db, &world, &samples);
    }
    let (_, pack) = pack(&db, &fired(&db, "Much"));
    let count: usize = pack.series.iter().map(|series| series.samples.len()).sum();
    assert!(count <= 4000 && count > 3000, "{count}");
    let short = pack.short.as_deref().unwrap();
    assert!(!pack.replayable && short.contains("samples decided it, of which the newest "), "{short}");
    let value: f64 = pack.claims[0].elements[0].1.parse().unwrap();
    assert!(value > 30_000.0, "the store's answer is claimed: {value}");
    let replay = pack.replay().unwrap();
    assert!(!replay.same && !replay.contradictions.is_empty() && replay_text(&replay).contains("not wholly: "));
}
