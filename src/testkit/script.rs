//! Runs scripts in Prometheus' test language for PromQL: `load`, `eval`, `expect`, `clear`.
//!
//! Invariants:
//! - Every evaluation passes or fails: none is skipped.
//! - An instant evaluation is asked again in other ways that must agree: with every selector
//!   pinned by `@` at other evaluation times, and as the middle step of a range query.

pub(super) mod native;
mod nhcb;
pub(super) mod read;
mod show;
mod store;

use std::fmt;
use std::sync::Arc;

use regex::Regex;

use self::native::Literal;
use self::nhcb::Classic;
use self::read::{offsets, read_eval, series, values};
pub use self::store::MemorySeries;

use crate::model::{HistogramSample, Labels, Millis, STALE_NAN, Sample, Timestamp};
use crate::promql::kernel::FloatHistogram;
use crate::promql::{
    Answer, At, ElementValue, EvalOptions, Expr, ExprKind, Function, MatrixSeries, NameDropping, Query,
    StartTimestamps, Value, VectorSample, parse, parse_selector,
};

/// What became of a script.
#[derive(Debug, Clone, Default)]
pub struct ScriptReport {
    /// How many evaluations gave what was expected.
    pub passed: usize,
    /// Those that did not.
    pub failed: Vec<Failure>,
}

/// An evaluation that did not give what was expected, or a line that is not of the language.
#[derive(Debug, Clone)]
pub struct Failure {
    /// The line in the script, counted from 1.
    pub line: usize,
    /// The command.
    pub command: String,
    /// What is wrong.
    pub reason: String,
    /// The lines of the script that say what was expected.
    pub expected: Vec<String>,
    /// What the query gave, in the notation of the scripts.
    pub got: Vec<String>,
}

/// Runs a script from an empty store on.
pub fn run_script(text: &str) -> ScriptReport {
    let mut runner = Runner::new();
    let lines: Vec<&str> =
        text.lines().map(|line| if line.trim().starts_with('#') { "" } else { line.trim() }).collect();
    let mut at = 0;
    while at < lines.len() {
        if lines[at].is_empty() {
            at += 1;
            continue;
        }
        // `clear` has no lines of its own, so that the next command may follow at once.
        let length = match lines[at] {
            "clear" => 1,
            _ => lines[at..].iter().position(|line| line.is_empty()).unwrap_or(lines.len() - at),
        };
        runner.block(at + 1, lines[at], &lines[at + 1..at + length]);
        at += length;
    }
    runner.report
}

struct Runner {
    store: MemorySeries,
    /// Functions that look at the query as a whole.
    of_query: Option<Regex>,
    options: EvalOptions,
    report: ScriptReport,
}

/// An `eval` with its expectations.
struct Eval {
    query: String,
    times: Times,
    ordered: bool,
    fail: Option<Option<Expected>>,
    warnings: Notes,
    infos: Notes,
    values: Values,
}

#[derive(Clone, Copy)]
enum Times {
    Instant(Timestamp),
    Range(Timestamp, Timestamp, Millis),
}

enum Expected {
    Text(String),
    Pattern(Regex),
}

impl Expected {
    fn matches(&self, text: &str) -> bool {
        match self {
            Expected::Text(expected) => expected == text,
            Expected::Pattern(pattern) => pattern.is_match(text),
        }
    }
}

#[derive(Default)]
struct Notes {
    none: bool,
    expected: Vec<Option<Expected>>,
}

impl Notes {
    fn check(&self, kind: &str, found: &[String]) -> Result<(), String> {
        if self.none && !found.is_empty() {
            return Err(format!("no {kind} expected, found {found:?}"));
        }
        for expected in &self.expected {
            if !found.iter().any(|text| expected.as_ref().is_none_or(|expected| expected.matches(text))) {
                return Err(format!("a {kind} expected, found {found:?}"));
            }
        }
        let known = |text: &String| self.expected.iter().any(|e| e.as_ref().is_none_or(|e| e.matches(text)));
        match found.iter().find(|text| !self.expected.is_empty() && !known(text)) {
            Some(text) => Err(format!("unexpected {kind}: {text}")),
            None => Ok(()),
        }
    }
}

/// A value of a series.
#[derive(Debug, Clone)]
pub(super) enum Point {
    Number(f64),
    Histogram(Box<Literal>),
}

impl Point {
    fn found(histogram: FloatHistogram) -> Point {
        Point::Histogram(Box::new(Literal { histogram, says_hint: true }))
    }

    fn of(value: &ElementValue) -> Point {
        match value {
            ElementValue::Number(v) => Point::Number(*v),
            ElementValue::Histogram(histogram) => Point::found((&**histogram).into()),
        }
    }

    /// Whether a value that was found is this one, within a millionth.
    fn is_like(&self, found: &Point) -> bool {
        match (self, found) {
            (Point::Number(a), Point::Number(b)) => almost_equal(*a, *b),
            (Point::Histogram(a), Point::Histogram(b)) => a.is_like(&b.histogram),
            _ => false,
        }
    }
}

impl fmt::Display for Point {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Point::Number(v) => write!(f, "{v}"),
            Point::Histogram(literal) => f.write_str(&native::written(&literal.histogram)),
        }
    }
}

/// A series with the value of each step; absent at a gap.
type Line = (Labels, Vec<Option<Point>>);

enum Values {
    Scalar(f64),
    Text(String),
    Series(Vec<Line>),
    /// A range vector, with the first instant and the step.
    Matrix(Vec<Line>, Timestamp, Millis),
}

impl Runner {
    fn new() -> Runner {
        Runner {
            store: MemorySeries::default(),
            of_query: Regex::new(r"(?i)(start|end|range|step)\(\)").ok(),
            options: EvalOptions {
                name_dropping: NameDropping::Delayed,
                start_timestamps: StartTimestamps::Used,
                samples_max: 100_000,
                ..EvalOptions::default()
            },
            report: ScriptReport::default(),
        }
    }

    fn block(&mut self, line: usize, head: &str, body: &[&str]) {
        let word = head.split_whitespace().next().unwrap_or_default();
        let done = match word.to_ascii_lowercase().as_str() {
            "clear" => {
                self.store = MemorySeries::default();
                Ok(())
            }
            "load" => self.load(head, body, false),
            "load_with_nhcb" => self.load(head, body, true),
            word if word.starts_with("eval") => self.eval(head, body),
            _ => Err(format!("invalid command {word:?}")),
        };
        if let Err(reason) = done {
            let expected = body.iter().map(|line| (*line).to_owned()).collect();
            let got = if word.starts_with("eval") { self.found(head, body) } else { Vec::new() };
            self.report.failed.push(Failure { line, command: head.to_owned(), reason, expected, got });
        }
    }

    fn load(&mut self, head: &str, body: &[&str], converts: bool) -> Result<(), String> {
        let step = head.split_whitespace().nth(1).ok_or("a step is missing")?;
        let step = Millis::parse(step).map_err(|error| error.to_string())?;
        let mut classic = Classic::default();
        let mut starts: Option<(Labels, Vec<Option<Millis>>)> = None;
        for line in body {
            let (labels, rest, start_times) = series(line)?;
            if start_times {
                starts = Some((labels, offsets(rest)?));
                continue;
            }
            let values = values(rest)?;
            let offsets = match starts.take() {
                None => Vec::new(),
                Some((of, offsets)) if of == labels && offsets.len() == values.len() => offsets,
                Some((of, _)) => return Err(format!("the start timestamps of {of} do not fit the line after them")),
            };
            let mut numbers = Vec::new();
            for (i, value) in values.into_iter().enumerate() {
                let t = Timestamp(step.0 * i as i64);
                let start = offsets.get(i).copied().flatten().map_or(Timestamp(0), |offset| t + offset);
                match value {
                    None => {}
                    Some(Point::Number(v)) => {
                        numbers.push(Sample { t, v });
                        self.store.insert_with_start(labels.clone(), Sample { t, v }, start);
                    }
                    Some(Point::Histogram(literal)) => {
                        let histogram = Arc::new(literal.histogram.to_histogram());
                        self.store.insert_histogram(labels.clone(), HistogramSample { t, start, histogram });
                    }
                }
            }
            if converts {
                classic.add(&labels, &numbers)?;
            }
        }
        for (labels, t, histogram) in classic.convert()? {
            let histogram = Arc::new(histogram.to_histogram());
            self.store.insert_histogram(labels, HistogramSample { t, start: Timestamp(0), histogram });
        }
        match starts {
            Some((of, _)) => Err(format!("no values follow the start timestamps of {of}")),
            None => Ok(()),
        }
    }

    fn eval(&mut self, head: &str, body: &[&str]) -> Result<(), String> {
        let eval = read_eval(head, body)?;
        self.check(&eval)?;
        self.report.passed += 1;
        Ok(())
    }

    /// What an evaluation gives, for people.
    fn found(&self, head: &str, body: &[&str]) -> Vec<String> {
        match read_eval(head, body).map(|eval| self.ask(&eval)) {
            Ok(Ok(answer)) => show::show(&answer),
            Ok(Err(error)) => vec![error],
            Err(_) => Vec::new(),
        }
    }

    fn ask(&self, eval: &Eval) -> Result<Answer, String> {
        Query::new(&eval.query).map_err(|error| error.to_string()).and_then(|query| {
            match eval.times {
                Times::Instant(at) => query.instant(&self.store, at, &self.options),
                Times::Range(start, end, step) => query.range(&self.store, start, end, step, &self.options),
            }
            .map_err(|error| error.to_string())
        })
    }

    fn check(&self, eval: &Eval) -> Result<(), String> {
        let answer = self.ask(eval);
        match (&eval.fail, answer) {
            (None, Err(error)) => Err(error),
            (Some(_), Ok(answer)) => Err(format!("an error expected, found {:?}", answer.value)),
            (Some(Some(expected)), Err(error)) if !expected.matches(&error) => {
                Err(format!("another error expected: {error}"))
            }
            (Some(_), Err(_)) => Ok(()),
            (None, Ok(answer)) => {
                compare(eval, &answer)?;
                eval.warnings.check("warning", &answer.warnings)?;
                eval.infos.check("info", &answer.infos)?;
                match eval.times {
                    Times::Instant(at) => self.ask_otherwise(eval, at),
                    Times::Range(..) => Ok(()),
                }
            }
        }
    }

    /// Asks for the same values in other ways.
    fn ask_otherwise(&self, eval: &Eval, at: Timestamp) -> Result<(), String> {
        let expr = parse(&eval.query).map_err(|error| error.to_string())?;
        if let Some(pinned) = pinned(&expr, at) {
            let query = Query::from_expr(pinned);
            let far = [at.0.saturating_mul(-10), 0, at.0 / 5, at.0, at.0.saturating_mul(10)];
            let near = [-1000, 0, 1000];
            for t in if at.0 == 0 { near.as_slice() } else { &far }.iter().copied() {
                let answer =
                    query.instant(&self.store, Timestamp(t), &self.options).map_err(|error| error.to_string())?;
                compare(eval, &answer).map_err(|error| format!("with @ at {t} ms: {error}"))?;
            }
        }
        let (Values::Series(_) | Values::Scalar(_)) = &eval.values else { return Ok(()) };
        if eval.ordered || self.of_query.as_ref().is_some_and(|functions| functions.is_match(&eval.query)) {
            return Ok(());
        }
        let minute = Millis::minutes(1);
        let answer = Query::from_expr(expr)
            .range(&self.store, at - minute, at + minute, minute, &self.options)
            .map_err(|error| error.to_string())?;
        compare(eval, &middle(&eval.values, answer, at)).map_err(|error| format!("as a range query: {error}"))
    }
}

/// The answer at one step of a range query, in the form of an instant query's.
fn middle(expected: &Values, answer: Answer, at: Timestamp) -> Answer {
    let Value::Matrix(matrix) = answer.value else { return answer };
    let mut samples = matrix.into_iter().filter_map(|series| {
        let number = series.samples.iter().find(|sample| sample.t == at).map(|sample| ElementValue::Number(sample.v));
        let histogram = series.histograms.iter().find(|sample| sample.t == at);
        let value = number.or(histogram.map(|sample| ElementValue::Histogram(sample.histogram.clone())))?;
        Some(VectorSample { labels: series.labels, t: at, value })
    });
    let value = match expected {
        Values::Scalar(_) => match samples.next() {
            Some(one) => Value::Scalar(Sample { t: at, v: one.number().unwrap_or(f64::NAN) }),
            None => Value::Vector(Vec::new()),
        },
        _ => Value::Vector(samples.collect()),
    };
    Answer { value, warnings: Vec::new(), infos: Vec::new() }
}

/// Visits every node that `visit` lets it reach.
fn walk(expr: &mut Expr, visit: &mut impl FnMut(&mut Expr) -> bool) {
    if !visit(expr) {
        return;
    }
    match &mut expr.kind {
        ExprKind::Paren(inner) | ExprKind::Unary { expr: inner, .. } | ExprKind::Subquery { expr: inner, .. } => {
            walk(inner, visit);
        }
        ExprKind::Binary(binary) => {
            walk(&mut binary.lhs, visit);
            walk(&mut binary.rhs, visit);
        }
        ExprKind::Aggregate(aggregate) => {
            aggregate.param.iter_mut().for_each(|param| walk(param, visit));
            walk(&mut aggregate.expr, visit);
        }
        ExprKind::Call { args, .. } => args.iter_mut().for_each(|arg| walk(arg, visit)),
        _ => {}
    }
}

/// The expression with every selector and subquery fixed at `at`; nothing if a function in it
/// looks at the evaluation time.
fn pinned(expr: &Expr, at: Timestamp) -> Option<Expr> {
    use Function as F;
    let mut expr = expr.clone();
    let mut safe = true;
    walk(&mut expr, &mut |node| {
        match &mut node.kind {
            ExprKind::Selector(selector) | ExprKind::Range { selector, .. } => {
                selector.shift.at.get_or_insert(At::Time(at));
            }
            ExprKind::Subquery { shift, .. } => {
                shift.at.get_or_insert(At::Time(at));
                return false;
            }
            ExprKind::Call { function, .. } => {
                safe &= !matches!(
                    function,
                    F::DaysInMonth
                        | F::DayOfMonth
                        | F::DayOfWeek
                        | F::DayOfYear
                        | F::Hour
                        | F::Minute
                        | F::Month
                        | F::Year
                        | F::PredictLinear
                        | F::End
                        | F::Range
                        | F::Start
                        | F::Step
                        | F::Time
                        | F::Timestamp
                );
            }
            _ => {}
        }
        true
    });
    safe.then_some(expr)
}

fn compare(eval: &Eval, answer: &Answer) -> Result<(), String> {
    match (&eval.values, &answer.value) {
        (Values::Scalar(expected), Value::Scalar(found)) if almost_equal(*expected, found.v) => Ok(()),
        (Values::Text(expected), Value::String(_, found)) if expected == found => Ok(()),
        (Values::Series(expected), Value::Vector(found)) => {
            let found = found.iter().map(|one| (&one.labels, vec![Some(Point::of(&one.value))]));
            compare_series(expected, found.collect(), eval.ordered)
        }
        (Values::Series(expected), Value::Matrix(found)) => {
            let Times::Range(start, end, step) = eval.times else {
                return Err("an instant vector expected".to_owned());
            };
            let count = usize::try_from((end.0 - start.0) / step.0 + 1).unwrap_or(0);
            let on_steps = |series: &MatrixSeries| aligned(series, start, step, count);
            compare_series(expected, found.iter().map(|series| (&series.labels, on_steps(series))).collect(), false)
        }
        (Values::Matrix(expected, start, step), Value::Matrix(found)) => {
            let count = expected.iter().map(|(_, values)| values.len()).max().unwrap_or(0);
            let on_steps = |series: &MatrixSeries| aligned(series, *start, *step, count);
            compare_series(expected, found.iter().map(|series| (&series.labels, on_steps(series))).collect(), false)
        }
        (_, found) => Err(format!("found {found:?}")),
    }
}

fn aligned(series: &MatrixSeries, start: Timestamp, step: Millis, count: usize) -> Vec<Option<Point>> {
    let at = |i: usize| {
        let t = Timestamp(start.0 + step.0 * i as i64);
        let number = series.samples.iter().find(|sample| sample.t == t).map(|sample| Point::Number(sample.v));
        let histogram = series.histograms.iter().find(|sample| sample.t == t);
        number.or(histogram.map(|sample| Point::found((&*sample.histogram).into())))
    };
    (0..count).map(at).collect()
}

fn compare_series(expected: &[Line], found: Vec<(&Labels, Vec<Option<Point>>)>, ordered: bool) -> Result<(), String> {
    let shown = |point: Option<&Point>| point.map_or_else(|| "nothing".to_owned(), Point::to_string);
    let wrong = |what: String| {
        let values =
            |points: &[Option<Point>]| points.iter().map(|one| shown(one.as_ref())).collect::<Vec<_>>().join(" ");
        let lines: Vec<_> = found.iter().map(|(labels, points)| format!("{labels} {}", values(points))).collect();
        Err(format!("{what}; found {}", if lines.is_empty() { "nothing".to_owned() } else { lines.join(", ") }))
    };
    for (place, (labels, values)) in expected.iter().enumerate() {
        let Some(at) = found.iter().position(|(l, _)| *l == labels) else {
            // A line of gaps alone says that the series is not there.
            if values.iter().all(Option::is_none) {
                continue;
            }
            return wrong(format!("{labels} is missing"));
        };
        if ordered && at != place {
            return wrong(format!("{labels} stands at place {at} instead of {place}"));
        }
        let length = values.len().max(found[at].1.len());
        for step in 0..length {
            let pair = (values.get(step).and_then(Option::as_ref), found[at].1.get(step).and_then(Option::as_ref));
            match pair {
                (None, None) => {}
                (Some(a), Some(b)) if a.is_like(b) => {}
                (a, b) => return wrong(format!("{labels} at step {step}: {} expected, not {}", shown(a), shown(b))),
            }
        }
    }
    match found.iter().find(|(labels, _)| !expected.iter().any(|(l, _)| l == *labels)) {
        Some((labels, _)) => wrong(format!("{labels} is not expected")),
        None => Ok(()),
    }
}

/// Equality within a millionth, as Prometheus' own runner has it.
fn almost_equal(a: f64, b: f64) -> bool {
    if a.is_nan() || b.is_nan() {
        return a.is_nan() && b.is_nan();
    }
    if a == b {
        return true;
    }
    let (difference, sum) = ((a - b).abs(), a.abs() + b.abs());
    if a == 0.0 || b == 0.0 || sum < f64::MIN_POSITIVE {
        return difference < 1e-6 * f64::MIN_POSITIVE;
    }
    difference / sum.min(f64::MAX) < 1e-6
}
