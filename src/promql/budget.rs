//! How many samples all queries together may hold.
//!
//! Invariant: what a query has taken is given back when it ends, however it ends.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::query::EvalError;

/// Room for samples, shared by queries.
#[derive(Clone)]
pub struct Budget(Arc<AtomicUsize>);

impl Budget {
    /// Room for so many.
    pub fn new(samples: usize) -> Budget {
        Budget(Arc::new(AtomicUsize::new(samples)))
    }

    /// How many could be taken now.
    pub fn free(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

impl fmt::Debug for Budget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Budget({})", self.free())
    }
}

/// What one query has taken of a budget.
pub(super) struct Account {
    budget: Option<Budget>,
    taken: AtomicUsize,
}

impl Account {
    /// Nothing yet; without a budget there is always room.
    pub(super) fn new(budget: Option<Budget>) -> Account {
        Account { budget, taken: AtomicUsize::new(0) }
    }

    /// How many samples there is room for now.
    pub(super) fn free(&self) -> usize {
        self.budget.as_ref().map_or(usize::MAX, Budget::free)
    }

    /// Takes room for samples before they get any memory.
    pub(super) fn take(&self, samples: usize) -> Result<(), EvalError> {
        let Some(Budget(free)) = &self.budget else { return Ok(()) };
        let left = free.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |free| free.checked_sub(samples));
        left.map_err(|_| EvalError::Busy)?;
        self.taken.fetch_add(samples, Ordering::Relaxed);
        Ok(())
    }
}

impl Drop for Account {
    fn drop(&mut self) {
        if let Some(Budget(free)) = &self.budget {
            free.fetch_add(*self.taken.get_mut(), Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_taken_comes_back() {
        let budget = Budget::new(10);
        let (one, other) = (Account::new(Some(budget.clone())), Account::new(Some(budget.clone())));
        assert_eq!((one.take(4), other.take(6), one.take(1)), (Ok(()), Ok(()), Err(EvalError::Busy)));
        drop(other);
        assert_eq!((budget.free(), one.take(6)), (6, Ok(())));
        drop(one);
        assert_eq!(budget.free(), 10);
        assert_eq!(Account::new(None).take(usize::MAX), Ok(()));
    }
}
