//! What it all means: the verdict and its evidence, and how good alerts were.
//!
//! Layer 4. Imports: `backtest`, `model`, `slo`, `stats`.
//! Does not know: HTTP, files, how alerts are evaluated or delivered.
//!
//! One pure function from what is known at an instant to one word for each service and for everything.
//! No score and no weights: each word has reasons, and each reason has its evidence.

mod accuracy;
mod blindness;
mod coverage;
mod critical;
mod customers;
mod evidence;
mod factors;
mod finding;
mod fired;
mod held;
mod judge;
mod judgement;
mod program;
mod verdict;
mod words;

pub use accuracy::{
    Accuracy, AccuracyTargets, Claim, ClassAccuracy, EARLY, Quantile, Record, RuleAccuracy, Spread, accuracy, claim,
};
pub use blindness::Blindness;
pub use coverage::{
    BlindSpot, Coverage, CoverageScope, Inventory, ServiceCoverage, UnwatchedErrors, blind_spots, coverage,
};
pub use critical::{CriticalGap, CriticalServices, DeclaredService, Lacks};
pub use customers::{Customers, MostHurt, customers};
pub use evidence::{
    ClockJump, Deploy, Evidence, GroupHealth, JobHealth, ProgramHealth, ReceiverHealth, RuleHealth, RuleInfo,
    StorageHealth,
};
pub use factors::{Factor, factors};
pub use finding::{group_verdict, is_fine, objective_verdict};
pub use fired::{FiredAlert, FiredId, KnownEpisode, Outcome, OutcomeLabel, ToldTo, Truth, Urgency};
pub use held::{Held, HeldWords, held_words};
pub use judge::{judge, outline};
pub use judgement::{Fact, Judgement, Outline, Reason, ServiceJudgement};
pub use verdict::Verdict;
pub use words::{burn, percent, plural};
