//! What several sorted lists have in common.

use super::format::Postings;

/// The numbers that all lists have, rising. No list at all has none.
///
/// The shortest list leads; the others leap to where it is, and where they land it follows.
pub fn intersect(lists: &[Postings<'_>]) -> Vec<u32> {
    let mut order: Vec<&Postings<'_>> = lists.iter().collect();
    order.sort_by_key(|list| list.len());
    let mut cursors: Vec<_> = order.iter().map(|list| list.cursor()).collect();
    let Some((lead, others)) = cursors.split_first_mut() else { return Vec::new() };
    let mut common = Vec::new();
    let mut next = lead.next();
    'candidates: while let Some(n) = next {
        for other in others.iter_mut() {
            match other.seek(n) {
                None => return common,
                Some(found) if found != n => {
                    // Damaged lists may go back; what follows must not be sought for ever.
                    lead.seek(found);
                    next = lead.next();
                    continue 'candidates;
                }
                Some(_) => {}
            }
        }
        common.push(n);
        next = lead.next();
    }
    common
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::{Cursor, put_postings};
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn it_is_what_sets_have_in_common(
            sets in proptest::collection::vec((1u32..200, 0u32..3000, proptest::collection::vec(0u32..20_000, 0..300)), 1..4),
        ) {
            let sets: Vec<BTreeSet<u32>> = sets
                .into_iter()
                .map(|(step, count, others)| (0..count).map(|i| i * step).chain(others).collect())
                .collect();
            let bytes: Vec<Vec<u8>> = sets
                .iter()
                .map(|set| {
                    let mut out = Vec::new();
                    put_postings(&mut out, &set.iter().copied().collect::<Vec<_>>());
                    out
                })
                .collect();
            let lists: Vec<Postings<'_>> = bytes.iter().map(|b| Postings::open(&mut Cursor::new(b)).unwrap()).collect();
            let expected: Vec<u32> =
                sets[0].iter().copied().filter(|n| sets.iter().all(|set| set.contains(n))).collect();
            prop_assert_eq!(intersect(&lists), expected);
        }
    }

    #[test]
    fn nothing_has_nothing_in_common() {
        assert!(intersect(&[]).is_empty());
    }
}
