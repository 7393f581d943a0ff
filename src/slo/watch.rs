//! One objective as it runs: what waits, what was counted, which pairs fire.
//!
//! Invariants:
//! - An increase counts from its own instant on, and not before both sides of the ratio have been heard
//!   up to it (or patience is over): halves that come in different transactions never look like failures.
//! - What alerts, and when that is over, is decided in `burn`.

use std::collections::BTreeMap;

use crate::model::limits;
use crate::model::{Alert, Labels, Millis, Sample, Timestamp};

use super::adjustment::Exclusions;
use super::burn::{Burning, Decision};
use super::episode::{Course, Episode};
use super::groups::Groups;
use super::history::{Counts, History};
use super::input::Input;
use super::objective::{Indicator, Objective};
use super::pair::BurnPair;
use super::series::{Increase, Increases, Roles, SeriesSet, join};
use super::slices::{Method, Slices};
use super::status::shown_span;
use super::time_coverage::Presence;

/// The confidence of the lower bounds that are shown.
pub(super) const CONFIDENCE: f64 = 0.99;
/// Fewer bad events than this never alert: at 99.99 % even a single failure of six would be evidence, and two are one
/// request that was tried again.
pub(super) const FAILURES_MIN: f64 = 3.0;

/// How often an objective looks for series that it need not remember.
const FORGET_EVERY: Millis = Millis::hours(1);

/// A pair and its alert.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct PairState {
    pub(super) pair: BurnPair,
    pub(super) firing: Option<Alert>,
}

/// An increase that does not count yet.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Waiting {
    pub(super) more: Increase,
    pub(super) arrived: Timestamp,
}

/// What one transaction brought to an objective, or to one of its groups.
#[derive(Debug, Default)]
pub(super) struct Portion {
    pub(super) increases: Increases,
    /// The newest sample of the numerator's side and of the total's.
    heard: [Option<Timestamp>; 2],
    /// The time since an earlier arrival of the first series that had one, or since its earlier sample if that is longer.
    gap: Option<Millis>,
}

impl Portion {
    fn hear(&mut self, roles: Roles, t: Timestamp, gap: Option<Millis>) {
        hear(&mut self.heard, roles, t);
        self.gap = self.gap.or(gap);
    }
}

/// Notes that a sample at `t` was heard on the sides that `roles` names.
fn hear(heard: &mut [Option<Timestamp>; 2], roles: Roles, t: Timestamp) {
    for (heard, has) in heard.iter_mut().zip([roles.part.is_some(), roles.total.is_some()]) {
        if has {
            *heard = (*heard).max(Some(t));
        }
    }
}

/// The running state of one objective.
#[derive(Debug, Clone)]
pub(super) struct Watch {
    pub(super) objective: Objective,
    pub(super) pairs: Vec<PairState>,
    pub(super) history: History,
    pub(super) input: Input,
    pub(super) series: SeriesSet,
    pub(super) waiting: BTreeMap<Timestamp, Waiting>,
    /// Budgets for label combinations; of an objective without any it stays empty.
    pub(super) groups: Groups,
    /// The newest sample of the numerator's side and of the total's.
    pub(super) heard: [Option<Timestamp>; 2],
    /// When watching began.
    pub(super) since: Option<Timestamp>,
    /// Up to which instant of the log everything is decided.
    pub(super) decided: Option<Timestamp>,
    deadline: Option<Timestamp>,
    /// What alerts rest on besides the counts.
    pub(super) burning: Burning,
    /// Slices of time that can still change; without a method of slices there are none.
    pub(super) slices: Slices,
    /// What did not count.
    pub(super) exclusions: Exclusions,
    /// When the calendar's present period ends.
    period_end: Option<Timestamp>,
    /// How its counts were made: [`Objective::reckoning`].
    pub(super) reckoning: String,
    /// The calendar at whose edges counts were kept.
    pub(super) edges_of: String,
    /// Whether something was taken on which nothing was decided yet.
    pub(super) touched: bool,
    /// Whether its definition has changed so that it must be counted again from what is stored.
    pub(super) recount: bool,
    /// The expression that its status shows; of a calendar it depends on the time.
    pub(super) query: Option<String>,
    /// What may become an episode, or is one.
    pub(super) course: Course,
    /// Episodes that nobody has taken yet.
    pub(super) episodes: Vec<Episode>,
    /// When samples came; of a group nothing.
    pub(super) presence: Presence,
}

impl Watch {
    pub(super) fn new(objective: Objective, pairs: Vec<BurnPair>) -> Watch {
        Watch {
            history: History::new(objective.reach()),
            reckoning: objective.reckoning(),
            edges_of: objective.calendar.as_ref().map_or_else(String::new, |calendar| format!("{calendar:?}")),
            slices: Slices::default(),
            exclusions: Exclusions::default(),
            query: objective.calendar.is_none().then(|| objective.error_query(shown_span(objective.window))),
            period_end: None,
            pairs: pairs.into_iter().map(|pair| PairState { pair, firing: None }).collect(),
            objective,
            input: Input::default(),
            series: SeriesSet::default(),
            waiting: BTreeMap::new(),
            groups: Groups::default(),
            heard: [None; 2],
            since: None,
            decided: None,
            deadline: None,
            burning: Burning::default(),
            touched: false,
            recount: false,
            course: Course::default(),
            episodes: Vec::new(),
            presence: Presence::default(),
        }
    }

    /// Takes the samples of one transaction, given by position of their series.
    pub(super) fn take(&mut self, samples: impl Iterator<Item = (usize, Sample)> + Clone, at: Timestamp) {
        // First all targets: which of two new series comes first in a transaction means nothing.
        for (series, sample) in samples.clone() {
            self.series.meet(series, sample.t);
        }
        let grouped = !self.objective.group_by.is_empty();
        let (interval, reach) = (self.input.interval(), self.objective.reach());
        let mut whole = Portion::default();
        let mut portions: BTreeMap<Labels, Portion> = BTreeMap::new();
        for (series, sample) in samples {
            let mut one = Increases::default();
            let out = if grouped { &mut one } else { &mut whole.increases };
            let taken = self.series.take(series, sample, at, &self.objective.indicator, out);
            let Some(before) = taken else { continue };
            self.presence.note(sample.t, interval, reach);
            // Who catches up sends in a moment what belongs to hours: the samples' own times tell how often they come.
            let gap = before.map(|cursor| (at - cursor.seen_at, sample.t - cursor.t));
            let gap = gap.filter(|(arrivals, _)| *arrivals > Millis::ZERO).map(|(a, b)| a.max(b));
            let bound = &self.series.bound[series];
            whole.hear(bound.roles, sample.t, gap);
            if grouped {
                let portion = portions.entry(bound.group.clone()).or_default();
                portion.hear(bound.roles, sample.t, gap);
                join(&mut portion.increases, &one);
                join(&mut whole.increases, &one);
            }
        }
        if grouped && !portions.is_empty() {
            let pairs: Vec<BurnPair> = self.pairs.iter().map(|state| state.pair).collect();
            self.groups.take(&self.objective, &pairs, portions, at);
        }
        self.accept(whole, at);
    }

    /// Takes what one transaction brought.
    pub(super) fn accept(&mut self, portion: Portion, at: Timestamp) {
        if portion.heard == [None; 2] {
            return;
        }
        let lacked = self.lacks_bucket();
        for (heard, newer) in self.heard.iter_mut().zip(portion.heard) {
            *heard = (*heard).max(newer);
        }
        if let (true, Some(first)) = (lacked, self.heard[0]) {
            // What was counted before there was a bucket says nothing of it.
            self.waiting.retain(|t, _| *t >= first);
        }
        self.touched = true;
        self.input.arrived(at, portion.gap);
        self.wait(portion.increases, at);
    }

    /// Notes that a sample at `t` was heard on the sides that `roles` names.
    pub(super) fn hear(&mut self, roles: Roles, t: Timestamp) {
        hear(&mut self.heard, roles, t);
    }

    fn wait(&mut self, increases: Increases, at: Timestamp) {
        for (t, more) in increases {
            // Past the bound, what comes later joins the last one that waits.
            let full = self.waiting.len() >= limits::OBJECTIVE_WAITING_MAX && !self.waiting.contains_key(&t);
            let t = if full { self.waiting.keys().next_back().copied().unwrap_or(t) } else { t };
            let entry = self.waiting.entry(t).or_insert(Waiting { more: Increase::default(), arrived: at });
            entry.more.part += more.part;
            entry.more.total += more.total;
        }
    }

    /// Up to which instant both sides have been heard.
    fn complete_until(&self) -> Timestamp {
        match self.objective.indicator {
            Indicator::Threshold { .. } | Indicator::Composite(_) => Timestamp::MAX,
            // Failures may have no series before the first; all events always do.
            Indicator::ErrorRatio { .. } => self.heard[1].unwrap_or(Timestamp::MIN),
            Indicator::Ratio { .. } => {
                self.heard[0].unwrap_or(Timestamp::MIN).min(self.heard[1].unwrap_or(Timestamp::MIN))
            }
        }
    }

    /// How long one half waits for the other: two intervals, because a third one is blindness.
    fn patience(&self) -> Millis {
        let interval = self.input.interval().unwrap_or(Millis::seconds(5));
        Millis(interval.0.saturating_mul(2)).clamp(Millis::seconds(1), Millis::minutes(1))
    }

    fn due(&self, t: Timestamp, waiting: &Waiting) -> Timestamp {
        if t <= self.complete_until() { t } else { t.max(waiting.arrived + self.patience()) }
    }

    fn release(&mut self, at: Timestamp) {
        if self.waiting.is_empty() {
            return;
        }
        let ready: Vec<Timestamp> =
            self.waiting.range(..=at).filter(|(t, w)| self.due(**t, w) <= at).map(|(t, _)| *t).collect();
        for t in ready {
            if let Some(Waiting { more, .. }) = self.waiting.remove(&t) {
                self.add(t, more);
            }
        }
    }

    /// Up to when both sides were heard, for slices of time.
    fn slices_heard(&self) -> Timestamp {
        let [part, total] = self.heard.map(|heard| heard.unwrap_or(Timestamp::MIN));
        match self.objective.indicator {
            Indicator::ErrorRatio { .. } => total,
            Indicator::Ratio { .. } | Indicator::Threshold { .. } | Indicator::Composite(_) => part.min(total),
        }
    }

    /// Up to when slices of time can be counted.
    fn sliced_until(&self, at: Timestamp) -> Timestamp {
        let before_waiting = self.waiting.keys().next().map_or(Timestamp::MAX, |first| *first - Millis(1));
        self.slices_heard().max(at - self.patience()).min(before_waiting).min(at)
    }

    /// When time alone lets a slice count. While an increase waits that belongs into it, that one's time comes first.
    fn slice_due(&self) -> Option<Timestamp> {
        let end = self.slices.next_end(self.objective.method)?;
        let waits = self.waiting.keys().next().is_some_and(|first| *first <= end);
        let due = if end <= self.slices_heard() { end } else { end + self.patience() };
        (!waits).then_some(due)
    }

    /// Counts the slices of time that are over by `until`.
    pub(super) fn close_slices(&mut self, until: Timestamp) {
        for (t, more) in self.slices.close(until, self.objective.method) {
            self.put(t, more);
        }
    }

    /// Whether the bucket was never heard of which the good events are: a histogram has all of its buckets from the start
    /// on, so it has none with this bound, and says nothing of it.
    pub(super) fn lacks_bucket(&self) -> bool {
        self.heard[0].is_none() && self.objective.indicator.counts_a_bucket()
    }

    fn add(&mut self, t: Timestamp, more: Increase) {
        if self.lacks_bucket() {
            return;
        }
        let counts = self.objective.indicator.counts(more);
        if self.exclusions.take(&self.objective.adjustments, t, counts) {
            self.history.begin(t);
            return;
        }
        match self.objective.method.width() {
            None => self.put(t, counts),
            Some(width) => {
                self.history.begin(t);
                self.slices.add(t, counts, width);
            }
        }
    }

    /// Counts what the budget is made of.
    fn put(&mut self, t: Timestamp, more: Counts) {
        if let Some(calendar) = &self.objective.calendar
            && self.period_end.is_none_or(|end| t > end)
        {
            // An event at the edge itself lies before it.
            let (begin, end) = calendar.period(t - Millis(1));
            if self.history.edges.back().is_none_or(|edge| edge.t < begin) {
                self.history.mark(begin);
            }
            self.period_end = Some(end);
        }
        self.follow(t, more);
        self.history.add(t, more);
        self.burning.drain.add(t, more, self.objective.budget());
    }

    /// Counts increases of which both sides are at hand.
    pub(super) fn add_now(&mut self, increases: impl IntoIterator<Item = (Timestamp, Increase)>) {
        for (t, more) in increases {
            self.add(t, more);
        }
    }

    /// Brings everything to the instant `at` and decides.
    pub(super) fn decide(&mut self, at: Timestamp) -> Vec<Decision> {
        self.since = self.since.or(Some(at));
        self.forget(at);
        self.release(at);
        if self.objective.method != Method::Occurrences {
            self.close_slices(self.sliced_until(at));
        }
        let decisions = self.decisions(at);
        self.forget_drain(at);
        self.decide_episode(at);
        self.decided = Some(at);
        self.touched = false;
        decisions
    }

    /// Once an hour of the log's time, lets go of what was not seen for long.
    fn forget(&mut self, at: Timestamp) {
        let hour = |t: Timestamp| t.0.div_euclid(FORGET_EVERY.0);
        if self.decided.is_some_and(|decided| hour(decided) < hour(at)) {
            self.series.forget(at - limits::OBJECTIVE_MEMORY);
            if !self.objective.group_by.is_empty() {
                let pairs: Vec<BurnPair> = self.pairs.iter().map(|state| state.pair).collect();
                self.groups.compare(&self.objective, &pairs, at, FORGET_EVERY);
            }
        }
    }

    /// Computes when time alone can change something next. After each change of state.
    pub(super) fn plan(&mut self) {
        let Some(now) = self.decided else {
            self.deadline = None;
            return;
        };
        let stale_from = self.input.stale_from().filter(|from| *from > now);
        let waiting = self.waiting.iter().map(|(t, w)| self.due(*t, w)).min();
        // After input counts as stale, what is planned then sees to the rest.
        let resolving = self.resolving(now).filter(|end| stale_from.is_none_or(|from| *end < from));
        let next = waiting.into_iter().chain(stale_from).chain(self.slice_due()).chain(resolving).min();
        let own = next.map(|t| Timestamp(t.0.max(now.0.saturating_add(1))));
        self.deadline = self.groups.members.values().filter_map(Watch::deadline).chain(own).min();
    }

    /// Whether an alert of its own fires.
    pub(super) fn fires(&self) -> bool {
        self.own_alerts().next().is_some()
    }

    /// When time alone can change something next.
    pub(super) fn deadline(&self) -> Option<Timestamp> {
        self.deadline
    }

    /// Forgets the numbers of all series, whose labels stay known.
    pub(super) fn unbind(&mut self) {
        self.series.vacant.clear();
        for series in std::mem::take(&mut self.series.bound) {
            if let Some(cursor) = series.cursor {
                self.series.dormant.insert(series.labels, cursor);
            }
        }
    }
}
