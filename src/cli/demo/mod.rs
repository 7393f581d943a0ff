//! `evenkeel demo`: a small shop, a bad deploy, the page it causes, the recovery.
//!
//! Everything is the real thing in one process: the database with every sample synced, the server
//! with its pages, a receiver that takes the page over HTTP. Only the customers are made up, and
//! time runs faster. The driver moves a manual clock, so that a seed repeats every decision.

mod pager;
mod story;

use std::io::Write;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use clap::Args;

use crate::config;
use crate::db::{Db, DbOptions, Threads, Watch};
use crate::env::disk::{Disk, RealDisk};
use crate::env::{ManualClock, SystemClock};
use crate::model::{Millis, Timestamp};
use crate::notify::{GroupBy, Receiver, Route, Routing, Webhook};
use crate::storage::{Durability, StoreOptions};
use crate::testkit::Shop;

use self::pager::Pager;
use self::story::Story;

/// Show the whole thing at work: a small shop, a bad deploy, the page it causes, the recovery
#[derive(Args)]
#[command(after_help = "Example: evenkeel demo --speed 30 --seed 7 --exit")]
pub(super) struct DemoArgs {
    /// How many times faster than real time the shop lives
    #[arg(long, default_value_t = 12.0)]
    speed: f64,
    /// Repeats a run exactly
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Address of the pages; by default a free port of loopback
    #[arg(long, default_value = "127.0.0.1:0")]
    listen: SocketAddr,
    /// End when the story is told, in place of going on until Ctrl-C
    #[arg(long)]
    exit: bool,
}

/// When the live part of the story begins: a Monday morning. Fixed, so that a seed repeats all of it.
const BEGIN: Timestamp = Timestamp(1_780_304_400_000);
/// How much history the shop has before. The longest burn window is three days.
const HISTORY: Millis = Millis::days(3);
/// The shop's objectives, as a user would write them.
const OBJECTIVES: &str = include_str!("objectives.yml");
/// Rules beside them, on causes: nobody is told of these.
const RULES: &str = include_str!("rules.yml");

pub(super) fn run(args: DemoArgs) -> anyhow::Result<ExitCode> {
    anyhow::ensure!(args.speed > 0.0 && args.speed <= 1000.0, "--speed must lie between 0 and 1000");
    let dir = TemporaryDir::create()?;
    super::runtime()?.block_on(async {
        tokio::select! {
            result = tell(&args, &dir.path) => result,
            _ = tokio::signal::ctrl_c() => {
                outln!("\nended; nothing is left behind");
                Ok(())
            }
        }
    })?;
    drop(dir);
    Ok(ExitCode::SUCCESS)
}

async fn tell(args: &DemoArgs, dir: &Path) -> anyhow::Result<()> {
    let real = Arc::new(SystemClock::new());
    let pager = Pager::listen(Arc::clone(&real) as _).await?;
    let watch = watch(pager.address)?;
    let clock = Arc::new(ManualClock::new((BEGIN - HISTORY).0));
    let mut shop = Shop::new(args.seed);
    say(format_args!("three days of the shop's history are written ..."))?;
    let (past_dir, past_watch, past_clock) = (dir.to_owned(), watch.clone(), Arc::clone(&clock));
    let shop = tokio::task::spawn_blocking(move || {
        write_history(&past_dir, past_watch, &past_clock, &mut shop).map(|()| shop)
    })
    .await??;
    let mut options = DbOptions::new(dir);
    options.watch = watch;
    options.clock = Arc::clone(&clock) as _;
    options.transport = super::serve::transport();
    let db = tokio::task::spawn_blocking(move || Db::open(options)).await??;
    let page = super::serve::start_server(db.clone(), args.listen, Arc::clone(&clock) as _).await?;
    let story = Story { db, clock, real, shop, pager, speed: args.speed, page };
    story.run(args.exit).await
}

/// Runs the shop up to [`BEGIN`], a minute a step, without syncs: the story proper is synced.
fn write_history(dir: &Path, watch: Watch, clock: &Arc<ManualClock>, shop: &mut Shop) -> anyhow::Result<()> {
    let mut options = DbOptions::new(dir);
    options.watch = watch;
    options.store = StoreOptions { durability: Durability::Buffered, ..StoreOptions::default() };
    options.clock = Arc::clone(clock) as _;
    options.threads = Threads::None;
    let db = Db::open(options)?;
    let step = Millis::minutes(1);
    let mut at = BEGIN - HISTORY;
    while at < BEGIN {
        at = at + step;
        clock.set(at.0);
        for batch in shop.step(at, step) {
            db.append(batch)?;
        }
    }
    db.close()?;
    Ok(())
}

fn watch(pager: SocketAddr) -> anyhow::Result<Watch> {
    let objectives = config::parse_objectives("objectives.yml", OBJECTIVES).context("the demo's own objectives")?;
    let route = Route {
        group_by: GroupBy::All,
        group_wait: Millis::ZERO,
        group_interval: Millis::seconds(10),
        ..Route::new("pager")
    };
    let receiver = Receiver { name: "pager".to_owned(), webhooks: vec![Webhook::new(&format!("http://{pager}/page"))] };
    // The pager is for objectives: what rules say of causes is on the pages.
    let nobody = Receiver { name: "nobody".to_owned(), webhooks: Vec::new() };
    let causes = Route {
        matchers: crate::promql::parse_selector("{severity=\"info\"}").context("the demo's own route")?,
        ..Route::new("nobody")
    };
    let route = Route { routes: vec![causes], ..route };
    let groups = config::parse_rules("rules.yml", RULES).context("the demo's own rules")?;
    let mut watch = Watch { objectives, groups, ..Watch::default() };
    watch.notify.routing = Some(Routing { route, receivers: vec![receiver, nobody] });
    Ok(watch)
}

/// A line to the person who watches, now.
fn say(line: std::fmt::Arguments<'_>) -> anyhow::Result<()> {
    outln!("{line}");
    Ok(())
}

/// A directory that is removed with everything in it.
struct TemporaryDir {
    path: PathBuf,
}

impl TemporaryDir {
    fn create() -> anyhow::Result<TemporaryDir> {
        let path = std::env::temp_dir().join(format!("evenkeel-demo-{}", std::process::id()));
        RealDisk.create_dir(&path)?;
        Ok(TemporaryDir { path })
    }
}

impl Drop for TemporaryDir {
    fn drop(&mut self) {
        if let Err(error) = RealDisk.remove(&self.path) {
            let _ = writeln!(std::io::stderr(), "the demo's directory stays behind: {error}");
        }
    }
}

/// Real time between two steps of the story.
fn pace(step: Millis, speed: f64) -> Duration {
    Duration::from_secs_f64(step.as_seconds() / speed)
}
