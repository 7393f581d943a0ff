//! Whether rules find every sample that they look back to.

use crate::model::{DownsampleRule, MatchOp, Matcher, limits};
use crate::promql::reaches;

use super::rule::{Rule, RuleGroup};

/// Checks that no rule looks back to samples that are downsampled: it would decide by one sample of many.
///
/// # Errors
/// The first rule that does, with what to do.
pub fn check_history(groups: &[RuleGroup], downsample: &[DownsampleRule]) -> Result<(), String> {
    for group in groups {
        for rule in &group.rules {
            let (name, expr) = match rule {
                Rule::Alerting(rule) => (&rule.alert, &rule.expr),
                Rule::Recording(rule) => (&rule.record, &rule.expr),
            };
            for (matchers, back) in reaches(expr, limits::LOOKBACK) {
                let back = back + group.query_offset;
                let taken = |by: &&DownsampleRule| by.after < back && may_share(matchers, &by.matchers);
                if let Some(by) = downsample.iter().find(taken) {
                    return Err(format!(
                        "rule {name} of group {} looks back {back}, but samples are downsampled after {}: let that begin later, leave its series out by match, or let the rule look less far",
                        group.name, by.after
                    ));
                }
            }
        }
    }
    Ok(())
}

/// Whether some series may satisfy both; only what one fixes and the other rules out says no.
fn may_share(a: &[Matcher], b: &[Matcher]) -> bool {
    let apart = |fixed: &Matcher, others: &[Matcher]| {
        let of_the_same = others.iter().filter(|other| other.name() == fixed.name());
        fixed.op() == MatchOp::Equal && of_the_same.into_iter().any(|other| !other.matches(fixed.value()))
    };
    !a.iter().any(|fixed| apart(fixed, b)) && !b.iter().any(|fixed| apart(fixed, a))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Labels, Millis};
    use crate::promql::{parse, parse_selector};
    use crate::rules::{EvaluationMode, RecordingRule};

    #[test]
    fn rules_must_not_look_back_to_downsampled_samples() {
        let check = |expr: &str, after: i64, selector: &str, fits: bool| {
            let rule = RecordingRule { record: "r".into(), expr: parse(expr).unwrap(), labels: Vec::new() };
            let group = RuleGroup {
                name: "g".into(),
                file: "f".into(),
                interval: Millis::minutes(1),
                mode: EvaluationMode::Ingest,
                limit: 0,
                query_offset: Millis::minutes(1),
                labels: Labels::empty(),
                rules: vec![Rule::Recording(rule)],
            };
            let matchers = if selector.is_empty() { Vec::new() } else { parse_selector(selector).unwrap() };
            let by = DownsampleRule { matchers, after: Millis::minutes(after), resolution: Millis::minutes(1) };
            let found = check_history(&[group], &[by]);
            assert_eq!(found.is_ok(), fits, "{expr} {selector}: {found:?}");
        };
        check("rate(x[1h])", 60, "", false);
        check("rate(x[1h])", 61, "", true);
        check("x", 5, "", false);
        check("rate(x{job=\"a\"}[1h])", 60, "{job!=\"a\",job!=\"\"}", true);
        check("rate(x{job=\"a\"}[1h])", 60, "{job=~\"a|b\"}", false);
        check("rate(x{job=~\"b.*\"}[1h])", 60, "{job=\"a\"}", true);
        check("rate(x{job=~\"b.*\"}[1h])", 60, "{job=~\"a.*\"}", false);
        check("rate(x[1h])", 60, "y", true);
    }
}
