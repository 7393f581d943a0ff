//! A short part of the incident simulator, with a fixed seed: services whose failures are known.

use evenkeel::model::Millis;

use crate::incidents::plan::{Incident, Kind, Plan};
use crate::incidents::samples::Samples;
use crate::incidents::score::Score;
use crate::incidents::service::{Service, services};
use crate::incidents::traffic::Traffic;
use crate::incidents::{low, ours, peers, truth};

#[test]
fn what_is_wrong_is_told_and_what_is_not_is_not() {
    let mut score = Score::default();
    // A busy one, and one with a request a second.
    for (n, days) in [(4, 10), (7, 12)] {
        let mut service = services(3, 12, days).swap_remove(n);
        service.interval = Millis::minutes(1);
        let plan = Plan::draw(&service);
        let traffic = Traffic::draw(&service, &plan);
        let samples = Samples::draw(&service, &plan, &traffic);
        let episodes = truth::episodes(&service, &plan, &traffic, &samples);
        let fired = ours::play(service.objective(), &samples).unwrap();
        score.add(&service.name, &episodes, &fired, &|t| samples.seen_by(t));
    }
    assert!(score.told.n >= 3, "{score:?}");
    assert_eq!(score.told.k, score.told.n, "{:#?}", score.misses);
    assert_eq!(score.pages_right.k, score.pages_right.n, "{:#?}", score.misses);
    assert!(score.early.k == score.early.n && score.early.n > 0, "{:#?}", score.misses);
}

#[test]
fn a_trickle_that_fails_is_told_within_the_hour_and_pages_within_six() {
    for rate in [5.0, 10.0, 69.0] {
        let [_, told, paged] = low::trickle(rate, 0.9, 2, 5).unwrap();
        let most = if rate < 6.0 { 2.0 } else { 1.0 };
        assert!(told <= most * 3600.0 && paged <= 6.0 * 3600.0, "{rate} an hour: {told} s, {paged} s");
    }
}

#[test]
fn the_rules_of_others_see_the_same_samples() {
    let mut service = services(3, 12, 1).swap_remove(7);
    service.interval = Millis::minutes(1);
    let plan = Plan { incidents: vec![outage(&service)], ..Plan::default() };
    let traffic = Traffic::draw(&service, &plan);
    let samples = Samples::draw(&service, &plan, &traffic);
    let episodes = truth::episodes(&service, &plan, &traffic, &samples);
    let mut score = Score::default();
    let fired = peers::play(peers::Peer::Sloth, &service, &samples).unwrap();
    score.add(&service.name, &episodes, &fired, &|t| samples.seen_by(t));
    assert_eq!((score.paged.k, score.paged.n), (1, 1), "{fired:#?}");
    assert_eq!(score.pages_right.k, score.pages_right.n, "{fired:#?}");
}

/// An hour in which nothing is answered.
fn outage(service: &Service) -> Incident {
    let start = service.end() - Millis::hours(2);
    let end = start + Millis::hours(1);
    Incident { kind: Kind::Outage, start, end, failure: 1.0, ramp: Millis::ZERO, beat: Millis::ZERO }
}
