//! `evenkeel check`: whether files say what they should, before anything runs on them.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Subcommand};

use crate::config::{self, Config};
use crate::env::disk::RealDisk;
use crate::rules::{Evaluator, Mode, RuleContext, RuleGroup};

/// Check files before anything runs on them
#[derive(Args)]
pub(super) struct CheckArgs {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// A configuration with every file that it names; prints what is in force
    #[command(after_help = "Example: evenkeel check config prometheus.yml")]
    Config {
        /// The files
        #[arg(required = true)]
        files: Vec<PathBuf>,
    },
    /// Rule files in Prometheus' format
    #[command(after_help = "Example: evenkeel check rules rules/*.yml")]
    Rules {
        /// The files
        #[arg(required = true)]
        files: Vec<PathBuf>,
    },
    /// Files of objectives: ours, Sloth's, Pyrra's, OpenSLO's; says what each was understood to promise
    #[command(after_help = "Example: evenkeel check slo slos/*.yaml --url http://127.0.0.1:9090")]
    Slo {
        /// The files
        #[arg(required = true)]
        files: Vec<PathBuf>,
        /// A running server that is asked for the traffic of each, to see whether it is enough
        #[arg(long)]
        url: Option<String>,
    },
}

/// The rules with how each is evaluated, and why.
fn rules_text(groups: Vec<RuleGroup>) -> anyhow::Result<String> {
    let count: usize = groups.iter().map(|group| group.rules.len()).sum();
    let mut text = format!("{} groups, {count} rules\n", groups.len());
    for group in Evaluator::new(groups, RuleContext::default())?.groups() {
        for rule in &group.rules {
            let how = match &rule.mode {
                Mode::Incremental if rule.follows_numbers_of.is_empty() => "with each sample".to_owned(),
                Mode::Incremental => format!(
                    "with each sample; every {} while native histograms are selected by {}",
                    group.interval,
                    rule.follows_numbers_of.join(" or ")
                ),
                Mode::Interval { reason } => format!("every {}: {reason}", group.interval),
            };
            text.push_str(&format!("  {}/{}: {how}\n", group.name, rule.name));
        }
    }
    Ok(text)
}

pub(super) fn run(args: CheckArgs) -> anyhow::Result<ExitCode> {
    let check = |path: &PathBuf| match &args.what {
        What::Config { .. } => Ok(Config::load(&RealDisk, path)?.summary()),
        What::Rules { .. } => rules_text(config::load_rules(&RealDisk, path)?),
        What::Slo { url, .. } => super::check_slo::text(path, url.as_deref()),
    };
    let (What::Config { files } | What::Rules { files } | What::Slo { files, .. }) = &args.what;
    let mut failed = false;
    for file in files {
        match check(file) {
            Ok(text) => print!("{}: ok\n{text}", file.display()),
            Err(error) => {
                failed = true;
                eprintln!("{error}");
            }
        }
    }
    Ok(if failed { ExitCode::from(1) } else { ExitCode::SUCCESS })
}
