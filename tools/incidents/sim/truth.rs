//! What was really wrong, from the probabilities alone.

use evenkeel::model::{Millis, Timestamp};
use evenkeel::stats::binomial_tail;

use super::plan::{Kind, Plan};
use super::samples::Samples;
use super::service::Service;
use super::traffic::Traffic;
use super::{START, STEP};

/// What an episode demands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Class {
    /// It burned 14.4 times too fast over an hour, or 6 times over six: a person must hear of it now.
    Page,
    /// It burned 3 times too fast over a day, or once over three, or spent 10 % in all: somebody must hear of it.
    Ticket,
    /// It spent at least 1 %: whoever tells of it is right, whoever does not is right too.
    Minor,
}

/// The definition, for people.
pub(crate) const DEFINITION: &str = "\
Episode: a maximal span in which the true failure probability was above the budget's share (burn above 1; a pause of
less than an hour does not end it), in which at least 1 % of the budget of 30 days was spent in expectation, and whose
requests as drawn show it: three failures at least, and burn above 1 with 99.9 % confidence by the exact binomial test
(what they do not show is counted as unclear).
It must page if its burn was at least 14.4 over some hour or 6 over some six hours (the Workbook's pages); it must be told of
by a page or a ticket if burn was at least 3 over a day or 1 over three days, or if it spent 10 % in all (the Workbook's
tickets); others are minor. All of that by the true probabilities, and by the requests as drawn as well: where chance was
kind, what was demanded did not happen, and whoever tells of it and whoever does not is right.
An alert is right if it began to fire while an episode lasted, up to the first scrape after its end and 30 s more.
Early is possible if an observer who knows when the episode began and sees the same scrapes is as certain of burn above 1
before 10 % of the budget was spent.";

/// The share of the budget from which a span of failures is an episode.
const EPISODE_SPENT: f64 = 0.01;
/// Before this share is spent, a page is early.
pub(crate) const EARLY: f64 = 0.1;

/// Something that was wrong.
#[derive(Debug, Clone)]
pub(crate) struct Episode {
    pub(crate) kind: Kind,
    pub(crate) class: Class,
    pub(crate) start: Timestamp,
    pub(crate) end: Timestamp,
    /// The share of the budget that it was expected to spend.
    pub(crate) spent: f64,
    /// Whether its requests show it.
    pub(crate) clear: bool,
    /// Whether anybody could have known before much was spent.
    pub(crate) early_possible: bool,
    /// The highest burn over an hour, six hours, a day and three: expected, and as drawn.
    pub(crate) burns: [[f64; 4]; 2],
    /// Bad events of the service up to each step of the episode, from its start.
    bad: Vec<u32>,
    allowed: f64,
}

impl Episode {
    /// Its burns, for people who ask why nobody was told.
    pub(crate) fn burns_text(&self) -> String {
        let text = |[hour, six, day, three]: [f64; 4]| format!("{hour:.1}/{six:.1}/{day:.1}/{three:.1}");
        format!("burn over 1h/6h/1d/3d {} expected, {} drawn", text(self.burns[0]), text(self.burns[1]))
    }

    /// The share of the budget that was spent by it until an instant, as drawn.
    pub(crate) fn spent_by(&self, t: Timestamp) -> f64 {
        let steps = ((t - self.start).0.max(0) / STEP.0) as usize;
        let bad = if steps == 0 { 0 } else { self.bad[(steps - 1).min(self.bad.len() - 1)] };
        f64::from(bad) / self.allowed
    }
}

/// Every episode of a service.
pub(crate) fn episodes(service: &Service, plan: &Plan, traffic: &Traffic, samples: &Samples) -> Vec<Episode> {
    plan.incidents
        .iter()
        .filter_map(|incident| {
            let step_at = |t: Timestamp| ((t - START).0 / STEP.0) as usize;
            let own = step_at(incident.start)..step_at(incident.end).min(traffic.steps.len());
            let hurts = |n: &usize| f64::from(traffic.steps[*n].failure) > service.budget();
            let (first, last) = (own.clone().find(hurts)?, own.clone().rev().find(hurts)?);
            let steps = &traffic.steps[first..=last];
            let time = |n: usize| Timestamp(START.0 + n as i64 * STEP.0);
            let expected: Vec<f64> =
                steps.iter().map(|step| f64::from(step.expected) * f64::from(step.failure)).collect();
            let spent = expected.iter().sum::<f64>() / service.allowed();
            if spent < EPISODE_SPENT {
                return None;
            }
            let burn = |span: Millis, counted: Counted| {
                let steps = (span.0 / STEP.0) as usize;
                fastest(service, traffic, first..last + 1, steps, counted) / service.budget()
            };
            let drawn = steps.iter().map(|step| f64::from(step.bad)).sum::<f64>() / service.allowed();
            let burns = [Counted::Expected, Counted::Drawn].map(|counted| {
                [Millis::hours(1), Millis::hours(6), Millis::days(1), Millis::days(3)].map(|span| burn(span, counted))
            });
            let class_of = |[hour, six, day, three]: [f64; 4], spent: f64| {
                if hour >= 14.4 || six >= 6.0 {
                    Class::Page
                } else if day >= 3.0 || three >= 1.0 || spent >= 0.1 {
                    Class::Ticket
                } else {
                    Class::Minor
                }
            };
            let class = class_of(burns[0], spent).max(class_of(burns[1], drawn));
            let mut sum = 0;
            let bad: Vec<u32> = steps
                .iter()
                .map(|step| {
                    sum += step.bad;
                    sum
                })
                .collect();
            let total: u64 = steps.iter().map(|step| u64::from(step.total)).sum();
            let certain = |bad: f64, total: f64| bad >= 3.0 && binomial_tail(bad, total, service.budget()) < 0.001;
            let mut episode = Episode {
                kind: incident.kind,
                class,
                start: time(first),
                end: time(last + 1),
                spent,
                clear: certain(f64::from(sum), total as f64),
                early_possible: false,
                burns,
                bad,
                allowed: service.allowed(),
            };
            episode.early_possible = early_possible(&episode, steps.iter().map(|step| step.total), samples, &certain);
            Some(episode)
        })
        .collect()
}

/// Which requests are counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Counted {
    /// Those that the probabilities let expect.
    Expected,
    /// Those that came.
    Drawn,
}

/// The greatest share of failures in any window of so many steps that ends within the span, as if nothing had been wrong
/// before it.
fn fastest(service: &Service, traffic: &Traffic, span: std::ops::Range<usize>, length: usize, counted: Counted) -> f64 {
    let (mut bad, mut total, mut most) = (0.0, 0.0, 0.0f64);
    let value = |n: usize| {
        let step = traffic.steps[n];
        let (bad, total) = match counted {
            Counted::Expected => (f64::from(step.expected) * f64::from(step.failure), f64::from(step.expected)),
            Counted::Drawn => (f64::from(step.bad), f64::from(step.total)),
        };
        (if n < span.start { total * service.base * service.budget() } else { bad }, total)
    };
    let from = span.start.saturating_sub(length);
    for n in from..span.end {
        let more = value(n);
        (bad, total) = (bad + more.0, total + more.1);
        if n >= from + length {
            let less = value(n - length);
            (bad, total) = (bad - less.0, total - less.1);
        }
        if n >= span.start && total > 0.0 {
            most = most.max(bad / total);
        }
    }
    most
}

fn early_possible(
    episode: &Episode,
    totals: impl Iterator<Item = u32>,
    samples: &Samples,
    certain: &dyn Fn(f64, f64) -> bool,
) -> bool {
    let mut sum = 0u64;
    let totals: Vec<u64> = totals
        .map(|total| {
            sum += u64::from(total);
            sum
        })
        .collect();
    let from = samples.scrapes.partition_point(|scrape| scrape.t <= episode.start);
    for scrape in samples.scrapes[from..].iter().take_while(|scrape| scrape.t <= episode.end) {
        if episode.spent_by(scrape.t) >= EARLY {
            return false;
        }
        let at = ((scrape.t - episode.start).0 / STEP.0) as usize;
        if at > 0 && certain(f64::from(episode.bad[at - 1]), totals[at - 1] as f64) {
            return true;
        }
    }
    false
}
