//! Sends the same samples to all servers at once, in the order of time.

use std::net::SocketAddr;
use std::sync::{Arc, mpsc};

use crate::Outcome;
use crate::cluster::Cluster;
use crate::fleet::{Churn, Fleet};
use crate::options::Options;
use crate::payload::{Request, RequestBuilder};
use crate::sender::Sender;
use crate::source::{SAMPLES_PER_REQUEST, Scrape, Source};

/// Requests that are ready and wait for a connection.
const AHEAD: usize = 4;
/// Hours of the metric of high cardinality.
const CROWD_HOURS: f64 = 0.5;

/// What was sent.
pub(crate) struct Loaded {
    pub(crate) series: usize,
    pub(crate) samples: u64,
}

/// A source and its next scrape.
struct Next {
    source: Box<dyn Source>,
    scrape: Scrape,
}

/// Everything that the queries are about, up to `end`.
fn sources(options: &Options, end: i64) -> Outcome<Vec<Next>> {
    let Options { hosts, pods, hours, crowd, seed, .. } = *options;
    let all: [Box<dyn Source>; 3] = [
        Box::new(Fleet::new(hosts, hours, end, Churn::None, seed)?),
        Box::new(Cluster::new(pods, hours, end, seed)?),
        Box::new(Cluster::crowd(crowd, CROWD_HOURS, end, seed)?),
    ];
    let mut started = Vec::new();
    for mut source in all {
        let mut scrape = Scrape::default();
        if source.next(&mut scrape)? {
            started.push(Next { source, scrape });
        }
    }
    Ok(started)
}

/// Sends everything to each of the addresses.
pub(crate) fn load(options: &Options, addresses: &[SocketAddr], end: i64) -> Outcome<Loaded> {
    let mut sources = sources(options, end)?;
    let series = sources.iter().map(|next| next.source.catalogue().len()).sum();
    std::thread::scope(|scope| {
        let mut channels = Vec::new();
        let mut sending = Vec::new();
        for &address in addresses {
            let (ready, requests) = mpsc::sync_channel::<Arc<Request>>(AHEAD);
            channels.push(ready);
            sending.push(scope.spawn(move || {
                let mut sender = Sender::connect(address)?;
                let mut samples = 0;
                for request in requests {
                    // A server may close a connection that rested, or is two minutes old.
                    if sender.send(&request).is_err() {
                        sender = Sender::connect(address)?;
                        sender.send(&request)?;
                    }
                    samples += request.samples as u64;
                }
                Outcome::Ok(samples)
            }));
        }
        // A receiver is gone only if sending failed, and then its error is returned below.
        let send = |request: Request| {
            let request = Arc::new(request);
            channels.iter().all(|channel| channel.send(Arc::clone(&request)).is_ok())
        };
        let mut builder = RequestBuilder::default();
        let mut going = true;
        while going && let Some(at) = (0..sources.len()).min_by_key(|at| sources[*at].scrape.t) {
            let Next { source, scrape } = &mut sources[at];
            for &(series, value) in &scrape.samples {
                builder.push(source.catalogue().encoded(series), scrape.t, value);
            }
            if builder.samples() >= SAMPLES_PER_REQUEST {
                going = send(builder.finish()?);
            }
            if !source.next(scrape)? {
                sources.swap_remove(at);
            }
        }
        if going && builder.samples() > 0 {
            send(builder.finish()?);
        }
        drop(channels);
        let mut samples = 0;
        for thread in sending {
            samples = thread.join().map_err(|_| "a sending thread panicked")??;
        }
        Ok(Loaded { series, samples })
    })
}
