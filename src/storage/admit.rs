//! Deciding the samples of one batch: find the series of all of them, then decide, then encode.
//!
//! Invariants:
//! - Series are found in passes over the whole batch, so that the lookups wait for memory together.
//! - A fingerprint that leads to a series is believed; only an unknown one has its labels read.
//! - What is new in a group is shown to the index when the group is in the log.

use std::cell::LazyCell;
use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::Arc;

use crate::model::limits::SERIES_ALIASES_MAX;
use crate::model::{
    Batch, BatchStart, Committed, Fingerprint, HistogramSample, Labels, RawBatch, Rejected, Rejection, Sample, Seq,
    SeriesRef, StartChange, Timestamp,
};

use super::changes::bucket_of;
use super::commit::{KEPT_MAX, Stage, Writer};
use super::content::Stored;
use super::index::Index;
use super::retention::Cutoff;
use super::series::{Bounds, Decision, Seen, SeriesState, SeriesStates};
use super::store::{Applied, Inner};
use super::view::View;

/// Lookups whose memory is fetched at once.
const TOGETHER: usize = 256;

/// A batch whose series are to be found.
pub(super) trait Incoming {
    /// What the series are looked up by, in their order.
    fn fingerprints(&self, out: &mut Vec<Fingerprint>);
    /// The labels of the series at a position; the error says why they cannot name one.
    fn labels(&self, position: usize) -> Result<Labels, String>;
    /// Whether the fingerprints are those of labels.
    fn by_labels(&self) -> bool;
    /// The samples in order, each with the position of its series.
    fn samples(&self) -> impl Iterator<Item = (usize, Sample)>;
    /// How many samples there are.
    fn sample_count(&self) -> usize;
    /// When the counting of samples began, where that is known, in the order of the samples.
    fn starts(&self) -> &[BatchStart];
    /// The native histograms in order, each with the position of its series.
    fn histograms(&self) -> impl Iterator<Item = (usize, &HistogramSample)>;
}

impl Incoming for Batch {
    fn fingerprints(&self, out: &mut Vec<Fingerprint>) {
        out.extend(self.series().iter().map(Fingerprint::of_labels));
    }

    fn labels(&self, position: usize) -> Result<Labels, String> {
        self.series().get(position).cloned().ok_or_else(|| "there is no such series in the batch".to_owned())
    }

    fn by_labels(&self) -> bool {
        true
    }

    fn samples(&self) -> impl Iterator<Item = (usize, Sample)> {
        self.samples().iter().map(|sample| (sample.series as usize, sample.sample))
    }

    fn sample_count(&self) -> usize {
        self.samples().len()
    }

    fn starts(&self) -> &[BatchStart] {
        Batch::starts(self)
    }

    fn histograms(&self) -> impl Iterator<Item = (usize, &HistogramSample)> {
        Batch::histograms(self).iter().map(|histogram| (histogram.series as usize, &histogram.sample))
    }
}

impl Incoming for RawBatch {
    fn fingerprints(&self, out: &mut Vec<Fingerprint>) {
        out.extend(RawBatch::fingerprints(self));
    }

    fn labels(&self, position: usize) -> Result<Labels, String> {
        RawBatch::labels(self, position)
    }

    fn by_labels(&self) -> bool {
        false
    }

    fn samples(&self) -> impl Iterator<Item = (usize, Sample)> {
        let series = self.series().enumerate();
        series.flat_map(|(position, series)| series.samples.iter().map(move |sample| (position, *sample)))
    }

    fn sample_count(&self) -> usize {
        RawBatch::sample_count(self)
    }

    fn starts(&self) -> &[BatchStart] {
        &[]
    }

    fn histograms(&self) -> impl Iterator<Item = (usize, &HistogramSample)> {
        RawBatch::histograms(self).iter().map(|(series, sample)| (*series as usize, sample))
    }
}

/// The series of a batch, as far as they are known.
#[derive(Debug, Default)]
pub(super) struct Resolved {
    fingerprints: Vec<Fingerprint>,
    pub(super) series: Vec<Found>,
    pub(super) unknown: Vec<Unknown>,
}

/// What a position of a batch stands for.
#[derive(Debug, Clone, Copy)]
pub(super) enum Found {
    /// A series with a state.
    Known(SeriesRef),
    /// One of [`Resolved::unknown`].
    Unknown(u32),
    /// Nothing: its labels cannot name a series.
    Unnamed,
}

/// A series that nobody has met yet.
#[derive(Debug)]
pub(super) struct Unknown {
    pub(super) labels: Labels,
    fingerprint: Fingerprint,
    /// How the sender spelled it.
    spelling: Option<Fingerprint>,
}

impl Resolved {
    fn clear(&mut self) {
        self.fingerprints.clear();
        self.fingerprints.shrink_to(KEPT_MAX);
        self.series.clear();
        self.series.shrink_to(KEPT_MAX);
        self.unknown.clear();
        self.unknown.shrink_to(KEPT_MAX);
    }
}

/// What a group adds to the index.
#[derive(Debug, Default)]
pub(super) struct Fresh {
    numbers: HashMap<Fingerprint, SeriesRef, BuildHasherDefault<FirstWord>>,
    series: Vec<(SeriesRef, Fingerprint, Labels)>,
    aliases: Vec<(Fingerprint, SeriesRef)>,
}

impl Fresh {
    /// Whether nothing is new.
    pub(super) fn is_empty(&self) -> bool {
        self.series.is_empty() && self.aliases.is_empty()
    }

    /// Makes everything known.
    pub(super) fn show(&self, index: &mut Index) {
        for (series, fingerprint, labels) in &self.series {
            index.add(*series, *fingerprint, labels);
        }
        for (fingerprint, series) in &self.aliases {
            index.add_alias(*fingerprint, *series);
        }
    }
}

/// A hasher for fingerprints, which are hashes already.
#[derive(Debug, Default)]
struct FirstWord(u64);

impl Hasher for FirstWord {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        self.0 = bytes.iter().fold(self.0, |hash, byte| hash.rotate_left(8) ^ u64::from(*byte));
    }

    fn write_u128(&mut self, hash: u128) {
        self.0 = hash as u64;
    }
}

impl Inner {
    /// Decides every sample of a batch and encodes those that are stored.
    pub(super) fn admit(&self, writer: &mut Writer, stage: &mut Stage, batch: &impl Incoming, seq: Seq) -> Committed {
        let at = writer.at;
        let cutoff = Cutoff::new(&self.retention, at);
        let bounds = Bounds::new(at, cutoff.all(), self.options.out_of_order);
        let mut committed = Committed {
            seq,
            at,
            new_series: Vec::new(),
            samples: Vec::with_capacity(batch.sample_count()),
            histograms: Vec::new(),
            starts: Vec::new(),
            coarsened: 0,
            rejected: Rejected::default(),
        };
        writer.encoder.begin(at);
        let mut resolved = std::mem::take(&mut writer.resolved);
        self.resolve(&mut writer.states, stage, batch, &mut resolved, &mut committed.rejected);
        // Blocks that come while this runs hold what a state knows already.
        let blocks_end = LazyCell::new(|| self.shown.read().view.blocks.iter().map(|block| block.last()).max());
        let in_no_block = |t: Timestamp| blocks_end.is_none_or(|end| end < t);
        let room = self.options.series_max.saturating_sub(self.index.lock.read().len() as u64);
        let (mut starts, starts_before) = (batch.starts().iter().peekable(), stage.starts.changes.len());
        for (order, (position, sample)) in batch.samples().enumerate() {
            let start = starts.next_if(|told| told.sample as usize == order);
            let series = match resolved.series.get(position) {
                Some(Found::Known(series)) => *series,
                Some(Found::Unknown(at)) => {
                    let unknown = &resolved.unknown[*at as usize];
                    match self.welcome(writer, stage, unknown, (&bounds, &cutoff), Seen::Number(sample), room) {
                        Ok(Some(series)) => {
                            resolved.series[position] = Found::Known(series);
                            series
                        }
                        Ok(None) => continue,
                        Err(reason) => {
                            committed.rejected.add(|| unknown.labels.clone(), sample.t, reason);
                            continue;
                        }
                    }
                }
                Some(Found::Unnamed) | None => continue,
            };
            let labels = || {
                let stored = || self.index.lock.read().labels(series);
                batch.labels(position).ok().or_else(stored).unwrap_or_else(Labels::empty)
            };
            // A sample that is refused for its time alone asks for nothing, and so tells nothing.
            if !matches!(bounds.decide(None, sample), Decision::Refuse(_))
                && let Some(state) = writer.states.get_mut(series).filter(|state| !state.is_settled())
            {
                stage.saved.push((series, *state));
                // Labels are not at hand, so they are read only if there is something to ask.
                match in_no_block(sample.t) {
                    true => state.settle(),
                    false => *state = self.settled(*state, &labels(), sample.t),
                }
            }
            let mut decision = bounds.decide(writer.states.get(series), sample);
            if cutoff.may_hide(sample.t) && sample.t <= cutoff.of(&labels()) {
                decision = Decision::Refuse(Rejection::TooOld);
            }
            if decision == Decision::StoreLate && self.is_downsampled(&labels, sample.t, at) {
                decision = Decision::Refuse(Rejection::Downsampled);
            }
            if decision == Decision::StoreLate {
                let arriving = Stored::Number(sample.v.to_bits());
                decision = self.decide_late(stage, &committed, (series, &labels), sample.t, &arriving);
            }
            match decision {
                Decision::Known => {}
                Decision::Refuse(reason) => committed.rejected.add(labels, sample.t, reason),
                Decision::Store | Decision::StoreLate => {
                    writer.accept(stage, &mut committed, (series, &labels), sample);
                    if let (Decision::Store, Some(told)) = (decision, start) {
                        self.take_start(stage, StartChange { series, t: sample.t, start: told.start });
                    }
                }
            }
        }
        self.admit_histograms(writer, stage, batch, (&bounds, &cutoff, room), &mut resolved, &mut committed);
        committed.starts.extend_from_slice(&stage.starts.changes[starts_before..]);
        writer.encoder.changes(&committed.starts);
        resolved.clear();
        writer.resolved = resolved;
        committed
    }

    /// Takes what a sample that is newer than all of its series says of its counting.
    pub(super) fn take_start(&self, stage: &mut Stage, told: StartChange) {
        if self.options.start_changes_max > 0 {
            stage.starts.take(told, &self.kept.lock.read().starts);
        }
    }

    /// Finds the series of a batch.
    fn resolve(
        &self,
        states: &mut SeriesStates,
        stage: &mut Stage,
        batch: &impl Incoming,
        resolved: &mut Resolved,
        rejected: &mut Rejected,
    ) {
        let Resolved { fingerprints, series, unknown } = resolved;
        batch.fingerprints(fingerprints);
        let mut missing = 0;
        {
            let index = self.index.lock.read();
            for chunk in fingerprints.chunks(TOGETHER) {
                std::hint::black_box(chunk.iter().fold(0, |seen, fingerprint| seen ^ index.touch(*fingerprint)));
                let from = series.len();
                series.extend(chunk.iter().map(|fingerprint| match index.lookup(*fingerprint) {
                    Some(series) => Found::Known(series),
                    None => Found::Unnamed,
                }));
                // The state of a series that was retired is gone, though a fingerprint may still lead to it.
                for found in &mut series[from..] {
                    if let Found::Known(number) = found
                        && states.get(*number).is_none()
                    {
                        *found = Found::Unnamed;
                    }
                    missing += usize::from(matches!(found, Found::Unnamed));
                }
            }
        }
        if missing == 0 {
            return;
        }
        for (position, found) in series.iter_mut().enumerate().filter(|(_, found)| matches!(found, Found::Unnamed)) {
            let spelling = (!batch.by_labels()).then(|| fingerprints[position]);
            let labels = match batch.labels(position) {
                Ok(labels) => labels,
                Err(fault) => {
                    rejected.add_unnamed(fault);
                    continue;
                }
            };
            let fingerprint = Fingerprint::of_labels(&labels);
            let known = match spelling {
                Some(_) => self.index.lock.read().lookup(fingerprint),
                None => None,
            };
            if let (Some(spelling), Some(number)) = (spelling, known)
                && let Some(state) = states.get_mut(number)
            {
                if state.aliases < SERIES_ALIASES_MAX {
                    stage.saved.push((number, *state));
                    state.aliases += 1;
                    stage.fresh.aliases.push((spelling, number));
                }
                *found = Found::Known(number);
            } else {
                *found = Found::Unknown(unknown.len() as u32);
                unknown.push(Unknown { labels, fingerprint, spelling });
            }
        }
    }

    /// What is known of a series, blocks included: they are asked if one of them may hold a sample that
    /// is not older than `t`, and the head has not followed the series since before that block was made.
    pub(super) fn settled(&self, state: SeriesState, labels: &Labels, t: Timestamp) -> SeriesState {
        let mut state = state;
        let (view, seq) = self.shown_view();
        if let Some(newest) = view.newest_in_blocks(labels, t, seq) {
            state.see_any(newest);
        }
        state.settle();
        state
    }

    fn shown_view(&self) -> (Arc<View>, Seq) {
        let shown = self.shown.read();
        (Arc::clone(&shown.view), shown.seq)
    }

    /// The number of a series that was unknown when the batch came, given out now if what arrives is
    /// to be stored and there is `room` for so many more series than the index has. None if it is
    /// in a block already.
    pub(super) fn welcome(
        &self,
        writer: &mut Writer,
        stage: &mut Stage,
        unknown: &Unknown,
        (bounds, cutoff): (&Bounds, &Cutoff),
        arriving: Seen,
        room: u64,
    ) -> Result<Option<SeriesRef>, Rejection> {
        if let Some(series) = stage.fresh.numbers.get(&unknown.fingerprint) {
            return Ok(Some(*series));
        }
        // What is refused without a look at the blocks needs none.
        if let Decision::Refuse(reason) = bounds.decide_any(None, arriving) {
            return Err(reason);
        }
        let t = arriving.t();
        if cutoff.may_hide(t) && t <= cutoff.of(&unknown.labels) {
            return Err(Rejection::TooOld);
        }
        let state = self.settled(SeriesState::default(), &unknown.labels, t);
        match bounds.decide_any(Some(&state), arriving) {
            Decision::Refuse(reason) => return Err(reason),
            Decision::Known => return Ok(None),
            Decision::Store | Decision::StoreLate => {}
        }
        if stage.fresh.series.len() as u64 >= room || writer.next_series == u32::MAX {
            return Err(Rejection::TooManySeries);
        }
        Ok(Some(writer.number(stage, unknown, &state)))
    }

    /// Whether a sample older than its series' newest falls into a time that is downsampled, or soon may be:
    /// nobody could tell whether it is there already.
    fn is_downsampled(&self, labels: &impl Fn() -> Labels, t: Timestamp, at: Timestamp) -> bool {
        if self.downsampling.may_take(t, at) && self.downsampling.takes(&labels(), t, at) {
            return true;
        }
        let (view, seq) = self.shown_view();
        // Under other rules, younger samples may have been downsampled.
        view.has_downsampled_at(t) && view.is_inside_interval(&labels(), t, seq)
    }

    /// What becomes of what is not newer than its series' newest: compared with what stands at its instant.
    pub(super) fn decide_late(
        &self,
        stage: &mut Stage,
        committed: &Committed,
        (series, labels): (SeriesRef, &impl Fn() -> Labels),
        t: Timestamp,
        arriving: &Stored,
    ) -> Decision {
        let values = stage.values.get_or_insert_with(|| {
            let earlier = stage.applied.iter().filter_map(|applied| match applied {
                Applied::Transaction(committed) => Some(committed),
                _ => None,
            });
            let mut values = HashMap::new();
            for committed in earlier.chain([committed]) {
                let samples = committed.samples.iter();
                values
                    .extend(samples.map(|(series, sample)| ((*series, sample.t), Stored::Number(sample.v.to_bits()))));
                let histograms = committed.histograms.iter();
                values.extend(histograms.map(|(series, sample)| ((*series, sample.t), Stored::histogram(sample))));
            }
            values
        });
        let staged = values.get(&(series, t)).cloned();
        let stored = || {
            let (view, seq) = self.shown_view();
            view.stored_at(series, &labels(), t, seq)
        };
        match staged.or_else(stored) {
            None => Decision::StoreLate,
            Some(stored) if stored.is_same(arriving) => Decision::Known,
            Some(_) => Decision::Refuse(Rejection::Duplicate),
        }
    }
}

impl Writer {
    /// Gives a number to a series of which this is known.
    fn number(&mut self, stage: &mut Stage, unknown: &Unknown, known: &SeriesState) -> SeriesRef {
        let series = SeriesRef(u64::from(self.next_series));
        self.next_series += 1;
        let state = self.states.entry(series);
        state.know(known);
        state.aliases = u8::from(unknown.spelling.is_some());
        stage.fresh.numbers.insert(unknown.fingerprint, series);
        stage.fresh.series.push((series, unknown.fingerprint, unknown.labels.clone()));
        stage.fresh.aliases.extend(unknown.spelling.map(|spelling| (spelling, series)));
        series
    }

    /// Encodes a sample that is stored.
    fn accept(
        &mut self,
        stage: &mut Stage,
        committed: &mut Committed,
        (series, labels): (SeriesRef, &impl Fn() -> Labels),
        sample: Sample,
    ) {
        let Some(number) = self.meet(stage, committed, (series, labels), sample.t, |state| state.see(sample)) else {
            return;
        };
        self.encoder.sample(number, sample);
        committed.samples.push((series, sample));
        if let Some(values) = &mut stage.values {
            values.insert((series, sample.t), Stored::Number(sample.v.to_bits()));
        }
    }

    /// Takes note of something of a series at `t` that is stored, and tells and explains the series if that was
    /// not done yet. Gives the number under which it is encoded.
    #[inline]
    pub(super) fn meet(
        &mut self,
        stage: &mut Stage,
        committed: &mut Committed,
        (series, labels): (SeriesRef, &impl Fn() -> Labels),
        t: Timestamp,
        see: impl FnOnce(&mut SeriesState),
    ) -> Option<u32> {
        let state = self.states.get_mut(series)?;
        if series.0 < u64::from(stage.next_series) {
            stage.saved.push((series, *state));
        }
        see(state);
        if stage.touched.is_late(t) {
            if state.bucket == 0 {
                state.bucket = bucket_of(labels().metric_name());
            }
            stage.touched.add(state.bucket, t);
        }
        if !state.met {
            state.met = true;
            committed.new_series.push((series, labels()));
        }
        let number = series.0 as u32;
        if !state.explained {
            state.explained = true;
            self.explained.push(number);
            self.encoder.explain(number, labels().as_text());
        }
        Some(number)
    }
}
