//! PromQL by scripts: our own, and upstream's where they are at hand.

use std::io::Write;
use std::path::{Path, PathBuf};

use evenkeel::promql::{AggregateOp, Function};
use evenkeel::testkit::{ScriptReport, run_script};

mod engine;
mod scan;

fn run(path: &Path) -> ScriptReport {
    run_script(&std::fs::read_to_string(path).unwrap())
}

fn describe(path: &Path, report: &ScriptReport) -> String {
    let mut text = String::new();
    for failure in &report.failed {
        text += &format!("{}:{}: {}\n    {}\n", path.display(), failure.line, failure.command, failure.reason);
    }
    text
}

/// Upstream's scripts with how many evaluations must pass; all others of a file are out of scope.
const CONFORMANCE: &[(&str, usize)] = &[
    ("aggregators", 97),
    ("at_modifier", 46),
    ("collision", 2),
    ("duration_expression", 37),
    ("extended_vectors", 111),
    ("fill-modifier", 35),
    ("functions", 295),
    ("histograms", 117),
    ("info", 32),
    ("literals", 13),
    ("name_label_dropping", 24),
    ("operators", 129),
    ("range_queries", 11),
    ("selectors", 21),
    ("staleness", 13),
    ("subquery", 27),
    ("trig_functions", 12),
    ("type_and_unit", 32),
    ("start_timestamps", 17),
    ("native_histograms", 328),
    ("limit", 19),
];

/// Where upstream's expectation is a rounding error that our sums do not make: file and command.
/// (Its comment gives the correct value, -44.848083237000004, which is what we answer.)
const MORE_EXACT: &[(&str, &str)] = &[("functions", "eval instant at 55s avg_over_time(metric11[1m])")];

#[test]
fn upstream_scripts_pass() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/conformance/promql");
    if !folder.is_dir() {
        // Written past the test harness, which would keep it to itself.
        let _ = writeln!(std::io::stderr(), "skipped: {} is not there", folder.display());
        return;
    }
    let mut wrong = String::new();
    for (name, floor) in CONFORMANCE {
        let path = folder.join(format!("{name}.test"));
        let mut report = run(&path);
        report.failed.retain(|failure| !MORE_EXACT.contains(&(*name, failure.command.as_str())));
        println!("{name}: {} passed, {} failed", report.passed, report.failed.len());
        wrong += &describe(&path, &report);
        if report.passed < *floor {
            wrong += &format!("{name}: {} passed, at least {floor} must\n", report.passed);
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

#[test]
fn own_scripts_pass() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/promql");
    let mut scripts: Vec<PathBuf> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    scripts.retain(|path| path.extension().is_some_and(|extension| extension == "test"));
    scripts.sort();
    assert!(!scripts.is_empty());
    let mut wrong = String::new();
    let mut all = String::new();
    for path in &scripts {
        all += &std::fs::read_to_string(path).unwrap();
        let report = run(path);
        wrong += &describe(path, &report);
        if report.passed == 0 {
            wrong += &format!("{}: nothing passed\n", path.display());
        }
    }
    let functions = Function::ALL.iter().map(|function| function.name());
    let aggregations = AggregateOp::ALL.iter().map(|op| op.as_str());
    for name in functions.chain(aggregations) {
        let called = all.match_indices(name).any(|(at, _)| {
            let letter = |c: char| c.is_ascii_alphanumeric() || c == '_';
            !all[..at].ends_with(letter) && !all[at + name.len()..].starts_with(letter)
        });
        if !called {
            wrong += &format!("{name} is in no script\n");
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}
