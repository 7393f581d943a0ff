//! `evenkeel check rules`: how each rule is evaluated, what it costs, and what is likely wrong with it.

use std::collections::BTreeSet;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::bail;
use clap::{Args, ValueEnum};
use serde_json::{Value, json};

use super::rule_facts::StoredFacts;
use crate::config::{self, RulePlace};
use crate::env::disk::RealDisk;
use crate::lint::{Facts, Finding, Lint, SelectorCost, lint, selector_costs};
use crate::rules::{Evaluator, Mode, Rule, RuleContext, RuleGroup, RuleKind, RuleStatus};

/// Rule files in Prometheus' format: how each rule is evaluated, what it costs, what is likely wrong
#[derive(Args)]
#[command(after_help = after_help())]
pub(super) struct RuleCheckArgs {
    /// The files
    #[arg(required_unless_present = "lints")]
    files: Vec<PathBuf>,
    /// Directory of a database that no process has open, to look up series in
    #[arg(long, conflicts_with = "url")]
    data: Option<PathBuf>,
    /// Address of a server, ours or a Prometheus, to look up series in
    #[arg(long, env = "EVENKEEL_CHECK_URL")]
    url: Option<String>,
    /// Do not look for this; may be given several times
    #[arg(long, value_name = "LINT", value_parser = known_lint)]
    disable: Vec<Lint>,
    /// Exit with 3 if anything is found
    #[arg(long)]
    lint_fatal: bool,
    /// List what is looked for
    #[arg(long)]
    lints: bool,
    /// How the answer is written
    #[arg(long, value_enum, default_value_t = CheckFormat::Text)]
    format: CheckFormat,
}

/// How a check is written.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum CheckFormat {
    /// Lines for people
    Text,
    /// One object with all files
    Json,
}

fn after_help() -> &'static str {
    "Example: evenkeel check rules rules/*.yml\n         evenkeel check rules --url http://127.0.0.1:9090 --disable missing-owner rules/*.yml\n\nA comment \"# evenkeel:disable LINT, …\" above or in a rule, a group's head or a file's head switches lints off there.\n\nExit code 0: every file can be used. 1: one cannot, and was shown. 3: with --lint-fatal, something was found."
}

fn known_lint(name: &str) -> Result<Lint, String> {
    Lint::from_name(name).ok_or_else(|| "there is no such lint; --lints lists them".to_owned())
}

/// What is known of a file's rule.
struct Checked {
    group: String,
    line: usize,
    status: RuleStatus,
    interval: String,
    costs: Vec<SelectorCost>,
    findings: Vec<Finding>,
}

pub(super) fn run(args: RuleCheckArgs) -> anyhow::Result<ExitCode> {
    if args.lints {
        for lint in Lint::ALL {
            outln!("{:22} {}", lint.name(), lint.about());
        }
        return Ok(ExitCode::SUCCESS);
    }
    let facts = match (&args.data, &args.url) {
        (Some(dir), _) => Some(StoredFacts::of_directory(dir)?),
        (None, Some(url)) => Some(StoredFacts::of_server(url)?),
        (None, None) => None,
    };
    let facts = facts.as_ref().map(|facts| facts as &dyn Facts);
    let (mut failed, mut found, mut files) = (false, 0, Vec::new());
    for file in &args.files {
        match check(file, &args.disable, facts) {
            Ok(rules) => {
                found += rules.iter().map(|rule| rule.findings.len()).sum::<usize>();
                match args.format {
                    CheckFormat::Text => out!("{}", text_of(file, &rules)),
                    CheckFormat::Json => files.push(json_of(file, &rules)),
                }
            }
            Err(error) => {
                failed = true;
                match args.format {
                    CheckFormat::Text => {
                        let _ = writeln!(std::io::stderr(), "{error}");
                    }
                    CheckFormat::Json => files.push(json!({"file": file, "error": error.to_string()})),
                }
            }
        }
    }
    if args.format == CheckFormat::Json {
        outln!("{}", serde_json::to_string_pretty(&json!({"files": files}))?);
    }
    Ok(match (failed, args.lint_fatal && found > 0) {
        (true, _) => ExitCode::from(1),
        (false, true) => ExitCode::from(3),
        (false, false) => ExitCode::SUCCESS,
    })
}

fn check(file: &Path, disabled: &[Lint], facts: Option<&dyn Facts>) -> anyhow::Result<Vec<Checked>> {
    let groups = config::load_rules(&RealDisk, file)?;
    let places = config::load_rule_places(&RealDisk, file)?;
    for place in &places {
        if let Some(name) = place.disabled.iter().find(|name| Lint::from_name(name).is_none()) {
            let (file, line) = (file.display(), place.line);
            bail!("{file}:{line}: a comment disables \"{name}\", which is no lint; see evenkeel check rules --lints");
        }
    }
    let evaluator = Evaluator::new(groups.clone(), RuleContext::default())?;
    let statuses = evaluator.groups().into_iter().flat_map(|group| group.rules);
    let rules = groups.iter().flat_map(|group| (0..group.rules.len()).map(move |at| (group, at)));
    let checked = rules.zip(statuses).zip(&places);
    Ok(checked.map(|(((group, at), status), place)| of_rule(group, at, status, place, disabled, facts)).collect())
}

fn of_rule(
    group: &RuleGroup,
    at: usize,
    status: RuleStatus,
    place: &RulePlace,
    disabled: &[Lint],
    facts: Option<&dyn Facts>,
) -> Checked {
    let mut findings = lint(group, at, &status.mode, facts);
    let off: BTreeSet<&str> = place.disabled.iter().map(String::as_str).collect();
    findings.retain(|finding| !disabled.contains(&finding.lint) && !off.contains(finding.lint.name()));
    let rule: &Rule = &group.rules[at];
    Checked {
        group: group.name.clone(),
        line: place.line,
        costs: selector_costs(rule.expr(), facts),
        interval: group.interval.to_string(),
        status,
        findings,
    }
}

/// How a rule is evaluated, and why.
fn how(rule: &Checked) -> String {
    let interval = &rule.interval;
    match &rule.status.mode {
        Mode::Incremental if rule.status.follows_numbers_of.is_empty() => "with each sample".to_owned(),
        Mode::Incremental => format!(
            "with each sample; every {interval} while native histograms are selected by {}",
            rule.status.follows_numbers_of.join(" or ")
        ),
        Mode::Interval { reason } => format!("every {interval}: {reason}"),
    }
}

fn text_of(file: &Path, rules: &[Checked]) -> String {
    let groups: BTreeSet<&str> = rules.iter().map(|rule| rule.group.as_str()).collect();
    let mut text = format!("{}: ok\n{} groups, {} rules\n", file.display(), groups.len(), rules.len());
    for rule in rules {
        text += &format!("  {}/{}: {}\n", rule.group, rule.status.name, how(rule));
        for cost in &rule.costs {
            let known = match (cost.series, cost.samples) {
                (Some(series), Some(samples)) => format!(": {series} series, {samples} samples"),
                (Some(series), None) => format!(": {series} series"),
                _ => String::new(),
            };
            text += &format!("    reads {} over {}{known}\n", cost.selector, cost.window);
        }
        for Finding { lint, message } in &rule.findings {
            text += &format!("    {}:{}: {}: {message}\n", file.display(), rule.line, lint.name());
        }
    }
    text
}

fn json_of(file: &Path, rules: &[Checked]) -> Value {
    let rule = |rule: &Checked| {
        let (class, reason) = match &rule.status.mode {
            Mode::Incremental => ("ingest", None),
            Mode::Interval { reason } => ("interval", Some(reason)),
        };
        let costs = rule.costs.iter().map(|cost| {
            json!({
                "selector": cost.selector,
                "window_seconds": cost.window.as_seconds(),
                "series": cost.series,
                "samples": cost.samples,
            })
        });
        let findings = rule.findings.iter().map(|one| json!({"lint": one.lint.name(), "message": one.message}));
        json!({
            "group": rule.group,
            "name": rule.status.name,
            "type": if rule.status.kind == RuleKind::Alerting { "alerting" } else { "recording" },
            "line": rule.line,
            "evaluated": class,
            "reason": reason,
            "at_interval_with_native_histograms_of": rule.status.follows_numbers_of,
            "reads": costs.collect::<Vec<_>>(),
            "findings": findings.collect::<Vec<_>>(),
        })
    };
    json!({"file": file, "rules": rules.iter().map(rule).collect::<Vec<_>>()})
}
