//! Durations that depend on the query: `step()`, `range()` and arithmetic on them.

use super::ast::{BinaryOp, Computed, DurationExpr, Expr, ExprKind, Shift, Span};
use super::functions::Function;
use crate::model::{Millis, Timestamp};

/// Prometheus holds durations in nanoseconds of 64 bits: 292 years.
const MILLIS_MAX: f64 = 9_223_372_036_854.0;

/// What may be wrong with a duration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum DurationFault {
    NotPositive,
    OutOfRange,
    DivisionByZero,
    ModuloByZero,
}

impl DurationFault {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            DurationFault::NotPositive => "duration must be greater than 0",
            DurationFault::OutOfRange => "duration out of range",
            DurationFault::DivisionByZero => "division by zero",
            DurationFault::ModuloByZero => "modulo by zero",
        }
    }

    /// What an operator has against zero on its right.
    pub(super) fn of_zero(op: BinaryOp) -> Option<DurationFault> {
        match op {
            BinaryOp::Div => Some(DurationFault::DivisionByZero),
            BinaryOp::Mod => Some(DurationFault::ModuloByZero),
            _ => None,
        }
    }
}

/// The duration of a literal of so many seconds.
pub(super) fn millis_of_literal(seconds: f64) -> Result<Millis, DurationFault> {
    // A literal is rounded to nanoseconds before it is cut to milliseconds.
    millis((seconds * 1e9).round() / 1e6)
}

/// The duration of arithmetic that gives so many seconds.
pub(super) fn millis_of_arithmetic(seconds: f64) -> Result<Millis, DurationFault> {
    millis(seconds * 1000.0)
}

fn millis(ms: f64) -> Result<Millis, DurationFault> {
    if ms.is_nan() || ms.abs() > MILLIS_MAX { Err(DurationFault::OutOfRange) } else { Ok(Millis(ms as i64)) }
}

/// The lesser of two numbers; NaN if one of them is.
pub(super) fn least(a: f64, b: f64) -> f64 {
    if a.is_nan() || b.is_nan() { f64::NAN } else { a.min(b) }
}

/// The greater of two numbers; NaN if one of them is.
pub(super) fn most(a: f64, b: f64) -> f64 {
    if a.is_nan() || b.is_nan() { f64::NAN } else { a.max(b) }
}

/// `l op r` for the arithmetic operators.
pub(super) fn arithmetic(op: BinaryOp, l: f64, r: f64) -> f64 {
    super::kernel::binary(op, l, r)
}

/// What durations of a query may refer to.
#[derive(Debug, Clone, Copy)]
pub(super) struct QueryTimes {
    /// The first evaluation.
    pub(super) start: Timestamp,
    /// The end that was asked for.
    pub(super) end: Timestamp,
    /// From one evaluation to the next; nothing for a single one.
    pub(super) step: Millis,
}

impl QueryTimes {
    fn range(self) -> Millis {
        self.end - self.start
    }

    /// The value of the functions that look at the query as a whole.
    fn function(self, function: Function) -> Option<f64> {
        match function {
            Function::Start => Some(self.start.as_seconds()),
            Function::End => Some(self.end.as_seconds()),
            Function::Step => Some(self.step.as_seconds()),
            Function::Range => Some(self.range().as_seconds()),
            _ => None,
        }
    }

    fn seconds(self, expr: &DurationExpr) -> Result<f64, DurationFault> {
        Ok(match expr {
            DurationExpr::Seconds(seconds) => *seconds,
            DurationExpr::Literal(millis) => millis.as_seconds(),
            DurationExpr::Step => self.step.as_seconds(),
            DurationExpr::Range => self.range().as_seconds(),
            DurationExpr::Min(a, b) => least(self.seconds(a)?, self.seconds(b)?),
            DurationExpr::Max(a, b) => most(self.seconds(a)?, self.seconds(b)?),
            DurationExpr::Negated(one) => -self.seconds(one)?,
            DurationExpr::Paren(one) => self.seconds(one)?,
            DurationExpr::Binary(op, a, b) => {
                let (l, r) = (self.seconds(a)?, self.seconds(b)?);
                match DurationFault::of_zero(*op).filter(|_| r == 0.0) {
                    Some(fault) => return Err(fault),
                    None => arithmetic(*op, l, r),
                }
            }
        })
    }

    fn any(self, expr: &DurationExpr) -> Result<Millis, DurationFault> {
        millis_of_arithmetic(self.seconds(expr)?)
    }

    fn positive(self, expr: &DurationExpr) -> Result<Millis, DurationFault> {
        let seconds = self.seconds(expr)?;
        if seconds > 0.0 { millis_of_arithmetic(seconds) } else { Err(DurationFault::NotPositive) }
    }
}

/// Whether anything in it can only be known when the query is asked.
pub(super) fn depends_on_query(expr: &Expr) -> bool {
    let computed = match &expr.kind {
        ExprKind::Selector(selector) | ExprKind::Range { selector, .. } => &selector.computed,
        ExprKind::Subquery { computed, .. } => computed,
        ExprKind::Call { function, .. } if is_of_query(*function) => return true,
        _ => &None,
    };
    computed.as_ref().is_some_and(|computed| computed.depends_on_query())
        || expr.children().into_iter().any(depends_on_query)
}

fn is_of_query(function: Function) -> bool {
    matches!(function, Function::Start | Function::End | Function::Step | Function::Range)
}

/// Puts what depends on the query into the tree: durations, and numbers in place of `start()`,
/// `end()`, `step()` and `range()`.
pub(super) fn settle(expr: &mut Expr, times: QueryTimes) -> Result<(), (DurationFault, Span)> {
    let span = expr.span;
    let at_place = |fault| (fault, span);
    match &mut expr.kind {
        ExprKind::Call { function, .. } => {
            if let Some(number) = times.function(*function) {
                expr.kind = ExprKind::Number(number);
            }
        }
        ExprKind::Selector(selector) => {
            settle_offset(&selector.computed, &mut selector.shift, times).map_err(at_place)?;
        }
        ExprKind::Range { selector, range } => {
            settle_offset(&selector.computed, &mut selector.shift, times).map_err(at_place)?;
            if let Some(written) = selector.computed.as_ref().and_then(|computed| computed.range.as_ref()) {
                *range = times.positive(written).map_err(at_place)?;
            }
        }
        ExprKind::Subquery { range, step, shift, computed, .. } => {
            settle_offset(computed, shift, times).map_err(at_place)?;
            if let Some(written) = computed.as_ref().and_then(|computed| computed.range.as_ref()) {
                *range = times.positive(written).map_err(at_place)?;
            }
            if let Some(written) = computed.as_ref().and_then(|computed| computed.step.as_ref()) {
                *step = Some(times.positive(written).map_err(at_place)?);
            }
        }
        _ => {}
    }
    expr.children_mut().into_iter().try_for_each(|child| settle(child, times))
}

fn settle_offset(computed: &Option<Box<Computed>>, shift: &mut Shift, times: QueryTimes) -> Result<(), DurationFault> {
    if let Some(written) = computed.as_ref().and_then(|computed| computed.offset.as_ref()) {
        shift.offset = times.any(written)?;
    }
    Ok(())
}
