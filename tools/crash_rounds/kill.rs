//! `kill -9` in the middle of writing; in every other round a checkpoint is under way.

use std::error::Error;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::time::{Duration, Instant};

use evenkeel::env::Rng;

use crate::Row;
use crate::ledger::{Found, Pace, Round, load};
use crate::programs::Program;

/// How long a round writes, at the least and at the most.
const WRITES_MS: (u64, u64) = (20, 400);

pub(crate) fn run(program: &Program, place: &Path, rounds: u64, seed: u64) -> Result<Row, Box<dyn Error>> {
    let (mut rng, begun) = (Rng::new(seed), Instant::now());
    let data = place.join("data");
    let mut written: Vec<Round> = Vec::new();
    let (mut after_kill, mut at_the_end, mut starts) = (Found::default(), Found::default(), Vec::new());
    for id in 0..rounds {
        let starting = Instant::now();
        let mut server = program.start(place, &data)?;
        starts.push(starting.elapsed().as_secs_f64() * 1000.0);
        if let Some(last) = written.last() {
            after_kill.add(last.check(&server)?);
        }
        let length = Duration::from_millis(WRITES_MS.0 + rng.below(WRITES_MS.1 - WRITES_MS.0));
        let checkpoint = (rng.below(2) == 0).then(|| length.mul_f64(rng.unit()));
        let (stop, acknowledged, refused) = (AtomicBool::new(false), AtomicU64::new(0), AtomicU64::new(0));
        let pace = Pace {
            series: 40,
            pause: Duration::from_micros(500),
            stop: &stop,
            acknowledged: &acknowledged,
            refused: &refused,
        };
        let (round, ()) = load(&mut server, id, &pace, |server| {
            if let Some(after) = checkpoint {
                std::thread::sleep(after);
                program.checkpoint(server)?;
                std::thread::sleep(length - after);
            } else {
                std::thread::sleep(length);
            }
            server.kill_now()
        })?;
        written.push(round);
        crate::progress(program, written.len() as u64, rounds, begun);
    }
    let server = program.start(place, &data)?;
    for (id, round) in written.iter().enumerate() {
        let found = round.check(&server)?;
        at_the_end.add(found);
        if id + 1 == written.len() {
            after_kill.add(found);
        }
    }
    server.kill()?;
    starts.sort_by(f64::total_cmp);
    let mut broken = Vec::new();
    if after_kill.lost + after_kill.invented + at_the_end.lost + at_the_end.invented > 0 {
        broken.push(format!("after kills {after_kill:?}, at the end {at_the_end:?}"));
    }
    Ok(Row {
        what: format!("kill -9 while writing, {}", program.name()),
        counts: vec![
            ("rounds", rounds.to_string()),
            ("seconds", format!("{:.0}", begun.elapsed().as_secs_f64())),
            ("samples acknowledged", at_the_end.acknowledged.to_string()),
            ("lost, seen at the next start", after_kill.lost.to_string()),
            ("lost, seen at the end", at_the_end.lost.to_string()),
            ("samples that nobody sent", at_the_end.invented.to_string()),
            ("start until ready, median ms", format!("{:.0}", crate::harness::quantile(&starts, 0.5))),
            ("start until ready, longest ms", format!("{:.0}", crate::harness::quantile(&starts, 1.0))),
        ],
        broken,
    })
}
