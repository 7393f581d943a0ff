//! Everything that is known now, as one word with its reasons.

use std::borrow::Borrow;
use std::hash::Hasher;
use std::ops::ControlFlow;
use std::sync::Arc;

use crate::confidence::{
    self, BlindSpot, Coverage, CriticalGap, Customers, Evidence, Factor, GroupHealth, HeldWords, JobHealth, Judgement,
    Outline, ProgramHealth, Reason, ReceiverHealth, RuleHealth, RuleInfo, StorageHealth, Verdict, blind_spots,
    coverage, customers, factors, held_words, is_fine, judge, outline,
};
use crate::model::{
    Alert, Labels, Matcher, Millis, TimeRange, Timestamp, Transition, TransitionId, TransitionKind, is_stale, limits,
};
use crate::notify::ReceiverStatus;
use crate::promql::StartTimestamps;
use crate::rules::{Rule, RuleBrief};
use crate::slo::{BurnHistory, Change, ObjectiveStatus, WhatIf, WhatIfError, what_if};
use crate::storage::{Health, StoreStatus};

use super::Db;
use super::core::{Basis, Core, hand_over};
use super::deploys::Deploy;
use super::ingest::Inner;
use super::inventory::{Watched, certain_labels, page_labels};
use super::source::LiveSource;

/// How long coverage is taken for recent.
const COVERAGE_HOLDS: Millis = Millis::minutes(1);

/// How long the words are taken for recent: the record looks for them as often.
const WORDS_HOLD: Millis = Millis::seconds(2);

/// The words for everything.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Words {
    pub(super) overall: Verdict,
    /// For each service, the worst first.
    pub(super) services: Vec<(String, Verdict)>,
}

/// The words, when they were last looked for.
#[derive(Debug, Default)]
pub(super) struct RecentWords {
    /// Nothing once an alert has changed since.
    found: Option<(Timestamp, Words)>,
    /// How often alerts have changed: who looked meanwhile may not have seen it.
    changes: u64,
}

/// How far the words can be trusted, when that was last looked at.
#[derive(Debug, Clone)]
pub(super) struct Trust {
    pub(super) coverage: Coverage,
    pub(super) factors: [Factor; 3],
    pub(super) customers: Customers,
}

impl Words {
    fn of(outline: Outline) -> Words {
        Words { overall: outline.overall, services: outline.services }
    }
}

impl Db {
    /// How customers are, by everything that is known now.
    pub fn judgement(&self) -> Judgement {
        self.inner.judgement()
    }

    /// The same with what its certainty is made of, and whom it hurts; its coverage may be a minute old.
    pub fn judgement_in_full(&self) -> (Judgement, [Factor; 3], Customers) {
        let known = self.inner.known();
        let evidence = known.evidence();
        let factors = factors(&evidence, &self.inner.recent_trust(known.now, || &known).coverage);
        (judge(&evidence), factors, customers(&evidence))
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

    /// For how long each word held within a span, as it was known then.
    pub fn held_words(&self, range: TimeRange) -> HeldWords {
        held_words(&self.judgements(range, usize::MAX), range)
    }

    /// What each service that is known has and lacks for somebody to be told of its failures.
    pub fn coverage(&self) -> Coverage {
        self.inner.coverage_of(&self.inner.known())
    }

    /// Everything that nobody would be told of, with what would help.
    pub fn blind_spots(&self) -> Vec<BlindSpot> {
        let mut known = self.inner.known();
        self.inner.find_unrouted(&mut known.groups);
        let evidence = known.evidence();
        let unwatched = self.unwatched_errors(known.now);
        blind_spots(&evidence, &judge(&evidence), &self.inner.coverage_of(&known), &unwatched)
    }

    /// The course of an objective's burn rate and budget; absent if there is no such objective.
    pub fn burn_history(&self, service: &str, objective: &str, range: TimeRange, points: usize) -> Option<BurnHistory> {
        self.inner.core.lock().objectives.burn_history(service, objective, range, points)
    }

    /// How an objective would stand, and what it would have alerted, as it is and with a change: both played over what is
    /// stored. Objectives that run are not touched.
    ///
    /// # Errors
    /// There is no such objective, the change cannot be kept, or the history cannot be read.
    pub fn what_if(&self, service: &str, objective: &str, change: &Change) -> Result<[WhatIf; 2], WhatIfError> {
        let (defined, parts) = {
            let core = self.inner.core.lock();
            let defined = core.objectives.definition(service, objective).cloned();
            let defined = defined.ok_or_else(|| WhatIfError::Unknown(format!("{service}/{objective}")))?;
            let parts = core.objectives.definitions_of_parts(&defined);
            (defined, parts)
        };
        // A view that writers do not wait for.
        let view = LiveSource::now(&self.inner.store, StartTimestamps::Ignored).view();
        let now = self.inner.now();
        Ok([what_if(&defined, &parts, now, &view)?, what_if(&change.of(&defined), &parts, now, &view)?])
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
        let (now, changes) = (self.now(), self.words.lock().changes);
        let outline = self.outline(now);
        let is_news = self.verdicts.lock().is_news(&outline);
        self.tell_blindness(now, &outline.reasons);
        let mut recent = self.words.lock();
        if recent.changes == changes {
            recent.found = Some((now, Words::of(outline)));
        }
        drop(recent);
        match is_news {
            true => {
                let judgement = self.judgement();
                self.verdicts.lock().note(&judgement);
            }
            false => self.verdicts.lock().write(),
        }
    }

    /// Has somebody told of what is not seen any more, and of its end.
    fn tell_blindness(&self, now: Timestamp, reasons: &[Reason]) {
        let mut core = self.core.lock();
        let changes = core.blindness.observe(now, reasons);
        // No other decision is handed over meanwhile: these are behind the last one.
        let seq = self.notifier.position();
        let transition = |(kind, alert): (TransitionKind, Alert)| {
            let mut hash = siphasher::sip::SipHasher13::new();
            hash.write(format!("blind {} {kind:?} {}", alert.labels.as_text(), now.0).as_bytes());
            Transition { id: TransitionId { seq, key: hash.finish() }, kind, at: now, alert }
        };
        hand_over(self, &changes.into_iter().map(transition).collect::<Vec<_>>(), Basis::Present);
    }

    /// The words for everything, which were looked for at most [`WORDS_HOLD`] ago.
    pub(super) fn recent_words(&self, now: Timestamp) -> Words {
        let found = self.words.lock().found.clone();
        let recent = found.filter(|(at, _)| (Millis::ZERO..WORDS_HOLD).contains(&(now - *at)));
        // Whoever decides holds the core and forgets the words: nobody looks for new ones with their lock.
        recent.map_or_else(|| Words::of(self.outline(now)), |(_, words)| words)
    }

    /// Lets nobody take the words that were found before for recent.
    pub(super) fn forget_words(&self) {
        let mut recent = self.words.lock();
        (recent.found, recent.changes) = (None, recent.changes + 1);
    }

    /// The words for everything and what argues for them. Of thousands of objectives nearly all are fine, and of those
    /// nothing is needed but that.
    fn outline(&self, now: Timestamp) -> Outline {
        let mut fine: Vec<String> = Vec::new();
        let unwell = |core: &Core| {
            core.objectives.statuses_of(now, &mut |standing| {
                let is_fine = is_fine(standing, self.started_at);
                // Those of one service mostly stand together; twice does no harm.
                if is_fine && fine.last().is_none_or(|last| last != standing.service) {
                    fine.push(standing.service.to_owned());
                }
                !is_fine
            })
        };
        let known = self.known_of(now, unwell);
        outline(&known.evidence(), fine.iter().map(String::as_str))
    }

    fn judgement(&self) -> Judgement {
        judge(&self.known().evidence())
    }

    /// Everything that is known now.
    pub(super) fn known(&self) -> Known {
        let now = self.now();
        self.known_of(now, |core| core.objectives.statuses(now))
    }

    /// The same with other objectives than all.
    fn known_of(&self, now: Timestamp, objectives: impl FnOnce(&Core) -> Vec<ObjectiveStatus>) -> Known {
        let critical = self.critical(now);
        let (objectives, alerts, groups, deploys, (log, due), watched) = {
            let core = self.core.lock();
            let groups = group_healths(&core);
            let time = (core.at, core.next_deadline());
            let watched = Watched::of(&core, &groups, &critical);
            (objectives(&core), core.evaluator.alerts(), groups, core.deploys.list(), time, watched)
        };
        let program = self.program.health(now, Millis(self.clock.set_by_ms()), log, due);
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
            groups,
            receivers,
            jobs: self.jobs(now),
            storage: storage_health(self.store.status()),
            program,
            deploys: deploys.into_iter().map(deploy).collect(),
            critical: self.critical_gaps(now, critical, &watched),
        }
    }

    /// Marks the rules that page and whose alerts no route leads to anybody.
    fn find_unrouted(&self, groups: &mut [GroupHealth]) {
        let labels: Vec<Labels> = self.core.lock().evaluator.briefs().map(|brief| certain_labels(brief.rule)).collect();
        let rules = groups.iter_mut().flat_map(|group| &mut group.rules);
        for (rule, labels) in rules.zip(labels).filter(|(rule, _)| rule.about.pages) {
            rule.unrouted = !self.notifier.can_reach(&labels);
        }
    }

    fn coverage_of(&self, known: &Known) -> Coverage {
        let pages = page_labels(&self.core.lock(), &known.groups, |_| true);
        let told = |service: &str| match pages.get(service) {
            Some(pages) => pages.iter().flat_map(|labels| self.notifier.receivers_of(labels)).collect(),
            None => any_page(service).map_or_else(Vec::new, |labels| self.notifier.receivers_of(&labels)),
        };
        coverage(&known.evidence(), &self.inventory(known.now), told)
    }

    /// The coverage of at most a minute ago, with what follows from it: with many series it takes longer than to judge.
    pub(super) fn recent_trust<K: Borrow<Known>>(&self, now: Timestamp, known: impl FnOnce() -> K) -> Trust {
        let mut recent = self.trust.lock();
        let is_recent = |trust: &Trust| (Millis::ZERO..COVERAGE_HOLDS).contains(&(now - trust.coverage.at));
        if let Some(trust) = recent.as_ref().filter(|trust| is_recent(trust)) {
            return trust.clone();
        }
        let known = known();
        let (known, evidence) = (known.borrow(), known.borrow().evidence());
        let coverage = self.coverage_of(known);
        let trust = Trust { factors: factors(&evidence, &coverage), customers: customers(&evidence), coverage };
        recent.insert(trust).clone()
    }

    /// How many targets of each scrape job answer, by the series `up`.
    fn jobs(&self, now: Timestamp) -> Vec<JobHealth> {
        let matchers = [Matcher::equal(Labels::METRIC_NAME, "up")];
        let range = TimeRange { after: now - limits::LOOKBACK, until: now };
        let snapshot = self.store.snapshot();
        let Ok(targets) = snapshot.find(&matchers, range) else { return Vec::new() };
        let (job_of, names) = targets.groups(|name| name == "job");
        let of_name = |labels: &Labels| JobHealth { job: labels.get("job").to_owned(), ..JobHealth::default() };
        let mut jobs: Vec<JobHealth> = names.iter().map(of_name).collect();
        let read = targets.read(&mut std::iter::once(0..targets.len()), &mut |at, samples, _| {
            let Some(last) = samples.last().filter(|last| !is_stale(last.v)) else { return ControlFlow::Continue(()) };
            let job = &mut jobs[job_of[at] as usize];
            job.targets += 1;
            if last.v == 0.0 {
                let since = samples.iter().rev().take_while(|sample| sample.v == 0.0).last();
                job.down.push((targets.labels(at).get("instance").to_owned(), since.map_or(now, |sample| sample.t)));
            }
            ControlFlow::Continue(())
        });
        if let Err(error) = read {
            tracing::warn!("the targets of scrape jobs cannot be read: {error}");
            return Vec::new();
        }
        jobs.retain(|job| job.targets > 0);
        jobs.sort_by(|a, b| a.job.cmp(&b.job));
        jobs.iter_mut().for_each(|job| job.down.sort());
        jobs
    }
}

/// What a judgement rests on.
pub(super) struct Known {
    pub(super) now: Timestamp,
    started_at: Timestamp,
    pub(super) objectives: Vec<ObjectiveStatus>,
    alerts: Vec<Alert>,
    groups: Vec<GroupHealth>,
    receivers: Vec<ReceiverHealth>,
    jobs: Vec<JobHealth>,
    storage: StorageHealth,
    program: ProgramHealth,
    deploys: Vec<confidence::Deploy>,
    critical: Vec<CriticalGap>,
}

impl Known {
    pub(super) fn evidence(&self) -> Evidence<'_> {
        Evidence {
            now: self.now,
            started_at: self.started_at,
            objectives: &self.objectives,
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

/// All rules in their groups. Writers wait meanwhile, so nothing is taken but what judging needs.
fn group_healths(core: &Core) -> Vec<GroupHealth> {
    let mut groups: Vec<GroupHealth> = Vec::new();
    for (about, rule) in core.rule_infos.iter().zip(core.evaluator.briefs()) {
        let (name, file) = (&rule.group.name, &rule.group.file);
        if groups.last().is_none_or(|last| (&last.name, &last.file) != (name, file)) {
            groups.push(GroupHealth { name: name.clone(), file: file.clone(), rules: Vec::new() });
        }
        if let Some(group) = groups.last_mut() {
            group.rules.push(RuleHealth {
                about: Arc::clone(about),
                unrouted: false,
                failing_since: rule.error.map(|_| rule.last_evaluation),
                error: rule.error.map(str::to_owned),
                unmatched: rule.is_blind,
            });
        }
    }
    groups
}

/// What a rule is, whatever happens.
pub(super) fn rule_info(brief: RuleBrief<'_>) -> RuleInfo {
    let (labels, pages) = match brief.rule {
        Rule::Alerting(rule) => (&rule.labels, true),
        Rule::Recording(rule) => (&rule.labels, false),
    };
    let label = |wanted: &str| labels.iter().find(|(name, _)| name == wanted).map(|(_, value)| value.as_str());
    let pages = pages && matches!(label("severity"), Some("page" | "critical"));
    RuleInfo {
        name: brief.rule.name().to_owned(),
        service: label("service").map(str::to_owned),
        pages,
        query: brief.expr.to_owned(),
    }
}

/// The labels of a page of a service that has none yet.
fn any_page(service: &str) -> Option<Labels> {
    Labels::new([("alertname", "ErrorBudgetBurn"), ("service", service), ("severity", "page")]).ok()
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
