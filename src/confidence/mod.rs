//! What it all means: the verdict and its evidence.
//!
//! Layer 4. Imports: `model`, `slo`.
//! Does not know: HTTP, files, how alerts are evaluated or delivered.
//!
//! One pure function from what is known at an instant to one word for each service and for everything.
//! No score and no weights: each word has reasons, and each reason has its evidence.

mod coverage;
mod evidence;
mod judge;
mod judgement;
mod verdict;
mod words;

pub use coverage::{BlindSpot, Coverage, ServiceCoverage, blind_spots, coverage};
pub use evidence::{Deploy, Evidence, GroupHealth, JobHealth, ReceiverHealth, RuleHealth, StorageHealth};
pub use judge::judge;
pub use judgement::{Fact, Judgement, Reason, ServiceJudgement};
pub use verdict::Verdict;
pub use words::{burn, percent};
