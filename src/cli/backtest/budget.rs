//! How much of an error budget was spent when an episode was detected.

use crate::backtest::Episode;
use crate::model::{Millis, TimeRange, Timestamp};
use crate::promql::{EvalOptions, Query, SeriesSource, Value};
use crate::slo::Objective;

/// The shortest span over which events are counted: two samples must lie in it.
const COUNTED_MIN: Millis = Millis::minutes(2);

/// A budget and how much of it was spent.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Spent {
    /// The share of the whole budget of its window, at the traffic of the range that is tested.
    pub(super) share: f64,
    /// Whose it is.
    pub(super) objective: String,
}

/// What was spent from an episode's beginning until it was detected, of the budget that suffered most among those of the
/// episode's service; among all, if it names none. Nothing if nothing was counted.
pub(super) fn spent(
    objectives: &[Objective],
    source: &dyn SeriesSource,
    range: TimeRange,
    (episode, detected): (&Episode, Millis),
) -> Option<Spent> {
    let service = episode.labels.get("service");
    let of_it = objectives.iter().filter(|objective| service.is_empty() || objective.service == service);
    let shares = of_it.filter_map(|objective| {
        let share = share(objective, source, range, episode.start, detected)?;
        Some(Spent { share, objective: format!("{}/{}", objective.service, objective.name) })
    });
    shares.max_by(|a, b| a.share.total_cmp(&b.share))
}

fn share(
    objective: &Objective,
    source: &dyn SeriesSource,
    range: TimeRange,
    start: Timestamp,
    detected: Millis,
) -> Option<f64> {
    let span = detected.max(COUNTED_MIN);
    let total = |window: Millis| objective.indicator.total_query(window);
    let bad = format!("({}) * ({})", objective.indicator.error_query(span), total(span));
    let tested = range.until - range.after;
    let events = value(source, &total(tested), range.until)? * (objective.window.as_seconds() / tested.as_seconds());
    // Before the first failure there is no series of failures: then nothing is spent.
    let bad = value(source, &bad, start + span).unwrap_or(0.0);
    let share = bad / (objective.budget() * events);
    share.is_finite().then_some(share)
}

/// The only element of a query's answer.
fn value(source: &dyn SeriesSource, text: &str, at: Timestamp) -> Option<f64> {
    match Query::new(text).ok()?.instant(source, at, &EvalOptions::default()).ok()?.value {
        Value::Vector(elements) => elements.first().and_then(|element| element.number()),
        Value::Scalar(sample) => Some(sample.v),
        Value::String(..) | Value::Matrix(_) => None,
    }
}

/// Below which so great a share of what was spent lies.
pub(super) fn quantile(all: &[Option<Spent>], q: f64) -> Option<f64> {
    let mut shares: Vec<f64> = all.iter().flatten().map(|spent| spent.share).collect();
    shares.sort_by(f64::total_cmp);
    let rank = (q * shares.len() as f64).ceil().max(1.0) as usize;
    shares.get(rank - 1).copied()
}

/// A share of a budget, as people read it.
pub(super) fn share_text(share: Option<f64>) -> String {
    share.map_or_else(|| "none".to_owned(), |share| format!("{:.2} %", share * 100.0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::parse_objectives;
    use crate::model::{Labels, Sample};
    use crate::testkit::MemorySeries;

    #[test]
    fn what_fails_until_detection_is_held_against_the_budget_of_the_window() {
        // Ten requests a second for ten days; one in ten fails in the last half hour.
        let mut source = MemorySeries::default();
        let (minutes, bad_from) = (14_400i64, 14_370i64);
        let at = |n: i64| Timestamp(n * 60_000);
        for (code, per_minute) in [("200", [600.0, 540.0]), ("500", [0.0, 60.0])] {
            let labels = [("__name__", "requests_total"), ("service", "a"), ("code", code)];
            let value = |n: i64| {
                let bad = (n - bad_from).max(0);
                (n - bad) as f64 * per_minute[0] + bad as f64 * per_minute[1]
            };
            source.insert(Labels::new(labels).unwrap(), (0..=minutes).map(|n| Sample { t: at(n), v: value(n) }));
        }
        let file = "objectives: [{service: a, name: x, objective: 99, window: 30d, errors: 'requests_total{code=\"500\"}', total: requests_total}]";
        let objectives = parse_objectives("slo.yml", file).unwrap();
        let range = TimeRange { after: at(0), until: at(minutes) };
        let spent_by = |service: &str, detected: i64| {
            let labels =
                if service.is_empty() { Labels::empty() } else { Labels::new([("service", service)]).unwrap() };
            let episode = Episode { start: at(bad_from), end: at(minutes), labels, name: String::new() };
            spent(&objectives, &source, range, (&episode, Millis::minutes(detected)))
        };
        // 600 of the 259,200 failures that 30 days may have.
        let found = spent_by("a", 10).unwrap();
        assert!((found.share - 600.0 / 259_200.0).abs() < 2e-5, "{found:?}");
        assert_eq!(found.objective, "a/x");
        assert_eq!(spent_by("", 10), Some(found.clone()));
        assert_eq!(spent_by("b", 10), None);
        let later = spent_by("a", 20).unwrap();
        assert!((later.share / found.share - 2.0).abs() < 0.01);
        let all = [None, Some(later.clone()), Some(found.clone())];
        assert_eq!((quantile(&all, 0.5), quantile(&all, 0.9)), (Some(found.share), Some(later.share)));
        assert_eq!((quantile(&[None], 0.5), share_text(Some(0.0123))), (None, "1.23 %".to_owned()));
    }
}
