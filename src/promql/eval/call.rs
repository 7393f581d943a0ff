//! Calls of functions.

use std::collections::BTreeSet;

use super::ranking;
use super::row::{Operand, Point, Row, unique};
use super::{Evaluator, kernel};
use crate::model::{Labels, LabelsBuilder, MatchOp, Matcher};
use crate::promql::ast::{Expr, ExprKind, Span};
use crate::promql::durations;
use crate::promql::functions::Function;
use crate::promql::kernel::Direction;
use crate::promql::plan::Steps;
use crate::promql::query::EvalError;

impl Evaluator<'_> {
    pub(super) fn eval_call(
        &self,
        function: Function,
        args: &[Expr],
        span: Span,
        steps: Steps,
    ) -> Result<Operand, EvalError> {
        use Function as F;
        match function {
            F::Time => Ok(Operand::Scalar(steps.times().map(|t| t.as_seconds()).collect())),
            F::Pi => Ok(Operand::Scalar(vec![std::f64::consts::PI; steps.count()])),
            F::MinOf => self.pair_of_scalars(args, steps, durations::least),
            F::MaxOf => self.pair_of_scalars(args, steps, durations::most),
            F::Scalar => self.to_scalar(&args[0], steps),
            F::Vector => Ok(Operand::Vector(vec![Row::unnamed(self.scalar(&args[0], steps)?)])),
            F::Timestamp => self.timestamp(&args[0], steps),
            F::Absent => {
                let rows = self.vector(&args[0], steps)?;
                let mut present = vec![false; steps.count()];
                rows.iter().flat_map(Row::steps).for_each(|step| present[step] = true);
                self.absent(&args[0], &present, steps)
            }
            F::AbsentOverTime => self.absent(&args[0], &self.any_in_window(&args[0], steps)?, steps),
            F::Sort => self.sort(Direction::Ascending, &args[0], span, steps),
            F::SortDesc => self.sort(Direction::Descending, &args[0], span, steps),
            F::SortByLabel => self.sort_by_label(Direction::Ascending, args, span, steps),
            F::SortByLabelDesc => self.sort_by_label(Direction::Descending, args, span, steps),
            F::Info => self.info(args, steps),
            F::StartTimestamp => self.start_timestamp(&args[0], steps),
            F::LabelReplace | F::LabelJoin => self.change_label(function, args, steps),
            F::HistogramQuantile => self.histogram_quantile(args, steps),
            F::HistogramFraction => self.histogram_fraction(args, steps),
            F::HistogramQuantiles => self.histogram_quantiles(args, steps),
            F::HistogramAvg | F::HistogramCount | F::HistogramStddev | F::HistogramStdvar | F::HistogramSum => {
                self.statistic(function, &args[0], steps)
            }
            F::Minute | F::Hour | F::DayOfWeek | F::DayOfMonth | F::DayOfYear | F::DaysInMonth | F::Month | F::Year => {
                self.calendar(function, args, steps)
            }
            _ if function.args().contains(&crate::promql::ValueType::Matrix) => self.over_range(function, args, steps),
            _ => self.math(function, args, steps),
        }
    }

    fn pair_of_scalars(&self, args: &[Expr], steps: Steps, of: fn(f64, f64) -> f64) -> Result<Operand, EvalError> {
        let (left, right) = (self.scalar(&args[0], steps)?, self.scalar(&args[1], steps)?);
        Ok(Operand::Scalar(left.into_iter().zip(right).map(|(l, r)| of(l, r)).collect()))
    }

    fn to_scalar(&self, arg: &Expr, steps: Steps) -> Result<Operand, EvalError> {
        let rows = self.vector(arg, steps)?;
        let only = |step| {
            let mut there = rows.iter().filter_map(|row| row.get(step));
            match (there.next(), there.next()) {
                (Some(v), None) => v,
                _ => f64::NAN,
            }
        };
        Ok(Operand::Scalar((0..steps.count()).map(only).collect()))
    }

    /// Of a selector the time of the samples, of anything else the time of evaluation.
    fn timestamp(&self, arg: &Expr, steps: Steps) -> Result<Operand, EvalError> {
        let rows = match &arg.without_parens().kind {
            ExprKind::Selector(selector) => self.select_times(selector, steps)?,
            _ => {
                let mut rows = self.vector(arg, steps)?;
                for row in &mut rows {
                    row.map_steps(|step, _| Some(steps.time(step).as_seconds()));
                    row.map_histograms(|step, _| Some(Point::Number(steps.time(step).as_seconds())));
                }
                rows
            }
        };
        Ok(Operand::Vector(self.unnamed(rows)?))
    }

    fn absent(&self, arg: &Expr, present: &[bool], steps: Steps) -> Result<Operand, EvalError> {
        let mut row = Row::absent(labels_of_absent(arg), steps);
        for (step, present) in present.iter().enumerate() {
            if !present {
                row.set(step, 1.0);
            }
        }
        Ok(Operand::Vector(unique(vec![row])?))
    }

    fn sort(&self, direction: Direction, arg: &Expr, span: Span, steps: Steps) -> Result<Operand, EvalError> {
        let mut rows = self.vector(arg, steps)?;
        if steps.count() > 1 {
            self.notes.borrow_mut().sort_is_ineffective(&self.place(span));
        }
        rows.iter_mut().for_each(Row::drop_histograms);
        rows.retain(Row::is_present);
        ranking::sort(direction, &mut rows, steps);
        Ok(Operand::Vector(rows))
    }

    fn calendar(&self, function: Function, args: &[Expr], steps: Steps) -> Result<Operand, EvalError> {
        let mut rows = match args.first() {
            Some(arg) => self.vector(arg, steps)?,
            None => vec![Row::unnamed(steps.times().map(|t| t.as_seconds()).collect())],
        };
        for row in &mut rows {
            row.drop_histograms();
            row.map(|v| kernel::unary_math(function, v, &[]));
        }
        Ok(Operand::Vector(self.unnamed(rows)?))
    }

    /// Functions of one value and scalars.
    fn math(&self, function: Function, args: &[Expr], steps: Steps) -> Result<Operand, EvalError> {
        let mut rows = self.vector(&args[0], steps)?;
        rows.iter_mut().for_each(Row::drop_histograms);
        let params = args[1..].iter().map(|arg| self.scalar(arg, steps)).collect::<Result<Vec<_>, _>>()?;
        let mut numbers = Vec::with_capacity(params.len());
        for step in 0..steps.count() {
            numbers.clear();
            numbers.extend(params.iter().map(|values| values[step]));
            let empty = function == Function::Clamp && numbers[0] > numbers[1];
            for row in &mut rows {
                match row.get(step) {
                    Some(_) if empty => row.clear(step),
                    Some(v) => row.set(step, kernel::unary_math(function, v, &numbers)),
                    None => {}
                }
            }
        }
        Ok(Operand::Vector(self.unnamed(rows)?))
    }
}

/// What is known of a series that is not there: labels that a selector fixes, each by one matcher.
fn labels_of_absent(arg: &Expr) -> Labels {
    let matchers: &[Matcher] = match &arg.without_parens().kind {
        ExprKind::Selector(selector) | ExprKind::Range { selector, .. } => &selector.matchers,
        _ => &[],
    };
    let mut builder = LabelsBuilder::default();
    let mut seen = BTreeSet::new();
    for matcher in matchers.iter().filter(|matcher| matcher.name() != Labels::METRIC_NAME) {
        if matcher.op() == MatchOp::Equal && seen.insert(matcher.name()) {
            builder.set(matcher.name(), matcher.value());
        } else {
            builder.remove(matcher.name());
        }
    }
    builder.build().unwrap_or_else(|_| Labels::empty())
}
