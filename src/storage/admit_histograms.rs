//! Deciding the native histograms of one batch, after its samples.
//!
//! They are held to the bounds of samples. A state knows only that its newest is a histogram, so that one
//! at the same instant is compared with what is stored.

use std::borrow::Cow;
use std::sync::Arc;

use crate::model::{Committed, HistogramError, HistogramSample, Labels, Rejection, SeriesRef, StartChange};

use super::admit::{Found, Incoming, Resolved};
use super::commit::{Stage, Writer};
use super::content::Stored;
use super::retention::Cutoff;
use super::series::{Bounds, Decision, Seen};
use super::store::Inner;

/// A sound histogram in a schema that is kept, and whether it came in a finer one.
fn kept(sample: &HistogramSample) -> Result<(Cow<'_, HistogramSample>, bool), HistogramError> {
    let Some(coarser) = sample.histogram.coarser()? else {
        sample.histogram.validate()?;
        return Ok((Cow::Borrowed(sample), false));
    };
    coarser.validate()?;
    Ok((Cow::Owned(HistogramSample { histogram: Arc::new(coarser), ..*sample }), true))
}

impl Inner {
    /// Decides every native histogram of a batch and encodes those that are stored. There is `room` for so
    /// many new series.
    pub(super) fn admit_histograms(
        &self,
        writer: &mut Writer,
        stage: &mut Stage,
        batch: &impl Incoming,
        (bounds, cutoff, room): (&Bounds, &Cutoff, u64),
        resolved: &mut Resolved,
        committed: &mut Committed,
    ) {
        for (position, sample) in batch.histograms() {
            let labels = |series: Option<SeriesRef>| {
                let stored = || self.index.lock.read().labels(series?);
                batch.labels(position).ok().or_else(stored).unwrap_or_else(Labels::empty)
            };
            let (t, found) = (sample.t, resolved.series.get(position).copied());
            if matches!(found, Some(Found::Unnamed) | None) {
                continue;
            }
            let (sample, is_finer) = match kept(sample) {
                Ok(kept) => kept,
                Err(error) => {
                    committed.rejected.add_invalid(|| labels(None), t, error);
                    continue;
                }
            };
            let sample = &sample;
            let series = match found {
                Some(Found::Known(series)) => series,
                Some(Found::Unknown(at)) => {
                    let unknown = &resolved.unknown[at as usize];
                    match self.welcome(writer, stage, unknown, (bounds, cutoff), Seen::Histogram(t), room) {
                        Ok(Some(series)) => {
                            resolved.series[position] = Found::Known(series);
                            series
                        }
                        Ok(None) => continue,
                        Err(reason) => {
                            committed.rejected.add(|| labels(None), t, reason);
                            continue;
                        }
                    }
                }
                Some(Found::Unnamed) | None => continue,
            };
            let labels = || labels(Some(series));
            match self.decide_histogram(writer, stage, (bounds, cutoff), committed, (series, &labels), sample) {
                Decision::Known => {}
                Decision::Refuse(reason) => committed.rejected.add(labels, t, reason),
                decision @ (Decision::Store | Decision::StoreLate) => {
                    committed.coarsened += u64::from(is_finer);
                    writer.accept_histogram(stage, committed, (series, &labels), sample);
                    if decision == Decision::Store {
                        self.take_start(stage, StartChange { series, t, start: sample.start });
                    }
                }
            }
        }
    }

    /// What becomes of a histogram of a series that has a state.
    fn decide_histogram(
        &self,
        writer: &mut Writer,
        stage: &mut Stage,
        (bounds, cutoff): (&Bounds, &Cutoff),
        committed: &Committed,
        (series, labels): (SeriesRef, &impl Fn() -> Labels),
        sample: &HistogramSample,
    ) -> Decision {
        let t = sample.t;
        // As a sample: what is refused for its time alone asks for nothing.
        if !matches!(bounds.decide_histogram(None, t), Decision::Refuse(_))
            && let Some(state) = writer.states.get_mut(series).filter(|state| !state.is_settled())
        {
            stage.saved.push((series, *state));
            *state = self.settled(*state, &labels(), t);
        }
        let decision = bounds.decide_histogram(writer.states.get(series), t);
        if cutoff.may_hide(t) && t <= cutoff.of(&labels()) {
            return Decision::Refuse(Rejection::TooOld);
        }
        match decision {
            Decision::StoreLate => self.decide_late(stage, committed, (series, labels), t, &Stored::histogram(sample)),
            decision => decision,
        }
    }
}

impl Writer {
    /// Encodes a histogram that is stored.
    fn accept_histogram(
        &mut self,
        stage: &mut Stage,
        committed: &mut Committed,
        (series, labels): (SeriesRef, &impl Fn() -> Labels),
        sample: &HistogramSample,
    ) {
        let see = |state: &mut super::series::SeriesState| state.see_histogram(sample.t);
        let Some(number) = self.meet(stage, committed, (series, labels), sample.t, see) else { return };
        // When it began to count is kept beside it.
        let sample = HistogramSample { start: crate::model::Timestamp(0), ..sample.clone() };
        self.encoder.histogram(number, &sample);
        if let Some(values) = &mut stage.values {
            values.insert((series, sample.t), Stored::histogram(&sample));
        }
        committed.histograms.push((series, sample));
    }
}
