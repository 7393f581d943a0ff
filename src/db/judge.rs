//! Everything that is known now, as one word with its reasons.

use std::collections::BTreeMap;

use crate::confidence::{
    self, BlindSpot, Coverage, Evidence, GroupHealth, JobHealth, Judgement, ReceiverHealth, RuleHealth, StorageHealth,
    blind_spots, coverage, judge,
};
use crate::model::{Alert, Labels, Matcher, Millis, TimeRange, Timestamp, is_stale, limits};
use crate::notify::ReceiverStatus;
use crate::rules::{self, GroupStatus, RuleKind, RuleStatus};
use crate::slo::{BurnHistory, ObjectiveStatus};
use crate::storage::{Health, StoreStatus, StoredSeries};

use super::Db;
use super::deploys::Deploy;
use super::ingest::Inner;

impl Db {
    /// How customers are, by everything that is known now.
    pub fn judgement(&self) -> Judgement {
        self.inner.judgement()
    }

    /// How customers were at an instant, as it was known then: what was learned later changes nothing. It is looked at
    /// every two seconds, or with each [`Db::step`]. Absent if nothing was recorded by then, or not any more.
    pub fn judgement_at(&self, at: Timestamp) -> Option<Judgement> {
        self.inner.verdicts.lock().at(at)
    }

    /// The judgements within a span, one for each change, oldest first, the newest `most` of them; the one that held
    /// at its beginning comes before them.
    pub fn judgements(&self, range: TimeRange, most: usize) -> Vec<Judgement> {
        self.inner.verdicts.lock().within(range, most)
    }

    /// What each service that is known has and lacks for somebody to be told of its failures.
    pub fn coverage(&self) -> Coverage {
        self.inner.coverage_of(&self.inner.known())
    }

    /// Everything that nobody would be told of, with what would help.
    pub fn blind_spots(&self) -> Vec<BlindSpot> {
        let known = self.inner.known();
        let evidence = known.evidence();
        blind_spots(&evidence, &judge(&evidence), &self.inner.coverage_of(&known))
    }

    /// The course of an objective's burn rate and budget; absent if there is no such objective.
    pub fn burn_history(&self, service: &str, objective: &str, range: TimeRange, points: usize) -> Option<BurnHistory> {
        self.inner.core.lock().objectives.burn_history(service, objective, range, points)
    }

    /// The same of one of its groups.
    pub fn burn_history_of_group(
        &self,
        service: &str,
        objective: &str,
        group: &Labels,
        range: TimeRange,
        points: usize,
    ) -> Option<BurnHistory> {
        self.inner.core.lock().objectives.burn_history_of_group(service, objective, group, range, points)
    }
}

impl Inner {
    /// Records what is known now, if it is something else than before.
    pub(super) fn note_verdict(&self) {
        let judgement = self.judgement();
        self.verdicts.lock().note(&judgement);
    }

    fn judgement(&self) -> Judgement {
        judge(&self.known().evidence())
    }

    /// Everything that is known now.
    fn known(&self) -> Known {
        let now = self.now();
        let (objectives, alerts, groups, deploys) = {
            let core = self.core.lock();
            (core.objectives.statuses(now), core.evaluator.alerts(), core.evaluator.groups(), core.deploys.list())
        };
        let notify = self.notifier.status();
        let mut receivers: Vec<_> = notify.receivers.into_iter().map(receiver_health).collect();
        if let Some(error) = notify.disk_error {
            receivers.push(ReceiverHealth {
                name: "outbox".to_owned(),
                failing_since: Some(now),
                last_error: Some(error),
                ..ReceiverHealth::default()
            });
        }
        let deploy =
            |deploy: Deploy| confidence::Deploy { service: deploy.service, version: deploy.version, at: deploy.at };
        Known {
            now,
            started_at: self.started_at,
            objectives,
            alerts,
            groups: groups.into_iter().map(group_health).collect(),
            receivers,
            jobs: self.jobs(now),
            storage: storage_health(self.store.status()),
            deploys: deploys.into_iter().map(deploy).collect(),
        }
    }

    fn coverage_of(&self, known: &Known) -> Coverage {
        // What a page of an objective carries at least; routes see no more of it beforehand.
        let told = |service: &str| {
            let labels = [("alertname", "ErrorBudgetBurn"), ("service", service), ("severity", "page")];
            Labels::new(labels).map_or_else(|_| Vec::new(), |labels| self.notifier.receivers_of(&labels))
        };
        coverage(&known.evidence(), self.services(known.now), told)
    }

    /// The services that stored series of the last day name: by the label `service`, or if none has it by `job`.
    fn services(&self, now: Timestamp) -> Vec<String> {
        let day = TimeRange { after: now - Millis::days(1), until: now };
        let snapshot = self.store.snapshot();
        let values = |name| {
            let mut values = snapshot.label_values(name, &[], day).unwrap_or_default();
            values.truncate(limits::COVERAGE_SERVICES_MAX);
            values
        };
        let services = values("service");
        if services.is_empty() { values("job") } else { services }
    }

    /// How many targets of each scrape job answer, by the series `up`.
    fn jobs(&self, now: Timestamp) -> Vec<JobHealth> {
        let matchers = [Matcher::equal(Labels::METRIC_NAME, "up")];
        let range = TimeRange { after: now - limits::LOOKBACK, until: now };
        let series = self.store.snapshot().select(&matchers, range, limits::QUERY_SAMPLES_MAX);
        let mut jobs: BTreeMap<String, JobHealth> = BTreeMap::new();
        for StoredSeries { labels, samples, .. } in series.unwrap_or_default() {
            let Some(last) = samples.last().filter(|last| !is_stale(last.v)) else { continue };
            let name = labels.get("job").to_owned();
            let job = jobs.entry(name.clone()).or_insert_with(|| JobHealth { job: name, ..JobHealth::default() });
            job.targets += 1;
            if last.v == 0.0 {
                let since = samples.iter().rev().take_while(|sample| sample.v == 0.0).last();
                job.down.push((labels.get("instance").to_owned(), since.map_or(now, |sample| sample.t)));
            }
        }
        jobs.into_values().collect()
    }
}

/// What a judgement rests on.
struct Known {
    now: Timestamp,
    started_at: Timestamp,
    objectives: Vec<ObjectiveStatus>,
    alerts: Vec<Alert>,
    groups: Vec<GroupHealth>,
    receivers: Vec<ReceiverHealth>,
    jobs: Vec<JobHealth>,
    storage: StorageHealth,
    deploys: Vec<confidence::Deploy>,
}

impl Known {
    fn evidence(&self) -> Evidence<'_> {
        Evidence {
            now: self.now,
            started_at: self.started_at,
            objectives: &self.objectives,
            alerts: &self.alerts,
            groups: &self.groups,
            receivers: &self.receivers,
            jobs: &self.jobs,
            storage: &self.storage,
            deploys: &self.deploys,
        }
    }
}

fn group_health(group: GroupStatus) -> GroupHealth {
    GroupHealth { name: group.name, file: group.file, rules: group.rules.into_iter().map(rule_health).collect() }
}

fn rule_health(rule: RuleStatus) -> RuleHealth {
    let label = |wanted: &str| rule.labels.iter().find(|(name, _)| name == wanted).map(|(_, value)| value.clone());
    let (service, severity) = (label("service"), label("severity"));
    RuleHealth {
        name: rule.name,
        service,
        pages: rule.kind == RuleKind::Alerting && matches!(severity.as_deref(), Some("page" | "critical")),
        query: rule.expr.clone(),
        failing_since: matches!(rule.health, rules::Health::Err(_)).then_some(rule.last_evaluation),
        error: match rule.health {
            rules::Health::Err(error) => Some(error),
            rules::Health::Ok | rules::Health::Unknown => None,
        },
        unmatched: rule.is_blind.then_some(rule.expr),
    }
}

fn receiver_health(receiver: ReceiverStatus) -> ReceiverHealth {
    ReceiverHealth {
        name: receiver.name,
        pending: receiver.pending as u64,
        last_success: receiver.last_success,
        failing_since: receiver.failing_since,
        last_error: receiver.last_error,
    }
}

fn storage_health(status: StoreStatus) -> StorageHealth {
    let since = status.unhealthy_since;
    match status.health {
        Health::Healthy => StorageHealth::Healthy,
        Health::ReadOnly { reason } => StorageHealth::ReadOnly { reason, since },
        Health::Poisoned { reason } => StorageHealth::Poisoned { reason, since },
    }
}
