//! The two servers: started on the same samples, and asked the same questions.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

use evenkeel::model::Batch;
use evenkeel::wire::encode_remote_write;

use crate::Outcome;
use crate::answer::Answer;
use crate::harness::{Http, Server, free_address, percent};
use crate::series::{EVERY, FIRST};

/// Features that are behind flags in some version of Prometheus; those that a version does not have it only warns of.
const FEATURES: &str = "promql-experimental-functions,native-histograms,promql-duration-expr,\
                        promql-extended-range-selectors,promql-binop-fill-modifiers";

/// An expression and the times at which it is asked.
#[derive(Clone)]
pub(crate) struct Question {
    pub(crate) text: String,
    pub(crate) instant: i64,
    pub(crate) start: i64,
    pub(crate) end: i64,
    pub(crate) step: i64,
}

impl Question {
    /// At a time at which there is something.
    pub(crate) fn at_start(text: &str) -> Question {
        let t = FIRST + 40 * EVERY;
        Question { text: text.to_owned(), instant: t, start: t, end: t, step: EVERY }
    }
}

/// A connection for questions.
pub(crate) struct Asker {
    address: SocketAddr,
    http: Http,
}

impl Asker {
    /// Connects.
    pub(crate) fn connect(address: SocketAddr) -> Outcome<Asker> {
        Ok(Asker { address, http: Http::connect(address)? })
    }

    /// Asks for one instant.
    pub(crate) fn instant(&mut self, question: &Question) -> Outcome<Answer> {
        let form = format!("query={}&time={}", percent(&question.text), seconds(question.instant));
        self.ask("/api/v1/query", &form)
    }

    /// Asks for the range.
    pub(crate) fn range(&mut self, question: &Question) -> Outcome<Answer> {
        let Question { text, start, end, step, .. } = question;
        let (start, end, step) = (seconds(*start), seconds(*end), seconds(*step));
        let form = format!("query={}&start={start}&end={end}&step={step}", percent(text));
        self.ask("/api/v1/query_range", &form)
    }

    fn ask(&mut self, path: &str, form: &str) -> Outcome<Answer> {
        let answer = match self.http.form(path, form) {
            Ok(answer) => answer,
            // A server may close a connection after a while.
            Err(_) => {
                self.http = Http::connect(self.address)?;
                self.http.form(path, form)?
            }
        };
        let read = Answer::read(&answer.body);
        let read = read.map_err(|error| format!("{path}?{form}: {} {}: {error}", answer.status, answer.text()))?;
        if answer.status == 500 {
            return Err(format!("{path}?{form} was answered with 500: {}", answer.text()).into());
        }
        Ok(read)
    }
}

fn seconds(ms: i64) -> String {
    format!("{}.{:03}", ms / 1000, ms % 1000)
}

/// Starts ours.
pub(crate) fn start_ours(program: &Path, dir: &Path) -> Outcome<Server> {
    let config = dir.join("ours.yml");
    // The samples have the same times whenever this is run.
    fs::write(&config, "storage: {retention: 100y}\n")?;
    Ok(Server::start(program, &dir.join("ours"), Some(&config))?)
}

/// Starts the peer.
pub(crate) fn start_peer(program: &Path, dir: &Path) -> Outcome<Server> {
    let config = dir.join("peer.yml");
    fs::write(&config, "global: {}\n")?;
    let (address, data) = (free_address()?, dir.join("peer"));
    let mut command = Command::new(program);
    command.arg(format!("--config.file={}", config.display()));
    command.arg(format!("--storage.tsdb.path={}", data.display()));
    command.arg(format!("--web.listen-address={address}")).arg(format!("--enable-feature={FEATURES}"));
    command.args(["--web.enable-remote-write-receiver", "--storage.tsdb.retention.time=100y", "--log.level=warn"]);
    Ok(Server::launch(command, address, &dir.join("peer.log"))?)
}

/// Sends all samples; whatever a server refuses is an error.
pub(crate) fn send(address: SocketAddr, batches: &[Batch]) -> Outcome<()> {
    let mut http = Http::connect(address)?;
    for batch in batches {
        let answer = http.remote_write(&encode_remote_write(batch))?;
        if !(200..300).contains(&answer.status) {
            return Err(format!("a write was answered with {}: {}", answer.status, answer.text()).into());
        }
    }
    Ok(())
}
