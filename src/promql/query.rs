//! A query: read once, asked as often as wanted.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use super::ast::Expr;
use super::budget::Budget;
use super::durations::{self, QueryTimes};
use super::eval;
use super::parse::{ParseError, line_and_column, parse};
use super::plan::Steps;
use super::source::{SeriesSource, SourceError};
use super::value::Answer;
use super::value_type::ValueType;
use crate::model::limits;
use crate::model::{Millis, Timestamp};

/// How a query is evaluated.
#[derive(Debug, Clone)]
pub struct EvalOptions {
    /// How far back an instant selector looks for a sample.
    pub lookback: Millis,
    /// How many samples the query may hold in memory.
    pub samples_max: usize,
    /// The resolution of a subquery that names none.
    pub default_step: Millis,
    /// When to give up; absent: never.
    pub deadline: Option<Deadline>,
    /// When metric names are dropped.
    pub name_dropping: NameDropping,
    /// Who shares the work on many series; absent: the caller does all of it.
    pub workers: Option<Workers>,
    /// How many samples this query may hold together with others; absent: as many as it likes.
    pub budget: Option<Budget>,
    /// Whether functions of counters look at when the counting began.
    pub start_timestamps: StartTimestamps,
}

impl Default for EvalOptions {
    fn default() -> EvalOptions {
        EvalOptions {
            lookback: limits::LOOKBACK,
            samples_max: limits::QUERY_SAMPLES_MAX,
            default_step: Millis::minutes(1),
            deadline: None,
            name_dropping: NameDropping::Eager,
            workers: None,
            budget: None,
            start_timestamps: StartTimestamps::Ignored,
        }
    }
}

/// Several hands for one piece of work.
pub trait Parallel: Send + Sync {
    /// Calls `work` with 0, and with further numbers below `parts` on other threads as far as some are free;
    /// returns when all calls have.
    fn run(&self, parts: usize, work: &(dyn Fn(usize) + Sync));
}

/// Those who share the work of queries.
#[derive(Clone)]
pub struct Workers(Arc<dyn Parallel>);

impl Workers {
    /// These.
    pub fn new(parallel: impl Parallel + 'static) -> Workers {
        Workers(Arc::new(parallel))
    }

    /// See [`Parallel::run`].
    pub fn run(&self, parts: usize, work: &(dyn Fn(usize) + Sync)) {
        self.0.run(parts, work);
    }
}

impl fmt::Debug for Workers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Workers")
    }
}

/// Whether `rate`, `increase`, `irate`, `resets` and `start_timestamp` look at when the counting of
/// each sample began.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum StartTimestamps {
    /// As Prometheus does by default.
    #[default]
    Ignored,
    /// As with Prometheus' `use-start-timestamps`.
    Used,
}

/// When the metric's name leaves a series that a function or operator has changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum NameDropping {
    /// At once, as Prometheus does by default.
    #[default]
    Eager,
    /// At the end of the query, as with Prometheus' `promql-delayed-name-removal`.
    Delayed,
}

/// A question asked again and again during evaluation: is the time over?
#[derive(Clone)]
pub struct Deadline(Arc<dyn Fn() -> bool + Send + Sync>);

impl Deadline {
    /// The time is over as soon as `passed` says so.
    pub fn new(passed: impl Fn() -> bool + Send + Sync + 'static) -> Deadline {
        Deadline(Arc::new(passed))
    }

    /// Whether the time is over.
    pub fn has_passed(&self) -> bool {
        (self.0)()
    }
}

impl fmt::Debug for Deadline {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Deadline")
    }
}

/// A query that cannot be answered. The texts are Prometheus'.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EvalError {
    /// The view cannot answer.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// More samples than the query may hold.
    #[error("query processing would load too many samples into memory in query execution")]
    TooManySamples,
    /// All queries together hold as many samples as they may.
    #[error("the queries under way hold as many samples as all together may; try again later")]
    Busy,
    /// The deadline has passed.
    #[error("query timed out in expression evaluation")]
    TimedOut,
    /// Two elements of a vector have the same labels.
    #[error("vector cannot contain metrics with the same labelset")]
    SameLabelset,
    /// The series of two vectors cannot be paired.
    #[error("{0}")]
    Matching(String),
    /// A parameter has a value that the operator or function cannot take.
    #[error("{0}")]
    Parameter(String),
    /// The expression has no value at each step.
    #[error("invalid expression type \"{}\" for range query, must be Scalar or instant Vector", .0.as_str())]
    NotForRange(ValueType),
    /// A duration that depends on the query has no value that fits.
    #[error("{0}")]
    BadDuration(String),
    /// The range of a range query is no range.
    #[error("{0}")]
    BadRange(&'static str),
}

/// A query, read and checked.
#[derive(Debug, Clone)]
pub struct Query {
    expr: Expr,
    text: String,
}

impl Query {
    /// Reads a query.
    ///
    /// # Errors
    /// The text is not a query of the language.
    pub fn new(text: &str) -> Result<Query, ParseError> {
        Ok(Query { expr: parse(text)?, text: text.to_owned() })
    }

    /// A query of a tree that was read before.
    pub fn from_expr(expr: Expr) -> Query {
        Query { expr, text: String::new() }
    }

    /// The expression.
    pub fn expr(&self) -> &Expr {
        &self.expr
    }

    /// The value at one instant.
    ///
    /// # Errors
    /// The view cannot answer, a bound is passed, or the data does not fit the expression.
    pub fn instant(
        &self,
        source: &dyn SeriesSource,
        at: Timestamp,
        options: &EvalOptions,
    ) -> Result<Answer, EvalError> {
        let expr = self.settled(QueryTimes { start: at, end: at, step: Millis::ZERO })?;
        eval::instant(&expr, &self.text, source, at, options)
    }

    /// The values at `start`, `start + step`, … up to `end`, as a matrix sorted by labels.
    ///
    /// # Errors
    /// As for [`Query::instant`]; also if there is no step, or the end lies before the start.
    pub fn range(
        &self,
        source: &dyn SeriesSource,
        start: Timestamp,
        end: Timestamp,
        step: Millis,
        options: &EvalOptions,
    ) -> Result<Answer, EvalError> {
        if step <= Millis::ZERO {
            return Err(EvalError::BadRange(
                "zero or negative query resolution step widths are not accepted. Try a positive integer",
            ));
        }
        if end < start {
            return Err(EvalError::BadRange("end timestamp must not be before start time"));
        }
        match self.expr.value_type() {
            ValueType::Scalar | ValueType::Vector => {}
            other => return Err(EvalError::NotForRange(other)),
        }
        let steps = Steps::new(start, end, step, options.samples_max)?;
        let expr = self.settled(QueryTimes { start, end, step })?;
        eval::range(&expr, &self.text, source, steps, options)
    }

    /// The expression with what depends on the query in it.
    fn settled(&self, times: QueryTimes) -> Result<Cow<'_, Expr>, EvalError> {
        if !durations::depends_on_query(&self.expr) {
            return Ok(Cow::Borrowed(&self.expr));
        }
        let mut expr = self.expr.clone();
        durations::settle(&mut expr, times).map_err(|(fault, span)| {
            let (line, column) = line_and_column(&self.text, span.start.min(self.text.len()));
            EvalError::BadDuration(format!("{line}:{column}: {}", fault.as_str()))
        })?;
        Ok(Cow::Owned(expr))
    }
}
