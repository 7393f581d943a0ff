//! Downsampling: old blocks are written anew with one sample for each interval, and with what is known of the
//! others.
//!
//! Invariants:
//! - What is known of whole intervals is exact, bit for bit.
//! - A block is written anew when its last sample is old enough by the log's time, so that no sample that may
//!   still come late belongs among its own.
//! - Samples are joined only if no other block and no generation in memory has one of the series between them.
//!   What cannot be joined stays as it is, until a merge brings it together.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use crate::model::{DownsampleError, DownsampleRule, Fingerprint, Labels, Millis, Sample, Seq, TimeRange, Timestamp};

use super::block::{Block, PageCache};
use super::compact::{Aim, Merge};
use super::interval::{Interval, Resolution, join, put_in_order};
use super::maintain::{MaintainError, MaintainReport};
use super::manifest::Manifest;
use super::options::StoreOptions;
use super::retention::{Cutoff, Retention};
use super::store::Inner;
use super::tombstones::{Cover, satisfies};
use super::view::View;

/// Which series are downsampled when.
#[derive(Debug, Clone)]
pub(super) struct Downsampling {
    rules: Vec<DownsampleRule>,
}

impl Downsampling {
    /// What the options say.
    pub(super) fn new(options: &StoreOptions) -> Result<Downsampling, DownsampleError> {
        let keep = Retention::new(options).longest();
        DownsampleRule::check(&options.downsample, keep, options.out_of_order)?;
        Ok(Downsampling { rules: options.downsample.clone() })
    }

    /// The rules whose age has come, at `at`, for samples up to `last`.
    fn due(&self, last: Timestamp, at: Timestamp) -> impl Iterator<Item = &DownsampleRule> {
        self.rules.iter().filter(move |rule| last <= at - rule.after)
    }

    /// What samples of a series up to `last` become that are `there`, if they become something else.
    fn lowered(&self, there: Resolution, labels: &Labels, last: Timestamp, at: Timestamp) -> Option<Resolution> {
        let taking = self.due(last, at).filter(|rule| satisfies(labels, &rule.matchers));
        taking.filter_map(|rule| there.lowered(rule.resolution)).max_by_key(|lowered| lowered.finest)
    }

    /// Samples of this series at or before this are, or soon may be, downsampled at `at`.
    fn horizon(&self, labels: &Labels, at: Timestamp) -> Timestamp {
        let taking = self.rules.iter().filter(|rule| satisfies(labels, &rule.matchers));
        taking.map(|rule| at - rule.after).max().unwrap_or(Timestamp::MIN)
    }

    /// Whether a sample at `t` may be downsampled at `at`, of some series.
    pub(super) fn may_take(&self, t: Timestamp, at: Timestamp) -> bool {
        self.due(t, at).next().is_some()
    }

    /// Whether a sample of this series at `t` is, or soon may be, downsampled at `at`.
    pub(super) fn takes(&self, labels: &Labels, t: Timestamp, at: Timestamp) -> bool {
        t <= self.horizon(labels, at)
    }

    /// The age at which samples of this resolution are downsampled further, if they ever are.
    pub(super) fn next_age(&self, resolution: Millis) -> Option<Millis> {
        self.rules.iter().filter(|rule| rule.resolution > resolution).map(|rule| rule.after).min()
    }

    /// Whether a rule whose age has come takes a series of the block whose samples are finer.
    fn demands(&self, block: &Block, at: Timestamp) -> bool {
        let mut cache = PageCache::default();
        // Where something cannot be read, a read or a merge will tell.
        let Ok(mut reader) = block.ask(&mut cache) else { return false };
        for rule in self.due(block.last(), at) {
            for position in reader.select(&rule.matchers).unwrap_or_default() {
                if reader.resolution(position).is_ok_and(|there| there.lowered(rule.resolution).is_some()) {
                    return true;
                }
            }
        }
        false
    }
}

impl Inner {
    /// Writes blocks anew whose samples are old enough for a lower resolution.
    pub(super) fn downsample(
        &self,
        manifest: &mut Manifest,
        cutoff: &Cutoff,
        pace: &mut dyn FnMut(u64),
        report: &mut MaintainReport,
    ) -> Result<(), MaintainError> {
        let blocks = Arc::clone(&self.shown.read().view.blocks);
        for block in blocks.iter() {
            let due = self.downsampling.due(block.last(), cutoff.at()).count();
            if due <= block.satisfied().load(Ordering::Relaxed) {
                continue;
            }
            if !self.downsampling.demands(block, cutoff.at()) {
                block.satisfied().store(due, Ordering::Relaxed);
                continue;
            }
            let aim = Aim::Downsample(cutoff);
            let lost = self.merge(manifest, std::slice::from_ref(block), block.level(), aim, pace)?;
            self.put_away(block, lost.iter().sum(), report)?;
            report.blocks_downsampled += 1;
            self.status.lock().blocks_downsampled += 1;
        }
        Ok(())
    }
}

impl Merge<'_> {
    /// The intervals of a series in the new block and how long they are; nothing if its samples are as they
    /// came and stay so.
    pub(super) fn lower(
        &mut self,
        labels: &Labels,
        places: &[(usize, u32)],
        aim: Aim<'_>,
        elsewhere: &mut Elsewhere<'_>,
    ) -> Option<(Vec<Interval>, Resolution)> {
        let inner = elsewhere.inner;
        let (downsampling, at) = (&inner.downsampling, aim.cutoff().at());
        let mut resolution: Option<Resolution> = None;
        for (source, position) in places {
            let reader = self.sources[*source].reader.as_mut();
            // What cannot be read is lost, and told as such.
            let there = reader.and_then(|reader| reader.resolution(*position).ok()).unwrap_or_default();
            resolution = Some(resolution.map_or(there, |before| before.with(there)));
        }
        let mut resolution = resolution?;
        if let Aim::Downsample(_) = aim {
            let last = self.sources.iter().map(|source| source.block.last()).max()?;
            resolution = downsampling.lowered(resolution, labels, last, at).unwrap_or(resolution);
        }
        if resolution.is_raw() {
            return None;
        }
        let mut intervals = self.intervals(places);
        if resolution.finest > Millis::ZERO {
            let others = elsewhere.spans(labels, &intervals);
            let horizon = downsampling.horizon(labels, at);
            intervals = join(&intervals, resolution.finest, |from, to| {
                // Behind the horizon a sample may still come to lie between them.
                to > horizon || others.iter().any(|(start, end)| *start <= to && from <= *end)
            });
        }
        Some((intervals, resolution))
    }

    /// The intervals of a series, in order, without those that are too old, deleted, or cannot be read.
    fn intervals(&mut self, places: &[(usize, u32)]) -> Vec<Interval> {
        let mut intervals = Vec::new();
        for (source, position) in places {
            let source = &mut self.sources[*source];
            let Some(reader) = &mut source.reader else { continue };
            let before = intervals.len();
            match reader.intervals(*position, TimeRange::ALL, &mut intervals) {
                Ok(()) => {
                    source.read += (intervals.len() - before) as u64;
                    self.cover.thin_intervals(source.block.number(), &mut intervals, before);
                }
                Err(_) => {
                    // The samples that are kept are worth something by themselves.
                    intervals.truncate(before);
                    let mut kept = Vec::new();
                    if reader.samples(*position, TimeRange::ALL, &mut kept).is_ok() {
                        self.cover.thin(source.block.number(), &mut kept, 0);
                        intervals.extend(kept.into_iter().map(Interval::of));
                    }
                }
            }
        }
        intervals.retain(|interval| interval.end() > self.cutoff);
        put_in_order(&mut intervals);
        intervals
    }
}

/// What lies outside the blocks that are merged.
pub(super) struct Elsewhere<'a> {
    inner: &'a Inner,
    view: &'a View,
    blocks: Vec<&'a Block>,
    cache: PageCache,
}

impl<'a> Elsewhere<'a> {
    /// Outside `sources`, in what `view` shows.
    pub(super) fn new(inner: &'a Inner, view: &'a View, sources: &[Arc<Block>]) -> Elsewhere<'a> {
        let overlaps = |block: &&Arc<Block>| {
            let apart = |source: &Arc<Block>| block.last() < source.first() || source.last() < block.first();
            let one_of_them = sources.iter().any(|source| source.number() == block.number());
            !one_of_them && !sources.iter().all(apart)
        };
        let blocks = view.blocks.iter().filter(overlaps).map(|block| &**block).collect();
        Elsewhere { inner, view, blocks, cache: PageCache::default() }
    }

    /// First and last instants of what there is of a series between the first and the last of these.
    fn spans(&mut self, labels: &Labels, intervals: &[Interval]) -> Vec<(Timestamp, Timestamp)> {
        let (Some(first), Some(last)) = (intervals.first(), intervals.last()) else { return Vec::new() };
        let (from, to) = (first.start(), last.end());
        let mut spans = Vec::new();
        for block in self.blocks.iter().filter(|block| block.first() <= to && from <= block.last()) {
            let until = Timestamp(to.0.saturating_add(block.resolution().0));
            let range = TimeRange { after: Timestamp(from.0.saturating_sub(1)), until };
            let found = block.ask(&mut self.cache).and_then(|mut reader| {
                let mut found = Vec::new();
                if let Some(position) = reader.find(labels)? {
                    reader.intervals(position, range, &mut found)?;
                }
                Ok(found)
            });
            match found {
                Ok(found) => spans.extend(found.iter().map(|interval| (interval.start(), interval.end()))),
                // What cannot be read may lie anywhere.
                Err(_) => spans.push((from, to)),
            }
        }
        let series = self.inner.index.lock.read().lookup(Fingerprint::of_labels(labels));
        if let Some(series) = series {
            let range = TimeRange { after: Timestamp(from.0.saturating_sub(1)), until: to };
            let mut samples: Vec<Sample> = Vec::new();
            self.view.head_samples(series, &Cover::default(), range, Seq(u64::MAX), &mut samples);
            spans.extend(samples.iter().map(|sample| (sample.t, sample.t)));
        }
        spans
    }
}
