//! `evenkeel evidence`: what an alert, an episode or a verdict rests on, and whether that comes out again.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, anyhow, bail};
use clap::{Args, ValueEnum};

use crate::env::disk::{Disk, RealDisk};
use crate::report::{EvidenceReport, evidence_text, replay_text};

use super::Server;
use super::ask::{get, percent};

/// Give what an alert, an episode or a verdict rests on: queries, samples, definitions, who was told
#[derive(Args)]
#[command(
    after_help = "Example: evenkeel evidence 00112233aabbccdd --format json > pack.json\n         evenkeel evidence --replay pack.json\n         evenkeel evidence 'verdict:checkout@2026-11-28T12:00:00Z'\n\n--replay computes every value of a saved pack from the samples in it, without a server or its data. With a name it\ndoes so with the pack that the server gives.\n\nExit codes: 0 it was given, or the replay came out the same, bit for bit; 1 it did not, or nobody answers."
)]
pub(super) struct EvidenceArgs {
    /// An alert that fired or an episode, as `evenkeel episodes --alerts` names it, or verdict:SERVICE@TIME; with
    /// --replay a file may stand here instead
    id: String,
    /// Compute everything anew from the samples of the pack alone, and say what differs
    #[arg(long)]
    replay: bool,
    /// How it is written
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
    #[command(flatten)]
    server: Server,
}

#[derive(Clone, Copy, PartialEq, ValueEnum)]
enum Format {
    /// For people
    Text,
    /// For machines, and for files that are replayed later
    Json,
}

pub(super) fn evidence(args: EvidenceArgs) -> anyhow::Result<ExitCode> {
    let file = PathBuf::from(&args.id);
    let pack = if args.replay && file.is_file() {
        let text = RealDisk.read(&file).with_context(|| format!("{} cannot be read", file.display()))?;
        let text = String::from_utf8_lossy(&text);
        EvidenceReport::read(&text).map_err(|reason| anyhow!("{}: {reason}", file.display()))?
    } else if args.replay && args.id.ends_with(".json") {
        bail!("there is no file {}; write the path of a saved pack, or the name of an alert or episode", args.id);
    } else {
        let path = format!("/api/v1/evidence/{}", percent(&args.id));
        let answer = super::runtime()?.block_on(get(&args.server.url, &path))?;
        serde_json::from_value(answer)
            .context("the answer has another form than expected; are program and server of the same version?")?
    };
    if args.replay {
        let replay = pack.replay().map_err(|reason| anyhow!("it cannot be replayed: {reason}"))?;
        match args.format {
            Format::Text => out!("{}", replay_text(&replay)),
            Format::Json => outln!("{}", serde_json::to_string_pretty(&replay)?),
        }
        return Ok(if replay.same { ExitCode::SUCCESS } else { ExitCode::FAILURE });
    }
    match args.format {
        Format::Text => out!("{}", evidence_text(&pack)),
        Format::Json => outln!("{}", serde_json::to_string_pretty(&pack)?),
    }
    Ok(ExitCode::SUCCESS)
}
