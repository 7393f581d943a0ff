//! The program's commands.
//!
//! Layer 8. Imports: `backtest`, `config`, `confidence`, `db`, `env`, `lint`, `model`, `notify`, `promql`, `report`, `rules`, `scrape`, `server`, `slo`, `storage`, `testkit`, `wire`.
//! Does not know: storage internals.

#[macro_use]
mod out;

mod answer;
mod ask;
mod backtest;
mod backup;
mod check;
mod check_slo;
mod collect;
mod demo;
mod diff;
mod evidence;
mod files;
mod inspect;
mod query;
mod query_flags;
mod report;
mod rule_check;
mod rule_facts;
mod rule_test;
mod script;
mod serve;
mod setup;
mod simulate;
mod suggest;
mod verdict;
mod what_if;
mod why;

use std::io::{IsTerminal, Write};
use std::net::SocketAddr;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

/// What was typed.
#[derive(Parser)]
#[command(
    name = "evenkeel",
    version,
    about = "Metrics, alerts and objectives in one binary, decided as each sample arrives",
    after_help = "Exit codes: 0 fine; 1 failed, or AT_RISK; 2 wrong usage, or HURTING; 3 BLIND (see `evenkeel verdict --help`)."
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Serve(serve::ServeArgs),
    Demo(demo::DemoArgs),
    Verdict(verdict::VerdictArgs),
    Coverage(verdict::CoverageArgs),
    #[command(name = "blindspots")]
    BlindSpots(verdict::BlindSpotsArgs),
    Query(query::QueryArgs),
    Why(why::WhyArgs),
    WhyNot(why::WhyNotArgs),
    Evidence(evidence::EvidenceArgs),
    Test(script::TestArgs),
    Deploy(ask::DeployArgs),
    Report(report::ReportArgs),
    Episodes(report::EpisodesArgs),
    Outcome(report::OutcomeArgs),
    Check(check::CheckArgs),
    Backtest(backtest::BacktestArgs),
    WhatIf(what_if::WhatIfArgs),
    Simulate(simulate::SimulateArgs),
    Suggest(suggest::SuggestArgs),
    Backup(backup::BackupArgs),
    Inspect(inspect::InspectArgs),
    Verify(inspect::VerifyArgs),
    Compact(inspect::CompactArgs),
}

/// Where a running server is.
#[derive(Args)]
struct Server {
    /// Address of the server to ask
    #[arg(long, default_value = "http://127.0.0.1:9090", env = "EVENKEEL_URL")]
    url: String,
}

/// Where to listen.
#[derive(Args)]
struct Listen {
    /// Address to listen on
    #[arg(long, default_value = "127.0.0.1:9090")]
    listen: SocketAddr,
    /// Allow other than loopback addresses: whoever reaches the port can read and write everything
    #[arg(long)]
    insecure_listen: bool,
}

/// Runs the command that was typed.
pub fn run() -> ExitCode {
    let cli = Cli::parse();
    // The demo tells its own story.
    log_to_stderr(if matches!(cli.command, Command::Demo(_)) { "warn" } else { "info" });
    let result = match cli.command {
        Command::Serve(args) => serve::run(args),
        Command::Demo(args) => demo::run(args),
        Command::Verdict(args) => verdict::run(args),
        Command::Coverage(args) => verdict::coverage(args),
        Command::BlindSpots(args) => verdict::blind_spots(args),
        Command::Query(args) => query::query(args),
        Command::Why(args) => why::why(args),
        Command::WhyNot(args) => why::why_not(args),
        Command::Evidence(args) => evidence::evidence(args),
        Command::Test(args) => script::run(args),
        Command::Deploy(args) => ask::deploy(args),
        Command::Report(args) => report::report(args),
        Command::Episodes(args) => report::episodes(args),
        Command::Outcome(args) => report::outcome(args),
        Command::Check(args) => check::run(args),
        Command::Backtest(args) => backtest::run(args),
        Command::WhatIf(args) => what_if::run(args),
        Command::Simulate(args) => simulate::run(args),
        Command::Suggest(args) => suggest::run(args),
        Command::Backup(args) => backup::run(args),
        Command::Inspect(args) => inspect::inspect(args),
        Command::Verify(args) => inspect::verify(args),
        Command::Compact(args) => inspect::compact(args),
    };
    result.unwrap_or_else(|error| {
        if error.is::<out::Closed>() {
            return ExitCode::SUCCESS;
        }
        // Where this goes may be full or gone; the exit code still tells.
        let _ = writeln!(std::io::stderr(), "error: {error:#}");
        ExitCode::from(1)
    })
}

fn log_to_stderr(level: &str) {
    let filter = tracing_subscriber::EnvFilter::try_from_env("EVENKEEL_LOG")
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new(level));
    let colour = std::io::stderr().is_terminal();
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_target(false)
        .with_ansi(colour)
        // It would print them to standard error and panic if that fails, as on a full disk.
        .log_internal_errors(false)
        .init();
}

/// The runtime for the asynchronous edge. Two threads: the work is in the database's own.
fn runtime() -> anyhow::Result<tokio::runtime::Runtime> {
    Ok(tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?)
}
