//! The canonical text of a tree: it reads back as the same tree.

use std::fmt::{self, Display, Formatter};

use super::expression::is_plain_metric;
use super::number;
use super::text::quote;
use crate::model::{Labels, MatchOp, Matcher, Millis};
use crate::promql::ast::{
    Aggregate, At, Binary, Expr, ExprKind, Group, Grouping, MatchLabels, Matching, Selector, Shift,
};

impl Display for Expr {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match &self.kind {
            ExprKind::Number(value) => f.write_str(&number::print(*value)),
            ExprKind::String(text) => f.write_str(&quote(text)),
            ExprKind::Selector(selector) => write_selector(f, selector, None),
            ExprKind::Range { selector, range } => write_selector(f, selector, Some(*range)),
            ExprKind::Subquery { expr, range, step, shift } => {
                write!(f, "{expr}[{range}:")?;
                if let Some(step) = step {
                    write!(f, "{step}")?;
                }
                f.write_str("]")?;
                write_shift(f, shift)
            }
            ExprKind::Paren(expr) => write!(f, "({expr})"),
            ExprKind::Unary { negative, expr } => write!(f, "{}{expr}", if *negative { "-" } else { "+" }),
            ExprKind::Binary(binary) => write_binary(f, binary),
            ExprKind::Aggregate(aggregate) => write_aggregate(f, aggregate),
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

fn write_selector(f: &mut Formatter<'_>, selector: &Selector, range: Option<Millis>) -> fmt::Result {
    let mut matchers = selector.matchers.as_slice();
    let mut quoted = None;
    if let Some((first, rest)) = matchers.split_first()
        && first.name() == Labels::METRIC_NAME
        && first.op() == MatchOp::Equal
        // The short form may stand only where no other condition is on the name.
        && rest.iter().all(|matcher| matcher.name() != Labels::METRIC_NAME)
    {
        if is_plain_metric(first.value()) {
            f.write_str(first.value())?;
            matchers = rest;
        } else if !first.value().is_empty() {
            quoted = Some(quote(first.value()));
            matchers = rest;
        }
    }
    let plain = matchers.len() < selector.matchers.len() && quoted.is_none();
    if !(plain && matchers.is_empty()) {
        f.write_str("{")?;
        write_list(f, quoted.into_iter().chain(matchers.iter().map(matcher)))?;
        f.write_str("}")?;
    }
    if let Some(range) = range {
        write!(f, "[{range}]")?;
    }
    write_shift(f, &selector.shift)
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

fn write_shift(f: &mut Formatter<'_>, shift: &Shift) -> fmt::Result {
    match shift.at {
        Some(At::Start) => f.write_str(" @ start()")?,
        Some(At::End) => f.write_str(" @ end()")?,
        Some(At::Time(t)) => {
            let sign = if t.0 < 0 { "-" } else { "" };
            let ms = t.0.unsigned_abs();
            write!(f, " @ {sign}{}.{:03}", ms / 1000, ms % 1000)?;
        }
        None => {}
    }
    if shift.offset != Millis::ZERO {
        write!(f, " offset {}", shift.offset)?;
    }
    Ok(())
}

fn write_labels(f: &mut Formatter<'_>, labels: &[String]) -> fmt::Result {
    f.write_str("(")?;
    write_list(f, labels.iter().map(|name| label(name)))?;
    f.write_str(")")
}

fn write_binary(f: &mut Formatter<'_>, binary: &Binary) -> fmt::Result {
    let Binary { op, lhs, rhs, returns_bool, matching } = binary;
    write!(f, "{lhs} {}", op.as_str())?;
    if *returns_bool {
        f.write_str(" bool")?;
    }
    write_matching(f, matching)?;
    // A group without labels must not take the parentheses of the operand for its own.
    write!(f, " {rhs}")
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

fn write_aggregate(f: &mut Formatter<'_>, aggregate: &Aggregate) -> fmt::Result {
    f.write_str(aggregate.op.as_str())?;
    match &aggregate.grouping {
        Grouping::By(labels) if labels.is_empty() => {}
        Grouping::By(labels) => {
            f.write_str(" by ")?;
            write_labels(f, labels)?;
            f.write_str(" ")?;
        }
        Grouping::Without(labels) => {
            f.write_str(" without ")?;
            write_labels(f, labels)?;
            f.write_str(" ")?;
        }
    }
    f.write_str("(")?;
    write_list(f, aggregate.param.iter().chain([&aggregate.expr]))?;
    f.write_str(")")
}
