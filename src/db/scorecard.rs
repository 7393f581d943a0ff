//! What is judged, as metrics: verdicts and how far they can be trusted, budgets, coverage, accuracy.
//!
//! Invariants:
//! - So many services and so many objectives have series, the worst; how many have none is a series of its own.
//! - Coverage and accuracy are looked at once a minute: with many series, alerts and episodes they take longer than all
//!   the rest.

use crate::backtest::{LocalTime, Share};
use crate::confidence::{Factor, Spread, Verdict};
use crate::model::{Labels, Millis, TimeRange, Timestamp, limits};
use crate::slo::Standing;

use super::Db;
use super::judge::{Trust, Words};
use super::status::Metrics;

/// How long accuracy is remembered.
const REMEMBERED: Millis = Millis::minutes(1);
/// What accuracy is told of: the span of its report, if none is given.
const ACCURACY_SPAN: Millis = Millis::days(30);

/// How good alerts were: shares and spreads, each with its name.
#[derive(Debug, Clone, Copy)]
pub(super) struct Goodness {
    shares: [(&'static str, Share); 3],
    spreads: [(&'static str, Spread); 3],
}

impl Db {
    /// What is judged now, as series of `/metrics`: verdicts, budgets, coverage, accuracy with its intervals.
    pub fn scorecard(&self) -> Vec<(Labels, f64)> {
        let mut out = Metrics::default();
        self.add_scorecard(&mut out);
        out.into_series()
    }

    /// Adds what is judged now.
    pub(super) fn add_scorecard(&self, out: &mut Metrics) {
        let now = self.inner.now();
        out.verdicts(&self.inner.recent_words(now), limits::METRICS_SERVICES_MAX);
        out.budgets(self.inner.core.lock().objectives.standings(now), limits::METRICS_OBJECTIVES_MAX);
        let Trust { coverage, factors, customers } = self.inner.recent_trust(now, || self.inner.known());
        out.add("evenkeel_coverage_ratio", &[], coverage.share());
        out.add("evenkeel_coverage_services", &[], coverage.services.len() as f64);
        out.add("evenkeel_coverage_critical_services", &[], coverage.critical().count() as f64);
        out.add("evenkeel_coverage_critical_incomplete", &[], coverage.critical_with_gaps().count() as f64);
        out.add("evenkeel_adoption_ratio", &[], coverage.adoption());
        out.trust(&factors);
        out.add("evenkeel_customers_bad_events", &[], customers.bad_events);
        out.accuracy(&self.recent_accuracy(now));
    }

    /// How good alerts were, as it was known at most a minute ago.
    fn recent_accuracy(&self, now: Timestamp) -> Goodness {
        let mut remembered = self.inner.accuracy.lock();
        if let Some((at, goodness)) = *remembered
            && (Millis::ZERO..REMEMBERED).contains(&(now - at))
        {
            return goodness;
        }
        // Of all hours together the zone does not matter.
        let midnight = |_| LocalTime { weekday: 0, hour: 0 };
        let all = self.accuracy(TimeRange { after: now - ACCURACY_SPAN, until: now }, &midnight).all;
        let shares = [("page_precision", all.precision), ("episode_recall", all.recall), ("early_warning", all.early)];
        let spreads = [("detection_seconds", all.detection), ("budget_spent", all.spent), ("reset_seconds", all.reset)];
        let goodness = Goodness { shares, spreads };
        *remembered = Some((now, goodness));
        goodness
    }
}

impl Metrics {
    /// The words, as the numbers that the program exits with.
    fn verdicts(&mut self, words: &Words, most: usize) {
        let number = |verdict: Verdict| f64::from(verdict.exit_code());
        self.add("evenkeel_verdict_overall", &[], number(words.overall));
        for (service, word) in words.services.iter().take(most) {
            self.add("evenkeel_verdict", &[("service", service)], number(*word));
        }
        self.left_out("services", words.services.len().saturating_sub(most));
    }

    /// What the verdict's certainty is made of, and their product.
    fn trust(&mut self, factors: &[Factor]) {
        self.add("evenkeel_confidence_ratio", &[], factors.iter().map(Factor::share).product());
        for factor in factors {
            self.add("evenkeel_confidence_factor_ratio", &[("of", factor.name)], factor.share());
        }
    }

    /// What is left of budgets, of those of which something is known.
    fn budgets<'o>(&mut self, objectives: impl Iterator<Item = Standing<'o>>, most: usize) {
        let mut known: Vec<_> = objectives.filter(|objective| !objective.blind || objective.total > 0.0).collect();
        known.sort_by(|a, b| a.left.total_cmp(&b.left));
        for objective in known.iter().take(most) {
            let labels = [("service", objective.service), ("objective", objective.name)];
            self.add("evenkeel_error_budget_remaining_ratio", &labels, objective.left);
        }
        // The families one after the other.
        for objective in known.iter().take(most) {
            let Some(time) = objective.time_coverage else { continue };
            for (of, time) in [("day", time.day), ("window", time.window)] {
                let labels = [("service", objective.service), ("objective", objective.name), ("of", of)];
                self.add("evenkeel_objective_time_coverage_ratio", &labels, time.share());
            }
        }
        self.left_out("objectives", known.len().saturating_sub(most));
    }

    fn left_out(&mut self, what: &str, n: usize) {
        self.add("evenkeel_scorecard_left_out", &[("of", what)], n as f64);
    }

    /// Shares and spreads with what they rest on and their 95 % intervals; of no case there is neither.
    fn accuracy(&mut self, goodness: &Goodness) {
        for (name, share) in &goodness.shares {
            let labels = [("of", *name)];
            self.add("evenkeel_accuracy_cases", &labels, share.n as f64);
            if let (Some(value), Some((low, high))) = (share.value(), share.exact()) {
                self.add("evenkeel_accuracy_ratio", &labels, value);
                self.add("evenkeel_accuracy_ratio_low", &labels, low);
                self.add("evenkeel_accuracy_ratio_high", &labels, high);
            }
        }
        for (name, spread) in &goodness.spreads {
            self.add("evenkeel_accuracy_cases", &[("of", *name)], spread.n as f64);
            for (rank, quantile) in [("0.5", spread.median), ("0.9", spread.p90)] {
                let Some(quantile) = quantile else { continue };
                let labels = [("of", *name), ("quantile", rank)];
                self.add("evenkeel_accuracy_quantile", &labels, quantile.value);
                for (bound, value) in [("low", quantile.low), ("high", quantile.high)] {
                    if let Some(value) = value {
                        self.add(&format!("evenkeel_accuracy_quantile_{bound}"), &labels, value);
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    fn lines(metrics: Metrics) -> Vec<String> {
        metrics.into_series().iter().map(|(labels, value)| format!("{labels} {value}")).collect()
    }

    #[test]
    fn the_worst_services_have_series_and_the_others_are_counted() {
        let services = [("a", Verdict::Hurting), ("b", Verdict::Blind), ("c", Verdict::AtRisk), ("d", Verdict::Ok)];
        let services = services.map(|(service, word)| (service.to_owned(), word)).to_vec();
        let mut out = Metrics::default();
        out.verdicts(&Words { overall: Verdict::Hurting, services }, 2);
        let expected = [
            "evenkeel_verdict_overall 2",
            "evenkeel_verdict{service=\"a\"} 2",
            "evenkeel_verdict{service=\"b\"} 3",
            "evenkeel_scorecard_left_out{of=\"services\"} 2",
        ];
        assert_eq!(lines(out), expected);
    }

    #[test]
    fn a_share_has_its_interval_and_of_no_case_there_is_none() {
        let mut out = Metrics::default();
        out.accuracy(&Goodness {
            shares: [
                ("page_precision", Share { k: 9, n: 10 }),
                ("episode_recall", Share { k: 0, n: 0 }),
                ("early_warning", Share { k: 0, n: 0 }),
            ],
            spreads: [
                ("detection_seconds", Spread::of((1..=20).map(f64::from).collect())),
                ("budget_spent", Spread::of(Vec::new())),
                ("reset_seconds", Spread::of(vec![7.0])),
            ],
        });
        let lines = lines(out);
        assert_eq!(
            lines[..2],
            ["evenkeel_accuracy_cases{of=\"page_precision\"} 10", "evenkeel_accuracy_ratio{of=\"page_precision\"} 0.9"]
        );
        assert!(lines[2].starts_with("evenkeel_accuracy_ratio_low{of=\"page_precision\"} 0.55"), "{lines:?}");
        assert!(lines[3].starts_with("evenkeel_accuracy_ratio_high{of=\"page_precision\"} 0.99"), "{lines:?}");
        assert_eq!(
            lines[4..7],
            [
                "evenkeel_accuracy_cases{of=\"episode_recall\"} 0",
                "evenkeel_accuracy_cases{of=\"early_warning\"} 0",
                "evenkeel_accuracy_cases{of=\"detection_seconds\"} 20",
            ]
        );
        let told = |start: &str| lines.iter().filter(|line| line.starts_with(start)).count();
        assert_eq!(told("evenkeel_accuracy_quantile{of=\"detection_seconds\""), 2, "{lines:?}");
        assert!(told("evenkeel_accuracy_quantile_low{of=\"detection_seconds\"") > 0, "{lines:?}");
        assert_eq!(told("evenkeel_accuracy_quantile{of=\"budget_spent\""), 0, "{lines:?}");
        assert_eq!(
            told("evenkeel_accuracy_quantile_low{of=\"reset_seconds\""),
            0,
            "one value bounds nothing: {lines:?}"
        );
    }
}
