//! The programs that are measured: where they are, how each is started, what it does for its data's safety.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use clap::ValueEnum;

use crate::Outcome;
use crate::harness;
use crate::options::Options;

/// One of the programs.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub(crate) enum Kind {
    /// The program under test
    Evenkeel,
    /// Prometheus
    Prometheus,
    /// VictoriaMetrics, single node
    #[value(name = "victoria-metrics")]
    VictoriaMetrics,
}

/// What a program is started for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Setup {
    /// With its own defaults, as far as storage goes.
    Default,
    /// To end with one compacted whole: Prometheus then keeps the whole span in its head.
    OneBlock,
}

impl Kind {
    /// Its name.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Kind::Evenkeel => "Evenkeel",
            Kind::Prometheus => "Prometheus",
            Kind::VictoriaMetrics => "VictoriaMetrics",
        }
    }

    /// What is on the disk when a write is answered, with the defaults that are used here.
    pub(crate) fn durability(self) -> &'static str {
        match self {
            Kind::Evenkeel => "fdatasync before the answer",
            Kind::Prometheus => "log in the page cache, synced per 128 MiB",
            Kind::VictoriaMetrics => "none: in memory for up to about 5 s",
        }
    }

    /// Where it says that it is ready.
    pub(crate) fn ready_path(self) -> &'static str {
        match self {
            Kind::Evenkeel | Kind::Prometheus => "/-/ready",
            Kind::VictoriaMetrics => "/health",
        }
    }
}

/// A program that was found.
pub(crate) struct Program {
    pub(crate) kind: Kind,
    pub(crate) path: PathBuf,
    pub(crate) version: String,
}

/// Those that take part.
pub(crate) struct Programs(Vec<Program>);

impl Programs {
    /// Finds them: ours beside this tool, the peers below their directory.
    pub(crate) fn find(options: &Options) -> Outcome<Programs> {
        let mut found = Vec::new();
        for kind in [Kind::Evenkeel, Kind::Prometheus, Kind::VictoriaMetrics] {
            if !options.wants(kind) {
                continue;
            }
            let path = match kind {
                Kind::Evenkeel => options.evenkeel.clone().map_or_else(harness::program, Ok)?,
                Kind::Prometheus => harness::peer(&options.peers, "prometheus")?,
                Kind::VictoriaMetrics => harness::peer(&options.peers, "victoria-metrics")?,
            };
            // A relative path would change its meaning with the working directory of the child.
            let path = fs::canonicalize(&path).map_err(|error| format!("{}: {error}", path.display()))?;
            let version = version(kind, &path, &options.peers);
            found.push(Program { kind, path, version });
        }
        Ok(Programs(found))
    }

    /// In the order of the tables: ours first.
    pub(crate) fn all(&self) -> &[Program] {
        &self.0
    }
}

impl Program {
    /// The command that serves on an address from a directory.
    pub(crate) fn command(&self, address: SocketAddr, data: &Path, setup: Setup, pinned: bool) -> Outcome<Command> {
        let mut command = if pinned {
            let mut command = Command::new("taskset");
            command.args(["-c", "0"]).arg(&self.path);
            command
        } else {
            Command::new(&self.path)
        };
        // A configuration that collects nothing, so that only what is sent is stored.
        let config = data.with_extension("yml");
        fs::write(&config, "global: {}\n")?;
        match self.kind {
            Kind::Evenkeel => {
                command.arg("serve").arg("--config").arg(config);
                command.arg("--data").arg(data).arg("--listen").arg(address.to_string());
            }
            Kind::Prometheus => {
                command.arg(flag("--config.file", config.display()));
                command.arg(flag("--storage.tsdb.path", data.display()));
                command.arg(flag("--web.listen-address", address));
                command.args(["--web.enable-remote-write-receiver", "--web.enable-admin-api", "--log.level=warn"]);
                command.arg("--storage.tsdb.retention.time=5y");
                if setup == Setup::OneBlock {
                    command.args(["--storage.tsdb.min-block-duration=31d", "--storage.tsdb.max-block-duration=31d"]);
                }
            }
            Kind::VictoriaMetrics => {
                command.arg(flag("-storageDataPath", data.display())).arg(flag("-httpListenAddr", address));
                command.args(["-retentionPeriod=5y", "-loggerLevel=WARN"]);
                // What was sent shall be seen: by default the newest 30 s are hidden.
                command.args([
                    "-search.latencyOffset=0s",
                    "-search.disableCache",
                    "-search.maxUniqueTimeseries=5000000",
                ]);
            }
        }
        Ok(command)
    }

    /// Whether our program can compact a directory that no server has open.
    pub(crate) fn compacts(&self) -> bool {
        self.kind == Kind::Evenkeel
            && Command::new(&self.path).args(["compact", "--help"]).output().is_ok_and(|output| output.status.success())
    }
}

fn flag(name: &str, value: impl std::fmt::Display) -> String {
    format!("{name}={value}")
}

/// What a program says of its version; Debian's VictoriaMetrics says nothing, its package does.
fn version(kind: Kind, path: &Path, peers: &Path) -> String {
    let argument = if kind == Kind::VictoriaMetrics { "-version" } else { "--version" };
    let said = Command::new(path).arg(argument).output().map(|output| output.stdout).unwrap_or_default();
    let line = String::from_utf8_lossy(&said).lines().next().unwrap_or_default().trim().to_owned();
    if !line.is_empty() {
        return line;
    }
    let packages = fs::read_dir(peers.join("debs")).into_iter().flatten().flatten();
    let package = packages.map(|entry| entry.file_name().to_string_lossy().into_owned());
    package.into_iter().find(|name| name.starts_with("victoria-metrics_")).unwrap_or_else(|| "unknown version".into())
}
