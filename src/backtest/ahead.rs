//! Rules that are queried at their group's interval, computed a stretch of history at a time.
//!
//! Invariants:
//! - A rule is computed ahead only if what it sees at its instants does not depend on the play: raw series, and what
//!   rules that are computed ahead record before it. Whoever is queried one instant after the other reads nothing that
//!   is made ahead at the same instant.
//! - What is computed is what queries at the instants give; where that cannot be had, nothing is computed ahead.

use std::collections::BTreeSet;

use crate::model::{Labels, Matcher, Millis, TimeRange, Timestamp, limits};
use crate::promql::{SeriesSamples, SeriesSource, SourceError, locality};
use crate::rules::{Evaluator, Foretold, Instants, Recorder, Rule, RuleGroup, RulePlace, Sight};

use super::history::{Columns, History};
use super::plan::{ALERTS, Part, may_name};

/// The rules of a part that are computed ahead, each after those that it reads.
#[derive(Debug, Default)]
pub(super) struct Ahead {
    rules: Vec<AheadRule>,
    /// Whether a followed rule reads what is recorded: native histograms would have it queried.
    feeds_followed: bool,
}

#[derive(Debug)]
struct AheadRule {
    place: RulePlace,
    /// Absent if it makes alerts.
    recorder: Option<Recorder>,
}

/// Why rules cannot be computed ahead after all.
#[derive(Debug)]
pub(super) struct NotAhead;

/// A rule while it is looked which are computed ahead.
struct Candidate<'a> {
    place: RulePlace,
    group: &'a RuleGroup,
    rule: &'a Rule,
    selectors: Vec<Vec<Matcher>>,
    is_queried: bool,
    is_ahead: bool,
}

impl Candidate<'_> {
    fn recorded(&self) -> Option<&str> {
        match self.rule {
            Rule::Recording(rule) => Some(&rule.record),
            Rule::Alerting(_) => None,
        }
    }

    fn reads(&self, name: &str) -> bool {
        self.selectors.iter().any(|matchers| may_name(matchers, name))
    }

    fn reads_what_is_recorded_by(&self, other: &Candidate<'_>) -> bool {
        other.recorded().is_some_and(|name| self.reads(name))
    }

    /// Whether it could be computed ahead, whatever the others are.
    fn is_local(&self) -> bool {
        let local = locality(self.rule.expr(), limits::LOOKBACK);
        self.is_queried
            && self.group.query_offset == Millis::ZERO
            && local.is_some_and(|local| local.ahead == Millis::ZERO)
            && !ALERTS.iter().any(|name| self.reads(name))
    }

    /// Whether it and another may be evaluated at one instant.
    fn may_meet(&self, other: &Candidate<'_>) -> bool {
        let (a, b) = (self.group.interval.0, other.group.interval.0);
        let apart = self.group.next_evaluation(Timestamp(0)) - other.group.next_evaluation(Timestamp(0));
        apart.0 % greatest_divisor(a, b) == 0
    }

    /// Whether it may be computed ahead of the play if it reads what another records.
    fn comes_after(&self, other: &Candidate<'_>) -> bool {
        other.is_ahead && (other.place < self.place || !self.may_meet(other))
    }
}

fn greatest_divisor(a: i64, b: i64) -> i64 {
    if b == 0 { a } else { greatest_divisor(b, a % b) }
}

/// Whether texts ask for data, at instants that nobody knows beforehand.
fn asks(rule: &Rule) -> bool {
    match rule {
        Rule::Alerting(rule) => rule.labels.iter().chain(&rule.annotations).any(|(_, text)| text.contains("query")),
        Rule::Recording(_) => false,
    }
}

impl Ahead {
    /// Chooses the rules of a part that are computed ahead, and has the evaluator leave them alone.
    pub(super) fn of(part: &Part, evaluator: &mut Evaluator) -> Ahead {
        let mut all: Vec<Candidate<'_>> = Vec::new();
        for (g, group) in part.groups.iter().enumerate() {
            for (r, rule) in group.rules.iter().enumerate() {
                let (place, selectors) = (RulePlace { group: g, rule: r }, rule.expr().selectors());
                let is_queried = evaluator.is_queried(place);
                all.push(Candidate { place, group, rule, selectors, is_queried, is_ahead: false });
            }
        }
        let is_asked = part.groups.iter().flat_map(|group| &group.rules).any(asks);
        for one in &mut all {
            one.is_ahead = one.is_local() && !(is_asked && one.recorded().is_some());
        }
        let order = settle(&mut all);
        let feeds_followed = all
            .iter()
            .filter(|one| !one.is_queried)
            .any(|one| order.iter().any(|at| one.reads_what_is_recorded_by(&all[*at])));
        let rule = |at: &usize| {
            let Candidate { place, group, rule, .. } = all[*at];
            let recorder = match rule {
                Rule::Recording(def) => Some(Recorder::new(group, def)),
                Rule::Alerting(_) => None,
            };
            AheadRule { place, recorder }
        };
        let rules: Vec<AheadRule> = order.iter().map(rule).collect();
        rules.iter().for_each(|rule| evaluator.leave_recording(rule.place));
        Ahead { rules, feeds_followed }
    }

    /// How many rules there are.
    pub(super) fn count(&self) -> usize {
        self.rules.len()
    }

    /// Computes what the rules give after `played` and until `end`: what they record goes to the history, to be
    /// played in its turn, what alerts hang on to the evaluator. Gives how many samples were recorded.
    pub(super) fn compute(
        &mut self,
        part: &Part,
        (played, end): (Timestamp, Timestamp),
        history: &mut History,
        evaluator: &mut Evaluator,
    ) -> Result<u64, NotAhead> {
        if self.feeds_followed && history.has_histograms() {
            return Err(NotAhead);
        }
        let mut recorded = 0;
        for AheadRule { place, recorder } in &mut self.rules {
            let group = &part.groups[place.group];
            let first = group.next_evaluation(played);
            if first > end {
                continue;
            }
            let last = first + Millis((end - first).0 / group.interval.0 * group.interval.0);
            let apart = history.raw_times_on(first, group.interval, end);
            let instants = Instants { first, last, interval: group.interval, apart: &apart };
            let columns = history.columns();
            let at = |at| Box::new(Before { columns, at }) as Box<dyn SeriesSource>;
            let sight = Sight { all: &columns, at: &at };
            match recorder {
                Some(recorder) => {
                    let made = recorder.record(instants, &sight).map_err(|_| NotAhead)?;
                    recorded += made.into_iter().map(|series| history.record(series)).sum::<u64>();
                }
                None => {
                    let range = TimeRange { after: played, until: end };
                    let expr = group.rules[place.rule].expr();
                    let results = Foretold::of(expr, range, instants, &sight).map_err(|_| NotAhead)?;
                    evaluator.foretell(*place, results);
                }
            }
        }
        Ok(recorded)
    }
}

/// Takes rules out until those that are left can be computed ahead; gives them in the order in which.
fn settle(all: &mut [Candidate<'_>]) -> Vec<usize> {
    loop {
        let mut order: Vec<usize> = Vec::new();
        let mut done = BTreeSet::new();
        // Those that read only what is done already, until there are none.
        loop {
            let ready = |at: &usize| {
                let one = &all[*at];
                let read = (0..all.len()).filter(|other| one.reads_what_is_recorded_by(&all[*other]));
                one.is_ahead && !done.contains(at) && { read }.all(|r| done.contains(&r) && one.comes_after(&all[r]))
            };
            let next: Vec<usize> = (0..all.len()).filter(ready).collect();
            if next.is_empty() {
                break;
            }
            done.extend(next.iter().copied());
            order.extend(next);
        }
        // Whoever is queried at each instant must find there what is made at that instant.
        let is_missed = |at: &usize| {
            let reads = |one: &Candidate<'_>| one.reads_what_is_recorded_by(&all[*at]) && one.may_meet(&all[*at]);
            (0..all.len()).any(|r| all[r].is_queried && !done.contains(&r) && reads(&all[r]))
        };
        let missed: BTreeSet<usize> = order.iter().copied().filter(is_missed).collect();
        let before = all.iter().filter(|one| one.is_ahead).count();
        for (at, one) in all.iter_mut().enumerate() {
            one.is_ahead = done.contains(&at) && !missed.contains(&at);
        }
        if missed.is_empty() && before == order.len() {
            return order;
        }
    }
}

/// What is seen at an instant at which raw samples come: these come after it.
struct Before<'a> {
    columns: Columns<'a>,
    at: Timestamp,
}

impl SeriesSource for Before<'_> {
    fn select(
        &self,
        matchers: &[Matcher],
        range: TimeRange,
        samples_max: usize,
    ) -> Result<Vec<SeriesSamples>, SourceError> {
        let mut all = self.columns.select(matchers, range, samples_max)?;
        let is_raw = |labels: &Labels| !self.columns.is_recorded(labels);
        for series in all.iter_mut().filter(|series| is_raw(&series.labels)) {
            series.samples.retain(|sample| sample.t != self.at);
            series.histograms.retain(|sample| sample.t != self.at);
        }
        all.retain(|series| series.count() > 0);
        Ok(all)
    }
}
