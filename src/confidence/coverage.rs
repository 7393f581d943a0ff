//! Which services somebody would be told of, and where nobody would.
//!
//! A service is covered if an objective of it has fresh input, something of it can page, and a receiver of that page
//! has taken a message lately. It has adopted objectives if it has all that and an owner, whether the receiver is proven or
//! not. Everything that is not there is a gap, and gaps have names.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::{Millis, Timestamp};
use crate::slo::Severity;

use super::evidence::Evidence;
use super::judgement::Judgement;
use super::verdict::Verdict;
use super::words;

/// A delivery proves its receiver for so long: two weeks of nights.
const PROOF_HOLDS: Millis = Millis::days(14);

/// What a service has and lacks.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ServiceCoverage {
    /// The service.
    pub service: String,
    /// Its objectives.
    pub objectives: usize,
    /// Those of them that have fresh input.
    pub measured: usize,
    /// The least of their shares of time that were measured: of the last day, and of their windows.
    pub time: Option<[f64; 2]>,
    /// What of it can page: objectives and alerting rules whose selectors have matched.
    pub pages: Vec<String>,
    /// Who would be told of its pages.
    pub receivers: Vec<String>,
    /// When one of them last took a message.
    pub proven: Option<Timestamp>,
    /// Whose it is.
    pub owners: Vec<String>,
    /// Whether it must be covered.
    pub critical: bool,
}

/// What is known of services otherwise than by how objectives and rules are doing.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Inventory {
    /// Services that stored series name.
    pub found: Vec<String>,
    /// Critical services; absent if nothing says which are.
    pub critical: Option<BTreeSet<String>>,
    /// The matchers of critical services, if no series satisfies them.
    pub unmatched: Option<String>,
    /// Whose services are, of those of which something says it.
    pub owners: BTreeMap<String, BTreeSet<String>>,
}

/// Every known service with what it lacks.
#[derive(Debug, Clone, PartialEq)]
pub struct Coverage {
    /// The instant at which this was so.
    pub at: Timestamp,
    /// The services, those with gaps first, critical ones before others.
    pub services: Vec<ServiceCoverage>,
    /// Which of them count.
    pub scope: CoverageScope,
    /// The matchers of critical services, if no series satisfies them.
    pub unmatched: Option<String>,
}

/// Which services must be covered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CoverageScope {
    /// All that are known: nothing says which are critical.
    Everything,
    /// Critical ones alone.
    Critical,
}

/// Something that nobody would be told of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BlindSpot {
    /// What kind, for machines.
    pub code: String,
    /// The service that it concerns; absent if it concerns everything.
    pub service: Option<String>,
    /// What is not seen.
    pub text: String,
    /// What would help.
    pub remedy: String,
    /// How many errors of the last day nobody was told of, where they are counted.
    pub events: Option<u64>,
}

/// Errors that stored series count and that neither an objective nor a rule looks at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnwatchedErrors {
    /// The metric.
    pub metric: String,
    /// Whose, if its labels say so.
    pub service: Option<String>,
    /// How many of them the last day had.
    pub events: u64,
}

impl ServiceCoverage {
    /// What it lacks, by name: `objective`, `input`, `page`, `route`, `proof`, `owner`.
    pub fn gaps(&self, now: Timestamp) -> Vec<&'static str> {
        let has = [
            ("objective", self.objectives > 0),
            ("input", self.objectives == 0 || self.measured > 0),
            ("page", !self.pages.is_empty()),
            ("route", !self.receivers.is_empty()),
            ("proof", self.receivers.is_empty() || is_proven(self.proven, now)),
            ("owner", !self.owners.is_empty()),
        ];
        has.into_iter().filter(|(_, has)| !has).map(|(name, _)| name).collect()
    }

    /// Whether somebody would be told of its failures. Who owns it tells nobody.
    pub fn is_covered(&self, now: Timestamp) -> bool {
        self.gaps(now).into_iter().all(|gap| gap == "owner")
    }

    /// Whether it is run by objectives: one with fresh input, a page with a route, and an owner.
    pub fn has_adopted(&self, now: Timestamp) -> bool {
        self.gaps(now).into_iter().all(|gap| gap == "proof")
    }
}

/// Whether a delivery at that time is lately enough.
pub(super) fn is_proven(delivered: Option<Timestamp>, now: Timestamp) -> bool {
    delivered.is_some_and(|at| now - at <= PROOF_HOLDS)
}

impl Coverage {
    /// The services that must be covered.
    pub fn counted(&self) -> impl Iterator<Item = &ServiceCoverage> {
        self.services.iter().filter(|service| self.scope == CoverageScope::Everything || service.critical)
    }

    /// The critical services.
    pub fn critical(&self) -> impl Iterator<Item = &ServiceCoverage> {
        self.services.iter().filter(|service| service.critical)
    }

    /// Those of them that lack anything.
    pub fn critical_with_gaps(&self) -> impl Iterator<Item = &ServiceCoverage> {
        self.critical().filter(|service| !service.gaps(self.at).is_empty())
    }

    /// How many of those that must be are covered.
    pub fn covered(&self) -> usize {
        self.counted().filter(|service| service.is_covered(self.at)).count()
    }

    /// The share of them; nothing covered if there are none.
    pub fn share(&self) -> f64 {
        share(self.covered(), self.counted().count())
    }

    /// How many services have an objective with fresh input, a page with a route, and an owner.
    pub fn adopted(&self) -> usize {
        self.services.iter().filter(|service| service.has_adopted(self.at)).count()
    }

    /// The share of services that have; none if there are none.
    pub fn adoption(&self) -> f64 {
        share(self.adopted(), self.services.len())
    }
}

fn share(k: usize, n: usize) -> f64 {
    if n == 0 { 0.0 } else { k as f64 / n as f64 }
}

/// What each service has and lacks. `told` gives who would be told of the pages of a service, by the labels that these
/// have.
pub fn coverage(evidence: &Evidence<'_>, known: &Inventory, told: impl Fn(&str) -> Vec<String>) -> Coverage {
    let mut services: BTreeMap<String, ServiceCoverage> = BTreeMap::new();
    let mut of = |name: &str, change: &mut dyn FnMut(&mut ServiceCoverage)| {
        let new = || ServiceCoverage { service: name.to_owned(), ..ServiceCoverage::default() };
        change(services.entry(name.to_owned()).or_insert_with(new));
    };
    for service in &known.found {
        of(service, &mut |_| ());
    }
    for service in known.critical.iter().flatten() {
        of(service, &mut |service| service.critical = true);
    }
    for objective in evidence.objectives {
        let pages = objective.burns.iter().any(|burn| burn.pair.severity == Severity::Page);
        of(&objective.service, &mut |service| {
            service.objectives += 1;
            service.measured += usize::from(objective.blind.is_none());
            if let Some(time) = objective.time_coverage {
                let [day, window] = service.time.unwrap_or([1.0; 2]);
                service.time = Some([day.min(time.day.share()), window.min(time.window.share())]);
            }
            service.pages.extend(pages.then(|| objective.name.clone()));
        });
    }
    for rule in evidence.groups.iter().flat_map(|group| &group.rules) {
        let Some(name) = &rule.about.service else { continue };
        of(name, &mut |service| service.pages.extend(rule.can_page().then(|| rule.about.name.clone())));
    }
    let mut services: Vec<ServiceCoverage> = services.into_values().collect();
    for service in &mut services {
        let told: BTreeSet<String> = told(&service.service).into_iter().collect();
        service.receivers = told.into_iter().collect();
        let proofs = evidence.receivers.iter().filter(|receiver| service.receivers.contains(&receiver.name));
        service.proven = proofs.filter_map(|receiver| receiver.last_success).max();
        service.owners = known.owners.get(&service.service).into_iter().flatten().cloned().collect();
    }
    let place = |service: &ServiceCoverage| {
        (service.is_covered(evidence.now), service.gaps(evidence.now).is_empty(), !service.critical)
    };
    services.sort_by_key(place);
    let scope = if known.critical.is_some() { CoverageScope::Critical } else { CoverageScope::Everything };
    Coverage { at: evidence.now, services, scope, unmatched: known.unmatched.clone() }
}

/// Everything that nobody would be told of: what is blind now, and what would go unseen.
///
/// What is blind comes first, then errors in the order in which they are given, then what would go unseen.
pub fn blind_spots(
    evidence: &Evidence<'_>,
    judgement: &Judgement,
    coverage: &Coverage,
    unwatched: &[UnwatchedErrors],
) -> Vec<BlindSpot> {
    let mut spots = Vec::new();
    for reason in judgement.reasons.iter().filter(|reason| reason.verdict == Verdict::Blind) {
        spots.push(BlindSpot {
            code: reason.code.clone(),
            service: reason.service.clone(),
            text: reason.text.clone(),
            remedy: remedy(&reason.code).to_owned(),
            events: None,
        });
    }
    spots.extend(unwatched.iter().map(unwatched_spot));
    spots.extend(
        coverage.unmatched.as_ref().map(|matchers| BlindSpot {
            code: "critical-unmatched".to_owned(),
            service: None,
            text: format!(
                "no series of the last day satisfies {matchers}, so no service is known to be critical by it"
            ),
            remedy: "compare critical in the section coverage with the labels that there are, or name services there"
                .to_owned(),
            events: None,
        }),
    );
    // What makes a critical service blind has been told.
    let told = |service: &str, gap: &str| {
        evidence.critical.iter().any(|one| one.service == service && one.lacks.as_str() == gap)
    };
    for service in &coverage.services {
        let gaps = service.gaps(evidence.now).into_iter().filter(|gap| !told(&service.service, gap));
        spots.extend(gaps.filter_map(|gap| gap_spot(service, gap, evidence.now)));
    }
    for group in evidence.groups {
        for rule in group.rules.iter().filter(|rule| rule.unmatched) {
            spots.push(BlindSpot {
                code: "rule-unmatched".to_owned(),
                service: rule.about.service.clone(),
                text: format!(
                    "rule {} of group {} has never matched a series: {}",
                    rule.about.name, group.name, rule.about.query
                ),
                remedy: "compare its selectors with the metrics that there are, or remove it".to_owned(),
                events: None,
            });
        }
    }
    let rules = evidence.groups.iter().flat_map(|group| group.rules.iter().map(move |rule| (group, rule)));
    for (group, rule) in rules.filter(|(_, rule)| rule.unrouted) {
        spots.push(BlindSpot {
            code: "rule-unrouted".to_owned(),
            service: rule.about.service.clone(),
            text: format!("no route leads from alert {} of group {} to anybody", rule.about.name, group.name),
            remedy: "add a route that matches its labels, or give their receiver an address".to_owned(),
            events: None,
        });
    }
    let down = evidence.jobs.iter().flat_map(|job| job.down.iter().map(move |(target, _)| (job, target)));
    for (job, target) in down.filter(|(job, _)| job.down.len() * 2 <= job.targets) {
        spots.push(BlindSpot {
            code: "target-down".to_owned(),
            service: None,
            text: format!("target {target} of job {} cannot be scraped", job.job),
            remedy: "see its error under /targets".to_owned(),
            events: None,
        });
    }
    let mut seen = BTreeSet::new();
    spots.retain(|spot| seen.insert((spot.code.clone(), spot.service.clone(), spot.text.clone())));
    spots
}

fn gap_spot(service: &ServiceCoverage, gap: &str, now: Timestamp) -> Option<BlindSpot> {
    let name = &service.service;
    let (text, remedy) = match gap {
        "objective" => (
            format!("{name} has no objective: nothing says what its customers may expect"),
            "add one under slo_files".to_owned(),
        ),
        "page" => (
            format!("nothing of {name} can page"),
            "give it an objective that pages, or a rule with severity page and service in its labels".to_owned(),
        ),
        "route" => (
            format!("nobody would be told of a page of {name}"),
            "add a receiver to its route, or an Alertmanager".to_owned(),
        ),
        "proof" => {
            let last = service.proven.map_or("never".to_owned(), |at| words::ago(now, at));
            let receivers = service.receivers.join(", ");
            (
                format!("no receiver of {name}'s pages has proven itself lately: {receivers} took a message {last}"),
                "send a test alert on its route".to_owned(),
            )
        }
        // Its objectives say themselves that they have no input, and without an owner it is seen all the same.
        _ => return None,
    };
    Some(BlindSpot { code: format!("no-{gap}"), service: Some(name.clone()), text, remedy, events: None })
}

fn unwatched_spot(errors: &UnwatchedErrors) -> BlindSpot {
    let (metric, events) = (&errors.metric, errors.events);
    BlindSpot {
        code: "errors-unwatched".to_owned(),
        service: errors.service.clone(),
        text: format!("{metric} has counted {events} in the last day, and neither an objective nor a rule looks at it"),
        remedy: "promise something about it, as `evenkeel suggest slos` proposes, or alert on it".to_owned(),
        events: Some(events),
    }
}

pub(super) fn remedy(code: &str) -> &'static str {
    match code {
        "no-series" => "compare the objective's selectors with the metrics that there are",
        "not-proven" | "no-input-since-start" => "wait for its next samples; if none come, look at its targets",
        "traffic-vanished" => "look at what stands before the service: balancers, names, certificates, clients",
        "input-stopped" => "look at the targets or the sender of its samples",
        "rule-failing" => "correct its expression",
        "receiver-failing" => "look at the receiver's address and its answers",
        "targets-down" => "see their errors under /targets",
        "storage-read-only" => "free space or repair the disk; it heals by itself then",
        "storage-poisoned" => "repair the disk, then restart",
        "clock-behind" | "clock-jumped" => "see to it that the machine's clock is kept by NTP, and not set by hand",
        "reload-failed" => "correct the file and reload it",
        "decisions-late" => "look at what the machine is busy with, and at the disk",
        "critical-no-objective" => "add an objective of it under slo_files",
        "critical-no-page" => {
            "give it an objective that pages, or a rule with severity page and its service in its labels"
        }
        "critical-no-route" => "add a receiver to the route of its pages, or an Alertmanager",
        "no-objective" => "add an objective for each service under slo_files",
        _ => "see its evidence",
    }
}
