//! Checks the types of a tree, with Prometheus' texts.

use super::fault::Fault;
use super::selector::demand;
use super::text::quote;
use crate::promql::ast::{
    Aggregate, AggregateOp, Binary, BinaryOp, Edges, Expr, ExprKind, Group, MatchLabels, Shift, Span,
};
use crate::promql::functions::Function;
use crate::promql::value_type::ValueType;

/// Checks `expr` and everything below it.
pub(super) fn check(expr: &Expr) -> Result<(), Fault> {
    match &expr.kind {
        ExprKind::Number(_) | ExprKind::Duration(_) | ExprKind::String(_) => Ok(()),
        ExprKind::Selector(selector) | ExprKind::Range { selector, .. } => demand(&selector.matchers, expr.span),
        ExprKind::Paren(inner) => check(inner),
        ExprKind::Subquery { expr: inner, .. } => {
            check(inner)?;
            match inner.value_type() {
                ValueType::Vector => Ok(()),
                other => {
                    let message =
                        format!("subquery is only allowed on instant vector, got {} instead", short_name(other));
                    Err(Fault::new(expr.span, message))
                }
            }
        }
        ExprKind::Unary { expr: inner, .. } => {
            check(inner)?;
            match inner.value_type() {
                ValueType::Scalar | ValueType::Vector => Ok(()),
                other => {
                    let allowed = "unary expression only allowed on expressions of type scalar or instant vector";
                    Err(Fault::new(expr.span, format!("{allowed}, got {}", quote(other.as_str()))))
                }
            }
        }
        ExprKind::Binary(binary) => check_binary(binary),
        ExprKind::Aggregate(aggregate) => check_aggregate(aggregate),
        ExprKind::Call { function, args } => check_call(*function, args, expr.span),
    }
}

fn short_name(value_type: ValueType) -> &'static str {
    match value_type {
        ValueType::Matrix => "matrix",
        other => other.as_str(),
    }
}

fn expect(expr: &Expr, wanted: ValueType, context: &str) -> Result<(), Fault> {
    let found = expr.value_type();
    if found == wanted {
        return Ok(());
    }
    let message = format!("expected type {} in {context}, got {}", wanted.as_str(), found.as_str());
    let fault = Fault::new(expr.span, message);
    Err(match (wanted, found) {
        (ValueType::Matrix, ValueType::Vector) => fault.hint("give the range of the window in brackets, as in x[5m]"),
        (ValueType::Vector, ValueType::Matrix) => fault.hint("apply a function such as rate() to the range vector"),
        (ValueType::Vector, ValueType::Scalar) => fault.hint("vector() makes an instant vector of a scalar"),
        (ValueType::Scalar, ValueType::Vector) => fault.hint("scalar() makes a scalar of a vector of one series"),
        _ => fault,
    })
}

fn check_aggregate(aggregate: &Aggregate) -> Result<(), Fault> {
    check(&aggregate.expr)?;
    expect(&aggregate.expr, ValueType::Vector, "aggregation expression")?;
    let Some(param) = &aggregate.param else { return Ok(()) };
    check(param)?;
    let wanted = if aggregate.op == AggregateOp::CountValues { ValueType::String } else { ValueType::Scalar };
    expect(param, wanted, "aggregation parameter")
}

fn check_call(function: Function, args: &[Expr], span: Span) -> Result<(), Fault> {
    let types = function.args();
    let name = quote(function.name());
    let (least, most) = match function.optional() {
        usize::MAX => (types.len() - 1, usize::MAX),
        optional => (types.len() - optional, types.len()),
    };
    let got = args.len();
    if got < least || got > most {
        let expected = match (least, most) {
            (least, most) if least == most => format!("{least}"),
            (least, _) if got < least => format!("at least {least}"),
            _ => format!("at most {most}"),
        };
        return Err(Fault::new(span, format!("expected {expected} argument(s) in call to {name}, got {got}")));
    }
    if function == Function::Info
        && let Some(labels) = args.get(1)
    {
        check(&args[0])?;
        expect(&args[0], ValueType::Vector, &format!("call to function {name}"))?;
        return check_label_selector(labels);
    }
    for (arg, wanted) in args.iter().zip(types.iter().chain(types.last().into_iter().cycle())) {
        check(arg)?;
        expect(arg, *wanted, &format!("call to function {name}"))?;
    }
    Ok(())
}

/// The second argument of `info`: conditions in braces and nothing else.
fn check_label_selector(arg: &Expr) -> Result<(), Fault> {
    let fail = |found: &str| {
        let fault = Fault::new(arg.span, format!("expected label selectors only, got {found} instead"));
        Err(fault.hint("write conditions on the labels of the info metric, as in {version=~\".+\"}"))
    };
    match &arg.kind {
        ExprKind::Selector(selector) if selector.name.is_some() => fail("vector selector"),
        ExprKind::Selector(selector) if selector.shift != Shift::default() || selector.edges != Edges::Plain => {
            fail("a modifier")
        }
        ExprKind::Selector(_) => Ok(()),
        _ => fail(arg.value_type().as_str()),
    }
}

fn check_binary(binary: &Binary) -> Result<(), Fault> {
    let Binary { op, lhs, rhs, returns_bool, matching, fill } = binary;
    check(lhs)?;
    check(rhs)?;
    // The operator stands between its operands.
    let between = Span { start: lhs.span.end, end: rhs.span.start };
    let fail = |message: String| Err(Fault::new(between, message));
    let (left, right) = (lhs.value_type(), rhs.value_type());
    if *returns_bool && !op.is_comparison() {
        return fail("bool modifier can only be used on comparison operators".to_owned());
    }
    let scalars = left == ValueType::Scalar && right == ValueType::Scalar;
    if op.is_comparison() && !returns_bool && scalars {
        let fault = Fault::new(between, "comparisons between scalars must use BOOL modifier");
        return Err(fault.hint("write the operator with bool, as in 1 > bool 2"));
    }
    if matches!(op, BinaryOp::TrimUpper | BinaryOp::TrimLower) && scalars {
        let fault = Fault::new(between, format!("operator {} not allowed for Scalar operations", quote(op.as_str())));
        return Err(fault.hint("it trims native histograms, which stand on its left"));
    }
    let include = match &matching.group {
        Group::OneToOne => &Vec::new(),
        Group::Left(include) | Group::Right(include) => include,
    };
    if let MatchLabels::On(on) = &matching.labels
        && let Some(label) = on.iter().find(|label| include.contains(label))
    {
        return fail(format!("label {} must not occur in ON and GROUP clause at once", quote(label)));
    }
    for operand in [lhs, rhs] {
        if !matches!(operand.value_type(), ValueType::Scalar | ValueType::Vector) {
            let message = "binary expression must contain only scalar and instant vector types";
            return Err(Fault::new(operand.span, message));
        }
    }
    let vectors = left == ValueType::Vector && right == ValueType::Vector;
    let (MatchLabels::On(labels) | MatchLabels::Ignoring(labels)) = &matching.labels;
    if !vectors && !labels.is_empty() {
        return fail("vector matching only allowed between instant vectors".to_owned());
    }
    if !vectors && !fill.is_none() {
        return fail("filling in missing series only allowed between instant vectors".to_owned());
    }
    if op.is_set() && !fill.is_none() {
        return fail("filling in missing series not allowed for set operators".to_owned());
    }
    if op.is_set() && !vectors {
        return fail(format!("set operator {} not allowed in binary scalar expression", quote(op.as_str())));
    }
    if op.is_set() && matching.group != Group::OneToOne {
        return fail(format!("no grouping allowed for {} operation", quote(op.as_str())));
    }
    Ok(())
}
