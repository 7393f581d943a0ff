//! How good alerts were: precision, recall, detection, reset, over episodes and outcomes.
//!
//! Source: Google, "The Site Reliability Workbook", chapter 5: the four attributes of an alert.
//!
//! Invariants:
//! - Every share comes with what it rests on and its exact 95 % interval; a claim that the number of cases cannot carry is
//!   refused, with the number that could.
//! - What people say of an alert comes before what the machine says; what neither knows counts nowhere, and is told of.
//! - An episode counts once it is over, if its objective was watched when it began; one of a group that the whole
//!   objective had at the same time counts once.

use std::collections::BTreeMap;

use crate::backtest::{Interruption, LocalTime, Share};
use crate::model::{Millis, TimeRange, Timestamp};
use crate::stats::{binomial_lower, binomial_upper, quantile_ranks};

use super::fired::{FiredAlert, KnownEpisode, OutcomeLabel, Urgency};

/// Before this share of a budget is spent, a page is an early warning.
pub const EARLY: f64 = 0.1;
/// The confidence of intervals.
const CONFIDENCE: f64 = 0.95;
/// Rules that are told of, those with most wrong alerts first.
const RULES_MAX: usize = 20;

/// What alerts should reach. A share of 1 cannot be shown by any number of cases.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AccuracyTargets {
    /// Of pages, the share that is right.
    pub precision: f64,
    /// Of episodes, the share that is paged.
    pub recall: f64,
    /// Of episodes, the share that is paged before 10 % of the budget is spent.
    pub early_warning: f64,
}

impl Default for AccuracyTargets {
    /// 98 %, 99.5 % and 99 %.
    fn default() -> AccuracyTargets {
        AccuracyTargets { precision: 0.98, recall: 0.995, early_warning: 0.99 }
    }
}

/// What accuracy is computed from.
#[derive(Debug, Clone, Copy)]
pub struct Record<'a> {
    /// Now.
    pub now: Timestamp,
    /// What is asked about: alerts and episodes that began in it.
    pub range: TimeRange,
    /// What should be reached.
    pub targets: AccuracyTargets,
    /// Alerts that fired.
    pub alerts: &'a [FiredAlert],
    /// Episodes.
    pub episodes: &'a [KnownEpisode],
}

/// A quantile of a few values.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Quantile {
    /// The value of its rank.
    pub value: f64,
    /// Its 95 % interval; on a side on which so few values say nothing there is no bound.
    pub low: Option<f64>,
    /// See `low`.
    pub high: Option<f64>,
}

/// How values lie.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Spread {
    /// How many there are.
    pub n: usize,
    /// The median.
    pub median: Option<Quantile>,
    /// The 90th percentile.
    pub p90: Option<Quantile>,
}

impl Spread {
    /// How these values lie.
    pub fn of(mut values: Vec<f64>) -> Spread {
        values.sort_by(f64::total_cmp);
        let quantile = |q: f64| {
            let rank = ((q * values.len() as f64).ceil() as usize).max(1);
            let at = |rank: usize| values.get(rank - 1).copied();
            let [low, high] = quantile_ranks(values.len(), q, CONFIDENCE).map(|rank| rank.and_then(at));
            Some(Quantile { value: at(rank)?, low, high })
        };
        Spread { n: values.len(), median: quantile(0.5), p90: quantile(0.9) }
    }
}

/// How good the alerts of one class of hours were, or of all.
#[derive(Debug, Clone, PartialEq)]
pub struct ClassAccuracy {
    /// Which hours; absent: all.
    pub class: Option<Interruption>,
    /// Pages in these hours.
    pub pages: usize,
    /// Pages that were right, of those of which it is known.
    pub precision: Share,
    /// Episodes that were paged, of all. An episode is of the hour of its first page, or else of its beginning.
    pub recall: Share,
    /// Episodes that a page or a ticket told of.
    pub told: Share,
    /// Episodes whose first page came before 10 % of the budget was spent.
    pub early: Share,
    /// Seconds from the beginning of an episode to its first page.
    pub detection: Spread,
    /// The share of the budget that was spent by then.
    pub spent: Spread,
    /// Seconds from the end of an episode to that of its last page.
    pub reset: Spread,
}

/// How good one rule's, or one service's objectives', alerts were.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuleAccuracy {
    /// Its `alertname`.
    pub name: String,
    /// The service; empty if it has none.
    pub service: String,
    /// Whom it interrupts.
    pub urgency: Urgency,
    /// How often it fired.
    pub fired: usize,
    /// Of which it is known whether it was right, how often it was.
    pub right: Share,
}

/// What can be said of a target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Claim {
    /// It is met with 95 % confidence.
    Holds,
    /// It is missed with 95 % confidence.
    Fails,
    /// So few cases do not tell; with the failures there are, so many would, if no other came.
    NeedsCases(usize),
}

/// How good alerts were.
#[derive(Debug, Clone, PartialEq)]
pub struct Accuracy {
    /// Of all hours.
    pub all: ClassAccuracy,
    /// By class of hours.
    pub classes: [ClassAccuracy; 3],
    /// Tickets that were right, of those of which it is known.
    pub tickets: Share,
    /// Targets, each with what it is about and what can be said of it.
    pub claims: Vec<(f64, &'static str, Claim)>,
    /// Pages of which it is not known whether they were right.
    pub unknown: usize,
    /// How often people gave each label.
    pub outcomes: [usize; OutcomeLabel::ALL.len()],
    /// Episodes that are not over.
    pub open: usize,
    /// Episodes that only stored history told of: nobody watched yet.
    pub unwatched: usize,
    /// Episodes without a page.
    pub missed: Vec<KnownEpisode>,
    /// Episodes whose first page came too late to be an early warning, with that page.
    pub late: Vec<(KnownEpisode, FiredAlert)>,
    /// By rule, those with most wrong alerts first.
    pub rules: Vec<RuleAccuracy>,
}

/// Whether a share reaches a target, as far as it can be told.
pub fn claim(share: Share, target: f64) -> Claim {
    let (k, n) = (share.k as f64, share.n as f64);
    if binomial_lower(k, n, CONFIDENCE) >= target {
        return Claim::Holds;
    }
    if share.n > 0 && binomial_upper(k, n, CONFIDENCE) < target {
        return Claim::Fails;
    }
    let failed = share.n - share.k;
    let enough = |n: usize| binomial_lower((n - failed) as f64, n as f64, CONFIDENCE) >= target;
    let (mut low, mut high) = (failed, failed + 1);
    while !enough(high) && high < usize::MAX / 4 {
        (low, high) = (high, high * 2);
    }
    while low + 1 < high {
        let middle = low + (high - low) / 2;
        if enough(middle) { high = middle } else { low = middle }
    }
    Claim::NeedsCases(high)
}

/// An episode with what told of it.
struct Followed<'a> {
    known: &'a KnownEpisode,
    pages: Vec<&'a FiredAlert>,
    told: bool,
}

impl Followed<'_> {
    fn first(&self) -> Option<&FiredAlert> {
        self.pages.iter().min_by_key(|page| page.at).copied()
    }

    fn hour(&self) -> Timestamp {
        self.first().map_or(self.known.episode.start, |page| page.at)
    }

    /// The share of the budget that was spent when the first page came.
    fn spent(&self) -> Option<f64> {
        Some(self.known.spent_at(self.first()?))
    }
}

/// An episode that was paged late, with its first page.
fn late(followed: &Followed<'_>) -> Option<(KnownEpisode, FiredAlert)> {
    let first = followed.first().filter(|page| followed.known.spent_at(page) >= EARLY)?;
    Some((followed.known.clone(), first.clone()))
}

/// How good alerts were; `local` tells the responder's time.
pub fn accuracy(record: &Record<'_>, local: &dyn Fn(Timestamp) -> LocalTime) -> Accuracy {
    let Record { now, range, targets, episodes, .. } = *record;
    let alerts: Vec<&FiredAlert> = record.alerts.iter().filter(|alert| range.contains(alert.at)).collect();
    let within: Vec<&KnownEpisode> = episodes.iter().filter(|known| range.contains(known.episode.start)).collect();
    let counted = within.iter().filter(|known| known.episode.over && known.episode.watched && !doubled(known, &within));
    let followed: Vec<Followed<'_>> = counted.map(|known| follow(known, record)).collect();
    let share = |urgency| right_of(alerts.iter().filter(|alert| alert.urgency == urgency), episodes, now);
    let of = |class: Option<Interruption>| {
        let fits = |t: Timestamp| class.is_none_or(|class| Interruption::of(local(t)) == class);
        of_class(
            class,
            alerts.iter().copied().filter(|a| fits(a.at)),
            followed.iter().filter(|f| fits(f.hour())),
            record,
        )
    };
    let all = of(None);
    let pages = || alerts.iter().filter(|alert| alert.urgency == Urgency::Page);
    let labelled = |label| alerts.iter().filter(|a| a.outcome.as_ref().is_some_and(|o| o.label == label)).count();
    Accuracy {
        claims: vec![
            (targets.precision, "precision of pages", claim(all.precision, targets.precision)),
            (targets.recall, "recall of episodes", claim(all.recall, targets.recall)),
            (targets.early_warning, "early warning", claim(all.early, targets.early_warning)),
        ],
        classes: Interruption::ALL.map(|class| of(Some(class))),
        tickets: share(Urgency::Ticket),
        unknown: pages().filter(|a| a.outcome.is_none() && a.right(episodes, now).is_none()).count(),
        outcomes: OutcomeLabel::ALL.map(labelled),
        open: within.iter().filter(|known| !known.episode.over).count(),
        unwatched: within.iter().filter(|known| !known.episode.watched).count(),
        missed: followed.iter().filter(|f| f.pages.is_empty()).map(|f| f.known.clone()).collect(),
        late: followed.iter().filter_map(late).collect(),
        rules: rules(&alerts, episodes, now),
        all,
    }
}

/// Whether the whole objective had it, too.
fn doubled(known: &KnownEpisode, all: &[&KnownEpisode]) -> bool {
    let one = &known.episode;
    !one.group.is_empty()
        && all.iter().any(|other| {
            let whole = &other.episode;
            whole.group.is_empty()
                && (&whole.service, &whole.objective) == (&one.service, &one.objective)
                && whole.start <= one.last
                && one.start <= whole.last
        })
}

fn follow<'a>(known: &'a KnownEpisode, record: &Record<'a>) -> Followed<'a> {
    let about = record.alerts.iter().filter(|alert| alert.tells_of(known, record.now) && !alert.disowned());
    let about: Vec<&FiredAlert> = about.collect();
    Followed {
        known,
        told: about.iter().any(|alert| alert.urgency != Urgency::Note),
        pages: about.into_iter().filter(|alert| alert.urgency == Urgency::Page).collect(),
    }
}

fn right_of<'a>(alerts: impl Iterator<Item = &'a &'a FiredAlert>, episodes: &[KnownEpisode], now: Timestamp) -> Share {
    let known: Vec<bool> = alerts.filter_map(|alert| alert.right(episodes, now)).collect();
    Share { k: known.iter().filter(|right| **right).count(), n: known.len() }
}

fn of_class<'a>(
    class: Option<Interruption>,
    alerts: impl Iterator<Item = &'a FiredAlert>,
    followed: impl Iterator<Item = &'a Followed<'a>>,
    record: &Record<'a>,
) -> ClassAccuracy {
    let pages: Vec<&FiredAlert> = alerts.filter(|alert| alert.urgency == Urgency::Page).collect();
    let followed: Vec<&Followed<'_>> = followed.collect();
    let share = |is: &dyn Fn(&Followed<'_>) -> bool| Share {
        k: followed.iter().filter(|one| is(one)).count(),
        n: followed.len(),
    };
    let seconds = |span: Millis| span.0.max(0) as f64 / 1000.0;
    let detection = followed.iter().filter_map(|one| Some(seconds(one.first()?.at - one.known.episode.start)));
    let reset = followed.iter().filter_map(|one| {
        let ends: Option<Vec<Timestamp>> = one.pages.iter().map(|page| page.ended).collect();
        Some(seconds(ends?.into_iter().max()? - one.known.episode.last))
    });
    ClassAccuracy {
        class,
        pages: pages.len(),
        precision: right_of(pages.iter(), record.episodes, record.now),
        recall: share(&|one| !one.pages.is_empty()),
        told: share(&|one| one.told),
        early: share(&|one| one.spent().is_some_and(|spent| spent < EARLY)),
        detection: Spread::of(detection.collect()),
        spent: Spread::of(followed.iter().filter_map(|one| one.spent()).collect()),
        reset: Spread::of(reset.collect()),
    }
}

fn rules(alerts: &[&FiredAlert], episodes: &[KnownEpisode], now: Timestamp) -> Vec<RuleAccuracy> {
    let mut by_rule: BTreeMap<(&str, &str, Urgency), (usize, Share)> = BTreeMap::new();
    for alert in alerts.iter().filter(|alert| alert.urgency != Urgency::Note) {
        let key = (alert.labels.get("alertname"), alert.labels.get("service"), alert.urgency);
        let (fired, right) = by_rule.entry(key).or_insert((0, Share { k: 0, n: 0 }));
        *fired += 1;
        if let Some(is) = alert.right(episodes, now) {
            right.n += 1;
            right.k += usize::from(is);
        }
    }
    let rule = |((name, service, urgency), (fired, right)): ((&str, &str, Urgency), (usize, Share))| RuleAccuracy {
        name: name.to_owned(),
        service: service.to_owned(),
        urgency,
        fired,
        right,
    };
    let mut rules: Vec<RuleAccuracy> = by_rule.into_iter().map(rule).collect();
    rules.sort_by_key(|rule| std::cmp::Reverse((rule.right.n - rule.right.k, rule.fired)));
    rules.truncate(RULES_MAX);
    rules
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::confidence::{FiredId, Outcome};
    use crate::model::Labels;
    use crate::slo::{Episode, Spending};

    const MINUTE: i64 = 60_000;

    fn t(minute: i64) -> Timestamp {
        Timestamp(minute * MINUTE)
    }

    fn alert(at: i64, ended: i64, urgency: Urgency, outcome: Option<OutcomeLabel>) -> FiredAlert {
        let labels = Labels::new([("alertname", "A"), ("service", "shop"), ("severity", urgency.as_str())]).unwrap();
        let spent = Spending {
            service: "shop".to_owned(),
            objective: "answers".to_owned(),
            group: Labels::empty(),
            since: t(at),
            spent: 0.02,
        };
        FiredAlert {
            id: FiredId::of(&labels, t(at)),
            labels,
            summary: String::new(),
            at: t(at),
            ended: Some(t(ended)),
            urgency,
            about: vec![("shop".to_owned(), "answers".to_owned())],
            spent: vec![spent],
            told: Vec::new(),
            outcome: outcome.map(|label| Outcome { label, by: String::new(), at: t(at), note: String::new() }),
        }
    }

    fn episode(start: i64, last: i64, group: &str) -> KnownEpisode {
        let group = if group.is_empty() { Labels::empty() } else { Labels::new([("route", group)]).unwrap() };
        let episode = Episode {
            service: "shop".to_owned(),
            objective: "answers".to_owned(),
            group,
            start: t(start),
            last: t(last),
            over: true,
            bad: 50.0,
            total: 100.0,
            burn: 500.0,
            spent: 0.3,
            watched: true,
            suffered: crate::slo::Suffered::default(),
        };
        KnownEpisode { id: FiredId::of_episode(&episode), episode, deploys: Vec::new() }
    }

    fn measured(alerts: &[FiredAlert], episodes: &[KnownEpisode]) -> Accuracy {
        held_to(AccuracyTargets::default(), alerts, episodes)
    }

    fn held_to(targets: AccuracyTargets, alerts: &[FiredAlert], episodes: &[KnownEpisode]) -> Accuracy {
        let range = TimeRange { after: t(0), until: t(100_000) };
        let record = Record { now: t(100_000), range, targets, alerts, episodes };
        let local = |t: Timestamp| LocalTime { weekday: 0, hour: (t.0 / MINUTE / 60 % 24) as u8 };
        accuracy(&record, &local)
    }

    #[test]
    fn pages_are_held_against_episodes_and_people_know_better() {
        let (page, ticket) = (Urgency::Page, Urgency::Ticket);
        let at = |hour: i64| hour * 60;
        let alerts = [
            alert(at(9) + 3, at(9) + 20, page, None),
            // Nothing was wrong at two; nor at three, but who was woken says otherwise.
            alert(at(26), at(27), page, None),
            alert(at(27), at(28), page, Some(OutcomeLabel::Useful)),
            alert(at(28), at(28), page, Some(OutcomeLabel::Test)),
            alert(at(9) + 4, at(9) + 20, page, Some(OutcomeLabel::Duplicate)),
            alert(at(40) + 1, at(41), ticket, None),
            // What people call noise told nobody of the episode around it.
            alert(at(60) + 1, at(61), page, Some(OutcomeLabel::Noise)),
        ];
        let mut unwatched = episode(at(90), at(91), "");
        unwatched.episode.watched = false;
        let episodes = [
            episode(at(9), at(9) + 15, ""),
            episode(at(9) + 1, at(9) + 15, "/pay"),
            episode(at(40), at(41), ""),
            episode(at(60), at(61), ""),
            unwatched,
        ];
        let found = measured(&alerts, &episodes);
        assert_eq!((found.all.pages, found.all.precision), (6, Share { k: 2, n: 4 }));
        assert_eq!((found.all.recall, found.all.told), (Share { k: 1, n: 3 }, Share { k: 2, n: 3 }));
        assert_eq!((found.all.early, found.tickets), (Share { k: 1, n: 3 }, Share { k: 1, n: 1 }));
        assert_eq!(found.all.detection.median.map(|m| m.value), Some(180.0));
        assert_eq!(found.all.spent.median.map(|m| m.value), Some(0.02));
        assert_eq!(found.all.reset.median.map(|m| m.value), Some(300.0));
        assert_eq!((found.outcomes, found.unwatched, found.open), ([1, 1, 1, 0, 1], 1, 0));
        assert_eq!(found.missed.iter().map(|one| one.episode.start).collect::<Vec<_>>(), [t(at(40)), t(at(60))]);
        assert_eq!(found.late, []);
        let mut late = alerts[0].clone();
        late.spent[0].spent = 0.1;
        let found = measured(&[late.clone()], &episodes[..1]);
        assert_eq!((found.all.early, found.late), (Share { k: 0, n: 1 }, vec![(episodes[0].clone(), late)]));
        let found = measured(&alerts, &episodes);
        let pages = found.classes.iter().map(|class| class.pages).collect::<Vec<_>>();
        assert_eq!(pages, [3, 0, 3], "nine, nine, and noon of the third day; two, three and four at night");
        assert_eq!(found.rules[0].right, Share { k: 2, n: 4 });
    }

    #[test]
    fn the_rule_with_most_wrong_alerts_is_named_first() {
        let named = |name: &str, fired: FiredAlert| FiredAlert {
            labels: fired.labels.builder().set("alertname", name).build().unwrap(),
            ..fired
        };
        let (useful, noise) = (Some(OutcomeLabel::Useful), Some(OutcomeLabel::Noise));
        let one = |name, at: i64, outcome| named(name, alert(at, at + 5, Urgency::Page, outcome));
        let alerts =
            [one("A", 10, useful), one("A", 30, noise), one("B", 50, noise), one("B", 70, noise), one("C", 90, useful)];
        let found = measured(&alerts, &[]);
        let told: Vec<_> = found.rules.iter().map(|rule| (rule.name.as_str(), rule.fired, rule.right)).collect();
        let share = |k, n| Share { k, n };
        assert_eq!(told, [("B", 2, share(0, 2)), ("A", 2, share(1, 2)), ("C", 1, share(1, 1))]);
    }

    #[test]
    fn what_nobody_knows_counts_nowhere() {
        let mut rule = alert(10, 20, Urgency::Page, None);
        rule.about.clear();
        let mut fires = alert(99_990, 99_995, Urgency::Page, None);
        fires.ended = None;
        let found = measured(&[rule, fires], &[]);
        assert_eq!((found.all.pages, found.all.precision, found.unknown), (2, Share { k: 0, n: 0 }, 2));
    }

    #[test]
    fn a_claim_is_of_the_target_that_was_set() {
        let alerts: Vec<FiredAlert> =
            (0..20).map(|n| alert(n * 100 + 1, n * 100 + 9, Urgency::Page, Some(OutcomeLabel::Useful))).collect();
        let claims = |precision| {
            let targets = AccuracyTargets { precision, recall: 0.6, early_warning: 0.7 };
            held_to(targets, &alerts, &[episode(1, 9, "")]).claims
        };
        let known = [(0.6, "recall of episodes", Claim::NeedsCases(6)), (0.7, "early warning", Claim::NeedsCases(9))];
        let check = |precision, claim| {
            let expected = [&[(precision, "precision of pages", claim)], &known[..]].concat();
            assert_eq!(claims(precision), expected);
        };
        check(0.8, Claim::Holds);
        check(0.98, Claim::NeedsCases(149));
    }

    #[test]
    fn a_claim_needs_its_cases() {
        let check = |k, n, target, expected| assert_eq!(claim(Share { k, n }, target), expected, "{k} of {n}");
        check(31, 31, 0.98, Claim::NeedsCases(149));
        check(149, 149, 0.98, Claim::Holds);
        check(148, 148, 0.98, Claim::NeedsCases(149));
        check(0, 0, 0.995, Claim::NeedsCases(598));
        check(99, 100, 0.98, Claim::NeedsCases(236));
        check(5, 10, 0.98, Claim::Fails);
    }
}
