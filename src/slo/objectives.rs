//! All objectives: the façade that the log is fed to.

use std::collections::{BTreeSet, HashMap};

use crate::model::limits;
use crate::model::{
    Alert, Committed, Labels, Sample, Seq, SeriesRef, TimeRange, Timestamp, Transition, TransitionKind,
};

use super::alert::{self, Firing};
use super::objective::{Indicator, Objective, ObjectiveError};
use super::pair::pairs_of;
use super::status::{BurnHistory, ObjectiveStatus};
use super::watch::{Bindings, Decision, Watch};

/// Every objective, watched as the log goes by.
///
/// What it gives is a function of the objectives, the state it was restored from and the log entries since:
/// a replay gives the same transitions with the same identities.
#[derive(Debug)]
pub struct Objectives {
    pub(super) watches: Vec<Watch>,
    pub(super) bindings: Bindings,
}

impl Objectives {
    /// Begins to watch these objectives, in this order.
    ///
    /// # Errors
    /// An objective cannot be kept, cannot be told from another, or could never page.
    pub fn new(objectives: Vec<Objective>) -> Result<Objectives, ObjectiveError> {
        if objectives.len() > limits::OBJECTIVES_MAX {
            return Err(ObjectiveError::TooMany { count: objectives.len(), most: limits::OBJECTIVES_MAX });
        }
        let mut seen = BTreeSet::new();
        let mut watches = Vec::with_capacity(objectives.len());
        for objective in objectives {
            let watch = checked(objective)?;
            let Objective { service, name, .. } = &watch.objective;
            if !seen.insert((service.clone(), name.clone())) {
                return Err(ObjectiveError::Duplicate { place: format!("{service}/{name}") });
            }
            watches.push(watch);
        }
        Ok(Objectives { watches, bindings: Bindings::new() })
    }

    /// Takes other objectives, with the store still open. One that counts as an earlier one of the same name
    /// did keeps its history, its series and what fires; for the others call [`Objectives::adopt`] and
    /// [`Objectives::seed`] afterwards.
    ///
    /// # Errors
    /// As [`Objectives::new`]; then nothing has changed.
    pub fn reload(&mut self, objectives: Vec<Objective>) -> Result<(), ObjectiveError> {
        let mut next = Objectives::new(objectives)?;
        let mut moved = HashMap::new();
        for (from, old) in self.watches.drain(..).enumerate() {
            let same = |new: &Watch| {
                (&new.objective.service, &new.objective.name) == (&old.objective.service, &old.objective.name)
            };
            if let Some(to) = next.watches.iter().position(same)
                && next.watches[to].objective.indicator == old.objective.indicator
            {
                next.watches[to].inherit(old);
                moved.insert(from, to);
            }
        }
        for (series, places) in &self.bindings {
            let kept: Vec<_> = places.iter().filter_map(|(from, at)| Some((*moved.get(from)?, *at))).collect();
            if !kept.is_empty() {
                next.bindings.insert(*series, kept);
            }
        }
        *self = next;
        Ok(())
    }

    /// Makes series known that the store met before these objectives were loaded. Not needed after opening
    /// a store: each series then comes as a new one with its first transaction.
    pub fn adopt(&mut self, series: impl IntoIterator<Item = (SeriesRef, Labels)>) {
        for (number, labels) in series {
            self.bind(number, &labels);
        }
    }

    fn bind(&mut self, number: SeriesRef, labels: &Labels) {
        for (n, watch) in self.watches.iter_mut().enumerate() {
            let places = self.bindings.get(&number);
            if places.is_some_and(|places| places.iter().any(|(watch, _)| *watch == n)) {
                continue;
            }
            if let Some(place) = watch.series.bind(&watch.objective.indicator, labels) {
                self.bindings.entry(number).or_default().push((n, place));
            }
        }
    }

    /// Sees a transaction and says which alerts changed.
    pub fn observe(&mut self, committed: &Committed) -> Vec<Transition> {
        for (number, labels) in &committed.new_series {
            self.bind(*number, labels);
        }
        let mut touched: HashMap<usize, Vec<(usize, Sample)>> = HashMap::new();
        for (number, sample) in &committed.samples {
            for (watch, place) in self.bindings.get(number).into_iter().flatten() {
                touched.entry(*watch).or_default().push((*place, *sample));
            }
        }
        let mut transitions = Vec::new();
        for (n, watch) in self.watches.iter_mut().enumerate() {
            let samples = touched.get(&n);
            if let Some(samples) = samples {
                watch.take(samples, committed.at);
            }
            if samples.is_some() || watch.needs(committed.at) {
                watch.advance(committed.seq, committed.at, &mut transitions);
            }
        }
        transitions
    }

    /// Sees that time has passed and says which alerts changed.
    pub fn tick(&mut self, seq: Seq, at: Timestamp) -> Vec<Transition> {
        let mut transitions = Vec::new();
        for watch in self.watches.iter_mut().filter(|watch| watch.needs(at)) {
            watch.advance(seq, at, &mut transitions);
        }
        transitions
    }

    /// When [`Objectives::tick`] should be called if nothing arrives before.
    pub fn next_deadline(&self) -> Option<Timestamp> {
        self.watches.iter().filter_map(Watch::deadline).min()
    }

    /// The alerts that fire.
    pub fn alerts(&self) -> Vec<Alert> {
        self.watches.iter().flat_map(Watch::alerts).collect()
    }

    /// How each objective stands at `at`.
    pub fn statuses(&self, at: Timestamp) -> Vec<ObjectiveStatus> {
        self.watches.iter().map(|watch| watch.status(at)).collect()
    }

    /// The burn rate of one objective at `points` instants, evenly over the range and ending with its end;
    /// absent if there is no such objective.
    pub fn burn_history(&self, service: &str, objective: &str, range: TimeRange, points: usize) -> Option<BurnHistory> {
        let named = |watch: &&Watch| watch.objective.service == service && watch.objective.name == objective;
        self.watches.iter().find(named)?.burn_history(range, points)
    }
}

impl Watch {
    /// Whether time alone has something to decide here.
    fn needs(&self, at: Timestamp) -> bool {
        self.since.is_none() || self.deadline().is_some_and(|deadline| deadline <= at)
    }

    fn advance(&mut self, seq: Seq, at: Timestamp, out: &mut Vec<Transition>) {
        for decision in self.decide(at) {
            let (kind, n) = match decision {
                Decision::Fire(n) => (TransitionKind::Firing, n),
                Decision::Resolve(n) => (TransitionKind::Resolved, n),
            };
            let pair = self.pairs[n].pair;
            let firing = self.pairs[n].firing.take().unwrap_or_else(|| {
                let [long, short] = [pair.long, pair.short].map(|length| self.history.window(at, length));
                let burn = long.ratio().unwrap_or(0.0) / self.objective.budget();
                Firing { since: at, burn, annotations: alert::annotations(&self.objective, &pair, long, short) }
            });
            let resolved_at = (kind == TransitionKind::Resolved).then_some(at);
            let changed = alert::alert(&self.objective, &pair, &firing, resolved_at);
            if kind == TransitionKind::Firing {
                self.pairs[n].firing = Some(firing);
            }
            out.push(alert::transition(seq, at, kind, changed));
        }
        self.plan();
    }

    /// Takes over what another definition of the same objective has counted.
    pub(super) fn inherit(&mut self, old: Watch) {
        if self.objective.window == old.objective.window {
            self.history = old.history;
        } else {
            self.history.fill_from(&old.history);
        }
        for state in &mut self.pairs {
            state.firing = old.pairs.iter().find(|o| o.pair == state.pair).and_then(|o| o.firing.clone());
        }
        self.input = old.input;
        self.series = old.series;
        self.waiting = old.waiting;
        self.heard = old.heard;
        self.since = old.since;
        self.decided = old.decided;
        self.plan();
    }
}

fn checked(objective: Objective) -> Result<Watch, ObjectiveError> {
    for (what, text) in [("service", &objective.service), ("name", &objective.name)] {
        if text.is_empty() {
            return Err(ObjectiveError::Unnamed { what });
        }
    }
    let place = format!("{}/{}", objective.service, objective.name);
    if !(objective.objective > 0.0 && objective.objective < 1.0 && objective.budget() > 0.0) {
        return Err(ObjectiveError::OutOfRange { place, objective: objective.objective });
    }
    let (least, most) = (crate::model::Millis::hours(1), crate::model::Millis::days(366));
    if objective.window < least || objective.window > most {
        return Err(ObjectiveError::Window { place, window: objective.window });
    }
    let empty = match &objective.indicator {
        Indicator::Ratio { good: part, total } | Indicator::ErrorRatio { errors: part, total } => {
            part.is_empty() || total.is_empty()
        }
        Indicator::Threshold { gauge, .. } => gauge.is_empty(),
    };
    if empty {
        return Err(ObjectiveError::EmptySelector { place });
    }
    let pairs = pairs_of(&objective, &place)?;
    for pair in &pairs {
        alert::labels(&objective, pair).map_err(|source| ObjectiveError::Labels { place: place.clone(), source })?;
    }
    Ok(Watch::new(objective, pairs))
}
