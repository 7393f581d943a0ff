//! The text of a tree for people: long expressions over several lines, as Prometheus breaks them.
//!
//! Invariants:
//! - It reads back as the same tree.
//! - A node is broken only if its canonical text is longer than a line.

use std::fmt::from_fn;

use super::display::{write_aggregation, write_operator, write_subquery};
use crate::promql::ast::{Expr, ExprKind};

/// The most bytes that a node may have on one line.
const LINE_BYTES_MAX: usize = 100;

const INDENT: &str = "  ";

impl Expr {
    /// The expression as people read it: what is longer than a line of 100 is broken into several.
    pub fn pretty(&self) -> String {
        pretty(self, 0)
    }
}

fn pretty(expr: &Expr, level: usize) -> String {
    let indent = INDENT.repeat(level);
    match &expr.kind {
        ExprKind::Unary { negative, expr } => {
            let sign = if *negative { "-" } else { "+" };
            return format!("{indent}{sign}{}", pretty(expr, level).trim_start());
        }
        ExprKind::Number(_)
        | ExprKind::Duration(_)
        | ExprKind::String(_)
        | ExprKind::Selector(_)
        | ExprKind::Range { .. } => return format!("{indent}{expr}"),
        _ => {}
    }
    let line = expr.to_string();
    if line.len() <= LINE_BYTES_MAX {
        // Prometheus leaves a subquery that fits where the line begins.
        return if matches!(expr.kind, ExprKind::Subquery { .. }) { line } else { format!("{indent}{line}") };
    }
    let below = |expr: &Expr| pretty(expr, level + 1);
    match &expr.kind {
        ExprKind::Paren(inner) => format!("{indent}(\n{}\n{indent})", below(inner)),
        ExprKind::Subquery { expr: inner, .. } => {
            format!("{}{}", pretty(inner, level), from_fn(|f| write_subquery(f, expr)))
        }
        ExprKind::Binary(binary) => {
            let operator = from_fn(|f| write_operator(f, binary));
            format!("{}\n{indent}{operator}\n{}", below(&binary.lhs), below(&binary.rhs))
        }
        ExprKind::Aggregate(aggregate) => {
            let operator = from_fn(|f| write_aggregation(f, aggregate));
            format!("{indent}{operator}(\n{}\n{indent})", lines(expr.children(), level + 1))
        }
        ExprKind::Call { function, args } => {
            format!("{indent}{}(\n{}\n{indent})", function.name(), lines(args.iter().collect(), level + 1))
        }
        _ => format!("{indent}{line}"),
    }
}

/// One argument a line.
fn lines(args: Vec<&Expr>, level: usize) -> String {
    args.into_iter().map(|arg| pretty(arg, level)).collect::<Vec<_>>().join(",\n")
}
