//! Accuracy as JSON: what the API answers and the command reads.

use serde::{Deserialize, Serialize};

use crate::backtest::Share;
use crate::confidence::{Accuracy, Claim, ClassAccuracy, KnownEpisode, OutcomeLabel, Quantile, Spread};
use crate::model::{TimeRange, Timestamp};

use super::episode_json::EpisodeReport;

/// How good alerts were, in its JSON form. Instants are RFC 3339 in UTC.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AccuracyReport {
    /// Behind this instant.
    pub from: String,
    /// Up to this one.
    pub to: String,
    /// Whose hours the classes are.
    pub time_zone: String,
    /// Of all hours, then of each class.
    pub classes: Vec<ClassReport>,
    /// Tickets that were right.
    pub tickets: ShareReport,
    /// Targets and whether they are met.
    pub claims: Vec<ClaimReport>,
    /// Pages of which it is not known whether they were right.
    pub unknown_pages: usize,
    /// How often people gave each label.
    pub outcomes: std::collections::BTreeMap<String, usize>,
    /// Episodes that go on.
    pub open_episodes: usize,
    /// Episodes that only stored history told of.
    pub unwatched_episodes: usize,
    /// Episodes without a page.
    pub missed: Vec<EpisodeReport>,
    /// Episodes whose first page came after 10 % of the budget was spent.
    #[serde(default)]
    pub late: Vec<EpisodeReport>,
    /// By rule, those with most wrong alerts first.
    pub rules: Vec<RuleReport>,
}

/// One class of hours.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ClassReport {
    /// `all`, `business`, `off` or `sleep`.
    pub class: String,
    /// Pages.
    pub pages: usize,
    /// Pages that were right.
    pub precision: ShareReport,
    /// Episodes that were paged.
    pub recall: ShareReport,
    /// Episodes that a page or a ticket told of.
    pub told: ShareReport,
    /// Episodes paged before 10 % of the budget was spent.
    pub early: ShareReport,
    /// Seconds to the first page.
    pub detection_seconds: SpreadReport,
    /// The share of the budget spent by then.
    pub spent_at_detection: SpreadReport,
    /// Seconds from an episode's end to its last page's.
    pub reset_seconds: SpreadReport,
}

/// k of n with its exact 95 % interval.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ShareReport {
    /// How many are so.
    pub k: usize,
    /// Of how many.
    pub n: usize,
    /// k over n; `null` of nothing.
    pub share: Option<f64>,
    /// The lower bound.
    pub low: Option<f64>,
    /// The upper bound.
    pub high: Option<f64>,
}

/// How values lie.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SpreadReport {
    /// How many there are.
    pub n: usize,
    /// The median.
    pub median: Option<QuantileReport>,
    /// The 90th percentile.
    pub p90: Option<QuantileReport>,
}

/// A quantile with its 95 % interval by order statistics; `null` where so few values say nothing.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct QuantileReport {
    /// The value.
    pub value: f64,
    /// The lower bound.
    pub low: Option<f64>,
    /// The upper bound.
    pub high: Option<f64>,
}

/// A target and whether it is met.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ClaimReport {
    /// What it is about.
    pub of: String,
    /// The share to reach.
    pub target: f64,
    /// `yes`, `no`, or `insufficient`.
    pub met: String,
    /// How many cases there are.
    pub cases: usize,
    /// How many would tell, if none of them failed; `null` if it is known.
    pub needs: Option<usize>,
}

/// One rule.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RuleReport {
    /// Its `alertname`.
    pub name: String,
    /// Its service.
    pub service: String,
    /// `page` or `ticket`.
    pub urgency: String,
    /// How often it fired.
    pub fired: usize,
    /// How often it was right, of those of which it is known.
    pub right: ShareReport,
}

impl ShareReport {
    fn new(share: Share) -> ShareReport {
        let interval = share.exact();
        let (low, high) = (interval.map(|i| i.0), interval.map(|i| i.1));
        ShareReport { k: share.k, n: share.n, share: share.value(), low, high }
    }
}

impl SpreadReport {
    fn new(spread: Spread) -> SpreadReport {
        let quantile = |q: Quantile| QuantileReport { value: q.value, low: q.low, high: q.high };
        SpreadReport { n: spread.n, median: spread.median.map(quantile), p90: spread.p90.map(quantile) }
    }
}

impl ClassReport {
    fn new(class: &ClassAccuracy) -> ClassReport {
        ClassReport {
            class: class.class.map_or("all", |class| class.as_str()).to_owned(),
            pages: class.pages,
            precision: ShareReport::new(class.precision),
            recall: ShareReport::new(class.recall),
            told: ShareReport::new(class.told),
            early: ShareReport::new(class.early),
            detection_seconds: SpreadReport::new(class.detection),
            spent_at_detection: SpreadReport::new(class.spent),
            reset_seconds: SpreadReport::new(class.reset),
        }
    }
}

impl AccuracyReport {
    /// Whether the target of early warnings is met.
    pub fn early_warning_claim(&self) -> Option<&ClaimReport> {
        self.claims.iter().find(|claim| claim.of == "early warning")
    }

    /// The report of what was found for a span, in the hours of a time zone.
    pub fn new(accuracy: &Accuracy, range: TimeRange, time_zone: &str, now: Timestamp) -> AccuracyReport {
        let cases = |of: &str| match of {
            "precision of pages" => accuracy.all.precision.n,
            _ => accuracy.all.recall.n,
        };
        let claim = |(target, of, claim): &(f64, &'static str, Claim)| ClaimReport {
            of: (*of).to_owned(),
            target: *target,
            met: match claim {
                Claim::Holds => "yes",
                Claim::Fails => "no",
                Claim::NeedsCases(_) => "insufficient",
            }
            .to_owned(),
            cases: cases(of),
            needs: if let Claim::NeedsCases(needs) = claim { Some(*needs) } else { None },
        };
        let outcomes = OutcomeLabel::ALL.into_iter().zip(accuracy.outcomes);
        let missed = |known: &KnownEpisode| EpisodeReport::new(known, &[], now);
        let rule = |rule: &crate::confidence::RuleAccuracy| RuleReport {
            name: rule.name.clone(),
            service: rule.service.clone(),
            urgency: rule.urgency.as_str().to_owned(),
            fired: rule.fired,
            right: ShareReport::new(rule.right),
        };
        AccuracyReport {
            from: range.after.to_string(),
            to: range.until.to_string(),
            time_zone: time_zone.to_owned(),
            classes: std::iter::once(&accuracy.all).chain(&accuracy.classes).map(ClassReport::new).collect(),
            tickets: ShareReport::new(accuracy.tickets),
            claims: accuracy.claims.iter().map(claim).collect(),
            unknown_pages: accuracy.unknown,
            outcomes: outcomes.map(|(label, n)| (label.as_str().to_owned(), n)).collect(),
            open_episodes: accuracy.open,
            unwatched_episodes: accuracy.unwatched,
            missed: accuracy.missed.iter().map(missed).collect(),
            late: accuracy
                .late
                .iter()
                .map(|(known, page)| EpisodeReport::new(known, std::slice::from_ref(page), now))
                .collect(),
            rules: accuracy.rules.iter().map(rule).collect(),
        }
    }
}
