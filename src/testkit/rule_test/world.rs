//! The series of a test, its rules, and the instants at which they are evaluated.

use std::sync::Arc;

use super::compare::{compare_alerts, compare_samples};
use super::explain::{Told, explain_alerts, explain_expr, values_text};
use super::{RuleTestFailure, RuleTestOutcome};
use crate::config::{AlertCase, ExprCase, RuleTest, RuleTestFile};
use crate::model::{Alert, HistogramSample, Labels, Millis, Sample, Seq, TimeRange, Timestamp, Transition, limits};
use crate::promql::{ElementValue, EvalOptions, Query, SeriesSamples, SeriesSource, Until, Value, VectorSample};
use crate::rules::{RuleContext, RuleGroup, Stepwise};
use crate::testkit::MemorySeries;
use crate::testkit::script::{Point, read};

/// A test that is under way.
pub(super) struct World<'a> {
    file: &'a RuleTestFile,
    test: &'a RuleTest,
    pub(super) store: MemorySeries,
    rules: Stepwise,
    pub(super) options: EvalOptions,
    /// When the rules were evaluated last.
    pub(super) now: Timestamp,
    /// What became of alerts so far.
    pub(super) transitions: Vec<Transition>,
}

impl<'a> World<'a> {
    /// A test at its beginning.
    pub(super) fn new(
        file: &'a RuleTestFile,
        test: &'a RuleTest,
        groups: &[RuleGroup],
    ) -> Result<World<'a>, RuleTestFailure> {
        let mut store = MemorySeries::default();
        for input in &test.input_series {
            let fail = |reason: String| RuleTestFailure {
                line: input.line,
                what: format!("series {}: {reason}", input.series),
                ..RuleTestFailure::default()
            };
            let (labels, rest, _) = read::series(input.series.trim()).map_err(fail)?;
            if !rest.is_empty() {
                return Err(fail(format!("{rest:?} is behind the labels; values are written under \"values\"")));
            }
            for (n, point) in read::values(&input.values).map_err(fail)?.into_iter().enumerate() {
                let t = Timestamp(test.start.0.saturating_add(test.interval.0.saturating_mul(n as i64)));
                match point {
                    None => {}
                    Some(Point::Number(v)) => store.insert(labels.clone(), [Sample { t, v }]),
                    Some(Point::Histogram(literal)) => {
                        let histogram = Arc::new(literal.histogram.to_histogram());
                        let sample = HistogramSample { t, start: Timestamp(0), histogram };
                        store.insert_histogram(labels.clone(), sample);
                    }
                }
            }
        }
        let context = RuleContext {
            external_labels: test.external_labels.clone(),
            external_url: test.external_url.clone(),
            ..RuleContext::default()
        };
        let options = EvalOptions { default_step: file.evaluation_interval, ..EvalOptions::default() };
        let rules = Stepwise::new(groups.to_vec(), context, options.clone()).map_err(|error| RuleTestFailure {
            line: test.line,
            what: error.to_string(),
            ..RuleTestFailure::default()
        })?;
        Ok(World { file, test, store, rules, options, now: test.start, transitions: Vec::new() })
    }

    /// Evaluates the rules as often as the test needs, and checks what it expects.
    pub(super) fn run(&mut self, outcome: &mut RuleTestOutcome) {
        let step = self.file.evaluation_interval;
        let times = self.test.alerts.iter().map(|case| case.eval_time);
        let end = times.chain(self.test.exprs.iter().map(|case| case.eval_time)).max().unwrap_or_default();
        let last = end.0 / step.0;
        if last > limits::RULE_TEST_EVALUATIONS_MAX {
            let most = limits::RULE_TEST_EVALUATIONS_MAX;
            let what = format!("{last} evaluations are more than {most}; let evaluation_interval be longer");
            outcome.failures.push(RuleTestFailure { line: self.test.line, what, ..RuleTestFailure::default() });
            return;
        }
        for n in 0..=last {
            self.now = self.test.start + Millis(n * step.0);
            self.evaluate(n);
            let errors = self.rules.errors();
            if !errors.is_empty() {
                let of = |(rule, error): (String, String)| RuleTestFailure {
                    line: self.test.line,
                    what: format!("rule {rule} at {}: {error}", self.elapsed(self.now)),
                    ..RuleTestFailure::default()
                };
                outcome.failures.extend(errors.into_iter().map(of));
                return;
            }
            // What is expected between two evaluations is what the earlier one left.
            let due = |case: &&AlertCase| case.eval_time.0 / step.0 == n;
            let cases = self.test.alerts.iter().filter(due).collect::<Vec<_>>();
            if !cases.is_empty() {
                let alerts = self.rules.alerts();
                cases.into_iter().for_each(|case| self.check_alerts(case, &alerts, outcome));
            }
        }
        for case in &self.test.exprs {
            match self.check_expr(case) {
                Ok(()) => outcome.passed += 1,
                Err(failure) => outcome.failures.push(failure),
            }
        }
    }

    fn evaluate(&mut self, n: i64) {
        let seq = Seq(u64::try_from(n).unwrap_or(0) + 1);
        let made = self.rules.evaluate(seq, self.now, &Until(&self.store, self.now));
        self.transitions.extend(made.transitions);
        let labels = |at: u32| made.derived.series()[at as usize].clone();
        for one in made.derived.samples() {
            self.store.insert(labels(one.series), [one.sample]);
        }
        for one in made.derived.histograms() {
            self.store.insert_histogram(labels(one.series), one.sample.clone());
        }
    }

    fn check_alerts(&self, case: &AlertCase, alerts: &[Alert], outcome: &mut RuleTestOutcome) {
        match compare_alerts(case, alerts) {
            Ok(()) => outcome.passed += 1,
            Err(mut failure) => {
                failure.why.extend(explain_alerts(self, self.rules.groups(), case));
                outcome.failures.push(failure);
            }
        }
    }

    fn check_expr(&self, case: &ExprCase) -> Result<(), RuleTestFailure> {
        let fail = |reason: String| RuleTestFailure {
            line: case.line,
            what: format!("{} at {}: {reason}", case.expr.trim(), case.eval_time),
            ..RuleTestFailure::default()
        };
        let query = Query::new(&case.expr).map_err(|error| fail(error.to_string()))?;
        let at = self.test.start + case.eval_time;
        let found = self.ask(&query, at).map_err(fail)?;
        compare_samples(case, &found, self.file.fuzzy_compare).map_err(|mut failure| {
            failure.why.extend(explain_expr(self, query.expr(), at));
            failure
        })
    }

    /// A query's elements at an instant; a scalar is one without labels.
    pub(super) fn ask(&self, query: &Query, at: Timestamp) -> Result<Vec<VectorSample>, String> {
        let source = Until(&self.store, self.now);
        let answer = query.instant(&source, at, &self.options).map_err(|error| error.to_string())?;
        match answer.value {
            Value::Vector(elements) => Ok(elements),
            Value::Scalar(sample) => {
                let value = ElementValue::Number(sample.v);
                Ok(vec![VectorSample { labels: Labels::empty(), t: at, value }])
            }
            Value::String(..) | Value::Matrix(_) => Err("it is neither a vector nor a scalar".to_owned()),
        }
    }

    /// An instant, as the test counts them.
    pub(super) fn elapsed(&self, at: Timestamp) -> Millis {
        at - self.test.start
    }

    /// From one evaluation to the next.
    pub(super) fn step(&self) -> Millis {
        self.file.evaluation_interval
    }

    /// The first instant.
    pub(super) fn start(&self) -> Timestamp {
        self.test.start
    }

    /// All series, one line each.
    pub(super) fn data(&self) -> Vec<String> {
        let all = Until(&self.store, self.now).select(&[], TimeRange::ALL, usize::MAX).unwrap_or_default();
        let line =
            |series: &SeriesSamples| format!("{} {}", series.labels, values_text(self, series, Told::Everything));
        all.iter().map(line).collect()
    }
}
