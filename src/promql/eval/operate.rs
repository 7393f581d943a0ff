//! What a binary operator makes of two values, of which each may be a number or a histogram.

use std::sync::Arc;

use super::binary::is_trim;
use super::row::Point;
use super::{Evaluator, kernel};
use crate::model::ResetHint;
use crate::promql::ast::{Binary, BinaryOp};
use crate::promql::kernel::{Combined, FloatHistogram, Keep, MixedLayouts};

impl Evaluator<'_> {
    /// The value, or nothing where a comparison does not hold or the operator has no value for
    /// operands of such types.
    pub(super) fn operate(&self, binary: &Binary, l: Point, r: Point) -> Option<Point> {
        let op = binary.op;
        match (l, r) {
            (Point::Number(_), Point::Number(_)) if is_trim(op) => {
                self.note_types(binary, "float", "float");
                None
            }
            (Point::Number(l), Point::Number(r)) if op.is_comparison() && !binary.returns_bool => {
                kernel::compare(op, l, r).then_some(Point::Number(l))
            }
            (Point::Number(l), Point::Number(r)) => Some(Point::Number(kernel::binary(op, l, r))),
            (Point::Number(l), Point::Histogram(r)) if op == BinaryOp::Mul => Some(point(r.scaled(l))),
            (Point::Number(_), Point::Histogram(_)) => {
                self.note_types(binary, "float", "histogram");
                None
            }
            (Point::Histogram(l), Point::Number(r)) => self.with_number(binary, &l, r),
            (Point::Histogram(l), Point::Histogram(r)) => self.of_histograms(binary, &l, &r),
        }
    }

    fn with_number(&self, binary: &Binary, histogram: &FloatHistogram, v: f64) -> Option<Point> {
        match binary.op {
            BinaryOp::Mul => Some(point(histogram.scaled(v))),
            BinaryOp::Div => Some(point(histogram.divided(v))),
            BinaryOp::TrimUpper => Some(point(histogram.trimmed(Keep::Below, v))),
            BinaryOp::TrimLower => Some(point(histogram.trimmed(Keep::Above, v))),
            _ => {
                self.note_types(binary, "histogram", "float");
                None
            }
        }
    }

    fn of_histograms(&self, binary: &Binary, l: &Arc<FloatHistogram>, r: &Arc<FloatHistogram>) -> Option<Point> {
        match binary.op {
            BinaryOp::Add => self.noted(binary, "addition", l.plus(r)).map(point),
            BinaryOp::Sub => {
                let mut difference = self.noted(binary, "subtraction", l.minus(r))?;
                difference.reset_hint = ResetHint::Gauge;
                Some(point(difference))
            }
            BinaryOp::Eq | BinaryOp::Ne => {
                let holds = l.equals(r) == (binary.op == BinaryOp::Eq);
                match binary.returns_bool {
                    true => Some(Point::Number(f64::from(u8::from(holds)))),
                    false => holds.then(|| Point::Histogram(l.clone())),
                }
            }
            _ => {
                self.note_types(binary, "histogram", "histogram");
                None
            }
        }
    }

    /// The result, once the user has been told what is to be known of it.
    fn noted(
        &self,
        binary: &Binary,
        operation: &str,
        combined: Result<Combined, MixedLayouts>,
    ) -> Option<FloatHistogram> {
        let place = || self.place(binary.lhs.span);
        match combined {
            Ok(combined) => {
                if combined.resets_conflict {
                    self.notes.borrow_mut().resets_conflict(operation, &place());
                }
                if combined.bounds_reconciled {
                    self.notes.borrow_mut().bounds_reconciled(operation, &place());
                }
                Some(combined.histogram)
            }
            Err(MixedLayouts) => {
                self.notes.borrow_mut().layouts_do_not_fit(binary.op.as_str(), &place());
                None
            }
        }
    }

    /// Says that an operator has no value for operands of such types.
    pub(super) fn note_types(&self, binary: &Binary, left: &str, right: &str) {
        let place = self.place(binary.lhs.span);
        self.notes.borrow_mut().types_do_not_fit(left, binary.op.as_str(), right, &place);
    }
}

fn point(histogram: FloatHistogram) -> Point {
    Point::Histogram(Arc::new(histogram))
}
