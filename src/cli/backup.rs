//! `evenkeel backup`: a copy of a database, running or stopped.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context, bail};
use clap::Args;

use crate::env::disk::RealDisk;
use crate::storage::{Store, StoreOptions};

/// Copy a database: of a running server into its own directory, or of a stopped one to anywhere
#[derive(Args)]
#[command(
    after_help = "Examples:\n  evenkeel backup --url http://127.0.0.1:9090       a server that runs with --enable-admin-api\n  evenkeel backup --data evenkeel-data --to /backup/monday\n\nBlocks are linked where the file system can, so a copy beside the database takes little room.\nTo restore, start `evenkeel serve --data` on the copy, or on a copy of it."
)]
pub(super) struct BackupArgs {
    /// Address of a running server
    #[arg(long, conflicts_with = "data")]
    url: Option<String>,
    /// Directory of a database that no process has open
    #[arg(long, requires = "to")]
    data: Option<PathBuf>,
    /// Where the copy goes: a directory that is empty or not there yet
    #[arg(long, requires = "data")]
    to: Option<PathBuf>,
}

pub(super) fn run(args: BackupArgs) -> anyhow::Result<ExitCode> {
    match (args.url, args.data, args.to) {
        (Some(url), ..) => super::runtime()?.block_on(of_server(&url)),
        (_, Some(data), Some(to)) => of_directory(&data, &to),
        _ => bail!("say --url of a running server, or --data and --to"),
    }
}

async fn of_server(url: &str) -> anyhow::Result<ExitCode> {
    let data = super::ask::post(url, "/api/v1/admin/tsdb/snapshot", &[]).await?;
    outln!("snapshots/{}", data["name"].as_str().context("the server gave no name")?);
    Ok(ExitCode::SUCCESS)
}

fn of_directory(data: &Path, to: &Path) -> anyhow::Result<ExitCode> {
    if !data.join("MANIFEST").exists() {
        bail!("{} holds no database", data.display());
    }
    let (store, mut replay) = Store::open(Arc::new(RealDisk), data, StoreOptions::default())?;
    while replay.next()?.is_some() {}
    let report = store.backup(to)?;
    outln!(
        "{}: {} files, {} bytes ({} linked), up to entry {} of {}",
        to.display(),
        report.files,
        report.bytes,
        report.linked_bytes,
        report.seq.0,
        report.at
    );
    Ok(ExitCode::SUCCESS)
}
