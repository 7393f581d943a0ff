//! An outage that has not happened: who would be told of it, when, and what it would have spent by then.

use crate::model::{
    Committed, Labels, LabelsError, Matcher, Millis, Rejected, Sample, Seq, SeriesRef, Timestamp, TransitionKind,
};

use super::objective::{Indicator, Objective, ObjectiveError};
use super::objectives::Objectives;
use super::pair::{BurnPair, Severity};

/// How long all was as usual before: the slowest pair speaks once half of its three days has been counted.
const BEFORE: Millis = Millis::days(2);
/// How often requests are counted then.
const BEFORE_EVERY: Millis = Millis::minutes(1);
/// How long what fires is waited for to end afterwards.
const AFTER: Millis = Millis::hours(6);

/// What happens, to an objective of requests that are counted as they come.
#[derive(Debug, Clone, PartialEq)]
pub struct Outage {
    /// The promised share of good requests.
    pub objective: f64,
    /// The window of the budget.
    pub window: Millis,
    /// Its burn pairs.
    pub pairs: Vec<BurnPair>,
    /// Requests a second, always.
    pub requests_per_second: f64,
    /// The share of them that fails as usual.
    pub usual: f64,
    /// The share that fails in the outage.
    pub failing: f64,
    /// How long it lasts.
    pub lasting: Millis,
    /// How often requests are counted.
    pub interval: Millis,
}

/// What somebody would be told.
#[derive(Debug, Clone, PartialEq)]
pub struct OutageMessage {
    /// How long after the beginning of the outage.
    pub after: Millis,
    /// Whether it begins to fire or stops.
    pub kind: TransitionKind,
    /// How urgent.
    pub severity: Severity,
    /// The alert's `alertname`.
    pub name: String,
    /// Its window; empty if it has none.
    pub window: String,
    /// The share of the window's budget that the outage has spent by then.
    pub spent: f64,
}

/// What can keep an outage from being played.
#[derive(Debug, thiserror::Error)]
pub enum OutageError {
    /// The objective cannot be kept.
    #[error(transparent)]
    Objective(#[from] ObjectiveError),
    /// Never: the labels are ours.
    #[error(transparent)]
    Labels(#[from] LabelsError),
}

/// Plays an outage with as many failures as are to be expected, and tells what would be told until all is well again.
///
/// # Errors
/// The objective cannot be kept.
pub fn play_outage(outage: &Outage) -> Result<Vec<OutageMessage>, OutageError> {
    let counter = |name: &str| vec![Matcher::equal("__name__", name)];
    let indicator = Indicator::ErrorRatio { errors: counter("failed").into(), total: counter("all").into() };
    let mut objective = Objective::new("service", "objective", outage.objective, outage.window, indicator);
    objective.pairs = Some(outage.pairs.clone());
    let mut objectives = Objectives::new(vec![objective])?;
    let mut new_series = Vec::new();
    for (n, name) in ["all", "failed"].into_iter().enumerate() {
        new_series.push((SeriesRef(n as u64), Labels::new([("__name__", name)])?));
    }
    let begun = Timestamp(0) + BEFORE;
    let over = begun + outage.lasting;
    let budget = outage.requests_per_second * outage.window.0 as f64 / 1000.0 * (1.0 - outage.objective);
    let (mut counted, mut spent, mut now, mut seq) = ([0.0; 2], 0.0, Timestamp(0), 0);
    let mut messages = Vec::new();
    while now < over || (now < over + AFTER && !objectives.alerts().is_empty()) {
        let step = if now < begun { BEFORE_EVERY } else { outage.interval.max(Millis::seconds(1)) };
        now = now + step;
        let fails = if now > begun && now <= over { outage.failing } else { outage.usual };
        let more = outage.requests_per_second * step.0 as f64 / 1000.0;
        counted = [counted[0] + more, counted[1] + more * fails];
        if now > begun && now <= over {
            spent += more * fails / budget;
        }
        seq += 1;
        let samples = [0, 1].map(|n| (SeriesRef(n as u64), Sample { t: now, v: counted[n] }));
        let transitions = objectives.observe(&Committed {
            seq: Seq(seq),
            at: now,
            new_series: std::mem::take(&mut new_series),
            samples: samples.to_vec(),
            histograms: Vec::new(),
            starts: Vec::new(),
            coarsened: 0,
            rejected: Rejected::default(),
        });
        for told in transitions.into_iter().filter(|_| now > begun) {
            let label = |name: &str| told.alert.labels.get(name).to_owned();
            let severity = if label("severity") == "page" { Severity::Page } else { Severity::Ticket };
            messages.push(OutageMessage {
                after: told.at - begun,
                kind: told.kind,
                severity,
                name: label("alertname"),
                window: label("window"),
                spent,
            });
        }
    }
    Ok(messages)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outage(failing: f64, requests_per_second: f64) -> Outage {
        let window = Millis::days(30);
        Outage {
            objective: 0.999,
            window,
            pairs: BurnPair::standard(window),
            requests_per_second,
            usual: 0.0001,
            failing,
            lasting: Millis::hours(2),
            interval: Millis::seconds(15),
        }
    }

    fn first_page(outage: &Outage) -> Option<(i64, String)> {
        let told = play_outage(outage).unwrap();
        let first = told.iter().find(|told| told.severity == Severity::Page && told.kind == TransitionKind::Firing)?;
        Some((first.after.0 / 1000, format!("{:.1} %", first.spent * 100.0)))
    }

    #[test]
    fn an_outage_tells_when_it_would_page_and_what_it_would_have_spent() {
        // 14.4 times the budget over an hour of which all failed for 52 s, minus the usual.
        assert_eq!(first_page(&outage(1.0, 50.0)), Some((60, "2.3 %".to_owned())));
        assert_eq!(first_page(&outage(0.05, 50.0)), Some((1035, "2.0 %".to_owned())));
        assert_eq!(first_page(&outage(0.001, 50.0)), None);
        let told = play_outage(&outage(1.0, 50.0)).unwrap();
        assert!(
            told.iter().any(|one| one.kind == TransitionKind::Resolved && one.after > Millis::hours(2)),
            "{told:?}"
        );
        assert!(told.iter().any(|one| one.name == "ErrorBudgetExhausted"), "{told:?}");
    }

    #[test]
    fn what_cannot_be_kept_is_refused() {
        assert!(play_outage(&Outage { objective: 1.0, ..outage(0.5, 1.0) }).is_err());
    }
}
