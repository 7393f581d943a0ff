//! Expressions of other programs as sums of counters.
//!
//! Objectives are counted sample by sample, so of `sum(rate(requests_total{code="500"}[5m]))` only the selector is
//! needed: which window is looked at follows from the burn pairs. Accepted is what comes to a sum of counters:
//!
//! | Written | Read as |
//! | --- | --- |
//! | `a`, `rate(a[5m])`, `increase(a[5m])`, `irate(a[5m])`, `label_replace(rate(a[5m]), …)` | the counters that `a` selects |
//! | `sum(X)`, `sum(sum by (job) (X))` | X |
//! | `X + Y`, `X - Y` | both |
//! | `X or vector(0)`, `X or on() vector(0)`, `X or Y * 0` | X: nothing is counted as nothing |
//! | `X > 0`, `X >= 0`, `clamp_min(X, 1)` | X: without events there is no ratio anyhow |
//! | `histogram_count(sum(rate(h[5m])))`, with `histogram_fraction(0, b, …)` before it | observations, and those up to b |
//!
//! Where a ratio is asked for it may be a quotient of two sums, one less such a quotient, `histogram_fraction(0, b, …)`, or
//! a ratio that is stored: `m`, `avg_over_time(m[5m])`, of which each sample counts alike.
//!
//! What is more is refused, with the place and with what to write instead.

use crate::config::error::ConfigError;
use crate::config::rule_file::query_error;
use crate::config::section::Field;
use crate::model::{MatchOp, Matcher};
use crate::promql::{self, AggregateOp, BinaryOp, Edges, Expr, ExprKind, Function, Grouping, Selector, Shift};
use crate::slo::{Comparison, Events, Indicator, Reading};

/// Stands for the window's place in templates.
const ANY_WINDOW: &str = "5m";

/// What can be counted, in words.
const COUNTABLE: &str = "a counter like requests_total{job=\"shop\"}, a sum(rate(counter[5m])), or sums and differences \
                         of these";

/// Reads a field's expression as a sum of counters.
pub(super) fn events(field: &Field<'_>) -> Result<Events, ConfigError> {
    let (text, expr) = parse(field)?;
    sum(&expr).ok_or_else(|| refused(field, (&text, &expr), COUNTABLE))
}

/// Reads a field's expression as a share of bad events: a quotient of two sums of counters.
pub(super) fn error_ratio(field: &Field<'_>) -> Result<Indicator, ConfigError> {
    let (text, expr) = parse(field)?;
    quotient(&expr)
        .map(|(errors, total)| Indicator::ErrorRatio { errors, total })
        .or_else(|| complement(&expr).map(|(good, total)| Indicator::Ratio { good, total }))
        .or_else(|| fraction(complemented(&expr)?).map(|(good, total)| Indicator::Ratio { good, total }))
        .or_else(|| averaged(&expr).map(|(errors, total)| Indicator::ErrorRatio { errors, total }))
        .ok_or_else(|| refused(field, (&text, &expr), "errors / total or 1 - good / total, each a sum of counters"))
}

/// Reads a field's expression as a share of good events.
pub(super) fn good_ratio(field: &Field<'_>) -> Result<Indicator, ConfigError> {
    let (text, expr) = parse(field)?;
    quotient(&expr)
        .map(|(good, total)| Indicator::Ratio { good, total })
        .or_else(|| fraction(&expr).map(|(good, total)| Indicator::Ratio { good, total }))
        .or_else(|| averaged(&expr).map(|(good, total)| Indicator::Ratio { good, total }))
        .or_else(|| complement(&expr).map(|(errors, total)| Indicator::ErrorRatio { errors, total }))
        .ok_or_else(|| refused(field, (&text, &expr), "good / total or 1 - errors / total, each a sum of counters"))
}

/// Reads a field's expression as a gauge whose samples are compared with a number: `up{job="shop"} == 1`.
pub(super) fn threshold(field: &Field<'_>) -> Result<Indicator, ConfigError> {
    let (_, expr) = parse(field)?;
    let fail = || {
        let like = "takes a selector, a comparison and a number, like up{job=\"shop\"} == 1";
        field.error(format!("\"{}\" {like}", field.key))
    };
    let ExprKind::Binary(binary) = &expr.without_parens().kind else { return Err(fail()) };
    let op = comparison(binary.op).ok_or_else(fail)?;
    // `30 > age` says the same as `age < 30`.
    let (gauge, op, bound) = match number(&binary.lhs) {
        Some(bound) => (&binary.rhs, turned(op), bound),
        None => (&binary.lhs, op, number(&binary.rhs).ok_or_else(fail)?),
    };
    let bare = bare_selector(gauge);
    let gauge = bare.ok_or_else(|| match hint(gauge) {
        Some(hint) => field
            .error(format!("\"{}\" takes a selector and a number, like up{{job=\"shop\"}} == 1; {hint}", field.key)),
        None => fail(),
    })?;
    Ok(Indicator::Threshold { gauge, op, bound })
}

/// The comparison with its sides changed.
fn turned(op: Comparison) -> Comparison {
    match op {
        Comparison::Less => Comparison::Greater,
        Comparison::LessEqual => Comparison::GreaterEqual,
        Comparison::Greater => Comparison::Less,
        Comparison::GreaterEqual => Comparison::LessEqual,
        same @ (Comparison::Equal | Comparison::NotEqual) => same,
    }
}

/// Reads a field's expression as a selector.
pub(super) fn selector(field: &Field<'_>) -> Result<Vec<Matcher>, ConfigError> {
    let (_, expr) = parse(field)?;
    bare_selector(&expr).ok_or_else(|| {
        let like = "takes a selector like requests_total{job=\"shop\"}, without functions, ranges and offsets";
        field.error(format!("\"{}\" {like}", field.key))
    })
}

fn parse(field: &Field<'_>) -> Result<(String, Expr), ConfigError> {
    let written = field.word()?;
    // As Sloth writes a window that it fills in; spaces within the braces mean nothing.
    let mut text = String::with_capacity(written.len());
    let mut rest = written.as_str();
    while let Some((before, after)) = rest.split_once("{{") {
        let Some((name, after)) = after.split_once("}}") else { break };
        if name.trim() != ".window" {
            return Err(
                field.error(format!("the template {{{{{name}}}}} is unknown; only {{{{.window}}}} is filled in"))
            );
        }
        text.push_str(before);
        text.push_str(ANY_WINDOW);
        rest = after;
    }
    text.push_str(rest);
    let expr = promql::parse(&text).map_err(|error| match text == written {
        true => query_error(field, &text, &error),
        false => field.error(error.to_string()),
    })?;
    Ok((text, expr))
}

fn refused(field: &Field<'_>, (text, expr): (&str, &Expr), takes: &str) -> ConfigError {
    let hint = hint(expr).map_or(String::new(), |hint| format!(": {hint}"));
    let text = one_line(text);
    field.error(format!("\"{}\" takes {takes}; \"{text}\" is not counted sample by sample{hint}", field.key))
}

/// What to write in place of an expression that cannot be counted, by the first thing in it that cannot.
fn hint(expr: &Expr) -> Option<String> {
    let expr = expr.without_parens();
    match &expr.kind {
        ExprKind::Aggregate(aggregate) if !ungrouped(&aggregate.grouping) => {
            let by = match &aggregate.grouping {
                Grouping::By(labels) => labels.join(", "),
                Grouping::Without(_) => "…".to_owned(),
            };
            Some(format!("for a budget for each group write group_by: [{by}] in a file of our own form, and sum without groups here"))
        }
        ExprKind::Aggregate(aggregate) if aggregate.op != AggregateOp::Sum => {
            Some(format!("{} of counters is no count; write sum", aggregate.op.as_str()))
        }
        ExprKind::Aggregate(aggregate) => hint(&aggregate.expr),
        ExprKind::Call { function: Function::HistogramQuantile, .. } => Some(
            "a quantile cannot be added up; promise a share of requests within a time: latency: {histogram: …, within: 300ms}"
                .to_owned(),
        ),
        ExprKind::Call { function, args } => match function {
            Function::AvgOverTime | Function::MinOverTime | Function::MaxOverTime | Function::SumOverTime => {
                Some("of a gauge write its bound, like gauge: up == 1, and slices: {width: 1m} to judge minutes".to_owned())
            }
            _ => args.iter().find_map(hint),
        },
        ExprKind::Selector(selector) | ExprKind::Range { selector, .. } if selector.shift != Shift::default() => {
            Some("leave offset and @ away: each sample counts at its own time".to_owned())
        }
        ExprKind::Binary(binary) if matches!(binary.op, BinaryOp::Mul | BinaryOp::Div) => {
            let scaled = number(&binary.lhs).or_else(|| number(&binary.rhs)).is_some();
            let scaled = scaled.then(|| "leave factors away: only the ratio of both counts matters".to_owned());
            scaled.or_else(|| hint(&binary.lhs)).or_else(|| hint(&binary.rhs))
        }
        ExprKind::Binary(binary) => hint(&binary.lhs).or_else(|| hint(&binary.rhs)),
        _ => None,
    }
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn quotient(expr: &Expr) -> Option<(Events, Events)> {
    match &expr.without_parens().kind {
        ExprKind::Binary(binary) if binary.op == BinaryOp::Div => Some((sum(&binary.lhs)?, sum(&binary.rhs)?)),
        _ => None,
    }
}

fn complement(expr: &Expr) -> Option<(Events, Events)> {
    quotient(complemented(expr)?)
}

/// X of `1 - X`.
fn complemented(expr: &Expr) -> Option<&Expr> {
    match &expr.without_parens().kind {
        ExprKind::Binary(binary) if binary.op == BinaryOp::Sub && number(&binary.lhs) == Some(1.0) => Some(&binary.rhs),
        _ => None,
    }
}

/// A ratio that somebody else has computed, `m`, `avg_over_time(m[5m])` or `avg(m)`: the sum of its samples and their
/// number, so that their quotient is its average.
fn averaged(expr: &Expr) -> Option<(Events, Events)> {
    let expr = expr.without_parens();
    let series = match &expr.kind {
        ExprKind::Selector(_) => bare_selector(expr)?,
        ExprKind::Call { function: Function::AvgOverTime, args } => counters(args.first()?)?,
        ExprKind::Aggregate(aggregate) if aggregate.op == AggregateOp::Avg && ungrouped(&aggregate.grouping) => {
            return averaged(&aggregate.expr);
        }
        _ => return None,
    };
    Some((Events::read(series.clone(), Reading::Each), Events::read(series, Reading::One)))
}

/// `histogram_fraction(0, bound, sum(rate(h[5m])))`: the observations up to a bound, and all.
fn fraction(expr: &Expr) -> Option<(Events, Events)> {
    let (series, bound) = fraction_of(expr)?;
    let good = Events::of_histograms(series.clone(), Reading::ObservationsUpTo(bound));
    Some((good, Events::of_histograms(series, Reading::Observations)))
}

fn fraction_of(expr: &Expr) -> Option<(Vec<Matcher>, f64)> {
    let ExprKind::Call { function: Function::HistogramFraction, args } = &expr.without_parens().kind else {
        return None;
    };
    let [lower, upper, of] = args.as_slice() else { return None };
    // Durations and sizes have nothing below zero.
    let from = number(lower).filter(|lower| *lower <= 0.0)?;
    let (bound, series) = (number(upper)?, rates(of)?);
    (from <= bound).then_some((series, bound))
}

/// A sum of counters, whichever way it is written.
fn sum(expr: &Expr) -> Option<Events> {
    let expr = expr.without_parens();
    match &expr.kind {
        ExprKind::Selector(_) => bare_selector(expr).map(Events::of),
        ExprKind::Aggregate(aggregate) if aggregate.op == AggregateOp::Sum && ungrouped(&aggregate.grouping) => {
            sum(within_sum(&aggregate.expr))
        }
        ExprKind::Call { function, args } => match function {
            Function::Rate | Function::Increase | Function::Irate => counters(args.first()?).map(Events::of),
            // Labels play no part in a sum.
            Function::LabelReplace => sum(args.first()?),
            // A guard against dividing by nothing.
            Function::ClampMin if number(args.get(1)?).is_some_and(|least| (0.0..=1.0).contains(&least)) => {
                sum(args.first()?)
            }
            Function::HistogramCount => Some(Events::of_histograms(rates(args.first()?)?, Reading::Observations)),
            _ => None,
        },
        ExprKind::Binary(binary) => match binary.op {
            BinaryOp::Add => Some(sum(&binary.lhs)?.plus(sum(&binary.rhs)?)),
            BinaryOp::Sub => Some(sum(&binary.lhs)?.minus(sum(&binary.rhs)?)),
            // What stands in for counters that are not there yet.
            BinaryOp::Or if is_zero_vector(&binary.rhs) => sum(&binary.lhs),
            // Another guard of that kind.
            BinaryOp::Gt | BinaryOp::Ge if !binary.returns_bool && number(&binary.rhs) == Some(0.0) => sum(&binary.lhs),
            BinaryOp::Mul => up_to(&binary.lhs, &binary.rhs).or_else(|| up_to(&binary.rhs, &binary.lhs)),
            _ => None,
        },
        _ => None,
    }
}

/// `histogram_fraction(0, bound, sum(rate(h[5m]))) * histogram_count(sum(rate(h[5m])))`
fn up_to(fraction: &Expr, count: &Expr) -> Option<Events> {
    let (series, bound) = fraction_of(fraction)?;
    let same = sum(count) == Some(Events::of_histograms(series.clone(), Reading::Observations));
    same.then(|| Events::of_histograms(series, Reading::ObservationsUpTo(bound)))
}

/// What is summed up, if it was summed up by groups before: all of them come together anyhow.
fn within_sum(expr: &Expr) -> &Expr {
    match &expr.without_parens().kind {
        ExprKind::Aggregate(aggregate) if aggregate.op == AggregateOp::Sum => within_sum(&aggregate.expr),
        _ => expr,
    }
}

/// The selector of `sum(rate(h[5m]))` or `rate(h[5m])`.
fn rates(expr: &Expr) -> Option<Vec<Matcher>> {
    match &expr.without_parens().kind {
        ExprKind::Aggregate(aggregate) if aggregate.op == AggregateOp::Sum && ungrouped(&aggregate.grouping) => {
            rates(&aggregate.expr)
        }
        ExprKind::Call { function: Function::Rate | Function::Increase, args } => counters(args.first()?),
        _ => None,
    }
}

fn counters(range: &Expr) -> Option<Vec<Matcher>> {
    match &range.without_parens().kind {
        ExprKind::Range { selector, .. } => bare(selector),
        _ => None,
    }
}

fn ungrouped(grouping: &Grouping) -> bool {
    matches!(grouping, Grouping::By(labels) if labels.is_empty())
}

fn is_zero_vector(expr: &Expr) -> bool {
    match &expr.without_parens().kind {
        ExprKind::Call { function: Function::Vector, args } => args.first().and_then(number) == Some(0.0),
        // `or on() vector(0)` and `or (total * 0)`
        ExprKind::Binary(binary) if binary.op == BinaryOp::Mul => {
            number(&binary.lhs) == Some(0.0) || number(&binary.rhs) == Some(0.0)
        }
        _ => false,
    }
}

fn bare_selector(expr: &Expr) -> Option<Vec<Matcher>> {
    match &expr.without_parens().kind {
        ExprKind::Selector(selector) => bare(selector),
        _ => None,
    }
}

fn bare(selector: &Selector) -> Option<Vec<Matcher>> {
    let bare = selector.shift == Shift::default() && selector.edges == Edges::Plain;
    (bare && selector.computed.is_none()).then(|| selector.matchers.clone())
}

/// A comparison as an objective knows it.
fn comparison(op: BinaryOp) -> Option<Comparison> {
    match op {
        BinaryOp::Eq => Some(Comparison::Equal),
        BinaryOp::Ne => Some(Comparison::NotEqual),
        BinaryOp::Lt => Some(Comparison::Less),
        BinaryOp::Le => Some(Comparison::LessEqual),
        BinaryOp::Gt => Some(Comparison::Greater),
        BinaryOp::Ge => Some(Comparison::GreaterEqual),
        _ => None,
    }
}

fn number(expr: &Expr) -> Option<f64> {
    match &expr.without_parens().kind {
        ExprKind::Number(number) => Some(*number),
        ExprKind::Unary { negative, expr } => number(expr).map(|n| if *negative { -n } else { n }),
        _ => None,
    }
}

/// The counter of a classic histogram's observations of at most `bound`, given the selector of its name without
/// an ending.
pub(super) fn classic_bucket(histogram: &[Matcher], bound: f64) -> Vec<Matcher> {
    let mut matchers = with_ending(histogram, "_bucket");
    let text = bound.to_string();
    // A whole number may be written with a fraction.
    let pattern = format!("{text}(\\.0)?");
    let with_fraction = (bound.fract() == 0.0).then(|| Matcher::new("le", MatchOp::Match, &pattern).ok()).flatten();
    matchers.push(with_fraction.unwrap_or_else(|| Matcher::equal("le", &text)));
    matchers
}

/// The counter of all its observations.
pub(super) fn classic_count(histogram: &[Matcher]) -> Vec<Matcher> {
    with_ending(histogram, "_count")
}

fn with_ending(histogram: &[Matcher], ending: &str) -> Vec<Matcher> {
    let renamed = histogram.iter().map(|matcher| match (matcher.name(), matcher.op()) {
        ("__name__", MatchOp::Equal) => Matcher::equal("__name__", &format!("{}{ending}", matcher.value())),
        _ => matcher.clone(),
    });
    renamed.collect()
}
