//! Functions of selected series, one series at a time: a series is read, its windows slide over it, and what
//! comes out goes into its row or its group. The samples of all series are never held together.
//!
//! Invariants:
//! - The result is that of evaluating node by node, bit for bit; what that could not be said of is left to it.
//! - It does not depend on how many hands share the work.

use std::ops::ControlFlow;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use super::Evaluator;
use super::placed::Placed;
use super::row::Row;
use crate::model::{Labels, MatchOp, Millis, STALE_NAN, Sample, Timestamp, is_stale};
use crate::promql::ast::{Aggregate, AggregateOp, Edges, Expr, ExprKind, Selector};
use crate::promql::budget::Account;
use crate::promql::functions::Function;
use crate::promql::is_metadata;
use crate::promql::kernel::Accumulators;
use crate::promql::plan::Steps;
use crate::promql::query::{Deadline, EvalError, EvalOptions, NameDropping};
use crate::promql::source::{SeriesSet, SourceError};
use crate::promql::value_type::ValueType;

/// Series that one hand takes at once, at the most: their pages lie together.
const SERIES_AT_ONCE: usize = 32;
/// Values and samples that one hand takes at once where series are few: so that these are shared as well.
const WORK_AT_ONCE: usize = 30_000;
/// So many pieces are enough for all hands to end at about the same time.
const PIECES: usize = 16;
/// Parts that a piece of work is offered in at the most.
const PARTS_MAX: usize = 8;
/// What it takes to find and begin a series, in values and samples.
const SERIES_WORK: usize = 200;
/// Values and samples from which on another thread is worth waking: half a millisecond of work. On a busy
/// machine whoever shares has to wait for the other's turn.
const SHARED_WORK_MIN: usize = 100_000;
/// A usual time between two samples, to guess how many there are.
const USUAL_GAP: Millis = Millis(15_000);

/// What is asked of each of the selected series at each step.
pub(super) struct Scan<'e> {
    selector: &'e Selector,
    /// How far back a sample counts.
    length: Millis,
    /// The function of the window; absent: the newest sample.
    function: Option<Function>,
    /// The function's scalar arguments.
    params: Vec<Vec<f64>>,
}

/// Why a scan ended early.
enum Stopped {
    Failed(EvalError),
    /// There are native histograms.
    NotOnlyNumbers,
}

/// What all hands share.
struct Work<'w> {
    scan: &'w Scan<'w>,
    set: &'w dyn SeriesSet,
    options: &'w EvalOptions,
    steps: Steps,
    /// What each step sees.
    seen: Vec<Timestamp>,
    /// About how much work a series is, in values and samples.
    each: usize,
    /// The next series that nobody has taken.
    next: AtomicUsize,
    rows: AtomicUsize,
    /// Samples and values that may be held.
    left: usize,
    account: &'w Account,
    stop: AtomicBool,
    stopped: Mutex<Option<Stopped>>,
}

impl Scan<'_> {
    /// Whether its values lose the metric's name.
    fn drops_name(&self) -> bool {
        !matches!(self.function, None | Some(Function::LastOverTime | Function::FirstOverTime))
    }

    /// The function's scalar arguments by step.
    pub(super) fn params(&self) -> &[Vec<f64>] {
        &self.params
    }

    /// The one metric that is selected.
    pub(super) fn metric(&self) -> Option<&str> {
        let names = |op: MatchOp| op == MatchOp::Equal;
        let mut matchers = self.selector.matchers.iter();
        matchers.find(|m| m.name() == Labels::METRIC_NAME && names(m.op())).map(|matcher| matcher.value())
    }
}

impl Evaluator<'_> {
    /// What an expression asks of the series of one selector, if it is of that kind.
    pub(super) fn scan_of<'e>(&self, expr: &'e Expr, steps: Steps) -> Result<Option<Scan<'e>>, EvalError> {
        match &expr.without_parens().kind {
            ExprKind::Selector(selector) if selector.edges == Edges::Plain => {
                let length = self.frame.lookback;
                Ok(Some(Scan { selector, length, function: None, params: Vec::new() }))
            }
            ExprKind::Call { function, args } if !self.reads.are_values(*function, args, steps, &self.frame) => {
                self.scan_of_call(*function, args, steps)
            }
            _ => Ok(None),
        }
    }

    pub(super) fn scan_of_call<'e>(
        &self,
        function: Function,
        args: &'e [Expr],
        steps: Steps,
    ) -> Result<Option<Scan<'e>>, EvalError> {
        // Starts of counting are not given one by one, and the smoothing checks its factors by itself.
        let special = matches!(function, Function::AbsentOverTime | Function::DoubleExponentialSmoothing);
        if special || self.frame.looks_at_starts(function) {
            return Ok(None);
        }
        let mut found = None;
        for arg in args {
            match (&arg.without_parens().kind, arg.value_type()) {
                (ExprKind::Range { selector, range }, _) if selector.edges == Edges::Plain => {
                    found = Some((selector, *range))
                }
                (_, ValueType::Scalar) => {}
                _ => return Ok(None),
            }
        }
        let Some((selector, length)) = found else { return Ok(None) };
        let scalars = args.iter().filter(|arg| arg.value_type() == ValueType::Scalar);
        let params = scalars.map(|arg| self.scalar(arg, steps)).collect::<Result<Vec<_>, _>>()?;
        Ok(Some(Scan { selector, length, function: Some(function), params }))
    }

    /// A row for each series, in the order of labels and without the name that a function of one metric drops;
    /// nothing if the scan cannot say it.
    pub(super) fn scan_rows(&self, scan: &Scan<'_>, steps: Steps) -> Result<Option<Vec<Row>>, EvalError> {
        let mut set = self.find(scan, steps)?;
        set.sort();
        let work = self.work(scan, &*set, steps);
        let drops_name =
            self.options.name_dropping == NameDropping::Eager && scan.drops_name() && scan.metric().is_some();
        let taken: Mutex<Vec<(usize, Row)>> = Mutex::default();
        let one = |_part| {
            let mut rows = Vec::new();
            work.each(&mut |at, values| {
                if !values.iter().all(|v| is_stale(*v)) {
                    let count = work.rows.fetch_add(1, Ordering::Relaxed) + 1;
                    if count.saturating_mul(steps.count()) > work.left {
                        return work.stop(Stopped::Failed(EvalError::TooManySamples));
                    }
                    if let Err(error) = work.account.take(steps.count()) {
                        return work.stop(Stopped::Failed(error));
                    }
                    let mut row = Row::of_numbers(work.set.labels(at), values.to_vec());
                    if drops_name {
                        row.remove_name();
                    }
                    rows.push((at, row));
                }
                ControlFlow::Continue(())
            });
            taken.lock().unwrap_or_else(PoisonError::into_inner).append(&mut rows);
        };
        work.run(&one);
        if !work.finish()? {
            return Ok(None);
        }
        let mut rows = taken.into_inner().unwrap_or_else(PoisonError::into_inner);
        rows.sort_unstable_by_key(|(at, _)| *at);
        Ok(Some(rows.into_iter().map(|(_, row)| row).collect()))
    }

    /// A row for each group of an aggregation of what a scan gives; nothing if it cannot be said like this.
    pub(super) fn scan_groups(&self, aggregate: &Aggregate, steps: Steps) -> Result<Option<Vec<Row>>, EvalError> {
        use AggregateOp as Op;
        let op = aggregate.op;
        let simple = [Op::Sum, Op::Avg, Op::Min, Op::Max, Op::Count, Op::Group, Op::Stddev, Op::Stdvar];
        if !simple.contains(&op) || self.options.name_dropping != NameDropping::Eager {
            return Ok(None);
        }
        let Some(scan) = self.scan_of(&aggregate.expr, steps)? else { return Ok(None) };
        let drops_name = scan.drops_name();
        // Different metrics may lose what tells them apart; quantiles beyond their range have to be told of.
        let quantile = scan.function == Some(Function::QuantileOverTime);
        if (drops_name && scan.metric().is_none()) || quantile {
            return Ok(None);
        }
        let set = self.find(&scan, steps)?;
        if drops_name && ["__type__", "__unit__"].iter().any(|name| set.has_name(name)) {
            return Ok(None);
        }
        let keep = |name: &str| aggregate.grouping.keeps(name) && !(drops_name && is_metadata(name));
        let (group_of, groups) = set.groups(&keep);
        self.check_size(groups.len(), steps)?;
        let count = steps.count();
        let work = self.work(&scan, &*set, steps);
        let all: Mutex<Option<Accumulators>> = Mutex::new(None);
        let any = AtomicBool::new(false);
        let one = |_part| {
            // Two parts and a count each, while a sample is a time and a value.
            if let Err(error) = work.account.take(groups.len().saturating_mul(2 * count)) {
                let _ = work.stop(Stopped::Failed(error));
                return;
            }
            let mut accumulators = Accumulators::new(op, groups.len() * count);
            let mut present = false;
            work.each(&mut |at, values| {
                present |= accumulators.add_row(group_of[at] as usize * count, values);
                ControlFlow::Continue(())
            });
            any.fetch_or(present, Ordering::Relaxed);
            match &mut *all.lock().unwrap_or_else(PoisonError::into_inner) {
                Some(all) => all.merge(&accumulators),
                none => *none = Some(accumulators),
            }
        };
        work.run(&one);
        if !work.finish()? {
            return Ok(None);
        }
        if any.into_inner()
            && let (Some(function), Some(metric)) = (scan.function, scan.metric())
        {
            self.note_counter(function, metric, &self.place(range_of(&aggregate.expr).span));
        }
        let Some(all) = all.into_inner().unwrap_or_else(PoisonError::into_inner) else { return Ok(Some(Vec::new())) };
        let row = |(group, labels): (usize, Labels)| {
            let value = |step: usize| all.value(group * count + step).unwrap_or(f64::from_bits(STALE_NAN));
            Row::of_numbers(labels, (0..count).map(value).collect())
        };
        let mut rows: Vec<Row> = groups.into_iter().enumerate().map(row).filter(Row::is_present).collect();
        rows.sort_by(|a, b| a.labels.cmp(&b.labels));
        Ok(Some(rows))
    }

    fn find(&self, scan: &Scan<'_>, steps: Steps) -> Result<Box<dyn SeriesSet + '_>, EvalError> {
        self.check_deadline()?;
        let span = self.frame.span(&scan.selector.shift, scan.length, steps);
        self.reads.find(&scan.selector.matchers, span)
    }

    fn work<'w>(&'w self, scan: &'w Scan<'w>, set: &'w dyn SeriesSet, steps: Steps) -> Work<'w> {
        let seen: Vec<Timestamp> = steps.times().map(|t| self.frame.seen(&scan.selector.shift, t)).collect();
        let span = seen.last().zip(seen.first()).map_or(Millis::ZERO, |(last, first)| *last - *first);
        let samples = usize::try_from((span + scan.length).0 / USUAL_GAP.0).unwrap_or(0);
        Work {
            scan,
            set,
            options: self.options,
            steps,
            each: samples.saturating_add(seen.len() + SERIES_WORK),
            seen,
            next: AtomicUsize::new(0),
            rows: AtomicUsize::new(0),
            left: self.reads.left(),
            account: self.reads.account(),
            stop: AtomicBool::new(false),
            stopped: Mutex::new(None),
        }
    }
}

/// The range vector in a call, where annotations point to.
fn range_of(expr: &Expr) -> &Expr {
    let expr = expr.without_parens();
    match &expr.kind {
        ExprKind::Call { args, .. } => {
            args.iter().map(Expr::without_parens).find(|arg| matches!(arg.kind, ExprKind::Range { .. })).unwrap_or(expr)
        }
        _ => expr,
    }
}

impl Work<'_> {
    /// Lets as many hands take part as there is work for.
    fn run(&self, one: &(dyn Fn(usize) + Sync)) {
        let parts = self.set.count().div_ceil(self.at_once()).min(PARTS_MAX);
        match &self.options.workers {
            Some(workers) if parts > 1 && self.set.count().saturating_mul(self.each) >= SHARED_WORK_MIN => {
                workers.run(parts, one);
            }
            _ => one(0),
        }
    }

    /// How many series one hand takes at once.
    fn at_once(&self) -> usize {
        (WORK_AT_ONCE / self.each).max(self.set.count() / PIECES).clamp(1, SERIES_AT_ONCE)
    }

    fn stop(&self, why: Stopped) -> ControlFlow<()> {
        self.stop.store(true, Ordering::Relaxed);
        self.stopped.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(why);
        ControlFlow::Break(())
    }

    /// Whether the time is over, which stops everybody.
    fn is_late(&self) -> bool {
        let late = self.options.deadline.as_ref().is_some_and(Deadline::has_passed);
        if late {
            let _ = self.stop(Stopped::Failed(EvalError::TimedOut));
        }
        late
    }

    /// Whether everything was done; `false`: it cannot be done like this.
    fn finish(&self) -> Result<bool, EvalError> {
        match self.stopped.lock().unwrap_or_else(PoisonError::into_inner).take() {
            None => Ok(true),
            Some(Stopped::NotOnlyNumbers) => Ok(false),
            Some(Stopped::Failed(error)) => Err(error),
        }
    }

    /// Calls `take` with the values, by step, of series that nobody else has taken, until there is none.
    fn each(&self, take: &mut dyn FnMut(usize, &[f64]) -> ControlFlow<()>) {
        let at_once = self.at_once();
        let mut which = std::iter::from_fn(|| {
            if self.stop.load(Ordering::Relaxed) || self.is_late() {
                return None;
            }
            let start = self.next.fetch_add(at_once, Ordering::Relaxed);
            (start < self.set.count()).then(|| start..(start + at_once).min(self.set.count()))
        });
        let mut values = vec![f64::from_bits(STALE_NAN); self.steps.count()];
        let mut kept = Vec::new();
        let mut placed = Placed::new(&self.seen, self.scan.length, self.scan.function);
        let mut visit = |at: usize, samples: &[Sample], histograms: &[_]| {
            if !histograms.is_empty() {
                return self.stop(Stopped::NotOnlyNumbers);
            }
            if samples.len() > self.left {
                let error = SourceError::TooManySamples { limit: self.left };
                return self.stop(Stopped::Failed(error.into()));
            }
            match self.scan.function {
                None => placed.newest(samples, &mut values),
                Some(function) if samples.iter().any(|sample| is_stale(sample.v)) => {
                    kept.clear();
                    kept.extend(samples.iter().copied().filter(|sample| !is_stale(sample.v)));
                    self.slide(&mut placed, function, &kept, &mut values);
                }
                Some(function) => self.slide(&mut placed, function, samples, &mut values),
            }
            take(at, &values)
        };
        if let Err(error) = self.set.read(&mut which, &mut visit) {
            let _ = self.stop(Stopped::Failed(error.into()));
        }
    }

    /// The function of the window at each step.
    fn slide(&self, placed: &mut Placed<'_>, function: Function, samples: &[Sample], values: &mut [f64]) {
        let args = |step: usize, until: Timestamp, args: &mut Vec<f64>| {
            args.extend(self.scan.params.iter().map(|values| values[step]));
            if function == Function::PredictLinear {
                args.push(self.steps.time(step).as_seconds() - until.as_seconds());
            }
        };
        placed.slide(function, samples, args, values);
    }
}
