//! Which services there are, and whose they are.
//!
//! Invariants:
//! - Services are those that the series of the last day name by one label: `service`, or `job` if none has that.
//! - Whose a service is says the first that knows: its objectives, its rules, its series. What has a template in it says
//!   nothing yet.
//! - Work is bounded by the services, and by the owners, that are looked at.

use std::collections::{BTreeMap, BTreeSet};

use crate::confidence::Inventory;
use crate::model::{Labels, MatchOp, Matcher, Millis, PatternError, TimeRange, Timestamp, limits};
use crate::rules::{Rule, RuleBrief};
use crate::slo::Objective;
use crate::storage::Snapshot;

use super::ingest::Inner;

/// The names of our own metrics.
pub(super) const OWN: &str = "evenkeel_.+";
/// Owners that are looked at, of each label that may name them: what has more values than that names no teams.
const OWNERS_MAX: usize = 200;

/// The owners of each service.
type Owners = BTreeMap<String, BTreeSet<String>>;

impl Inner {
    /// What is known of services: by their series, and by what speaks for them.
    pub(super) fn inventory(&self, now: Timestamp) -> Inventory {
        let day = TimeRange { after: now - Millis::days(1), until: now };
        let snapshot = self.store.snapshot();
        let label = service_label(&snapshot, day);
        let mut found = snapshot.label_values(label, &[], day).unwrap_or_default();
        found.truncate(limits::COVERAGE_SERVICES_MAX);
        let mut owners = Owners::new();
        for source in [self.owners_told(), owners_of_series(&snapshot, label, day)] {
            for (service, own) in source {
                owners.entry(service).or_insert(own);
            }
        }
        Inventory { found, owners }
    }

    /// The owners that objectives name, and of services without these those that rules name.
    fn owners_told(&self) -> Owners {
        let core = self.core.lock();
        let mut owners = Owners::new();
        for objective in core.objectives.definitions() {
            if let Some(owner) = owner_of_objective(objective) {
                owners.entry(objective.service.clone()).or_default().insert(owner.to_owned());
            }
        }
        let mut of_rules = Owners::new();
        for rule in core.evaluator.briefs() {
            if let Some((service, owner)) = owner_of_rule(&rule) {
                of_rules.entry(service).or_default().insert(owner);
            }
        }
        for (service, own) in of_rules {
            owners.entry(service).or_insert(own);
        }
        owners
    }
}

/// The label that names services. What our own metrics name is known by itself, and must not keep jobs from being found.
fn service_label(snapshot: &Snapshot, day: TimeRange) -> &'static str {
    let foreign = [Matcher::new("service", MatchOp::NotEqual, ""), not_own()];
    let [Ok(named), Ok(not_own)] = foreign else { return "service" };
    let are_named = snapshot.has_series(&[named, not_own], day).unwrap_or(true);
    if are_named { "service" } else { "job" }
}

fn not_own() -> Result<Matcher, PatternError> {
    Matcher::new(Labels::METRIC_NAME, MatchOp::NotMatch, OWN)
}

/// The owners that series name in the labels beside that of their service.
fn owners_of_series(snapshot: &Snapshot, service_label: &str, day: TimeRange) -> Owners {
    let mut owners = Owners::new();
    for name in Labels::OWNER_NAMES {
        let mut of_name = Owners::new();
        let values = snapshot.label_values(name, &[], day).unwrap_or_default();
        for owner in values.into_iter().filter(|owner| !owner.is_empty()).take(OWNERS_MAX) {
            let services = snapshot.label_values(service_label, &[Matcher::equal(name, &owner)], day);
            for service in services.unwrap_or_default() {
                of_name.entry(service).or_default().insert(owner.clone());
            }
        }
        for (service, own) in of_name {
            owners.entry(service).or_insert(own);
        }
    }
    owners
}

fn owner_of_objective(objective: &Objective) -> Option<&str> {
    let Objective { labels, page_labels, ticket_labels, annotations, .. } = objective;
    let all = [labels, page_labels, ticket_labels, annotations].into_iter().flat_map(Labels::iter);
    owner(&all.map(|label| (label.name, label.value)).collect::<Vec<_>>())
}

/// The owner that an alerting rule names, with the service for which it speaks.
fn owner_of_rule(brief: &RuleBrief<'_>) -> Option<(String, String)> {
    let Rule::Alerting(rule) = brief.rule else { return None };
    let pairs = rule.labels.iter().chain(&rule.annotations).map(|(name, value)| (name.as_str(), value.as_str()));
    let of_group = brief.group.labels.iter().map(|label| (label.name, label.value));
    let (_, service) = rule.labels.iter().find(|(name, _)| name == "service")?;
    Some((service.clone(), owner(&pairs.chain(of_group).collect::<Vec<_>>())?.to_owned()))
}

/// The owner that one of these labels and annotations names.
fn owner<'a>(pairs: &[(&'a str, &'a str)]) -> Option<&'a str> {
    let plain = |name: &str| pairs.iter().find(|(of, value)| *of == name && !value.is_empty() && !value.contains("{{"));
    Labels::OWNER_NAMES.into_iter().find_map(plain).map(|(_, value)| *value)
}
