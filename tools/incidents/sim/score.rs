//! How good alerts were, against what was really wrong.

use std::collections::BTreeMap;

use evenkeel::model::{Millis, Timestamp};
use evenkeel::stats::wilson;

use super::plan::Kind;
use super::truth::{Class, EARLY, Episode};
use super::{Fired, Urgency};

/// k of n.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Share {
    pub(crate) k: usize,
    pub(crate) n: usize,
}

impl Share {
    pub(crate) fn count(&mut self, is: bool) {
        self.n += 1;
        self.k += usize::from(is);
    }

    pub(crate) fn value(self) -> f64 {
        self.k as f64 / self.n.max(1) as f64
    }

    pub(crate) fn text(self) -> String {
        let bounds = wilson(self.k as f64, self.n as f64, 0.95);
        format!(
            "{:.1} % ({} of {}; {:.1}–{:.1})",
            self.value() * 100.0,
            self.k,
            self.n,
            bounds.low * 100.0,
            bounds.high * 100.0
        )
    }
}

/// How good one system's alerts were.
#[derive(Debug, Clone, Default)]
pub(crate) struct Score {
    pub(crate) pages_right: Share,
    pub(crate) tickets_right: Share,
    /// Episodes that must page, and did.
    pub(crate) paged: Share,
    /// Episodes that must be told of, and were, by a page or a ticket.
    pub(crate) told: Share,
    /// Every episode, minor ones too, of which anything told.
    pub(crate) told_any: Share,
    /// Early where that was possible: pages of those that must page.
    pub(crate) early: Share,
    /// And anything at all for those that need only a ticket.
    pub(crate) early_ticket: Share,
    /// Of episodes that must page: time to the first page, infinite if none came.
    pub(crate) detection: Vec<f64>,
    /// Share of the budget spent by then; all of the episode's if none came.
    pub(crate) spent: Vec<f64>,
    /// From the end of the episode to the last page's.
    pub(crate) reset: Vec<f64>,
    /// Pages for each episode that paged.
    pub(crate) pages_each: Vec<f64>,
    /// Told, by kind of incident.
    pub(crate) by_kind: BTreeMap<Kind, Share>,
    /// What was missed or wrong, in words.
    pub(crate) misses: Vec<String>,
}

impl Score {
    /// Counts what fired at one service. `seen_by` gives the first scrape at or after an instant.
    pub(crate) fn add(
        &mut self,
        name: &str,
        episodes: &[Episode],
        fired: &[Fired],
        seen_by: &dyn Fn(Timestamp) -> Timestamp,
    ) {
        let about = |one: &Fired, episode: &Episode| {
            one.start <= seen_by(episode.end) + Millis::seconds(30) && one.end >= episode.start
        };
        // That requests stopped, and that a budget is used up, is true or not whatever an episode is; they are scored apart.
        let burns: Vec<&Fired> =
            fired.iter().filter(|one| one.name != "TrafficVanished" && one.name != "ErrorBudgetExhausted").collect();
        for one in &burns {
            let right = episodes.iter().any(|episode| about(one, episode));
            match one.urgency {
                Urgency::Page => self.pages_right.count(right),
                Urgency::Ticket => self.tickets_right.count(right),
            }
            if !right {
                self.misses
                    .push(format!("wrong {:?} {} at {name} {} to {}", one.urgency, one.name, one.start, one.end));
            }
        }
        for episode in episodes.iter().filter(|episode| episode.clear) {
            self.add_episode(name, episode, burns.iter().copied().filter(|one| about(one, episode)).collect());
        }
    }

    fn add_episode(&mut self, name: &str, episode: &Episode, about: Vec<&Fired>) {
        let pages: Vec<&&Fired> = about.iter().filter(|one| one.urgency == Urgency::Page).collect();
        self.told_any.count(!about.is_empty());
        if episode.class == Class::Minor {
            return;
        }
        self.told.count(!about.is_empty());
        self.by_kind.entry(episode.kind).or_default().count(!about.is_empty());
        let at = |list: &mut dyn Iterator<Item = &Fired>| list.map(|one| one.start).min();
        if episode.class == Class::Ticket {
            if episode.early_possible {
                let first = at(&mut about.iter().copied());
                let early = first.is_some_and(|first| episode.spent_by(first) < EARLY);
                self.early_ticket.count(early);
            }
            if about.is_empty() {
                self.misses.push(format!(
                    "untold {:?} at {name} {} to {}, {:.1} %; {}",
                    episode.kind,
                    episode.start,
                    episode.end,
                    episode.spent * 100.0,
                    episode.burns_text()
                ));
            }
            return;
        }
        let first = at(&mut pages.iter().map(|one| **one));
        self.paged.count(first.is_some());
        let spent = first.map_or(f64::INFINITY, |first| episode.spent_by(first));
        if episode.early_possible {
            self.early.count(spent < EARLY);
        }
        if first.is_none() || episode.early_possible && spent >= EARLY {
            self.misses.push(format!(
                "{} {:?} at {name} {} to {}, {:.1} % in all, {:.1} % at the page; {}",
                if first.is_none() { "unpaged" } else { "late" },
                episode.kind,
                episode.start,
                episode.end,
                episode.spent * 100.0,
                spent * 100.0,
                episode.burns_text()
            ));
        }
        self.spent.push(spent);
        self.detection.push(first.map_or(f64::INFINITY, |first| (first - episode.start).0.max(0) as f64 / 1000.0));
        if first.is_some() {
            self.pages_each.push(pages.len() as f64);
            let last = pages.iter().map(|one| one.end).max().unwrap_or(episode.end);
            self.reset.push((last - episode.end).0.max(0) as f64 / 1000.0);
        }
    }
}

/// A quantile with the interval that order statistics give, at 95 %.
pub(crate) fn quantile(values: &[f64], q: f64) -> (f64, f64, f64) {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let n = sorted.len() as f64;
    let half = 1.96 * (n * q * (1.0 - q)).sqrt();
    let at = |rank: f64| {
        let rank = (rank.ceil().max(1.0) as usize).min(sorted.len());
        sorted.get(rank.wrapping_sub(1)).copied().unwrap_or(f64::NAN)
    };
    (at(n * q), at(n * q - half), at(n * q + half + 1.0))
}
