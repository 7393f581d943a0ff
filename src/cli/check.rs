//! `evenkeel check`: whether files say what they should, before anything runs on them.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Subcommand};

use super::rule_check::{self, RuleCheckArgs};
use crate::config::{self, Config};
use crate::env::disk::RealDisk;

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
    Rules(RuleCheckArgs),
    /// Files of objectives
    #[command(after_help = "Example: evenkeel check slo slos/*.yaml")]
    Slo {
        /// The files
        #[arg(required = true)]
        files: Vec<PathBuf>,
    },
}

pub(super) fn run(args: CheckArgs) -> anyhow::Result<ExitCode> {
    let (files, check): (_, fn(&PathBuf) -> anyhow::Result<String>) = match args.what {
        What::Config { files } => (files, |path| Ok(Config::load(&RealDisk, path)?.summary())),
        What::Rules(args) => return rule_check::run(args),
        What::Slo { files } => {
            (files, |path| Ok(format!("{} objectives\n", config::load_objectives(&RealDisk, path)?.len())))
        }
    };
    let mut failed = false;
    for file in &files {
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
