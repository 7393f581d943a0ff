//! `evenkeel test rules`: unit tests of rules in promtool's format.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use clap::Args;
use regex::Regex;

use super::diff::difference;
use super::files::write_file;
use crate::env::disk::RealDisk;
use crate::report::{JunitCase, JunitSuite, junit_xml};
use crate::testkit::{RuleTestFailure, RuleTestOutcome, RuleTestReport, run_rule_test_file};

/// Unit tests of rules, in the files that `promtool test rules` takes
#[derive(Args)]
#[command(
    after_help = "Example: evenkeel test rules tests/*.yml\n         evenkeel test rules --run '^checkout' --diff tests/alerts.yml\n\nA key of ours, \"match: subset\", in a file, a test or an alert test, lets exp_labels and exp_annotations name only\nsome of an alert's labels and annotations; \"match: exact\" is what promtool does.\n\nExit code 0: everything was as expected. 1: something was not, and was shown with what led to it, or a file\ncannot be read."
)]
pub(super) struct RuleTestArgs {
    /// Test files
    #[arg(required = true)]
    files: Vec<PathBuf>,
    /// Run only tests whose name this pattern finds; may be given several times
    #[arg(long)]
    run: Vec<Regex>,
    /// Print every series at the end of each test, those that rules made among them
    #[arg(long)]
    debug: bool,
    /// Show what is expected and what was found as one list of differences
    #[arg(long)]
    diff: bool,
    /// Also write the results to this file, as JUnit XML
    #[arg(long, value_name = "FILE")]
    junit: Option<PathBuf>,
}

pub(super) fn run(args: RuleTestArgs) -> anyhow::Result<ExitCode> {
    let chosen = |name: &str| args.run.is_empty() || args.run.iter().any(|pattern| pattern.is_match(name));
    let (mut passed, mut failed) = (0, 0);
    let mut suites = Vec::new();
    for file in &args.files {
        let name = file.display().to_string();
        match run_rule_test_file(&RealDisk, file, &chosen) {
            Ok(report) => {
                out!("{}", told(&report, &args));
                failed += report.tests.iter().filter(|test| !test.failures.is_empty()).count();
                passed += report.tests.iter().filter(|test| test.failures.is_empty()).count();
                suites.push(suite(&report));
            }
            Err(error) => {
                outln!("{name}: failed\n{error}");
                failed += 1;
                let case = JunitCase { name: "the file".to_owned(), failures: vec![error.to_string()] };
                suites.push(JunitSuite { name, cases: vec![case] });
            }
        }
    }
    outln!("{passed} passed, {failed} failed");
    if let Some(path) = &args.junit {
        write_file(path, junit_xml(&suites).as_bytes()).with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(if failed == 0 { ExitCode::SUCCESS } else { ExitCode::from(1) })
}

fn told(report: &RuleTestReport, args: &RuleTestArgs) -> String {
    let mut text = format!("{}: {}\n", report.file, if report.is_ok() { "ok" } else { "failed" });
    for note in &report.notes {
        let _ = writeln!(text, "  note: {note}");
    }
    for test in &report.tests {
        let RuleTestOutcome { name, line, passed, failures, data } = test;
        let state = if failures.is_empty() { "ok    " } else { "FAILED" };
        let _ = writeln!(text, "  {state} {name} (line {line}): {passed} as expected, {} not", failures.len());
        for failure in failures {
            text += &failure_text(&report.file, failure, args.diff);
        }
        if args.debug {
            text += &lines("    all series:", data);
        }
    }
    text
}

/// A failure: where, what, what was expected and found, and what led to it.
fn failure_text(file: &str, failure: &RuleTestFailure, as_diff: bool) -> String {
    let RuleTestFailure { line, what, expected, got, why } = failure;
    let mut text = format!("    {file}:{line}: {what}\n");
    let nothing = vec!["nothing".to_owned()];
    if as_diff {
        text += &lines("      difference (- expected, + got):", &difference(expected, got));
    } else if !expected.is_empty() || !got.is_empty() {
        text += &lines("      expected:", if expected.is_empty() { &nothing } else { expected });
        text += &lines("      got:", if got.is_empty() { &nothing } else { got });
    }
    text + &lines("      why:", why)
}

fn lines(head: &str, lines: &[String]) -> String {
    if lines.is_empty() {
        return String::new();
    }
    let indent = head.len() - head.trim_start().len() + 2;
    lines.iter().fold(format!("{head}\n"), |text, line| text + &format!("{:indent$}{line}\n", ""))
}

fn suite(report: &RuleTestReport) -> JunitSuite {
    let case = |test: &RuleTestOutcome| JunitCase {
        name: test.name.clone(),
        failures: test.failures.iter().map(|failure| failure_text(&report.file, failure, false)).collect(),
    };
    JunitSuite { name: report.file.clone(), cases: report.tests.iter().map(case).collect() }
}
