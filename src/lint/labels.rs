//! Which labels the elements of an expression's value may have.

use std::collections::BTreeSet;

use crate::model::{Labels, MatchOp};
use crate::promql::{AggregateOp, Binary, BinaryOp, Expr, ExprKind, Function, Group, Grouping, MatchLabels};

/// A set of label names, or what it leaves out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Names {
    Only(BTreeSet<String>),
    AllBut(BTreeSet<String>),
}

impl Names {
    fn all() -> Names {
        Names::AllBut(BTreeSet::new())
    }

    fn none() -> Names {
        Names::Only(BTreeSet::new())
    }

    /// Whether an element may have a label of this name.
    pub(super) fn may_have(&self, name: &str) -> bool {
        match self {
            Names::Only(names) => names.contains(name),
            Names::AllBut(names) => !names.contains(name),
        }
    }

    fn with(mut self, name: &str) -> Names {
        match &mut self {
            Names::Only(names) => {
                names.insert(name.to_owned());
            }
            Names::AllBut(names) => {
                names.remove(name);
            }
        }
        self
    }

    fn without(mut self, name: &str) -> Names {
        match &mut self {
            Names::Only(names) => {
                names.remove(name);
            }
            Names::AllBut(names) => {
                names.insert(name.to_owned());
            }
        }
        self
    }

    fn keeping(self, kept: &[String]) -> Names {
        Names::Only(kept.iter().filter(|name| self.may_have(name)).cloned().collect())
    }

    /// Those that an element of one or of the other may have.
    fn or(self, other: Names) -> Names {
        match (self, other) {
            (Names::Only(a), Names::Only(b)) => Names::Only(a.union(&b).cloned().collect()),
            (Names::AllBut(a), Names::AllBut(b)) => Names::AllBut(a.intersection(&b).cloned().collect()),
            (Names::AllBut(left_out), Names::Only(names)) | (Names::Only(names), Names::AllBut(left_out)) => {
                Names::AllBut(left_out.difference(&names).cloned().collect())
            }
        }
    }
}

/// The names that labels of an expression's elements may have.
pub(super) fn names(expr: &Expr) -> Names {
    match &expr.kind {
        ExprKind::Selector(selector) | ExprKind::Range { selector, .. } => {
            // A label that must be empty is not there.
            let absent = selector.matchers.iter().filter(|m| m.op() == MatchOp::Equal && m.value().is_empty());
            absent.fold(Names::all(), |names, matcher| names.without(matcher.name()))
        }
        ExprKind::Paren(expr) | ExprKind::Unary { expr, .. } | ExprKind::Subquery { expr, .. } => names(expr),
        ExprKind::Number(_) | ExprKind::Duration(_) | ExprKind::String(_) => Names::none(),
        ExprKind::Aggregate(aggregate) => {
            let inner = names(&aggregate.expr);
            if matches!(
                aggregate.op,
                AggregateOp::Topk | AggregateOp::Bottomk | AggregateOp::Limitk | AggregateOp::LimitRatio
            ) {
                return inner;
            }
            let grouped = match &aggregate.grouping {
                Grouping::By(kept) => inner.keeping(kept),
                Grouping::Without(dropped) => dropped.iter().fold(inner, |names, name| names.without(name)),
            };
            match aggregate.param.as_ref().map(|param| &param.without_parens().kind) {
                Some(ExprKind::String(name)) => grouped.with(name),
                _ => grouped,
            }
        }
        ExprKind::Binary(binary) => of_binary(binary),
        ExprKind::Call { function, args } => of_call(*function, args),
    }
}

fn of_binary(binary: &Binary) -> Names {
    let (lhs, rhs) = (names(&binary.lhs), names(&binary.rhs));
    let is_vector = |expr: &Expr| expr.value_type() == crate::promql::ValueType::Vector;
    match (binary.op, is_vector(&binary.lhs), is_vector(&binary.rhs)) {
        (BinaryOp::And | BinaryOp::Unless, ..) => lhs,
        (BinaryOp::Or, ..) => lhs.or(rhs),
        (_, true, false) => lhs,
        (_, false, true) => rhs,
        (_, false, false) => Names::none(),
        (_, true, true) => match (&binary.matching.group, &binary.matching.labels) {
            (Group::OneToOne, MatchLabels::On(kept)) => lhs.or(rhs).keeping(kept),
            (Group::OneToOne, MatchLabels::Ignoring(dropped)) => {
                dropped.iter().fold(lhs, |names, name| names.without(name))
            }
            (Group::Left(include), _) => include.iter().fold(lhs, |names, name| names.with(name)),
            (Group::Right(include), _) => include.iter().fold(rhs, |names, name| names.with(name)),
        },
    }
}

fn of_call(function: Function, args: &[Expr]) -> Names {
    use Function as F;
    let text = |at: usize| match args.get(at).map(|arg| &arg.without_parens().kind) {
        Some(ExprKind::String(text)) => Some(text.as_str()),
        _ => None,
    };
    let inner = |at: usize| args.get(at).map_or_else(Names::none, names);
    match function {
        F::Absent | F::AbsentOverTime => match args.first().map(|arg| &arg.without_parens().kind) {
            Some(ExprKind::Selector(selector) | ExprKind::Range { selector, .. }) => {
                let fixed = selector.matchers.iter().filter(|m| m.op() == MatchOp::Equal);
                let names = fixed.map(|m| m.name().to_owned()).filter(|name| name != Labels::METRIC_NAME);
                Names::Only(names.collect())
            }
            _ => Names::none(),
        },
        F::LabelReplace | F::LabelJoin => text(1).map_or_else(Names::all, |name| inner(0).with(name)),
        F::HistogramQuantile => inner(1).without("le"),
        F::HistogramQuantiles => text(1).map_or_else(Names::all, |name| inner(0).without("le").with(name)),
        F::HistogramFraction => inner(2).without("le"),
        F::QuantileOverTime => inner(1),
        F::Info => Names::all(),
        F::Vector | F::Time | F::Scalar => Names::none(),
        _ if args.is_empty() => Names::none(),
        _ => inner(0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::promql::parse;

    #[test]
    fn what_drops_labels_is_known() {
        let check = |text: &str, kept: &[&str], gone: &[&str]| {
            let names = names(&parse(text).unwrap());
            for name in kept {
                assert!(names.may_have(name), "{text}: {name} is kept");
            }
            for name in gone {
                assert!(!names.may_have(name), "{text}: {name} is gone");
            }
        };
        check("x", &["a"], &[]);
        check("sum(x)", &[], &["a"]);
        check("sum by (a) (x) > 1", &["a"], &["b"]);
        check("sum without (a) (x)", &["b"], &["a"]);
        check("topk by (a) (3, x)", &["b"], &[]);
        check("count_values by (a) (\"v\", x)", &["a", "v"], &["b"]);
        check("x / on (a) y", &["a"], &["b"]);
        check("x / ignoring (a) y", &["b"], &["a"]);
        check("x * on (a) group_left (c) sum by (a, c) (y)", &["a", "b", "c"], &[]);
        check("sum by (a) (x) * on (a) group_right () y", &["b"], &[]);
        check("sum by (a) (x) or sum by (b) (x)", &["a", "b"], &["c"]);
        check("sum by (a) (x) and on (a) y", &["a"], &["b"]);
        check("absent(x{a=\"1\",b=~\"2\"})", &["a"], &["b", "__name__"]);
        check("label_replace(sum(x), \"d\", \"$1\", \"a\", \"(.*)\")", &["d"], &["a"]);
        check("histogram_quantile(0.9, sum by (le, a) (rate(x[5m])))", &["a"], &["le", "b"]);
        check("vector(1)", &[], &["a"]);
        check("x{a=\"\"}", &["b"], &["a"]);
        check("1 - sum by (a) (x)", &["a"], &["b"]);
    }
}
