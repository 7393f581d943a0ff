//! Which series a query may read, over which range: each selector once for the whole query.
//!
//! Invariants:
//! - Whatever evaluation asks for lies inside a read of the plan, since both compute the range
//!   of a selector by the same functions.

use std::borrow::Cow;
use std::cell::{Cell, OnceCell};
use std::ops::ControlFlow;

use super::ast::{At, Edges, Expr, ExprKind, Selector, Shift};
use super::budget::{Account, Budget};
use super::functions::Function;
use super::info::InfoSelector;
use super::kernel;
use super::query::{EvalError, EvalOptions, StartTimestamps};
use super::source::{SeriesSamples, SeriesSet, SeriesSource, SourceError};
use crate::model::{Labels, Matcher, Millis, Summarized, Summary, TimeRange, Timestamp};

/// The instants at which an expression is evaluated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Steps {
    start: Timestamp,
    interval: Millis,
    count: usize,
    /// The end that was asked for: `end()`, though it need not be a step.
    end: Timestamp,
}

impl Steps {
    /// One instant.
    pub(super) fn once(at: Timestamp) -> Steps {
        Steps { start: at, interval: Millis(1), count: 1, end: at }
    }

    /// `start`, `start + interval`, … up to `end`; `interval` is positive.
    pub(super) fn new(start: Timestamp, end: Timestamp, interval: Millis, max: usize) -> Result<Steps, EvalError> {
        let count =
            if end < start { 0 } else { (i128::from(end.0) - i128::from(start.0)) / i128::from(interval.0) + 1 };
        let count = usize::try_from(count).ok().filter(|count| *count <= max).ok_or(EvalError::TooManySamples)?;
        Ok(Steps { start, interval, count, end })
    }

    pub(super) fn count(self) -> usize {
        self.count
    }

    /// The instant of a step.
    pub(super) fn time(self, step: usize) -> Timestamp {
        Timestamp(self.start.0.saturating_add(self.interval.0.saturating_mul(step as i64)))
    }

    pub(super) fn first(self) -> Timestamp {
        self.start
    }

    pub(super) fn last(self) -> Timestamp {
        self.time(self.count.saturating_sub(1))
    }

    pub(super) fn end(self) -> Timestamp {
        self.end
    }

    pub(super) fn times(self) -> impl Iterator<Item = Timestamp> {
        (0..self.count).map(move |step| self.time(step))
    }
}

/// What a node needs to know of the query around it to find its place in time.
#[derive(Debug, Clone, Copy)]
pub(super) struct Frame {
    /// `start()` and `end()` of the whole query.
    pub(super) bounds: (Timestamp, Timestamp),
    pub(super) lookback: Millis,
    pub(super) default_step: Millis,
    pub(super) samples_max: usize,
    start_timestamps: StartTimestamps,
}

impl Frame {
    pub(super) fn new(steps: Steps, options: &EvalOptions) -> Frame {
        Frame {
            bounds: (steps.first(), steps.end()),
            lookback: options.lookback,
            default_step: options.default_step,
            samples_max: options.samples_max,
            start_timestamps: options.start_timestamps,
        }
    }

    /// Whether a function is to look at when the counting of samples began.
    pub(super) fn looks_at_starts(&self, function: Function) -> bool {
        self.start_timestamps == StartTimestamps::Used && kernel::by_starts(function)
    }

    /// The instant that a shifted node sees at `t`.
    pub(super) fn seen(&self, shift: &Shift, t: Timestamp) -> Timestamp {
        let anchor = match shift.at {
            None => t,
            Some(At::Time(at)) => at,
            Some(At::Start) => self.bounds.0,
            Some(At::End) => self.bounds.1,
        };
        anchor - shift.offset
    }

    /// The windows of `length` before each step, taken together.
    pub(super) fn span(&self, shift: &Shift, length: Millis, steps: Steps) -> TimeRange {
        TimeRange { after: self.seen(shift, steps.first()) - length, until: self.seen(shift, steps.last()) }
    }

    /// The same for a selector, which may have to look beyond the edges of its windows.
    pub(super) fn selector_span(&self, selector: &Selector, length: Millis, steps: Steps) -> TimeRange {
        let TimeRange { after, until } = self.span(&selector.shift, length, steps);
        match selector.edges {
            Edges::Plain => TimeRange { after, until },
            Edges::Anchored => TimeRange { after: after - self.lookback, until },
            Edges::Smoothed => TimeRange { after: after - self.lookback, until: until + self.lookback },
        }
    }

    /// The steps of a subquery: the multiples of its resolution inside the windows of all steps.
    pub(super) fn inner_steps(
        &self,
        range: Millis,
        step: Option<Millis>,
        shift: &Shift,
        steps: Steps,
    ) -> Result<Steps, EvalError> {
        let step = step.unwrap_or(self.default_step);
        let step = if step > Millis::ZERO { step } else { Millis(1) };
        let span = self.span(shift, range, steps);
        let first = span.after.0.div_euclid(step.0).saturating_add(1).saturating_mul(step.0);
        let until = if steps.count() == 0 { Timestamp(first - 1) } else { span.until };
        Steps::new(Timestamp(first), until, step, self.samples_max)
    }
}

/// A window is answered from a summary if so much of stored time lies between two of them: a summary
/// may have to decode a chunk's part at each edge, a few hours of samples at the usual intervals,
/// while reading all decodes everything once.
const SUMMARY_SPAN_MIN: Millis = Millis::hours(12);

/// What the query may have to read, each selector once, read when it is asked for.
pub(super) struct Reads<'s> {
    source: &'s dyn SeriesSource,
    samples: Vec<Read>,
    summaries: Vec<SummaryRead>,
    /// How many samples the query may hold yet.
    left: Cell<usize>,
    /// What it holds, beside other queries.
    account: Account,
}

/// A call of which only the values in each window were read, one for each step.
struct SummaryRead {
    function: Function,
    matchers: Vec<Matcher>,
    windows: Vec<TimeRange>,
    /// Nothing if summaries do not tell of everything.
    series: OnceCell<Option<Vec<WindowValues>>>,
    /// What is stored, where that is needed instead.
    samples: OnceCell<Vec<SeriesSamples>>,
}

struct Read {
    matchers: Vec<Matcher>,
    range: TimeRange,
    /// How many nodes ask for it.
    uses: usize,
    series: OnceCell<Vec<SeriesSamples>>,
}

impl<'s> Reads<'s> {
    /// Everything that `expr` may need.
    pub(super) fn plan(
        expr: &Expr,
        steps: Steps,
        frame: &Frame,
        source: &'s dyn SeriesSource,
        budget: Option<Budget>,
    ) -> Result<Reads<'s>, EvalError> {
        let (left, account) = (Cell::new(frame.samples_max), Account::new(budget));
        let mut reads = Reads { source, samples: Vec::new(), summaries: Vec::new(), left, account };
        collect(expr, steps, frame, source, &mut reads)?;
        Ok(reads)
    }

    /// The series of a selector; `range` is one that [`collect`] has seen.
    pub(super) fn get(&self, matchers: &[Matcher], range: TimeRange) -> Result<&[SeriesSamples], EvalError> {
        let read = self.read(matchers, range).map(|read| (read.range, &read.series));
        let Some((whole, read)) = read.or_else(|| self.untold(matchers, range)) else { return Ok(&[]) };
        if let Some(series) = read.get() {
            return Ok(series);
        }
        let room = self.left.get().min(self.account.free());
        let series = self.source.select(matchers, whole, room).map_err(|error| match error {
            SourceError::TooManySamples { .. } if room < self.left.get() => EvalError::Busy,
            other => other.into(),
        })?;
        self.hold(series.iter().map(samples_held).sum())?;
        Ok(read.get_or_init(|| series))
    }

    /// Where the samples of a call go that summaries were found not to tell of.
    fn untold(&self, matchers: &[Matcher], range: TimeRange) -> Option<(TimeRange, &OnceCell<Vec<SeriesSamples>>)> {
        let untold = |read: &&SummaryRead| matches!(read.series.get(), Some(None)) && read.matchers == matchers;
        self.summaries.iter().filter(untold).find_map(|read| {
            let hull = read.windows.iter().copied().reduce(TimeRange::hull)?;
            (hull.after <= range.after && range.until <= hull.until).then_some((hull, &read.samples))
        })
    }

    fn read(&self, matchers: &[Matcher], range: TimeRange) -> Option<&Read> {
        let covers = |read: &&Read| {
            read.range.after <= range.after && range.until <= read.range.until && read.matchers == matchers
        };
        self.samples.iter().find(covers)
    }

    /// The values of a call in its windows, if these are what is read and tell of everything.
    pub(super) fn values(
        &self,
        function: Function,
        args: &[Expr],
        steps: Steps,
        frame: &Frame,
        deadline: impl Fn() -> Result<(), EvalError>,
    ) -> Result<Option<&[WindowValues]>, EvalError> {
        let Some(read) = self.summary_read(function, args, steps, frame) else { return Ok(None) };
        if let Some(series) = read.series.get() {
            return Ok(series.as_deref());
        }
        let series = read.load(self.source, self.left.get(), &deadline)?;
        self.hold(series.as_ref().map_or(0, |series| series.len().saturating_mul(read.windows.len())))?;
        Ok(read.series.get_or_init(|| series).as_deref())
    }

    /// Whether only the values of a call in its windows are read.
    pub(super) fn are_values(&self, function: Function, args: &[Expr], steps: Steps, frame: &Frame) -> bool {
        self.summary_read(function, args, steps, frame).is_some()
    }

    fn summary_read(&self, function: Function, args: &[Expr], steps: Steps, frame: &Frame) -> Option<&SummaryRead> {
        let (selector, windows) = windows_of(function, args, steps, frame)?;
        let same = |read: &&SummaryRead| {
            read.function == function && read.windows == windows && read.matchers == selector.matchers
        };
        self.summaries.iter().find(same)
    }

    /// The series of a selector, to be read one by one.
    /// If several nodes ask for them, they are read and kept.
    pub(super) fn find(&self, matchers: &[Matcher], range: TimeRange) -> Result<Box<dyn SeriesSet + '_>, EvalError> {
        if self.read(matchers, range).is_some_and(|read| read.uses > 1) {
            return Ok(Box::new(Cow::Borrowed(self.get(matchers, range)?)));
        }
        Ok(self.source.find(matchers, range, self.left.get())?)
    }

    fn hold(&self, samples: usize) -> Result<(), EvalError> {
        self.left.set(self.left.get().checked_sub(samples).ok_or(EvalError::TooManySamples)?);
        self.account.take(samples)
    }

    /// What the query holds beside others.
    pub(super) fn account(&self) -> &Account {
        &self.account
    }

    /// How many samples and summaries the query may hold yet.
    pub(super) fn left(&self) -> usize {
        self.left.get()
    }
}

/// How many samples a series counts for: a histogram for as many as its size takes.
fn samples_held(series: &SeriesSamples) -> usize {
    let histograms = series.histograms.iter().map(|sample| kernel::native_weight(&sample.histogram));
    series.samples.len() + histograms.sum::<usize>()
}

/// A series and the values of a function in its windows.
pub(super) struct WindowValues {
    pub(super) labels: Labels,
    pub(super) values: Vec<Option<f64>>,
}

impl SummaryRead {
    fn asks_the_same(&self, other: &SummaryRead) -> bool {
        (self.function, &self.windows, &self.matchers) == (other.function, &other.windows, &other.matchers)
    }

    /// Reads the values, at most `left` of them; nothing if summaries do not tell of everything.
    fn load(
        &self,
        source: &dyn SeriesSource,
        left: usize,
        deadline: &impl Fn() -> Result<(), EvalError>,
    ) -> Result<Option<Vec<WindowValues>>, EvalError> {
        let SummaryRead { function, matchers, windows, .. } = self;
        let (mut room, mut failed, mut series) = (left, None, Vec::new());
        let told = source.summaries(matchers, windows, left, &mut |summaries| {
            let fits = room.checked_sub(windows.len()).ok_or(EvalError::TooManySamples);
            match fits.and_then(|rest| deadline().map(|()| rest)) {
                Ok(rest) => room = rest,
                Err(error) => {
                    failed = Some(error);
                    return ControlFlow::Break(());
                }
            }
            let seen = summaries.windows.iter().zip(windows.iter());
            let values = seen.map(|(summary, window)| value_in(*function, summary, *window)).collect();
            series.push(WindowValues { labels: summaries.labels, values });
            ControlFlow::Continue(())
        })?;
        failed.map_or(Ok((told == Summarized::Wholly).then_some(series)), Err)
    }
}

/// The value in a window. If all that is known is an interval around it, what adds up is not known, and
/// neither is what stood at its ends.
fn value_in(function: Function, summary: &Summary, window: TimeRange) -> Option<f64> {
    let around = summary.ends.is_some_and(|(_, last)| last.t > window.until);
    if around && !kernel::is_even(function) {
        return None;
    }
    kernel::over_summary(function, summary, window)
}

/// The windows of a call that summaries answer, one for each step.
fn windows_of<'e>(
    function: Function,
    args: &'e [Expr],
    steps: Steps,
    frame: &Frame,
) -> Option<(&'e Selector, Vec<TimeRange>)> {
    let [arg] = args else { return None };
    let ExprKind::Range { selector, range } = &arg.without_parens().kind else { return None };
    if selector.edges != Edges::Plain || !kernel::by_summary(function) || steps.count() == 0 {
        return None;
    }
    let window = |t: Timestamp| {
        let until = frame.seen(&selector.shift, t);
        TimeRange { after: until - *range, until }
    };
    Some((selector, steps.times().map(window).collect()))
}

/// Whether windows are so long and so far apart that their summaries are quicker than their samples.
fn are_long(windows: &[TimeRange]) -> bool {
    let (Some(first), Some(last)) = (windows.first(), windows.last()) else { return false };
    let apart = (last.until - first.after).0 / windows.len() as i64;
    first.until - first.after >= SUMMARY_SPAN_MIN && apart >= SUMMARY_SPAN_MIN.0
}

fn collect(
    expr: &Expr,
    steps: Steps,
    frame: &Frame,
    source: &dyn SeriesSource,
    reads: &mut Reads<'_>,
) -> Result<(), EvalError> {
    match &expr.kind {
        ExprKind::Number(_) | ExprKind::Duration(_) | ExprKind::String(_) => {}
        ExprKind::Selector(selector) => {
            add(&selector.matchers, frame.selector_span(selector, frame.lookback, steps), &mut reads.samples)
        }
        ExprKind::Range { selector, range } => {
            add(&selector.matchers, frame.selector_span(selector, *range, steps), &mut reads.samples);
        }
        ExprKind::Subquery { expr, range, step, shift, .. } => {
            let inner = frame.inner_steps(*range, *step, shift, steps)?;
            if inner.count() > 0 {
                collect(expr, inner, frame, source, reads)?;
            }
        }
        ExprKind::Paren(expr) | ExprKind::Unary { expr, .. } => collect(expr, steps, frame, source, reads)?,
        ExprKind::Binary(binary) => {
            collect(&binary.lhs, steps, frame, source, reads)?;
            collect(&binary.rhs, steps, frame, source, reads)?;
        }
        ExprKind::Aggregate(aggregate) => {
            for expr in aggregate.param.iter().chain([&aggregate.expr]) {
                collect(expr, steps, frame, source, reads)?;
            }
        }
        ExprKind::Call { function, args } => {
            if let Some((selector, windows)) = windows_of(*function, args, steps, frame) {
                let coarse = || {
                    let hull = windows.iter().copied().reduce(TimeRange::hull);
                    hull.is_some_and(|hull| source.resolution(hull) > Millis::ZERO)
                };
                // Summaries know no starts. Those of downsampled time know what the samples there do not.
                if are_long(&windows) && !frame.looks_at_starts(*function) || coarse() {
                    let (function, matchers) = (*function, selector.matchers.clone());
                    let (series, samples) = (OnceCell::new(), OnceCell::new());
                    let read = SummaryRead { function, matchers, windows, series, samples };
                    if !reads.summaries.iter().any(|other| other.asks_the_same(&read)) {
                        reads.summaries.push(read);
                    }
                    return Ok(());
                }
            }
            if *function == Function::Info {
                // The second argument selects nothing by itself.
                let selector = InfoSelector::of(args);
                add(&selector.matchers, selector.span(steps, frame), &mut reads.samples);
                return collect(&args[0], steps, frame, source, reads);
            }
            for arg in args {
                collect(arg, steps, frame, source, reads)?;
            }
        }
    }
    Ok(())
}

/// Adds a read, or widens one of the same series that it touches.
fn add(matchers: &[Matcher], range: TimeRange, reads: &mut Vec<Read>) {
    let (mut range, mut uses) = (range, 1);
    // Widening may join two reads that did not touch before, hence all that touch are taken out.
    while let Some(at) = reads.iter().position(|read| {
        read.range.after <= range.until && range.after <= read.range.until && read.matchers == matchers
    }) {
        let Read { range: other, uses: others, .. } = reads.swap_remove(at);
        uses += others;
        range = TimeRange { after: range.after.min(other.after), until: range.until.max(other.until) };
    }
    reads.push(Read { matchers: matchers.to_vec(), range, uses, series: OnceCell::new() });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::promql::{SourceError, parse};

    struct Nothing;

    impl SeriesSource for Nothing {
        fn select(&self, _: &[Matcher], _: TimeRange, _: usize) -> Result<Vec<SeriesSamples>, SourceError> {
            Ok(Vec::new())
        }
    }

    fn ranges(text: &str, start: i64, end: i64) -> Vec<(i64, i64)> {
        let steps = Steps::new(Timestamp(start), Timestamp(end), Millis(1000), usize::MAX).unwrap();
        let frame = Frame::new(steps, &EvalOptions::default());
        let reads = Reads::plan(&parse(text).unwrap(), steps, &frame, &Nothing, None).unwrap();
        let mut ranges: Vec<_> = reads.samples.iter().map(|read| (read.range.after.0, read.range.until.0)).collect();
        ranges.sort_unstable();
        ranges
    }

    #[test]
    fn each_selector_is_read_once_over_what_it_needs() {
        let check = |text: &str, expected: &[(i64, i64)]| {
            assert_eq!(ranges(text, 600_000, 900_000), expected, "{text}");
        };
        check("x", &[(300_000, 900_000)]);
        check("x[10s]", &[(590_000, 900_000)]);
        check("x / x", &[(300_000, 900_000)]);
        check("rate(x[10s]) / x offset 1m", &[(240_000, 900_000)]);
        check("x - x offset 1h", &[(-3_300_000, -2_700_000), (300_000, 900_000)]);
        check("x @ 0", &[(-300_000, 0)]);
        check("x @ end()", &[(600_000, 900_000)]);
        check("max_over_time(x[10s:1s])", &[(291_000, 900_000)]);
        check("max_over_time(rate(x[1m])[10m:7s] offset 1s)", &[(-60_000, 896_000)]);
        check("stddev_over_time(x[1d])", &[(-85_800_000, 900_000)]);
    }

    #[test]
    fn long_windows_far_apart_are_summarized() {
        let check = |text: &str, steps: Steps, expected: Option<usize>| {
            let frame = Frame::new(steps, &EvalOptions::default());
            let ExprKind::Call { function, args } = parse(text).unwrap().kind else { panic!("{text} is no call") };
            let windows = windows_of(function, &args, steps, &frame).map(|(_, windows)| windows);
            assert_eq!(windows.filter(|windows| are_long(windows)).map(|windows| windows.len()), expected, "{text}");
        };
        let once = Steps::once(Timestamp(0));
        let days = Steps::new(Timestamp(0), Timestamp(10 * 86_400_000), Millis::days(1), usize::MAX).unwrap();
        let minutes = Steps::new(Timestamp(0), Timestamp(86_400_000), Millis::minutes(1), usize::MAX).unwrap();
        check("increase(x[30d])", once, Some(1));
        check("increase((x[30d] offset 1h))", once, Some(1));
        check("increase(x[1h])", once, None);
        check("max_over_time(x[30d:1m])", once, None);
        check("quantile_over_time(0.5, x[30d])", once, None);
        check("avg_over_time(x[1d])", days, Some(11));
        check("avg_over_time(x[1d])", minutes, None);
    }

    #[test]
    fn subqueries_step_on_multiples_of_their_resolution() {
        let check = |range: i64, step: i64, at: i64, first: i64, count: usize| {
            let steps = Steps::once(Timestamp(at));
            let frame = Frame::new(steps, &EvalOptions::default());
            let inner = frame.inner_steps(Millis(range), Some(Millis(step)), &Shift::default(), steps).unwrap();
            assert_eq!((inner.first(), inner.count()), (Timestamp(first), count), "[{range}:{step}] at {at}");
        };
        check(30, 10, 100, 80, 3);
        check(30, 10, 105, 80, 3);
        check(30, 10, -5, -30, 3);
        check(5, 10, 8, 10, 0);
        check(10, 10, 10, 10, 1);
    }
}
