//! The warm start: counts what is stored already.

use std::collections::{BTreeMap, HashMap};

use crate::model::limits;
use crate::model::{Labels, Matcher, Millis, Sample, Seq, TimeRange, Timestamp, Transition};
use crate::promql::{SeriesSamples, SeriesSource, SourceError};

use super::events::Reading;
use super::history::Counts;
use super::objective::{Indicator, Objective};
use super::objectives::Objectives;
use super::pair::BurnPair;
use super::series::{Increase, Increases, Origin, Roles};
use super::time_coverage::Presence;
use super::watch::Watch;

/// What is read at once, unless it is too much; then half of it, and so on.
const SLICE: Millis = Millis::hours(6);
/// Below this nothing is halved any more.
const SLICE_MIN: Millis = Millis::seconds(10);

/// Increases of many series over hours: a tree, for each series comes in the middle of those before it.
type Timeline = BTreeMap<Timestamp, Increase>;

/// The increases of each group.
type GroupTimelines = BTreeMap<Labels, Timeline>;

/// The same by instants.
fn by_instant(by_group: GroupTimelines) -> BTreeMap<Timestamp, GroupTimelines> {
    let mut instants: BTreeMap<Timestamp, GroupTimelines> = BTreeMap::new();
    for (group, increases) in by_group {
        increases.into_iter().for_each(|(t, more)| {
            instants.entry(t).or_default().insert(group.clone(), Timeline::from([(t, more)]));
        });
    }
    instants
}

/// Adds the increases of one series.
fn join(all: &mut Timeline, one: &Increases) {
    for (t, more) in one.iter() {
        let at = all.entry(t).or_default();
        at.part += more.part;
        at.total += more.total;
    }
}

/// Stored history that cannot be counted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the history of objective {service}/{name} cannot be counted: {source}")]
pub struct SeedError {
    service: String,
    name: String,
    source: SourceError,
}

impl Objectives {
    /// Counts the stored history up to `at` for every objective that has counted nothing yet, or that was changed
    /// so that it counts otherwise. What was counted of times that are not stored any more is kept. No alert changes; the next transaction decides on what was found.
    ///
    /// # Errors
    /// The source cannot be read; objectives before the one named are seeded, the others begin empty.
    pub fn seed(&mut self, at: Timestamp, source: &dyn SeriesSource) -> Result<(), SeedError> {
        self.forget_deadlines();
        for watch in self.watches.iter_mut().filter(|watch| watch.recount || watch.history.first.is_none()) {
            watch.seed(at, source).map_err(|source| SeedError {
                service: watch.objective.service.clone(),
                name: watch.objective.name.clone(),
                source,
            })?;
        }
        Ok(())
    }
}

impl Objectives {
    /// Plays stored history through a composite: all its parts go on together, and it is decided after them at each
    /// instant. Gives what it would have told; what its parts would have is theirs.
    pub(super) fn play_composite(
        &mut self,
        at: Timestamp,
        source: &dyn SeriesSource,
    ) -> Result<Vec<Transition>, SeedError> {
        self.forget_deadlines();
        let failed = |objective: &Objective, source| SeedError {
            service: objective.service.clone(),
            name: objective.name.clone(),
            source,
        };
        let anew =
            |watch: &Watch| Watch::new(watch.objective.clone(), watch.pairs.iter().map(|state| state.pair).collect());
        let mut parts: Vec<(Watch, HashMap<Labels, usize>)> =
            self.watches.iter().map(|watch| (anew(watch), HashMap::new())).collect();
        let mut from = Timestamp::MIN;
        for (part, _) in &parts {
            let since = raw_since(&part.objective, source, at).map_err(|error| failed(&part.objective, error))?;
            from = from.max(since);
        }
        let (mut told, mut slice) = (Vec::new(), SLICE);
        while from < at {
            let range = TimeRange { after: from, until: (from + slice).min(at) };
            let mut found = Vec::new();
            for (part, _) in &parts {
                match select(&part.objective.indicator, source, range) {
                    Ok(series) => found.push(series),
                    Err(SourceError::TooManySamples { .. }) if slice > SLICE_MIN => break,
                    Err(error) => return Err(failed(&part.objective, error)),
                }
            }
            if found.len() < parts.len() {
                slice = Millis(slice.0 / 2);
                continue;
            }
            let mut instants: BTreeMap<Timestamp, Vec<(usize, Increase, GroupTimelines)>> = BTreeMap::new();
            for (n, (series, (part, places))) in found.into_iter().zip(&mut parts).enumerate() {
                let (whole, by_group) = part.count(places, series);
                let mut by_group = by_instant(by_group);
                for (t, more) in whole {
                    instants.entry(t).or_default().push((n, more, by_group.remove(&t).unwrap_or_default()));
                }
            }
            let mut watches: Vec<Watch> = Vec::with_capacity(parts.len());
            let places: Vec<_> = parts.drain(..).map(|(part, places)| (watches.push(part), places).1).collect();
            for (t, increases) in instants {
                for (n, more, by_group) in increases {
                    watches[n].play_one(t, more, by_group, &mut Vec::new());
                }
                let composites = self.composites.iter_mut().filter(|composite| composite.needs(&watches, t));
                composites.for_each(|composite| composite.advance(&watches, Seq(0), t, &mut told));
            }
            parts = watches.into_iter().zip(places).collect();
            for (part, places) in &mut parts {
                part.close_slices(range.until);
                part.groups.members.values_mut().for_each(|group| group.close_slices(range.until));
                part.rest(places, range);
            }
            from = range.until;
        }
        for (watch, (part, _)) in self.watches.iter_mut().zip(parts) {
            watch.pairs.clone_from(&part.pairs);
            watch.put_in_place(part, at);
        }
        Ok(told)
    }

    /// Counts the stored history as [`Objectives::seed`] does, and decides at every instant of it.
    pub(super) fn play(&mut self, at: Timestamp, source: &dyn SeriesSource) -> Result<Vec<Transition>, SeedError> {
        self.forget_deadlines();
        let mut transitions = Vec::new();
        for watch in &mut self.watches {
            let failed = |source| SeedError {
                service: watch.objective.service.clone(),
                name: watch.objective.name.clone(),
                source,
            };
            let (found, seen) = watch.count_stored(at, source, Decide::AtEach).map_err(failed)?;
            watch.pairs.clone_from(&found.pairs);
            watch.put_in_place(found, at);
            transitions.extend(seen);
        }
        transitions.sort_by_key(|transition| transition.at);
        Ok(transitions)
    }
}

/// Whether stored history is counted alone, or decided on as well.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Decide {
    Nothing,
    AtEach,
}

impl Watch {
    fn seed(&mut self, at: Timestamp, source: &dyn SeriesSource) -> Result<(), SourceError> {
        let (found, _) = self.count_stored(at, source, Decide::Nothing)?;
        self.put_in_place(found, at);
        Ok(())
    }

    /// The stored history up to `at`, counted by itself, with what would have been decided.
    fn count_stored(
        &self,
        at: Timestamp,
        source: &dyn SeriesSource,
        decide: Decide,
    ) -> Result<(Watch, Vec<Transition>), SourceError> {
        let mut transitions = Vec::new();
        let pairs = self.pairs.iter().map(|state| state.pair).collect();
        let mut found = Watch::new(self.objective.clone(), pairs);
        let mut places = HashMap::new();
        let mut from = raw_since(&self.objective, source, at)?;
        if self.recount {
            self.carry_over(&mut found, from);
        }
        let mut slice = SLICE;
        while from < at {
            let range = TimeRange { after: from, until: (from + slice).min(at) };
            match select(&self.objective.indicator, source, range) {
                Ok(series) => {
                    let (whole, by_group) = found.count(&mut places, series);
                    match decide {
                        Decide::Nothing => found.add_counted(whole, by_group),
                        Decide::AtEach => found.play(whole, by_group, &mut transitions),
                    }
                    found.close_slices(range.until);
                    found.groups.members.values_mut().for_each(|group| group.close_slices(range.until));
                    found.rest(&mut places, range);
                    from = range.until;
                }
                Err(SourceError::TooManySamples { .. }) if slice > SLICE_MIN => slice = Millis(slice.0 / 2),
                Err(error) => return Err(error),
            }
        }
        Ok((found, transitions))
    }

    /// Counts increases of one stretch after each other, and decides at the instant of each.
    fn play(&mut self, whole: Timeline, by_group: GroupTimelines, out: &mut Vec<Transition>) {
        let mut by_group = by_instant(by_group);
        for (t, more) in whole {
            self.play_one(t, more, by_group.remove(&t).unwrap_or_default(), out);
        }
    }

    /// The same of one instant.
    fn play_one(&mut self, t: Timestamp, more: Increase, by_group: GroupTimelines, out: &mut Vec<Transition>) {
        self.add_counted(Timeline::from([(t, more)]), by_group);
        self.groups.members.values_mut().for_each(|group| group.touched = true);
        self.advance(Seq(0), t, out);
    }

    /// What was counted of the time before `until`, of which no samples are stored any more.
    fn carry_over(&self, found: &mut Watch, until: Timestamp) {
        found.history.fill_from(&self.history, until);
        found.presence = Presence::carried_over(&self.presence, until);
        for (group, watch) in &self.groups.members {
            let mut of_group = Watch::new(watch.objective.clone(), Vec::new());
            of_group.history.fill_from(&watch.history, until);
            if of_group.history.first.is_some() {
                found.groups.members.insert(group.clone(), of_group);
            }
        }
    }

    /// Puts what was found in the place of what was counted so far. Alerts stay as they are.
    fn put_in_place(&mut self, found: Watch, at: Timestamp) {
        (self.since, self.recount) = (self.since.or(Some(at)), false);
        (self.history, self.input, self.heard) = (found.history, found.input, found.heard);
        self.burning.drain = found.burning.drain;
        (self.course, self.episodes) = (found.course, found.episodes);
        self.presence = found.presence;
        (self.slices, self.exclusions) = (found.slices, found.exclusions);
        // It has been counted.
        self.waiting.clear();
        let firing: Vec<(Labels, Watch)> = std::mem::take(&mut self.groups.members).into_iter().collect();
        self.groups = found.groups;
        for group in self.groups.members.values_mut() {
            (group.since, group.decided) = (Some(at), self.decided);
        }
        for (labels, old) in firing.into_iter().filter(|(_, watch)| watch.fires()) {
            match self.groups.members.get_mut(&labels) {
                Some(group) => (group.pairs, group.burning) = (old.pairs, old.burning),
                None => drop(self.groups.members.insert(labels, old)),
            }
        }
        self.groups.members.values_mut().for_each(Watch::plan);
        self.series.targets = found.series.targets;
        let mut cursors = found.series.dormant;
        cursors.extend(found.series.bound.into_iter().filter_map(|series| Some((series.labels, series.cursor?))));
        // Series that the store has named already continue from what is stored.
        for series in &mut self.series.bound {
            if let Some(cursor) = cursors.remove(&series.labels) {
                series.cursor.get_or_insert(cursor);
            }
        }
        self.series.dormant.extend(cursors);
        self.plan();
    }

    /// Makes room for the series of the next slice: those that had no sample in this one are known by their
    /// labels alone, and in the end forgotten, as when the log goes by.
    fn rest(&mut self, places: &mut HashMap<Labels, usize>, slice: TimeRange) {
        places.retain(|_, place| {
            let seen = self.series.bound[*place].cursor.is_some_and(|cursor| cursor.t > slice.after);
            if !seen {
                self.series.retire(*place);
            }
            seen
        });
        self.series.forget(slice.until - limits::OBJECTIVE_MEMORY);
        if !self.objective.group_by.is_empty() {
            let pairs: Vec<BurnPair> = self.pairs.iter().map(|state| state.pair).collect();
            self.groups.compare(&self.objective, &pairs, slice.until, slice.until - slice.after);
        }
    }

    /// The increases of what was found: of all, and by group.
    fn count(&mut self, places: &mut HashMap<Labels, usize>, found: Vec<SeriesSamples>) -> (Timeline, GroupTimelines) {
        // First all targets: which series of one comes first in the answer means nothing.
        for series in &found {
            let number = series.samples.iter().find(|sample| sample.v.is_finite()).map(|sample| sample.t);
            let histogram = series.histograms.iter().find(|held| !held.histogram.is_stale()).map(|held| held.t);
            if let Some(first) = number.into_iter().chain(histogram).min() {
                self.series.watch_target(&series.labels, first);
            }
        }
        let mut increases = Timeline::new();
        let mut by_group: GroupTimelines = BTreeMap::new();
        let readings = self.objective.indicator.readings();
        for SeriesSamples { labels, samples, histograms, .. } in found {
            for reading in readings.iter().copied() {
                let read: Vec<Sample> = match reading {
                    Reading::Value | Reading::Each | Reading::One => samples.clone(),
                    _ => histograms.iter().map(|histogram| reading.of(histogram)).collect(),
                };
                if read.is_empty() {
                    continue;
                }
                let mut one = Increases::default();
                self.count_series(places, (&labels, reading), read, &mut one);
                join(&mut increases, &one);
                if !self.objective.group_by.is_empty() {
                    join(by_group.entry(self.objective.group_of(&labels)).or_default(), &one);
                }
            }
        }
        (increases, by_group)
    }

    fn add_counted(&mut self, increases: Timeline, by_group: GroupTimelines) {
        self.add_now(increases);
        let pairs: Vec<BurnPair> = self.pairs.iter().map(|state| state.pair).collect();
        for (group, increases) in by_group {
            match self.groups.member(&self.objective, &pairs, &group) {
                Some(watch) => watch.add_now(increases),
                None => {
                    let counts = increases.values().map(|more| self.objective.indicator.counts(*more));
                    self.groups.count_beyond(group, counts.fold(Counts::default(), Counts::plus));
                }
            }
        }
    }

    fn count_series(
        &mut self,
        places: &mut HashMap<Labels, usize>,
        (series, reading): (&Labels, Reading),
        samples: Vec<Sample>,
        increases: &mut Increases,
    ) {
        let labels = reading.labels(series);
        let known = places.get(&labels).copied();
        let pairs: Vec<BurnPair> = self.pairs.iter().map(|state| state.pair).collect();
        let Some(place) = known.or_else(|| self.series.bind(&self.objective, series, reading, Origin::Log)) else {
            return;
        };
        places.insert(labels, place);
        for sample in samples {
            let taken = self.series.take(place, sample, sample.t, &self.objective.indicator, increases);
            if let Some(before) = taken {
                let gap = before.map(|cursor| sample.t - cursor.t);
                let bound = &self.series.bound[place];
                if !self.objective.group_by.is_empty()
                    && let Some(watch) = self.groups.member(&self.objective, &pairs, &bound.group)
                {
                    watch.hear_stored(bound.roles, sample.t, gap);
                }
                let roles = bound.roles;
                self.hear_stored(roles, sample.t, gap);
                self.presence.note(sample.t, self.input.interval(), self.objective.reach());
            }
        }
    }
}

impl Watch {
    /// Notes a sample that is stored.
    fn hear_stored(&mut self, roles: Roles, t: Timestamp, gap: Option<Millis>) {
        let newest = self.input.last_at.is_none_or(|last| t >= last);
        self.input.arrived(t, gap.filter(|_| newest));
        self.hear(roles, t);
    }
}

/// Where the part of the window begins of which every sample is there. What is downsampled is not counted: of
/// a threshold it does not say how many samples were beyond it, nor of counters when they rose.
fn raw_since(objective: &Objective, source: &dyn SeriesSource, at: Timestamp) -> Result<Timestamp, SourceError> {
    // A little more, for what a counter showed before: the first increase of the window counts from it.
    let window = TimeRange { after: at - objective.reach() - limits::LOOKBACK, until: at };
    let mut since = window.after;
    for matchers in objective.indicator.matchers() {
        since = since.max(source.raw_since(matchers, window)?);
    }
    if since > window.after {
        let (service, name) = (&objective.service, &objective.name);
        tracing::warn!("objective {service}/{name} begins at {since}: what is stored before that is downsampled");
    }
    Ok(since)
}

/// All its series, each once, sorted.
fn select(
    indicator: &Indicator,
    source: &dyn SeriesSource,
    range: TimeRange,
) -> Result<Vec<SeriesSamples>, SourceError> {
    let read = |matchers: &[Matcher]| source.select(matchers, range, limits::SEED_SAMPLES_MAX);
    let mut all = Vec::new();
    for matchers in indicator.matchers() {
        all.extend(read(matchers)?);
    }
    all.sort_by(|a, b| a.labels.cmp(&b.labels));
    all.dedup_by(|a, b| a.labels == b.labels);
    Ok(all)
}
