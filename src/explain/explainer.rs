//! Takes an expression apart.

use std::cell::{Cell, RefCell};

use crate::model::{Labels, Matcher, Millis, TimeRange, Timestamp};
use crate::promql::{
    At, Binary, BinaryOp, ElementValue, EvalError, EvalOptions, Expr, ExprKind, Function, Query, Selector,
    SeriesSource, Shift, SourceError, Value,
};

use super::absence;
use super::candidates::{self, Reach};
use super::compare::{self, Full};
use super::focus::{is_alike, shared};
use super::part::{Compared, Element, Explanation, Part, PartValue, Turn};
use super::turn::{self, Past};
use super::windows::{self, Takes};

/// Parts that are looked at, searches for an instant, and what is shown of each part.
const PARTS_MAX: usize = 64;
const TURNS_MAX: usize = 8;
const SHOWN_MAX: usize = 8;
/// How far back near misses are looked for.
const KNOWN_BACK: Millis = Millis::hours(24);

/// What is known of names beside the samples.
pub trait Names {
    /// The values of a label of the series that satisfy the matchers and have samples in the range, sorted.
    ///
    /// # Errors
    /// Something stored cannot be read.
    fn values(&self, label: &str, matchers: &[Matcher], range: TimeRange) -> Result<Vec<String>, SourceError>;

    /// When the newest sample in the range of a series that satisfies the matchers came, if there is one.
    ///
    /// # Errors
    /// Something stored cannot be read.
    fn newest(&self, matchers: &[Matcher], range: TimeRange) -> Result<Option<Timestamp>, SourceError>;
}

/// Explains expressions on one view of the data.
pub struct Explainer<'a> {
    /// The data.
    pub source: &'a dyn SeriesSource,
    /// The names in it.
    pub names: &'a dyn Names,
    /// Bounds and lookback of each evaluation.
    pub options: EvalOptions,
    /// The labels of the one element that matters, if one does.
    pub focus: Option<Labels>,
    /// How far back the instants are searched at which parts turned.
    pub horizon: Millis,
}

/// What one explanation may still do.
struct Work {
    parts: Cell<usize>,
    turns: Cell<usize>,
    unfinished: RefCell<Option<String>>,
}

impl Work {
    fn take(&self, what: &Cell<usize>, name: &str) -> bool {
        let left = what.get();
        if left == 0 {
            self.stop(format!("the expression has more {name} than are looked at"));
        }
        what.set(left.saturating_sub(1));
        left > 0
    }

    fn stop(&self, reason: String) {
        self.unfinished.borrow_mut().get_or_insert(reason);
    }
}

impl Explainer<'_> {
    /// Takes an expression apart at an instant.
    pub fn explain(&self, expr: &Expr, at: Timestamp) -> Explanation {
        let work = Work { parts: Cell::new(PARTS_MAX), turns: Cell::new(TURNS_MAX), unfinished: RefCell::new(None) };
        let (mut root, _) = self.part(expr, at, &work);
        if root.turn.is_none() {
            root.turn = self.turn(expr, at, &work);
        }
        Explanation { at, root, unfinished: work.unfinished.into_inner() }
    }

    /// The elements of an expression at an instant; a number is one without labels.
    ///
    /// # Errors
    /// It cannot be evaluated.
    pub fn elements(&self, expr: &Expr, at: Timestamp) -> Result<Vec<(Labels, ElementValue)>, EvalError> {
        Ok(match self.evaluate(expr, at)? {
            Full::Vector(elements) => elements,
            Full::Scalar(v) => vec![(Labels::empty(), ElementValue::Number(v))],
            Full::Nothing => Vec::new(),
        })
    }

    /// Since when the whole expression is as it is at an instant.
    ///
    /// # Errors
    /// It cannot be evaluated.
    pub fn turned(&self, expr: &Expr, at: Timestamp) -> Result<Turn, EvalError> {
        let past = Asked { of: self, expr, reaches: self.reaches(expr) };
        let found = turn::search(&past, at, self.horizon)?;
        let sample = match found.since {
            Some(since) => candidates::arrived(self.source, &past.reaches, since, self.focus.as_ref())?,
            None => None,
        };
        Ok(Turn {
            holds: found.holds,
            since: found.since,
            looked_back_to: found.looked_back_to,
            looked_every: found.looked_every,
            sample,
        })
    }

    fn reaches<'e>(&self, expr: &'e Expr) -> Vec<Reach<'e>> {
        let mut found = Vec::new();
        candidates::reaches(expr, self.options.lookback, &mut found);
        found
    }

    fn turn(&self, expr: &Expr, at: Timestamp, work: &Work) -> Option<Turn> {
        if !work.take(&work.turns, "conditions") {
            return None;
        }
        self.turned(expr, at).map_err(|error| work.stop(error.to_string())).ok()
    }

    fn evaluate(&self, expr: &Expr, at: Timestamp) -> Result<Full, EvalError> {
        let answer = Query::from_expr(expr.clone()).instant(self.source, at, &self.options)?;
        Ok(match answer.value {
            Value::Vector(elements) => Full::Vector(elements.into_iter().map(|one| (one.labels, one.value)).collect()),
            Value::Scalar(sample) => Full::Scalar(sample.v),
            Value::String(..) | Value::Matrix(_) => Full::Nothing,
        })
    }

    fn part(&self, expr: &Expr, at: Timestamp, work: &Work) -> (Part, Full) {
        let expr = expr.without_parens();
        let mut part = Part {
            text: expr.to_string(),
            at,
            value: PartValue::Skipped,
            turn: None,
            compared: Vec::new(),
            compared_total: 0,
            series: Vec::new(),
            series_total: 0,
            finding: None,
            hints: Vec::new(),
            children: Vec::new(),
        };
        if !work.take(&work.parts, "parts") {
            return (part, Full::Nothing);
        }
        match &expr.kind {
            ExprKind::Range { selector, range } => {
                self.window(&mut part, selector, *range, Takes::All, at);
                part.value = PartValue::Windows;
                return (part, Full::Nothing);
            }
            ExprKind::Subquery { expr: inner, range, step, shift, .. } => {
                let step = step.unwrap_or(self.options.default_step).0.max(1);
                let end = base(shift, at);
                let last = Timestamp(end.0.div_euclid(step) * step);
                let (child, _) = self.part(inner, last, work);
                let (steps, every) = (range.0 / step, Millis(step));
                part.hints
                    .push(format!("evaluated at {steps} steps of {every} up to {last}; the last one is shown below"));
                part.value = PartValue::Windows;
                part.series_total = 1;
                part.children = vec![child];
                return (part, Full::Nothing);
            }
            _ => {}
        }
        let full = match self.evaluate(expr, at) {
            Ok(full) => full,
            Err(error) => {
                if error == EvalError::TimedOut {
                    work.stop(error.to_string());
                }
                part.value = PartValue::Failed(error.to_string());
                return (part, Full::Nothing);
            }
        };
        part.value = self.shown(&full);
        let mut below = Vec::new();
        for child in expr.children() {
            let (child, full) = match constant(child) {
                Some(v) => (None, Full::Scalar(v)),
                None => {
                    let (child, full) = self.part(child, at, work);
                    (Some(child), full)
                }
            };
            part.children.extend(child);
            below.push(full);
        }
        match &expr.kind {
            ExprKind::Selector(selector) => self.window(&mut part, selector, self.options.lookback, Takes::Latest, at),
            ExprKind::Binary(binary) => self.binary(&mut part, binary, &below, &full),
            _ => part.finding = finding_of(expr, &part, &full),
        }
        let turns = match &expr.kind {
            ExprKind::Binary(binary) => binary.op.is_comparison() || binary.op.is_set(),
            ExprKind::Call { function, .. } => matches!(function, Function::Absent | Function::AbsentOverTime),
            _ => false,
        };
        if turns {
            part.turn = self.turn(expr, at, work);
        }
        (part, full)
    }

    /// What a selector sees.
    fn window(&self, part: &mut Part, selector: &Selector, length: Millis, takes: Takes, at: Timestamp) {
        let until = base(&selector.shift, at);
        let range = TimeRange { after: until - length, until };
        let limits = (SHOWN_MAX, self.options.samples_max);
        match windows::evidence(self.source, &selector.matchers, range, takes, self.focus.as_ref(), limits) {
            Ok((series, total)) => (part.series, part.series_total) = (series, total),
            Err(error) => part.hints.push(error.to_string()),
        }
        let is_empty = match &part.value {
            PartValue::Vector { total, .. } => *total == 0,
            _ => part.series_total == 0,
        };
        if is_empty {
            let known = absence::known_until(until, KNOWN_BACK.max(length));
            match absence::explain(self.names, &selector.matchers, range, known) {
                Ok((finding, hints)) => (part.finding, part.hints) = (Some(finding), hints),
                Err(error) => part.hints.push(error.to_string()),
            }
        }
    }

    fn binary(&self, part: &mut Part, binary: &Binary, below: &[Full], full: &Full) {
        let [lhs, rhs] = below else { return };
        let mut all = if binary.op.is_comparison() { compare::pairs(binary, lhs, rhs) } else { Vec::new() };
        part.compared_total = all.len();
        let rank = |pair: &Compared| {
            let alike = self.focus.as_ref().is_none_or(|focus| is_alike(focus, &pair.labels));
            (!alike, !pair.holds)
        };
        all.sort_by(|a, b| rank(a).cmp(&rank(b)).then(a.distance().total_cmp(&b.distance())));
        all.truncate(SHOWN_MAX);
        part.compared = all;
        let nothing = full.is_empty() || (binary.returns_bool && part.compared.iter().all(|pair| !pair.holds));
        if !nothing {
            return;
        }
        part.finding = if binary.op == BinaryOp::Or {
            Some("both sides are empty".to_owned())
        } else if lhs.is_empty() {
            Some("its left side is empty".to_owned())
        } else if rhs.is_empty() && binary.op != BinaryOp::Unless {
            Some("its right side is empty".to_owned())
        } else if let Some(pair) = part.compared.first() {
            let (v, flips) = (crate::model::float_text(pair.lhs), pair.flips_at());
            let by = crate::model::float_text(pair.distance());
            Some(format!(
                "none of {} holds; the nearest, {}, is {v} and would have to be {flips}: {by} away",
                part.compared_total, pair.labels
            ))
        } else {
            compare::unpaired(binary, lhs, rhs)
        };
    }

    /// Some elements, those that matter first.
    fn shown(&self, full: &Full) -> PartValue {
        match full {
            Full::Scalar(v) => PartValue::Scalar(*v),
            Full::Nothing => PartValue::Windows,
            Full::Vector(elements) => {
                let mut all: Vec<&(Labels, ElementValue)> = elements.iter().collect();
                let size = |value: &ElementValue| match value {
                    ElementValue::Number(v) => v.abs(),
                    ElementValue::Histogram(_) => 0.0,
                };
                let rank = |labels: &Labels| match &self.focus {
                    Some(focus) if is_alike(focus, labels) => 0,
                    Some(focus) => 1 + focus.len().saturating_sub(shared(focus, labels)),
                    None => 0,
                };
                all.sort_by(|a, b| rank(&a.0).cmp(&rank(&b.0)).then(size(&b.1).total_cmp(&size(&a.1))));
                let some = all.into_iter().take(SHOWN_MAX);
                let elements = some.map(|(labels, value)| Element { labels: labels.clone(), value: value.clone() });
                PartValue::Vector { elements: elements.collect(), total: full.elements().len() }
            }
        }
    }
}

/// An expression whose past is asked for.
struct Asked<'a, 'e> {
    of: &'a Explainer<'a>,
    expr: &'e Expr,
    reaches: Vec<Reach<'e>>,
}

impl Asked<'_, '_> {
    /// Whether elements say that it holds.
    fn is_true(&self, labels: &Labels, v: Option<f64>) -> bool {
        let alike = self.of.focus.as_ref().is_none_or(|focus| is_alike(focus, labels));
        alike && (!gives_bool(self.expr) || v != Some(0.0))
    }
}

impl Past for Asked<'_, '_> {
    type Error = EvalError;

    fn range(&self, start: Timestamp, end: Timestamp, step: Millis) -> Result<Vec<bool>, EvalError> {
        let answer = Query::from_expr(self.expr.clone()).range(self.of.source, start, end, step, &self.of.options)?;
        let count = usize::try_from((end - start).0 / step.0).unwrap_or(0) + 1;
        let mut states = vec![false; count];
        let mut mark = |t: Timestamp| {
            if let Some(state) = usize::try_from((t - start).0 / step.0).ok().and_then(|at| states.get_mut(at)) {
                *state = true;
            }
        };
        if let Value::Matrix(series) = answer.value {
            for series in &series {
                let told = series.samples.iter().filter(|sample| self.is_true(&series.labels, Some(sample.v)));
                told.for_each(|sample| mark(sample.t));
                let told = series.histograms.iter().filter(|_| self.is_true(&series.labels, None));
                told.for_each(|sample| mark(sample.t));
            }
        }
        Ok(states)
    }

    fn point(&self, at: Timestamp) -> Result<bool, EvalError> {
        Ok(match self.of.evaluate(self.expr, at)? {
            Full::Vector(elements) => elements.iter().any(|(labels, value)| {
                let v = match value {
                    ElementValue::Number(v) => Some(*v),
                    ElementValue::Histogram(_) => None,
                };
                self.is_true(labels, v)
            }),
            Full::Scalar(v) => self.is_true(&Labels::empty(), Some(v)),
            Full::Nothing => false,
        })
    }

    fn candidates(&self, range: TimeRange) -> Result<Vec<Timestamp>, EvalError> {
        Ok(candidates::changes(self.of.source, &self.reaches, range, self.of.focus.as_ref())?)
    }
}

/// Whether 0 means that it does not hold.
fn gives_bool(expr: &Expr) -> bool {
    matches!(&expr.without_parens().kind, ExprKind::Binary(binary) if binary.returns_bool)
}

/// The instant that a shifted selector looks from.
fn base(shift: &Shift, at: Timestamp) -> Timestamp {
    let from = match shift.at {
        Some(At::Time(t)) => t,
        Some(At::Start | At::End) | None => at,
    };
    from - shift.offset
}

fn constant(expr: &Expr) -> Option<f64> {
    match &expr.without_parens().kind {
        ExprKind::Number(v) => Some(*v),
        ExprKind::Duration(span) => Some(span.as_seconds()),
        ExprKind::String(_) => Some(f64::NAN),
        ExprKind::Unary { negative, expr } => constant(expr).map(|v| if *negative { -v } else { v }),
        _ => None,
    }
}

/// Why a function or an aggregation gives nothing.
fn finding_of(expr: &Expr, part: &Part, full: &Full) -> Option<String> {
    if !full.is_empty() {
        return None;
    }
    if let ExprKind::Call { function: Function::Absent | Function::AbsentOverTime, .. } = &expr.kind {
        return Some("there is something, so that nothing is absent".to_owned());
    }
    match part.children.iter().all(|child| child.is_empty()) {
        true => Some("there is nothing for it to work on".to_owned()),
        false => Some("what it works on is not enough for a value: a rate needs two samples in its window".to_owned()),
    }
}
