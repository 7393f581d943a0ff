//! What has changed of the past: which metrics a write touched long after their time, and from which instant on.
//!
//! Whoever keeps something that was computed from a snapshot asks here whether it still holds. Samples of the last
//! [`limits::SETTLED_AFTER`] are what arrives all the time and are no change: see [`Snapshot::settled_until`].
//!
//! Invariants:
//! - Whatever a later snapshot shows otherwise at or before an earlier one's settled time, is told as a change of its
//!   metric from that instant or an earlier one on; retention alone is not, since it is known beforehand.
//! - Samples in time cost a comparison each; the past is divided among a few hundred kinds of metrics, and each
//!   remembers a bounded number of changes. What is forgotten is told as an earlier change, never as none.

use super::snapshot::Snapshot;
use super::store::Store;
use crate::model::limits::{CHANGES_PER_BUCKET_MAX, SETTLED_AFTER};
use crate::model::{Labels, MatchOp, Matcher, Timestamp};

/// Kinds of metrics, by a hash of the name. The first is of those whose kind is not known.
const BUCKETS: usize = 256;
/// Changes are told to this many milliseconds, rounded down, so that a sender that lags is remembered as few.
const GRAIN_MS: i64 = 30_000;

/// How often the past has been changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Version(u64);

/// A set of metrics, rounded up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MetricSet([u64; BUCKETS / 64]);

impl MetricSet {
    /// All metrics.
    pub const ALL: MetricSet = MetricSet([u64::MAX; BUCKETS / 64]);

    /// Those that one of these selectors may take.
    pub fn of<'m>(selectors: impl IntoIterator<Item = &'m [Matcher]>) -> MetricSet {
        let mut set = MetricSet([0; BUCKETS / 64]);
        for matchers in selectors {
            let Some(bucket) = bucket_of_matchers(matchers) else { return MetricSet::ALL };
            set.add(bucket);
        }
        set
    }

    fn add(&mut self, bucket: u8) {
        self.0[usize::from(bucket) / 64] |= 1 << (bucket % 64);
    }

    fn has(&self, bucket: usize) -> bool {
        self.0[bucket / 64] >> (bucket % 64) & 1 == 1
    }
}

/// The kind of a metric; never zero.
pub(super) fn bucket_of(metric: &str) -> u8 {
    // FNV-1a: it has to spread names, nothing rests on it.
    let hash = metric
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3));
    (hash % (BUCKETS as u64 - 1)) as u8 + 1
}

fn bucket_of_matchers(matchers: &[Matcher]) -> Option<u8> {
    let mut names = matchers.iter().filter(|one| one.name() == Labels::METRIC_NAME && one.op() == MatchOp::Equal);
    names.next().map(|matcher| bucket_of(matcher.value()))
}

/// The changes that are remembered.
#[derive(Debug)]
pub(super) struct Changes {
    version: u64,
    /// The last change of which it cannot be told what it touched.
    everything: u64,
    buckets: Vec<Recent>,
}

/// Changes of one kind of metrics: versions rise and instants too, for an earlier change of a later instant
/// says nothing that the later one does not.
#[derive(Debug, Default, Clone)]
struct Recent(Vec<(u64, Timestamp)>);

impl Default for Changes {
    fn default() -> Changes {
        Changes { version: 0, everything: 0, buckets: vec![Recent::default(); BUCKETS] }
    }
}

impl Changes {
    pub(super) fn version(&self) -> Version {
        Version(self.version)
    }

    /// Everything may be otherwise.
    pub(super) fn change_everything(&mut self) {
        self.version += 1;
        self.everything = self.version;
        self.buckets.iter_mut().for_each(|recent| recent.0.clear());
    }

    /// Takes over what a group has touched, and empties it.
    pub(super) fn take(&mut self, touched: &mut Touched) {
        if touched.buckets.is_empty() {
            return;
        }
        self.version += 1;
        for bucket in touched.buckets.drain(..) {
            let first = std::mem::replace(&mut touched.first[usize::from(bucket)], Timestamp::MAX);
            self.buckets[usize::from(bucket)].push(self.version, first);
        }
    }

    /// The first instant at which these metrics may have changed since; the end of time if they have not.
    fn first_since(&self, since: Version, metrics: &MetricSet) -> Timestamp {
        if self.everything > since.0 {
            return Timestamp::MIN;
        }
        let asked = self.buckets.iter().enumerate().filter(|(bucket, _)| *bucket == 0 || metrics.has(*bucket));
        asked.map(|(_, recent)| recent.first_since(since.0)).min().unwrap_or(Timestamp::MAX)
    }
}

impl Recent {
    fn push(&mut self, version: u64, first: Timestamp) {
        let first = Timestamp(first.0.saturating_sub(first.0.rem_euclid(GRAIN_MS)));
        while self.0.last().is_some_and(|(_, instant)| *instant >= first) {
            self.0.pop();
        }
        self.0.push((version, first));
        if self.0.len() > CHANGES_PER_BUCKET_MAX {
            // The two oldest become one that says the most of both.
            let (_, first) = self.0.remove(0);
            self.0[0].1 = first;
        }
    }

    fn first_since(&self, version: u64) -> Timestamp {
        let at = self.0.partition_point(|(of, _)| *of <= version);
        self.0.get(at).map_or(Timestamp::MAX, |(_, first)| *first)
    }
}

/// Whether background work on stored samples has changed what queries see of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Contents {
    Same,
    Changed,
}

/// What a group of entries touches of the past.
#[derive(Debug)]
pub(super) struct Touched {
    /// Samples at or before this are late.
    settled: Timestamp,
    /// The first instant, by kind; those of [`Touched::buckets`] alone are set.
    first: Vec<Timestamp>,
    buckets: Vec<u8>,
}

impl Default for Touched {
    fn default() -> Touched {
        Touched { settled: Timestamp::MIN, first: vec![Timestamp::MAX; BUCKETS], buckets: Vec::new() }
    }
}

impl Touched {
    /// Begins a group at log time `at`.
    pub(super) fn begin(&mut self, at: Timestamp) {
        self.settled = at - SETTLED_AFTER;
        for bucket in self.buckets.drain(..) {
            self.first[usize::from(bucket)] = Timestamp::MAX;
        }
    }

    /// Whether something of this instant comes late.
    #[inline]
    pub(super) fn is_late(&self, t: Timestamp) -> bool {
        t <= self.settled
    }

    /// Takes note of something late of a kind of metrics.
    pub(super) fn add(&mut self, bucket: u8, t: Timestamp) {
        let first = &mut self.first[usize::from(bucket)];
        if *first == Timestamp::MAX {
            self.buckets.push(bucket);
        }
        *first = (*first).min(t);
    }

    /// Takes note of a delete.
    pub(super) fn add_delete(&mut self, matchers: &[Matcher], after: Timestamp) {
        let bucket = bucket_of_matchers(matchers).unwrap_or_default();
        // Whatever its range: what a snapshot shows is less from there on.
        self.add(bucket, after.min(Timestamp(Timestamp::MAX.0 - 1)));
    }
}

impl Snapshot {
    /// How often the past had been changed when this was taken.
    pub fn version(&self) -> Version {
        self.version
    }

    /// Up to here, whatever comes after this snapshot is told by [`Store::first_change`].
    pub fn settled_until(&self) -> Timestamp {
        self.at - SETTLED_AFTER
    }

    /// Whether nothing behind this instant is past the time for which it is kept.
    pub fn keeps_all_after(&self, t: Timestamp) -> bool {
        !self.cutoff.may_hide(t)
    }
}

impl Store {
    /// The first instant at which one of these metrics may have changed since a snapshot of that version, up to what
    /// was settled for it; what lies before is as it was, but for what is past its retention since.
    pub fn first_change(&self, since: Version, metrics: &MetricSet) -> Timestamp {
        self.inner.shown.read().changes.first_since(since, metrics)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn touch(changes: &mut Changes, touched: &mut Touched, metric: &str, t: i64) -> Version {
        touched.add(bucket_of(metric), Timestamp(t));
        changes.take(touched);
        changes.version()
    }

    fn metric(name: &str) -> MetricSet {
        MetricSet::of([&[Matcher::equal(Labels::METRIC_NAME, name)][..]])
    }

    #[test]
    fn each_metric_tells_its_own_changes_and_the_first_of_them() {
        let (mut changes, mut touched) = (Changes::default(), Touched::default());
        let start = changes.version();
        let a = touch(&mut changes, &mut touched, "a", 600_000);
        let b = touch(&mut changes, &mut touched, "b", 300_000);
        touch(&mut changes, &mut touched, "a", 900_001);
        let check = |since, name: &str, expected: i64| {
            assert_eq!(changes.first_since(since, &metric(name)), Timestamp(expected), "{name} since {since:?}");
        };
        check(start, "a", 600_000);
        check(a, "a", 900_000);
        check(start, "b", 300_000);
        check(b, "b", i64::MAX);
        check(start, "c", i64::MAX);
        assert_eq!(changes.first_since(start, &MetricSet::ALL), Timestamp(300_000));
        assert_eq!(changes.first_since(b, &MetricSet::of([&[][..]])), Timestamp(900_000));
    }

    #[test]
    fn what_is_forgotten_is_told_as_an_earlier_change() {
        let (mut changes, mut touched) = (Changes::default(), Touched::default());
        let versions: Vec<Version> = (0..200).map(|n| touch(&mut changes, &mut touched, "a", n * GRAIN_MS)).collect();
        for (n, version) in versions.iter().enumerate().take(199) {
            let told = changes.first_since(*version, &metric("a"));
            assert!(told <= Timestamp((n as i64 + 1) * GRAIN_MS), "{n}");
        }
        let late = versions.len() - CHANGES_PER_BUCKET_MAX;
        let told = changes.first_since(versions[late], &metric("a"));
        assert_eq!(told, Timestamp((late as i64 + 1) * GRAIN_MS), "those of late are told exactly");
    }

    #[test]
    fn a_delete_without_a_name_and_a_change_of_everything_concern_every_metric() {
        let (mut changes, mut touched) = (Changes::default(), Touched::default());
        let start = changes.version();
        touched.add_delete(&[Matcher::equal("job", "x")], Timestamp(90_000));
        changes.take(&mut touched);
        assert_eq!(changes.first_since(start, &metric("a")), Timestamp(90_000));
        let then = changes.version();
        changes.change_everything();
        assert_eq!(changes.first_since(then, &metric("a")), Timestamp::MIN);
        assert_eq!(changes.first_since(changes.version(), &metric("a")), Timestamp::MAX);
    }
}
