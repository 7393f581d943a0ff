//! `evenkeel check`: whether files say what they should, before anything runs on them.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Subcommand};

use crate::config::{self, Config, ConfigError};
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
    /// Rule files in Prometheus' format
    #[command(after_help = "Example: evenkeel check rules rules/*.yml")]
    Rules {
        /// The files
        #[arg(required = true)]
        files: Vec<PathBuf>,
    },
    /// Files of objectives
    #[command(after_help = "Example: evenkeel check slo slos/*.yaml")]
    Slo {
        /// The files
        #[arg(required = true)]
        files: Vec<PathBuf>,
    },
}

pub(super) fn run(args: CheckArgs) -> anyhow::Result<ExitCode> {
    let check: fn(&PathBuf) -> Result<String, ConfigError> = match &args.what {
        What::Config { .. } => |path| Config::load(&RealDisk, path).map(|config| config.summary()),
        What::Rules { .. } => |path| {
            let groups = config::load_rules(&RealDisk, path)?;
            let rules: usize = groups.iter().map(|group| group.rules.len()).sum();
            Ok(format!("{} groups, {rules} rules\n", groups.len()))
        },
        What::Slo { .. } => |path| Ok(format!("{} objectives\n", config::load_objectives(&RealDisk, path)?.len())),
    };
    let (What::Config { files } | What::Rules { files } | What::Slo { files }) = args.what;
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
