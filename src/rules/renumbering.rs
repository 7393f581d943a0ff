//! New numbers for the slots that stay when others are given up.
//!
//! Invariants:
//! - What stays keeps its order: the new number of a slot is how many that stay come before it.

/// Given in place of a number to a slot that goes.
const GONE: u32 = u32::MAX;

/// Of each old slot its new number.
#[derive(Debug, Clone)]
pub(super) struct Renumbering {
    new: Vec<u32>,
    kept: u32,
}

impl Renumbering {
    /// Keeps the slots of `0..count` of which `stays` says so.
    pub(super) fn new(count: u32, stays: impl Fn(u32) -> bool) -> Renumbering {
        let mut kept = 0;
        let mut number = |slot| {
            if !stays(slot) {
                return GONE;
            }
            kept += 1;
            kept - 1
        };
        let new = (0..count).map(&mut number).collect();
        Renumbering { new, kept }
    }

    /// The new number of a slot, if it stays.
    pub(super) fn get(&self, slot: u32) -> Option<u32> {
        self.new.get(slot as usize).copied().filter(|new| *new != GONE)
    }

    /// How many go.
    pub(super) fn gone(&self) -> u32 {
        self.new.len() as u32 - self.kept
    }

    /// Keeps of what stands one for each slot that which stays. A list may not reach the newest slots yet.
    pub(super) fn retain<T>(&self, list: &mut Vec<T>) {
        let mut slot = 0;
        list.retain(|_| {
            slot += 1;
            self.get(slot - 1).is_some()
        });
        list.shrink_to(list.len() * 2);
    }

    /// Gives slots their new numbers; those that go are left out.
    pub(super) fn rename(&self, slots: &mut Vec<u32>) {
        slots.retain_mut(|slot| match self.get(*slot) {
            Some(new) => {
                *slot = new;
                true
            }
            None => false,
        });
        slots.shrink_to(slots.len() * 2);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stays_keeps_its_order() {
        let odd = Renumbering::new(6, |slot| slot % 2 == 1);
        let new = [None, Some(0), None, Some(1), None, Some(2), None];
        assert_eq!((0..7).map(|slot| odd.get(slot)).collect::<Vec<_>>(), new);
        assert_eq!(odd.gone(), 3);
        let mut list = vec!["a", "b", "c", "d"];
        odd.retain(&mut list);
        assert_eq!(list, ["b", "d"], "a list that is behind");
        let mut slots = vec![5, 0, 1];
        odd.rename(&mut slots);
        assert_eq!(slots, [2, 0]);
    }
}
