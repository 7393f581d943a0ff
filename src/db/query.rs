//! The read path: text, expression, one immutable view, answer.

use std::sync::Arc;

use crate::model::{
    Alert, Batch, Labels, Matcher, MetricMetadata, Millis, RawBatch, SeriesExemplar, TimeRange, Timestamp, limits,
};
use crate::promql::{self, Answer, EvalOptions, Query, SeriesSamples, SeriesSource, Workers};
use crate::rules::{AlertId, Evaluation, GroupStatus, RuleId};
use crate::slo::ObjectiveStatus;
use crate::storage::Entry;

use super::Db;
use super::cache::{RangeAsked, ResultsCache};
use super::deploys::{self, Deploy};
use super::error::{AppendError, QueryError};
use super::ingest::{Beside, Receipt, Submitted};
use super::meter::{Metered, QueryMeter};
use super::source::Source;

impl Db {
    /// Stores a transaction. When this returns, it is as durable as the store's options say and
    /// every rule and objective has seen it.
    ///
    /// # Errors
    /// Nothing of the batch is stored; the error says whether to try again.
    pub fn append(&self, batch: Batch) -> Result<Receipt, AppendError> {
        self.inner.append(batch, Beside::default())
    }

    /// Stores a transaction and what comes with it, under one sync.
    ///
    /// # Errors
    /// As [`Db::append`]. If only what comes beside fails, the samples are stored all the same.
    pub fn append_with(&self, batch: Batch, beside: Beside) -> Result<Receipt, AppendError> {
        self.inner.append(batch, beside)
    }

    /// Deletes what was stored until now of the series that satisfy all matchers, inside `range`: no
    /// query sees it any more once this returns. Its bytes go with [`Db::clean`], or when its blocks
    /// are merged. What rules and objectives decided on it stays decided.
    ///
    /// # Errors
    /// There is no matcher, too many deletes wait to be worked off, or the log refuses.
    pub fn delete_series(&self, matchers: Vec<Matcher>, range: TimeRange) -> Result<Receipt, AppendError> {
        if matchers.iter().all(|matcher| matcher.matches("")) {
            let text = "a delete needs a matcher that the empty value does not satisfy; otherwise it takes everything";
            return Err(AppendError::Invalid(text.to_owned()));
        }
        self.inner.submit(Entry::Delete { matchers, range })
    }

    /// The exemplars inside `range` of the series that an expression selects: one list a series, sorted.
    ///
    /// # Errors
    /// The text is no expression.
    pub fn exemplars(&self, text: &str, range: TimeRange) -> Result<Vec<Vec<Arc<SeriesExemplar>>>, QueryError> {
        let selectors = promql::parse(text)?.selectors();
        Ok(self.inner.store.exemplars(&selectors, range))
    }

    /// What up to `limit` metric families are, by name, all or one; different words on one, newest first.
    pub fn metadata(&self, family: Option<&str>, limit: usize) -> Vec<Vec<Arc<MetricMetadata>>> {
        self.inner.store.metadata(family, limit)
    }

    /// Queues a write request and what comes with it, without waiting: `done` is called with what
    /// [`Db::append_with`] would return for its samples, on the thread that commits it, and must be
    /// quick. Series whose labels cannot name one are left out and counted in the receipt.
    pub fn submit(
        &self,
        batch: RawBatch,
        beside: Beside,
        done: impl FnOnce(Result<Receipt, AppendError>) + Send + 'static,
    ) -> Submitted {
        self.inner.submit_write(batch, beside, Box::new(done))
    }

    /// Commits what [`Db::submit`] left until nothing waits.
    pub fn commit_waiting(&self) {
        self.inner.commit_waiting();
    }

    /// Notes in the log that a version of a service went live.
    ///
    /// # Errors
    /// The names are too long or contain a zero byte, or the log refuses.
    pub fn mark_deploy(&self, service: &str, version: &str) -> Result<Receipt, AppendError> {
        if service.is_empty() || version.is_empty() || service.contains('\0') || version.contains('\0') {
            return Err(AppendError::Invalid("a deploy needs a service and a version, without zero bytes".to_owned()));
        }
        if service.len() + version.len() > limits::DEPLOY_BYTES_MAX {
            return Err(AppendError::Invalid(format!(
                "service and version are {} bytes long; at most {} are taken",
                service.len() + version.len(),
                limits::DEPLOY_BYTES_MAX
            )));
        }
        self.inner.submit(Entry::Note(deploys::note(service, version)))
    }

    /// The value of an expression at an instant.
    ///
    /// # Errors
    /// The text is no expression, or it has no value on this data within the limits.
    pub fn query(&self, text: &str, at: Timestamp, options: &EvalOptions) -> Result<Answer, QueryError> {
        self.query_metered(text, at, options, &QueryMeter::default())
    }

    /// As [`Db::query`]; the meter counts what is read.
    ///
    /// # Errors
    /// As [`Db::query`].
    pub fn query_metered(
        &self,
        text: &str,
        at: Timestamp,
        options: &EvalOptions,
        meter: &QueryMeter,
    ) -> Result<Answer, QueryError> {
        self.inner.counters.queried();
        let query = Query::new(text)?;
        let options = self.shared(options);
        Ok(query.instant(&self.metered(meter, &options), at, &options)?)
    }

    /// The values of an expression at `start`, `start + step`, … up to `end`.
    ///
    /// # Errors
    /// As [`Db::query`]; or the span has more than 11,000 steps, or runs backwards.
    pub fn query_range(
        &self,
        text: &str,
        span: (Timestamp, Timestamp),
        step: Millis,
        options: &EvalOptions,
    ) -> Result<Answer, QueryError> {
        self.query_range_metered(text, span, step, options, &QueryMeter::default())
    }

    /// As [`Db::query_range`]; the meter counts what is read.
    ///
    /// # Errors
    /// As [`Db::query_range`].
    pub fn query_range_metered(
        &self,
        text: &str,
        span: (Timestamp, Timestamp),
        step: Millis,
        options: &EvalOptions,
        meter: &QueryMeter,
    ) -> Result<Answer, QueryError> {
        self.range(text, (span, step), options, meter, self.inner.results.as_ref())
    }

    /// As [`Db::query_range_metered`], with every step evaluated, whatever is known of earlier queries. The answer is
    /// the same.
    ///
    /// # Errors
    /// As [`Db::query_range`].
    pub fn query_range_uncached(
        &self,
        text: &str,
        span: (Timestamp, Timestamp),
        step: Millis,
        options: &EvalOptions,
        meter: &QueryMeter,
    ) -> Result<Answer, QueryError> {
        self.range(text, (span, step), options, meter, None)
    }

    fn range(
        &self,
        text: &str,
        (span, step): ((Timestamp, Timestamp), Millis),
        options: &EvalOptions,
        meter: &QueryMeter,
        results: Option<&ResultsCache>,
    ) -> Result<Answer, QueryError> {
        let (start, end) = span;
        if end < start {
            return Err(QueryError::Invalid("the end lies before the start".to_owned()));
        }
        if step <= Millis::ZERO {
            return Err(QueryError::Invalid(
                "zero or negative query resolution step widths are not accepted; try a positive number".to_owned(),
            ));
        }
        if (end - start).0 / step.0 > limits::RANGE_POINTS_MAX {
            return Err(QueryError::Invalid(
                "exceeded maximum resolution of 11,000 points per timeseries; try a larger step".to_owned(),
            ));
        }
        self.inner.counters.queried();
        let query = Query::new(text)?;
        let options = self.shared(options);
        let source = self.metered(meter, &options);
        let evaluate = |(start, end)| query.range(&source, start, end, step, &options);
        let Some(results) = results else { return Ok(evaluate(span)?) };
        let asked = RangeAsked { text, expr: query.expr(), span, step, options: &options };
        Ok(results.answer(&asked, (&self.inner.store, &source.source.snapshot), meter, &evaluate)?)
    }

    /// The options with what all queries of this database share: threads, if it has any, room, and turns.
    pub(super) fn shared(&self, options: &EvalOptions) -> EvalOptions {
        let (inner, deadline) = (&self.inner, options.deadline.clone());
        EvalOptions {
            workers: options.workers.clone().or_else(|| self.threads.workers.clone()),
            budget: Some(inner.query_budget.clone()),
            deadline: Some(inner.turns.deadline(deadline, Arc::clone(&inner.clock))),
            ..options.clone()
        }
    }

    /// Who shares the work of a query that is known to be over soon, if the database has threads: they have the usual
    /// priority, so that such a query never waits for its helpers while others work.
    pub fn quick_workers(&self) -> Option<Workers> {
        self.threads.quick_workers.clone()
    }

    fn metered<'a>(&'a self, meter: &'a QueryMeter, options: &EvalOptions) -> Metered<'a, Source> {
        let snapshot = self.inner.store.snapshot();
        let source = Source { snapshot, workers: options.workers.clone(), start_timestamps: options.start_timestamps };
        Metered { source, meter, clock: &*self.inner.clock }
    }

    /// The series that satisfy the matchers with their samples in the range, sorted by labels,
    /// staleness markers included.
    ///
    /// # Errors
    /// There are more than `samples_max` samples, or stored data cannot be read.
    pub fn select(
        &self,
        matchers: &[Matcher],
        range: TimeRange,
        samples_max: usize,
    ) -> Result<Vec<SeriesSamples>, QueryError> {
        let source = Source::new(self.inner.store.snapshot());
        source.select(matchers, range, samples_max).map_err(|error| QueryError::Eval(error.into()))
    }

    /// The series that satisfy the matchers and have a sample in the range.
    ///
    /// # Errors
    /// Stored data cannot be read.
    pub fn series(&self, matchers: &[Matcher], range: TimeRange) -> Result<Vec<Labels>, QueryError> {
        Ok(self.inner.store.snapshot().series(matchers, range)?)
    }

    /// The names of the labels of those series.
    ///
    /// # Errors
    /// Stored data cannot be read.
    pub fn label_names(&self, matchers: &[Matcher], range: TimeRange) -> Result<Vec<String>, QueryError> {
        Ok(self.inner.store.snapshot().label_names(matchers, range)?)
    }

    /// The values of one label of those series.
    ///
    /// # Errors
    /// Stored data cannot be read.
    pub fn label_values(&self, name: &str, matchers: &[Matcher], range: TimeRange) -> Result<Vec<String>, QueryError> {
        Ok(self.inner.store.snapshot().label_values(name, matchers, range)?)
    }

    /// The alerts that are pending or firing.
    pub fn alerts(&self) -> Vec<Alert> {
        self.inner.core.lock().alerts()
    }

    /// The same with their names; those of objectives and of blindness have none.
    pub fn named_alerts(&self) -> Vec<(Option<AlertId>, Alert)> {
        let core = self.inner.core.lock();
        let of_rules = core.evaluator.named_alerts().into_iter().map(|(id, alert)| (Some(id), alert));
        let others = core.objectives.alerts().into_iter().chain(core.blindness.alerts().cloned());
        of_rules.chain(others.map(|alert| (None, alert))).collect()
    }

    /// Who was told last of the alert with these labels: receiver, `firing` or `resolved`, and when.
    pub fn told(&self, labels: &Labels) -> Vec<(String, &'static str, Timestamp)> {
        self.inner.notifier.told_of(labels)
    }

    /// The rules with their state.
    pub fn rule_groups(&self) -> Vec<GroupStatus> {
        self.inner.core.lock().evaluator.groups()
    }

    /// The last evaluations of a rule, the newest first; absent if there is no such rule.
    pub fn evaluations(&self, rule: RuleId) -> Option<Vec<Evaluation>> {
        self.inner.core.lock().evaluator.evaluations(rule)
    }

    /// The objectives with their numbers.
    pub fn objectives(&self) -> Vec<ObjectiveStatus> {
        let now = self.inner.now();
        self.inner.core.lock().objectives.statuses(now)
    }

    /// The deploys known, oldest first.
    pub fn deploys(&self) -> Vec<Deploy> {
        self.inner.core.lock().deploys.list()
    }

    /// What the clock of the database shows.
    pub fn now(&self) -> Timestamp {
        self.inner.now()
    }
}
