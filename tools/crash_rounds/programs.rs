//! The servers: ours, and those that are measured beside it.

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::harness::{Http, Server, free_address, peer, program};

/// A server that takes remote-write and answers queries as Prometheus does.
#[derive(Debug, Clone)]
pub(crate) enum Program {
    Evenkeel(PathBuf),
    Prometheus(PathBuf),
    VictoriaMetrics(PathBuf),
}

/// Ours, and those below `peers`.
pub(crate) fn found(peers: Option<&Path>) -> io::Result<Vec<Program>> {
    let mut all = vec![Program::Evenkeel(program()?)];
    if let Some(dir) = peers {
        all.push(Program::Prometheus(peer(dir, "prometheus")?));
        all.push(Program::VictoriaMetrics(peer(dir, "victoria-metrics")?));
    }
    Ok(all)
}

impl Program {
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Program::Evenkeel(_) => "evenkeel",
            Program::Prometheus(_) => "prometheus",
            Program::VictoriaMetrics(_) => "victoria-metrics",
        }
    }

    pub(crate) fn is_ours(&self) -> bool {
        matches!(self, Program::Evenkeel(_))
    }

    /// Starts it on a free port with its data in `data`. Configuration and log are beside `place`.
    pub(crate) fn start(&self, place: &Path, data: &Path) -> io::Result<Server> {
        let address = free_address()?;
        let config = place.join("prometheus.yml");
        std::fs::write(&config, "global: {scrape_interval: 15s}\n")?;
        Server::launch(self.command(&config, data, address), address, &self.log(place))
    }

    /// Where it writes what it has to say.
    pub(crate) fn log(&self, place: &Path) -> PathBuf {
        place.join("server.log")
    }

    fn command(&self, config: &Path, data: &Path, address: SocketAddr) -> Command {
        match self {
            Program::Evenkeel(path) => {
                let mut command = Command::new(path);
                command.arg("serve").arg("--listen").arg(address.to_string());
                command.arg("--data").arg(data).arg("--config").arg(config);
                command
            }
            Program::Prometheus(path) => {
                let mut command = Command::new(path);
                command.arg(format!("--config.file={}", config.display()));
                command.arg(format!("--storage.tsdb.path={}", data.display()));
                command.arg(format!("--web.listen-address={address}")).arg("--web.enable-remote-write-receiver");
                command
            }
            Program::VictoriaMetrics(path) => {
                let mut command = Command::new(path);
                command.arg(format!("-storageDataPath={}", data.display()));
                command.arg(format!("-httpListenAddr={address}"));
                command
            }
        }
    }

    /// Makes what was written visible to queries, where a server delays that.
    pub(crate) fn make_visible(&self, server: &Server) -> io::Result<()> {
        match self {
            Program::VictoriaMetrics(_) => Http::connect(server.address)?.get("/internal/force_flush").map(|_| ()),
            Program::Evenkeel(_) | Program::Prometheus(_) => Ok(()),
        }
    }

    /// Makes it write its samples from the log into a block, where there is a way to ask for that.
    pub(crate) fn checkpoint(&self, server: &Server) -> io::Result<()> {
        match self {
            Program::Evenkeel(_) => Http::connect(server.address)?.post("/-/reload").map(|_| ()),
            Program::Prometheus(_) | Program::VictoriaMetrics(_) => Ok(()),
        }
    }

    /// Bytes that it wants to stay free on its disk.
    pub(crate) fn reserve_bytes(&self) -> u64 {
        match self {
            Program::Evenkeel(_) => 32 << 20,
            Program::Prometheus(_) => 0,
            Program::VictoriaMetrics(_) => 100_000_000,
        }
    }
}
