//! Numbers that wait, to be taken the smallest first.

/// A set of small numbers.
#[derive(Debug, Default)]
pub(super) struct Worklist {
    words: Vec<u64>,
    /// No word before this one has a number.
    from: usize,
    count: usize,
}

impl Worklist {
    /// Adds a number, unless it waits already.
    pub(super) fn insert(&mut self, number: usize) {
        let word = number / 64;
        if self.words.len() <= word {
            self.words.resize(word + 1, 0);
        }
        let bit = 1 << (number % 64);
        self.count += usize::from(self.words[word] & bit == 0);
        self.words[word] |= bit;
        self.from = self.from.min(word);
    }

    /// Takes the smallest number.
    pub(super) fn pop_first(&mut self) -> Option<usize> {
        if self.count == 0 {
            // The next one may be anywhere.
            self.from = self.words.len();
            return None;
        }
        while self.words[self.from] == 0 {
            self.from += 1;
        }
        let word = &mut self.words[self.from];
        let number = self.from * 64 + word.trailing_zeros() as usize;
        *word &= *word - 1;
        self.count -= 1;
        Some(number)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn it_is_a_sorted_set() {
        let (mut list, mut model, mut n) = (Worklist::default(), BTreeSet::new(), 1u64);
        for _ in 0..5000 {
            n = n.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            if (n >> 33) % 5 < 3 {
                let number = (n >> 40) as usize % 700;
                list.insert(number);
                model.insert(number);
            } else {
                assert_eq!(list.pop_first(), model.pop_first());
            }
        }
        while let Some(number) = model.pop_first() {
            assert_eq!(list.pop_first(), Some(number));
        }
        assert_eq!(list.pop_first(), None);
        list.insert(3);
        assert_eq!((list.pop_first(), list.pop_first()), (Some(3), None));
    }
}
