//! Where chunks are cut.
//!
//! Invariant: series of one scrape are cut at the same instants, even if some began later, so that
//! their stamps are the same columns.

use std::ops::Range;

use super::format::CHUNK_SAMPLES;
/// Gaps between the instants at which chunks are cut. Somewhat fewer than a chunk may hold, so that
/// jitter and a gap that is not a whole second do not leave a few samples for a chunk of their own.
const SLOT_GAPS: i64 = 8000;
/// Gaps that are looked at for the usual one.
const GAPS_MAX: usize = 512;

/// The parts of rising stamps that are one chunk each.
pub(in crate::storage::block) fn cut(stamps: &[i64]) -> Vec<Range<usize>> {
    let slot = SLOT_GAPS * 1000 * usual_gap_seconds(stamps);
    let mut chunks = Vec::new();
    let mut start = 0;
    while let Some(first) = stamps.get(start) {
        let end = first.div_euclid(slot).saturating_add(1).saturating_mul(slot);
        let most = &stamps[start..stamps.len().min(start + CHUNK_SAMPLES)];
        let n = most.partition_point(|stamp| *stamp < end).max(1);
        chunks.push(start..start + n);
        start += n;
    }
    chunks
}

/// The most frequent gap, in whole seconds, at least one and at most a day.
fn usual_gap_seconds(stamps: &[i64]) -> i64 {
    let gaps = stamps.windows(2).take(GAPS_MAX).map(|two| {
        let gap = two[1].saturating_sub(two[0]);
        ((gap.saturating_add(500)) / 1000).clamp(1, 86_400)
    });
    let mut gaps: Vec<i64> = gaps.collect();
    gaps.sort_unstable();
    let runs = gaps.chunk_by(|a, b| a == b);
    runs.max_by_key(|run| run.len()).map_or(1, |run| run[0])
}

#[cfg(test)]
mod tests {
    use super::*;
    #[test]
    fn series_that_began_later_are_cut_alike() {
        let start = 1_700_000_000_000i64;
        let whole: Vec<i64> = (0..20_000).map(|i| start + i * 15_000 + i * 7 % 11).collect();
        let ends =
            |skip: usize| -> Vec<usize> { cut(&whole[skip..]).into_iter().map(|chunk| chunk.end + skip).collect() };
        assert_eq!(ends(0).last(), Some(&20_000));
        for skip in [1, 77, 3000] {
            let expected: Vec<usize> = ends(0).into_iter().filter(|end| *end > skip).collect();
            assert_eq!(ends(skip), expected);
        }
        assert!(cut(&whole).iter().skip(1).take(1).all(|chunk| chunk.len() == 8000));
    }

    #[test]
    fn a_chunk_is_never_too_long_nor_empty() {
        let check = |stamps: Vec<i64>| {
            let chunks = cut(&stamps);
            assert!(chunks.iter().all(|chunk| (1..=CHUNK_SAMPLES).contains(&chunk.len())));
            assert!(chunks.windows(2).all(|two| two[0].end == two[1].start));
            assert_eq!(chunks.iter().map(Range::len).sum::<usize>(), stamps.len());
        };
        check(vec![]);
        check(vec![i64::MIN, -1, 0, i64::MAX]);
        check((0..30_000).collect());
        check((0..30_000).map(|i| i * 100).collect());
    }
}
