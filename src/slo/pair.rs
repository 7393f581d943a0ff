//! Burn pairs: how fast, over which two windows, and who hears of it.
//!
//! Source: Google, The Site Reliability Workbook, chapter 5, "Multiwindow, Multi-Burn-Rate Alerts".

use crate::model::Millis;

use super::objective::{Objective, ObjectiveError};

/// Who hears of a burning budget.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Severity {
    /// A person, now.
    Page,
    /// A person, in working hours.
    Ticket,
}

impl Severity {
    /// The value of the label `severity`.
    pub fn as_str(self) -> &'static str {
        match self {
            Severity::Page => "page",
            Severity::Ticket => "ticket",
        }
    }
}

/// A burn rate and the two windows over which it must be exceeded.
///
/// The long window proves that the burn matters, the short one that it still goes on.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct BurnPair {
    /// Who hears of it.
    pub severity: Severity,
    /// How many times faster than evenly the budget is spent.
    pub threshold: f64,
    /// The long window.
    pub long: Millis,
    /// The short window.
    pub short: Millis,
}

/// The window for which the standard pairs are written down.
const STANDARD_WINDOW: Millis = Millis::days(30);
/// A scaled window is never shorter: a handful of scrapes at one a second.
const SHORT_MIN: Millis = Millis::seconds(5);

impl BurnPair {
    /// The Workbook's pairs, for an objective over `window`.
    ///
    /// For 30 days: 14.4 over 1h and 5m (page), 6 over 6h and 30m (page), 3 over 1d and 2h (ticket),
    /// 1 over 3d and 6h (ticket). For another window all windows are scaled in proportion, so that
    /// each pair still stands for the same share of the budget: 2, 5, 10 and 10 %. Windows below 5 seconds (short) and
    /// a minute (long) are not scaled further; of two pairs that then look at the same windows the slower burn stays.
    pub fn standard(window: Millis) -> Vec<BurnPair> {
        let scale = |span: Millis, least: Millis| {
            let ms = i128::from(span.0) * i128::from(window.0) / i128::from(STANDARD_WINDOW.0);
            let whole_seconds = i64::try_from(ms / 1000).unwrap_or(i64::MAX / 1000);
            Millis::seconds(whole_seconds).max(least)
        };
        let pair = |severity, threshold, long, short| BurnPair {
            severity,
            threshold,
            long: scale(long, Millis(SHORT_MIN.0 * 12)),
            short: scale(short, SHORT_MIN),
        };
        let mut pairs = vec![
            pair(Severity::Page, 14.4, Millis::hours(1), Millis::minutes(5)),
            pair(Severity::Page, 6.0, Millis::hours(6), Millis::minutes(30)),
            pair(Severity::Ticket, 3.0, Millis::days(1), Millis::hours(2)),
            pair(Severity::Ticket, 1.0, Millis::days(3), Millis::hours(6)),
        ];
        let all = pairs.clone();
        let implied = |a: &BurnPair, b: &BurnPair| a.same_alert(b) && b.threshold < a.threshold;
        pairs.retain(|pair| !all.iter().any(|other| implied(pair, other)));
        pairs
    }

    /// The share of the budget of `window` that it stands for: what its threshold spends over the long window, in mean traffic.
    pub(crate) fn budget_share(&self, window: Millis) -> f64 {
        self.threshold * self.long.0 as f64 / window.0 as f64
    }

    /// The share of the budget that a page came for, if its long window, which burns so much, is not reason enough.
    pub(crate) fn came_for(&self, burn: f64, window: Millis) -> Option<f64> {
        (self.severity == Severity::Page && burn <= self.threshold).then(|| self.budget_share(window))
    }

    /// Whether the alerts of both pairs would have the same labels.
    fn same_alert(&self, other: &BurnPair) -> bool {
        (self.severity, self.long) == (other.severity, other.long)
    }
}

/// The pairs of an objective, all of which can be reached.
///
/// A full outage burns `1 / budget`. A pair that was asked for and lies above is an error. Of the
/// standard pairs those above are left out, and it is an error if no page is left.
pub(super) fn pairs_of(objective: &Objective, place: &str) -> Result<Vec<BurnPair>, ObjectiveError> {
    let most = 1.0 / objective.budget();
    let unreachable = |threshold| ObjectiveError::Unreachable {
        place: place.to_owned(),
        threshold,
        most,
        objective: objective.objective,
    };
    if let Some(pairs) = &objective.pairs {
        for (n, pair) in pairs.iter().enumerate() {
            if pairs[..n].iter().any(|other| other.same_alert(pair)) {
                return Err(ObjectiveError::PairTwice { place: place.to_owned(), long: pair.long });
            }
            // Not `<=`: a lower bound reaches a threshold of exactly the outage's burn never.
            if pair.threshold.is_nan() || pair.threshold <= 0.0 || pair.threshold >= most {
                return Err(unreachable(pair.threshold));
            }
            if pair.short <= Millis::ZERO || pair.short > pair.long || pair.long > objective.window {
                return Err(ObjectiveError::PairWindows {
                    place: place.to_owned(),
                    short: pair.short,
                    long: pair.long,
                });
            }
        }
        return Ok(stretched(pairs.clone(), objective));
    }
    let mut pairs = BurnPair::standard(objective.window);
    let slowest_page = pairs.iter().filter(|p| p.severity == Severity::Page).map(|p| p.threshold).fold(most, f64::min);
    pairs.retain(|pair| pair.threshold < most);
    if !pairs.iter().any(|pair| pair.severity == Severity::Page) {
        return Err(unreachable(if slowest_page < most { slowest_page } else { 6.0 }));
    }
    Ok(stretched(pairs, objective))
}

/// The pairs with windows that hold slices of time: three the short one, so that two can be bad, twelve the long one.
fn stretched(mut pairs: Vec<BurnPair>, objective: &Objective) -> Vec<BurnPair> {
    let Some(width) = objective.method.width() else { return pairs };
    for pair in &mut pairs {
        pair.short = pair.short.max(Millis(width.0 * 3));
        pair.long = pair.long.max(Millis(width.0 * 12)).min(objective.window).max(pair.short);
    }
    let all = pairs.clone();
    let implied = |a: &BurnPair, b: &BurnPair| a.same_alert(b) && b.threshold < a.threshold;
    pairs.retain(|pair| !all.iter().any(|other| implied(pair, other)));
    pairs
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Matcher;
    use crate::slo::{Comparison, Indicator};

    fn objective(share: f64) -> Objective {
        let gauge = vec![Matcher::equal("__name__", "up")];
        let up = Indicator::Threshold { gauge, op: Comparison::Equal, bound: 1.0 };
        Objective::new("s", "o", share, Millis::days(30), up)
    }

    #[test]
    fn windows_scale_with_the_objective() {
        let week = BurnPair::standard(Millis::days(7));
        assert_eq!((week[0].long, week[0].short), (Millis::minutes(14), Millis::seconds(70)));
        assert_eq!(week[0].threshold, 14.4);
        let hour = BurnPair::standard(Millis::hours(1));
        assert!(hour.iter().all(|p| p.short >= SHORT_MIN && p.long <= Millis::hours(1)), "{hour:?}");
        // Its two pages would both look at the last minute.
        assert_eq!(hour.iter().map(|p| p.threshold).collect::<Vec<_>>(), [6.0, 3.0, 1.0]);
    }

    #[test]
    fn what_no_outage_reaches_is_refused() {
        assert_eq!(pairs_of(&objective(0.999), "s/o").unwrap().len(), 4);
        // 90 %: a full outage burns 10 times the budget, so 14.4 is left out.
        assert_eq!(pairs_of(&objective(0.9), "s/o").unwrap()[0].threshold, 6.0);
        assert!(matches!(pairs_of(&objective(0.8), "s/o"), Err(ObjectiveError::Unreachable { .. })));
        let mut twice = objective(0.999);
        twice.pairs = Some([BurnPair::standard(twice.window), BurnPair::standard(twice.window)].concat());
        assert!(matches!(pairs_of(&twice, "s/o"), Err(ObjectiveError::PairTwice { .. })));
        let mut own = objective(0.9);
        own.pairs = Some(BurnPair::standard(own.window));
        let error = pairs_of(&own, "s/o").unwrap_err();
        assert_eq!(
            error.to_string(),
            "s/o: a burn rate of 14.4 can never be reached, because a full outage burns 10.0 times the budget of 0.9; \
             raise the objective or lower the threshold"
        );
    }
}
