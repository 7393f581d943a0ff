//! `evenkeel check`: whether files say what they should, before anything runs on them.

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Subcommand};

use super::rule_check::{self, RuleCheckArgs};
use crate::config::Config;
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

/// What a file says, if it can be used.
type Check = Box<dyn Fn(&PathBuf) -> anyhow::Result<String>>;

pub(super) fn run(args: CheckArgs) -> anyhow::Result<ExitCode> {
    let (files, check): (_, Check) = match args.what {
        What::Config { files } => (files, Box::new(|path| Ok(Config::load(&RealDisk, path)?.summary()))),
        What::Rules(args) => return rule_check::run(args),
        What::Slo { files, url } => (files, Box::new(move |path| super::check_slo::text(path, url.as_deref()))),
    };
    let mut failed = false;
    for file in &files {
        match check(file) {
            Ok(text) => out!("{}: ok\n{text}", file.display()),
            Err(error) => {
                failed = true;
                let _ = writeln!(std::io::stderr(), "{error}");
            }
        }
    }
    Ok(if failed { ExitCode::from(1) } else { ExitCode::SUCCESS })
}
