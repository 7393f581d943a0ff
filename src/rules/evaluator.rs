//! All rules over one stream of transactions and ticks.
//!
//! Invariants:
//! - What it decides depends on the groups and on the log's prefix alone.
//! - Between two log entries every deadline is worked off at its own instant, in order. Only
//!   after a pause longer than `RULE_LATE_MAX`, when nobody was watching, it goes on at the
//!   present at once.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use crate::model::{Batch, Committed, Labels, Seq, SeriesRef, Timestamp, Transition, limits};
use crate::promql::{ElementValue, SeriesSource, SourceError, StartTimestamps};

use super::alert_series::AlertSeries;
use super::alerting::{AlertRule, Moment};
use super::audit::Auditor;
use super::cascade;
use super::entry::{Entry, Kind, write_told};
use super::evaluations::{Counted, Evaluation, Evaluations, Stopwatch, Timing};
use super::foretold::Foretold;
use super::format::{self, RestoreError, SavedRule};
use super::graph::Graph;
use super::interval::{RecordRule, instant, query_of};
use super::overlay::Overlay;
use super::plan::plan;
use super::rule::{EvaluationMode, Rule, RuleContext, RuleError, RuleGroup, check};
use super::slots::{slot_after, slot_at};
use super::timers::{Target, Timers, earliest};

/// Evaluates rules as samples arrive.
#[derive(Debug)]
pub struct Evaluator {
    pub(super) groups: Vec<Group>,
    pub(super) rules: Vec<Entry>,
    pub(super) context: RuleContext,
    pub(super) graph: Graph,
    /// The rules that read a node.
    roots: HashMap<usize, Vec<usize>>,
    /// The rules to which the values of a leaf's samples matter.
    by_value: HashMap<usize, Vec<usize>>,
    pub(super) timers: Timers,
    pub(super) now: Timestamp,
    /// Rules to be compared with their whole result at the next entry.
    resync: BTreeSet<usize>,
    /// Rules that a reload took away, until their alerts are ended.
    leaving: Vec<Entry>,
    pub(super) auditor: Auditor,
    timing: Timing,
    /// How many instants of groups had passed before they were evaluated.
    pub(super) missed: u64,
}

/// What an entry of the log led to.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Outcome {
    /// Changes of alerts, in the order of time.
    pub transitions: Vec<Transition>,
    /// What recording rules made; to be stored as a transaction of its own.
    pub derived: Batch,
}

/// Where a rule stands among all groups.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct RulePlace {
    /// The number of its group.
    pub group: usize,
    /// Its number in the group.
    pub rule: usize,
}

/// A group under way.
#[derive(Debug)]
pub(super) struct Group {
    pub(super) def: RuleGroup,
    pub(super) rules: Vec<usize>,
    armed: Option<Timestamp>,
    pub(super) last_evaluation: Timestamp,
}

impl Evaluator {
    /// Checks the groups and makes ready to watch. [`seed`](Evaluator::seed) comes next.
    ///
    /// # Errors
    /// A rule cannot be used; the error names it.
    pub fn new(groups: Vec<RuleGroup>, context: RuleContext) -> Result<Evaluator, RuleError> {
        check(&groups)?;
        let refused = cascade::refused(&groups);
        let mut evaluator = Evaluator {
            groups: Vec::new(),
            rules: Vec::new(),
            context,
            graph: Graph::default(),
            roots: HashMap::new(),
            by_value: HashMap::new(),
            timers: Timers::default(),
            now: Timestamp::MIN,
            resync: BTreeSet::new(),
            leaving: Vec::new(),
            auditor: Auditor::default(),
            timing: Timing::default(),
            missed: 0,
        };
        let mut names = BTreeMap::new();
        for group in groups {
            let rules = group.rules.iter().map(|rule| {
                let count = names.entry((group.file.clone(), group.name.clone(), rule.name().to_owned())).or_insert(0);
                *count += 1;
                let key = format!("{}\u{0}{}\u{0}{}\u{0}{count}", group.file, group.name, rule.name());
                let refused = refused.contains(&evaluator.rules.len()).then_some(cascade::REASON);
                evaluator.add(&group, rule, key, refused)
            });
            let rules = rules.collect();
            evaluator.groups.push(Group { def: group, rules, armed: None, last_evaluation: Timestamp::MIN });
        }
        Ok(evaluator)
    }

    fn add(&mut self, group: &RuleGroup, rule: &Rule, key: String, refused: Option<&str>) -> usize {
        let number = self.rules.len();
        let kind = match rule {
            Rule::Recording(def) => Kind::Record(RecordRule::new(def.clone(), key, group.labels.clone(), group.limit)),
            Rule::Alerting(def) => {
                let rule = AlertRule::new(def.clone(), number as u32, key, group);
                let query = query_of(&def.expr);
                let planned = match (group.mode, refused) {
                    (EvaluationMode::Interval, _) => Err("its group decides at its interval alone".to_owned()),
                    (EvaluationMode::Ingest, Some(reason)) => Err(reason.to_owned()),
                    (EvaluationMode::Ingest, None) => {
                        plan(&mut self.graph, &def.expr, group.query_offset).map_err(|reason| reason.to_string())
                    }
                };
                match planned {
                    Ok(plan) => {
                        self.roots.entry(plan.node).or_default().push(number);
                        for leaf in &plan.by_value {
                            self.by_value.entry(*leaf).or_default().push(number);
                        }
                        Kind::Followed { rule, plan, query, carrying: None }
                    }
                    Err(reason) => Kind::Polled { rule, query, reason, foretold: Foretold::default() },
                }
            }
        };
        self.rules.push(Entry {
            kind,
            group: self.groups.len(),
            query_offset: group.query_offset,
            last_evaluation: None,
            evaluations: Evaluations::default(),
        });
        number
    }

    /// Fills the windows from stored history as of `at`, which must be the time of the last log
    /// entry that `source` holds.
    ///
    /// # Errors
    /// The history cannot be read.
    pub fn seed(&mut self, at: Timestamp, source: &dyn SeriesSource) -> Result<(), SourceError> {
        self.now = at;
        self.graph.seed(at, source)?;
        self.graph.propagate(at, &mut self.timers);
        self.graph.settle();
        // Those that turn now are evaluated at their interval, as they would be had they turned before.
        self.turn();
        self.resync = (0..self.rules.len()).filter(|at| self.rules[*at].kind.is_followed()).collect();
        for number in 0..self.groups.len() {
            self.arm_group(number);
        }
        Ok(())
    }

    /// Takes over the alerts that [`save`](Evaluator::save) wrote, for the rules that are still
    /// there.
    ///
    /// # Errors
    /// The bytes are not a saved state, or damaged; nothing is taken over.
    pub fn restore(&mut self, bytes: &[u8]) -> Result<(), RestoreError> {
        let mut saved: HashMap<String, SavedRule> =
            format::read(bytes)?.into_iter().map(|rule| (rule.key.clone(), rule)).collect();
        for entry in &mut self.rules {
            match &mut entry.kind {
                Kind::Followed { rule, .. } | Kind::Polled { rule, .. } => {
                    if let Some(saved) = saved.remove(&rule.key) {
                        rule.error = saved.error;
                        rule.series = saved.series;
                        rule.instances = saved.instances;
                        let waiting = rule.instances.keys().filter(|labels| !saved.overdue.contains(*labels));
                        for labels in waiting.cloned().collect::<Vec<_>>() {
                            rule.rearm(&labels, &mut self.timers);
                        }
                    }
                }
                Kind::Record(rule) => {
                    if let Some(saved) = saved.remove(&rule.key) {
                        rule.outputs = saved.outputs;
                    }
                }
            }
        }
        (0..self.groups.len()).for_each(|group| self.arm_group(group));
        Ok(())
    }

    /// The state that stored samples do not hold: since when alerts are pending, firing or kept.
    pub fn save(&self) -> Vec<u8> {
        let rules = self.rules.iter().map(|entry| match &entry.kind {
            Kind::Followed { rule, .. } | Kind::Polled { rule, .. } => {
                let (key, instances, error) = (rule.key.clone(), rule.instances.clone(), rule.error.clone());
                let (outputs, series) = (BTreeSet::new(), rule.series.clone());
                SavedRule { key, instances, overdue: rule.overdue(), outputs, error, series }
            }
            Kind::Record(rule) => {
                let (key, outputs) = (rule.key.clone(), rule.outputs.clone());
                let (instances, overdue, series) = (BTreeMap::new(), BTreeSet::new(), AlertSeries::default());
                SavedRule { key, instances, overdue, outputs, error: None, series }
            }
        });
        format::write(&rules.collect::<Vec<_>>())
    }

    /// Replaces the groups. Rules that are still there, by file, group and name, keep their
    /// alerts; alerts of the others end with the next log entry. [`adopt`](Evaluator::adopt) comes
    /// next, with every series that the store has named.
    ///
    /// # Errors
    /// A rule cannot be used, or the history cannot be read: everything stays as it was.
    pub fn reload(
        &mut self,
        groups: Vec<RuleGroup>,
        context: RuleContext,
        source: &dyn SeriesSource,
    ) -> Result<(), ReloadError> {
        let mut next = Evaluator::new(groups, context)?;
        next.seed(self.now, source)?;
        next.restore(&self.save())?;
        let kept: BTreeSet<String> = next.rules.iter().map(|entry| entry.key().to_owned()).collect();
        next.leaving = std::mem::take(&mut self.leaving);
        next.timing = self.timing.clone();
        next.missed = self.missed;
        let mut evaluated: HashMap<String, _> = self
            .rules
            .iter_mut()
            .map(|entry| (entry.key().to_owned(), std::mem::take(&mut entry.evaluations)))
            .collect();
        for entry in &mut next.rules {
            entry.evaluations = evaluated.remove(entry.key()).unwrap_or_default();
        }
        next.leaving.extend(std::mem::take(&mut self.rules).into_iter().filter(|entry| !kept.contains(entry.key())));
        next.auditor = std::mem::take(&mut self.auditor);
        *self = next;
        Ok(())
    }

    /// Makes series known that the store named before these rules were there. Comes after
    /// [`seed`](Evaluator::seed).
    pub fn adopt(&mut self, series: impl IntoIterator<Item = (SeriesRef, Labels)>) {
        for (number, labels) in series {
            self.graph.bind(number, &labels);
        }
    }

    /// Forgets the numbers of series that the store has retired.
    pub fn retire(&mut self, series: &[SeriesRef]) {
        self.graph.retire(series);
    }

    /// Gives up what series left behind that are gone, their windows empty. To be called from time to time;
    /// no decision depends on when, or on whether at all.
    pub fn tidy(&mut self) {
        let nodes = self.graph.tidy(self.now, &mut self.timers);
        for entry in &mut self.rules {
            if let Kind::Followed { rule, plan, .. } = &mut entry.kind
                && let Some(Some(slots)) = nodes.get(plan.node)
            {
                rule.renumber(slots);
            }
        }
    }

    /// How many places for alerts its rules keep.
    #[cfg(test)]
    pub(super) fn claims(&self) -> usize {
        let of = |entry: &Entry| match &entry.kind {
            Kind::Followed { rule, .. } => rule.claims(),
            Kind::Polled { .. } | Kind::Record(_) => 0,
        };
        self.rules.iter().map(of).sum()
    }

    /// Sees a transaction; `source` holds it already.
    pub fn observe(&mut self, committed: &Committed, source: &dyn SeriesSource) -> Outcome {
        let mut outcome = Outcome::default();
        self.catch_up(committed.seq, committed.at, source, &mut outcome);
        for (series, labels) in &committed.new_series {
            self.graph.bind(*series, labels);
        }
        if self.context.start_timestamps == StartTimestamps::Used {
            self.graph.count_from(&committed.starts, committed.at);
        }
        self.graph.insert(&committed.samples, committed.at);
        for (series, sample) in &committed.histograms {
            self.graph.insert_histogram(*series, sample, committed.at);
        }
        self.step(committed.seq, committed.at, source, &mut outcome);
        self.audit(committed.at);
        outcome
    }

    /// Sees that time has moved to `at`.
    pub fn tick(&mut self, seq: Seq, at: Timestamp, source: &dyn SeriesSource) -> Outcome {
        let mut outcome = Outcome::default();
        self.catch_up(seq, at, source, &mut outcome);
        self.step(seq, at, source, &mut outcome);
        self.audit(at);
        outcome
    }

    /// When [`tick`](Evaluator::tick) should be called if nothing arrives before.
    pub fn next_deadline(&self) -> Option<Timestamp> {
        let now = (!self.resync.is_empty() || !self.leaving.is_empty()).then_some(self.now);
        earliest(earliest(now, self.timers.next_deadline()), self.auditor.next_deadline(self.now))
    }

    /// Works off the deadlines before `at`, each at its own instant.
    fn catch_up(&mut self, seq: Seq, at: Timestamp, source: &dyn SeriesSource, outcome: &mut Outcome) {
        while let Some(due) = self.timers.next_step().filter(|due| *due < at) {
            if at - due > limits::RULE_LATE_MAX {
                break;
            }
            self.step(seq, due, source, outcome);
        }
    }

    /// One round: everything due until `at`, the samples already taken in, and what follows.
    fn step(&mut self, seq: Seq, at: Timestamp, source: &dyn SeriesSource, outcome: &mut Outcome) {
        self.now = self.now.max(at);
        let at = self.now;
        let (mut alerts, mut groups) = (Vec::new(), BTreeSet::new());
        while let Some((due, targets)) = self.timers.pop(at) {
            for target in self.graph.fire(due, targets, at, &mut self.timers) {
                match target {
                    Target::Alert { rule, labels } => alerts.push((rule as usize, labels, due)),
                    Target::Group { group } => {
                        groups.insert(group as usize);
                    }
                    Target::Series { .. } | Target::Node { .. } => {}
                }
            }
        }
        self.graph.look_again(at);
        // Not in the order in which they were armed, which a restart would change.
        alerts.sort_unstable_by(|a, b| (a.2, a.0, &a.1).cmp(&(b.2, b.0, &b.1)));
        let mut rules = std::mem::take(&mut self.resync);
        for node in self.graph.propagate(at, &mut self.timers) {
            rules.extend(self.roots.get(node).into_iter().flatten());
        }
        let turned = self.turn();
        rules.extend(&turned);
        let transitions = &mut outcome.transitions;
        let (context, timers) = (&self.context, &mut self.timers);
        let options = context.options();
        let mut moment = Moment { seq, at, context, source, timers, transitions };
        for number in &rules {
            let number = *number;
            let (entry, begun) = (&mut self.rules[number], self.timing.elapsed());
            let (series, error) = match &mut entry.kind {
                Kind::Followed { rule, plan, carrying: None, .. } => {
                    rule.follow(&self.graph.nodes[plan.node].out, self.graph.round(), &mut moment);
                    self.auditor.count(1);
                    (rule.elements(), &rule.error)
                }
                Kind::Followed { rule, query, .. } if turned.contains(&number) => {
                    let result = instant(query, source, at - entry.query_offset, &options);
                    let series = result.as_ref().map_or(0, Vec::len);
                    rule.set_queried(result, &mut moment);
                    (series, &rule.error)
                }
                Kind::Followed { .. } | Kind::Polled { .. } | Kind::Record(_) => continue,
            };
            let took = self.timing.elapsed().saturating_sub(begun);
            let error = error.clone();
            entry.evaluated(Evaluation { at, took, series, samples: None, error });
        }
        for (number, labels, due) in alerts {
            rules.insert(number);
            if let Some(Kind::Followed { rule, .. } | Kind::Polled { rule, .. }) =
                self.rules.get_mut(number).map(|entry| &mut entry.kind)
            {
                rule.due(&labels, due, &mut moment);
            }
        }
        let told = write_told(&mut self.rules, rules, at, &mut outcome.derived);
        if !self.leaving.is_empty() {
            let goes_on = outcome.derived.series().iter().cloned().collect();
            self.leaving.drain(..).for_each(|mut entry| entry.leave(&goes_on, &mut moment, &mut outcome.derived));
        }
        self.graph.settle();
        told.into_iter().for_each(|group| self.arm_group(group));
        for group in groups {
            self.poll(group, seq, at, source, outcome);
        }
        if !turned.is_empty() {
            (0..self.groups.len()).for_each(|group| self.arm_group(group));
        }
    }

    /// Has rules followed or not, as the leaves whose values matter to them carry native histograms or not.
    /// Gives those for which that has changed.
    fn turn(&mut self) -> BTreeSet<usize> {
        let leaves = self.graph.take_turned();
        let mut turned = BTreeSet::new();
        for number in leaves.iter().filter_map(|leaf| self.by_value.get(leaf)).flatten() {
            if let Kind::Followed { rule, plan, carrying, .. } = &mut self.rules[*number].kind {
                let carries = |leaf: &&usize| self.graph.leaves[**leaf].carries_histograms();
                let now = plan.by_value.iter().find(carries).copied();
                if now.is_some() != carrying.is_some() {
                    rule.let_go();
                    turned.insert(*number);
                }
                *carrying = now;
            }
        }
        turned
    }

    /// Evaluates the rules of a group that are not followed.
    fn poll(&mut self, number: usize, seq: Seq, now: Timestamp, source: &dyn SeriesSource, outcome: &mut Outcome) {
        let group = &mut self.groups[number];
        let at = slot_at(&group.def, now);
        let late = group.armed.take().map_or(0, |armed| (at - armed).0 / group.def.interval.0);
        self.missed += u64::try_from(late).unwrap_or(0);
        let seen_from = at - group.def.query_offset;
        group.last_evaluation = at;
        // What a group decides at its interval alone is decided at Prometheus' instants, however late it is noticed.
        let decided_at = if group.def.mode == EvaluationMode::Interval { at } else { now };
        let (counted, options) = (Counted::new(source), self.context.options());
        let mut overlay = Overlay::new(&counted, &outcome.derived);
        for rule in &group.rules {
            let (entry, begun) = (&mut self.rules[*rule], self.timing.elapsed());
            let (series, error) = match &mut entry.kind {
                Kind::Followed { rule, carrying: None, .. } => {
                    write_all(rule, seen_from, &mut overlay, &mut outcome.derived);
                    continue;
                }
                Kind::Record(rule) if rule.made_elsewhere => continue,
                Kind::Followed { .. } | Kind::Polled { .. } => {
                    let (rule, query, known) = match &mut entry.kind {
                        Kind::Polled { rule, query, foretold, .. } => (rule, query, foretold.take(seen_from)),
                        Kind::Followed { rule, query, .. } => (rule, query, None),
                        Kind::Record(_) => continue,
                    };
                    let transitions = &mut outcome.transitions;
                    let (context, timers) = (&self.context, &mut self.timers);
                    let source: &dyn SeriesSource = &overlay;
                    let mut moment = Moment { seq, at: decided_at, context, source, timers, transitions };
                    let ask = || instant(query, &overlay, seen_from, &options);
                    let result = known.map_or_else(ask, Ok);
                    let series = result.as_ref().map_or(0, Vec::len);
                    rule.set_queried(result, &mut moment);
                    write_all(rule, seen_from, &mut overlay, &mut outcome.derived);
                    (series, &rule.error)
                }
                Kind::Record(rule) => {
                    rule.evaluate(seen_from, &options, &mut overlay, &mut outcome.derived);
                    (rule.outputs.len(), &rule.error)
                }
            };
            let took = self.timing.elapsed().saturating_sub(begun);
            let (samples, error) = (Some(counted.take()), error.clone());
            entry.evaluated(Evaluation { at, took, series, samples, error });
        }
        self.arm_group(number);
    }

    fn arm_group(&mut self, number: usize) {
        let group = &mut self.groups[number];
        let waits = group.rules.iter().any(|rule| self.rules[*rule].needs_slot());
        let due = waits.then(|| slot_after(&group.def, self.now));
        self.timers.arm(&mut group.armed, due, || Target::Group { group: number as u32 });
    }

    /// Whether functions of counters look at when the counting began.
    pub fn start_timestamps(&self) -> StartTimestamps {
        self.context.start_timestamps
    }

    /// Whether a rule is queried at its group's interval, whatever samples come.
    pub fn is_queried(&self, place: RulePlace) -> bool {
        !matches!(self.entry(place).kind, Kind::Followed { .. })
    }

    fn entry(&self, place: RulePlace) -> &Entry {
        &self.rules[self.groups[place.group].rules[place.rule]]
    }

    /// Whether samples of a series reach a rule that is followed.
    pub fn follows(&self, labels: &Labels) -> bool {
        self.graph.follows(labels)
    }

    /// Takes over what an alerting rule's query will give: it is not asked where that is known.
    pub fn foretell(&mut self, place: RulePlace, results: Foretold) {
        if let Kind::Polled { foretold, .. } = &mut self.rules[self.groups[place.group].rules[place.rule]].kind {
            *foretold = results;
        }
    }

    /// Leaves it to the caller to make what a recording rule makes.
    pub fn leave_recording(&mut self, place: RulePlace) {
        if let Kind::Record(rule) = &mut self.rules[self.groups[place.group].rules[place.rule]].kind {
            rule.made_elsewhere = true;
        }
    }

    /// Has evaluations measured from now on.
    pub fn measure_with(&mut self, stopwatch: Arc<dyn Stopwatch>) {
        self.timing = Timing(Some(stopwatch));
    }
}

/// Writes all alerts of a rule, for those that come after it in its group as well.
pub(super) fn write_all(rule: &mut AlertRule, t: Timestamp, overlay: &mut Overlay<'_>, derived: &mut Batch) {
    rule.write_all(t, &mut |labels, sample| {
        overlay.push(labels.clone(), sample.t, &ElementValue::Number(sample.v));
        derived.push(labels, sample);
    });
}

/// Why new groups were not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReloadError {
    /// A rule cannot be used.
    #[error(transparent)]
    Rule(#[from] RuleError),
    /// The history cannot be read.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// The state could not be carried over.
    #[error(transparent)]
    Restore(#[from] RestoreError),
}
