//! What was found for matchers of late: dashboards and rules ask for the same series again and again.
//!
//! Invariants:
//! - What is given is what a search finds: it was found in the same blocks, which do not change, and in a head of
//!   the same [`Extent`].
//! - All that is remembered takes at most [`BYTES_MAX`], whatever is asked.

use std::hash::{BuildHasher, Hash, Hasher, RandomState};
use std::sync::Arc;

use hashbrown::HashTable;
use parking_lot::Mutex;

use super::found::Found;
use super::index::Extent;
use super::snapshot::Source;
use crate::model::{MatchOp, Matcher};

/// A few hundred thousand series with their sources and pairs.
const BYTES_MAX: usize = 32 << 20;
/// One question must not drive out all others.
const BYTES_EACH_MAX: usize = BYTES_MAX / 2;
/// What a small one takes beside its lists, about.
const BYTES_LEAST: usize = 1024;

/// What was found for some matchers.
#[derive(Debug, Default)]
pub(super) struct Remembered {
    hasher: RandomState,
    kept: Mutex<Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    table: HashTable<One>,
    bytes: usize,
    /// How often something was asked for.
    asked: u64,
}

#[derive(Debug)]
struct One {
    hash: u64,
    matchers: Vec<(String, MatchOp, String)>,
    blocks: Vec<u64>,
    extent: Extent,
    found: Arc<Found<Source>>,
    bytes: usize,
    /// When it was asked for last.
    used: u64,
}

impl One {
    fn is_of(&self, matchers: &[Matcher], blocks: &[u64]) -> bool {
        let texts = self.matchers.iter().map(|(name, op, value)| (name.as_str(), *op, value.as_str()));
        self.blocks == blocks && texts.eq(matchers.iter().map(texts_of))
    }
}

fn texts_of(matcher: &Matcher) -> (&str, MatchOp, &str) {
    (matcher.name(), matcher.op(), matcher.value())
}

impl Remembered {
    fn hash(&self, matchers: &[Matcher], blocks: &[u64]) -> u64 {
        let mut hasher = self.hasher.build_hasher();
        matchers.iter().for_each(|matcher| texts_of(matcher).hash(&mut hasher));
        blocks.hash(&mut hasher);
        hasher.finish()
    }

    /// What was found in these blocks and a head of this extent.
    pub(super) fn get(&self, matchers: &[Matcher], blocks: &[u64], extent: Extent) -> Option<Arc<Found<Source>>> {
        let hash = self.hash(matchers, blocks);
        let mut kept = self.kept.lock();
        kept.asked += 1;
        let now = kept.asked;
        let one = kept.table.find_mut(hash, |one| one.is_of(matchers, blocks)).filter(|one| one.extent == extent)?;
        one.used = now;
        Some(Arc::clone(&one.found))
    }

    /// Remembers what was found, in place of what was found before the head grew. What was not asked for the
    /// longest makes room.
    pub(super) fn keep(&self, matchers: &[Matcher], blocks: &[u64], extent: Extent, found: &Arc<Found<Source>>) {
        let bytes = found.bytes() + BYTES_LEAST;
        let hash = self.hash(matchers, blocks);
        let mut kept = self.kept.lock();
        let Kept { table, bytes: all, asked } = &mut *kept;
        if let Ok(before) = table.find_entry(hash, |one| one.is_of(matchers, blocks)) {
            *all -= before.remove().0.bytes;
        }
        if bytes > BYTES_EACH_MAX {
            return;
        }
        while *all + bytes > BYTES_MAX {
            let Some(oldest) = table.iter().map(|one| one.used).min() else { break };
            table.retain(|one| {
                let stays = one.used > oldest;
                *all -= if stays { 0 } else { one.bytes };
                stays
            });
        }
        let matchers = matchers.iter().map(texts_of);
        let one = One {
            hash,
            matchers: matchers.map(|(name, op, value)| (name.to_owned(), op, value.to_owned())).collect(),
            blocks: blocks.to_vec(),
            extent,
            found: Arc::clone(found),
            bytes,
            used: *asked,
        };
        *all += bytes;
        table.insert_unique(hash, one, |one| one.hash);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::SeriesRef;
    use crate::storage::index::Index;

    fn found(series: u64) -> Arc<Found<Source>> {
        let mut found = Found::new();
        found.begin_place();
        for number in 0..series {
            let pair = found.pairs.number("a", &number.to_string());
            found.add(&[pair], Source::Head(SeriesRef(number)));
        }
        found.finish();
        Arc::new(found)
    }

    #[test]
    fn what_was_found_is_given_for_the_same_question_alone() {
        let remembered = Remembered::default();
        let (none, some) = (Index::default().extent(&[]), {
            let mut index = Index::default();
            index.intern(&crate::model::Labels::new([("a", "b")]).unwrap());
            index.extent(&[])
        });
        let [one, other] = ["b", "c"].map(|value| [Matcher::equal("a", value)]);
        remembered.keep(&one, &[1, 2], none, &found(3));
        assert_eq!(remembered.get(&one, &[1, 2], none).map(|found| found.len()), Some(3));
        assert!(remembered.get(&one, &[1], none).is_none(), "other blocks");
        assert!(remembered.get(&other, &[1, 2], none).is_none(), "another matcher");
        assert!(remembered.get(&one, &[1, 2], some).is_none(), "the head has grown");
        remembered.keep(&one, &[1, 2], some, &found(4));
        assert_eq!(remembered.get(&one, &[1, 2], some).map(|found| found.len()), Some(4));
        assert_eq!(remembered.kept.lock().table.len(), 1, "the former answer has made room");
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let (remembered, extent) = (Remembered::default(), Index::default().extent(&[]));
        let large = found(100_000);
        let matchers = |n: usize| [Matcher::equal("a", &n.to_string())];
        for n in 0..20 {
            remembered.keep(&matchers(n), &[], extent, &large);
            assert!(remembered.get(&matchers(0), &[], extent).is_some(), "what is asked for stays");
            let kept = remembered.kept.lock();
            assert!(kept.bytes <= BYTES_MAX && kept.bytes == kept.table.iter().map(|one| one.bytes).sum::<usize>());
        }
        assert!(remembered.get(&matchers(1), &[], extent).is_none());
        assert!(remembered.get(&matchers(19), &[], extent).is_some());
        remembered.keep(&matchers(19), &[], extent, &found(1_000_000));
        assert!(remembered.get(&matchers(19), &[], extent).is_none(), "too large to be kept");
    }
}
