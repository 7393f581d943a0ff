//! Where the samples of a set come from: scrapes of targets, one after the other in time.

use std::net::SocketAddr;
use std::sync::mpsc;

use evenkeel::model::Labels;

use crate::Outcome;
use crate::check::Truth;
use crate::payload::{Request, RequestBuilder, encode_labels};
use crate::sender::{Sender, Sent};

/// Samples of one request, about as many as a busy sender puts into one.
pub(crate) const SAMPLES_PER_REQUEST: usize = 10_000;
/// Requests that are ready and wait for the connection.
const AHEAD: usize = 4;

/// The series that were seen so far, by number.
#[derive(Default)]
pub(crate) struct Catalogue {
    labels: Vec<Labels>,
    encoded: Vec<Vec<u8>>,
}

impl Catalogue {
    /// Adds a series; returns its number.
    pub(crate) fn add(&mut self, labels: Labels) -> usize {
        self.encoded.push(encode_labels(labels.iter().map(|label| (label.name, label.value))));
        self.labels.push(labels);
        self.labels.len() - 1
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.labels.len()
    }

    /// The labels of a number.
    pub(crate) fn labels(&self, series: usize) -> &Labels {
        &self.labels[series]
    }

    /// The labels of a number as a request holds them.
    pub(crate) fn encoded(&self, series: usize) -> &[u8] {
        &self.encoded[series]
    }

    /// All labels, by number.
    pub(crate) fn all(&self) -> &[Labels] {
        &self.labels
    }
}

/// What one target said at one instant.
#[derive(Default)]
pub(crate) struct Scrape {
    pub(crate) t: i64,
    pub(crate) samples: Vec<(usize, f64)>,
}

/// A row of scrapes that is the same each time it is begun anew.
pub(crate) trait Source: Send {
    /// The series so far.
    fn catalogue(&self) -> &Catalogue;
    /// The next scrape; false at the end.
    fn next(&mut self, scrape: &mut Scrape) -> Outcome<bool>;
}

/// Sends everything, in the order of the scrapes; keeps what is asked for later.
pub(crate) fn send_all(source: &mut dyn Source, address: SocketAddr, truth: &mut Truth) -> Outcome<Sent> {
    let (ready, requests) = mpsc::sync_channel::<Request>(AHEAD);
    std::thread::scope(|scope| {
        let sending = scope.spawn(move || {
            let mut sender = Sender::connect(address)?;
            for request in requests {
                sender.send(&request)?;
            }
            Outcome::Ok(sender.sent)
        });
        let mut builder = RequestBuilder::default();
        let mut scrape = Scrape::default();
        loop {
            let more = source.next(&mut scrape)?;
            let full = builder.samples() + scrape.samples.len() > SAMPLES_PER_REQUEST;
            // The receiver is gone only if sending failed, and then its error is returned below.
            if builder.samples() > 0 && (full || !more) && ready.send(builder.finish()?).is_err() {
                break;
            }
            if !more {
                break;
            }
            for &(series, value) in &scrape.samples {
                builder.push(source.catalogue().encoded(series), scrape.t, value);
                truth.note(series, scrape.t, value);
            }
        }
        drop(ready);
        sending.join().map_err(|_| "the sending thread panicked")?
    })
}
