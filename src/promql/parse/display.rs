//! The canonical text of a tree, the one that Prometheus writes: it reads back as the same tree.

use std::fmt::{self, Display, Formatter};

use super::number;
use super::text::quote;
use crate::model::{MatchOp, Matcher, Millis};
use crate::promql::ast::{
    Aggregate, At, Binary, BinaryOp, DurationExpr, Edges, Expr, ExprKind, Fill, Group, Grouping, MatchLabels, Matching,
    Selector, Shift,
};

impl Display for Expr {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match &self.kind {
            ExprKind::Number(value) => f.write_str(&number::print(*value)),
            ExprKind::Duration(duration) => write!(f, "{duration}"),
            ExprKind::String(text) => f.write_str(&quote(text)),
            ExprKind::Selector(selector) => {
                write_series(f, selector)?;
                write_at(f, &selector.shift)?;
                write_edges(f, selector.edges)?;
                write_offset(f, &selector.shift, selector.computed.as_ref().and_then(|c| c.offset.as_ref()))
            }
            ExprKind::Range { selector, range } => {
                let computed = selector.computed.as_deref();
                write_series(f, selector)?;
                write!(f, "[{}]", length(*range, computed.and_then(|c| c.range.as_ref())))?;
                write_edges(f, selector.edges)?;
                write_at(f, &selector.shift)?;
                write_offset(f, &selector.shift, computed.and_then(|c| c.offset.as_ref()))
            }
            ExprKind::Subquery { expr, .. } => {
                write!(f, "{expr}")?;
                write_subquery(f, self)
            }
            ExprKind::Paren(expr) => write!(f, "({expr})"),
            ExprKind::Unary { negative, expr } => write!(f, "{}{expr}", if *negative { "-" } else { "+" }),
            ExprKind::Binary(binary) => {
                match binary.lhs.kind {
                    // A sign would take the whole power for its operand.
                    ExprKind::Number(f64::INFINITY) if binary.op == BinaryOp::Pow => f.write_str("Inf ")?,
                    _ => write!(f, "{} ", binary.lhs)?,
                }
                write_operator(f, binary)?;
                // A group without labels must not take the parentheses of the operand for its own.
                write!(f, " {}", binary.rhs)
            }
            ExprKind::Aggregate(aggregate) => {
                write_aggregation(f, aggregate)?;
                f.write_str("(")?;
                write_list(f, aggregate.param.iter().chain([&aggregate.expr]))?;
                f.write_str(")")
            }
            ExprKind::Call { function, args } => {
                write!(f, "{}(", function.name())?;
                write_list(f, args.iter())?;
                f.write_str(")")
            }
        }
    }
}

fn write_list<T: Display>(f: &mut Formatter<'_>, items: impl Iterator<Item = T>) -> fmt::Result {
    for (at, item) in items.enumerate() {
        if at > 0 {
            f.write_str(", ")?;
        }
        write!(f, "{item}")?;
    }
    Ok(())
}

fn write_series(f: &mut Formatter<'_>, selector: &Selector) -> fmt::Result {
    let mut matchers = selector.matchers.as_slice();
    if let (Some(name), Some((_, rest))) = (&selector.name, matchers.split_first()) {
        f.write_str(name)?;
        matchers = rest;
        if matchers.is_empty() {
            return Ok(());
        }
    }
    let mut texts: Vec<String> = matchers.iter().map(matcher).collect();
    texts.sort_unstable();
    write!(f, "{{{}}}", texts.join(","))
}

fn matcher(matcher: &Matcher) -> String {
    let op = match matcher.op() {
        MatchOp::Equal => "=",
        MatchOp::NotEqual => "!=",
        MatchOp::Match => "=~",
        MatchOp::NotMatch => "!~",
    };
    format!("{}{op}{}", label(matcher.name()), quote(matcher.value()))
}

fn label(name: &str) -> String {
    let mut chars = name.chars();
    let plain = chars.next().is_some_and(|c| c.is_ascii_alphabetic() || c == '_')
        && chars.all(|c| c.is_ascii_alphanumeric() || c == '_');
    if plain { name.to_owned() } else { quote(name) }
}

fn write_edges(f: &mut Formatter<'_>, edges: Edges) -> fmt::Result {
    if edges == Edges::Plain { Ok(()) } else { write!(f, " {}", edges.as_str()) }
}

fn write_at(f: &mut Formatter<'_>, shift: &Shift) -> fmt::Result {
    match shift.at {
        Some(At::Start) => f.write_str(" @ start()"),
        Some(At::End) => f.write_str(" @ end()"),
        Some(At::Time(t)) => {
            let sign = if t.0 < 0 { "-" } else { "" };
            let ms = t.0.unsigned_abs();
            write!(f, " @ {sign}{}.{:03}", ms / 1000, ms % 1000)
        }
        None => Ok(()),
    }
}

fn write_offset(f: &mut Formatter<'_>, shift: &Shift, written: Option<&DurationExpr>) -> fmt::Result {
    match written {
        None if shift.offset == Millis::ZERO => Ok(()),
        written => write!(f, " offset {}", length(shift.offset, written)),
    }
}

/// A duration as it was written.
fn length(millis: Millis, written: Option<&DurationExpr>) -> String {
    written.map_or_else(|| millis.to_string(), DurationExpr::to_string)
}

impl Display for DurationExpr {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            DurationExpr::Seconds(seconds) => f.write_str(&number::print(*seconds)),
            DurationExpr::Literal(millis) => write!(f, "{millis}"),
            DurationExpr::Step => f.write_str("step()"),
            DurationExpr::Range => f.write_str("range()"),
            DurationExpr::Min(a, b) => write!(f, "min_of({a}, {b})"),
            DurationExpr::Max(a, b) => write!(f, "max_of({a}, {b})"),
            DurationExpr::Negated(one) => write!(f, "-{one}"),
            DurationExpr::Binary(op, a, b) => write!(f, "{a} {} {b}", op.as_str()),
            DurationExpr::Paren(one) => write!(f, "({one})"),
        }
    }
}

/// The brackets of a subquery and what stands behind them.
pub(super) fn write_subquery(f: &mut Formatter<'_>, expr: &Expr) -> fmt::Result {
    let ExprKind::Subquery { range, step, shift, computed, .. } = &expr.kind else { return Ok(()) };
    let computed = computed.as_deref();
    write!(f, "[{}:", length(*range, computed.and_then(|c| c.range.as_ref())))?;
    if let Some(step) = step {
        f.write_str(&length(*step, computed.and_then(|c| c.step.as_ref())))?;
    }
    f.write_str("]")?;
    write_at(f, shift)?;
    write_offset(f, shift, computed.and_then(|c| c.offset.as_ref()))
}

fn write_labels(f: &mut Formatter<'_>, labels: &[String]) -> fmt::Result {
    f.write_str("(")?;
    write_list(f, labels.iter().map(|name| label(name)))?;
    f.write_str(")")
}

/// The operator with its modifiers.
pub(super) fn write_operator(f: &mut Formatter<'_>, binary: &Binary) -> fmt::Result {
    f.write_str(binary.op.as_str())?;
    if binary.returns_bool {
        f.write_str(" bool")?;
    }
    write_matching(f, &binary.matching)?;
    write_fill(f, &binary.fill)
}

fn write_matching(f: &mut Formatter<'_>, matching: &Matching) -> fmt::Result {
    match &matching.labels {
        MatchLabels::Ignoring(labels) if labels.is_empty() && matching.group == Group::OneToOne => return Ok(()),
        MatchLabels::On(labels) => {
            f.write_str(" on ")?;
            write_labels(f, labels)?;
        }
        MatchLabels::Ignoring(labels) => {
            f.write_str(" ignoring ")?;
            write_labels(f, labels)?;
        }
    }
    match &matching.group {
        Group::OneToOne => Ok(()),
        Group::Left(include) => {
            f.write_str(" group_left ")?;
            write_labels(f, include)
        }
        Group::Right(include) => {
            f.write_str(" group_right ")?;
            write_labels(f, include)
        }
    }
}

fn write_fill(f: &mut Formatter<'_>, fill: &Fill) -> fmt::Result {
    if let (Some(left), Some(right)) = (fill.left, fill.right)
        && left.to_bits() == right.to_bits()
    {
        return write!(f, " fill ({})", number::print(left));
    }
    for (name, value) in [("fill_left", fill.left), ("fill_right", fill.right)] {
        if let Some(value) = value {
            write!(f, " {name} ({})", number::print(value))?;
        }
    }
    Ok(())
}

/// The operator of an aggregation with its grouping.
pub(super) fn write_aggregation(f: &mut Formatter<'_>, aggregate: &Aggregate) -> fmt::Result {
    f.write_str(aggregate.op.as_str())?;
    let (word, labels) = match &aggregate.grouping {
        Grouping::By(labels) if labels.is_empty() => return Ok(()),
        Grouping::By(labels) => ("by", labels),
        Grouping::Without(labels) => ("without", labels),
    };
    write!(f, " {word} ")?;
    write_labels(f, labels)?;
    f.write_str(" ")
}
