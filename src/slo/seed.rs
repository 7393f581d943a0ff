//! The warm start: counts what is stored already.

use std::collections::HashMap;

use crate::model::limits;
use crate::model::{Labels, Matcher, Millis, Sample, TimeRange, Timestamp};
use crate::promql::{SeriesSamples, SeriesSource, SourceError};

use super::events::Reading;
use super::objective::{Indicator, Objective};
use super::objectives::Objectives;
use super::series::{Increases, Origin};
use super::watch::Watch;

/// What is read at once, unless it is too much; then half of it, and so on.
const SLICE: Millis = Millis::hours(6);
/// Below this nothing is halved any more.
const SLICE_MIN: Millis = Millis::seconds(10);

/// Stored history that cannot be counted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the history of objective {service}/{name} cannot be counted: {source}")]
pub struct SeedError {
    service: String,
    name: String,
    source: SourceError,
}

impl Objectives {
    /// Counts the stored history up to `at` for every objective that has counted nothing yet. No alert
    /// changes; the next transaction decides on what was found.
    ///
    /// # Errors
    /// The source cannot be read; objectives before the one named are seeded, the others begin empty.
    pub fn seed(&mut self, at: Timestamp, source: &dyn SeriesSource) -> Result<(), SeedError> {
        for watch in self.watches.iter_mut().filter(|watch| watch.history.first.is_none()) {
            watch.seed(at, source).map_err(|source| SeedError {
                service: watch.objective.service.clone(),
                name: watch.objective.name.clone(),
                source,
            })?;
        }
        Ok(())
    }
}

impl Watch {
    fn seed(&mut self, at: Timestamp, source: &dyn SeriesSource) -> Result<(), SourceError> {
        let mut found = Watch::new(self.objective.clone(), Vec::new());
        let mut places = HashMap::new();
        let mut from = raw_since(&self.objective, source, at)?;
        let mut slice = SLICE;
        while from < at {
            let range = TimeRange { after: from, until: (from + slice).min(at) };
            match select(&self.objective.indicator, source, range) {
                Ok(series) => {
                    found.count(&mut places, series);
                    found.rest(&mut places, range);
                    from = range.until;
                }
                Err(SourceError::TooManySamples { .. }) if slice > SLICE_MIN => slice = Millis(slice.0 / 2),
                Err(error) => return Err(error),
            }
        }
        self.since = self.since.or(Some(at));
        self.history = found.history;
        self.input = found.input;
        self.heard = found.heard;
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
        Ok(())
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
    }

    fn count(&mut self, places: &mut HashMap<Labels, usize>, found: Vec<SeriesSamples>) {
        // First all targets: which series of one comes first in the answer means nothing.
        for series in &found {
            let number = series.samples.iter().find(|sample| sample.v.is_finite()).map(|sample| sample.t);
            let histogram = series.histograms.iter().find(|held| !held.histogram.is_stale()).map(|held| held.t);
            if let Some(first) = number.into_iter().chain(histogram).min() {
                self.series.watch_target(&series.labels, first);
            }
        }
        let mut increases = Increases::new();
        let readings = self.objective.indicator.readings();
        for SeriesSamples { labels, samples, histograms, .. } in found {
            for reading in readings.iter().copied() {
                let read: Vec<Sample> = match reading {
                    Reading::Value => samples.clone(),
                    _ => histograms.iter().map(|histogram| reading.of(histogram)).collect(),
                };
                if !read.is_empty() {
                    self.count_series(places, (&labels, reading), read, &mut increases);
                }
            }
        }
        self.add_now(increases);
    }

    fn count_series(
        &mut self,
        places: &mut HashMap<Labels, usize>,
        (series, reading): (&Labels, Reading),
        samples: Vec<Sample>,
        increases: &mut Increases,
    ) {
        let indicator = &self.objective.indicator;
        let labels = reading.labels(series);
        let known = places.get(&labels).copied();
        let Some(place) = known.or_else(|| self.series.bind(indicator, series, reading, Origin::Log)) else { return };
        places.insert(labels, place);
        for sample in samples {
            let taken = self.series.take(place, sample, sample.t, &self.objective.indicator, increases);
            if let Some(before) = taken {
                let newest = self.input.last_at.is_none_or(|last| sample.t >= last);
                let gap = before.map(|cursor| sample.t - cursor.t).filter(|_| newest);
                self.input.arrived(sample.t, gap);
                let roles = self.series.bound[place].roles;
                self.hear(roles, sample.t);
            }
        }
    }
}

/// Where the part of the window begins of which every sample is there. What is downsampled is not counted: of
/// a threshold it does not say how many samples were beyond it, nor of counters when they rose.
fn raw_since(objective: &Objective, source: &dyn SeriesSource, at: Timestamp) -> Result<Timestamp, SourceError> {
    let window = TimeRange { after: at - objective.window, until: at };
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
