//! A proposal: what is counted, what history attained, and the target that follows from it.

use crate::model::Millis;

/// The targets that are usual.
const TARGETS: [f64; 8] = [0.9999, 0.9995, 0.999, 0.995, 0.99, 0.98, 0.95, 0.9];
/// No more of the budget than this was spent in history: what is promised should be kept.
const SPENT_MOST: f64 = 0.5;
/// A budget of fewer bad events is spent by chance.
const BUDGET_EVENTS_MIN: f64 = 10.0;

/// An objective that fits what was seen.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Proposal {
    pub(super) service: String,
    pub(super) name: String,
    /// The keys that say what is counted, each with its value as YAML.
    pub(super) indicator: Vec<(&'static str, String)>,
    /// What history holds.
    pub(super) total: f64,
    pub(super) bad: f64,
    /// Another remark.
    pub(super) note: String,
}

impl Proposal {
    /// The highest usual target that history kept with room to spare, and that the traffic can carry.
    pub(super) fn target(&self) -> Option<f64> {
        let fits = |target: &f64| {
            let budget = self.total * (1.0 - target);
            budget >= BUDGET_EVENTS_MIN && self.bad <= budget * SPENT_MOST
        };
        TARGETS.into_iter().find(fits)
    }
}

/// The proposals as a file of objectives, each with what history says of it.
pub(super) fn file(proposals: &[Proposal], since: Millis) -> String {
    let (fit, other): (Vec<_>, Vec<_>) = proposals.iter().partition(|proposal| proposal.target().is_some());
    let mut out = format!(
        "# Proposed from what was measured in the last {since}. Nothing is applied: read, change, and name it in slo_files.\n\
         # A target is the highest usual one of which at most half the budget was spent.\n"
    );
    for proposal in &other {
        out.push_str(&format!("# Nothing fits {}/{}: {}.\n", proposal.service, proposal.name, attained(proposal)));
    }
    if fit.is_empty() {
        out.push_str(
            "# No counter of requests with codes, histogram of durations, probe or target was found that fits.\n",
        );
        out.push_str("objectives: []\n");
        return out;
    }
    out.push_str("objectives:\n");
    for proposal in fit {
        let Some(target) = proposal.target() else { continue };
        let target = (target * 100.0 * 1e9).round() / 1e9;
        out.push_str(&format!("  # {}", attained(proposal)));
        if !proposal.note.is_empty() {
            out.push_str(&format!("; {}", proposal.note));
        }
        out.push_str(&format!(
            "\n  - service: {}\n    name: {}\n    objective: {target}\n    window: 30d\n",
            quoted(&proposal.service),
            quoted(&proposal.name)
        ));
        for (key, value) in &proposal.indicator {
            out.push_str(&format!("    {key}: {value}\n"));
        }
    }
    out
}

fn attained(proposal: &Proposal) -> String {
    if proposal.total <= 0.0 {
        return "no events were counted".to_owned();
    }
    let share = 100.0 * (1.0 - proposal.bad / proposal.total);
    // What is not all is not shown as all.
    let digits = if proposal.bad > 0.0 && share > 99.99 { 5 } else { 2 };
    format!("attained {share:.digits$} % of {:.0} events, {:.0} of them bad", proposal.total, proposal.bad)
}

/// A text as YAML.
pub(super) fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn proposal(total: f64, bad: f64) -> Proposal {
        let indicator = vec![("errors", quoted("e{code=~\"5..\"}")), ("total", quoted("it's"))];
        Proposal { service: "s".to_owned(), name: "n".to_owned(), indicator, total, bad, note: String::new() }
    }

    #[test]
    fn a_target_is_what_history_kept_and_traffic_carries() {
        let check = |total, bad, expected| assert_eq!(proposal(total, bad).target(), expected, "{total} {bad}");
        check(1e7, 0.0, Some(0.9999));
        check(1e7, 400.0, Some(0.9999));
        check(1e7, 600.0, Some(0.9995));
        check(1e7, 100_000.0, Some(0.98));
        check(1e7, 2e6, None);
        // Of a thousand events one in a hundred may be bad.
        check(1000.0, 0.0, Some(0.99));
        check(50.0, 0.0, None);
    }

    #[test]
    fn the_file_is_one_of_objectives() {
        let text = file(&[proposal(1e6, 10.0), proposal(10.0, 0.0)], Millis::days(30));
        let objectives = crate::config::parse_objectives("suggested.yml", &text.replace("it''s", "t")).unwrap();
        assert_eq!((objectives.len(), objectives[0].objective), (1, 0.9999));
        assert!(text.contains("# attained 99.99900 % of 1000000 events, 10 of them bad\n"), "{text}");
        assert!(text.contains("# Nothing fits s/n: attained 100.00 % of 10 events"), "{text}");
        let none = file(&[], Millis::days(30));
        assert!(crate::config::parse_objectives("suggested.yml", &none).unwrap().is_empty());
    }
}
