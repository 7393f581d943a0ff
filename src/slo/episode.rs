//! Episodes: spans in which a budget was spent too fast, found by hindsight and by no rule.
//!
//! Invariants:
//! - An episode is where the sum of bad events beyond an even pace rises from nothing to its highest point (a maximal
//!   scoring segment; Karlin and Altschul 1990, Ruzzo and Tompa 1999): before it and behind it the burn was at most 1.
//! - It has spent at least [`SPENT`] of the window's budget, and is no chance: a segment is chosen by hindsight, so it
//!   must be more surprising than [`DOUBT`].
//! - It is over once nothing was added for [`PAUSE`], in which at its own pace [`MISSED`] bad events would have come. A
//!   silence ends it only after [`SILENCE`].
//! - It depends on what was counted alone, so that a replay finds the same, and stored history tells of the time before
//!   anybody watched.

use crate::model::limits;
use crate::model::{Labels, Millis, Timestamp};
use crate::stats::binomial_tail;

use super::history::Counts;
use super::objectives::Objectives;
use super::severity::AlertSeverity;
use super::tiers::Tiers;
use super::watch::{FAILURES_MIN, Watch};

/// Less of the budget is no episode.
const SPENT: f64 = 0.01;
/// A month has thousands of beginnings to choose from; of a service that just meets its objective one in a hundred
/// months has such a span.
const DOUBT: f64 = 1e-5;
/// A shorter pause does not end an episode.
const PAUSE: Millis = Millis::hours(1);
/// Bad events that would have come in the pause at the pace of the episode: no more than one in twenty misses three.
const MISSED: f64 = 3.0;
/// After this it is over whatever did not come.
const SILENCE: Millis = Millis::days(3);

/// A span in which an objective burned above 1, for certain, and spent at least a hundredth of its budget.
#[derive(Debug, Clone, PartialEq)]
pub struct Episode {
    /// Whose objective it is.
    pub service: String,
    /// The objective.
    pub objective: String,
    /// The group of which alone it is; empty: of all.
    pub group: Labels,
    /// The first bad event of it.
    pub start: Timestamp,
    /// The last instant at which burn was above 1: its end, once it is over.
    pub last: Timestamp,
    /// Whether it is over.
    pub over: bool,
    /// Bad events of it.
    pub bad: f64,
    /// All events of it.
    pub total: f64,
    /// Bad events over all, in budgets.
    pub burn: f64,
    /// The share of the window's budget that it spent.
    pub spent: f64,
    /// Whether the objective was watched when it began. If not, stored history told of it, and nobody could have.
    pub watched: bool,
    /// Of an objective with groups: those with the most bad events, the worst first, and how many others had any.
    pub suffered: Suffered,
}

/// Which groups an episode hit. They are counted from their own histories, to the resolution at which those are kept.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Suffered {
    /// The worst, at most [`limits::EPISODE_GROUPS_MAX`].
    pub groups: Vec<GroupShare>,
    /// Others with bad events, or without a budget of their own.
    pub others: usize,
}

/// What an episode was to one group.
#[derive(Debug, Clone, PartialEq)]
pub struct GroupShare {
    /// The group.
    pub group: Labels,
    /// Its bad events.
    pub bad: f64,
    /// All its events.
    pub total: f64,
    /// Its share of the episode's bad events.
    pub share: f64,
}

/// What an objective has spent too fast by an instant.
#[derive(Debug, Clone, PartialEq)]
pub struct Spending {
    /// Whose objective it is.
    pub service: String,
    /// The objective.
    pub objective: String,
    /// The group; empty: all.
    pub group: Labels,
    /// Since when it is spent too fast.
    pub since: Timestamp,
    /// The share of the window's budget spent since then.
    pub spent: f64,
}

/// The span that may become an episode.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(super) struct Course {
    /// Bad events beyond an even pace.
    pub(super) excess: f64,
    pub(super) counts: Counts,
    pub(super) since: Option<Timestamp>,
    pub(super) peak: Peak,
    /// Whether it was told of as an episode.
    pub(super) told: bool,
}

/// Where the excess was highest.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Peak {
    pub(super) t: Timestamp,
    pub(super) excess: f64,
    pub(super) counts: Counts,
}

impl Default for Peak {
    fn default() -> Peak {
        Peak { t: Timestamp(0), excess: 0.0, counts: Counts::default() }
    }
}

impl Course {
    /// Counts events of a budget.
    fn add(&mut self, t: Timestamp, more: Counts, budget: f64) {
        self.excess += more.bad - budget * more.total;
        if self.excess <= 0.0 && !self.told {
            *self = Course::default();
            return;
        }
        self.since = self.since.or(Some(t));
        self.counts.add(more);
        if self.excess > self.peak.excess {
            // What comes late is of its own time.
            self.peak = Peak { t: t.max(self.peak.t), excess: self.excess, counts: self.counts };
        }
    }

    /// Whether nothing was added for so long that what began is over.
    fn over(&self, at: Timestamp) -> bool {
        if self.since.is_none() || at - self.peak.t < PAUSE {
            return false;
        }
        let pace = self.peak.counts.ratio().unwrap_or(1.0);
        (self.counts.total - self.peak.counts.total) * pace >= MISSED || at - self.peak.t >= SILENCE
    }
}

impl Watch {
    /// Counts what may be an episode's; before it is counted for windows.
    pub(super) fn follow(&mut self, t: Timestamp, more: Counts) {
        self.end_episode(t);
        self.course.add(t, more, self.objective.budget());
    }

    /// Ends what is over by `at`.
    fn end_episode(&mut self, at: Timestamp) {
        if !self.course.over(at) {
            return;
        }
        if let Some(episode) = self.episode(at) {
            self.tell(Episode { over: true, ..episode });
        }
        self.course = Course::default();
    }

    /// Notes what has become an episode, or is one no more.
    pub(super) fn decide_episode(&mut self, at: Timestamp) {
        self.end_episode(at);
        if !self.course.told
            && let Some(episode) = self.episode(at)
        {
            self.course.told = true;
            self.tell(episode);
        }
    }

    fn tell(&mut self, episode: Episode) {
        if self.episodes.len() == limits::EPISODES_MAX {
            self.episodes.remove(0);
        }
        self.episodes.push(episode);
    }

    /// What began, if it is an episode by now.
    pub(super) fn episode(&self, at: Timestamp) -> Option<Episode> {
        let (start, Peak { t: last, counts, .. }) = (self.course.since?, self.course.peak);
        let budget = self.objective.budget();
        if !self.course.told && counts.bad < FAILURES_MIN {
            return None;
        }
        let spent = counts.bad / self.expected_budget(at).max(f64::MIN_POSITIVE);
        // What was told of once is one. The dear question last.
        let begins = || spent >= SPENT && binomial_tail(counts.bad, counts.total, budget) < DOUBT;
        (self.course.told || begins()).then(|| Episode {
            service: self.objective.service.clone(),
            objective: self.objective.name.clone(),
            group: self.objective.group().clone(),
            start,
            last,
            over: false,
            bad: counts.bad,
            total: counts.total,
            burn: counts.ratio().unwrap_or(0.0) / budget,
            spent,
            watched: self.since.is_some_and(|since| start >= since),
            suffered: self.suffered(start, last, counts.bad),
        })
    }

    /// Which groups had the bad events of a span.
    fn suffered(&self, start: Timestamp, last: Timestamp, bad: f64) -> Suffered {
        if self.objective.group_by.is_empty() {
            return Suffered::default();
        }
        let of_group = |(group, watch): (&Labels, &Watch)| {
            let counts = watch.history.covering(start, last);
            let share = (counts.bad / bad.max(f64::MIN_POSITIVE)).min(1.0);
            GroupShare { group: group.clone(), bad: counts.bad, total: counts.total, share }
        };
        let mut groups: Vec<GroupShare> = self.groups.members.iter().map(of_group).collect();
        groups.retain(|one| one.bad > 0.0);
        groups.sort_by(|a, b| b.bad.total_cmp(&a.bad).then_with(|| a.group.cmp(&b.group)));
        let others = groups.len().saturating_sub(limits::EPISODE_GROUPS_MAX) + self.groups.without_budget();
        groups.truncate(limits::EPISODE_GROUPS_MAX);
        Suffered { groups, others }
    }

    /// What was told since this was last asked, of its groups too.
    pub(super) fn take_episodes(&mut self, out: &mut Vec<Episode>) {
        out.append(&mut self.episodes);
        self.groups.members.values_mut().for_each(|group| out.append(&mut group.episodes));
    }

    fn spending(&self, at: Timestamp, out: &mut Vec<Spending>) {
        let whole = std::iter::once(self).chain(self.groups.members.values());
        out.extend(whole.filter_map(|watch| {
            Some(Spending {
                service: watch.objective.service.clone(),
                objective: watch.objective.name.clone(),
                group: watch.objective.group().clone(),
                since: watch.course.since?,
                spent: watch.course.counts.bad / watch.expected_budget(at).max(f64::MIN_POSITIVE),
            })
        }));
    }
}

impl Objectives {
    /// Episodes that began or ended since this was last asked. One that goes on is told of once, and again when it is
    /// over.
    pub fn take_episodes(&mut self) -> Vec<Episode> {
        std::mem::take(&mut self.episodes)
    }

    /// The episodes that go on, as they stand.
    pub fn open_episodes(&self, at: Timestamp) -> Vec<Episode> {
        let all = self.watches.iter().flat_map(|watch| std::iter::once(watch).chain(watch.groups.members.values()));
        all.filter(|watch| watch.course.told).filter_map(|watch| watch.episode(at)).collect()
    }

    /// The objectives, by service and name, of which an alert with these labels can tell: those of its service, and of a
    /// composite its parts.
    pub fn about(&self, alert: &Labels) -> Vec<(String, String)> {
        let (service, slo) = (alert.get("service"), alert.get("slo"));
        let composite =
            self.composites.iter().find(|one| one.objective.service == service && one.objective.name == slo);
        let parts = composite.iter().flat_map(|one| &one.parts).filter_map(|(n, _)| self.watches.get(*n));
        let own = self.watches.iter().filter(|watch| watch.objective.service == service);
        let mut all: Vec<_> =
            own.chain(parts).map(|watch| (watch.objective.service.clone(), watch.objective.name.clone())).collect();
        all.sort();
        all.dedup();
        all
    }

    /// What those objectives, and their groups, have spent too fast by now; the most first.
    pub fn spending(&self, about: &[(String, String)], at: Timestamp) -> Vec<Spending> {
        let mut out = Vec::new();
        let named = |watch: &&Watch| {
            about.iter().any(|(service, name)| *service == watch.objective.service && *name == watch.objective.name)
        };
        self.watches.iter().filter(named).for_each(|watch| watch.spending(at, &mut out));
        out.sort_by(|a, b| b.spent.total_cmp(&a.spent));
        out
    }

    /// What an alert of an objective is told as that fires with these labels; absent if none does.
    pub fn severity(&self, alert: &Labels) -> Option<AlertSeverity> {
        let (service, slo) = (alert.get("service"), alert.get("slo"));
        let watches =
            self.watches.iter().filter(|watch| watch.objective.service == service && watch.objective.name == slo);
        let whole = watches.flat_map(|watch| std::iter::once(watch).chain(watch.groups.members.values()));
        let of_watches = whole.flat_map(|watch| watch.pairs.iter().map(|state| (&watch.objective, state)));
        let of_composites =
            self.composites.iter().flat_map(|one| one.pairs.iter().map(|state| (&one.objective, state)));
        let mut states = of_watches.chain(of_composites);
        let firing = |labels: &Labels| labels == alert;
        let pair = states.find(|(_, state)| state.firing.as_ref().is_some_and(|fired| firing(&fired.labels)));
        let companions = || {
            let own = self.watches.iter().flat_map(|watch| std::iter::once(watch).chain(watch.groups.members.values()));
            own.flat_map(|watch| watch.burning.firing.iter().flatten()).any(|fired| firing(&fired.labels))
        };
        pair.and_then(|(objective, state)| objective.told_by(&state.pair, alert))
            .or_else(|| companions().then_some(AlertSeverity::Ticket))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Matcher;
    use crate::slo::{Events, Indicator, Objective};

    /// A request a second at 99.9 %, of which so many of a hundred fail within the spans; the budget is 2592 requests.
    fn watch(failing: &[(i64, i64, i64)], until: i64) -> (Watch, Vec<Episode>) {
        let counter = |name| -> Events { vec![Matcher::equal("__name__", name)].into() };
        let indicator = Indicator::ErrorRatio { errors: counter("errors"), total: counter("total") };
        let objective = Objective::new("shop", "availability", 0.999, Millis::days(30), indicator);
        let mut watch = Watch::new(objective, Vec::new());
        watch.since = Some(Timestamp(0));
        let mut out = Vec::new();
        for s in 1..=until {
            let (t, hundredth) = (Timestamp(s * 1000), s % 100);
            let bad = failing.iter().any(|(from, to, share)| (*from..*to).contains(&s) && hundredth < *share);
            let more = Counts { bad: f64::from(u8::from(bad)), total: 1.0 };
            watch.follow(t, more);
            watch.history.add(t, more);
            watch.decide_episode(t);
            watch.take_episodes(&mut out);
        }
        (watch, out)
    }

    fn shown(episode: &Episode) -> (i64, i64, f64, bool) {
        (episode.start.0 / 1000, episode.last.0 / 1000, episode.bad, episode.over)
    }

    #[test]
    fn an_outage_is_one_episode_from_its_first_to_its_last_failure() {
        let hour = 3600;
        let (watch, told) = watch(&[(20 * hour, 20 * hour + 600, 100)], 24 * hour);
        let [begun, ended] = &told[..] else { panic!("{told:?}") };
        // A hundredth of the budget of which 20 hours are known is 25.92 requests.
        assert_eq!(shown(begun), (20 * hour, 20 * hour + 25, 26.0, false));
        assert_eq!(shown(ended), (20 * hour, 20 * hour + 599, 600.0, true));
        assert!((ended.spent - 600.0 / 2592.0).abs() < 1e-9 && ended.watched, "{ended:?}");
        assert_eq!(ended.burn, 1000.0);
        assert_eq!(watch.course, Course::default());
    }

    #[test]
    fn a_pause_of_less_than_an_hour_does_not_end_it() {
        let hour = 3600;
        let check = |pause: i64, episodes: usize| {
            let first = 20 * hour + 600;
            let failing = [(20 * hour, first, 50), (first + pause, first + pause + 600, 50)];
            let (_, told) = watch(&failing, 24 * hour);
            let over: Vec<_> = told.iter().filter(|one| one.over).map(shown).collect();
            assert_eq!(over.len(), episodes, "{pause}: {over:?}");
        };
        check(30 * 60, 1);
        check(90 * 60, 2);
    }

    #[test]
    fn little_or_chance_is_none_and_a_silence_ends_nothing() {
        let hour = 3600;
        // 20 failures are less than a hundredth of the budget; one in a thousand is what was promised.
        assert_eq!(watch(&[(20 * hour, 20 * hour + 20, 100)], 24 * hour).1, []);
        let even: Vec<_> = (1..20).map(|n| (n * 1000, n * 1000 + 1, 1)).collect();
        assert_eq!(watch(&even, 6 * hour).1, []);

        let (mut watch, told) = watch(&[(20 * hour, 20 * hour + 600, 100)], 20 * hour + 599);
        assert_eq!(told.len(), 1);
        let check = |watch: &mut Watch, hours: i64, over: bool| {
            let mut told = Vec::new();
            watch.decide_episode(Timestamp((20 + hours) * hour * 1000 + 600_000));
            watch.take_episodes(&mut told);
            assert_eq!(told.iter().any(|one| one.over), over, "{hours}");
        };
        check(&mut watch, 5, false);
        check(&mut watch, 71, false);
        check(&mut watch, 72, true);
    }
}
