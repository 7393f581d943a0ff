//! Which services there are, whose they are, and which must be covered.
//!
//! Invariants:
//! - Services are those that the series of the last day name by one label: `service`, or `job` if none has that.
//! - Critical are those that are declared, and those that the series of the last day name which satisfy what is asked of
//!   critical ones. For verdicts they are looked for once a minute: it takes longer than to judge.
//! - Whose a service is says the first that knows: its declaration, its objectives, its rules, its series. What has a
//!   template in it says nothing yet.
//! - Work is bounded by the services, and by the owners, that are looked at.

use std::collections::{BTreeMap, BTreeSet};

use crate::confidence::{CriticalGap, CriticalServices, GroupHealth, Inventory, Lacks, RuleHealth};
use crate::model::{Labels, MatchOp, Matcher, Millis, PatternError, TimeRange, Timestamp, limits};
use crate::rules::{AlertingRule, RecordingRule, Rule, RuleBrief};
use crate::slo::Objective;
use crate::storage::Snapshot;

use super::core::Core;
use super::ingest::Inner;
use super::versions::SERVICE_LABELS;

/// The names of our own metrics.
pub(super) const OWN: &str = "evenkeel_.+";
/// Owners that are looked at, of each label that may name them: what has more values than that names no teams.
const OWNERS_MAX: usize = 200;
/// How long the critical services that series name are taken for known.
const CRITICAL_HOLDS: Millis = Millis::minutes(1);

/// The owners of each service.
type Owners = BTreeMap<String, BTreeSet<String>>;

/// Which services are critical, and since when they lack what they must not.
#[derive(Debug, Default)]
pub(super) struct Critical {
    services: CriticalServices,
    /// Those that series name, when they were last looked for.
    found: Option<(Timestamp, BTreeSet<String>)>,
    lacking: BTreeMap<(String, Lacks), Timestamp>,
}

impl Critical {
    /// Takes others from now on.
    pub(super) fn reload(&mut self, services: CriticalServices) {
        if self.services != services {
            *self = Critical { services, ..Critical::default() };
        }
    }

    /// Each with what makes it critical, in words.
    fn all(&self) -> BTreeMap<String, String> {
        let matchers = self.services.matchers_text();
        let found = self.found.iter().flat_map(|(_, found)| found);
        let by_series = found.map(|name| (name.clone(), format!("its series have {matchers}")));
        let declared = self.services.declared.iter();
        let by_name =
            declared.map(|service| (service.name.clone(), "it is declared in the section coverage".to_owned()));
        by_series.chain(by_name).collect()
    }
}

/// What critical services have of what they need, as far as rules and objectives are concerned.
#[derive(Debug, Default)]
pub(super) struct Watched {
    objectives: BTreeSet<String>,
    pages: BTreeMap<String, Vec<Labels>>,
}

impl Watched {
    /// Of these services.
    pub(super) fn of(core: &Core, groups: &[GroupHealth], services: &BTreeMap<String, String>) -> Watched {
        if services.is_empty() {
            return Watched::default();
        }
        let is_one = |service: &str| services.contains_key(service);
        let named = core.objectives.definitions().map(|objective| &objective.service);
        Watched {
            objectives: named.filter(|service| is_one(service)).cloned().collect(),
            pages: page_labels(core, groups, is_one),
        }
    }
}

impl Inner {
    /// The critical services with what makes them so.
    pub(super) fn critical(&self, now: Timestamp) -> BTreeMap<String, String> {
        let mut critical = self.critical.lock();
        let is_recent = |at: Timestamp| (Millis::ZERO..CRITICAL_HOLDS).contains(&(now - at));
        if !critical.services.matchers.is_empty() && !critical.found.as_ref().is_some_and(|(at, _)| is_recent(*at)) {
            self.look_for_critical(&mut critical, now);
        }
        critical.all()
    }

    /// What these services lack so that nobody would see or hear of their failures.
    pub(super) fn critical_gaps(
        &self,
        now: Timestamp,
        services: BTreeMap<String, String>,
        watched: &Watched,
    ) -> Vec<CriticalGap> {
        let mut gaps = Vec::new();
        for (service, because) in services {
            let mut lacking = Vec::new();
            if !watched.objectives.contains(&service) {
                lacking.push(Lacks::Objective);
            }
            match watched.pages.get(&service) {
                None => lacking.push(Lacks::Page),
                Some(pages) if pages.iter().all(|labels| self.notifier.receivers_of(labels).is_empty()) => {
                    lacking.push(Lacks::Route);
                }
                Some(_) => {}
            }
            gaps.extend(lacking.into_iter().map(|lacks| (service.clone(), lacks, because.clone())));
        }
        let mut critical = self.critical.lock();
        let known = std::mem::take(&mut critical.lacking);
        let gap = |(service, lacks, because): (String, Lacks, String)| {
            let since = known.get(&(service.clone(), lacks)).copied().unwrap_or(now);
            critical.lacking.insert((service.clone(), lacks), since);
            CriticalGap { service, lacks, because, since }
        };
        gaps.into_iter().map(gap).collect()
    }

    /// Looks for the services of series that satisfy what is asked of critical ones: by the first label of each that
    /// names one.
    fn look_for_critical(&self, critical: &mut Critical, now: Timestamp) {
        let day = TimeRange { after: now - Millis::days(1), until: now };
        let snapshot = self.store.snapshot();
        let mut matchers = critical.services.matchers.clone();
        matchers.extend(not_own());
        let mut found = BTreeSet::new();
        for label in SERVICE_LABELS {
            match snapshot.label_values(label, &matchers, day) {
                Ok(values) => found.extend(values.into_iter().filter(|value| !value.is_empty())),
                Err(error) => {
                    tracing::warn!("critical services are not looked for, those known before stay so: {error}");
                    found = critical.found.take().map(|(_, found)| found).unwrap_or_default();
                    break;
                }
            }
            matchers.push(Matcher::equal(label, ""));
        }
        critical.found = Some((now, found.into_iter().take(limits::COVERAGE_SERVICES_MAX).collect()));
    }

    /// What is known of services: by their series, and by what speaks for them.
    pub(super) fn inventory(&self, now: Timestamp) -> Inventory {
        let day = TimeRange { after: now - Millis::days(1), until: now };
        let snapshot = self.store.snapshot();
        let label = service_label(&snapshot, day);
        let mut found = snapshot.label_values(label, &[], day).unwrap_or_default();
        found.truncate(limits::COVERAGE_SERVICES_MAX);
        let mut inventory = Inventory { found, ..Inventory::default() };
        let mut declared = Owners::new();
        {
            let mut critical = self.critical.lock();
            let services = &critical.services;
            for service in &services.declared {
                declared.extend(service.owner.iter().map(|owner| (service.name.clone(), [owner.clone()].into())));
            }
            let (is_empty, asks) = (services.is_empty(), !services.matchers.is_empty());
            if asks {
                self.look_for_critical(&mut critical, now);
            }
            inventory.critical = (!is_empty).then(|| critical.all().into_keys().collect());
            let none = asks && critical.found.as_ref().is_some_and(|(_, found)| found.is_empty());
            inventory.unmatched = none.then(|| critical.services.matchers_text());
        }
        for source in [declared, self.owners_told(), owners_of_series(&snapshot, label, day)] {
            for (service, own) in source {
                inventory.owners.entry(service).or_insert(own);
            }
        }
        inventory
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

/// The labels of the pages that each of these services can raise, as far as they are known beforehand.
pub(super) fn page_labels(
    core: &Core,
    groups: &[GroupHealth],
    wanted: impl Fn(&str) -> bool,
) -> BTreeMap<String, Vec<Labels>> {
    let rules = groups.iter().flat_map(|group| &group.rules).zip(core.evaluator.briefs());
    let of_wanted = |rule: &RuleHealth| rule.about.service.as_ref().is_some_and(|service| wanted(service));
    let rules = rules.filter(|(rule, _)| rule.can_page() && of_wanted(rule));
    let rules = rules.map(|(_, brief)| certain_labels(brief.rule)).collect::<Vec<_>>();
    let mut pages: BTreeMap<String, Vec<Labels>> = BTreeMap::new();
    for labels in core.objectives.page_labels(&wanted).into_iter().chain(rules) {
        pages.entry(labels.get("service").to_owned()).or_default().push(labels);
    }
    pages
}

/// The labels that every alert of a rule has: what is written without a template.
pub(super) fn certain_labels(rule: &Rule) -> Labels {
    let (Rule::Alerting(AlertingRule { labels, .. }) | Rule::Recording(RecordingRule { labels, .. })) = rule;
    let name = rule.name();
    let plain = labels.iter().filter(|(_, value)| !value.contains("{{"));
    let pairs = plain.map(|(name, value)| (name.as_str(), value.as_str()));
    Labels::new(pairs.chain([("alertname", name)])).unwrap_or_else(|_| Labels::empty())
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
