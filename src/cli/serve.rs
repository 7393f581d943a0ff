//! `evenkeel serve`: the server, until it is told to stop.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context, bail};
use clap::Args;
use tokio::net::TcpListener;
use tokio::runtime::Handle;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::oneshot;

use crate::config::{self, Config};
use crate::db::{Db, DbOptions, Watch};
use crate::env::disk::RealDisk;
use crate::env::{Clock, RealHost, SystemClock};
use crate::model::{Labels, limits};
use crate::notify::NotifyOptions;
use crate::promql::StartTimestamps;
use crate::scrape::{Job, Scraper};
use crate::server::{self, Changes, Doors, Hosts, HttpTransport, QueryOptions, Reload, ServerOptions, ServerState};
use crate::storage::{Durability, RetentionRule, StoreOptions};

use super::Listen;
use super::collect;
use super::query_flags::QueryFlags;
use super::setup::SetupCell;

/// Collect, store, decide and tell; without a configuration: this host and Evenkeel itself
#[derive(Args)]
#[command(
    after_help = "Example: evenkeel serve --config prometheus.yml --data /var/lib/evenkeel\n\nSIGHUP reads the configuration again; a bad one leaves the running one as it was."
)]
pub(super) struct ServeArgs {
    /// Configuration: a prometheus.yml, with further keys of our own
    #[arg(long)]
    config: Option<PathBuf>,
    /// Directory of everything that is kept
    #[arg(long, default_value = "evenkeel-data")]
    data: PathBuf,
    /// Allow this machine to delete series and take snapshots over HTTP
    #[arg(long, alias = "web.enable-admin-api")]
    enable_admin_api: bool,
    #[command(flatten)]
    query: QueryFlags,
    #[command(flatten)]
    listen: Listen,
}

pub(super) fn run(args: ServeArgs) -> anyhow::Result<ExitCode> {
    if !args.listen.listen.ip().is_loopback() && !args.listen.insecure_listen {
        bail!(
            "{} can be reached from other machines, and there is no authentication yet: \
             listen on 127.0.0.1 behind a proxy that has it, or say --insecure-listen",
            args.listen.listen
        );
    }
    let config = read(args.config.as_deref())?;
    super::runtime()?.block_on(serve(args, config))?;
    Ok(ExitCode::SUCCESS)
}

/// The configuration of a file, or the built-in one.
fn read(path: Option<&Path>) -> anyhow::Result<Config> {
    let config = match path {
        Some(path) => Config::load(&RealDisk, path)?,
        None => config::host()?,
    };
    for note in &config.notes {
        tracing::warn!("{note}");
    }
    Ok(config)
}

async fn serve(args: ServeArgs, config: Config) -> anyhow::Result<()> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let listener = server::bind(args.listen.listen).await?;
    let address = listener.local_addr()?;
    let url = format!("http://{address}");
    let running = Arc::new(Running::default());
    let options = ServerOptions {
        hosts: if args.listen.insecure_listen { Hosts::Any } else { Hosts::Only(Vec::new()) },
        changes: Changes::FromLoopback,
        retention: config.storage.retention,
        admin_api: args.enable_admin_api,
        origins: args.query.origins()?,
        query: QueryOptions { start_timestamps: looked_at(config.storage.start_timestamps), ..args.query.options()? },
        flags: flags(&args, &config),
        ..ServerOptions::default()
    };
    let doors = Doors {
        targets: Arc::clone(&running) as _,
        reload: args.config.is_some().then(|| Arc::clone(&running) as _),
        clock: Arc::clone(&clock),
        host: Arc::new(RealHost),
        setup: Arc::clone(&running) as _,
    };
    let state = ServerState::new(doors, options);
    let (stop, stopped) = oneshot::channel::<()>();
    let serving = tokio::spawn(server::serve(listener, state.clone(), async {
        // A sender that is gone means the same.
        let _ = stopped.await;
    }));

    let options = db_options(&args.data, &config, &url, Arc::clone(&clock));
    let db = tokio::task::spawn_blocking(move || Db::open(options)).await??;
    let scraper = Arc::new(Scraper::new(Arc::new(db.clone()), clock)?);
    running.start(Parts {
        db: db.clone(),
        scraper: Arc::clone(&scraper),
        config_path: args.config,
        url: url.clone(),
        start_timestamps: config.storage.start_timestamps,
    });
    running.collect(&config).await?;
    state.ready(db.clone());
    tracing::info!("ready at {url}");
    wait_for_the_end(&running, &state).await?;
    tracing::info!("stopping");
    scraper.stop().await;
    let _ = stop.send(());
    serving.await?;
    tokio::task::spawn_blocking(move || db.close()).await??;
    Ok(())
}

/// The flags with their values, under Prometheus' names where it has them.
fn flags(args: &ServeArgs, config: &Config) -> Vec<(String, String)> {
    let file = args.config.as_ref().map(|path| path.display().to_string()).unwrap_or_default();
    let mut flags = vec![
        ("config.file".to_owned(), file),
        ("storage.tsdb.path".to_owned(), args.data.display().to_string()),
        ("storage.tsdb.retention.time".to_owned(), config.storage.retention.to_string()),
        ("web.listen-address".to_owned(), args.listen.listen.to_string()),
        ("web.enable-admin-api".to_owned(), args.enable_admin_api.to_string()),
        ("insecure-listen".to_owned(), args.listen.insecure_listen.to_string()),
    ];
    flags.extend(args.query.list());
    flags
}

fn db_options(data: &Path, config: &Config, url: &str, clock: Arc<dyn Clock>) -> DbOptions {
    let durability = match config.storage.durability {
        config::Durability::Synced => Durability::Synced,
        config::Durability::Interval(every) => Durability::Interval(every),
        config::Durability::Buffered => Durability::Buffered,
    };
    let mut options = DbOptions::new(data);
    options.watch = watch(config, url);
    options.start_timestamps = looked_at(config.storage.start_timestamps);
    options.store = StoreOptions {
        durability,
        retention: config.storage.retention,
        out_of_order: config.storage.out_of_order,
        exemplars_max: config.storage.exemplars_max,
        start_changes_max: match config.storage.start_timestamps {
            config::StartTimestamps::Ignored => 0,
            config::StartTimestamps::Stored | config::StartTimestamps::Used => limits::START_CHANGES_MAX,
        },
        retention_bytes: config.storage.retention_bytes,
        downsample: config.storage.downsample.clone(),
        retention_rules: config
            .storage
            .retention_rules
            .iter()
            .map(|rule| RetentionRule { matchers: rule.matchers.clone(), keep: rule.keep })
            .collect(),
        ..StoreOptions::default()
    };
    options.results_cache_bytes = config.storage.results_cache_bytes;
    options.compaction_bytes_per_second = config.storage.compaction_bytes_per_second;
    options.rule_audit_one_in = config.rule_audit_one_in;
    options.clock = clock;
    options.transport = transport();
    options
}

/// How notifications leave. It is made ready beside the start, not before it.
pub(super) fn transport() -> Arc<HttpTransport> {
    let transport = Arc::new(HttpTransport::new(Handle::current()));
    let warming = Arc::clone(&transport);
    tokio::task::spawn_blocking(move || warming.warm_up());
    transport
}

fn watch(config: &Config, url: &str) -> Watch {
    Watch {
        groups: config.rule_groups.clone(),
        objectives: config.objectives.clone(),
        deploy_series: config.deploy_series.clone(),
        critical: config.critical.clone(),
        accuracy: config.accuracy,
        notify: NotifyOptions {
            routing: config.routing.clone(),
            alertmanagers: config.alertmanagers.clone(),
            external_url: url.to_owned(),
            external_labels: config.external_labels.clone(),
            ..NotifyOptions::default()
        },
    }
}

/// Whether queries and rules look at when counting began.
fn looked_at(setting: config::StartTimestamps) -> StartTimestamps {
    match setting {
        config::StartTimestamps::Ignored | config::StartTimestamps::Stored => StartTimestamps::Ignored,
        config::StartTimestamps::Used => StartTimestamps::Used,
    }
}

/// The scraper's jobs of a configuration, for a store that was opened with this setting.
fn jobs(config: &Config, start_timestamps: config::StartTimestamps) -> anyhow::Result<Vec<Job>> {
    let mut jobs: Vec<Job> = config.scrape.iter().map(Job::try_from).collect::<Result<_, _>>()?;
    let looked_at = start_timestamps != config::StartTimestamps::Ignored;
    jobs.iter_mut().for_each(|job| job.start_timestamps = looked_at);
    Ok(jobs)
}

/// Returns when the process is told to stop; reloads when told to.
async fn wait_for_the_end(running: &Arc<Running>, state: &ServerState) -> anyhow::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut hangup = signal(SignalKind::hangup())?;
    loop {
        tokio::select! {
            _ = tokio::signal::ctrl_c() => return Ok(()),
            _ = terminate.recv() => return Ok(()),
            _ = hangup.recv() => {
                let running = Arc::clone(running);
                let reloaded = tokio::task::spawn_blocking(move || running.reload()).await?;
                state.note_reload(&reloaded);
                if let Err(error) = reloaded {
                    tracing::error!("the configuration stays as it was: {error}");
                }
            }
        }
    }
}

/// What runs once the database is open.
struct Parts {
    db: Db,
    scraper: Arc<Scraper>,
    config_path: Option<PathBuf>,
    url: String,
    /// As the store was opened: a reload does not change it.
    start_timestamps: config::StartTimestamps,
}

/// The running server, as reloads and the list of targets see it.
#[derive(Default)]
struct Running {
    parts: std::sync::OnceLock<Parts>,
    setup: SetupCell,
}

impl Running {
    fn start(&self, parts: Parts) {
        // Set once, by `serve`.
        let _ = self.parts.set(parts);
    }

    /// Collects what a configuration says.
    async fn collect(&self, config: &Config) -> anyhow::Result<()> {
        let Some(parts) = self.parts.get() else { return Ok(()) };
        let jobs = jobs(config, parts.start_timestamps)?;
        let local = collect::local_jobs(config, &parts.db, parts.config_path.is_none());
        parts.scraper.reload(&jobs, &local).await?;
        self.setup.set(parts.config_path.as_deref(), jobs);
        Ok(())
    }

    fn read_again(&self) -> anyhow::Result<()> {
        let parts = self.parts.get().context("the server is still starting")?;
        let config = read(parts.config_path.as_deref())?;
        // What cannot be scraped must not leave new rules behind.
        jobs(&config, parts.start_timestamps)?;
        parts.db.reload(watch(&config, &parts.url))?;
        Handle::current().block_on(self.collect(&config))?;
        let rules: usize = config.rule_groups.iter().map(|group| group.rules.len()).sum();
        let (jobs, objectives) = (config.scrape.len(), config.objectives.len());
        tracing::info!("the configuration is read again: {jobs} scrape jobs, {rules} rules, {objectives} objectives");
        Ok(())
    }
}

impl Reload for Running {
    fn reload(&self) -> Result<(), String> {
        self.read_again().map_err(|error| format!("{error:#}"))
    }
}

impl server::Targets for Running {
    fn targets(&self) -> Vec<server::TargetStatus> {
        self.parts.get().map_or_else(Vec::new, |parts| collect::targets(&parts.scraper))
    }

    fn dropped(&self) -> Vec<server::DroppedTarget> {
        self.setup.dropped()
    }
}

impl server::Setup for Running {
    fn config_text(&self) -> String {
        self.setup.config_text()
    }

    fn pool_text(&self, pool: &str) -> Option<String> {
        self.setup.pool_text(pool)
    }

    fn relabel_steps(&self, pool: &str, labels: Labels) -> Option<Vec<server::RelabelStep>> {
        self.setup.relabel_steps(pool, &labels)
    }
}

/// Serves an open database that collects nothing by itself; gives the address of its pages. Ends
/// with the process.
pub(super) async fn start_server(db: Db, address: SocketAddr, clock: Arc<dyn Clock>) -> anyhow::Result<String> {
    let listener: TcpListener = server::bind(address).await?;
    let url = format!("http://{}", listener.local_addr()?);
    let doors = Doors {
        targets: Arc::new(server::NoTargets),
        reload: None,
        clock,
        host: Arc::new(RealHost),
        setup: Arc::new(server::NoSetup),
    };
    let state = ServerState::new(doors, ServerOptions::default());
    state.ready(db);
    tokio::spawn(server::serve(listener, state, std::future::pending()));
    Ok(url)
}
