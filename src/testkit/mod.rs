//! For test suites: faulty disks, traffic, scripts of the query language, unit tests of rules.
//!
//! Layer 7. Imports: `config`, `env`, `model`, `promql`, `rules`.
//! Does not know: HTTP, the database.

mod faulty_disk;
mod rule_test;
mod script;
mod shop;
mod trace_disk;

pub use faulty_disk::{Fault, FaultyDisk};
pub use rule_test::{
    RuleTestFailure, RuleTestOutcome, RuleTestReport, run_rule_test_file, run_rule_test_text, run_rule_tests,
};
pub use script::{Failure, MemorySeries, ScriptReport, run_script};
pub use shop::Shop;
pub use trace_disk::{Contents, Loss, Names, TraceDisk};
