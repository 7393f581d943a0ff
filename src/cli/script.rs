//! `evenkeel test`: rules in promtool's format, and scripts in Prometheus' test language for PromQL.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, bail};
use clap::{Args, Subcommand};

use super::rule_test::{self, RuleTestArgs};
use crate::env::disk::{Disk, RealDisk};
use crate::testkit::{Failure, run_script};

/// Run files that say what rules and queries must give
#[derive(Args)]
pub(super) struct TestArgs {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    Rules(RuleTestArgs),
    /// Scripts in Prometheus' test language for PromQL: load, eval, expect, clear
    #[command(
        after_help = "Example: evenkeel test promql tests/promql\n\nExit code 0: every evaluation passed. 1: some did not, and each was shown."
    )]
    Promql {
        /// Scripts, or directories whose files end in .test
        #[arg(required = true)]
        paths: Vec<PathBuf>,
    },
}

pub(super) fn run(args: TestArgs) -> anyhow::Result<ExitCode> {
    match args.what {
        What::Rules(args) => rule_test::run(args),
        What::Promql { paths } => run_scripts(&paths),
    }
}

fn run_scripts(paths: &[PathBuf]) -> anyhow::Result<ExitCode> {
    let mut scripts = Vec::new();
    for path in paths {
        collect(path, &mut scripts)?;
    }
    if scripts.is_empty() {
        bail!("no script found; scripts end in .test");
    }
    let (mut passed, mut failed) = (0, 0);
    for script in &scripts {
        let bytes = RealDisk.read(script).with_context(|| format!("cannot read {}", script.display()))?;
        let text = String::from_utf8(bytes).with_context(|| format!("{} is not text", script.display()))?;
        let report = run_script(&text);
        for failure in &report.failed {
            out!("{}", told(script, failure));
        }
        passed += report.passed;
        failed += report.failed.len();
    }
    outln!("{passed} passed, {failed} failed");
    Ok(if failed == 0 { ExitCode::SUCCESS } else { ExitCode::from(1) })
}

/// A failure: where, the query, what was expected, what was found.
fn told(script: &Path, failure: &Failure) -> String {
    let indented = |lines: &[String]| lines.iter().map(|line| format!("      {line}\n")).collect::<String>();
    let Failure { line, command, reason, expected, got } = failure;
    let mut text = format!("{}:{line}: {command}\n    {reason}\n", script.display());
    for (head, lines) in [("expected", expected), ("got", got)] {
        if !lines.is_empty() {
            text += &format!("    {head}:\n{}", indented(lines));
        }
    }
    text
}

/// A script, or those of a directory in the order of their names.
fn collect(path: &Path, scripts: &mut Vec<PathBuf>) -> anyhow::Result<()> {
    if !path.is_dir() {
        scripts.push(path.to_owned());
        return Ok(());
    }
    let entries = RealDisk.list(path).with_context(|| format!("cannot read {}", path.display()))?;
    let mut inside: Vec<PathBuf> = entries.iter().map(|entry| path.join(&entry.name)).collect();
    inside.retain(|path| path.extension().is_some_and(|extension| extension == "test"));
    inside.sort();
    scripts.extend(inside);
    Ok(())
}
