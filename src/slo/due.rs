//! When time alone has something to decide, for each of thousands of objectives: who is due is found without looking at
//! the others.

use std::collections::BTreeSet;

use crate::model::Timestamp;

/// An instant for each objective, by number; [`Timestamp::MAX`] for never, [`Timestamp::MIN`] for the next entry of the log,
/// which nobody waits for.
#[derive(Debug, Clone)]
pub(super) struct Due {
    of: Vec<Timestamp>,
    /// The same in the order of time, without those that are never due.
    order: BTreeSet<(Timestamp, usize)>,
}

impl Due {
    pub(super) fn new(of: impl Iterator<Item = Timestamp>) -> Due {
        let of: Vec<Timestamp> = of.collect();
        let order = of.iter().enumerate().map(|(n, due)| (*due, n)).filter(|(due, _)| *due < Timestamp::MAX).collect();
        Due { of, order }
    }

    /// Sets the instant of one.
    pub(super) fn set(&mut self, n: usize, due: Timestamp) {
        let before = std::mem::replace(&mut self.of[n], due);
        if before != due {
            self.order.remove(&(before, n));
            if due < Timestamp::MAX {
                self.order.insert((due, n));
            }
        }
    }

    /// Those that are due by an instant.
    pub(super) fn by(&self, at: Timestamp) -> impl Iterator<Item = usize> {
        self.order.iter().take_while(move |(due, _)| *due <= at).map(|(_, n)| *n)
    }

    /// The first instant that somebody should wait for.
    pub(super) fn next(&self) -> Option<Timestamp> {
        self.order.range((Timestamp(Timestamp::MIN.0 + 1), 0)..).next().map(|(due, _)| *due)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_due_is_found_in_the_order_of_time() {
        let mut due = Due::new([Timestamp(50), Timestamp::MAX, Timestamp::MIN, Timestamp(20)].into_iter());
        let by = |due: &Due, at| due.by(Timestamp(at)).collect::<Vec<_>>();
        assert_eq!((by(&due, 19), by(&due, 50)), (vec![2], vec![2, 3, 0]));
        assert_eq!(due.next(), Some(Timestamp(20)), "the next entry of the log is waited for by nobody");
        due.set(3, Timestamp::MAX);
        due.set(1, Timestamp(30));
        due.set(2, Timestamp(50));
        assert_eq!((by(&due, 49), by(&due, 50)), (vec![1], vec![1, 0, 2]));
        assert_eq!(due.next(), Some(Timestamp(30)));
        due.set(1, Timestamp::MAX);
        due.set(0, Timestamp::MIN);
        due.set(2, Timestamp::MAX);
        assert_eq!((by(&due, 0), due.next()), (vec![0], None));
    }
}
