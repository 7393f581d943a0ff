//! `evenkeel what-if`: how an objective would stand, and whom it would have woken, if it were otherwise.

use std::process::ExitCode;

use anyhow::{Context, bail};
use clap::{Args, ValueEnum};

use super::Server;
use super::ask::{get, percent};
use crate::report::{WhatIfReport, what_if_text};

/// Play stored history through an objective with another target, window or method
#[derive(Args)]
#[command(
    after_help = "Example: evenkeel what-if checkout/availability --objective 99.5\n         evenkeel what-if checkout/availability --window month --time-zone Europe/Berlin\n         evenkeel what-if checkout/availability --slices 1m --slice-target 95\n\nNothing that runs is changed. Samples count as having come at their own times.\n\nExit code 0: played. 1: it could not be."
)]
pub(super) struct WhatIfArgs {
    /// The objective: its service and its name with a slash between them
    objective_path: String,
    /// Another target: a percentage, or a share below 1
    #[arg(long)]
    objective: Option<String>,
    /// Another window: 7d, 30d; or day, week, month, quarter, year of the calendar
    #[arg(long)]
    window: Option<String>,
    /// The time zone of a window of the calendar [default: UTC]
    #[arg(long, requires = "window")]
    time_zone: Option<String>,
    /// Count slices of time of this length instead of events; none to count events
    #[arg(long)]
    slices: Option<String>,
    /// The share of good events that a good slice has at least; without it slices count by their share
    #[arg(long, requires = "slices")]
    slice_target: Option<String>,
    /// How it is written
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
    #[command(flatten)]
    server: Server,
}

#[derive(Clone, Copy, PartialEq, ValueEnum)]
enum Format {
    /// Two columns for people
    Text,
    /// For machines
    Json,
}

pub(super) fn run(args: WhatIfArgs) -> anyhow::Result<ExitCode> {
    let Some((service, name)) = args.objective_path.split_once('/') else {
        bail!("{} names no objective; write the service and the name, like checkout/availability", args.objective_path)
    };
    let mut path = format!("/api/v1/objectives/what-if?service={}&name={}", percent(service), percent(name));
    for (key, value) in [
        ("objective", &args.objective),
        ("window", &args.window),
        ("time_zone", &args.time_zone),
        ("slices", &args.slices),
        ("slice_target", &args.slice_target),
    ] {
        if let Some(value) = value {
            path.push_str(&format!("&{key}={}", percent(value)));
        }
    }
    let mut answer = super::runtime()?.block_on(get(&args.server.url, &path))?;
    if args.format == Format::Json {
        outln!("{}", serde_json::to_string_pretty(&answer)?);
        return Ok(ExitCode::SUCCESS);
    }
    let odd = "the answer has another form than expected; are program and server of the same version?";
    let mut read = |key: &str| serde_json::from_value::<WhatIfReport>(answer[key].take()).context(odd);
    let (as_is, what_if) = (read("as_is")?, read("what_if")?);
    out!("{}", what_if_text(&as_is, &what_if));
    Ok(ExitCode::SUCCESS)
}
