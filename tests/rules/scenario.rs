//! Random rules over random series as a list of events that can be played, compared with the query engine, and made
//! smaller when that fails.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use evenkeel::env::Rng;
use evenkeel::model::{Batch, Labels, Millis, Timestamp};
use evenkeel::promql::{EvalOptions, Expr, ExprKind, Query, StartTimestamps, Value, ValueType};
use evenkeel::rules::{AlertingRule, Evaluator, Health, Mode, Outcome, Rule, RuleContext, RuleGroup};

use super::grammar::Grammar;
use super::stream::{Point, Stream, alert, group};
use super::world::{Histograms, World};

/// When a scenario begins.
pub(super) const BEGIN: i64 = 1_000_000;

/// Rules, and what happens to them.
#[derive(Clone)]
pub(super) struct Scenario {
    /// Each with its `for`.
    pub(super) rules: Vec<(String, Millis)>,
    /// How far back of the present the group looks.
    pub(super) query_offset: Millis,
    pub(super) events: Vec<(i64, Event)>,
}

/// What happens at an instant.
#[derive(Debug, Clone)]
pub(super) enum Event {
    /// Samples come.
    Commit(Vec<(Labels, i64, Point)>),
    /// Time passes, and everything is compared.
    Compare,
    /// The twin is stopped and started.
    Restart,
    /// The twin is given its rules anew.
    Reload,
    /// What is gone is given up.
    Tidy,
}

/// What was done.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Counts {
    pub(super) comparisons: usize,
    /// Of them, those of rules that native histograms turned to the interval.
    pub(super) polled: usize,
    /// How often a rule turned to the interval, and back.
    pub(super) turns: [usize; 2],
    pub(super) restarts: usize,
    pub(super) reloads: usize,
}

impl Counts {
    pub(super) fn add(&mut self, other: Counts) {
        self.comparisons += other.comparisons;
        self.polled += other.polled;
        (0..2).for_each(|n| self.turns[n] += other.turns[n]);
        self.restarts += other.restarts;
        self.reloads += other.reloads;
    }
}

impl Scenario {
    /// So many rules. Of an odd seed with every part of them as a rule of its own; of an even one so many more wholes
    /// alone, most of them thresholds, of whose parts nobody needs to know the last bit.
    pub(super) fn new(seed: u64, rules: usize, steps: usize, histograms: Histograms) -> Scenario {
        let mut grammar = Grammar { rng: Rng::new(seed) };
        let mut texts = Vec::new();
        if seed.is_multiple_of(2) {
            let rule = |n: usize| if n.is_multiple_of(3) { grammar.vector(n as u32 % 4) } else { grammar.threshold() };
            let wholes: BTreeSet<String> =
                (0..rules * 4).map(rule).map(|text| evenkeel::promql::parse(&text).unwrap().to_string()).collect();
            texts.extend(wholes);
        } else {
            for n in 0..rules {
                let text = grammar.vector(n as u32 % 4);
                add_parts(&evenkeel::promql::parse(&text).unwrap(), &mut texts);
            }
        }
        let mut rng = Rng::new(seed ^ 0xabc);
        let query_offset = if rng.below(5) == 0 { Millis(3000) } else { Millis::ZERO };
        let mut world = World::new(Rng::new(seed ^ 0xdef), histograms);
        let (mut at, mut events) = (BEGIN, Vec::new());
        for step in 0..steps {
            // Mostly whole seconds, often several entries at one instant.
            at += match rng.below(6) {
                0 => 0,
                1 => rng.below(900) as i64,
                _ => 1000 * (1 + rng.below(if step % 40 == 39 { 59 } else { 15 }) as i64),
            };
            events.push((at, Event::Commit(world.transaction(at))));
            if rng.below(3) > 0 {
                at = (at + 999) / 1000 * 1000;
                events.push((at, Event::Compare));
                // Values that move by themselves are up to date then, as a start makes them.
                match rng.below(9) {
                    0 => events.push((at, Event::Restart)),
                    1 => events.push((at, Event::Reload)),
                    2 => events.push((at, Event::Tidy)),
                    _ => {}
                }
            }
        }
        let holds = [0, 0, 20_300, 60_000].into_iter().map(Millis).cycle();
        Scenario { rules: texts.into_iter().zip(holds).collect(), query_offset, events }
    }

    /// Plays it beside a twin that is restarted and reloaded.
    ///
    /// # Errors
    /// What differs, and where.
    pub(super) fn play(&self) -> Result<Counts, String> {
        let mut play = Play::new(self);
        for (at, event) in &self.events {
            play.event(self, *at, event).map_err(|error| format!("at {at}: {error}"))?;
        }
        Ok(play.counts)
    }

    /// A scenario as small as can be found that fails as well.
    pub(super) fn shrink(&self) -> Scenario {
        let mut small = self.clone();
        let fails = |scenario: &Scenario| scenario.play().is_err();
        for rule in 0..small.rules.len() {
            let alone = Scenario { rules: vec![small.rules[rule].clone()], ..small.clone() };
            if fails(&alone) {
                small = alone;
                break;
            }
        }
        let mut chunk = small.events.len() / 2;
        while chunk > 0 {
            let mut at = 0;
            while at < small.events.len() {
                let mut fewer = small.clone();
                fewer.events.drain(at..(at + chunk).min(small.events.len()));
                if fails(&fewer) { small = fewer } else { at += chunk }
            }
            chunk /= 2;
        }
        for at in 0..small.events.len() {
            let Event::Commit(points) = &small.events[at].1 else { continue };
            for n in (0..points.len()).rev() {
                let mut fewer = small.clone();
                if let Event::Commit(points) = &mut fewer.events[at].1 {
                    points.remove(n);
                }
                if fails(&fewer) {
                    small = fewer;
                }
            }
        }
        small
    }

    /// The scenario as a script for people.
    pub(super) fn script(&self) -> String {
        let mut text = format!("query_offset {}\n", self.query_offset);
        for (n, (rule, hold)) in self.rules.iter().enumerate() {
            let _ = writeln!(text, "rule R{n} for {hold}: {rule}");
        }
        for (at, event) in &self.events {
            let Event::Commit(points) = event else {
                let _ = writeln!(text, "{at} {event:?}");
                continue;
            };
            let _ = writeln!(text, "{at} Commit");
            for (labels, t, point) in points {
                let _ = writeln!(text, "    {labels} {t} {point:?}");
            }
        }
        text
    }

    fn groups(&self) -> Vec<RuleGroup> {
        let rule = |(n, (text, hold)): (usize, &(String, Millis))| {
            Rule::Alerting(AlertingRule { hold: *hold, ..alert(&format!("R{n}"), text) })
        };
        let rules = self.rules.iter().enumerate().map(rule).collect();
        vec![RuleGroup { query_offset: self.query_offset, ..group(rules) }]
    }

    fn evaluator(&self) -> Evaluator {
        Evaluator::new(self.groups(), context()).unwrap()
    }
}

fn context() -> RuleContext {
    RuleContext { start_timestamps: StartTimestamps::Used, ..RuleContext::default() }
}

/// Adds an expression and all that it is made of and that has elements by itself.
fn add_parts(expr: &Expr, texts: &mut Vec<String>) {
    let text = expr.to_string();
    let is_whole = !matches!(expr.kind, ExprKind::Paren(_)) && expr.value_type() == ValueType::Vector;
    if is_whole && !texts.contains(&text) {
        texts.push(text);
    }
    expr.children().into_iter().for_each(|part| add_parts(part, texts));
}

/// A scenario under way.
struct Play {
    queries: Vec<(String, Query)>,
    stream: Stream,
    twin_stream: Stream,
    rules: Evaluator,
    twin: Evaluator,
    modes: Vec<bool>,
    last_commit: i64,
    counts: Counts,
}

impl Play {
    fn new(scenario: &Scenario) -> Play {
        let query = |(n, (text, _)): (usize, &(String, Millis))| (format!("R{n}"), Query::new(text).unwrap());
        let stream = || Stream::accepting(Millis::seconds(60));
        let mut play = Play {
            queries: scenario.rules.iter().enumerate().map(query).collect(),
            stream: stream(),
            twin_stream: stream(),
            rules: scenario.evaluator(),
            twin: scenario.evaluator(),
            modes: vec![false; scenario.rules.len()],
            last_commit: 0,
            counts: Counts::default(),
        };
        play.rules.seed(Timestamp(BEGIN), &play.stream).unwrap();
        play.twin.seed(Timestamp(BEGIN), &play.twin_stream).unwrap();
        play
    }

    fn event(&mut self, scenario: &Scenario, at: i64, event: &Event) -> Result<(), String> {
        self.pass(scenario, at)?;
        match event {
            Event::Commit(points) => {
                self.commit(at, points)?;
                self.compare(scenario, at, Look::Turned)?;
                self.last_commit = at;
            }
            Event::Compare => {
                self.tick(at)?;
                self.compare(scenario, at, Look::Followed)?;
            }
            Event::Restart => {
                self.tick(at)?;
                let bytes = self.twin.save();
                self.twin = scenario.evaluator();
                self.twin_stream.reopen();
                self.twin.seed(Timestamp(at), &self.twin_stream).unwrap();
                self.twin.restore(&bytes).unwrap();
                self.counts.restarts += 1;
            }
            Event::Reload => {
                self.tick(at)?;
                self.twin.reload(scenario.groups(), context(), &self.twin_stream).unwrap();
                self.twin.adopt(self.twin_stream.known().collect::<Vec<_>>());
                self.counts.reloads += 1;
            }
            Event::Tidy => self.rules.tidy(),
        }
        Ok(())
    }

    /// Passes every deadline before `at`.
    fn pass(&mut self, scenario: &Scenario, at: i64) -> Result<(), String> {
        loop {
            // A reload or a restart makes the twin look again at once, which tells nothing new.
            let next = [&self.rules, &self.twin].into_iter().filter_map(Evaluator::next_deadline).min();
            let Some(due) = next.filter(|due| due.0 < at) else { return Ok(()) };
            self.tick(due.0)?;
            // Other entries may have come at the instant since the rules were evaluated at it.
            if due.0 > self.last_commit {
                self.compare(scenario, due.0, Look::Evaluated)?;
            }
        }
    }

    fn tick(&mut self, at: i64) -> Result<(), String> {
        let outcome = self.rules.tick(self.stream.tick(), Timestamp(at), &self.stream);
        let twins = self.twin.tick(self.twin_stream.tick(), Timestamp(at), &self.twin_stream);
        self.take(at, outcome, twins)
    }

    fn commit(&mut self, at: i64, points: &[(Labels, i64, Point)]) -> Result<(), String> {
        let committed = self.stream.commit_points(at, points);
        let twins = self.twin_stream.commit_points(at, points);
        let outcome = self.rules.observe(&committed, &self.stream);
        let twins = self.twin.observe(&twins, &self.twin_stream);
        self.take(at, outcome, twins)
    }

    /// Both must decide the same; what they make is stored.
    fn take(&mut self, at: i64, outcome: Outcome, twins: Outcome) -> Result<(), String> {
        let (alone, twin) = (format!("{outcome:?}"), format!("{twins:?}"));
        if alone != twin {
            return Err(format!(
                "a restart or a reload changes what is decided\n undisturbed {alone}\n disturbed   {twin}"
            ));
        }
        if outcome.derived.is_empty() {
            return Ok(());
        }
        self.commit(at, &points_of(&outcome.derived))
    }

    fn compare(&mut self, scenario: &Scenario, at: i64, look: Look) -> Result<(), String> {
        let group = &self.rules.groups()[0];
        for (n, status) in group.rules.iter().enumerate() {
            let is_polled = status.mode != Mode::Incremental;
            let has_turned = is_polled != std::mem::replace(&mut self.modes[n], is_polled);
            self.counts.turns[usize::from(!is_polled)] += usize::from(has_turned);
            let is_looked_at = match look {
                Look::Followed => !is_polled,
                Look::Evaluated => is_polled && status.last_evaluation.0 == at,
                Look::Turned => is_polled && has_turned && status.last_evaluation.0 == at,
            };
            if !is_looked_at {
                continue;
            }
            let (name, query) = &self.queries[n];
            let expected = expected(query, name, &self.stream, at - scenario.query_offset.0);
            let found = match &status.health {
                Health::Err(_) => None,
                _ => Some(status.alerts.iter().map(|a| (a.labels.clone(), a.value.to_bits())).collect()),
            };
            if !same(found.as_ref(), expected.as_ref()) {
                let health = &status.health;
                return Err(format!("{name}: {}\n got {found:?} ({health:?})\nwant {expected:?}", status.expr));
            }
            self.counts.comparisons += 1;
            self.counts.polled += usize::from(is_polled);
        }
        Ok(())
    }
}

fn points_of(batch: &Batch) -> Vec<(Labels, i64, Point)> {
    let of = |s: &evenkeel::model::BatchSample| {
        (batch.series()[s.series as usize].clone(), s.sample.t.0, Point::Number(s.sample.v))
    };
    batch.samples().iter().map(of).collect()
}

type Alerts = BTreeMap<Labels, u64>;

/// The alerts that a query asks for; nothing where it has no result.
fn expected(query: &Query, name: &str, stream: &Stream, at: i64) -> Option<Alerts> {
    let options = EvalOptions { start_timestamps: StartTimestamps::Used, ..EvalOptions::default() };
    let answer = query.instant(stream, Timestamp(at), &options).ok()?;
    let Value::Vector(elements) = answer.value else { panic!("not a vector") };
    let count = elements.len();
    let alerts: Alerts = elements
        .into_iter()
        .map(|e| {
            // As in Prometheus, an alert on a native histogram has the value 0.
            let v = e.number().unwrap_or(0.0);
            (e.labels.without_metric_name().builder().set("alertname", name).build().unwrap(), v.to_bits())
        })
        .collect();
    (alerts.len() == count).then_some(alerts)
}

/// Whether both say the same to the last bit; which NaN it is does not matter.
fn same(found: Option<&Alerts>, expected: Option<&Alerts>) -> bool {
    let nan = |bits: &u64| f64::from_bits(*bits).is_nan();
    match (found, expected) {
        (Some(found), Some(expected)) => {
            let alike = |(l, v): (&Labels, &u64)| expected.get(l).is_some_and(|e| e == v || (nan(e) && nan(v)));
            found.len() == expected.len() && found.iter().all(alike)
        }
        (None, None) => true,
        _ => false,
    }
}

/// Which rules are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Look {
    Followed,
    /// Those that were evaluated at the interval just now.
    Evaluated,
    /// Those that have just ceased to be followed, and were evaluated at once.
    Turned,
}
