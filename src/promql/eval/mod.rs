//! Evaluates a tree: every node once for all steps of the query.
//!
//! Invariants:
//! - A node gives, for each series, one value or none at each step; see [`Row`].
//! - Results do not depend on how many steps are asked for at once.

mod aggregate;
mod binary;
mod call;
mod extended;
mod group;
mod histogram;
mod info;
mod label;
mod limit;
mod mixed;
mod native;
mod notes;
mod operate;
mod placed;
mod ranking;
mod row;
mod scan;
mod select;
mod sort_label;
mod starts;
mod window;

use std::cell::{Cell, RefCell};
use std::sync::Arc;

pub use self::aggregate::check_count;
use self::notes::Notes;
use self::row::{Operand, Point, Row, unique};
use super::ast::{Edges, Expr, ExprKind, Span};
use super::kernel;
use super::naming::without_name;
use super::parse::line_and_column;
use super::plan::{Frame, Reads, Steps};
use super::query::{EvalError, EvalOptions, NameDropping};
use super::source::SeriesSource;
use super::value::{Answer, MatrixSeries, Value, VectorSample};
use super::value_type::ValueType;
use crate::model::{Sample, Timestamp};

/// The value at one instant.
pub(super) fn instant(
    expr: &Expr,
    text: &str,
    source: &dyn SeriesSource,
    at: Timestamp,
    options: &EvalOptions,
) -> Result<Answer, EvalError> {
    let steps = Steps::once(at);
    let evaluator = Evaluator::new(expr, text, source, steps, options)?;
    let value = if expr.value_type() == ValueType::Matrix {
        let windows = evaluator.windows(expr, steps)?;
        Value::Matrix(evaluator.finish_matrix(windows.seen_at(at, &evaluator.frame))?)
    } else {
        match evaluator.eval(expr, steps)? {
            Operand::Scalar(values) => Value::Scalar(Sample { t: at, v: values[0] }),
            Operand::Text(text) => Value::String(at, text),
            Operand::Vector(rows) => {
                let rows = evaluator.finish(rows)?;
                let sample = |row: Row| row.element().map(|value| VectorSample { labels: row.labels, t: at, value });
                Value::Vector(rows.into_iter().filter_map(sample).collect())
            }
        }
    };
    Ok(evaluator.notes.into_inner().answer(value))
}

/// The values at each step.
pub(super) fn range(
    expr: &Expr,
    text: &str,
    source: &dyn SeriesSource,
    steps: Steps,
    options: &EvalOptions,
) -> Result<Answer, EvalError> {
    let evaluator = Evaluator::new(expr, text, source, steps, options)?;
    let rows = match evaluator.eval(expr, steps)? {
        Operand::Scalar(values) => vec![Row::unnamed(values)],
        Operand::Vector(rows) => evaluator.finish(rows)?,
        Operand::Text(_) => return Err(EvalError::NotForRange(ValueType::String)),
    };
    let series = |row: Row| MatrixSeries {
        samples: row.samples(steps),
        histograms: row.histogram_samples(steps),
        labels: row.labels,
    };
    let mut matrix: Vec<MatrixSeries> = rows.into_iter().map(series).filter(|series| !series.is_empty()).collect();
    matrix.sort_by(|a, b| a.labels.cmp(&b.labels));
    Ok(evaluator.notes.into_inner().answer(Value::Matrix(matrix)))
}

/// What is taken for known of the resets of selected histograms.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Resets {
    /// What is stored.
    AsStored,
    /// Where nothing is stored, what the counts show: as Prometheus does where counts and sums alone are
    /// asked for.
    Inferred,
}

/// One evaluation of one query.
struct Evaluator<'a> {
    reads: Reads<'a>,
    frame: Frame,
    options: &'a EvalOptions,
    /// The query's text, so that annotations can name a place; empty if it is not known.
    text: &'a str,
    notes: RefCell<Notes>,
    resets: Cell<Resets>,
}

impl<'a> Evaluator<'a> {
    fn new(
        expr: &Expr,
        text: &'a str,
        source: &'a dyn SeriesSource,
        steps: Steps,
        options: &'a EvalOptions,
    ) -> Result<Evaluator<'a>, EvalError> {
        let frame = Frame::new(steps, options);
        let reads = Reads::plan(expr, steps, &frame, source, options.budget.clone())?;
        let (notes, resets) = (RefCell::default(), Cell::new(Resets::AsStored));
        Ok(Evaluator { reads, frame, options, text, notes, resets })
    }

    /// Evaluates something whose histograms' resets are known in this way.
    fn with_resets<T>(&self, resets: Resets, evaluate: impl FnOnce() -> T) -> T {
        let before = self.resets.replace(resets);
        let value = evaluate();
        self.resets.set(before);
        value
    }

    fn check_deadline(&self) -> Result<(), EvalError> {
        check_deadline(self.options)
    }

    /// Refuses a vector of so many rows before it is built.
    fn check_size(&self, rows: usize, steps: Steps) -> Result<(), EvalError> {
        self.check_deadline()?;
        let samples = rows.saturating_mul(steps.count());
        if samples > self.reads.left() { Err(EvalError::TooManySamples) } else { Ok(()) }
    }

    /// Line and column of a place, as annotations print them.
    fn place(&self, span: Span) -> String {
        let (line, column) = line_and_column(self.text, span.start.min(self.text.len()));
        if self.text.is_empty() { format!("(1:{})", span.start + 1) } else { format!("({line}:{column})") }
    }

    fn eval(&self, expr: &Expr, steps: Steps) -> Result<Operand, EvalError> {
        let operand = self.eval_kind(expr, steps)?;
        if let Operand::Vector(rows) = &operand {
            let extra: usize = rows.iter().map(Row::extra_samples).sum();
            if extra > self.reads.left() {
                return Err(EvalError::TooManySamples);
            }
        }
        Ok(operand)
    }

    fn eval_kind(&self, expr: &Expr, steps: Steps) -> Result<Operand, EvalError> {
        self.check_deadline()?;
        match &expr.kind {
            ExprKind::Number(value) => {
                self.check_size(1, steps)?;
                Ok(Operand::Scalar(vec![*value; steps.count()]))
            }
            ExprKind::Duration(value) => {
                self.check_size(1, steps)?;
                Ok(Operand::Scalar(vec![value.as_seconds(); steps.count()]))
            }
            ExprKind::String(text) => Ok(Operand::Text(text.clone())),
            ExprKind::Selector(selector) if selector.edges == Edges::Smoothed => {
                Ok(Operand::Vector(self.select_smoothed(selector, expr.span, steps)?))
            }
            ExprKind::Selector(selector) => {
                let rows = match self.scan_of(expr, steps)? {
                    Some(scan) => self.scan_rows(&scan, steps)?,
                    None => None,
                };
                match rows {
                    Some(rows) => Ok(Operand::Vector(rows)),
                    None => Ok(Operand::Vector(self.select(selector, steps)?)),
                }
            }
            ExprKind::Paren(inner) => self.eval(inner, steps),
            ExprKind::Unary { negative, expr } => self.eval_unary(*negative, expr, steps),
            ExprKind::Binary(binary) => self.eval_binary(binary, steps),
            ExprKind::Aggregate(aggregate) => Ok(Operand::Vector(self.eval_aggregate(aggregate, steps)?)),
            ExprKind::Call { function, args } => self.eval_call(*function, args, expr.span, steps),
            // The check lets range vectors stand only where a window is asked for.
            ExprKind::Range { .. } | ExprKind::Subquery { .. } => Err(EvalError::NotForRange(ValueType::Matrix)),
        }
    }

    /// The rows of an expression that the check found to be an instant vector.
    fn vector(&self, expr: &Expr, steps: Steps) -> Result<Vec<Row>, EvalError> {
        match self.eval(expr, steps)? {
            Operand::Vector(rows) => Ok(rows),
            Operand::Scalar(values) => Ok(vec![Row::unnamed(values)]),
            Operand::Text(_) => Ok(Vec::new()),
        }
    }

    /// The values of an expression that the check found to be a scalar.
    fn scalar(&self, expr: &Expr, steps: Steps) -> Result<Vec<f64>, EvalError> {
        match self.eval(expr, steps)? {
            Operand::Scalar(values) => Ok(values),
            _ => Ok(vec![f64::NAN; steps.count()]),
        }
    }

    fn eval_unary(&self, negative: bool, expr: &Expr, steps: Steps) -> Result<Operand, EvalError> {
        let operand = self.eval(expr, steps)?;
        if !negative {
            return Ok(operand);
        }
        match operand {
            Operand::Scalar(values) => Ok(Operand::Scalar(values.into_iter().map(|v| -v).collect())),
            Operand::Vector(mut rows) => {
                for row in &mut rows {
                    row.map(|v| -v);
                    row.map_histograms(|_, histogram| Some(Point::Histogram(Arc::new(histogram.scaled(-1.0)))));
                }
                Ok(Operand::Vector(self.unnamed(rows)?))
            }
            text => Ok(text),
        }
    }

    /// Rows whose metric name no longer fits their values.
    fn unnamed(&self, mut rows: Vec<Row>) -> Result<Vec<Row>, EvalError> {
        match self.options.name_dropping {
            NameDropping::Delayed => {
                rows.iter_mut().for_each(|row| row.drop_name = true);
                Ok(rows)
            }
            NameDropping::Eager => {
                rows.iter_mut().for_each(Row::remove_name);
                unique(rows)
            }
        }
    }

    /// Does what was delayed.
    fn finish(&self, mut rows: Vec<Row>) -> Result<Vec<Row>, EvalError> {
        rows.iter_mut().filter(|row| row.drop_name).for_each(Row::remove_name);
        unique(rows)
    }

    /// The same for the series of a range vector, each with whether its name is to be removed.
    fn finish_matrix(&self, series: Vec<(MatrixSeries, bool)>) -> Result<Vec<MatrixSeries>, EvalError> {
        let mut matrix: Vec<MatrixSeries> = Vec::new();
        for (mut one, drop_name) in series {
            if drop_name {
                one.labels = without_name(&one.labels);
            }
            matrix.push(one);
        }
        matrix.retain(|series| !series.is_empty());
        matrix.sort_by(|a, b| a.labels.cmp(&b.labels));
        match matrix.windows(2).any(|two| two[0].labels == two[1].labels) {
            true => Err(EvalError::SameLabelset),
            false => Ok(matrix),
        }
    }
}

fn check_deadline(options: &EvalOptions) -> Result<(), EvalError> {
    match &options.deadline {
        Some(deadline) if deadline.has_passed() => Err(EvalError::TimedOut),
        _ => Ok(()),
    }
}
