//! How far a verdict can be trusted: shares that were observed, and their product.
//!
//! Invariants:
//! - A share is a count out of a count, and names what it lacks: nothing is weighted.
//! - Of nothing nothing is known: none of none is 0.

use super::coverage::{Coverage, is_proven};
use super::evidence::Evidence;
use super::finding::is_unseen;

/// A share of what would have to be fine for the verdict to be certain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Factor {
    /// `coverage`, `freshness` or `delivery`.
    pub name: &'static str,
    /// What is counted, in words.
    pub source: &'static str,
    /// Of how many.
    pub of: usize,
    /// Those of them that are not fine, by name.
    pub lacking: Vec<String>,
}

impl Factor {
    /// How many are fine.
    pub fn fine(&self) -> usize {
        self.of - self.lacking.len()
    }

    /// The share of them; 0 if there are none.
    pub fn share(&self) -> f64 {
        if self.of == 0 { 0.0 } else { self.fine() as f64 / self.of as f64 }
    }
}

/// What a verdict's certainty is made of: how much is looked at, how much of that is seen, and who would be told.
pub fn factors(evidence: &Evidence<'_>, coverage: &Coverage) -> [Factor; 3] {
    let gaps = coverage.counted().filter(|service| !service.is_covered(coverage.at));
    let unseen = evidence.objectives.iter().filter(|objective| is_unseen(objective, evidence.started_at));
    let unproven = evidence
        .receivers
        .iter()
        .filter(|receiver| receiver.failing_since.is_some() || !is_proven(receiver.last_success, evidence.now));
    [
        Factor {
            name: "coverage",
            source: "services (critical ones alone, where it is said which are) with an objective that has input, something \
                     that pages, and a receiver that is proven; once a minute",
            of: coverage.counted().count(),
            lacking: gaps.map(|service| service.service.clone()).collect(),
        },
        Factor {
            name: "freshness",
            source: "objectives whose input came when it was expected",
            of: evidence.objectives.len(),
            lacking: unseen.map(|objective| format!("{}/{}", objective.service, objective.name)).collect(),
        },
        Factor {
            name: "delivery",
            source: "receivers that took a message in the last 14 days and do not fail now",
            of: evidence.receivers.len(),
            lacking: unproven.map(|receiver| receiver.name.clone()).collect(),
        },
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::confidence::{CoverageScope, ProgramHealth, ReceiverHealth, ServiceCoverage, StorageHealth};
    use crate::model::{Millis, Timestamp};

    const NOW: Timestamp = Timestamp(1_800_000_000_000);

    fn evidence(receivers: &[ReceiverHealth]) -> Evidence<'_> {
        Evidence {
            now: NOW,
            started_at: NOW - Millis::hours(1),
            objectives: &[],
            alerts: &[],
            groups: &[],
            receivers,
            jobs: &[],
            storage: &StorageHealth::Healthy,
            program: &ProgramHealth { clock_jump: None, clock_behind: None, reload_failed: None, late: None },
            deploys: &[],
            critical: &[],
        }
    }

    fn coverage(services: Vec<ServiceCoverage>) -> Coverage {
        Coverage { at: NOW, services, scope: CoverageScope::Everything, unmatched: None }
    }

    #[test]
    fn each_share_names_what_it_lacks_and_none_of_none_is_nothing() {
        let receiver = |name: &str, last: Millis, failing: Option<Timestamp>| ReceiverHealth {
            name: name.to_owned(),
            last_success: Some(NOW - last),
            failing_since: failing,
            ..ReceiverHealth::default()
        };
        let receivers = [
            receiver("team", Millis::days(13), None),
            receiver("old", Millis::days(15), None),
            receiver("down", Millis::hours(1), Some(NOW)),
            ReceiverHealth { name: "new".to_owned(), ..ReceiverHealth::default() },
        ];
        let services = vec![ServiceCoverage { service: "shop".to_owned(), ..ServiceCoverage::default() }];
        let known = factors(&evidence(&receivers), &coverage(services));
        let shares: Vec<_> =
            known.iter().map(|factor| (factor.name, factor.fine(), factor.of, factor.share())).collect();
        assert_eq!(shares, [("coverage", 0, 1, 0.0), ("freshness", 0, 0, 0.0), ("delivery", 1, 4, 0.25)]);
        assert_eq!(
            (known[0].lacking.as_slice(), known[2].lacking.as_slice()),
            (&["shop".to_owned()][..], &["old", "down", "new"].map(str::to_owned)[..])
        );
    }
}
