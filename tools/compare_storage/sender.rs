//! One connection that sends requests and notes how long each answer took.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use crate::Outcome;
use crate::harness::Http;
use crate::payload::Request;

/// The longest wait for an answer.
const ANSWER_WITHIN: Duration = Duration::from_secs(120);
/// Pause before a request is sent again that the server could not take.
const PAUSE: Duration = Duration::from_millis(20);

/// A kept-alive connection.
pub(crate) struct Sender {
    http: Http,
    /// What was acknowledged, and how long each acknowledgement took, in milliseconds.
    pub(crate) sent: Sent,
}

/// What one or more connections sent.
#[derive(Default)]
pub(crate) struct Sent {
    pub(crate) samples: u64,
    pub(crate) times_ms: Vec<f64>,
    pub(crate) repeated: u64,
}

impl Sent {
    /// Adds what another connection sent.
    pub(crate) fn add(&mut self, other: Sent) {
        self.samples += other.samples;
        self.times_ms.extend(other.times_ms);
        self.repeated += other.repeated;
    }
}

impl Sender {
    /// Connects.
    pub(crate) fn connect(address: SocketAddr) -> Outcome<Sender> {
        let mut http = Http::connect(address)?;
        http.wait_up_to(ANSWER_WITHIN)?;
        Ok(Sender { http, sent: Sent::default() })
    }

    /// Sends a request until it is acknowledged; an answer that blames the request is an error.
    pub(crate) fn send(&mut self, request: &Request) -> Outcome<()> {
        let begun = Instant::now();
        loop {
            let answer = self.http.remote_write(&request.body)?;
            match answer.status {
                200..=299 => break,
                429 | 503 => {
                    self.sent.repeated += 1;
                    std::thread::sleep(PAUSE);
                }
                status => return Err(format!("a write was answered with {status}: {}", answer.text()).into()),
            }
        }
        self.sent.times_ms.push(begun.elapsed().as_secs_f64() * 1e3);
        self.sent.samples += request.samples as u64;
        Ok(())
    }
}
