//! Running many cases on all cores and collecting what they found.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

/// What a case found wrong, in words.
pub(crate) type Found = String;

/// What a campaign did and found.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    /// What was tried.
    pub(crate) what: String,
    /// How often.
    pub(crate) cases: u64,
    /// Counts worth knowing, by name.
    pub(crate) counts: BTreeMap<&'static str, u64>,
    /// What was found wrong.
    pub(crate) found: Vec<Found>,
}

/// Counts that a case adds to its campaign's.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    /// Cases, if one call tries several.
    pub(crate) cases: u64,
    /// By name.
    pub(crate) counts: BTreeMap<&'static str, u64>,
}

impl Tally {
    /// Counts one case.
    pub(crate) fn case(&mut self) {
        self.cases += 1;
    }

    /// Counts `n` of something.
    pub(crate) fn add(&mut self, name: &'static str, n: u64) {
        *self.counts.entry(name).or_default() += n;
    }
}

impl Outcome {
    /// Runs `case` for each number below `n`, spread over the cores. A panic is a finding.
    pub(crate) fn of(
        what: impl Into<String>,
        n: usize,
        case: impl Fn(usize, &mut Tally) -> Result<(), Found> + Sync,
    ) -> Outcome {
        let outcome = Mutex::new(Outcome { what: what.into(), ..Outcome::default() });
        let next = AtomicUsize::new(0);
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        std::thread::scope(|scope| {
            for _ in 0..cores.min(n) {
                scope.spawn(|| {
                    loop {
                        let number = next.fetch_add(1, Ordering::Relaxed);
                        if number >= n {
                            break;
                        }
                        let mut tally = Tally::default();
                        let done = catch_unwind(AssertUnwindSafe(|| case(number, &mut tally)));
                        let finding = match done {
                            Ok(Ok(())) => None,
                            Ok(Err(found)) => Some(found),
                            Err(panic) => Some(format!("case {number}: panic: {}", text_of(&*panic))),
                        };
                        let mut all = outcome.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
                        all.cases += tally.cases;
                        for (name, n) in tally.counts {
                            *all.counts.entry(name).or_default() += n;
                        }
                        all.found.extend(finding);
                    }
                });
            }
        });
        outcome.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// Stops a test that found something.
    #[allow(dead_code, reason = "the tests use it, the command does not")]
    pub(crate) fn assert_clean(&self, cases_min: u64) {
        let found: Vec<&str> = self.found.iter().take(5).map(String::as_str).collect();
        assert!(found.is_empty(), "{}: {} findings\n{}", self.what, self.found.len(), found.join("\n"));
        assert!(self.cases >= cases_min, "{}: only {} cases", self.what, self.cases);
    }
}

fn text_of(panic: &(dyn std::any::Any + Send)) -> &str {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("no message")
}
