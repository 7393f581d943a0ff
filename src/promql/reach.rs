//! How far back of an evaluation an expression looks.

use super::ast::{Edges, Expr, ExprKind, Selector, Shift};
use crate::model::{Matcher, Millis};

/// Each selector of an expression, with how far back of the evaluation it looks. Selectors under an `@` of a
/// fixed time are left out: they look back to an instant, however long ago that is.
pub fn reaches(expr: &Expr, lookback: Millis) -> Vec<(&[Matcher], Millis)> {
    let mut found = Vec::new();
    collect(expr, lookback, Millis::ZERO, &mut found);
    found
}

fn add<'e>(selector: &'e Selector, length: Millis, further: Millis, found: &mut Vec<(&'e [Matcher], Millis)>) {
    if let Some(shift) = shift_of(&selector.shift) {
        found.push((&selector.matchers, further + shift + length));
    }
}

/// How far a shift goes back; nothing if it is to a fixed time.
fn shift_of(shift: &Shift) -> Option<Millis> {
    match shift.at {
        Some(super::ast::At::Time(_)) => None,
        _ => Some(shift.offset),
    }
}

fn collect<'e>(expr: &'e Expr, lookback: Millis, further: Millis, found: &mut Vec<(&'e [Matcher], Millis)>) {
    match &expr.kind {
        ExprKind::Number(_) | ExprKind::Duration(_) | ExprKind::String(_) => {}
        ExprKind::Selector(selector) => add(selector, lookback, further, found),
        ExprKind::Range { selector, range } => {
            // The value at the window's edge may come from before it.
            let before = if selector.edges == Edges::Plain { Millis::ZERO } else { lookback };
            add(selector, *range + before, further, found);
        }
        ExprKind::Subquery { expr, range, shift, .. } => {
            if let Some(shift) = shift_of(shift) {
                collect(expr, lookback, further + shift + *range, found);
            }
        }
        ExprKind::Paren(expr) | ExprKind::Unary { expr, .. } => collect(expr, lookback, further, found),
        ExprKind::Binary(binary) => {
            collect(&binary.lhs, lookback, further, found);
            collect(&binary.rhs, lookback, further, found);
        }
        ExprKind::Aggregate(aggregate) => {
            let parts = aggregate.param.iter().chain([&aggregate.expr]);
            parts.for_each(|expr| collect(expr, lookback, further, found));
        }
        ExprKind::Call { args, .. } => args.iter().for_each(|arg| collect(arg, lookback, further, found)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::promql::parse;

    #[test]
    fn each_selector_says_how_far_back_it_looks() {
        let check = |text: &str, expected: &[i64]| {
            let expr = parse(text).unwrap();
            let found: Vec<i64> = reaches(&expr, Millis::minutes(5)).iter().map(|(_, back)| back.0 / 60_000).collect();
            assert_eq!(found, expected, "{text}");
        };
        check("1", &[]);
        check("x", &[5]);
        check("x offset 1h", &[65]);
        check("rate(x[10m]) / -y", &[10, 5]);
        check("sum(increase(x[1d] offset 1h))", &[1500]);
        check("max_over_time(rate(x[1m])[1h:1m] offset 1m)", &[62]);
        check("x @ 100 + (x @ end())", &[5]);
        check("topk(scalar(x offset -1m), sum_over_time(y[1h:]))", &[4, 65]);
    }
}
