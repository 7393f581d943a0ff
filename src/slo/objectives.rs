//! All objectives: the façade that the log is fed to.

use std::collections::{BTreeSet, HashMap};

use crate::model::limits;
use crate::model::{
    Alert, Committed, Labels, Millis, Sample, Seq, SeriesPlace, SeriesPlaces, SeriesRef, TimeRange, Timestamp,
    Transition, TransitionKind,
};

use super::alert;
use super::burn::{Companion, Decision};
use super::composite::Composite;
use super::due::Due;
use super::episode::Episode;
use super::events::Reading;
use super::finder::Finder;
use super::groups::Groups;
use super::objective::{Indicator, Objective, ObjectiveError, Part};
use super::pair::{BurnPair, pairs_of};
use super::series::{Origin, selects};
use super::slices::Method;
use super::status::{BurnHistory, ObjectiveStatus};
use super::watch::Watch;

/// Every objective, watched as the log goes by.
///
/// What it gives is a function of the objectives, the state it was restored from and the log entries since:
/// a replay gives the same transitions with the same identities.
#[derive(Debug)]
pub struct Objectives {
    pub(super) watches: Vec<Watch>,
    /// Of each series that counts the objective, and its place there.
    pub(super) bindings: SeriesPlaces,
    pub(super) composites: Vec<Composite>,
    /// Firing alerts whose pair is watched no more; the next log entry resolves them.
    pub(super) orphans: Vec<Alert>,
    /// Episodes that began or ended and were not taken yet.
    pub(super) episodes: Vec<Episode>,
    /// Which of them a series may concern.
    finder: Finder,
    /// When time alone has something to decide. Absent: to be computed.
    due: Option<Due>,
    /// The newest instant of the log.
    now: Option<Timestamp>,
    /// Room for the samples of a transaction that count.
    touched: Vec<(SeriesPlace, Sample)>,
}

impl Objective {
    /// Whether it can be kept by itself. Whether the parts of a composite are there only all objectives together tell.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn check(&self) -> Result<(), ObjectiveError> {
        check(self).map(|_| ())
    }
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
        let (mut watches, mut whole) = (Vec::with_capacity(objectives.len()), Vec::new());
        for objective in objectives {
            if !seen.insert((objective.service.clone(), objective.name.clone())) {
                return Err(ObjectiveError::Duplicate { place: format!("{}/{}", objective.service, objective.name) });
            }
            let pairs = check(&objective)?;
            match objective.indicator {
                Indicator::Composite(_) => whole.push((objective, pairs)),
                _ => watches.push(Watch::new(objective, pairs)),
            }
        }
        let composites = whole.into_iter().map(|(objective, pairs)| composed(objective, pairs, &watches));
        let composites = composites.collect::<Result<Vec<_>, _>>()?;
        let finder = Finder::of(&watches);
        Ok(Objectives {
            watches,
            finder,
            due: None,
            composites,
            bindings: SeriesPlaces::default(),
            orphans: Vec::new(),
            episodes: Vec::new(),
            now: None,
            touched: Vec::new(),
        })
    }

    /// Takes other objectives, with the store still open. One that counts as an earlier one of the same name
    /// did keeps its history, its series and what fires; for the others call [`Objectives::adopt`] and
    /// [`Objectives::seed`] afterwards. Alerts that nothing watches any more are resolved with the next log entry,
    /// for which [`Objectives::next_deadline`] asks at once.
    ///
    /// # Errors
    /// As [`Objectives::new`]; then nothing has changed.
    pub fn reload(&mut self, objectives: Vec<Objective>) -> Result<(), ObjectiveError> {
        let mut next = Objectives::new(objectives)?;
        let mut moved = HashMap::new();
        next.now = self.now;
        next.orphans = std::mem::take(&mut self.orphans);
        next.episodes = std::mem::take(&mut self.episodes);
        for (from, old) in self.watches.drain(..).enumerate() {
            let same = |new: &Watch| {
                (&new.objective.service, &new.objective.name) == (&old.objective.service, &old.objective.name)
            };
            if let Some(to) = next.watches.iter().position(same)
                && next.watches[to].objective.indicator == old.objective.indicator
            {
                next.orphans.extend(next.watches[to].inherit(old));
                moved.insert(from as u32, to as u32);
            } else {
                next.orphans.extend(old.alerts());
            }
        }
        for old in self.composites.drain(..) {
            let gone = next.inherit_composite(old);
            next.orphans.extend(gone);
        }
        for (series, places) in self.bindings.iter() {
            let kept = places.iter().filter_map(|(from, at)| Some((*moved.get(from)?, *at)));
            next.bindings.insert(series, kept.collect());
        }
        *self = next;
        Ok(())
    }

    /// Makes series known that the store met before these objectives were loaded. Not needed after opening
    /// a store: each series then comes as a new one with its first transaction.
    pub fn adopt(&mut self, series: impl IntoIterator<Item = (SeriesRef, Labels)>) {
        for (number, labels) in series {
            self.bind(number, &labels, Origin::Store);
        }
    }

    /// Whether an objective counts what a series says.
    pub fn follows(&self, labels: &Labels) -> bool {
        self.finder.find(labels).into_iter().any(|n| selects(&self.watches[n].objective.indicator, labels))
    }

    fn bind(&mut self, number: SeriesRef, labels: &Labels, origin: Origin) {
        for n in self.finder.find(labels) {
            let watch = &mut self.watches[n];
            if self.bindings.of(number).iter().any(|(watch, _)| *watch as usize == n) {
                continue;
            }
            for reading in watch.objective.indicator.readings() {
                if let Some(place) = watch.series.bind(&watch.objective, labels, reading, origin) {
                    self.bindings.add(number, (n as u32, place as u32));
                }
            }
        }
    }

    /// Forgets the numbers of series that the store has retired. What was counted of them stays, and
    /// should they come back, they go on from there by their labels.
    pub fn retire(&mut self, series: &[SeriesRef]) {
        for number in series {
            for (watch, place) in self.bindings.remove(*number) {
                self.watches[watch as usize].series.retire(place as usize);
            }
        }
    }

    /// Sees a transaction and says which alerts changed.
    pub fn observe(&mut self, committed: &Committed) -> Vec<Transition> {
        for (number, labels) in &committed.new_series {
            self.bind(*number, labels, Origin::Log);
        }
        let mut touched = std::mem::take(&mut self.touched);
        for (number, sample) in &committed.samples {
            for place in self.bindings.of(*number) {
                if self.reading(*place).of_numbers() {
                    touched.push((*place, *sample));
                }
            }
        }
        for (number, histogram) in &committed.histograms {
            for place in self.bindings.of(*number) {
                let reading = self.reading(*place);
                if !reading.of_numbers() {
                    touched.push((*place, reading.of(histogram)));
                }
            }
        }
        // Those of one objective together, in the order in which they came.
        touched.sort_by_key(|((watch, _), _)| *watch);
        let mut transitions = self.resolve_orphans(committed.seq, committed.at);
        let (seq, at) = (committed.seq, committed.at);
        let mut rest = touched.as_slice();
        for n in self.concerned(at, touched.iter().map(|((watch, _), _)| *watch as usize)) {
            let (own, others) = rest.split_at(rest.partition_point(|((watch, _), _)| *watch as usize == n));
            if !own.is_empty() {
                self.watches[n].take(own.iter().map(|((_, place), sample)| (*place as usize, *sample)), at);
            }
            rest = others;
            self.advance(n, seq, at, &mut transitions);
        }
        self.advance_composites(seq, at, &mut transitions);
        touched.clear();
        self.touched = touched;
        transitions
    }

    fn reading(&self, (watch, place): SeriesPlace) -> Reading {
        self.watches[watch as usize].series.bound[place as usize].reading
    }

    /// The watches that were touched, and those for which time has something to decide, in order.
    fn concerned(&mut self, at: Timestamp, touched: impl Iterator<Item = usize>) -> Vec<usize> {
        let due = self.due.get_or_insert_with(|| Due::new(self.watches.iter().map(Watch::due_at)));
        let mut all: Vec<usize> = touched.chain(due.by(at)).collect();
        all.sort_unstable();
        all.dedup();
        all
    }

    fn advance(&mut self, n: usize, seq: Seq, at: Timestamp, out: &mut Vec<Transition>) {
        let watch = &mut self.watches[n];
        watch.advance(seq, at, out);
        watch.take_episodes(&mut self.episodes);
        let next = watch.due_at();
        self.due.iter_mut().for_each(|due| due.set(n, next));
    }

    /// To be called when watches were changed otherwise than by the log.
    pub(super) fn forget_deadlines(&mut self) {
        self.due = None;
    }

    fn advance_composites(&mut self, seq: Seq, at: Timestamp, out: &mut Vec<Transition>) {
        for composite in &mut self.composites {
            if composite.needs(&self.watches, at) {
                composite.advance(&self.watches, seq, at, out);
            }
        }
    }

    /// Lets the composite of that name go on from what another had; gives the alerts that are no more.
    pub(super) fn inherit_composite(&mut self, old: Composite) -> Vec<Alert> {
        let same = |new: &&mut Composite| {
            (&new.objective.service, &new.objective.name) == (&old.objective.service, &old.objective.name)
        };
        match self.composites.iter_mut().find(same) {
            Some(composite) => {
                let gone = composite.inherit(old);
                composite.plan(&self.watches);
                gone
            }
            None => old.alerts().collect(),
        }
    }

    /// Sees that time has passed and says which alerts changed.
    pub fn tick(&mut self, seq: Seq, at: Timestamp) -> Vec<Transition> {
        let mut transitions = self.resolve_orphans(seq, at);
        for n in self.concerned(at, std::iter::empty()) {
            self.advance(n, seq, at, &mut transitions);
        }
        self.advance_composites(seq, at, &mut transitions);
        transitions
    }

    fn resolve_orphans(&mut self, seq: Seq, at: Timestamp) -> Vec<Transition> {
        self.now = Some(at);
        let resolved = self
            .orphans
            .drain(..)
            .map(|alert| alert::transition(seq, at, TransitionKind::Resolved, alert::resolved(alert, at)));
        resolved.collect()
    }

    /// When [`Objectives::tick`] should be called if nothing arrives before.
    pub fn next_deadline(&self) -> Option<Timestamp> {
        let orphans = self.orphans.first().map(|alert| Timestamp(self.now.unwrap_or(alert.active_at).0 + 1));
        let composites = self.composites.iter().filter_map(Composite::deadline);
        let watches = match &self.due {
            Some(due) => due.next(),
            None => self.watches.iter().filter_map(Watch::deadline).min(),
        };
        watches.into_iter().chain(composites).chain(orphans).min()
    }

    /// The alerts that fire.
    pub fn alerts(&self) -> Vec<Alert> {
        let composites = self.composites.iter().flat_map(Composite::alerts);
        self.watches.iter().flat_map(Watch::alerts).chain(composites).collect()
    }

    /// The labels of every page that the burn pairs of these services may raise, and of what the severity table makes of a page
    /// that it never lets come. Those of groups have the group's labels as well, which nobody knows beforehand.
    pub fn page_labels(&self, wanted: impl Fn(&str) -> bool) -> Vec<Labels> {
        let watches = self.watches.iter().map(|watch| (&watch.objective, &watch.pairs));
        let composites = self.composites.iter().map(|composite| (&composite.objective, &composite.pairs));
        let of_wanted = watches.chain(composites).filter(|(objective, _)| wanted(&objective.service));
        let pairs = of_wanted.flat_map(|(objective, pairs)| pairs.iter().map(move |one| (objective, &one.pair)));
        // Checked when the objective was taken.
        pairs.filter_map(|(objective, pair)| alert::labels(objective, pair, objective.page_of(pair)?).ok()).collect()
    }

    /// How each objective stands at `at`, composites last.
    pub fn statuses(&self, at: Timestamp) -> Vec<ObjectiveStatus> {
        let composites = self.composites.iter().map(|composite| composite.status(&self.watches, at));
        self.watches.iter().map(|watch| watch.status(at)).chain(composites).collect()
    }

    /// The burn rate of one objective at `points` instants, evenly over the range and ending with its end;
    /// absent if there is no such objective.
    pub fn burn_history(&self, service: &str, objective: &str, range: TimeRange, points: usize) -> Option<BurnHistory> {
        if let Some(watch) = self.named(service, objective) {
            return watch.burn_history(range, points);
        }
        let named =
            |composite: &&Composite| composite.objective.service == service && composite.objective.name == objective;
        self.composites.iter().find(named)?.burn_history(&self.watches, range, points)
    }

    /// The same of one of its groups.
    pub fn burn_history_of_group(
        &self,
        service: &str,
        objective: &str,
        group: &Labels,
        range: TimeRange,
        points: usize,
    ) -> Option<BurnHistory> {
        self.named(service, objective)?.groups.members.get(group)?.burn_history(range, points)
    }

    fn named(&self, service: &str, objective: &str) -> Option<&Watch> {
        let named = |watch: &&Watch| watch.objective.service == service && watch.objective.name == objective;
        self.watches.iter().find(named)
    }
}

impl Watch {
    /// Whether time alone has something to decide here.
    fn needs(&self, at: Timestamp) -> bool {
        self.due_at() <= at
    }

    /// From when on it has; at once if nothing was decided yet.
    fn due_at(&self) -> Timestamp {
        let planned = self.deadline().unwrap_or(Timestamp::MAX);
        if self.since.is_none() { Timestamp::MIN } else { planned }
    }

    pub(super) fn advance(&mut self, seq: Seq, at: Timestamp, out: &mut Vec<Transition>) {
        let mut decided = Vec::new();
        for (labels, group) in &mut self.groups.members {
            if group.touched || group.needs(at) {
                let decisions = group.decide(at);
                if decisions.is_empty() && !group.fires() {
                    group.plan();
                } else {
                    decided.push((labels.clone(), decisions));
                }
            }
        }
        if !decided.is_empty() {
            let burning = self.burning_groups(at);
            for (labels, decisions) in decided {
                let Some(group) = self.groups.members.get_mut(&labels) else { continue };
                group.change(decisions, &burning, seq, at, out);
                group.plan();
            }
        }
        let decisions = self.decide(at);
        if !decisions.is_empty() || self.fires() {
            let burning = self.burning_groups(at);
            self.change(decisions, &burning, seq, at, out);
        }
        self.plan();
    }

    /// Makes decisions come true, and raises what fires.
    fn change(
        &mut self,
        decisions: Vec<Decision>,
        burning: &[usize],
        seq: Seq,
        at: Timestamp,
        out: &mut Vec<Transition>,
    ) {
        let mut changes: Vec<(TransitionKind, Alert)> =
            decisions.into_iter().filter_map(|decision| self.carry_out(decision, at, burning)).collect();
        changes.extend(self.raise(at, burning));
        out.extend(changes.into_iter().map(|(kind, changed)| alert::transition(seq, at, kind, changed)));
    }

    /// How many groups burn, by pair, if the severity table asks for it.
    fn burning_groups(&self, at: Timestamp) -> Vec<usize> {
        match self.objective.severities.iter().any(|row| row.groups.is_some()) {
            true => self.pairs.iter().map(|state| self.groups.burning(&state.pair, at)).collect(),
            false => vec![0; self.pairs.len()],
        }
    }

    /// Takes over what another definition of the same objective has counted, and gives the firing alerts of
    /// pairs that are no more, or are told otherwise now.
    pub(super) fn inherit(&mut self, old: Watch) -> Vec<Alert> {
        let mut firing: Vec<(BurnPair, Alert)> =
            old.pairs.into_iter().filter_map(|state| Some((state.pair, state.firing?))).collect();
        for state in &mut self.pairs {
            let objective = &self.objective;
            let same = |(pair, alert): &(BurnPair, Alert)| {
                *pair == state.pair && objective.told_by(pair, &alert.labels).is_some()
            };
            state.firing = firing.iter().position(same).map(|n| firing.swap_remove(n).1);
        }
        let mut told = old.burning;
        for companion in Companion::ALL {
            let kept = alert::companion(&self.objective, companion, Timestamp(0), 0.0, "", Millis(1)).labels;
            let gone = told.firing[companion as usize].take_if(|alert| alert.labels != kept);
            firing.extend(gone.map(|alert| (BurnPair::standard(self.objective.window)[0], alert)));
        }
        self.burning = told;
        let same_edges = self.edges_of == old.edges_of;
        self.recount = old.recount
            || self.objective.reach() > old.objective.reach()
            || self.reckoning != old.reckoning
            || !same_edges
            || old.objective.group_by != self.objective.group_by;
        // Counts of other units say nothing of these.
        if self.reckoning == old.reckoning {
            if self.objective.reach() == old.objective.reach() && same_edges {
                self.history = old.history;
            } else {
                self.history.fill_from(&old.history, Timestamp::MAX);
            }
            (self.slices, self.exclusions) = (old.slices, old.exclusions);
        }
        let mut gone: Vec<Alert> = firing.into_iter().map(|(_, alert)| alert).collect();
        gone.extend(self.inherit_groups(&old.objective, old.groups));
        (self.input, self.presence) = (old.input, old.presence);
        self.series = old.series;
        self.series.regroup(&self.objective);
        (self.course, self.episodes) = (old.course, old.episodes);
        self.waiting = old.waiting;
        self.heard = old.heard;
        self.since = old.since;
        self.decided = old.decided;
        self.plan();
        gone
    }

    fn inherit_groups(&mut self, old: &Objective, groups: Groups) -> Vec<Alert> {
        let Groups { members, beyond, overflown, left_out } = groups;
        if old.group_by != self.objective.group_by {
            // Counted from what is stored: what was counted of other groups says nothing of these.
            return members.into_values().flat_map(|group| group.alerts()).collect();
        }
        let pairs: Vec<BurnPair> = self.pairs.iter().map(|state| state.pair).collect();
        let mut gone = Vec::new();
        for (labels, old) in members {
            let mut watch = Watch::new(self.objective.of_group(&labels), pairs.clone());
            gone.extend(watch.inherit(old));
            self.groups.members.insert(labels, watch);
        }
        (self.groups.beyond, self.groups.overflown, self.groups.left_out) = (beyond, overflown, left_out);
        gone
    }
}

/// A composite with its parts found.
fn composed(mut objective: Objective, pairs: Vec<BurnPair>, watches: &[Watch]) -> Result<Composite, ObjectiveError> {
    let place = format!("{}/{}", objective.service, objective.name);
    let fail = |reason: String| ObjectiveError::Parts { place: place.clone(), reason };
    let Indicator::Composite(parts) = &mut objective.indicator else { return Err(fail("it has no parts".to_owned())) };
    let weights: f64 = parts.iter().map(|part| part.weight).sum();
    let mut found = Vec::new();
    for part in parts {
        let named = |watch: &Watch| watch.objective.service == part.service && watch.objective.name == part.name;
        let at = watches.iter().position(named).ok_or_else(|| {
            let (service, name) = (&part.service, &part.name);
            fail(format!("there is no objective {service}/{name} that could be its part; add it, or correct the name"))
        })?;
        let of = &watches[at].objective;
        if of.reach() < objective.window || of.calendar != objective.calendar {
            return Err(fail(format!(
                "its part {}/{} is kept over {}, and the whole over {}; give both the same window",
                part.service,
                part.name,
                of.window_text(),
                objective.calendar.as_ref().map_or_else(|| objective.window.to_string(), |c| c.to_string()),
            )));
        }
        part.query = of.query_template();
        found.push((at, part.weight / weights));
    }
    Ok(Composite::new(objective, pairs, found))
}

fn check_parts(objective: &Objective, place: &str) -> Result<(), ObjectiveError> {
    let Indicator::Composite(parts) = &objective.indicator else { return Ok(()) };
    let fail = |reason: String| Err(ObjectiveError::Parts { place: place.to_owned(), reason });
    if parts.is_empty() || parts.len() > limits::OBJECTIVE_PARTS_MAX {
        return fail(format!("{} parts; a composite has 1 to {}", parts.len(), limits::OBJECTIVE_PARTS_MAX));
    }
    if let Some(part) = parts.iter().find(|part| !(part.weight > 0.0 && part.weight.is_finite())) {
        return fail(format!("a weight of {} means nothing; write a number above 0", part.weight));
    }
    let named = |part: &Part| (part.service.clone(), part.name.clone());
    if let Some(n) = (1..parts.len()).find(|n| parts[..*n].iter().any(|other| named(other) == named(&parts[*n]))) {
        return fail(format!("its part {}/{} stands twice; remove one", parts[n].service, parts[n].name));
    }
    let plain = objective.method == Method::Occurrences && objective.group_by.is_empty();
    if !plain || !objective.adjustments.is_empty() {
        return fail("slices, groups and adjustments belong to its parts; move them there".to_owned());
    }
    Ok(())
}

/// Whether an objective can be kept by itself, and its burn pairs. The parts of a composite are looked for elsewhere.
pub(super) fn check(objective: &Objective) -> Result<Vec<BurnPair>, ObjectiveError> {
    for (what, text) in [("service", &objective.service), ("name", &objective.name)] {
        if text.is_empty() {
            return Err(ObjectiveError::Unnamed { what });
        }
    }
    let place = format!("{}/{}", objective.service, objective.name);
    if !(objective.objective > 0.0 && objective.objective < 1.0 && objective.budget() > 0.0) {
        return Err(ObjectiveError::OutOfRange { place, objective: objective.objective });
    }
    let (least, most) = (Millis::hours(1), Millis::days(366));
    if objective.window < least || objective.window > most {
        return Err(ObjectiveError::Window { place, window: objective.window });
    }
    let sides = objective.indicator.sides();
    if sides.is_some_and(|sides| sides.iter().any(|events| events.terms.is_empty()))
        || objective.indicator.matchers().iter().any(|matchers| matchers.is_empty())
    {
        return Err(ObjectiveError::EmptySelector { place });
    }
    check_groups(objective, &place)?;
    check_reckoning(objective, &place)?;
    check_parts(objective, &place)?;
    let pairs = pairs_of(objective, &place)?;
    for pair in &pairs {
        for severity in objective.severities_of(pair) {
            alert::labels(objective, pair, severity)
                .map_err(|source| ObjectiveError::Labels { place: place.clone(), source })?;
        }
    }
    if let Some(long) = objective.alike(&pairs).filter(|_| !objective.severities.is_empty()) {
        return Err(ObjectiveError::PairsAlike { place, long });
    }
    Ok(pairs)
}

fn check_groups(objective: &Objective, place: &str) -> Result<(), ObjectiveError> {
    let fail = |reason: String| Err(ObjectiveError::Groups { place: place.to_owned(), reason });
    for (n, name) in objective.group_by.iter().enumerate() {
        if name.is_empty() || name == Labels::METRIC_NAME {
            return fail(format!("groups cannot be told apart by the label \"{name}\"; name another"));
        }
        if objective.group_by[..n].contains(name) {
            return fail(format!("the label \"{name}\" stands twice among those of the groups; remove one"));
        }
    }
    let most = limits::OBJECTIVE_GROUPS_MAX;
    if objective.groups_max == 0 || objective.groups_max > most {
        return fail(format!("{} groups cannot have a budget; between 1 and {most} can", objective.groups_max));
    }
    Ok(())
}

fn check_reckoning(objective: &Objective, place: &str) -> Result<(), ObjectiveError> {
    let fail = |reason: String| Err(ObjectiveError::Reckoning { place: place.to_owned(), reason });
    if let Some(width) = objective.method.width() {
        let most = Millis(objective.window.0 / 10);
        if width < Millis::seconds(1) || width > most {
            return fail(format!(
                "slices of {width} are not kept; write one between 1s and a tenth of the window, {most}"
            ));
        }
    }
    if let Method::Timeslices { target, .. } = objective.method
        && !(target > 0.0 && target <= 1.0)
    {
        return fail(format!("a slice cannot have a target of {target}; write a share above 0 and up to 1, like 0.95"));
    }
    let most = limits::OBJECTIVE_ADJUSTMENTS_MAX;
    if objective.adjustments.len() > most {
        return fail(format!("{} adjustments; at most {most} are kept", objective.adjustments.len()));
    }
    Ok(())
}
