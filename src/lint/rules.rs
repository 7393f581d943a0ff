//! The lints that look at a rule as a whole.

use crate::model::{Labels, Millis, limits};
use crate::promql::{Expr, ExprKind, Function, ValueType, reaches};
use crate::rules::{AlertingRule, EvaluationMode, Mode, Rule, RuleGroup};

use super::bounds::{Foregone, bounds, foregone, metric_name};
use super::cost::selector_text;
use super::counters::counters;
use super::labels::names;
use super::{Facts, Finding, Lint};

/// Samples that one evaluation may read before it is called expensive: a tenth of what a query may hold.
const SAMPLES_EXPENSIVE: u64 = limits::QUERY_SAMPLES_MAX as u64 / 10;
/// A window that is long for a rule that is queried at each interval.
const WINDOW_LONG: Millis = Millis::days(1);
/// Evaluations of one subquery that are many.
const SUBQUERY_STEPS_MANY: i64 = 1000;

const RUNBOOKS: &[&str] = &["runbook_url", "runbook"];

/// What is likely wrong with the rule at a place of its group, which is evaluated in this mode.
pub fn lint(group: &RuleGroup, at: usize, mode: &Mode, facts: Option<&dyn Facts>) -> Vec<Finding> {
    let rule = &group.rules[at];
    let mut findings = Vec::new();
    if let Rule::Alerting(rule) = rule {
        people(group, rule, &mut findings);
        timing(group, rule, mode, &mut findings);
        templates(rule, &mut findings);
        if !has_condition(&rule.expr) {
            let message = "it fires for every element that there is: compare with a threshold".to_owned();
            findings.push(Finding { lint: Lint::NoCondition, message });
        }
    }
    duplicates(group, at, &mut findings);
    counters(rule.expr(), facts, &mut findings);
    comparisons(rule.expr(), &mut findings);
    cost(rule.expr(), mode, facts, &mut findings);
    if let Some(facts) = facts {
        stored(rule.expr(), facts, &mut findings);
    }
    findings
}

fn people(group: &RuleGroup, rule: &AlertingRule, findings: &mut Vec<Finding>) {
    let has = |pairs: &[(String, String)], names: &[&str]| pairs.iter().any(|(name, _)| names.contains(&name.as_str()));
    let group_has = Labels::OWNER_NAMES.iter().any(|name| !group.labels.get(name).is_empty());
    if !has(&rule.labels, &Labels::OWNER_NAMES) && !has(&rule.annotations, &Labels::OWNER_NAMES) && !group_has {
        let message = "nobody owns it: add a label team or owner".to_owned();
        findings.push(Finding { lint: Lint::MissingOwner, message });
    }
    if !has(&rule.annotations, RUNBOOKS) {
        let message = "nothing says what to do: add an annotation runbook_url".to_owned();
        findings.push(Finding { lint: Lint::MissingRunbook, message });
    }
}

fn timing(group: &RuleGroup, rule: &AlertingRule, mode: &Mode, findings: &mut Vec<Finding>) {
    let at_interval = group.mode == EvaluationMode::Interval || matches!(mode, Mode::Interval { .. });
    if at_interval && rule.hold > Millis::ZERO && rule.hold < group.interval {
        let (hold, interval) = (rule.hold, group.interval);
        let message = format!(
            "for is {hold}, and the rule is evaluated every {interval}: it fires one evaluation later, as for: {interval} would"
        );
        findings.push(Finding { lint: Lint::ForBelowInterval, message });
    }
}

/// The labels that templates name.
fn templates(rule: &AlertingRule, findings: &mut Vec<Finding>) {
    let kept = names(&rule.expr);
    for (kind, pairs) in [("label", &rule.labels), ("annotation", &rule.annotations)] {
        for (name, text) in pairs {
            for used in labels_used(text) {
                if !kept.may_have(used) {
                    let message = format!(
                        "the {kind} {name} names $labels.{used}, which the expression drops: keep it, by \"by\" or group_left, or leave it out"
                    );
                    findings.push(Finding { lint: Lint::LabelGone, message });
                }
            }
        }
    }
    findings.dedup();
}

/// The names behind `$labels.` in a template.
fn labels_used(text: &str) -> impl Iterator<Item = &str> {
    text.split("$labels.").skip(1).map(|rest| {
        let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(rest.len());
        &rest[..end]
    })
}

fn duplicates(group: &RuleGroup, at: usize, findings: &mut Vec<Finding>) {
    let labels = |rule: &Rule| match rule {
        Rule::Alerting(rule) => rule.labels.clone(),
        Rule::Recording(rule) => rule.labels.clone(),
    };
    let rule = &group.rules[at];
    let same = |other: &Rule| {
        other.name() == rule.name()
            && labels(other) == labels(rule)
            && other.expr().to_string() == rule.expr().to_string()
            && matches!(other, Rule::Alerting(_)) == matches!(rule, Rule::Alerting(_))
    };
    if group.rules[..at].iter().any(same) {
        let message = "a rule before it in its group has the same name, labels and expression: remove one".to_owned();
        findings.push(Finding { lint: Lint::DuplicateRule, message });
    }
}

fn comparisons(expr: &Expr, findings: &mut Vec<Finding>) {
    walk(expr, &mut |expr| {
        let ExprKind::Binary(binary) = &expr.kind else { return };
        if !binary.op.is_comparison() {
            return;
        }
        let (a, b) = (bounds(&binary.lhs), bounds(&binary.rhs));
        let range = |of: super::bounds::Bounds| format!("{} to {}", of.least, of.greatest);
        match foregone(binary.op, a, b) {
            Foregone::Never => findings.push(Finding {
                lint: Lint::NeverTrue,
                message: format!(
                    "{expr} can never be: what is on the left is {} and on the right {}",
                    range(a),
                    range(b)
                ),
            }),
            // Two numbers are compared on purpose, as in a rule that always fires.
            Foregone::Always if binary.lhs.value_type() == ValueType::Vector => findings.push(Finding {
                lint: Lint::AlwaysTrue,
                message: format!("{expr} is always so: what is on the left is {}", range(a)),
            }),
            _ => {}
        }
    });
}

fn has_condition(expr: &Expr) -> bool {
    let mut found = false;
    walk(expr, &mut |expr| {
        found |= match &expr.kind {
            ExprKind::Binary(binary) => binary.op.is_comparison() || binary.op.is_set(),
            ExprKind::Call { function, .. } => {
                matches!(function, Function::Absent | Function::AbsentOverTime | Function::Vector)
            }
            // What another rule or server has decided.
            ExprKind::Selector(selector) => metric_name(&selector.matchers).is_some_and(|name| name == "ALERTS"),
            _ => false,
        };
    });
    found
}

fn cost(expr: &Expr, mode: &Mode, facts: Option<&dyn Facts>, findings: &mut Vec<Finding>) {
    let mut add = |message: String| findings.push(Finding { lint: Lint::Expensive, message });
    for (matchers, back) in reaches(expr, limits::LOOKBACK) {
        let text = selector_text(matchers);
        if !matchers.iter().any(|matcher| !matcher.matches_all() && !matcher.is_negative() && !matcher.is_presence()) {
            add(format!("{text} looks at every series: name the metric"));
        }
        if matches!(mode, Mode::Interval { .. }) && back > WINDOW_LONG {
            add(format!("{text} reads {back} at every evaluation: record a shorter step of it by a rule"));
        }
        if let Some(samples) = facts.and_then(|facts| facts.samples(matchers, back)).filter(|n| *n > SAMPLES_EXPENSIVE)
        {
            add(format!("{text} over {back} are {samples} samples: record a sum of it by a rule"));
        }
    }
    walk(expr, &mut |expr| {
        if let ExprKind::Subquery { range, step, .. } = &expr.kind {
            let steps = range.0 / step.unwrap_or(Millis::minutes(1)).0.max(1);
            if steps > SUBQUERY_STEPS_MANY {
                add(format!("{expr} is evaluated {steps} times at every evaluation: take a longer step"));
            }
        }
    });
}

fn stored(expr: &Expr, facts: &dyn Facts, findings: &mut Vec<Finding>) {
    for matchers in expr.selectors() {
        if facts.series(&matchers) == Some(0) {
            let text = selector_text(&matchers);
            let message = format!("no series satisfies {text}: is it spelled as its exporter spells it, and scraped?");
            findings.push(Finding { lint: Lint::MatchesNothing, message });
        }
    }
    walk(expr, &mut |expr| {
        let ExprKind::Call { function, args } = &expr.kind else { return };
        if !matches!(
            function,
            Function::Rate | Function::Increase | Function::Irate | Function::Delta | Function::Deriv
        ) {
            return;
        }
        let Some(ExprKind::Range { selector, range }) = args.first().map(|arg| &arg.without_parens().kind) else {
            return;
        };
        if facts.most_samples(&selector.matchers, *range) == Some(1) {
            let message = format!(
                "{expr} needs two samples, and {range} hold one: let the window be four times as long as samples are apart"
            );
            findings.push(Finding { lint: Lint::WindowTooShort, message });
        }
    });
    findings.dedup();
}

fn walk(expr: &Expr, visit: &mut impl FnMut(&Expr)) {
    visit(expr);
    expr.children().into_iter().for_each(|inner| walk(inner, visit));
}
