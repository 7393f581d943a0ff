//! Unit tests of rules, as `promtool test rules` runs them: series, and what rules and expressions make of them.
//!
//! Invariants:
//! - Every rule is evaluated at every `evaluation_interval` from the start of a test on, whatever interval its group
//!   has, and sees no sample that is newer.
//! - Whatever a file says is checked or refused; nothing is skipped.

mod compare;
mod explain;
mod world;

use std::path::Path;

use self::world::World;
use crate::config::{self, ConfigError, RuleTest, RuleTestFile};
use crate::env::disk::Disk;
use crate::rules::RuleGroup;

/// What became of a file of tests.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct RuleTestReport {
    /// The file, as it was named.
    pub file: String,
    /// What a person should know though nothing failed.
    pub notes: Vec<String>,
    /// Its tests that were run, in order.
    pub tests: Vec<RuleTestOutcome>,
}

/// What became of one test.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct RuleTestOutcome {
    /// Its name; one without a name is called by its number.
    pub name: String,
    /// Its line in the file.
    pub line: usize,
    /// How many alerts and expressions were as expected.
    pub passed: usize,
    /// What was not.
    pub failures: Vec<RuleTestFailure>,
    /// All series at its end, those that rules made among them, one line each.
    pub data: Vec<String>,
}

/// Something that was not as expected.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RuleTestFailure {
    /// The line in the file.
    pub line: usize,
    /// What was looked at, and when.
    pub what: String,
    /// What the file expects.
    pub expected: Vec<String>,
    /// What was found.
    pub got: Vec<String>,
    /// What led to that: the difference, values of expressions around that time, and their samples.
    pub why: Vec<String>,
}

impl RuleTestReport {
    /// Whether everything was as expected.
    pub fn is_ok(&self) -> bool {
        self.tests.iter().all(|test| test.failures.is_empty())
    }
}

/// Runs a file's tests whose names `chosen` picks.
///
/// # Errors
/// The file, or a rule file that it names, cannot be read.
pub fn run_rule_test_file(
    disk: &dyn Disk,
    path: &Path,
    chosen: &dyn Fn(&str) -> bool,
) -> Result<RuleTestReport, ConfigError> {
    let file = config::load_rule_tests(disk, path)?;
    let mut groups = Vec::new();
    let mut seen = Vec::new();
    for path in &file.rule_files {
        // Patterns may find a file twice.
        if !seen.contains(path) {
            groups.extend(config::load_rules(disk, path)?);
            seen.push(path.clone());
        }
    }
    Ok(run_rule_tests(&file, groups, chosen))
}

/// Runs tests that are a text, on rules that are a text: for test suites that keep both in their code. What the
/// text names under `rule_files` is not looked for.
///
/// # Errors
/// One of the texts is not what it should be.
///
/// ```
/// use evenkeel::testkit::run_rule_test_text;
///
/// let rules = "groups: [{name: g, rules: [{alert: Down, expr: up == 0, for: 1m}]}]";
/// let tests = "
/// tests:
///   - input_series: [{series: 'up{job=\"a\"}', values: '1 0 0'}]
///     alert_rule_test: [{eval_time: 2m, alertname: Down, exp_alerts: [{exp_labels: {job: a}}]}]
/// ";
/// let report = run_rule_test_text(tests, rules).unwrap();
/// assert!(report.is_ok(), "{report:#?}");
/// ```
pub fn run_rule_test_text(tests: &str, rules: &str) -> Result<RuleTestReport, ConfigError> {
    let mut file = config::parse_rule_tests(&crate::env::disk::MemoryDisk::new(), "tests", tests)?;
    file.unmatched.clear();
    let groups = config::parse_rules("rules", rules)?;
    Ok(run_rule_tests(&file, groups, &|_| true))
}

/// Runs those tests whose names `chosen` picks on rules.
pub fn run_rule_tests(file: &RuleTestFile, groups: Vec<RuleGroup>, chosen: &dyn Fn(&str) -> bool) -> RuleTestReport {
    let mut report = RuleTestReport { file: file.file.clone(), ..RuleTestReport::default() };
    report.notes.extend(file.unmatched.iter().map(|pattern| format!("no rule file fits {pattern}")));
    let groups = ordered(groups, &file.group_eval_order, &mut report.notes);
    for (at, test) in file.tests.iter().enumerate() {
        if chosen(&test.name) {
            let name = if test.name.is_empty() { format!("unnamed#{at}") } else { test.name.clone() };
            report.tests.push(run_test(file, test, name, &groups, &mut report.notes));
        }
    }
    report
}

/// The groups that a file orders come in that order, the others before them.
fn ordered(mut groups: Vec<RuleGroup>, order: &[String], notes: &mut Vec<String>) -> Vec<RuleGroup> {
    for name in order {
        if !groups.iter().any(|group| group.name == *name) {
            notes.push(format!("group_eval_order names \"{name}\", and no rule file has such a group"));
        }
    }
    groups.sort_by_key(|group| order.iter().position(|name| *name == group.name).map_or(0, |at| at + 1));
    groups
}

fn run_test(
    file: &RuleTestFile,
    test: &RuleTest,
    name: String,
    groups: &[RuleGroup],
    notes: &mut Vec<String>,
) -> RuleTestOutcome {
    let mut outcome = RuleTestOutcome { name, line: test.line, ..RuleTestOutcome::default() };
    for case in &test.alerts {
        let known = groups.iter().flat_map(|group| &group.rules).any(|rule| rule.name() == case.alertname);
        if !known {
            notes.push(format!("line {}: no rule is named {}", case.line, case.alertname));
        }
    }
    let mut world = match World::new(file, test, groups) {
        Ok(world) => world,
        Err(failure) => {
            outcome.failures.push(failure);
            return outcome;
        }
    };
    world.run(&mut outcome);
    outcome.data = world.data();
    outcome
}
