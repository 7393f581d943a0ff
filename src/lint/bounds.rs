//! Between which bounds the value of an expression lies, whatever is stored.
//!
//! Invariants:
//! - Bounds are never too narrow for numbers; NaN is outside of all of them, as comparisons with it are false.

use crate::model::{Labels, MatchOp, Matcher};
use crate::promql::{Aggregate, AggregateOp, Binary, BinaryOp, Expr, ExprKind, Function, Selector};

/// The least and the greatest value.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Bounds {
    pub(super) least: f64,
    pub(super) greatest: f64,
}

const ANY: Bounds = Bounds { least: f64::NEG_INFINITY, greatest: f64::INFINITY };
const NOT_NEGATIVE: Bounds = Bounds { least: 0.0, greatest: f64::INFINITY };
const SHARE: Bounds = Bounds { least: 0.0, greatest: 1.0 };

/// Metrics that are 0 or 1 wherever they are found.
const FLAGS: &[&str] = &["up", "probe_success"];

/// What comparing says before anything is known but bounds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Foregone {
    Never,
    Always,
    Open,
}

/// Whether a comparison of values within bounds is decided.
pub(super) fn foregone(op: BinaryOp, a: Bounds, b: Bounds) -> Foregone {
    let (never, always) = match op {
        BinaryOp::Gt => (a.greatest <= b.least, a.least > b.greatest),
        BinaryOp::Ge => (a.greatest < b.least, a.least >= b.greatest),
        BinaryOp::Lt => (a.least >= b.greatest, a.greatest < b.least),
        BinaryOp::Le => (a.least > b.greatest, a.greatest <= b.least),
        BinaryOp::Eq => (a.least > b.greatest || a.greatest < b.least, false),
        _ => (false, false),
    };
    match (never, always) {
        (true, _) => Foregone::Never,
        (_, true) => Foregone::Always,
        _ => Foregone::Open,
    }
}

/// Between which bounds an expression's values lie.
pub(super) fn bounds(expr: &Expr) -> Bounds {
    match &expr.kind {
        ExprKind::Number(v) if !v.is_nan() => Bounds { least: *v, greatest: *v },
        ExprKind::Duration(d) => Bounds { least: d.as_seconds(), greatest: d.as_seconds() },
        ExprKind::Paren(inner) => bounds(inner),
        ExprKind::Unary { negative: true, expr } => negated(bounds(expr)),
        ExprKind::Unary { expr, .. } => bounds(expr),
        ExprKind::Selector(selector) => of_selector(selector),
        ExprKind::Binary(binary) => of_binary(binary),
        ExprKind::Aggregate(aggregate) => of_aggregate(aggregate),
        ExprKind::Call { function, args } => of_call(*function, args),
        _ => ANY,
    }
}

fn of_selector(selector: &Selector) -> Bounds {
    match metric_name(&selector.matchers) {
        Some(name) if FLAGS.contains(&name) => SHARE,
        Some(name) if ["_total", "_count", "_bucket"].iter().any(|end| name.ends_with(end)) => NOT_NEGATIVE,
        Some(name) if name.ends_with("_info") => Bounds { least: 1.0, greatest: 1.0 },
        _ => ANY,
    }
}

/// The name that a selector fixes.
pub(super) fn metric_name(matchers: &[Matcher]) -> Option<&str> {
    let fixed = |m: &&Matcher| m.name() == Labels::METRIC_NAME && m.op() == MatchOp::Equal;
    matchers.iter().find(fixed).map(Matcher::value)
}

fn of_binary(binary: &Binary) -> Bounds {
    let (a, b) = (bounds(&binary.lhs), bounds(&binary.rhs));
    if !binary.fill.is_none() {
        return ANY;
    }
    match binary.op {
        op if op.is_comparison() && binary.returns_bool => SHARE,
        op if op.is_comparison() => a,
        BinaryOp::And | BinaryOp::Unless => a,
        BinaryOp::Or => Bounds { least: a.least.min(b.least), greatest: a.greatest.max(b.greatest) },
        BinaryOp::Add => hull([a.least + b.least, a.greatest + b.greatest]),
        BinaryOp::Sub => hull([a.least - b.greatest, a.greatest - b.least]),
        BinaryOp::Mul => hull(products(a, b)),
        BinaryOp::Div if is_part(&binary.lhs, &binary.rhs) => SHARE,
        BinaryOp::Div if b.least == b.greatest && b.least != 0.0 => hull([a.least / b.least, a.greatest / b.least]),
        BinaryOp::Div if a.least >= 0.0 && b.least >= 0.0 => NOT_NEGATIVE,
        _ => ANY,
    }
}

fn products(a: Bounds, b: Bounds) -> [f64; 4] {
    // Nothing times without end is nothing here: a bound is a limit that is not reached.
    let product = |x: f64, y: f64| if x == 0.0 || y == 0.0 { 0.0 } else { x * y };
    [
        product(a.least, b.least),
        product(a.least, b.greatest),
        product(a.greatest, b.least),
        product(a.greatest, b.greatest),
    ]
}

fn hull<const N: usize>(values: [f64; N]) -> Bounds {
    if values.iter().any(|v| v.is_nan()) {
        return ANY;
    }
    let least = values.iter().copied().fold(f64::INFINITY, f64::min);
    Bounds { least, greatest: values.iter().copied().fold(f64::NEG_INFINITY, f64::max) }
}

fn negated(of: Bounds) -> Bounds {
    Bounds { least: -of.greatest, greatest: -of.least }
}

fn of_aggregate(aggregate: &Aggregate) -> Bounds {
    use AggregateOp as A;
    let inner = bounds(&aggregate.expr);
    match aggregate.op {
        // A group that has no series is not there.
        A::Count | A::CountValues => Bounds { least: 1.0, greatest: f64::INFINITY },
        A::Group => Bounds { least: 1.0, greatest: 1.0 },
        A::Avg | A::Min | A::Max | A::Topk | A::Bottomk | A::Limitk | A::LimitRatio => inner,
        A::Sum if inner.least >= 0.0 => Bounds { least: inner.least, greatest: f64::INFINITY },
        A::Sum if inner.greatest <= 0.0 => Bounds { least: f64::NEG_INFINITY, greatest: inner.greatest },
        A::Stddev | A::Stdvar => NOT_NEGATIVE,
        A::Sum | A::Quantile => ANY,
    }
}

fn of_call(function: Function, args: &[Expr]) -> Bounds {
    use Function as F;
    let window = || match args.first().map(|arg| &arg.without_parens().kind) {
        Some(ExprKind::Range { selector, .. }) => of_selector(selector),
        Some(ExprKind::Subquery { expr, .. }) => bounds(expr),
        _ => ANY,
    };
    let number = |at: usize| args.get(at).map_or(ANY, bounds);
    match function {
        F::Rate | F::Increase | F::Irate | F::Changes | F::Resets => NOT_NEGATIVE,
        F::CountOverTime => Bounds { least: 1.0, greatest: f64::INFINITY },
        F::Absent | F::AbsentOverTime | F::PresentOverTime => Bounds { least: 1.0, greatest: 1.0 },
        F::StddevOverTime | F::StdvarOverTime | F::MadOverTime | F::Abs | F::Sqrt | F::Exp => NOT_NEGATIVE,
        F::AvgOverTime | F::MinOverTime | F::MaxOverTime | F::LastOverTime | F::FirstOverTime => window(),
        F::Sort | F::SortDesc | F::SortByLabel | F::SortByLabelDesc | F::LabelReplace | F::LabelJoin | F::Scalar => {
            number(0)
        }
        F::Vector => number(0),
        F::ClampMin => Bounds { least: number(0).least.max(number(1).least), ..number(0) },
        F::ClampMax => Bounds { greatest: number(0).greatest.min(number(1).greatest), ..number(0) },
        F::Sgn => Bounds { least: -1.0, greatest: 1.0 },
        F::HistogramFraction => SHARE,
        F::Hour => Bounds { least: 0.0, greatest: 23.0 },
        F::Minute => Bounds { least: 0.0, greatest: 59.0 },
        F::DayOfWeek => Bounds { least: 0.0, greatest: 6.0 },
        F::DayOfMonth => Bounds { least: 1.0, greatest: 31.0 },
        F::Month => Bounds { least: 1.0, greatest: 12.0 },
        _ => ANY,
    }
}

/// Whether one expression counts a part of what the other counts: the same sums of the same rates of the same
/// metric, with further conditions. A quotient of such is a share.
fn is_part(part: &Expr, whole: &Expr) -> bool {
    match (&part.without_parens().kind, &whole.without_parens().kind) {
        (ExprKind::Aggregate(a), ExprKind::Aggregate(b)) => {
            a.op == AggregateOp::Sum
                && b.op == AggregateOp::Sum
                && a.grouping == b.grouping
                && is_part(&a.expr, &b.expr)
        }
        (ExprKind::Call { function: f, args: a }, ExprKind::Call { function: g, args: b }) => {
            f == g
                && matches!(f, Function::Rate | Function::Increase)
                && a.len() == 1
                && b.len() == 1
                && {
                    matches!((&a[0].kind, &b[0].kind), (ExprKind::Range { selector: p, range: x }, ExprKind::Range { selector: w, range: y })
                    if x == y && p.shift == w.shift && is_part_of_selector(p, w))
                }
        }
        _ => false,
    }
}

fn is_part_of_selector(part: &Selector, whole: &Selector) -> bool {
    metric_name(&part.matchers).is_some() && whole.matchers.iter().all(|matcher| part.matchers.contains(matcher))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::promql::parse;

    #[test]
    fn comparisons_are_decided_by_bounds() {
        let check = |text: &str, expected: Foregone| {
            let expr = parse(text).unwrap();
            let ExprKind::Binary(binary) = &expr.kind else { panic!("a comparison: {text}") };
            assert_eq!(foregone(binary.op, bounds(&binary.lhs), bounds(&binary.rhs)), expected, "{text}");
        };
        check("up > 1", Foregone::Never);
        check("up == 2", Foregone::Never);
        check("up == 1", Foregone::Open);
        check("up >= 0", Foregone::Always);
        check("count(up == 0) == 0", Foregone::Never);
        check("count(x) < 1", Foregone::Never);
        check("rate(x[5m]) < 0", Foregone::Never);
        check("rate(x[5m]) > 0", Foregone::Open);
        check("100 * avg(up) > 100", Foregone::Never);
        check("1 - avg(up) > 1", Foregone::Never);
        check("sum(up) > 5", Foregone::Open);
        check("x > 5", Foregone::Open);
        let ratio = |threshold: &str| {
            format!(
                "sum by (job) (rate(x_total{{code=~\"5..\"}}[5m])) / sum by (job) (rate(x_total[5m])) > {threshold}"
            )
        };
        check(&ratio("14.4 * 0.1"), Foregone::Never);
        check(&ratio("14.4 * 0.01"), Foregone::Open);
        check("sum(rate(a_total[5m])) / sum(rate(b_total[5m])) > 2", Foregone::Open);
        check("sum(rate(a_total[5m])) / sum(rate(a_total{x=\"1\"}[5m])) > 2", Foregone::Open);
        check("hour() > 23", Foregone::Never);
        check("absent(x) == 1", Foregone::Open);
        check("clamp_max(x, 3) > 3", Foregone::Never);
        check("(x > bool 2) > 1", Foregone::Never);
        check("x_total - y_total < 0", Foregone::Open);
    }
}
