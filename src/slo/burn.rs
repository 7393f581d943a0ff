//! When an objective alerts: tiers of burn pairs, the evidence they need, and companions for what pairs do not see.
//!
//! Invariants:
//! - Of one severity at most one alert fires; no ticket begins while a page fires. What came before an alert ended
//!   gives rise to no other: it counts for nobody twice.
//! - A pair fires if its long window burns above the threshold (or, of a page, spent as much of the budget as that would in
//!   mean traffic), its short one still does, at least a hundredth of the budget was spent (seven thousandths for a page),
//!   and in some window between both it is certain that the true burn is above half the threshold and above 1, or more
//!   than certain that it is above 1. The short window is longer if it would hold fewer than three events.
//! - The slower pairs of a severity speak once half of their long window has been counted: of a young history, where all
//!   windows are the same, the fastest speaks.
//! - `tiers` decides for objectives, groups and composites alike; a stream of events has companions beside.
//! - Blindness alone ends no alert: while the input is stale, the long window must be below.

use crate::model::{Alert, Millis, Timestamp, TransitionKind};
use crate::stats::binomial_tail;

use super::alert::{self, BurnSeen};
use super::history::Counts;
use super::pair::{BurnPair, Severity};
use super::severity;
use super::tiers::Tiers;
use super::watch::{FAILURES_MIN, PairState, Watch};

/// A steady drain tells of itself when so much more than its even share of the budget was spent.
const DRAIN_SPENT: f64 = 0.02;
/// A drain's beginning is chosen by hindsight, so it must be more surprising than what a window holds by chance.
const DRAIN_DOUBT: f64 = 1e-6;
/// How often companions are looked at.
const LOOK_EVERY: Millis = Millis::minutes(1);
/// Traffic has vanished below this share of what the hour of the week brings.
pub(super) const VANISHED_BELOW: f64 = 0.1;
/// And is back above this one.
const VANISHED_UNTIL: f64 = 0.3;
/// How surprising so few requests must be, even if only half of the usual were to come.
const VANISHED_DOUBT: f64 = 1e-4;
/// The spans over which requests are missed: the busier the service, the shorter.
pub(super) const VANISHED_SPANS: [Millis; 3] = [Millis::minutes(15), Millis::hours(1), Millis::hours(6)];
/// Weeks that are looked back to; the quietest of them is what is expected.
const WEEKS: i64 = 4;

/// What tells of that which no pair sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Companion {
    /// The budget is spent faster than evenly for long, at a rate that no pair waits for.
    Drain,
    /// Nothing of the budget is left.
    Exhausted,
    /// Requests have stopped that the hour of the week brings.
    Vanished,
}

impl Companion {
    /// All of them.
    pub const ALL: [Companion; 3] = [Companion::Drain, Companion::Exhausted, Companion::Vanished];

    /// The `alertname` of its alerts.
    pub fn alert_name(self) -> &'static str {
        match self {
            Companion::Drain => "ErrorBudgetDrain",
            Companion::Exhausted => "ErrorBudgetExhausted",
            Companion::Vanished => "TrafficVanished",
        }
    }
}

/// What an evaluation decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Decision {
    /// It begins to fire.
    Fire(Subject),
    /// It stops.
    Resolve(Subject),
}

/// What can fire.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Subject {
    /// The pair at this position.
    Pair(usize),
    Companion(Companion),
}

/// What the decisions of an objective rest on besides its counts.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Burning {
    /// Up to when failures were told of, by pages and by tickets.
    pub(super) cleared: [Option<Timestamp>; 2],
    pub(super) drain: Drain,
    /// The alerts of the companions, by [`Companion::ALL`].
    pub(super) firing: [Option<Alert>; 3],
    /// When companions were last looked at.
    pub(super) looked_at: Option<Timestamp>,
}

impl Burning {
    /// Notes that failures up to `at` were told of. What pages told of no ticket has to say again.
    pub(super) fn clear(&mut self, severity: Severity, at: Timestamp) {
        self.cleared[1] = Some(at);
        if severity == Severity::Page {
            self.cleared[0] = Some(at);
        }
    }
}

/// Bad events beyond what an even pace would have spent, since there were none (a cumulative sum, Page 1954).
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(super) struct Drain {
    pub(super) excess: f64,
    pub(super) since: Option<Timestamp>,
    pub(super) counts: Counts,
}

impl Drain {
    /// Counts events of a budget.
    pub(super) fn add(&mut self, t: Timestamp, more: Counts, budget: f64) {
        self.excess += more.bad - budget * more.total;
        if self.excess <= 0.0 {
            *self = Drain::default();
            return;
        }
        self.since = self.since.or(Some(t));
        self.counts.bad += more.bad;
        self.counts.total += more.total;
    }
}

/// Requests that came, and how many the hour of the week brings.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Missed {
    pub(super) span: Millis,
    pub(super) came: f64,
    pub(super) expected: f64,
}

impl Tiers for Watch {
    fn allowed(&self) -> f64 {
        self.objective.budget()
    }

    fn budget_window(&self) -> Millis {
        self.objective.window
    }

    fn pairs(&self) -> &[PairState] {
        &self.pairs
    }

    fn burning(&self) -> &Burning {
        &self.burning
    }

    fn counted_since(&self) -> Option<Timestamp> {
        self.history.first
    }

    fn events(&self, until: Timestamp, length: Millis) -> Counts {
        self.history.window(until, length)
    }

    fn holding(&self, until: Timestamp, events: f64, least: Millis, most: Millis) -> Millis {
        self.history.holding(until, events, least, most)
    }

    fn stale(&self, at: Timestamp) -> bool {
        self.input.stale(at)
    }

    fn said(&self, severity: Severity) -> bool {
        self.groups.fire(severity)
    }

    fn in_window(&self, at: Timestamp) -> Counts {
        match &self.objective.calendar {
            None => self.history.window(at, self.objective.window),
            Some(calendar) => self.history.since_edge(calendar.period(at).0, at),
        }
    }

    fn left(&self, at: Timestamp) -> f64 {
        self.spent(at).left
    }
}

impl Watch {
    /// Which alerts change at `at`.
    pub(super) fn decisions(&mut self, at: Timestamp) -> Vec<Decision> {
        let mut decisions = self.tier_decisions(at);
        let drains =
            decisions.is_empty() && self.burning.firing[Companion::Drain as usize].is_none() && self.drains(at);
        decisions.extend(drains.then_some(Decision::Fire(Subject::Companion(Companion::Drain))));
        let due = self.burning.looked_at.is_none_or(|last| at - last >= LOOK_EVERY || at < last);
        if due {
            self.burning.looked_at = Some(at);
            self.companion_decisions(at, &mut decisions);
        }
        decisions
    }

    /// Makes a decision come true and gives what becomes of the alert.
    /// `groups` says by pair how many groups of the objective burn.
    pub(super) fn carry_out(
        &mut self,
        decision: Decision,
        at: Timestamp,
        groups: &[usize],
    ) -> Option<(TransitionKind, Alert)> {
        match decision {
            Decision::Fire(Subject::Pair(n)) => {
                let pair = self.pairs[n].pair;
                let alert = alert::firing(&self.objective, &self.seen(&pair, at, groups[n]), at);
                self.pairs[n].firing = Some(alert.clone());
                Some((TransitionKind::Firing, alert))
            }
            Decision::Resolve(Subject::Pair(n)) => {
                let alert = self.pairs[n].firing.take()?;
                self.burning.clear(self.pairs[n].pair.severity, at);
                self.burning.drain = Drain::default();
                Some((TransitionKind::Resolved, alert::resolved(alert, at)))
            }
            Decision::Fire(Subject::Companion(companion)) => {
                let alert = self.companion_alert(companion, at);
                self.burning.firing[companion as usize] = Some(alert.clone());
                Some((TransitionKind::Firing, alert))
            }
            Decision::Resolve(Subject::Companion(companion)) => {
                let alert = self.burning.firing[companion as usize].take()?;
                Some((TransitionKind::Resolved, alert::resolved(alert, at)))
            }
        }
    }

    /// What a pair sees at `at`, while so many groups of the objective burn.
    fn seen(&self, pair: &BurnPair, at: Timestamp, groups: usize) -> BurnSeen {
        let [long, short] = [pair.long, self.short_of(pair, at)].map(|length| self.history.window(at, length));
        BurnSeen { pair: *pair, long, short, enough: self.enough_spent(pair, at), groups }
    }

    /// Raises the alerts that have come to be something more urgent.
    pub(super) fn raise(&mut self, at: Timestamp, groups: &[usize]) -> Vec<(TransitionKind, Alert)> {
        if self.objective.severities.is_empty() {
            return Vec::new();
        }
        let firing = self.pairs.iter().enumerate().filter(|(_, state)| state.firing.is_some());
        let seen: Vec<(usize, BurnSeen)> =
            firing.map(|(n, state)| (n, self.seen(&state.pair, at, groups[n]))).collect();
        severity::raise(&self.objective, &mut self.pairs, &seen, at)
    }

    /// The instants at which time alone may end what fires.
    pub(super) fn resolving(&self, now: Timestamp) -> Option<Timestamp> {
        let severities = [Severity::Page, Severity::Ticket].into_iter().filter(|s| self.firing_pair(*s).is_some());
        let holding = severities.flat_map(|severity| self.speaking(severity, now).map(|n| self.pairs[n].pair));
        let stale = self.input.stale(now);
        let ends = holding.filter(|pair| self.holds(pair, now)).flat_map(|pair| {
            let share = pair.threshold * self.objective.budget();
            let enough = self.enough_spent(&pair, now);
            let below = |left: Counts| left.bad < enough && left.ratio().is_none_or(|ratio| ratio < share);
            let long = self.history.sinks(pair.long, now, below);
            let stretched = self.short_of(&pair, now) > pair.short;
            let short = if stale || stretched {
                None
            } else {
                self.history.sinks(pair.short, now, |left| left.ratio().is_none_or(|ratio| ratio < share))
            };
            [long, short]
        });
        ends.flatten().filter(|end| *end > now).min()
    }

    fn companion_decisions(&self, at: Timestamp, out: &mut Vec<Decision>) {
        for companion in Companion::ALL {
            let fires = self.burning.firing[companion as usize].is_some();
            let subject = Subject::Companion(companion);
            match companion {
                Companion::Drain if fires && self.drain_over(at) => out.push(Decision::Resolve(subject)),
                Companion::Exhausted => out.extend(self.exhaustion(at)),
                Companion::Vanished if fires => {
                    let back = self.missed(at, VANISHED_UNTIL).is_none();
                    out.extend((back && !self.input.stale(at)).then_some(Decision::Resolve(subject)));
                }
                Companion::Vanished if self.missed(at, VANISHED_BELOW).is_some() => out.push(Decision::Fire(subject)),
                Companion::Drain | Companion::Vanished => {}
            }
        }
    }

    /// Whether the budget drains for certain, and nobody was told.
    fn drains(&self, at: Timestamp) -> bool {
        let Drain { excess, counts, since } = self.burning.drain;
        // What burns so fast that a page comes is left to it.
        let patience = self.pairs.first().map_or(Millis::ZERO, |state| Millis(state.pair.long.0 / 2));
        let told = self.pairs.iter().any(|state| state.firing.is_some());
        counts.bad >= FAILURES_MIN
            && !told
            && since.is_some_and(|since| at - since >= patience)
            && excess >= DRAIN_SPENT * self.expected_budget(at)
            && binomial_tail(counts.bad, counts.total, self.objective.budget()) < DRAIN_DOUBT
            && !self.drain_over(at)
            && !self.input.stale(at)
    }

    /// Whether lately no more than the even share was spent; of few events it takes many hours to tell.
    fn drain_over(&self, at: Timestamp) -> bool {
        let budget = self.objective.budget();
        let (least, most) = (Millis::hours(1), Millis::days(3).min(self.objective.window));
        let length = self.history.holding(at, 4.0 / budget, least.min(most), most);
        !self.input.stale(at) && self.history.window(at, length).ratio().is_none_or(|ratio| ratio <= budget)
    }

    /// A drain that is over begins anew.
    pub(super) fn forget_drain(&mut self, at: Timestamp) {
        if self.burning.drain.since.is_some() && self.burning.looked_at == Some(at) && self.drain_over(at) {
            self.burning.drain = Drain::default();
        }
    }

    /// Whether fewer requests came than `below` of what the hour of the week brings, for certain. Known after a
    /// week; before that, the hour of the day before tells.
    pub(super) fn missed(&self, at: Timestamp, below: f64) -> Option<Missed> {
        let first = self.history.first?;
        if self.objective.indicator.sides().is_none() || self.input.stale(at) {
            return None;
        }
        let hour = Millis::hours(1);
        let known = |back: Millis| first <= at - back - hour;
        let weeks: Vec<Millis> = (1..=WEEKS).map(|n| Millis::days(7 * n)).filter(|back| known(*back)).collect();
        let days: Vec<Millis> = (1..=3).map(Millis::days).filter(|back| known(*back)).collect();
        let backs = if weeks.is_empty() { days } else { weeks };
        let nearest = *backs.first()?;
        VANISHED_SPANS.into_iter().find_map(|span| {
            // Of a quarter of an hour the hours around it tell more surely: of the one that ends with it and the one that
            // begins with it the quieter, for traffic may fall steeply in the evening.
            let wide = span.max(hour);
            let usual = |back: &Millis| {
                let hours =
                    [at - *back, at - *back + (wide - span)].map(|until| self.history.window(until, wide).total);
                hours[0].min(hours[1]) * span.0 as f64 / wide.0 as f64
            };
            let came = self.history.window(at, span).total;
            // The cheap question first.
            if came > below * usual(&nearest) {
                return None;
            }
            let expected = backs.iter().map(usual).min_by(f64::total_cmp)?;
            let few = came <= below * expected && fewer(came, expected / 2.0) < VANISHED_DOUBT;
            few.then_some(Missed { span, came, expected })
        })
    }

    fn companion_alert(&self, companion: Companion, at: Timestamp) -> Alert {
        let (value, summary, span) = match companion {
            Companion::Drain => {
                let Drain { counts, since, .. } = self.burning.drain;
                let since = since.unwrap_or(at);
                let burn = counts.ratio().unwrap_or(0.0) / self.objective.budget();
                (burn, alert::drain_summary(&self.objective, burn, counts, at - since), at - since)
            }
            Companion::Exhausted => {
                let summary = alert::exhausted_summary(&self.objective, at, self.in_window(at));
                let budget = self.budget(at);
                (budget.spent / budget.total.max(f64::MIN_POSITIVE), summary, self.objective.passed(at))
            }
            Companion::Vanished => {
                let missed = self.missed(at, VANISHED_BELOW);
                let missed = missed.unwrap_or(Missed { span: VANISHED_SPANS[0], came: 0.0, expected: 0.0 });
                (missed.came, alert::vanished_summary(&self.objective, missed), missed.span)
            }
        };
        alert::companion(&self.objective, companion, at, value, &summary, span)
    }
}

/// The probability of so few events where so many are expected (Poisson, as a binomial of very many trials).
fn fewer(came: f64, expected: f64) -> f64 {
    const TRIALS: f64 = 1e7;
    1.0 - binomial_tail(came.floor() + 1.0, TRIALS.max(expected * 1000.0), expected / TRIALS.max(expected * 1000.0))
}
