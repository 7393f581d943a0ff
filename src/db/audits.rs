//! Audits of the rules: what they follow beside what a query answers, away from the writers.
//!
//! Invariants:
//! - A query sees what the rules had seen, whatever was stored since.

use crate::rules::Audit;
use crate::storage::Applied;

use super::core::Core;
use super::ingest::Inner;
use super::source::{LiveSource, Source};

/// An audit with the samples that it is about.
pub(super) struct Prepared {
    audit: Audit,
    source: Source,
}

impl Core {
    /// Keeps an audit that the rules have made ready, with a view of what they have seen.
    pub(super) fn prepare_audit(&mut self, inner: &Inner, entry: &Applied) {
        if let Some(audit) = self.evaluator.take_audit() {
            let source = self.source(&inner.store, entry.seq(), entry.at());
            self.audit = Some(Prepared { audit, source: source.view() });
            inner.upkeep.ring();
        }
    }
}

impl Inner {
    /// Makes the comparison that is prepared, if any. Rules that follow something else than a query answers are
    /// filled anew from history.
    pub(super) fn audit_step(&self) {
        let Some(Prepared { audit, source }) = self.core.lock().audit.take() else { return };
        let found = audit.check(&source);
        self.counters.audited(found.is_ok());
        let Err(mismatch) = found else { return };
        tracing::error!("what is followed differs from what a query answers, and is filled anew: {mismatch}");
        let mut core = self.core.lock();
        let source = LiveSource::now(&self.store, core.evaluator.start_timestamps()).view();
        let healed = core.evaluator.reseed(&source);
        match healed {
            Ok(()) => core.evaluator.adopt(self.store.known_series()),
            Err(error) => tracing::error!("the windows of the rules cannot be filled anew: {error}"),
        }
        core.after(self);
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::sync::Arc;

    use crate::db::{Db, DbOptions, Threads};
    use crate::env::ManualClock;
    use crate::env::disk::MemoryDisk;
    use crate::model::{Batch, Labels, Millis, Sample, Timestamp};
    use crate::rules::{AlertingRule, EvaluationMode, Rule, RuleGroup};

    fn group() -> RuleGroup {
        let rule = AlertingRule {
            alert: "High".to_owned(),
            expr: crate::promql::parse("sum by (job) (sum_over_time(x[1m])) > 5").unwrap(),
            hold: Millis::minutes(10),
            keep_firing: Millis::ZERO,
            labels: Vec::new(),
            annotations: Vec::new(),
        };
        RuleGroup {
            name: "g".to_owned(),
            file: "f".to_owned(),
            interval: Millis::minutes(1),
            mode: EvaluationMode::Ingest,
            limit: 0,
            query_offset: Millis::ZERO,
            labels: Labels::empty(),
            rules: vec![Rule::Alerting(rule)],
        }
    }

    fn counts(db: &Db) -> (f64, f64) {
        let of = |name: &str| {
            let found = db.metrics().into_iter().find(|(labels, _)| labels.metric_name() == name);
            found.map(|(_, v)| v).unwrap()
        };
        (of("evenkeel_rule_audits_total"), of("evenkeel_rule_audit_mismatches_total"))
    }

    #[test]
    fn a_wrong_value_is_found_counted_and_healed() {
        let clock = Arc::new(ManualClock::new(1_000_000));
        let mut options = DbOptions::new(Path::new("/db"));
        (options.disk, options.clock) = (Arc::new(MemoryDisk::new()), Arc::clone(&clock) as _);
        (options.threads, options.rule_audit_one_in) = (Threads::None, 10);
        options.watch.groups = vec![group()];
        let db = Db::open(options).unwrap();
        let labels = |job: &str| Labels::new([("__name__", "x"), ("job", job)]).unwrap();
        let run = |seconds: i64| {
            for n in 0..seconds {
                clock.set(clock_at(&db) + 1000);
                let mut batch = Batch::new();
                for (job, v) in [("a", 6.0), ("b", 7.0 + (n % 2) as f64)] {
                    batch.push(labels(job), Sample { t: db.now(), v });
                }
                db.append(batch).unwrap();
                db.step();
            }
        };
        run(60);
        let (audits, wrong) = counts(&db);
        assert!((5.0..=7.0).contains(&audits), "{audits}");
        assert_eq!(wrong, 0.0);
        let pending = db.alerts();
        db.inner.core.lock().evaluator.distort();
        run(30);
        assert_eq!(counts(&db).1, 1.0, "one mismatch, and none after it was healed");
        assert!(counts(&db).0 > audits + 1.0);
        let since = |alerts: &[crate::model::Alert]| alerts.iter().map(|a| a.active_at).collect::<Vec<Timestamp>>();
        assert_eq!(since(&db.alerts()), since(&pending), "alerts stay as they are");
    }

    fn clock_at(db: &Db) -> i64 {
        db.now().0
    }
}
