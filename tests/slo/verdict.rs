//! The verdict: what decides, what wins, and what is shown.

use std::sync::Arc;

use evenkeel::confidence::{
    CriticalGap, Customers, Deploy, Evidence, GroupHealth, JobHealth, Judgement, Lacks, Outline, ProgramHealth,
    ReceiverHealth, RuleHealth, RuleInfo, StorageHealth, Verdict, customers, group_verdict, judge, objective_verdict,
    outline,
};
use evenkeel::model::{Alert, AlertState, Labels, Millis, Timestamp};
use evenkeel::slo::{BurnPair, GroupsStatus, ObjectiveStatus};

use super::story::{START, Story, ratio, shop};

/// What each case starts from: one objective that is fine, everything else in order.
pub(super) struct Known {
    pub(super) now: Timestamp,
    objectives: Vec<ObjectiveStatus>,
    alerts: Vec<Alert>,
    groups: Vec<GroupHealth>,
    receivers: Vec<ReceiverHealth>,
    jobs: Vec<JobHealth>,
    storage: StorageHealth,
    program: ProgramHealth,
    deploys: Vec<Deploy>,
    critical: Vec<CriticalGap>,
}

impl Known {
    pub(super) fn of(story: &Story) -> Known {
        let receiver = ReceiverHealth {
            name: "team".to_owned(),
            last_success: Some(story.now - Millis::minutes(3)),
            ..ReceiverHealth::default()
        };
        Known {
            now: story.now,
            objectives: story.objectives.statuses(story.now),
            alerts: Vec::new(),
            groups: Vec::new(),
            receivers: vec![receiver],
            jobs: Vec::new(),
            storage: StorageHealth::Healthy,
            program: ProgramHealth::default(),
            deploys: Vec::new(),
            critical: Vec::new(),
        }
    }

    pub(super) fn judge(&self) -> Judgement {
        let judgement = judge(&self.evidence(&self.objectives));
        // The words are the same without looking closely at objectives that are fine.
        let fine = |one: &&ObjectiveStatus| {
            let mut groups = one.groups.iter().flat_map(|groups| &groups.budgets);
            objective_verdict(one, Timestamp(START)) == Verdict::Ok
                && groups.all(|group| group_verdict(group) == Verdict::Ok)
        };
        let (well, unwell): (Vec<_>, Vec<_>) = self.objectives.iter().partition(fine);
        let unwell: Vec<ObjectiveStatus> = unwell.into_iter().cloned().collect();
        let services = well.iter().map(|one| one.service.as_str());
        assert_eq!(outline(&self.evidence(&unwell), services), Outline::from(&judgement));
        judgement
    }

    fn evidence<'a>(&'a self, objectives: &'a [ObjectiveStatus]) -> Evidence<'a> {
        Evidence {
            now: self.now,
            started_at: Timestamp(START),
            objectives,
            alerts: &self.alerts,
            groups: &self.groups,
            receivers: &self.receivers,
            jobs: &self.jobs,
            storage: &self.storage,
            program: &self.program,
            deploys: &self.deploys,
            critical: &self.critical,
        }
    }
}

fn fine() -> Story {
    let mut story = Story::new(vec![shop(0.999, ratio())]);
    story.traffic(1800, 5, 20.0, 0.0);
    story
}

fn alert(severity: &str, state: AlertState) -> Alert {
    let labels = [("alertname", "DiskFull"), ("severity", severity), ("service", "host")];
    Alert {
        labels: Labels::new(labels).unwrap(),
        annotations: Labels::new([("summary", "the disk is full")]).unwrap(),
        state,
        value: 1.0,
        active_at: Timestamp(START),
        fired_at: (state == AlertState::Firing).then_some(Timestamp(START + 60_000)),
        resolved_at: None,
        keep_firing_since: None,
        expr: "disk_full == 1".to_owned(),
    }
}

/// Ways in which things can be bad, with the verdict that each alone gives.
type Harm = (&'static str, Verdict, fn(&mut Known));

const HARMS: &[Harm] = &[
    ("a page of a rule fires", Verdict::Hurting, |known| known.alerts.push(alert("page", AlertState::Firing))),
    ("a critical alert fires", Verdict::Hurting, |known| known.alerts.push(alert("critical", AlertState::Firing))),
    ("an objective's page fires", Verdict::Hurting, |known| {
        let mut story = fine();
        story.traffic(300, 5, 20.0, 50.0);
        known.objectives.extend(story.objectives.statuses(known.now));
    }),
    ("no objective", Verdict::Blind, |known| known.objectives.clear()),
    ("an objective that is not proven", Verdict::Blind, |known| {
        known.objectives.extend(Story::new(vec![shop(0.99, ratio())]).objectives.statuses(known.now));
    }),
    ("an objective without input", Verdict::Blind, |known| {
        known.objectives.extend(fine().objectives.statuses(known.now + Millis::minutes(1)));
    }),
    ("a rule that fails", Verdict::Blind, |known| {
        let rule = RuleHealth {
            about: Arc::new(RuleInfo { name: "R".to_owned(), ..RuleInfo::default() }),
            error: Some("many-to-many matching".to_owned()),
            ..RuleHealth::default()
        };
        known.groups.push(GroupHealth { name: "g".to_owned(), rules: vec![rule], ..GroupHealth::default() });
    }),
    ("a receiver that has failed for long", Verdict::Blind, |known| {
        known.receivers[0].failing_since = Some(known.now - Millis::minutes(2));
    }),
    ("a store that is full", Verdict::Blind, |known| {
        known.storage = StorageHealth::ReadOnly { reason: "no space left".to_owned(), since: None };
    }),
    ("a store that is poisoned", Verdict::Blind, |known| {
        known.storage = StorageHealth::Poisoned { reason: "sync failed".to_owned(), since: None };
    }),
    ("a critical service that nobody would be told of", Verdict::Blind, |known| {
        known.critical.push(CriticalGap {
            service: "pay".to_owned(),
            lacks: Lacks::Route,
            because: "its series have tier=\"critical\"".to_owned(),
            since: known.now,
        });
    }),
    ("a pending page", Verdict::AtRisk, |known| known.alerts.push(alert("page", AlertState::Pending))),
    ("a warning fires", Verdict::AtRisk, |known| known.alerts.push(alert("warning", AlertState::Firing))),
    ("a receiver that struggles", Verdict::AtRisk, |known| {
        known.receivers[0].failing_since = Some(known.now - Millis::seconds(5));
    }),
    ("an objective's ticket fires", Verdict::AtRisk, |known| {
        let mut story = Story::new(vec![shop(0.999, ratio())]);
        story.traffic(3 * 3600, 15, 20.0, 0.45);
        assert!(story.objectives.alerts().iter().all(|a| a.labels.get("severity") == "ticket"));
        assert!(!story.objectives.alerts().is_empty());
        known.objectives.extend(story.objectives.statuses(known.now));
        known.objectives.last_mut().unwrap().blind = None;
    }),
    ("little budget left", Verdict::AtRisk, |known| known.objectives[0].budget.left = 0.09),
    ("an alert without severity", Verdict::Ok, |known| known.alerts.push(alert("", AlertState::Firing))),
    ("a rule without series", Verdict::Ok, |known| {
        let rule = RuleHealth { unmatched: true, ..RuleHealth::default() };
        known.groups.push(GroupHealth { rules: vec![rule], ..GroupHealth::default() });
    }),
];

#[test]
fn each_harm_and_every_two_of_them() {
    let story = fine();
    assert_eq!(Known::of(&story).judge().overall, Verdict::Ok);
    for (one, alone, apply) in HARMS {
        let mut known = Known::of(&story);
        apply(&mut known);
        let judgement = known.judge();
        assert_eq!(judgement.overall, *alone, "{one}: {:#?}", judgement.reasons);
        assert_eq!(judgement.reasons.is_empty(), *alone == Verdict::Ok, "{one}");
        for (other, other_alone, apply) in HARMS {
            let mut both =
                Known { objectives: known.objectives.clone(), alerts: known.alerts.clone(), ..Known::of(&story) };
            both.groups.clone_from(&known.groups);
            both.receivers.clone_from(&known.receivers);
            both.storage.clone_from(&known.storage);
            both.critical.clone_from(&known.critical);
            // What empties the objectives comes first, or it would take back the other.
            if *other == "no objective" || both.objectives.is_empty() {
                continue;
            }
            if *other == "a receiver that struggles" && both.receivers[0].failing_since.is_some() {
                continue;
            }
            apply(&mut both);
            if *other == "little budget left" && both.objectives.len() > 1 {
                continue;
            }
            let judgement = both.judge();
            assert_eq!(judgement.overall, alone.or_worse(*other_alone), "{one} and {other}: {:#?}", judgement.reasons);
            assert!(judgement.reasons.is_sorted_by_key(|reason| reason.verdict.rank()), "{one} and {other}");
        }
    }
}

#[test]
fn ok_says_what_it_rests_on() {
    let mut known = Known::of(&fine());
    known.now = known.now + Millis::seconds(4);
    let judgement = known.judge();
    let fact = |name: &str| {
        judgement.proof.iter().find(|fact| fact.name == name).map(|fact| fact.value.clone()).unwrap_or_default()
    };
    assert_eq!(fact("measured"), "1 service by 1 objective over 2 series");
    assert_eq!(fact("oldest input"), "4s ago (shop/availability, expected every 5s)");
    assert_eq!(fact("worst burn"), "0× over 1h (shop/availability, n = 35,900)");
    assert_eq!(fact("least budget left"), "100 % of 30d (shop/availability)");
    assert_eq!(fact("last delivery"), "3m4s ago to team");
    assert_eq!(judgement.service("shop").unwrap().verdict, Verdict::Ok);
    known.receivers.clear();
    let judgement = known.judge();
    assert!(judgement.proof.iter().any(|fact| fact.value == "no receiver is configured, nobody would be told"));
}

#[test]
fn hurting_says_why_since_when_and_after_what() {
    let mut story = fine();
    let deployed = story.now;
    story.traffic(120, 5, 20.0, 30.0);
    let mut known = Known::of(&story);
    known.deploys = vec![
        Deploy { service: "shop".to_owned(), version: "v2".to_owned(), at: deployed },
        Deploy { service: "shop".to_owned(), version: "v1".to_owned(), at: deployed - Millis::minutes(10) },
        Deploy { service: "other".to_owned(), version: "v9".to_owned(), at: deployed },
    ];
    let judgement = known.judge();
    assert_eq!(judgement.overall, Verdict::Hurting);
    let reason = &judgement.reasons[0];
    assert_eq!(reason.service.as_deref(), Some("shop"));
    assert!(reason.text.contains("(page from 14.4×)"), "{}", reason.text);
    assert!(reason.text.ends_with("after the deployment of v2"), "{}", reason.text);
    assert!(reason.since > deployed && reason.since < known.now);
    assert!(reason.query.as_deref().unwrap().contains("increase(requests_total{code=\"200\"}[1h])"));
    assert_eq!(reason.evidence[0].name, "last 1h");
    assert!(reason.evidence[0].value.contains("events bad, burn "), "{}", reason.evidence[0].value);
    // A ticket came on the way to the page; one reason says so.
    assert_eq!(known.objectives[0].alerts.len(), 2);
    assert_eq!(judgement.reasons.len(), 1);
    assert_eq!(known.objectives[0].burns[0].pair, BurnPair::standard(Millis::days(30))[0]);
}

#[test]
fn services_are_judged_apart() {
    let mut known = Known::of(&fine());
    known.alerts.push(alert("page", AlertState::Firing));
    let judgement = known.judge();
    assert_eq!(judgement.overall, Verdict::Hurting);
    let words: Vec<_> = judgement.services.iter().map(|s| (s.service.as_str(), s.verdict)).collect();
    assert_eq!(words, [("host", Verdict::Hurting), ("shop", Verdict::Ok)]);
    assert_eq!(judgement.reasons[0].text, "alert DiskFull is firing: the disk is full");
    assert_eq!(judgement.reasons[0].since, Timestamp(START + 60_000));
}

#[test]
fn targets_that_do_not_answer_are_a_risk_and_most_of_a_job_is_blindness() {
    let mut known = Known::of(&fine());
    let down = |n: usize| (0..n).map(|i| (format!("10.0.0.{i}:9100"), Timestamp(START))).collect();
    for (targets, missing, expected) in
        [(3, 0, Verdict::Ok), (3, 1, Verdict::AtRisk), (3, 2, Verdict::Blind), (1, 1, Verdict::Blind)]
    {
        known.jobs = vec![JobHealth { job: "node".to_owned(), targets, down: down(missing) }];
        let judgement = known.judge();
        assert_eq!(judgement.overall, expected, "{missing} of {targets}");
        if missing > 0 {
            assert!(judgement.reasons[0].text.contains("of job node cannot be scraped: 10.0.0.0:9100"));
        }
    }
}

#[test]
fn customers_are_counted_once_and_the_group_that_is_hurt_most_is_named() {
    let mut known = Known::of(&fine());
    assert_eq!(customers(&known.evidence(&known.objectives)), Customers { bad_events: 0.0, most: None });
    let plain = known.objectives[0].clone();
    let objective = |service: &str, name: &str, bad: f64| ObjectiveStatus {
        service: service.to_owned(),
        name: name.to_owned(),
        bad_in_hour: bad,
        ..plain.clone()
    };
    let group = |tenant: &str, bad: f64| ObjectiveStatus {
        group: Labels::new([("tenant", tenant)]).unwrap(),
        ..objective("shop", "availability", bad)
    };
    let mut by_tenant = objective("shop", "availability", 40.0);
    by_tenant.groups = Some(GroupsStatus {
        by: vec!["tenant".to_owned()],
        budgets: vec![group("acme", 30.0), group("other", 10.0)],
        most: 100,
        without_budget: 0,
        more: false,
        total_without: 0.0,
        bad_without: 0.0,
    });
    let slices = ObjectiveStatus { units: "slices of 1m".to_owned(), ..objective("shop", "minutes", 900.0) };
    // The same requests are slow and failing; slices are no requests.
    known.objectives =
        vec![by_tenant, objective("shop", "latency", 25.0), slices, objective("pay", "availability", 7.0)];
    let found = customers(&known.evidence(&known.objectives));
    let most = found.most.unwrap();
    assert_eq!((found.bad_events, most.bad_events, most.group.get("tenant")), (47.0, 30.0, "acme"));
    assert_eq!((most.service.as_str(), most.objective.as_str()), ("shop", "availability"));
}
