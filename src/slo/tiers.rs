//! When tiers of burn pairs fire and when that is over: the same rule for whatever counts events.
//!
//! Invariants: those of `burn`.

use crate::model::{Millis, Timestamp};
use crate::stats::binomial_tail;

use super::burn::{Burning, Companion, Decision, Subject};
use super::history::Counts;
use super::pair::{BurnPair, Severity};
use super::watch::{FAILURES_MIN, PairState};

/// How surprising failures must be before they alert, over all windows that are looked at: 99 % confidence. With 99.9 %,
/// three failures among ten requests page, and five among a hundred.
const DOUBT: f64 = 0.01;
/// How surprising they must be instead if the budget were only spent evenly. A few failures an hour leave room for any burn
/// between half the threshold and twice of it, and none for an even pace.
const DOUBT_OF_BURNING: f64 = 0.0001;
/// A short window with fewer events says nothing yet.
const EVENTS_MIN: f64 = 3.0;
/// Less of the budget is no episode, and nobody's business: a night of few requests may burn fast and spend nothing.
const EPISODE_SPENT: f64 = 0.01;
/// What a page waits for. The fastest pair stands for two hundredths of the budget in a mean hour; in a quiet one, of a third of
/// the traffic, for so much.
const PAGE_SPENT: f64 = 0.007;
/// An alert that begins again so soon was ended too early the time before: the service comes and goes.
const FLAPPING: Millis = Millis::hours(1);
/// How surprising few failures must be before it is taken that the burn is over.
const OVER_DOUBT: f64 = 0.01;
/// An exhausted budget counts as recovered with so much left.
const RECOVERED: f64 = 0.05;

/// The place of a severity's tier.
pub(super) fn tier(severity: Severity) -> usize {
    match severity {
        Severity::Page => 0,
        Severity::Ticket => 1,
    }
}

/// The share of the budget that must be spent before anybody is told.
fn least_spent(severity: Severity) -> f64 {
    match severity {
        Severity::Page => PAGE_SPENT,
        Severity::Ticket => EPISODE_SPENT,
    }
}

/// What counts events: an objective, one of its groups, a composite.
pub(super) trait Tiers {
    /// The share of events that may be bad.
    fn allowed(&self) -> f64;
    /// The objective's window.
    fn budget_window(&self) -> Millis;
    /// Its pairs with their alerts.
    fn pairs(&self) -> &[PairState];
    /// What was decided before.
    fn burning(&self) -> &Burning;
    /// Since when events are counted.
    fn counted_since(&self) -> Option<Timestamp>;
    /// Events of a window that ends at `until`.
    fn events(&self, until: Timestamp, length: Millis) -> Counts;
    /// The shortest window of at least `least` that holds so many events; `most` if none up to that does.
    fn holding(&self, until: Timestamp, events: f64, least: Millis, most: Millis) -> Millis;
    /// Whether input has stopped.
    fn stale(&self, at: Timestamp) -> bool;
    /// Whether a part of it says already what a tier would say.
    fn said(&self, severity: Severity) -> bool;
    /// What the budget's window, or the present period, holds up to `at`.
    fn in_window(&self, at: Timestamp) -> Counts;
    /// The share of the budget that is left.
    fn left(&self, at: Timestamp) -> f64;

    /// How long has been counted.
    fn counted(&self, at: Timestamp) -> Millis {
        self.counted_since().map_or(Millis::ZERO, |first| at - first)
    }

    /// Bad events that the window may hold, as the traffic so far lets expect.
    fn expected_budget(&self, at: Timestamp) -> f64 {
        let window = self.budget_window();
        let covered = self.counted(at).clamp(Millis(1), window);
        let all = self.events(at, window);
        all.total * (window.0 as f64 / covered.0 as f64) * self.allowed()
    }

    /// Bad events in a pair's long window that are reason enough, whatever their share: those of the budget that the pair
    /// stands for. In the busiest hour a share spends several times as much as in a mean one, and a page must not wait for it;
    /// a ticket may.
    fn enough_spent(&self, pair: &BurnPair, at: Timestamp) -> f64 {
        if pair.severity != Severity::Page {
            return f64::INFINITY;
        }
        pair.budget_share(self.budget_window()) * self.expected_budget(at)
    }

    /// Whether so many bad events in a pair's long window, of so many in all, are above its threshold.
    fn spends(&self, pair: &BurnPair, at: Timestamp, long: Counts) -> bool {
        let share = pair.threshold * self.allowed();
        long.ratio().is_some_and(|ratio| ratio > share) || long.bad >= self.enough_spent(pair, at)
    }

    /// What the tiers decide at `at`.
    fn tier_decisions(&self, at: Timestamp) -> Vec<Decision> {
        let mut decisions = Vec::new();
        let paging = self.firing_pair(Severity::Page).is_some();
        decisions.extend(self.tier_decision(Severity::Page, at));
        let paging = paging || !decisions.is_empty();
        // With a page, a ticket that fires may end; none begins.
        let ticket = self.tier_decision(Severity::Ticket, at);
        decisions.extend(ticket.filter(|decision| !paging || matches!(decision, Decision::Resolve(_))));
        decisions
    }

    /// The pair of a severity that fires.
    fn firing_pair(&self, severity: Severity) -> Option<usize> {
        self.pairs().iter().position(|state| state.pair.severity == severity && state.firing.is_some())
    }

    /// What one tier decides.
    fn tier_decision(&self, severity: Severity, at: Timestamp) -> Option<Decision> {
        match self.firing_pair(severity) {
            Some(n) => self.tier_over(severity, at).then_some(Decision::Resolve(Subject::Pair(n))),
            // What one group's alert says already is not said again for all.
            None if self.said(severity) => None,
            None => {
                let n = self.speaking(severity, at).find(|n| self.credible(&self.pairs()[*n].pair, at))?;
                Some(Decision::Fire(Subject::Pair(n)))
            }
        }
    }

    /// The pairs of a severity that have something to say: the first, and those of which enough has been counted.
    fn speaking(&self, severity: Severity, at: Timestamp) -> impl Iterator<Item = usize> {
        let covered = self.counted(at);
        let of_it = self.pairs().iter().enumerate().filter(move |(_, state)| state.pair.severity == severity);
        let mut seen = false;
        of_it.filter_map(move |(n, state)| {
            let first = !std::mem::replace(&mut seen, true);
            (first || covered.0 >= state.pair.long.0 / 2).then_some(n)
        })
    }

    /// Events since `at - length`, and since failures were last told of.
    fn untold(&self, severity: Severity, at: Timestamp, length: Millis) -> Counts {
        let told = self.burning().cleared[tier(severity)].map_or(length, |cleared| (at - cleared).max(Millis::ZERO));
        self.events(at, length.min(told))
    }

    /// The short window, longer where few events come.
    fn short_of(&self, pair: &BurnPair, at: Timestamp) -> Millis {
        self.holding(at, EVENTS_MIN, pair.short, pair.long)
    }

    /// Whether a pair may fire.
    fn credible(&self, pair: &BurnPair, at: Timestamp) -> bool {
        let share = pair.threshold * self.allowed();
        // The cheap question first: nearly always the answer is no.
        let long = self.events(at, pair.long);
        if long.bad < FAILURES_MIN || !self.spends(pair, at, long) {
            return false;
        }
        let untold = self.untold(pair.severity, at, pair.long);
        if untold.bad < FAILURES_MIN || !self.spends(pair, at, Counts { bad: untold.bad, total: long.total }) {
            return false;
        }
        let shortest = self.short_of(pair, at);
        let short = self.untold(pair.severity, at, shortest);
        short.ratio().is_some_and(|ratio| ratio > share)
            && untold.bad >= least_spent(pair.severity) * self.expected_budget(at)
            && !self.stale(at)
            && self.certain(pair, at, shortest)
    }

    /// Whether in some window between the long one and the shortest the true burn is above half the threshold for certain and
    /// above 1, or above 1 for more than certain.
    fn certain(&self, pair: &BurnPair, at: Timestamp, shortest: Millis) -> bool {
        let share = (pair.threshold / 2.0).max(1.0) * self.allowed();
        let halves = std::iter::successors(Some(pair.long), |length| Some(Millis(length.0 / 2)));
        let lengths: Vec<Millis> = halves.take_while(|length| *length > shortest).chain([shortest]).collect();
        lengths.iter().any(|length| {
            let counts = self.untold(pair.severity, at, *length);
            let surprising = |share: f64, doubt: f64| {
                counts.ratio().is_some_and(|ratio| ratio > share)
                    && binomial_tail(counts.bad, counts.total, share) < doubt
            };
            let windows = lengths.len() as f64;
            counts.bad >= FAILURES_MIN
                && (surprising(share, DOUBT / windows) || surprising(self.allowed(), DOUBT_OF_BURNING / windows))
        })
    }

    /// Whether both windows of a pair are above its threshold.
    fn holds(&self, pair: &BurnPair, at: Timestamp) -> bool {
        let share = pair.threshold * self.allowed();
        let above = |counts: Counts| counts.ratio().is_some_and(|ratio| ratio >= share);
        let long = self.events(at, pair.long);
        let long_holds = above(long) || long.bad >= self.enough_spent(pair, at);
        long_holds && (self.stale(at) || above(self.events(at, self.short_of(pair, at))))
    }

    /// Whether a tier's alert is over: no pair holds, or the latest events leave no doubt.
    fn tier_over(&self, severity: Severity, at: Timestamp) -> bool {
        let pairs = || self.speaking(severity, at).map(|n| &self.pairs()[n].pair);
        if !pairs().any(|pair| self.holds(pair, at)) {
            return true;
        }
        let firing = self.pairs().iter().filter(|state| state.pair.severity == severity);
        let began = firing.filter_map(|state| Some(state.firing.as_ref()?.active_at)).next();
        let cleared = self.burning().cleared[tier(severity)];
        let again = cleared.zip(began).is_some_and(|(cleared, began)| began - cleared < FLAPPING);
        if self.stale(at) || again {
            return false;
        }
        let Some(slowest) = pairs().min_by(|a, b| a.threshold.total_cmp(&b.threshold)) else { return true };
        let share = slowest.threshold * self.allowed();
        let recent = self.events(at, Millis(slowest.short.0 / 2));
        recent.ratio().is_some_and(|ratio| ratio < share)
            && 1.0 - binomial_tail(recent.bad.floor() + 1.0, recent.total, share) < OVER_DOUBT
    }

    /// Whether its budget is exhausted, or is no more. A budget of which an hour is known is not exhausted by it.
    fn exhaustion(&self, at: Timestamp) -> Option<Decision> {
        let subject = Subject::Companion(Companion::Exhausted);
        let left = self.left(at);
        if self.burning().firing[Companion::Exhausted as usize].is_some() {
            return (left > RECOVERED).then_some(Decision::Resolve(subject));
        }
        let known = self.counted(at) >= Millis::days(1).min(self.budget_window());
        let spent = left <= 0.0 && known && self.in_window(at).bad >= FAILURES_MIN;
        spent.then_some(Decision::Fire(subject))
    }
}
