//! Counters and gauges, each with functions that are not for them.

use crate::promql::{AggregateOp, BinaryOp, Expr, ExprKind, Function, Selector};

use super::bounds::metric_name;
use super::{Facts, Finding, Lint};

/// Whether a metric only rises.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Counter,
    Gauge,
    Unknown,
}

/// Ends of names that gauges have.
const GAUGE_ENDS: &[&str] =
    &["_ratio", "_percent", "_percentage", "_celsius", "_info", "_timestamp_seconds", "_usage_bytes", "_current"];

fn kind(selector: &Selector, facts: Option<&dyn Facts>) -> Kind {
    let Some(name) = metric_name(&selector.matchers) else { return Kind::Unknown };
    let told = facts.and_then(|facts| facts.metric_type(name));
    match told.as_deref() {
        Some("counter") => return Kind::Counter,
        Some("gauge") => return Kind::Gauge,
        Some("histogram" | "summary") if !name.ends_with("_total") => return Kind::Unknown,
        _ => {}
    }
    // What recording rules make has colons in its name, and is what its rule makes it.
    if name.contains(':') {
        Kind::Unknown
    } else if name.ends_with("_total") {
        Kind::Counter
    } else if name == "up" || GAUGE_ENDS.iter().any(|end| name.ends_with(end)) {
        Kind::Gauge
    } else {
        Kind::Unknown
    }
}

/// What becomes of an expression's values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Use {
    /// They are used as they are.
    Value,
    /// It is only asked whether they are there.
    Presence,
}

/// Looks at every selector of an expression.
pub(super) fn counters(expr: &Expr, facts: Option<&dyn Facts>, findings: &mut Vec<Finding>) {
    look(expr, Use::Value, facts, findings);
    findings.dedup();
}

fn look(expr: &Expr, asked: Use, facts: Option<&dyn Facts>, findings: &mut Vec<Finding>) {
    match &expr.kind {
        ExprKind::Selector(selector) => {
            if asked == Use::Value && kind(selector, facts) == Kind::Counter {
                let name = metric_name(&selector.matchers).unwrap_or_default();
                findings.push(Finding {
                    lint: Lint::CounterWithoutRate,
                    message: format!(
                        "{name} is a counter, and its value alone says little: take rate({name}[5m]) or increase({name}[1h])"
                    ),
                });
            }
        }
        ExprKind::Aggregate(aggregate) => {
            let presence = matches!(aggregate.op, AggregateOp::Count | AggregateOp::Group);
            look(&aggregate.expr, if presence { Use::Presence } else { asked }, facts, findings);
        }
        ExprKind::Binary(binary) => {
            let right = match binary.op {
                BinaryOp::And | BinaryOp::Unless => Use::Presence,
                _ => asked,
            };
            look(&binary.lhs, asked, facts, findings);
            look(&binary.rhs, right, facts, findings);
        }
        ExprKind::Call { function, args } => call(*function, args, asked, facts, findings),
        _ => expr.children().into_iter().for_each(|inner| look(inner, asked, facts, findings)),
    }
}

fn call(function: Function, args: &[Expr], asked: Use, facts: Option<&dyn Facts>, findings: &mut Vec<Finding>) {
    use Function as F;
    let of_counters = matches!(function, F::Rate | F::Increase | F::Irate | F::Resets);
    let of_presence = matches!(
        function,
        F::Absent
            | F::AbsentOverTime
            | F::PresentOverTime
            | F::CountOverTime
            | F::Timestamp
            | F::Changes
            | F::TsOfFirstOverTime
            | F::TsOfLastOverTime
            | F::StartTimestamp
    );
    for arg in args {
        match &arg.without_parens().kind {
            ExprKind::Range { selector, .. } => {
                let name = metric_name(&selector.matchers).unwrap_or_default();
                match kind(selector, facts) {
                    Kind::Gauge if of_counters => findings.push(Finding {
                        lint: Lint::RateOfGauge,
                        message: format!(
                            "{name} is a gauge, and {} takes each fall for a restart: take delta, deriv or avg_over_time",
                            function.name()
                        ),
                    }),
                    Kind::Counter if !of_counters && !of_presence && function != F::LastOverTime => {
                        findings.push(Finding {
                            lint: Lint::CounterWithoutRate,
                            message: format!(
                                "{name} is a counter, and {} goes wrong when it begins anew: take rate or increase",
                                function.name()
                            ),
                        });
                    }
                    _ => {}
                }
            }
            ExprKind::Subquery { expr, .. } if of_counters => {
                if let ExprKind::Aggregate(aggregate) = &expr.without_parens().kind
                    && aggregate.op == AggregateOp::Sum
                    && matches!(aggregate.expr.without_parens().kind, ExprKind::Selector(_))
                {
                    findings.push(Finding {
                        lint: Lint::RateOfSum,
                        message: format!(
                            "{} of a sum takes the restart of one counter for a fall of all: take the rate first, then the sum",
                            function.name()
                        ),
                    });
                } else if !matches!(expr.without_parens().kind, ExprKind::Selector(_)) {
                    look(expr, asked, facts, findings);
                }
            }
            _ => look(arg, if of_presence { Use::Presence } else { asked }, facts, findings),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::promql::parse;

    #[test]
    fn counters_and_gauges_are_told_apart() {
        let check = |text: &str, expected: &[Lint]| {
            let mut findings = Vec::new();
            counters(&parse(text).unwrap(), None, &mut findings);
            let found: Vec<Lint> = findings.iter().map(|finding| finding.lint).collect();
            assert_eq!(found, expected, "{text}");
        };
        check("rate(x_total[5m]) > 1", &[]);
        check("x_total > 1", &[Lint::CounterWithoutRate]);
        check("sum(x_total)", &[Lint::CounterWithoutRate]);
        check("count(x_total) > 3", &[]);
        check("absent(x_total)", &[]);
        check("y unless x_total", &[]);
        check("y and on (a) x_total", &[]);
        check("avg_over_time(x_total[5m])", &[Lint::CounterWithoutRate]);
        check("changes(x_total[5m]) > 0", &[]);
        check("rate(up[5m])", &[Lint::RateOfGauge]);
        check("increase(disk_used_ratio[5m])", &[Lint::RateOfGauge]);
        check("rate(sum(x_total)[5m:])", &[Lint::RateOfSum]);
        check("rate(x_total[5m:])", &[]);
        check("sum(rate(x_bucket[5m]))", &[]);
        check("job:x_total:sum > 5", &[]);
        check("delta(x[5m])", &[]);
    }
}
