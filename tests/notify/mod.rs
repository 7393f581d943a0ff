//! Tests of `notify`: what receivers get, across failures and restarts.

mod crash;
mod delivery;
mod restart;

use std::sync::{Arc, Mutex};

use evenkeel::env::disk::{Disk, RealDisk};
use evenkeel::env::{Request, Response, Transport, TransportError};
use evenkeel::model::{Alert, AlertState, Labels, Millis, Seq, Timestamp, Transition, TransitionId, TransitionKind};
use evenkeel::notify::{Notifier, NotifyOptions, Receiver, Route, Routing, Webhook};

type Answer = Box<dyn FnMut(&Request) -> Result<Response, TransportError> + Send>;

/// A transport that keeps what it was given and answers as told.
struct Recorder {
    state: Mutex<(Vec<Request>, Answer)>,
}

impl Recorder {
    fn new() -> Recorder {
        Recorder::answering(|_| Ok(status(200)))
    }

    fn answering(answer: impl FnMut(&Request) -> Result<Response, TransportError> + Send + 'static) -> Recorder {
        Recorder { state: Mutex::new((Vec::new(), Box::new(answer))) }
    }

    /// Changes the answers.
    fn answer(&self, answer: impl FnMut(&Request) -> Result<Response, TransportError> + Send + 'static) {
        self.state.lock().unwrap().1 = Box::new(answer);
    }

    /// The requests since the last call.
    fn take(&self) -> Vec<Request> {
        std::mem::take(&mut self.state.lock().unwrap().0)
    }

    /// The messages since the last call, as `receiver status [status:alert …]`.
    fn messages(&self) -> Vec<String> {
        self.take().iter().map(|request| summary(&request.body)).collect()
    }
}

impl Transport for Recorder {
    fn send(&self, request: &Request) -> Result<Response, TransportError> {
        let (requests, answer) = &mut *self.state.lock().unwrap();
        requests.push(request.clone());
        answer(request)
    }
}

fn status(status: u16) -> Response {
    Response { status, retry_after: None, body: String::new() }
}

fn refused_connection(request: &Request) -> Result<Response, TransportError> {
    Err(TransportError { url: request.url.clone(), reason: "connection refused".to_owned() })
}

fn json(body: &[u8]) -> serde_json::Value {
    serde_json::from_slice(body).unwrap()
}

fn summary(body: &[u8]) -> String {
    let message = json(body);
    if let Some(alerts) = message.as_array() {
        let alerts: Vec<_> = alerts
            .iter()
            .map(|alert| format!("{}..{}", text(&alert["labels"]["alertname"]), text(&alert["endsAt"])))
            .collect();
        return alerts.join(" ");
    }
    let alerts: Vec<_> = message["alerts"]
        .as_array()
        .unwrap()
        .iter()
        .map(|alert| format!("{}:{}", text(&alert["status"]), text(&alert["labels"]["alertname"])))
        .collect();
    format!("{} {} [{}]", text(&message["receiver"]), text(&message["status"]), alerts.join(" "))
}

fn text(value: &serde_json::Value) -> &str {
    value.as_str().unwrap()
}

fn header<'a>(request: &'a Request, name: &str) -> &'a str {
    request.headers.iter().find(|(n, _)| n == name).map_or("", |(_, value)| value)
}

/// A transition of the alert `name` at second `at`, decided at log position `seq`.
fn transition(seq: u64, kind: TransitionKind, name: &str, at: i64) -> Transition {
    labelled(seq, kind, &[("alertname", name)], at)
}

fn labelled(seq: u64, kind: TransitionKind, labels: &[(&str, &str)], at: i64) -> Transition {
    let labels = Labels::new(labels.iter().copied()).unwrap();
    let resolved = kind == TransitionKind::Resolved;
    let key =
        labels.as_text().bytes().fold(u64::from(resolved), |sum, b| sum.wrapping_mul(31).wrapping_add(u64::from(b)));
    let alert = Alert {
        labels,
        annotations: Labels::new([("summary", "something is wrong")]).unwrap(),
        state: if resolved { AlertState::Resolved } else { AlertState::Firing },
        value: 1.0,
        active_at: seconds(at),
        fired_at: Some(seconds(at)),
        resolved_at: resolved.then(|| seconds(at)),
        keep_firing_since: None,
        expr: "up == 0".to_owned(),
    };
    Transition { id: TransitionId { seq: Seq(seq), key }, kind, at: seconds(at), alert }
}

fn firing(seq: u64, name: &str, at: i64) -> Transition {
    transition(seq, TransitionKind::Firing, name, at)
}

fn resolved(seq: u64, name: &str, at: i64) -> Transition {
    transition(seq, TransitionKind::Resolved, name, at)
}

fn seconds(n: i64) -> Timestamp {
    Timestamp(n * 1000)
}

/// A route that tells at once, each alert in a group of its own.
fn at_once(receiver: &str) -> Route {
    Route {
        group_by: evenkeel::notify::GroupBy::All,
        group_wait: Millis::ZERO,
        group_interval: Millis::ZERO,
        ..Route::new(receiver)
    }
}

fn options(route: Route, receivers: &[(&str, &str)]) -> NotifyOptions {
    let receivers = receivers
        .iter()
        .map(|(name, url)| Receiver { name: (*name).to_owned(), webhooks: vec![Webhook::new(url)] })
        .collect();
    NotifyOptions {
        routing: Some(Routing { route, receivers }),
        external_url: "http://evenkeel:9090".to_owned(),
        ..NotifyOptions::default()
    }
}

/// Options with one receiver `team` that is told at once.
fn plain() -> NotifyOptions {
    options(at_once("team"), &[("team", "http://hook/team")])
}

/// A notifier on a directory that goes away with it.
struct Bench {
    dir: tempfile::TempDir,
    notifier: Option<Notifier>,
    recorder: Recorder,
}

impl Bench {
    fn new(options: NotifyOptions) -> Bench {
        Bench::on(Arc::new(RealDisk), options)
    }

    fn on(disk: Arc<dyn Disk>, options: NotifyOptions) -> Bench {
        let dir = tempfile::tempdir().unwrap();
        let notifier = Some(open(disk, dir.path(), options));
        Bench { dir, notifier, recorder: Recorder::new() }
    }

    /// What a killed process leaves: the files. Opens them again.
    fn restart(&mut self, options: NotifyOptions) {
        self.notifier = None;
        self.notifier = Some(open(Arc::new(RealDisk), self.dir.path(), options));
    }

    fn notifier(&self) -> &Notifier {
        self.notifier.as_ref().unwrap()
    }

    fn accept(&self, transitions: &[Transition]) {
        self.notifier().accept(transitions).unwrap();
    }

    fn step(&self, at: i64) -> Option<i64> {
        self.notifier().step(seconds(at), &self.recorder).map(|t| t.0)
    }

    /// Steps at second `at` and gives the messages that were sent.
    fn sent(&self, at: i64) -> Vec<String> {
        self.step(at);
        self.recorder.messages()
    }
}

fn open(disk: Arc<dyn Disk>, dir: &std::path::Path, options: NotifyOptions) -> Notifier {
    Notifier::open(disk, &dir.join("outbox"), options).unwrap()
}

#[test]
fn unknown_receivers_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let error = Notifier::open(Arc::new(RealDisk), dir.path(), options(at_once("nobody"), &[])).unwrap_err();
    assert_eq!(
        error.to_string(),
        "a route names the receiver \"nobody\", which is not among the receivers; add it or correct the name"
    );
    let bench = Bench::new(plain());
    assert!(bench.notifier().reload(options(at_once("nobody"), &[])).is_err());
    bench.accept(&[firing(1, "A", 1)]);
    assert_eq!(bench.sent(1), ["team firing [firing:A]"]);
}
