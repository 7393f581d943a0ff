//! Composites: a promise about several objectives together, each with its weight.
//!
//! Invariants:
//! - Its share of bad events over any window is the weighted mean of its parts' shares over that window, each of which is
//!   exact. A part without events there has no say, whatever its weight.
//! - It is decided by the rules of its parts (`tiers`), with so many events as an unweighted sample of the same certainty
//!   would have (Kish's effective size). What drains or has vanished its parts tell; that nothing is left it tells itself.
//! - It is decided after its parts, at the instants at which one of them is.

use crate::model::{Alert, Labels, Millis, Seq, TimeRange, Timestamp, Transition, TransitionKind};

use super::alert::{self, BurnSeen};
use super::burn::{Burning, Companion, Decision, Subject};
use super::history::Counts;
use super::objective::Objective;
use super::pair::{BurnPair, Severity};
use super::severity;
use super::status::{
    Blind, BlindCause, Budget, BurnHistory, BurnPoint, BurnStatus, ObjectiveStatus, PartStatus, WindowBurn,
};
use super::tiers::Tiers;
use super::time_coverage::{TimeCoverage, time_coverage};
use super::watch::{PairState, Watch};

/// While nothing arrives, a firing composite is looked at no more often.
const LOOK_EVERY: Millis = Millis::seconds(5);
/// How often it is looked whether the budget is exhausted.
const COMPANIONS_EVERY: Millis = Millis::minutes(1);

/// A composite as it runs.
#[derive(Debug, Clone)]
pub(super) struct Composite {
    pub(super) objective: Objective,
    pub(super) pairs: Vec<PairState>,
    pub(super) since: Option<Timestamp>,
    pub(super) decided: Option<Timestamp>,
    /// The positions of its parts among the watches, with their share of all weights.
    pub(super) parts: Vec<(usize, f64)>,
    /// What its decisions rest on besides its parts' counts.
    pub(super) burning: Burning,
    deadline: Option<Timestamp>,
}

/// A composite beside what it is made of.
struct Whole<'a> {
    composite: &'a Composite,
    watches: &'a [Watch],
}

impl Tiers for Whole<'_> {
    fn allowed(&self) -> f64 {
        self.composite.objective.budget()
    }

    fn budget_window(&self) -> Millis {
        self.composite.objective.window
    }

    fn pairs(&self) -> &[PairState] {
        &self.composite.pairs
    }

    fn burning(&self) -> &Burning {
        &self.composite.burning
    }

    /// Since when all parts are counted.
    fn counted_since(&self) -> Option<Timestamp> {
        self.composite.of(self.watches).filter_map(|(watch, _)| watch.history.first).max()
    }

    fn events(&self, until: Timestamp, length: Millis) -> Counts {
        self.composite.window(self.watches, until, length)
    }

    /// Lengths are doubled: of weighted parts it cannot be looked up when the last events came.
    fn holding(&self, until: Timestamp, events: f64, least: Millis, most: Millis) -> Millis {
        let mut lengths = std::iter::successors(Some(least), |length| Some(Millis(length.0.max(1) * 2)));
        let enough = |length: &Millis| *length >= most || self.events(until, *length).total >= events;
        lengths.find(enough).unwrap_or(most).min(most.max(least))
    }

    /// Weighted events say what share was bad, not how many.
    fn enough_spent(&self, _pair: &BurnPair, _at: Timestamp) -> f64 {
        f64::INFINITY
    }

    fn stale(&self, at: Timestamp) -> bool {
        self.composite.of(self.watches).all(|(watch, _)| watch.input.stale(at))
    }

    fn said(&self, _severity: Severity) -> bool {
        false
    }

    fn in_window(&self, at: Timestamp) -> Counts {
        let parts = self.composite.of(self.watches).map(|(watch, weight)| (watch.in_window(at), weight));
        self.composite.weighted(&parts.collect::<Vec<_>>())
    }

    fn left(&self, at: Timestamp) -> f64 {
        let parts: f64 = self.composite.of(self.watches).map(|(watch, weight)| weight * watch.spent_share(at)).sum();
        1.0 - parts / self.allowed()
    }
}

impl Whole<'_> {
    /// What a pair sees at `at`. Groups are those of the parts, which alert by themselves.
    fn seen(&self, pair: &BurnPair, at: Timestamp) -> BurnSeen {
        let [long, short] = [pair.long, self.short_of(pair, at)].map(|length| self.events(at, length));
        BurnSeen { pair: *pair, long, short, enough: self.enough_spent(pair, at), groups: 0 }
    }
}

impl Composite {
    pub(super) fn new(objective: Objective, pairs: Vec<BurnPair>, parts: Vec<(usize, f64)>) -> Composite {
        let pairs = pairs.into_iter().map(|pair| PairState { pair, firing: None }).collect();
        Composite { objective, pairs, since: None, decided: None, parts, burning: Burning::default(), deadline: None }
    }

    pub(super) fn of<'a>(&self, watches: &'a [Watch]) -> impl Iterator<Item = (&'a Watch, f64)> {
        self.parts.iter().filter_map(|(at, weight)| Some((watches.get(*at)?, *weight)))
    }

    /// How long the short window of a pair is at an instant.
    pub(super) fn short_of(&self, watches: &[Watch], pair: &BurnPair, at: Timestamp) -> Millis {
        Whole { composite: self, watches }.short_of(pair, at)
    }

    /// The weighted share of what its parts counted, as so many events as it is worth.
    fn weighted(&self, parts: &[(Counts, f64)]) -> Counts {
        let heard: f64 = parts.iter().filter(|(counts, _)| counts.total > 0.0).map(|(_, weight)| weight).sum();
        let (mut share, mut variance) = (0.0, 0.0);
        for (counts, weight) in parts {
            if let Some(ratio) = counts.ratio() {
                let weight = weight / heard;
                share += weight * ratio;
                variance += weight * weight / counts.total;
            }
        }
        if variance > 0.0 { Counts { bad: share / variance, total: 1.0 / variance } } else { Counts::default() }
    }

    /// What a window up to `at` holds.
    fn window(&self, watches: &[Watch], at: Timestamp, length: Millis) -> Counts {
        let parts: Vec<_> =
            self.of(watches).map(|(watch, weight)| (watch.history.window(at, length), weight)).collect();
        self.weighted(&parts)
    }

    /// Whether there is something to decide: by one of its parts, or by time.
    pub(super) fn needs(&self, watches: &[Watch], at: Timestamp) -> bool {
        self.since.is_none()
            || self.deadline.is_some_and(|deadline| deadline <= at)
            || self.of(watches).any(|(watch, _)| watch.decided == Some(at))
    }

    pub(super) fn deadline(&self) -> Option<Timestamp> {
        self.deadline
    }

    /// The alerts that fire.
    pub(super) fn alerts(&self) -> impl Iterator<Item = Alert> {
        let pairs = self.pairs.iter().map(|state| &state.firing);
        pairs.chain(&self.burning.firing).filter_map(Option::clone)
    }

    /// Decides at an instant up to which its parts are decided.
    pub(super) fn advance(&mut self, watches: &[Watch], seq: Seq, at: Timestamp, out: &mut Vec<Transition>) {
        self.since = self.since.or(Some(at));
        let whole = Whole { composite: self, watches };
        let mut decisions = whole.tier_decisions(at);
        let due = self.burning.looked_at.is_none_or(|last| at - last >= COMPANIONS_EVERY || at < last);
        if due {
            decisions.extend(whole.exhaustion(at));
            self.burning.looked_at = Some(at);
        }
        for decision in decisions {
            let Some((kind, alert)) = self.carry_out(watches, decision, at) else { continue };
            out.push(alert::transition(seq, at, kind, alert));
        }
        if !self.objective.severities.is_empty() {
            let whole = Whole { composite: self, watches };
            let firing = self.pairs.iter().enumerate().filter(|(_, state)| state.firing.is_some());
            let seen: Vec<(usize, BurnSeen)> = firing.map(|(n, state)| (n, whole.seen(&state.pair, at))).collect();
            let raised = severity::raise(&self.objective, &mut self.pairs, &seen, at);
            out.extend(raised.into_iter().map(|(kind, alert)| alert::transition(seq, at, kind, alert)));
        }
        self.decided = Some(at);
        self.plan(watches);
    }

    /// Makes a decision come true and gives what becomes of the alert.
    fn carry_out(&mut self, watches: &[Watch], decision: Decision, at: Timestamp) -> Option<(TransitionKind, Alert)> {
        let whole = Whole { composite: self, watches };
        match decision {
            Decision::Fire(Subject::Pair(n)) => {
                let alert = alert::firing(&self.objective, &whole.seen(&self.pairs[n].pair, at), at);
                self.pairs[n].firing = Some(alert.clone());
                Some((TransitionKind::Firing, alert))
            }
            Decision::Resolve(Subject::Pair(n)) => {
                let alert = self.pairs[n].firing.take()?;
                self.burning.clear(self.pairs[n].pair.severity, at);
                Some((TransitionKind::Resolved, alert::resolved(alert, at)))
            }
            Decision::Fire(Subject::Companion(companion)) => {
                let summary = alert::exhausted_summary(&self.objective, at, whole.in_window(at));
                let (spent, span) = (1.0 - whole.left(at), self.objective.passed(at));
                let alert = alert::companion(&self.objective, companion, at, spent, &summary, span);
                self.burning.firing[companion as usize] = Some(alert.clone());
                Some((TransitionKind::Firing, alert))
            }
            Decision::Resolve(Subject::Companion(companion)) => {
                let alert = self.burning.firing[companion as usize].take()?;
                Some((TransitionKind::Resolved, alert::resolved(alert, at)))
            }
        }
    }

    /// Computes when time alone may end an alert.
    pub(super) fn plan(&mut self, watches: &[Watch]) {
        let Some(now) = self.decided else { return };
        let firing = self.pairs.iter().filter(|state| state.firing.is_some());
        let leaving = firing.flat_map(|state| {
            let of =
                |length: Millis| self.of(watches).filter_map(move |(watch, _)| watch.history.next_change(length, now));
            of(state.pair.short).chain(of(state.pair.long)).collect::<Vec<_>>()
        });
        self.deadline = leaving.min().map(|t| t.max(now + LOOK_EVERY));
    }

    /// Takes over what another definition of the same composite had; gives the alerts that are no more.
    pub(super) fn inherit(&mut self, old: Composite) -> Vec<Alert> {
        (self.since, self.decided) = (old.since, old.decided);
        let mut gone = Vec::new();
        self.burning = old.burning;
        for companion in Companion::ALL {
            let kept = alert::companion(&self.objective, companion, Timestamp(0), 0.0, "", Millis(1)).labels;
            gone.extend(self.burning.firing[companion as usize].take_if(|alert| alert.labels != kept));
        }
        for PairState { pair, firing } in old.pairs {
            let Some(alert) = firing else { continue };
            let same =
                |state: &&mut PairState| state.pair == pair && self.objective.told_by(&pair, &alert.labels).is_some();
            match self.pairs.iter_mut().find(same) {
                Some(state) => state.firing = Some(alert),
                None => gone.push(alert),
            }
        }
        gone
    }

    /// How it stands, with the share that each part has in what is bad.
    pub(super) fn status(&self, watches: &[Watch], at: Timestamp) -> ObjectiveStatus {
        let objective = &self.objective;
        let parts: Vec<(ObjectiveStatus, f64)> =
            self.of(watches).map(|(watch, weight)| (watch.status_of_all(at), weight)).collect();
        let counts = |part: &ObjectiveStatus| Counts { bad: part.total - part.good, total: part.total };
        let in_window: Vec<(Counts, f64)> = parts.iter().map(|(part, weight)| (counts(part), *weight)).collect();
        let share = self.weighted(&in_window).ratio();
        let total: f64 = parts.iter().map(|(part, _)| part.total).sum();
        let first = parts.first().map(|(part, _)| part);
        ObjectiveStatus {
            service: objective.service.clone(),
            name: objective.name.clone(),
            group: Labels::empty(),
            objective: objective.objective,
            window: objective.window,
            window_text: objective.window_text(),
            budget_text: objective.budget_text(),
            period: first.and_then(|part| part.period.clone()),
            units: objective.units(),
            good: total * (1.0 - share.unwrap_or(0.0)),
            total,
            error_ratio: share,
            bad_in_hour: parts.iter().map(|(part, _)| part.bad_in_hour).sum(),
            budget: self.budget(watches, &parts, at),
            burns: self.burns(watches, at),
            alerts: self.alerts().collect(),
            counted_since: parts.iter().filter_map(|(part, _)| part.counted_since).max(),
            last_input: parts.iter().map(|(part, _)| part.last_input).min().flatten(),
            interval: parts.iter().filter_map(|(part, _)| part.interval).max(),
            time_coverage: self.time_coverage(watches, at),
            series: parts.iter().map(|(part, _)| part.series).sum(),
            series_refused: parts.iter().map(|(part, _)| part.series_refused).sum(),
            query: objective.error_query(objective.window),
            blind: blind(&parts, at),
            adjustments: Vec::new(),
            companions: Companion::ALL
                .into_iter()
                .filter_map(|one| Some((one, self.burning.firing[one as usize].as_ref()?.active_at)))
                .collect(),
            groups: None,
            parts: shares(&parts),
        }
    }

    /// What is not measured of a part is not measured of the whole.
    fn time_coverage(&self, watches: &[Watch], at: Timestamp) -> Option<TimeCoverage> {
        let firsts: Option<Vec<Timestamp>> = self.of(watches).map(|(watch, _)| watch.presence.first).collect();
        let missing = |begin| self.of(watches).flat_map(|(watch, _)| watch.missing(begin, at)).collect();
        time_coverage(&self.objective, firsts?.into_iter().max()?, at, missing)
    }

    fn burns(&self, watches: &[Watch], at: Timestamp) -> Vec<BurnStatus> {
        let budget = self.objective.budget();
        let covered = |window| self.of(watches).map(|(watch, _)| watch.covered(at, window)).min();
        let of = |window: Millis| {
            let Counts { bad, total } = self.window(watches, at, window);
            WindowBurn {
                window,
                covered: covered(window).unwrap_or(Millis::ZERO),
                bad,
                n: total,
                burn: (total > 0.0).then(|| bad / total / budget),
                budget,
            }
        };
        let status = |state: &PairState| BurnStatus {
            pair: state.pair,
            long: of(state.pair.long),
            short: of(state.pair.short),
            firing_since: state.firing.as_ref().map(|alert| alert.active_at),
            told_as: self.objective.told_now(state),
        };
        self.pairs.iter().map(status).collect()
    }

    /// The budget is made of the parts': each part's bad events as a share of all that its window is expected to hold,
    /// by weight. It is given in events of that many.
    fn budget(&self, watches: &[Watch], parts: &[(ObjectiveStatus, f64)], at: Timestamp) -> Budget {
        let allowed = self.objective.budget();
        let (mut spent, mut heard, mut expected) = (0.0, 0.0, 0.0);
        for ((part, weight), (watch, _)) in parts.iter().zip(self.of(watches)) {
            let whole = part.budget.total / watch.objective.budget();
            if whole > 0.0 {
                spent += weight * (part.total - part.good) / whole;
                heard += weight;
                expected += whole;
            }
        }
        let spent = if heard > 0.0 { spent / heard } else { 0.0 };
        let left = 1.0 - spent / allowed;
        let burn = self.pairs.first().and_then(|PairState { pair, .. }| {
            let [long, short] = [pair.long, pair.short].map(|length| self.window(watches, at, length).ratio());
            Some(long?.min(short?) / allowed)
        });
        let lasts = burn
            .filter(|burn| *burn > 0.0)
            .map(|burn| Millis((left.max(0.0) * self.objective.window.0 as f64 / burn).min(1e15) as i64));
        let renewed_in = parts.first().and_then(|(part, _)| part.period.as_ref()).map(|period| period.end - at);
        let exhausted_in = lasts.filter(|lasts| renewed_in.is_none_or(|renewed| *lasts < renewed));
        Budget { total: expected * allowed, spent: expected * spent, left, exhausted_in }
    }

    /// The burn rate at `points` instants, evenly over the range and ending with its end.
    pub(super) fn burn_history(&self, watches: &[Watch], range: TimeRange, points: usize) -> Option<BurnHistory> {
        let pair = self.pairs.first()?.pair;
        let mut thresholds: Vec<BurnPair> = self.pairs.iter().map(|state| state.pair).collect();
        thresholds.sort_by(|a, b| b.threshold.total_cmp(&a.threshold));
        let count = points.max(1) as i64;
        let length = i128::from((range.until - range.after).0.max(0));
        let burn = |t, window| self.window(watches, t, window).ratio().map(|ratio| ratio / self.objective.budget());
        let points = (1..=count).map(|n| {
            let t = Timestamp(range.after.0.saturating_add((length * i128::from(n) / i128::from(count)) as i64));
            let spent: f64 = self.of(watches).map(|(watch, weight)| weight * watch.spent_share(t)).sum();
            let budget_left = 1.0 - spent / self.objective.budget();
            BurnPoint { t, short: burn(t, pair.short), long: burn(t, pair.long), budget_left }
        });
        Some(BurnHistory { pair, thresholds, points: points.collect() })
    }
}

/// What is not known of a part is not known of the whole.
fn blind(parts: &[(ObjectiveStatus, f64)], at: Timestamp) -> Option<Blind> {
    let (part, blind) = parts.iter().find_map(|(part, _)| Some((part, part.blind.as_ref()?)))?;
    let more = parts.iter().filter(|(part, _)| part.blind.is_some()).count() - 1;
    let others = if more > 0 { format!(", and {more} more of its parts are blind") } else { String::new() };
    let reason = format!("part {}/{}: {}{others}", part.service, part.name, blind.reason);
    let since = if blind.cause == BlindCause::InputStopped { blind.since } else { blind.since.min(at) };
    Some(Blind { cause: blind.cause, reason, since })
}

/// The parts with the share that each has in what is bad.
fn shares(parts: &[(ObjectiveStatus, f64)]) -> Vec<PartStatus> {
    let bad = |(part, weight): &(ObjectiveStatus, f64)| weight * part.error_ratio.unwrap_or(0.0);
    let all: f64 = parts.iter().map(bad).sum();
    let of = |pair: &(ObjectiveStatus, f64)| PartStatus {
        service: pair.0.service.clone(),
        name: pair.0.name.clone(),
        weight: pair.1,
        error_ratio: pair.0.error_ratio,
        budget_left: pair.0.budget.left,
        share_of_bad: if all > 0.0 { bad(pair) / all } else { 0.0 },
        blind: pair.0.blind.is_some(),
    };
    parts.iter().map(of).collect()
}
