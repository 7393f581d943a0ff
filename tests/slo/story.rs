//! A service told as a story: traffic second by second, ticks when they are due, transitions noted.

use evenkeel::model::{
    Committed, Labels, Matcher, Millis, Rejected, Sample, Seq, SeriesRef, TimeRange, Timestamp, Transition,
    TransitionKind,
};
use evenkeel::promql::{SeriesSamples, SeriesSource, SourceError};
use evenkeel::slo::{Indicator, Objective, ObjectiveStatus, Objectives};

use super::restart::replay;

pub(super) const START: i64 = 1_700_000_000_000;

/// One thing that the log holds.
#[derive(Debug, Clone)]
pub(super) enum Entry {
    Transaction(Box<Committed>),
    Tick(Seq, Timestamp),
}

pub(super) struct Story {
    pub(super) objectives: Objectives,
    pub(super) now: Timestamp,
    pub(super) log: Vec<Entry>,
    pub(super) transitions: Vec<Transition>,
    pub(super) known: Vec<Labels>,
    values: Vec<f64>,
    seq: u64,
}

pub(super) fn metric(name: &str, more: &[(&str, &str)]) -> Labels {
    Labels::new([("__name__", name)].into_iter().chain(more.iter().copied())).unwrap()
}

pub(super) fn ratio() -> Indicator {
    let requests = Matcher::equal("__name__", "requests_total");
    Indicator::Ratio {
        good: vec![requests.clone(), Matcher::equal("code", "200")].into(),
        total: vec![requests].into(),
    }
}

pub(super) fn errors() -> Indicator {
    Indicator::ErrorRatio {
        errors: vec![Matcher::equal("__name__", "errors_total")].into(),
        total: vec![Matcher::equal("__name__", "requests_total")].into(),
    }
}

/// Good and all requests under names of their own.
pub(super) fn apart() -> Indicator {
    Indicator::Ratio {
        good: vec![Matcher::equal("__name__", "ok_total")].into(),
        total: vec![Matcher::equal("__name__", "requests_total")].into(),
    }
}

pub(super) fn shop(objective: f64, indicator: Indicator) -> Objective {
    Objective::new("shop", "availability", objective, Millis::days(30), indicator)
}

impl Story {
    pub(super) fn new(objectives: Vec<Objective>) -> Story {
        Story {
            objectives: Objectives::new(objectives).unwrap(),
            now: Timestamp(START),
            log: Vec::new(),
            transitions: Vec::new(),
            known: Vec::new(),
            values: Vec::new(),
            seq: 0,
        }
    }

    fn next_seq(&mut self) -> Seq {
        self.seq += 1;
        Seq(self.seq)
    }

    /// Adds to counters and sends their values, all of them in one transaction, now.
    pub(super) fn count(&mut self, more: &[(Labels, f64)]) {
        let values: Vec<_> = more
            .iter()
            .map(|(labels, more)| {
                let n = self.number(labels);
                (labels.clone(), self.values[n] + more)
            })
            .collect();
        self.send(&values, self.now);
    }

    fn number(&mut self, labels: &Labels) -> usize {
        self.known.iter().position(|known| known == labels).unwrap_or_else(|| {
            self.known.push(labels.clone());
            self.values.push(0.0);
            self.known.len() - 1
        })
    }

    /// Sends values dated `t` in one transaction.
    pub(super) fn send(&mut self, values: &[(Labels, f64)], t: Timestamp) {
        let before = self.known.len();
        let samples: Vec<_> = values
            .iter()
            .map(|(labels, v)| {
                let n = self.number(labels);
                self.values[n] = *v;
                (SeriesRef(n as u64), Sample { t, v: *v })
            })
            .collect();
        let mut new_series: Vec<_> =
            (before..self.known.len()).map(|n| (SeriesRef(n as u64), self.known[n].clone())).collect();
        // A series can be known here by its value alone.
        for (number, _) in &samples {
            if self.is_new(*number) && new_series.iter().all(|(n, _)| n != number) {
                new_series.push((*number, self.known[number.0 as usize].clone()));
            }
        }
        let committed = Committed {
            seq: self.next_seq(),
            at: self.now,
            new_series,
            samples,
            histograms: vec![],
            starts: Vec::new(),
            coarsened: 0,
            rejected: Rejected::default(),
        };
        self.transitions.extend(self.objectives.observe(&committed));
        self.log.push(Entry::Transaction(Box::new(committed)));
    }

    fn is_new(&self, number: SeriesRef) -> bool {
        !self.log.iter().any(|entry| match entry {
            Entry::Transaction(committed) => committed.new_series.iter().any(|(n, _)| *n == number),
            Entry::Tick(..) => false,
        })
    }

    /// Lets time pass, with a tick at every deadline.
    pub(super) fn pass(&mut self, span: Millis) {
        let until = self.now + span;
        while let Some(deadline) = self.objectives.next_deadline().filter(|deadline| *deadline <= until) {
            assert!(deadline > self.now, "a deadline at {deadline} does not lie after {}", self.now);
            self.now = deadline;
            let seq = self.next_seq();
            self.transitions.extend(self.objectives.tick(seq, deadline));
            self.log.push(Entry::Tick(seq, deadline));
        }
        self.now = until;
    }

    pub(super) fn status(&self) -> ObjectiveStatus {
        self.objectives.statuses(self.now).remove(0)
    }

    /// Seconds from `since` to the first transition of this kind, severity and window after it.
    pub(super) fn after(&self, since: Timestamp, kind: TransitionKind, window: &str) -> Option<f64> {
        let found = |t: &&Transition| t.at >= since && t.kind == kind && t.alert.labels.get("window") == window;
        self.transitions.iter().find(found).map(|t| (t.at - since).as_seconds())
    }

    /// A minute of traffic at one transaction each `step` seconds: `rate` requests a second of which
    /// `bad` of a hundred fail, exactly.
    pub(super) fn traffic(&mut self, seconds: i64, step: i64, rate: f64, bad: f64) {
        let ok = metric("requests_total", &[("code", "200")]);
        let failed = metric("requests_total", &[("code", "500")]);
        let mut owed = 0.0;
        for _ in 0..seconds / step {
            self.pass(Millis::seconds(step));
            let requests = rate * step as f64;
            owed += requests * bad / 100.0;
            let failures = f64::floor(owed + 1e-9);
            owed -= failures;
            self.count(&[(ok.clone(), requests - failures), (failed.clone(), failures)]);
        }
    }
}

impl Story {
    /// What a store would hold of it.
    pub(super) fn stored(&self) -> Stored {
        let mut series: Vec<(Labels, Vec<Sample>)> = self.known.iter().map(|l| (l.clone(), Vec::new())).collect();
        for entry in &self.log {
            if let Entry::Transaction(committed) = entry {
                committed.samples.iter().for_each(|(n, sample)| series[n.0 as usize].1.push(*sample));
            }
        }
        Stored { series, since: Timestamp::MIN }
    }

    /// A process that stops anywhere and goes on from its saved state decides and counts the same.
    pub(super) fn survives_restarts(&self, objectives: &[Objective], step: usize) {
        let fresh = || Objectives::new(objectives.to_vec()).unwrap();
        for cut in (0..=self.log.len()).step_by(step) {
            let mut first = fresh();
            let mut transitions = replay(&mut first, &self.known, &self.log[..cut]);
            let bytes = first.save();
            let mut second = fresh();
            second.restore(&bytes).unwrap();
            assert!(second.save() == bytes, "saved after {cut} entries");
            assert_eq!(second.next_deadline(), first.next_deadline(), "after {cut} entries");
            transitions.extend(replay(&mut second, &self.known, &self.log[cut..]));
            assert!(transitions == self.transitions, "cut after {cut} entries");
            let same = second.statuses(self.now) == self.objectives.statuses(self.now);
            assert!(same, "statuses, cut after {cut} entries");
            assert!(second.save() == self.objectives.save(), "cut after {cut} entries");
        }
    }
}

/// Lets a story's objectives see what another one saw.
pub(super) fn again(story: &mut Story, of: &Story) {
    for entry in &of.log {
        match entry {
            Entry::Tick(seq, at) => story.transitions.extend(story.objectives.tick(*seq, *at)),
            Entry::Transaction(committed) => story.transitions.extend(story.objectives.observe(committed)),
        }
    }
    (story.known, story.values) = (of.known.clone(), of.values.clone());
    (story.now, story.seq, story.log) = (of.now, of.seq, of.log.clone());
}

/// A store of a story's samples.
pub(super) struct Stored {
    pub(super) series: Vec<(Labels, Vec<Sample>)>,
    /// Before this nothing is stored any more.
    pub(super) since: Timestamp,
}

impl SeriesSource for Stored {
    fn select(&self, matchers: &[Matcher], range: TimeRange, _most: usize) -> Result<Vec<SeriesSamples>, SourceError> {
        let mut out = Vec::new();
        for (labels, samples) in &self.series {
            if matchers.iter().all(|m| m.matches(labels.get(m.name()))) {
                let within = |sample: &&Sample| range.contains(sample.t) && sample.t > self.since;
                let samples: Vec<_> = samples.iter().filter(within).copied().collect();
                if !samples.is_empty() {
                    out.push(SeriesSamples::of_numbers(labels.clone(), samples));
                }
            }
        }
        Ok(out)
    }

    fn raw_since(&self, _: &[Matcher], range: TimeRange) -> Result<Timestamp, SourceError> {
        Ok(range.after.max(self.since))
    }
}
