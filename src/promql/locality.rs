//! Whether the value of an expression at an instant follows from the samples around it alone, and how far around:
//! then a value that was computed for one range of steps is that of any other.

use super::ast::{AggregateOp, Edges, Expr, ExprKind, Selector, Shift};
use super::durations::depends_on_query;
use super::functions::Function;
use crate::model::{Matcher, Millis};

/// Which samples decide the value of an expression at `t`: those of some selectors after `t - back` and up to
/// `t + ahead`, and nothing else.
#[derive(Debug, Clone, PartialEq)]
pub struct Locality<'e> {
    /// How far back of an instant it looks, the earliest of all selectors.
    pub back: Millis,
    /// How far beyond it; never less than nothing.
    pub ahead: Millis,
    /// The selectors.
    pub selectors: Vec<&'e [Matcher]>,
}

/// The locality of an expression, if it has one. Without any are: `@`, since what it sees is the same at
/// each step however far away; what depends on the range of the query (`start()`, `end()`, `step()`, `range()`,
/// durations made of them); `info`, whose second selector is not written; and `limitk`, which takes whatever series
/// come first.
pub fn locality(expr: &Expr, lookback: Millis) -> Option<Locality<'_>> {
    if depends_on_query(expr) {
        return None;
    }
    let mut found = Locality { back: Millis::ZERO, ahead: Millis::ZERO, selectors: Vec::new() };
    collect(expr, lookback, (Millis::ZERO, Millis::ZERO), &mut found).then_some(found)
}

/// Adds what an expression looks at that is evaluated between `back` before and `ahead` after each step; whether
/// that can be said.
fn collect<'e>(expr: &'e Expr, lookback: Millis, (back, ahead): (Millis, Millis), found: &mut Locality<'e>) -> bool {
    let mut look = |selector: &'e Selector, length: Millis| {
        let Some(offset) = offset_of(&selector.shift) else { return false };
        let before = if selector.edges == Edges::Plain { Millis::ZERO } else { lookback };
        let after = if selector.edges == Edges::Smoothed { lookback } else { Millis::ZERO };
        found.back = found.back.max(back + offset + length + before);
        found.ahead = found.ahead.max(ahead - offset + after);
        found.selectors.push(&selector.matchers);
        true
    };
    match &expr.kind {
        ExprKind::Selector(selector) => look(selector, lookback),
        ExprKind::Range { selector, range } => look(selector, *range),
        ExprKind::Subquery { expr, range, shift, .. } => match offset_of(shift) {
            Some(offset) => collect(expr, lookback, (back + offset + *range, ahead - offset), found),
            None => false,
        },
        ExprKind::Call { function: Function::Info, .. } => false,
        ExprKind::Aggregate(aggregate) if aggregate.op == AggregateOp::Limitk => false,
        _ => expr.children().into_iter().all(|child| collect(child, lookback, (back, ahead), found)),
    }
}

fn offset_of(shift: &Shift) -> Option<Millis> {
    shift.at.is_none().then_some(shift.offset)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::promql::parse;

    #[test]
    fn each_expression_says_how_far_it_looks() {
        let check = |text: &str, expected: Option<(i64, i64)>| {
            let expr = parse(text).unwrap();
            let found =
                locality(&expr, Millis::minutes(5)).map(|local| (local.back.0 / 60_000, local.ahead.0 / 60_000));
            assert_eq!(found, expected, "{text}");
        };
        check("1", Some((0, 0)));
        check("time()", Some((0, 0)));
        check("x", Some((5, 0)));
        check("x offset 1h", Some((65, 0)));
        check("x offset -1h", Some((0, 60)));
        check("rate(x[10m]) / -y", Some((10, 0)));
        check("rate(x[10m] anchored)", Some((15, 0)));
        check("rate(x[10m] smoothed)", Some((15, 5)));
        check("max_over_time(rate(x[1m])[1h:1m] offset 1m)", Some((62, 0)));
        check("max_over_time(rate(x[1m] offset -2h)[1h:1m])", Some((0, 120)));
        check("topk(scalar(x offset -1m), sum_over_time(y[1h:]))", Some((65, 1)));
        for text in ["x @ 100", "x + (x @ end())", "sum_over_time(x[1h:] @ start())", "x + start()"] {
            check(text, None);
        }
        for text in ["rate(x[range()])", "rate(x[5m] offset step())", "info(x)", "limitk(2, x)", "sum(limitk(1, x))"] {
            check(text, None);
        }
    }

    #[test]
    fn every_selector_is_named() {
        let expr = parse("sum(rate(x[1m])) / scalar(absent(y)) or {job=\"z\"}").unwrap();
        assert_eq!(locality(&expr, Millis::minutes(5)).unwrap().selectors.len(), 3);
    }
}
